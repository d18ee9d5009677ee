//! Granted directories, as the process and the operator see them.

use std::io::{BufRead, BufReader};

use super::*;

const HOARDING: &str = r#"
    [[plugin]]
    path = "PLUGINS/hostile.wasm"
    concurrency = 2
    [plugin.grants]
    publish = ["hostile.>"]
    fs = [{ host = "hoard", guest = "/hoard", mode = "write" }]
    [[plugin]]
    path = "PLUGINS/audit-logger.wasm"
    config = { file = "/audit/audit.ndjson" }
    grants = { fs = [{ host = "audit", guest = "/audit", mode = "write" }] }
    [[plugin]]
    path = "PLUGINS/probe.wasm"
    name = "fresh"
    isolation = "per-event"
    grants = { fs = [{ host = "audit", guest = "/audit" }] }
"#;

fn line(id: &str, event_type: &str, data: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/tests","type":"{event_type}","data":{data}}}"#) + "\n"
}

/// S1, H18: a plugin that keeps as many files open as it gets is told `quota`, long before the process has as many as it may
/// have: its neighbours write their files, and fresh instances start.
#[test]
fn s1_h18_open_files_violated_by_one_are_left_to_others() {
    let dir = Dir::with(HOARDING);
    dir.file("hoard/x", "");
    dir.file("audit/x", "");
    let palisade = dir.command(&["run", "--config", "palisade.toml", "--stdin"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", r#"ulimit -n 128 && exec "$0" "$@""#]);
    limited.arg(palisade.get_program()).args(palisade.get_args());
    limited.current_dir(dir.0.path()).env_remove("PALISADE_LOG");
    limited.env("XDG_CACHE_HOME", binary().parent().unwrap().join("test-cache"));
    let pipes = limited
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut reports = BufReader::new(stdout).lines().map(Result::unwrap);
    let keep = r#"{"op":"keep","path":"x","count":200}"#;
    for id in ["1", "2"] {
        stdin.write_all(line(id, "hostile.disk", keep).as_bytes()).unwrap();
        let report = reports.find(|line| line.contains("hostile.report")).unwrap();
        assert!(report.contains(r#""error":"quota""#), "{report}");
    }
    stdin.write_all(line("3", "user.login", "{}").as_bytes()).unwrap();
    drop(stdin);
    let ended: Ended = child.wait_with_output().unwrap().into();
    let ended = ended.says(&["hostile has", "files and connections open", "ulimit -n"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(dir.text("audit/audit.ndjson").contains("user.login"));
}

/// S8, H39: a directory that lies in one that another plugin may write to is named, and in one that is only read it isn't.
#[test]
fn s8_h39_directories_that_another_plugin_may_replace_are_named() {
    for (mode, is_named) in [("write", true), ("read", false)] {
        let config = r#"
            [[plugin]]
            path = "PLUGINS/probe.wasm"
            name = "outer"
            grants = { fs = [{ host = "share", guest = "/share", mode = "MODE" }] }
            [[plugin]]
            path = "PLUGINS/probe.wasm"
            name = "inner"
            grants = { fs = [{ host = "share/rules", guest = "/rules" }, { host = "share", guest = "/all" }] }
        "#;
        let dir = Dir::with(&config.replace("MODE", mode));
        dir.file("share/rules/x", "");
        for command in [
            ["check", "--config", "palisade.toml"].as_slice(),
            &["run", "--config", "palisade.toml", "--stdin"],
        ] {
            let ended = dir.piped(command, "").expect(0);
            let warnings = ended.stderr.matches("may write to").count();
            assert_eq!(warnings, usize::from(is_named), "{}", ended.stderr);
            if is_named {
                ended.says(&[
                    "inner: its directory",
                    "share/rules",
                    "outer may write to",
                    "plugin.grants.fs.host",
                ]);
            }
        }
    }
}
