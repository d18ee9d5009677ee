//! Events that are owed to handlers: the rows, and what is done with them inside a transaction.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreError;
use super::time::{from_millis, millis};
use crate::event::{Event, EventLimits};
use crate::handler::Origin;

/// Tells deliveries apart, in the order in which they were stored; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DeliveryId(pub(super) i64);

impl DeliveryId {
    /// Before all of them.
    pub(crate) const NONE: Self = Self(0);
}

/// One event to be stored for some handlers.
#[derive(Clone, Debug)]
pub(crate) struct NewEvent {
    pub(crate) event: Event,
    pub(crate) origin: Origin,
    /// The names of the handlers that it is owed to.
    pub(crate) to: Vec<String>,
    /// Whether a handler that was given this (source, id) of late gets it again. What is sent again by an operator does.
    pub(crate) replayed: bool,
}

/// What became of an event for one handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Owed(DeliveryId),
    /// The handler was given it before (D6).
    Duplicate,
}

/// A delivery as it is in the store.
#[derive(Clone, Debug)]
pub(crate) struct StoredDelivery {
    pub(crate) id: DeliveryId,
    pub(crate) event: Event,
    pub(crate) attempts: u32,
    /// Not before this.
    pub(crate) due: SystemTime,
    pub(crate) first: SystemTime,
    pub(crate) replayed: bool,
    pub(crate) origin: Origin,
}

/// Rows of one handler, from the oldest on.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) deliveries: Vec<StoredDelivery>,
    /// Rows whose bytes are not what was written, which can't be delivered.
    pub(crate) damaged: Vec<DeliveryId>,
    /// The last row that was looked at, and whether there are rows after it.
    pub(crate) last: Option<DeliveryId>,
    pub(crate) more: bool,
}

/// How much is owed to one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Which handler.
    pub handler: String,
    /// How many events.
    pub events: u64,
    /// How many bytes they have in all.
    pub bytes: u64,
    /// Since when the oldest of them waits.
    pub oldest: SystemTime,
}

/// D1: stores an event once and a delivery for each handler; D6: not for those that were given it within `window`.
pub(super) fn append(
    db: &Connection,
    new: &NewEvent,
    now: SystemTime,
    window: Duration,
) -> Result<Vec<Stored>, StoreError> {
    let mut stored = Vec::with_capacity(new.to.len());
    let mut event = None;
    for handler in &new.to {
        if !new.replayed && is_repeated(db, handler, &new.event, now, window)? {
            stored.push(Stored::Duplicate);
            continue;
        }
        let event = match event {
            Some(event) => event,
            None => *event.insert(insert_event(db, &new.event)?),
        };
        let mut insert = db.prepare_cached(
            "INSERT INTO delivery (event, handler, attempts, due, first, replayed, origin) VALUES (?1, ?2, 0, 0, ?3, ?4, ?5)",
        )?;
        insert.execute(params![
            event,
            handler,
            millis(now),
            new.replayed,
            origin_code(new.origin)
        ])?;
        stored.push(Stored::Owed(DeliveryId(db.last_insert_rowid())));
    }
    Ok(stored)
}

fn insert_event(db: &Connection, event: &Event) -> Result<i64, StoreError> {
    let json = event.to_json();
    let mut insert = db.prepare_cached("INSERT INTO event (json, sum) VALUES (?1, ?2)")?;
    insert.execute(params![json.as_bytes(), sum(json.as_bytes())])?;
    Ok(db.last_insert_rowid())
}

/// Marks the event as given to the handler; whether it was marked before, and not too long ago.
fn is_repeated(
    db: &Connection,
    handler: &str,
    event: &Event,
    now: SystemTime,
    window: Duration,
) -> Result<bool, StoreError> {
    let since = millis(now.checked_sub(window).unwrap_or(SystemTime::UNIX_EPOCH));
    let mut mark = db.prepare_cached(
        "INSERT INTO seen (handler, source, id, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (handler, source, id) DO UPDATE SET at = excluded.at WHERE at < ?5",
    )?;
    Ok(mark.execute(params![handler, event.source(), event.id(), millis(now), since])? == 0)
}

/// Forgets marks that are older than the window, some at a time; says whether there may be more.
pub(super) fn forget_seen(db: &Connection, before: SystemTime) -> Result<bool, StoreError> {
    const AT_A_TIME: usize = 1000;
    let mut delete = db.prepare_cached(
        "DELETE FROM seen WHERE (handler, source, id) IN (SELECT handler, source, id FROM seen WHERE at < ?1 LIMIT ?2)",
    )?;
    Ok(delete.execute(params![millis(before), AT_A_TIME as i64])? == AT_A_TIME)
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

/// D3: the next attempt, and how many there were.
pub(super) fn retry(db: &Connection, id: DeliveryId, attempts: u32, due: SystemTime) -> Result<(), StoreError> {
    let mut update = db.prepare_cached("UPDATE delivery SET attempts = ?2, due = ?3 WHERE id = ?1")?;
    update.execute(params![id.0, attempts, millis(due)])?;
    Ok(())
}

/// Deliveries of one handler after that one, the oldest first, as many as both limits allow but always one.
pub(super) fn load(
    db: &Connection,
    handler: &str,
    after: DeliveryId,
    events: usize,
    bytes: usize,
) -> Result<Page, StoreError> {
    let mut select = db.prepare_cached(
        "SELECT d.id, d.attempts, d.due, d.first, d.replayed, d.origin, e.json, e.sum
         FROM delivery d JOIN event e ON e.id = d.event WHERE d.handler = ?1 AND d.id > ?2 ORDER BY d.id",
    )?;
    let mut rows = select.query(params![handler, after.0])?;
    let (mut page, mut taken) = (Page::default(), 0_usize);
    while let Some(row) = rows.next()? {
        if page.deliveries.len() >= events || (taken >= bytes && !page.deliveries.is_empty()) {
            page.more = true;
            break;
        }
        let id = DeliveryId(row.get(0)?);
        page.last = Some(id);
        match stored(id, row)? {
            Some(delivery) => {
                taken = taken.saturating_add(delivery.event.size_bytes());
                page.deliveries.push(delivery);
            }
            None => page.damaged.push(id),
        }
    }
    Ok(page)
}

/// None if it is damaged.
fn stored(id: DeliveryId, row: &Row<'_>) -> Result<Option<StoredDelivery>, StoreError> {
    let Some(event) = event_of(row.get_ref(6)?.as_bytes().ok(), row.get(7)?) else {
        return Ok(None);
    };
    Ok(Some(StoredDelivery {
        id,
        event,
        attempts: row.get(1)?,
        due: from_millis(row.get(2)?),
        first: from_millis(row.get(3)?),
        replayed: row.get(4)?,
        origin: origin_of(row.get(5)?),
    }))
}

/// What is owed, by handler.
pub(super) fn backlogs(db: &Connection) -> Result<Vec<Backlog>, StoreError> {
    let mut select = db.prepare_cached(
        "SELECT d.handler, count(*), sum(octet_length(e.json)), min(d.first)
         FROM delivery d JOIN event e ON e.id = d.event GROUP BY d.handler ORDER BY d.handler",
    )?;
    let backlog = |row: &Row<'_>| {
        Ok(Backlog {
            handler: row.get(0)?,
            events: row.get::<_, i64>(1)?.unsigned_abs(),
            bytes: row.get::<_, i64>(2)?.unsigned_abs(),
            oldest: from_millis(row.get(3)?),
        })
    };
    let rows = select.query_map([], backlog)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The event of these bytes, if they are the ones that were written. It was within the limits then.
pub(super) fn event_of(json: Option<&[u8]>, written: i64) -> Option<Event> {
    let json = json.filter(|json| sum(json) == written)?;
    Event::from_json(json, &EventLimits::unlimited()).ok()
}

/// Tells damaged bytes from those that were written.
pub(super) fn sum(bytes: &[u8]) -> i64 {
    let hash = blake3::hash(bytes);
    let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    i64::from_le_bytes(first)
}

fn origin_code(origin: Origin) -> i64 {
    match origin {
        Origin::Publisher => 0,
        Origin::Handler => 1,
        Origin::Host => 2,
    }
}

fn origin_of(code: i64) -> Origin {
    match code {
        1 => Origin::Handler,
        2 => Origin::Host,
        _ => Origin::Publisher,
    }
}
