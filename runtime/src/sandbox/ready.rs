//! The instance that is ready for the next event, with the right to run it: nearly every event finds one here, and takes no
//! lock for it.
//!
//! It is a short cut past a pool's permits and its list of instances, and only that: as soon as somebody waits for an instance,
//! or the pool is closed, nothing is left here any more and all go the long way, first come, first served.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::atomic::AtomicCell;

use crate::sandbox::instance::Instance;

/// At most one instance. Who takes it has the permit that it was left with.
pub(super) struct Ready {
    instance: AtomicCell<Option<Box<Instance>>>,
    /// How many want all instances in the pool's list, for as long as they want it.
    wanted: AtomicUsize,
}

/// Nothing is left in the short cut until this is dropped.
pub(super) struct Wanted<'a>(&'a Ready);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.wanted.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ready {
    pub(super) fn new() -> Self {
        Self {
            instance: AtomicCell::new(None),
            wanted: AtomicUsize::new(0),
        }
    }

    /// What was left here, unless somebody wants it elsewhere.
    #[inline]
    pub(super) fn take(&self) -> Result<Option<Box<Instance>>, Box<Instance>> {
        match self.instance.take() {
            // It was left before its owner saw that it is wanted; what is wanted goes to the list.
            Some(instance) if self.wanted.load(Ordering::SeqCst) > 0 => Err(instance),
            taken => Ok(taken),
        }
    }

    /// Leaves an instance, with its permit, for the next event. What belongs in the list comes back, each with a permit.
    #[inline]
    pub(super) fn leave(&self, instance: Box<Instance>, mut back: impl FnMut(Box<Instance>)) {
        if let Some(before) = self.instance.swap(Some(instance)) {
            back(before);
        }
        // A write, so that it and that of `want` are in one order: either this sees that it is wanted, or whoever wants it
        // finds it here.
        if self.wanted.fetch_add(0, Ordering::SeqCst) > 0
            && let Some(wanted) = self.instance.take()
        {
            back(wanted);
        }
    }

    /// From now on nothing is left here; what is, is to be taken by the caller.
    pub(super) fn want(&self) -> Wanted<'_> {
        self.wanted.fetch_add(1, Ordering::SeqCst);
        Wanted(self)
    }

    /// The same for ever.
    pub(super) fn close(&self) {
        std::mem::forget(self.want());
    }

    /// What is here, for who wants it.
    pub(super) fn recall(&self) -> Option<Box<Instance>> {
        self.instance.take()
    }
}
