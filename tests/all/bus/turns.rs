//! Who goes first when several handlers get one event.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::{Class, Failure, SubscribeOptions};
use palisade_tests::{event, runtime};
use serde_json::json;

type Order = Arc<Mutex<Vec<&'static str>>>;

fn called(order: &Order) -> Vec<&'static str> {
    std::mem::take(&mut *order.lock().unwrap())
}

/// B3, B7: handlers go in the order of their subscriptions, but one that had to be stopped goes last with the next event,
/// and one that had to wait goes after those that were done at once. When it mends its ways it has its place again.
#[tokio::test(start_paused = true)]
async fn b3_who_had_to_be_stopped_goes_last() {
    let (runtime, order) = (runtime(), Order::default());
    let subscribe = |name: &'static str, takes: fn(bool) -> Duration| {
        let order = order.clone();
        let options = SubscribeOptions::default().timeout(Duration::from_secs(1));
        let handler = move |cx: palisade::Context| {
            order.lock().unwrap().push(name);
            let takes = takes(cx.event.json().unwrap());
            async move {
                if !takes.is_zero() {
                    tokio::time::sleep(takes).await;
                }
                Ok::<(), Failure>(())
            }
        };
        runtime.subscribe_with(&["t"], name, options, handler).unwrap();
    };
    subscribe(
        "spinner",
        |bad| if bad { Duration::from_secs(60) } else { Duration::ZERO },
    );
    subscribe(
        "waiter",
        |bad| if bad { Duration::from_millis(5) } else { Duration::ZERO },
    );
    subscribe("healthy", |_| Duration::ZERO);
    let publish = async |bad: bool| runtime.publish(event("t", json!(bad))).await.unwrap();

    let report = publish(true).await;
    assert_eq!(report.of("spinner").unwrap().class, Class::Timeout);
    assert_eq!(called(&order), ["spinner", "waiter", "healthy"]);
    publish(false).await;
    assert_eq!(called(&order), ["healthy", "waiter", "spinner"]);
    publish(false).await;
    assert_eq!(called(&order), ["spinner", "waiter", "healthy"]);
}
