#![allow(clippy::unwrap_used)]
use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(with = "duration", default)]
    window: Duration,
    #[serde(default, rename = "rules")]
    _rules: Vec<u8>,
}

fn parse(text: &str) -> Result<Settings, String> {
    Config::from_json(text)
        .unwrap()
        .parse()
        .map_err(|error| error.to_string())
}

#[test]
fn durations_are_text_or_seconds() {
    for (text, millis) in [
        (r#""60s""#, 60_000),
        (r#""1m""#, 60_000),
        (r#""500ms""#, 500),
        ("60", 60_000),
        ("0.5", 500),
    ] {
        assert_eq!(
            parse(&format!(r#"{{"window":{text}}}"#)).unwrap().window,
            Duration::from_millis(millis),
            "{text}"
        );
    }
}

#[test]
fn a_wrong_value_is_named_by_its_key() {
    assert_eq!(
        parse(r#"{"window":"soon"}"#).unwrap_err(),
        "config key `window`: invalid value, expected a duration such as \"500ms\", \"60s\" or \"5m\", or a number of seconds"
    );
    assert!(
        parse(r#"{"window":-1}"#)
            .unwrap_err()
            .starts_with("config key `window`: invalid value, expected a duration")
    );
    assert!(
        parse(r#"{"window":[]}"#)
            .unwrap_err()
            .starts_with("config key `window`: invalid type, expected a duration")
    );
    assert!(
        parse(r#"{"rules":[1,2,300]}"#)
            .unwrap_err()
            .starts_with("config key `rules[2]`: ")
    );
}

#[test]
fn a_key_too_many_is_named() {
    assert!(parse(r#"{"windou":"60s"}"#).unwrap_err().contains("`windou`"));
}

#[test]
fn one_key_can_be_read_alone() {
    let config = Config::from_json(r#"{"a":{"b":1},"list":[1,"x"]}"#).unwrap();
    assert_eq!(config.get::<u8>("missing").unwrap(), None);
    assert!(
        config
            .get::<String>("a")
            .unwrap_err()
            .to_string()
            .starts_with("config key `a`: ")
    );
    assert!(
        config
            .get::<Vec<u8>>("list")
            .unwrap_err()
            .to_string()
            .starts_with("config key `list[1]`: ")
    );
}

#[test]
fn only_an_object_is_a_config() {
    assert!(
        Config::from_json("[]")
            .unwrap_err()
            .to_string()
            .starts_with("config is not a JSON object")
    );
}

/// L4
#[test]
fn an_error_never_quotes_a_value() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only the errors are looked at")]
    enum Mode {
        Fast,
        Slow(u8),
    }
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    enum Either {
        Number(u8),
        Flag(bool),
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Secretive {
        _threshold: usize,
        _mode: Option<Mode>,
        _either: Option<Either>,
        _modes: Vec<Mode>,
        #[serde(with = "duration")]
        _window: Duration,
        _address: Option<std::net::IpAddr>,
        _text: String,
        _letter: Option<char>,
    }
    for (text, told) in [
        (
            r#"{"_threshold":"hunter2, expected hunter2"}"#,
            "config key `_threshold`: invalid type, expected usize",
        ),
        (
            r#"{"_threshold":-424242}"#,
            "config key `_threshold`: invalid value, expected usize",
        ),
        (
            r#"{"_mode":"hunter2"}"#,
            "config key `_mode`: unknown variant, expected one of `fast`, `slow`",
        ),
        (
            r#"{"_mode":{"slow":"hunter2"}}"#,
            "config key `_mode.slow`: invalid type, expected u8",
        ),
        (
            r#"{"_mode":{"slow":424242}}"#,
            "config key `_mode.slow`: invalid value, expected u8",
        ),
        (
            r#"{"_mode":["hunter2"]}"#,
            "config key `_mode`: invalid type, expected the name of a variant",
        ),
        (
            r#"{"_modes":["fast","hunter2"]}"#,
            "config key `_modes[1]`: unknown variant, expected one of",
        ),
        (
            r#"{"_either":"hunter2"}"#,
            "config key `_either`: not a value that this plugin takes",
        ),
        (
            r#"{"_window":"hunter2"}"#,
            "config key `_window`: invalid value, expected a duration",
        ),
        (
            r#"{"_window":-424242}"#,
            "config key `_window`: invalid value, expected a duration",
        ),
        (
            r#"{"_window":["hunter2"]}"#,
            "config key `_window`: invalid type, expected a duration",
        ),
        (r#"{"_address":"hunter2"}"#, "config key `_address`: "),
        (
            r#"{"_text":424242}"#,
            "config key `_text`: invalid type, expected a string",
        ),
        (
            r#"{"_letter":"hunter2"}"#,
            "config key `_letter`: invalid value, expected a character",
        ),
    ] {
        let error = Config::from_json(text).unwrap().parse::<Secretive>().unwrap_err();
        assert!(error.to_string().starts_with(told), "{text}: {error}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hunter2") && !shown.contains("424242"), "{shown}");
        }
    }
    let error = Config::from_json(r#""hunter2""#).unwrap_err().to_string();
    assert_eq!(error, "config is not a JSON object: it is a value of another kind");
    let error = Config::from_json(r#"{"a":"hunter2"#).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn values_are_read_as_serde_json_reads_them() {
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Id(String);
    #[derive(Debug, PartialEq, Deserialize)]
    enum Shape {
        Unit,
        New(u8),
        Pair(u8, i64),
        Named { a: Option<bool> },
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct All {
        ports: std::collections::BTreeMap<u16, f64>,
        ids: std::collections::BTreeMap<Id, Value>,
        shapes: Vec<Shape>,
        pair: (String, Option<u8>),
    }
    let text = r#"{
        "ports": { "80": 1, "443": 2.5 },
        "ids": { "x": { "deep": [null, -1, "t"] } },
        "shapes": ["Unit", { "New": 1 }, { "Pair": [1, -2] }, { "Named": { "a": true } }, { "Named": {} }],
        "pair": ["p", null]
    }"#;
    assert_eq!(
        Config::from_json(text).unwrap().parse::<All>().unwrap(),
        serde_json::from_str::<All>(text).unwrap()
    );
}
