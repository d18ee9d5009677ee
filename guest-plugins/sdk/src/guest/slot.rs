use std::cell::RefCell;

/// Where a component keeps what `start` made. The macro puts it into a thread-local, which in a guest is a plain
/// static; the host never enters an instance twice at a time, so the borrow can't fail.
pub struct Slot<T>(RefCell<Option<T>>);

impl<T> Slot<T> {
    /// As it is before `start`.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    pub(super) fn fill(&self, value: T) {
        self.0.replace(Some(value));
    }

    /// `None` before `start`.
    pub(super) fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.borrow_mut().as_mut().map(use_it)
    }
}
