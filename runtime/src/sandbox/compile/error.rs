use std::time::Duration;

/// Why the compiler did not get through with a component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It took too long.
    #[error(
        "compiling it took more than {limit:?} (engine.compile-time); make it smaller or simpler, or raise the limit if you \
         trust it"
    )]
    Time {
        /// The limit in force.
        limit: Duration,
    },
    /// It needed too much memory.
    #[error(
        "compiling it needs more than {limit} bytes of memory (engine.compile-memory); make it smaller or simpler, or raise \
         the limit if you trust it"
    )]
    Memory {
        /// The limit in force.
        limit: u64,
    },
    /// The machine code is too large.
    #[error(
        "compiled it has more than {limit} bytes, a quarter of the compiler's memory (engine.compile-memory); make it \
         smaller, or raise the limit if you trust it"
    )]
    Size {
        /// The limit in force.
        limit: u64,
    },
    /// The compiler panicked.
    #[error("the compiler gave up on it; build it again, or report it")]
    GaveUp,
    /// The compiler's process ended otherwise than it should.
    #[error("the compiler {program} failed at it: {how}; build it again, or report it")]
    Failed {
        /// What was run.
        program: String,
        /// How it ended, and what it said last.
        how: String,
    },
    /// The program is no compiler of ours.
    #[error(
        "the compiler {program} gave no answer that can be understood ({what}): it has to be this version of Palisade"
    )]
    Garbled {
        /// What was run.
        program: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// The program can't be run.
    #[error("the compiler {program} can't be started: {why}")]
    NotStarted {
        /// What was to be run.
        program: String,
        /// Why not.
        why: String,
    },
}
