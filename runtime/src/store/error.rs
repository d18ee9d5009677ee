//! What SQLite's errors are in the words of the store.

use std::io::{self, ErrorKind};

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::delivery::{DeadLetterError, StoreError};

impl From<rusqlite::Error> for StoreError {
    /// Called where the error came up: the system's last error is still the one behind it.
    fn from(error: rusqlite::Error) -> Self {
        let behind = io::Error::last_os_error().kind();
        let words = error.to_string();
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(words),
            // There was no room for SQLite's shared memory.
            _ if extended == Some(SQLITE_IOERR_SHMSIZE) => Self::Full(words),
            // A file system that finds out late, or a quota.
            Some(ErrorCode::SystemIoFailure) if matches!(behind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                Self::Full(words)
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                tracing::error!(error = words, "the database of the store is damaged");
                Self::Failed(format!(
                    "its database is damaged ({words}); stop this process, check the disk, and put back a copy"
                ))
            }
            _ => Self::Failed(words),
        }
    }
}

impl From<StoreError> for DeadLetterError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
