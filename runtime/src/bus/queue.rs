//! The bounded queue before each handler.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::bus::inflight::Pending;
use crate::delivery::{Overflow, QueuePolicy};
use crate::event::Event;
use crate::handler::Origin;

/// One event on its way to one handler.
pub(crate) struct Entry {
    pub(crate) event: Event,
    /// How many attempts have failed.
    pub(crate) attempts: u32,
    pub(crate) replayed: bool,
    pub(crate) origin: Origin,
    /// When it was queued first.
    pub(crate) since: Instant,
    pub(crate) first: SystemTime,
    /// Keeps `drain` waiting until the entry is done with.
    pub(crate) _pending: Pending,
}

/// What came of offering an entry.
pub(crate) enum Offer {
    Taken {
        /// The caller has to start a worker.
        start_worker: bool,
    },
    Full(Entry),
}

/// A queue bounded in events and bytes, with the count of its workers under the same lock: an entry is never left in a
/// queue whose last worker has just gone.
pub(crate) struct Queue {
    policy: QueuePolicy,
    max_workers: usize,
    state: Mutex<State>,
    room: Notify,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Entries that wait for their next attempt elsewhere. They keep their room, or a handler that fails every event
    /// would let the queue grow without bound.
    waiting: usize,
    /// Of all of them, waiting ones included.
    bytes: usize,
    workers: usize,
    /// Set when a drain has run out of time: nothing comes in any more, nothing goes out.
    closed: bool,
}

impl Queue {
    pub(crate) fn new(policy: QueuePolicy, max_workers: usize) -> Self {
        Self {
            policy,
            max_workers,
            state: Mutex::default(),
            room: Notify::new(),
        }
    }

    pub(crate) fn policy(&self) -> QueuePolicy {
        self.policy
    }

    pub(crate) fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Takes the entry if there is room.
    pub(crate) fn offer(&self, entry: Entry) -> Offer {
        let (events_limit, bytes_limit) = self.room_for(entry.origin);
        let mut state = self.state();
        let bytes = state.bytes.saturating_add(entry.event.size_bytes());
        let full = state.entries.len() + state.waiting >= events_limit || bytes > bytes_limit;
        if full || state.closed {
            return Offer::Full(entry);
        }
        state.bytes = bytes;
        let start_worker = self.push(&mut state, entry);
        Offer::Taken { start_worker }
    }

    /// Puts an entry last; says whether the caller has to start a worker, which is counted already.
    fn push(&self, state: &mut State, entry: Entry) -> bool {
        state.entries.push_back(entry);
        let start_worker = state.workers < self.max_workers;
        if start_worker {
            state.workers += 1;
        }
        start_worker
    }

    /// How many events and bytes it may hold for an entry of this origin to come in. Handlers and the host can't wait, so a
    /// publisher that keeps the queue full must not take all the room from them.
    fn room_for(&self, origin: Origin) -> (usize, usize) {
        let QueuePolicy { events, bytes, .. } = self.policy;
        match origin {
            Origin::Publisher => (events, bytes),
            Origin::Handler | Origin::Host => (events.saturating_add(events / 4), bytes.saturating_add(bytes / 4)),
        }
    }

    /// Takes the entry once there is room, until the deadline if the policy says so and the entry can ever fit.
    ///
    /// Cancellation safe: an entry that was not taken is dropped with the future, none is half in.
    pub(crate) async fn offer_until(&self, mut entry: Entry, deadline: Instant) -> Offer {
        let can_wait = self.policy.overflow == Overflow::Block && entry.event.size_bytes() <= self.policy.bytes;
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Registered before the offer, so that room made in between is not missed.
            room.as_mut().enable();
            entry = match self.offer(entry) {
                Offer::Full(entry) if can_wait && !self.state().closed => entry,
                answer => return answer,
            };
            if timeout_at(deadline, room).await.is_err() {
                return Offer::Full(entry);
            }
        }
    }

    /// Keeps room for an entry that waits for its next attempt, even beyond the bounds: it was inside a moment ago.
    pub(crate) fn hold(&self, entry: &Entry) {
        let mut state = self.state();
        state.waiting += 1;
        state.bytes = state.bytes.saturating_add(entry.event.size_bytes());
    }

    /// Gives up the room of an entry that waited, because there will be no next attempt.
    pub(crate) fn release(&self, entry: &Entry) {
        let mut state = self.state();
        state.waiting = state.waiting.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(entry.event.size_bytes());
        drop(state);
        self.room.notify_waiters();
    }

    /// Puts back an entry that waited and is due; says whether the caller has to start a worker.
    pub(crate) fn put_back(&self, entry: Entry) -> bool {
        let mut state = self.state();
        state.waiting = state.waiting.saturating_sub(1);
        if state.closed {
            return false;
        }
        self.push(&mut state, entry)
    }

    /// The next entry for a worker; `None` ends the worker.
    pub(crate) fn next(&self) -> Option<Entry> {
        let mut state = self.state();
        let Some(entry) = state.entries.pop_front() else {
            state.workers -= 1;
            return None;
        };
        state.bytes = state.bytes.saturating_sub(entry.event.size_bytes());
        drop(state);
        // Everyone waiting looks again: the room for one large event may be enough for several small ones.
        self.room.notify_waiters();
        Some(entry)
    }

    /// Empties the queue and takes nothing more, for a drain that ran out of time.
    pub(crate) fn close(&self) -> Vec<Entry> {
        let mut state = self.state();
        state.closed = true;
        let entries: Vec<Entry> = std::mem::take(&mut state.entries).into();
        let bytes: usize = entries.iter().map(|entry| entry.event.size_bytes()).sum();
        state.bytes = state.bytes.saturating_sub(bytes);
        drop(state);
        self.room.notify_waiters();
        entries
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
