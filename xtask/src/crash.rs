//! `cargo xtask crash`: a process under durable load is killed again and again, built for release; fails on a lost event, and on
//! anything else that a kill must not do.

use anyhow::Result;
use clap::Args;

use crate::repo::Repo;
use crate::{guests, process};

/// How often, and which choices.
#[derive(Args)]
pub(crate) struct Options {
    /// How many times it is killed; 200 take some minutes
    #[arg(long, default_value_t = 200, value_name = "N")]
    rounds: u32,
    /// The seed of an earlier run, to make its choices again
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

const CRASH: &[&str] = &[
    "run",
    "--release",
    "--locked",
    "--package",
    "palisade-tests",
    "--example",
    "crash",
    "--",
];

pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    guests::run(repo)?;
    let mut crash = process::command(repo.root(), "cargo", CRASH);
    crash.args(["--rounds", &options.rounds.to_string()]);
    if let Some(seed) = options.seed {
        crash.args(["--seed", &seed.to_string()]);
    }
    process::run(&mut crash)
}
