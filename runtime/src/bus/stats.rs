//! What went over the bus so far.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::delivery::DeadLetterReason;

/// Counts since the runtime was built. Host events are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusStats {
    /// Events that were matched against the subscriptions, those that handlers published included.
    pub published: u64,
    /// Of these, the ones that nobody is subscribed to.
    pub unmatched: u64,
    /// Events that a filter did not let through.
    pub filtered: u64,
    /// Of these, the ones that were refused because the filter failed, or had failed too often to be asked.
    pub filter_faults: u64,
    /// Of the published ones, those that came from handlers.
    pub from_handlers: u64,
    /// Refusals by a queue (full, or its plugin away) or by the store, one for each handler that did not get the event.
    pub refused: u64,
    /// Events that queues dropped as their policy says, one for each handler that did not get the event.
    pub dropped: u64,
    /// Events that durable handlers had been given before (the same source and id), one for each handler.
    pub duplicates: u64,
    /// Retries that were scheduled.
    pub retries: u64,
    /// Events that a drain gave up on, one for each handler.
    pub abandoned: u64,
    /// Dead letters.
    pub dead_letters: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    published: AtomicU64,
    unmatched: AtomicU64,
    filtered: AtomicU64,
    filter_faults: AtomicU64,
    from_handlers: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    duplicates: AtomicU64,
    retries: AtomicU64,
    abandoned: AtomicU64,
    abandoned_reported: AtomicU64,
    dead_letters: Mutex<BTreeMap<DeadLetterReason, u64>>,
}

impl Counters {
    pub(crate) fn published(&self, matched: usize) {
        self.published.fetch_add(1, Ordering::Relaxed);
        if matched == 0 {
            self.unmatched.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn filtered(&self, by_a_fault: bool) {
        self.filtered.fetch_add(1, Ordering::Relaxed);
        if by_a_fault {
            self.filter_faults.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn handler_published(&self) {
        self.from_handlers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, events: usize) {
        self.dropped.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn duplicates(&self, events: usize) {
        self.duplicates.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dead_letter(&self, reason: DeadLetterReason) {
        let mut counts = self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(reason).or_default() += 1;
    }

    pub(crate) fn dead_letters(&self) -> BTreeMap<DeadLetterReason, u64> {
        self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn abandoned(&self, events: usize) {
        self.abandoned.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// How many were given up on since the last call.
    pub(crate) fn abandoned_unreported(&self) -> usize {
        let all = self.abandoned.load(Ordering::SeqCst);
        let before = self.abandoned_reported.swap(all, Ordering::SeqCst);
        usize::try_from(all.saturating_sub(before)).unwrap_or(usize::MAX)
    }

    pub(crate) fn read(&self) -> BusStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BusStats {
            published: read(&self.published),
            unmatched: read(&self.unmatched),
            filtered: read(&self.filtered),
            filter_faults: read(&self.filter_faults),
            from_handlers: read(&self.from_handlers),
            refused: read(&self.refused),
            dropped: read(&self.dropped),
            duplicates: read(&self.duplicates),
            retries: read(&self.retries),
            abandoned: read(&self.abandoned),
            dead_letters: self.dead_letters().values().sum(),
        }
    }
}
