//! Whoever reads our stdout may be slow or go away.

use std::io::{BufRead, BufReader};
use std::process::Child;

use super::*;

const REPORTS: &str = "[[plugin]]\npath = \"PLUGINS/hostile.wasm\"\ngrants.publish = [\"other.*\"]\n";

fn reports(count: usize) -> String {
    let report = |id: usize| line(&id.to_string(), "hostile.publish", r#"{"type":"other.x","data":1}"#) + "\n";
    (0..count).map(report).collect()
}

fn spawn(dir: &Dir) -> Child {
    let mut command = dir.command(&["run", "--config", "palisade.toml", "--stdin"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Nobody reads while more is written than the pipes take; what is under way then waits, and nothing may be lost.
#[test]
fn a_slow_reader_loses_nothing() {
    const EVENTS: usize = 5_000;
    let dir = Dir::with(REPORTS);
    let mut child = spawn(&dir);
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (written, all_written) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        for line in reports(EVENTS).lines() {
            writeln!(stdin, "{line}").unwrap();
            written.send(()).unwrap();
        }
    });
    // More than a pipe takes of what is published, and less than makes the writer wait.
    all_written.iter().take(EVENTS / 4).for_each(drop);
    assert_eq!(BufReader::new(stdout).lines().count(), EVENTS);
    writer.join().unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(ended.row("dead letters"), "0");
}

#[test]
fn a_reader_that_goes_away_ends_the_run_without_a_panic() {
    let dir = Dir::with(REPORTS);
    let mut child = spawn(&dir);
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin.write_all(reports(1).as_bytes()).unwrap();
    assert!(lines.next().unwrap().unwrap().contains("other.x"));
    drop(lines);
    // Stdin stays open: the run has to end by itself.
    stdin.write_all(reports(1).as_bytes()).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap()).expect(1);
    let ended = ended.says(&["error: stdout was closed by its reader"]);
    assert_eq!(ended.row("abandoned"), "1");
    drop(stdin);
}
