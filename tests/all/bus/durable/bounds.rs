//! B7, D1: how much a durable handler may be owed.

use std::time::Duration;

use palisade::{BacklogPolicy, Class, Event, Overflow, QueuePolicy, Receipt, SubscribeOptions};
use palisade_tests::Seen;

use super::{Calls, Data, durable, end, named, owed, publish};
use crate::bus::words::Gate;

fn bounded(overflow: Overflow, backlog: BacklogPolicy) -> SubscribeOptions {
    let queue = QueuePolicy {
        events: 2,
        overflow,
        ..QueuePolicy::default()
    };
    durable().queue(queue).backlog(backlog)
}

fn events(events: u64) -> BacklogPolicy {
    BacklogPolicy {
        events,
        ..BacklogPolicy::default()
    }
}

fn is_refused(receipt: &Receipt) -> bool {
    for refusal in &receipt.refused {
        assert_eq!(
            (refusal.handler.to_string().as_str(), refusal.class),
            ("slow", Class::Overloaded)
        );
        assert!(refusal.message.contains("delivery.backlog"), "{}", refusal.message);
    }
    assert_eq!(receipt.enqueued + receipt.refused.len(), receipt.matched, "{receipt:?}");
    !receipt.refused.is_empty()
}

/// B7, D1: the bound of the backlog in events, obeyed and violated; the queue in memory is far smaller, and no bound to what is
/// owed. A healthy neighbour gets everything. When there is room again, events are taken again, and all come in order.
#[tokio::test]
async fn b7_backlog_events_obeyed_and_violated() {
    let data = Data::new();
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", bounded(Overflow::Reject, events(20)));
    let neighbour = Seen::subscribe(&runtime, "a", "neighbour");
    for number in 0..20 {
        assert!(!is_refused(&publish(&runtime, &number.to_string()).await));
    }
    gate.began(1).await;
    assert_eq!(owed(&runtime, "slow").await, 20);
    for number in 20..25 {
        assert!(is_refused(&publish(&runtime, &number.to_string()).await));
    }
    neighbour.wait_for(25).await;
    gate.open(3);
    gate.began(3).await;
    // There is room when the first acknowledgement is on the disk.
    while is_refused(&publish(&runtime, "25").await) {
        tokio::task::yield_now().await;
    }
    gate.open(100);
    runtime.quiet().await;
    assert_eq!(owed(&runtime, "slow").await, 0);
}

/// B7, D1: the same in bytes.
#[tokio::test]
async fn b7_backlog_bytes_obeyed_and_violated() {
    let data = Data::new();
    let sized = |id: &str, bytes: usize| {
        let event = Event::builder("a", "/tests")
            .id(id)
            .data("text/plain", vec![b'x'; bytes]);
        event.build().expect("an event")
    };
    let runtime = data.open();
    let backlog = BacklogPolicy {
        bytes: 3 * sized("1", 10_000).size_bytes() as u64,
        ..BacklogPolicy::default()
    };
    let gate = Gate::subscribe_with(&runtime, "a", "slow", bounded(Overflow::Reject, backlog));
    let neighbour = Seen::subscribe(&runtime, "a", "neighbour");
    for (id, refused) in [("1", false), ("2", false), ("3", true)] {
        let receipt = runtime.publish_async(sized(id, 14_000)).await.expect("published");
        assert_eq!(is_refused(&receipt), refused, "{id}");
    }
    neighbour.wait_for(3).await;
    gate.began(1).await;
    gate.open(1);
    gate.began(1).await;
    while is_refused(&runtime.publish_async(sized("3", 14_000)).await.expect("published")) {
        tokio::task::yield_now().await;
    }
    gate.open(9);
    runtime.quiet().await;
    assert_eq!(owed(&runtime, "slow").await, 0);
}

/// B7: with `block` a publisher waits for room in the backlog until its deadline, and is refused then; one that has more time gets
/// the room.
#[tokio::test]
async fn b7_a_publisher_waits_for_room_in_the_backlog() {
    let data = Data::new();
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", bounded(Overflow::Block, events(2)));
    for id in ["1", "2"] {
        assert!(!is_refused(&publish(&runtime, id).await));
    }
    gate.began(1).await;
    let refused = runtime.publish_async_within(named("3"), Duration::from_millis(1)).await;
    assert!(is_refused(&refused.expect("published")));
    let waiting = tokio::spawn({
        let runtime = runtime.clone();
        async move { publish(&runtime, "4").await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    gate.open(9);
    assert!(!is_refused(&waiting.await.expect("no panic")));
    runtime.quiet().await;
    assert_eq!(owed(&runtime, "slow").await, 0);
}

/// B7: after a restart the bound counts what was owed before.
#[tokio::test]
async fn b7_the_backlog_of_before_counts_after_a_restart() {
    let data = Data::new();
    let runtime = data.open();
    Gate::subscribe_with(&runtime, "a", "slow", bounded(Overflow::Reject, events(3)));
    for id in ["1", "2", "3"] {
        assert!(!is_refused(&publish(&runtime, id).await));
    }
    assert_eq!(end(runtime).await.kept, 3);
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", bounded(Overflow::Reject, events(3)));
    gate.began(1).await;
    assert!(is_refused(&publish(&runtime, "4").await));
    gate.open(9);
    runtime.quiet().await;
    assert!(!is_refused(&publish(&runtime, "4").await));
    runtime.quiet().await;
}

/// B7, B6: far more than a queue holds comes back from the disk, in the order of the publishes, each once.
#[tokio::test]
async fn b7_b6_what_is_beyond_the_queue_comes_in_order() {
    let data = Data::new();
    let runtime = data.open();
    let first = Gate::subscribe_with(&runtime, "a", "slow", bounded(Overflow::Block, events(10_000)));
    let ids: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    for id in &ids {
        assert!(!is_refused(&publish(&runtime, id).await));
    }
    first.began(1).await;
    assert_eq!(end(runtime).await.kept, 300);
    let runtime = data.open();
    let calls = Calls::well(&runtime, "slow", bounded(Overflow::Block, events(10_000)));
    for id in ["more", "and more"] {
        assert!(!is_refused(&publish(&runtime, id).await));
    }
    runtime.quiet().await;
    let all: Vec<_> = ids.iter().map(String::as_str).chain(["more", "and more"]).collect();
    assert_eq!(calls.ids(), all);
}
