//! The parent's side: a process for each component, killed when it takes too long.

use std::ffi::OsString;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::in_process::too_large;
use super::verdict::{Ended, verdict};
use super::wire::{MAX_LINE, Request};
use super::{CompileError, blocking};
use crate::clock::deadline;
use crate::sandbox::artifact::Artifact;
use crate::sandbox::engine::compatibility;
use crate::sandbox::error::ComponentError;

/// How many threads one child compiles with: with more, their stacks and heaps alone would take much of its memory.
const MAX_THREADS: usize = 4;
/// How much of what a child writes to stderr is kept.
const MAX_STDERR: u64 = 16 * 1024;

/// A program that compiles one component and ends: one that calls [`compile_child`](crate::compile_child).
///
/// Each component gets a process of its own, with an empty environment and nothing but three pipes. As many run at a time as
/// there are processors; the others wait, and their time does not run. The kernel keeps the limit on memory where it knows
/// such a one (`RLIMIT_AS`: Linux does, macOS does not).
#[derive(Clone, Debug)]
pub struct CompilerChild {
    program: PathBuf,
    args: Vec<OsString>,
    time: Duration,
    memory: u64,
    /// Shared by the clones.
    turns: Arc<Semaphore>,
}

impl CompilerChild {
    /// This program. It is started without arguments unless [`args`](Self::args) says which.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            time: Duration::from_secs(30),
            memory: 1024 * 1024 * 1024,
            turns: Arc::new(Semaphore::new(processors())),
        }
    }

    /// The program that runs now; on Linux even if another file has been put in its place meanwhile, which might compile
    /// otherwise.
    ///
    /// # Errors
    /// When the system can't say which it is.
    pub fn this_program() -> io::Result<Self> {
        let running = PathBuf::from("/proc/self/exe");
        if running.exists() {
            return Ok(Self::new(running));
        }
        std::env::current_exe().map(Self::new)
    }

    /// Sets the arguments that it is started with.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long it may take for one component, from its start to its end, by the wall clock: 30 s. When that is over it
    /// is killed, and the component is refused.
    #[must_use]
    pub fn time(mut self, limit: Duration) -> Self {
        self.time = limit;
        self
    }

    /// Sets how many bytes of memory it may have, its own program and stacks included: 1 GiB. When it needs more it ends, and
    /// the component is refused; so is one whose machine code has more than a quarter of this.
    #[must_use]
    pub fn memory(mut self, limit: u64) -> Self {
        self.memory = limit;
        self
    }

    pub(super) async fn compile(
        &self,
        engine: Engine,
        metered: bool,
        bytes: Bytes,
    ) -> Result<Component, ComponentError> {
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        let threads = processors().min(MAX_THREADS);
        let request = Request {
            metered,
            compatibility: compatibility(&engine),
            memory: self.memory,
            cpu_seconds: self.time.as_secs().saturating_add(2).saturating_mul(threads as u64),
            bytes: bytes.len() as u64,
        };
        let length = bytes.len();
        let ended = self.converse(&request, threads, bytes).await?;
        let (program, limits) = (self.program(), (self.time, self.memory));
        blocking(move || {
            let artifact = verdict(ended, &program, limits, length)?;
            let component = Artifact::of_compiler(artifact).load(&engine);
            component.map_err(|error| {
                too_large(&error).unwrap_or_else(|| {
                    let what = format!("its machine code can't be loaded: {error:#}");
                    CompileError::Garbled { program, what }.into()
                })
            })
        })
        .await
    }

    /// Starts a child, gives it the component, and takes all that it says. It has ended when this returns, and is killed
    /// when this is dropped.
    async fn converse(&self, request: &Request, threads: usize, bytes: Bytes) -> Result<Ended, CompileError> {
        let mut child = self.start(threads)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let max = artifact_limit(self.memory);
        let talk = async {
            let (_, stderr, stdout) = tokio::try_join!(
                give(stdin, request, bytes),
                async { Ok(listen(stderr).await) },
                hear(stdout, max)
            )?;
            let status = child.wait().await;
            let status = status.map_err(|error| self.failed(&error))?;
            Ok(Ended { status, stdout, stderr })
        };
        let ended = tokio::time::timeout_at(deadline(self.time), talk).await;
        let ended = ended.unwrap_or(Err(CompileError::Time { limit: self.time }));
        if ended.is_err() {
            // It is waited for, so that it is gone when the component is refused.
            let _ = child.kill().await;
        }
        ended
    }

    fn start(&self, threads: usize) -> Result<Child, CompileError> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            // The compiler's threads, and one heap for all of them, since the limit counts addresses: each heap of glibc's takes 64 MiB
            // of them, and jemalloc, which the `palisade` binary has, keeps those that it does not use.
            .env("RAYON_NUM_THREADS", threads.to_string())
            .env("MALLOC_ARENA_MAX", "1")
            .env("_RJEM_MALLOC_CONF", "narenas:1,retain:false,background_thread:false")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for us, and what follows from it is ours to say.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| CompileError::NotStarted {
            program: self.program(),
            why: error.to_string(),
        })
    }

    fn program(&self) -> String {
        self.program.display().to_string()
    }

    fn failed(&self, error: &io::Error) -> CompileError {
        CompileError::Failed {
            program: self.program(),
            how: error.to_string(),
        }
    }
}

/// How much machine code is taken from a child with so much memory. We hold it twice for a moment.
fn artifact_limit(memory: u64) -> u64 {
    memory / 4
}

fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// A child that does not read all has its reasons, which it tells.
async fn give(stdin: Option<ChildStdin>, request: &Request, bytes: Bytes) -> Result<(), CompileError> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    let mut line = serde_json::to_vec(request).unwrap_or_default();
    line.push(b'\n');
    if stdin.write_all(&line).await.is_ok() {
        let _ = stdin.write_all(&bytes).await;
    }
    Ok(())
}

/// What it answers, unless that is too much.
async fn hear(stdout: Option<ChildStdout>, max: u64) -> Result<Vec<u8>, CompileError> {
    let Some(stdout) = stdout else { return Ok(Vec::new()) };
    let limit = max.saturating_add(MAX_LINE as u64);
    let mut said = Vec::new();
    let _ = stdout.take(limit.saturating_add(1)).read_to_end(&mut said).await;
    if said.len() as u64 > limit {
        return Err(CompileError::Size { limit: max });
    }
    Ok(said)
}

/// The beginning of what it complains about; the rest is read and forgotten, so that it does not wait for us.
async fn listen(stderr: Option<ChildStderr>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let mut said = Vec::new();
    let _ = (&mut stderr).take(MAX_STDERR).read_to_end(&mut said).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&said).into_owned()
}
