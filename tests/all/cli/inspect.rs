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

/// The keys of `[defaults.limits]` in the sample config, those that are absent by default included.
fn keys_of_limits() -> Vec<String> {
    let sample = include_str!("../../../runtime/examples/palisade.toml");
    let (_, table) = sample.split_once("[defaults.limits]").unwrap();
    let (table, _) = table.split_once("\n[").unwrap();
    let keys = table.lines().filter_map(|line| {
        let (key, _) = line.trim_start_matches('#').split_once(" = ")?;
        key.chars()
            .all(|c| c.is_ascii_lowercase() || c == '-')
            .then(|| key.to_owned())
    });
    keys.collect()
}

/// S1: no limit is left out, neither in words nor as JSON; and `check` shows each that is not the default, cut to its ceiling.
#[test]
fn s1_every_limit_is_shown() {
    let keys = keys_of_limits();
    assert!(keys.len() >= 22, "{keys:?}");
    let file = component("audit-logger");
    let words = Dir::new().palisade(&["inspect", &file]).expect(0).stdout;
    let json = Dir::new()
        .palisade(&["inspect", &file, "--json"])
        .expect(0)
        .json_lines()
        .remove(0);
    for key in &keys {
        assert!(words.contains(&format!("\n    {key} ")), "{key}:\n{words}");
        assert!(json["limits"].get(key).is_some(), "{key}: {json}");
    }
    assert_eq!(json["limits"].as_object().unwrap().len(), keys.len(), "{json}");
    // As small a number as each can be, and the plugin asks for more than its ceiling where it inherits.
    let small: String = keys
        .iter()
        .filter(|key| {
            !matches!(
                &***key,
                "timeout" | "fuel" | "memory" | "table-elements" | "tables" | "instances"
            )
        })
        .map(|key| format!("{key} = {}\n", if key.ends_with("subscriptions") { 7 } else { 5 }))
        .collect();
    let rest =
        "timeout = \"20s\"\nfuel = 900_000_000\nmemory = \"9MiB\"\ntable-elements = 9000\ntables = 9\ninstances = 9\n";
    let big = "[ceilings]\n".to_owned()
        + &small
            .replace("hostcall-bytes = 5", "hostcall-bytes = 50000")
            .replace("handles = 5", "handles = 9");
    let dir = Dir::with(&format!(
        "{big}{rest}\n[[plugin]]\npath = \"PLUGINS/audit-logger.wasm\"\n"
    ));
    let checked = dir.palisade(&["check", "--config", "palisade.toml"]).expect(0).stdout;
    for key in &keys {
        assert!(checked.contains(&format!("\n    {key} ")), "{key}:\n{checked}");
    }
    assert!(
        checked.contains(" 9.0 MiB\n") && checked.contains(" 900,000,000\n"),
        "{checked}"
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
