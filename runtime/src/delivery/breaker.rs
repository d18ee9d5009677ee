//! The circuit breaker of one handler (D5): after too many failures it is left in peace for a while, then tried once.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::calls::Calls;

/// When a handler's breaker opens, and for how long.
///
/// An attempt that ends as `rejected` is a verdict on the event and counts as a success; what never reached the handler
/// (`overloaded`, `unavailable`, `cancelled`) does not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// How many failures in a row open it; 5.
    pub failures: u32,
    /// In which time calls count towards `rate`; 60 s.
    pub window: Duration,
    /// Which part of the calls in the window has to fail to open it; 0.5.
    pub rate: f64,
    /// How many calls there have to be in the window for `rate` to count; 20. 0 counts as 1, and more than 10,000 as 10,000.
    pub min_calls: u32,
    /// How long it stays open; 30 s. Then one event goes through as a probe, and the others wait for what becomes of it.
    pub open: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(60),
            rate: 0.5,
            min_calls: 20,
            open: Duration::from_secs(30),
        }
    }
}

/// Whether a handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It is not: it has failed too often.
    Open,
    /// One call, the probe, is under way or may be made; it decides.
    HalfOpen,
}

impl BreakerState {
    /// The name that logs and summaries use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl std::fmt::Display for BreakerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an attempt says of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Success,
    Failure,
    /// It never got to the handler.
    None,
}

/// A handler may be called a million times a minute; the last calls tell as much, and take bounded room: so many times those
/// that there have to be for `rate` to count.
const REMEMBERED: usize = 8;
/// What counts of `min_calls`.
const MOST_CALLS: u32 = 10_000;

/// The breaker of one handler.
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    made: Instant,
    state: Mutex<State>,
    /// Those of the window; as many as `rate` needs and no more.
    calls: Calls,
    /// Whether it is open: nearly always it is not, and whoever enters need not lock it to know.
    is_open: AtomicBool,
}

fn min_calls(policy: &BreakerPolicy) -> usize {
    policy.min_calls.clamp(1, MOST_CALLS) as usize
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct State {
    /// Failures in a row.
    row: u32,
    /// Since when it is open.
    opened: Option<Instant>,
    /// Whether the probe is under way.
    probing: bool,
}

/// The right to call the handler; says how that went, or is dropped and says nothing.
#[must_use]
pub(crate) struct Passage<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

/// It is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tripped;

/// What an attempt changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// It opened, until then.
    Opened(Instant),
    /// Whoever waited for the probe may go on: it closed, or the probe said nothing and another is due.
    Released,
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            made: Instant::now(),
            state: Mutex::default(),
            calls: Calls::new(min_calls(&policy).saturating_mul(REMEMBERED)),
            is_open: AtomicBool::new(false),
        }
    }

    /// Whether the handler may be called now; of those who ask when it has been open long enough one is let through.
    #[inline]
    pub(crate) fn enter(&self) -> Result<Passage<'_>, Tripped> {
        if !self.is_open.load(Ordering::Acquire) {
            return Ok(self.passage(false));
        }
        let mut state = self.state();
        let Some(opened) = state.opened else {
            return Ok(self.passage(false));
        };
        let until = opened + self.policy.open;
        if state.probing || Instant::now() < until {
            return Err(Tripped);
        }
        state.probing = true;
        Ok(self.passage(true))
    }

    /// Reads what a call looks at, as far as that goes without the lock.
    #[inline]
    pub(crate) fn touch(&self) {
        black_box((self.state.is_poisoned(), self.policy.window));
        self.calls.touch();
    }

    fn passage(&self, is_probe: bool) -> Passage<'_> {
        Passage {
            breaker: self,
            is_probe,
        }
    }

    /// Whether `enter` would let somebody through now.
    pub(crate) fn is_passable(&self) -> bool {
        let state = self.state();
        state
            .opened
            .is_none_or(|opened| !state.probing && Instant::now() >= opened + self.policy.open)
    }

    pub(crate) fn shown(&self) -> BreakerState {
        let state = self.state();
        match state.opened {
            None => BreakerState::Closed,
            Some(opened) if state.probing || Instant::now() >= opened + self.policy.open => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// Closes it, and forgets what was.
    pub(crate) fn reset(&self) {
        self.close(&mut self.state());
    }

    fn close(&self, state: &mut State) {
        *state = State::default();
        self.calls.clear();
        self.is_open.store(false, Ordering::Release);
    }

    fn count(&self, sign: Sign, is_probe: bool, now: Instant) -> Change {
        let mut state = self.state();
        if is_probe {
            state.probing = false;
        }
        match (sign, state.opened) {
            (Sign::None, Some(_)) if is_probe => Change::Released,
            (Sign::None, _) => Change::None,
            // Begun before it opened: what it says is old.
            (_, Some(_)) if !is_probe => Change::None,
            (Sign::Success, Some(_)) => {
                self.close(&mut state);
                Change::Released
            }
            (Sign::Failure, Some(_)) => self.open(&mut state, now),
            (sign, None) => {
                let failed = sign == Sign::Failure;
                state.row = if failed { state.row.saturating_add(1) } else { 0 };
                self.remember(now, failed);
                if failed && (state.row >= self.policy.failures || self.is_failing()) {
                    return self.open(&mut state, now);
                }
                Change::None
            }
        }
    }

    fn open(&self, state: &mut State, now: Instant) -> Change {
        *state = State {
            opened: Some(now),
            ..State::default()
        };
        self.calls.clear();
        self.is_open.store(true, Ordering::Release);
        Change::Opened(now + self.policy.open)
    }

    /// Under the lock of the state.
    fn remember(&self, now: Instant, failed: bool) {
        let ended = nanos(now.saturating_duration_since(self.made));
        let oldest = ended.saturating_sub(nanos(self.policy.window));
        self.calls.push(ended, failed, oldest);
    }

    fn is_failing(&self) -> bool {
        let (calls, failed) = self.calls.counts();
        calls >= min_calls(&self.policy) && failed as f64 >= self.policy.rate * calls as f64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passage<'_> {
    /// How the call went.
    pub(crate) fn ended(mut self, sign: Sign, now: Instant) -> Change {
        let is_probe = std::mem::take(&mut self.is_probe);
        self.breaker.count(sign, is_probe, now)
    }
}

impl Drop for Passage<'_> {
    /// A probe that was dropped with its caller says nothing; the next one is the probe.
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.count(Sign::None, true, Instant::now());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn call(breaker: &Breaker, sign: Sign) -> Change {
        match breaker.enter() {
            Ok(passage) => passage.ended(sign, Instant::now()),
            Err(tripped) => panic!("{tripped:?}"),
        }
    }

    /// D5: five failures in a row open it, and a success in between begins the count anew.
    #[tokio::test(start_paused = true)]
    async fn d5_failures_in_a_row_open_it() {
        let breaker = Breaker::new(BreakerPolicy::default());
        for _ in 0..4 {
            assert_eq!(call(&breaker, Sign::Failure), Change::None);
        }
        assert_eq!(call(&breaker, Sign::Success), Change::None);
        for _ in 0..4 {
            assert_eq!(call(&breaker, Sign::Failure), Change::None);
        }
        let until = Instant::now() + 30 * SECOND;
        assert_eq!(call(&breaker, Sign::Failure), Change::Opened(until));
        assert_eq!(breaker.shown(), BreakerState::Open);
        assert_eq!(breaker.enter().err(), Some(Tripped));
    }

    /// D5: half of at least twenty calls within the window open it.
    #[tokio::test(start_paused = true)]
    async fn d5_half_of_the_calls_of_a_minute_open_it() {
        let breaker = Breaker::new(BreakerPolicy::default());
        for _ in 0..9 {
            assert_eq!(call(&breaker, Sign::Success), Change::None);
            assert_eq!(call(&breaker, Sign::Failure), Change::None);
        }
        assert_eq!(call(&breaker, Sign::Success), Change::None);
        assert!(matches!(call(&breaker, Sign::Failure), Change::Opened(_)), "10 of 20");
    }

    /// D5: calls that are older than the window do not count.
    #[tokio::test(start_paused = true)]
    async fn d5_the_calls_of_the_last_minute_do_not_count() {
        let breaker = Breaker::new(BreakerPolicy::default());
        for _ in 0..9 {
            call(&breaker, Sign::Failure);
            call(&breaker, Sign::Success);
        }
        tokio::time::advance(61 * SECOND).await;
        call(&breaker, Sign::Success);
        assert_eq!(call(&breaker, Sign::Failure), Change::None);
    }

    /// D5: when it has been open long enough exactly one call goes through, and what becomes of it decides.
    #[tokio::test(start_paused = true)]
    async fn d5_one_probe_decides() {
        let breaker = Breaker::new(BreakerPolicy::default());
        for _ in 0..5 {
            call(&breaker, Sign::Failure);
        }
        tokio::time::advance(30 * SECOND).await;
        assert_eq!(breaker.shown(), BreakerState::HalfOpen);
        let probe = breaker.enter().ok().unwrap();
        assert!(breaker.enter().is_err(), "one, and no more");
        assert_eq!(
            probe.ended(Sign::Failure, Instant::now()),
            Change::Opened(Instant::now() + 30 * SECOND)
        );

        tokio::time::advance(30 * SECOND).await;
        drop(breaker.enter().ok().unwrap());
        let probe = breaker.enter().ok().unwrap();
        assert_eq!(
            probe.ended(Sign::None, Instant::now()),
            Change::Released,
            "it says nothing of the handler"
        );
        let probe = breaker.enter().ok().unwrap();
        assert_eq!(probe.ended(Sign::Success, Instant::now()), Change::Released);
        assert_eq!(breaker.shown(), BreakerState::Closed);
        assert_eq!(call(&breaker, Sign::Failure), Change::None, "the count begins anew");
    }

    /// D5: what was under way when it opened is not the probe.
    #[tokio::test(start_paused = true)]
    async fn d5_a_call_from_before_says_nothing() {
        let breaker = Breaker::new(BreakerPolicy::default());
        let before = breaker.enter().ok().unwrap();
        for _ in 0..5 {
            call(&breaker, Sign::Failure);
        }
        assert_eq!(before.ended(Sign::Success, Instant::now()), Change::None);
        assert_eq!(breaker.shown(), BreakerState::Open);
    }
}
