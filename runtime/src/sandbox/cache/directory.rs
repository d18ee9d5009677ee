//! The directory of the cache: ours, and nobody else's.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::file::{OTHERS, own_user};
use super::key::{self, Key};

/// An open cache.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// Our user id: all that is in here has to be its.
    pub(super) owner: u32,
    pub(super) key: Key,
}

impl Directory {
    /// Makes the directory and the key if they are not there, and refuses those that others could have touched.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let found = fs::metadata(path)?;
        if found.mode() & OTHERS != 0 {
            let mode = found.mode() & 0o777;
            let path = path.display();
            return Err(io::Error::other(format!(
                "others may enter it (mode {mode:o}): `chmod 700 {path}` keeps them out"
            )));
        }
        let owner = own_user(path)?;
        if found.uid() != owner {
            let whose = found.uid();
            return Err(io::Error::other(format!(
                "it belongs to user {whose}, not to {owner}, who runs this"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            owner,
            key: key::open(path, owner)?,
        })
    }
}
