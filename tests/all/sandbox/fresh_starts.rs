//! Deliveries whose instance has to be started first, or to be waited for: what their deadlines mean to the `start`, and who
//! is to blame. The ledger's `start` waits here until a key is there.

use std::time::Duration;

use palisade::{
    Class, DeadlineOf, Fault, HandlerSpec, KeyValueCaps, KeyValueStore as _, KeyValueWrite, LimitKind, Outcome,
    PluginSpec, PluginState, Runtime,
};
use palisade_tests::{config, event, limits};
use serde_json::json;

use super::beside::SHORT;
use super::ledger::{Books, Watched, ledger};
use crate::plugins::watch::{bears, state};

/// A ledger whose `start` waits, and the store that says until when.
struct Waiting {
    books: Books,
    store: Watched,
}

impl Waiting {
    /// Started for the first time.
    async fn new(spec: PluginSpec) -> Self {
        let store = Watched::new();
        put(&store, "go", Some("")).await;
        let waits = config(json!({ "in-start": [{ "until": "go" }] }));
        let builder = Runtime::builder().key_value(store.clone());
        let books = Books::with(builder, spec.config(waits)).await;
        Self { books, store }
    }

    /// The instance is lost, and the next one's `start` waits.
    async fn holds_starts(&self) {
        self.books.fails(json!([{ "end": "trap" }]), Class::Trap).await;
        put(&self.store, "go", None).await;
    }

    async fn lets_starts_go(&self) {
        put(&self.store, "go", Some("")).await;
    }

    /// One event of a publisher in a hurry.
    async fn within(&self, limit: Duration) -> Outcome {
        let nothing = event("ledger.do", json!([]));
        let report = self.books.runtime.publish_within(nothing, limit).await.unwrap();
        report.of("ledger/do").expect("it was tried").clone()
    }
}

async fn put(store: &Watched, key: &str, value: Option<&'static str>) {
    let (key, value) = (key.to_owned(), value.map(bytes::Bytes::from));
    let caps = KeyValueCaps { keys: 1, bytes: 100 };
    let writes = vec![KeyValueWrite { key, value }];
    store.commit("ledger", writes, caps).await.unwrap();
}

fn fault(outcome: &Outcome, class: Class) -> &Fault {
    assert_eq!(outcome.class, class, "{}", outcome.message());
    assert_eq!(outcome.limit(), None);
    outcome.fault.as_ref().expect("it failed")
}

/// S7, B3: the `start` of a fresh instance goes on when its publisher does not wait for it, and the next event gets the
/// instance; nobody is to blame, and the instance's next start waits for no backoff.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_b3_a_start_that_a_publisher_does_not_wait_for_goes_on() {
    let waiting = Waiting::new(ledger().quarantine(bears(2))).await;
    for _ in 0..2 {
        waiting.holds_starts().await;
        let first = waiting.within(SHORT).await;
        let told = fault(&first, Class::Overloaded);
        assert_eq!(told.deadline_of(), Some(DeadlineOf::Publisher));
        assert_eq!(
            told.message(),
            "ledger was still starting a fresh instance at the publisher's deadline; the next event may get it"
        );
        let second = waiting.within(SHORT).await;
        assert_eq!(
            fault(&second, Class::Overloaded).message(),
            "ledger had no free instance until the publisher's deadline"
        );
        waiting.lets_starts_go().await;
        waiting.books.does(json!([])).await;
    }
    // Once at the launch and once after each trap: no start was thrown away.
    assert_eq!(waiting.books.reports_of("start").await.len(), 3);
}

/// S2, S7: a handler with less time than its plugin's `start` may take does not keep the plugin from coming back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_s7_a_start_may_take_longer_than_a_handler() {
    let mut hurried = HandlerSpec::default();
    hurried.timeout = Some(SHORT);
    let waiting = Waiting::new(ledger().handler("do", hurried)).await;
    waiting.holds_starts().await;
    let outcome = waiting.books.tell(json!([])).await;
    assert_eq!(
        fault(&outcome, Class::Overloaded).message(),
        "ledger was still starting a fresh instance at its deadline; the next event may get it"
    );
    waiting.lets_starts_go().await;
    waiting.books.does(json!([])).await;
}

/// S2, S7: a `start` that does not end by the time that the plugin's limits give it has failed, and the next one waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_s7_a_start_that_does_not_end_in_its_own_time_has_failed() {
    let brief = limits(|limits| limits.timeout = SHORT * 2);
    let waiting = Waiting::new(ledger().limits(brief).quarantine(None)).await;
    waiting.holds_starts().await;
    let outcome = waiting.books.tell(json!([])).await;
    assert_eq!(
        (outcome.class, outcome.limit()),
        (Class::Timeout, Some(LimitKind::Timeout)),
        "{}",
        outcome.message()
    );
    // Each start that fails doubles the wait; on a slow machine the first ones may be over before the next event.
    let mut ends = Vec::new();
    while ends.last() != Some(&Class::Unavailable) && ends.len() < 10 {
        ends.push(waiting.books.tell(json!([])).await.class);
    }
    assert_eq!(ends.last(), Some(&Class::Unavailable), "{ends:?}");
}

/// S7: so has one that goes on without its publisher: it counts, and one too many quarantines the plugin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_a_start_that_goes_on_alone_and_fails_counts() {
    let brief = limits(|limits| limits.timeout = SHORT * 2);
    let waiting = Waiting::new(ledger().limits(brief).quarantine(bears(1))).await;
    waiting.holds_starts().await;
    let outcome = waiting.within(SHORT / 5).await;
    fault(&outcome, Class::Overloaded);
    // It holds the only place until it fails.
    let next = waiting.books.tell(json!([])).await;
    assert!(
        matches!(next.class, Class::Overloaded | Class::Unavailable),
        "{}",
        next.message()
    );
    while state(&waiting.books.runtime, "ledger") != Some(PluginState::Quarantined) {
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting.books.tell(json!([])).await.class, Class::Unavailable);
}

/// S7, B3: a call that was stopped at its deadline after it had waited for an instance for most of its time is not to blame;
/// who had all its time is.
#[tokio::test]
async fn s7_b3_a_call_that_had_waited_for_most_of_its_time_is_not_to_blame() {
    let store = Watched::new();
    let brief = limits(|limits| limits.timeout = Duration::from_secs(10));
    let spec = ledger().limits(brief).quarantine(bears(0));
    let books = Books::with(Runtime::builder().key_value(store.clone()), spec).await;
    tokio::time::pause();
    let runtime = books.runtime.clone();
    let first = tokio::spawn(async move { super::ledger::tell(&runtime, json!([{ "until": "go" }])).await });
    store.asked_for("go").await;
    let mut second = Box::pin(books.tell(json!([{ "until": "never" }])));
    assert!(futures_util::poll!(&mut second).is_pending());
    tokio::time::advance(Duration::from_secs(6)).await;
    put(&store, "go", Some("")).await;
    assert_eq!(first.await.unwrap().class, Class::Ok);
    let ends = async {
        store.asked_for("never").await;
        tokio::time::advance(Duration::from_secs(4)).await;
    };
    let (second, ()) = tokio::join!(second, ends);
    let told = fault(&second, Class::Timeout);
    assert_eq!(told.deadline_of(), Some(DeadlineOf::Waiting));
    assert!(!told.is_guest_fault());
    assert_eq!(
        told.message(),
        "ledger did not end handle by its deadline (most of its time it had waited for a free instance) and was stopped"
    );
    assert_eq!(state(&books.runtime, "ledger"), Some(PluginState::Started));

    let (third, ()) = tokio::join!(books.tell(json!([{ "until": "ever" }])), async {
        store.asked_for("ever").await;
        tokio::time::advance(Duration::from_secs(10)).await;
    });
    let told = third.fault.expect("it failed");
    assert_eq!(
        (told.deadline_of(), told.limit()),
        (Some(DeadlineOf::Handler), Some(LimitKind::Timeout))
    );
    assert_eq!(state(&books.runtime, "ledger"), Some(PluginState::Quarantined));
}
