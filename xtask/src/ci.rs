//! `cargo xtask ci`: the versions of the tools in use, for the log, then `test`.

use anyhow::Result;

use crate::repo::Repo;
use crate::{process, test, toolchain};

pub(crate) fn run(repo: &Repo) -> Result<()> {
    toolchain::ensure_components(repo)?;
    for (program, args) in [
        ("rustc", ["--version"].as_slice()),
        ("cargo", &["--version"]),
        ("cargo", &["fmt", "--version"]),
        ("cargo", &["clippy", "--version"]),
        ("git", &["--version"]),
    ] {
        process::run(&mut process::command(repo.root(), program, args))?;
    }
    if toolchain::has_subcommand(repo, "nextest") {
        process::run(&mut process::command(repo.root(), "cargo", &["nextest", "--version"]))?;
    } else {
        println!("cargo-nextest is not installed");
    }
    test::run(repo)
}
