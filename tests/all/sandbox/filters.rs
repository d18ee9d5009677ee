//! Filter plugins that sin: the event gets a verdict by the deadline all the same.

use std::time::Duration;

use palisade::{Disposition, FilterOptions, OnFault, Runtime};
use palisade_tests::{limits, runtime, spec};
use serde_json::Value;

use super::beside::{SHORT, neighbour, sin_event};

/// Each sin of a filter's that is a fault.
const FAULTS: [&str; 3] = ["hostile.accepts-spin", "hostile.accepts-sleep", "hostile.accepts-trap"];

async fn filtered_by(options: FilterOptions) -> Runtime {
    let runtime = runtime();
    runtime
        .launch(vec![spec("hostile-filter").filter(options), neighbour()])
        .await
        .unwrap();
    runtime
}

async fn publish(runtime: &Runtime, event_type: &str) -> Disposition {
    runtime
        .publish(sin_event(event_type, Value::Null))
        .await
        .unwrap()
        .disposition
}

/// S2, H2, B8: a filter that spins, sleeps or traps refuses the event that it failed at, by its deadline; the next event
/// gets a fresh instance and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h2_a_filter_ends_by_its_deadline_and_refuses() {
    let runtime = filtered_by(FilterOptions::default().timeout(SHORT)).await;
    for sin in FAULTS {
        let disposition = publish(&runtime, sin).await;
        assert!(
            matches!(&disposition, Disposition::Filtered { name, .. } if &**name == "hostile-filter"),
            "{sin}"
        );
        assert_eq!(publish(&runtime, "hostile.ok").await, Disposition::Delivered);
    }
}

/// S2, H2, B8: where a fault means to pass, the event goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h2_a_filter_ends_by_its_deadline_and_passes() {
    let runtime = filtered_by(FilterOptions::default().timeout(SHORT).on_fault(OnFault::Pass)).await;
    for sin in FAULTS {
        assert_eq!(publish(&runtime, sin).await, Disposition::Delivered, "{sin}");
    }
    let disposition = publish(&runtime, "hostile.accepts-no").await;
    assert!(
        matches!(disposition, Disposition::Filtered { .. }),
        "a refusal is no fault"
    );
}

/// S1, H20: a filter that floods its log is cut there, and accepts all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h20_a_filter_that_floods_its_log_goes_on() {
    let runtime = filtered_by(FilterOptions::default().timeout(Duration::from_secs(30))).await;
    assert_eq!(
        publish(&runtime, "hostile.accepts-flood-log").await,
        Disposition::Delivered
    );
}

/// S2, H2: what the plugin's own limit says holds for a filter whose options allow more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_a_filters_own_limit_on_time_holds_too() {
    let runtime = runtime();
    let options = FilterOptions::default().timeout(Duration::from_secs(3600));
    let hurried = spec("hostile-filter")
        .filter(options)
        .limits(limits(|limits| limits.timeout = SHORT));
    runtime.launch(vec![hurried, neighbour()]).await.unwrap();
    // Without the limit this would take an hour.
    let verdict = tokio::time::timeout(Duration::from_secs(60), publish(&runtime, "hostile.accepts-spin")).await;
    assert!(matches!(
        verdict.expect("the plugin's limit ended it"),
        Disposition::Filtered { .. }
    ));
}
