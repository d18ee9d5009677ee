#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cache;
mod delivery;
mod mistakes;
mod plugins;
mod sample;
mod secrets;
mod store;

use std::fs;

use tempfile::TempDir;

use super::*;

/// A directory with a `palisade.toml` in it.
struct Dir(TempDir);

impl Dir {
    fn with(config: &str) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        dir.file("palisade.toml", config);
        dir
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self) -> Result<Config, ConfigError> {
        Config::from_file(self.0.path().join("palisade.toml"))
    }
}

fn read(config: &str) -> Config {
    Dir::with(config).read().unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong, as `line:column: key: message`, a line each.
fn wrong(config: &str) -> Vec<String> {
    shown(Dir::with(config).read().expect_err("a mistake"))
}

fn shown(error: ConfigError) -> Vec<String> {
    let ConfigError::Invalid(problems) = error else {
        panic!("{error}")
    };
    let show = |problem: &ConfigProblem| {
        let ConfigProblem {
            line,
            column,
            key,
            message,
            ..
        } = problem;
        format!("{line}:{column}: {key}: {message}")
    };
    problems.iter().map(show).collect()
}
