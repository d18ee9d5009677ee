//! Which instance of several an event goes to, where that matters: events of one lane go to the same one, so that what it
//! remembers of them is all in one place (B6).

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The places of a pool; none where any instance does.
pub(super) struct Affinity {
    /// One for each; whoever has its permit has the instance.
    taken: Vec<Semaphore>,
    /// Where the next event without a lane goes.
    next: AtomicUsize,
}

/// One place, until it is dropped.
pub(super) struct Place<'a> {
    pub(super) at: usize,
    permit: Option<SemaphorePermit<'a>>,
}

impl Affinity {
    pub(super) fn new(count: usize) -> Self {
        Self {
            taken: (0..count).map(|_| Semaphore::new(1)).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Whether it matters which instance an event goes to.
    pub(super) fn matter(&self) -> bool {
        !self.taken.is_empty()
    }

    /// The place of a lane; of an event without one, any. Waits for whoever has it.
    pub(super) async fn take(&self, lane: Option<u64>) -> Place<'_> {
        let Some(at) = self.of_lane(lane) else {
            return Place { at: 0, permit: None };
        };
        let permit = match self.taken.get(at) {
            // Never closed.
            Some(place) => place.acquire().await.ok(),
            None => None,
        };
        Place { at, permit }
    }

    /// The same where nobody has it.
    pub(super) fn try_take(&self, lane: Option<u64>) -> Option<Place<'_>> {
        let Some(at) = self.of_lane(lane) else {
            return Some(Place { at: 0, permit: None });
        };
        let permit = self.taken.get(at)?.try_acquire().ok()?;
        let permit = Some(permit);
        Some(Place { at, permit })
    }

    fn of_lane(&self, lane: Option<u64>) -> Option<usize> {
        let count = self.taken.len();
        if count == 0 {
            return None;
        }
        Some(match lane {
            Some(hash) => usize::try_from(hash % count as u64).unwrap_or(0),
            None => self.next.fetch_add(1, Ordering::Relaxed) % count,
        })
    }

    /// A place that nobody has, if there is one.
    pub(super) fn any_free(&self) -> Option<Place<'_>> {
        if !self.matter() {
            return Some(Place { at: 0, permit: None });
        }
        self.taken.iter().enumerate().find_map(|(at, place)| {
            let permit = place.try_acquire().ok()?;
            let permit = Some(permit);
            Some(Place { at, permit })
        })
    }

    /// Gives back a place that was kept.
    pub(super) fn give_back(&self, at: usize) {
        if let Some(place) = self.taken.get(at) {
            place.add_permits(1);
        }
    }
}

impl Place<'_> {
    /// It is not given back by itself.
    pub(super) fn forget(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.forget();
        }
    }
}
