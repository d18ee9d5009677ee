//! B6: in which order a handler gets its events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use palisade::{Class, DeadlineOf, Event, EventOrder, Failure, RetryPolicy, Runtime, SubscribeOptions};
use palisade_tests::runtime;
use serde_json::{Value, json};

use super::words::{Gate, bare, counting, stats_of};

const SECOND: Duration = Duration::from_secs(1);

fn numbered(number: u32, key: &str) -> Event {
    Event::builder("a", "/tests")
        .subject(key)
        .json(&json!(number))
        .build()
        .expect("an event")
}

fn number(event: &Event) -> u32 {
    let data: Value = event.json().expect("JSON");
    data.as_u64().expect("a number").try_into().expect("small")
}

/// Each attempt, as (number, whether it failed).
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<Vec<u32>>>);

impl Attempts {
    fn all(&self) -> Vec<u32> {
        self.0.lock().expect("not poisoned").clone()
    }
}

/// A handler that fails each event as often as `failures` says of its number.
fn failing(runtime: &Runtime, options: SubscribeOptions, failures: fn(u32) -> usize) -> Attempts {
    let attempts = Attempts::default();
    let seen = attempts.clone();
    let handle = move |cx: palisade::Context| {
        let number = number(&cx.event);
        let mut attempts = seen.0.lock().expect("not poisoned");
        let before = attempts.iter().filter(|other| **other == number).count();
        attempts.push(number);
        let fails = before < failures(number);
        std::future::ready(if fails { Err(Failure::retry("not yet")) } else { Ok(()) })
    };
    runtime
        .subscribe_with(&["a"], "handler", options, handle)
        .expect("a subscription");
    attempts
}

fn ordered(ordering: EventOrder) -> SubscribeOptions {
    let retry = RetryPolicy {
        attempts: 3,
        ..RetryPolicy::default()
    };
    SubscribeOptions::default()
        .ordering(ordering)
        .retry(retry)
        .breaker(None)
}

fn by_subject() -> EventOrder {
    EventOrder::Key("subject".into())
}

async fn queue_all(runtime: &Runtime, events: impl IntoIterator<Item = Event>) {
    for event in events {
        assert_eq!(runtime.publish_async(event).await.expect("published").enqueued, 1);
    }
}

/// B6: without an order retries come later and hold nobody up.
#[tokio::test(start_paused = true)]
async fn b6_none_lets_others_pass_an_event_that_is_retried() {
    let runtime = runtime();
    let attempts = failing(&runtime, ordered(EventOrder::None), |number| usize::from(number == 1));
    queue_all(&runtime, (1..=3).map(|number| numbered(number, "k"))).await;
    runtime.quiet().await;
    assert_eq!(attempts.all(), [1, 2, 3, 1]);
}

/// B6: in strict order an event that is retried holds all its successors, also where it ends as a dead letter.
#[tokio::test(start_paused = true)]
async fn b6_strict_holds_all_successors_across_retries() {
    let runtime = runtime();
    let failures = |number| if number == 2 { 9 } else { usize::from(number == 1) };
    let attempts = failing(&runtime, ordered(EventOrder::Strict).concurrency(4), failures);
    queue_all(&runtime, (1..=4).map(|number| numbered(number, "k"))).await;
    runtime.quiet().await;
    assert_eq!(attempts.all(), [1, 1, 2, 2, 2, 3, 4]);
    assert_eq!(runtime.stats().dead_letters, 1);
}

/// B6: by key, events with the same value wait for each other, across retries; others go on, and those without the key too.
#[tokio::test(start_paused = true)]
async fn b6_key_holds_the_events_of_its_value_only() {
    let runtime = runtime();
    let attempts = failing(&runtime, ordered(by_subject()), |number| usize::from(number == 1));
    let keyless = Event::builder("a", "/tests").json(&json!(9)).build().expect("an event");
    let events = [
        numbered(1, "x"),
        numbered(2, "x"),
        numbered(3, "y"),
        keyless,
        numbered(4, "x"),
    ];
    queue_all(&runtime, events).await;
    runtime.quiet().await;
    let all = attempts.all();
    let of_x: Vec<_> = all
        .iter()
        .copied()
        .filter(|number| [1, 2, 4].contains(number))
        .collect();
    assert_eq!(of_x, [1, 1, 2, 4]);
    assert_eq!(all.get(..3), Some(&[1, 3, 9][..]), "nobody else waits: {all:?}");
}

/// B6: a `publish` is called at once only when nothing is ahead of it; else it comes after what is queued, and has its outcome.
#[tokio::test(start_paused = true)]
async fn b6_a_publish_comes_after_what_is_queued() {
    let runtime = runtime();
    let seen = Attempts::default();
    let keep = seen.clone();
    let (go, gone) = tokio::sync::watch::channel(false);
    let handle = move |cx: palisade::Context| {
        let (keep, mut gone) = (keep.clone(), gone.clone());
        async move {
            keep.0.lock().expect("not poisoned").push(number(&cx.event));
            gone.wait_for(|open| *open).await.expect("never dropped");
            Ok(())
        }
    };
    runtime.subscribe("a", "slow", handle).expect("a subscription");
    queue_all(&runtime, [numbered(1, "k"), numbered(2, "k")]).await;
    tokio::task::yield_now().await;
    let mut third = Box::pin(runtime.publish(numbered(3, "k")));
    assert!(third.as_mut().now_or_never().is_none());
    queue_all(&runtime, [numbered(4, "k")]).await;
    go.send(true).expect("somebody listens");
    let report = third.await.expect("published");
    assert_eq!(report.of("slow").expect("it matched").class, Class::Ok);
    runtime.quiet().await;
    assert_eq!(seen.all(), [1, 2, 3, 4]);
}

/// B6, B3: a publish that is queued and has no turn by its deadline is told so, costs nothing and is not delivered later.
#[tokio::test(start_paused = true)]
async fn b6_b3_a_publish_that_has_no_turn_by_its_deadline_is_withdrawn() {
    let runtime = runtime();
    let gate = Gate::subscribe(&runtime, "a", "slow");
    queue_all(&runtime, [bare("a")]).await;
    gate.began(1).await;
    let report = runtime.publish_within(bare("a"), SECOND).await.expect("published");
    let outcome = report.of("slow").expect("it matched");
    assert_eq!((outcome.class, outcome.attempts), (Class::Overloaded, 0));
    let fault = outcome.fault.as_ref().expect("it failed");
    assert_eq!(fault.deadline_of(), Some(DeadlineOf::Publisher));
    assert_eq!(
        fault.message(),
        "slow had others before it until the publisher's deadline"
    );
    gate.open(9);
    runtime.quiet().await;
    assert_eq!(stats_of(&runtime, "slow").count(Class::Ok), 1);
}

/// B6, B3: a queued publish whose caller goes away while its attempt runs is cancelled with it.
#[tokio::test(start_paused = true)]
async fn b6_b3_a_queued_publish_is_dropped_with_its_caller() {
    let runtime = runtime();
    let gate = Gate::subscribe(&runtime, "a", "slow");
    queue_all(&runtime, [bare("a")]).await;
    gate.began(1).await;
    let publisher = runtime.clone();
    let second = tokio::spawn(async move { publisher.publish(bare("a")).await });
    while stats_of(&runtime, "slow").queued == 0 {
        tokio::task::yield_now().await;
    }
    gate.open(1);
    gate.began(1).await;
    second.abort();
    assert!(second.await.expect_err("aborted").is_cancelled());
    queue_all(&runtime, [bare("a")]).await;
    gate.began(1).await;
    gate.open(1);
    runtime.quiet().await;
    assert_eq!(stats_of(&runtime, "slow").count(Class::Ok), 2);
}

/// B6: in an order, a `publish` takes its turn among the queued ones, and the queued ones wait for it.
#[tokio::test(start_paused = true)]
async fn b6_what_is_queued_waits_for_a_publish_of_its_lane() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", ordered(by_subject()).concurrency(4));
    let publisher = runtime.clone();
    let first = tokio::spawn(async move { publisher.publish(numbered(1, "x")).await });
    gate.began(1).await;
    queue_all(&runtime, [numbered(2, "x"), numbered(3, "y")]).await;
    gate.began(1).await;
    tokio::task::yield_now().await;
    assert_eq!(
        (gate.begun(), stats_of(&runtime, "slow").queued),
        (0, 1),
        "2 waits, 3 does not"
    );
    gate.open(2);
    first.await.expect("no panic").expect("published");
    gate.began(1).await;
    gate.open(1);
    runtime.quiet().await;
}

/// B6, B3: an ephemeral publish that fails makes way for the next of its lane; it is not tried again.
#[tokio::test(start_paused = true)]
async fn b6_b3_a_publish_that_fails_makes_way() {
    let runtime = runtime();
    let calls = counting(&runtime, "a", "handler", ordered(EventOrder::Strict), |call| {
        if call == 1 { Err(Failure::retry("no")) } else { Ok(()) }
    });
    let report = runtime.publish(bare("a")).await.expect("published");
    assert_eq!(report.of("handler").expect("it matched").class, Class::Retry);
    queue_all(&runtime, [bare("a")]).await;
    runtime.quiet().await;
    assert_eq!(calls.count(), 2);
}
