//! Counts what is queued, running or waiting for a retry, so that a drain knows when all is quiet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The count.
#[derive(Clone, Default)]
pub(crate) struct Inflight {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    count: AtomicUsize,
    quiet: Notify,
}

/// One thing that is not done yet; counted until it is dropped.
pub(crate) struct Pending {
    shared: Arc<Shared>,
}

impl Inflight {
    pub(crate) fn begin(&self) -> Pending {
        self.shared.count.fetch_add(1, Ordering::SeqCst);
        Pending { shared: self.shared.clone() }
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Returns when nothing is pending. What is pending begins its successors before it ends, so a count of 0 means
    /// that nothing will follow by itself.
    pub(crate) async fn quiet(&self) {
        loop {
            let quiet = self.shared.quiet.notified();
            tokio::pin!(quiet);
            quiet.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            quiet.await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.shared.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.quiet.notify_waiters();
        }
    }
}
