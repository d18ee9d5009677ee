//! Where symbolic links may lead.
//!
//! No guest gets out by one: wasmtime resolves what they ask for. But the host's programs follow links, and so does the
//! start of a plugin whose granted directory lies in another's. So a guest makes no link that leads out of its directory,
//! and moves none to where it would: a target that goes up does so at its beginning, and no further than to the granted
//! directory. (What `a/..` means depends on what `a` is by then.)

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};

use super::directory::{SEARCH_ONLY, identity};
use super::measure::{MAX_DEPTH, listed};
use super::wasi::{Handle, Wasi, now};

/// How deep below the granted directory a link that goes up may be.
const DEEPEST: usize = 1024;
/// How many entries a directory that is moved up may have in all, each of them looked at.
const MAX_ENTRIES: usize = 100_000;

/// Where something is, or is to be: the path is below the handle.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    below: &'a Handle,
    path: &'a str,
}

/// Whether a link may be made there.
pub(super) fn may_lead(wasi: &mut Wasi, target: &str, at: Place<'_>) -> FsResult<()> {
    let ups = ups(target).ok_or(ErrorCode::NotPermitted)?;
    if ups > 0 && at.is_writable() && ups > at.depth(wasi)? {
        return Err(ErrorCode::NotPermitted.into());
    }
    Ok(())
}

/// Whether what is at one place may be moved to the other, or have another name there, for the links that it is or has.
pub(super) fn may_move(wasi: &mut Wasi, from: Place<'_>, to: Place<'_>) -> FsResult<()> {
    if !from.is_writable() || !to.is_writable() {
        // Nothing will be moved.
        return Ok(());
    }
    let below = wasi.put(from.below)?;
    if let Ok(target) = now(wasi.view().readlink_at(below, from.path.to_owned())) {
        return may_lead(wasi, &target, to);
    }
    let Ok(directory) = directory(wasi, from.below, from.path, PathFlags::empty()) else {
        return Ok(());
    };
    let (before, after) = (from.depth(wasi)?, to.depth(wasi)?);
    if after < before {
        all_lead_inside(&directory, after + 1)?;
    }
    Ok(())
}

impl<'a> Place<'a> {
    pub(super) fn new(below: &'a Handle, path: &'a str) -> Self {
        let path = path.trim_end_matches('/');
        Self { below, path }
    }

    fn is_writable(&self) -> bool {
        self.below.directory.writable
    }

    /// How many directories below the granted one it is.
    fn depth(&self, wasi: &mut Wasi) -> FsResult<usize> {
        let parent = match (self.path.rsplit_once('/'), &self.below.descriptor) {
            (Some((parent, _)), _) => directory(wasi, self.below, parent, PathFlags::SYMLINK_FOLLOW)?,
            (None, Descriptor::Dir(below)) => below.dir.clone(),
            (None, Descriptor::File(_)) => return Err(ErrorCode::NotDirectory.into()),
        };
        let root = self.below.directory.root().ok_or(ErrorCode::NoEntry)?;
        let depth = climbed(&parent, &root.dir)?;
        Ok(depth.ok_or(ErrorCode::NotPermitted)?)
    }
}

fn directory(wasi: &mut Wasi, below: &Handle, path: &str, links: PathFlags) -> FsResult<Arc<File>> {
    let below = wasi.put(below)?;
    let (how, flags) = (OpenFlags::DIRECTORY, DescriptorFlags::READ);
    let opened = now(wasi.view().open_at(below, links, path.to_owned(), how, flags))?;
    match wasi.take(opened)? {
        Descriptor::Dir(dir) => Ok(dir.dir),
        Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
    }
}

/// How many times up the root is; `None` if it isn't above.
fn climbed(from: &File, root: &File) -> io::Result<Option<usize>> {
    let (root, mut at) = (identity(root)?, from.try_clone()?);
    for depth in 0..DEEPEST {
        let here = identity(&at)?;
        if here == root {
            return Ok(Some(depth));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | SEARCH_ONLY;
        at = File::from(openat(&at, c"..", flags, Mode::empty())?);
        if identity(&at)? == here {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Whether no link in a tree would lead out, if that tree were so deep.
fn all_lead_inside(tree: &File, depth: usize) -> FsResult<()> {
    let mut entries = 0;
    let mut open = vec![listed(tree, c".")?];
    while let Some(listing) = open.last_mut() {
        let Some(entry) = listing.read() else {
            open.pop();
            continue;
        };
        let entry = entry.map_err(io::Error::from)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        entries += 1;
        let parent = listing.fd().map_err(io::Error::from)?;
        let leads_out = match readlinkat(parent, name, Vec::new()) {
            Ok(target) => !target
                .to_str()
                .is_ok_and(|target| ups(target).is_some_and(|ups| ups < depth + open.len())),
            Err(_) => {
                if let Ok(below) = listed(parent, name) {
                    open.push(below);
                }
                false
            }
        };
        if leads_out || entries > MAX_ENTRIES || open.len() > MAX_DEPTH {
            return Err(ErrorCode::NotPermitted.into());
        }
    }
    Ok(())
}

/// How many directories a target goes up at its beginning; `None` if it goes up later on.
fn ups(target: &str) -> Option<usize> {
    let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
    let ups = parts.clone().take_while(|part| *part == "..").count();
    let later = parts.skip(ups).any(|part| part == "..");
    (!later).then_some(ups)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S8, H39: a target goes up at its beginning or not at all.
    #[test]
    fn h39_a_target_goes_up_at_its_beginning() {
        let targets = ["a/b", "..", "./../x", "..//../x/", "", ".", "...", "..a"].map(ups);
        assert_eq!(targets, [0, 1, 1, 2, 0, 0, 0, 0].map(Some));
        let targets = ["a/..", "../a/../b", "a/b/../c"].map(ups);
        assert_eq!(targets, [None; 3]);
    }
}
