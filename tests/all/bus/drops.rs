//! B7: queues that drop what they have no room for, and count it.

use palisade::{Class, Event, Overflow, Runtime};
use palisade_tests::{Seen, event, runtime};
use serde_json::{Value, json};

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
