//! The durable store: one SQLite database in the data directory, with one thread that writes to it (D2).
//!
//! Events, what is owed of them, marks against repetition, dead letters and what plugins keep are in the same database, so
//! that what belongs together is committed together: an acknowledgement, what the handler published, and what it wrote.
//! An answer means that it is on the disk.

mod deliveries;
mod error;
mod file;
mod letters;
mod pairs;
mod schema;
#[cfg(test)]
mod tests;
mod time;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use crate::delivery::{DeadLetter, DeadLetterId};
use crate::key_value::{KeyValueCaps, KeyValueError, KeyValueWrite};
pub use deliveries::Backlog;
pub(crate) use deliveries::{DeliveryId, NewEvent, Page, Stored, StoredDelivery};
pub use error::StoreError;
use file::DataDirectory;
use writer::Writer;

/// How long a handler is not given the same (source, id) again: 24 h (D6).
pub(crate) const REPEATED: Duration = Duration::from_secs(24 * 3600);

/// The store of a data directory. Closed, with all that was handed to it written, when the last handle is dropped.
pub struct DurableStore {
    // In the order of closing: the log is folded into the database by whoever closes it last.
    reader: Writer,
    writer: Writer,
    directory: DataDirectory,
}

/// How an attempt at a delivery ended, and all that is to be committed with it.
#[derive(Debug, Default)]
pub(crate) struct Settlement {
    /// Which one, and what becomes of it; none where the handler is not durable.
    pub(crate) delivery: Option<(DeliveryId, Verdict)>,
    /// What the handler published, for handlers that are durable.
    pub(crate) outbox: Vec<NewEvent>,
    /// What the plugin wrote to its key-value store.
    pub(crate) writes: Option<PluginWrites>,
    /// Other dead letters that come of it.
    pub(crate) letters: Vec<DeadLetter>,
}

/// What becomes of a delivery.
#[derive(Debug)]
pub(crate) enum Verdict {
    Done,
    Retry { attempts: u32, due: SystemTime },
    Dead(Box<DeadLetter>),
}

/// What one call of a plugin wrote to its key-value store.
#[derive(Clone, Debug)]
pub(crate) struct PluginWrites {
    pub(crate) plugin: String,
    pub(crate) writes: Vec<KeyValueWrite>,
    pub(crate) caps: KeyValueCaps,
}

/// What a settlement came to.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Of each event of the outbox, for each of its handlers.
    pub(crate) outbox: Vec<Vec<Stored>>,
    /// The id of each dead letter, that of the delivery first.
    pub(crate) letters: Vec<DeadLetterId>,
    /// The delivery was settled before, so nothing was done now.
    pub(crate) gone: bool,
}

impl DurableStore {
    /// Opens the store of a data directory, which is made if it is not there. Blocks: for the check of what is there, some
    /// seconds a GiB.
    ///
    /// # Errors
    /// When another process has the directory, the database is damaged, of a newer Palisade or of something else, or the
    /// disk fails.
    pub fn open(directory: &Path) -> Result<Arc<Self>, StoreError> {
        let directory = DataDirectory::open(directory)?;
        let db = directory.connect()?;
        let reader = directory.reader()?;
        let failed = |error: std::io::Error| StoreError::Failed(format!("no thread for the store: {error}"));
        Ok(Arc::new(Self {
            writer: Writer::start("palisade-store", db).map_err(failed)?,
            reader: Writer::start("palisade-store-reader", reader).map_err(failed)?,
            directory,
        }))
    }

    /// D1: returns when the event and what is owed of it are on the disk. `then` hears of it on the writer's thread, in the
    /// order of the commits.
    pub(crate) async fn append(
        &self,
        new: NewEvent,
        then: impl FnOnce(&Result<Vec<Stored>, StoreError>) + Send + 'static,
    ) -> Result<Vec<Stored>, StoreError> {
        let work = move |db: &Connection| deliveries::append(db, &new, SystemTime::now(), REPEATED);
        self.writer.run_then(work, then).await
    }

    /// D2: the end of an attempt, what it published and what it wrote, all of it or nothing.
    pub(crate) async fn settle(
        &self,
        settlement: Settlement,
        then: impl FnOnce(&Result<Settled, StoreError>) + Send + 'static,
    ) -> Result<Settled, StoreError> {
        self.writer.run_then(move |db| settle(db, &settlement), then).await
    }

    /// Deliveries of one handler after that one, the oldest first. `then` sees them on the writer's thread: no commit that
    /// comes later is told of before.
    pub(crate) async fn load(
        &self,
        handler: String,
        after: DeliveryId,
        (events, bytes): (usize, usize),
        then: impl FnOnce(&Result<Page, StoreError>) + Send + 'static,
    ) -> Result<Page, StoreError> {
        let work = move |db: &Connection| deliveries::load(db, &handler, after, events, bytes);
        self.writer.run_then(work, then).await
    }

    /// What is owed, by handler; those included that are gone (D9).
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn backlogs(&self) -> Result<Vec<Backlog>, StoreError> {
        self.reader.run(deliveries::backlogs).await
    }

    /// How many bytes the database has on the disk.
    pub fn size(&self) -> u64 {
        self.directory.size()
    }

    /// Forgets which events were given to whom longer ago than they are told apart.
    pub(crate) async fn forget(&self, now: SystemTime) -> Result<(), StoreError> {
        let before = now.checked_sub(REPEATED).unwrap_or(SystemTime::UNIX_EPOCH);
        while self.writer.run(move |db| deliveries::forget_seen(db, before)).await? {}
        Ok(())
    }
}

fn settle(db: &Connection, settlement: &Settlement) -> Result<Settled, StoreError> {
    let mut settled = Settled::default();
    match &settlement.delivery {
        None => {}
        Some((id, Verdict::Retry { attempts, due })) => deliveries::retry(db, *id, *attempts, *due)?,
        Some((id, verdict)) => {
            if !deliveries::remove(db, *id)? {
                settled.gone = true;
                return Ok(settled);
            }
            if let Verdict::Dead(letter) = verdict {
                settled.letters.push(letters::put(db, letter)?);
            }
        }
    }
    if let Some(PluginWrites { plugin, writes, caps }) = &settlement.writes {
        pairs::commit(db, plugin, writes, *caps)?
            .map_err(|error: KeyValueError| StoreError::Failed(error.to_string()))?;
    }
    for event in &settlement.outbox {
        settled
            .outbox
            .push(deliveries::append(db, event, SystemTime::now(), REPEATED)?);
    }
    for letter in &settlement.letters {
        settled.letters.push(letters::put(db, letter)?);
    }
    Ok(settled)
}
