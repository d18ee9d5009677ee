//! What a breaker remembers of the calls of its window.

use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A ring of the last calls. It is written under the breaker's lock and nowhere else, and so needs no order of its own; it does
/// not lie under that lock because one event may go to thousands of handlers, and what will be written can be fetched ahead of
/// them all only where no lock has to be taken for it.
pub(super) struct Calls {
    most: usize,
    /// Made as they are needed: a policy may want room for tens of thousands, and few handlers fail so often.
    ring: OnceLock<Box<[Chunk]>>,
    /// Where the next one goes.
    next: AtomicUsize,
    len: AtomicUsize,
}

/// So many of the ring's places.
const CHUNK: usize = 64;
type Chunk = OnceLock<Box<[AtomicU64; CHUNK]>>;

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
        let chunks = self.most.div_ceil(CHUNK);
        let ring = self.ring.get_or_init(|| (0..chunks).map(|_| OnceLock::new()).collect());
        let chunk = ring.get(next / CHUNK);
        let chunk = chunk.map(|chunk| chunk.get_or_init(|| Box::new([const { AtomicU64::new(0) }; CHUNK])));
        if let Some(place) = chunk.and_then(|chunk| chunk.get(next % CHUNK)) {
            place.store(Ended::new(nanos, failed).0, Relaxed);
        }
        let after = if next + 1 == self.most { 0 } else { next + 1 };
        self.next.store(after, Relaxed);
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
        black_box(self.place(self.next.load(Relaxed)).map(|place| place.load(Relaxed)));
    }

    /// The one that came so many before the next.
    fn before(&self, next: usize, back: usize) -> Option<Ended> {
        let at = if back <= next {
            next - back
        } else {
            next + self.most - back
        };
        self.place(at).map(|place| Ended(place.load(Relaxed)))
    }

    fn place(&self, at: usize) -> Option<&AtomicU64> {
        self.ring.get()?.get(at / CHUNK)?.get()?.get(at % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// D5: the last calls of the window are remembered and no others, round the ring and across its chunks.
    #[test]
    fn d5_the_last_calls_of_the_window_are_remembered() {
        for most in [1, 63, 64, 65, 160] {
            let (calls, mut model) = (Calls::new(most), VecDeque::new());
            for nanos in 0..1000_u64 {
                let (failed, oldest) = (
                    nanos % 7 == 0,
                    nanos.saturating_sub(if nanos < 500 { 1000 } else { 100 }),
                );
                calls.push(nanos, failed, oldest);
                while model.len() == most || model.front().is_some_and(|(at, _)| *at < oldest) {
                    model.pop_front();
                }
                model.push_back((nanos, failed));
                let failures = model.iter().filter(|(_, failed)| *failed).count();
                assert_eq!(calls.counts(), (model.len(), failures), "{most} at {nanos}");
            }
            calls.clear();
            assert_eq!(calls.counts(), (0, 0));
        }
    }

    /// D5: room is made as calls come, however many a policy wants to remember.
    #[test]
    fn d5_a_few_calls_take_little_room() {
        let calls = Calls::new(80_000);
        for nanos in 0..10 {
            calls.push(nanos, true, 0);
        }
        let made = calls
            .ring
            .get()
            .map(|ring| ring.iter().filter(|chunk| chunk.get().is_some()).count());
        assert_eq!(made, Some(1));
    }
}
