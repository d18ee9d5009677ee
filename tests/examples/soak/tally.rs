//! How often each thing was done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The counts of a run.
#[derive(Default)]
pub(crate) struct Tally {
    /// Publishes, of either kind, that healthy plugins must handle.
    pub(crate) healthy: AtomicU64,
    /// Publishes of sins.
    pub(crate) hostile: AtomicU64,
    /// Lines that guests logged and the runtime let through.
    pub(crate) log_lines: AtomicU64,
    changes: Mutex<BTreeMap<&'static str, Change>>,
}

/// How often one kind of change was made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Change {
    pub(crate) done: u64,
    /// Refused by a typed error, as it has to be when another task was faster or the plugin will not start.
    pub(crate) refused: u64,
}

impl Tally {
    /// One more healthy publish.
    pub(crate) fn healthy(&self) {
        self.healthy.fetch_add(1, Ordering::Relaxed);
    }

    /// One more sin.
    pub(crate) fn hostile(&self) {
        self.hostile.fetch_add(1, Ordering::Relaxed);
    }

    /// One more change of plugins or subscriptions.
    pub(crate) fn change(&self, kind: &'static str, done: bool) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let change = changes.entry(kind).or_default();
        if done {
            change.done += 1;
        } else {
            change.refused += 1;
        }
    }

    /// All changes by kind.
    pub(crate) fn changes(&self) -> Vec<(&'static str, Change)> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.iter().map(|(kind, change)| (*kind, *change)).collect()
    }
}
