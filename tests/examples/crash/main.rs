//! The crash test in its long form: `cargo xtask crash --rounds 200`. By hand:
//! `cargo run --release -p palisade-tests --example crash -- --rounds 200`. `palisade_tests::crash` says what is done.
//!
//! It prints figures, and ends with 1 if anything does not hold: what that is, and where the data directory and the records
//! are kept.

mod arguments;

use std::process::ExitCode;

use anyhow::Context;
use palisade_tests::crash::{Child, Plan, run};

use crate::arguments::Arguments;

fn main() -> ExitCode {
    let all_is_well = match Child::from_environment() {
        Some(child) => child.run().map(|()| true),
        None => match Arguments::parse(std::env::args().skip(1)) {
            Ok(arguments) => rounds(&arguments),
            Err(error) => {
                eprintln!("error: {error}\nusage: crash [--rounds N] [--seed N]");
                return ExitCode::from(2);
            }
        },
    };
    match all_is_well {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn rounds(arguments: &Arguments) -> anyhow::Result<bool> {
    let directory = tempfile::tempdir().context("no directory")?;
    eprintln!("crash: {} rounds, --seed {}", arguments.rounds, arguments.seed);
    let verdict = run(&Plan {
        rounds: arguments.rounds,
        seed: arguments.seed,
        directory: directory.path().to_owned(),
        arguments: Vec::new(),
    })?;
    print!("{verdict}");
    let all_is_well = verdict.findings.is_empty();
    if !all_is_well {
        println!(
            "the data directory and the records are in {}",
            directory.keep().display()
        );
    }
    Ok(all_is_well)
}
