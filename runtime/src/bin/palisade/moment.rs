//! Times as people give them, and as they are shown.

use std::time::SystemTime;

use jiff::Timestamp;

/// A time such as `2026-01-31T12:00:00Z`, or so long ago, such as `2h`.
pub(crate) fn moment(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.into());
    }
    let ago = humantime::parse_duration(text)
        .map_err(|_| "neither a time such as 2026-01-31T12:00:00Z nor one ago such as 2h".to_owned())?;
    let time = SystemTime::now().checked_sub(ago);
    let time = time.filter(|time| *time >= SystemTime::UNIX_EPOCH);
    time.ok_or_else(|| "so long ago there was no time".to_owned())
}

/// In UTC, to the second.
pub(crate) fn seconds(time: SystemTime) -> String {
    shown(time, 0)
}

/// In UTC, to the millisecond, which is as much as the store keeps.
pub(crate) fn milliseconds(time: SystemTime) -> String {
    shown(time, 3)
}

fn shown(time: SystemTime, digits: usize) -> String {
    match Timestamp::try_from(time) {
        Ok(time) => format!("{time:.digits$}"),
        Err(_) => "beyond the year 9999".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_are_read_as_dates_and_as_so_long_ago() {
        let noon = UNIX_EPOCH + Duration::from_secs(1_769_860_800);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T14:00:00+02:00",
            "2026-01-31T12:00:00.000Z",
        ] {
            assert_eq!(moment(text).unwrap(), noon, "{text}");
        }
        let hours = SystemTime::now().duration_since(moment("2h 1ms").unwrap()).unwrap();
        assert!(hours >= Duration::from_secs(7200));
        for wrong in [
            "",
            "yesterday",
            "2026-01-31",
            "-2h",
            "2026-01-31T12:00:00",
            "99999999999 years",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_shown_in_utc() {
        let noon = UNIX_EPOCH + Duration::from_millis(1_769_860_800_120);
        assert_eq!(seconds(noon), "2026-01-31T12:00:00Z");
        assert_eq!(milliseconds(noon), "2026-01-31T12:00:00.120Z");
        assert_eq!(
            seconds(UNIX_EPOCH + Duration::from_secs(1 << 50)),
            "beyond the year 9999"
        );
    }
}
