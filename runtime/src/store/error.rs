//! Why the store did not do what it was asked.

use std::path::PathBuf;

/// An error of the durable store, by what can be done about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room: on the disk, or by `delivery.store-size`. Nothing of what was asked has been done; it is worth
    /// trying again when there is room.
    #[error("the store is full: {0}; free some space on the disk of data-dir, or purge dead letters")]
    Full(String),
    /// Another process has the data directory.
    #[error("{} is in use by another process; stop that one, or give this one a data-dir of its own", .0.display())]
    Locked(PathBuf),
    /// A newer Palisade has written it.
    #[error("{} has version {found} of the schema and this Palisade knows {known}; run the Palisade that wrote it, or a newer one", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The last one that is known here.
        known: i64,
    },
    /// The file is not what a store writes, or not any more.
    #[error("{} is damaged: {what}; put back a copy of it, or move it away to begin anew without what was in it", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A row of the database does not have the bytes that were written to it.
    #[error("{0} is damaged in the store: its bytes are not those that were written")]
    Damaged(String),
    /// Anything else, mostly of the disk.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let words = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(words),
            _ => Self::Failed(words),
        }
    }
}
