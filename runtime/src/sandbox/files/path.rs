//! Looking at what a path leads to before acting on it. Opening a FIFO waits for its other end, for ever perhaps; opening a
//! device can do anything.
//!
//! Between the look and the act nothing of the plugin's can put something else there, since whatever changes the meaning of
//! a name waits for it ([`Names`](super::Names)). What remains: a program of the host, or another plugin with a grant for
//! the same directory, that swaps a file for a FIFO which is there already (no guest can make one) in just that moment. It
//! then costs the plugin one of its few places among the [jobs](super::jobs), and the host one thread.

use std::sync::Arc;

use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};

use super::quota::{Count, cost};
use super::wasi::{Handle, Wasi, now};
use crate::sandbox::descriptors::Held;

/// What a guest asks to open, below a directory.
#[derive(Clone)]
pub(super) struct Opening {
    pub(super) below: Handle,
    pub(super) path_flags: PathFlags,
    pub(super) path: String,
    pub(super) open_flags: OpenFlags,
    pub(super) flags: DescriptorFlags,
    pub(super) ctx: WasiFilesystemCtx,
    pub(super) held: Arc<Held>,
}

impl Opening {
    pub(super) fn creates(&self) -> bool {
        self.open_flags.contains(OpenFlags::CREATE)
    }

    /// Opens it; `None` when a file would have to be made for that and there is no room.
    pub(super) fn open(&self, count: Option<&mut Count>) -> FsResult<Option<Handle>> {
        let mut wasi = Wasi::with(self.ctx.clone());
        let exists = look(&mut wasi, &self.below, self.path_flags, &self.path)?;
        let made = if exists { 0 } else { cost(0) };
        let Some(count) = count.filter(|_| made > 0) else {
            return self.open_seen(&mut wasi).map(Some);
        };
        if !count.take(made) {
            return Ok(None);
        }
        let opened = self.open_seen(&mut wasi).map(Some);
        opened.inspect_err(|_| count.give_back(made))
    }

    fn open_seen(&self, wasi: &mut Wasi) -> FsResult<Handle> {
        let below = wasi.put(&self.below)?;
        let opening = (self.path_flags, self.path.clone(), self.open_flags, self.flags);
        let (path_flags, path, open_flags, flags) = opening;
        let opened = now(wasi.view().open_at(below, path_flags, path, open_flags, flags))?;
        let descriptor = wasi.take(opened)?;
        if let Descriptor::File(file) = &descriptor {
            if !file.file.metadata()?.is_file() {
                return Err(ErrorCode::NotPermitted.into());
            }
            self.below.directory.opened(&file.file);
        }
        let directory = self.below.directory.clone();
        let held = Some(self.held.clone());
        Ok(Handle {
            descriptor,
            directory,
            _held: held,
        })
    }
}

/// Whether something is there; refuses all but files, directories and links.
pub(super) fn look(wasi: &mut Wasi, below: &Handle, flags: PathFlags, path: &str) -> FsResult<bool> {
    let below = wasi.put(below)?;
    match now(wasi.view().stat_at(below, flags, path.to_owned())) {
        Ok(stat) => match stat.type_ {
            DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink => Ok(true),
            _ => Err(ErrorCode::NotPermitted.into()),
        },
        Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)) => Ok(false),
        Err(error) => Err(error),
    }
}
