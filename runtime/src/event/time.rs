use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::error::{EventError, excerpt};

/// The time of an event, an RFC 3339 text. The text is kept as it came, with its digits and its offset.
///
/// Two are equal if their texts are: `12:00Z` and `13:00+01:00` are the same instant, and different times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventTime {
    text: Box<str>,
    unix_nanos: u64,
}

impl EventTime {
    /// The longest text that is read, in bytes. Four times what nanoseconds need; digits beyond those are kept in the text.
    const BYTES: usize = 64;

    /// The system's time, in UTC.
    pub fn now() -> Self {
        let now = Timestamp::now();
        Self {
            text: now.to_string().into(),
            unix_nanos: saturate(now.as_nanosecond()),
        }
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z: 0 for a time before that, `u64::MAX` for one after the year 2554.
    pub fn unix_nanos(&self) -> u64 {
        self.unix_nanos
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for EventTime {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        let fail = |reason: String| EventError::Time {
            text: excerpt(text),
            reason,
        };
        if text.len() > Self::BYTES {
            return Err(fail(format!(
                "it is {} bytes long; the limit is {} bytes (fixed)",
                text.len(),
                Self::BYTES
            )));
        }
        let parts = Parts::of(text).ok_or_else(|| fail("a date, `T`, a time and an offset are wanted".to_owned()))?;
        let local: DateTime = parts
            .local
            .parse()
            .map_err(|error: jiff::Error| fail(error.to_string()))?;
        let offset = parts
            .offset()
            .ok_or_else(|| fail("the offset is past 23:59".to_owned()))?;
        let since_1970 = local
            .duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0))
            .saturating_sub(offset);
        let unix_nanos = saturate(since_1970.as_nanos());
        Ok(Self {
            text: text.into(),
            unix_nanos,
        })
    }
}

/// The system's clock in the same measure, for events that came without a time.
pub(super) fn clock_nanos() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn saturate(nanos: i128) -> u64 {
    u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
}

/// An RFC 3339 text, cut where jiff can't go on alone: its `Timestamp` ends a day before 9999-12-31T23:59:59Z, which
/// people use for "never", and both its parsers take more forms than RFC 3339 has.
struct Parts<'a> {
    /// Date and time of day, with nine digits of a fraction at most.
    local: &'a str,
    /// `Z`, `z`, or a sign, hours and minutes.
    offset: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (whole, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
        let (fraction_bytes, offset) = match rest.strip_prefix('.') {
            None => (0, rest),
            Some(digits) => {
                let offset = digits.trim_start_matches(|c: char| c.is_ascii_digit());
                let count = digits.len() - offset.len();
                (if count == 0 { return None } else { 1 + count.min(9) }, offset)
            }
        };
        let fits = has_shape(whole, "0000-00-00T00:00:00") && (has_shape(offset, "Z") || has_shape(offset, "+00:00"));
        let local = text.get(..whole.len() + fraction_bytes)?;
        fits.then_some(Self { local, offset })
    }

    fn offset(&self) -> Option<SignedDuration> {
        let Some((hours, minutes)) = self.offset.get(1..).and_then(|digits| digits.split_once(':')) else {
            return Some(SignedDuration::ZERO);
        };
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        let ahead = SignedDuration::from_secs((hours * 60 + minutes) * 60);
        (hours < 24 && minutes < 60).then_some(if self.offset.starts_with('-') { -ahead } else { ahead })
    }
}

/// Whether a text has a digit where the shape has `0`, either sign where it has `+`, and else the same, in any case.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte.eq_ignore_ascii_case(&wanted),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn nanos(text: &str) -> u64 {
        text.parse::<EventTime>().unwrap().unix_nanos()
    }

    /// E2
    #[test]
    fn digits_and_offset_are_kept() {
        for text in [
            "2015-12-10T06:55:46Z",
            "2015-12-10t06:55:46z",
            "2015-12-10T06:55:46.100Z",
            "2015-12-10T06:55:46.123456789012+05:30",
            "2015-12-10T06:55:46-00:00",
            "2016-12-31T23:59:60Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59-23:59",
        ] {
            let time: EventTime = text.parse().unwrap();
            assert_eq!((time.as_str(), time.to_string().as_str()), (text, text));
        }
    }

    #[test]
    fn the_instant_is_told_in_nanoseconds() {
        assert_eq!(nanos("1970-01-01T00:00:00Z"), 0);
        assert_eq!(nanos("1970-01-01T00:00:01.5Z"), 1_500_000_000);
        assert_eq!(nanos("1970-01-01T01:00:00.000000001+01:00"), 1);
        assert_eq!(nanos("1969-12-31T23:30:00-00:30"), 0);
        assert_eq!(nanos("2015-12-10T06:55:46Z"), 1_449_730_546_000_000_000);
        assert_eq!(nanos("2015-12-10T06:55:46.1234567899Z"), 1_449_730_546_123_456_789);
    }

    #[test]
    fn instants_beyond_the_range_saturate() {
        assert_eq!(nanos("1969-12-31T23:59:59.999Z"), 0);
        assert_eq!(nanos("0000-01-01T00:00:00+23:59"), 0);
        assert_eq!(nanos("1970-01-01T00:00:00+00:01"), 0);
        assert_eq!(nanos("2554-07-21T23:34:33.709551615Z"), u64::MAX);
        assert_eq!(nanos("2554-07-21T23:34:33.709551614Z"), u64::MAX - 1);
        assert_eq!(nanos("9999-12-31T23:59:59-23:59"), u64::MAX);
    }

    #[test]
    fn anything_but_rfc_3339_is_refused() {
        for text in [
            "",
            "now",
            "2015-12-10",
            "2015-12-10T06:55:46",
            "2015-12-10 06:55:46Z",
            "2015-12-10T06:55Z",
            "2015-12-10T06:55:46.Z",
            "2015-12-10T06:55:46,5Z",
            "2015-12-10T06:55:46+01",
            "2015-12-10T06:55:46+0100",
            "2015-12-10T06:55:46+01:00[Europe/Berlin]",
            "2015-12-10T06:55:46Z[UTC]",
            "2015-12-10T06:55:46+24:00",
            "2015-12-10T06:55:46+01:60",
            "2015-12-10T24:00:00Z",
            "2015-02-29T00:00:00Z",
            "2015-13-01T00:00:00Z",
            "2015-12-10T06:55:61Z",
            "+002015-12-10T06:55:46Z",
            " 2015-12-10T06:55:46Z",
            "2015-12-10T06:55:46Z ",
            "2015-12-10T06:55:46\u{2212}01:00",
            "２015-12-10T06:55:46Z",
            "20151210T065546Z",
        ] {
            assert!(
                matches!(text.parse::<EventTime>(), Err(EventError::Time { .. })),
                "{text}"
            );
        }
        let long = format!("2015-12-10T06:55:46.{}Z", "0".repeat(64));
        assert!(long.parse::<EventTime>().unwrap_err().to_string().contains("85 bytes"));
        let impossible = "2015-02-29T00:00:00Z".parse::<EventTime>().unwrap_err().to_string();
        assert!(impossible.contains("day"), "{impossible}");
    }

    #[test]
    fn now_is_a_time_that_reads_back() {
        let now = EventTime::now();
        assert!(
            now.as_str()
                .parse::<EventTime>()
                .unwrap()
                .unix_nanos()
                .abs_diff(now.unix_nanos())
                < 60_000_000_000
        );
    }

    proptest! {
        /// E2
        #[test]
        fn agrees_with_jiff_on_every_instant(second in -62_000_000_000_i64..250_000_000_000, nano in 0_i32..1_000_000_000) {
            let instant = Timestamp::new(second, nano).unwrap();
            prop_assert_eq!(nanos(&instant.to_string()), saturate(instant.as_nanosecond()));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZtz:+.-]{0,40}|.*") {
            let _ = text.parse::<EventTime>();
        }
    }
}
