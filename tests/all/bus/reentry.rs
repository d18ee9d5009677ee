//! B9: anything may be done from inside a handler, and nothing deadlocks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::{Class, Context, Draft, Failure, PluginState, RetryPolicy, Runtime, SubscribeOptions};
use palisade_tests::{Seen, event, hostile, publishes, runtime, runtime_with, spec};
use serde_json::json;

use super::words::{letters, plain, report};

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::reject(error.to_string())
}

/// B9: publishing both ways, subscribing and unsubscribing from inside one handler.
#[tokio::test(start_paused = true)]
async fn b9_publishing_and_subscribing_inside_a_handler() {
    let runtime = runtime();
    let inner = runtime.clone();
    let busy = move |cx: Context| {
        let runtime = inner.clone();
        async move {
            runtime
                .subscribe("b", "mine", |_: Context| async { Ok(()) })
                .map_err(failed)?;
            let report = runtime.publish(plain("b")).await.map_err(failed)?;
            runtime.publish_async(plain("b")).await.map_err(failed)?;
            cx.publish(Draft::new("b")).map_err(failed)?;
            runtime.unsubscribe_pattern("b", "mine").map_err(failed)?;
            if report.of("mine").is_some() {
                Ok(())
            } else {
                Err(Failure::reject("nobody got it"))
            }
        }
    };
    runtime.subscribe("a", "busy", busy).expect("a subscription");
    let seen = Seen::subscribe(&runtime, "b", "seen");
    let report = runtime.publish(plain("a")).await.expect("published");
    assert!(report.all_ok(), "{report:?}");
    runtime.quiet().await;
    assert_eq!(seen.len(), 3);
}

/// B9: loading, starting, asking for, stopping and unloading a plugin from inside a handler, native or of lifecycle events.
#[tokio::test]
async fn b9_loading_and_unloading_inside_a_handler() {
    let runtime = runtime_with([hostile()]).await;
    let inner = runtime.clone();
    let manage = move |_: Context| {
        let runtime = inner.clone();
        async move {
            runtime.load(spec("probe")).await.map_err(failed)?;
            runtime.start("probe").await.map_err(failed)?;
            let served = runtime.publish(plain("x")).await.map_err(failed)?;
            let states: Vec<_> = runtime.plugins().iter().map(|plugin| plugin.state).collect();
            runtime.stop("probe").await.map_err(failed)?;
            runtime.unload("probe").await.map_err(failed)?;
            runtime.unload("hostile").await.map_err(failed)?;
            let right = served.of("probe/all").is_some() && states == [PluginState::Started; 2];
            if right {
                Ok(())
            } else {
                Err(Failure::reject(format!("{served:?} {states:?}")))
            }
        }
    };
    runtime.subscribe("manage", "manager", manage).expect("a subscription");
    let report = runtime.publish(plain("manage")).await.expect("published");
    assert!(report.all_ok(), "{report:?}");
    assert!(runtime.plugins().is_empty());
}

/// B9: a handler that awaits a publish into itself does not hang: that publish ends at its deadline as `overloaded`.
#[tokio::test(start_paused = true)]
async fn b9_a_handler_that_publishes_into_itself_is_overloaded_at_the_deadline() {
    let runtime = runtime();
    let classes = Arc::new(Mutex::new(Vec::new()));
    let (inner, note) = (runtime.clone(), classes.clone());
    let into_itself = move |_: Context| {
        let (runtime, note) = (inner.clone(), note.clone());
        async move {
            let report = runtime
                .publish_within(plain("a"), Duration::from_secs(5))
                .await
                .map_err(failed)?;
            note.lock()
                .unwrap()
                .extend(report.outcomes.iter().map(|outcome| outcome.class));
            Ok(())
        }
    };
    runtime.subscribe("a", "selfish", into_itself).expect("a subscription");
    let report = runtime.publish(plain("a")).await.expect("published");
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(*classes.lock().unwrap(), [Class::Overloaded]);
}

/// B9: even without a deadline of its own, by the handler's; and then it takes the next event.
#[tokio::test(start_paused = true)]
async fn b9_a_handler_that_waits_for_itself_ends_at_its_own_deadline() {
    let runtime = runtime();
    let inner = runtime.clone();
    let into_itself = move |cx: Context| {
        let runtime = inner.clone();
        async move {
            if cx.event.has_data() {
                runtime.publish(cx.event.clone()).await.map_err(failed)?;
            }
            Ok(())
        }
    };
    let options = SubscribeOptions::default().retry(RetryPolicy::none());
    runtime
        .subscribe_with(&["a"], "selfish", options, into_itself)
        .expect("a subscription");
    let neighbour = Seen::subscribe(&runtime, "a", "neighbour");
    let report = runtime.publish(plain("a")).await.expect("published");
    assert_eq!(report.outcomes.len(), 2, "it ended: {report:?}");
    let empty = palisade::Event::builder("a", "/tests").build().expect("an event");
    assert!(runtime.publish(empty).await.expect("published").all_ok());
    assert!(neighbour.len() >= 3);
    runtime.quiet().await;
}

/// B9, H24: what a handler publishes for itself is handled by a later call, without a deadlock.
#[tokio::test(start_paused = true)]
async fn b9_h24_a_native_handler_handles_its_own_event_later() {
    let runtime = runtime();
    let depth = Arc::new(Mutex::new(Vec::new()));
    let note = depth.clone();
    let countdown = move |cx: Context| {
        let left: u32 = cx.event.json().unwrap_or(0);
        note.lock().unwrap().push(left);
        let published = match left {
            0 => Ok(()),
            _ => Draft::json("count", &(left - 1))
                .map_err(failed)
                .and_then(|draft| cx.publish(draft).map(drop).map_err(failed)),
        };
        std::future::ready(published)
    };
    runtime
        .subscribe("count", "countdown", countdown)
        .expect("a subscription");
    assert!(
        runtime
            .publish(event("count", json!(3)))
            .await
            .expect("published")
            .all_ok()
    );
    runtime.quiet().await;
    assert_eq!(*depth.lock().unwrap(), [3, 2, 1, 0]);
    letters(&runtime, 0).await;
}

/// B9, H24: likewise for a guest: its report comes back to its own handler, in a later call of the same instance.
#[tokio::test]
async fn b9_h24_a_guest_handles_its_own_event_later() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    let reports = Seen::published(&runtime);
    for (nth, expected) in [(1, 1), (2, 3)] {
        let sent = runtime.publish(plain("hostile.count")).await.expect("published");
        assert!(sent.all_ok() && sent.of("probe/all").is_some(), "{sent:?}");
        assert_eq!(
            report(&reports.wait_for(nth).await[nth - 1], "count")["count"],
            expected
        );
        runtime.quiet().await;
    }
}

/// B9: a guest's own publish that its only instance handles does not wait for itself, whatever the mode of the first.
#[tokio::test]
async fn b9_publish_async_into_a_publishing_guest_becomes_quiet() {
    let runtime: Runtime = runtime_with([hostile().grants(publishes("hostile.drop"))]).await;
    let order = json!({ "type": "hostile.drop" });
    for _ in 0..50 {
        runtime
            .publish_async(event("hostile.publish", order.clone()))
            .await
            .expect("published");
    }
    runtime.quiet().await;
    assert_eq!(runtime.stats().from_handlers, 50);
    letters(&runtime, 0).await;
}
