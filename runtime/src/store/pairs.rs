//! What plugins keep in the store (S12). Triggers of the schema keep count of how much that is.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::delivery::{PluginWrites, StoreError};
use crate::key_value::{KeyPage, KeyPageLimits, KeyValueUsage, KeyValueWrite};

pub(super) fn get(db: &Connection, plugin: &str, key: &str) -> Result<Option<Bytes>, StoreError> {
    let mut select = db.prepare_cached("SELECT value FROM pair WHERE plugin = ?1 AND key = ?2")?;
    let value: Option<Vec<u8>> = select.query_row([plugin, key], |row| row.get(0)).optional()?;
    Ok(value.map(Bytes::from))
}

pub(super) fn size(db: &Connection, plugin: &str, key: &str) -> Result<Option<usize>, StoreError> {
    let mut select = db.prepare_cached("SELECT octet_length(value) FROM pair WHERE plugin = ?1 AND key = ?2")?;
    let size: Option<i64> = select.query_row([plugin, key], |row| row.get(0)).optional()?;
    Ok(size.map(count))
}

pub(super) fn list(
    db: &Connection,
    plugin: &str,
    after: Option<&str>,
    page: KeyPageLimits,
) -> Result<KeyPage, StoreError> {
    let mut select =
        db.prepare_cached("SELECT key FROM pair WHERE plugin = ?1 AND (?2 IS NULL OR key > ?2) ORDER BY key")?;
    let mut rows = select.query(params![plugin, after])?;
    let (mut found, mut bytes) = (KeyPage::default(), 0);
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        if !page.has_room(found.keys.len(), bytes, &key) {
            found.more = true;
            break;
        }
        bytes += key.len();
        found.keys.push(key);
    }
    Ok(found)
}

pub(super) fn usage(db: &Connection, plugin: &str) -> Result<KeyValueUsage, StoreError> {
    let mut select = db.prepare_cached("SELECT keys, bytes FROM usage WHERE plugin = ?1")?;
    let usage = select
        .query_row([plugin], |row| {
            Ok(KeyValueUsage {
                keys: count(row.get(0)?),
                bytes: count(row.get(1)?),
            })
        })
        .optional()?;
    Ok(usage.unwrap_or_default())
}

/// All of them; on an error the caller undoes what was done.
pub(super) fn commit(db: &Connection, made: &PluginWrites) -> Result<(), StoreError> {
    let PluginWrites { plugin, writes, caps } = made;
    let before = usage(db, plugin)?;
    for KeyValueWrite { key, value } in writes {
        match value {
            Some(value) => db
                .prepare_cached(
                    "INSERT INTO pair VALUES (?1, ?2, ?3) ON CONFLICT (plugin, key) DO UPDATE SET value = excluded.value",
                )?
                .execute(params![plugin, key, &**value])?,
            None => db
                .prepare_cached("DELETE FROM pair WHERE plugin = ?1 AND key = ?2")?
                .execute([plugin, key.as_str()])?,
        };
    }
    Ok(caps.check(before, usage(db, plugin)?)?)
}

pub(super) fn purge(db: &Connection, plugin: &str) -> Result<KeyValueUsage, StoreError> {
    let purged = usage(db, plugin)?;
    db.execute("DELETE FROM pair WHERE plugin = ?1", [plugin])?;
    db.execute("DELETE FROM usage WHERE plugin = ?1", [plugin])?;
    Ok(purged)
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
