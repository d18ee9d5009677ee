//! D7 and what goes before it: quiet, and an end in order.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use palisade::{Context, Draft, Failure, Overflow, PublishError, RetryPolicy, SubscribeOptions};
use palisade_tests::{Seen, config, hostile, runtime, runtime_with, spec};
use serde_json::json;
use tokio::sync::Notify;

use super::words::{Gate, counting, letters, plain, queue_of, stats_of};

const SECOND: Duration = Duration::from_secs(1);

/// D7: quiet waits for queues, for retries that are an hour away, and for what handlers publish meanwhile.
#[tokio::test(start_paused = true)]
async fn d7_quiet_waits_for_queues_retries_and_cascades() {
    let runtime = runtime();
    let hour = RetryPolicy {
        cap: 3600 * SECOND,
        max_age: 7200 * SECOND,
        ..RetryPolicy::default()
    };
    let chain = |cx: Context| {
        ready(if cx.attempt == 1 {
            Err(Failure::retry_after("in an hour", 3600 * SECOND))
        } else {
            let next = if cx.event.event_type() == "one" { "two" } else { "three" };
            cx.publish(Draft::new(next))
                .map(drop)
                .map_err(|error| Failure::reject(error.to_string()))
        })
    };
    runtime
        .subscribe_with(&["one", "two"], "chain", SubscribeOptions::default().retry(hour), chain)
        .expect("subscribed");
    let seen = Seen::subscribe(&runtime, "three", "end");
    runtime.quiet().await;
    for _ in 0..10 {
        runtime.publish_async(plain("one")).await.expect("published");
    }
    runtime.quiet().await;
    assert_eq!(seen.len(), 10);
    assert_eq!(
        runtime.handler_stats().iter().map(|stats| stats.queued).sum::<usize>(),
        0
    );
}

/// D7: quiet waits for a `publish` in progress as well.
#[tokio::test(start_paused = true)]
async fn d7_quiet_waits_for_a_publish_in_progress() {
    let runtime = runtime();
    let gate = Gate::subscribe(&runtime, "a", "slow");
    let publisher = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.publish(plain("a")).await }
    });
    gate.began(1).await;
    let quiet = runtime.quiet();
    tokio::pin!(quiet);
    tokio::select! {
        biased;
        () = &mut quiet => panic!("it is not"),
        () = tokio::task::yield_now() => {}
    }
    gate.open(1);
    quiet.await;
    assert!(publisher.await.expect("no panic").expect("published").all_ok());
}

/// D7: a shutdown takes no more events, finishes the queued ones and their retries, tells `system.shutdown`, and stops the
/// plugins.
#[tokio::test(start_paused = true)]
async fn d7_shutdown_finishes_what_is_queued_and_takes_no_more() {
    let runtime = runtime_with([spec("probe")]).await;
    let system = Seen::subscribe(&runtime, "system.>", "system");
    let calls = counting(&runtime, "a", "flaky", SubscribeOptions::default(), |call| {
        if call <= 3 { Err(Failure::retry("soon")) } else { Ok(()) }
    });
    for _ in 0..10 {
        runtime.publish_async(plain("a")).await.expect("published");
    }
    let drained = runtime.shutdown(60 * SECOND).await;
    assert_eq!(
        (drained.abandoned, calls.count(), system.types()),
        (0, 13, vec!["system.shutdown".to_owned()])
    );
    letters(&runtime, 0).await;
    for error in [
        runtime.publish(plain("a")).await.err(),
        runtime.publish_async(plain("a")).await.err(),
    ] {
        assert!(matches!(error, Some(PublishError::ShuttingDown)), "{error:?}");
    }
    assert_eq!(
        runtime.plugin("probe").expect("known").state,
        palisade::PluginState::Stopped
    );
    assert!(matches!(
        runtime.load(spec("hostile")).await,
        Err(palisade::LoadError::ShuttingDown { .. })
    ));
    assert!(matches!(
        runtime.start("probe").await,
        Err(palisade::PluginError::ShuttingDown)
    ));
}

/// D7: what a plugin publishes in `stop` is still delivered.
#[tokio::test]
async fn d7_what_stop_publishes_is_still_delivered() {
    let runtime = runtime_with([hostile().config(config(json!({ "in-stop": "publish" })))]).await;
    let seen = Seen::published(&runtime);
    assert_eq!(runtime.shutdown(60 * SECOND).await.abandoned, 0);
    assert_eq!(seen.types(), ["hostile.report"]);
}

/// D7: at the drain deadline what is not done is given up: each delivery is counted once, the running one included;
/// nothing becomes a dead letter and nothing runs on.
#[tokio::test(start_paused = true)]
async fn d7_shutdown_counts_what_it_gives_up() {
    let runtime = runtime();
    let once = SubscribeOptions::default().timeout(3600 * SECOND);
    let gate = Gate::subscribe_with(&runtime, "a", "slow", once);
    for _ in 0..5 {
        runtime.publish_async(plain("a")).await.expect("published");
    }
    gate.began(1).await;
    let started = tokio::time::Instant::now();
    assert_eq!(runtime.shutdown(SECOND).await.abandoned, 5);
    assert_eq!(started.elapsed().as_secs(), 1);
    assert_eq!(runtime.stats().abandoned, 5);
    letters(&runtime, 0).await;
    gate.open(5);
    runtime.quiet().await;
    assert_eq!(gate.begun(), 0, "no delivery began after the shutdown had returned");
    assert!(
        stats_of(&runtime, "slow").attempts.is_empty(),
        "the one that ran was dropped"
    );
}

/// D7: so is a retry that would come later than that.
#[tokio::test(start_paused = true)]
async fn d7_shutdown_gives_up_on_retries_that_come_too_late() {
    let runtime = runtime();
    let calls = counting(&runtime, "a", "later", SubscribeOptions::default(), |_| {
        Err(Failure::retry_after("later", 50 * SECOND))
    });
    runtime.publish_async(plain("a")).await.expect("published");
    let started = tokio::time::Instant::now();
    assert_eq!(runtime.shutdown(SECOND).await.abandoned, 1);
    assert_eq!(started.elapsed().as_secs(), 1);
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!((calls.count(), letters(&runtime, 0).await.len()), (1, 0));
}

/// D7: a publisher that waits for room when the drain ends does not slip an event in behind it.
#[tokio::test(start_paused = true)]
async fn d7_a_waiting_publisher_slips_nothing_in_behind_the_drain() {
    let runtime = runtime();
    let began = Arc::new(Notify::new());
    let tell = began.clone();
    let hang = move |_: Context| {
        tell.notify_one();
        pending()
    };
    let options = queue_of(1, Overflow::Block).timeout(3600 * SECOND);
    runtime
        .subscribe_with(&["a"], "hangs", options, hang)
        .expect("a subscription");
    runtime.publish_async(plain("a")).await.expect("published");
    began.notified().await;
    runtime.publish_async(plain("a")).await.expect("published");
    let publisher = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.publish_async_within(plain("a"), 600 * SECOND).await }
    });
    tokio::task::yield_now().await;
    runtime.shutdown(SECOND).await;
    let receipt = publisher.await.expect("no panic").expect("an answer");
    assert_eq!((receipt.enqueued, receipt.refused.len()), (0, 1), "{receipt:?}");
}
