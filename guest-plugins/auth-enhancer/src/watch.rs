use std::collections::HashMap;

use palisade_sdk::prelude::*;
use serde::Serialize;

use crate::settings::Settings;

/// The addresses that failed lately. Its memory is bounded whoever fails how often: see the crate's page.
pub(crate) struct Watch {
    settings: Settings,
    capacity: usize,
    // The default hasher is keyed at random: whoever picks the addresses can't pick collisions.
    addresses: HashMap<String, Address>,
    swept: Timestamp,
}

/// The data of `auth.bruteforce`.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) ip: String,
    pub(crate) failures: usize,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

struct Address {
    newest: Timestamp,
    state: State,
}

enum State {
    /// The failures within the window of the newest, in order; always fewer than the threshold.
    Counting(Vec<Timestamp>),
    /// Nothing more needs to be known: once the alarm ends, all earlier failures lie outside the window.
    Alarm,
}

/// At most this many addresses, and this many failures of them all.
const ADDRESSES: usize = 65_536;
const FAILURES: usize = 1 << 20;

impl Watch {
    pub(crate) fn new(settings: Settings) -> Self {
        let capacity = ADDRESSES.min(FAILURES / settings.threshold);
        Self {
            settings,
            capacity,
            addresses: HashMap::new(),
            swept: Timestamp::from_nanos(0),
        }
    }

    /// Counts a failure. When it is the one that raises the alarm, `raise` is called; if that fails, the failure is not
    /// counted, so that it can come again.
    pub(crate) fn failed(
        &mut self,
        ip: String,
        at: Timestamp,
        raise: impl FnOnce(Alert) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.pass(at);
        self.make_room_for(&ip);
        let address = self.addresses.entry(ip.clone()).or_insert_with(|| Address::new(at));
        let Some(failures) = address.count(at, self.settings.window) else {
            return Ok(());
        };
        let (count, first, last) = (failures.len(), failures.first(), failures.last());
        if let (Some(&first), Some(&last), true) = (first, last, count >= self.settings.threshold) {
            raise(Alert {
                ip,
                failures: count,
                first,
                last,
            })
            .inspect_err(|_| address.uncount(at))?;
            address.state = State::Alarm;
        }
        Ok(())
    }

    /// Event time moves on: now and then, forgets the addresses that have been silent for more than the window.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        let window = self.settings.window;
        if now.since(self.swept) > window {
            self.swept = now;
            self.addresses.retain(|_, address| now.since(address.newest) <= window);
        }
    }

    /// Forgets a quarter at a time, so that a spray of addresses costs each of them the same small share of the work.
    fn make_room_for(&mut self, ip: &str) {
        if self.addresses.len() < self.capacity || self.addresses.contains_key(ip) {
            return;
        }
        let mut newest: Vec<_> = self.addresses.values().map(|address| address.newest).collect();
        let mut surplus = newest.len() / 4 + 1;
        let (_, &mut oldest_kept, _) = newest.select_nth_unstable(surplus - 1);
        log::warn!(
            "{} addresses at once: forgetting the {surplus} that have been silent for longest",
            newest.len()
        );
        self.addresses.retain(|_, address| {
            let forget = surplus > 0 && address.newest <= oldest_kept;
            surplus -= usize::from(forget);
            !forget
        });
    }

    #[cfg(test)]
    pub(crate) fn addresses(&self) -> usize {
        self.addresses.len()
    }
}

impl Address {
    fn new(at: Timestamp) -> Self {
        Self {
            newest: at,
            state: State::Counting(Vec::new()),
        }
    }

    /// The failures within the window with this one among them; `None` in alarm, or if this one is too old to count.
    fn count(&mut self, at: Timestamp, window: Duration) -> Option<&[Timestamp]> {
        if at.since(self.newest) > window {
            self.state = State::Counting(Vec::new());
        }
        self.newest = self.newest.max(at);
        let State::Counting(failures) = &mut self.state else {
            return None;
        };
        if self.newest.since(at) > window {
            return None;
        }
        failures.retain(|failure| self.newest.since(*failure) <= window);
        failures.insert(failures.partition_point(|failure| *failure <= at), at);
        Some(failures)
    }

    fn uncount(&mut self, at: Timestamp) {
        if let State::Counting(failures) = &mut self.state
            && let Some(place) = failures.iter().rposition(|failure| *failure == at)
        {
            failures.remove(place);
        }
    }
}
