//! Counts what is queued, running or waiting for a retry, so that a drain knows when all is quiet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

/// The count.
#[derive(Default)]
pub(crate) struct Inflight {
    now: ArcSwap<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Everything that is not done yet.
    count: AtomicUsize,
    /// Of these, the deliveries that nobody but the bus takes care of.
    deliveries: AtomicUsize,
    quiet: Notify,
}

/// One thing that is not done yet; counted until it is dropped.
pub(crate) struct Pending {
    shared: Arc<Shared>,
    is_delivery: bool,
}

impl Inflight {
    /// Something that somebody waits for, such as a `publish`.
    pub(crate) fn begin(&self) -> Pending {
        let shared = self.now.load_full();
        shared.count.fetch_add(1, Ordering::SeqCst);
        Pending {
            shared,
            is_delivery: false,
        }
    }

    /// An event on its way to one handler, from its queue on.
    pub(crate) fn begin_delivery(&self) -> Pending {
        let mut pending = self.begin();
        pending.shared.deliveries.fetch_add(1, Ordering::SeqCst);
        pending.is_delivery = true;
        pending
    }

    /// Forgets what is pending now and says how many deliveries are among it: none of them is counted again.
    pub(crate) fn give_up(&self) -> usize {
        self.now.swap(Arc::default()).deliveries.load(Ordering::SeqCst)
    }

    /// Returns when nothing is pending. What is pending begins its successors before it ends, so a count of 0 means
    /// that nothing will follow by itself.
    pub(crate) async fn quiet(&self) {
        let shared = self.now.load_full();
        loop {
            let quiet = shared.quiet.notified();
            tokio::pin!(quiet);
            quiet.as_mut().enable();
            if shared.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            quiet.await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.is_delivery {
            self.shared.deliveries.fetch_sub(1, Ordering::SeqCst);
        }
        if self.shared.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.quiet.notify_waiters();
        }
    }
}
