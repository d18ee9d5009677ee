//! D1 to D9 over restarts: what is on the disk when a runtime ends, and what the next one makes of it. The crash test kills
//! processes; here they end by the API, so that it can be said what comes next.

mod attacks;
mod bounds;
mod duplicates;
mod owed;
mod restarts;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::{
    Context, DeliveryMode, Drained, DurableStore, Event, Failure, Receipt, RetryPolicy, Runtime, StoreError,
    StoreOptions, SubscribeOptions,
};
use palisade_tests::small_engine;
use serde_json::json;
use tokio::sync::Notify;

/// A retry comes at once.
const SOON: Duration = Duration::from_millis(1);

/// Long after the test.
const HOUR: Duration = Duration::from_secs(3600);

/// Long enough for everything; nothing waits for it to pass.
const LONG: Duration = Duration::from_secs(60);

/// A data directory that runtimes come and go in.
struct Data(tempfile::TempDir);

impl Data {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn store(&self) -> Result<DurableStore, StoreError> {
        DurableStore::open(self.0.path(), StoreOptions::default())
    }

    /// A runtime on what is there.
    fn open(&self) -> Runtime {
        let store = self.store().expect("the one before has ended");
        let builder = Runtime::builder().engine(small_engine()).store(store);
        builder.build().expect("a runtime")
    }
}

/// An end at once: what runs is dropped.
async fn end(runtime: Runtime) -> Drained {
    runtime.shutdown(Duration::ZERO).await
}

/// Options of a durable handler whose retries come at once, and whose breaker lets it fail.
fn durable() -> SubscribeOptions {
    SubscribeOptions::default()
        .mode(DeliveryMode::Durable)
        .retry(retries(5))
        .breaker(None)
}

fn retries(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        base: SOON,
        cap: 2 * HOUR,
        max_age: 24 * HOUR,
    }
}

/// An event of type `a` with this id, whose subject is the part of it before the number.
fn named(id: &str) -> Event {
    Event::builder("a", "/tests")
        .id(id)
        .subject(id.trim_end_matches(|c: char| c.is_ascii_digit()))
        .json(&json!({ "id": id }))
        .build()
        .expect("an event")
}

async fn publish(runtime: &Runtime, id: &str) -> Receipt {
    runtime.publish_async(named(id)).await.expect("published")
}

/// The same, where one handler must take it.
async fn owe(runtime: &Runtime, ids: &[&str]) {
    for id in ids {
        let receipt = publish(runtime, id).await;
        assert_eq!((receipt.matched, receipt.enqueued), (1, 1), "{receipt:?}");
    }
}

/// One call of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    id: String,
    attempt: u32,
    replayed: bool,
}

/// What a handler was called with.
#[derive(Clone, Default)]
struct Calls {
    all: Arc<Mutex<Vec<Call>>>,
    more: Arc<Notify>,
}

impl Calls {
    /// Subscribes to `a` a handler that notes each call and answers as it is told.
    fn subscribe<F>(runtime: &Runtime, name: &str, options: SubscribeOptions, answer: F) -> Self
    where
        F: Fn(&Call) -> Result<(), Failure> + Send + Sync + 'static,
    {
        let calls = Self::default();
        let noted = calls.clone();
        let handle = move |cx: Context| {
            let call = Call {
                id: cx.event.id().to_owned(),
                attempt: cx.attempt,
                replayed: cx.replayed,
            };
            let answered = answer(&call);
            noted.all.lock().expect("not poisoned").push(call);
            noted.more.notify_one();
            std::future::ready(answered)
        };
        runtime
            .subscribe_with(&["a"], name, options, handle)
            .expect("a subscription");
        calls
    }

    /// The same, all well.
    fn well(runtime: &Runtime, name: &str, options: SubscribeOptions) -> Self {
        Self::subscribe(runtime, name, options, |_| Ok(()))
    }

    fn all(&self) -> Vec<Call> {
        self.all.lock().expect("not poisoned").clone()
    }

    /// Each id with its attempt.
    fn attempts(&self) -> Vec<(String, u32)> {
        self.all().into_iter().map(|call| (call.id, call.attempt)).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.all().into_iter().map(|call| call.id).collect()
    }

    /// Waits for a call with this event.
    async fn with(&self, id: &str) {
        while !self.ids().iter().any(|other| other == id) {
            self.more.notified().await;
        }
    }
}

/// How many events a handler is owed.
async fn owed(runtime: &Runtime, handler: &str) -> u64 {
    let backlogs = runtime.backlogs().await.expect("backlogs");
    let of_it = backlogs.into_iter().filter(|backlog| backlog.handler == handler);
    of_it.map(|backlog| backlog.events).sum()
}
