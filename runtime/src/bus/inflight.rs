//! Counts what is queued, running or waiting for a retry, so that a drain knows when all is quiet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::signal::Signal;

/// Everything that is not done yet: 28 bits.
const ONE: u64 = 1;
/// Of these, the deliveries that nobody but the bus takes care of: 28 bits.
const ONE_DELIVERY: u64 = 1 << 28;
/// How often all was given up: the rest. What began before that is not counted any more.
const ONE_GENERATION: u64 = 1 << 56;

/// The count. One word, for it is changed twice by each publish.
#[derive(Default)]
pub(crate) struct Inflight {
    state: AtomicU64,
    quiet: Signal,
}

/// One thing that is not done yet; counted until it is dropped.
pub(crate) struct Pending {
    // The count is told after the work is gone, as the last thing.
    _counted: Counted<Arc<Inflight>>,
}

/// The same for what does not outlive the bus.
pub(crate) struct Busy<'a> {
    _counted: Counted<&'a Inflight>,
}

struct Counted<I: std::ops::Deref<Target = Inflight>> {
    inflight: I,
    generation: u64,
    what: u64,
}

impl Inflight {
    /// Something that somebody waits for, such as a `publish`.
    pub(crate) fn busy(&self) -> Busy<'_> {
        let (inflight, what) = (self, ONE);
        Busy {
            _counted: Counted {
                inflight,
                generation: self.begin(what),
                what,
            },
        }
    }

    /// The same on a task of its own.
    pub(crate) fn pending(self: &Arc<Self>) -> Pending {
        self.counted(ONE)
    }

    /// An event on its way to one handler, from its queue on.
    pub(crate) fn delivery(self: &Arc<Self>) -> Pending {
        self.counted(ONE + ONE_DELIVERY)
    }

    fn counted(self: &Arc<Self>, what: u64) -> Pending {
        let generation = self.begin(what);
        let inflight = self.clone();
        Pending {
            _counted: Counted {
                inflight,
                generation,
                what,
            },
        }
    }

    fn begin(&self, what: u64) -> u64 {
        generation(self.state.fetch_add(what, Ordering::SeqCst))
    }

    fn end(&self, began_in: u64, what: u64) {
        let ended = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
            (generation(state) == began_in).then(|| state.wrapping_sub(what))
        });
        if ended.is_ok_and(|before| count(before) == 1) {
            self.quiet.tell_of_atomic();
        }
    }

    /// Forgets what is pending now and says how many deliveries are among it: none of them is counted again.
    pub(crate) fn give_up(&self) -> usize {
        let next = |state| generation(state).wrapping_add(1).wrapping_mul(ONE_GENERATION);
        let given_up = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| Some(next(state)));
        self.quiet.tell();
        let (Ok(before) | Err(before)) = given_up;
        deliveries(before)
    }

    /// Returns when nothing is pending. What is pending begins its successors before it ends, so a count of 0 means
    /// that nothing will follow by itself.
    pub(crate) async fn quiet(&self) {
        self.quiet
            .until(|| (count(self.state.load(Ordering::SeqCst)) == 0).then_some(()))
            .await;
    }
}

fn generation(state: u64) -> u64 {
    state / ONE_GENERATION
}

fn count(state: u64) -> u64 {
    state % ONE_DELIVERY
}

fn deliveries(state: u64) -> usize {
    usize::try_from(state / ONE_DELIVERY % ONE_DELIVERY).unwrap_or(usize::MAX)
}

impl<I: std::ops::Deref<Target = Inflight>> Drop for Counted<I> {
    fn drop(&mut self) {
        self.inflight.end(self.generation, self.what);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// D7: what is given up is not waited for, and is not counted when it ends after all.
    #[tokio::test]
    async fn d7_what_is_given_up_counts_no_more() {
        let inflight = Arc::new(Inflight::default());
        let (publish, delivery) = (inflight.pending(), inflight.delivery());
        let mut quiet = Box::pin(inflight.quiet());
        assert!(quiet.as_mut().now_or_never().is_none());
        assert_eq!(inflight.give_up(), 1);
        quiet.await;
        let next = inflight.busy();
        drop((publish, delivery));
        assert!(inflight.quiet().now_or_never().is_none(), "the next one is pending");
        drop(next);
        inflight.quiet().await;
        assert_eq!(inflight.give_up(), 0);
    }
}
