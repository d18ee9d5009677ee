//! The methods of a guest's descriptor.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult};

use super::Names;
use super::input::Input;
use super::links::{self, Place};
use super::listing::Listing;
use super::output::{Output, Position};
use super::path::{Opening, look};
use super::quota::{Count, cost, grow_file};
use super::view::FilesView;
use super::wasi::{Handle, Wasi, now};

type Fd = Resource<Descriptor>;

impl HostDescriptor for FilesView<'_> {
    async fn advise(&mut self, fd: Fd, offset: Filesize, len: Filesize, advice: Advice) -> FsResult<()> {
        let advise = move |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().advise(fd, offset, len, advice));
        self.on(&fd, Names::Unused, advise).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        let sync = |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().sync_data(fd));
        self.on(&fd, Names::Unused, sync).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        let sync = |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().sync(fd));
        self.on(&fd, Names::Unused, sync).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        let get = |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().get_flags(fd));
        self.on(&fd, Names::Unused, get).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        let get = |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().get_type(fd));
        self.on(&fd, Names::Unused, get).await
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let handle = self.handle(&fd)?;
        let directory = handle.directory.clone();
        let operation = move |count: &mut Count| {
            let file = handle.file().ok_or(ErrorCode::BadDescriptor)?;
            let mut wasi = Wasi::default();
            let fd = wasi.put(&handle)?;
            grow_file(count, file, |_| size, || now(wasi.view().set_size(fd, size)))
        };
        self.files.grow(&directory, Names::Unused, operation).await
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let set = move |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().set_times(fd, accessed, modified));
        self.on(&fd, Names::Unused, set).await
    }

    async fn read(&mut self, fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        let read = move |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().read(fd, len, offset));
        self.on(&fd, Names::Unused, read).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let handle = self.handle(&fd)?;
        let directory = handle.directory.clone();
        let mut bytes = bytes;
        let operation = move |count: &mut Count| {
            let file = handle.file().ok_or(ErrorCode::BadDescriptor)?;
            let end = offset.saturating_add(bytes.len() as u64);
            let mut wasi = Wasi::default();
            let fd = wasi.put(&handle)?;
            let write = || now(wasi.view().write(fd, std::mem::take(&mut bytes), offset));
            grow_file(count, file, |size| size.max(end), write)
        };
        self.files.grow(&directory, Names::Unused, operation).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let held = self.files.descriptor().ok_or(ErrorCode::Quota)?;
        let open = |_: &mut Wasi, _, handle: &Handle| Listing::open(handle, held);
        let listing = self.on(&fd, Names::Unused, open).await?;
        let ours = self.wasi.table.push(listing)?;
        Ok(Resource::new_own(ours.rep()))
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let make = move |wasi: &mut Wasi, fd| now(wasi.view().create_directory_at(fd, path.clone()));
        self.make(&fd, Names::Kept, make).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        let stat = |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().stat(fd));
        self.on(&fd, Names::Unused, stat).await
    }

    async fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let stat = move |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().stat_at(fd, flags, path));
        self.on(&fd, Names::Unused, stat).await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let set = move |wasi: &mut Wasi, fd, handle: &Handle| {
            // It opens what it changes.
            look(wasi, handle, flags, &path)?;
            now(wasi.view().set_times_at(fd, flags, path, accessed, modified))
        };
        self.on(&fd, Names::Kept, set).await
    }

    async fn link_at(&mut self, fd: Fd, flags: PathFlags, path: String, to: Fd, to_path: String) -> FsResult<()> {
        let (old, new) = (self.handle(&fd)?, self.handle(&to)?);
        stays(&old, &new)?;
        let link = move |wasi: &mut Wasi, fd| {
            look(wasi, &old, PathFlags::empty(), &path)?;
            links::may_move(wasi, Place::new(&old, &path), Place::new(&new, &to_path))?;
            let to = wasi.put(&new)?;
            now(wasi.view().link_at(fd, flags, path.clone(), to, to_path.clone()))
        };
        self.make(&fd, Names::Changed, link).await
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let below = self.handle(&fd)?;
        let directory = below.directory.clone();
        let ctx = self.wasi.ctx.clone();
        let held = Arc::new(self.files.descriptor().ok_or(ErrorCode::Quota)?);
        let opening = Opening {
            below,
            path_flags,
            path,
            open_flags,
            flags,
            ctx,
            held,
        };
        let opened = if opening.creates() {
            let open = move |count: &mut Count| opening.open(Some(count));
            self.files.grow(&directory, Names::Kept, open).await?
        } else {
            let opened = self.files.run(Names::Kept, move || opening.open(None)).await?;
            opened.ok_or(ErrorCode::NoEntry)?
        };
        Ok(self.push(opened)?)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.wasi.table.delete(Resource::<Handle>::new_own(fd.rep()))?;
        Ok(())
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let read = move |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().readlink_at(fd, path));
        self.on(&fd, Names::Unused, read).await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let remove = move |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().remove_directory_at(fd, path));
        self.on(&fd, Names::Kept, remove).await
    }

    async fn rename_at(&mut self, fd: Fd, path: String, to: Fd, to_path: String) -> FsResult<()> {
        let new = self.handle(&to)?;
        stays(&self.handle(&fd)?, &new)?;
        let rename = move |wasi: &mut Wasi, fd, old: &Handle| {
            look(wasi, old, PathFlags::empty(), &path)?;
            links::may_move(wasi, Place::new(old, &path), Place::new(&new, &to_path))?;
            let to = wasi.put(&new)?;
            now(wasi.view().rename_at(fd, path, to, to_path))
        };
        self.on(&fd, Names::Changed, rename).await
    }

    async fn symlink_at(&mut self, fd: Fd, to: String, path: String) -> FsResult<()> {
        let below = self.handle(&fd)?;
        let make = move |wasi: &mut Wasi, fd| {
            links::may_lead(wasi, &to, Place::new(&below, &path))?;
            now(wasi.view().symlink_at(fd, to.clone(), path.clone()))
        };
        self.make(&fd, Names::Changed, make).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let unlink = move |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().unlink_file_at(fd, path));
        self.on(&fd, Names::Kept, unlink).await
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let handle = self.handle(&fd)?;
        handle.file().ok_or(ErrorCode::IsDirectory)?;
        let stream: DynInputStream = Box::new(Input::new(self.files.clone(), handle, offset));
        Ok(self.wasi.table.push(stream)?)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        self.write_stream(&fd, Position::At(offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.write_stream(&fd, Position::End)
    }

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        let b = self.handle(&b)?;
        let same = move |wasi: &mut Wasi, a, _: &Handle| {
            let b = wasi.put(&b)?;
            Ok(now(wasi.view().is_same_object(a, b)))
        };
        self.on(&a, Names::Unused, same).await?
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        let hash = |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().metadata_hash(fd));
        self.on(&fd, Names::Unused, hash).await
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let hash = move |wasi: &mut Wasi, fd, _: &Handle| now(wasi.view().metadata_hash_at(fd, flags, path));
        self.on(&fd, Names::Unused, hash).await
    }
}

impl FilesView<'_> {
    /// Runs an operation of a directory that makes a new entry.
    fn make<M>(&self, fd: &Fd, names: Names, mut make: M) -> impl Future<Output = FsResult<()>> + Send + use<M>
    where
        M: FnMut(&mut Wasi, Fd) -> FsResult<()> + Send + 'static,
    {
        let (handle, files) = (self.handle(fd), self.files.clone());
        async move {
            let handle = handle?;
            let directory = handle.directory.clone();
            let operation = move |count: &mut Count| {
                if !count.take(cost(0)) {
                    return Ok(None);
                }
                let mut wasi = Wasi::default();
                let made = wasi.put(&handle).and_then(|fd| make(&mut wasi, fd));
                made.map(Some).inspect_err(|_| count.give_back(cost(0)))
            };
            files.grow(&directory, names, operation).await
        }
    }

    fn write_stream(&mut self, fd: &Fd, position: Position) -> FsResult<Resource<DynOutputStream>> {
        let handle = self.handle(fd)?;
        handle.file().ok_or(ErrorCode::BadDescriptor)?;
        if !handle.directory.writable {
            return Err(ErrorCode::NotPermitted.into());
        }
        let stream: DynOutputStream = Box::new(Output::new(self.files.clone(), handle, position));
        Ok(self.wasi.table.push(stream)?)
    }
}

/// What is moved or linked stays in its granted directory, or a tree would come to another whose count knows nothing of it.
/// The answer is that of two disks, after which programs copy. A directory that may not be written says so itself.
fn stays(old: &Handle, new: &Handle) -> FsResult<()> {
    let writable = old.directory.writable && new.directory.writable;
    if writable && !Arc::ptr_eq(&old.directory, &new.directory) {
        return Err(ErrorCode::CrossDevice.into());
    }
    Ok(())
}
