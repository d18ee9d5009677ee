//! The head of a queue that has one worker: what that takes without the lock that publishers push under.
//!
//! A worker that finds it empty takes all that is ready, at once. Nobody has what lies here: it counts towards the bounds of
//! the queue, and whoever looks at what is queued, or stops the queue, first puts it back.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bus::entry::Entry;

/// Always locked after the state of the queue, where both are.
#[derive(Default)]
pub(super) struct Front(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    entries: VecDeque<Entry>,
    /// The bytes of those that have gone since the queue was told.
    gone: usize,
}

impl Front {
    /// The first one.
    pub(super) fn pop(&self) -> Option<Entry> {
        let mut front = self.lock();
        let entry = front.entries.pop_front()?;
        front.gone += entry.event.size_bytes();
        Some(entry)
    }

    /// How many are left, and the bytes of those that have gone since this was asked.
    pub(super) fn left(&self) -> (usize, usize) {
        let mut front = self.lock();
        (front.entries.len(), std::mem::take(&mut front.gone))
    }

    /// Takes all of them; says how many it has then. Only to be called while it has none.
    pub(super) fn fill(&self, ready: &mut VecDeque<Entry>) -> usize {
        let mut front = self.lock();
        std::mem::swap(&mut front.entries, ready);
        front.entries.len()
    }

    /// Puts what is left back, before the others.
    pub(super) fn empty(&self, ready: &mut VecDeque<Entry>) {
        let mut front = self.lock();
        // Each entry is moved once at most: the ones that came later go behind the ones that were here.
        front.entries.append(ready);
        std::mem::swap(&mut front.entries, ready);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
