//! Opening a data directory: who may, what has to hold, and what is refused.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::log_file::{self, LogFile};
use super::{entry, openness, schema};
use crate::delivery::StoreError;

/// The database's name in the data directory.
const DATABASE: &str = "palisade.db";
/// What a process holds as long as it has the directory.
const LOCK: &str = "palisade.lock";

/// More than there are different statements.
const STATEMENTS: usize = 64;

/// What SQLite has beside the database, and opens by itself.
const BESIDE: [&str; 3] = ["palisade.db-wal", "palisade.db-shm", "palisade.db-journal"];

/// Whether there is a database in the directory, or what has its name.
pub(super) fn is_in(directory: &Path) -> bool {
    fs::symlink_metadata(directory.join(DATABASE)).is_ok()
}

/// A data directory that is this process's alone, until the lock is dropped.
pub(super) struct DataDirectory {
    pub(super) database: PathBuf,
    pub(super) lock: File,
    vfs: Option<&'static str>,
}

impl DataDirectory {
    /// Makes it, 0700, if it is not there, and locks it. `vfs` is SQLite's way to the disk, where it is not the usual one.
    pub(super) fn open(path: &Path, vfs: Option<&'static str>) -> Result<Self, StoreError> {
        let failed = |what: &str, error: io::Error| {
            StoreError::Failed(format!("can't {what} {}: {error} (data-dir)", path.display()))
        };
        if !path.is_dir() {
            make(path).map_err(|error| failed("make", error))?;
        }
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(false).mode(0o600);
        let lock = entry::open(&path.join(LOCK), &mut how)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
        let database = path.join(DATABASE);
        if !entry::is_file(&database)? {
            make_database(path, &database).map_err(|error| failed("make a database in", error))?;
        }
        for name in BESIDE {
            entry::is_file(&path.join(name))?;
        }
        openness::warn(path, &database);
        Ok(Self { database, lock, vfs })
    }

    /// The database, checked and up to date, for the one who writes. It grows to about so many bytes and no further.
    pub(super) fn connect(&self, max_bytes: u64) -> Result<Connection, StoreError> {
        let path = self.log();
        let log = LogFile::read(&path)?;
        let mut db = self.open_checked()?;
        let taken_up = log_file::taken_up(&db)?;
        schema::migrate(&mut db, &self.database)?;
        let page_size: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = (max_bytes / page_size.unsigned_abs().max(1)).clamp(1, u64::from(u32::MAX - 1));
        db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        if let Some(log) = log {
            let owed: i64 = db.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0))?;
            log.report(&path, taken_up, owed.unsigned_abs());
        }
        Ok(db)
    }

    /// Another one, for what only reads.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        let db = self.open_with(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.execute_batch("PRAGMA query_only = ON;")?;
        Ok(db)
    }

    fn open_checked(&self) -> Result<Connection, StoreError> {
        let by_kind = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => self.corrupt(error.to_string()),
            _ => StoreError::from(error),
        };
        let db = self.open_with(OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(by_kind)?;
        let mode: String = db
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .map_err(by_kind)?;
        if mode != "wal" {
            let path = self.database.display();
            return Err(StoreError::Failed(format!(
                "{path} can't have a write-ahead log, only {mode}; data-dir has to be on a local disk"
            )));
        }
        // FULL: a commit is on the disk when it returns. Foreign keys and cell checks find what a bug or a bad disk did. The
        // log is folded into the database at 16 MiB: most of what is in it then has come and gone.
        db.execute_batch(
            "PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;
             PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000;",
        )
        .map_err(by_kind)?;
        let found: String = db
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(by_kind)?;
        if found != "ok" {
            return Err(self.corrupt(found));
        }
        Ok(db)
    }

    fn open_with(&self, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = match self.vfs {
            None => Connection::open_with_flags(&self.database, flags)?,
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.database, flags, vfs)?,
        };
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(db)
    }

    fn corrupt(&self, what: String) -> StoreError {
        StoreError::Corrupt {
            path: self.database.clone(),
            what,
        }
    }

    fn log(&self) -> PathBuf {
        log_of(&self.database)
    }
}

/// How many bytes a database takes on the disk, its log included.
pub(super) fn size_of(database: &Path) -> u64 {
    size(database) + size(&log_of(database))
}

fn log_of(database: &Path) -> PathBuf {
    database.with_extension("db-wal")
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))
}

/// SQLite would make it readable to all whom the umask lets.
fn make_database(directory: &Path, database: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(database)?;
    sync(directory)
}

/// A name in a directory is on the disk when the directory is.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
