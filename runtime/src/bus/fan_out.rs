//! Several handlers at once on one task.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Runs all futures on the caller's task and returns their results, in the order in which they ended.
///
/// Each is polled once in turn: most are then done. Only those still pending are kept and polled together, so that a slow
/// handler delays no other. `pends` is told the place of each of these.
pub(crate) async fn all<F: Future>(futures: impl Iterator<Item = F>, mut pends: impl FnMut(usize)) -> Vec<F::Output> {
    let mut done = Vec::new();
    let mut pending: Vec<Pin<Box<F>>> = Vec::new();
    for (at, future) in futures.enumerate() {
        let mut future = Box::pin(future);
        match poll_once(future.as_mut()).await {
            Poll::Ready(output) => done.push(output),
            Poll::Pending => {
                pending.push(future);
                pends(at);
            }
        }
    }
    let mut pending: FuturesUnordered<_> = pending.into_iter().collect();
    while let Some(output) = pending.next().await {
        done.push(output);
    }
    done
}

async fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
