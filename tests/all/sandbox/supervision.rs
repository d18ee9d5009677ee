//! The clock that stops guests, as an operator sees it.

use palisade::{Health, RuntimeHealth};
use palisade_tests::hostile;
use serde_json::Value;

use super::beside::{Beside, only, sin_event};

fn of(health: &RuntimeHealth, plugin: &str) -> Health {
    health
        .plugins
        .iter()
        .find(|(name, _)| name == plugin)
        .expect("it is there")
        .1
        .clone()
}

/// S3, H8: health tells how many calls run and whether the clock had to be replaced, and is answered while guests spin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_h8_health_tells_of_the_ticker() {
    let beside = Beside::new(hostile().concurrency(2).grants(only("hostile.spin"))).await;
    let health = beside.runtime.health().await;
    assert_eq!((health.ticker.running_calls, health.ticker.replaced), (0, 0));
    let publish = || {
        let runtime = beside.runtime.clone();
        tokio::spawn(async move { runtime.publish(sin_event("hostile.spin", Value::Null)).await })
    };
    let spinners = [publish(), publish()];
    beside.busy(&spinners).await;
    let health = beside.runtime.health().await;
    assert_eq!((health.ticker.running_calls, health.ticker.replaced), (2, 0));
    assert_eq!(of(&health, "neighbour"), Health::Healthy);
    assert_eq!(
        of(&health, "hostile"),
        Health::Busy,
        "a busy plugin is not an unhealthy one"
    );
    for spinner in spinners {
        spinner.abort();
        assert!(spinner.await.unwrap_err().is_cancelled());
    }
    assert_eq!(beside.runtime.health().await.ticker.running_calls, 0);
}
