//! The tables, and how older ones become these.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::schema_check;
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
    let corrupt = |what: String| StoreError::Corrupt {
        path: path.to_owned(),
        what,
    };
    if application != APPLICATION && (tables > 0 || version > 0) {
        return Err(corrupt("it is a database of something else".to_owned()));
    }
    let known = steps.len() as i64;
    if version > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found: version,
            known,
        });
    }
    let version = usize::try_from(version).map_err(|_| corrupt(format!("its version is {version}")))?;
    let (done, left) = steps.split_at_checked(version).unwrap_or((steps, &[]));
    if let Some(what) = schema_check::difference(&transaction, done)? {
        return Err(corrupt(what));
    }
    if left.is_empty() {
        return Ok(());
    }
    for step in left {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(&format!(
        "PRAGMA user_version = {known}; PRAGMA application_id = {APPLICATION};"
    ))?;
    transaction.commit()?;
    tracing::debug!(database = %path.display(), from = version, to = known, "the store has its present schema");
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Connection {
        Connection::open(path).unwrap()
    }

    fn number(db: &Connection, query: &str) -> i64 {
        db.query_row(query, [], |row| row.get(0)).unwrap()
    }

    /// A database of version 1, with a delivery in it.
    fn first() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let mut db = open(&path);
        migrate_by(&mut db, &path, &[FIRST]).unwrap();
        db.execute_batch(
            "INSERT INTO event VALUES (1, 0, 0, x'00'); INSERT INTO delivery VALUES (5, 1, 'a', 1, 0, 0, 0, 0, 0, 0);",
        )
        .unwrap();
        (directory, path)
    }

    /// D2: a database of an earlier version is brought up to date with what is in it; once.
    #[test]
    fn d2_an_earlier_version_is_brought_up_to_date() {
        let (_directory, path) = first();
        let steps = [
            FIRST,
            "CREATE TABLE more (x INTEGER) STRICT;",
            "ALTER TABLE delivery ADD COLUMN priority INTEGER NOT NULL DEFAULT 7;",
        ];
        for _ in 0..2 {
            let mut db = open(&path);
            migrate_by(&mut db, &path, &steps).unwrap();
            assert_eq!(number(&db, "PRAGMA user_version"), 3);
            assert_eq!(number(&db, "SELECT priority FROM delivery WHERE id = 5"), 7);
        }
        let newer = migrate_by(&mut open(&path), &path, &steps[..2]).unwrap_err();
        assert!(matches!(newer, StoreError::Newer { found: 3, known: 2, .. }), "{newer}");
    }

    /// D2: a step that fails leaves the file as it was, the steps before it undone.
    #[test]
    fn d2_a_step_that_fails_leaves_the_file_as_it_was() {
        let (_directory, path) = first();
        let before = std::fs::read(&path).unwrap();
        let steps = [
            FIRST,
            "CREATE TABLE more (x INTEGER) STRICT;",
            "CREATE TABLE last (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);",
        ];
        let failed = migrate_by(&mut open(&path), &path, &steps).unwrap_err();
        assert!(failed.to_string().contains("nowhere"), "{failed}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        migrate_by(&mut open(&path), &path, &[FIRST]).unwrap();
    }
}
