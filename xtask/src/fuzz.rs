//! `cargo xtask fuzz`: looks for inputs that break a property of tests/src/properties, with coverage as its guide.
//!
//! What each target has found out about the code it keeps in tests/fuzz/corpus, which is not in the repository: the next
//! run goes on from there. An input that breaks a property is kept in tests/fuzz/artifacts, and makes the command fail.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::repo::Repo;
use crate::{guests, process};

/// The cargo-fuzz crate, a workspace of its own.
const FUZZ: &str = "tests/fuzz";

/// The targets, each with the longest input that is worth trying, in bytes.
const TARGETS: [(&str, u32); 7] = [
    ("loader_bytes", 8192),
    ("loader_smith", 4096),
    ("loader_mutated", 160),
    ("config", 1024),
    ("cloudevents", 1024),
    ("patterns", 300),
    ("cancellation", 200),
];

/// An input that takes this many seconds is one that hangs.
const HANGS: u32 = 120;

/// What a run may hold in memory, in MiB: the compiler's caches, the pooled instances and the sanitizer's own books.
const MEMORY: u32 = 6144;

/// What there is to say on the command line.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The targets to run, one after the other; all without one
    targets: Vec<String>,
    /// How long each of them runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    let targets = chosen(&options.targets)?;
    ensure_tools(repo)?;
    guests::run(repo)?;
    println!("building the targets (first time: ten minutes or more)...");
    for (target, _) in &targets {
        process::run(&mut cargo_fuzz(repo, &["build", target]))?;
        seed(repo, target)?;
    }
    let mut ran = Vec::new();
    for (target, longest) in targets {
        println!("{target}: {} seconds...", options.seconds);
        ran.push(run_one(repo, target, longest, options.seconds)?);
    }
    println!("\n{}", table(&ran));
    let broken: Vec<_> = ran.iter().filter(|run| !run.is_clean()).map(Run::complaint).collect();
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<(&'static str, u32)>> {
    if names.is_empty() {
        return Ok(TARGETS.to_vec());
    }
    let known = |name: &String| {
        let found = TARGETS.into_iter().find(|(target, _)| target == name);
        found.with_context(|| {
            format!(
                "there is no target `{name}`; there are {}",
                TARGETS.map(|(name, _)| name).join(", ")
            )
        })
    };
    names.iter().map(known).collect()
}

/// The compiler's instrumentation is in nightly only, whatever the toolchain of the repository.
fn ensure_tools(repo: &Repo) -> Result<()> {
    let nightly = |args: &[&str]| {
        let args: Vec<&str> = ["run", "nightly"].iter().chain(args).copied().collect();
        process::succeeds(&mut process::command(repo.root(), "rustup", &args))
    };
    if !nightly(&["rustc", "--version"]) {
        bail!("fuzzing needs a nightly compiler: `rustup toolchain install nightly`");
    }
    if !nightly(&["cargo", "fuzz", "--version"]) {
        bail!("fuzzing needs cargo-fuzz: `cargo install cargo-fuzz --locked`");
    }
    Ok(())
}

fn cargo_fuzz(repo: &Repo, args: &[&str]) -> Command {
    let (verb, rest) = args.split_first().unwrap_or((&"list", &[]));
    let whole = [
        "run",
        "nightly",
        "cargo",
        "fuzz",
        verb,
        "--fuzz-dir",
        FUZZ,
        "--codegen-units",
        "16",
    ];
    let args: Vec<&str> = whole.iter().chain(rest).copied().collect();
    process::command(repo.root(), "rustup", &args)
}

/// Begins a target's corpus with what the repository has of its kind.
fn seed(repo: &Repo, target: &str) -> Result<()> {
    let corpus = repo.path(FUZZ).join("corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("could not make {}", corpus.display()))?;
    for (at, seed) in seeds(repo, target)?.iter().enumerate() {
        let file = corpus.join(format!("seed-{at}"));
        fs::write(&file, seed).with_context(|| format!("could not write {}", file.display()))?;
    }
    Ok(())
}

fn seeds(repo: &Repo, target: &str) -> Result<Vec<Vec<u8>>> {
    let text = |path: &str| fs::read_to_string(repo.path(path)).with_context(|| format!("could not read {path}"));
    // The first byte of a text says that the rest is taken as it is.
    let as_is = |first: u8, text: &str| std::iter::once(first).chain(text.bytes()).collect::<Vec<u8>>();
    Ok(match target {
        "config" => ["runtime/examples/palisade.toml", "runtime/examples/demo/palisade.toml"]
            .into_iter()
            .map(|path| Ok(as_is(0, &text(path)?)))
            .collect::<Result<_>>()?,
        "cloudevents" => text("tests/data/github-webhooks.ndjson")?
            .lines()
            .map(|line| as_is(7, line))
            .collect(),
        "loader_bytes" => files_of(&repo.path(FUZZ).join("seeds").join(target))?,
        // The two tiny ones as they are: with the sanitizer a real one takes the compiler seconds.
        "loader_mutated" => vec![vec![0], vec![1]],
        // Bytes without order mean as much to the others as any.
        _ => vec![(0..=255).collect()],
    })
}

fn files_of(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
    entries.map(|entry| Ok(fs::read(entry?.path())?)).collect()
}

/// What a run came to.
#[derive(Debug, Default)]
struct Run {
    target: &'static str,
    executions: u64,
    a_second: u64,
    coverage: u64,
    new_inputs: u64,
    corpus: u64,
    artifacts: Vec<PathBuf>,
    failed: bool,
}

fn run_one(repo: &Repo, target: &'static str, longest: u32, seconds: u32) -> Result<Run> {
    let options = [
        format!("-max_total_time={seconds}"),
        format!("-max_len={longest}"),
        format!("-timeout={HANGS}"),
        // The sanitizer makes the compiler slow: only what hangs is a finding.
        format!("-report_slow_units={HANGS}"),
        format!("-rss_limit_mb={MEMORY}"),
        "-print_final_stats=1".to_owned(),
        // What guests' stacks point to it does not see. What may leak here is counted by the properties themselves.
        "-detect_leaks=0".to_owned(),
    ];
    let mut command = cargo_fuzz(repo, &["run", target, "--"]);
    command.args(&options).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("could not start rustup")?;
    let stderr = child.stderr.take().context("it has no stderr")?;
    let mut run = Run {
        target,
        ..Run::default()
    };
    let mut said = Vec::new();
    for line in BufReader::new(stderr).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        run.take(&line);
        said.push(line);
    }
    run.failed = !child.wait()?.success();
    if run.failed {
        let last = said.len().saturating_sub(60);
        said.iter().skip(last).for_each(|line| eprintln!("  {line}"));
    }
    Ok(run)
}

impl Run {
    fn is_clean(&self) -> bool {
        self.artifacts.is_empty() && !self.failed
    }

    fn complaint(&self) -> String {
        let Self { target, artifacts, .. } = self;
        match artifacts.first() {
            Some(artifact) => format!(
                "{target}: {} breaks the property; `rustup run nightly cargo fuzz run --fuzz-dir {FUZZ} {target} {0}` shows it \
                 again, `cargo fuzz tmin` makes it smaller",
                artifact.display()
            ),
            None => format!("{target}: the run failed"),
        }
    }

    /// Takes what a line of libFuzzer's tells.
    fn take(&mut self, line: &str) {
        if let Some((_, artifact)) = line.split_once("Test unit written to ") {
            self.artifacts.push(artifact.trim().into());
        }
        // `#4096 NEW    cov: 1021 ft: 2120 corp: 36/412b ...`
        if let Some(count) = line
            .strip_prefix('#')
            .and_then(|rest| number(rest.split_whitespace().next()?))
        {
            self.executions = self.executions.max(count);
            let mut words = line.split_whitespace();
            let mut facts = BTreeMap::new();
            while let Some(word) = words.next() {
                if let Some(name) = word.strip_suffix(':') {
                    facts.insert(name, words.next().unwrap_or_default());
                }
            }
            let fact = |name| facts.get(name).and_then(|value| number(value.split('/').next()?));
            self.coverage = fact("cov").unwrap_or(self.coverage);
            self.corpus = fact("corp").unwrap_or(self.corpus);
            self.a_second = fact("exec/s").unwrap_or(self.a_second);
        }
        if let Some((name, value)) = line.strip_prefix("stat::").and_then(|stat| stat.split_once(':')) {
            let value = number(value.trim()).unwrap_or_default();
            match name {
                "number_of_executed_units" => self.executions = value,
                "average_exec_per_sec" => self.a_second = value,
                "new_units_added" => self.new_inputs = value,
                _ => {}
            }
        }
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn table(runs: &[Run]) -> String {
    let mut text = format!(
        "{:<16}{:>12}{:>10}{:>10}{:>12}{:>9}{:>9}",
        "target", "executions", "a second", "coverage", "new inputs", "corpus", "crashes"
    );
    for run in runs {
        let Run {
            target,
            executions,
            a_second,
            coverage,
            new_inputs,
            corpus,
            artifacts,
            ..
        } = run;
        let crashes = artifacts.len();
        // A `String` takes whatever it is given.
        let _ = write!(
            text,
            "\n{target:<16}{executions:>12}{a_second:>10}{coverage:>10}{new_inputs:>12}{corpus:>9}{crashes:>9}"
        );
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn read(output: &str) -> Run {
        let mut run = Run::default();
        output.lines().for_each(|line| run.take(line));
        run
    }

    #[test]
    fn a_run_is_read_from_what_libfuzzer_says() {
        let run = read(
            "INFO: Running with entropic power schedule (0xFF, 100).\n\
             #2\tINITED cov: 88 ft: 89 corp: 1/1b exec/s: 0 rss: 60Mb\n\
             #4096\tNEW    cov: 1021 ft: 2120 corp: 36/412b lim: 43 exec/s: 512 rss: 71Mb L: 9/43 MS: 1 CopyPart-\n\
             Done 8192 runs in 61 second(s)\n\
             stat::number_of_executed_units: 8192\n\
             stat::average_exec_per_sec:     134\n\
             stat::new_units_added:          35\n",
        );
        assert_eq!((run.executions, run.a_second, run.new_inputs), (8192, 134, 35));
        assert_eq!((run.coverage, run.corpus, run.is_clean()), (1021, 36, true));
    }

    #[test]
    fn a_crash_is_named_by_its_artifact() {
        let run = read(
            "#77\tpulse  cov: 5 ft: 6 corp: 1/1b exec/s: 9 rss: 60Mb\n\
             artifact_prefix='tests/fuzz/artifacts/config/'; Test unit written to tests/fuzz/artifacts/config/crash-1f\n",
        );
        assert_eq!(run.executions, 77);
        assert!(!run.is_clean() && run.complaint().contains("tests/fuzz/artifacts/config/crash-1f"));
        assert!(table(&[run]).lines().nth(1).unwrap().ends_with(" 1"));
    }

    #[test]
    fn an_unknown_target_is_refused_with_those_that_there_are() {
        assert_eq!(chosen(&[]).unwrap().len(), TARGETS.len());
        assert_eq!(chosen(&["config".to_owned()]).unwrap(), [("config", 1024)]);
        let error = chosen(&["confg".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("confg") && error.contains("loader_smith"), "{error}");
    }

    #[test]
    fn every_target_is_one_of_the_crate() {
        let manifest = fs::read_to_string(Repo::find().path(FUZZ).join("Cargo.toml")).unwrap();
        let named: Vec<_> = manifest
            .lines()
            .filter(|line| line.starts_with("name = "))
            .skip(1)
            .collect();
        assert_eq!(named, TARGETS.map(|(target, _)| format!("name = \"{target}\"")));
    }
}
