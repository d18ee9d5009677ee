use super::{ENVELOPE, read, refusal, with};
use crate::event::{Event, EventError, EventLimits};

/// E2
#[test]
fn base64_is_strict_and_alone() {
    for text in ["AAH", "AAH_", "A A=", "AAH/AA", "AB==", "!"] {
        assert!(
            matches!(
                refusal(with(&format!("\"data_base64\":\"{text}\""))),
                EventError::Base64 { .. }
            ),
            "{text}"
        );
    }
    assert_eq!(refusal(with(r#""data":null,"data_base64":"""#)), EventError::BothData);
    assert!(matches!(
        refusal(with(r#""data_base64":7"#)),
        EventError::WrongKind { .. }
    ));
    let lie = refusal(with(r#""datacontenttype":"application/json","data_base64":"AAH/""#));
    assert!(matches!(lie, EventError::DataNotJson { .. }));
    assert!(read(with(r#""data":1,"data_base64":null"#)).has_data());
}

/// E2
#[test]
fn a_member_that_comes_twice_is_refused_by_name() {
    for (members, name) in [
        (r#""id":"2""#, "id"),
        (r#""i\u0064":"1""#, "id"),
        (r#""specversion":"1.0""#, "specversion"),
        (r#""data":1,"data":1"#, "data"),
        (r#""data":null,"data":null"#, "data"),
        (r#""time":null,"time":null"#, "time"),
        (r#""x":1,"y":2,"x":1"#, "x"),
        (r#""x":null,"y":2,"x":1"#, "x"),
        (r#""data_base64":"","data_base64":"""#, "data_base64"),
    ] {
        assert_eq!(
            refusal(with(members)),
            EventError::Duplicate { name: name.into() },
            "{members}"
        );
    }
}

/// E1
#[test]
fn an_attribute_that_is_missing_or_empty_is_refused_by_name() {
    let members = [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
    for (field, _) in members {
        for (given, expected) in [
            (None, EventError::Missing { field }),
            (Some("null"), EventError::Missing { field }),
            (Some("\"\""), EventError::Empty { field }),
        ] {
            let expected = match (field, given) {
                ("specversion", Some("\"\"")) => EventError::SpecVersion { found: String::new() },
                _ => expected,
            };
            let other = |(name, value): &(&str, &str)| {
                let value = if *name == field {
                    given?.to_owned()
                } else {
                    format!("\"{value}\"")
                };
                Some(format!("\"{name}\":{value}"))
            };
            let json = format!("{{{}}}", members.iter().filter_map(other).collect::<Vec<_>>().join(","));
            assert_eq!(refusal(&json), expected, "{json}");
        }
    }
    assert_eq!(
        refusal(with(r#""datacontenttype":"""#)),
        EventError::Empty {
            field: "datacontenttype"
        }
    );
}

/// E2
#[test]
fn other_versions_are_refused_by_their_number() {
    for version in ["0.3", "1.0.2", "2.0", "1"] {
        let json = format!(r#"{{"specversion":"{version}","id":"1","source":"/s","type":"t"}}"#);
        assert_eq!(refusal(json), EventError::SpecVersion { found: version.into() });
    }
    let number = r#"{"specversion":1.0,"id":"1","source":"/s","type":"t"}"#;
    assert_eq!(
        refusal(number).to_string(),
        "`specversion` is a number; it must be a string"
    );
}

/// E2
#[test]
fn a_value_of_the_wrong_kind_is_refused_by_name() {
    for members in [
        r#""time":1449730546"#,
        r#""subject":true"#,
        r#""dataschema":{}"#,
        r#""datacontenttype":[]"#,
    ] {
        let error = refusal(with(members));
        assert!(
            matches!(&error, EventError::WrongKind { wanted: "a string", .. }),
            "{error}"
        );
        assert!(
            members.contains(&format!("\"{}\"", error.to_string().split('`').nth(1).unwrap())),
            "{error}"
        );
    }
    for number in ["1.5", "1.0", "1e2", "9223372036854775808", "1e999999"] {
        let message = refusal(with(&format!("\"x\":{number}"))).to_string();
        let expected =
            format!("`x` is the number {number}; it must be a string, a boolean or a whole number of 64 bits");
        assert_eq!(message, expected);
    }
    for (value, found) in [("{}", "an object"), ("[1]", "an array")] {
        let message = refusal(with(&format!("\"x\":{value}"))).to_string();
        assert!(message.starts_with(&format!("`x` is {found};")), "{message}");
    }
    assert_eq!(
        read(with(r#""x":-9223372036854775808"#)).metadata("x").as_deref(),
        Some("-9223372036854775808")
    );
}

/// E2
#[test]
fn names_and_times_that_are_none_are_refused() {
    for name in ["", "a b", "ü", "a\\n"] {
        assert!(
            matches!(
                refusal(with(&format!("\"{name}\":1"))),
                EventError::ExtensionName { .. }
            ),
            "{name}"
        );
    }
    let message = refusal(with(r#""time":"yesterday""#)).to_string();
    assert!(
        message.starts_with("time `yesterday` is not an RFC 3339 time"),
        "{message}"
    );
}

/// H21
#[test]
fn what_is_no_single_json_object_is_refused() {
    let event = format!("{{{ENVELOPE}}}");
    assert_eq!(refusal(format!("[{event}]")), EventError::Batch);
    assert_eq!(refusal(" \n"), EventError::NotAnObject { found: "empty" });
    assert_eq!(refusal("hello"), EventError::NotAnObject { found: "not JSON" });
    assert_eq!(
        refusal(format!("\"{}\"", "x".repeat(10_000))),
        EventError::NotAnObject { found: "a string" }
    );
    for json in [
        format!("{event}x"),
        format!("{event}{event}"),
        event[..event.len() - 1].to_owned(),
        with(r#""data":{]}"#),
        with(
            r#""data":"a
b""#,
        ),
        with(r#""data":01"#),
        with(r#""data":NaN"#),
        with(r#""data":"\x""#),
        with(r#""data":"\u12""#),
        with("1:2"),
        with(""),
        "{".to_owned(),
    ] {
        let error = refusal(&json);
        assert!(
            matches!(&error, EventError::NotJson { .. }) && error.to_string().contains("line"),
            "{json}: {error}"
        );
    }
}

/// H21
#[test]
fn invalid_utf_8_is_refused_wherever_it_is() {
    for place in ["\"subject\":\"?\"", "\"data\":\"?\"", "\"data\":{\"?\":1}", "\"x?\":1"] {
        let mut json = with(place).into_bytes();
        let at = json.iter().position(|byte| *byte == b'?').unwrap();
        json[at] = 0xff;
        assert_eq!(refusal(&json), EventError::NotUtf8 { offset: at });
    }
    assert!(matches!(refusal(b"{\"\xed\xa0\x80\":1}"), EventError::NotUtf8 { .. }));
}

/// H21
#[test]
fn an_event_of_a_hundred_thousand_members_is_refused_soon() {
    let members: String = (0..100_000).map(|n| format!("\"x{n}\":null,")).collect();
    let duplicate = refusal(with(&format!("{members}\"x0\":null")));
    assert_eq!(duplicate, EventError::Duplicate { name: "x0".into() });
    assert!(Event::from_json(with(members.trim_end_matches(',')), &EventLimits::default()).is_ok());
}
