//! What has to be installed before we build: looked for first, and fetched with rustup where it is missing.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::repo::Repo;

/// What guests are built for.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";

/// Makes sure the standard library for the guests' target is there. rustup reads the targets of `rust-toolchain.toml` only
/// when it installs a toolchain by itself, so one that was there before may lack it.
pub(crate) fn ensure_guest_target(repo: &Repo) -> Result<()> {
    if has_guest_target(repo)? {
        return Ok(());
    }
    if !has_rustup(repo) {
        bail!(
            "the Rust in {} has no target {GUEST_TARGET}, and there is no rustup to add it with: install your \
             distribution's package of the Rust standard library for {GUEST_TARGET}, or rustup from https://rustup.rs",
            sysroot(repo)?
        );
    }
    println!("target {GUEST_TARGET} is missing: adding it with `rustup target add {GUEST_TARGET}`");
    process::run(&mut process::command(
        repo.root(),
        "rustup",
        &["target", "add", GUEST_TARGET],
    ))?;
    if !has_guest_target(repo)? {
        bail!(
            "rustup has added {GUEST_TARGET}, but the rustc in PATH is another one, from {}: put rustup's first in PATH",
            sysroot(repo)?
        );
    }
    Ok(())
}

/// Makes sure `cargo fmt` and `cargo clippy` are there.
pub(crate) fn ensure_components(repo: &Repo) -> Result<()> {
    ensure_component(repo, "rustfmt", "fmt")?;
    ensure_component(repo, "clippy", "clippy")
}

fn ensure_component(repo: &Repo, component: &str, subcommand: &str) -> Result<()> {
    if has_subcommand(repo, subcommand) {
        return Ok(());
    }
    if !has_rustup(repo) {
        bail!(
            "`cargo {subcommand}` is missing, and there is no rustup to add it with: install your distribution's package \
             {component}, or rustup from https://rustup.rs"
        );
    }
    println!("component {component} is missing: adding it with `rustup component add {component}`");
    process::run(&mut process::command(
        repo.root(),
        "rustup",
        &["component", "add", component],
    ))?;
    if !has_subcommand(repo, subcommand) {
        bail!(
            "rustup has added {component}, but `cargo {subcommand}` still fails: is the cargo in PATH another than rustup's?"
        );
    }
    Ok(())
}

/// Whether cargo has this subcommand and it starts.
pub(crate) fn has_subcommand(repo: &Repo, subcommand: &str) -> bool {
    process::succeeds(&mut process::command(repo.root(), "cargo", &[subcommand, "--version"]))
}

fn has_rustup(repo: &Repo) -> bool {
    process::succeeds(&mut process::command(repo.root(), "rustup", &["--version"]))
}

fn has_guest_target(repo: &Repo) -> Result<bool> {
    let args = ["--print", "target-libdir", "--target", GUEST_TARGET];
    let libdir = process::output(&mut process::command(repo.root(), "rustc", &args))
        .with_context(|| format!("does this rustc know {GUEST_TARGET}? It is there since Rust 1.82"))?;
    Ok(has_std(Path::new(libdir.trim())))
}

/// rustup leaves the empty directory behind when a target is removed, so its existence says nothing.
fn has_std(libdir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(libdir) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

fn sysroot(repo: &Repo) -> Result<String> {
    let sysroot = process::output(&mut process::command(repo.root(), "rustc", &["--print", "sysroot"]))?;
    Ok(sysroot.trim().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_there_when_its_standard_library_is() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_std(&dir.path().join("absent")), "no directory");
        assert!(!has_std(dir.path()), "an empty directory");
        std::fs::write(dir.path().join("libstd-0123456789abcdef.rlib"), "").unwrap();
        assert!(has_std(dir.path()));
    }
}
