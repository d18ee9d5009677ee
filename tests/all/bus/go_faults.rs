//! Section 9 of the design: the faults of the Go design, one test each, named after what was seen there.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use palisade::{Class, Context, Event, Failure, FilterOptions, PluginConfig, PluginState, SubscribeOptions};
use palisade_tests::{Seen, event, hostile, limits, runtime, runtime_with, spec};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::words::{Gate, bare, counting, letters, plain};

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::reject(error.to_string())
}

/// Go: subscribing inside a handler deadlocks, as a lock is held through dispatch. B1, B9.
#[tokio::test(start_paused = true)]
async fn go_subscribing_inside_a_handler_deadlocks() {
    let runtime = runtime();
    let inner = runtime.clone();
    let subscribe = move |cx: Context| {
        let name = cx.event.id().to_owned();
        let subscribed = inner.subscribe("a", &name, |_: Context| ready(Ok(())));
        ready(subscribed.and_then(|id| inner.unsubscribe(id)).map_err(failed))
    };
    runtime.subscribe("a", "h", subscribe).expect("a subscription");
    assert!(runtime.publish(plain("a")).await.expect("published").all_ok());
    runtime.publish_async(plain("a")).await.expect("published");
    runtime.quiet().await;
    letters(&runtime, 0).await;
}

/// Go: a handler that ignores its context outlives its timeout and reports success. S1, B3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_a_handler_that_ignores_its_deadline_reports_success() {
    let short = limits(|limits| limits.timeout = Duration::from_millis(50));
    let runtime = runtime_with([hostile().limits(short), spec("probe")]).await;
    let ignoring = SubscribeOptions::default().timeout(Duration::from_millis(50));
    runtime
        .subscribe_with(&["hostile.*"], "native", ignoring, |_: Context| pending())
        .expect("a subscription");
    for sin in ["hostile.spin", "hostile.sleep"] {
        let report = runtime.publish(bare(sin)).await.expect("published");
        let of = |name| report.of(name).expect("an outcome").class;
        assert_eq!(
            (of("hostile/sin"), of("native"), of("probe/all")),
            (Class::Timeout, Class::Timeout, Class::Ok)
        );
    }
}

/// Go: `PublishAsync` waits for all handlers. B4.
#[tokio::test(start_paused = true)]
async fn go_publish_async_waits_for_all_handlers() {
    let runtime = runtime();
    let gate = Gate::subscribe(&runtime, "a", "slow");
    runtime.publish_async(plain("a")).await.expect("published");
    assert_eq!(gate.begun(), 0, "it returned before the handler had even begun");
    gate.open(1);
    runtime.quiet().await;
    assert_eq!(gate.begun(), 1);
}

/// Go: ... and ignores its worker limit. B4, B7.
#[tokio::test(start_paused = true)]
async fn go_publish_async_ignores_its_worker_limit() {
    let runtime = runtime();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (running.clone(), most.clone());
    let work = move |_: Context| {
        let (now, peak) = (now.clone(), peak.clone());
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    };
    runtime
        .subscribe_with(&["a"], "two", SubscribeOptions::default().concurrency(2), work)
        .expect("a subscription");
    for _ in 0..20 {
        runtime.publish_async(plain("a")).await.expect("published");
    }
    runtime.quiet().await;
    assert_eq!((most.load(Ordering::SeqCst), running.load(Ordering::SeqCst)), (2, 0));
}

/// Go: a panic in an async handler kills the process. S9.
#[tokio::test(start_paused = true)]
async fn go_a_panic_in_an_async_handler_kills_the_process() {
    let runtime = runtime();
    let panics = |cx: Context| async move {
        tokio::task::yield_now().await;
        if cx.attempt == 1 {
            panic!("attempt {}", cx.attempt)
        } else {
            Ok(())
        }
    };
    runtime.subscribe("a", "panics", panics).expect("a subscription");
    let seen = Seen::subscribe(&runtime, "a", "seen");
    runtime.publish_async(plain("a")).await.expect("published");
    runtime.quiet().await;
    assert_eq!((runtime.stats().retries, seen.len()), (1, 1));
    letters(&runtime, 0).await;
}

/// Go: handlers share one mutable data map. Here an event never changes: what one does with it, no other sees. E2.
#[tokio::test]
async fn go_handlers_share_one_mutable_data_map() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    let meddle = |cx: Context| {
        let mut data: Value = cx.event.json().unwrap_or_default();
        data["type"] = json!("meddled");
        ready(Ok(()))
    };
    runtime
        .subscribe("hostile.publish", "first", meddle)
        .expect("a subscription");
    let seen = Seen::subscribe(&runtime, "hostile.publish", "second");
    let order = json!({ "type": "hostile.drop", "data": { "a": 1 } });
    let sent = event("hostile.publish", order.clone());
    assert!(runtime.publish(sent.clone()).await.expect("published").all_ok());
    assert_eq!(seen.all()[0].json::<Value>().expect("JSON"), order);
    assert_eq!(sent.json::<Value>().expect("JSON"), order);
}

/// Go: one `Unsubscribe` leaves a second registration behind. B1.
#[tokio::test(start_paused = true)]
async fn go_unsubscribe_leaves_a_second_registration_behind() {
    let runtime = runtime();
    let calls = counting(&runtime, "a", "h", SubscribeOptions::default(), |_| Ok(()));
    runtime
        .subscribe("a", "h", |_: Context| ready(Ok(())))
        .expect_err("there can be no second one");
    runtime.unsubscribe_pattern("a", "h").expect("there");
    assert!(
        runtime
            .publish(plain("a"))
            .await
            .expect("an answer")
            .outcomes
            .is_empty()
    );
    assert_eq!(calls.count(), 0);
}

/// Go: filters that can't be compared panic on removal. Here they go by their ids. B8.
#[tokio::test(start_paused = true)]
async fn go_filters_that_can_not_be_compared_panic_on_removal() {
    fn no(_: &Event) -> bool {
        false
    }
    let runtime = runtime();
    let same = [(); 3].map(|()| runtime.add_filter("same", FilterOptions::default(), no as fn(&Event) -> bool));
    let only = "b".to_owned();
    let closure = runtime.add_filter("closure", FilterOptions::default(), move |event: &Event| {
        event.event_type() == only
    });
    for id in [same[1], closure, same[0], same[2]] {
        assert!(!runtime.publish(plain("a")).await.expect("an answer").all_ok());
        runtime.remove_filter(id).expect("each is itself");
    }
    let seen = Seen::subscribe(&runtime, "a", "seen");
    runtime.publish(plain("a")).await.expect("published");
    assert_eq!(seen.len(), 1);
}

/// Go: a cancelled context still calls handlers. B3: not when the deadline has passed, native or guest, one or several.
#[tokio::test]
async fn go_a_cancelled_context_still_calls_handlers() {
    let runtime = runtime_with([hostile()]).await;
    let reports = Seen::published(&runtime);
    let calls = counting(&runtime, "a", "native", SubscribeOptions::default(), |_| Ok(()));
    for event_type in ["a", "hostile.count"] {
        let report = runtime
            .publish_within(plain(event_type), Duration::ZERO)
            .await
            .expect("an answer");
        assert!(!report.outcomes.is_empty());
        for outcome in &report.outcomes {
            assert_eq!((outcome.class, outcome.attempts), (Class::Overloaded, 0), "{outcome:?}");
        }
    }
    assert_eq!(calls.count(), 0);
    runtime.publish(plain("hostile.count")).await.expect("published");
    let told = super::words::report(&reports.wait_for(1).await[0], "count");
    assert_eq!(
        told["count"], 1,
        "its first event: the instance was neither called nor thrown away"
    );
}

/// Go: the same for a publisher that is gone: a future that is dropped before its handlers are called calls none. B3.
#[tokio::test(start_paused = true)]
async fn go_a_dropped_publish_still_calls_handlers() {
    let runtime = runtime();
    let gate = Gate::subscribe(&runtime, "a", "busy");
    let first = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.publish(plain("a")).await }
    });
    gate.began(1).await;
    let second = runtime.publish(plain("a"));
    tokio::select! {
        biased;
        _ = second => panic!("the handler is busy"),
        () = tokio::task::yield_now() => {}
    }
    drop(runtime.publish(plain("a")));
    gate.open(3);
    assert!(first.await.expect("no panic").expect("published").all_ok());
    runtime.quiet().await;
    assert_eq!(gate.begun(), 0);
}

/// Go: only the first error survives. B3.
#[tokio::test(start_paused = true)]
async fn go_only_the_first_error_survives() {
    let runtime = runtime();
    for n in 0..10 {
        let name = format!("h{n}");
        counting(&runtime, "a", &name.clone(), SubscribeOptions::default(), move |_| {
            Err(Failure::reject(name.clone()))
        });
    }
    let report = runtime.publish(plain("a")).await.expect("published");
    assert_eq!(report.outcomes.len(), 10);
    for outcome in &report.outcomes {
        assert_eq!(
            (outcome.class, outcome.message()),
            (Class::Rejected, outcome.handler.handler())
        );
    }
}

/// Go: the audit plugin declares seven types and subscribes to one. B2.
#[tokio::test]
async fn go_the_audit_plugin_declares_seven_types_and_subscribes_to_one() {
    let runtime = runtime_with([spec("audit-logger")]).await;
    let declared = runtime
        .plugin("audit-logger")
        .expect("known")
        .info
        .handlers
        .remove(0)
        .patterns;
    assert_eq!(declared.len(), 7, "{declared:?}");
    for event_type in [
        "user.login",
        "user.logout",
        "data.created",
        "data.updated",
        "data.deleted",
    ] {
        assert!(declared.iter().any(|pattern| pattern == event_type), "{event_type}");
        let report = runtime.publish(plain(event_type)).await.expect("published");
        assert_eq!(report.outcomes.len(), 1, "{event_type}: {report:?}");
        assert!(report.all_ok(), "{event_type}: {report:?}");
    }
    let before = super::words::stats_of(&runtime, "audit-logger/audit").count(Class::Ok);
    runtime.launch(vec![spec("probe")]).await.expect("started");
    runtime.quiet().await;
    let after = super::words::stats_of(&runtime, "audit-logger/audit").count(Class::Ok);
    assert_eq!(after - before, 2, "plugin.loaded and plugin.started");
}

/// Go: unloaded plugins keep receiving events. L3.
#[tokio::test]
async fn go_unloaded_plugins_keep_receiving_events() {
    let runtime = runtime_with([spec("probe")]).await;
    assert_eq!(runtime.publish(plain("a")).await.expect("published").outcomes.len(), 1);
    runtime.unload("probe").await.expect("unloaded");
    assert!(
        runtime
            .publish(plain("a"))
            .await
            .expect("an answer")
            .outcomes
            .is_empty()
    );
    assert_eq!(runtime.publish_async(plain("a")).await.expect("an answer").matched, 0);
    assert!(runtime.handler_stats().is_empty());
}

/// Go: the manager publishes while holding its own lock. L1: a handler of lifecycle events may ask about the plugins, and
/// start and stop them.
#[tokio::test]
async fn go_the_manager_publishes_while_holding_its_lock() {
    let runtime = runtime_with([]).await;
    runtime.load(spec("probe").name("other")).await.expect("loaded");
    let done = Arc::new(Notify::new());
    let (inner, tell) = (runtime.clone(), done.clone());
    let manage = move |cx: Context| {
        let (runtime, tell) = (inner.clone(), tell.clone());
        async move {
            let about: Value = cx.event.json().map_err(failed)?;
            if about["plugin"] == "first" {
                let known = runtime.plugins().len();
                runtime.start("other").await.map_err(failed)?;
                runtime.stop("first").await.map_err(failed)?;
                runtime.unload("first").await.map_err(failed)?;
                if known != 2 || runtime.plugin("first").is_some() {
                    return Err(Failure::reject(format!("{known} known")));
                }
                tell.notify_one();
            }
            Ok(())
        }
    };
    runtime
        .subscribe("plugin.started", "manager", manage)
        .expect("a subscription");
    runtime
        .launch(vec![spec("probe").name("first")])
        .await
        .expect("started");
    done.notified().await;
    runtime.quiet().await;
    letters(&runtime, 0).await;
    assert_eq!(runtime.plugin("other").expect("known").state, PluginState::Started);
}

/// Go: `config.changed` broadcasts secrets. L4: it names the keys, never a value.
#[tokio::test]
async fn go_config_changed_broadcasts_secrets() {
    let runtime = runtime_with([spec("probe").config(PluginConfig::default().with("old", "sesame-1"))]).await;
    let seen = Seen::subscribe(&runtime, "config.>", "seen");
    let new = PluginConfig::default()
        .with("plain", "sesame-2")
        .with_secret("token", "sesame-3");
    let keys = runtime.reconfigure("probe", new).await.expect("reconfigured");
    let told = seen.wait_for(1).await.remove(0);
    assert_eq!(
        told.json::<Value>().expect("JSON"),
        json!({ "plugin": "probe", "keys": keys })
    );
    assert_eq!(keys, ["old", "plain", "token"]);
    assert!(!told.to_json().contains("sesame"), "{}", told.to_json());
    let shown = runtime.plugin("probe").expect("known").config;
    assert!(!shown.to_string().contains("sesame-3"), "{shown}");
}
