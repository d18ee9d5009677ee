//! Opening a data directory: who may, what has to hold, and what is refused.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, schema};

/// The database's name in the data directory.
const DATABASE: &str = "palisade.db";
/// What a process holds as long as it has the directory.
const LOCK: &str = "palisade.lock";

/// A data directory that is this process's alone until it is dropped.
pub(super) struct DataDirectory {
    database: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes it, 0700, if it is not there, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |what: &str, error: std::io::Error| {
            StoreError::Failed(format!("{what} {}: {error} (data-dir)", path.display()))
        };
        if !path.is_dir() {
            let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
            made.map_err(|error| failed("can't make", error))?;
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(|error| failed("can't write to", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed("can't lock", error)),
        }
        Ok(Self {
            database: path.join(DATABASE),
            _lock: lock,
        })
    }

    /// The database, checked and up to date.
    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        let path = &self.database;
        if !path.exists() {
            // SQLite would make it readable to all whom the umask lets.
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            made.map_err(|error| StoreError::Failed(format!("can't make {}: {error} (data-dir)", path.display())))?;
        }
        let mut db = self.open_checked()?;
        schema::migrate(&mut db, path)?;
        Ok(db)
    }

    /// Another one, for what only reads.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        let db = Connection::open_with_flags(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.execute_batch("PRAGMA query_only = ON;")?;
        Ok(db)
    }

    fn open_checked(&self) -> Result<Connection, StoreError> {
        let path = &self.database;
        let corrupt = |what: String| StoreError::Corrupt {
            path: path.clone(),
            what,
        };
        let by_kind = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                corrupt(error.to_string())
            }
            _ => StoreError::from(error),
        };
        let db = Connection::open(path).map_err(by_kind)?;
        // FULL: a commit is on the disk when it returns. Foreign keys and cell checks find what a bug or a bad disk did.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;
             PRAGMA journal_size_limit = 67108864;",
        )
        .map_err(by_kind)?;
        let found: String = db
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(by_kind)?;
        if found != "ok" {
            return Err(corrupt(found));
        }
        Ok(db)
    }

    /// How many bytes the database takes on the disk, its log included.
    pub(super) fn size(&self) -> u64 {
        let log = self.database.with_extension("db-wal");
        [&self.database, &log]
            .into_iter()
            .filter_map(|path| fs::metadata(path).ok())
            .map(|found| found.len())
            .sum()
    }
}
