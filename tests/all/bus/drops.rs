//! B7: queues that drop what they have no room for, and count it.

use std::sync::Arc;
use std::time::Duration;

use palisade::{Class, Event, Failure, Overflow, QueuePolicy, RetryPolicy, Runtime, SubscribeOptions};
use palisade_tests::{Seen, event, runtime};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::words::{Gate, queue_of, stats_of};

fn numbered(number: u32) -> Event {
    event("a", json!(number))
}

/// Six events for a queue of three, while the first is in the handler's hands; how many were dropped.
async fn overfill(overflow: Overflow) -> (Runtime, Vec<Value>, Vec<usize>) {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", queue_of(3, overflow));
    let healthy = Seen::subscribe(&runtime, "a", "healthy");
    runtime.publish_async(numbered(0)).await.expect("published");
    gate.began(1).await;
    let mut dropped = Vec::new();
    for number in 1..=5 {
        let receipt = runtime.publish_async(numbered(number)).await.expect("published");
        assert_eq!(
            receipt.matched,
            receipt.enqueued + receipt.dropped + receipt.refused.len()
        );
        assert!(receipt.refused.is_empty());
        dropped.push(receipt.dropped);
    }
    gate.open(9);
    runtime.quiet().await;
    let served: Vec<_> = healthy.all().iter().map(|event| event.json().expect("JSON")).collect();
    (runtime, served, dropped)
}

/// B7: `drop-newest` drops what comes, tells its publisher, and counts it; others get it all the same.
#[tokio::test(start_paused = true)]
async fn b7_drop_newest_drops_what_comes() {
    let (runtime, served, dropped) = overfill(Overflow::DropNewest).await;
    assert_eq!(dropped, [0, 0, 0, 1, 1]);
    assert_eq!(served.len(), 6);
    let stats = stats_of(&runtime, "slow");
    assert_eq!((stats.count(Class::Ok), stats.dropped), (4, 2));
    assert_eq!((runtime.stats().dropped, runtime.stats().refused), (2, 0));
    assert_eq!(runtime.stats().dead_letters, 0);
}

/// B7: `drop-oldest` makes room for what comes, and counts what is gone.
#[tokio::test(start_paused = true)]
async fn b7_drop_oldest_drops_what_waited_longest() {
    let (runtime, served, dropped) = overfill(Overflow::DropOldest).await;
    assert_eq!(dropped, [0; 5]);
    assert_eq!(served.len(), 6);
    let stats = stats_of(&runtime, "slow");
    assert_eq!((stats.count(Class::Ok), stats.dropped), (4, 2));
    assert_eq!(runtime.stats().dropped, 2);
}

/// A handler for which `drop-oldest` makes room in `bytes` bytes. It fails the first attempt at 0, which is put back while
/// the handler is busy with 1, until somebody lets it go.
async fn with_one_tried(bytes: usize) -> (Runtime, Arc<Semaphore>) {
    let runtime = runtime();
    let go = Arc::new(Semaphore::new(0));
    let gone = go.clone();
    let handle = move |cx: palisade::Context| {
        let gone = gone.clone();
        async move {
            match cx.event.json::<Value>().expect("JSON")[0].as_u64() {
                Some(0) if cx.attempt == 1 => Err(Failure::retry("not yet")),
                Some(1) => {
                    let _ = gone.acquire().await;
                    Ok(())
                }
                _ => Ok(()),
            }
        }
    };
    let queue = QueuePolicy {
        events: 2,
        bytes,
        overflow: Overflow::DropOldest,
    };
    let retry = RetryPolicy {
        base: Duration::ZERO,
        ..RetryPolicy::default()
    };
    let options = SubscribeOptions::default().queue(queue).retry(retry);
    runtime
        .subscribe_with(&["a"], "slow", options, handle)
        .expect("a subscription");
    for number in 0..=1 {
        runtime.publish_async(padded(number, 0)).await.expect("published");
    }
    while stats_of(&runtime, "slow").queued != 1 || stats_of(&runtime, "slow").count(Class::Retry) == 0 {
        tokio::task::yield_now().await;
    }
    (runtime, go)
}

fn padded(number: u32, bytes: usize) -> Event {
    event("a", json!([number, "x".repeat(bytes)]))
}

/// B7, D3: an event that waits for its next attempt makes room for nobody: it was begun with.
#[tokio::test(start_paused = true)]
async fn b7_d3_drop_oldest_drops_nothing_that_was_tried() {
    let (runtime, go) = with_one_tried(1 << 20).await;
    for number in 2..=4 {
        let receipt = runtime.publish_async(padded(number, 0)).await.expect("published");
        assert_eq!(receipt.enqueued, 1);
    }
    go.add_permits(1);
    runtime.quiet().await;
    let stats = stats_of(&runtime, "slow");
    assert_eq!(
        (stats.count(Class::Ok), stats.dropped),
        (3, 2),
        "0, 1 and 4; 2 and 3 are gone"
    );
}

/// B7: nothing is dropped in vain, for an event that would have no room even so; it is refused.
#[tokio::test(start_paused = true)]
async fn b7_drop_oldest_drops_nothing_in_vain() {
    let bytes = 3 * padded(0, 0).size_bytes();
    let (runtime, go) = with_one_tried(bytes).await;
    let receipt = runtime.publish_async(padded(2, 0)).await.expect("published");
    assert_eq!(receipt.enqueued, 1);
    let large = padded(3, bytes - 2 * padded(0, 0).size_bytes() + 1);
    assert!(large.size_bytes() <= bytes, "it would fit into the empty queue");
    let receipt = runtime.publish_async(large).await.expect("published");
    assert_eq!((receipt.enqueued, receipt.refused.len()), (0, 1));
    go.add_permits(1);
    runtime.quiet().await;
    let stats = stats_of(&runtime, "slow");
    assert_eq!((stats.count(Class::Ok), stats.dropped), (3, 0), "0, 1 and 2");
    assert_eq!(runtime.stats().refused, 1);
}
