//! Compiling in a bounded way (S10, H33).
//!
//! A compiler is the one part of the sandbox that hostile bytes can make work as long, and with as much memory, as they like:
//! half a megabyte of wasm can cost minutes and gigabytes. So it runs in a process of its own, with limits that the kernel
//! keeps, and that process can be killed. What it answers is machine code, or why there is none.

mod child;
mod error;
mod in_process;
mod verdict;
mod wire;
mod worker;

use bytes::Bytes;
use wasmtime::Engine;
use wasmtime::component::Component;

pub use child::CompilerChild;
pub use error::CompileError;
pub use worker::compile_child;

use crate::sandbox::error::ComponentError;

/// Where components are compiled.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Compiler {
    /// In this process. **Nothing bounds it** but the size of a component
    /// ([`max_component`](crate::RuntimeBuilder::max_component)): one that is made to hurt the compiler takes as much time and
    /// memory as it likes. For components that you trust.
    #[default]
    InProcess,
    /// In a process of its own for each component, with limits on its time and memory.
    Child(CompilerChild),
}

impl From<CompilerChild> for Compiler {
    fn from(child: CompilerChild) -> Self {
        Self::Child(child)
    }
}

impl Compiler {
    /// Machine code for this engine, of bytes that begin like wasm; everything else about them is found out here.
    pub(super) async fn compile(
        &self,
        engine: &Engine,
        metered: bool,
        bytes: Bytes,
    ) -> Result<Component, ComponentError> {
        match self {
            Compiler::InProcess => in_process::compile(engine.clone(), bytes).await,
            Compiler::Child(child) => child.compile(engine.clone(), metered, bytes).await,
        }
    }
}

/// Runs what takes a while where blocking is allowed. A panic there is the compiler's, and then the file is to blame.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ComponentError> + Send + 'static,
) -> Result<T, ComponentError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(CompileError::GaveUp.into()))
}
