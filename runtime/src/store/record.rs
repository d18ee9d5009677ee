//! An event as the store keeps it: its JSON, with what tells damaged bytes from those that were written.

use rusqlite::Row;

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

/// The event in the columns `accepted`, `sum` and `json`, which begin at this one; none if they are not what was written. It
/// was within the limits then.
pub(super) fn event_of(row: &Row<'_>, first: usize) -> Result<Option<Event>, rusqlite::Error> {
    let (accepted, written): (i64, i64) = (row.get(first)?, row.get(first + 1)?);
    let json = row.get_ref(first + 2)?.as_bytes().ok();
    let Some(json) = json.filter(|json| sum(json) == written) else {
        return Ok(None);
    };
    let event = Event::from_json(json, &EventLimits::unlimited()).ok();
    Ok(event.map(|event| event.accepted_at(accepted.unsigned_abs())))
}

fn sum(bytes: &[u8]) -> i64 {
    let hash = blake3::hash(bytes);
    let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    i64::from_le_bytes(first)
}
