//! What ends a call: time, traps, stack, fuel, memory.

use std::time::Duration;

use palisade::{Class, Outcome, PluginSpec, Runtime};
use palisade_tests::{event, hostile, limits, runtime_with, spec};
use serde_json::{Value, json};

/// A runtime with the guest that sins, within these limits, and a healthy neighbour on the same events.
async fn beside_a_neighbour(hostile: PluginSpec) -> Runtime {
    runtime_with([hostile, spec("probe").name("neighbour")]).await
}

/// Publishes one sin and returns its outcome; the neighbour must have been served.
async fn sin(runtime: &Runtime, name: &str, data: Value) -> Outcome {
    let report = runtime.publish(event(&format!("hostile.{name}"), data)).await.expect("published");
    let neighbour = report.of("neighbour/all").expect("the neighbour got it too");
    assert_eq!(neighbour.class, Class::Ok, "{}", neighbour.message());
    report.of("hostile/sin").expect("hostile got it").clone()
}

fn short() -> PluginSpec {
    hostile().limits(limits(|limits| limits.timeout = Duration::from_millis(50)))
}

/// S1, S2, H1: a guest that spins is stopped by its deadline; the neighbour and the next event don't notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h1_timeout_violated_by_a_spinner() {
    let runtime = beside_a_neighbour(short()).await;
    let outcome = sin(&runtime, "spin", Value::Null).await;
    assert_eq!(outcome.class, Class::Timeout, "{}", outcome.message());
    assert_eq!(sin(&runtime, "ok", json!({})).await.class, Class::Ok);
}

/// S2, H6: so is one that waits in the host, where no epoch reaches it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h6_timeout_violated_by_a_sleeper() {
    let runtime = beside_a_neighbour(short()).await;
    let outcome = sin(&runtime, "sleep", Value::Null).await;
    assert_eq!(outcome.class, Class::Timeout, "{}", outcome.message());
    assert_eq!(sin(&runtime, "ok", json!({})).await.class, Class::Ok);
}

/// S11: a panic is a trap that carries the guest's own words and a backtrace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_panic_is_a_trap_with_message_and_backtrace() {
    let runtime = beside_a_neighbour(hostile()).await;
    let outcome = sin(&runtime, "panic", json!("over and out")).await;
    assert_eq!(outcome.class, Class::Trap);
    println!("{}\n{:?}", outcome.message(), outcome.fault.as_ref().and_then(|f| f.backtrace()));
    assert!(outcome.message().contains("over and out"), "{}", outcome.message());
}
