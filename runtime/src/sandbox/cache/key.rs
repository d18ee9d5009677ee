//! The key that entries are authenticated with.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::file::{open_own, place, read};

const NAME: &str = "key";
const BYTES: usize = 32;

pub(super) type Key = [u8; BYTES];

/// The key of a directory, made if there is none. One that others could have read, or that is none, is replaced: all entries
/// are then compiled anew.
pub(super) fn open(directory: &Path, owner: u32) -> io::Result<Key> {
    match existing(directory, owner) {
        Ok(key) => return Ok(key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let path = directory.join(NAME);
            tracing::warn!(
                "the key of the cache, {}, is replaced by a new one: {error}",
                path.display()
            );
            fs::remove_file(path)?;
        }
    }
    let mut key = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    if place(directory, NAME, &key)? {
        return Ok(key);
    }
    // Another process was faster, and its key is as good.
    existing(directory, owner)
}

fn existing(directory: &Path, owner: u32) -> io::Result<Key> {
    let bytes = read(&open_own(&directory.join(NAME), owner)?, BYTES as u64)?;
    Key::try_from(bytes).map_err(|_| io::Error::other("it is shorter than a key"))
}
