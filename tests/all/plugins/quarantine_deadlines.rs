//! S7 and deadlines: who is to blame for a call that was ended by one depends on whose it was.

use std::time::Duration;

use palisade::{Class, DeadlineOf, Event, FilterOptions, LimitKind, Outcome, PluginState, Report, Runtime};
use palisade_tests::{Seen, event, hostile, limits, runtime_with, spec};
use serde_json::Value;

use super::watch::{bears, beside, brief, goes_on, guarded, of_sinner, state};

/// How long a publisher in a hurry waits.
const HURRY: Duration = Duration::from_millis(100);

/// An event without data, which a sin takes as "for ever".
fn bare(event_type: &str) -> Event {
    Event::builder(event_type, "/tests").build().unwrap()
}

async fn within(runtime: &Runtime, event_type: &str, limit: Duration) -> Report {
    guarded(runtime.publish_within(bare(event_type), limit)).await.unwrap()
}

/// The sinner was stopped for its publisher, and everyone else is served.
async fn hurries(runtime: &Runtime, sin: &str) -> Outcome {
    let report = within(runtime, sin, HURRY).await;
    let outcome = report.of("hostile/sin").unwrap().clone();
    assert_eq!(outcome.class, Class::Timeout, "{sin}");
    let report = runtime.publish(event("hostile.ok", Value::Null)).await.unwrap();
    assert_eq!(of_sinner(&report).class, Class::Ok, "by a fresh instance");
    outcome
}

/// S7, B3: publishers that wait less long than a plugin may take can't have it quarantined, not even where no fault is borne,
/// whether it computes or waits in the host. The words blame nobody, and name no key of the plugin's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_b3_publishers_in_a_hurry_obeyed() {
    let (runtime, errors) = beside(hostile().quarantine(bears(0))).await;
    for sin in ["hostile.spin", "hostile.sleep"].repeat(4) {
        let outcome = hurries(&runtime, sin).await;
        assert_eq!(
            outcome.message(),
            "hostile did not end handle by the publisher's deadline and was stopped"
        );
        assert_eq!(outcome.limit(), None);
        let fault = outcome.fault.unwrap();
        assert_eq!(fault.deadline_of(), Some(DeadlineOf::Publisher));
        assert!(!fault.is_guest_fault() && fault.class().is_guest_fault());
    }
    goes_on(&runtime, &errors).await;
}

/// S7, B3: a call that has had all its own time counts, whatever publishers in a hurry did before; and so does one by a
/// publisher that gives it no less than that: of two equal deadlines it is the handler's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_b3_the_handlers_own_deadline_violated() {
    let own = brief().timeout;
    for patience in [own, own * 100] {
        let (runtime, errors) = beside(hostile().limits(brief()).quarantine(bears(1))).await;
        for sin in ["hostile.spin", "hostile.sleep"] {
            hurries(&runtime, sin).await;
            assert_eq!(state(&runtime, "hostile"), Some(PluginState::Started));
            let report = within(&runtime, sin, patience).await;
            let outcome = report.of("hostile/sin").unwrap();
            assert_eq!(
                (outcome.class, outcome.limit()),
                (Class::Timeout, Some(LimitKind::Timeout))
            );
            let fault = outcome.fault.as_ref().unwrap();
            assert_eq!(fault.deadline_of(), Some(DeadlineOf::Handler));
            assert!(fault.is_guest_fault());
        }
        assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
        let told: Value = guarded(errors.wait_for(1)).await[0].json().unwrap();
        assert_eq!((&told["class"], &told["faults"]), (&"timeout".into(), &2.into()));
        let report = runtime.publish(event("hostile.ok", Value::Null)).await.unwrap();
        assert_eq!(of_sinner(&report).class, Class::Unavailable);
    }
}

/// S7, B3: so does one that came by a queue, where no publisher waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_b3_a_queued_event_has_the_handlers_own_deadline() {
    let (runtime, errors) = beside(hostile().limits(brief()).quarantine(bears(0))).await;
    hurries(&runtime, "hostile.sleep").await;
    let taken = runtime
        .publish_async_within(bare("hostile.sleep"), HURRY)
        .await
        .unwrap();
    assert_eq!(taken.enqueued, 2);
    guarded(errors.wait_for(1)).await;
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
}

/// S7, B3: whatever else a guest does wrong while its publisher waits is its own fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_b3_other_faults_count_within_a_publishers_deadline_too() {
    let metered = hostile().limits(limits(|limits| limits.fuel = Some(5_000_000)));
    let (runtime, errors) = beside(metered.quarantine(bears(2))).await;
    let less_than_its_own = Duration::from_secs(25);
    for (sin, class) in [
        ("hostile.trap", Class::Trap),
        ("hostile.spin", Class::OutOfFuel),
        ("hostile.recurse", Class::StackOverflow),
    ] {
        let outcome = of_sinner(&within(&runtime, sin, less_than_its_own).await);
        assert_eq!(outcome.class, class);
        assert_eq!(outcome.fault.unwrap().deadline_of(), None);
    }
    guarded(errors.wait_for(1)).await;
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
}

/// S7, B8: what a filter may take is the operator's to say, and no publisher's: a filter that misses that is to blame,
/// however short its publisher waits, and is told the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_b8_a_filter_that_misses_its_time_in_the_chain_counts() {
    let filter = spec("hostile-filter").filter(FilterOptions::default().timeout(brief().timeout));
    let runtime = runtime_with([filter.quarantine(bears(0)), spec("probe")]).await;
    let errors = Seen::subscribe(&runtime, "plugin.error", "errors");
    within(&runtime, "hostile.accepts-spin", HURRY).await;
    assert_eq!(state(&runtime, "hostile-filter"), Some(PluginState::Quarantined));
    let told: Value = guarded(errors.wait_for(1)).await[0].json().unwrap();
    assert_eq!(
        told["error"],
        "hostile-filter did not end accepts by its deadline and was stopped; its limit is 500ms (filter.timeout)"
    );
    runtime.stop("hostile-filter").await.unwrap();
    assert!(runtime.publish(event("any", Value::Null)).await.unwrap().all_ok());
}
