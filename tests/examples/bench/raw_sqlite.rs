//! The raw side of T8: one thread with a connection, and no Palisade code.
//!
//! Publishers hand it rows and wait, it commits together what has come meanwhile, and each row is deleted in a later one of
//! these commits, as by an acknowledgement. Its rows are ours: event, delivery and mark against repetition, with the same
//! indices; what can be set is as SQLite sets it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::durable::{Load, event};

/// How many rows it takes into one commit at most.
const TOGETHER: usize = 512;

/// What it writes of an event.
#[derive(Clone, Copy)]
pub(crate) enum Rows {
    /// What we write.
    Same,
    /// The event alone.
    One,
}

enum Job {
    Append {
        id: String,
        json: String,
        stored: oneshot::Sender<i64>,
    },
    Acknowledge(i64),
}

/// How many events a second it stores and deletes.
pub(crate) async fn rate(directory: &Path, rows: Rows, load: Load) -> Result<f64> {
    let db = connect(&directory.join("raw.db"))?;
    let (jobs, waiting) = mpsc::channel(1024);
    let began = Instant::now();
    let writer = std::thread::spawn(move || write(db, waiting, rows));
    let publishing = (0..load.publishers).map(|publisher| tokio::spawn(publish(jobs.clone(), publisher, load)));
    for publisher in publishing.collect::<Vec<_>>() {
        publisher.await.context("a publisher panicked")??;
    }
    drop(jobs);
    let left = writer.join().ok().context("the writer panicked")??;
    let took = began.elapsed();
    ensure!(left == 0, "{left} events were not acknowledged");
    Ok(load.events as f64 / took.as_secs_f64())
}

async fn publish(jobs: mpsc::Sender<Job>, publisher: usize, load: Load) -> Result<()> {
    for number in 0..load.events / load.publishers {
        let event = event(publisher, number)?;
        let (stored, is_stored) = oneshot::channel();
        let (id, json) = (event.id().to_owned(), event.to_json());
        jobs.send(Job::Append { id, json, stored }).await?;
        let stored = is_stored.await?;
        let jobs = jobs.clone();
        // The handler is another task.
        tokio::spawn(async move { jobs.send(Job::Acknowledge(stored)).await.is_ok() });
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE event (id INTEGER PRIMARY KEY, accepted INTEGER, sum INTEGER, json BLOB);
         CREATE TABLE delivery (
             id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER, handler TEXT, bytes INTEGER, attempts INTEGER,
             due INTEGER, first INTEGER, expires INTEGER, replayed INTEGER, origin INTEGER
         );
         CREATE INDEX delivery_by_handler ON delivery (handler, id);
         CREATE INDEX delivery_by_event ON delivery (event);
         CREATE TABLE seen (handler TEXT, source TEXT, id TEXT, at INTEGER, PRIMARY KEY (handler, source, id))
             WITHOUT ROWID;
         CREATE INDEX seen_by_time ON seen (at);",
    )?;
    Ok(db)
}

/// Commits together what has come, until nobody has more; says how many events are left. Nobody waits for an
/// acknowledgement, so that it goes with the next row.
fn write(mut db: Connection, mut waiting: mpsc::Receiver<Job>, rows: Rows) -> Result<i64> {
    let mut batch = Vec::new();
    loop {
        let is_end = waiting.blocking_recv_many(&mut batch, TOGETHER) == 0;
        let is_awaited = batch.iter().any(|job| matches!(job, Job::Append { .. }));
        if is_awaited || is_end || batch.len() >= TOGETHER {
            commit(&mut db, &mut batch, rows)?;
        }
        if is_end {
            return Ok(db.query_row("SELECT count(*) FROM event", [], |row| row.get(0))?);
        }
    }
}

fn commit(db: &mut Connection, batch: &mut Vec<Job>, rows: Rows) -> Result<()> {
    let transaction = db.transaction()?;
    let mut answers = Vec::new();
    for job in batch.drain(..) {
        match job {
            Job::Append { id, json, stored } => answers.push((stored, append(&transaction, rows, &id, &json)?)),
            Job::Acknowledge(id) => acknowledge(&transaction, rows, id)?,
        }
    }
    transaction.commit()?;
    for (stored, id) in answers {
        let _ = stored.send(id);
    }
    Ok(())
}

fn append(db: &Connection, rows: Rows, id: &str, json: &str) -> Result<i64> {
    let insert = "INSERT INTO event (accepted, sum, json) VALUES (1, 2, ?1)";
    db.prepare_cached(insert)?.execute([json.as_bytes()])?;
    let event = db.last_insert_rowid();
    if let Rows::One = rows {
        return Ok(event);
    }
    let now = event;
    let insert = "INSERT INTO seen VALUES ('sink', '/bench', ?1, ?2) ON CONFLICT DO NOTHING";
    db.prepare_cached(insert)?.execute(params![id, now])?;
    let insert = "INSERT INTO delivery (event, handler, bytes, attempts, due, first, expires, replayed, origin)
         VALUES (?1, 'sink', 1200, 0, ?2, ?2, ?2, 0, 0)";
    db.prepare_cached(insert)?.execute([event, now])?;
    Ok(db.last_insert_rowid())
}

fn acknowledge(db: &Connection, rows: Rows, id: i64) -> Result<()> {
    let event = match rows {
        Rows::One => id,
        Rows::Same => db
            .prepare_cached("DELETE FROM delivery WHERE id = ?1 RETURNING event")?
            .query_row([id], |row| row.get(0))?,
    };
    db.prepare_cached("DELETE FROM event WHERE id = ?1")?.execute([event])?;
    Ok(())
}
