//! `palisade run --stdin`: every line is published, reported or blank.

use serde_json::{Value, json};

use super::*;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/examples/demo");

/// Takes all that the hostile plugin does; one attempt, so that nothing is waited for.
const HOSTILE: &str = r#"
[defaults.delivery]
retry = { attempts = 1 }
[[plugin]]
path = "PLUGINS/hostile.wasm"
grants.publish = ["hostile.>"]
"#;

const REPORTS: &str = "[[plugin]]\npath = \"PLUGINS/hostile.wasm\"\ngrants.publish = [\"hostile.report\"]\n";

#[test]
fn the_alerts_of_the_demo_are_all_that_is_on_stdout() {
    let dir = Dir::with(
        r#"
        [[plugin]]
        path = "PLUGINS/audit-logger.wasm"
        config = { file = "/audit/audit.ndjson" }
        [[plugin.grants.fs]]
        host = "audit"
        guest = "/audit"
        mode = "write"
        [[plugin]]
        path = "PLUGINS/auth-enhancer.wasm"
        grants.publish = ["auth.*"]
        "#,
    );
    fs::create_dir(dir.path("audit")).unwrap();
    let demo = |name: &str| fs::read_to_string(Path::new(DEMO).join(name)).unwrap();
    let ended = dir.run(demo("events.ndjson")).expect(0);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut alerts: Vec<_> = ended
        .json_lines()
        .iter()
        .map(|alert| text(&alert["data"]["ip"]) + " " + &text(&alert["data"]["last"]))
        .collect();
    alerts.sort();
    assert_eq!(alerts, demo("expected-alerts.txt").lines().collect::<Vec<_>>());
    assert!(
        ended
            .json_lines()
            .iter()
            .all(|alert| alert["source"] == "auth-enhancer")
    );
    let audited = dir
        .text("audit/audit.ndjson")
        .lines()
        .filter(|line| !line.contains("\"plugin."))
        .count();
    assert_eq!(audited, 79);
    assert_eq!(
        (ended.row("lines"), ended.row("from plugins"), ended.row("dead letters")),
        ("119", "3", "0")
    );
    assert_eq!(ended.row("auth-enhancer/logins"), "ok 51");
}

#[test]
fn a_bad_line_is_reported_with_its_number_and_the_rest_goes_on() {
    let dir = Dir::with(HOSTILE);
    let good = line("1", "hostile.count", "");
    let mut input = format!("{good}\n\n{{\n{good}\r\n[1]\n \t \n").into_bytes();
    input.extend(b"\xff\xfe\n");
    input.extend(line("2", "hostile.count", "").bytes());
    let ended = dir.run(input).expect(3);
    let ended = ended
        .says(&["line 3: ", "not JSON"])
        .says(&["line 5: ", "JSON array"])
        .says(&["line 7: ", "not UTF-8"]);
    assert_eq!(ended.json_lines().len(), 3);
    assert_eq!(
        (ended.row("lines"), ended.row("bad lines"), ended.row("published")),
        ("6", "3", "3")
    );
}

#[test]
fn an_overlong_line_is_reported_and_passed_over() {
    let dir = Dir::with(&format!("[events]\nmax-data = \"1KiB\"\n{HOSTILE}"));
    let long = line("1", "hostile.count", &format!("\"{}\"", "x".repeat(1_000_000)));
    let ended = dir
        .run(format!("{long}\n{}\n{long}", line("2", "hostile.count", "")))
        .expect(3);
    let ended = ended
        .says(&["line 1: it is longer than "])
        .says(&["line 3: it is longer than "]);
    assert_eq!(ended.json_lines().len(), 1);
}

/// H25: what belongs to the host can't come by stdin, and loops can't be hidden.
#[test]
fn h25_host_events_and_too_many_hops_are_refused() {
    let dir = Dir::with(HOSTILE);
    let hops = line("4", "hostile.count", "").replace("\"id\"", "\"hopcount\":17,\"id\"");
    let lines = ["plugin.loaded", "system.shutdown", "config.changed"].map(|of| line("1", of, ""));
    let ended = dir.run([&lines[..], &[hops]].concat().join("\n")).expect(3);
    let ended = ended
        .says(&["line 1: `plugin.loaded` is a host event"])
        .says(&["line 2: "])
        .says(&["line 3: "]);
    let ended = ended.says(&["line 4: hop 17 is past the limit of 16"]);
    assert_eq!(
        (ended.row("bad lines"), ended.row("dead letters by")),
        ("4", "hop-limit 1")
    );
    assert!(ended.stdout.is_empty());
}

/// An event of a type that plugins publish, as if it had come from one.
#[test]
fn an_event_from_stdin_is_never_echoed() {
    let dir = Dir::with(HOSTILE);
    let forged = line("1", "hostile.report", "")
        .replace("/tests", "hostile")
        .replace("\"id\"", "\"hopcount\":1,\"id\"");
    assert!(dir.run(forged).expect(0).stdout.is_empty());
}

/// B5: filtered, unmatched and handled are told apart, and none of them is a failure.
#[test]
fn b5_filtered_and_unmatched_events_are_counted_and_no_failure() {
    let dir = Dir::with(&format!(
        "{REPORTS}[[filter]]\npath = \"PLUGINS/no-secrets.wasm\"\nconfig = {{ words = [\"hunter2\"] }}"
    ));
    let lines = [
        line("1", "hostile.count", "\"hunter2\""),
        line("2", "nobody.listens", ""),
        line("3", "hostile.report", ""),
        line("4", "hostile.ok", ""),
    ];
    let ended = dir.run(lines.join("\n")).expect(0);
    assert_eq!(
        (ended.row("published"), ended.row("filtered"), ended.row("unmatched")),
        ("4", "1", "1")
    );
    assert_eq!(ended.row("hostile/sin"), "ok 2");
}

/// B8: what is refused because a filter failed was not to be refused.
#[test]
fn b8_a_filter_that_fails_makes_the_exit_code_3() {
    let lines = ["hostile.accepts-trap", "hostile.accepts-no", "user.login"].map(|of| line("1", of, ""));
    let config = "[[filter]]\npath = \"PLUGINS/hostile-filter.wasm\"\ntimeout = \"10s\"\n";
    let ended = Dir::with(config).run(lines.join("\n")).expect(3);
    assert_eq!((ended.row("filtered"), ended.row("filter faults")), ("2", "1"));
    let ended = Dir::with(&format!("{config}on-fault = \"pass\"\n"))
        .run(lines.join("\n"))
        .expect(0);
    assert_eq!((ended.row("filtered"), ended.row("filter faults")), ("1", "0"));
}

/// B7, B9 with `overflow = "reject"`: what a queue does not take is reported by line.
#[test]
fn b7_an_event_that_a_full_queue_refuses_is_reported_by_line() {
    let queue = "[plugin.delivery]\nqueue = { events = 1, bytes = 1, overflow = \"reject\" }\n";
    let ended = Dir::with(&format!("{HOSTILE}{queue}"))
        .run(line("1", "hostile.ok", ""))
        .expect(3);
    let ended = ended.says(&["line 1: hostile/sin did not get it (overloaded): "]);
    assert_eq!((ended.row("published"), ended.row("refused")), ("1", "1"));
}

/// D4
#[test]
fn d4_dead_letters_make_the_exit_code_3() {
    let lines = [
        line("1", "hostile.fail-reject", ""),
        line("2", "hostile.trap", ""),
        line("3", "hostile.ok", ""),
    ];
    let ended = Dir::with(HOSTILE).run(lines.join("\n")).expect(3);
    assert_eq!(
        (ended.row("dead letters"), ended.row("dead letters by")),
        ("2", "rejected 1, trap 1")
    );
    assert_eq!(ended.row("hostile/sin"), "ok 1, rejected 1, trap 1");
}

/// D7: the end of stdin waits for retries and for what follows from them.
#[test]
fn d7_the_end_of_stdin_waits_for_retries() {
    let config = HOSTILE.replace("attempts = 1", "attempts = 3, base = \"1ms\", cap = \"1ms\"");
    let ended = Dir::with(&config).run(line("1", "hostile.flaky", "3")).expect(0);
    assert_eq!(ended.row("retries"), "2");
    assert_eq!(ended.row("dead letters"), "0");
}

#[test]
fn no_lines_are_no_failure() {
    let ended = Dir::with(HOSTILE).run("").expect(0);
    assert_eq!(ended.row("lines"), "0");
    assert_eq!(ended.row("hostile/sin"), "no event");
}

#[test]
fn the_log_in_json_has_only_json_lines_and_the_summary() {
    let dir = Dir::with(HOSTILE);
    let arguments = ["run", "--config", "palisade.toml", "--stdin", "--log", "json"];
    let ended = dir
        .piped(&arguments, format!("{}\n{{\n", line("1", "hostile.count", "")))
        .expect(3);
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines.iter().any(|line| line["line"] == 2 && line["level"] == "WARN"),
        "{}",
        ended.stderr
    );
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!(
        (&summary["lines"], &summary["bad_lines"], &summary["from_plugins"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(summary["handlers"], json!({ "hostile/sin": { "ok": 2 } }));
}

#[test]
fn the_log_level_silences_the_log_and_not_the_lines() {
    let dir = Dir::with(HOSTILE);
    let arguments = ["run", "--config", "palisade.toml", "--stdin", "--log-level", "off"];
    let ended = dir.piped(&arguments, "{\n").expect(3);
    assert!(
        ended.stderr.starts_with("line 1: ") && !ended.stderr.contains("INFO"),
        "{}",
        ended.stderr
    );
}

/// S7, H32: a plugin that traps at every event is named at the end of the run, with what it cost; the other one got all.
#[test]
fn s7_h32_a_quarantined_plugin_is_named_in_the_summary() {
<<<<<<< HEAD
    // The breaker opens at the 5th failure; the probe is the 6th.
    let soon = "[defaults.delivery]\nbreaker = { open = \"10ms\" }\n";
    let dir = Dir::with(&format!("{soon}{HOSTILE}[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n"));
=======
    // Without a breaker, which would keep the events from it for half a minute before the last of the faults.
    let dir = Dir::with(&format!(
        "{HOSTILE}delivery.breaker = false\n[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n"
    ));
>>>>>>> h-cli
    let input: Vec<_> = (0..20).map(|id| line(&id.to_string(), "hostile.trap", "")).collect();
    let ended = dir.run(input.join("\n")).expect(3);
    let ended = ended.says(&[
        "ERROR",
        "hostile is quarantined after 6 faults in 60s",
        "start it again",
    ]);
    assert_eq!(ended.row("quarantined"), "hostile");
    assert!(
        ended.row("hostile/sin").starts_with("trap 6"),
        "{}",
        ended.row("hostile/sin")
    );
    let dead: u64 = ended.row("dead letters").parse().unwrap();
    let refused: u64 = ended.row("refused").parse().unwrap();
    assert_eq!(dead + refused, 20);
}
