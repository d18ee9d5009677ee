//! Events that are owed to handlers: the rows, and what is done with them inside a transaction.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::record::{Record, event_of, time, value};
use super::time::{after, before, from_millis, millis};
use crate::delivery::{Backlog, DeliveryId, NewEvent, Owed, Page, PageLimits, StoreError, Stored, StoredDelivery};
use crate::event::Event;
use crate::handler::Origin;

/// By how much a clock may be set back without a mark against repetition being forgotten for it.
const SET_BACK: Duration = Duration::from_secs(60);

/// What a delivery is made of, but for what its event has.
struct NewDelivery<'a> {
    handler: &'a str,
    now: SystemTime,
    max_age: Duration,
    replayed: bool,
    origin: Origin,
}

/// D1: stores an event once and a delivery for each handler; D6: not for those that were given it within `window`.
pub(super) fn append(
    db: &Connection,
    new: &NewEvent,
    record: &Record,
    now: SystemTime,
    window: Duration,
) -> Result<Vec<Stored>, StoreError> {
    let mut stored = Vec::with_capacity(new.to.len());
    let mut event = None;
    for recipient in &new.to {
        if is_repeated(db, &recipient.handler, &new.event, now, window)? {
            stored.push(Stored::Duplicate);
            continue;
        }
        let event = match event {
            Some(event) => event,
            None => *event.insert(insert_event(db, record)?),
        };
        let delivery = NewDelivery {
            handler: &recipient.handler,
            now,
            max_age: recipient.max_age,
            replayed: false,
            origin: new.origin,
        };
        stored.push(Stored::Owed(insert(db, event, record, &delivery)?));
    }
    Ok(stored)
}

/// D4: a delivery to one handler that has had the event before.
pub(super) fn replay(
    db: &Connection,
    event: Event,
    handler: &str,
    now: SystemTime,
    max_age: Duration,
) -> Result<StoredDelivery, StoreError> {
    let record = Record::of(&event);
    let delivery = NewDelivery {
        handler,
        now,
        max_age,
        replayed: true,
        origin: Origin::Publisher,
    };
    let id = insert(db, insert_event(db, &record)?, &record, &delivery)?;
    let now = from_millis(millis(now));
    Ok(StoredDelivery {
        id,
        event,
        attempts: 0,
        due: now,
        first: now,
        replayed: true,
        origin: Origin::Publisher,
    })
}

fn insert_event(db: &Connection, record: &Record) -> Result<i64, StoreError> {
    let mut insert = db.prepare_cached("INSERT INTO event (accepted, sum, json) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![record.accepted, record.sum, record.json.as_bytes()])?;
    Ok(db.last_insert_rowid())
}

fn insert(db: &Connection, event: i64, record: &Record, delivery: &NewDelivery<'_>) -> Result<DeliveryId, StoreError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO delivery (event, handler, bytes, attempts, due, first, expires, replayed, origin)
         VALUES (?1, ?2, ?3, 0, ?4, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute(params![
        event,
        delivery.handler,
        record.bytes,
        millis(delivery.now),
        after(delivery.now, delivery.max_age),
        delivery.replayed,
        origin_code(delivery.origin)
    ])?;
    Ok(DeliveryId(db.last_insert_rowid()))
}

/// Marks the event as given to the handler; whether it was marked before, and not too long ago. A mark of a time that is yet
/// to come was made by a clock that was wrong.
fn is_repeated(
    db: &Connection,
    handler: &str,
    event: &Event,
    now: SystemTime,
    window: Duration,
) -> Result<bool, StoreError> {
    if window.is_zero() {
        return Ok(false);
    }
    let mut mark = db.prepare_cached(
        "INSERT INTO seen (handler, source, id, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (handler, source, id) DO UPDATE SET at = excluded.at WHERE at < ?5 OR at > ?6",
    )?;
    let marked = mark.execute(params![
        handler,
        event.source(),
        event.id(),
        millis(now),
        before(now, window),
        after(now, SET_BACK)
    ])?;
    Ok(marked == 0)
}

/// Forgets marks that are older than the window, or of a time that is yet to come, some at a time; says whether there may be more.
pub(super) fn forget_seen(db: &Connection, now: SystemTime, window: Duration) -> Result<bool, StoreError> {
    const AT_A_TIME: usize = 1000;
    let mut delete = db.prepare_cached(
        "DELETE FROM seen WHERE (handler, source, id) IN (SELECT handler, source, id FROM seen WHERE at < ?1 OR at > ?3 LIMIT ?2)",
    )?;
    let parameters = params![before(now, window), AT_A_TIME as i64, after(now, SET_BACK)];
    Ok(delete.execute(parameters)? == AT_A_TIME)
}

/// The delivery is over, however it ended; the event goes with its last one. False if there is no such delivery.
pub(super) fn remove(db: &Connection, id: DeliveryId) -> Result<bool, StoreError> {
    let mut delete = db.prepare_cached("DELETE FROM delivery WHERE id = ?1 RETURNING event")?;
    let event: Option<i64> = delete.query_row([id.0], |row| row.get(0)).optional()?;
    let Some(event) = event else { return Ok(false) };
    let mut delete =
        db.prepare_cached("DELETE FROM event WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE event = ?1)")?;
    delete.execute([event])?;
    Ok(true)
}

/// D3: the next attempt, and how many there were. False if there is no such delivery.
pub(super) fn retry(db: &Connection, id: DeliveryId, attempts: u32, due: SystemTime) -> Result<bool, StoreError> {
    let mut update = db.prepare_cached("UPDATE delivery SET attempts = ?2, due = ?3 WHERE id = ?1")?;
    Ok(update.execute(params![id.0, attempts, millis(due)])? > 0)
}

const STORED: &str = "d.id, d.bytes, d.attempts, d.due, d.first, d.replayed, d.origin, e.accepted, e.sum, e.json";

/// Deliveries of one handler after that one, the oldest first, as many as both limits allow but always one; with all that it
/// is owed, where they are its first.
pub(super) fn load(db: &Connection, handler: &str, after: DeliveryId, limits: PageLimits) -> Result<Page, StoreError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {STORED} FROM delivery d LEFT JOIN event e ON e.id = d.event
         WHERE d.handler = ?1 AND d.id > ?2 ORDER BY d.id"
    ))?;
    let mut rows = select.query(params![handler, after.0])?;
    let (mut page, mut taken) = (Page::default(), 0_usize);
    if after == DeliveryId::NONE {
        page.owed = Some(owed(db, handler)?);
    }
    while let Some(row) = rows.next()? {
        let next = taken.saturating_add(usize::try_from(value::<i64>(row, 1).unwrap_or(0)).unwrap_or(usize::MAX));
        let looked_at = page.deliveries.len() + page.damaged.len();
        if looked_at > 0 && (looked_at >= limits.events || next > limits.bytes) {
            page.more = true;
            break;
        }
        taken = next;
        add(&mut page, row)?;
    }
    Ok(page)
}

/// These, in the order of their ids; those that are settled already are left out.
pub(super) fn load_these(db: &Connection, ids: &[DeliveryId]) -> Result<Page, StoreError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {STORED} FROM delivery d LEFT JOIN event e ON e.id = d.event WHERE d.id = ?1"
    ))?;
    let mut page = Page::default();
    for id in ids {
        let mut rows = select.query([id.0])?;
        if let Some(row) = rows.next()? {
            add(&mut page, row)?;
        }
    }
    Ok(page)
}

fn owed(db: &Connection, handler: &str) -> Result<Owed, StoreError> {
    let mut select = db.prepare_cached("SELECT count(*), total(bytes) FROM delivery WHERE handler = ?1 AND id > 0")?;
    let owed = |row: &Row<'_>| {
        Ok(Owed {
            events: row.get::<_, i64>(0)?.unsigned_abs(),
            bytes: row.get::<_, f64>(1)? as u64,
        })
    };
    Ok(select.query_row([handler], owed)?)
}

/// A row of `STORED`.
fn add(page: &mut Page, row: &Row<'_>) -> Result<(), StoreError> {
    let id = DeliveryId(row.get(0)?);
    page.last = Some(id);
    match delivery_of(id, row) {
        None => page.damaged.push(id),
        Some(delivery) => page.deliveries.push(delivery),
    }
    Ok(())
}

/// None if its event is not there, or any column is not what was written.
fn delivery_of(id: DeliveryId, row: &Row<'_>) -> Option<StoredDelivery> {
    Some(StoredDelivery {
        id,
        attempts: value(row, 2)?,
        due: time(row, 3)?,
        first: time(row, 4)?,
        replayed: value(row, 5)?,
        origin: origin_of(value(row, 6)?)?,
        event: event_of(row, 7)?,
    })
}

/// What is owed, by handler.
pub(super) fn backlogs(db: &Connection) -> Result<Vec<Backlog>, StoreError> {
    let mut select = db.prepare_cached(
        "SELECT handler, count(*), total(bytes), min(first), min(expires) FROM delivery GROUP BY handler ORDER BY handler",
    )?;
    let backlog = |row: &Row<'_>| {
        Ok(Backlog {
            handler: String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned(),
            events: row.get::<_, i64>(1)?.unsigned_abs(),
            bytes: row.get::<_, f64>(2)? as u64,
            oldest: from_millis(row.get(3)?),
            expires: from_millis(row.get(4)?),
        })
    };
    let rows = select.query_map([], backlog)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn origin_code(origin: Origin) -> i64 {
    match origin {
        Origin::Publisher => 0,
        Origin::Handler => 1,
        Origin::Host => 2,
    }
}

fn origin_of(code: i64) -> Option<Origin> {
    match code {
        0 => Some(Origin::Publisher),
        1 => Some(Origin::Handler),
        2 => Some(Origin::Host),
        _ => None,
    }
}
