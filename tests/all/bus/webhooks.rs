//! E2: real events pass the bus unchanged.

use palisade::{Event, EventLimits};
use palisade_tests::{Seen, runtime, runtime_with, spec};
use serde_json::Value;

const WEBHOOKS: &str = include_str!("../../data/github-webhooks.ndjson");

/// Where a larger set of the same kind is, for a run by hand.
const MORE: &str = "PALISADE_TEST_EVENTS";

fn lines() -> Vec<String> {
    let text = std::env::var_os(MORE).map(|path| std::fs::read_to_string(path).expect("it can be read"));
    text.as_deref()
        .unwrap_or(WEBHOOKS)
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

fn read(line: &str) -> Event {
    Event::from_json(line, &EventLimits::default()).expect("an event")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// E2: webhooks of GitHub go in and come out JSON-equal, in order, each on one line, its data verbatim.
#[tokio::test]
async fn e2_webhooks_arrive_unchanged() {
    let runtime = runtime();
    let seen = Seen::subscribe(&runtime, ">", "everything");
    let lines = lines();
    for line in &lines {
        let receipt = runtime.publish_async(read(line)).await.expect("published");
        assert_eq!((receipt.matched, receipt.enqueued), (1, 1));
    }
    runtime.quiet().await;
    let came = seen.all();
    assert_eq!(came.len(), lines.len());
    for (line, event) in lines.iter().zip(&came) {
        let written = event.to_json();
        assert_eq!(json(&written), json(line), "{}", event.id());
        assert!(!written.contains('\n'));
        let data = std::str::from_utf8(event.data()).expect("text");
        assert!(line.contains(data), "the data are the bytes that came in");
    }
}

/// E2: a guest takes them too, each of them.
#[tokio::test]
async fn e2_webhooks_reach_a_guest() {
    let runtime = runtime_with([spec("probe")]).await;
    for line in &lines() {
        let report = runtime.publish(read(line)).await.expect("published");
        assert!(report.all_ok(), "{report:?}");
    }
}

/// E2: members that no attribute is made of pass as well: extensions of each kind, a time with its digits and offset, data
/// that say they are something else, and numbers that no f64 holds.
#[tokio::test]
async fn e2_unusual_members_arrive_unchanged() {
    let lines = [
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","time":"2024-01-01T01:02:03.123450+05:30","flag":true,"n":-7}"#,
        r#"{"specversion":"1.0","id":"2","source":"s","type":"Odd..Type","data":{"n":123456789012345678901234567890.50,"a":1,"a":2}}"#,
        r#"{"specversion":"1.0","id":"3","source":"s","type":"t","datacontenttype":"image/png","data_base64":"AAEC/w=="}"#,
        r#"{"specversion":"1.0","id":"4","source":"s","type":"t","subject":"x","dataschema":"urn:x","hopcount":3,"data":null}"#,
    ];
    let runtime = runtime_with([spec("probe")]).await;
    let seen = Seen::subscribe(&runtime, ">", "everything");
    for line in lines {
        assert!(runtime.publish(read(line)).await.expect("published").all_ok());
    }
    for (line, event) in lines.iter().zip(seen.all()) {
        assert_eq!(json(&event.to_json()), json(line));
    }
    assert_eq!(
        seen.all()[1].data(),
        br#"{"n":123456789012345678901234567890.50,"a":1,"a":2}"#
    );
}
