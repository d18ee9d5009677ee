//! How guests that compute for long share the worker threads (S4): all but one thread is theirs.
//!
//! A guest that is still computing at a tick gives way to whatever else its thread has to do. That alone is not enough: with
//! a spinner on every worker thread nobody else is served before the next tick. So a call that has computed for long runs on
//! only while it has one of a few permits, one fewer than there are worker threads, and hands it on at each tick. What needs
//! less time than that never hears of it.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Semaphore;

/// From this many ticks of computing on a call needs a permit: some 100 ms.
const LONG: u32 = 100;

/// What the epoch callback makes a store wait for.
pub(super) type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The instances of a runtime, and their permits; none where it has one worker thread, which can't be kept free.
pub(super) struct Turns {
    permits: Option<Arc<Semaphore>>,
    all: Mutex<Vec<Weak<Shared>>>,
}

impl Turns {
    /// For tokio's runtime that the caller is in.
    pub(super) fn here() -> Self {
        let workers = tokio::runtime::Handle::try_current().map_or(1, |tokio| tokio.metrics().num_workers());
        Self::of(workers)
    }

    fn of(workers: usize) -> Self {
        Self {
            permits: (workers > 1).then(|| Arc::new(Semaphore::new(workers - 1))),
            all: Mutex::default(),
        }
    }

    /// For one instance.
    pub(super) fn turn(&self) -> Turn {
        let shared = Arc::new(Shared {
            permits: self.permits.clone(),
            held: AtomicBool::new(false),
            runs: AtomicBool::new(false),
        });
        let mut all = self.all();
        if all.len() == all.capacity() {
            all.retain(|shared| shared.strong_count() > 0);
        }
        all.push(Arc::downgrade(&shared));
        Turn(shared)
    }

    /// How many instances are at work on a call.
    pub(super) fn running(&self) -> usize {
        let all = self.all();
        let shared = all.iter().filter_map(Weak::upgrade);
        shared.filter(|shared| shared.runs.load(Ordering::Relaxed)).count()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Shared>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An instance's part in it; whoever polls it and its epoch callback share one.
#[derive(Clone)]
pub(super) struct Turn(Arc<Shared>);

struct Shared {
    permits: Option<Arc<Semaphore>>,
    /// Whether it has a permit: between the end of a wait and the end of the poll that goes on from there.
    held: AtomicBool,
    /// Whether it is at work. A flag of its own and not a part of a count: the instances of two threads would fight over that.
    runs: AtomicBool,
}

/// An instance is at work until this is dropped.
pub(super) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.runs.store(false, Ordering::Relaxed);
    }
}

impl Turn {
    /// Says that a call runs.
    pub(super) fn enter(&self) -> Running<'_> {
        self.0.runs.store(true, Ordering::Relaxed);
        Running(&self.0)
    }

    /// Reads what a call looks at.
    #[inline]
    pub(super) fn touch(&self) {
        black_box(self.0.runs.load(Ordering::Relaxed));
    }

    /// What a call has to wait for that still computes at so many ticks.
    pub(super) fn at_tick(&self, ticks: u32) -> Wait {
        if ticks < LONG || self.0.permits.is_none() {
            return Box::pin(tokio::task::yield_now());
        }
        let shared = self.0.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            let Some(permits) = &shared.permits else { return };
            // Never closed. First come, first served, so that those who compute for long take turns.
            if let Ok(permit) = permits.acquire().await {
                permit.forget();
                shared.held.store(true, Ordering::Relaxed);
            }
        })
    }

    /// The call has let its thread go, or has ended: the permit is for the next one.
    pub(super) fn release(&self) {
        // Polls of one call never overlap, and tokio's hand-over between threads orders them.
        if self.0.held.load(Ordering::Relaxed) {
            self.0.held.store(false, Ordering::Relaxed);
            if let Some(permits) = &self.0.permits {
                permits.add_permits(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Lets a wait go by the yield that it begins with.
    async fn wait_beyond_yield(wait: &mut Wait) -> bool {
        for _ in 0..10 {
            if wait.now_or_never().is_some() {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    /// S4: of two worker threads one is never taken by those that compute for long, and they take turns on the other.
    #[tokio::test]
    async fn s4_one_worker_thread_is_kept_free_of_those_that_compute_for_long() {
        let turns = Turns::of(2);
        let (first, second) = (turns.turn(), turns.turn());
        let mut waits = [first.at_tick(LONG), second.at_tick(LONG)];
        let [one, two] = &mut waits;
        assert!(wait_beyond_yield(one).await);
        assert!(!wait_beyond_yield(two).await, "the only permit is the first one's");
        first.release();
        first.release();
        assert!(wait_beyond_yield(two).await);
        let mut again = first.at_tick(LONG);
        assert!(!wait_beyond_yield(&mut again).await, "released once, not twice");
        second.release();
        assert!(wait_beyond_yield(&mut again).await);
    }

    /// S4: a call that is dropped while it waits takes no permit with it.
    #[tokio::test]
    async fn s4_a_wait_that_is_dropped_costs_no_permit() {
        let turns = Turns::of(2);
        let (first, second) = (turns.turn(), turns.turn());
        assert!(wait_beyond_yield(&mut first.at_tick(LONG)).await);
        let mut dropped = second.at_tick(LONG);
        assert!(!wait_beyond_yield(&mut dropped).await);
        drop(dropped);
        first.release();
        assert!(wait_beyond_yield(&mut second.at_tick(LONG)).await);
    }

    /// S4: calls that compute for a while, and runtimes with one worker thread, only give way at a tick.
    #[tokio::test]
    async fn s4_who_does_not_compute_for_long_needs_no_permit() {
        let (two, one) = (Turns::of(2), Turns::of(1));
        assert!(wait_beyond_yield(&mut two.turn().at_tick(LONG)).await);
        assert!(wait_beyond_yield(&mut two.turn().at_tick(LONG - 1)).await);
        assert!(wait_beyond_yield(&mut one.turn().at_tick(LONG)).await);
        assert!(wait_beyond_yield(&mut one.turn().at_tick(LONG)).await);
    }
}
