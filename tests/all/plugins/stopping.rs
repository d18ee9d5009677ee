//! What a stop and an unload mean for events: before, meanwhile and after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use palisade::{Class, DeadLetterReason, Disposition, PluginState, RetryPolicy, Runtime};
use palisade_tests::{Seen, dead_letters, event, hostile, limits, runtime_with, spec};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::watch::{brief, count, guarded, sleep, state, until_busy};

/// L3, D9, B5: a stopped plugin is unavailable to both ways of publishing, by name; an unloaded one is not there at all. The
/// neighbour is served.
#[tokio::test]
async fn l3_a_stopped_plugin_is_unavailable_and_an_unloaded_one_is_gone() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    runtime.stop("hostile").await.unwrap();

    let report = runtime.publish(event("hostile.ok", Value::Null)).await.unwrap();
    let outcome = report.of("hostile/sin").unwrap();
    assert_eq!(
        (outcome.class, outcome.message()),
        (Class::Unavailable, "hostile is stopped")
    );
    assert_eq!(report.of("probe/all").unwrap().class, Class::Ok);

    let receipt = runtime.publish_async(event("hostile.ok", Value::Null)).await.unwrap();
    assert_eq!((receipt.matched, receipt.enqueued, receipt.refused.len()), (2, 1, 1));
    let refusal = &receipt.refused[0];
    assert_eq!(
        (refusal.handler.to_string().as_str(), refusal.class),
        ("hostile/sin", Class::Unavailable)
    );
    assert_eq!(refusal.message, "hostile is stopped");

    runtime.unload("hostile").await.unwrap();
    runtime.unload("probe").await.unwrap();
    let report = runtime.publish(event("hostile.ok", Value::Null)).await.unwrap();
    assert_eq!(report.disposition, Disposition::Unmatched);
    assert_eq!(
        runtime
            .publish_async(event("hostile.ok", Value::Null))
            .await
            .unwrap()
            .matched,
        0
    );
}

/// L3: a plugin that is loaded and not started yet has no subscriptions.
#[tokio::test]
async fn l3_a_plugin_gets_nothing_before_its_start() {
    let runtime = runtime_with([]).await;
    runtime.load(spec("probe")).await.unwrap();
    let report = runtime.publish(event("x", Value::Null)).await.unwrap();
    assert_eq!(report.disposition, Disposition::Unmatched);
}

/// L3: a stop waits for the call that runs, which comes to its own end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_a_call_that_runs_is_finished_before_a_stop_returns() {
    let runtime = runtime_with([hostile()]).await;
    let publisher = runtime.clone();
    let call = tokio::spawn(async move { publisher.publish(event("hostile.sleep", json!(500))).await });
    guarded(until_busy(&runtime, "hostile")).await;
    guarded(runtime.stop("hostile")).await.unwrap();
    assert_eq!(
        runtime.health().await.instances,
        0,
        "no call can be left without an instance"
    );
    assert_eq!(call.await.unwrap().unwrap().outcomes[0].class, Class::Ok);
}

/// L3: one that does not end is killed at its deadline, not at the stop, and the stop waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_a_call_that_does_not_end_is_killed_at_its_deadline() {
    let runtime = runtime_with([hostile().limits(brief()), spec("probe")]).await;
    for end in ["stop", "unload"] {
        let publisher = runtime.clone();
        let call = tokio::spawn(async move { publisher.publish(sleep()).await });
        guarded(until_busy(&runtime, "hostile")).await;
        match end {
            "stop" => guarded(runtime.stop("hostile")).await.unwrap(),
            _ => guarded(runtime.unload("hostile")).await.unwrap(),
        }
        assert_eq!(runtime.health().await.instances, 1, "only the neighbour's is left");
        let report = call.await.unwrap().unwrap();
        assert_eq!(report.of("hostile/sin").unwrap().class, Class::Timeout);
        assert!(runtime.publish(event("x", Value::Null)).await.unwrap().all_ok());
        if end == "stop" {
            runtime.start("hostile").await.unwrap();
        }
    }
}

/// L3: a publish that waits for an instance when the plugin stops is told so, and does not run into its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_a_publish_that_waits_when_the_plugin_stops_is_unavailable() {
    let slow = limits(|limits| limits.timeout = Duration::from_secs(2));
    let runtime = runtime_with([hostile().limits(slow)]).await;
    let publisher = runtime.clone();
    let call = tokio::spawn(async move { publisher.publish(sleep()).await });
    guarded(until_busy(&runtime, "hostile")).await;
    let waiting = runtime.publish(event("hostile.ok", Value::Null));
    let (waited, stopped) = guarded(async { tokio::join!(waiting, runtime.stop("hostile")) }).await;
    stopped.unwrap();
    let outcome = waited.unwrap().outcomes.remove(0);
    assert_eq!(
        (outcome.class, outcome.message()),
        (Class::Unavailable, "hostile was stopped")
    );
    call.await.unwrap().unwrap();
}

/// L3, D9: what a plugin had queued when it stopped is answered `unavailable`: here, without retries, as dead letters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_events_queued_for_a_stopped_plugin_are_unavailable() {
    let slow = limits(|limits| limits.timeout = Duration::from_secs(2));
    let runtime = runtime_with([hostile().limits(slow).retry(RetryPolicy::none())]).await;
    runtime.publish_async(sleep()).await.unwrap();
    guarded(until_busy(&runtime, "hostile")).await;
    for _ in 0..3 {
        let receipt = runtime.publish_async(event("hostile.ok", Value::Null)).await.unwrap();
        assert_eq!(receipt.enqueued, 1);
    }
    guarded(runtime.stop("hostile")).await.unwrap();
    guarded(runtime.quiet()).await;
    let reasons: Vec<_> = dead_letters(&runtime)
        .await
        .iter()
        .map(|letter| letter.reason)
        .collect();
    let unavailable = DeadLetterReason::Failed(Class::Unavailable);
    assert_eq!(
        reasons,
        [
            DeadLetterReason::Failed(Class::Timeout),
            unavailable,
            unavailable,
            unavailable
        ]
    );
}

/// L3, D9: with retries they wait for the plugin: started again in time, it gets them all.
#[tokio::test]
async fn l3_d9_queued_events_are_tried_again_when_the_plugin_is_back() {
    let again = RetryPolicy {
        attempts: 1000,
        base: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let runtime = runtime_with([spec("probe").retry(again)]).await;
    for n in 0..20 {
        assert_eq!(runtime.publish_async(event("x", json!(n))).await.unwrap().enqueued, 1);
    }
    runtime.stop("probe").await.unwrap();
    runtime.start("probe").await.unwrap();
    guarded(runtime.quiet()).await;
    assert_eq!(count(&runtime, "probe/all", Class::Ok), 20);
    assert!(dead_letters(&runtime).await.is_empty());
}

/// L3: with eight tasks publishing all the while, no delivery begins after a stop or an unload has returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_no_delivery_begins_after_a_stop_has_returned() {
    for unload in [false, true] {
        let runtime = runtime_with([spec("probe").concurrency(2)]).await;
        let ended = Arc::new(AtomicBool::new(false));
        let begun = Arc::new(Notify::new());
        let publishers: Vec<_> = (0..8)
            .map(|_| tokio::spawn(publish_past_the_end(runtime.clone(), ended.clone(), begun.clone())))
            .collect();
        guarded(begun.notified()).await;
        if unload {
            guarded(runtime.unload("probe")).await.unwrap();
        } else {
            guarded(runtime.stop("probe")).await.unwrap();
        }
        assert_eq!(runtime.health().await.instances, 0);
        ended.store(true, Ordering::SeqCst);
        for publisher in publishers {
            guarded(publisher).await.unwrap();
        }
    }
}

/// Publishes until the end and ten times after it: what begins after the end must not arrive.
async fn publish_past_the_end(runtime: Runtime, ended: Arc<AtomicBool>, begun: Arc<Notify>) {
    let mut after = 0;
    while after < 10 {
        let is_over = ended.load(Ordering::SeqCst);
        let report = runtime.publish(event("x", Value::Null)).await.unwrap();
        let arrived = report.outcomes.iter().any(|outcome| outcome.class == Class::Ok);
        assert!(!(is_over && arrived), "a delivery after the end");
        let others = report.outcomes.iter().filter(|outcome| outcome.class != Class::Ok);
        assert!(
            others
                .map(|outcome| outcome.class)
                .all(|class| class == Class::Unavailable),
            "{report:?}"
        );
        if arrived {
            begun.notify_one();
        }
        after += u32::from(is_over);
        tokio::task::yield_now().await;
    }
}

/// L3: a stop whose caller goes away meanwhile is carried through, so that the next one can't return too early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_a_stop_whose_caller_went_away_is_carried_through() {
    let runtime = runtime_with([hostile().limits(brief())]).await;
    let stopped = Seen::subscribe(&runtime, "plugin.stopped", "watch");
    let publisher = runtime.clone();
    let call = tokio::spawn(async move { publisher.publish(sleep()).await });
    guarded(until_busy(&runtime, "hostile")).await;
    tokio::select! {
        biased;
        _ = runtime.stop("hostile") => panic!("it waits for the call"),
        () = std::future::ready(()) => {}
    }
    guarded(stopped.wait_for(1)).await;
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Stopped));
    assert_eq!(runtime.health().await.instances, 0);
    assert_eq!(call.await.unwrap().unwrap().outcomes[0].class, Class::Timeout);
}

/// D7: a plugin that has stopped is not waited for with the host events that it missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d7_a_shutdown_does_not_retry_host_events_for_who_has_stopped() {
    for _ in 0..10 {
        let runtime = runtime_with([spec("probe"), spec("probe").name("second"), spec("probe").name("third")]).await;
        let drained = runtime.shutdown(Duration::from_secs(600)).await;
        assert_eq!(drained.abandoned, 0);
        assert_eq!((runtime.stats().retries, runtime.stats().dead_letters), (0, 0));
    }
}

/// D7: plugins that spin in `stop` do not hold up the end beyond the drain deadline and a last second for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d7_stops_that_never_end_are_cut_at_the_end_of_the_drain() {
    // With a limit of an hour each, this would take hours.
    let hour = limits(|limits| limits.timeout = Duration::from_secs(3600));
    let spinner = |name: &str| {
        let config = palisade_tests::config(json!({ "in-stop": "spin" }));
        palisade_tests::hostile_as(name)
            .limits(hour.clone())
            .concurrency(2)
            .config(config)
    };
    let runtime = runtime_with([spinner("a"), spinner("b")]).await;
    runtime.shutdown(Duration::from_millis(100)).await;
    assert!(
        runtime
            .plugins()
            .iter()
            .all(|plugin| plugin.state == PluginState::Stopped)
    );
}
