//! What lies in a queue.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::bus::allowance::Allowance;
use crate::bus::caller::Caller;
use crate::bus::inflight::Pending;
use crate::bus::lanes::Lane;
use crate::delivery::DeliveryId;
use crate::event::Event;
use crate::handler::{Delivery, Origin};

/// One event on its way to one handler.
pub(crate) struct Entry {
    pub(crate) event: Event,
    /// How many attempts have failed.
    pub(crate) attempts: u32,
    pub(crate) replayed: bool,
    pub(crate) origin: Origin,
    /// When it came into memory, and how old it was then.
    pub(crate) since: Instant,
    pub(crate) aged: Duration,
    /// When it was published, where the store told.
    pub(crate) first: Option<SystemTime>,
    /// Its row in the store, if it has one.
    pub(crate) stored: Option<DeliveryId>,
    /// When it may be attempted, if that was later than when it came.
    pub(crate) not_before: Option<Instant>,
    /// Events of one lane leave the queue one after the other, each when the one before it is done with.
    pub(crate) lane: Option<Lane>,
    /// The `publish` that waits for its first attempt, which is then its only one, unless it is stored.
    pub(crate) caller: Option<Caller>,
    /// Keeps `drain` waiting until the entry is done with. What is stored need not be.
    pub(crate) _pending: Option<Pending>,
}

impl Entry {
    /// It is on the disk and had no attempt: then it may wait however long, as the process may have been away itself.
    pub(crate) fn is_untried(&self) -> bool {
        self.stored.is_some() && self.attempts == 0
    }

    /// Since it was published.
    pub(crate) fn age(&self) -> Duration {
        self.aged.saturating_add(self.since.elapsed())
    }

    /// When it was published: nearly always nobody asks.
    pub(crate) fn first(&self) -> SystemTime {
        let now = SystemTime::now();
        let derived = || now.checked_sub(self.age()).unwrap_or(now);
        self.first.unwrap_or_else(derived)
    }

    /// Its next attempt, which begins now and has this time.
    pub(super) fn delivery(&self, now: Instant, time: Allowance) -> Delivery {
        Delivery {
            event: self.event.clone(),
            attempt: self.attempts + 1,
            started: now,
            deadline: time.until,
            deadline_of: time.of,
            allowed: time.left,
            replayed: self.replayed,
            origin: self.origin,
            lane: self.lane.as_ref().map(Lane::hash),
        }
    }
}
