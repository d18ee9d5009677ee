//! Plugins that come and go, many times and all at once.

use palisade::{Class, Disposition, Failure, PluginState, Runtime};
use palisade_tests::{dead_letters, event, runtime, runtime_with, spec};
use serde_json::Value;

use super::watch::{guarded, state};

/// L1, L3: fifty times loaded, started and unloaded, nothing of a plugin is left: no instance, no subscription, no name.
#[tokio::test]
async fn l1_nothing_is_left_after_many_loads_and_unloads() {
    let runtime = runtime();
    for round in 0..50 {
        runtime.load(spec("probe").concurrency(2)).await.unwrap();
        runtime.start("probe").await.unwrap();
        assert!(
            runtime.publish(event("x", Value::Null)).await.unwrap().all_ok(),
            "round {round}"
        );
        if round % 2 == 0 {
            runtime.stop("probe").await.unwrap();
        }
        runtime.unload("probe").await.unwrap();
        assert_eq!(runtime.health().await.instances, 0, "round {round}");
        assert!(runtime.handler_stats().is_empty(), "round {round}");
    }
    let report = runtime.publish(event("x", Value::Null)).await.unwrap();
    assert_eq!(report.disposition, Disposition::Unmatched);
    assert!(dead_letters(&runtime).await.is_empty());
}

/// One task's share: mostly its own plugin, sometimes one that all of them fight over.
async fn churn(runtime: Runtime, task: usize) {
    let own = format!("own-{task}");
    for round in 0..6 {
        match (task + round) % 4 {
            0 => {
                runtime.load(spec("probe").name(&own)).await.unwrap();
                runtime.start(&own).await.unwrap();
                runtime.publish(event("x", Value::Null)).await.unwrap();
                runtime.unload(&own).await.unwrap();
            }
            1 => {
                // Others do the same: each of these may be refused, none may hang.
                let _ = runtime.load(spec("probe").name("shared")).await;
                let _ = runtime.start("shared").await;
                let _ = runtime
                    .reconfigure("shared", palisade::PluginConfig::default().with("round", round))
                    .await;
                let _ = runtime.stop("shared").await;
                let _ = runtime.unload("shared").await;
            }
            2 => {
                for _ in 0..20 {
                    let report = runtime.publish(event("x", Value::Null)).await.unwrap();
                    assert_eq!(report.of("steady/all").unwrap().class, Class::Ok);
                    let mut classes = report.outcomes.iter().map(|outcome| outcome.class);
                    assert!(
                        classes.all(|class| matches!(class, Class::Ok | Class::Unavailable)),
                        "{report:?}"
                    );
                    let receipt = runtime.publish_async(event("x", Value::Null)).await.unwrap();
                    assert_eq!(receipt.matched, receipt.enqueued + receipt.refused.len());
                }
            }
            _ => {
                for n in 0..20 {
                    let name = format!("native-{task}-{n}");
                    let id = runtime
                        .subscribe("x.>", &name, |_| async { Ok::<(), Failure>(()) })
                        .unwrap();
                    runtime.publish(event("x.y", Value::Null)).await.unwrap();
                    runtime.unsubscribe(id).unwrap();
                }
            }
        }
        runtime.plugins();
        runtime.health().await;
    }
}

/// H52: sixteen tasks load, unload, reconfigure, publish and subscribe at once: no deadlock, a plugin that none of them
/// touches is served all the while, and nothing is left of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn h52_many_tasks_may_change_everything_at_once() {
    let runtime = runtime_with([spec("probe").name("steady").concurrency(4)]).await;
    let tasks: Vec<_> = (0..16).map(|task| tokio::spawn(churn(runtime.clone(), task))).collect();
    guarded(async {
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
    if state(&runtime, "shared").is_some() {
        runtime.unload("shared").await.unwrap();
    }
    assert_eq!(state(&runtime, "steady"), Some(PluginState::Started));
    assert_eq!(runtime.plugins().len(), 1);
    assert_eq!(runtime.health().await.instances, 4);
    let names: Vec<_> = runtime
        .handler_stats()
        .iter()
        .map(|stats| stats.handler.to_string())
        .collect();
    assert_eq!(names, ["steady/all"]);
}

/// L1: a name that others load and unload at the same time is always either there, whole, or gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l1_changes_of_one_plugin_take_turns() {
    let runtime = runtime_with([spec("probe")]).await;
    let turn = |runtime: Runtime| async move {
        for _ in 0..20 {
            let (stopped, started) = (runtime.stop("probe").await, runtime.start("probe").await);
            assert!(stopped.is_ok() || started.is_ok() || runtime.plugin("probe").is_some());
        }
    };
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(turn(runtime.clone()))).collect();
    for task in tasks {
        guarded(task).await.unwrap();
    }
    if state(&runtime, "probe") == Some(PluginState::Stopped) {
        runtime.start("probe").await.unwrap();
    }
    assert_eq!(runtime.health().await.instances, 1);
    assert!(runtime.publish(event("x", Value::Null)).await.unwrap().all_ok());
}
