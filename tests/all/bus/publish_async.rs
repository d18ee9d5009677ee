//! B4 and D3: queued events, their receipts and their retries.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::{Class, Context, DeadLetterReason, Failure, RetryPolicy, Runtime, SubscribeOptions};
use palisade_tests::{Seen, event, hostile, runtime, runtime_with, spec};
use serde_json::json;
use tokio::time::Instant;

use super::words::{Gate, counting, letters, plain, report, stats_of};

fn retry(attempts: u32) -> SubscribeOptions {
    SubscribeOptions::default().retry(RetryPolicy {
        attempts,
        ..RetryPolicy::default()
    })
}

/// B4: it returns before any handler has ended, and its receipt counts the queues.
#[tokio::test(start_paused = true)]
async fn b4_publish_async_waits_for_no_handler() {
    let runtime = runtime();
    let gates = ["one", "two"].map(|name| Gate::subscribe(&runtime, "a", name));
    for _ in 0..3 {
        let receipt = runtime.publish_async(plain("a")).await.expect("published");
        assert_eq!((receipt.matched, receipt.enqueued, receipt.filtered), (2, 2, None));
        assert!(receipt.refused.is_empty());
    }
    for gate in &gates {
        gate.began(1).await;
        assert_eq!(gate.begun(), 0, "one at a time, and none has ended");
        gate.open(3);
        gate.began(2).await;
    }
    runtime.quiet().await;
    assert_eq!(stats_of(&runtime, "one").attempts, [(Class::Ok, 3)]);
    assert_eq!(runtime.publish_async(plain("b")).await.expect("published").matched, 0);
}

/// B4: a failed attempt is made again by policy, numbered, until it succeeds.
#[tokio::test(start_paused = true)]
async fn b4_failed_attempts_are_retried_until_one_succeeds() {
    let runtime = runtime();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let flaky = move |cx: Context| {
        note.lock()
            .unwrap()
            .push((cx.attempt, cx.event.id().to_owned(), cx.replayed));
        ready(if cx.attempt < 3 {
            Err(Failure::retry("not yet"))
        } else {
            Ok(())
        })
    };
    runtime.subscribe("a", "flaky", flaky).expect("a subscription");
    let event = plain("a");
    runtime.publish_async(event.clone()).await.expect("published");
    runtime.quiet().await;
    let expected = [1, 2, 3].map(|attempt| (attempt, event.id().to_owned(), false));
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!((runtime.stats().retries, runtime.stats().dead_letters), (2, 0));
    let stats = stats_of(&runtime, "flaky");
    assert_eq!((stats.count(Class::Retry), stats.count(Class::Ok)), (2, 1));
}

/// B4: a guest is retried as well, and is told which attempt it is.
#[tokio::test]
async fn b4_a_guests_failed_attempt_is_retried() {
    let quick = RetryPolicy {
        base: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let runtime = runtime_with([hostile().retry(quick), spec("probe")]).await;
    let reports = Seen::published(&runtime);
    runtime
        .publish_async(event("hostile.flaky", json!(3)))
        .await
        .expect("published");
    runtime.quiet().await;
    assert_eq!(report(&reports.wait_for(1).await[0], "flaky")["attempt"], 3);
    assert_eq!(stats_of(&runtime, "hostile/sin").count(Class::Retry), 2);
    letters(&runtime, 0).await;
}

/// B4: a rejection is a verdict: no retry, and a dead letter at once, with the handler's words.
#[tokio::test(start_paused = true)]
async fn b4_a_rejected_event_is_not_retried() {
    let runtime = runtime();
    let calls = counting(&runtime, "a", "strict", SubscribeOptions::default(), |_| {
        Err(Failure::reject("malformed"))
    });
    runtime.publish_async(plain("a")).await.expect("published");
    runtime.quiet().await;
    let letter = letters(&runtime, 1).await.remove(0);
    assert_eq!(
        (calls.count(), letter.attempts, letter.error.as_str()),
        (1, 1, "malformed")
    );
    assert_eq!(letter.reason, DeadLetterReason::Failed(Class::Rejected));
}

/// B4, D3: when the attempts are used up, the dead letter says how many there were, and how the last one ended.
#[tokio::test(start_paused = true)]
async fn b4_d3_used_up_attempts_end_in_a_dead_letter() {
    let runtime = runtime();
    let calls = counting(&runtime, "a", "broken", retry(4), |call| {
        Err(Failure::retry(format!("call {call}")))
    });
    let hung = SubscribeOptions::default()
        .timeout(Duration::from_secs(1))
        .retry(RetryPolicy::none());
    runtime
        .subscribe_with(&["a"], "hung", hung, |_: Context| std::future::pending())
        .expect("a subscription");
    let event = plain("a");
    runtime.publish_async(event.clone()).await.expect("published");
    runtime.quiet().await;
    let all = letters(&runtime, 2).await;
    let of = |name: &str| {
        let mut found = all.iter().filter(|letter| {
            letter
                .handler
                .as_ref()
                .is_some_and(|handler| handler.to_string() == name)
        });
        found.next().expect("a letter").clone()
    };
    let (broken, hung) = (of("broken"), of("hung"));
    assert_eq!(
        (calls.count(), broken.attempts, broken.error.as_str()),
        (4, 4, "call 4")
    );
    assert_eq!(broken.reason, DeadLetterReason::Failed(Class::Retry));
    assert_eq!(
        (hung.attempts, hung.reason),
        (1, DeadLetterReason::Failed(Class::Timeout))
    );
    assert_eq!(
        (broken.event.id(), broken.event.to_json()),
        (event.id(), event.to_json())
    );
    assert!(broken.first <= broken.last && broken.plugin_digest.is_none());
}

/// When the second call of a handler came that asks for a delay at the first, counted from the first.
async fn second_call_after(asked: Duration, policy: RetryPolicy) -> Option<Duration> {
    let runtime = runtime();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let note = calls.clone();
    let busy = move |_: Context| {
        let mut calls = note.lock().unwrap();
        calls.push(Instant::now());
        ready(if calls.len() == 1 {
            Err(Failure::retry_after("busy", asked))
        } else {
            Ok(())
        })
    };
    runtime
        .subscribe_with(&["a"], "busy", SubscribeOptions::default().retry(policy), busy)
        .expect("a subscription");
    runtime.publish_async(plain("a")).await.expect("published");
    runtime.quiet().await;
    let calls = calls.lock().unwrap();
    calls.get(1).map(|second| *second - calls[0])
}

/// B4, D3: a delay that the handler asks for is kept, not jittered; within the policy's cap and maximal age. Time is
/// paused, so the delays are exact but for the timer's grain.
#[tokio::test(start_paused = true)]
async fn b4_d3_retry_after_is_honoured_within_the_policy() {
    let policy = RetryPolicy::default();
    let seconds = async |asked, policy| {
        second_call_after(Duration::from_secs(asked), policy)
            .await
            .map(|d| d.as_secs())
    };
    assert_eq!(seconds(7, policy).await, Some(7));
    assert_eq!(seconds(600, policy).await, Some(60), "cut to the cap");
    let young = RetryPolicy {
        max_age: Duration::from_secs(5),
        ..policy
    };
    assert_eq!(seconds(7, young).await, None, "it would be too old by then");
}

/// B4: a guest's delay as well.
#[tokio::test(start_paused = true)]
async fn b4_a_guests_retry_after_is_honoured() {
    let runtime = runtime_with([hostile().retry(RetryPolicy {
        attempts: 2,
        ..RetryPolicy::default()
    })])
    .await;
    let started = Instant::now();
    // An hour is cut to the cap, a minute.
    runtime
        .publish_async(event("hostile.fail-retry", json!(3_600_000)))
        .await
        .expect("published");
    runtime.quiet().await;
    assert_eq!(started.elapsed().as_secs(), 60);
    assert_eq!(letters(&runtime, 1).await[0].attempts, 2);
}

/// B4: retries hold nobody up: events behind a failing one are handled first.
#[tokio::test(start_paused = true)]
async fn b4_b6_a_retry_holds_up_no_successor() {
    let runtime = runtime();
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = order.clone();
    let first_fails = move |cx: Context| {
        let nth: u32 = cx.event.json().expect("a number");
        note.lock().unwrap().push(nth);
        ready(if nth == 0 && cx.attempt == 1 {
            Err(Failure::retry_after("", Duration::from_secs(1)))
        } else {
            Ok(())
        })
    };
    runtime.subscribe("a", "h", first_fails).expect("a subscription");
    for nth in 0..4 {
        runtime.publish_async(event("a", json!(nth))).await.expect("published");
    }
    runtime.quiet().await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 0]);
}

/// B4, L3: an event for a plugin that is away is refused as `unavailable`, not queued and not lost without a word.
#[tokio::test]
async fn b4_an_event_for_a_stopped_plugin_is_refused() {
    let runtime: Runtime = runtime_with([spec("probe")]).await;
    runtime.stop("probe").await.expect("stopped");
    let receipt = runtime.publish_async(plain("a")).await.expect("published");
    assert_eq!(
        (receipt.matched, receipt.enqueued, receipt.refused[0].class),
        (1, 0, Class::Unavailable)
    );
    assert!(
        receipt.refused[0].message.contains("probe"),
        "{}",
        receipt.refused[0].message
    );
    assert_eq!(runtime.stats().refused, 1);
}
