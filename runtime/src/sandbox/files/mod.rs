//! The granted directories of a plugin, made safe for the host.
//!
//! wasmtime's file system decides what a path means and keeps a guest inside its directories. This wraps it, and adds what
//! the host needs: a quota for what a directory holds ([`quota`]), nothing opened but files and directories ([`path`]),
//! listings that are read as they are asked for ([`listing`]), and few threads that wait for a disk at a time ([`jobs`]).
//!
//! Every operation is one job on a blocking thread: in it wasmtime is called on a table of its own and answers at once. A
//! job always runs to its end with the locks that it needs, even when the call that asked for it is over: a guest that is
//! stopped in the middle of an operation leaves no count wrong and no lock open.

mod descriptor;
mod directory;
mod input;
mod jobs;
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
use crate::plugin::grants::FsGrant;
use crate::sandbox::log::GuestLog;
use directory::Directory;
use jobs::Jobs;
use quota::Count;
pub(super) use view::{FilesView, GuestFiles};

/// What all instances of a plugin share of its files. Lives as long as the plugin is loaded.
pub(crate) struct Files {
    /// As the grants name them.
    directories: Vec<Arc<Directory>>,
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
    pub(crate) fn new(grants: &[FsGrant], limits: &Limits, log: &Arc<GuestLog>) -> Arc<Self> {
        let directories = grants.iter().map(|grant| Directory::new(grant, limits, log.clone()));
        Arc::new(Self {
            directories: directories.collect(),
            jobs: Jobs::default(),
            names: Arc::default(),
        })
    }

    /// Runs an operation that lets nothing grow.
    async fn run<T: Send + 'static>(
        &self,
        names: Names,
        operation: impl FnOnce() -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let names = self.hold(names).await;
        let job = move || {
            let done = operation();
            drop(names);
            done
        };
        self.jobs.run(job).await?
    }

    /// Runs an operation that may let a directory grow. It takes what it needs from the count before it acts, and says
    /// `None` when there is no room: then the directory is measured, if it is time, and the operation tried again.
    async fn grow<T: Send + 'static>(
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
