//! Dead letters in the store (D4).

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreError;
use super::deliveries::{event_of, sum};
use super::time::{from_millis, millis};
use crate::delivery::{DeadLetter, DeadLetterId, DeadLetterReason};
use crate::outcome::HandlerName;

const COLUMNS: &str = "id, json, sum, handler, digest, reason, error, attempts, first, last";

/// Keeps one; `letter.id` is ignored.
pub(super) fn put(db: &Connection, letter: &DeadLetter) -> Result<DeadLetterId, StoreError> {
    let json = letter.event.to_json();
    let mut insert = db.prepare_cached(
        "INSERT INTO dead_letter (json, sum, handler, digest, reason, error, attempts, first, last)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    insert.execute(params![
        json.as_bytes(),
        sum(json.as_bytes()),
        letter.handler.as_ref().map(ToString::to_string),
        letter.plugin_digest,
        letter.reason.as_str(),
        letter.error,
        letter.attempts,
        millis(letter.first),
        millis(letter.last),
    ])?;
    Ok(DeadLetterId(db.last_insert_rowid().unsigned_abs()))
}

/// Those after that one, the oldest first.
pub(super) fn list(db: &Connection, after: DeadLetterId, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM dead_letter WHERE id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let rows = select.query_map(params![number(after), most as i64], |row| Ok(letter(row)))?;
    rows.map(|row| row?).collect()
}

pub(super) fn get(db: &Connection, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM dead_letter WHERE id = ?1"))?;
    select
        .query_row([number(id)], |row| Ok(letter(row)))
        .optional()?
        .transpose()
}

/// False if there is none (any more).
pub(super) fn remove(db: &Connection, id: DeadLetterId) -> Result<bool, StoreError> {
    let mut delete = db.prepare_cached("DELETE FROM dead_letter WHERE id = ?1")?;
    Ok(delete.execute([number(id)])? > 0)
}

/// Throws all away and says how many there were.
pub(super) fn purge(db: &Connection) -> Result<usize, StoreError> {
    Ok(db.execute("DELETE FROM dead_letter", [])?)
}

fn letter(row: &Row<'_>) -> Result<DeadLetter, StoreError> {
    let id = row.get::<_, i64>(0)?.unsigned_abs();
    let event = event_of(row.get_ref(1)?.as_bytes().ok(), row.get(2)?)
        .ok_or_else(|| StoreError::Damaged(format!("dead letter {id}")))?;
    let handler: Option<String> = row.get(3)?;
    let reason: String = row.get(5)?;
    Ok(DeadLetter {
        id: DeadLetterId(id),
        event,
        handler: handler.as_deref().map(HandlerName::parse),
        plugin_digest: row.get(4)?,
        reason: DeadLetterReason::parse(&reason)
            .ok_or_else(|| StoreError::Damaged(format!("dead letter {id} (reason {reason})")))?,
        error: row.get(6)?,
        attempts: row.get(7)?,
        first: from_millis(row.get(8)?),
        last: from_millis(row.get(9)?),
    })
}

fn number(id: DeadLetterId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}
