//! The tables, and how older ones become these.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::delivery::StoreError;

/// "Pal1" in the header of the file: what tells a store from other SQLite databases.
const APPLICATION: i64 = 0x5061_6c31;

/// Each step leads from the version that is its place to the next. Steps are never changed once released.
const STEPS: &[&str] = &[FIRST];

/// Version 1. Times are milliseconds since 1970, but `accepted` nanoseconds; `sum` is of the JSON after it. What is long comes
/// last: SQLite reads a row from its beginning.
const FIRST: &str = "
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    accepted INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    json BLOB NOT NULL
) STRICT;
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL REFERENCES event (id),
    handler TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due INTEGER NOT NULL,
    first INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    replayed INTEGER NOT NULL,
    origin INTEGER NOT NULL
) STRICT;
CREATE INDEX delivery_by_handler ON delivery (handler, id);
CREATE INDEX delivery_by_event ON delivery (event);
CREATE TABLE seen (
    handler TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (handler, source, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_by_time ON seen (at);
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    handler TEXT,
    digest TEXT,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    json BLOB NOT NULL,
    error TEXT NOT NULL
) STRICT;
CREATE INDEX dead_letter_by_time ON dead_letter (last);
CREATE TABLE total (dead_letters INTEGER NOT NULL, evicted INTEGER NOT NULL) STRICT;
INSERT INTO total VALUES (0, 0);
CREATE TRIGGER dead_letter_added AFTER INSERT ON dead_letter BEGIN
    UPDATE total SET dead_letters = dead_letters + 1;
END;
CREATE TRIGGER dead_letter_removed AFTER DELETE ON dead_letter BEGIN
    UPDATE total SET dead_letters = dead_letters - 1;
END;
CREATE TABLE pair (
    plugin TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (plugin, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage (
    plugin TEXT PRIMARY KEY,
    keys INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER pair_added AFTER INSERT ON pair BEGIN
    INSERT INTO usage VALUES (new.plugin, 1, octet_length(new.key) + octet_length(new.value))
    ON CONFLICT (plugin) DO UPDATE SET keys = keys + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER pair_changed AFTER UPDATE ON pair BEGIN
    UPDATE usage SET bytes = bytes + octet_length(new.value) - octet_length(old.value) WHERE plugin = new.plugin;
END;
CREATE TRIGGER pair_removed AFTER DELETE ON pair BEGIN
    UPDATE usage SET keys = keys - 1, bytes = bytes - octet_length(old.key) - octet_length(old.value)
    WHERE plugin = old.plugin;
END;
";

/// Makes the tables, or brings older ones up to date, all of it or nothing.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrate_by(db, path, STEPS)
}

fn migrate_by(db: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |pragma: &str| -> Result<i64, rusqlite::Error> {
        transaction.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
    };
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (tables > 0 || version > 0) {
        let what = "it is a database of something else".to_owned();
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            what,
        });
    }
    let known = steps.len() as i64;
    if version > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found: version,
            known,
        });
    }
    for step in steps.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(&format!(
        "PRAGMA user_version = {known}; PRAGMA application_id = {APPLICATION};"
    ))?;
    transaction.commit()?;
    Ok(())
}
