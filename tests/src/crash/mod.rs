//! The crash test: a process that takes durable events as fast as it can is killed at random moments and started again, and in
//! the end each event whose publish had returned has been handled, what came twice had the same id, and what was committed
//! together is there together (D1, D2, D6, D8, B6).
//!
//! A short form is in the suite; `cargo xtask crash --rounds 200` is the long one. Both run their own executable again as the
//! child, told by its environment which life it has ([`Child`]); the parent ([`run`]) decides when it dies, and judges.
//!
//! Parent and child share one file, to which the child appends a line by one `write` for each thing that the judge has to know:
//! that an event is about to be published, that its publish returned, that a handler was called. SIGKILL ends the process and
//! not the kernel: what a `write` has put into the page cache is in the file whoever dies, so nothing of this needs an fsync,
//! and a publish that is recorded has returned. The last line of a life may be torn, and is thrown away then: what it would
//! have said had not been said. For the same reason this is no test of a loss of power, which takes the page cache too; that is
//! what the tests of the store over a file layer that forgets are for.

mod book;
mod child;
mod fate;
mod figures;
mod handlers;
mod judge;
mod life;
mod log;
mod name;
mod publisher;
mod record;
mod signal;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::chance::Chance;
use book::Book;
pub use child::Child;
use fate::Fate;
pub use figures::Verdict;
use life::{Life, Lived};

/// What is done to whom.
pub struct Plan {
    /// How many times the child is killed, or told to end and killed at that. After these it lives once more, to the end.
    pub rounds: u32,
    /// What chance begins with.
    pub seed: u64,
    /// Where the data directory, the records and what the child had to say are.
    pub directory: PathBuf,
    /// What this executable has to be called with so that it becomes the [`Child`].
    pub arguments: Vec<OsString>,
}

/// Where the lines for the judge are.
fn records(directory: &Path) -> PathBuf {
    directory.join("records.ndjson")
}

/// Lets the child live and die, and judges what is left.
///
/// # Errors
/// When it could not be tried; what was found wrong is in the verdict.
pub fn run(plan: &Plan) -> anyhow::Result<Verdict> {
    let mut chance = Chance::of_task(plan.seed, 0);
    let fates = (0..plan.rounds).map(|round| Fate::of_round(round, &mut chance));
    let (mut lives, mut findings) = (Vec::new(), Vec::new());
    for (number, fate) in (1..).zip(fates.chain([Fate::Drained])) {
        match Life::begin(plan, number, fate)?.live() {
            Ok(lived) => lives.push(lived),
            // What one life leaves behind is what the next one finds, so the rest would say little.
            Err(finding) => {
                findings.push(format!("life {number}, {fate}: {finding}"));
                break;
            }
        }
    }
    let path = records(&plan.directory);
    let book = Book::read(&path).with_context(|| format!("can't read {}", path.display()))?;
    findings.extend(judge::findings(&book, lives.last().is_some_and(Lived::is_complete)));
    Ok(Verdict::new(plan, &book, &lives, findings))
}
