//! wasmtime's own file system, called inside a job: on a table of its own, and with an answer at once.

use std::sync::Arc;

use futures_util::FutureExt as _;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime::format_err;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::directory::Directory;
use crate::sandbox::descriptors::Held;

/// What a guest's descriptor is to us: wasmtime's, and the granted directory that it lies in. Streams and operations have
/// clones of it, and the last one closes it.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) descriptor: Descriptor,
    pub(super) directory: Arc<Directory>,
    /// The right to have it open; the granted directory itself needs none.
    pub(super) _held: Option<Arc<Held>>,
}

impl Handle {
    /// The file that it is, if it is one.
    pub(super) fn file(&self) -> Option<&Arc<std::fs::File>> {
        match &self.descriptor {
            Descriptor::File(file) => Some(&file.file),
            Descriptor::Dir(_) => None,
        }
    }
}

/// A table for one operation.
#[derive(Default)]
pub(super) struct Wasi {
    ctx: WasiFilesystemCtx,
    table: ResourceTable,
}

impl Wasi {
    /// With the settings that what it opens is to have.
    pub(super) fn with(ctx: WasiFilesystemCtx) -> Self {
        let table = ResourceTable::default();
        Self { ctx, table }
    }

    pub(super) fn view(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    pub(super) fn put(&mut self, handle: &Handle) -> FsResult<Resource<Descriptor>> {
        Ok(self.table.push(handle.descriptor.clone())?)
    }

    pub(super) fn take<T: Send + 'static>(&mut self, resource: Resource<T>) -> FsResult<T> {
        Ok(self.table.delete(resource)?)
    }
}

/// The answer of an operation that doesn't wait: descriptors are made so that they block the thread they are used on.
pub(super) fn now<T, E: From<FsError>>(operation: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let waits = || Err(FsError::trap(format_err!("a file operation waits where it may block")).into());
    operation.now_or_never().unwrap_or_else(waits)
}
