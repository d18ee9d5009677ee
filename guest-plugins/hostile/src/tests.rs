//! Only the sins that don't need a runtime to end them: those that ask, and say what they were told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashSet;

use palisade_sdk::serde_json::Value;
use palisade_sdk::testing::{Grants, Harness, TestEvent};

use super::*;

fn started() -> Harness<Hostile> {
    Harness::start_with(json!({}), Grants::publish(["hostile.>"])).unwrap()
}

/// Commits a sin and returns its one report.
fn report(hostile: &mut Harness<Hostile>, event: TestEvent) -> Value {
    hostile.deliver(event).unwrap();
    let published = hostile.take_published();
    let reports: Vec<_> = published
        .iter()
        .filter(|event| event.event_type() == "hostile.report")
        .collect();
    assert_eq!(reports.len(), 1);
    reports[0].read_json().unwrap()
}

#[test]
fn sins_have_names_of_their_own() {
    let names: HashSet<_> = SINS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), SINS.len());
    let failure = started().deliver(TestEvent::new("hostile.virtue")).unwrap_err();
    assert_eq!(failure, Failure::reject("there is no sin named `virtue`"));
}

#[test]
fn what_comes_back_does_nothing() {
    let mut hostile = started();
    for name in ["hostile.report", "hostile.drop", "hostile.ok"] {
        hostile.deliver(TestEvent::new(name)).unwrap();
    }
    assert!(hostile.published().is_empty());
    assert_eq!(report(&mut hostile, TestEvent::new("hostile.count"))["count"], 4);
}

#[test]
fn forgeries_and_reserved_types_are_told_one_by_one() {
    let told = report(&mut started(), TestEvent::new("hostile.forge"));
    assert!(
        told["answers"]
            .as_object()
            .unwrap()
            .values()
            .all(|answer| answer["error"].is_string()),
        "{told}"
    );
    assert!(
        told["answers"]["hopcount"]["error"]
            .as_str()
            .unwrap()
            .contains("hopcount")
    );
    let told = report(&mut started(), TestEvent::new("hostile.reserved"));
    assert!(
        told["answers"]
            .as_object()
            .unwrap()
            .values()
            .all(|answer| answer["error"].is_string()),
        "{told}"
    );
}

#[test]
fn publish_publishes_what_the_data_says() {
    let mut hostile = started();
    let order = json!({ "type": "hostile.x", "data": { "a": 1 }, "metadata": { "tenant": "t" } });
    hostile.deliver(TestEvent::new("hostile.publish").json(&order)).unwrap();
    let published = hostile.take_published();
    assert_eq!(
        (published[0].event_type(), published[0].data()),
        ("hostile.x", br#"{"a":1}"#.as_slice())
    );
    assert_eq!(published[0].all_metadata(), [("tenant".to_owned(), "t".to_owned())]);

    let refused = json!({ "type": "hostile.x", "raw": "{", "content-type": "application/json" });
    let told = report(&mut hostile, TestEvent::new("hostile.publish").json(refused));
    assert!(told["error"].as_str().unwrap().contains("is not JSON"), "{told}");

    let failing = json!({ "type": "hostile.x", "then-fail": true });
    hostile
        .deliver(TestEvent::new("hostile.publish").json(failing))
        .unwrap_err();
    assert!(hostile.published().is_empty());
}

#[test]
fn a_flood_fills_the_outbox_and_logs_the_rest() {
    let mut hostile = started();
    hostile.deliver(TestEvent::new("hostile.flood").json(100)).unwrap();
    assert_eq!(hostile.published().len(), 64);
    assert_eq!(
        hostile.log()[0].message,
        "flood: 64 taken, then: publish: over the limit of 64 for one call"
    );
}

#[test]
fn subscriptions_come_and_go() {
    let mut hostile = started();
    let event = |name: &str| TestEvent::new(name).json("other.*");
    assert_eq!(
        report(&mut hostile, event("hostile.subscribe")),
        json!({ "sin": "subscribe", "ok": null })
    );
    assert_eq!(report(&mut hostile, TestEvent::new("other.thing"))["sin"], "other");
    assert!(report(&mut hostile, event("hostile.subscribe"))["error"].is_string());
    report(&mut hostile, event("hostile.unsubscribe"));
    assert!(!hostile.wants("other.thing"));
}

#[test]
fn failures_are_of_the_kind_asked_for() {
    let mut hostile = started();
    let mut fail = |event| hostile.deliver(event).unwrap_err();
    let after = Duration::from_millis(250);
    assert_eq!(
        fail(TestEvent::new("hostile.fail-retry")),
        Failure::retry("hostile wants another try")
    );
    assert_eq!(
        fail(TestEvent::new("hostile.fail-retry").json(250)),
        Failure::retry_after("hostile wants another try", after)
    );
    assert_eq!(
        fail(TestEvent::new("hostile.fail-reject")),
        Failure::reject("hostile rejects this")
    );
    assert_eq!(
        fail(TestEvent::new("hostile.flaky").json(3).attempt(2)),
        Failure::retry("hostile fails at attempt 2")
    );
    assert_eq!(
        fail(TestEvent::new("hostile.big-answer").json(1)).to_string().len(),
        1024 * 1024
    );
    assert_eq!(
        report(&mut hostile, TestEvent::new("hostile.flaky").json(3).attempt(3))["attempt"],
        3
    );
}

#[test]
fn context_tells_all_there_is() {
    let event = TestEvent::new("hostile.context")
        .id("i")
        .source("/s")
        .bytes("text/plain", "abc")
        .metadata("tenant", "t");
    let told = report(&mut started(), event.attempt(2).replayed());
    assert_eq!(told["content-type"], "text/plain");
    assert_eq!(told["metadata"], json!({ "tenant": "t" }));
    assert_eq!(
        (&told["metadata-agrees"], &told["absent"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        (&told["attempt"], &told["replayed"], &told["bytes"]),
        (&json!(2), &json!(true), &json!(3))
    );
    assert_eq!(told["time"], "2001-09-09T01:46:40Z");
}

#[test]
fn its_life_is_as_the_config_says() {
    let start = |config| Harness::<Hostile>::start(config);
    assert_eq!(
        start(json!({ "in-start": "error" })).err().unwrap(),
        "hostile refuses to start"
    );
    assert!(
        start(json!({ "in-sart": "error" }))
            .err()
            .unwrap()
            .contains("`in-sart`")
    );
    assert_eq!(start(json!({ "in-start": "publish" })).unwrap().published().len(), 1);
    assert!(start(json!({ "in-start": "subscribe" })).unwrap().wants("other.thing"));
    assert_eq!(
        start(json!({ "in-start": "subscribe-and-fail" })).err().unwrap(),
        "hostile subscribes and refuses to start"
    );
    assert_eq!(start(json!({ "in-stop": "publish" })).unwrap().stop().len(), 1);
    assert_eq!(
        start(json!({ "in-health": "error" })).unwrap().health().unwrap_err(),
        "hostile is not well"
    );
    assert!(start(json!({})).unwrap().health().is_ok());
}

/// L4
#[test]
fn an_unknown_life_is_not_quoted() {
    let error = Harness::<Hostile>::start(json!({ "in-start": "hunter2" }))
        .err()
        .unwrap();
    assert!(
        error.starts_with("config key `in-start`: unknown variant, expected one of `nothing`, "),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}
