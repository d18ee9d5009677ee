//! Operations that wait for a disk, on threads where that is allowed, and few of them at a time.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, unconstrained};
use wasmtime_wasi::p2::{FsError, FsResult};

/// How many operations of one plugin may wait for a disk at a time, however many instances it has. Tokio has 512 threads
/// for all that blocks: a plugin whose disk hangs keeps these and no more, even after its calls were ended.
const AT_A_TIME: usize = 8;

/// One plugin's.
#[derive(Clone)]
pub(super) struct Jobs {
    permits: Arc<Semaphore>,
}

impl Default for Jobs {
    fn default() -> Self {
        let permits = Arc::new(Semaphore::new(AT_A_TIME));
        Self { permits }
    }
}

impl Jobs {
    /// Waits for a place, then runs it. Once begun it runs to its end and keeps its place that long, whether or not
    /// somebody still waits for it.
    pub(super) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> FsResult<T> {
        let permit = self.permits.clone().acquire_owned().await.map_err(FsError::trap)?;
        let work = tokio::task::spawn_blocking(move || {
            let done = job();
            drop(permit);
            done
        });
        work.await.map_err(of_ended)
    }
}

/// An operation that goes on by itself, whether or not anybody polls this: one that waits for a lock or a place may be handed
/// it at any time, and must not sit on it until a guest cares to ask. When this is dropped an operation that has not begun
/// its job never does; one that has runs to its end.
pub(super) struct Running<T>(JoinHandle<FsResult<T>>);

impl<T: Send + 'static> Running<T> {
    pub(super) fn spawn(operation: impl Future<Output = FsResult<T>> + Send + 'static) -> Self {
        Self(tokio::spawn(operation))
    }
}

impl<T> Future for Running<T> {
    type Output = FsResult<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Unconstrained: a guest that asks again and again within one turn must be told, too.
        let done = ready!(pin!(unconstrained(&mut self.0)).poll(context));
        Poll::Ready(done.unwrap_or_else(|ended| Err(of_ended(ended))))
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What it means that a task has ended without an answer.
fn of_ended(ended: tokio::task::JoinError) -> FsError {
    if ended.is_panic() {
        std::panic::resume_unwind(ended.into_panic());
    }
    FsError::trap(ended)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use futures_util::FutureExt as _;

    use super::*;

    /// A job that hangs until its end is told to.
    fn hanging(told: Receiver<()>) -> impl FnOnce() + Send + 'static {
        move || {
            let _ = told.recv();
        }
    }

    /// S2, H6: whoever waits for a job that hangs is free to go at its deadline; the job keeps its place, so that a plugin
    /// can't have more of them by asking again.
    #[tokio::test]
    async fn s2_h6_a_job_that_hangs_holds_its_place_and_not_its_caller() {
        let jobs = Jobs::default();
        let mut ends = Vec::new();
        for _ in 0..AT_A_TIME {
            let (end, told) = channel();
            ends.push(end);
            // Begun, and its caller gone.
            assert!(jobs.run(hanging(told)).now_or_never().is_none());
        }
        assert_eq!(jobs.permits.available_permits(), 0);
        assert!(jobs.run(|| ()).now_or_never().is_none(), "one more than may be");
        drop(ends);
        jobs.run(|| ()).await.unwrap();
    }
}
