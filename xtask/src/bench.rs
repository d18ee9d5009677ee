//! `cargo xtask bench`: measures the targets T1 to T10 and what has no target, built for release.

use anyhow::Result;
use clap::Args;

use crate::repo::Repo;
use crate::{guests, process};

/// What is measured, and for how long.
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Options {
    /// Few rounds, and no large numbers of plugins: ends within two minutes, and says less
    #[arg(long)]
    quick: bool,
    /// Measure these only: T1 to T10, `figures`, `growth`
    #[arg(long, value_name = "IDS")]
    only: Option<String>,
    /// Exit with 1 if a target is missed; otherwise that is only shown
    #[arg(long)]
    check: bool,
}

const HELP: &str = "\
Each target is measured beside the raw wasmtime thing (or SQLite), both taking turns in one process;
a figure is the median of the rounds. The machine should do nothing else meanwhile.

The table goes to stdout, progress to stderr, and all of it as JSON to target/bench/report.json.

Examples:
  cargo xtask bench
  cargo xtask bench --quick --only T1,T5
  cargo xtask bench --check";

const BENCH: &[&str] = &[
    "run",
    "--release",
    "--locked",
    "--package",
    "palisade-tests",
    "--example",
    "bench",
    "--",
];

pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    guests::run(repo)?;
    // T10 measures the program as it is shipped.
    let palisade = ["build", "--release", "--locked", "--package", "palisade", "--bins"];
    process::run(&mut process::command(repo.root(), "cargo", &palisade))?;
    let mut bench = process::command(repo.root(), "cargo", BENCH);
    if options.quick {
        bench.arg("--quick");
    }
    if options.check {
        bench.arg("--check");
    }
    if let Some(only) = &options.only {
        bench.args(["--only", only]);
    }
    process::run(&mut bench)
}
