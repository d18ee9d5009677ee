//! What the end of a child means.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::CompileError;
use super::wire::Answer;
use crate::sandbox::error::ComponentError;
use crate::sandbox::log::printable;

/// Signals, by their numbers, which are the same on all systems that we build for.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;
/// What Rust's standard library says before it aborts for want of memory.
const NO_MEMORY: &str = "memory allocation of ";

/// A child that is no more.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// The machine code, or why there is none. `limits` are those of time and memory, `length` that of the component.
pub(super) fn verdict(
    ended: Ended,
    program: &str,
    (time, memory): (Duration, u64),
    length: usize,
) -> Result<Vec<u8>, ComponentError> {
    let failed = |how: String| {
        let said = ended.stderr.lines().rfind(|line| !line.trim().is_empty());
        let said = said.map_or_else(String::new, |said| format!("; it said: {}", printable(said, 256)));
        CompileError::Failed {
            program: program.to_owned(),
            how: format!("{how}{said}"),
        }
    };
    match (ended.status.success(), ended.status.signal()) {
        (true, _) => answered(ended.stdout, program, memory, length),
        (false, Some(SIGXCPU)) => Err(CompileError::Time { limit: time }.into()),
        (false, Some(SIGABRT)) if ended.stderr.contains(NO_MEMORY) => {
            Err(CompileError::Memory { limit: memory }.into())
        }
        (false, Some(SIGKILL)) => {
            Err(failed("it was killed, as the kernel does when the machine's memory runs out".to_owned()).into())
        }
        (false, _) => Err(failed(ended.status.to_string()).into()),
    }
}

fn answered(mut said: Vec<u8>, program: &str, memory: u64, length: usize) -> Result<Vec<u8>, ComponentError> {
    let garbled = |what: String| CompileError::Garbled {
        program: program.to_owned(),
        what,
    };
    let (answer, rest) = Answer::read(&said).map_err(garbled)?;
    let follows = rest.len();
    Err(match answer {
        Answer::Artifact(bytes) if bytes == follows as u64 => {
            said.drain(..said.len().saturating_sub(follows));
            return Ok(said);
        }
        Answer::Artifact(bytes) => garbled(format!("{follows} bytes instead of {bytes}")).into(),
        Answer::CoreModule => ComponentError::CoreModule,
        Answer::Truncated(detail) => ComponentError::Truncated {
            bytes: length,
            detail: printable(&detail, 256),
        },
        Answer::Invalid(why) => ComponentError::Invalid(printable(&why, 256)),
        Answer::OutOfMemory => CompileError::Memory { limit: memory }.into(),
        Answer::OtherEngine => garbled("it compiles for another engine".to_owned()).into(),
        Answer::GaveUp => CompileError::GaveUp.into(),
        Answer::NotReady(why) => CompileError::Failed {
            program: program.to_owned(),
            how: printable(&why, 256),
        }
        .into(),
    })
}
