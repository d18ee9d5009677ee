//! `cargo xtask demo`: builds everything, runs `runtime/examples/demo` end to end, shows what it gives and checks it.

mod alert;
mod audit;

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::repo::Repo;
use crate::{guests, process, server};

const CONFIG: &str = "runtime/examples/demo/palisade.toml";
const EVENTS: &str = "runtime/examples/demo/events.ndjson";
const EXPECTED: &str = "runtime/examples/demo/expected-alerts.txt";
/// The directory that the config grants to audit-logger, and the file it names there.
const AUDIT_DIR: &str = "target/demo/audit";
const AUDIT_FILE: &str = "target/demo/audit/audit.ndjson";

pub(crate) fn run(repo: &Repo) -> Result<()> {
    heading("Guests");
    guests::run(repo)?;
    heading("The runtime");
    println!("building palisade (first time: some minutes)...");
    let binary = server::build(repo)?;

    empty_dir(&repo.path(AUDIT_DIR))?;
    heading(&format!("palisade run --config {CONFIG} --stdin < {EVENTS}"));
    let published = process::output(&mut palisade(repo, &binary)?)?;

    let alerts = alert::parse(&published)?;
    heading(&format!(
        "{} alerts, published by auth-enhancer, on stdout",
        alerts.len()
    ));
    alerts.iter().for_each(|alert| println!("{alert}"));
    let log = read(repo, AUDIT_FILE).context("audit-logger wrote no log")?;
    heading(&format!(
        "{} lines, written by audit-logger, in {AUDIT_FILE}",
        log.lines().count()
    ));
    audit::show(&log);

    heading("Result");
    let missing = audit::missing(&read(repo, EVENTS)?, &log)?;
    if !missing.is_empty() {
        bail!(
            "the audit log lacks {} events that audit-logger handles: {}",
            missing.len(),
            missing.join(", ")
        );
    }
    alert::compare(&alerts, &read(repo, EXPECTED)?)?;
    println!("As expected: the alerts are those of {EXPECTED}, and each event to be audited is in the log.");
    Ok(())
}

fn palisade(repo: &Repo, binary: &Path) -> Result<Command> {
    let events = File::open(repo.path(EVENTS)).with_context(|| format!("could not open {EVENTS}"))?;
    let binary = binary.to_string_lossy();
    let mut command = process::command(repo.root(), &binary, &["run", "--config", CONFIG, "--stdin"]);
    command.stdin(events);
    Ok(command)
}

/// What an earlier run left there would be counted as this one's.
fn empty_dir(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("could not empty {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))
}

fn read(repo: &Repo, file: &str) -> Result<String> {
    fs::read_to_string(repo.path(file)).with_context(|| format!("could not read {file}"))
}

fn heading(text: &str) {
    println!("\n== {text}");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_directory_is_emptied_and_made() {
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("demo/audit");
        empty_dir(&audit).unwrap();
        fs::write(audit.join("audit.ndjson"), "old").unwrap();
        empty_dir(&audit).unwrap();
        assert_eq!(fs::read_dir(&audit).unwrap().count(), 0);
    }

    /// The counts that the sample's README gives.
    #[test]
    fn the_sample_is_whole() {
        let repo = Repo::find();
        assert_eq!(read(&repo, EXPECTED).unwrap().lines().count(), 3);
        assert_eq!(audit::missing(&read(&repo, EVENTS).unwrap(), "").unwrap().len(), 79);
    }
}
