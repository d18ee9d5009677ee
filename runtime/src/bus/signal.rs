//! Something changed that others may wait for: free where nobody does.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use tokio::sync::Notify;

/// Tokio's `Notify`, whose lock is only taken while somebody waits: it is told at every event.
#[derive(Default)]
pub(super) struct Signal {
    waiting: AtomicUsize,
    changed: Notify,
}

/// Counts one who waits until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        // Pairs with the fence in `tell`: either that sees who waits, or who waits sees what has changed.
        fence(Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Signal {
    /// Everyone who waits looks again. To be called after the change.
    pub(super) fn tell(&self) {
        if self.is_awaited() {
            self.changed.notify_waiters();
        }
    }

    /// The same after a change that was made by a sequentially consistent operation, and needs no fence.
    pub(super) fn tell_of_atomic(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.changed.notify_waiters();
        }
    }

    /// Whether somebody waits who may have looked before what was changed until now.
    fn is_awaited(&self) -> bool {
        fence(Ordering::SeqCst);
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Whether somebody has begun to wait some time ago.
    pub(super) fn seems_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Looks now, and again after each change, until there is something to see.
    ///
    /// Cancellation safe: dropped while it waits it has seen nothing.
    pub(super) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        if let Some(seen) = look() {
            return seen;
        }
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let mut changed = pin!(self.changed.notified());
            // Registered before the look, so that no change in between is missed.
            changed.as_mut().enable();
            if let Some(seen) = look() {
                return seen;
            }
            changed.await;
        }
    }
}
