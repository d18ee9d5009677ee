//! The soak: one runtime under hostile and healthy load at once, for as long as asked, and everything accounted for.
//!
//! `cargo xtask soak --minutes 60`. By hand: `cargo run --release -p palisade-tests --example soak -- --minutes 60`, with
//! `MALLOC_ARENA_MAX=1` in the environment, or glibc's heaps, one a thread, go on filling for many minutes.
//!
//! Hostile plugins sin at every event and are killed for it; sixteen tasks load, unload, start, stop, reconfigure, subscribe
//! and publish; meanwhile healthy plugins must handle each event of theirs exactly once. It fails when a healthy event is
//! lost, doubled or not ok, when a kill ends in a class that the sin does not explain, when nothing moves for 30 s, when
//! memory grows by more than 5 % after the warm-up, and when instances, threads or open files are left at the end.

mod arguments;
mod board;
mod churn;
mod findings;
mod healthy;
mod ledger;
mod letters;
mod memory;
mod plugins;
mod process;
mod sins;
mod soak;
mod summary;
mod tally;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use palisade_tests::chance;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}\nusage: soak [--minutes N] [--seed N]");
            return ExitCode::from(2);
        }
    };
    // Blocking threads that wait for work are no leak: let them go soon, so that the count at the end is clear.
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(Duration::from_secs(1))
        .build();
    let tokio = match tokio {
        Ok(tokio) => tokio,
        Err(error) => {
            eprintln!("error: no tokio runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match tokio.block_on(soak::run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
