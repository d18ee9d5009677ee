#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use palisade_sdk::testing::{Harness, TestEvent};

use super::*;

fn told(ops: serde_json::Value) -> TestEvent {
    TestEvent::new("ledger.do").json(ops)
}

#[test]
fn it_counts_once_whatever_the_attempts() {
    let mut ledger = Harness::<Ledger>::start(json!({})).unwrap();
    let ops = json!([{ "count": "a" }, { "end-before": [2, "retry"] }]);
    assert!(ledger.deliver(told(ops.clone())).is_err());
    assert_eq!(ledger.stored("a"), None);
    ledger.deliver(told(ops).attempt(2)).unwrap();
    assert_eq!(ledger.stored("a"), Some(&b"1"[..]));
}

#[test]
fn it_tells_what_it_was_answered() {
    let mut ledger = Harness::<Ledger>::start(json!({ "in-start": [{ "set": ["kept", "x"] }] })).unwrap();
    ledger.take_published();
    let long = "k".repeat(257);
    let ops =
        json!([{ "get": "kept" }, { "fill": ["f", 0, 3, 1] }, "list-all", { "delete": "kept" }, { "set": [long, ""] }]);
    ledger.deliver(told(ops)).unwrap();
    let report: serde_json::Value = ledger.published()[0].read_json().unwrap();
    assert_eq!(
        report["answers"],
        json!([
            { "ok": "x" },
            { "ok": { "done": 3, "error": null } },
            { "ok": { "pages": [4], "largest": 22, "ordered": true } },
            { "ok": null },
            { "error": "key-value store: the key has 257 bytes; 256 are the most" },
        ])
    );
    assert_eq!(ledger.stored_keys(), ["f00000", "f00001", "f00002"]);
}

#[test]
fn health_may_read_and_not_write() {
    let config = json!({ "in-start": [{ "set": ["a", "1"] }], "in-health": [{ "get": "a" }, { "set": ["a", "2"] }] });
    let mut ledger = Harness::<Ledger>::start(config).unwrap();
    let told = ledger.health().unwrap_err();
    assert!(
        told.contains(r#"{"ok":"1"}"#) && told.contains("may not write"),
        "{told}"
    );
    assert_eq!(ledger.stored("a"), Some(&b"1"[..]));
}
