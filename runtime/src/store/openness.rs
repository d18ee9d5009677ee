//! Whether others may change what is in the data directory: they could have handlers be given what nobody published.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The bits of a file's mode by which the group and others may write to it.
const OTHERS_WRITE: u32 = 0o022;

/// Says it of the data directory, and of the database if the directory does not say it already.
pub(super) fn warn(directory: &Path, database: &Path) {
    let us = own_user();
    let found = [directory, database].into_iter().find_map(|path| {
        let metadata = fs::metadata(path).ok()?;
        found(path, &metadata, us)
    });
    if let Some(what) = found {
        tracing::warn!("others may change what the store holds: {what}");
    }
}

fn found(path: &Path, metadata: &Metadata, us: Option<u32>) -> Option<String> {
    let (mode, owner, path) = (metadata.mode() & 0o777, metadata.uid(), path.display());
    let chmod = if metadata.is_dir() { "700" } else { "600" };
    if let Some(us) = us.filter(|us| *us != owner) {
        return Some(format!(
            "{path} belongs to user {owner}, not to {us}, who runs this; `chown {us} {path}` and `chmod {chmod} {path}` keep them out"
        ));
    }
    (mode & OTHERS_WRITE != 0)
        .then(|| format!("{path} may be written to by them (mode {mode:o}); `chmod {chmod} {path}` keeps them out"))
}

/// Who runs this process; none where the system does not tell.
fn own_user() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // The real one, the one that counts, ...
    users.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// H46: what belongs to somebody else is named with both users, whatever its mode is; what is ours is not.
    #[test]
    fn h46_what_belongs_to_somebody_else_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let metadata = fs::metadata(directory.path()).unwrap();
        let us = own_user().unwrap();
        assert_eq!(us, metadata.uid());
        assert_eq!(found(directory.path(), &metadata, Some(us)), None);
        let words = found(directory.path(), &metadata, Some(us + 1)).unwrap();
        assert!(words.contains(&format!("user {us}, not to {}", us + 1)), "{words}");
    }
}
