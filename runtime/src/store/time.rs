//! Times as the store writes them.

use std::time::{Duration, SystemTime};

/// Milliseconds since 1970; 0 for a time before that.
pub(super) fn millis(time: SystemTime) -> i64 {
    whole(since_1970(time).as_millis())
}

/// The same, rounded up: a time that was written is at or after this one exactly if it is not below it.
pub(super) fn millis_up(time: SystemTime) -> i64 {
    whole(since_1970(time).as_nanos().div_ceil(1_000_000))
}

pub(super) fn from_millis(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}

/// That long before, or 1970.
pub(super) fn before(time: SystemTime, age: Duration) -> i64 {
    millis(time).saturating_sub(whole(age.as_millis()))
}

/// That long after; the end of time where there is none such.
pub(super) fn after(time: SystemTime, age: Duration) -> i64 {
    millis(time).saturating_add(whole(age.as_millis()))
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn whole(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
