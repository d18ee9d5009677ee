//! H50, D7: the first signal ends a run in order, the second at once.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::*;

/// A run that is under way.
pub(super) struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
    said: String,
    dir: Dir,
}

impl Running {
    pub(super) fn start(dir: Dir, arguments: &[&str]) -> Self {
        let mut command = dir.command(&[&["run", "--config", "palisade.toml"], arguments].concat());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            stdin,
            stdout,
            stderr,
            said: String::new(),
            dir,
        }
    }

    /// Sends an event that keeps one instance busy, and waits until the other one has handled what came after it.
    pub(super) fn send_then_wait(&mut self, busy: &str) {
        let after = line("2", "hostile.publish", r#"{"type":"other.x"}"#);
        self.send(&format!("{busy}\n{after}\n"));
        assert!(self.line().contains("other.x"));
    }

    pub(super) fn send(&mut self, lines: &str) {
        self.stdin.write_all(lines.as_bytes()).unwrap();
    }

    /// The next line of stdout.
    pub(super) fn line(&mut self) -> String {
        self.stdout.next().unwrap().unwrap()
    }

    /// Reads stderr up to a line with this word.
    pub(super) fn wait_for(&mut self, word: &str) {
        loop {
            let line = self
                .stderr
                .next()
                .unwrap_or_else(|| panic!("no `{word}`:\n{}", self.said))
                .unwrap();
            let found = line.contains(word);
            self.said += &(line + "\n");
            if found {
                return;
            }
        }
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Stdin stays open to the end.
    pub(super) fn wait(self) -> Ended {
        self.wait_with_dir().0
    }

    /// The same, for those who look at what it left behind.
    pub(super) fn wait_with_dir(mut self) -> (Ended, Dir) {
        let stdout = self.stdout.map(|line| line.unwrap() + "\n").collect();
        self.stderr.for_each(|line| self.said += &(line.unwrap() + "\n"));
        let status = self.child.wait().unwrap();
        drop(self.stdin);
        let ended = Ended {
            code: status.code(),
            stdout,
            stderr: self.said,
        };
        (ended, self.dir)
    }
}

/// Two instances, so that one can be busy while the other answers.
fn hostile(drain: &str) -> Dir {
    Dir::with(&format!(
        "drain = \"{drain}\"\n[[plugin]]\npath = \"PLUGINS/hostile.wasm\"\nconcurrency = 2\ngrants.publish = [\"other.*\"]\n"
    ))
}

/// D7
#[test]
fn d7_without_stdin_it_serves_until_sigterm() {
    for signal in ["-TERM", "-INT"] {
        let mut running = Running::start(hostile("60s"), &[]);
        running.wait_for("no intake is configured");
        running.signal(signal);
        let ended = running.wait().expect(0);
        assert!(ended.stdout.is_empty());
        let why = ended.stderr.find(&format!("SIG{}: ending in order", &signal[1..]));
        let stopped = ended.stderr.find("plugin.stopped");
        assert!(why.is_some() && why < stopped, "{}", ended.stderr);
        ended.says(&["summary"]);
    }
}

/// H50: what is under way is finished, though stdin is still open.
#[test]
fn h50_a_first_signal_finishes_what_is_under_way() {
    let mut running = Running::start(hostile("60s"), &["--stdin"]);
    running.send_then_wait(&line("1", "hostile.sleep", "300"));
    running.signal("-TERM");
    let ended = running.wait().expect(0);
    assert_eq!((ended.row("hostile/sin"), ended.row("abandoned")), ("ok 2", "0"));
}

/// H50, D7: what is not finished by the deadline is counted, and makes the exit code 3.
#[test]
fn h50_what_the_drain_gives_up_is_counted() {
    for sin in ["hostile.sleep", "hostile.spin"] {
        let mut running = Running::start(hostile("1ms"), &["--stdin"]);
        running.send_then_wait(&line("1", sin, ""));
        running.signal("-TERM");
        let ended = running.wait().expect(3);
        assert_eq!(ended.row("abandoned"), "1", "{sin}");
        assert_eq!(ended.row("dead letters"), "0");
    }
}

/// H50
#[test]
fn h50_a_second_signal_ends_at_once() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut running = Running::start(hostile("60s"), &["--stdin"]);
        running.send_then_wait(&line("1", "hostile.sleep", ""));
        running.signal("-TERM");
        running.wait_for("a second signal ends at once");
        running.signal(signal);
        let ended = running.wait().expect(code).says(&["ending at once"]);
        assert!(!ended.stderr.contains("summary"));
    }
}
