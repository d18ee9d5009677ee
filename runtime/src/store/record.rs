//! An event as the store keeps it: its JSON, with what tells damaged bytes from those that were written.

use std::time::SystemTime;

use rusqlite::Row;
use rusqlite::types::FromSql;

use super::time::from_millis;
use crate::event::{Event, EventLimits};

/// What the rows of an event have. It is made where the event is published, so that the writer need not.
pub(super) struct Record {
    pub(super) json: String,
    pub(super) sum: i64,
    /// When the event was made, which JSON does not say of one without a time. Nanoseconds since 1970.
    pub(super) accepted: i64,
    /// What it holds in memory.
    pub(super) bytes: i64,
}

impl Record {
    pub(super) fn of(event: &Event) -> Self {
        let json = event.to_json();
        Self {
            sum: sum(json.as_bytes()),
            json,
            accepted: i64::try_from(event.timestamp_nanos()).unwrap_or(i64::MAX),
            bytes: i64::try_from(event.size_bytes()).unwrap_or(i64::MAX),
        }
    }
}

/// The event in the columns `accepted`, `sum` and `json`, which begin at this one; none if they are not what was written, or
/// not there. It was within the limits then.
pub(super) fn event_of(row: &Row<'_>, first: usize) -> Option<Event> {
    let (accepted, written): (i64, i64) = (value(row, first)?, value(row, first + 1)?);
    let json = row.get_ref(first + 2).ok()?.as_bytes().ok()?;
    if sum(json) != written {
        return None;
    }
    let event = Event::from_json(json, &EventLimits::unlimited()).ok()?;
    Some(event.accepted_at(accepted.unsigned_abs()))
}

/// What is in a column; none if it is not what is written to such a one. A row that was read is in memory: nothing else can
/// be the matter.
pub(super) fn value<T: FromSql>(row: &Row<'_>, column: usize) -> Option<T> {
    row.get(column).ok()
}

/// The time in a column, in milliseconds; none if it is not what is written to such a one.
pub(super) fn time(row: &Row<'_>, column: usize) -> Option<SystemTime> {
    value(row, column).filter(|millis| *millis >= 0).map(from_millis)
}

fn sum(bytes: &[u8]) -> i64 {
    let hash = blake3::hash(bytes);
    let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    i64::from_le_bytes(first)
}
