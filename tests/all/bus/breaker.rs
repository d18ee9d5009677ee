//! D5: a handler that fails too often is left in peace for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use palisade::{BreakerState, Class, DeadLetterReason, Failure, RetryPolicy, Runtime, SubscribeOptions};
use palisade_tests::{Seen, dead_letters, runtime};
use tokio::time::Instant;

use super::words::{Calls, bare, counting, plain, stats_of};

const SECOND: Duration = Duration::from_secs(1);

/// A handler that fails until it is healed.
fn sick(runtime: &Runtime, options: SubscribeOptions) -> (Calls, Arc<AtomicBool>) {
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = healed.clone();
    let calls = counting(runtime, "a", "sick", options, move |_| {
        if is_healed.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(Failure::retry("ill"))
        }
    });
    (calls, healed)
}

async fn class(runtime: &Runtime) -> Class {
    let report = runtime.publish(bare("a")).await.expect("published");
    report.of("sick").expect("it matched").class
}

fn breaker(runtime: &Runtime) -> Option<BreakerState> {
    stats_of(runtime, "sick").breaker
}

/// D5: after five failures in a row a `publish` gets `breaker-open` and the handler is not called; the others are.
#[tokio::test(start_paused = true)]
async fn d5_a_publish_gets_breaker_open() {
    let runtime = runtime();
    let (calls, healed) = sick(&runtime, SubscribeOptions::default());
    let healthy = Seen::subscribe(&runtime, "a", "healthy");
    for _ in 0..5 {
        assert_eq!(class(&runtime).await, Class::Retry);
    }
    assert_eq!(breaker(&runtime), Some(BreakerState::Open));
    for _ in 0..3 {
        let report = runtime.publish(bare("a")).await.expect("published");
        let outcome = report.of("sick").expect("it matched");
        assert_eq!((outcome.class, outcome.attempts), (Class::BreakerOpen, 0));
        assert!(outcome.message().contains("delivery.breaker"), "{}", outcome.message());
    }
    assert_eq!((calls.count(), healthy.all().len()), (5, 8));

    tokio::time::advance(30 * SECOND).await;
    assert_eq!(breaker(&runtime), Some(BreakerState::HalfOpen));
    assert_eq!(class(&runtime).await, Class::Retry, "the probe");
    assert_eq!(class(&runtime).await, Class::BreakerOpen);
    healed.store(true, Ordering::SeqCst);
    tokio::time::advance(30 * SECOND).await;
    assert_eq!(class(&runtime).await, Class::Ok);
    assert_eq!(breaker(&runtime), Some(BreakerState::Closed));
    assert_eq!(calls.count(), 7);
}

/// D5: what is queued waits while it is open and spends no attempt; exactly one probe goes through, and then all the rest.
#[tokio::test(start_paused = true)]
async fn d5_what_is_queued_waits_and_spends_no_attempt() {
    let runtime = runtime();
    let patient = RetryPolicy {
        attempts: 2,
        base: SECOND,
        ..RetryPolicy::default()
    };
    let (calls, healed) = sick(&runtime, SubscribeOptions::default().retry(patient).concurrency(4));
    for _ in 0..5 {
        class(&runtime).await;
    }
    for _ in 0..20 {
        assert_eq!(runtime.publish_async(plain("a")).await.expect("published").enqueued, 1);
    }
    let opened = Instant::now();
    tokio::time::sleep(29 * SECOND).await;
    assert_eq!((calls.count(), stats_of(&runtime, "sick").queued), (5, 20));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(calls.count(), 6, "one probe, though four workers could have tried");
    healed.store(true, Ordering::SeqCst);
    runtime.quiet().await;
    assert!(opened.elapsed() >= 60 * SECOND);
    assert_eq!((stats_of(&runtime, "sick").count(Class::Ok), calls.count()), (20, 26));
    assert_eq!(runtime.stats().dead_letters, 0);
}

/// D5: `breaker = None` turns it off; a rejected event is a verdict on the event and opens nothing.
#[tokio::test(start_paused = true)]
async fn d5_without_a_breaker_and_with_rejections_it_stays_closed() {
    let runtime = runtime();
    let (calls, _) = sick(&runtime, SubscribeOptions::default().breaker(None));
    let rejects = counting(&runtime, "b", "rejects", SubscribeOptions::default(), |_| {
        Err(Failure::reject("never"))
    });
    for _ in 0..30 {
        class(&runtime).await;
        runtime.publish(bare("b")).await.expect("published");
    }
    assert_eq!((calls.count(), rejects.count()), (30, 30));
    assert_eq!(breaker(&runtime), None);
    assert_eq!(stats_of(&runtime, "rejects").breaker, Some(BreakerState::Closed));
}

/// D5: a probe whose publisher goes away makes way for another.
#[tokio::test(start_paused = true)]
async fn d5_a_probe_that_is_dropped_makes_way() {
    let runtime = runtime();
    let hang = Arc::new(AtomicBool::new(false));
    let hangs = hang.clone();
    let handle = move |_: palisade::Context| {
        let hangs = hangs.load(Ordering::SeqCst);
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Err::<(), _>(Failure::retry("ill"))
        }
    };
    runtime.subscribe("a", "sick", handle).expect("a subscription");
    for _ in 0..5 {
        class(&runtime).await;
    }
    tokio::time::advance(30 * SECOND).await;
    hang.store(true, Ordering::SeqCst);
    let publisher = runtime.clone();
    let probe = tokio::spawn(async move { publisher.publish(bare("a")).await });
    tokio::task::yield_now().await;
    assert_eq!(class(&runtime).await, Class::BreakerOpen, "the probe is under way");
    probe.abort();
    assert!(probe.await.expect_err("aborted").is_cancelled());
    hang.store(false, Ordering::SeqCst);
    assert_eq!(class(&runtime).await, Class::Retry, "the next one is the probe");
}

/// D5, D3: what has waited for a breaker for longer than a retry may be old is a dead letter, and the rest is not held up by it.
#[tokio::test(start_paused = true)]
async fn d5_d3_what_waits_too_long_is_a_dead_letter() {
    let runtime = runtime();
    let brief = RetryPolicy {
        max_age: 70 * SECOND,
        attempts: 9,
        ..RetryPolicy::default()
    };
    let (calls, _) = sick(&runtime, SubscribeOptions::default().retry(brief));
    for _ in 0..5 {
        class(&runtime).await;
    }
    for _ in 0..3 {
        runtime.publish_async(plain("a")).await.expect("published");
    }
    let waits = runtime.clone();
    let waits = tokio::spawn(async move { waits.quiet().await });
    tokio::time::timeout(120 * SECOND, waits)
        .await
        .expect("it ends")
        .expect("no panic");
    let letters = dead_letters(&runtime).await;
    assert_eq!(letters.len(), 3);
    assert!(letters.iter().all(|letter| letter.event.event_type() == "a"));
    let waited = letters
        .iter()
        .filter(|letter| letter.reason == DeadLetterReason::Failed(Class::BreakerOpen));
    assert!(waited.count() >= 2, "{letters:?}");
    assert!(calls.count() <= 5 + 3, "probes only: {}", calls.count());
}
