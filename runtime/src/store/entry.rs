//! What has a name in the data directory: only plain files are touched there, and only under their one name. A named pipe
//! would be waited for for ever, and a database with two names has two locks and two logs.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::delivery::StoreError;

/// Whether there is a plain file of that name.
///
/// # Errors
/// When there is something else.
pub(super) fn is_file(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) => check(path, &found).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Opens it, and does not wait for whatever it may be.
///
/// # Errors
/// When it is no plain file, or can't be opened so.
pub(super) fn open(path: &Path, how: &mut OpenOptions) -> Result<File, StoreError> {
    is_file(path)?;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = how.custom_flags(flags.bits().cast_signed()).open(path);
    // Something else may have come in its place meanwhile.
    let file = opened.map_err(|error| failed(path, &error))?;
    let found = file.metadata().map_err(|error| failed(path, &error))?;
    check(path, &found)?;
    Ok(file)
}

fn check(path: &Path, found: &Metadata) -> Result<(), StoreError> {
    let path = path.display();
    let kind = found.file_type();
    if !kind.is_file() {
        let what = called(kind);
        return Err(StoreError::Failed(format!(
            "{path} is {what}, not a plain file; move it away, or give another data-dir"
        )));
    }
    if found.nlink() > 1 {
        return Err(StoreError::Failed(format!(
            "{path} has another name elsewhere (a hard link), by which another process could write to it; put a copy in its place"
        )));
    }
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Failed(format!("can't open {}: {error} (data-dir)", path.display()))
}

fn called(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
