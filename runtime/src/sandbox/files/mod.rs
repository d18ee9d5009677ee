//! The granted directories of a plugin, made safe for the host.
//!
//! wasmtime's file system decides what a path means and keeps a guest inside its directories. This wraps it, and adds what
//! the host needs: a quota for what a directory holds ([`quota`]), nothing opened but files and directories ([`path`]),
//! listings that are read as they are asked for ([`listing`]), and few threads that wait for a disk at a time ([`jobs`]).
//!
//! Every operation is one job on a blocking thread: in it wasmtime is called on a table of its own and answers at once. A
//! job always runs to its end with the locks that it needs, even when the call that asked for it is over: a guest that is
//! stopped in the middle of an operation leaves no count wrong and no lock open. Nor does one that begins a write and never
//! asks what became of it: what waits for locks is a task of its own ([`jobs::Running`]).
//!
//! A granted directory is opened when the plugin starts, and all its instances use that one descriptor: whatever is put in
//! its place afterwards is not what was granted ([`directory`]). Links that would lead out of it are not made ([`links`]).

mod descriptor;
mod directory;
mod input;
mod jobs;
mod links;
mod listing;
mod measure;
mod output;
mod path;
mod quota;
mod view;
mod wasi;

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::limits::Limits;
use crate::plugin::grants::Grants;
use crate::sandbox::descriptors::{Descriptors, Held, Share};
use crate::sandbox::log::GuestLog;
use directory::Directory;
use jobs::{Jobs, Running};
use quota::Count;
pub(super) use view::{FilesView, GuestFiles};

/// What all instances of a plugin share of its files. Lives as long as the plugin is loaded.
pub(crate) struct Files {
    /// As the grants name them.
    directories: Vec<Arc<Directory>>,
    descriptors: Arc<Share>,
    jobs: Jobs,
    /// Held to change what names mean, and shared to rely on it.
    names: Arc<RwLock<()>>,
}

/// How an operation depends on what names mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// It has no path.
    Unused,
    /// It looks at a path and then acts on it, or adds or removes a name.
    Kept,
    /// It lets a name mean something that exists already: with that a guest could put one thing in the place of another
    /// between a look and an act, or hide a file from a measurement.
    Changed,
}

/// Kept for as long as an operation takes.
enum NamesGuard {
    Unused,
    Kept(#[allow(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>),
    Changed(#[allow(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>),
}

impl Files {
    pub(crate) fn new(grants: &Grants, limits: &Limits, log: &Arc<GuestLog>) -> Arc<Self> {
        Self::with(Descriptors::of_process(), grants, limits, log)
    }

    /// The same with no more descriptors than these.
    pub(super) fn with(
        descriptors: Arc<Descriptors>,
        grants: &Grants,
        limits: &Limits,
        log: &Arc<GuestLog>,
    ) -> Arc<Self> {
        let needs_descriptors = !grants.fs.is_empty() || !grants.http.is_empty();
        let directories = grants.fs.iter();
        let directories = directories.map(|grant| Directory::new(grant, limits, log.clone()));
        Arc::new(Self {
            directories: directories.collect(),
            descriptors: Share::new(descriptors, needs_descriptors, log.clone()),
            jobs: Jobs::default(),
            names: Arc::default(),
        })
    }

    /// Whether no directory is granted.
    pub(super) fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Opens the granted directories, for all instances from now on; an error names the one that can't be. Blocks.
    pub(super) fn open(&self) -> Result<(), String> {
        self.directories.iter().try_for_each(|directory| directory.open())
    }

    /// The right to one more descriptor of the process.
    pub(super) fn descriptor(&self) -> Option<Held> {
        self.descriptors.take()
    }

    /// Runs an operation that lets nothing grow.
    fn run<T: Send + 'static>(
        self: &Arc<Self>,
        names: Names,
        operation: impl FnOnce() -> FsResult<T> + Send + 'static,
    ) -> Running<T> {
        let files = self.clone();
        Running::spawn(async move {
            let names = files.hold(names).await;
            let job = move || {
                let done = operation();
                drop(names);
                done
            };
            files.jobs.run(job).await?
        })
    }

    /// Runs an operation that may let a directory grow. It takes what it needs from the count before it acts, and says
    /// `None` when there is no room: then the directory is measured, if it is time, and the operation tried again.
    fn grow<T: Send + 'static>(
        self: &Arc<Self>,
        directory: &Arc<Directory>,
        names: Names,
        operation: impl FnMut(&mut Count) -> FsResult<Option<T>> + Send + 'static,
    ) -> Running<T> {
        let (files, directory) = (self.clone(), directory.clone());
        Running::spawn(async move { files.grown(&directory, names, operation).await })
    }

    async fn grown<T: Send + 'static>(
        &self,
        directory: &Arc<Directory>,
        names: Names,
        mut operation: impl FnMut(&mut Count) -> FsResult<Option<T>> + Send + 'static,
    ) -> FsResult<T> {
        loop {
            let held = self.hold(names).await;
            let mut count = directory.count().await;
            let measured = count.measured();
            let attempt = self.jobs.run(move || {
                let done = operation(&mut count);
                drop((count, held));
                (operation, done)
            });
            let (again, done) = attempt.await?;
            if let Some(done) = done? {
                return Ok(done);
            }
            operation = again;
            if !self.measure(directory, measured).await? {
                directory.tell_full();
                return Err(ErrorCode::Quota.into());
            }
        }
    }

    /// Measures a directory, unless it was measured since or only just now: then `false`, and full is full. Nothing of the
    /// plugin's may move or grow meanwhile, or it could be missed.
    async fn measure(&self, directory: &Arc<Directory>, since: u64) -> FsResult<bool> {
        let names = self.hold(Names::Changed).await;
        let mut count = directory.count().await;
        if count.measured() != since {
            return Ok(true);
        }
        if !count.may_be_measured() {
            return Ok(false);
        }
        let directory = directory.clone();
        let job = move || {
            let bytes = directory.measure(count.limit())?;
            count.set(bytes);
            drop((count, names));
            Ok(true)
        };
        self.jobs.run(job).await?
    }

    async fn hold(&self, names: Names) -> NamesGuard {
        match names {
            Names::Unused => NamesGuard::Unused,
            Names::Kept => NamesGuard::Kept(self.names.clone().read_owned().await),
            Names::Changed => NamesGuard::Changed(self.names.clone().write_owned().await),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
