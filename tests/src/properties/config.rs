//! H47, L4: no text makes the config parser panic; what is wrong is told with its line, and no limit is ever 0.

use std::path::PathBuf;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use palisade::PluginSpec;
use palisade::config::{Config, ConfigError, ConfigProblem};

use super::assert_presentable;
use super::mutation::mutated;

/// Every key there is, each with its default.
const SAMPLE: &str = include_str!("../../../runtime/examples/palisade.toml");

/// Values that no limit may have, and some that no parser expects.
const ODD: [&str; 16] = [
    "0",
    "-1",
    "-0",
    "0.0",
    "\"0\"",
    "\"0s\"",
    "\"-5s\"",
    "\"0B\"",
    "\"-1MiB\"",
    "9223372036854775807",
    "nan",
    "-inf",
    "\"18446744073709551615 years\"",
    "\"1e400\"",
    "[[[[]]]]",
    "1979-05-27T07:32:00Z",
];

/// Reads the input as a config, or the sample with changes: the first byte says which.
pub fn check(input: &[u8]) {
    let (way, rest) = input.split_first().unwrap_or((&0, &[]));
    let text = match way % 4 {
        0 => rest.to_vec(),
        1 => mutated(SAMPLE.as_bytes(), &mut Unstructured::new(rest)),
        2 => mutated(whole().as_bytes(), &mut Unstructured::new(rest)),
        _ => {
            let mut input = Unstructured::new(rest);
            let odd = odd(&mut input);
            mutated(odd.as_bytes(), &mut input)
        }
    };
    check_text(&text);
}

/// One limit of the sample, set to a value that it can't have: which one, the input says. Each is refused by its key.
pub fn check_odd_limit(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let limits = limit_lines();
    let at = input.choose_index(limits.len()).unwrap_or_default();
    let (line, key) = &limits[at];
    // The first seven are 0 or less in every form of a number, a time and a size.
    let value = ODD[input.choose_index(9).unwrap_or_default()];
    let error = read(with_line(*line, &format!("{key} = {value}")).as_bytes()).expect_err("0 or less is no limit");
    let ConfigError::Invalid(problems) = error else {
        panic!("{error}");
    };
    assert!(
        problems.iter().any(|problem| problem.line == line + 1),
        "{key} = {value}: {problems:?}"
    );
}

fn check_text(text: &[u8]) {
    let first = read(text);
    let again = read(text);
    match (first, again) {
        (Ok(config), Ok(again)) => {
            assert_eq!(format!("{config:?}"), format!("{again:?}"), "it reads the same twice");
            assert_no_zero(&config);
            // What is wrong with directories is told as well as the rest.
            if let Err(error) = config.check_directories() {
                assert_told(&error, text);
            }
        }
        (Err(error), Err(again)) => {
            assert_eq!(error.to_string(), again.to_string());
            assert_told(&error, text);
        }
        (first, again) => panic!("once so, once so: {first:?} {again:?}"),
    }
}

/// From a file, as the operator gives it, in a directory of this thread.
fn read(text: &[u8]) -> Result<Config, ConfigError> {
    thread_local! {
        static FILE: (tempfile::TempDir, PathBuf) = {
            let directory = tempfile::tempdir().expect("a directory");
            let file = directory.path().join("palisade.toml");
            (directory, file)
        };
    }
    FILE.with(|(_, file)| {
        std::fs::write(file, text).expect("written");
        Config::from_file(file)
    })
}

/// Every problem names a line of the file, and shows nothing that a terminal would act on.
fn assert_told(error: &ConfigError, text: &[u8]) {
    let problems = match error {
        ConfigError::Unreadable { .. } => {
            assert!(std::str::from_utf8(text).is_err(), "{error}");
            return assert_presentable(&error.to_string());
        }
        ConfigError::Invalid(problems) => problems,
        other => panic!("{other}"),
    };
    assert!(!problems.is_empty());
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    for problem in problems {
        assert!((1..=lines).contains(&problem.line) && problem.column > 0, "{problem:?}");
        let ConfigProblem { key, message, .. } = problem;
        assert_presentable(message);
        assert!(key.is_empty() || problem.to_string().contains(key.as_str()));
        assert_presentable(&problem.to_string());
    }
}

fn assert_no_zero(config: &Config) {
    assert!(!config.drain.is_zero());
    for spec in config.specs() {
        assert_no_zero_limit(&spec);
        assert!(spec.concurrency > 0 && spec.queue.events > 0 && spec.queue.bytes > 0 && spec.retry.attempts > 0);
        assert!(spec.backlog.events > 0 && spec.backlog.bytes > 0);
        assert!(!spec.retry.base.is_zero() && !spec.retry.cap.is_zero() && !spec.retry.max_age.is_zero());
        for handler in spec.handlers.values() {
            assert!(handler.timeout.is_none_or(|timeout| !timeout.is_zero()));
            assert!(handler.queue.is_none_or(|queue| queue.events > 0 && queue.bytes > 0));
        }
    }
}

fn assert_no_zero_limit(spec: &PluginSpec) {
    let shown = format!("{:?}, ", spec.limits).replace(" }", ",");
    for zero in [": 0,", ": 0ns,", "Some(0)"] {
        assert!(!shown.contains(zero), "{shown}");
    }
}

/// The sample with its absent keys made present, but for what only holds without a data-dir.
fn whole() -> &'static str {
    static WHOLE: LazyLock<String> = LazyLock::new(|| lines().join("\n"));
    &WHOLE
}

fn lines() -> Vec<&'static str> {
    let begins = |rest: &str| rest.starts_with(|c: char| c == '[' || c.is_alphabetic());
    let present = |line: &'static str| line.strip_prefix('#').filter(|rest| begins(rest)).unwrap_or(line);
    let only_in_memory = |line: &&str| ["dead-letters = 1000", "max-dead-letters = \"64MiB\""].contains(line);
    SAMPLE
        .lines()
        .map(present)
        .filter(|line| !only_in_memory(line))
        .collect()
}

/// The keys whose value is a limit, with their lines from 0: those of the tables that hold nothing else.
fn limit_lines() -> Vec<(usize, &'static str)> {
    let (mut found, mut table) = (Vec::new(), "");
    for (at, line) in lines().into_iter().enumerate() {
        if line.starts_with('[') {
            table = line;
        }
        let of_limits = ["[engine]", "[events]", "[store]", "[defaults.limits]", "[ceilings]"].contains(&table);
        if let Some((key, _)) = line.split_once(" = ").filter(|_| of_limits && !line.starts_with('#')) {
            found.push((at, key));
        }
    }
    assert!(found.len() > 50, "the sample has its limits");
    found
}

fn with_line(at: usize, line: &str) -> String {
    let mut lines = lines();
    lines[at] = line;
    lines.join("\n")
}

/// The sample with one value replaced by another that is odd.
fn odd(input: &mut Unstructured<'_>) -> String {
    let keyed: Vec<_> = lines()
        .into_iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, line.split_once(" = ")?.0)))
        .collect();
    let (at, key) = keyed[input.choose_index(keyed.len()).unwrap_or_default()];
    let value = ODD[input.choose_index(ODD.len()).unwrap_or_default()];
    with_line(at, &format!("{key} = {value}"))
}
