//! The cache of machine code (S10, H38).
//!
//! An entry holds what one component was compiled to for one engine by one version of Palisade, and what its `describe`
//! answered; what its core modules ask for is there, too, so that they need not be read again. Machine code runs with no sandbox around it, so an entry is believed only if its authentication code is right:
//! a hash of its name and all that is in it, keyed with 32 random bytes that lie beside the entries. The directory (0700) and
//! the key (0600) are the user's own; whoever can read or write these could just as well replace the program. Whatever does
//! not check out is compiled anew and replaced. No error in here stops a plugin from being loaded.

mod directory;
mod entry;
mod file;
mod info;
mod key;
mod room;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use crate::plugin::PluginInfo;
use crate::sandbox::needs::ModuleNeeds;
use directory::Directory;
pub(crate) use entry::EntryName;
pub(crate) use entry::Found;

/// The cache of a runtime. Nothing is read or made before the first plugin is loaded.
pub(crate) struct Cache {
    path: PathBuf,
    max_bytes: u64,
    opened: OnceLock<Option<Directory>>,
}

impl Cache {
    pub(crate) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self {
            path,
            max_bytes,
            opened: OnceLock::new(),
        }
    }

    /// What is kept under this name. An entry that is there and does not check out is told in the log.
    pub(crate) fn find(&self, name: &EntryName) -> Option<Found> {
        let directory = self.opened()?;
        let found = file::open_own(&directory.path.join(name.file()), directory.owner)
            .and_then(|file| Ok((file::read(&file, self.max_bytes)?, file)));
        match found {
            Ok((bytes, file)) => match entry::read(&directory.key, name, &bytes.into()) {
                Ok(found) => {
                    used_now(&file);
                    Some(found)
                }
                Err(why) => {
                    self.reject(name, why);
                    None
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.reject(name, &error.to_string());
                None
            }
        }
    }

    /// Says that an entry is not used, and why. It is replaced when its plugin has been loaded.
    pub(crate) fn reject(&self, name: &EntryName, why: &str) {
        tracing::warn!(
            entry = %self.path.join(name.file()).display(),
            "an entry of the cache is not used, and its component is compiled anew: {why}"
        );
    }

    /// Keeps machine code, what its plugin says of itself and what its modules ask for, unless there is no room for it.
    pub(crate) fn keep(&self, name: &EntryName, artifact: &[u8], info: &PluginInfo, needs: ModuleNeeds) {
        let Some(directory) = self.opened() else { return };
        let entry = entry::write(&directory.key, name, artifact, info, needs);
        let length = entry.len() as u64;
        if length > self.max_bytes {
            tracing::warn!(
                bytes = length,
                "a compiled component is not kept: it is larger than the whole cache may be (cache-size)"
            );
            return;
        }
        let kept = room::make(&directory.path, name.file(), self.max_bytes - length)
            .and_then(|()| file::replace(&directory.path, name.file(), &entry));
        if let Err(error) = kept {
            warn_unusable(&self.path, "a compiled component can't be kept in", &error);
        }
    }

    fn opened(&self) -> Option<&Directory> {
        let open = || {
            Directory::open(&self.path)
                .inspect_err(|error| warn_unusable(&self.path, "there is no cache of compiled components in", error))
                .ok()
        };
        self.opened.get_or_init(open).as_ref()
    }
}

/// The least recently used entries go first. That the time can't be set makes this one look older than it is.
fn used_now(file: &File) {
    let _ = file.set_modified(SystemTime::now());
}

fn warn_unusable(path: &Path, what: &str, error: &io::Error) {
    tracing::warn!(
        "{what} {}: {error}; plugins start more slowly without it (cache-dir names another directory, false turns it off)",
        path.display()
    );
}
