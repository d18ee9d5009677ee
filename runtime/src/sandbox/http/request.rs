//! Requests under way: how many there are, and what ends them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::plugin::origin::HttpOrigin;
use crate::sandbox::blueprint::Blueprint;

/// Those of one call. When this is dropped, all are closed.
pub(super) struct Requests {
    slots: Arc<Semaphore>,
    closing: CancellationToken,
    _close: DropGuard,
}

impl Requests {
    pub(super) fn new(most: usize) -> Self {
        let closing = CancellationToken::new();
        Self {
            slots: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            _close: closing.clone().drop_guard(),
            closing,
        }
    }

    /// One more, if there is room.
    pub(super) fn open(&self) -> Option<Open> {
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        let closed = self.closing.child_token();
        Some(Open {
            _slot: slot,
            _close: closed.clone().drop_guard(),
            closed,
        })
    }
}

/// One request under way: from the guest's wish to the end of the response. When this is dropped, its connection is closed.
pub(super) struct Open {
    _slot: OwnedSemaphorePermit,
    closed: CancellationToken,
    _close: DropGuard,
}

impl Open {
    /// Tells when it is over, whatever ended it.
    pub(super) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Whether the call has ended that it belongs to.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }
}

/// A request that may be sent.
pub(super) struct Admitted {
    pub(super) open: Open,
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) origin: HttpOrigin,
    /// How many bytes its head leaves to its body.
    pub(super) body_bytes: u64,
}
