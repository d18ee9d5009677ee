//! When a plugin whose instances can't be started is tried again (S7).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::handler::Fault;
use crate::outcome::Class;

/// The first wait.
const BASE: Duration = Duration::from_millis(100);
/// The longest one.
const CAP: Duration = Duration::from_secs(30);

/// After each start that failed, a wait in which none is tried: from 100 ms, doubled each time, to 30 s; by chance no
/// shorter than half of that. A start that goes well ends it.
#[derive(Default)]
pub(super) struct Backoff(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many starts failed since the last that went well, those that were under way at the same time counted once.
    failures: u32,
    /// When the next one may be tried, and why the last one failed.
    next: Option<(Instant, Arc<str>)>,
}

/// The right to try a start.
#[derive(Clone, Copy)]
pub(super) struct Try {
    failures: u32,
}

/// It is too early for another start.
#[derive(Debug)]
pub(super) struct TooEarly {
    /// Why the last one failed.
    pub(super) why: Arc<str>,
    /// How long to wait still.
    pub(super) left: Duration,
}

impl Backoff {
    pub(super) fn begin(&self) -> Result<Try, TooEarly> {
        let state = self.state();
        let failures = state.failures;
        let Some((next, why)) = &state.next else {
            return Ok(Try { failures });
        };
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Try { failures });
        }
        let why = why.clone();
        Err(TooEarly { why, left })
    }

    /// `chance` in 0..=1 is the jitter.
    pub(super) fn failed(&self, attempt: Try, fault: &Fault, chance: f64) {
        // To find no room is no failure of the plugin's, and costs nothing to find out.
        if fault.class() == Class::Overloaded {
            return;
        }
        let mut state = self.state();
        // One of several at the same time: the first that failed has set the wait.
        if state.failures != attempt.failures {
            return;
        }
        let step = BASE.saturating_mul(2_u32.saturating_pow(state.failures)).min(CAP);
        let wait = step.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        state.failures = state.failures.saturating_add(1);
        state.next = Some((Instant::now() + wait, fault.message().into()));
    }

    pub(super) fn succeeded(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn fault(class: Class) -> Fault {
        Fault::new(class, "no start")
    }

    fn begin(backoff: &Backoff) -> Try {
        backoff.begin().unwrap_or_else(|early| panic!("{early:?}"))
    }

    /// S7: each failed start doubles the wait, from 100 ms to 30 s; until it is over none is tried.
    #[tokio::test(start_paused = true)]
    async fn s7_waits_double_up_to_the_cap() {
        let backoff = Backoff::default();
        for millis in [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000] {
            let attempt = begin(&backoff);
            backoff.failed(attempt, &fault(Class::Unavailable), 1.0);
            let early = backoff.begin().err().unwrap();
            assert_eq!((early.left.as_millis(), &*early.why), (millis, "no start"));
            tokio::time::advance(early.left - Duration::from_millis(1)).await;
            assert!(backoff.begin().is_err());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    /// S7: chance shortens a wait to no less than a half.
    #[tokio::test(start_paused = true)]
    async fn s7_jitter_leaves_half_of_the_wait() {
        let backoff = Backoff::default();
        backoff.failed(begin(&backoff), &fault(Class::Trap), 0.0);
        assert_eq!(backoff.begin().err().unwrap().left.as_millis(), 50);
    }

    /// S7: a start that goes well ends it all.
    #[tokio::test(start_paused = true)]
    async fn s7_a_success_resets_the_wait() {
        let backoff = Backoff::default();
        for _ in 0..3 {
            backoff.failed(begin(&backoff), &fault(Class::Timeout), 1.0);
            tokio::time::advance(CAP).await;
        }
        backoff.succeeded();
        backoff.failed(begin(&backoff), &fault(Class::Timeout), 1.0);
        assert_eq!(backoff.begin().err().unwrap().left, BASE);
    }

    /// S7: starts that fail at the same time count once, and one that found no room does not count.
    #[tokio::test(start_paused = true)]
    async fn s7_starts_at_the_same_time_count_once() {
        let backoff = Backoff::default();
        backoff.failed(begin(&backoff), &fault(Class::Overloaded), 1.0);
        let tries = [begin(&backoff), begin(&backoff), begin(&backoff)];
        for attempt in tries {
            backoff.failed(attempt, &fault(Class::Trap), 1.0);
        }
        assert_eq!(backoff.begin().err().unwrap().left, BASE);
    }
}
