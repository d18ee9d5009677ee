//! The durable store: one SQLite database in the data directory, with one thread that writes to it (D2).
//!
//! Events, what is owed of them, marks against repetition, dead letters and what plugins keep are in the same database, so
//! that what belongs together is committed together: an acknowledgement, what the handler published, and what it wrote.
//! An answer means that it is on the disk.

mod dead_letter_store;
mod deliveries;
mod delivery_store;
mod entry;
mod error;
mod file;
mod key_value_store;
mod letters;
mod log_file;
mod openness;
mod options;
mod orphans;
mod pairs;
mod record;
mod redrive;
mod schema;
mod schema_check;
mod settle;
#[cfg(test)]
mod tests;
mod time;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::delivery::{Backlog, StoreError};
use file::DataDirectory;
pub use options::StoreOptions;
use worker::Worker;

/// Keeps durable deliveries, dead letters and the key-value pairs of plugins in a database on the disk.
///
/// It is for [`RuntimeBuilder::store`](crate::RuntimeBuilder::store); by itself it shows and mends what a process that has
/// ended left behind. A clone is another handle to the same store. The drop of the last one closes it, and blocks: all that was
/// handed to it is written then, and the directory is free.
///
/// ```
/// use palisade::{DeliveryMode, DurableStore, Event, EventOrder, Runtime, StoreOptions, SubscribeOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let data = directory.path();
/// # let event = Event::builder("order.paid", "/shop").json(&1).build()?;
/// # async fn bill(_: &Event) -> Result<(), palisade::Failure> { Ok(()) }
/// let store = DurableStore::open(data, StoreOptions::default())?; // blocks; locked until `shutdown`
/// let runtime = Runtime::builder().store(store).build()?;
/// let durable = SubscribeOptions::default().mode(DeliveryMode::Durable).ordering(EventOrder::Key("partitionkey".into()));
/// runtime.subscribe_with(&["order.*"], "billing", durable, |cx| async move { bill(&cx.event).await })?;
/// runtime.announce().await; // from here on it is looked after what is owed to handlers that are gone
/// runtime.publish_async(event).await?; // returns after the fsync; `publish_batch` shares one among many
/// # runtime.quiet().await;
/// # let drained = runtime.shutdown(std::time::Duration::from_secs(5)).await;
/// # assert_eq!(drained.kept, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DurableStore(Arc<Inner>);

struct Inner {
    /// It ends before the writer does, who waits for it.
    reader: Worker,
    writer: Worker,
    database: PathBuf,
    options: StoreOptions,
}

impl DurableStore {
    /// Opens the store of a data directory, which is made if it is not there. Blocks: for the check of what is there, some
    /// seconds a GiB. The log warns of a directory or a database that others may write to.
    ///
    /// # Errors
    /// When another process has the directory, the database is damaged, of a newer Palisade or of something else, or no plain
    /// file under one name, or the disk fails.
    pub fn open(directory: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Self::open_by(directory, options, None)
    }

    fn open_by(directory: &Path, options: StoreOptions, vfs: Option<&'static str>) -> Result<Self, StoreError> {
        let directory = DataDirectory::open(directory, vfs)?;
        let db = directory.connect(options.max_bytes)?;
        let (read, reader_ended) = std::sync::mpsc::channel::<()>();
        let reader = Worker::start("palisade-store-reader", directory.reader()?, move |db| {
            close(db);
            drop(read);
        })?;
        let DataDirectory { database, lock, .. } = directory;
        let writer = Worker::start("palisade-store", db, move |db| {
            // Whoever closes the database last folds the log into it, and a reader can't. An error says that it has ended.
            let _ = reader_ended.recv();
            close(db);
            drop(lock);
        })?;
        Ok(Self(Arc::new(Inner {
            reader,
            writer,
            database,
            options,
        })))
    }

    /// Whether a directory has a store, which [`open`](Self::open) would make otherwise. Nothing is locked or made by asking.
    pub fn is_in(directory: &Path) -> bool {
        file::is_in(directory)
    }

    /// What is owed, by handler, the handlers that are gone included.
    ///
    /// # Errors
    /// When the disk fails, or the store is closed.
    pub async fn backlogs(&self) -> Result<Vec<Backlog>, StoreError> {
        self.0.reader.run(deliveries::backlogs).await
    }

    /// How many dead letters have made room for newer ones since the database was made.
    ///
    /// # Errors
    /// When the disk fails, or the store is closed.
    pub async fn evicted_dead_letters(&self) -> Result<u64, StoreError> {
        self.0.reader.run(letters::evicted).await
    }

    /// How many bytes the database has on the disk, its log included.
    pub fn size(&self) -> u64 {
        file::size_of(&self.0.database)
    }
}

impl Inner {
    fn end(&self) {
        self.reader.end();
        self.writer.end();
    }
}

impl Drop for Inner {
    /// Waits for what was handed over, but not on a thread of the store's own: that one goes on and ends by itself.
    fn drop(&mut self) {
        self.end();
        if !self.writer.is_here() && !self.reader.is_here() {
            self.writer.join();
            self.reader.join();
        }
    }
}

impl std::fmt::Debug for DurableStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DurableStore")
            .field("database", &self.0.database)
            .finish_non_exhaustive()
    }
}

fn close(db: rusqlite::Connection) {
    if let Err((_, error)) = db.close() {
        tracing::warn!(%error, "the store was not closed in order");
    }
}
