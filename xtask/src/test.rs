//! `cargo xtask test`: every check there is, the cheap ones first; it ends at the first that fails.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::repo::Repo;
use crate::{guests, process, server, tidy, toolchain};

pub(crate) fn run(repo: &Repo) -> Result<()> {
    toolchain::ensure_components(repo)?;
    let mut times = Vec::new();
    let outcome = steps(repo).into_iter().try_for_each(|step| {
        let (name, repeat) = (step.name, step.repeat(repo));
        println!("\n== {name}: {repeat}");
        let began = Instant::now();
        let outcome = step.run(repo);
        times.push(row(name, began.elapsed(), outcome.is_ok()));
        outcome.with_context(|| format!("step `{name}` failed; to repeat it alone: {repeat}"))
    });
    println!("\n{}", times.join("\n"));
    outcome
}

struct Step {
    name: &'static str,
    work: Work,
}

enum Work {
    /// The xtask command of the step's name.
    Own(fn(&Repo) -> Result<()>),
    Program(Command),
}

impl Step {
    fn run(self, repo: &Repo) -> Result<()> {
        match self.work {
            Work::Own(function) => function(repo),
            Work::Program(mut command) => process::run(&mut command),
        }
    }

    /// What a person types, at the root, to do this step alone.
    fn repeat(&self, repo: &Repo) -> String {
        match &self.work {
            Work::Own(_) => format!("cargo xtask {}", self.name),
            Work::Program(command) if command.get_current_dir() == Some(repo.root()) => process::typed(command),
            Work::Program(command) => format!("(cd guest-plugins && {})", process::typed(command)),
        }
    }
}

fn steps(repo: &Repo) -> Vec<Step> {
    let root = |name, args| program(name, repo.root(), args);
    let guests = |name, args| program(name, &repo.guest_plugins(), args);
    vec![
        root("fmt", FMT),
        guests("fmt of the guests", FMT),
        own("tidy", tidy::run),
        own("guests", guests::run),
        root("clippy", CLIPPY),
        root("clippy of the library alone", CLIPPY_EMBEDDED),
        guests("clippy of the guests, on the host", CLIPPY),
        // Half of the SDK is there for wasm only, and tests are there for the host only.
        guests("clippy of the guests, for wasm", CLIPPY_WASM),
        denying_warnings(root("docs", DOC)),
        denying_warnings(guests("docs of the guests", DOC)),
        guests("unit and doc tests of the guests, on the host", TEST_GUESTS),
        root("doc tests", TEST_DOCS),
        // The tests start the binary; `cargo test` builds one only for the tests of its own package.
        root("binary", server::BUILD),
        unit_and_integration_tests(repo),
    ]
}

const FMT: &[&str] = &["fmt", "--all", "--check"];
const CLIPPY: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--locked",
    "--",
    "-D",
    "warnings",
];
const CLIPPY_EMBEDDED: &[&str] = &[
    "clippy",
    "--package",
    "palisade",
    "--no-default-features",
    "--locked",
    "--",
    "-D",
    "warnings",
];
const CLIPPY_WASM: &[&str] = &[
    "clippy",
    "--workspace",
    "--target",
    toolchain::GUEST_TARGET,
    "--locked",
    "--",
    "-D",
    "warnings",
];
const DOC: &[&str] = &["doc", "--workspace", "--no-deps", "--locked"];
const TEST_GUESTS: &[&str] = &["test", "--workspace", "--locked", "--no-fail-fast"];
const TEST_DOCS: &[&str] = &["test", "--doc", "--workspace", "--locked", "--no-fail-fast"];
const TEST: &[&str] = &["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"];
const NEXTEST: &[&str] = &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"];

/// Last, so that the summary of the tests is what the log ends with.
fn unit_and_integration_tests(repo: &Repo) -> Step {
    if toolchain::has_subcommand(repo, "nextest") {
        program("unit and integration tests, with nextest", repo.root(), NEXTEST)
    } else {
        program(
            "unit and integration tests, with cargo test (cargo-nextest is not installed)",
            repo.root(),
            TEST,
        )
    }
}

fn own(name: &'static str, function: fn(&Repo) -> Result<()>) -> Step {
    Step {
        name,
        work: Work::Own(function),
    }
}

fn program(name: &'static str, dir: &Path, args: &[&str]) -> Step {
    Step {
        name,
        work: Work::Program(process::command(dir, "cargo", args)),
    }
}

fn denying_warnings(mut step: Step) -> Step {
    if let Work::Program(command) = &mut step.work {
        command.env("RUSTDOCFLAGS", "-D warnings");
    }
    step
}

fn row(name: &str, time: Duration, ok: bool) -> String {
    format!(
        "{:<8} {:>7.1} s  {name}",
        if ok { "ok" } else { "FAILED" },
        time.as_secs_f64()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_cheap_steps_come_first() {
        let names: Vec<_> = steps(&Repo::find()).iter().map(|step| step.name).collect();
        assert_eq!(
            names.first_chunk(),
            Some(&["fmt", "fmt of the guests", "tidy", "guests", "clippy"])
        );
    }

    #[test]
    fn each_step_says_how_to_repeat_it() {
        let repo = Repo::find();
        let repeat = |name: &str| {
            steps(&repo)
                .iter()
                .find(|step| step.name == name)
                .unwrap()
                .repeat(&repo)
        };
        assert_eq!(repeat("tidy"), "cargo xtask tidy");
        assert_eq!(
            repeat("fmt of the guests"),
            "(cd guest-plugins && cargo fmt --all --check)"
        );
        assert_eq!(
            repeat("docs"),
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --workspace --no-deps --locked"
        );
    }

    #[test]
    fn a_row_says_what_failed_and_how_long_it_took() {
        assert_eq!(
            row("tidy", Duration::from_millis(1234), false),
            "FAILED       1.2 s  tidy"
        );
    }
}
