//! H47: what is wrong is refused, by key and line.

use super::*;

fn assert_wrong(config: &str, line: usize, key: &str, words: &str) {
    let found = wrong(config).remove(0);
    assert!(
        found.starts_with(&format!("{line}:")) && found.contains(&format!(": {key}: ")),
        "{found}"
    );
    assert!(found.contains(words), "{found}");
}

/// B11, H47
#[test]
fn b11_h47_the_name_of_the_host_is_refused() {
    assert_wrong(
        "[[plugin]]\npath = \"a\"\nname = \"palisade\"",
        3,
        "plugin.name",
        "that is the name of the host",
    );
}

/// H47
#[test]
fn h47_an_unknown_key_is_named_with_its_line() {
    assert_wrong(
        "drain = \"1s\"\ndrian = \"1s\"\n",
        2,
        "",
        "unknown key `drian`, expected one of `data-dir`, `drain`",
    );
    assert_wrong(
        "[defaults.limits]\nmemroy = 1",
        2,
        "defaults.limits",
        "unknown key `memroy`",
    );
    assert_wrong(
        "[[plugin]]\npath = \"a\"\n[plugin.grants]\nhtttp = []",
        4,
        "plugin.grants",
        "unknown key `htttp`",
    );
    assert_wrong(
        "[[plugin]]\npath = \"a\"\nretry = {}",
        3,
        "plugin",
        "unknown key `retry`",
    );
}

/// H47: what later versions may offer and this one does not is refused like any other unknown key.
#[test]
fn h47_keys_that_nothing_enforces_are_unknown() {
    assert!(wrong("http = {}")[0].contains("unknown key"));
    for (key, words) in [
        (
            "mode = \"lasting\"",
            "unknown variant `lasting`, expected `ephemeral` or `durable`",
        ),
        (
            "queue = { overflow = \"drop\" }",
            "unknown variant `drop`, expected one of `block`, `reject`, `drop-oldest`, `drop-newest`",
        ),
    ] {
        let plugin = wrong(&format!("[[plugin]]\npath = \"a\"\n[plugin.delivery]\n{key}")).remove(0);
        assert!(plugin.starts_with("4:") && plugin.contains(words), "{plugin}");
        assert!(wrong(&format!("[defaults.delivery]\n{key}"))[0].contains(words));
    }
    assert_wrong(
        "[[plugin]]\npath = \"a\"\n[plugin.grants]\nsockets = true",
        4,
        "plugin.grants",
        "unknown key",
    );
}

/// H47, S7: a quarantine is a table of two keys, or off.
#[test]
fn h47_a_quarantine_that_can_not_be_is_named_with_its_line() {
    let mistakes = [
        ("true", "leave it out for the default"),
        (
            "5",
            "invalid type: integer `5`, expected a table such as { faults = 5, window = \"60s\" }, or false",
        ),
        ("\"off\"", "invalid type"),
        ("{ faults = 0 }", "0 would allow nothing"),
        ("{ faults = -1 }", "negative"),
        ("{ faults = 10001 }", "beyond 10000"),
        ("{ window = \"0s\" }", "longer than nothing"),
        ("{ window = 60 }", "a time such as"),
        (
            "{ window = \"60s\", fault = 5 }",
            "unknown key `fault`, expected `faults` or `window`",
        ),
    ];
    for (value, words) in mistakes {
        for (config, line, key) in [
            (format!("[defaults]\nquarantine = {value}"), 2, "defaults.quarantine"),
            (
                format!("[[plugin]]\npath = \"a\"\nquarantine = {value}"),
                3,
                "plugin.quarantine",
            ),
            (
                format!("[[filter]]\npath = \"a\"\nquarantine = {value}"),
                3,
                "filter.quarantine",
            ),
        ] {
            let found = wrong(&config).remove(0);
            assert!(found.starts_with(&format!("{line}:")), "{found}");
            assert!(found.contains(key) && found.contains(words), "{found}");
        }
    }
}

/// H47
#[test]
fn h47_zero_is_no_limit() {
    assert_wrong("drain = \"0s\"", 1, "drain", "longer than nothing");
    assert_wrong(
        "[events]\n\nmax-data = 0",
        3,
        "events.max-data",
        "0 would allow nothing",
    );
    assert_wrong(
        "[defaults.limits]\nmemory = \"0MiB\"",
        2,
        "defaults.limits.memory",
        "0 would allow nothing",
    );
    assert_wrong(
        "[[plugin]]\npath = \"a\"\nconcurrency = 0",
        3,
        "plugin.concurrency",
        "0 would allow nothing",
    );
    assert_wrong("[ceilings]\nfuel = 0", 2, "ceilings.fuel", "0 would allow nothing");
}

/// H47
#[test]
fn h47_negative_values_are_refused() {
    assert_wrong("[events]\nmax-hops = -1", 2, "events.max-hops", "-1 is negative");
    assert_wrong("[events]\nmax-data = -1", 2, "events.max-data", "-1 is negative");
    assert_wrong(
        "[events]\nmax-data = \"-1MiB\"",
        2,
        "events.max-data",
        "no size such as",
    );
    assert_wrong("drain = \"-5s\"", 1, "drain", "no time such as");
}

/// H47
#[test]
fn h47_absurd_values_are_refused() {
    assert_wrong("drain = \"11years\"", 1, "drain", "longer than 10 years");
    assert_wrong("drain = \"99999999999999999999s\"", 1, "drain", "no time such as");
    assert_wrong(
        "[events]\nmax-data = \"2TiB\"",
        2,
        "events.max-data",
        "the most that is taken",
    );
    assert_wrong("[events]\nmax-data = \"9e99\"", 2, "events.max-data", "no size such as");
    assert_wrong("[events]\nmax-hops = 255", 2, "events.max-hops", "255 is beyond 254");
    assert_wrong(
        "[events]\ndead-letters = 99999999999999999999999",
        2,
        "events.dead-letters",
        "the most that is taken",
    );
    assert_wrong(
        "[[plugin]]\npath = \"a\"\nconcurrency = 1000000000",
        3,
        "plugin.concurrency",
        "beyond 10000",
    );
}

/// H47
#[test]
fn h47_a_value_of_the_wrong_kind_is_told_what_it_should_be() {
    assert_wrong("drain = 30", 1, "drain", "expected a time such as \"15s\"");
    assert_wrong("drain = \"30\"", 1, "drain", "time unit needed");
    assert_wrong(
        "[events]\nmax-data = true",
        2,
        "events.max-data",
        "expected a size such as \"64MiB\"",
    );
    assert_wrong(
        "[events]\nmax-hops = \"3\"",
        2,
        "events.max-hops",
        "expected a whole number",
    );
    assert_wrong(
        "[[plugin]]\npath = \"a\"\nisolation = \"none\"",
        3,
        "plugin.isolation",
        "`persistent` or `per-event`",
    );
    assert_wrong("[plugin]\npath = \"a\"", 1, "plugin", "expected a sequence");
    assert_wrong("[[plugin]]\nname = \"a\"", 1, "plugin", "missing key `path`");
}

/// H47
#[test]
fn h47_a_pattern_that_can_t_match_is_refused() {
    for pattern in ["", "a..b", "auth*", "a.>.b", ".a"] {
        let config = format!("[[plugin]]\npath = \"a\"\n[plugin.grants]\npublish = [\"ok\", \"{pattern}\"]");
        assert_wrong(&config, 4, "plugin.grants.publish", "pattern");
    }
    assert_wrong(
        "[[plugin]]\npath = \"a\"\ngrants.subscribe = [\"b*\"]",
        3,
        "plugin.grants.subscribe",
        "wildcard",
    );
}

/// H47: no grant gives what belongs to the host, so that one for nothing else is a mistake.
#[test]
fn h47_a_publish_grant_for_host_events_only_is_refused() {
    let publish =
        |pattern: &str| format!("[[plugin]]\npath = \"a\"\n[plugin.grants]\npublish = [\"ok\", \"{pattern}\"]");
    for pattern in ["plugin.>", "system.*", "config.x", "plugin.*.y"] {
        let found = wrong(&publish(pattern));
        let words = format!("`{pattern}` can't be granted: host events are published by the host only");
        assert_eq!(found, [format!("4:18: plugin.grants.publish: {words}")]);
    }
    for pattern in [">", "*", "*.x", "plugin", "plugins.>"] {
        assert_eq!(read(&publish(pattern)).plugins[0].grants.publish.len(), 2, "{pattern}");
    }
    let subscribe = publish("plugin.>").replace("publish", "subscribe");
    assert_eq!(read(&subscribe).plugins[0].grants.subscribe.len(), 2);
}

/// H47, S8: an origin is a scheme, a host and a port, and one that can't be reached without `private` says so.
#[test]
fn h47_s8_a_wrong_origin_is_named() {
    let http =
        |entry: &str| format!("[[plugin]]\npath = \"a\"\n[plugin.grants]\nhttp = [\"https://ok.test\", {entry}]");
    for (entry, words) in [
        ("\"example.com\"", "\"example.com\" is no origin such as"),
        ("\"https://example.com/path\"", "only those are granted"),
        ("\"https://*.example.com\"", "wildcard"),
        ("\"http://2130706433\"", "is a number"),
        ("{ origin = \"ftp://example.com\" }", "neither http nor https"),
        ("\"http://127.0.0.1:8080\"", "grant it with `private = true`"),
        (
            "{ origin = \"http://[::1]\", private = false }",
            "grant it with `private = true`",
        ),
        ("{ private = true }", "missing"),
        ("{ origin = \"http://a\", public = true }", "unknown key `public`"),
        ("1", "expected an origin such as"),
    ] {
        assert_wrong(&http(entry), 4, "plugin.grants.http", words);
    }
    let filter = "[[filter]]\npath = \"a\"\n[filter.grants]\nhttp = []";
    assert_wrong(filter, 4, "filter.grants", "unknown key `http`");
}

/// S8: the short and the long form; what is granted is spelt in one way.
#[test]
fn s8_http_grants_are_origins() {
    let config = "[[plugin]]\npath = \"a\"\n[plugin.grants]\n\
                  http = [\"HTTPS://API.example.com:443\", { origin = \"http://127.0.0.1:8080\", private = true }]";
    let granted = crate::Grants::default()
        .http("https://api.example.com")
        .http_private("http://127.0.0.1:8080");
    assert_eq!(read(config).specs()[0].grants, granted);
}

/// H47
#[test]
fn h47_names_paths_and_digests_are_checked() {
    let plugin = |key: &str| format!("[[plugin]]\npath = \"a\"\n{key}");
    assert_wrong("[[plugin]]\npath = \"\"", 2, "plugin.path", "at least one character");
    assert_wrong(&plugin("name = \"a b\""), 3, "plugin.name", "64 letters");
    assert_wrong(&plugin("digest = \"sha256:12\""), 3, "plugin.digest", "64 hex digits");
    assert_wrong(&plugin("grants.env = [\"A=B\"]"), 3, "plugin.grants.env", "variable");
    let fs = |guest: &str| plugin(&format!("[[plugin.grants.fs]]\nhost = \"h\"\nguest = \"{guest}\""));
    assert_wrong(&fs("rules"), 5, "plugin.grants.fs.guest", "absolute");
    assert_wrong(&fs("/a/../b"), 5, "plugin.grants.fs.guest", "`..`");
}

/// H47
#[test]
fn h47_broken_toml_is_told_by_line() {
    assert!(wrong("drain = \"1s\"\n[[plugin\n")[0].starts_with("2:"));
    assert!(wrong("drain = \"1s\"\ndrain = \"2s\"\n")[0].contains("2:1: : duplicate key"));
}

#[test]
fn a_problem_is_shown_with_file_key_and_line() {
    let dir = Dir::with("# über\n[events]\nmax-data = 0 # ü\n");
    let error = dir.read().unwrap_err().to_string();
    let file = dir.0.path().join("palisade.toml");
    let rest = "0 would allow nothing: it has to be 1 or more\n  |\n3 | max-data = 0 # ü\n  |            ^";
    assert_eq!(error, format!("{}:3:12: events.max-data: {rest}", file.display()));
}

#[test]
fn a_file_that_can_t_be_read_is_named() {
    let error = Config::from_file("there/is/none.toml").unwrap_err().to_string();
    assert!(error.starts_with("there/is/none.toml: can't be read: "), "{error}");
    let dir = Dir::with("");
    fs::write(dir.0.path().join("palisade.toml"), b"drain = \"\xff\"").unwrap();
    assert!(dir.read().unwrap_err().to_string().contains("not UTF-8"));
}

/// H47: what is shown of the file does nothing to a terminal, and turns no text around.
#[test]
fn h47_control_characters_of_the_file_are_not_shown() {
    for config in [
        "# a\0b\u{1b}[31m",
        "drain = \"\u{202e}s\"",
        "\"\\u001b[31m\" = 1",
        "[[plugin]]\npath = \"p\"\n[plugin.handler.\"\\u001b\"]\nnone = 1",
        "[[plugin]]\npath = \"p\"\nconfig = { \"\\u0007\" = nan }",
    ] {
        let error = Dir::with(config).read().expect_err("a mistake").to_string();
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!error.contains(acts), "{error:?}");
    }
}
