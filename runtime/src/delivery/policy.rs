//! The numbers of delivery: how much a queue holds, what happens when it is full, when to try again.

use std::time::Duration;

/// The bounds of one handler's queue.
///
/// A note on choosing them: a queue absorbs bursts; one that is always full only adds delay. What does not fit is
/// delayed or refused as [`Overflow`] says, and never lost without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// How many events it holds; 1,024. What handlers publish, which can't wait, may take a quarter more.
    pub events: usize,
    /// How many bytes they may have in all; 16 MiB. An event larger than this is refused at once. What handlers publish may
    /// take a quarter more.
    pub bytes: usize,
    /// What happens to an event that does not fit.
    pub overflow: Overflow,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self {
            events: 1024,
            bytes: 16 * 1024 * 1024,
            overflow: Overflow::Block,
        }
    }
}

/// What happens to the events of a handler when the process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeliveryMode {
    /// They are in memory, and gone with it.
    #[default]
    Ephemeral,
    /// They are in the [store](crate::RuntimeBuilder::store) before the publish returns, and there until they are handled or
    /// dead letters: at least once. It needs a store, and its queue may not drop.
    Durable,
}

/// How much a durable handler may be owed on the disk, what its queue holds included. Beyond it a publisher waits or is
/// refused as [`Overflow`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogPolicy {
    /// How many events; 1,000,000. What handlers publish, which can't wait, may take a quarter more.
    pub events: u64,
    /// How many bytes they may have in all; 1 GiB. What handlers publish may take a quarter more.
    pub bytes: u64,
}

impl Default for BacklogPolicy {
    fn default() -> Self {
        Self {
            events: 1_000_000,
            bytes: 1024 * 1024 * 1024,
        }
    }
}

/// What happens to an event for which a queue has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The publisher waits for room until its deadline, with all that it would publish next; then the event is refused. What
    /// handlers publish never waits.
    #[default]
    Block,
    /// The event is refused at once.
    Reject,
    /// The oldest events that no attempt has begun for make room, and are gone; each is counted (`HandlerStats::dropped`).
    DropOldest,
    /// The event is gone; it is counted (`HandlerStats::dropped`).
    DropNewest,
}

/// In which order a handler gets its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventOrder {
    /// With a concurrency of 1 first attempts come in the order of the publishes, whether by `publish` or `publish_async`.
    /// Retries come later and hold nobody up.
    #[default]
    None,
    /// Events with the same value of this metadata key come one after the other, each when the one before it is done with,
    /// its retries included, and go to the same instance; events with other values go on meanwhile. Those without the
    /// key have no order.
    Key(Box<str>),
    /// All of them come one after the other, each when the one before it is done with, its retries included.
    Strict,
}

/// What happens after a failed attempt at a queued event: exponential backoff with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many attempts there are in all, the first included; 5. After the last the event is a dead letter.
    pub attempts: u32,
    /// The longest first delay; 1 s. It doubles with each attempt.
    pub base: Duration,
    /// The longest delay; 60 s. A delay that a handler asks for is cut to it.
    pub cap: Duration,
    /// How old an event may become, counted from when it was queued; 1 h. A retry that would come later is not made.
    pub max_age: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            max_age: Duration::from_secs(3600),
        }
    }
}

impl RetryPolicy {
    /// One attempt and no more.
    pub fn none() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// How long to wait after attempt `attempts` failed, or `None` when it was the last.
    ///
    /// `chance` in 0..=1 is the jitter: 0 tries again at once, 1 waits the whole step.
    pub(crate) fn delay(&self, attempts: u32, age: Duration, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        if attempts >= self.attempts {
            return None;
        }
        let step = self
            .base
            .saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)))
            .min(self.cap);
        let delay = asked.map_or_else(|| step.mul_f64(chance.clamp(0.0, 1.0)), |asked| asked.min(self.cap));
        (age.saturating_add(delay) <= self.max_age).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D3: the step doubles up to the cap, and the last attempt has no successor.
    #[test]
    fn d3_delays_double_up_to_the_cap_and_end() {
        let policy = RetryPolicy {
            cap: Duration::from_secs(3),
            ..RetryPolicy::default()
        };
        let delays: Vec<_> = (1..=5)
            .map(|attempts| policy.delay(attempts, Duration::ZERO, None, 1.0))
            .collect();
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(delays, [seconds(1), seconds(2), seconds(3), seconds(3), None]);
        assert_eq!(policy.delay(1, Duration::ZERO, None, 0.0), Some(Duration::ZERO));
    }

    /// D3: a delay asked for is honoured within the cap and the maximal age.
    #[test]
    fn d3_an_asked_delay_stays_within_the_policy() {
        let policy = RetryPolicy::default();
        let ask = |seconds, age| policy.delay(1, Duration::from_secs(age), Some(Duration::from_secs(seconds)), 1.0);
        assert_eq!(ask(7, 0), Some(Duration::from_secs(7)));
        assert_eq!(ask(600, 0), Some(Duration::from_secs(60)));
        assert_eq!(ask(60, 3590), None);
    }
}
