//! What a guest reaches of its files: the interfaces `preopens` and `types` but for their resources.

use std::sync::Arc;

use wasmtime::component::{HasData, Resource, ResourceTableError};
use wasmtime::format_err;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::wasi::{Handle, Wasi};
use super::{Files, Names};

/// The files of one instance during one call of the host. In its table a descriptor is a [`Handle`], a directory stream a
/// `Listing`; wasmtime's names for them are but their types towards the guest.
pub(in crate::sandbox) struct FilesView<'a> {
    pub(in crate::sandbox) wasi: WasiFilesystemCtxView<'a>,
    pub(in crate::sandbox) files: Arc<Files>,
}

/// Says so to the linker.
pub(in crate::sandbox) struct GuestFiles;

impl HasData for GuestFiles {
    type Data<'a> = FilesView<'a>;
}

impl FilesView<'_> {
    pub(super) fn handle(&self, descriptor: &Resource<Descriptor>) -> Result<Handle, ResourceTableError> {
        self.wasi.table.get(&as_ours(descriptor)).cloned()
    }

    pub(super) fn push(&mut self, handle: Handle) -> Result<Resource<Descriptor>, ResourceTableError> {
        let ours = self.wasi.table.push(handle)?;
        Ok(Resource::new_own(ours.rep()))
    }

    /// Runs an operation of a descriptor that lets nothing grow.
    pub(super) fn on<T: Send + 'static, O>(
        &self,
        descriptor: &Resource<Descriptor>,
        names: Names,
        operation: O,
    ) -> impl Future<Output = FsResult<T>> + Send + use<T, O>
    where
        O: FnOnce(&mut Wasi, Resource<Descriptor>, &Handle) -> FsResult<T> + Send + 'static,
    {
        let (handle, files) = (self.handle(descriptor), self.files.clone());
        async move {
            let handle = handle?;
            let job = move || {
                let mut wasi = Wasi::default();
                let descriptor = wasi.put(&handle)?;
                operation(&mut wasi, descriptor, &handle)
            };
            files.run(names, job).await
        }
    }
}

/// The same place in the table, by the type that is there.
pub(super) fn as_ours<Theirs: 'static, Ours: 'static>(resource: &Resource<Theirs>) -> Resource<Ours> {
    Resource::new_borrow(resource.rep())
}

impl preopens::Host for FilesView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let directories = self.files.directories.clone();
        let mut ours = Vec::with_capacity(directories.len());
        for directory in directories {
            let root = directory
                .root()
                .ok_or_else(|| format_err!("a granted directory is not open"))?;
            let name = directory.guest.clone();
            let handle = Handle {
                descriptor: Descriptor::Dir(root),
                directory,
                _held: None,
            };
            ours.push((self.push(handle)?, name));
        }
        Ok(ours)
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.wasi.table.get(&error)?;
        Ok(error.downcast_ref::<ErrorCode>().copied())
    }
}
