//! The repository's own commands: `cargo xtask COMMAND`, one file a command.

mod bench;
mod ci;
mod crash;
mod demo;
mod fuzz;
mod guests;
mod process;
mod repo;
mod server;
mod soak;
mod test;
mod tidy;
mod toolchain;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::repo::Repo;

/// The repository's own commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Build every guest plugin into target/plugins/NAME.wasm
    Guests,
    /// Build guests and runtime, run the example end to end and check what it gives
    Demo,
    /// Run every check: format, tidy, clippy, docs, unit, integration and doc tests
    Test,
    /// What CI runs: the versions of the tools in use, then `test`
    Ci,
    /// Look for inputs that break a property; needs nightly and cargo-fuzz
    Fuzz(fuzz::Options),
    /// Check that the documents, the tests and the sources agree
    Tidy,
    /// Put a runtime under hostile and healthy load for minutes: nothing may be lost, hang or grow
    Soak(soak::Options),
    /// Kill a process under durable load again and again: nothing that was acknowledged may be lost
    Crash(crash::Options),
    /// Measure how fast it is beside raw wasmtime: the targets T1 to T10
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match run(&Command::parse(), &Repo::find()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // anyhow's own form would add a backtrace under RUST_BACKTRACE=1 and bury the lines to read.
            eprintln!("error: {error}");
            error.chain().skip(1).for_each(|cause| eprintln!("  because {cause}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command, repo: &Repo) -> Result<()> {
    match command {
        Command::Guests => guests::run(repo),
        Command::Demo => demo::run(repo),
        Command::Test => test::run(repo),
        Command::Ci => ci::run(repo),
        Command::Fuzz(options) => fuzz::run(repo, options),
        Command::Tidy => tidy::run(repo),
        Command::Soak(options) => soak::run(repo, options),
        Command::Crash(options) => crash::run(repo, options),
        Command::Bench(options) => bench::run(repo, options),
    }
}
