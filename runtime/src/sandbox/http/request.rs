//! Requests under way: how many there are, and what ends them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::plugin::origin::HttpOrigin;
use crate::sandbox::blueprint::Blueprint;
use crate::sandbox::descriptors::Held;
use crate::sandbox::files::Files;

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

    /// One more, if there is room for it and for a descriptor of its connection's.
    pub(super) fn open(&self, files: &Files) -> Option<Open> {
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        let held = files.descriptor()?;
        let closed = self.closing.child_token();
        Some(Open {
            _slot: slot,
            _held: held,
            _close: closed.clone().drop_guard(),
            closed,
        })
    }
}

/// One request under way: from the guest's wish to the end of the response. When this is dropped, its connection is closed.
pub(super) struct Open {
    _slot: OwnedSemaphorePermit,
    _held: Held,
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::plugin::Grants;
    use crate::sandbox::descriptors::Descriptors;
    use crate::sandbox::log::{GuestLog, TracingLog};

    /// S1, H18: connections are descriptors, too: a plugin gets no more of them than it leaves to others, and another still
    /// gets its own; what is closed can be opened again.
    #[test]
    fn s1_h18_connections_violated_by_one_are_left_to_others() {
        let log = GuestLog::new(Arc::from("plugin"), Arc::new(TracingLog), 1024);
        let all = Descriptors::new(36);
        let grants = Grants::default().http("https://example.com");
        let files = || Files::with(all.clone(), &grants, &Limits::default(), &log);
        let (hog, neighbour) = (files(), files());
        // Each instance has some of its own.
        let instances: Vec<_> = (0..10).map(|_| Requests::new(8)).collect();
        let mut open: Vec<_> = instances.iter().flat_map(|one| one.open(&hog)).collect();
        open.extend(instances.iter().flat_map(|one| one.open(&hog)));
        assert_eq!(open.len(), 18);
        let requests = Requests::new(8);
        let theirs: Vec<_> = std::iter::from_fn(|| requests.open(&neighbour)).collect();
        assert_eq!(theirs.len(), 8);
        open.pop().unwrap();
        assert!(instances.iter().any(|one| one.open(&hog).is_some()));
    }
}
