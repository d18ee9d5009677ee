//! Keeping the cache within its size.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::entry::EXTENSION;
use super::file::UNFINISHED;

/// A file that nobody has finished for so long belongs to a process that has died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Removes the least recently used entries until the others, but for the one of this name, have at most `max` bytes.
pub(super) fn make(directory: &Path, but_for: &str, max: u64) -> io::Result<()> {
    let mut entries = Vec::new();
    for file in fs::read_dir(directory)? {
        let file = file?;
        // One that is gone meanwhile takes no room.
        let Ok(found) = file.metadata() else { continue };
        let (name, path) = (file.file_name(), file.path());
        let name = name.to_string_lossy();
        if name.starts_with(UNFINISHED) && is_abandoned(&found) {
            let _ = fs::remove_file(path);
        } else if name.ends_with(EXTENSION) && name != but_for {
            entries.push((used(&found), found.len(), path));
        }
    }
    remove_oldest(entries, max)
}

fn remove_oldest(mut entries: Vec<(SystemTime, u64, PathBuf)>, max: u64) -> io::Result<()> {
    entries.sort();
    let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, path) in entries {
        if bytes <= max {
            break;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => bytes = bytes.saturating_sub(size),
        }
    }
    Ok(())
}

fn used(file: &Metadata) -> SystemTime {
    file.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn is_abandoned(file: &Metadata) -> bool {
    used(file).elapsed().is_ok_and(|age| age > ABANDONED)
}
