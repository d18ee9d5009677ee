//! What the tests share: where the built plugins and the binary are, and short words for events and runtimes.

pub mod chance;
pub mod crash;
pub mod kills;
pub mod properties;
pub mod wat;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use palisade::{
    DeadLetter, DeadLetterFilter, EngineOptions, Event, Failure, Grants, Limits, Origin, PluginConfig, PluginSpec,
    Runtime,
};
use serde_json::Value;
use tokio::sync::Notify;

/// The root of the workspace.
fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map(PathBuf::from).unwrap_or(manifest)
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A plugin as `cargo xtask guests` has built it.
pub fn plugin(name: &str) -> PathBuf {
    let path = root().join("target/plugins").join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `cargo xtask guests`", path.display());
    path
}

/// The `palisade` binary that `cargo xtask test` has built.
pub fn binary() -> PathBuf {
    let path = target().join("debug/palisade");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p palisade`",
        path.display()
    );
    path
}

/// A spec for a plugin of this repository; without a circuit breaker, which would step in where a test has it fail on purpose.
pub fn spec(name: &str) -> PluginSpec {
    PluginSpec::from_file(plugin(name)).breaker(None)
}

/// The plugin that does the wrong thing on request, named `hostile`, with the grants that its reports need.
pub fn hostile() -> PluginSpec {
    hostile_as("hostile")
}

/// The same by another name.
pub fn hostile_as(name: &str) -> PluginSpec {
    spec("hostile").name(name).grants(publishes("hostile.>"))
}

/// A grant to publish what a pattern names.
pub fn publishes(pattern: &str) -> Grants {
    Grants::default().publish([pattern.parse().expect("a pattern")])
}

/// A config from JSON.
pub fn config(table: Value) -> PluginConfig {
    PluginConfig::from_json(table).expect("a table")
}

/// Limits with something changed.
pub fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// A runtime with the default settings, but room for few instances: the default reserves so much of the address space that
/// a process has room for five or six such runtimes, and as many tests run at a time as there are processors.
pub fn runtime() -> Runtime {
    Runtime::builder().engine(small_engine()).build().expect("a runtime")
}

/// What the tests' runtimes are built with.
pub fn small_engine() -> EngineOptions {
    let mut engine = EngineOptions::default();
    engine.max_instances = Some(256);
    engine
}

/// A runtime with these plugins, started.
pub async fn runtime_with(specs: impl IntoIterator<Item = PluginSpec>) -> Runtime {
    let runtime = runtime();
    runtime
        .launch(specs.into_iter().collect())
        .await
        .expect("all plugins start");
    runtime
}

/// All dead letters, the oldest first.
pub async fn dead_letters(runtime: &Runtime) -> Vec<DeadLetter> {
    let letters = runtime.dead_letters();
    let all = letters.list(&DeadLetterFilter::all(), None, usize::MAX).await;
    all.expect("the dead letters")
}

/// An event with JSON data.
pub fn event(event_type: &str, data: Value) -> Event {
    Event::builder(event_type, "/tests")
        .json(&data)
        .build()
        .expect("an event")
}

/// What a native handler saw, for tests to look at and to wait for.
#[derive(Clone, Default)]
pub struct Seen {
    events: Arc<Mutex<Vec<Event>>>,
    more: Arc<Notify>,
}

impl Seen {
    /// Subscribes to a pattern under a name and collects what comes.
    pub fn subscribe(runtime: &Runtime, pattern: &str, name: &str) -> Self {
        let seen = Self::default();
        let keep = seen.clone();
        let collect = move |cx: palisade::Context| {
            keep.push(cx.event.clone());
            std::future::ready(Ok::<(), Failure>(()))
        };
        runtime.subscribe(pattern, name, collect).expect("a subscription");
        seen
    }

    /// The same, for what handlers published only.
    pub fn published(runtime: &Runtime) -> Self {
        let seen = Self::default();
        let keep = seen.clone();
        let collect = move |cx: palisade::Context| {
            if cx.origin == Origin::Handler {
                keep.push(cx.event.clone());
            }
            std::future::ready(Ok::<(), Failure>(()))
        };
        runtime
            .subscribe(">", "seen-published", collect)
            .expect("a subscription");
        seen
    }

    fn push(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        self.more.notify_waiters();
    }

    /// All so far.
    pub fn all(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many so far.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The types so far.
    pub fn types(&self) -> Vec<String> {
        self.all().iter().map(|event| event.event_type().to_owned()).collect()
    }

    /// Waits until there are at least this many.
    pub async fn wait_for(&self, count: usize) -> Vec<Event> {
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if self.len() >= count {
                return self.all();
            }
            more.await;
        }
    }
}
