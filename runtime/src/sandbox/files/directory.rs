//! One granted directory, as all instances of a plugin share it.
//!
//! It is opened by its path when the plugin starts, and never again until it starts anew: another plugin that may write
//! to a directory above it could put something else there, a link to anywhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::filesystem::{Dir, OpenMode};

use super::measure::{UNCOUNTABLE, measure};
use super::quota::Count;
use crate::limits::{LimitKind, Limits};
use crate::plugin::grants::{FsGrant, FsMode};
use crate::sandbox::log::{GuestLog, LogLevel};

/// How long after one notice that a limit was reached the next may come.
const NOTICES: Duration = Duration::from_secs(60);

/// Enough to reach what is in a directory; where there is no such flag it has to be readable.
#[cfg(target_os = "linux")]
pub(super) const SEARCH_ONLY: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub(super) const SEARCH_ONLY: OFlags = OFlags::empty();

/// A directory and what is counted of it.
pub(super) struct Directory {
    host: PathBuf,
    pub(super) guest: String,
    pub(super) writable: bool,
    bytes: u64,
    /// How many entries may be listed at a time.
    pub(super) entries: usize,
    count: Arc<tokio::sync::Mutex<Count>>,
    state: Mutex<State>,
    log: Arc<GuestLog>,
}

#[derive(Default)]
struct State {
    /// The directory itself, as it was when the plugin was started last.
    root: Option<Dir>,
    /// It is another one than what was counted.
    replaced: bool,
    /// Files below it that instances have open: one without a name takes room where no walk sees it.
    open: Vec<Weak<File>>,
    /// Below how many of them none is looked for that was closed.
    many: usize,
    full_told: Option<Instant>,
    listing_told: Option<Instant>,
    uncountable: bool,
}

impl Directory {
    pub(super) fn new(grant: &FsGrant, limits: &Limits, log: Arc<GuestLog>) -> Arc<Self> {
        let writable = grant.mode == FsMode::Write;
        let count = if writable {
            Count::new(limits.directory_bytes)
        } else {
            Count::unused()
        };
        Arc::new(Self {
            host: grant.host.clone(),
            guest: grant.guest.clone(),
            writable,
            bytes: limits.directory_bytes,
            entries: limits.directory_entries,
            count: Arc::new(tokio::sync::Mutex::new(count)),
            state: Mutex::default(),
            log,
        })
    }

    /// The count, to act on: whoever has it is the only one who lets the directory grow.
    pub(super) async fn count(&self) -> OwnedMutexGuard<Count> {
        let mut count = self.count.clone().lock_owned().await;
        if std::mem::take(&mut self.state().replaced) {
            count.forget();
        }
        count
    }

    /// Opens it for all instances from now on; an error names it. What was counted of another one by the same name counts
    /// no more. Blocks.
    pub(super) fn open(&self) -> Result<(), String> {
        self.opened_anew()
            .map_err(|error| format!("the granted directory {} can't be opened: {error}", self.host.display()))
    }

    fn opened_anew(&self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | SEARCH_ONLY;
        let root = File::from(rustix::fs::open(&self.host, flags, Mode::empty())?);
        let (perms, modes) = if self.writable {
            (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE)
        } else {
            (FsPerms::ReadOnly, OpenMode::READ)
        };
        let mut state = self.state();
        if let Some(before) = &state.root
            && identity(&before.dir)? != identity(&root)?
        {
            state.replaced = self.writable;
        }
        // It is used in jobs only, where blocking is allowed.
        state.root = Some(Dir::new(root, perms, modes, true));
        Ok(())
    }

    /// The directory itself; `None` before the plugin was started.
    pub(super) fn root(&self) -> Option<Dir> {
        self.state().root.clone()
    }

    /// An instance has opened a file below it.
    pub(super) fn opened(&self, file: &Arc<File>) {
        const FEW: usize = 64;
        if !self.writable {
            return;
        }
        let mut state = self.state();
        if state.open.len() >= state.many.max(FEW) {
            state.open.retain(|file| file.strong_count() > 0);
            state.many = state.open.len() * 2;
        }
        state.open.push(Arc::downgrade(file));
    }

    /// What it holds. Blocks.
    pub(super) fn measure(&self, limit: u64) -> io::Result<u64> {
        let (root, open) = {
            let state = self.state();
            let open: Vec<_> = state.open.iter().filter_map(Weak::upgrade).collect();
            (state.root.clone(), open)
        };
        let root = root.ok_or(io::ErrorKind::NotFound)?;
        let bytes = measure(&root.dir, &open, limit)?;
        self.state().uncountable = bytes == UNCOUNTABLE;
        Ok(bytes)
    }

    /// Tells the operator that the guest was told `quota` for want of room.
    pub(super) fn tell_full(&self) {
        let (told, uncountable) = {
            let mut state = self.state();
            (is_told(&mut state.full_told), state.uncountable)
        };
        let (guest, limit, key) = (&self.guest, size(self.bytes), LimitKind::DirectoryBytes);
        if told {
        } else if uncountable {
            self.tell(&format!(
                "has more below {guest} than can be counted for its limit of {limit} ({key})"
            ));
        } else {
            self.tell(&format!("has filled {guest}: its limit is {limit} ({key})"));
        }
    }

    /// The same for want of entries.
    pub(super) fn tell_listing(&self) {
        let told = is_told(&mut self.state().listing_told);
        let (guest, limit, key) = (&self.guest, self.entries, LimitKind::DirectoryEntries);
        if !told {
            self.tell(&format!(
                "has listed more than {limit} entries in a directory of {guest} ({key})"
            ));
        }
    }

    fn tell(&self, what: &str) {
        let message = format!("{} {what}", self.log.plugin());
        self.log.line(LogLevel::Warn, "palisade", &message);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it was told only just now; notes that it is told now, if not.
fn is_told(told: &mut Option<Instant>) -> bool {
    let is_told = told.is_some_and(|told| told.elapsed() < NOTICES);
    if !is_told {
        *told = Some(Instant::now());
    }
    is_told
}

/// What names the same directory for as long as it is open.
pub(super) fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A size in the largest unit that says it exactly.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(unit, _)| bytes.is_multiple_of(*unit) && bytes > 0);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(unit, name)| format!("{} {name}", bytes / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_exactly() {
        let said = [0, 1500, 16 << 10, 64 << 20, 3 << 30].map(size);
        assert_eq!(said, ["0 bytes", "1500 bytes", "16 KiB", "64 MiB", "3 GiB"]);
    }
}
