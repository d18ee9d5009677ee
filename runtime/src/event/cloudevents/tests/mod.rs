//! What is read, and how it is written again; `refused` has what is not read, `limits` where the sizes end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod limits;
mod refused;

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
