//! `run` and `check` with a data directory.

use super::signals::Running;
use super::*;

/// Durable, and a failed attempt is tried again when its handler says; the neighbour is ephemeral.
const DURABLE: &str = r#"
data-dir = "data"
[[plugin]]
path = "PLUGINS/hostile.wasm"
grants.publish = ["hostile.>", "other.*"]
delivery.mode = "durable"
[[plugin]]
path = "PLUGINS/probe.wasm"
"#;

/// Without the plugin that is owed something.
const WITHOUT: &str = "data-dir = \"data\"\n[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n";

const CHECK: [&str; 3] = ["check", "--config", "palisade.toml"];

fn plugins() -> String {
    shown(plugin("probe").parent().unwrap())
}

/// Ends a run by a signal while one event waits for its next attempt, for a minute.
fn owing() -> Dir {
    let mut running = Running::start(Dir::with(DURABLE), &["--stdin"]);
    running.send_then_wait(&line("1", "hostile.fail-retry", "60000"));
    running.signal("-TERM");
    let (ended, dir) = running.wait_with_dir();
    let ended = ended.expect(0);
    assert_eq!((ended.row("kept"), ended.row("abandoned")), ("1", "0"));
    dir
}

/// D7, D8: what a signal leaves undone is kept and no failure, and the next start says to whom it is owed.
#[test]
fn d7_d8_what_is_kept_is_told_at_the_next_start() {
    let dir = owing();
    let mut running = Running::start(dir, &[]);
    running.wait_for("owed from before: hostile/sin: 1 event, ");
    running.signal("-TERM");
    let ended = running.wait().expect(0);
    assert_eq!(ended.row("kept"), "1");
}

/// D9: what is owed to a handler that is gone is told, kept, and makes the exit code 3 at the end of stdin; the neighbour is
/// served.
#[test]
fn d9_what_is_owed_to_nobody_is_told_and_kept() {
    let dir = owing();
    dir.file("palisade.toml", WITHOUT.replace("PLUGINS", &plugins()));
    let ended = dir.run(line("2", "a.b", "")).expect(3);
    let ended = ended.says(&[
        "WARN",
        "owed to a handler that is gone: hostile/sin: 1 event, ",
        " on they become dead letters, `orphaned` (the retry.max-age that the handler had)",
    ]);
    assert_eq!((ended.row("kept"), ended.row("dead letters")), ("1", "0"));
    assert_eq!(ended.row("kept for"), "hostile/sin 1");
    assert!(ended.row("probe/all").starts_with("ok "), "{}", ended.stderr);
}

/// D9, S7: what a quarantined plugin is owed is kept, which makes the exit code 3 at the end of stdin; the neighbour is served,
/// and the next start delivers it.
#[test]
fn d9_s7_what_a_quarantined_plugin_is_owed_is_kept() {
    let dir = Dir::with(&format!(
        "{DURABLE}[[plugin]]\npath = \"PLUGINS/hostile.wasm\"\nname = \"brief\"\nquarantine = {{ faults = 1 }}\n\
         delivery = {{ mode = \"durable\", breaker = false, retry.attempts = 1 }}\n\
         grants.subscribe = [\"hostile.trap\", \"hostile.no-such\"]\n"
    ));
    let lines = ["1", "2", "3", "4"].map(|id| line(id, "hostile.trap", ""));
    let config = dir
        .text("palisade.toml")
        .replacen("delivery.mode", "delivery.retry.attempts = 1\ndelivery.mode", 1);
    dir.file("palisade.toml", config);
    let ended = dir
        .run(lines.join("\n"))
        .expect(3)
        .says(&["ERROR", "brief is quarantined after 2 faults"]);
    assert_eq!(
        (ended.row("kept for"), ended.row("quarantined")),
        ("brief/sin 2", "brief")
    );
    assert_eq!(
        (ended.row("kept"), ended.row("brief/sin"), ended.row("hostile/sin")),
        ("2", "trap 2", "trap 4")
    );
    let ended = dir.run("").expect(3).says(&["owed from before: brief/sin: 2 events, "]);
    assert_eq!((ended.row("kept"), ended.row("brief/sin")), ("0", "trap 2"));
}

/// D6: a durable handler is not given an event twice, which is counted and no failure; an ephemeral one is.
#[test]
fn d6_repeated_events_are_counted_as_duplicates() {
    let dir = Dir::with(DURABLE);
    let twice = [line("1", "hostile.ok", ""), line("1", "hostile.ok", "")].join("\n");
    let ended = dir.run(&twice).expect(0);
    assert_eq!((ended.row("published"), ended.row("duplicates")), ("2", "1"));
    assert_eq!(ended.row("hostile/sin"), "ok 1");
    let ended = dir.run(&twice).expect(0);
    assert_eq!((ended.row("duplicates"), ended.row("hostile/sin")), ("2", "no event"));
}

/// D2: `check` makes no store, locks none that is in use, and says how it stands.
#[test]
fn d2_check_looks_at_the_store_and_makes_none() {
    let dir = Dir::with(DURABLE);
    let shown = dir.palisade(&CHECK).expect(0).stdout;
    assert!(shown.contains("data-dir data: no store yet; `run` makes it"), "{shown}");
    assert!(!dir.path("data").exists());
    dir.run("").expect(0);
    let shown = dir.palisade(&CHECK).expect(0).stdout;
    assert!(shown.contains("data-dir data: the store can be opened"), "{shown}");
    let mut running = Running::start(dir, &[]);
    running.wait_for("no intake is configured");
    let shown = running.dir().palisade(&CHECK).expect(0).stdout;
    assert!(shown.contains("data-dir data: in use by another process"), "{shown}");
    let second = running.dir().palisade(&["run", "--config", "palisade.toml"]).expect(1);
    second.says(&[
        "error: the data directory data can't be opened",
        "in use by another process",
        "data-dir",
    ]);
    running.signal("-TERM");
    running.wait().expect(0);
}

/// D2, H46: what is no store, and what can't be one, stops a start and is found by `check`; nothing is done to it.
#[test]
fn d2_h46_what_can_not_be_opened_is_named() {
    let dir = Dir::with(DURABLE);
    dir.file(
        "data/palisade.db",
        "this is no database, and longer than the header of one would be, which has 100 bytes in it",
    );
    for command in [&CHECK[..], &["run", "--config", "palisade.toml", "--stdin"]] {
        let ended = dir.palisade(command).expect(1);
        ended.says(&["the data directory data can't be opened", "palisade.db", "move it away"]);
    }
    assert!(dir.text("data/palisade.db").starts_with("this is no database"));
    let dir = Dir::with(DURABLE);
    dir.file("data", "");
    dir.palisade(&CHECK)
        .expect(1)
        .says(&["data", "is a file, not a directory"]);
    dir.run("")
        .expect(1)
        .says(&["the data directory data can't be opened", "data-dir"]);
    assert_eq!(dir.text("data"), "");
}

/// D1: which handlers are durable is shown; `call` and `inspect` want no store for them, and make none.
#[test]
fn d1_durable_handlers_are_shown_and_called_without_a_store() {
    let dir = Dir::with(DURABLE);
    dir.file("event.json", line("1", "hostile.ok", ""));
    let hostile = component("hostile");
    for command in [&CHECK[..], &["inspect", &hostile, "--config", "palisade.toml"]] {
        let shown = dir.palisade(command).expect(0).stdout;
        assert!(shown.contains("  handler sin durable\n"), "{shown}");
        assert!(!shown.contains("  handler all durable\n"), "{shown}");
    }
    dir.palisade(&["call", &hostile, "event.json", "--config", "palisade.toml"])
        .expect(0);
    assert!(!dir.path("data").exists());
}

/// D2: a problem of the store does not hide those of the plugins.
#[test]
fn d2_check_tells_of_the_store_and_of_the_plugins() {
    let dir = Dir::with("data-dir = \"data\"\n[[plugin]]\nname = \"absent\"\npath = \"absent.wasm\"\n");
    dir.file("data", "");
    let ended = dir.palisade(&CHECK).expect(1);
    ended
        .says(&["absent (absent.wasm): can't be read"])
        .says(&["data", "is a file"]);
}

/// S8: who is granted the directory of the store, or one around it, is named.
#[test]
fn s8_a_grant_around_the_store_is_named() {
    let grant = |host: &str| {
        format!(
            "data-dir = \"kept/data\"\n[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n\
             grants.fs = [{{ host = \"{host}\", guest = \"/here\" }}]\n"
        )
    };
    for (host, is_told) in [("kept", true), ("kept/data", true), (".", true), ("other", false)] {
        let dir = Dir::with(&grant(host));
        for directory in ["kept/data", "other"] {
            fs::create_dir_all(dir.path(directory)).unwrap();
        }
        let ended = dir.palisade(&CHECK).expect(0);
        assert_eq!(
            ended.stderr.contains("and the store in kept/data overlap"),
            is_told,
            "{host}: {}",
            ended.stderr
        );
    }
}
