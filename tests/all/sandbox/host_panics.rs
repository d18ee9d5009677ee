//! A panic on the host's side of a call: it fails that call, whatever the call is for, and never the process.

use palisade::{Class, Disposition, Failure, Health, LogRecord, LogSink, OnFault, PluginError, PluginState, Runtime};
use palisade_tests::{config, hostile, spec};
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
