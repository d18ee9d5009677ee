//! E1, E2, H21: any JSON text is refused by a typed error or comes back JSON-equal, on one line, within the limits.

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use palisade::{Event, EventError, EventLimits};
use serde_json::Value;
use serde_json::value::RawValue;

use super::assert_presentable;
use super::mutation::mutated;

/// What an event may look like, for changes to begin with.
const SAMPLES: [&str; 4] = [
    r#"{"specversion":"1.0","id":"1","source":"/s","type":"user.login","time":"2026-01-31T23:59:59.123456789+01:00",
        "subject":"a\u00e9","dataschema":"urn:x","datacontenttype":"application/json","hopcount":3,"flag":true,"n":-7,
        "data":{"a":[1.0,1e400,-0,18446744073709551616,"\ud83d\ude00\\\""],"a":null,"":{}}}"#,
    r#"{"type":"t","id":"i","source":"s","specversion":"1.0","data_base64":"AP8=","datacontenttype":"image/png"}"#,
    r#"{"type":"t","id":"i","source":"s","specversion":"1.0","data":"line\nline","datacontenttype":"text/plain"}"#,
    r#"{"type":"t","id":"i","source":"s","specversion":"1.0","data":[[[[[[[[{"x":[]}]]]]]]]],"x":null}"#,
];

/// Reads the input as an event, or a sample with changes: the first byte says which.
pub fn check(input: &[u8]) {
    let (way, rest) = input.split_first().unwrap_or((&0, &[]));
    match SAMPLES.get(usize::from(way % 8)) {
        Some(sample) => check_text(&mutated(sample.as_bytes(), &mut Unstructured::new(rest))),
        None => check_text(rest),
    }
}

fn check_text(json: &[u8]) {
    for limits in [EventLimits::default(), tight()] {
        match Event::from_json(json, &limits) {
            Ok(event) => check_accepted(&event, json, &limits),
            Err(error) => check_refused(&error, json, &limits),
        }
    }
}

/// Limits that a text of a few hundred bytes can break.
fn tight() -> EventLimits {
    let mut limits = EventLimits::default();
    (limits.id_bytes, limits.type_bytes, limits.source_bytes) = (8, 10, 8);
    (limits.data_bytes, limits.json_depth) = (48, 4);
    (limits.metadata_entries, limits.metadata_bytes) = (4, 32);
    limits
}

fn check_accepted(event: &Event, json: &[u8], limits: &EventLimits) {
    let line = event.to_json();
    assert!(!line.contains(['\n', '\r']), "NDJSON is one line: {line:?}");
    let text = std::str::from_utf8(json).expect("an event is UTF-8");
    let came = members(text.strip_prefix('\u{feff}').unwrap_or(text)).expect("an event is an object");
    assert_eq!(
        members(&line).expect("an event goes out"),
        came,
        "E2: it comes out as it went in"
    );
    let again = Event::from_json(&line, limits).expect("what goes out is an event");
    assert_eq!(again.to_json(), line, "and stays as it is");
    // What has line ends between its tokens lost them, to be on one line.
    let shown = |event: &Event| squeezed(&String::from_utf8_lossy(event.data()));
    assert!(again.data() == event.data() || shown(&again) == shown(event), "{line}");
    assert_within(event, limits);
}

/// The members of an object: the data as they are written but for the white space between tokens, the others as values.
/// One that is `null` counts as unset; data that are `null` are data.
fn members(json: &str) -> serde_json::Result<BTreeMap<String, String>> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
    let shown = members.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "data" => squeezed(value.get()),
            // A whole number is the same with a sign before its zero.
            _ => value.get().parse::<i64>().map_or_else(
                |_| serde_json::from_str::<Value>(value.get()).map(|value| value.to_string()),
                |number| Ok(number.to_string()),
            )?,
        };
        Ok((name, value))
    });
    let mut members: BTreeMap<String, String> = shown.collect::<serde_json::Result<_>>()?;
    members.retain(|name, value| name == "data" || value != "null");
    Ok(members)
}

/// JSON text without the white space between its tokens. To parse it and write it again would lose digits.
fn squeezed(json: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::new(), false, false);
    for c in json.chars() {
        if in_string || !c.is_ascii_whitespace() {
            out.push(c);
        }
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    out
}

fn assert_within(event: &Event, limits: &EventLimits) {
    for (text, limit) in [
        (event.id(), limits.id_bytes),
        (event.event_type(), limits.type_bytes),
        (event.source(), limits.source_bytes),
    ] {
        assert!((1..=limit).contains(&text.len()), "{text:?}");
    }
    assert!(event.data().len() <= limits.data_bytes);
    let metadata = event.all_metadata();
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(
        metadata.len() <= limits.metadata_entries && bytes <= limits.metadata_bytes,
        "{metadata:?}"
    );
    if let Ok(data) = serde_json::from_slice::<Value>(event.data()) {
        let is_json = event.datacontenttype() == Some("application/json");
        assert!(!is_json || depth_of(&data) <= limits.json_depth, "{data}");
    }
}

fn check_refused(error: &EventError, json: &[u8], limits: &EventLimits) {
    assert_presentable(&error.to_string());
    match error {
        EventError::NotUtf8 { offset } => {
            let valid = std::str::from_utf8(json).expect_err("it is not").valid_up_to();
            assert_eq!(*offset, valid);
        }
        EventError::NotJson { .. } => {
            let text = std::str::from_utf8(json).expect("that is asked first");
            let object = serde_json::from_str::<BTreeMap<String, &RawValue>>(text.trim_start_matches('\u{feff}'));
            assert!(object.is_err(), "it is JSON: {error}");
        }
        EventError::TooDeep { limit } => assert_eq!(*limit, limits.json_depth),
        EventError::DataTooLarge { bytes, limit } => assert!(bytes > limit && *limit == limits.data_bytes),
        EventError::TooLong { bytes, limit, .. } => assert!(bytes > limit),
        EventError::TooManyMetadata { entries, limit } => assert!(entries > limit),
        EventError::MetadataTooLarge { bytes, limit } => assert!(bytes > limit),
        _ => {}
    }
}

fn depth_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}
