//! A disk whose power can be cut: what was written and not synced is then lost, or half there, as the seed says.
//!
//! It lies between SQLite and the real files. These have all that was written, as an operating system shows it to programs;
//! beside them it keeps what a disk is sure to have: each file as of its last sync, its name as of the directory's. A cut stops all writing at a chosen write, sync, truncation or removal. Then each of the changes since the last
//! sync is on the disk, is not, or is there in some of its sectors, whatever its place in the order; and [`Disk::restart`]
//! leaves just that in the files.
//!
//! That is enough, because SQLite has no other way to a file than this interface, and the store none but SQLite; whether a
//! real sync does what it says is the disk's and the file system's promise, which no test of ours could see broken. Two
//! things are taken for granted, as SQLite itself does: a write that is cut harms no bytes but its own ("powersafe
//! overwrite"), and where SQLite syncs the directory, as with the first sync of a new log, that is done.

#[allow(unsafe_code)]
mod vfs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

const SECTOR: usize = 512;

/// Lives until the process ends, as what SQLite knows of it does.
pub(super) struct Disk {
    /// What SQLite knows it by.
    pub(super) name: &'static str,
    state: Mutex<State>,
}

struct State {
    files: BTreeMap<PathBuf, TrackedFile>,
    rng: Rng,
    /// How many changes there are still until the cut.
    left: Option<u64>,
    /// What the disk has after the cut.
    remains: Option<BTreeMap<PathBuf, Option<Vec<u8>>>>,
    is_full: bool,
    syncs: BTreeMap<String, u64>,
}

/// One name in the directory.
struct TrackedFile {
    /// What a program finds under it.
    current: Option<Current>,
    /// What was found under it when the directory was last synced, if that is another file.
    former: Option<Vec<u8>>,
}

struct Current {
    /// What it was at its last sync.
    base: Vec<u8>,
    changes: Vec<Change>,
    /// Whether its name is sure to lead to it.
    is_named: bool,
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// The power is off.
pub(super) struct Off;

impl Disk {
    pub(super) fn new(seed: u64) -> &'static Self {
        let name = Box::leak(format!("power-{seed}-{}", fastrand::u64(..)).into_boxed_str());
        let state = State {
            files: BTreeMap::new(),
            rng: Rng::with_seed(seed),
            left: None,
            remains: None,
            is_full: false,
            syncs: BTreeMap::new(),
        };
        let disk = Box::leak(Box::new(Self {
            name,
            state: Mutex::new(state),
        }));
        vfs::register(disk);
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes after so many changes.
    pub(super) fn cut_after(&self, changes: u64) {
        self.state().left = Some(changes);
    }

    /// It goes now, unless it has gone.
    pub(super) fn cut(&self) {
        self.state().cut();
    }

    pub(super) fn is_off(&self) -> bool {
        self.state().remains.is_some()
    }

    /// Whether it takes no more writes, as it has no room for them.
    pub(super) fn set_full(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    fn is_full(&self) -> bool {
        self.state().is_full
    }

    /// How many syncs there were of files whose names end so.
    pub(super) fn syncs(&self, ending: &str) -> u64 {
        let state = self.state();
        let matching = state.syncs.iter().filter(|(name, _)| name.ends_with(ending));
        matching.map(|(_, syncs)| syncs).sum()
    }

    /// The files are what the disk has, and the power is on. Nobody may have them open.
    pub(super) fn restart(&self) {
        let mut state = self.state();
        state.cut();
        for (path, content) in state.remains.take().unwrap_or_default() {
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => drop(fs::remove_file(&path)),
            }
            // Shared memory is no file of a disk.
            let _ = fs::remove_file(format!("{}-shm", path.display()));
        }
        state.files.clear();
        state.left = None;
    }

    /// A file is opened, and made if it is not there.
    fn open(&self, path: &Path) {
        let mut state = self.state();
        let file = state.files.entry(path.to_owned()).or_insert_with(|| {
            let there = fs::read(path).ok();
            TrackedFile {
                current: there.map(|base| Current {
                    base,
                    changes: Vec::new(),
                    is_named: true,
                }),
                former: None,
            }
        });
        file.current.get_or_insert_with(|| Current {
            base: Vec::new(),
            changes: Vec::new(),
            is_named: false,
        });
    }

    fn change(&self, path: &Path, change: Change) -> Result<(), Off> {
        let mut state = self.state();
        if state.remains.is_some() {
            return Err(Off);
        }
        if let Some(current) = state.current(path) {
            current.changes.push(change);
        }
        state.count()
    }

    fn sync(&self, path: &Path) -> Result<(), Off> {
        let mut state = self.state();
        state.count()?;
        *state.syncs.entry(path.display().to_string()).or_default() += 1;
        let Some(current) = state.current(path) else {
            return Ok(());
        };
        current.sync();
        // SQLite syncs the directory with the first sync of a new log.
        if !current.is_named && path.extension().is_some_and(|extension| extension != "db") {
            state.files.values_mut().for_each(TrackedFile::sync_name);
        }
        Ok(())
    }

    fn remove(&self, path: &Path, sync: bool) -> Result<(), Off> {
        let mut state = self.state();
        state.count()?;
        if let Some(file) = state.files.get_mut(path)
            && let Some(Current {
                base, is_named: true, ..
            }) = file.current.take()
        {
            file.former = Some(base);
        }
        if sync {
            state.files.values_mut().for_each(TrackedFile::sync_name);
        }
        Ok(())
    }
}

impl State {
    fn current(&mut self, path: &Path) -> Option<&mut Current> {
        self.files.get_mut(path)?.current.as_mut()
    }

    fn count(&mut self) -> Result<(), Off> {
        match &mut self.left {
            Some(0) => self.cut(),
            Some(left) => *left -= 1,
            None => {}
        }
        if self.remains.is_some() { Err(Off) } else { Ok(()) }
    }

    fn cut(&mut self) {
        if self.remains.is_some() {
            return;
        }
        // How likely it is that a change is there, or half there.
        let luck = (self.rng.u8(0..=4), self.rng.u8(0..=2));
        let rng = &mut self.rng;
        let remains = self
            .files
            .iter()
            .map(|(path, file)| (path.clone(), file.remains(rng, luck)));
        self.remains = Some(remains.collect());
    }
}

impl TrackedFile {
    fn sync_name(&mut self) {
        self.former = None;
        if let Some(current) = &mut self.current {
            current.is_named = true;
        }
    }

    fn remains(&self, rng: &mut Rng, luck: (u8, u8)) -> Option<Vec<u8>> {
        match &self.current {
            Some(current) if current.is_named || rng.bool() => Some(current.remains(rng, luck)),
            // A removal, or a new file of the same name, may not have reached the directory.
            _ if rng.bool() => self.former.clone(),
            _ => None,
        }
    }
}

impl Current {
    fn sync(&mut self) {
        self.changes.drain(..).for_each(|change| change.apply(&mut self.base));
    }

    fn remains(&self, rng: &mut Rng, (whole, half): (u8, u8)) -> Vec<u8> {
        let mut content = self.base.clone();
        for change in &self.changes {
            if rng.u8(0..4) < whole {
                change.apply(&mut content);
            } else if rng.u8(0..4) < half {
                change.apply_in_part(&mut content, rng);
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => content.resize(*length, 0),
            Self::Write(at, bytes) => write(content, *at, bytes),
        }
    }

    /// Some sectors of it; the last that is written may end anywhere.
    fn apply_in_part(&self, content: &mut Vec<u8>, rng: &mut Rng) {
        let Self::Write(at, bytes) = self else { return };
        for (n, sector) in bytes.chunks(SECTOR).enumerate() {
            if rng.bool() {
                let torn = if rng.u8(0..8) == 0 {
                    rng.usize(0..=sector.len())
                } else {
                    sector.len()
                };
                write(content, at + n * SECTOR, &sector[..torn]);
            }
        }
    }
}

fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// The disk itself: without a sync a commit is lost with the power, with one it is not.
#[test]
fn h44_what_is_not_synced_is_lost_with_the_power() {
    let mut kept = BTreeMap::new();
    for (seed, synchronous) in (0..20).flat_map(|seed| [(seed, "OFF"), (seed, "FULL")]) {
        let directory = tempfile::tempdir().unwrap();
        let (path, disk) = (directory.path().join("test.db"), Disk::new(seed));
        let open = || {
            let flags = rusqlite::OpenFlags::default();
            let db = rusqlite::Connection::open_with_flags_and_vfs(&path, flags, disk.name).unwrap();
            db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
            db
        };
        let db = open();
        db.execute_batch("CREATE TABLE t (x); PRAGMA wal_checkpoint(TRUNCATE);")
            .unwrap();
        db.pragma_update(None, "synchronous", synchronous).unwrap();
        db.execute_batch("INSERT INTO t VALUES (randomblob(3000))").unwrap();
        disk.cut();
        assert!(
            db.execute_batch("INSERT INTO t VALUES (1)").is_err(),
            "the power is off"
        );
        drop(db);
        disk.restart();
        let rows: u64 = open()
            .query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
            .unwrap() as u64;
        *kept.entry(synchronous).or_insert(0) += rows;
    }
    assert_eq!(kept["FULL"], 20);
    assert!(kept["OFF"] < 20, "{kept:?}");
}
