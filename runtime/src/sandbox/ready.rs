//! The instance that is ready for the next event, with the right to run it: nearly every event finds one here.
//!
//! It is a short cut past a pool's permits and its list of instances, and only that: as soon as somebody waits for an instance,
//! or the pool is closed, nothing is left here any more and all go the long way, first come, first served.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sandbox::instance::Instance;

/// At most one instance. Who takes it has the permit that it was left with.
#[derive(Default)]
pub(super) struct Ready(Mutex<Left>);

#[derive(Default)]
struct Left {
    /// None while anybody wants it elsewhere.
    instance: Option<Box<Instance>>,
    /// How many want all instances in the pool's list, for as long as they want it.
    wanted: usize,
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
    pub(super) fn take(&self) -> Option<Box<Instance>> {
        self.lock().instance.take()
    }

    /// Leaves an instance, with its permit, for the next event. What belongs in the list comes back, with a permit.
    #[inline]
    pub(super) fn leave(&self, instance: Box<Instance>) -> Option<Box<Instance>> {
        let mut left = self.lock();
        if left.wanted > 0 {
            return Some(instance);
        }
        left.instance.replace(instance)
    }

    /// From now on nothing is left here; what is, belongs in the list.
    pub(super) fn want(&self) -> (Wanted<'_>, Option<Box<Instance>>) {
        let mut left = self.lock();
        left.wanted += 1;
        (Wanted(self), left.instance.take())
    }

    /// The same for ever.
    pub(super) fn close(&self) -> Option<Box<Instance>> {
        let (wanted, instance) = self.want();
        std::mem::forget(wanted);
        instance
    }

    /// Looks at what was left here, while nobody has it.
    pub(super) fn look(&self, look: impl FnOnce(&Instance)) {
        if let Ok(left) = self.0.try_lock()
            && let Some(instance) = &left.instance
        {
            look(instance);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
