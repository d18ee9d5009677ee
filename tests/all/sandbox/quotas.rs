//! How much a guest may publish and subscribe, and the operator's ceilings over all limits.

use std::time::Duration;

use palisade::{Class, Limits, Runtime};
use palisade_tests::{Seen, hostile, limits, publishes};
use serde_json::{Value, json};

use super::beside::{Beside, Lines};

/// S1, B11, H22: a call may publish as many events as the limit says; all come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_publish_events_obeyed() {
    let beside = Beside::new(hostile()).await;
    let drops = Seen::subscribe(&beside.runtime, "hostile.drop", "drops");
    beside.obeys("hostile.flood", json!(64)).await;
    beside.runtime.quiet().await;
    assert_eq!(drops.len(), 64);
}

/// S1, B11, H22: beyond it the guest is told, and lives; what was taken comes, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h22_publish_events_violated() {
    let lines = Lines::default();
    let spec = hostile().limits(limits(|limits| limits.publish_events = 10));
    let beside = Beside::with(Runtime::builder().log_sink(lines.clone()), spec).await;
    let drops = Seen::subscribe(&beside.runtime, "hostile.drop", "drops");
    beside.obeys("hostile.flood", Value::Null).await;
    beside.runtime.quiet().await;
    assert_eq!(drops.len(), 10);
    let told = lines.take();
    let told = &told.last().expect("the guest says what it was told").message;
    assert_eq!(
        told,
        "flood: 10 taken, then: publish: over the limit of 10 for one call"
    );
    beside.obeys("hostile.flood", json!(10)).await;
    beside.runtime.quiet().await;
    assert_eq!(drops.len(), 20, "the quota is that of a call");
}

/// S1, B11, H22: a call may publish as many bytes as the limit says, and is told beyond.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h22_publish_bytes_obeyed_and_violated() {
    let spec = hostile().limits(limits(|limits| limits.publish_bytes = 1024));
    let beside = Beside::new(spec).await;
    let report = beside.report("hostile.big-publish", json!(0)).await;
    assert!(report["ok"].is_string(), "{report}");
    let report = beside.report("hostile.big-publish", json!(1)).await;
    assert_eq!(report["error"], "publish: over the limit of 1024 for one call");
}

/// S1, H22: so are very many pieces of metadata: an event has 64 of them at most, whatever the quota.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h22_very_many_pieces_of_metadata_are_refused() {
    let beside = Beside::new(hostile()).await;
    let report = beside.report("hostile.big-list", json!(1000)).await;
    assert!(report["error"].is_string(), "{report}");
}

/// S1, H26: a plugin may subscribe as often as the limit says, its described patterns included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_subscriptions_obeyed() {
    let grants = publishes("hostile.>").subscribe(["hostile.>".parse().unwrap()]);
    let beside = Beside::new(hostile().grants(grants)).await;
    let report = beside.report("hostile.flood-subscribe", json!(255)).await;
    assert_eq!((&report["made"], &report["error"]), (&json!(255), &Value::Null));
}

/// S1, H26: beyond it the guest is told, and lives. An event that matches many of its patterns comes once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h26_subscriptions_violated() {
    let grants = publishes("hostile.>").subscribe(["hostile.>".parse().unwrap()]);
    let spec = hostile()
        .grants(grants)
        .limits(limits(|limits| limits.subscriptions = 20));
    let beside = Beside::new(spec).await;
    let report = beside.report("hostile.flood-subscribe", json!(2000)).await;
    assert_eq!(report["made"], 19);
    assert_eq!(
        report["error"],
        "subscribe: the plugin has its 20 subscriptions already"
    );
    let report = beside
        .runtime
        .publish(super::beside::sin_event("hostile.extra.1", Value::Null))
        .await
        .unwrap();
    assert_eq!(report.outcomes.len(), 2, "hostile once, the neighbour once");
}

/// S1: no plugin exceeds the operator's ceiling, whatever its spec says; one that asks for less keeps that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_ceilings_cut_what_a_plugin_may_use() {
    const MIB: usize = 1024 * 1024;
    let mut ceiling = Limits::default();
    ceiling.memory = 16 * MIB;
    ceiling.fuel = Some(5_000_000);
    ceiling.publish_events = 3;
    ceiling.handles = 512;
    let spec = hostile().limits(limits(|limits| {
        limits.memory = 1024 * MIB;
        limits.timeout = Duration::from_secs(7);
        limits.handles = 100;
    }));
    let beside = Beside::with(Runtime::builder().ceiling(ceiling), spec).await;
    let status = beside.runtime.plugin("hostile").unwrap().limits;
    assert_eq!(
        (status.memory, status.fuel, status.publish_events),
        (16 * MIB, Some(5_000_000), 3)
    );
    assert_eq!((status.timeout, status.handles), (Duration::from_secs(7), 100));
    let words = beside.killed("hostile.alloc", Value::Null, Class::OutOfMemory).await;
    assert!(words.contains("its limit is 16 MiB"), "{words}");
    beside.killed("hostile.spin", Value::Null, Class::OutOfFuel).await;
    let drops = Seen::subscribe(&beside.runtime, "hostile.drop", "drops");
    beside.obeys("hostile.flood", json!(10)).await;
    beside.runtime.quiet().await;
    assert_eq!(drops.len(), 3);
}

/// S1, S2: a ceiling on time stops a plugin whose spec allows itself for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_a_ceiling_on_time_stops_a_plugin_that_allows_itself_more() {
    let mut ceiling = Limits::default();
    ceiling.timeout = super::beside::SHORT;
    let spec = hostile().limits(limits(|limits| limits.timeout = Duration::MAX));
    let beside = Beside::with(Runtime::builder().ceiling(ceiling), spec).await;
    beside.killed("hostile.spin", Value::Null, Class::Timeout).await;
}
