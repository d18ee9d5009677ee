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
    ] {
        let help = dir.palisade(command).expect(0).stdout;
        assert!(
            help.contains("Example") && help.contains("palisade "),
            "{command:?}: {help}"
        );
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
        &["call", "a.wasm", "b.json", "--fs", "here"],
        &["call", "a.wasm", "b.json", "--name", "x"],
        &["check", "--config", "f", "--log", "xml"],
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
