//! What a breaker remembers of the calls of its window.

use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A ring of the last calls. It is written under the breaker's lock and nowhere else, and so needs no order of its own; it does
/// not lie under that lock because one event may go to thousands of handlers, and what will be written can be fetched ahead of
/// them all only where no lock has to be taken for it.
pub(super) struct Calls {
    most: usize,
    /// Made by the first call.
    ring: OnceLock<Box<[AtomicU64]>>,
    /// Where the next one goes.
    next: AtomicUsize,
    len: AtomicUsize,
}

/// When a call ended, in nanoseconds since there is the breaker, and in the lowest bit whether it failed.
#[derive(Clone, Copy)]
struct Ended(u64);

impl Ended {
    fn new(nanos: u64, failed: bool) -> Self {
        // The bit that is lost would be needed after 292 years.
        Self(nanos << 1 | u64::from(failed))
    }

    fn nanos(self) -> u64 {
        self.0 >> 1
    }

    fn failed(self) -> bool {
        self.0 & 1 == 1
    }
}

impl Calls {
    /// Remembers so many, and at least one.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            ring: OnceLock::new(),
            next: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
        }
    }

    /// Remembers one that ended then, and forgets those that ended before `oldest`; when there are too many, also the oldest.
    pub(super) fn push(&self, nanos: u64, failed: bool, oldest: u64) {
        let (next, mut len) = (self.next.load(Relaxed), self.len.load(Relaxed));
        if len == self.most {
            len -= 1;
        }
        while len > 0 && self.before(next, len).is_some_and(|call| call.nanos() < oldest) {
            len -= 1;
        }
        let ring = self
            .ring
            .get_or_init(|| (0..self.most).map(|_| AtomicU64::new(0)).collect());
        if let Some(place) = ring.get(next) {
            place.store(Ended::new(nanos, failed).0, Relaxed);
        }
        self.next
            .store(if next + 1 == self.most { 0 } else { next + 1 }, Relaxed);
        self.len.store(len + 1, Relaxed);
    }

    /// How many there are, and how many of them failed.
    pub(super) fn counts(&self) -> (usize, usize) {
        let (next, len) = (self.next.load(Relaxed), self.len.load(Relaxed));
        let failed = (1..=len).filter(|back| self.before(next, *back).is_some_and(Ended::failed));
        (len, failed.count())
    }

    pub(super) fn clear(&self) {
        self.len.store(0, Relaxed);
    }

    /// Reads the place of the next one, which in a full ring is that of the oldest.
    #[inline]
    pub(super) fn touch(&self) {
        let next = self.ring.get().and_then(|ring| ring.get(self.next.load(Relaxed)));
        black_box(next.map(|place| place.load(Relaxed)));
    }

    /// The one that came so many before the next.
    fn before(&self, next: usize, back: usize) -> Option<Ended> {
        let at = if back <= next {
            next - back
        } else {
            next + self.most - back
        };
        self.ring.get()?.get(at).map(|place| Ended(place.load(Relaxed)))
    }
}
