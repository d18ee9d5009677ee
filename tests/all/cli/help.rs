//! What the binary says of itself.

use super::*;

#[test]
fn help_has_examples_for_every_command() {
    let dir = Dir::new();
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["inspect", "--help"],
        &["call", "--help"],
        &["dead-letters", "--help"],
        &["dead-letters", "list", "--help"],
        &["dead-letters", "show", "--help"],
        &["dead-letters", "redrive", "--help"],
        &["dead-letters", "purge", "--help"],
    ] {
        let help = dir.palisade(command).expect(0).stdout;
        assert!(
            help.contains("Example") && help.contains("palisade "),
            "{command:?}: {help}"
        );
        // As it is written: nothing was too long and had its last word put on a line of its own.
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{command:?}: {help}"
        );
        let is_alone =
            |line: &&str| !line.starts_with(' ') && !line.is_empty() && line.len() < 12 && !line.contains(':');
        assert_eq!(help.lines().find(is_alone), None, "{command:?}: {help}");
    }
}

#[test]
fn the_help_says_what_is_covered_and_what_exit_codes_mean() {
    let dir = Dir::new();
    let help = |command: &str| dir.palisade(&[command, "--help"]).expect(0).stdout;
    let run = help("run");
    for code in [
        "0    all",
        "1    the start",
        "2    wrong",
        "3    some",
        "130  a second",
        "143  the same",
    ] {
        assert!(run.contains(&format!("\n  {code}")), "{code}: {run}");
    }
    for (command, words) in [
        ("run", "stdout can't be written"),
        ("check", "It does not run any plugin's `start`"),
        ("call", "`describe` and `start` count too"),
        ("call", "is not tried again"),
        ("call", "`ceilings` of that config still cut it"),
        ("call", "--http https://api.example.com"),
        ("inspect", "with nothing granted"),
        (
            "run",
            "holds up the line that it is full for, and so all that come after it",
        ),
        ("run", "they get it at the next start"),
        ("dead-letters", "that no server is using"),
    ] {
        // However wide the terminal is.
        let help = help(command).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(words), "{words}: {help}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let dir = Dir::new();
    for wrong in [
        &[][..],
        &["serve"],
        &["run"],
        &["run", "--config"],
        &["inspect"],
        &["call", "a.wasm"],
        &["call", "a.wasm", "b.json", "--timeout", "0s"],
        &["call", "a.wasm", "b.json", "--grant-publish", "a..b"],
        &["call", "a.wasm", "b.json", "--grant-publish", "plugin.>"],
        &["call", "a.wasm", "b.json", "--fs", "here"],
        &["call", "a.wasm", "b.json", "--timeout", "11years"],
        &["call", "a.wasm", "b.json", "--memory", "2TiB"],
        &["call", "a.wasm", "b.json", "--fs", "here:/a/../b"],
        &["call", "a.wasm", "b.json", "--name", "x"],
        &["call", "a.wasm", "b.json", "--env", "REGION=eu"],
        &["call", "a.wasm", "b.json", "--clocks", "exact"],
        &["call", "a.wasm", "b.json", "--http", "api.example.com"],
        &["call", "a.wasm", "b.json", "--http", "https://api.example.com/v1"],
        &["call", "a.wasm", "b.json", "--http-private", "https://*.example.com"],
        &["inspect", "a.wasm", "--name", "x"],
        &["check", "--config", "f", "--log", "xml"],
        &["dead-letters"],
        &["dead-letters", "list"],
        &["dead-letters", "list", "--data-dir", "d", "--config", "f"],
        &["dead-letters", "list", "--data-dir", "d", "--class", "bad-luck"],
        &["dead-letters", "list", "--data-dir", "d", "--class", "ok"],
        &["dead-letters", "list", "--data-dir", "d", "--since", "yesterday"],
        &["dead-letters", "list", "--data-dir", "d", "--limit", "0"],
        &["dead-letters", "show", "--data-dir", "d"],
        &["dead-letters", "show", "--data-dir", "d", "seven"],
        &["dead-letters", "redrive", "--data-dir", "d"],
        &["dead-letters", "purge", "--data-dir", "d", "--dry-run"],
        &["dead-letters", "purge", "--data-dir", "d", "7", "--all"],
        &["dead-letters", "purge", "--data-dir", "d", "7", "--class", "timeout"],
        &[
            "dead-letters",
            "redrive",
            "--data-dir",
            "d",
            "--all",
            "--class",
            "timeout",
        ],
    ] {
        dir.palisade(wrong).expect(2);
    }
    let ended: Ended = dir
        .command(&["check", "--config", "f"])
        .env("PALISADE_LOG", "palisade=loud")
        .output()
        .unwrap()
        .into();
    ended.expect(2).says(&["PALISADE_LOG"]);
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = Dir::new().palisade(&["--version"]).expect(0).stdout;
    assert_eq!(version, format!("palisade {}\n", env!("CARGO_PKG_VERSION")));
}
