//! `palisade dead-letters`: on a data directory that a run has left.

use serde_json::{Value, json};

use super::signals::Running;
use super::*;

/// Durable, with one attempt, so that nothing is waited for; the neighbour takes all.
const CONFIG: &str = r#"
data-dir = "data"
[defaults.delivery]
retry = { attempts = 1 }
[[plugin]]
path = "PLUGINS/hostile.wasm"
grants.publish = ["hostile.>"]
delivery.mode = "durable"
[[plugin]]
path = "PLUGINS/probe.wasm"
"#;

/// Where a run has left four dead letters: 1 and 3 rejected, 2 a trap, 4 of too many hops, without a handler.
fn buried() -> Dir {
    let dir = Dir::with(CONFIG);
    let lines = [
        line("a", "hostile.fail-reject", ""),
        line("b", "hostile.trap", ""),
        line("c", "hostile.fail-reject", ""),
        line("d", "hostile.ok", ""),
    ];
    let ended = dir.run(lines.join("\n")).expect(3);
    assert_eq!((ended.row("dead letters"), ended.row("kept")), ("3", "0"));
    // By itself, because nothing holds it up and it would be among the first.
    let too_far = line("e", "hostile.ok", "").replace("\"id\"", "\"hopcount\":17,\"id\"");
    let ended = dir.run(too_far).expect(3);
    assert_eq!(ended.row("dead letters by"), "hop-limit 1");
    assert!(ended.row("probe/all").starts_with("ok "), "the neighbour is served");
    dir
}

impl Dir {
    fn letters(&self, arguments: &[&str]) -> Ended {
        self.palisade(&[&["dead-letters", "--data-dir", "data"], arguments].concat())
    }

    /// The numbers of those that are listed.
    fn listed(&self, filter: &[&str]) -> Vec<u64> {
        let ended = self.letters(&[&["list", "--json"], filter].concat()).expect(0);
        ended
            .json_lines()
            .iter()
            .map(|letter| letter["id"].as_u64().unwrap())
            .collect()
    }
}

/// D4: they are listed with what went wrong, in words and as JSON.
#[test]
fn d4_dead_letters_are_listed() {
    let dir = buried();
    let table = dir.letters(&["list"]).expect(0).stdout;
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[0],
        ["ID", "LAST", "HANDLER", "CLASS", "ATTEMPTS", "EVENT:", "ERROR"]
    );
    assert_eq!(rows.len(), 5, "{table}");
    assert_eq!(
        (rows[1][0], &rows[1][2..5]),
        ("1", &["hostile/sin", "rejected", "1"][..])
    );
    assert!(
        table
            .lines()
            .nth(1)
            .unwrap()
            .ends_with("hostile.fail-reject a: hostile rejects this"),
        "{table}"
    );
    assert_eq!((rows[4][0], &rows[4][2..5]), ("4", &["-", "hop-limit", "0"][..]));
    let letters = dir.letters(&["list", "--json"]).expect(0).json_lines();
    assert_eq!(letters[1]["class"], "trap");
    assert_eq!(
        letters[1]["event"],
        serde_json::from_str::<Value>(&line("b", "hostile.trap", "")).unwrap()
    );
    assert_eq!(
        (&letters[3]["handler"], &letters[3]["plugin_digest"]),
        (&Value::Null, &Value::Null)
    );
}

/// D4: the list is narrowed by handler, plugin, class, time and number.
#[test]
fn d4_the_list_is_narrowed() {
    let dir = buried();
    for (filter, found) in [
        (&[][..], &[1, 2, 3, 4][..]),
        (&["--limit", "2"], &[1, 2]),
        (&["--handler", "hostile"], &[1, 2, 3]),
        (&["--handler", "hostile/sin"], &[1, 2, 3]),
        (&["--handler", "host"], &[]),
        (&["--handler", "probe"], &[]),
        (&["--class", "rejected"], &[1, 3]),
        (&["--class", "hop-limit"], &[4]),
        (&["--class", "orphaned"], &[]),
        (&["--class", "rejected", "--limit", "1"], &[1]),
        (&["--since", "1h"], &[1, 2, 3, 4]),
        (&["--since", "2200-01-01T00:00:00+01:00"], &[]),
        (&["--until", "1h"], &[]),
        (&["--until", "2200-01-01T00:00:00Z", "--class", "trap"], &[2]),
    ] {
        assert_eq!(dir.listed(filter), found, "{filter:?}");
    }
    assert_eq!(dir.letters(&["list", "--class", "orphaned"]).expect(0).stdout, "");
}

/// D4: one is shown with all that is known of it; what is not there is an error.
#[test]
fn d4_one_is_shown_with_its_event() {
    let dir = buried();
    let shown = dir.letters(&["show", "2"]).expect(0).stdout;
    for words in [
        "dead letter 2\n",
        "handler   hostile/sin\n",
        "class     trap\n",
        "plugin    sha256:",
        "unreachable",
        "  event\n    {",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(shown.contains(&line("b", "hostile.trap", "")), "{shown}");
    let letter = dir.letters(&["show", "2", "--json"]).expect(0).json_lines().remove(0);
    assert_eq!((&letter["id"], &letter["attempts"]), (&json!(2), &json!(1)));
    assert_eq!(dir.letters(&["list", "--json"]).json_lines()[1], letter);
    let none = dir
        .letters(&["show", "9"])
        .expect(1)
        .says(&["error: there is no dead letter 9"]);
    assert_eq!(none.stdout, "");
    // By the config as well.
    let ended = dir
        .palisade(&["dead-letters", "show", "4", "--config", "palisade.toml"])
        .expect(0);
    assert!(ended.stdout.contains("hop-limit"));
}

/// D4: what is sent again is handled at the next start, as the same event; it is a dead letter no more.
#[test]
fn d4_what_is_redriven_is_delivered_at_the_next_start() {
    let dir = Dir::with(CONFIG);
    dir.run(line("x", "hostile.flaky", "2")).expect(3);
    assert_eq!(dir.listed(&[]), [1]);
    let ended = dir.letters(&["redrive", "1"]).expect(0);
    assert_eq!(ended.stdout, "sent again, when their handlers are started next: 1\n");
    assert!(dir.listed(&[]).is_empty());
    let retried = dir
        .text("palisade.toml")
        .replace("attempts = 1", "attempts = 2, base = \"1ms\"");
    dir.file("palisade.toml", retried);
    let ended = dir
        .run("")
        .expect(0)
        .says(&["owed from before: hostile/sin: 1 event, "]);
    let report = ended.json_lines().remove(0);
    assert_eq!(
        (&report["causationid"], &report["data"]["attempt"]),
        (&json!("x"), &json!(2))
    );
    assert_eq!(ended.row("hostile/sin"), "ok 2, retry 1", "its own report is the other");
    assert_eq!((dir.listed(&[]).len(), ended.row("kept")), (0, "0"));
}

/// D4: of those that are meant, those that can be are sent again; the others stay, and it is said which and why.
#[test]
fn d4_what_can_not_be_redriven_is_refused_and_stays() {
    let dir = buried();
    let ended = dir.letters(&["redrive", "--all", "--dry-run"]).expect(3);
    assert_eq!(ended.stdout, "would be sent again: 3; refused: 1\n");
    assert_eq!(dir.listed(&[]), [1, 2, 3, 4]);
    let ended = dir.letters(&["redrive", "4", "1", "9", "1"]).expect(3);
    let ended = ended
        .says(&["dead letter 4 was refused: ", "hop limit"])
        .says(&["dead letter 9 was refused: there is no dead letter 9"]);
    assert_eq!(
        ended.stdout,
        "sent again, when their handlers are started next: 1; refused: 2\n"
    );
    assert_eq!(dir.listed(&[]), [2, 3, 4]);
    let ended = dir
        .letters(&["redrive", "--handler", "hostile", "--class", "rejected"])
        .expect(0);
    assert_eq!(ended.stdout, "sent again, when their handlers are started next: 1\n");
    assert_eq!(dir.listed(&[]), [2, 4]);
    let ended = dir
        .letters(&["redrive", "--all"])
        .expect(3)
        .says(&["dead letter 4 was refused: "]);
    assert_eq!(
        ended.stdout,
        "sent again, when their handlers are started next: 1; refused: 1\n"
    );
    let ended = dir.run("").expect(3);
    assert_eq!(
        (ended.row("dead letters by"), ended.row("kept")),
        ("rejected 2, trap 1", "0")
    );
    assert_eq!(
        dir.listed(&[]),
        [4, 5, 6, 7],
        "each that failed again has another number"
    );
}

/// D4: they are thrown away by number, by what they have in common, and all; a dry run throws nothing away.
#[test]
fn d4_dead_letters_are_purged() {
    let dir = buried();
    for dry in [
        &["purge", "--all", "--dry-run"][..],
        &["purge", "1", "2", "3", "4", "--dry-run"],
    ] {
        assert_eq!(dir.letters(dry).expect(0).stdout, "would be thrown away: 4\n");
    }
    let ended = dir.letters(&["purge", "2", "9"]).expect(3);
    assert_eq!(
        ended.says(&["there is no dead letter 9"]).stdout,
        "thrown away: 1; refused: 1\n"
    );
    assert_eq!(
        dir.letters(&["purge", "--class", "rejected", "--until", "1h"])
            .expect(0)
            .stdout,
        "thrown away: 0\n"
    );
    assert_eq!(
        dir.letters(&["purge", "--class", "rejected"]).expect(0).stdout,
        "thrown away: 2\n"
    );
    assert_eq!(dir.listed(&[]), [4]);
    assert_eq!(dir.letters(&["purge", "--all"]).expect(0).stdout, "thrown away: 1\n");
    assert!(dir.listed(&[]).is_empty());
    assert_eq!(dir.run("").expect(0).row("kept"), "0");
}

/// D2, D4: a directory without a store is an error and stays as it is; so is a config without one.
#[test]
fn d4_a_directory_without_a_store_is_an_error() {
    let dir = Dir::with("[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n");
    dir.letters(&["list"])
        .expect(1)
        .says(&["data: there is no store in it"]);
    assert!(!dir.path("data").exists());
    fs::create_dir(dir.path("data")).unwrap();
    dir.letters(&["purge", "--all"])
        .expect(1)
        .says(&["data: there is no store in it"]);
    assert_eq!(fs::read_dir(dir.path("data")).unwrap().count(), 0);
    let ended = dir
        .palisade(&["dead-letters", "list", "--config", "palisade.toml"])
        .expect(1);
    ended.says(&["palisade.toml: there is no data-dir in it"]);
}

/// D2, D4: while a server has the directory nothing is looked at or changed; afterwards it is as the server left it.
#[test]
fn d4_a_store_in_use_is_left_alone() {
    let mut running = Running::start(buried(), &[]);
    running.wait_for("no intake is configured");
    for command in [&["list"][..], &["purge", "--all"]] {
        let ended = running.dir().letters(command).expect(1);
        ended.says(&[
            "the data directory data can't be opened",
            "in use by another process; stop that one",
        ]);
    }
    running.signal("-TERM");
    let (ended, dir) = running.wait_with_dir();
    ended.expect(0);
    assert_eq!(dir.listed(&[]), [1, 2, 3, 4]);
}

/// H20: what an event or a plugin says does nothing to a terminal, and as JSON it is what it was.
#[test]
fn h20_control_characters_are_not_shown() {
    let dir = Dir::with(CONFIG);
    let id = "\\u001b[2J\\u009b31m\\u202e\\n";
    dir.run(line(id, "hostile.fail-reject", "\"\u{9b}31m\u{202e}\""))
        .expect(3);
    for command in [
        &["list"][..],
        &["list", "--json"],
        &["show", "1"],
        &["show", "1", "--json"],
    ] {
        let shown = dir.letters(command).expect(0).stdout;
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(acts), "{command:?}: {shown:?}");
    }
    let event = &dir.letters(&["show", "1", "--json"]).json_lines()[0]["event"];
    assert_eq!(
        (&event["id"], &event["data"]),
        (&json!("\u{1b}[2J\u{9b}31m\u{202e}\n"), &json!("\u{9b}31m\u{202e}"))
    );
}
