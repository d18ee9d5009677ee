//! The binary, run as a user runs it.

mod cache;
mod call;
mod check;
mod compile;
mod config;
mod dead_letters;
mod directories;
mod durable;
mod files;
mod grants;
mod help;
mod inspect;
mod pipes;
mod run;
mod signals;
mod standstill;
mod start;
mod stdout;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use palisade_tests::{binary, plugin};
use tempfile::TempDir;

/// A directory of its own, to be the working directory of a command.
struct Dir(TempDir);

/// How a command ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With this `palisade.toml`, in which `PLUGINS` stands for the directory of the built plugins.
    fn with(config: &str) -> Self {
        let dir = Self::new();
        let plugins = plugin("probe").parent().unwrap().display().to_string();
        dir.file("palisade.toml", config.replace("PLUGINS", &plugins));
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary with these arguments, and nothing of ours in its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.0.path()).args(arguments).stdin(Stdio::null());
        command.env_remove("PALISADE_LOG").env("RUST_BACKTRACE", "1");
        command.env("XDG_CACHE_HOME", binary().parent().unwrap().join("test-cache"));
        command
    }

    fn palisade(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// With a text on stdin.
    fn piped(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Ended {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut pipe, stdin) = (child.stdin.take().unwrap(), stdin.as_ref().to_vec());
        // From beside, since both pipes may fill up; the command may also end before it has read all.
        let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
        let ended = child.wait_with_output().unwrap();
        writer.join().unwrap();
        ended.into()
    }

    /// `run --config palisade.toml --stdin`
    fn run(&self, stdin: impl AsRef<[u8]>) -> Ended {
        self.piped(&["run", "--config", "palisade.toml", "--stdin"], stdin)
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Ended {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked at runtime"), "{}", self.stderr);
        self
    }

    /// That the words are on stderr, in one line.
    #[track_caller]
    fn says(self, words: &[&str]) -> Self {
        let found = self
            .stderr
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line says {words:?}:\n{}", self.stderr);
        self
    }

    /// What a row of the summary says.
    #[track_caller]
    fn row(&self, name: &str) -> &str {
        let rows = self.stderr.lines().skip_while(|line| *line != "summary");
        let row = rows.filter_map(|line| line.trim().strip_prefix(name)).next();
        row.unwrap_or_else(|| panic!("the summary has no row {name}:\n{}", self.stderr))
            .trim()
    }

    fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// One event as a line without its end; `data` is JSON, or empty for none.
fn line(id: &str, event_type: &str, data: &str) -> String {
    let data = if data.is_empty() {
        String::new()
    } else {
        format!(r#","data":{data}"#)
    };
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/tests","type":"{event_type}"{data}}}"#)
}

/// A plugin's path, as an argument.
fn component(name: &str) -> String {
    shown(&plugin(name))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
