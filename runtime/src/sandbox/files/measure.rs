//! What a tree holds: a walk that follows no link, and ends.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use super::quota::cost;

/// How deep a tree may be; each level is an open directory while it is walked.
pub(super) const MAX_DEPTH: usize = 128;
/// How many entries a tree may have.
const MAX_ENTRIES: usize = 1_000_000;
/// What a tree counts that is too large to walk: no limit is above it, so nothing more may be written there.
pub(super) const UNCOUNTABLE: u64 = u64::MAX;

/// Counts a tree and those of the open files that have no name any more, until it is more than the limit. A file with
/// several names counts once, and a block for each further name.
pub(super) fn measure(root: &File, nameless: &[std::sync::Arc<File>], limit: u64) -> io::Result<u64> {
    let mut walk = Walk::default();
    for file in nameless {
        let stat = fstat(file.as_fd())?;
        if stat.st_nlink == 0 {
            walk.count(&stat);
        }
    }
    let mut open = vec![listed(root.as_fd(), c".")?];
    while let Some(directory) = open.last_mut() {
        if walk.bytes > limit {
            break;
        }
        let Some(entry) = directory.read() else {
            open.pop();
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let parent = directory.fd()?;
        let Ok(stat) = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else {
            // Gone since, or not ours to see: it is an entry still.
            walk.entry(0);
            continue;
        };
        walk.count(&stat);
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            continue;
        }
        // A directory that can't be listed is one that the guest can't list either.
        if let Ok(below) = listed(parent, name) {
            open.push(below);
        }
        if open.len() > MAX_DEPTH || walk.entries > MAX_ENTRIES {
            return Ok(UNCOUNTABLE);
        }
    }
    Ok(walk.bytes)
}

/// Opens a directory to list it, and not what a link leads to.
pub(super) fn listed(parent: impl AsFd, name: &std::ffi::CStr) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened: OwnedFd = openat(parent, name, flags, Mode::empty())?;
    Ok(Dir::new(opened)?)
}

#[derive(Default)]
struct Walk {
    bytes: u64,
    entries: usize,
    /// Files with several names that were counted.
    seen: HashSet<(u64, u64)>,
}

impl Walk {
    #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
    fn count(&mut self, stat: &Stat) {
        let several = stat.st_nlink != 1 && FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        let again = several && !self.seen.insert((stat.st_dev as u64, stat.st_ino as u64));
        self.entry(if again {
            0
        } else {
            u64::try_from(stat.st_size).unwrap_or(0)
        });
    }

    fn entry(&mut self, size: u64) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(cost(size));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;

    const BIG: u64 = 1 << 40;

    fn measured(root: &TempDir, limit: u64) -> u64 {
        measure(&File::open(root.path()).unwrap(), &[], limit).unwrap()
    }

    /// S1: files, directories and links count a block at least, files as large as they say, and one of several names once.
    #[test]
    fn s1_a_tree_counts_all_its_entries() {
        let root = TempDir::new().unwrap();
        assert_eq!(measured(&root, BIG), 0);
        fs::write(root.path().join("small"), "1").unwrap();
        fs::write(root.path().join("large"), vec![0; 10_000]).unwrap();
        assert_eq!(measured(&root, BIG), 4096 + 12_288);
        fs::hard_link(root.path().join("large"), root.path().join("also")).unwrap();
        assert_eq!(measured(&root, BIG), 2 * 4096 + 12_288);
        let hole = File::create(root.path().join("hole")).unwrap();
        hole.set_len(1 << 30).unwrap();
        assert!(measured(&root, BIG) > 1 << 30);
    }

    /// S1, H39: no link is followed, neither out of the tree nor around in it.
    #[test]
    fn s1_h39_links_count_and_are_not_followed() {
        let root = TempDir::new().unwrap();
        symlink("/", root.path().join("out")).unwrap();
        symlink(".", root.path().join("loop")).unwrap();
        symlink("nowhere", root.path().join("nowhere")).unwrap();
        assert_eq!(measured(&root, BIG), 3 * 4096);
    }

    /// S1: a file without a name that is open still takes its room.
    #[test]
    fn s1_an_open_file_without_a_name_counts() {
        let root = TempDir::new().unwrap();
        let path = root.path().join("file");
        fs::write(&path, vec![0; 8192]).unwrap();
        let open = Arc::new(File::open(&path).unwrap());
        let directory = File::open(root.path()).unwrap();
        assert_eq!(measure(&directory, &[open.clone(), open.clone()], BIG).unwrap(), 8192);
        fs::remove_file(path).unwrap();
        assert_eq!(measure(&directory, &[open.clone(), open], BIG).unwrap(), 8192 + 4096);
    }

    /// S1: a tree that is deeper than can be walked counts as full; one over the limit isn't walked to its end.
    #[test]
    fn s1_a_walk_ends() {
        let root = TempDir::new().unwrap();
        let mut deep = root.path().to_owned();
        for _ in 0..=MAX_DEPTH {
            deep.push("d");
        }
        fs::create_dir_all(deep).unwrap();
        assert_eq!(measured(&root, BIG), UNCOUNTABLE);
        let over = measured(&root, 3 * 4096);
        assert!(over > 3 * 4096 && over < 100_000, "{over}");
    }
}
