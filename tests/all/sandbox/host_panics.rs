//! A panic on the host's side of a call: it fails that call, whatever the call is for, and never the process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use palisade::{
    BoxFuture, Class, Completion, DeadLetterReason, Delivery, Disposition, Failure, Fault, Handler, Health, LogRecord,
    LogSink, OnFault, PluginError, PluginState, RetryPolicy, Runtime, SubscribeOptions,
};
use palisade_tests::{config, dead_letters, event, hostile, spec};
use serde_json::{Value, json};

use super::beside::{Beside, neighbour, served, sin_event};

/// A sink with a fault of its own: it panics at lines that contain a word.
struct Fragile(&'static str);

impl LogSink for Fragile {
    fn log(&self, record: LogRecord<'_>) {
        assert!(!record.message.contains(self.0), "the sink panics at {}", self.0);
    }
}

/// S9, H31: a panic in a host function that `handle` called fails that call as `host-panic`; the plugin's next event is
/// handled by a fresh instance, and the neighbour got the same event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s9_h31_a_panic_in_a_host_function_fails_that_call() {
    let beside = Beside::with(Runtime::builder().log_sink(Fragile("line 3")), hostile()).await;
    for sin in ["hostile.flood-log", "hostile.flood-stdout", "hostile.flood-stderr"] {
        beside.obeys(sin, json!(3)).await;
        let words = beside.killed(sin, json!(4), Class::HostPanic).await;
        assert!(words.contains("the sink panics at line 3"), "{words}");
    }
    assert_eq!(beside.runtime.health().await.instances, 2);
}

/// S9, H31: one that `start` called keeps that plugin from starting, by an error like others, and no other plugin; one that
/// `stop` or `health` called is told as theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s9_h31_a_panic_in_a_host_function_fails_start_stop_and_health_alike() {
    // A guest that panics says so on stderr, and the sink panics at that.
    let runtime = Runtime::builder().log_sink(Fragile("outside handle")).build().unwrap();
    runtime.launch(vec![neighbour()]).await.unwrap();
    runtime
        .load(hostile().config(config(json!({ "in-start": "panic" }))))
        .await
        .unwrap();
    let error = runtime.start("hostile").await.unwrap_err();
    assert!(
        matches!(&error, PluginError::Start { fault, .. } if fault.class() == Class::HostPanic),
        "{error}"
    );
    assert_eq!(runtime.plugin("hostile").unwrap().state, PluginState::Error);

    runtime
        .reconfigure("hostile", config(json!({ "in-health": "panic", "in-stop": "panic" })))
        .await
        .unwrap();
    runtime.start("hostile").await.unwrap();
    let health = runtime.plugin_health("hostile").await.unwrap();
    assert!(
        matches!(&health, Health::Unhealthy(why) if why.starts_with("host-panic: ")),
        "{health:?}"
    );
    runtime.stop("hostile").await.unwrap();
    runtime.start("hostile").await.unwrap();
    served(&runtime, "hostile.ok").await;
}

/// S9, B8: one that a filter called is a fault of that filter, with what `on-fault` makes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s9_h31_a_panic_in_a_host_function_is_a_fault_of_the_filter_that_called_it() {
    let runtime = Runtime::builder().log_sink(Fragile("filter line 5")).build().unwrap();
    let options = palisade::FilterOptions::default().timeout(std::time::Duration::from_secs(30));
    runtime
        .launch(vec![spec("hostile-filter").filter(options), neighbour()])
        .await
        .unwrap();
    let report = runtime
        .publish(sin_event("hostile.accepts-flood-log", Value::Null))
        .await
        .unwrap();
    assert!(
        matches!(report.disposition, Disposition::Filtered { .. }),
        "{:?}",
        report.disposition
    );
    served(&runtime, "hostile.ok").await;
    runtime.unload("hostile-filter").await.unwrap();
    let options = options.on_fault(OnFault::Pass);
    runtime
        .launch(vec![spec("hostile-filter").filter(options)])
        .await
        .unwrap();
    assert!(
        runtime
            .publish(sin_event("hostile.accepts-flood-log", Value::Null))
            .await
            .unwrap()
            .all_ok()
    );
}

/// S9: a native handler that panics, before its first await or after it, fails that attempt; the plugins got the event,
/// and so does the handler the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s9_a_panic_of_a_native_handler_fails_that_attempt() {
    let beside = Beside::new(hostile()).await;
    let clumsy = |cx: palisade::Context| {
        assert!(cx.event.event_type() != "hostile.count", "clumsy at once");
        async move {
            tokio::task::yield_now().await;
            assert!(cx.event.event_type() != "hostile.grow", "clumsy later");
            Ok::<(), Failure>(())
        }
    };
    beside.runtime.subscribe("hostile.*", "clumsy", clumsy).unwrap();
    for (sin, words) in [("hostile.count", "clumsy at once"), ("hostile.grow", "clumsy later")] {
        let report = beside.runtime.publish(sin_event(sin, Value::Null)).await.unwrap();
        let outcome = report.of("clumsy").unwrap();
        assert_eq!(outcome.class, Class::HostPanic);
        assert!(outcome.message().contains(words), "{}", outcome.message());
        assert_eq!(report.of("hostile/sin").unwrap().class, Class::Ok);
        assert_eq!(report.of("neighbour/all").unwrap().class, Class::Ok);
    }
    let report = beside
        .runtime
        .publish(sin_event("hostile.ok", Value::Null))
        .await
        .unwrap();
    assert!(report.all_ok() && report.of("clumsy").is_some());
}

/// A handler whose call is done at once, and panics when it is thrown away.
struct ThrownAway;

impl Handler for ThrownAway {
    fn handle(&self, _: Delivery) -> BoxFuture<'_, Completion> {
        struct Call;
        impl Future for Call {
            type Output = Completion;
            fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Completion> {
                Poll::Ready(Completion::ok(Vec::new()))
            }
        }
        impl Drop for Call {
            fn drop(&mut self) {
                panic!("clumsy to the last");
            }
        }
        Box::pin(Call)
    }
}

/// S9: so does a panic in what a native handler's call leaves behind, whichever way the event came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s9_a_panic_at_the_end_of_a_native_handler_fails_that_attempt() {
    let beside = Beside::new(hostile()).await;
    let once = SubscribeOptions::default().retry(RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    });
    let patterns = ["hostile.ok"];
    let subscribed = beside
        .runtime
        .subscribe_handler(&patterns, "clumsy", once, Arc::new(ThrownAway));
    subscribed.unwrap();
    let sin = || sin_event("hostile.ok", Value::Null);
    let report = beside.runtime.publish(sin()).await.unwrap();
    let outcome = report.of("clumsy").unwrap();
    assert_eq!(outcome.class, Class::HostPanic);
    assert!(
        outcome.message().contains("clumsy to the last"),
        "{}",
        outcome.message()
    );
    assert_eq!(report.of("hostile/sin").unwrap().class, Class::Ok);

    beside.runtime.publish_async(sin()).await.unwrap();
    beside.runtime.quiet().await;
    let letters = dead_letters(&beside.runtime).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, DeadLetterReason::Failed(Class::HostPanic));
}

/// S9, B3: a publisher who goes away meets no panic of a call that is thrown away with it, and the breaker's probe is free again.
#[tokio::test(start_paused = true)]
async fn s9_b3_a_panic_of_a_call_that_is_dropped_is_nobodys() {
    struct Waits;
    impl Handler for Waits {
        fn handle(&self, delivery: Delivery) -> BoxFuture<'_, Completion> {
            struct Bomb;
            impl Drop for Bomb {
                fn drop(&mut self) {
                    panic!("clumsy as it goes");
                }
            }
            let fails = delivery.event.event_type() == "x.fail";
            Box::pin(async move {
                if fails {
                    return Completion::failed(Fault::new(Class::Retry, "on purpose"));
                }
                let _bomb = Bomb;
                std::future::pending().await
            })
        }
    }
    let runtime = Runtime::builder().build().unwrap();
    let options = SubscribeOptions::default();
    runtime
        .subscribe_handler(&["x.*"], "clumsy", options, Arc::new(Waits))
        .unwrap();
    for _ in 0..5 {
        runtime.publish(event("x.fail", Value::Null)).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(31)).await;
    let publish = runtime.publish(event("x.wait", Value::Null));
    assert!(tokio::time::timeout(Duration::from_secs(1), publish).await.is_err());
    let probe = runtime.publish(event("x.fail", Value::Null)).await.unwrap();
    assert_eq!(probe.outcomes[0].class, Class::Retry);
}
