//! B3 and B5: one attempt at each handler, on the caller's task, and an answer for each.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::{Class, Context, Disposition, Failure, FilterOptions, PublishError, Report, SubscribeOptions};
use palisade_tests::{Seen, event, hostile, limits, runtime, runtime_with, spec};
use serde_json::json;
use tokio::sync::Notify;

use super::words::{counting, letters, plain};

fn classes(report: &Report) -> Vec<(String, Class)> {
    let mut classes: Vec<_> = report
        .outcomes
        .iter()
        .map(|one| (one.handler.to_string(), one.class))
        .collect();
    classes.sort();
    classes
}

/// B3: each matched handler is attempted exactly once, whatever it answers; nothing is tried again.
#[tokio::test(start_paused = true)]
async fn b3_exactly_one_attempt_per_matched_handler() {
    let runtime = runtime();
    let options = SubscribeOptions::default;
    let fine = counting(&runtime, "a", "fine", options(), |_| Ok(()));
    let again = counting(&runtime, "*", "again", options(), |_| Err(Failure::retry("later")));
    let never = counting(&runtime, ">", "never", options(), |_| Err(Failure::reject("no")));
    let other = counting(&runtime, "b", "other", options(), |_| Ok(()));
    let report = runtime.publish(plain("a")).await.expect("published");
    runtime.quiet().await;
    let expected = [("again", Class::Retry), ("fine", Class::Ok), ("never", Class::Rejected)];
    assert_eq!(classes(&report), expected.map(|(name, class)| (name.to_owned(), class)));
    assert_eq!(
        [fine.count(), again.count(), never.count(), other.count()],
        [1, 1, 1, 0]
    );
    assert!(report.outcomes.iter().all(|outcome| outcome.attempts == 1));
    letters(&runtime, 0).await;
}

/// B3: all outcomes come back, each failure with its own class and words; none stops the others.
#[tokio::test(start_paused = true)]
async fn b3_every_failure_is_reported_and_stops_nobody() {
    let runtime = runtime();
    runtime
        .subscribe("a", "panics", |_: Context| async { panic!("over the top") })
        .expect("a subscription");
    runtime
        .subscribe("a", "hangs", |_: Context| std::future::pending())
        .expect("a subscription");
    counting(&runtime, "a", "rejects", SubscribeOptions::default(), |_| {
        Err(Failure::reject("bad event"))
    });
    counting(&runtime, "a", "retries", SubscribeOptions::default(), |_| {
        Err(Failure::retry("bad day"))
    });
    let seen = Seen::subscribe(&runtime, "a", "works");
    let report = runtime.publish(plain("a")).await.expect("published");
    let words = [
        ("panics", Class::HostPanic, "over the top"),
        ("hangs", Class::Timeout, "hangs did not end by its deadline"),
        ("rejects", Class::Rejected, "bad event"),
        ("retries", Class::Retry, "bad day"),
        ("works", Class::Ok, ""),
    ];
    assert_eq!((report.outcomes.len(), seen.len(), report.all_ok()), (5, 1, false));
    for (name, class, message) in words {
        let outcome = report.of(name).expect("an outcome");
        assert_eq!(outcome.class, class, "{name}");
        assert!(outcome.message().contains(message), "{name}: {}", outcome.message());
        assert_eq!(outcome.fault.is_none(), class == Class::Ok, "{name}");
    }
}

/// B3: a guest's failures are told beside a native handler's, and beside each other.
#[tokio::test]
async fn b3_failures_of_guests_stop_nobody_either() {
    let timeout = limits(|limits| limits.timeout = Duration::from_secs(10));
    let other = palisade_tests::hostile_as("other").limits(timeout);
    let runtime = runtime_with([hostile(), other, spec("probe")]).await;
    let seen = Seen::subscribe(&runtime, "hostile.panic", "native");
    let report = runtime
        .publish(event("hostile.panic", json!("ouch")))
        .await
        .expect("published");
    let expected = [
        ("hostile/sin", Class::Trap),
        ("native", Class::Ok),
        ("other/sin", Class::Trap),
        ("probe/all", Class::Ok),
    ];
    assert_eq!(classes(&report), expected.map(|(name, class)| (name.to_owned(), class)));
    assert!(
        report
            .of("other/sin")
            .is_some_and(|outcome| outcome.message().contains("hostile says: \"ouch\""))
    );
    assert_eq!(seen.len(), 1);
}

tokio::task_local! {
    static CALLER: u32;
}

/// B3: handlers run on the caller's own task, one or several; those of `publish_async` don't.
#[tokio::test(start_paused = true)]
async fn b3_handlers_run_on_the_callers_task() {
    let runtime = runtime();
    let callers = Arc::new(Mutex::new(Vec::new()));
    for (pattern, name) in [("one", "a"), ("many", "b"), ("many", "c")] {
        let callers = callers.clone();
        let note = move |_: Context| {
            let callers = callers.clone();
            async move {
                let before = (CALLER.try_with(|caller| *caller).ok(), tokio::task::try_id());
                tokio::task::yield_now().await;
                let after = (CALLER.try_with(|caller| *caller).ok(), tokio::task::try_id());
                callers.lock().unwrap().extend([before, after]);
                Ok(())
            }
        };
        runtime.subscribe(pattern, name, note).expect("a subscription");
    }
    let publisher = runtime.clone();
    let caller = tokio::spawn(CALLER.scope(7, async move {
        for event_type in ["one", "many"] {
            assert!(publisher.publish(plain(event_type)).await.expect("published").all_ok());
        }
        tokio::task::id()
    }));
    let id = caller.await.expect("no panic");
    assert_eq!(std::mem::take(&mut *callers.lock().unwrap()), [(Some(7), Some(id)); 6]);
    CALLER
        .scope(7, runtime.publish_async(plain("one")))
        .await
        .expect("published");
    runtime.quiet().await;
    assert!(callers.lock().unwrap().iter().all(|(caller, _)| caller.is_none()));
}

/// B3, H28: a slow handler delays no other: the slow one, matched first, ends only when the quick one has been called.
#[tokio::test(start_paused = true)]
async fn b3_h28_a_slow_handler_delays_no_other() {
    let runtime = runtime();
    let quick_was_called = Arc::new(Notify::new());
    let wait = quick_was_called.clone();
    let slow = move |_: Context| {
        let wait = wait.clone();
        async move {
            wait.notified().await;
            Ok(())
        }
    };
    runtime.subscribe("a", "slow", slow).expect("a subscription");
    let quick = move |_: Context| {
        quick_was_called.notify_one();
        ready(Ok::<(), Failure>(()))
    };
    runtime.subscribe("a", "quick", quick).expect("a subscription");
    let report = runtime.publish(plain("a")).await.expect("published");
    assert!(report.all_ok(), "{report:?}");
    assert_eq!(
        report.outcomes[0].handler.to_string(),
        "quick",
        "in the order in which they ended"
    );
}

/// B5: filtered, unmatched, refused and delivered are four answers of `publish`.
#[tokio::test(start_paused = true)]
async fn b5_publish_has_four_different_answers() {
    let runtime = runtime();
    let seen = Seen::subscribe(&runtime, "a.>", "seen");
    let no_b = |event: &palisade::Event| event.event_type() != "a.b";
    let filter = runtime.add_filter("no-b", FilterOptions::default(), no_b);
    let publish = async |event_type: &str| runtime.publish(plain(event_type)).await;
    let filtered = publish("a.b").await.expect("an answer");
    assert_eq!(
        filtered.disposition,
        Disposition::Filtered {
            by: filter,
            name: "no-b".into()
        }
    );
    let unmatched = publish("b.a").await.expect("an answer");
    assert_eq!(unmatched.disposition, Disposition::Unmatched);
    let refused = publish("system.startup").await;
    assert!(matches!(refused, Err(PublishError::Reserved(_))), "{refused:?}");
    let delivered = publish("a.c").await.expect("an answer");
    assert_eq!(delivered.disposition, Disposition::Delivered);
    assert!(delivered.all_ok() && !filtered.all_ok() && !unmatched.all_ok());
    assert!(filtered.outcomes.is_empty() && unmatched.outcomes.is_empty());
    assert_eq!(seen.types(), ["a.c"]);
    let stats = runtime.stats();
    assert_eq!(
        (stats.published, stats.unmatched, stats.filtered),
        (2, 1, 1),
        "{stats:?}"
    );
}

/// B5: and of `publish_async`; refused by one queue and taken by another is told apart by handler.
#[tokio::test(start_paused = true)]
async fn b5_publish_async_has_four_different_answers() {
    let runtime = runtime();
    runtime.load(spec("probe")).await.expect("loaded");
    runtime.start("probe").await.expect("started");
    runtime.stop("probe").await.expect("stopped");
    let seen = Seen::subscribe(&runtime, "a.c", "seen");
    let filter = runtime.add_filter("no-b", FilterOptions::default(), |event: &palisade::Event| {
        event.event_type() != "a.b"
    });
    let filtered = runtime.publish_async(plain("a.b")).await.expect("an answer");
    assert_eq!(
        (filtered.filtered, filtered.matched, filtered.enqueued),
        (Some(filter), 0, 0)
    );
    let mixed = runtime.publish_async(plain("a.c")).await.expect("an answer");
    assert_eq!(
        (mixed.filtered, mixed.matched, mixed.enqueued, mixed.refused.len()),
        (None, 2, 1, 1)
    );
    assert_eq!(mixed.refused[0].handler.to_string(), "probe/all");
    assert_eq!(mixed.refused[0].class, Class::Unavailable);
    let refused = runtime.publish_async(plain("config.x")).await;
    assert!(matches!(refused, Err(PublishError::Reserved(_))), "{refused:?}");
    runtime.unload("probe").await.expect("unloaded");
    let unmatched = runtime.publish_async(plain("x")).await.expect("an answer");
    assert_eq!(
        (unmatched.filtered, unmatched.matched, unmatched.enqueued),
        (None, 0, 0)
    );
    runtime.quiet().await;
    assert_eq!(seen.types(), ["a.c"]);
}
