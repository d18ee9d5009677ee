//! One event to many handlers, and what others do meanwhile.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::poll;
use palisade::{Context, Failure, SubscribeOptions};
use palisade_tests::runtime;
use tokio::sync::Semaphore;

use super::words::plain;

/// B3: whoever was not done at once with the last event has a later turn, and that changes while another publisher sorts by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_turns_may_change_while_others_publish() {
    let runtime = runtime();
    for number in 0..60 {
        let options = SubscribeOptions::default().concurrency(64);
        let calls = AtomicUsize::new(number);
        let handler = move |_: Context| {
            let waits = calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
            async move {
                if waits {
                    tokio::task::yield_now().await;
                }
                Ok::<(), Failure>(())
            }
        };
        runtime
            .subscribe_with(&["a"], &format!("handler-{number}"), options, handler)
            .unwrap();
    }
    let publishers: Vec<_> = (0..4)
        .map(|_| {
            let runtime = runtime.clone();
            tokio::spawn(async move {
                for _ in 0..1000 {
                    assert!(runtime.publish(plain("a")).await.unwrap().all_ok());
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.expect("a publisher's task goes on");
    }
}

/// B1: a handler that is unsubscribed is gone at once, whoever waits for others.
#[tokio::test]
async fn b1_what_is_unsubscribed_is_let_go_whatever_is_under_way() {
    let runtime = runtime();
    let (go, captured) = (Arc::new(Semaphore::new(0)), Arc::new(()));
    let (waits, held) = (go.clone(), captured.clone());
    let gate = move |_: Context| {
        let waits = waits.clone();
        async move {
            waits.acquire().await.expect("open").forget();
            Ok::<(), Failure>(())
        }
    };
    runtime.subscribe("a", "gate", gate).unwrap();
    let other = move |_: Context| {
        let _ = &held;
        ready(Ok::<(), Failure>(()))
    };
    let other = runtime.subscribe("b", "other", other).unwrap();
    let mut publishing = Box::pin(runtime.publish(plain("a")));
    assert!(poll!(&mut publishing).is_pending());
    runtime.unsubscribe(other).unwrap();
    assert_eq!(Arc::strong_count(&captured), 1, "nobody keeps it");
    go.add_permits(1);
    assert!(publishing.await.unwrap().all_ok());
}
