#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use palisade_sdk::serde_json::Value;
use palisade_sdk::testing::{Harness, TestEvent};

use super::*;

type Logger = Harness<AuditLogger>;

/// The lines of a run with a file, each read as JSON.
fn audited(events: impl IntoIterator<Item = TestEvent>) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.ndjson");
    let mut logger = Logger::start(json!({ "file": file })).unwrap();
    for event in events {
        logger.deliver(event).unwrap();
    }
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// B2
#[test]
fn all_seven_types_are_audited_and_no_other() {
    let lines = audited(TYPES.map(TestEvent::new));
    assert_eq!(
        lines
            .iter()
            .map(|line| line["type"].as_str().unwrap())
            .collect::<Vec<_>>(),
        TYPES
    );
    let logger = Logger::start(json!({})).unwrap();
    assert!(!logger.wants("user.login.failed") && !logger.wants("plugin.stopped"));
}

#[test]
fn a_line_tells_all_of_an_event() {
    let event = TestEvent::new("data.updated")
        .id("e-1")
        .source("/shop")
        .nanos(1_449_738_694_000_000_000)
        .metadata("subject", "order 7")
        .json(json!({ "price": 1.50 }));
    assert_eq!(
        audited([event]),
        [json!({
            "time": "2015-12-10T09:11:34Z",
            "id": "e-1",
            "type": "data.updated",
            "source": "/shop",
            "metadata": { "subject": "order 7" },
            "datacontenttype": "application/json",
            "data": { "price": 1.5 },
        })]
    );
}

#[test]
fn data_of_any_kind_fits_on_one_line() {
    let of = |content_type: &str, data: &[u8]| TestEvent::new("data.created").bytes(content_type, data);
    let lines = audited([
        of("application/json", b"{\n  \"a\":\r\n 12345678901234567890.10 }"),
        of("application/vnd.shop+json; charset=utf-8", b"[1]"),
        of("text/plain", b"two\nlines"),
        of("application/json", b"{ broken"),
        of("image/png", b"\x89PNG\xff"),
    ]);
    assert_eq!(lines.len(), 5);
    assert!(lines[0]["data"].is_object());
    assert_eq!(lines[1]["data"], json!([1]));
    assert_eq!(lines[2]["data"], "two\nlines");
    assert_eq!(lines[3]["data"], "{ broken");
    assert_eq!(lines[4]["data_base64"], "iVBOR/8=");
    assert_eq!(lines[4]["data"], Value::Null);
}

#[test]
fn numbers_keep_their_digits() {
    let mut logger = Logger::start(json!({})).unwrap();
    let data = "{\"big\":12345678901234567890123,\"exact\":1.10}";
    logger
        .deliver(TestEvent::new("data.created").bytes("application/json", data))
        .unwrap();
    assert!(
        logger.log()[0].message.ends_with(&format!("\"data\":{data}}}")),
        "{}",
        logger.log()[0].message
    );
}

#[test]
fn without_a_file_the_line_goes_to_the_log() {
    let mut logger = Logger::start(json!({})).unwrap();
    logger
        .deliver(TestEvent::new("user.logout").json(json!({ "user": "ada" })))
        .unwrap();
    let line = &logger.log()[0];
    assert_eq!(line.level, log::Level::Info);
    assert!(line.message.starts_with("{\"time\":") && line.message.ends_with("\"data\":{\"user\":\"ada\"}}"));
}

/// S8
#[test]
fn a_missing_grant_shows_at_the_start_with_its_remedy() {
    let error = Logger::start(json!({ "file": "/no-such-directory/audit.ndjson" }))
        .err()
        .unwrap();
    assert!(
        error.starts_with("can't append to `/no-such-directory/audit.ndjson`: "),
        "{error}"
    );
    assert!(
        error.ends_with("guest = \"/no-such-directory\" and mode = \"write\""),
        "{error}"
    );
}

#[test]
fn what_cannot_be_written_is_tried_again_and_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let granted = directory.path().join("audit");
    std::fs::create_dir(&granted).unwrap();
    let file = granted.join("audit.ndjson");
    let mut logger = Logger::start(json!({ "file": file })).unwrap();
    std::fs::remove_dir_all(&granted).unwrap();
    let failure = logger.deliver(TestEvent::new("user.login")).unwrap_err();
    assert!(
        matches!(&failure, Failure::Retry { message, .. } if message.contains("audit.ndjson")),
        "{failure}"
    );

    std::fs::create_dir(&granted).unwrap();
    logger
        .deliver(TestEvent::new("user.login").id("again").attempt(2))
        .unwrap();
    assert!(std::fs::read_to_string(file).unwrap().contains("\"id\":\"again\""));
}

#[test]
fn a_line_torn_by_a_crash_does_not_spoil_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.ndjson");
    std::fs::write(&file, "{\"whole\":1}\n{\"tor").unwrap();
    let mut logger = Logger::start(json!({ "file": file })).unwrap();
    for id in ["a", "b"] {
        logger.deliver(TestEvent::new("user.login").id(id)).unwrap();
    }
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(&lines[..2], ["{\"whole\":1}", "{\"tor"]);
    assert!(lines[2].contains("\"id\":\"a\"") && lines[3].contains("\"id\":\"b\"") && lines.len() == 4);
}

#[test]
fn a_key_unknown_to_it_stops_the_start() {
    let error = Logger::start(json!({ "flie": "/audit/x" })).err().unwrap();
    assert!(error.contains("`flie`"), "{error}");
}
