//! Dead letters in the store (D4): the rows, and what is done with them inside a transaction.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, Row, params};

use super::deliveries;
use super::record::{Record, event_of, time, value};
use super::time::{before, millis, millis_up};
use crate::delivery::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterReason, StoreError, StoredDelivery};
use crate::outcome::HandlerName;

const COLUMNS: &str = "id, handler, digest, reason, attempts, first, last, accepted, sum, json, error";

/// By handler, reason, since and until. A plugin's name means all its handlers: what begins with the name and a slash. `0` is
/// the character after the slash.
const MEANT: &str =
    "(?1 IS NULL OR handler = ?1 OR instr(?1, '/') = 0 AND handler >= ?1 || '/' AND handler < ?1 || '0')
     AND (?2 IS NULL OR reason = ?2) AND (?3 IS NULL OR last >= ?3) AND (?4 IS NULL OR last < ?4)";

/// How many of the oldest make room at a time, and how many are forgotten.
const AT_A_TIME: usize = 100;

/// Keeps one; `letter.id` is ignored. The oldest make room where there are more than `most`.
pub(super) fn put(db: &Connection, letter: &DeadLetter, most: usize) -> Result<DeadLetterId, StoreError> {
    let record = Record::of(&letter.event);
    let mut insert = db.prepare_cached(
        "INSERT INTO dead_letter (handler, digest, reason, attempts, first, last, accepted, sum, json, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    insert.execute(params![
        letter.handler.as_ref().map(ToString::to_string),
        letter.plugin_digest,
        letter.reason.as_str(),
        letter.attempts,
        millis(letter.first),
        millis(letter.last),
        record.accepted,
        record.sum,
        record.json.as_bytes(),
        letter.error,
    ])?;
    let id = DeadLetterId(db.last_insert_rowid().unsigned_abs());
    make_room(db, most)?;
    Ok(id)
}

/// Removes the oldest ones beyond so many, some at a time; says whether there may be more.
pub(super) fn make_room(db: &Connection, most: usize) -> Result<bool, StoreError> {
    let mut select = db.prepare_cached("SELECT dead_letters FROM total")?;
    let there: i64 = select.query_row([], |row| row.get(0))?;
    let over = there.saturating_sub(most.max(1) as i64).min(AT_A_TIME as i64);
    if over <= 0 {
        return Ok(false);
    }
    let mut delete = db.prepare_cached(
        "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter ORDER BY id LIMIT ?1) RETURNING id, reason",
    )?;
    let mut rows = delete.query([over])?;
    while let Some(row) = rows.next()? {
        let (id, reason): (i64, String) = (row.get(0)?, value(row, 1).unwrap_or_default());
        tracing::debug!(dead_letter = id, reason, "the oldest dead letter made room");
    }
    db.prepare_cached("UPDATE total SET evicted = evicted + ?1")?
        .execute([over])?;
    Ok(over == AT_A_TIME as i64)
}

/// How many have made room for others.
pub(super) fn evicted(db: &Connection) -> Result<u64, StoreError> {
    let evicted: i64 = db.query_row("SELECT evicted FROM total", [], |row| row.get(0))?;
    Ok(evicted.unsigned_abs())
}

/// Removes those that are older, some at a time; says whether there may be more.
pub(super) fn forget(db: &Connection, now: SystemTime, age: Duration) -> Result<bool, StoreError> {
    let mut delete = db.prepare_cached(
        "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter WHERE last < ?1 ORDER BY last LIMIT ?2)",
    )?;
    Ok(delete.execute(params![before(now, age), AT_A_TIME as i64])? == AT_A_TIME)
}

/// Those that are meant, the oldest first, after that one. One that is damaged is left out, and the log says so.
pub(super) fn list(
    db: &Connection,
    which: &DeadLetterFilter,
    after: Option<DeadLetterId>,
    most: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM dead_letter WHERE {MEANT} AND id > ?5 ORDER BY id"
    ))?;
    let (handler, reason, since, until) = meant(which);
    let mut rows = select.query(params![handler, reason, since, until, after.map_or(0, number)])?;
    let mut found = Vec::new();
    while found.len() < most {
        let Some(row) = rows.next()? else { break };
        match letter(row) {
            Ok(letter) => found.push(letter),
            Err(error @ StoreError::Damaged(_)) => tracing::error!(%error, "a dead letter is left out"),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The ids of those that are meant, the damaged ones included.
pub(super) fn ids(
    db: &Connection,
    which: &DeadLetterFilter,
    after: DeadLetterId,
    most: usize,
) -> Result<Vec<DeadLetterId>, StoreError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT id FROM dead_letter WHERE {MEANT} AND id > ?5 ORDER BY id LIMIT ?6"
    ))?;
    let (handler, reason, since, until) = meant(which);
    let parameters = params![handler, reason, since, until, number(after), most as i64];
    let ids = select.query_map(parameters, |row| Ok(DeadLetterId(row.get::<_, i64>(0)?.unsigned_abs())))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

pub(super) fn get(db: &Connection, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM dead_letter WHERE id = ?1"))?;
    let mut rows = select.query([number(id)])?;
    rows.next()?.map(letter).transpose()
}

pub(super) fn take(db: &Connection, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
    let found = get(db, id)?;
    if found.is_some() {
        remove(db, id)?;
    }
    Ok(found)
}

fn remove(db: &Connection, id: DeadLetterId) -> Result<(), StoreError> {
    let mut delete = db.prepare_cached("DELETE FROM dead_letter WHERE id = ?1")?;
    delete.execute([number(id)])?;
    Ok(())
}

/// What became of a dead letter that was to be sent again.
pub(super) enum Resent {
    Sent(Box<StoredDelivery>),
    NotFound,
    /// It has no handler, and is where it was.
    Undeliverable,
}

/// D4: a delivery instead of the letter.
pub(super) fn redrive(
    db: &Connection,
    id: DeadLetterId,
    now: SystemTime,
    max_age: Duration,
) -> Result<Resent, StoreError> {
    let Some(letter) = get(db, id)? else {
        return Ok(Resent::NotFound);
    };
    let Some(handler) = &letter.handler else {
        return Ok(Resent::Undeliverable);
    };
    // First, so that its room is there for the delivery.
    remove(db, id)?;
    let delivery = deliveries::replay(db, letter.event, &handler.to_string(), now, max_age)?;
    Ok(Resent::Sent(Box::new(delivery)))
}

/// Throws those away that are meant, and says how many there were.
pub(super) fn purge(db: &Connection, which: &DeadLetterFilter) -> Result<u64, StoreError> {
    let mut delete = db.prepare_cached(&format!("DELETE FROM dead_letter WHERE {MEANT}"))?;
    let (handler, reason, since, until) = meant(which);
    Ok(delete.execute(params![handler, reason, since, until])? as u64)
}

/// The first four parameters of `MEANT`.
fn meant(which: &DeadLetterFilter) -> (Option<&str>, Option<&str>, Option<i64>, Option<i64>) {
    (
        which.handler.as_deref(),
        which.reason.map(DeadLetterReason::as_str),
        which.since.map(millis_up),
        which.until.map(millis_up),
    )
}

/// A row of `COLUMNS`.
fn letter(row: &Row<'_>) -> Result<DeadLetter, StoreError> {
    let id = row.get::<_, i64>(0)?.unsigned_abs();
    let damaged = |what: &str| StoreError::Damaged(format!("dead letter {id}{what}"));
    let handler: Option<String> = value(row, 1).ok_or_else(|| damaged(" (its handler)"))?;
    let reason: Option<String> = value(row, 3);
    Ok(DeadLetter {
        id: DeadLetterId(id),
        event: event_of(row, 7).ok_or_else(|| damaged(""))?,
        handler: handler.as_deref().map(HandlerName::parse),
        plugin_digest: value(row, 2).ok_or_else(|| damaged(" (its digest)"))?,
        reason: reason
            .and_then(|reason| reason.parse().ok())
            .ok_or_else(|| damaged(" (its reason)"))?,
        error: value(row, 10).ok_or_else(|| damaged(" (its error)"))?,
        attempts: value(row, 4).ok_or_else(|| damaged(" (its attempts)"))?,
        first: time(row, 5).ok_or_else(|| damaged(" (its times)"))?,
        last: time(row, 6).ok_or_else(|| damaged(" (its times)"))?,
    })
}

fn number(id: DeadLetterId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}
