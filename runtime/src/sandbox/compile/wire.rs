//! What goes through the pipes: a line of JSON, then bytes. Both ends are one program, so there are no versions.

use serde::{Deserialize, Serialize};

/// No first line is longer.
pub(super) const MAX_LINE: usize = 4096;

/// The line before a component.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Whether fuel is compiled in.
    pub(super) metered: bool,
    /// What the engine that will run it is compatible with.
    pub(super) compatibility: u64,
    /// How many bytes of address space the process may have.
    pub(super) memory: u64,
    /// How many seconds of CPU time it may use, on all processors together. The clock on the wall is looked at by the parent;
    /// this is for a child whose parent has died.
    pub(super) cpu_seconds: u64,
    /// How long the component is.
    pub(super) bytes: u64,
}

/// The line that answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// Machine code of this length follows.
    Artifact(u64),
    /// It is core WebAssembly.
    CoreModule,
    /// It ends too early; what was being read.
    Truncated(String),
    /// It is not valid; why.
    Invalid(String),
    /// The limit on memory was hit, and the compiler could still say so.
    OutOfMemory,
    /// The compiler makes code for another engine than the one that asks.
    OtherEngine,
    /// The compiler panicked.
    GaveUp,
    /// The process could not be set up; why.
    NotReady(String),
}

impl Answer {
    /// The answer, and what follows it.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), String> {
        let head = bytes.get(..MAX_LINE).unwrap_or(bytes);
        let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
            return Err(match bytes.len() {
                0 => "it is empty".to_owned(),
                _ => "it has no first line".to_owned(),
            });
        };
        let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        let answer = serde_json::from_slice(line).map_err(|_| "its first line is none of ours".to_owned())?;
        Ok((answer, rest.get(1..).unwrap_or(&[])))
    }
}
