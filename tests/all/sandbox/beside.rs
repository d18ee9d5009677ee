//! The guest that sins, and a healthy neighbour on the same events that must not notice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palisade::{
    Class, Event, Grants, Health, LoadError, LogLevel, LogRecord, LogSink, Outcome, PluginSpec, Runtime, RuntimeBuilder,
};
use palisade_tests::{Seen, event, hostile, limits, publishes, small_engine, spec};
use serde_json::Value;
use tokio::task::JoinHandle;

/// The deadline of a guest that will not keep it: long enough for everything else that the guest does.
pub(super) const SHORT: Duration = Duration::from_millis(250);

/// A runtime with `hostile` and `neighbour`.
pub(super) struct Beside {
    pub(super) runtime: Runtime,
    reports: Seen,
}

impl Beside {
    /// Starts both.
    pub(super) async fn new(hostile: PluginSpec) -> Self {
        Self::with(Runtime::builder().engine(small_engine()), hostile).await
    }

    /// Starts both in a runtime with other settings.
    pub(super) async fn with(builder: RuntimeBuilder, hostile: PluginSpec) -> Self {
        let runtime = builder.build().expect("a runtime");
        runtime.launch(vec![hostile, neighbour()]).await.expect("both start");
        let reports = Seen::subscribe(&runtime, "hostile.report", "reports");
        Self { runtime, reports }
    }

    /// Publishes one event of the type that names a sin, `null` being no data, and says how it ended for the sinner. The
    /// neighbour must have been served.
    pub(super) async fn sin(&self, event_type: &str, data: Value) -> Outcome {
        // What an earlier sin published may still be on its way to the instance.
        self.runtime.quiet().await;
        let report = self
            .runtime
            .publish(sin_event(event_type, data))
            .await
            .expect("published");
        let neighbour = report.of("neighbour/all").expect("the neighbour got it too");
        assert_eq!(neighbour.class, Class::Ok, "{}", neighbour.message());
        report.of("hostile/sin").expect("hostile got it").clone()
    }

    /// The same for a sin that tells what the host answered: its report.
    pub(super) async fn report(&self, event_type: &str, data: Value) -> Value {
        let before = self.reports.len();
        let outcome = self.sin(event_type, data).await;
        assert_eq!(outcome.class, Class::Ok, "{}", outcome.message());
        self.runtime.quiet().await;
        let reports = self.reports.all();
        assert_eq!(reports.len(), before + 1, "one report");
        reports.last().expect("a report").json().expect("JSON")
    }

    /// All reports so far.
    pub(super) async fn reports(&self) -> Vec<Value> {
        self.runtime.quiet().await;
        self.reports
            .all()
            .iter()
            .map(|report| report.json().expect("JSON"))
            .collect()
    }

    /// A sin must end in this class; the next event must be handled as if nothing had been. Returns the words.
    pub(super) async fn killed(&self, event_type: &str, data: Value, class: Class) -> String {
        let outcome = self.sin(event_type, data).await;
        assert_eq!(outcome.class, class, "{}", outcome.message());
        self.obeys("hostile.ok", Value::Null).await;
        outcome.message().to_owned()
    }

    /// An event must be handled.
    pub(super) async fn obeys(&self, event_type: &str, data: Value) -> Outcome {
        let outcome = self.sin(event_type, data).await;
        assert_eq!(outcome.class, Class::Ok, "{event_type}: {}", outcome.message());
        outcome
    }

    /// Waits until all instances of the sinner are at work for these calls, none of which may end before that.
    pub(super) async fn busy<T>(&self, calls: &[JoinHandle<T>]) {
        until_busy(&self.runtime, calls).await;
    }
}

/// Waits until all instances of `hostile` are at work for these calls, none of which may end before that, and nobody else
/// is at work.
pub(super) async fn until_busy<T>(runtime: &Runtime, calls: &[JoinHandle<T>]) {
    loop {
        let health = runtime.health().await;
        let as_expected = |name: &str| {
            if name == "hostile" {
                Health::Busy
            } else {
                Health::Healthy
            }
        };
        // An instance may be taken a moment before its guest is called: the second number tells that.
        if health.plugins.iter().all(|(name, health)| *health == as_expected(name))
            && health.ticker.running_calls == calls.len()
        {
            return;
        }
        assert!(
            calls.iter().all(|call| !call.is_finished()),
            "a call ended before all were at work"
        );
        tokio::task::yield_now().await;
    }
}

/// The plugin that takes every event.
pub(super) fn neighbour() -> PluginSpec {
    spec("probe").name("neighbour")
}

/// All who take the event are served.
pub(super) async fn served(runtime: &Runtime, event_type: &str) {
    let report = runtime
        .publish(sin_event(event_type, Value::Null))
        .await
        .expect("published");
    assert!(report.all_ok(), "{report:?}");
}

/// Loads what must be refused, beside a neighbour that must not notice.
pub(super) async fn refused(builder: RuntimeBuilder, spec: PluginSpec) -> LoadError {
    let runtime = builder.engine(small_engine()).build().expect("a runtime");
    runtime.launch(vec![neighbour()]).await.expect("it starts");
    let error = runtime.load(spec).await.expect_err("refused");
    assert_eq!(runtime.plugins().len(), 1, "nothing is left of it");
    served(&runtime, "any.event").await;
    error
}

/// The sinner with a short deadline.
pub(super) fn hurried() -> PluginSpec {
    hostile().limits(limits(|limits| limits.timeout = SHORT))
}

/// The sinner's usual grants, and no event but this one: not even its own reports.
pub(super) fn only(event_type: &str) -> Grants {
    publishes("hostile.>").subscribe([event_type.parse().expect("a pattern")])
}

/// An event that names a sin; `null` is no data.
pub(super) fn sin_event(event_type: &str, data: Value) -> Event {
    match data {
        Value::Null => Event::builder(event_type, "/tests").build().expect("an event"),
        data => event(event_type, data),
    }
}

/// One line as a test's sink has taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) plugin: String,
    pub(super) level: LogLevel,
    pub(super) context: String,
    pub(super) message: String,
}

/// A sink that keeps all lines.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<Line>>>);

impl Lines {
    /// Takes what there is so far.
    pub(super) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LogSink for Lines {
    fn log(&self, record: LogRecord<'_>) {
        let LogRecord {
            plugin,
            level,
            context,
            message,
            ..
        } = record;
        let (plugin, context, message) = (plugin.to_owned(), context.to_owned(), message.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Line {
            plugin,
            level,
            context,
            message,
        });
    }
}

/// Ends guests that spin, which must not have ended by themselves.
pub(crate) async fn spun_meanwhile<T: std::fmt::Debug>(spinners: Vec<JoinHandle<T>>) {
    assert!(
        spinners.iter().all(|spinner| !spinner.is_finished()),
        "all of them spun meanwhile"
    );
    for spinner in spinners {
        spinner.abort();
        assert!(spinner.await.unwrap_err().is_cancelled());
    }
}
