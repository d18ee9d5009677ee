//! Several handlers at once on one task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Runs all futures on the caller's task and returns their results, in the order in which they ended.
///
/// Each is polled once in turn, where it was made: most are then done. Only those still pending are kept and polled together,
/// so that a slow handler delays no other. `pends` is told the place of each of these.
pub(crate) async fn all<F: Future + Unpin>(
    futures: impl Iterator<Item = F>,
    mut pends: impl FnMut(usize),
) -> Vec<F::Output> {
    let mut done = Vec::with_capacity(futures.size_hint().0);
    let mut pending = FuturesUnordered::new();
    for (at, mut future) in futures.enumerate() {
        match poll_fn(|context| Poll::Ready(Pin::new(&mut future).poll(context))).await {
            Poll::Ready(output) => done.push(output),
            Poll::Pending => {
                pending.push(future);
                pends(at);
            }
        }
    }
    while let Some(output) = pending.next().await {
        done.push(output);
    }
    done
}
