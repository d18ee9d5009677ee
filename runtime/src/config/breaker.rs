//! `breaker`: a table, or `false`.

use serde::Deserialize;

use super::switch::{Switch, Switched};
use super::value::{Count, Part, Time, Value};
use crate::delivery::BreakerPolicy;

/// `breaker = { failures = 5, ... }`, or `false` for none.
pub(super) type Breaker = Switch<BreakerTable>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BreakerTable {
    failures: Option<Count<u32, 10_000>>,
    window: Option<Time>,
    rate: Option<Part>,
    min_calls: Option<Count<u32, 10_000>>,
    open: Option<Time>,
}

impl Switched for BreakerTable {
    const EXAMPLE: &'static str = "{ failures = 5, open = \"30s\" }";
}

impl Breaker {
    /// What the table does not say is as before, or, where that was off, as by default.
    pub(super) fn over(&self, before: Option<BreakerPolicy>) -> Option<BreakerPolicy> {
        let Self::On(table) = self else { return None };
        let before = before.unwrap_or_default();
        Some(BreakerPolicy {
            failures: table.failures.as_ref().map_or(before.failures, Value::get),
            window: table.window.as_ref().map_or(before.window, Value::get),
            rate: table.rate.as_ref().map_or(before.rate, Value::get),
            min_calls: table.min_calls.as_ref().map_or(before.min_calls, Value::get),
            open: table.open.as_ref().map_or(before.open, Value::get),
        })
    }
}
