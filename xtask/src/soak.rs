//! `cargo xtask soak`: one runtime under hostile and healthy load, built for release; fails on a lost event or on growth.

use anyhow::Result;
use clap::Args;

use crate::repo::Repo;
use crate::{guests, process};

/// How long, and which choices.
#[derive(Args)]
pub(crate) struct Options {
    /// How long the load lasts, in minutes; 0.2 is a quick try, memory is judged from 1 on
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    minutes: f64,
    /// The seed of an earlier run, to make its choices again
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

const SOAK: &[&str] = &[
    "run",
    "--release",
    "--locked",
    "--package",
    "palisade-tests",
    "--example",
    "soak",
    "--",
];

pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    guests::run(repo)?;
    let mut soak = process::command(repo.root(), "cargo", SOAK);
    soak.args(["--minutes", &options.minutes.to_string()]);
    // glibc gives each thread a heap of its own, and what compiling a plugin leaves unused in one is no use to the others:
    // they fill for many minutes, which would be taken for growth.
    soak.env("MALLOC_ARENA_MAX", "1");
    if let Some(seed) = options.seed {
        soak.args(["--seed", &seed.to_string()]);
    }
    process::run(&mut soak)
}
