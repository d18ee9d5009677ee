//! A value that nothing else shares a cache line with.

use std::ops::Deref;

/// For what one side writes at every event while the other one reads what is beside it. Two lines, for processors fetch them
/// in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
