use super::{read, refusal, value, with};
use crate::event::{Event, EventError, EventLimits};

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
