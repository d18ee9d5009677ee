//! Words that several of these tests need.

use std::future::Future;
use std::time::Duration;

use palisade::{Class, Event, Limits, Outcome, PluginSpec, PluginState, QuarantinePolicy, Report, Runtime};
use palisade_tests::{Seen, event, limits, runtime_with, spec};
use serde_json::Value;

/// So many faults are borne, however long they take.
pub(crate) fn bears(faults: u32) -> QuarantinePolicy {
    let window = Duration::from_secs(24 * 3600);
    QuarantinePolicy { faults, window }
}

/// The guest that sins and its neighbour, and what is told of faults.
pub(super) async fn beside(hostile: PluginSpec) -> (Runtime, Seen) {
    let runtime = runtime_with([hostile, spec("probe")]).await;
    let errors = Seen::subscribe(&runtime, "plugin.error", "errors");
    (runtime, errors)
}

/// How an event ended for the sinner; the neighbour must have been served.
pub(super) fn of_sinner(report: &Report) -> Outcome {
    assert_eq!(report.of("probe/all").expect("the neighbour").class, Class::Ok);
    report.of("hostile/sin").expect("it got it").clone()
}

/// The sinner takes events still, and nothing was told of it.
pub(super) async fn goes_on(runtime: &Runtime, errors: &Seen) {
    let report = runtime.publish(event("hostile.ok", Value::Null)).await;
    assert_eq!(of_sinner(&report.expect("published")).class, Class::Ok);
    assert_eq!(state(runtime, "hostile"), Some(PluginState::Started));
    runtime.quiet().await;
    assert!(errors.is_empty());
}

/// What a test of a guest that never ends waits for: long for a healthy call, short for the test.
pub(super) fn brief() -> Limits {
    limits(|limits| limits.timeout = Duration::from_millis(500))
}

/// A guard against a deadlock, which would hang the whole binary; not a measure of speed.
pub(super) async fn guarded<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("it ends, and long before a minute is over")
}

/// An event that keeps the guest `hostile` in the host until its deadline.
pub(super) fn sleep() -> Event {
    event("hostile.sleep", u64::MAX.into())
}

pub(crate) fn state(runtime: &Runtime, plugin: &str) -> Option<PluginState> {
    runtime.plugin(plugin).map(|status| status.state)
}

/// How many attempts at a handler ended in a class.
pub(super) fn count(runtime: &Runtime, handler: &str, class: Class) -> u64 {
    let stats = runtime.handler_stats();
    let stats = stats.iter().find(|stats| stats.handler.to_string() == handler);
    stats.map_or(0, |stats| stats.count(class))
}

/// Waits until the one instance of a plugin is at work on something that takes long: it is not among those that wait then.
pub(super) async fn until_busy(runtime: &Runtime, plugin: &str) {
    while !runtime.plugin(plugin).expect("it is loaded").instance_memory.is_empty() {
        tokio::task::yield_now().await;
    }
}

/// The lifecycle events that a native handler saw, as `type plugin state`, once all is quiet.
pub(super) async fn life(runtime: &Runtime, seen: &Seen) -> Vec<String> {
    runtime.quiet().await;
    let line = |event: &Event| {
        let data: Value = event.json().expect("JSON");
        let text = |key: &str| data[key].as_str().unwrap_or("?").to_owned();
        format!("{} {} {}", event.event_type(), text("plugin"), text("state"))
    };
    seen.all().iter().map(line).collect()
}
