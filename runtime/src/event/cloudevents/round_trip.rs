#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::event::{Event, EventLimits};

/// JSON text as producers write it: any spacing, numbers of any size, duplicate keys, escapes.
fn any_json() -> impl Strategy<Value = String> {
    let number = r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?";
    let leaf = prop_oneof![
        select(vec!["null", "true", "false", "{}", "[ ]", r#""""#]).prop_map(str::to_owned),
        number.prop_map(Into::into),
        any_string(),
    ];
    leaf.prop_recursive(6, 48, 4, |inner| {
        let member = (any_string(), any_space(), inner.clone()).prop_map(|(k, s, v)| format!("{k}{s}:{v}"));
        prop_oneof![
            (prop::collection::vec(inner, 0..4), any_space()).prop_map(|(all, s)| format!("[{s}{}]", all.join(","))),
            (prop::collection::vec(member, 0..4), any_space())
                .prop_map(|(all, s)| format!("{{{}{s}}}", all.join(&format!(",{s}")))),
        ]
    })
}

/// A JSON string, with escapes in every form.
fn any_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        r#"[^"\\\x00-\x1f]{1,8}"#.prop_map(Into::into),
        select(vec![
            r"\n",
            r"\/",
            r#"\""#,
            r"\\",
            r"\u0000",
            r"\u00e9",
            r"\ud83d\ude00",
            r"\b",
            "[{",
            "}"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces: Vec<String>| format!("\"{}\"", pieces.concat()))
}

fn any_space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", " ", "\t", "\n", "\r\n  "])
}

fn any_time() -> impl Strategy<Value = String> {
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])[Tt]([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,12})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
        .prop_map(|time: String| format!("\"{time}\""))
}

fn non_empty_string() -> impl Strategy<Value = String> {
    any_string().prop_filter("empty", |text| text.len() > 2)
}

/// Members besides the four that every event has, each with its value as JSON text; then the data member, if any.
fn any_members() -> impl Strategy<Value = Vec<(String, String)>> {
    let extension = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<bool>().prop_map(|b| b.to_string()),
        any_string()
    ];
    let optional = (
        prop::option::of(any_time()),
        prop::option::of(any_string()),
        prop::option::of(any_string()),
        prop::option::of(select(vec![
            r#""application/json""#,
            r#""text/plain""#,
            r#""a/b+json; c=d""#,
            r#""image/png""#,
        ])),
    );
    let data = prop_oneof![
        Just(None),
        any_json().prop_map(|json| Some(("data".to_owned(), json))),
        Just(Some(("data".to_owned(), "null".to_owned()))),
    ];
    // A letter no attribute begins with, so that none is hit.
    let extensions = prop::collection::btree_map("x[a-zA-Z0-9._-]{0,8}", extension, 0..6);
    (optional, extensions, data).prop_map(|((time, subject, schema, content_type), extensions, data)| {
        let attributes = [
            ("time", time),
            ("subject", subject),
            ("dataschema", schema),
            ("datacontenttype", content_type.map(str::to_owned)),
        ];
        let attributes = attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        attributes.chain(extensions).chain(data).collect()
    })
}

prop_compose! {
    fn any_envelope()(
        id in non_empty_string(),
        source in non_empty_string(),
        event_type in non_empty_string(),
        members in any_members().prop_shuffle(),
        space in any_space(),
    ) -> (String, Vec<(String, String)>) {
        let mut all = vec![("specversion".to_owned(), "\"1.0\"".to_owned())];
        all.extend([("id".to_owned(), id), ("source".to_owned(), source), ("type".to_owned(), event_type)]);
        all.extend(members);
        let text: Vec<String> = all.iter().map(|(name, value)| format!("\"{name}\"{space}:{space}{value}{space}")).collect();
        (format!("{{{}}}", text.join(",")), all)
    }
}

/// JSON text without the white space between its tokens. Parsing and writing it again would lose digits.
fn squeezed(json: &str) -> String {
    let (mut out, mut in_string, mut chars) = (String::new(), false, json.chars());
    while let Some(c) = chars.next() {
        if in_string && c == '\\' {
            out.extend([c, chars.next().unwrap()]);
            continue;
        }
        in_string ^= c == '"';
        if in_string || !c.is_ascii_whitespace() {
            out.push(c);
        }
    }
    out
}

proptest! {
    /// E2
    #[test]
    fn an_event_goes_out_as_it_came_in((json, members) in any_envelope()) {
        let event = Event::from_json(&json, &EventLimits::default()).unwrap();
        let line = event.to_json();
        prop_assert!(!line.contains(['\n', '\r']));
        prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), serde_json::from_str::<Value>(&json).unwrap());

        let data = members.iter().find(|(name, _)| name == "data").map(|(_, data)| data.as_str());
        prop_assert_eq!(event.has_data(), data.is_some());
        if let Some(data) = data {
            let json_type = event.datacontenttype().is_none_or(|content_type| content_type.contains("json"));
            let written = line.rsplit_once(&format!("\"data\":{}", if data.contains('\n') { squeezed(data) } else { data.to_owned() }));
            prop_assert_eq!(written.map(|(_, after)| after), Some("}"), "{} in {}", data, line);
            if json_type || !data.starts_with('"') {
                prop_assert_eq!(event.data(), data.as_bytes());
            } else {
                let characters = serde_json::from_str::<String>(data).unwrap();
                prop_assert_eq!(event.data(), characters.as_bytes());
            }
        }
        for (name, value) in members.iter().filter(|(name, _)| name.starts_with('x')) {
            let canonical = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.clone());
            let seen = event.metadata(name).map(String::from);
            prop_assert_eq!(seen, Some(canonical));
        }

        let again = Event::from_json(&line, &EventLimits::default()).unwrap();
        prop_assert_eq!(again.to_json(), line);
    }

    /// E2
    #[test]
    fn bytes_of_any_content_type_come_back(
        data in prop_oneof![prop::collection::vec(any::<u8>(), 0..64), any::<String>().prop_map(String::into_bytes)],
        content_type in select(vec!["text/plain", "application/octet-stream", "x"]),
    ) {
        let event = Event::builder("t", "s").data(content_type, data.clone()).build().unwrap();
        let again = Event::from_json(event.to_json(), &EventLimits::default()).unwrap();
        prop_assert_eq!((again.data(), again.content_type()), (&data[..], content_type));
        prop_assert_eq!(again.to_json(), event.to_json());
    }

    /// H21
    #[test]
    fn no_document_makes_it_panic(json in prop_oneof![prop::collection::vec(any::<u8>(), 0..64), any_cut_envelope()]) {
        if let Ok(event) = Event::from_json(&json, &EventLimits::default()) {
            prop_assert!(Event::from_json(event.to_json(), &EventLimits::default()).is_ok());
        }
    }
}

/// An envelope with one byte changed, or cut off.
fn any_cut_envelope() -> impl Strategy<Value = Vec<u8>> {
    (
        any_envelope(),
        any::<prop::sample::Index>(),
        prop::option::of(any::<u8>()),
    )
        .prop_map(|((json, _), at, byte)| {
            let mut json = json.into_bytes();
            let at = at.index(json.len());
            match byte {
                Some(byte) => json[at] = byte,
                None => json.truncate(at),
            }
            json
        })
}
