#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use serde_json::Value;

use crate::event::{Event, EventError, EventLimits, ExtensionValue};

const ENVELOPE: &str = r#""specversion":"1.0","id":"1","source":"/s","type":"t""#;

/// An event with these members besides the four that every event has.
fn with(members: &str) -> String {
    format!("{{{ENVELOPE},{members}}}")
}

fn read(json: impl AsRef<[u8]>) -> Event {
    Event::from_json(json, &EventLimits::default()).unwrap()
}

fn refusal(json: impl AsRef<[u8]>) -> EventError {
    Event::from_json(json, &EventLimits::default()).unwrap_err()
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// E2
#[test]
fn every_attribute_comes_in_and_goes_out() {
    let json = with(
        r#""time":"2015-12-10T06:55:46.10+01:00","subject":"a","datacontenttype":"application/json",
           "dataschema":"urn:s","traceparent":"00-1","flag":true,"off":false,"count":-7,"data":{"a":[1.50,1e2]}"#,
    );
    let event = read(&json);
    assert_eq!((event.id(), event.source(), event.event_type()), ("1", "/s", "t"));
    assert_eq!(event.time().unwrap().as_str(), "2015-12-10T06:55:46.10+01:00");
    assert_eq!(event.timestamp_nanos(), 1_449_726_946_100_000_000);
    assert_eq!(event.data(), br#"{"a":[1.50,1e2]}"#);
    assert_eq!(event.extension("flag"), Some(&ExtensionValue::Boolean(true)));
    assert_eq!(event.extension("count"), Some(&ExtensionValue::Integer(-7)));
    assert_eq!(event.extension("subject"), None);
    assert_eq!(event.metadata("flag").as_deref(), Some("true"));
    assert_eq!(event.metadata("nothing"), None);
    let all = event.all_metadata();
    let all: Vec<(&str, &str)> = all
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let extensions = [
        ("traceparent", "00-1"),
        ("flag", "true"),
        ("off", "false"),
        ("count", "-7"),
    ];
    assert_eq!(
        all,
        [&[("subject", "a"), ("dataschema", "urn:s")], &extensions[..]].concat()
    );
    assert_eq!(value(&event.to_json()), value(&json));
    assert!(event.to_json().ends_with(r#","data":{"a":[1.50,1e2]}}"#));
}

/// E2
#[test]
fn the_least_event_has_no_data_and_the_time_of_acceptance() {
    let event = read(format!("{{{ENVELOPE}}}"));
    assert_eq!(
        (event.has_data(), event.data(), event.content_type()),
        (false, &b""[..], "")
    );
    assert_eq!(
        (event.time(), event.hop_count(), event.extensions().count()),
        (None, 0, 0)
    );
    assert!(event.timestamp_nanos() > 0);
    assert_eq!(
        event.to_json(),
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#
    );
}

/// E2
#[test]
fn data_are_kept_to_the_byte() {
    for data in [
        "null",
        "0",
        "-0.0",
        "123456789012345678901234567890.10",
        "1e999999",
        r#""text""#,
        r#""\u00e9\/\ud800""#,
        r#"{"a":1,"a":2,"b" : [ ]}"#,
        "[[1],\t[2]]",
    ] {
        for content_type in ["", r#""datacontenttype":"application/vnd.x+json","#] {
            let event = read(with(&format!("{content_type}\"data\":{data}")));
            assert_eq!((event.data(), event.has_data()), (data.as_bytes(), true));
            assert!(event.to_json().ends_with(&format!("\"data\":{data}}}")), "{data}");
        }
    }
    assert_eq!(read(with(r#""data":null"#)).content_type(), "application/json");
}

/// E2
#[test]
fn a_handler_sees_the_characters_of_a_text() {
    let event = read(with(r#""datacontenttype":"text/plain","data":"a\n\u00fc\"""#));
    assert_eq!(
        (event.data(), event.content_type()),
        ("a\nü\"".as_bytes(), "text/plain")
    );
    assert!(event.to_json().ends_with(r#""data":"a\n\u00fc\""}"#));
    let plain = read(with(r#""data":"ü \u007f","datacontenttype":"text/plain""#));
    assert_eq!(plain.data(), "ü \u{7f}".as_bytes());
    let empty = read(with(r#""datacontenttype":"text/plain","data":"""#));
    assert_eq!((empty.data(), empty.has_data()), (&b""[..], true));
    assert!(empty.to_json().ends_with(r#""data":""}"#));
}

/// E2
#[test]
fn data_that_are_no_string_are_seen_as_json_whatever_their_content_type() {
    let event = read(with(r#""datacontenttype":"text/xml","data":{"a": 1}"#));
    assert_eq!((event.data(), event.content_type()), (&br#"{"a": 1}"#[..], "text/xml"));
    assert!(event.to_json().ends_with(r#""data":{"a": 1}}"#));
}

/// E2
#[test]
fn a_handler_sees_the_bytes_of_base64() {
    let event = read(with(r#""datacontenttype":"image/png","data_base64":"AAH\/""#));
    assert_eq!(
        (event.data(), event.content_type()),
        (&b"\x00\x01\xff"[..], "image/png")
    );
    assert_eq!(value(&event.to_json())["data_base64"], "AAH/");
    assert_eq!(
        read(with(r#""data_base64":"AAH/""#)).content_type(),
        "application/octet-stream"
    );
    let empty = read(with(r#""data_base64":"""#));
    assert_eq!((empty.data(), empty.has_data()), (&b""[..], true));
    assert!(empty.to_json().ends_with(r#""data_base64":""}"#));
    let json = read(with(
        r#""datacontenttype":"application/json","data_base64":"eyJhIjoxfQ==""#,
    ));
    assert_eq!(json.json::<Value>().unwrap()["a"], 1);
}

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
fn attributes_that_are_null_count_as_unset() {
    let event = read(with(
        r#""time":null,"subject":null,"dataschema":null,"x":null,"datacontenttype":null,"hopcount":null"#,
    ));
    assert_eq!((event.time(), event.subject(), event.dataschema()), (None, None, None));
    assert_eq!((event.datacontenttype(), event.extensions().count()), (None, 0));
    assert_eq!(event.to_json(), format!("{{{ENVELOPE}}}"));
}

/// E2
#[test]
fn a_content_type_without_data_is_kept() {
    let event = read(with(r#""datacontenttype":"text/plain","subject":"""#));
    assert_eq!(
        (event.content_type(), event.datacontenttype(), event.subject()),
        ("", Some("text/plain"), Some(""))
    );
    assert_eq!(
        value(&event.to_json()),
        value(&with(r#""datacontenttype":"text/plain","subject":"""#))
    );
}

/// E1
#[test]
fn types_sources_and_ids_are_kept_as_they_came() {
    let json = r#"{"specversion":"1.0","id":" \u0000\n","source":"not a uri \ud83d\ude00","type":"..*.> ü"}"#;
    let event = read(json);
    assert_eq!(
        (event.id(), event.source(), event.event_type()),
        (" \0\n", "not a uri 😀", "..*.> ü")
    );
    assert_eq!(value(&event.to_json()), value(json));
    assert!(!event.to_json().contains('\n'));
}

/// E2
#[test]
fn an_event_in_several_lines_goes_out_as_one() {
    let json =
        "\u{feff}\n{\r\n \"data\": {\n  \"a b\": [1,\n 2],\r\n \"c\": \"\\n \" },\n".to_owned() + ENVELOPE + "\n}\n\n";
    let event = read(&json);
    assert_eq!(event.data(), "{\n  \"a b\": [1,\n 2],\r\n \"c\": \"\\n \" }".as_bytes());
    let line = event.to_json();
    assert!(line.ends_with(r#""data":{"a b":[1,2],"c":"\n "}}"#), "{line}");
    assert_eq!(value(&line), value(json.trim_start_matches('\u{feff}')));
}

/// E2
#[test]
fn members_may_be_written_with_escapes() {
    let event = read(with(r#""s\u0075bject":"\u0061","tr\u0061ce":"x""#));
    assert_eq!(
        (event.subject(), event.metadata("trace").as_deref()),
        (Some("a"), Some("x"))
    );
    assert!(event.to_json().contains(r#""trace":"x""#));
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

/// B10
#[test]
fn the_hop_count_is_read_from_number_and_text() {
    for (json, count) in [("3", 3), ("\"3\"", 3), ("255", 255), ("0", 0)] {
        let event = read(with(&format!("\"hopcount\":{json}")));
        assert_eq!(event.hop_count(), count);
        assert!(event.to_json().ends_with(&format!("\"hopcount\":{json}}}")));
    }
    for json in ["256", "-1", "\"\"", "\"x\"", "true"] {
        let error = refusal(with(&format!("\"hopcount\":{json}")));
        assert!(matches!(error, EventError::HopCount { .. }), "{json}");
    }
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
fn lone_surrogates_are_kept_in_json_and_refused_in_text() {
    let event = read(with(r#""data":{"\udc00":"\ud800"}"#));
    assert!(event.to_json().ends_with(r#""data":{"\udc00":"\ud800"}}"#));
    for members in [
        r#""subject":"\ud800""#,
        r#""x":"\udfff""#,
        r#""datacontenttype":"text/plain","data":"\ud800x""#,
    ] {
        assert!(
            matches!(refusal(with(members)), EventError::BadText { .. }),
            "{members}"
        );
    }
    assert!(matches!(refusal(with(r#""\ud800":1"#)), EventError::NotJson { .. }));
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

/// E1
#[test]
fn nesting_limit_obeyed() {
    let event = read(with(&format!("\"data\":{}", nested(128))));
    assert_eq!(event.data(), nested(128).as_bytes());
    let brackets = format!("\"{}\"", "[".repeat(100_000));
    assert_eq!(read(with(&format!("\"data\":{brackets}"))).data(), brackets.as_bytes());
}

/// E1, H21
#[test]
fn nesting_limit_violated() {
    for data in [
        nested(129),
        nested(100_000),
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
    ] {
        assert_eq!(
            refusal(with(&format!("\"data\":{data}"))),
            EventError::TooDeep { limit: 128 }
        );
        assert_eq!(
            refusal(with(&format!("\"x\":{data}"))),
            EventError::TooDeep { limit: 128 }
        );
    }
    let in_base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, nested(129));
    let members = format!(r#""datacontenttype":"application/json","data_base64":"{in_base64}""#);
    assert_eq!(refusal(with(&members)), EventError::TooDeep { limit: 128 });
}

/// E1
#[test]
fn size_limits_obeyed() {
    let sized = |id: usize, source: usize, members: &str| {
        let (id, source, event_type) = ("i".repeat(id), "s".repeat(source), "t".repeat(256));
        format!(r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"{event_type}"{members}}}"#)
    };
    let data = "x".repeat((1 << 20) - 2);
    let event = read(sized(256, 1024, &format!(r#","data":"{data}""#)));
    assert_eq!(event.data().len(), 1 << 20);
    let extensions: String = (0..62).map(|n| format!(",\"x{n}\":1")).collect();
    let event = read(sized(
        1,
        1,
        &format!(r#"{extensions},"subject":"s","dataschema":"d","unset":null"#),
    ));
    assert_eq!(event.all_metadata().len(), 64);
    let half = "v".repeat(8 * 1024 - 1);
    assert!(
        Event::from_json(
            sized(1, 1, &format!(r#","a":"{half}","b":"{half}""#)),
            &EventLimits::default()
        )
        .is_ok()
    );
}

/// E1
#[test]
fn size_limits_violated() {
    let long = |attribute: &str, bytes: usize| {
        let mut event = value(&with(r#""x":1"#));
        event[attribute] = "a".repeat(bytes).into();
        refusal(event.to_string()).to_string()
    };
    assert_eq!(
        long("id", 257),
        "id is 257 bytes; the limit is 256 bytes (events.max-id)"
    );
    assert_eq!(
        long("type", 257),
        "type is 257 bytes; the limit is 256 bytes (events.max-type)"
    );
    let source = "source is 1.0 KiB (1,025 bytes); the limit is 1,024 bytes (events.max-source)";
    assert_eq!(long("source", 1025), source);
    let content_type = "datacontenttype is 1.0 KiB (1,025 bytes); the limit is 1,024 bytes (fixed)";
    assert_eq!(long("datacontenttype", 1025), content_type);
    let data = EventError::DataTooLarge {
        bytes: (1 << 20) + 1,
        limit: 1 << 20,
    };
    let megabyte = "x".repeat((1 << 20) - 1);
    assert_eq!(refusal(with(&format!(r#""data":"{megabyte}""#))), data);
    assert_eq!(
        refusal(with(&format!(r#""datacontenttype":"a/b","data":"{megabyte}xx""#))),
        data
    );
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{megabyte}xx"));
    assert_eq!(refusal(with(&format!(r#""data_base64":"{base64}""#))), data);
    let extensions: String = (0..63).map(|n| format!("\"x{n}\":1,")).collect();
    let error = refusal(with(&format!(r#"{extensions}"subject":"s","dataschema":"d""#)));
    assert_eq!(error, EventError::TooManyMetadata { entries: 65, limit: 64 });
    let half = "v".repeat(8 * 1024 - 1);
    let error = refusal(with(&format!(r#""a":"{half}","subject":"{half}""#)));
    assert_eq!(
        error,
        EventError::MetadataTooLarge {
            bytes: 16 * 1024 + 6,
            limit: 16 * 1024
        }
    );
}

/// E1
#[test]
fn limits_can_be_set() {
    let limits = EventLimits {
        data_bytes: 3,
        json_depth: 1,
        metadata_entries: 0,
        ..EventLimits::default()
    };
    let refusal = |members: &str| Event::from_json(with(members), &limits).unwrap_err();
    assert!(Event::from_json(with(r#""data":[1]"#), &limits).is_ok());
    assert_eq!(
        refusal(r#""data":[12]"#),
        EventError::DataTooLarge { bytes: 4, limit: 3 }
    );
    assert_eq!(refusal(r#""data":[[]]"#), EventError::TooDeep { limit: 1 });
    assert_eq!(
        refusal(r#""x":1"#),
        EventError::TooManyMetadata { entries: 1, limit: 0 }
    );
    let unlimited = EventLimits {
        json_depth: usize::MAX,
        ..EventLimits::default()
    };
    assert!(Event::from_json(with(&format!("\"data\":{}", nested(1000))), &unlimited).is_ok());
}

/// H21
#[test]
fn an_event_of_a_hundred_thousand_members_is_refused_soon() {
    let members: String = (0..100_000).map(|n| format!("\"x{n}\":null,")).collect();
    let duplicate = refusal(with(&format!("{members}\"x0\":null")));
    assert_eq!(duplicate, EventError::Duplicate { name: "x0".into() });
    assert!(Event::from_json(with(members.trim_end_matches(',')), &EventLimits::default()).is_ok());
}

/// B7
#[test]
fn the_size_counts_all_that_is_held() {
    let size = |members: &str| read(with(members)).size_bytes();
    let base = size(r#""data":1"#);
    assert_eq!(size(&format!("\"data\":{}", "1".repeat(1001))), base + 1000);
    assert_eq!(size(r#""data":1,"subject":"12345678""#), base + 8);
    assert_eq!(size(r#""data":1,"time":"2015-12-10T06:55:46Z""#), base + 20);
    assert!(size(r#""data":1,"x":"12345678""#) >= base + 9);
    let (plain, escaped) = (
        r#""datacontenttype":"a/b","data":"xx""#,
        r#""datacontenttype":"a/b","data":"x\n""#,
    );
    assert_eq!(size(escaped), size(plain) + r#""x\n""#.len());
}
