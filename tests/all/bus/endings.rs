//! What must not go on: loops, queues that nobody sees, deliveries without a runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use palisade::{
    BoxFuture, DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId, DeadLetterStore, Failure, Isolation,
    MemoryDeadLetters, QueuePolicy, RetryPolicy, Runtime, SubscribeOptions,
};
use palisade_tests::{Seen, config, dead_letters, hostile, runtime, runtime_with, small_engine};
use serde_json::json;

use super::words::{bare, plain};

/// B10, H23: what a fresh instance publishes in `start` is one hop further than the event it was made for, so a plugin that
/// handles what it publishes in `start` ends, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_h23_a_loop_through_start_ends() {
    let plugin = hostile()
        .isolation(Isolation::PerEvent)
        .config(config(json!({ "in-start": "publish" })));
    let runtime = runtime_with([plugin]).await;
    let seen = Seen::published(&runtime);
    runtime.publish_async(bare("hostile.ok")).await.expect("taken");
    runtime.quiet().await;
    assert_eq!(seen.len(), 16);
    assert_eq!(runtime.stats().dead_letters, 1);
}

/// B7: a handler that is unsubscribed and subscribed again goes on with the queue it has.
#[tokio::test(start_paused = true)]
async fn b7_unsubscribing_and_subscribing_makes_no_second_queue() {
    let runtime = runtime();
    let queue = QueuePolicy {
        events: 4,
        overflow: palisade::Overflow::Reject,
        ..QueuePolicy::default()
    };
    let options = SubscribeOptions::default().queue(queue);
    let handler: Arc<dyn palisade::Handler> = Arc::new(Stuck);
    let mut taken = 0;
    for _ in 0..10 {
        let ids = runtime
            .subscribe_handler(&["t"], "stuck", options.clone(), handler.clone())
            .expect("subscribed");
        for _ in 0..10 {
            taken += runtime.publish_async(plain("t")).await.expect("published").enqueued;
        }
        tokio::task::yield_now().await;
        runtime.unsubscribe(ids[0]).expect("subscribed");
    }
    assert!(taken <= 5, "{taken} were taken: 4 in the queue and one at work");
}

struct Stuck;

impl palisade::Handler for Stuck {
    fn handle(&self, _delivery: palisade::Delivery) -> palisade::BoxFuture<'_, palisade::Completion> {
        Box::pin(std::future::pending())
    }
}

/// S9: a store of dead letters that panics costs one letter, not the queue.
#[tokio::test(start_paused = true)]
async fn s9_a_panic_of_the_dead_letter_store_does_not_stop_a_queue() {
    type Answer<'a, T> = BoxFuture<'a, Result<T, DeadLetterError>>;
    struct Panics(MemoryDeadLetters, AtomicBool);
    impl DeadLetterStore for Panics {
        fn put(&self, letter: DeadLetter) -> Answer<'_, DeadLetterId> {
            assert!(self.1.swap(true, Ordering::SeqCst), "the store fails once");
            self.0.put(letter)
        }
        fn list<'a>(
            &'a self,
            which: &'a DeadLetterFilter,
            after: Option<DeadLetterId>,
            most: usize,
        ) -> Answer<'a, Vec<DeadLetter>> {
            self.0.list(which, after, most)
        }
        fn get(&self, id: DeadLetterId) -> Answer<'_, Option<DeadLetter>> {
            self.0.get(id)
        }
        fn take(&self, id: DeadLetterId) -> Answer<'_, Option<DeadLetter>> {
            self.0.take(id)
        }
        fn purge<'a>(&'a self, which: &'a DeadLetterFilter) -> Answer<'a, u64> {
            self.0.purge(which)
        }
    }
    let store = Panics(MemoryDeadLetters::default(), AtomicBool::new(false));
    let runtime = Runtime::builder()
        .engine(small_engine())
        .dead_letters(store)
        .build()
        .expect("a runtime");
    runtime
        .subscribe("t", "refuses", |_| std::future::ready(Err(Failure::reject("no"))))
        .expect("subscribed");
    for _ in 0..3 {
        runtime.publish_async(plain("t")).await.expect("taken");
    }
    runtime.quiet().await;
    assert_eq!(dead_letters(&runtime).await.len(), 2);
}

/// D7: when the last clone of a runtime is dropped nothing more is delivered, be it queued or waiting for a retry.
#[tokio::test(start_paused = true)]
async fn d7_nothing_is_delivered_without_a_runtime() {
    let (calls, runtime) = (Arc::new(std::sync::atomic::AtomicUsize::new(0)), runtime());
    let counted = calls.clone();
    let options = SubscribeOptions::default().retry(RetryPolicy::default());
    let fails = move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(Failure::retry("again"))
        }
    };
    runtime
        .subscribe_with(&["t"], "fails", options, fails)
        .expect("subscribed");
    for _ in 0..20 {
        runtime.publish_async(plain("t")).await.expect("taken");
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let before = calls.load(Ordering::SeqCst);
    assert!(before > 0);
    drop(runtime);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(calls.load(Ordering::SeqCst), before);
}
