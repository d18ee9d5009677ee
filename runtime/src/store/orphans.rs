//! What is owed to handlers that are gone (D9).

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::record::{event_of, time, value};
use super::time::millis;
use super::{deliveries, letters};
use crate::delivery::{DeadLetter, DeadLetterId, DeadLetterReason, DeliveryId, StoreError};
use crate::event::Event;
use crate::outcome::HandlerName;

/// How many rows one transaction looks at, and how many dead letters it makes.
const LOOKED_AT: usize = 1000;
const MADE: usize = 64;

/// What one step did: how many rows it removed, and where the next step goes on, if there is one.
#[derive(Default)]
pub(super) struct Step {
    pub(super) removed: u64,
    pub(super) next: Option<DeliveryId>,
}

/// A delivery that is past its maximal age.
struct Orphan {
    attempts: u32,
    first: SystemTime,
    event: Event,
}

/// The first handler after that one, in the order of the names, that something is owed to. The bytes of its name: what is
/// damaged need not be UTF-8.
pub(super) fn next_handler(db: &Connection, after: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut select =
        db.prepare_cached("SELECT handler FROM delivery WHERE handler > CAST(?1 AS TEXT) ORDER BY handler LIMIT 1")?;
    let name = |row: &Row<'_>| Ok(row.get_ref(0)?.as_bytes()?.to_vec());
    Ok(select.query_row([after], name).optional()?)
}

/// Makes dead letters of what is past its maximal age, of the next rows of one handler.
pub(super) fn step(
    db: &Connection,
    handler: &[u8],
    after: DeliveryId,
    now: SystemTime,
    most: usize,
) -> Result<Step, StoreError> {
    let (expired, next) = expired(db, handler, after, now)?;
    let mut step = Step {
        next,
        ..Step::default()
    };
    for id in expired {
        let orphan = orphan(db, id)?;
        deliveries::remove(db, id)?;
        match (std::str::from_utf8(handler), orphan) {
            (Ok(handler), Some(orphan)) => bury(db, handler, orphan, now, most)?,
            _ => give_up(handler, id),
        }
        step.removed += 1;
    }
    Ok(step)
}

/// Those of the next rows that are past their maximal age, and the last row that was looked at if there may be more.
fn expired(
    db: &Connection,
    handler: &[u8],
    after: DeliveryId,
    now: SystemTime,
) -> Result<(Vec<DeliveryId>, Option<DeliveryId>), StoreError> {
    let mut select = db.prepare_cached(
        "SELECT id, expires FROM delivery WHERE handler = CAST(?1 AS TEXT) AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = select.query(params![handler, after.0, LOOKED_AT as i64])?;
    let (mut expired, mut looked_at) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let id = DeliveryId(row.get(0)?);
        looked_at += 1;
        if value::<i64>(row, 1).is_none_or(|expires| expires <= millis(now)) {
            expired.push(id);
        }
        if looked_at == LOOKED_AT || expired.len() == MADE {
            return Ok((expired, Some(id)));
        }
    }
    Ok((expired, None))
}

/// None if its event is not there, or any column is not what was written.
fn orphan(db: &Connection, id: DeliveryId) -> Result<Option<Orphan>, StoreError> {
    let mut select = db.prepare_cached(
        "SELECT d.attempts, d.first, e.accepted, e.sum, e.json FROM delivery d LEFT JOIN event e ON e.id = d.event
         WHERE d.id = ?1",
    )?;
    Ok(select.query_row([id.0], |row| Ok(orphan_of(row)))?)
}

fn orphan_of(row: &Row<'_>) -> Option<Orphan> {
    Some(Orphan {
        attempts: value(row, 0)?,
        first: time(row, 1)?,
        event: event_of(row, 2)?,
    })
}

/// Of what is damaged there is nothing to keep; the log says so.
fn give_up(handler: &[u8], id: DeliveryId) {
    let handler = String::from_utf8_lossy(handler);
    tracing::error!(
        %handler,
        delivery = id.0,
        "a damaged event, of a handler that is gone, is given up"
    );
}

fn bury(db: &Connection, handler: &str, orphan: Orphan, now: SystemTime, most: usize) -> Result<(), StoreError> {
    let letter = DeadLetter {
        id: DeadLetterId(0),
        event: orphan.event,
        handler: Some(HandlerName::parse(handler)),
        plugin_digest: None,
        reason: DeadLetterReason::Orphaned,
        error: format!("{handler} was not there when the event reached its maximal age (retry.max-age)"),
        attempts: orphan.attempts,
        first: orphan.first,
        last: now,
    };
    letters::put(db, &letter, most)?;
    Ok(())
}
