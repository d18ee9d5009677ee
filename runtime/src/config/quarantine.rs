//! `quarantine`: a table, or `false`.

use serde::Deserialize;

use super::switch::{Switch, Switched};
use super::value::{Count, Time, Value};
use crate::quarantine::QuarantinePolicy;

/// `quarantine = { faults = 5, window = "60s" }`, or `false` for none.
pub(super) type Quarantine = Switch<QuarantineTable>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct QuarantineTable {
    faults: Option<Count<u32, 10_000>>,
    window: Option<Time>,
}

impl Switched for QuarantineTable {
    const EXAMPLE: &'static str = "{ faults = 5, window = \"60s\" }";
}

impl Quarantine {
    /// What the table does not say is as before, or, where that was off, as by default.
    pub(super) fn over(&self, before: Option<QuarantinePolicy>) -> Option<QuarantinePolicy> {
        let Self::On(table) = self else { return None };
        let before = before.unwrap_or_default();
        Some(QuarantinePolicy {
            faults: table.faults.as_ref().map_or(before.faults, Value::get),
            window: table.window.as_ref().map_or(before.window, Value::get),
        })
    }
}
