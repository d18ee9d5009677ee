//! `palisade check`.

use super::*;

const CHECK: [&str; 3] = ["check", "--config", "palisade.toml"];

#[test]
fn a_sound_config_is_shown_with_its_limits_and_grants() {
    let dir = Dir::with(
        r#"
        [ceilings]
        timeout = "20s"
        [[filter]]
        path = "PLUGINS/no-secrets.wasm"
        [[plugin]]
        path = "PLUGINS/auth-enhancer.wasm"
        limits = { memory = "10MiB" }
        [plugin.config]
        threshold = 7
        token = { file = "token" }
        [plugin.grants]
        publish = ["auth.*"]
        [[plugin.grants.fs]]
        host = "rules"
        guest = "/rules"
        "#,
    );
    dir.file("token", "hunter2\n");
    dir.file("rules/x", "");
    let shown = dir.palisade(&CHECK).expect(0).stdout;
    for words in [
        "auth-enhancer  event-plugin",
        "no-secrets  filter-plugin",
        "user.login.failed",
        "memory                10.0 MiB",
        "timeout               20s",
        "publish auth.*",
        "fs rules as /rules (read)",
        r#"{"threshold":7,"token":"[redacted]"}"#,
        "ok: nothing found that would stop a start; the plugins' own `start` was not run (plugins: 1, filters: 1)\n",
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
    assert!(!shown.contains("hunter2"));
    // Those with their defaults are not shown.
    assert!(!shown.contains("table-elements"), "{shown}");
}

/// S8: none is left out.
#[test]
fn s8_every_grant_is_shown() {
    let dir = Dir::with(
        r#"
        [[plugin]]
        path = "PLUGINS/fetcher.wasm"
        [plugin.grants]
        publish = ["fetch.report"]
        subscribe = ["fetch.order"]
        env = ["PALISADE_NEVER_SET"]
        clocks = "precise"
        key-value = true
        http = ["https://api.example.com", { origin = "http://10.0.0.1:8080", private = true }]
        fs = [{ host = ".", guest = "/here" }]
        [[plugin]]
        path = "PLUGINS/probe.wasm"
        "#,
    );
    let shown = dir.palisade(&CHECK).expect(0).stdout;
    for line in [
        "publish fetch.report",
        "subscribe fetch.order",
        "env PALISADE_NEVER_SET (not set now)",
        "fs . as /here (read)",
        "clocks precise",
        "key-value",
        "http https://api.example.com",
        "http http://10.0.0.1:8080 (private)",
        "nothing",
    ] {
        assert!(shown.contains(&format!("\n    {line}\n")), "{line}:\n{shown}");
    }
    assert_eq!(shown.matches("    nothing\n").count(), 1, "{shown}");
}

#[test]
fn limits_that_are_the_defaults_are_one_line() {
    let dir = Dir::with("[[plugin]]\npath = \"PLUGINS/probe.wasm\"\nlimits = { memory = \"64MiB\" }");
    let shown = dir.palisade(&CHECK).expect(0).stdout;
    assert!(
        shown.contains("\n  limits: defaults\n") && !shown.contains("memory"),
        "{shown}"
    );
}

/// What only `start` finds out is not claimed.
#[test]
fn a_start_that_would_fail_is_beyond_check_which_says_so() {
    let dir = Dir::with("[[plugin]]\npath = \"PLUGINS/hostile.wasm\"\nconfig = { in-start = \"error\" }\n");
    let shown = dir.palisade(&CHECK).expect(0).stdout;
    assert!(shown.contains("own `start` was not run"), "{shown}");
    dir.run("").expect(1).says(&["hostile did not start"]);
}

#[test]
fn a_file_where_a_directory_is_granted_is_called_one() {
    let dir = Dir::with(
        "[[plugin]]\npath = \"PLUGINS/probe.wasm\"\ngrants.fs = [{ host = \"rules\", guest = \"/rules\" }]\n",
    );
    dir.file("rules", "");
    for command in [&CHECK[..], &["run", "--config", "palisade.toml"]] {
        let ended = dir.palisade(command).expect(1);
        ended.says(&["palisade.toml:3:23: plugin.grants.fs.host: rules is a file, not a directory"]);
    }
}

/// H51
#[test]
fn h51_both_files_of_a_name_are_named() {
    let dir = Dir::with("[[plugin]]\npath = \"one.wasm\"\n[[plugin]]\npath = \"two.wasm\"\n");
    for copy in ["one.wasm", "two.wasm"] {
        dir.file(copy, fs::read(plugin("probe")).unwrap());
    }
    for command in [&CHECK[..], &["run", "--config", "palisade.toml"]] {
        let ended = dir.palisade(command).expect(1);
        ended.says(&[
            "probe: a plugin of this name is loaded already",
            "one.wasm and two.wasm",
        ]);
    }
}

#[test]
fn all_that_is_in_the_way_is_listed_at_once() {
    let dir = Dir::with(
        r#"
        [[plugin]]
        name = "absent"
        path = "absent.wasm"
        [[plugin]]
        name = "core"
        path = "core.wasm"
        [[plugin]]
        path = "PLUGINS/audit-logger.wasm"
        [[plugin.grants.fs]]
        host = "out"
        guest = "/out"
        mode = "write"
        "#,
    );
    dir.file("core.wasm", b"\0asm\x01\0\0\0");
    let ended = dir.palisade(&CHECK).expect(1);
    let ended = ended
        .says(&["absent (absent.wasm): can't be read"])
        .says(&["core: this is a core module"]);
    ended.says(&["palisade.toml:11:16: plugin.grants.fs.host: there is no directory out; create it first"]);
}

#[test]
fn dependencies_that_can_t_be_met_are_found() {
    let dir = Dir::with("[[plugin]]\npath = \"PLUGINS/dependent.wasm\"");
    dir.palisade(&CHECK)
        .expect(1)
        .says(&["dependent depends on", "which is not loaded"]);
}

#[test]
fn a_component_in_the_wrong_table_is_refused() {
    let dir = Dir::with("[[filter]]\npath = \"PLUGINS/probe.wasm\"\n[[plugin]]\npath = \"PLUGINS/no-secrets.wasm\"");
    for command in [&CHECK[..], &["run", "--config", "palisade.toml"]] {
        let ended = dir.palisade(command).expect(1);
        let ended = ended.says(&["probe: it is of the world event-plugin, but its table is a [[filter]]"]);
        ended.says(&["no-secrets: it is of the world filter-plugin, but its table is a [[plugin]]"]);
    }
}

/// H36
#[test]
fn h36_a_digest_that_is_not_that_of_the_file_is_refused() {
    let dir = Dir::with(&format!(
        "[[plugin]]\npath = \"PLUGINS/probe.wasm\"\ndigest = \"sha256:{}\"",
        "0".repeat(64)
    ));
    dir.palisade(&CHECK)
        .expect(1)
        .says(&["probe.wasm: its digest is sha256:", "is pinned"]);
}
