//! `cargo xtask bench`: measures the targets T1 to T10 and what has no target, built for release.

use anyhow::Result;
use clap::Args;

use crate::repo::Repo;
use crate::{guests, process};

/// What is measured, and for how long.
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Options {
    /// Few rounds, and no more than 1,000 plugins: ends within two minutes once it is built, and says less
    #[arg(long)]
    quick: bool,
    /// Measure these only: T1 to T10, `figures`, `growth`
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = id)]
    only: Vec<String>,
    /// Exit with 1 if a target is missed; otherwise that is only shown
    #[arg(long)]
    check: bool,
}

const HELP: &str = "\
Each target is measured beside the raw wasmtime thing (or SQLite), both taking turns in one
process; figures are medians of the rounds, and a ratio is that of each round's ratio. The machine
should do nothing else meanwhile. Everything takes some three minutes, once it is built.

The table goes to stdout, progress to stderr, and all of it as JSON to target/bench/report.json,
which is written anew by each run, after each row, and says of which run it is: what can't be
measured is named there and at the end, and the exit code is 1.

Examples:
  cargo xtask bench
  cargo xtask bench --quick --only T1,T5
  cargo xtask bench --check";

/// What is measured; it ends with `-dirty` where the tree is not as it was committed. None for a tree without a repository of its own.
fn commit(repo: &Repo) -> Option<String> {
    if !repo.path(".git").exists() {
        return None;
    }
    let describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    let said = process::output(&mut process::command(repo.root(), "git", &describe)).ok()?;
    Some(said.trim().to_owned())
}

/// The one that is meant, in whatever case.
fn id(word: &str) -> Result<String, String> {
    let found = IDS.iter().find(|id| id.eq_ignore_ascii_case(word.trim()));
    let found = found.ok_or_else(|| format!("there are {}", IDS.join(", ")))?;
    Ok((*found).to_owned())
}

/// As in `tests/examples/bench/main.rs`; a wrong one is told before anything is built.
const IDS: [&str; 12] = [
    "T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "figures", "growth",
];

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
    // T10 measures the program as it is shipped; nothing else needs it.
    if options.only.is_empty() || options.only.iter().any(|id| id == "T10") {
        let palisade = ["build", "--release", "--locked", "--package", "palisade", "--bins"];
        process::run(&mut process::command(repo.root(), "cargo", &palisade))?;
    }
    let mut bench = process::command(repo.root(), "cargo", BENCH);
    if let Some(commit) = commit(repo) {
        bench.env("PALISADE_BENCH_COMMIT", commit);
    }
    if options.quick {
        bench.arg("--quick");
    }
    if options.check {
        bench.arg("--check");
    }
    if !options.only.is_empty() {
        bench.args(["--only", &options.only.join(",")]);
    }
    process::run(&mut bench)
}
