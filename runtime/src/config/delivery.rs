//! `mode`, `queue`, `backlog` and `retry`, for all plugins, one plugin or one handler: what a table does not say comes from the one before.

use serde::Deserialize;
use toml::Spanned;

use super::breaker::Breaker;
use super::document::Document;
use super::error::ConfigProblem;
use super::mode::{BacklogTable, ModeName, Said};
use super::ordering::{MetadataKey, OrderingName};
use super::value::{Count, Parsed, Size, Time, Value};
use crate::delivery::{Overflow, QueuePolicy, RetryPolicy};

/// `[defaults.delivery]` and `[plugin.delivery]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DeliveryTable {
    pub(super) mode: Option<Spanned<ModeName>>,
    pub(super) queue: Option<QueueTable>,
    pub(super) backlog: Option<Spanned<BacklogTable>>,
    pub(super) retry: Option<Spanned<RetryTable>>,
    pub(super) breaker: Option<Breaker>,
    pub(super) ordering: Option<OrderingName>,
    pub(super) ordering_key: Option<Spanned<Parsed<MetadataKey>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct QueueTable {
    events: Option<Count<usize, 100_000_000>>,
    bytes: Option<Size<usize>>,
    pub(super) overflow: Option<Spanned<OverflowName>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OverflowName {
    Block,
    Reject,
    DropOldest,
    DropNewest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RetryTable {
    attempts: Option<Count<u32, 1_000_000>>,
    base: Option<Time>,
    cap: Option<Time>,
    max_age: Option<Time>,
}

impl DeliveryTable {
    /// What it says of what becomes of events.
    pub(super) fn kept(&self) -> Said<'_> {
        Said {
            mode: self.mode.as_ref(),
            queue: self.queue.as_ref(),
            backlog: self.backlog.as_ref(),
        }
    }
}

impl QueueTable {
    pub(super) fn over(&self, before: QueuePolicy) -> QueuePolicy {
        QueuePolicy {
            events: self.events.as_ref().map_or(before.events, Value::get),
            bytes: self.bytes.as_ref().map_or(before.bytes, Value::get),
            overflow: self
                .overflow
                .as_ref()
                .map_or(before.overflow, |name| match name.get_ref() {
                    OverflowName::Block => Overflow::Block,
                    OverflowName::Reject => Overflow::Reject,
                    OverflowName::DropOldest => Overflow::DropOldest,
                    OverflowName::DropNewest => Overflow::DropNewest,
                }),
        }
    }
}

impl RetryTable {
    fn over(&self, before: RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            attempts: self.attempts.as_ref().map_or(before.attempts, Value::get),
            base: self.base.as_ref().map_or(before.base, Value::get),
            cap: self.cap.as_ref().map_or(before.cap, Value::get),
            max_age: self.max_age.as_ref().map_or(before.max_age, Value::get),
        }
    }
}

/// The policy of a `retry` at hand, which may contradict itself together with what it inherits.
pub(super) fn retry(
    table: &Spanned<RetryTable>,
    before: RetryPolicy,
    key: &str,
    document: &Document,
    problems: &mut Vec<ConfigProblem>,
) -> RetryPolicy {
    let policy = table.get_ref().over(before);
    if policy.base > policy.cap {
        let (base, cap) = (
            humantime::format_duration(policy.base),
            humantime::format_duration(policy.cap),
        );
        let message = format!("base ({base}) is above cap ({cap}), the longest delay");
        problems.push(document.problem(&table.span(), format!("{key}.base"), message));
    }
    policy
}
