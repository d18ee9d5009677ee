//! A start that fails names all that is bad, and reads no event.

use std::fs::File;
use std::io::Seek;

use super::*;

/// Whether the command has read anything of its stdin, told by the place in the file that both share.
#[track_caller]
fn fails_before_reading(dir: &Dir) -> Ended {
    let events = dir.file("events.ndjson", line("1", "user.login", ""));
    let mut events = File::open(events).unwrap();
    let mut command = dir.command(&["run", "--config", "palisade.toml", "--stdin"]);
    command.stdin(events.try_clone().unwrap());
    let ended = Ended::from(command.output().unwrap()).expect(1);
    assert_eq!(events.stream_position().unwrap(), 0);
    assert!(ended.stdout.is_empty());
    ended.says(&["error: the start failed, and no event was read"])
}

/// H34: a good plugin beside bad ones is not started either.
#[test]
fn h34_each_bad_plugin_is_named_and_no_event_is_read() {
    let dir = Dir::with(
        "[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n[[plugin]]\npath = \"core.wasm\"\n[[plugin]]\npath = \"empty.wasm\"\n",
    );
    dir.file("core.wasm", b"\0asm\x01\0\0\0");
    dir.file("empty.wasm", "");
    let ended = fails_before_reading(&dir)
        .says(&["core.wasm: this is a core module"])
        .says(&["empty.wasm: the file is empty"]);
    assert!(!ended.stderr.contains("plugin.started"), "{}", ended.stderr);
}

/// H51: the one that started before is stopped again.
#[test]
fn h51_a_start_that_fails_stops_those_before_it() {
    let dir = Dir::with(
        "[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n\
         [[plugin]]\npath = \"PLUGINS/hostile.wasm\"\nconfig = { in-start = \"error\" }\n",
    );
    let ended = fails_before_reading(&dir).says(&["hostile did not start", "hostile refuses to start"]);
    ended.says(&["plugin.unloaded", "probe"]);
}

/// H51
#[test]
fn h51_two_plugins_that_call_themselves_the_same_are_refused() {
    let dir = Dir::with("[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n");
    fails_before_reading(&dir).says(&["probe: a plugin of this name is loaded already"]);
}

#[test]
fn a_missing_directory_is_named_along_with_bad_plugins() {
    let dir = Dir::with(
        "[[plugin]]\npath = \"none.wasm\"\ngrants.fs = [{ host = \"out\", guest = \"/out\", mode = \"write\" }]\n",
    );
    let ended = fails_before_reading(&dir).says(&["palisade.toml:3:23: plugin.grants.fs.host: ", "create it first"]);
    ended.says(&["none.wasm: can't be read"]);
}
