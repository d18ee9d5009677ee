//! B7: every handler has a queue of its own, bounded in events and bytes.

use std::time::Duration;

use palisade::{Class, Event, Failure, Overflow, QueuePolicy, RetryPolicy, Runtime, SubscribeOptions};
use palisade_tests::{Seen, runtime, runtime_with, spec};
use tokio::time::Instant;

use super::words::{Gate, bare, counting, letters, plain, queue_of, stats_of};

const SHORT: Duration = Duration::from_millis(100);

fn sized(bytes: usize) -> Event {
    Event::builder("a", "/tests")
        .data("text/plain", vec![b'x'; bytes])
        .build()
        .expect("an event")
}

async fn enqueued(runtime: &Runtime, event: Event) -> bool {
    let receipt = runtime.publish_async_within(event, SHORT).await.expect("published");
    for refusal in &receipt.refused {
        assert_eq!(refusal.class, Class::Overloaded);
        assert!(refusal.message.contains("delivery.queue"), "{}", refusal.message);
    }
    assert_eq!(receipt.enqueued + receipt.refused.len(), receipt.matched);
    receipt.refused.is_empty()
}

/// B7: the bound in events, obeyed and violated; when there is room again, events are taken again.
#[tokio::test(start_paused = true)]
async fn b7_queue_events_obeyed_and_violated() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", queue_of(3, Overflow::Reject));
    assert!(enqueued(&runtime, plain("a")).await);
    gate.began(1).await;
    for _ in 0..3 {
        assert!(enqueued(&runtime, plain("a")).await);
    }
    assert!(!enqueued(&runtime, plain("a")).await);
    assert_eq!((stats_of(&runtime, "slow").queued, runtime.stats().refused), (3, 1));
    gate.open(1);
    gate.began(1).await;
    assert!(enqueued(&runtime, plain("a")).await);
    gate.open(4);
    runtime.quiet().await;
    assert_eq!(stats_of(&runtime, "slow").count(Class::Ok), 5);
}

/// B7: the bound in bytes, likewise; it counts the whole event.
#[tokio::test(start_paused = true)]
async fn b7_queue_bytes_obeyed_and_violated() {
    let runtime = runtime();
    let bytes = 2 * sized(10_000).size_bytes();
    let queue = QueuePolicy {
        bytes,
        overflow: Overflow::Reject,
        ..QueuePolicy::default()
    };
    let gate = Gate::subscribe_with(&runtime, "a", "slow", SubscribeOptions::default().queue(queue));
    assert!(enqueued(&runtime, sized(1)).await);
    gate.began(1).await;
    assert!(enqueued(&runtime, sized(10_000)).await && enqueued(&runtime, sized(10_000)).await);
    assert!(!enqueued(&runtime, sized(1)).await);
    gate.open(1);
    gate.began(1).await;
    assert!(enqueued(&runtime, sized(1)).await);
}

/// B7: `block` waits until the publisher's deadline, and then the event is refused; room made before is taken.
#[tokio::test(start_paused = true)]
async fn b7_block_waits_for_room_until_the_deadline() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", queue_of(1, Overflow::Block));
    assert!(enqueued(&runtime, plain("a")).await);
    gate.began(1).await;
    assert!(enqueued(&runtime, plain("a")).await);
    let started = Instant::now();
    assert!(!enqueued(&runtime, plain("a")).await);
    assert!(
        started.elapsed() >= SHORT,
        "it waited (time is paused, so this is exact)"
    );
    let waiting = runtime.publish_async(plain("a"));
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("there is no room"),
        () = tokio::task::yield_now() => {}
    }
    gate.open(1);
    assert_eq!(waiting.await.expect("published").enqueued, 1);
}

/// B7: `reject` does not wait at all.
#[tokio::test(start_paused = true)]
async fn b7_reject_refuses_at_once() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", queue_of(1, Overflow::Reject));
    assert!(enqueued(&runtime, plain("a")).await);
    gate.began(1).await;
    assert!(enqueued(&runtime, plain("a")).await);
    let started = Instant::now();
    assert_eq!(
        runtime
            .publish_async(plain("a"))
            .await
            .expect("published")
            .refused
            .len(),
        1
    );
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// B7: an event larger than the whole queue is refused at once, even where the policy is to block; smaller ones go on.
#[tokio::test(start_paused = true)]
async fn b7_an_event_larger_than_the_queue_is_refused_at_once() {
    let runtime = runtime();
    let bytes = sized(1_000).size_bytes();
    let queue = QueuePolicy {
        bytes,
        overflow: Overflow::Block,
        ..QueuePolicy::default()
    };
    let calls = counting(&runtime, "a", "small", SubscribeOptions::default().queue(queue), |_| {
        Ok(())
    });
    let started = Instant::now();
    assert_eq!(
        runtime
            .publish_async(sized(1_001))
            .await
            .expect("published")
            .refused
            .len(),
        1
    );
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert!(enqueued(&runtime, sized(1_000)).await);
    runtime.quiet().await;
    assert_eq!(calls.count(), 1);
}

/// B7, H28: one slow handler fills its own queue and delays nobody else: another gets all events meanwhile.
#[tokio::test(start_paused = true)]
async fn b7_h28_a_slow_handler_delays_nobody_but_its_own_queue() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", queue_of(2, Overflow::Reject));
    let seen = Seen::subscribe(&runtime, "a", "quick");
    for _ in 0..100 {
        let receipt = runtime.publish_async(plain("a")).await.expect("published");
        assert!(
            receipt
                .refused
                .iter()
                .all(|refusal| refusal.handler.to_string() == "slow"),
            "{receipt:?}"
        );
    }
    seen.wait_for(100).await;
    gate.began(1).await;
    assert_eq!(gate.begun(), 0, "the slow one is still at its first");
    gate.open(100);
    runtime.quiet().await;
}

/// B7, H28: nor does a publisher that waits for one full queue keep the event from the others.
#[tokio::test(start_paused = true)]
async fn b7_a_full_queue_keeps_the_event_from_no_other() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", queue_of(1, Overflow::Block));
    let seen = Seen::subscribe(&runtime, "a", "quick");
    runtime.publish_async(plain("a")).await.expect("published");
    gate.began(1).await;
    runtime.publish_async(plain("a")).await.expect("published");
    let publisher = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.publish_async(plain("a")).await }
    });
    seen.wait_for(3).await;
    assert!(!publisher.is_finished());
    gate.open(3);
    assert_eq!(publisher.await.expect("no panic").expect("published").enqueued, 2);
}

/// B7, H28: the same with a guest that sleeps: its neighbour has handled everything before the sleeper ends its first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_h28_a_sleeping_guest_delays_nobody() {
    let retry = RetryPolicy::none();
    let timeout = palisade_tests::limits(|limits| limits.timeout = Duration::from_secs(5));
    let runtime = runtime_with([palisade_tests::hostile().limits(timeout).retry(retry), spec("probe")]).await;
    let seen = Seen::subscribe(&runtime, "hostile.sleep", "native");
    for _ in 0..20 {
        runtime.publish_async(bare("hostile.sleep")).await.expect("published");
    }
    seen.wait_for(20).await;
    while stats_of(&runtime, "probe/all").count(Class::Ok) < 20 {
        tokio::task::yield_now().await;
    }
    assert!(
        stats_of(&runtime, "hostile/sin").attempts.is_empty(),
        "it sleeps for ever"
    );
}

/// B7: what waits for its next attempt keeps its room, so a handler that fails every event can't make the queue grow.
#[tokio::test(start_paused = true)]
async fn b7_waiting_retries_keep_their_room() {
    let runtime = runtime();
    let queue = QueuePolicy {
        events: 4,
        overflow: Overflow::Reject,
        ..QueuePolicy::default()
    };
    let options = SubscribeOptions::default().queue(queue);
    let day = Duration::from_secs(60);
    let calls = counting(&runtime, "a", "failing", options, move |call| {
        if call <= 5 {
            Err(Failure::retry_after("later", day))
        } else {
            Ok(())
        }
    });
    let mut taken = 0;
    for _ in 0..50 {
        taken += usize::from(enqueued(&runtime, plain("a")).await);
        // Lets the worker run: what it has taken off the queue waits for its retry afterwards.
        tokio::task::yield_now().await;
    }
    assert!(
        (4..=5).contains(&taken),
        "{taken} taken: the queue's 4, and the one that was at work"
    );
    assert_eq!(calls.count(), u32::try_from(taken).expect("few"));
    runtime.quiet().await;
    letters(&runtime, 0).await;
    assert!(enqueued(&runtime, plain("a")).await, "their room is given back");
}

/// B4, B7: a handler's queue has as many workers as it may work at a time, and no more.
#[tokio::test(start_paused = true)]
async fn b7_concurrency_obeyed() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "three", SubscribeOptions::default().concurrency(3));
    for _ in 0..10 {
        runtime.publish_async(plain("a")).await.expect("published");
    }
    gate.began(3).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.begun(), 0);
    gate.open(10);
    runtime.quiet().await;
    assert_eq!(stats_of(&runtime, "three").count(Class::Ok), 10);
}

/// B7, B11: publishers that keep a queue full leave room for what handlers publish into it.
#[tokio::test(start_paused = true)]
async fn b7_b11_a_full_queue_has_room_left_for_what_handlers_publish() {
    let runtime = runtime();
    let queue = QueuePolicy {
        events: 8,
        ..QueuePolicy::default()
    };
    let options = SubscribeOptions::default().queue(queue);
    let echo = |cx: palisade::Context| async move {
        if cx.event.event_type() == "in.first" {
            cx.publish(palisade::Draft::new("in.second"))
                .expect("room in the outbox");
        }
        tokio::task::yield_now().await;
        Ok(())
    };
    runtime
        .subscribe_with(&["in.*"], "echo", options, echo)
        .expect("subscribed");
    for _ in 0..200 {
        let receipt = runtime.publish_async(bare("in.first")).await.expect("taken");
        assert_eq!(receipt.enqueued, 1);
    }
    runtime.quiet().await;
    assert_eq!(runtime.stats().dead_letters, 0);
    assert_eq!(runtime.stats().from_handlers, 200);
}
