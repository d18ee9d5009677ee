//! Reading a file as a stream.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::filesystem::types::HostDescriptor as _;
use wasmtime_wasi::p2::{FsResult, InputStream, Pollable, StreamError, StreamResult};

use super::jobs::Running;
use super::output::stream_error;
use super::wasi::{Handle, Wasi, now};
use super::{Files, Names};

/// How much is read when a guest waits for data and has not said how much it wants.
const UNASKED: usize = 4096;

/// A place in a file that reading goes on from.
pub(super) struct Input {
    files: Arc<Files>,
    handle: Handle,
    position: u64,
    state: State,
}

enum State {
    Idle,
    Reading(Running<Bytes>),
    /// Read and not yet taken.
    Ready(Bytes),
    Failed(StreamError),
    Closed,
}

impl Input {
    pub(super) fn new(files: Arc<Files>, handle: Handle, position: u64) -> Self {
        Self {
            files,
            handle,
            position,
            state: State::Idle,
        }
    }

    /// Begins to read, at most 64 KiB at a time.
    fn begin(&mut self, size: usize) {
        let (files, handle, position) = (self.files.clone(), self.handle.clone(), self.position);
        let job = move || {
            let mut wasi = Wasi::default();
            let fd = wasi.put(&handle)?;
            let (bytes, _) = now(wasi.view().read(fd, size as u64, position))?;
            Ok(Bytes::from(bytes))
        };
        self.state = State::Reading(files.run(Names::Unused, job));
    }

    fn end(&mut self, read: FsResult<Bytes>) {
        self.state = match read {
            Ok(bytes) if bytes.is_empty() => State::Closed,
            Ok(bytes) => State::Ready(bytes),
            Err(error) => State::Failed(stream_error(error)),
        };
    }
}

#[async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        if matches!(self.state, State::Idle) {
            self.begin(size);
        }
        // A guest that asks again and again without waiting gets on, too.
        if let State::Reading(reading) = &mut self.state
            && let Some(read) = reading.now_or_never()
        {
            self.end(read);
        }
        match mem::replace(&mut self.state, State::Closed) {
            State::Ready(mut bytes) => {
                let taken = bytes.split_to(size.min(bytes.len()));
                self.position = self.position.saturating_add(taken.len() as u64);
                self.state = if bytes.is_empty() {
                    State::Idle
                } else {
                    State::Ready(bytes)
                };
                Ok(taken)
            }
            State::Failed(error) => Err(error),
            State::Closed => Err(StreamError::Closed),
            waiting => {
                self.state = waiting;
                Ok(Bytes::new())
            }
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size > 0 {
            if matches!(self.state, State::Idle) {
                self.begin(size);
            }
            self.ready().await;
        }
        self.read(size)
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        if matches!(self.state, State::Idle) {
            self.begin(UNASKED);
        }
        if let State::Reading(reading) = &mut self.state {
            let read = reading.await;
            self.end(read);
        }
    }
}
