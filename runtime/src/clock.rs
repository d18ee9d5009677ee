//! Deadlines.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep_until};

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

/// What the future comes to, or that it has not ended by then: [`timeout_at`](tokio::time::timeout_at) for what is nearly
/// always done as soon as it is asked, and has no timer made for it then.
pub(crate) async fn by<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Late> {
    let mut future = pin!(future);
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        // However much of its turn the future has used up, the deadline counts.
        let timer = timer.get_or_insert_with(|| Box::pin(unconstrained(sleep_until(deadline))));
        timer.as_mut().poll(context).map(|()| Err(Late))
    })
    .await
}
