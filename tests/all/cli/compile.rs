//! The compiler's process of the binary.

use super::*;
use crate::sandbox::costly::costly;

/// S10, H33: a component made to hurt the compiler is refused by the limit it runs into; what is healthy is not.
#[test]
fn h33_a_costly_component_is_refused() {
    for (keys, words) in [
        (
            "compile-time = \"300ms\"",
            "compiling it took more than 300ms (engine.compile-time)",
        ),
        (
            "compile-time = \"1h\"\ncompile-memory = \"200MiB\"",
            "compiling it needs more than 209715200 bytes of memory (engine.compile-memory)",
        ),
    ] {
        let dir = Dir::with(&format!("[engine]\n{keys}\n[[plugin]]\npath = \"costly.wasm\""));
        dir.file("costly.wasm", costly());
        for command in ["check", "run"] {
            let ended = dir.palisade(&[command, "--config", "palisade.toml"]).expect(1);
            ended.says(&["costly.wasm", words]);
        }
        let config = dir
            .text("palisade.toml")
            .replace("path = \"costly.wasm\"", "path = \"PROBE\"");
        let healthy = Dir::with(&config.replace("PROBE", &component("probe")).replace("300ms", "30s"));
        healthy.palisade(&["check", "--config", "palisade.toml"]).expect(0);
    }
}

/// S10, H33: `call` goes the same way.
#[test]
fn h33_call_compiles_within_the_limits_of_the_config() {
    let dir = Dir::with("[engine]\ncompile-memory = \"200MiB\"\n[[plugin]]\npath = \"costly.wasm\"");
    dir.file("costly.wasm", costly());
    dir.file("event.json", line("1", "a.b", ""));
    let ended = dir.palisade(&["call", "costly.wasm", "event.json", "--config", "palisade.toml"]);
    ended.expect(1).says(&["costly.wasm", "engine.compile-memory"]);
}

/// S10: the command is not for people, and says so.
#[test]
fn s10_the_compilers_command_is_hidden() {
    let dir = Dir::new();
    let help = dir.palisade(&["--help"]).expect(0).stdout;
    assert!(!help.contains("compile-child"), "{help}");
    let answer = dir.piped(&["compile-child"], "hello\n").expect(0).stdout;
    assert!(
        answer.starts_with("{\"not-ready\":") && answer.contains("this command is for Palisade itself"),
        "{answer}"
    );
}

/// S10: a child that would compile for another engine than the one that asks does not.
#[test]
fn s10_a_child_compiles_for_no_other_engine() {
    let request = r#"{"metered":false,"compatibility":1,"memory":1000000000,"cpu_seconds":10,"bytes":8}"#;
    let answer = Dir::new().piped(&["compile-child"], format!("{request}\n\0asm\x0d\0\x01\0"));
    assert_eq!(answer.expect(0).stdout, "\"other-engine\"\n");
}
