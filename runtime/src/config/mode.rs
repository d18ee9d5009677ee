//! `mode` and `backlog`: which handlers are durable, and what goes with that.

use serde::Deserialize;
use toml::Spanned;

use super::delivery::QueueTable;
use super::document::Document;
use super::error::ConfigProblem;
use super::value::{Count, Size, Value};
use crate::delivery::{BacklogPolicy, DeliveryMode, Overflow, QueuePolicy};
use crate::plugin::PluginSpec;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ModeName {
    Ephemeral,
    Durable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BacklogTable {
    events: Option<Count<u64, 100_000_000_000>>,
    bytes: Option<Size<u64>>,
}

/// What a table says of it.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) mode: Option<&'a Spanned<ModeName>>,
    pub(super) queue: Option<&'a QueueTable>,
    pub(super) backlog: Option<&'a Spanned<BacklogTable>>,
}

/// What holds, together with what is inherited.
#[derive(Clone, Copy, Default)]
pub(super) struct Kept {
    pub(super) mode: DeliveryMode,
    pub(super) queue: QueuePolicy,
    pub(super) backlog: BacklogPolicy,
}

impl Kept {
    pub(super) fn of(plugin: &PluginSpec) -> Self {
        let PluginSpec {
            mode, queue, backlog, ..
        } = plugin;
        Self {
            mode: *mode,
            queue: *queue,
            backlog: *backlog,
        }
    }

    /// With what a table says.
    pub(super) fn under(self, said: Said<'_>) -> Self {
        Self {
            mode: said.mode.map_or(self.mode, |name| match name.get_ref() {
                ModeName::Ephemeral => DeliveryMode::Ephemeral,
                ModeName::Durable => DeliveryMode::Durable,
            }),
            queue: said.queue.map_or(self.queue, |queue| queue.over(self.queue)),
            backlog: said
                .backlog
                .map_or(self.backlog, |own| own.get_ref().over(self.backlog)),
        }
    }

    pub(super) fn is_durable(&self) -> bool {
        self.mode == DeliveryMode::Durable
    }

    fn drops(&self) -> bool {
        matches!(self.queue.overflow, Overflow::DropOldest | Overflow::DropNewest)
    }
}

impl BacklogTable {
    fn over(&self, before: BacklogPolicy) -> BacklogPolicy {
        BacklogPolicy {
            events: self.events.as_ref().map_or(before.events, Value::get),
            bytes: self.bytes.as_ref().map_or(before.bytes, Value::get),
        }
    }
}

impl Said<'_> {
    /// What can't be in one table, together with what it inherits: each is told where it is said, and not again by those
    /// that inherit it.
    pub(super) fn check(&self, owner: &str, has_store: bool, kept: &Kept, document: &Document) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let overflow = self.queue.and_then(|queue| queue.overflow.as_ref());
        if let Some(mode) = self.mode.filter(|_| kept.is_durable() && !has_store) {
            let message = "there is nowhere to keep its events: set data-dir at the top of the file, such as \"data\"";
            problems.push(document.problem(&mode.span(), format!("{owner}.mode"), message));
        }
        if kept.is_durable() && kept.drops() {
            let (place, key) = match (overflow, self.mode) {
                (Some(overflow), _) => (overflow.span(), "queue.overflow"),
                (None, Some(mode)) => (mode.span(), "mode"),
                (None, None) => return problems,
            };
            let message = "a durable queue may not drop what has been promised: take overflow = \"block\" or \"reject\", or \
                           mode = \"ephemeral\"";
            problems.push(document.problem(&place, format!("{owner}.{key}"), message));
        }
        problems
    }

    /// A backlog of nobody would bound nothing.
    pub(super) fn no_backlog(&self, owner: &str, document: &Document) -> Option<ConfigProblem> {
        let backlog = self.backlog?;
        let message = "it is for mode = \"durable\", which is not set here";
        Some(document.problem(&backlog.span(), format!("{owner}.backlog"), message))
    }
}
