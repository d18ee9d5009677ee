//! Running other programs, and naming them the way a person would type them.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// A program with its arguments, to be run in `dir`.
pub(crate) fn command(dir: &Path, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir);
    command
}

/// Runs it with our own stdout and stderr; anything but success is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let typed = typed(command);
    let status = plain_in_ci(command).status().with_context(|| not_started(&typed))?;
    succeeded(&typed, status)
}

/// Runs it and returns its stdout; stderr is ours, so that errors and progress are seen as they come.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let typed = typed(command);
    let output = plain_in_ci(command)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| not_started(&typed))?;
    succeeded(&typed, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("`{typed}` wrote something that is not UTF-8"))
}

/// Whether it starts and succeeds; nothing of it is shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as a person would type it at the root of the repository.
pub(crate) fn typed(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.display(), quoted(&value?.to_string_lossy()))))
        .collect();
    words.push(command.get_program().to_string_lossy().into_owned());
    words.extend(command.get_args().map(|arg| quoted(&arg.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(char::is_whitespace) {
        format!("\"{word}\"")
    } else {
        word.to_owned()
    }
}

/// Colour codes would get between CI and the closing lines it reads; whoever sets `CARGO_TERM_COLOR` has the last word.
fn plain_in_ci(command: &mut Command) -> &mut Command {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    if in_ci && std::env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "never");
    }
    command
}

fn not_started(typed: &str) -> String {
    format!("could not start `{typed}`: is it installed and in PATH?")
}

fn succeeded(typed: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{typed}` failed: {status}");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_as_it_is_typed() {
        let mut doc = command(Path::new("."), "cargo", &["doc", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings").env_remove("RUSTFLAGS");
        assert_eq!(typed(&doc), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }

    #[test]
    fn a_missing_program_is_named() {
        let missing = run(&mut command(Path::new("."), "no-such-program-here", &["--flag"]));
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .contains("could not start `no-such-program-here --flag`")
        );
    }
}
