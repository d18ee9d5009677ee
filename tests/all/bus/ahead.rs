//! B7, D7: what a worker has taken of its queue before it begins with it counts as queued, and a publisher that waits for room
//! hears of it in time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::{Class, Context, Event, Overflow, QueuePolicy, RetryPolicy, Runtime, SubscribeOptions};
use palisade_tests::{event, runtime};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::words::{Gate, plain, queue_of, stats_of};

async fn taken(runtime: &Runtime, event: Event) {
    let receipt = runtime.publish_async(event).await.expect("published");
    assert_eq!(receipt.enqueued, 1, "{receipt:?}");
}

/// A gate with its first call begun, and so many events behind that.
async fn with_queued(runtime: &Runtime, options: SubscribeOptions, queued: u32) -> Gate {
    let gate = Gate::subscribe_with(runtime, "a", "slow", options);
    taken(runtime, plain("a")).await;
    gate.began(1).await;
    for _ in 0..queued {
        taken(runtime, plain("a")).await;
    }
    gate
}

/// Lets one call end and the next begin: the worker has taken all that was queued then.
async fn step(gate: &Gate) {
    gate.open(1);
    gate.began(1).await;
}

/// B7: the bound of a queue is what it was, whatever the worker has taken ahead.
#[tokio::test(start_paused = true)]
async fn b7_what_is_taken_ahead_counts_as_queued() {
    let runtime = runtime();
    let gate = with_queued(&runtime, queue_of(8, Overflow::Reject), 8).await;
    for _ in 0..5 {
        step(&gate).await;
        taken(&runtime, plain("a")).await;
        let refused = runtime.publish_async(plain("a")).await.expect("published").refused;
        assert_eq!((refused.len(), stats_of(&runtime, "slow").queued), (1, 8));
        step(&gate).await;
        assert_eq!(stats_of(&runtime, "slow").queued, 7);
        taken(&runtime, plain("a")).await;
    }
    gate.open(100);
    runtime.quiet().await;
    assert_eq!(stats_of(&runtime, "slow").count(Class::Ok), 19);
}

/// B7, B6: `drop-oldest` drops the oldest that no attempt has begun for, whoever has taken it, and the order stays.
#[tokio::test(start_paused = true)]
async fn b7_b6_drop_oldest_drops_what_is_taken_ahead() {
    let runtime = runtime();
    let (seen, go) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
    let began = Arc::new(Semaphore::new(0));
    let inside = (seen.clone(), go.clone(), began.clone());
    let note = move |cx: Context| {
        let (seen, go, began) = inside.clone();
        async move {
            seen.lock()
                .expect("no panic")
                .push(cx.event.json::<u32>().expect("JSON"));
            began.add_permits(1);
            go.acquire().await.expect("never closed").forget();
            Ok(())
        }
    };
    runtime
        .subscribe_with(&["a"], "slow", queue_of(4, Overflow::DropOldest), note)
        .expect("subscribed");
    taken(&runtime, event("a", json!(1))).await;
    began.acquire().await.expect("never closed").forget();
    for number in 2..=5 {
        taken(&runtime, event("a", json!(number))).await;
    }
    go.add_permits(1);
    began.acquire().await.expect("never closed").forget();
    for number in 6..=8 {
        taken(&runtime, event("a", json!(number))).await;
    }
    go.add_permits(100);
    runtime.quiet().await;
    assert_eq!(*seen.lock().expect("no panic"), [1, 2, 5, 6, 7, 8]);
    assert_eq!(stats_of(&runtime, "slow").dropped, 2);
}

/// D7: a drain that gives up counts what the worker had taken ahead, each event once.
#[tokio::test(start_paused = true)]
async fn d7_what_is_taken_ahead_is_counted_when_it_is_given_up() {
    let runtime = runtime();
    let options = queue_of(100, Overflow::Block).timeout(Duration::from_secs(3600));
    let gate = with_queued(&runtime, options, 10).await;
    step(&gate).await;
    for _ in 0..5 {
        taken(&runtime, plain("a")).await;
    }
    assert_eq!(runtime.shutdown(Duration::from_secs(1)).await.abandoned, 15);
    gate.open(100);
    runtime.quiet().await;
    assert_eq!(gate.begun(), 0, "no delivery began after the shutdown had returned");
}

/// B7: one free place is told while the handler is at work, though it is not worth the wake-up where the handler goes on.
#[tokio::test(start_paused = true)]
async fn b7_one_place_is_told_while_the_handler_waits() {
    let runtime = runtime();
    let gate = with_queued(&runtime, queue_of(100, Overflow::Block), 100).await;
    let (started, mut waiting) = (Instant::now(), Vec::new());
    for _ in 0..3 {
        let runtime = runtime.clone();
        waiting.push(tokio::spawn(async move { taken(&runtime, plain("a")).await }));
    }
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "it is full");
    for waiting in waiting {
        gate.open(1);
        waiting.await.expect("it was taken");
    }
    assert_eq!(started.elapsed(), Duration::ZERO, "nobody waited for a deadline");
    gate.open(200);
    runtime.quiet().await;
}

/// B7: an event that needs more room than the others that wait is taken as soon as there is so much, and none is left waiting.
#[tokio::test]
async fn b7_a_large_event_misses_no_wake_up() {
    let runtime = runtime();
    let large = |bytes| {
        let event = Event::builder("a", "/tests").data("text/plain", vec![b'x'; bytes]);
        event.build().expect("an event")
    };
    let queue = QueuePolicy {
        events: 64,
        bytes: large(20_000).size_bytes(),
        overflow: Overflow::Block,
    };
    let options = SubscribeOptions::default().queue(queue).retry(RetryPolicy::none());
    runtime
        .subscribe_with(&["a"], "quick", options, |_| std::future::ready(Ok(())))
        .expect("subscribed");
    let mut publishers = Vec::new();
    for publisher in 0..8 {
        let (runtime, bytes) = (runtime.clone(), if publisher == 0 { 20_000 } else { 1_000 });
        publishers.push(tokio::spawn(async move {
            for _ in 0..500 {
                taken(&runtime, large(bytes)).await;
            }
        }));
    }
    for publisher in publishers {
        publisher.await.expect("each was taken within the publisher's deadline");
    }
    runtime.quiet().await;
    assert_eq!(stats_of(&runtime, "quick").count(Class::Ok), 4_000);
}
