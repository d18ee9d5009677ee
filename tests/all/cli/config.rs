//! H47: a config that can't be is refused by its key and line, by `run` before anything is started, and by `check`.

use super::*;

const PLUGIN: &str = "[[plugin]]\npath = \"PLUGINS/probe.wasm\"\n";

#[track_caller]
fn refused(config: &str, words: &[&str]) {
    let dir = Dir::with(config);
    for command in [
        &["check", "--config", "palisade.toml"][..],
        &["run", "--config", "palisade.toml", "--stdin"],
    ] {
        let ended = dir.palisade(command).expect(1).says(words);
        assert!(ended.stdout.is_empty());
    }
}

/// H47
#[test]
fn h47_an_unknown_key_is_refused_by_name_and_line() {
    refused(
        &format!("{PLUGIN}concurency = 2"),
        &["palisade.toml:3:1: ", "plugin", "unknown key `concurency`"],
    );
    refused("data_dir = \"d\"", &["palisade.toml:1:1: ", "unknown key `data_dir`"]);
}

/// H47
#[test]
fn h47_zero_negative_and_absurd_values_are_refused_by_name_and_line() {
    refused(
        &format!("{PLUGIN}limits.memory = 0"),
        &["palisade.toml:3:17: plugin.limits.memory: 0 would"],
    );
    refused("drain = \"0s\"", &["palisade.toml:1:9: drain: ", "longer than nothing"]);
    refused(
        "\n[events]\nmax-data = -1",
        &["palisade.toml:3:12: events.max-data: -1 is negative"],
    );
    refused(
        "drain = \"2000years\"",
        &["palisade.toml:1:9: drain: ", "longer than 10 years"],
    );
}

/// H47
#[test]
fn h47_a_pattern_that_can_t_match_is_refused_by_name_and_line() {
    refused(
        &format!("{PLUGIN}[plugin.grants]\npublish = [\"a.>.b\"]"),
        &["palisade.toml:4:12: plugin.grants.publish: ", "`a.>.b`"],
    );
}

/// H47
#[test]
fn h47_a_grant_that_can_t_be_given_is_refused_by_name_and_line() {
    refused(
        &format!("{PLUGIN}[plugin.grants]\npublish = [\"plugin.>\"]"),
        &[
            "palisade.toml:4:12: plugin.grants.publish: ",
            "host events are published by the host only",
        ],
    );
}

/// H47
#[test]
fn h47_the_line_is_shown() {
    refused("drain = 30", &["1 | drain = 30"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    Dir::new()
        .palisade(&["check", "--config", "none.toml"])
        .expect(1)
        .says(&["error: none.toml: can't be read"]);
}

#[test]
fn a_config_without_plugins_is_refused() {
    refused("drain = \"1s\"", &["no [[plugin]] and no [[filter]]"]);
}
