//! Listing a directory: read as it is asked for, so that a listing of any length takes little of the host's memory.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, HostDirectoryEntryStream,
};

use super::Names;
use super::directory::Directory;
use super::measure::listed;
use super::view::{FilesView, as_ours};
use super::wasi::Handle;
use crate::sandbox::descriptors::Held;

/// How many entries one job reads: at most 256 bytes each.
const AT_A_TIME: usize = 64;

/// A directory that is being listed.
pub(super) struct Listing {
    /// `None` when all of it was read, or while a job reads.
    rest: Option<Dir>,
    read: VecDeque<FsResult<DirectoryEntry>>,
    given: usize,
    directory: Arc<Directory>,
    _held: Held,
}

impl Listing {
    /// Begins one. Blocks.
    pub(super) fn open(handle: &Handle, held: Held) -> FsResult<Self> {
        let Descriptor::Dir(dir) = &handle.descriptor else {
            return Err(ErrorCode::NotDirectory.into());
        };
        Ok(Self {
            rest: Some(listed(dir.dir.as_fd(), c".")?),
            read: VecDeque::new(),
            given: 0,
            directory: handle.directory.clone(),
            _held: held,
        })
    }

    fn next(&mut self) -> FsResult<Option<DirectoryEntry>> {
        let Some(entry) = self.read.pop_front() else {
            return Ok(None);
        };
        if self.given >= self.directory.entries {
            self.directory.tell_listing();
            return Err(ErrorCode::Quota.into());
        }
        self.given += 1;
        entry.map(Some)
    }
}

impl HostDirectoryEntryStream for FilesView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let listing: &mut Listing = self.wasi.table.get_mut(&as_ours(&stream))?;
        if listing.read.is_empty()
            && let Some(rest) = listing.rest.take()
        {
            let job = move || Ok(read_some(rest));
            (listing.rest, listing.read) = self.files.run(Names::Unused, job).await?;
        }
        listing.next()
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.wasi.table.delete(Resource::<Listing>::new_own(stream.rep()))?;
        Ok(())
    }
}

/// Reads on; the directory is `None` at its end.
fn read_some(mut rest: Dir) -> (Option<Dir>, VecDeque<FsResult<DirectoryEntry>>) {
    let mut read = VecDeque::new();
    while read.len() < AT_A_TIME {
        let Some(entry) = rest.read() else {
            return (None, read);
        };
        match entry {
            Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => (),
            Ok(entry) => read.push_back(lower(&rest, &entry)),
            Err(error) => {
                read.push_back(Err(std::io::Error::from(error).into()));
                return (None, read);
            }
        }
    }
    (Some(rest), read)
}

fn lower(directory: &Dir, entry: &rustix::fs::DirEntry) -> FsResult<DirectoryEntry> {
    let name = entry.file_name();
    let type_ = match entry.file_type() {
        // Not every file system says it in its listing.
        FileType::Unknown => directory
            .fd()
            .and_then(|directory| statat(directory, name, AtFlags::SYMLINK_NOFOLLOW))
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
        known => known,
    };
    let name = name.to_str().map_err(|_| ErrorCode::IllegalByteSequence)?;
    Ok(DirectoryEntry {
        type_: lower_type(type_),
        name: name.to_owned(),
    })
}

fn lower_type(of: FileType) -> DescriptorType {
    match of {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        _ => DescriptorType::Unknown,
    }
}
