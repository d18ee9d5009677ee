//! B8: filters that are guests.

use std::time::Duration;

use palisade::{
    Class, Disposition, Event, FilterOptions, FsMode, Grants, OnFault, PluginSpec, PluginState, QuarantinePolicy,
    Runtime,
};
use palisade_tests::{Seen, config, event, runtime_with, spec};
use serde_json::json;

use super::words::plain;

fn no_secrets() -> PluginSpec {
    spec("no-secrets").config(config(json!({ "words": ["hunter2"] })))
}

/// The filter that sins, with a short limit where a test waits for it.
fn sinner(on_fault: OnFault) -> PluginSpec {
    let options = FilterOptions::default()
        .timeout(Duration::from_millis(20))
        .on_fault(on_fault);
    spec("hostile-filter").filter(options)
}

async fn filtered_by(runtime: &Runtime, event: Event) -> Option<String> {
    let report = runtime.publish(event).await.expect("an answer");
    match report.disposition {
        Disposition::Filtered { name, .. } => Some(name.to_string()),
        _ => {
            assert_eq!(
                report.of("probe/all").map(|outcome| outcome.class),
                Some(Class::Ok),
                "{report:?}"
            );
            None
        }
    }
}

/// B8: `no-secrets` holds back what has a forbidden word, from `publish`, `publish_async` and the outbox of a guest.
#[tokio::test]
async fn b8_no_secrets_holds_back_what_it_should() {
    let runtime = runtime_with([no_secrets(), spec("probe"), palisade_tests::hostile()]).await;
    let seen = Seen::published(&runtime);
    assert_eq!(filtered_by(&runtime, event("a", json!("hello"))).await, None);
    assert_eq!(
        filtered_by(&runtime, event("a", json!("my hunter2"))).await.as_deref(),
        Some("no-secrets")
    );
    let receipt = runtime
        .publish_async(event("a", json!("hunter2")))
        .await
        .expect("an answer");
    assert!(receipt.filtered.is_some() && receipt.matched == 0, "{receipt:?}");
    for word in ["hunter1", "hunter3"] {
        let order = json!({ "type": "hostile.drop", "data": { "word": word } });
        runtime
            .publish(event("hostile.publish", order))
            .await
            .expect("published");
    }
    // The order for this one must pass the filter itself, so the word is made of an escape in it.
    let raw = r#"{"type": "hostile.drop", "data": {"word": "\u0068unter2"}}"#;
    let order = Event::builder("hostile.publish", "/tests")
        .data("application/json", raw)
        .build()
        .expect("an event");
    assert!(runtime.publish(order).await.expect("published").all_ok());
    runtime.quiet().await;
    let words: Vec<_> = seen
        .all()
        .iter()
        .map(|event| event.json::<serde_json::Value>().expect("JSON")["word"].clone())
        .collect();
    assert_eq!(words, ["hunter1", "hunter3"]);
}

/// B8: a filter plugin is in the chain while it is started, and out of it when it is stopped or unloaded.
#[tokio::test]
async fn b8_a_stopped_filter_plugin_is_out_of_the_chain() {
    let runtime = runtime_with([no_secrets(), spec("probe")]).await;
    let secret = || event("a", json!("hunter2"));
    assert!(filtered_by(&runtime, secret()).await.is_some());
    runtime.stop("no-secrets").await.expect("stopped");
    assert!(filtered_by(&runtime, secret()).await.is_none());
    runtime.start("no-secrets").await.expect("started");
    assert!(filtered_by(&runtime, secret()).await.is_some());
    runtime.unload("no-secrets").await.expect("unloaded");
    assert!(filtered_by(&runtime, secret()).await.is_none());
}

/// B8, H2, H29: a filter that spins, sleeps or traps ends by its limit; its event fares as `on-fault` says, and the next
/// one is judged by a fresh instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_h2_filter_faults_fare_as_on_fault_says() {
    for (on_fault, held) in [(OnFault::Reject, true), (OnFault::Pass, false)] {
        let runtime = runtime_with([sinner(on_fault), spec("probe")]).await;
        for sin in ["accepts-spin", "accepts-sleep", "accepts-trap"] {
            let by = filtered_by(&runtime, plain(&format!("hostile.{sin}"))).await;
            assert_eq!(by.is_some(), held, "{sin}");
        }
        let by = filtered_by(&runtime, plain("hostile.accepts-no")).await;
        assert_eq!(by.as_deref(), Some("hostile-filter"), "a verdict is no fault");
    }
}

/// B8: so does one that accepts after a flood of log lines, which are cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_h20_a_filter_that_floods_the_log_goes_on() {
    let spec_of_filter = spec("hostile-filter").filter(FilterOptions::default().timeout(Duration::from_secs(30)));
    let runtime = runtime_with([spec_of_filter, spec("probe")]).await;
    assert_eq!(filtered_by(&runtime, plain("hostile.accepts-flood-log")).await, None);
    assert_eq!(filtered_by(&runtime, plain("user.login")).await, None);
}

/// The sinner that is quarantined with its second fault.
fn touchy(on_fault: OnFault) -> PluginSpec {
    let policy = QuarantinePolicy {
        faults: 1,
        window: Duration::from_secs(3600),
    };
    let options = FilterOptions::default()
        .timeout(Duration::from_secs(5))
        .on_fault(on_fault);
    spec("hostile-filter").filter(options).quarantine(policy)
}

/// B8, S7: after six traps in a minute the filter is quarantined: out of the way (`pass`), or the end of all traffic
/// (`reject`). It is not asked any more, and `plugin.error` tells once. A start puts it right, in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_s7_repeated_faults_of_a_filter_plugin_quarantine_it() {
    for (on_fault, stops_traffic) in [(OnFault::Pass, false), (OnFault::Reject, true)] {
        let options = FilterOptions::default()
            .timeout(Duration::from_secs(5))
            .on_fault(on_fault);
        let runtime = runtime_with([spec("hostile-filter").filter(options), no_secrets(), spec("probe")]).await;
        let errors = Seen::subscribe(&runtime, "plugin.error", "errors");
        for _ in 0..6 {
            assert_eq!(state(&runtime), PluginState::Started);
            filtered_by(&runtime, plain("hostile.accepts-trap")).await;
        }
        assert_eq!(state(&runtime), PluginState::Quarantined);
        let why = runtime.plugin("hostile-filter").expect("loaded").error.expect("words");
        assert!(
            why.ends_with("; start it again to bring it back (filter.quarantine)"),
            "{why}"
        );
        for _ in 0..10 {
            assert_eq!(
                filtered_by(&runtime, plain("user.login")).await.is_some(),
                stops_traffic
            );
            // It would say no to this one, but it is not asked.
            assert_eq!(
                filtered_by(&runtime, plain("hostile.accepts-no")).await.is_some(),
                stops_traffic
            );
        }
        runtime.quiet().await;
        let told = errors.all();
        assert_eq!(told.len(), 1, "{on_fault:?}");
        let told: serde_json::Value = told[0].json().expect("JSON");
        assert_eq!(
            (&told["plugin"], &told["state"]),
            (&json!("hostile-filter"), &json!("quarantined"))
        );
        assert_eq!((&told["class"], &told["faults"]), (&json!("trap"), &json!(6)));

        runtime.start("hostile-filter").await.expect("started");
        assert_eq!(filtered_by(&runtime, plain("user.login")).await, None);
        // Both would refuse it, and the first in the chain does.
        let refused = event("hostile.accepts-no", json!("hunter2"));
        assert_eq!(filtered_by(&runtime, refused).await.as_deref(), Some("hostile-filter"));
        for _ in 0..5 {
            filtered_by(&runtime, plain("hostile.accepts-trap")).await;
        }
        assert_eq!(state(&runtime), PluginState::Started, "nothing is held against it");
    }
}

fn state(runtime: &Runtime) -> PluginState {
    runtime.plugin("hostile-filter").expect("it is loaded").state
}

/// B8, S7: a stop and an unload take a quarantined filter that stops all traffic out of the chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_s7_a_quarantined_filter_stops_the_traffic_until_it_is_taken_out() {
    for unload in [false, true] {
        let runtime = runtime_with([touchy(OnFault::Reject), spec("probe")]).await;
        for _ in 0..2 {
            filtered_by(&runtime, plain("hostile.accepts-trap")).await;
        }
        assert!(filtered_by(&runtime, plain("user.login")).await.is_some());
        if unload {
            runtime.unload("hostile-filter").await.expect("unloaded");
        } else {
            runtime.stop("hostile-filter").await.expect("stopped");
        }
        assert_eq!(filtered_by(&runtime, plain("user.login")).await, None);
    }
}

/// B8, S7: a quarantined filter that can't be started goes on stopping the traffic: a failed start opens no gate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_s7_a_quarantined_filter_that_does_not_start_stops_the_traffic_still() {
    let directory = tempfile::tempdir().expect("a directory");
    let grants = Grants::default().fs(directory.path(), "/rules", FsMode::Read);
    let runtime = runtime_with([touchy(OnFault::Reject).grants(grants), spec("probe")]).await;
    for _ in 0..2 {
        filtered_by(&runtime, plain("hostile.accepts-trap")).await;
    }
    let path = directory.path().to_owned();
    directory.close().expect("removed");
    runtime
        .start("hostile-filter")
        .await
        .expect_err("its directory is gone");
    assert_eq!(state(&runtime), PluginState::Error);
    assert!(filtered_by(&runtime, plain("user.login")).await.is_some());
    std::fs::create_dir(&path).expect("a directory");
    runtime.start("hostile-filter").await.expect("started");
    assert_eq!(filtered_by(&runtime, plain("user.login")).await, None);
    runtime.unload("hostile-filter").await.expect("unloaded");
    assert_eq!(filtered_by(&runtime, plain("user.login")).await, None);
    std::fs::remove_dir(path).expect("removed");
}

/// B8, S7: where its quarantine is off, a filter is asked about every event, however often it has failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_s7_a_filter_without_quarantine_is_always_asked() {
    let runtime = runtime_with([touchy(OnFault::Reject).quarantine(None), spec("probe")]).await;
    for _ in 0..10 {
        assert!(filtered_by(&runtime, plain("hostile.accepts-trap")).await.is_some());
    }
    assert_eq!(filtered_by(&runtime, plain("user.login")).await, None);
    assert_eq!(state(&runtime), PluginState::Started);
}
