//! How many of the process's file descriptors guests may hold: for open files, listings and HTTP connections.
//!
//! The process has so many and no more (`ulimit -n`), and whoever asks for one too many fails, be it a plugin that has done
//! nothing or the host. So a part is kept back for the host, and the rest is shared out by one rule: a plugin has
//! [a few of its own](OWN), and beyond these never more than it leaves free for all others. One that hoards gets half of what
//! there is at most, a second one half of the rest, and a plugin that needs few finds them.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sandbox::log::{GuestLog, LogLevel};

/// How many are kept for a plugin with a grant for files or HTTP from the moment it is loaded, whatever others hold; as long
/// as all plugins' together are no more than half.
const OWN: usize = 8;
/// The least that is left to the host, which otherwise has a quarter.
const LEAST_FOR_HOST: u64 = 64;
/// Where nothing else is the limit.
const MOST: u64 = 1 << 20;
/// How long after one notice that a plugin had to be refused the next may come.
const NOTICES: Duration = Duration::from_secs(60);

/// Those that guests may hold, all plugins together.
pub(crate) struct Descriptors {
    total: usize,
    left: Mutex<Left>,
}

struct Left {
    /// Neither held nor kept for a plugin.
    free: usize,
    /// Kept for plugins, held or not.
    kept: usize,
}

impl Descriptors {
    /// The process's: every runtime in it has the same.
    pub(crate) fn of_process() -> Arc<Self> {
        static OF_PROCESS: OnceLock<Arc<Descriptors>> = OnceLock::new();
        OF_PROCESS.get_or_init(|| Self::new(guests_part(soft_limit()))).clone()
    }

    pub(super) fn new(total: usize) -> Arc<Self> {
        let left = Left { free: total, kept: 0 };
        Arc::new(Self {
            total,
            left: Mutex::new(left),
        })
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all instances of one plugin hold.
pub(crate) struct Share {
    all: Arc<Descriptors>,
    own: usize,
    /// Changed only while `all.left` is locked.
    held: Mutex<usize>,
    told: Mutex<Option<Instant>>,
    log: Arc<GuestLog>,
}

impl Share {
    /// For a plugin that needs some by its grants, or for one that doesn't.
    pub(crate) fn new(all: Arc<Descriptors>, needs_some: bool, log: Arc<GuestLog>) -> Arc<Self> {
        let own = {
            let mut left = all.left();
            let there_are = left.kept + OWN <= all.total / 2 && left.free >= OWN;
            let own = if needs_some && there_are { OWN } else { 0 };
            left.free -= own;
            left.kept += own;
            own
        };
        Arc::new(Self {
            all,
            own,
            held: Mutex::default(),
            told: Mutex::default(),
            log,
        })
    }

    /// One more, to be held for as long as the descriptor is open; `None` when that would be too many, which the operator is
    /// told.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Held> {
        let taken = self.try_take();
        if !taken {
            self.tell();
        }
        taken.then(|| Held { share: self.clone() })
    }

    fn try_take(&self) -> bool {
        let mut left = self.all.left();
        let mut held = self.held();
        if *held >= self.own {
            if *held - self.own >= left.free {
                return false;
            }
            left.free -= 1;
        }
        *held += 1;
        true
    }

    fn give_back(&self) {
        let mut left = self.all.left();
        let mut held = self.held();
        *held -= 1;
        if *held >= self.own {
            left.free += 1;
        }
    }

    fn held(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| told.elapsed() < NOTICES) {
            return;
        }
        *told = Some(Instant::now());
        let (plugin, held) = (self.log.plugin(), *self.held());
        let message = format!(
            "{plugin} has {held} files and connections open: the others that the process may have (ulimit -n) are left to \
             other plugins"
        );
        self.log.line(LogLevel::Warn, "palisade", &message);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut left = self.all.left();
        left.free += self.own;
        left.kept -= self.own;
    }
}

/// One that is held; given back when this is dropped.
pub(crate) struct Held {
    share: Arc<Share>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.give_back();
    }
}

fn soft_limit() -> u64 {
    // A system that doesn't say has the least that is common.
    rlimit::Resource::NOFILE.get_soft().unwrap_or(256)
}

fn guests_part(limit: u64) -> usize {
    let limit = limit.min(MOST);
    let part = limit.saturating_sub((limit / 4).max(LEAST_FOR_HOST));
    usize::try_from(part).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::log::TracingLog;

    fn share(all: &Arc<Descriptors>, needs_some: bool) -> Arc<Share> {
        let log = GuestLog::new(Arc::from("plugin"), Arc::new(TracingLog), 1024);
        Share::new(all.clone(), needs_some, log)
    }

    /// Takes until it is refused.
    fn hoard(share: &Arc<Share>) -> Vec<Held> {
        std::iter::from_fn(|| share.take()).collect()
    }

    /// S1, H18: a plugin that hoards leaves as many to others as it has itself beyond its own, and the next one, too.
    #[test]
    fn s1_h18_descriptors_violated_by_one_are_left_to_others() {
        let all = Descriptors::new(116);
        let (first, second, third) = (share(&all, true), share(&all, true), share(&all, false));
        let hoards = [&first, &second, &third].map(hoard);
        assert_eq!(hoards.each_ref().map(Vec::len), [OWN + 50, OWN + 25, 13]);
        assert!(third.take().is_none());
        drop(hoards);
        assert_eq!(hoard(&third).len(), 50);
        drop((first, second, third));
        let left = all.left();
        assert_eq!((left.free, left.kept), (116, 0));
    }

    /// S1, H18: what is kept for a plugin is there for it whatever others hoard, and however often it is taken.
    #[test]
    fn s1_h18_descriptors_obeyed_are_there_for_each() {
        let all = Descriptors::new(64);
        let small = share(&all, true);
        let hogs: Vec<_> = (0..10).map(|_| share(&all, true)).collect();
        let _hoards: Vec<_> = hogs.iter().map(hoard).collect();
        assert_eq!(all.left().kept, 32, "no more than half is kept");
        for _ in 0..100 {
            let held: Vec<_> = (0..OWN).map(|_| small.take()).collect();
            assert!(held.iter().all(Option::is_some));
        }
    }

    /// S1: the host has a quarter, and 64 at least.
    #[test]
    fn s1_h18_a_part_is_left_to_the_host() {
        let parts = [0, 64, 128, 1024, 20_000, u64::MAX].map(guests_part);
        assert_eq!(parts, [0, 0, 64, 768, 15_000, 786_432]);
    }
}
