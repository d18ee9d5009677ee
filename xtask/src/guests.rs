//! `cargo xtask guests`: builds every plugin of guest-plugins/ and puts it in target/plugins/NAME.wasm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::repo::Repo;
use crate::{process, toolchain};

pub(crate) fn run(repo: &Repo) -> Result<()> {
    toolchain::ensure_guest_target(repo)?;
    let plugins = plugins(repo)?;
    if !repo.path("guest-plugins/target").exists() {
        eprintln!("building guests (first time: about a minute)...");
    }
    build(repo)?;
    let out = repo.plugins();
    fs::create_dir_all(&out).with_context(|| format!("could not make {}", out.display()))?;
    for plugin in &plugins {
        let bytes = fs::read(artifact(repo, plugin)).with_context(|| {
            format!(
                "guest-plugins built, but {} is missing",
                artifact(repo, plugin).display()
            )
        })?;
        let file = out.join(format!("{plugin}.wasm"));
        let news = if replace_if_changed(&file, &bytes)? {
            ""
        } else {
            "  unchanged"
        };
        eprintln!("  {plugin:<24} {:>8}{news}", kib(bytes.len()));
    }
    eprintln!("{} guests in target/plugins", plugins.len());
    Ok(())
}

/// The packages of guest-plugins/ that become components: those with a cdylib. Sorted.
pub(crate) fn plugins(repo: &Repo) -> Result<Vec<String>> {
    let args = ["metadata", "--no-deps", "--format-version", "1"];
    let metadata = process::output(&mut process::command(&repo.guest_plugins(), "cargo", &args))?;
    let plugins = cdylibs(&metadata).context("could not read what `cargo metadata` says about guest-plugins")?;
    if plugins.is_empty() {
        bail!("no package in guest-plugins has crate-type \"cdylib\": there is nothing to build");
    }
    Ok(plugins)
}

fn cdylibs(metadata: &str) -> Result<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("it lists no packages")?;
    let mut names: Vec<String> = packages
        .iter()
        .filter(|package| is_cdylib(package))
        .filter_map(|package| package.get("name")?.as_str().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

fn is_cdylib(package: &Value) -> bool {
    let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
    let mut kinds = targets.filter_map(|target| target.get("kind")?.as_array()).flatten();
    kinds.any(|kind| kind == "cdylib")
}

fn build(repo: &Repo) -> Result<()> {
    let args = [
        "build",
        "--release",
        "--locked",
        "--target",
        toolchain::GUEST_TARGET,
        "--target-dir",
        "target",
    ];
    let mut cargo = process::command(&repo.guest_plugins(), "cargo", &args);
    // Flags in the environment are meant for the host: a linker or a CPU that wasm does not have.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(&mut cargo)
}

fn artifact(repo: &Repo, plugin: &str) -> PathBuf {
    let file = format!("{}.wasm", plugin.replace('-', "_"));
    repo.guest_plugins()
        .join("target")
        .join(toolchain::GUEST_TARGET)
        .join("release")
        .join(file)
}

/// Writes beside the file and renames, so that a test running meanwhile never reads half a component; leaves an equal file
/// alone, so that its time of change means something.
fn replace_if_changed(file: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let half = file.with_extension(format!("wasm.{}.tmp", std::process::id()));
    fs::write(&half, bytes).with_context(|| format!("could not write {}", half.display()))?;
    fs::rename(&half, file).with_context(|| format!("could not put {} in place", file.display()))?;
    Ok(true)
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_are_the_packages_with_a_cdylib() {
        let metadata = r#"{"packages": [
            {"name": "sdk", "targets": [{"kind": ["lib"]}]},
            {"name": "no-secrets", "targets": [{"kind": ["cdylib"]}, {"kind": ["test"]}]},
            {"name": "audit-logger", "targets": [{"kind": ["cdylib", "rlib"]}]}
        ]}"#;
        assert_eq!(cdylibs(metadata).unwrap(), ["audit-logger", "no-secrets"]);
        assert!(cdylibs("{}").is_err());
    }

    #[test]
    fn an_equal_file_is_left_alone_and_nothing_else_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("audit-logger.wasm");
        assert!(replace_if_changed(&file, b"one").unwrap());
        assert!(!replace_if_changed(&file, b"one").unwrap());
        assert!(replace_if_changed(&file, b"two").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(kib(48 * 1024), "48 KiB");
        assert_eq!(kib(1), "1 KiB");
    }
}
