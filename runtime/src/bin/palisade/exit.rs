//! What the process tells by its exit code.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all delivered.
    Ok,
    /// 1: it could not start, or could not go on.
    Failed,
    /// 2: it was called wrongly; clap uses the same code.
    Usage,
    /// 3: some events were refused, dropped or dead-lettered.
    Incomplete,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
        })
    }
}
