//! The `palisade` binary, built for the dev profile.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;
use crate::repo::Repo;

/// How cargo builds it. The packages are those of `cargo test --workspace`, so that both have the same features and what one
/// has compiled serves the other; xtask is left out since it runs right now.
pub(crate) const BUILD: &[&str] = &["build", "--workspace", "--exclude", "xtask", "--bins", "--locked"];

/// Builds it and returns where it is.
pub(crate) fn build(repo: &Repo) -> Result<PathBuf> {
    let mut cargo = process::command(repo.root(), "cargo", BUILD);
    let messages = process::output(cargo.args(["--message-format", "json-render-diagnostics"]))?;
    executable(&messages, "palisade").context("cargo built the workspace, but named no executable `palisade`")
}

fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| {
            let is_it = message.get("target")?.get("name")?.as_str()? == name;
            let executable = message.get("executable")?.as_str()?;
            is_it.then(|| PathBuf::from(executable))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_one_of_that_name() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"palisade"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}
{"reason":"compiler-artifact","target":{"name":"palisade"},"executable":"/t/palisade"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "palisade"), Some(PathBuf::from("/t/palisade")));
        assert_eq!(executable(messages, "absent"), None);
    }
}
