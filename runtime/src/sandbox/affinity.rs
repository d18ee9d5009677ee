//! Which instance of several an event goes to, where that matters: events of one lane go to the same one, so that what it
//! remembers of them is all in one place (B6).

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// The places of a pool; none where any instance does. Who takes one gives it back.
pub(super) struct Affinity {
    /// One for each; whoever has its permit has the instance.
    taken: Vec<Semaphore>,
    /// Where the next event without a lane goes.
    next: AtomicUsize,
}

/// Somebody has it.
pub(super) struct Taken;

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
    pub(super) async fn take(&self, lane: Option<u64>) -> Option<usize> {
        let at = self.of_lane(lane)?;
        // Never closed.
        if let Ok(permit) = self.taken.get(at)?.acquire().await {
            permit.forget();
        }
        Some(at)
    }

    /// The same where nobody has it.
    pub(super) fn try_take(&self, lane: Option<u64>) -> Result<Option<usize>, Taken> {
        let Some(at) = self.of_lane(lane) else { return Ok(None) };
        self.take_at(at).map(Some)
    }

    fn take_at(&self, at: usize) -> Result<usize, Taken> {
        let place = self.taken.get(at).ok_or(Taken)?;
        place.try_acquire().map_err(|_| Taken)?.forget();
        Ok(at)
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
    pub(super) fn any_free(&self) -> Result<Option<usize>, Taken> {
        if !self.matter() {
            return Ok(None);
        }
        let free = (0..self.taken.len()).find_map(|at| self.take_at(at).ok());
        free.map(Some).ok_or(Taken)
    }

    /// Gives back a place.
    pub(super) fn give_back(&self, at: usize) {
        if let Some(place) = self.taken.get(at) {
            place.add_permits(1);
        }
    }
}
