//! Writing a file as a stream, within the quota of its directory.

use std::io;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor as _};
use wasmtime_wasi::p2::{FsError, FsResult, OutputStream, Pollable, StreamError, StreamResult};

use super::jobs::Running;
use super::quota::{Count, grow_file};
use super::wasi::{Handle, Wasi, now};
use super::{Files, Names};

/// How much one write may carry, and so the most that the host keeps of what is written to a stream.
const AT_A_TIME: usize = 64 * 1024;

/// Where the next bytes go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Position {
    At(u64),
    End,
}

/// A place in a file that writing goes on from.
pub(super) struct Output {
    files: Arc<Files>,
    handle: Handle,
    position: Position,
    state: State,
}

enum State {
    Idle,
    Writing(Running<()>),
    Failed(StreamError),
    Closed,
}

impl Output {
    pub(super) fn new(files: Arc<Files>, handle: Handle, position: Position) -> Self {
        Self {
            files,
            handle,
            position,
            state: State::Idle,
        }
    }

    fn begin(&mut self, bytes: Bytes) {
        let (files, handle, position) = (self.files.clone(), self.handle.clone(), self.position);
        if let Position::At(at) = &mut self.position {
            *at = at.saturating_add(bytes.len() as u64);
        }
        let directory = handle.directory.clone();
        let operation = move |count: &mut Count| {
            let file = handle.file().ok_or(ErrorCode::BadDescriptor)?;
            let length = bytes.len() as u64;
            let end = |size: u64| match position {
                Position::At(at) => size.max(at.saturating_add(length)),
                Position::End => size.saturating_add(length),
            };
            grow_file(count, file, end, || write(&handle, &bytes, position))
        };
        self.state = State::Writing(files.grow(&directory, Names::Unused, operation));
    }

    /// Sees whether what is being written is: a guest that asks again and again without waiting gets on, too.
    fn get_on(&mut self) {
        if let State::Writing(writing) = &mut self.state
            && let Some(written) = writing.now_or_never()
        {
            self.end(written);
        }
    }

    fn end(&mut self, written: FsResult<()>) {
        self.state = match written {
            Ok(()) => State::Idle,
            Err(error) => State::Failed(stream_error(error)),
        };
    }

    /// The last error, once; the stream is closed then.
    fn failure(&mut self) -> StreamResult<()> {
        match mem::replace(&mut self.state, State::Closed) {
            State::Failed(error) => Err(error),
            State::Closed => Err(StreamError::Closed),
            going => {
                self.state = going;
                Ok(())
            }
        }
    }
}

/// Writes all of it. Blocks.
fn write(handle: &Handle, bytes: &[u8], position: Position) -> FsResult<()> {
    let mut wasi = Wasi::default();
    let fd = wasi.put(handle)?;
    let stream = match position {
        Position::At(at) => wasi.view().write_via_stream(fd, at)?,
        Position::End => wasi.view().append_via_stream(fd)?,
    };
    let mut stream = wasi.take(stream)?;
    let written = stream.blocking_write_and_flush(Bytes::copy_from_slice(bytes));
    now(async { written.await.map_err(fs_error) })
}

/// What a stream of wasmtime's says, as an operation says it.
fn fs_error(error: StreamError) -> FsError {
    match error {
        StreamError::Closed => ErrorCode::BadDescriptor.into(),
        StreamError::LastOperationFailed(error) => match error.downcast::<io::Error>() {
            Ok(error) => error.into(),
            Err(_) => ErrorCode::Io.into(),
        },
        StreamError::Trap(error) => FsError::trap(error),
    }
}

/// What an operation says, as a stream says it: the guest can ask for the code.
pub(super) fn stream_error(error: FsError) -> StreamError {
    match error.downcast() {
        Ok(code) => StreamError::LastOperationFailed(code.into()),
        Err(error) => StreamError::Trap(error),
    }
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.failure()?;
        if bytes.len() > AT_A_TIME {
            return Err(StreamError::trap("a write of more than `check-write` allows"));
        }
        if !matches!(self.state, State::Idle) {
            return Err(StreamError::trap("a write before the last one is done"));
        }
        self.begin(bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.get_on();
        self.failure()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.get_on();
        self.failure()?;
        let idle = matches!(self.state, State::Idle);
        Ok(if idle { AT_A_TIME } else { 0 })
    }

    async fn cancel(&mut self) {
        // A guest that drops its stream without a flush has meant what it wrote.
        self.ready().await;
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        if let State::Writing(writing) = &mut self.state {
            let written = writing.await;
            self.end(written);
        }
    }
}
