//! L4: values that come from files reach the plugin and are shown to nobody.

use super::*;
use crate::REDACTED;

const ONE: &str = "[[plugin]]\npath = \"a.wasm\"\n";

/// L4
#[test]
fn l4_a_value_from_a_file_is_redacted() {
    let dir = Dir::with(&format!(
        "{ONE}[plugin.config]\ntoken = {{ file = \"s/token\" }}\ndeep = {{ a = [{{ file = \"s/token\" }}], b = 1 }}\n\
         file = \"/audit/x\"\nother = {{ file = \"s/token\", mode = 1 }}\n"
    ));
    dir.file("s/token", "hunter2 \r\n");
    let config = dir.read().unwrap().plugins.remove(0).config;
    let shown = config.shown();
    assert_eq!(shown["token"], REDACTED);
    assert_eq!(shown["deep"], REDACTED);
    assert_eq!(shown["file"], "/audit/x");
    assert_eq!(shown["other"]["mode"], 1, "more than the one key: an ordinary table");
    assert!(!format!("{config:?}").contains("hunter2"));
    let whole: serde_json::Value = serde_json::from_str(&config.to_json().unwrap()).unwrap();
    assert_eq!(
        (&whole["token"], &whole["deep"]["a"][0]),
        (&"hunter2 ".into(), &"hunter2 ".into())
    );
}

/// L4
#[test]
fn l4_the_whole_table_of_a_config_file_is_secret() {
    for (name, text) in [
        ("s.toml", "key = \"hunter2\"\nday = 2026-01-02\n"),
        ("s.json", r#"{"key": "hunter2"}"#),
    ] {
        let dir = Dir::with(&format!("{ONE}config = {{ open = 1 }}\nconfig-file = \"{name}\""));
        dir.file(name, text);
        let config = dir.read().unwrap().plugins.remove(0).config;
        assert_eq!(
            (&config.shown()["key"], &config.shown()["open"]),
            (&REDACTED.into(), &1.into())
        );
        assert!(config.to_json().unwrap().contains("hunter2"));
    }
}

/// L4
#[test]
fn l4_a_mistake_in_a_secret_does_not_show_it() {
    for (name, text) in [
        ("s.toml", "key = hunter2"),
        ("s.json", r#"{"key": hunter2}"#),
        ("s.json", r#"["hunter2"]"#),
    ] {
        let dir = Dir::with(&format!("{ONE}config-file = \"{name}\""));
        dir.file(name, text);
        let problem = shown(dir.read().unwrap_err()).remove(0);
        assert!(
            problem.starts_with("3:15: plugin.config-file: ") && problem.contains("can't be used"),
            "{problem}"
        );
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_named_with_its_line() {
    let value = wrong(&format!("{ONE}[plugin.config]\na = 1\nb = {{ file = \"none\" }}"));
    assert!(
        value[0].starts_with("5:5: plugin.config.b: ") && value[0].contains("none can't be read"),
        "{value:?}"
    );
    let file = wrong(&format!("{ONE}config-file = \"none.toml\""));
    assert!(file[0].starts_with("3:15: plugin.config-file: "), "{file:?}");
    assert!(wrong(&format!("{ONE}config-file = \"none.ini\""))[0].contains("end in .toml or .json"));
}

#[test]
fn a_key_that_is_set_twice_is_refused() {
    let dir = Dir::with(&format!("{ONE}config = {{ a = 1 }}\nconfig-file = \"s.json\""));
    dir.file("s.json", r#"{"a": 2}"#);
    assert!(shown(dir.read().unwrap_err())[0].contains("`a` is in that file and in `config`"));
}

#[test]
fn a_number_that_json_lacks_is_refused() {
    assert!(wrong(&format!("{ONE}config = {{ a = inf }}"))[0].contains("plugin.config.a: inf has no form in JSON"));
}
