//! The guest that does what it is told with its key-value store, and a healthy neighbour on the same events.

use palisade::{
    BoxFuture, Class, KeyPage, KeyPageLimits, KeyValueCaps, KeyValueError, KeyValueStore, KeyValueUsage, KeyValueWrite,
    MemoryKeyValueStore, Outcome, PluginSpec, Runtime, RuntimeBuilder,
};
use std::sync::{Arc, Mutex};

use palisade_tests::{Seen, event, publishes, small_engine, spec};
use serde_json::Value;
use tokio::sync::watch;

use super::beside::neighbour;

/// The guest, with the grants it needs.
pub(super) fn ledger() -> PluginSpec {
    spec("ledger").grants(publishes("ledger.*").key_value())
}

/// A runtime with `ledger` and `neighbour`.
pub(super) struct Books {
    pub(super) runtime: Runtime,
    reports: Seen,
}

impl Books {
    pub(super) async fn new(ledger: PluginSpec) -> Self {
        Self::with(Runtime::builder(), ledger).await
    }

    pub(super) async fn with(builder: RuntimeBuilder, ledger: PluginSpec) -> Self {
        let runtime = builder.engine(small_engine()).build().expect("a runtime");
        let reports = Seen::subscribe(&runtime, "ledger.report", "reports");
        runtime.launch(vec![ledger, neighbour()]).await.expect("both start");
        Self { runtime, reports }
    }

    /// Tells it what to do, and says how that ended. The neighbour must have been served.
    pub(super) async fn tell(&self, ops: Value) -> Outcome {
        tell(&self.runtime, ops).await
    }

    /// The same for what must end well: what each was answered.
    pub(super) async fn does(&self, ops: Value) -> Vec<Value> {
        let outcome = self.tell(ops).await;
        assert_eq!(outcome.class, Class::Ok, "{}", outcome.message());
        let reports = self.reports_of("handle").await;
        reports.last().expect("a report").clone()
    }

    /// One thing that must be done.
    pub(super) async fn ok(&self, op: Value) -> Value {
        let answer = self.one(op).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["ok"].clone()
    }

    /// One thing that must be refused: the words.
    pub(super) async fn refused(&self, op: Value) -> String {
        let answer = self.one(op).await;
        answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("it was done: {answer}"))
            .to_owned()
    }

    async fn one(&self, op: Value) -> Value {
        self.does(Value::Array(vec![op])).await.remove(0)
    }

    /// What must end in this class: the words. Nothing is reported of it.
    pub(super) async fn fails(&self, ops: Value, class: Class) -> String {
        let before = self.reports_of("handle").await.len();
        let outcome = self.tell(ops).await;
        assert_eq!(outcome.class, class, "{}", outcome.message());
        assert_eq!(self.reports_of("handle").await.len(), before, "the outbox is forgotten");
        outcome.message().to_owned()
    }

    /// All answers of its `handle`, `start` or `stop` so far.
    pub(super) async fn reports_of(&self, call: &str) -> Vec<Vec<Value>> {
        self.runtime.quiet().await;
        let reports = self
            .reports
            .all()
            .into_iter()
            .map(|report| report.json().expect("JSON"));
        let of_call = reports.filter(|report: &Value| report["call"] == call);
        of_call
            .map(|report| report["answers"].as_array().expect("answers").clone())
            .collect()
    }
}

/// Tells the ledger of a runtime what to do.
pub(super) async fn tell(runtime: &Runtime, ops: Value) -> Outcome {
    let report = runtime.publish(event("ledger.do", ops)).await.expect("published");
    let neighbour = report.of("neighbour/all").expect("the neighbour got it too");
    assert_eq!(neighbour.class, Class::Ok, "{}", neighbour.message());
    report.of("ledger/do").expect("the ledger got it").clone()
}

/// What a store does when it is asked to commit or purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Failing,
    Panicking,
    Hanging,
}

/// A store in memory that tells which keys it is asked for, and fails when told to.
#[derive(Clone)]
pub(super) struct Watched {
    inner: Arc<MemoryKeyValueStore>,
    mood: Arc<Mutex<Mood>>,
    asked: watch::Sender<Vec<String>>,
}

impl Watched {
    pub(super) fn new() -> Self {
        Self {
            inner: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Well)),
            asked: watch::Sender::default(),
        }
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What would go well, as its mood is.
    fn in_mood<'a, T>(&self, well: BoxFuture<'a, Result<T, KeyValueError>>) -> BoxFuture<'a, Result<T, KeyValueError>>
    where
        T: Send + 'a,
    {
        // Copied: a panic must not find it locked.
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => well,
            Mood::Failing => Box::pin(async { Err(KeyValueError::Failed("the disk is gone".to_owned())) }),
            Mood::Panicking => panic!("a store that panics"),
            Mood::Hanging => Box::pin(std::future::pending()),
        }
    }

    /// Waits until somebody asked whether there is such a key.
    pub(super) async fn asked_for(&self, key: &str) {
        let mut asked = self.asked.subscribe();
        asked
            .wait_for(|keys| keys.iter().any(|other| other == key))
            .await
            .expect("it is watched");
    }
}

impl KeyValueStore for Watched {
    fn get<'a>(&'a self, plugin: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<bytes::Bytes>, KeyValueError>> {
        assert_ne!(key, "panic", "a store that panics");
        self.inner.get(plugin, key)
    }

    fn size<'a>(&'a self, plugin: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<usize>, KeyValueError>> {
        self.asked.send_if_modified(|keys| {
            // A guest may ask for the same one again and again.
            let is_new = keys.last().is_none_or(|last| last != key);
            keys.extend(is_new.then(|| key.to_owned()));
            is_new
        });
        self.inner.size(plugin, key)
    }

    fn list<'a>(
        &'a self,
        plugin: &'a str,
        after: Option<&'a str>,
        page: KeyPageLimits,
    ) -> BoxFuture<'a, Result<KeyPage, KeyValueError>> {
        self.inner.list(plugin, after, page)
    }

    fn usage<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<KeyValueUsage, KeyValueError>> {
        self.inner.usage(plugin)
    }

    fn commit<'a>(
        &'a self,
        plugin: &'a str,
        writes: Vec<KeyValueWrite>,
        caps: KeyValueCaps,
    ) -> BoxFuture<'a, Result<(), KeyValueError>> {
        self.in_mood(self.inner.commit(plugin, writes, caps))
    }

    fn purge<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<KeyValueUsage, KeyValueError>> {
        self.in_mood(self.inner.purge(plugin))
    }
}
