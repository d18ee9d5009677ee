//! Deadlines.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};

/// Ten years. Beyond this a limit on time is as good as none, and in a config a mistake; the clock itself ends somewhere, too.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The moment that is `limit` after `start`, at most ten years.
pub(crate) fn after(start: Instant, limit: Duration) -> Instant {
    start + limit.min(LONGEST)
}

/// The moment that is `limit` from now, at most ten years.
pub(crate) fn deadline(limit: Duration) -> Instant {
    after(Instant::now(), limit)
}

/// The moment has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late;

/// A deadline for something that is nearly always done as soon as it is asked: tokio's timer is made only if it is not.
pub(crate) struct Timer {
    at: Instant,
    sleep: Option<Pin<Box<Unconstrained<Sleep>>>>,
}

impl Timer {
    pub(crate) fn new(at: Instant) -> Self {
        Self { at, sleep: None }
    }

    /// Ready when the deadline has passed. To be asked after what it is for was not ready.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // However much of its turn the task has used up, the deadline counts.
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(unconstrained(sleep_until(self.at))));
        sleep.as_mut().poll(context)
    }
}

/// What the future comes to, or that it has not ended by then, as [`timeout_at`](tokio::time::timeout_at), with a [`Timer`].
pub(crate) async fn by<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Late> {
    let mut future = pin!(future);
    let mut timer = Timer::new(deadline);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => timer.poll(context).map(|()| Err(Late)),
    })
    .await
}
