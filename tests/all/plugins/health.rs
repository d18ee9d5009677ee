//! How a plugin feels.

use std::time::Duration;

use palisade::{Class, Health, PluginError};
use palisade_tests::{config, event, hostile, limits, runtime_with, spec};
use serde_json::{Value, json};

use super::watch::{brief, guarded, sleep, until_busy};

/// L6: a plugin whose instances are all at work is busy, which is no illness, and is not asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l6_a_busy_plugin_is_not_unhealthy() {
    let sick = config(json!({ "in-health": "error" }));
    let slow = limits(|limits| limits.timeout = Duration::from_secs(2));
    let runtime = runtime_with([hostile().limits(slow).config(sick), spec("probe")]).await;
    let publisher = runtime.clone();
    let call = tokio::spawn(async move { publisher.publish(sleep()).await });
    guarded(until_busy(&runtime, "hostile")).await;
    assert_eq!(runtime.plugin_health("hostile").await.unwrap(), Health::Busy);
    call.await.unwrap().unwrap();
    let all = runtime.health().await.plugins;
    assert_eq!(all[1], ("probe".to_owned(), Health::Healthy));
    assert!(matches!(&all[0].1, Health::Unhealthy(why) if why.contains("hostile is not well")));
}

/// L6, H2: a plugin says itself that it is unwell, or shows it by how it fails to answer. Its neighbour stays healthy, and
/// it goes on with its events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l6_h2_an_unhealthy_plugin_is_told_by_its_words_or_its_fault() {
    let ways = [
        ("error", "hostile is not well"),
        ("trap", "trap: "),
        ("panic", "hostile panics outside handle"),
        ("spin", "by its deadline and was stopped"),
        ("sleep", "by its deadline and was stopped"),
    ];
    for (way, words) in ways {
        let sick = hostile().limits(brief()).config(config(json!({ "in-health": way })));
        let runtime = runtime_with([sick, spec("probe")]).await;
        let health = guarded(runtime.plugin_health("hostile")).await.unwrap();
        let Health::Unhealthy(why) = &health else {
            panic!("{way}: {health:?}")
        };
        assert!(why.contains(words), "{way}: {why}");
        assert_eq!(runtime.plugin_health("probe").await.unwrap(), Health::Healthy, "{way}");
        let report = runtime.publish(event("hostile.ok", Value::Null)).await.unwrap();
        assert!(
            report.outcomes.iter().all(|outcome| outcome.class == Class::Ok),
            "{way}: {report:?}"
        );
    }
}

/// L6: a plugin that does not run says so; one that is not there has no health.
#[tokio::test]
async fn l6_a_plugin_that_does_not_run_says_so() {
    let runtime = runtime_with([]).await;
    runtime.load(spec("probe")).await.unwrap();
    let unwell = |state: &str| Health::Unhealthy(format!("unavailable: it is {state}"));
    assert_eq!(runtime.plugin_health("probe").await.unwrap(), unwell("loaded"));
    runtime.start("probe").await.unwrap();
    assert_eq!(runtime.plugin_health("probe").await.unwrap(), Health::Healthy);
    runtime.stop("probe").await.unwrap();
    assert_eq!(runtime.plugin_health("probe").await.unwrap(), unwell("stopped"));
    assert!(matches!(
        runtime.plugin_health("ghost").await,
        Err(PluginError::NotFound(_))
    ));
}

/// S1, L6: health tells how many instances live, and the clock that stops spinners.
#[tokio::test]
async fn l6_health_counts_the_instances() {
    let runtime = runtime_with([spec("probe").concurrency(3)]).await;
    let health = runtime.health().await;
    assert_eq!(health.instances, 3);
    assert!(health.max_instances >= 3);
    runtime.stop("probe").await.unwrap();
    assert_eq!(runtime.health().await.instances, 0);
}
