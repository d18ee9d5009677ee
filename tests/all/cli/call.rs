//! `palisade call`.

use serde_json::Value;

use super::*;

/// One event of this type through the hostile plugin.
fn hostile(event_type: &str, data: &str, arguments: &[&str]) -> Ended {
    let file = component("hostile");
    let mut all = vec!["call", &file, "-", "--grant-publish", "hostile.>"];
    all.extend(arguments);
    Dir::new().piped(&all, line("e-1", event_type, data))
}

#[test]
fn an_event_is_handled_and_what_the_plugin_publishes_is_shown() {
    let dir = Dir::new();
    dir.file("event.json", line("e-1", "user.login.failed", r#"{"ip":"192.0.2.1"}"#));
    let file = component("auth-enhancer");
    let call = [
        "call",
        &file,
        "event.json",
        "--grant-publish",
        "auth.*",
        "--set",
        "threshold=1",
    ];
    let shown = dir.palisade(&call).expect(0).stdout;
    for words in [
        "auth-enhancer/logins: ok, ",
        "memory ",
        "published 1 event\n",
        r#""type":"auth.bruteforce""#,
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
}

#[test]
fn json_shows_the_event_as_it_is() {
    let ended = hostile("hostile.count", "", &["--json", "--fuel", "100000000"]).expect(0);
    let shown = ended.json_lines().remove(0);
    assert_eq!(
        (&shown["plugin"], &shown["answer"]),
        (&"hostile".into(), &"handled".into())
    );
    let outcome = &shown["outcomes"][0];
    assert_eq!((&outcome["handler"], &outcome["class"]), (&"sin".into(), &"ok".into()));
    assert!(
        outcome["fuel"].as_u64() > Some(0) && outcome["duration_ms"].as_f64() > Some(0.0),
        "{shown}"
    );
    assert!(shown["memory"][0].as_u64() > Some(0), "{shown}");
    let published = &shown["published"][0];
    assert_eq!(
        (&published["type"], &published["data"]["count"]),
        (&"hostile.report".into(), &1.into())
    );
    assert_eq!(
        (&published["source"], &published["causationid"]),
        (&"hostile".into(), &"e-1".into())
    );
}

/// H20: what a plugin publishes can't drive the terminal or turn the direction of its text; the JSON is the same.
#[test]
fn h20_published_json_is_safe_to_show() {
    let (dir, file) = (Dir::new(), component("hostile"));
    let id = "e\u{9b}2J\u{202e}\u{2028}\u{7f}x";
    for (more, at) in [(&[][..], "/data/id"), (&["--json"], "/published/0/data/id")] {
        let call = [&["call", &file, "-", "--grant-publish", "hostile.>"][..], more].concat();
        let shown = dir.piped(&call, line(id, "hostile.context", "")).expect(0).stdout;
        let is_unsafe = |c: char| c != '\n' && c.is_control() || matches!(c, '\u{2028}'..='\u{202e}');
        assert!(!shown.contains(is_unsafe), "{shown:?}");
        let json: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
        assert_eq!(json.pointer(at), Some(&id.into()), "{shown}");
    }
}

/// S8, S12
#[test]
fn s8_s12_a_key_value_store_is_given_when_it_is_said() {
    let (dir, file) = (Dir::new(), component("ledger"));
    let call = ["call", &file, "-", "--grant-publish", "ledger.*"];
    let event = || line("e-1", "ledger.do", r#"[{"count":"a"}]"#);
    dir.piped(&call, event())
        .expect(1)
        .says(&["it needs the grant `key-value`"]);
    let given = [&call[..], &["--key-value"]].concat();
    let shown = dir.piped(&given, event()).expect(0).stdout;
    assert!(shown.contains(r#""answers":[{"ok":1}]"#), "{shown}");
}

/// S8
#[test]
fn s8_nothing_is_granted_unless_it_is_said() {
    let dir = Dir::new();
    let file = component("auth-enhancer");
    let event = line("e-1", "user.login.failed", r#"{"ip":"192.0.2.1"}"#);
    let shown = dir
        .piped(&["call", &file, "-", "--set", "threshold=1"], event)
        .expect(3)
        .stdout;
    assert!(
        shown.contains("rejected") && shown.contains("no publish grant names `auth.bruteforce`"),
        "{shown}"
    );
}

#[test]
fn a_fault_is_shown_with_its_message_and_backtrace() {
    let shown = hostile("hostile.panic", "\"ouch\"", &[]).expect(3).stdout;
    for words in [
        "hostile/sin: trap, ",
        "hostile says: ",
        "hostile.wasm!",
        "published nothing",
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
}

#[test]
fn the_limits_are_those_of_the_arguments() {
    for (event, arguments, class) in [
        ("hostile.spin", &["--timeout", "30ms"][..], "hostile/sin: timeout, "),
        ("hostile.spin", &["--fuel", "100000"], "hostile/sin: out-of-fuel, "),
        ("hostile.fill", &["--memory", "4MiB"], "hostile/sin: out-of-memory, "),
    ] {
        let shown = hostile(event, "", arguments).expect(3).stdout;
        assert!(shown.contains(class), "{class}:\n{shown}");
    }
}

#[test]
fn an_event_that_nothing_handles_names_the_patterns() {
    let dir = Dir::new();
    let file = component("auth-enhancer");
    let event = line("e-1", "user.logout", "");
    let shown = dir
        .piped(&["call", &file, "-", "--grant-publish", "user.*"], &event)
        .expect(3)
        .stdout;
    assert!(
        shown.starts_with("auth-enhancer does not take this type of event; it takes user.login, user.login.failed\n"),
        "{shown}"
    );
}

/// S8: the plugin would take it, if it were let.
#[test]
fn s8_an_event_that_the_subscribe_grant_leaves_out_says_so() {
    let shown = hostile("hostile.ok", "", &["--grant-subscribe", "other.*"])
        .expect(3)
        .stdout;
    let words = "hostile takes this type of event (hostile.>), but its subscribe grant leaves it out; that grant names other.*\n";
    assert!(shown.starts_with(words), "{shown}");
    let ended = hostile("hostile.ok", "", &["--grant-subscribe", "other.*", "--json"]).expect(3);
    let shown = ended.json_lines().remove(0);
    assert_eq!(shown["answer"], "not-granted");
    assert!(shown["error"].as_str().unwrap().contains("subscribe grant"), "{shown}");
    let ended = hostile("user.login", "", &["--grant-subscribe", "other.*"]).expect(3);
    assert!(ended.stdout.starts_with("hostile does not take this type"));
}

#[test]
fn the_delay_that_a_handler_asks_for_is_shown() {
    for (delay, words) in [
        (
            "5000",
            "it asks to be tried again after 5s; call makes one attempt only\n",
        ),
        ("0", "it asks to be tried again; call makes one attempt only\n"),
    ] {
        let shown = hostile("hostile.fail-retry", delay, &[]).expect(3).stdout;
        assert!(shown.contains(words), "{shown}");
    }
    let shown = hostile("hostile.fail-retry", "5000", &["--json"])
        .expect(3)
        .json_lines();
    let outcome = &shown[0]["outcomes"][0];
    assert_eq!(outcome["retry_after_ms"], 5000.0);
    assert_eq!((&outcome["class"], &outcome["attempts"]), (&"retry".into(), &1.into()));
    let shown = hostile("hostile.fail-reject", "", &[]).expect(3).stdout;
    assert!(!shown.contains("tried again"), "{shown}");
}

/// What it publishes as it stops is not about the event, and nobody is told that it went nowhere.
#[test]
fn a_call_ends_without_a_word_about_what_was_not_delivered() {
    for arguments in [&["--set", "in-stop=publish"][..], &["--set", "in-start=publish"], &[]] {
        let ended = hostile("hostile.count", "", arguments).expect(0);
        assert!(ended.stderr.is_empty(), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stdout.contains("published 1 event\n"),
            "{arguments:?}: {}",
            ended.stdout
        );
    }
}

#[test]
fn what_is_no_event_is_refused() {
    let (dir, file) = (Dir::new(), component("probe"));
    for (event, why) in [
        ("{}".to_owned(), "`specversion` is missing"),
        (line("1", "plugin.loaded", "1"), "is a host event"),
    ] {
        let shown = dir.piped(&["call", &file, "-"], event).expect(3).stdout;
        assert!(shown.starts_with("refused: ") && shown.contains(why), "{shown}");
    }
    dir.palisade(&["call", &file, "none.json"])
        .expect(1)
        .says(&["error: none.json: the event can't be read"]);
}

#[test]
fn a_plugin_that_can_t_be_started_is_exit_code_1() {
    let dir = Dir::new();
    let event = line("e-1", "user.login", "");
    let call = |name: &str, set: &str| dir.piped(&["call", &component(name), "-", "--set", set], &event);
    call("auth-enhancer", "threshold=none")
        .expect(1)
        .says(&["auth-enhancer did not start"]);
    dir.piped(&["call", "none.wasm", "-"], &event)
        .expect(1)
        .says(&["none.wasm: can't be read"]);
}

#[test]
fn a_start_that_fails_is_json_as_well() {
    let ended = hostile("hostile.ok", "", &["--set", "in-start=error", "--json"]).expect(1);
    let ended = ended.says(&["error: ", "hostile did not start"]);
    let shown = ended.json_lines().remove(0);
    assert_eq!(shown["answer"], "not-called");
    assert!(
        shown["error"].as_str().unwrap().contains("hostile refuses to start"),
        "{shown}"
    );
    let ended = Dir::new()
        .palisade(&["call", "none.wasm", "none.json", "--json"])
        .expect(1);
    assert!(ended.json_lines()[0]["error"].as_str().unwrap().contains("none.json"));
}

#[test]
fn grants_and_config_come_from_the_table_of_the_same_path() {
    let dir = Dir::with(
        "[[plugin]]\npath = \"PLUGINS/auth-enhancer.wasm\"\nconfig = { threshold = 1 }\ngrants.publish = [\"auth.*\"]\n\
         [[plugin]]\nname = \"other\"\npath = \"other.wasm\"\nconfig = { threshold = 2 }\n",
    );
    let (file, event) = (
        component("auth-enhancer"),
        line("e-1", "user.login.failed", r#"{"ip":"192.0.2.1"}"#),
    );
    let call = |more: &[&str]| {
        dir.piped(
            &[&["call", &file, "-", "--config", "palisade.toml"], more].concat(),
            &event,
        )
    };
    assert!(call(&[]).expect(0).stdout.contains("published 1 event"));
    assert!(
        call(&["--set", "threshold=2"])
            .expect(0)
            .stdout
            .contains("published nothing")
    );
    assert!(
        call(&["--name", "other"])
            .expect(0)
            .stdout
            .starts_with("other/logins: ok, ")
    );
    call(&["--name", "none"])
        .expect(1)
        .says(&["palisade.toml: no table has the name `none`"]);
    let probe = component("probe");
    let ended = dir.piped(&["call", &probe, "-", "--config", "palisade.toml"], &event);
    ended.expect(1).says(&["palisade.toml: no table has the path"]);
}

/// S8
#[test]
fn s8_a_directory_is_granted_by_argument() {
    let dir = Dir::new();
    fs::create_dir(dir.path("audit")).unwrap();
    let (file, event) = (component("audit-logger"), line("e-1", "user.login", "{}"));
    let call = [
        "call",
        &file,
        "-",
        "--fs",
        "audit:/audit:write",
        "--set",
        "file=/audit/audit.ndjson",
    ];
    dir.piped(&call, event).expect(0);
    let record: Value = serde_json::from_str(dir.text("audit/audit.ndjson").trim()).unwrap();
    assert_eq!(record["id"], "e-1");
}

#[test]
fn a_filter_says_whether_the_event_goes_on() {
    let (dir, file) = (Dir::new(), component("hostile-filter"));
    for (event, code, words) in [
        ("user.login", 0, "hostile-filter: accepted\n"),
        ("hostile.accepts-no", 0, "hostile-filter: not accepted\n"),
        ("hostile.accepts-trap", 3, "hostile-filter: failed"),
    ] {
        let shown = dir
            .piped(&["call", &file, "-"], line("e-1", event, ""))
            .expect(code)
            .stdout;
        assert!(shown.starts_with(words), "{shown}");
    }
}

#[test]
fn the_outcome_of_others_is_not_shown() {
    // The report comes back to the plugin, which handles `hostile.>`; the event itself does not.
    let shown = hostile("hostile.count", "", &[]).expect(0).stdout;
    assert_eq!(shown.matches(": ok, ").count(), 1, "{shown}");
}
