//! When a worker tells the publishers that wait for room in its queue: not for every place, or the two would take turns on
//! every event, each woken for a single one.

use std::time::Duration;

use tokio::time::Instant;

use crate::bus::entry::Entry;
use crate::bus::queue::Queue;
use crate::bus::signal::Signal;

/// How long there may be room that they have not been told of while the worker goes on; no longer than one attempt, where
/// that takes longer, and not at all while an attempt waits for something.
const SOON: Duration = Duration::from_millis(1);

/// What one worker took of its queue since the publishers that wait were told.
pub(super) struct Room<'a> {
    signal: &'a Signal,
    /// They are told of so many events, or of so many bytes.
    worth_it: (usize, usize),
    events: usize,
    bytes: usize,
    since: Instant,
}

impl<'a> Room<'a> {
    /// A quarter of the queue is worth it, for all its workers together.
    pub(super) fn of(queue: &'a Queue) -> Self {
        let (policy, shares) = (queue.policy(), queue.max_workers().saturating_mul(4).max(1));
        Self {
            signal: &queue.room,
            worth_it: (policy.events / shares, policy.bytes / shares),
            events: 0,
            bytes: 0,
            since: Instant::now(),
        }
    }

    /// The worker has taken this one.
    pub(super) fn has_more(&mut self, by: &Entry) {
        if !self.signal.seems_awaited() {
            // Who begins to wait looks first, and sees all that there is by now; whoever is missed here is seen at the next
            // event, or told when there is none.
            (self.events, self.bytes) = (0, 0);
            return;
        }
        let now = Instant::now();
        if self.events == 0 {
            self.since = now;
        }
        self.events += 1;
        self.bytes = self.bytes.saturating_add(by.event.size_bytes());
        let (events, bytes) = self.worth_it;
        if self.events >= events || self.bytes >= bytes || now.saturating_duration_since(self.since) >= SOON {
            self.tell();
        }
    }

    /// Tells of what there is, however little: the worker does not go on now.
    pub(super) fn tell(&mut self) {
        (self.events, self.bytes) = (0, 0);
        self.signal.tell();
    }
}
