//! The store as one of key-value pairs.

use bytes::Bytes;
use rusqlite::Connection;

use super::{DurableStore, pairs};
use crate::delivery::{PluginWrites, StoreError};
use crate::handler::BoxFuture;
use crate::key_value::{
    KeyPage, KeyPageLimits, KeyValueCaps, KeyValueError, KeyValueStore, KeyValueUsage, KeyValueWrite,
};

/// What was committed is seen by every read that begins afterwards.
impl KeyValueStore for DurableStore {
    fn get<'a>(&'a self, plugin: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, KeyValueError>> {
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        Box::pin(self.read(move |db| pairs::get(db, &plugin, &key)))
    }

    fn size<'a>(&'a self, plugin: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<usize>, KeyValueError>> {
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        Box::pin(self.read(move |db| pairs::size(db, &plugin, &key)))
    }

    fn list<'a>(
        &'a self,
        plugin: &'a str,
        after: Option<&'a str>,
        page: KeyPageLimits,
    ) -> BoxFuture<'a, Result<KeyPage, KeyValueError>> {
        let (plugin, after) = (plugin.to_owned(), after.map(str::to_owned));
        Box::pin(self.read(move |db| pairs::list(db, &plugin, after.as_deref(), page)))
    }

    fn usage<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<KeyValueUsage, KeyValueError>> {
        let plugin = plugin.to_owned();
        Box::pin(self.read(move |db| pairs::usage(db, &plugin)))
    }

    fn commit<'a>(
        &'a self,
        plugin: &'a str,
        writes: Vec<KeyValueWrite>,
        caps: KeyValueCaps,
    ) -> BoxFuture<'a, Result<(), KeyValueError>> {
        let plugin = plugin.into();
        let made = PluginWrites { plugin, writes, caps };
        Box::pin(async move {
            let added = added(&made.writes);
            match self.0.writer.run(move |db| pairs::commit(db, &made)).await {
                Err(StoreError::Full(words)) => Err(self.full(words, added).await),
                committed => committed.map_err(explain),
            }
        })
    }

    fn purge<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<KeyValueUsage, KeyValueError>> {
        let plugin = plugin.to_owned();
        Box::pin(async move {
            let purged = self.0.writer.run(move |db| pairs::purge(db, &plugin)).await;
            purged.map_err(explain)
        })
    }
}

impl DurableStore {
    async fn read<T, W>(&self, work: W) -> Result<T, KeyValueError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.reader.run(work).await.map_err(explain)
    }

    /// Whether it is the store's own bound that so many bytes more run into, or the end of the disk.
    async fn full(&self, words: String, added: u64) -> KeyValueError {
        let most = self.0.options.max_bytes;
        match self.0.reader.run(size).await {
            Ok(bytes) if bytes.saturating_add(added) > most => KeyValueError::Full {
                most: usize::try_from(most).unwrap_or(usize::MAX),
            },
            _ => explain(StoreError::Full(words)),
        }
    }
}

fn explain(error: StoreError) -> KeyValueError {
    match error {
        StoreError::KeyValue(error) => error,
        other => KeyValueError::Failed(other.to_string()),
    }
}

/// How many bytes the database has.
fn size(db: &Connection) -> Result<u64, StoreError> {
    let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let size: i64 = db.query_row(size, [], |row| row.get(0))?;
    Ok(size.unsigned_abs())
}

/// By how much a database grows for them: a page or two come on top.
fn added(writes: &[KeyValueWrite]) -> u64 {
    const PAGES: usize = 4 * 4096;
    let bytes = |write: &KeyValueWrite| write.key.len() + write.value.as_ref().map_or(0, Bytes::len);
    (writes.iter().map(bytes).sum::<usize>() + PAGES) as u64
}
