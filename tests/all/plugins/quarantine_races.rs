//! S7 meets whatever else happens to a plugin: it is quarantined once, or not at all, and never for the faults of others.

use std::time::Duration;

use palisade::{Class, Event, PluginSpec, PluginState, PublishError, Report, Runtime};
use palisade_tests::{config, event, hostile, limits};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::watch::{bears, beside, brief, goes_on, guarded, of_sinner, sleep, state, until_busy};

/// Not one fault is borne; a call may take half a second.
fn touchy() -> PluginSpec {
    hostile().limits(brief()).quarantine(bears(0))
}

/// The same, with so much time for a call that whatever the test does comes before its end.
fn patient() -> PluginSpec {
    touchy().limits(limits(|limits| limits.timeout = Duration::from_secs(2)))
}

fn publish(runtime: &Runtime, event: Event) -> JoinHandle<Result<Report, PublishError>> {
    let runtime = runtime.clone();
    tokio::spawn(async move { runtime.publish(event).await })
}

/// Waits until one of two instances is at work.
async fn until_one_is_busy(runtime: &Runtime) {
    while runtime.plugin("hostile").unwrap().instance_memory.len() == 2 {
        tokio::task::yield_now().await;
    }
}

async fn class(runtime: &Runtime, event: Event) -> Class {
    of_sinner(&runtime.publish(event).await.unwrap()).class
}

fn ok() -> Event {
    event("hostile.ok", Value::Null)
}

fn trap() -> Event {
    event("hostile.trap", Value::Null)
}

/// S7: instances that fail at the same time are counted each, and the plugin is quarantined once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_faults_at_the_same_time_are_told_once() {
    for (instances, quarantined) in [(5, false), (6, true), (9, true)] {
        let (runtime, errors) = beside(touchy().concurrency(instances).quarantine(bears(5))).await;
        let calls: Vec<_> = (0..instances).map(|_| publish(&runtime, sleep())).collect();
        for call in calls {
            let report = guarded(call).await.unwrap().unwrap();
            assert_eq!(report.of("hostile/sin").unwrap().class, Class::Timeout);
        }
        guarded(runtime.quiet()).await;
        assert_eq!(errors.len(), usize::from(quarantined), "{instances}");
        let expected = if quarantined { Class::Unavailable } else { Class::Ok };
        assert_eq!(class(&runtime, ok()).await, expected, "{instances}");
        assert_eq!(
            runtime.plugin("hostile").unwrap().instance_memory.len(),
            usize::from(!quarantined)
        );
    }
}

/// S7: calls that run when their plugin is quarantined come to their own end, and a start waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_calls_that_run_are_finished() {
    let (runtime, errors) = beside(hostile().quarantine(bears(0)).concurrency(2)).await;
    let running = publish(&runtime, event("hostile.sleep", json!(1000)));
    guarded(until_one_is_busy(&runtime)).await;
    assert_eq!(class(&runtime, trap()).await, Class::Trap);
    assert_eq!(
        class(&runtime, ok()).await,
        Class::Unavailable,
        "no other delivery begins"
    );
    guarded(errors.wait_for(1)).await;
    guarded(runtime.start("hostile")).await.unwrap();
    assert_eq!(
        runtime.health().await.instances,
        3,
        "two, and the neighbour's: none is left of before"
    );
    let report = guarded(running).await.unwrap().unwrap();
    assert_eq!(report.of("hostile/sin").unwrap().class, Class::Ok);
}

/// S7, L3: a fault that ends a call after its plugin has begun to stop quarantines nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_a_fault_while_the_plugin_stops_is_held_against_nobody() {
    for unload in [false, true] {
        let (runtime, errors) = beside(patient()).await;
        let running = publish(&runtime, sleep());
        guarded(until_busy(&runtime, "hostile")).await;
        if unload {
            guarded(runtime.unload("hostile")).await.unwrap();
        } else {
            guarded(runtime.stop("hostile")).await.unwrap();
        }
        let report = guarded(running).await.unwrap().unwrap();
        assert_eq!(report.of("hostile/sin").unwrap().class, Class::Timeout);
        let expected = if unload { None } else { Some(PluginState::Stopped) };
        assert_eq!(state(&runtime, "hostile"), expected);
        runtime.quiet().await;
        assert!(errors.is_empty());
    }
}

/// S7, L4: a fault of instances that were replaced meanwhile says nothing about those that took over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_a_fault_of_replaced_instances_is_held_against_nobody() {
    let (runtime, errors) = beside(patient()).await;
    let running = publish(&runtime, sleep());
    guarded(until_busy(&runtime, "hostile")).await;
    guarded(runtime.reconfigure("hostile", config(json!({ "in-stop": "nothing" }))))
        .await
        .unwrap();
    let report = guarded(running).await.unwrap().unwrap();
    assert_eq!(report.of("hostile/sin").unwrap().class, Class::Timeout);
    goes_on(&runtime, &errors).await;
}

/// S7, L4: a plugin that is quarantined while another config is tried is so after that has failed, and told once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_a_quarantine_while_another_config_is_tried() {
    let (runtime, errors) = beside(patient()).await;
    let instances = runtime.health().await.instances;
    let changer = runtime.clone();
    let never_starts = config(json!({ "in-start": "sleep" }));
    let change = tokio::spawn(async move { changer.reconfigure("hostile", never_starts).await });
    let under_way = async {
        while runtime.health().await.instances == instances {
            tokio::task::yield_now().await;
        }
    };
    guarded(under_way).await;
    assert_eq!(class(&runtime, trap()).await, Class::Trap);
    assert_eq!(class(&runtime, ok()).await, Class::Unavailable);
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
    guarded(change).await.unwrap().unwrap_err();
    guarded(runtime.quiet()).await;
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
    assert_eq!(errors.len(), 1);
}

/// S7, L1: whoever changes a plugin's life in the moment of its quarantine finds it quarantined, and it is told before the
/// change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_a_change_right_after_the_fault_comes_after_the_quarantine() {
    for _ in 0..10 {
        let (runtime, errors) = beside(touchy()).await;
        assert_eq!(class(&runtime, trap()).await, Class::Trap);
        runtime.start("hostile").await.unwrap();
        assert_eq!(class(&runtime, ok()).await, Class::Ok);
        runtime.quiet().await;
        assert_eq!(errors.len(), 1);
    }
}

/// S7, D7: a shutdown ends a quarantined plugin like the others, without a word from it, be the quarantine settled or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_d7_a_shutdown_right_after_the_fault() {
    for settled in [true, false] {
        let (runtime, errors) = beside(touchy().concurrency(2)).await;
        assert_eq!(class(&runtime, trap()).await, Class::Trap);
        if settled {
            guarded(errors.wait_for(1)).await;
        }
        let drained = guarded(runtime.shutdown(Duration::from_secs(60))).await;
        assert_eq!(drained.abandoned, 0);
        assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
        assert_eq!(state(&runtime, "probe"), Some(PluginState::Stopped));
        assert_eq!((runtime.health().await.instances, errors.len()), (0, 1));
    }
}

/// S7, D7: a call that still runs in a quarantined plugin when the drain is over does not keep the others from their end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_d7_a_shutdown_does_not_wait_for_the_calls_of_a_quarantined_plugin() {
    let hour = limits(|limits| limits.timeout = Duration::from_secs(3600));
    let (runtime, errors) = beside(hostile().quarantine(bears(0)).limits(hour).concurrency(2)).await;
    let running = publish(&runtime, sleep());
    guarded(until_one_is_busy(&runtime)).await;
    assert_eq!(class(&runtime, trap()).await, Class::Trap);
    guarded(errors.wait_for(1)).await;
    guarded(runtime.shutdown(Duration::from_millis(100))).await;
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
    assert_eq!(state(&runtime, "probe"), Some(PluginState::Stopped));
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(runtime.health().await.instances, 0);
}
