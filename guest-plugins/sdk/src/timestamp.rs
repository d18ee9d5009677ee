use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// A moment, in nanoseconds since 1970-01-01T00:00:00Z. Shows, and serializes, as RFC 3339 in UTC.
///
/// ```
/// # use palisade_sdk::Timestamp;
/// assert_eq!(Timestamp::from_nanos(1_449_738_694_500_000_000).to_string(), "2015-12-10T09:11:34.5Z");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

impl Timestamp {
    /// From nanoseconds since 1970.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970. 0 stands for every earlier time, `u64::MAX` for every time after the year 2554.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The same moment as the standard library's type.
    pub fn system_time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / NANOS_PER_SECOND, self.0 % NANOS_PER_SECOND);
        let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if nanos != 0 {
            write!(f, ".{}", format!("{nanos:09}").trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are taken to begin
/// in March, so that the leap day is a year's last and the months' lengths follow one formula.
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shows_what_jiff_shows() {
        // Every 40.3 hours or so from 1970 to 2554: each day of the year and each kind of leap year comes up.
        for nanos in (0..=u64::MAX).step_by(145_000_000_000_007).chain([u64::MAX]) {
            let expected = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap().to_string();
            assert_eq!(Timestamp::from_nanos(nanos).to_string(), expected);
        }
    }

    #[test]
    fn since_is_zero_for_what_comes_before() {
        let (a, b) = (Timestamp::from_nanos(5), Timestamp::from_nanos(7));
        assert_eq!(b.since(a), Duration::from_nanos(2));
        assert_eq!(a.since(b), Duration::ZERO);
    }
}
