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

/// S8, S12: it is told, not refused; and nothing is granted for it to be told.
#[test]
fn s12_what_a_plugin_needs_a_grant_for_is_shown() {
    for (name, import, asks) in [
        ("ledger", "wasi:keyvalue/store@0.2.0-draft2", "key-value"),
        ("fetcher", "wasi:http/outgoing-handler@", "http"),
    ] {
        let dir = Dir::new();
        let shown = dir.palisade(&["inspect", &component(name)]).expect(0).stdout;
        assert!(shown.contains(&format!("\n    {import}")), "{shown}");
        assert!(shown.contains(&format!("\n  asks for: {asks}\n")), "{shown}");
        let json = dir.palisade(&["inspect", &component(name), "--json"]).expect(0);
        let json = json.json_lines().remove(0);
        assert_eq!(json["asks_for"], serde_json::json!([asks]), "{json}");
        assert!(json["not_granted"].is_null(), "without a config: {json}");
    }
    let shown = Dir::new().palisade(&["inspect", &component("probe")]).expect(0).stdout;
    assert!(shown.contains("\n  asks for: no grants\n"), "{shown}");
}

/// S8: `describe` asks for `http://describe.test/`, and is denied even where a config would let the plugin.
#[test]
fn s8_a_grant_of_the_config_is_told_and_not_in_force() {
    let table = "[[plugin]]\npath = \"PLUGINS/fetcher.wasm\"\n";
    let grant = "grants.http = [{ origin = \"http://describe.test\", private = true }]\n";
    for (config, told, missing) in [
        (table.to_owned(), "not granted: plugin.grants.http", &["http"][..]),
        (format!("{table}{grant}"), "granted", &[]),
    ] {
        let dir = Dir::with(&config);
        let inspect = ["inspect", &component("fetcher"), "--config", "palisade.toml"];
        let shown = dir.palisade(&inspect).expect(0).stdout;
        assert!(shown.contains(&format!("\n  asks for: http ({told})\n")), "{shown}");
        assert!(shown.contains("HttpRequestDenied"), "{shown}");
        let json = dir.palisade(&[&inspect[..], &["--json"]].concat()).expect(0);
        assert_eq!(json.json_lines()[0]["not_granted"], serde_json::json!(missing));
    }
}

const CEILINGS: &str = r#"
    [defaults.limits]
    log-bytes = "32KiB"
    handles = 300
    [ceilings]
    timeout = "12s"
    handles = 512
    fuel = 1_000_000_000
    [[filter]]
    path = "PLUGINS/no-secrets.wasm"
    timeout = "50ms"
    [[plugin]]
    path = "PLUGINS/audit-logger.wasm"
    isolation = "per-event"
    concurrency = 3
    limits = { memory = "10MiB" }
    [[plugin]]
    name = "other"
    path = "other.wasm"
    limits = { timeout = "3s" }
    [plugin.handler.audit]
    timeout = "2s"
"#;

/// S1: with a config the limits are those in force, each beside its default, and what a ceiling cut is said to be.
#[test]
fn s1_with_a_config_limits_are_those_in_force() {
    let (dir, file) = (Dir::with(CEILINGS), component("audit-logger"));
    let inspect = ["inspect", &file, "--config", "palisade.toml"];
    let shown = dir.palisade(&inspect).expect(0).stdout;
    for line in [
        "  limits by palisade.toml",
        "  per-event, 3 at a time",
        "    timeout               12s  (default: 30s; cut to ceilings.timeout)",
        "    fuel                  1,000,000,000  (default: not metered; cut to ceilings.fuel)",
        "    memory                10.0 MiB  (default: 64.0 MiB)",
        "    handles               300  (default: 256)",
        "    log-bytes             32.0 KiB  (default: 64.0 KiB)",
        "    tables                64",
        "  handler audit (timeout 12s; it asks for 15s)",
    ] {
        assert!(shown.contains(&format!("\n{line}\n")), "{line}:\n{shown}");
    }
    assert_eq!(shown.matches("(default: ").count(), 5, "{shown}");
    let json = dir.palisade(&[&inspect[..], &["--json"]].concat()).expect(0);
    let json = json.json_lines().remove(0);
    assert_eq!(
        (&json["limits"]["timeout"], &json["limits"]["memory"]),
        (&"12s".into(), &(10 << 20).into())
    );
    let changed = serde_json::json!({
        "timeout": { "default": "30s", "cut_to_ceiling": true },
        "fuel": { "default": null, "cut_to_ceiling": true },
        "memory": { "default": 64 << 20, "cut_to_ceiling": false },
        "handles": { "default": 256, "cut_to_ceiling": false },
        "log-bytes": { "default": 64 << 10, "cut_to_ceiling": false },
    });
    assert_eq!(json["changed_limits"], changed, "{json}");
    assert_eq!(
        (&json["isolation"], &json["concurrency"]),
        (&"per-event".into(), &3.into())
    );
    let handler = &json["handlers"][0];
    assert_eq!(
        (&handler["timeout_ms"], &handler["effective_timeout_ms"]),
        (&15_000.into(), &12_000.into())
    );
}

/// S1: the table is found as `call` finds it, and a filter's has its own timeout.
#[test]
fn s1_the_table_is_that_of_the_path_or_of_the_name() {
    let (dir, file) = (Dir::with(CEILINGS), component("audit-logger"));
    let inspect = |more: &[&str]| dir.palisade(&[&["inspect", "--config", "palisade.toml"], more].concat());
    let shown = inspect(&[&file, "--name", "other"]).expect(0).stdout;
    assert!(shown.starts_with("other "), "{shown}");
    assert!(
        shown.contains("\n    timeout               3s  (default: 30s)\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\n  handler audit (timeout 2s; it asks for 15s)\n"),
        "{shown}"
    );
    let filter = component("no-secrets");
    let shown = inspect(&[&filter]).expect(0).stdout;
    assert!(shown.contains("\n  timeout 50ms, 1 at a time\n"), "{shown}");
    let json = inspect(&[&filter, "--json"]).expect(0).json_lines().remove(0);
    assert_eq!(json["verdict_timeout_ms"], 50);
    inspect(&[&component("probe")])
        .expect(1)
        .says(&["palisade.toml: no table has the path", "--name"]);
    dir.palisade(&["inspect", &file, "--config", "none.toml"])
        .expect(1)
        .says(&["none.toml"]);
}

/// S1: what `inspect` shows is what `call` does, whatever its arguments wish for.
#[test]
fn s1_a_call_has_the_limits_that_are_shown() {
    let dir = Dir::with("[ceilings]\nfuel = 1_000_000\n[[plugin]]\npath = \"PLUGINS/hostile.wasm\"\n");
    let file = component("hostile");
    let shown = dir
        .palisade(&["inspect", &file, "--config", "palisade.toml"])
        .expect(0)
        .stdout;
    assert!(
        shown.contains("\n    fuel                  1,000,000  (default: not metered; "),
        "{shown}"
    );
    for more in [&[][..], &["--fuel", "1000000000000"]] {
        let call = [&["call", &file, "-", "--config", "palisade.toml"][..], more].concat();
        let shown = dir.piped(&call, line("e-1", "hostile.spin", "")).expect(3).stdout;
        assert!(shown.contains("hostile/sin: out-of-fuel, "), "{shown}");
    }
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
    let handler = serde_json::json!({ "name": "logins", "patterns": ["user.login", "user.login.failed"], "timeout_ms": 10000, "effective_timeout_ms": 10000,
        "durable": false });
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
        checked.contains(" 9.0 MiB  (default: 64.0 MiB; cut to ceilings.memory)\n")
            && checked.contains(" 900,000,000  ("),
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

/// What reads the JSON is told as JSON why there is none.
#[test]
fn an_error_is_shown_as_json_as_well() {
    let dir = Dir::new();
    dir.file("text.wasm", "no component");
    let ended = dir.palisade(&["inspect", "text.wasm", "--json"]).expect(1);
    let error = ended.json_lines().remove(0)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("text.wasm"), "{error}");
    ended.says(&["error: ", "text.wasm"]);
    assert_eq!(dir.palisade(&["inspect", "text.wasm"]).expect(1).stdout, "");
}
