//! `palisade inspect`.

use palisade::digest_of;

use super::*;

/// H34, H37: what is no plugin is refused by its own words.
#[test]
fn h34_what_is_no_plugin_is_refused_by_what_it_is() {
    let dir = Dir::new();
    for (file, words) in files::all(&dir) {
        let ended = dir
            .palisade(&["inspect", &shown(&file)])
            .expect(1)
            .says(&["error: ", words]);
        assert!(ended.stdout.is_empty());
        assert!(!ended.stderr.contains("stack backtrace"), "{}", ended.stderr);
    }
    dir.palisade(&["inspect", "none.wasm"])
        .expect(1)
        .says(&["error: none.wasm: can't be read"]);
}

#[test]
fn a_plugin_is_shown() {
    let shown = Dir::new()
        .palisade(&["inspect", &component("audit-logger")])
        .expect(0)
        .stdout;
    for words in [
        "audit-logger ",
        "event-plugin",
        "handler audit (timeout 15s)",
        "    data.deleted\n",
        "wasi:logging/",
        "64.0 MiB",
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
}

/// S12
#[test]
fn s12_what_a_plugin_needs_a_grant_for_is_shown() {
    let shown = Dir::new().palisade(&["inspect", &component("ledger")]).expect(0).stdout;
    assert!(shown.contains("    wasi:keyvalue/store@0.2.0-draft2\n"), "{shown}");
}

#[test]
fn a_plugin_is_shown_as_json() {
    let file = component("auth-enhancer");
    let ended = Dir::new().palisade(&["inspect", &file, "--json"]).expect(0);
    let shown = ended.json_lines().remove(0);
    assert_eq!(shown["name"], "auth-enhancer");
    assert_eq!(shown["kind"], "event-plugin");
    assert_eq!(shown["digest"], digest_of(&fs::read(&file).unwrap()));
    assert_eq!(shown["size"], fs::metadata(&file).unwrap().len());
    let handler =
        serde_json::json!({ "name": "logins", "patterns": ["user.login", "user.login.failed"], "timeout_ms": 10000 });
    assert_eq!(shown["handlers"][0], handler);
    assert_eq!(
        (&shown["limits"]["memory"], &shown["limits"]["fuel"]),
        (&(64 << 20).into(), &serde_json::Value::Null)
    );
    assert!(
        shown["imports"]
            .as_array()
            .unwrap()
            .iter()
            .any(|import| import == "palisade:plugin/bus@0.1.0")
    );
}

#[test]
fn a_filter_is_shown_as_one() {
    let shown = Dir::new()
        .palisade(&["inspect", &component("no-secrets")])
        .expect(0)
        .stdout;
    assert!(
        shown.starts_with("no-secrets ") && shown.contains("  filter-plugin\n"),
        "{shown}"
    );
}

/// H2: a plugin that never says who it is ends by the deadline.
#[test]
fn h2_a_describe_that_spins_is_ended() {
    let dir = Dir::with("[[plugin]]\npath = \"PLUGINS/hostile-describe.wasm\"\nlimits.timeout = \"50ms\"");
    let ended = dir.palisade(&["check", "--config", "palisade.toml"]).expect(1);
    ended.says(&["hostile-describe.wasm: describe failed: timeout"]);
}
