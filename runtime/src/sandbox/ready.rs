//! The pool that serves a plugin's handlers, and the instance that is ready for the next event with the right to run it: nearly
//! every event finds one here, under one lock.
//!
//! The instance is a short cut past a pool's permits and its list, and only that: as soon as somebody waits for an instance, or
//! another pool serves, nothing is left here any more and all go the long way, first come, first served.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::loan::Loan;
use crate::sandbox::instance::Instance;
use crate::sandbox::pool::Pool;

/// At most one pool, and at most one instance of it, in its place.
#[derive(Default)]
pub(crate) struct Ready {
    left: Mutex<Left>,
    /// Whether there is a pool, for those who only want to know that.
    serves: AtomicBool,
}

#[derive(Default)]
struct Left {
    /// None while anybody wants it elsewhere.
    instance: Option<Box<Instance>>,
    /// How many want all instances in the pool's list, for as long as they want it.
    wanted: usize,
    pool: Option<Arc<Pool>>,
}

/// The ready instance, to be touched where it is.
pub(crate) struct Lent<'a>(MutexGuard<'a, Left>);

impl Loan for Lent<'_> {
    fn touch(&mut self) {
        if let Some(instance) = &mut self.0.instance {
            instance.touch();
        }
    }
}

/// Nothing is left in the short cut until this is dropped.
pub(super) struct Wanted<'a>(&'a Ready);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.lock().wanted -= 1;
    }
}

impl Ready {
    /// What was left here.
    #[inline]
    pub(crate) fn take(&self) -> Option<Box<Instance>> {
        self.lock().instance.take()
    }

    /// Leaves an instance, in its place, for the next event. What does not belong here goes into its pool's list.
    #[inline]
    pub(crate) fn leave(&self, instance: Box<Instance>) {
        let to_list = {
            let mut left = self.lock();
            if left.wanted == 0 && left.pool.as_ref().is_some_and(|pool| instance.is_of(pool)) {
                left.instance.replace(instance)
            } else {
                Some(instance)
            }
        };
        list(to_list);
    }

    /// Keeps who is in a hurry waiting for a moment, while what the next call runs in is touched.
    #[inline]
    pub(crate) fn lend(&self) -> Option<Lent<'_>> {
        let left = self.left.try_lock().ok()?;
        left.instance.is_some().then_some(Lent(left))
    }

    /// From now on nothing is left here; what is goes into the list.
    pub(super) fn want(&self) -> Wanted<'_> {
        let instance = {
            let mut left = self.lock();
            left.wanted += 1;
            left.instance.take()
        };
        list(instance);
        Wanted(self)
    }

    /// The pool that serves.
    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.lock().pool.clone()
    }

    /// Whether there is one.
    #[inline]
    pub(crate) fn serves(&self) -> bool {
        self.serves.load(Ordering::Acquire)
    }

    /// Reads what a call looks at, as far as that goes without the lock.
    #[inline]
    pub(crate) fn touch(&self) {
        black_box(self.left.is_poisoned());
    }

    /// From now on this one serves, or none; returns the one before.
    pub(crate) fn replace(&self, pool: Option<Arc<Pool>>) -> Option<Arc<Pool>> {
        let (before, instance) = {
            let mut left = self.lock();
            self.serves.store(pool.is_some(), Ordering::Release);
            (std::mem::replace(&mut left.pool, pool), left.instance.take())
        };
        list(instance);
        before
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not under the lock: somebody may be told of it.
fn list(instance: Option<Box<Instance>>) {
    if let Some(instance) = instance {
        instance.into_list();
    }
}
