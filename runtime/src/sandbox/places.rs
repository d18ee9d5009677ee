//! How many instances may live at a time, the larger ones counted as several (S6).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// How many tables go with one place; with one memory. A component of a common toolchain has no more.
pub(super) const TABLES: u32 = 2;

/// The places of a runtime: for each the pool has one memory and two tables. It has no other bounds, so that what has its
/// places finds what it needs there.
pub(super) struct Places {
    max: u32,
    counts: Arc<Counts>,
}

/// Nobody waits for a place, so counting is all there is to it.
#[derive(Default)]
struct Counts {
    taken: AtomicU32,
    live: AtomicUsize,
}

/// The places of one instance, given back when this is dropped.
pub(crate) struct Place {
    places: u32,
    counts: Arc<Counts>,
}

/// How many places an instance takes with so many memories and tables.
pub(super) fn places_of(memories: u32, tables: u32) -> u32 {
    memories.max(tables.div_ceil(TABLES)).max(1)
}

impl Places {
    pub(super) fn new(max: u32) -> Self {
        Self {
            max,
            counts: Arc::default(),
        }
    }

    /// An error says how many live, and which key says how many may.
    pub(super) fn take(&self, places: u32) -> Result<Place, String> {
        let room = |taken: u32| taken.checked_add(places).filter(|taken| *taken <= self.max);
        let counts = &self.counts;
        // What was given back before is free: the pool has it.
        let taken = counts.taken.fetch_update(Ordering::Acquire, Ordering::Relaxed, room);
        taken.map_err(|_| self.full(places))?;
        counts.live.fetch_add(1, Ordering::Relaxed);
        Ok(Place {
            places,
            counts: counts.clone(),
        })
    }

    pub(super) fn live(&self) -> usize {
        self.counts.live.load(Ordering::Relaxed)
    }

    fn full(&self, places: u32) -> String {
        let (live, max) = (self.live(), self.max);
        let taken = self.counts.taken.load(Ordering::Relaxed);
        let why = if places == 1 && taken as usize == live {
            "and no more fit".to_owned()
        } else {
            format!(
                "with memories and tables for {taken} of {max}; one more needs those of {places}, more than are left"
            )
        };
        format!(
            "{live} instances live already, {why} (engine.max-instances; by default what the kernel's vm.max_map_count \
             allows)"
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.live.fetch_sub(1, Ordering::Relaxed);
        self.counts.taken.fetch_sub(self.places, Ordering::Release);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// S6: places are counted by what is needed most of, and given back just as they were taken.
    #[test]
    fn s6_places_are_given_back_as_they_were_taken() {
        let needs = [(0, 0), (1, 2), (1, 3), (16, 1), (1, 60)].map(|(memories, tables)| places_of(memories, tables));
        assert_eq!(needs, [1, 1, 2, 16, 30]);
        let places = Places::new(8);
        let large = places.take(6).unwrap();
        let small = places.take(1).unwrap();
        assert_eq!(places.live(), 2);
        let full = places.take(2).err().unwrap();
        assert!(
            full.starts_with(
                "2 instances live already, with memories and tables for 7 of 8; one more needs those of 2, more than are left"
            ),
            "{full}"
        );
        drop(large);
        assert_eq!(places.live(), 1);
        let rest = places.take(7).unwrap();
        assert!(places.take(1).is_err());
        drop((rest, small));
        assert_eq!(places.live(), 0);
        assert!(places.take(8).is_ok());
    }
}
