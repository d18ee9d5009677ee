//! Short words of the bus's tests: handlers that wait to be let go, handlers that fail.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use palisade::{
    Context, DeadLetter, Event, Failure, HandlerStats, Overflow, QueuePolicy, RetryPolicy, Runtime, SubscribeOptions,
};
use palisade_tests::{dead_letters, event};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// An event that only its type matters of.
pub(super) fn plain(event_type: &str) -> Event {
    event(event_type, json!({}))
}

/// An event without data, which a sin takes as "for ever".
pub(super) fn bare(event_type: &str) -> Event {
    Event::builder(event_type, "/tests").build().expect("an event")
}

/// A handler whose every call waits until the test lets it end.
#[derive(Clone)]
pub(super) struct Gate {
    began: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Gate {
    pub(super) fn subscribe(runtime: &Runtime, pattern: &str, name: &str) -> Self {
        Self::subscribe_with(runtime, pattern, name, SubscribeOptions::default())
    }

    pub(super) fn subscribe_with(runtime: &Runtime, pattern: &str, name: &str, options: SubscribeOptions) -> Self {
        let gate = Self {
            began: Arc::new(Semaphore::new(0)),
            go: Arc::new(Semaphore::new(0)),
        };
        let inside = gate.clone();
        let wait = move |_: Context| {
            let gate = inside.clone();
            async move {
                gate.began.add_permits(1);
                gate.go.acquire().await.expect("never closed").forget();
                Ok(())
            }
        };
        runtime
            .subscribe_with(&[pattern], name, options, wait)
            .expect("a subscription");
        gate
    }

    /// Waits until so many more calls have begun.
    pub(super) async fn began(&self, calls: u32) {
        self.began.acquire_many(calls).await.expect("never closed").forget();
    }

    /// How many calls have begun that nobody has waited for.
    pub(super) fn begun(&self) -> usize {
        self.began.available_permits()
    }

    /// Lets so many calls end.
    pub(super) fn open(&self, calls: usize) {
        self.go.add_permits(calls);
    }
}

/// Subscribes a handler that counts its calls and answers each as `answer` says, from 1 on.
pub(super) fn counting<F>(runtime: &Runtime, pattern: &str, name: &str, options: SubscribeOptions, answer: F) -> Calls
where
    F: Fn(u32) -> Result<(), Failure> + Send + Sync + 'static,
{
    let calls = Calls::default();
    let counted = calls.clone();
    let call = move |_: Context| ready(answer(counted.0.fetch_add(1, Ordering::SeqCst) + 1));
    runtime
        .subscribe_with(&[pattern], name, options, call)
        .expect("a subscription");
    calls
}

/// How often a handler was called.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<AtomicU32>);

impl Calls {
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Options with a queue of so many events and one attempt.
pub(super) fn queue_of(events: usize, overflow: Overflow) -> SubscribeOptions {
    let queue = QueuePolicy {
        events,
        overflow,
        ..QueuePolicy::default()
    };
    SubscribeOptions::default().queue(queue).retry(RetryPolicy::none())
}

/// The counts of one handler.
pub(super) fn stats_of(runtime: &Runtime, handler: &str) -> HandlerStats {
    let stats = runtime.handler_stats();
    stats
        .into_iter()
        .find(|one| one.handler.to_string() == handler)
        .expect("it is subscribed")
}

/// The dead letters, which must be so many.
pub(super) async fn letters(runtime: &Runtime, count: usize) -> Vec<DeadLetter> {
    let letters = dead_letters(runtime).await;
    assert_eq!(letters.len(), count, "{letters:#?}");
    letters
}

/// What the guest that sins reported, which must be one report of this sin.
pub(super) fn report(event: &Event, sin: &str) -> Value {
    let report: Value = event.json().expect("JSON");
    assert_eq!(
        (event.event_type(), &report["sin"]),
        ("hostile.report", &json!(sin)),
        "{report}"
    );
    report
}
