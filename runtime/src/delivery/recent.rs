//! What a breaker remembers of the calls of its window: how the last ones ended.
//!
//! While nothing has failed there is nothing to weigh, and successes are only counted, outside of the breaker's lock; now and
//! then it is noted how many there had been. When one fails, those of the window come back from that count, and from then on
//! each call is remembered until none of them is a failed one.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Every so many counted successes the count is noted. Fewer than these, of which it is not known whether they are of the
/// window, do not come back.
pub(super) const NOTED: u64 = 16;

/// The calls, and the notes of what was only counted.
pub(super) struct Recent {
    /// When, and whether it failed. Empty while nothing has failed.
    calls: VecDeque<(Instant, bool)>,
    failed: usize,
    /// When, and what the count was then.
    notes: VecDeque<(Instant, u64)>,
    /// The same before all of that.
    since: (Instant, u64),
}

impl Recent {
    /// Knows of no call; so many were counted before.
    pub(super) fn from(now: Instant, counted: u64) -> Self {
        Self {
            calls: VecDeque::new(),
            failed: 0,
            notes: VecDeque::new(),
            since: (now, counted),
        }
    }

    /// Whether there is no failed call among them.
    pub(super) fn is_calm(&self) -> bool {
        self.failed == 0
    }

    /// So many successes were counted by now.
    pub(super) fn note(&mut self, now: Instant, counted: u64, most: usize) {
        self.notes.push_back((now, counted));
        while self.notes.len() as u64 * NOTED > most as u64 + NOTED {
            self.forget_note();
        }
    }

    /// Remembers a call. Returns the count anew if it is all there is to remember again.
    pub(super) fn remember(&mut self, now: Instant, failed: bool, window: Duration, most: usize, counted: u64) -> u64 {
        if failed && self.is_calm() {
            self.recall(now, window, most, counted);
        }
        // A handler may be called a million times a minute; the last ones tell as much, and take bounded room.
        while self.calls.len() >= most || self.calls.front().is_some_and(|(at, _)| is_before(*at, now, window)) {
            let gone = self.calls.pop_front();
            self.failed -= usize::from(gone.is_some_and(|(_, failed)| failed));
        }
        self.calls.push_back((now, failed));
        self.failed += usize::from(failed);
        if !self.is_calm() {
            return counted;
        }
        let calls = std::mem::take(&mut self.calls);
        let began = calls.front().map_or(now, |(at, _)| *at);
        *self = Self::from(began, counted);
        counted + calls.len() as u64
    }

    /// Makes calls again of the successes that were only counted.
    fn recall(&mut self, now: Instant, window: Duration, most: usize, counted: u64) {
        while self.notes.front().is_some_and(|(at, _)| is_before(*at, now, window)) {
            self.forget_note();
        }
        let (at, before) = self.since;
        let known = match self.notes.front() {
            _ if !is_before(at, now, window) => counted.saturating_sub(before),
            Some((_, noted)) => counted.saturating_sub(*noted),
            None => 0,
        };
        let successes = usize::try_from(known).unwrap_or(usize::MAX).min(most);
        self.calls.extend((0..successes).map(|_| (now, false)));
        self.notes.clear();
    }

    fn forget_note(&mut self) {
        if let Some(note) = self.notes.pop_front() {
            self.since = note;
        }
    }

    /// How many calls it remembers, and how many of them failed.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.calls.len(), self.failed)
    }
}

fn is_before(at: Instant, now: Instant, window: Duration) -> bool {
    now.saturating_duration_since(at) > window
}
