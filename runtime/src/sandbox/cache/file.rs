//! Files in the cache's directory: none is read that is not our own, none is seen half written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use uuid::Uuid;

/// What the names of files begin with that are not whole yet.
pub(super) const UNFINISHED: &str = ".new-";
/// Permissions of everyone but the owner.
pub(super) const OTHERS: u32 = 0o077;

/// Opens a plain file that nobody but its owner can open; symbolic links are not followed.
pub(super) fn open_own(path: &Path, owner: u32) -> io::Result<File> {
    let named = fs::symlink_metadata(path)?;
    if !named.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let file = File::open(path)?;
    let opened = file.metadata()?;
    // Nobody else can write to the directory; this is against our own mistakes, such as a link that somebody puts there.
    if (named.dev(), named.ino()) != (opened.dev(), opened.ino()) {
        return Err(io::Error::other("it was replaced while it was opened"));
    }
    if opened.uid() != owner {
        return Err(io::Error::other("it is somebody else's"));
    }
    if opened.mode() & OTHERS != 0 {
        return Err(io::Error::other("others may open it"));
    }
    Ok(file)
}

/// All of a file, unless that is more than `max` bytes.
pub(super) fn read(file: &File, max: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > max {
        return Err(io::Error::other("it is larger than the cache may be"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a file in the place of whatever has the name, all at once.
pub(super) fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = create(directory, bytes)?;
    fs::rename(&unfinished.0, directory.join(name))
}

/// Puts a file there if nothing has the name yet; false if something has.
pub(super) fn place(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<bool> {
    let unfinished = create(directory, bytes)?;
    match fs::hard_link(&unfinished.0, directory.join(name)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Who we are: whose a file is that we make.
pub(super) fn own_user(directory: &Path) -> io::Result<u32> {
    let probe = create(directory, b"")?;
    Ok(fs::symlink_metadata(&probe.0)?.uid())
}

/// A file by a name of its own, removed unless it has got another name.
struct Unfinished(std::path::PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn create(directory: &Path, bytes: &[u8]) -> io::Result<Unfinished> {
    let path = directory.join(format!("{UNFINISHED}{}", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let unfinished = Unfinished(path);
    file.write_all(bytes)?;
    // Else a crash of the machine would leave a name with nothing behind it, to be complained about at the next start.
    if !bytes.is_empty() {
        file.sync_data()?;
    }
    Ok(unfinished)
}
