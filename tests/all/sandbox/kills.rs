//! Time: the deadline of every call, whatever it is for.

use std::time::Duration;

use palisade::{Class, Health, LoadError, PluginError, PluginSpec, PluginState, Runtime};
use palisade_tests::{config, hostile, limits, spec};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::beside::{Beside, SHORT, hurried, neighbour, only, sin_event};
use super::patched::spinning_from_the_start;

/// S1, H1, H6: a guest that waits, but not for too long, is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_timeout_obeyed() {
    let beside = Beside::new(hostile()).await;
    beside.obeys("hostile.sleep", json!(5)).await;
}

/// S1, S2, H1: a guest that spins is stopped by its deadline; the neighbour and the next event don't notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s2_h1_timeout_violated_by_a_spinner() {
    let beside = Beside::new(hurried()).await;
    let words = beside.killed("hostile.spin", Value::Null, Class::Timeout).await;
    assert!(words.contains("by its deadline"), "{words}");
}

/// S2, H6: so is one that waits in the host, where no epoch reaches it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h6_timeout_violated_by_a_sleeper() {
    let beside = Beside::new(hurried()).await;
    let words = beside.killed("hostile.sleep", Value::Null, Class::Timeout).await;
    assert!(words.contains("by its deadline"), "{words}");
}

/// S4: while guests that spin and guests that sleep, more than there are worker threads, are on their way to their deadlines,
/// a neighbour's events come and go; then each of them ends as `timeout`, and all are served by fresh instances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_a_neighbour_is_served_while_spinners_and_sleepers_go_to_their_deadlines() {
    const GUESTS: usize = 3;
    for sin in ["hostile.spin", "hostile.sleep"] {
        let beside = Beside::new(hurried().concurrency(GUESTS).grants(only(sin))).await;
        let kill = |runtime: Runtime| async move { runtime.publish(sin_event(sin, Value::Null)).await };
        let kills: Vec<_> = (0..GUESTS)
            .map(|_| tokio::spawn(kill(beside.runtime.clone())))
            .collect();
        let mut served = 0;
        while !kills.iter().all(JoinHandle::is_finished) {
            let report = beside.runtime.publish(sin_event("hostile.ok", Value::Null)).await;
            assert!(report.unwrap().all_ok(), "the neighbour is all there is for this event");
            served += 1;
            tokio::task::yield_now().await;
        }
        assert!(served > 0, "some of it was meanwhile");
        for kill in kills {
            let report = kill.await.unwrap().unwrap();
            assert_eq!(report.of("neighbour/all").unwrap().class, Class::Ok);
            let killed = report.of("hostile/sin").unwrap();
            assert_eq!(killed.class, Class::Timeout, "{}", killed.message());
        }
        let health = beside.runtime.health().await;
        assert_eq!(
            health.instances, 2,
            "the neighbour's, and a fresh one that was asked for its health"
        );
        let again = beside.sin(sin, Value::Null).await;
        assert_eq!(
            again.class,
            Class::Timeout,
            "a fresh one was called: {}",
            again.message()
        );
    }
}

/// H5: so is one that fills its memory again and again: each fill is one instruction, and epochs come between two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h5_timeout_violated_by_a_filler() {
    let beside = Beside::new(hurried()).await;
    beside.killed("hostile.fill", json!(32), Class::Timeout).await;
}

/// S2: the publisher's own deadline stops a guest that may take longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_the_publishers_deadline_stops_a_guest_too() {
    let beside = Beside::new(hostile()).await;
    let event = super::beside::sin_event("hostile.spin", Value::Null);
    let report = beside.runtime.publish_within(event, SHORT).await.unwrap();
    assert_eq!(report.of("hostile/sin").unwrap().class, Class::Timeout);
    beside.obeys("hostile.ok", Value::Null).await;
}

/// S2, H9: an instance has its whole time again at every call: the second and third would not fit into what is left of
/// the first one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h9_the_second_call_has_the_whole_deadline_again() {
    let beside = Beside::new(hostile().limits(limits(|limits| limits.timeout = Duration::from_millis(900)))).await;
    beside.obeys("hostile.sleep", json!(500)).await;
    beside.obeys("hostile.sleep", json!(500)).await;
    // Long enough in the guest for an epoch to look at the deadline.
    beside.obeys("hostile.flood-log", json!(20_000)).await;
}

/// S2, H2: a `start` that spins, and one that sleeps, ends by the deadline; the plugin is in error, the others go on, and
/// another config starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h2_start_ends_by_the_deadline() {
    for sin in ["spin", "sleep"] {
        let runtime = Runtime::builder().build().unwrap();
        runtime.launch(vec![neighbour()]).await.unwrap();
        runtime
            .load(hurried().config(config(json!({ "in-start": sin }))))
            .await
            .unwrap();
        let error = runtime.start("hostile").await.unwrap_err();
        assert!(
            matches!(&error, PluginError::Start { fault, .. } if fault.class() == Class::Timeout),
            "{error}"
        );
        assert!(error.to_string().contains("did not end start"), "{error}");
        assert_eq!(runtime.plugin("hostile").unwrap().state, PluginState::Error);
        let report = runtime
            .publish(super::beside::sin_event("hostile.ok", Value::Null))
            .await
            .unwrap();
        assert_eq!(report.outcomes.len(), 1, "only the neighbour is on the bus");
        assert!(report.all_ok());
        runtime.reconfigure("hostile", config(json!({}))).await.unwrap();
        runtime.start("hostile").await.unwrap();
    }
}

/// S2, H2: so does `health`; the plugin is told unhealthy, and the next event is served by a fresh instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h2_health_ends_by_the_deadline() {
    for sin in ["spin", "sleep"] {
        let beside = Beside::new(hurried().config(config(json!({ "in-health": sin })))).await;
        let health = beside.runtime.plugin_health("hostile").await.unwrap();
        assert!(
            matches!(&health, Health::Unhealthy(why) if why.starts_with("timeout: ")),
            "{health:?}"
        );
        assert_eq!(
            beside.runtime.plugin_health("neighbour").await.unwrap(),
            Health::Healthy
        );
        beside.obeys("hostile.ok", Value::Null).await;
    }
}

/// S2, H2: so does `stop`; the plugin is stopped all the same, and starts again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h2_stop_ends_by_the_deadline() {
    for sin in ["spin", "sleep", "trap"] {
        let beside = Beside::new(hurried().config(config(json!({ "in-stop": sin })))).await;
        beside.runtime.stop("hostile").await.unwrap();
        assert_eq!(beside.runtime.plugin("hostile").unwrap().state, PluginState::Stopped);
        beside.runtime.start("hostile").await.unwrap();
        beside.obeys("hostile.ok", Value::Null).await;
    }
}

/// S2, H2: so does `describe`, at load: the plugin is refused, and others can still be loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h2_describe_ends_by_the_deadline() {
    let runtime = Runtime::builder().build().unwrap();
    let spinning = spec("hostile-describe").limits(limits(|limits| limits.timeout = SHORT));
    let error = runtime.load(spinning).await.unwrap_err();
    assert!(
        matches!(&error, LoadError::Describe { fault, .. } if fault.class() == Class::Timeout),
        "{error}"
    );
    assert!(error.to_string().contains("did not end describe"), "{error}");
    assert!(runtime.plugins().is_empty());
    runtime.launch(vec![neighbour()]).await.unwrap();
}

/// S2, H2: so does the start function of a core module, which runs before anything can be called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h2_a_core_start_function_ends_by_the_deadline() {
    let runtime = palisade_tests::runtime_with([neighbour()]).await;
    let spinning = PluginSpec::from_bytes(spinning_from_the_start()).name("spinner");
    let spinning = spinning.limits(limits(|limits| limits.timeout = SHORT));
    let error = runtime.load(spinning).await.unwrap_err();
    assert!(
        matches!(&error, LoadError::Describe { fault, .. } if fault.class() == Class::Timeout),
        "{error}"
    );
    assert!(runtime.plugin("spinner").is_none());
    let report = runtime
        .publish(super::beside::sin_event("hostile.ok", Value::Null))
        .await
        .unwrap();
    assert!(report.all_ok() && report.outcomes.len() == 1);
}
