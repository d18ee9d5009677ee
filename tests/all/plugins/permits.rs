//! The places of a plugin's instances, under everything at once that takes and gives them.

use std::time::Duration;

use palisade::{Class, Runtime};
use palisade_tests::{event, hostile, runtime_with};
use serde_json::{Value, json};

use super::watch::guarded;

const ROUNDS: u64 = 60;

/// One task's share: events that are waited for, dropped before they begin and meanwhile, and have too little time.
async fn publish(runtime: Runtime, task: u64) {
    for round in 0..ROUNDS {
        match (task + round) % 6 {
            0 => drop(runtime.publish(event("hostile.ok", Value::Null))),
            1 => {
                let call = runtime.publish(event("hostile.sleep", json!(5)));
                drop(tokio::time::timeout(Duration::from_millis(round % 7), call).await);
            }
            2 => {
                let limit = Duration::from_millis(round % 5);
                drop(runtime.publish_within(event("hostile.sleep", json!(3)), limit).await);
            }
            3 => drop(runtime.publish(event("hostile.panic", Value::Null)).await),
            4 => drop(runtime.publish_async(event("hostile.ok", Value::Null)).await),
            _ => drop(runtime.publish(event("hostile.ok", Value::Null)).await),
        }
    }
}

/// So many calls at once, and one more has no place.
async fn has_places(runtime: &Runtime, places: usize) {
    let sleep = || runtime.publish(event("hostile.sleep", json!(400)));
    let calls = (0..places).map(|_| sleep());
    let one_more = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let limit = Duration::from_millis(100);
        runtime.publish_within(event("hostile.ok", Value::Null), limit).await
    };
    let at = std::time::Instant::now();
    let (reports, refused) = tokio::join!(futures_util::future::join_all(calls), one_more);
    assert!(reports.into_iter().all(|report| report.unwrap().all_ok()));
    assert!(at.elapsed() < Duration::from_millis(790), "all at once");
    assert_eq!(refused.unwrap().outcomes[0].class, Class::Overloaded, "and no more");
}

/// B3, L3, S5: whatever is dropped, killed and stopped meanwhile, no place of an instance is lost, and none is there twice; after
/// a stop nothing runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b3_l3_places_are_neither_lost_nor_doubled() {
    for places in [1, 3] {
        let plugin = hostile().concurrency(places).quarantine(None);
        let runtime = runtime_with([plugin]).await;
        let tasks: Vec<_> = (0..6)
            .map(|task| tokio::spawn(publish(runtime.clone(), task)))
            .collect();
        let asks = runtime.clone();
        let asked = tokio::spawn(async move {
            for round in 0..40 {
                asks.plugin_health("hostile").await.ok();
                asks.plugins();
                if round % 10 == 9 {
                    asks.stop("hostile").await.unwrap();
                    assert_eq!(asks.health().await.instances, 0);
                    asks.start("hostile").await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        guarded(async {
            asked.await.unwrap();
            for task in tasks {
                task.await.unwrap();
            }
            runtime.quiet().await;
        })
        .await;
        has_places(&runtime, places).await;
        assert_eq!(runtime.health().await.instances, places);
    }
}
