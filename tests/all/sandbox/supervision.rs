//! What watches over guests: the clock that stops them, as an operator sees it, and what becomes of a start that fails.

use std::fs;
use std::time::Duration;

use palisade::{Class, FsMode, Health, PluginSpec, PluginState, QuarantinePolicy, RetryPolicy, Runtime, RuntimeHealth};
use palisade_tests::{Seen, config, dead_letters, event, hostile, publishes, runtime_with};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::beside::{Beside, neighbour, only, sin_event};

fn of(health: &RuntimeHealth, plugin: &str) -> Health {
    health
        .plugins
        .iter()
        .find(|(name, _)| name == plugin)
        .expect("it is there")
        .1
        .clone()
}

/// S3, H8: health tells how many calls run and whether the clock had to be replaced, and is answered while guests spin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_h8_health_tells_of_the_ticker() {
    let beside = Beside::new(hostile().concurrency(2).grants(only("hostile.spin"))).await;
    let health = beside.runtime.health().await;
    assert_eq!((health.ticker.running_calls, health.ticker.replaced), (0, 0));
    let publish = || {
        let runtime = beside.runtime.clone();
        tokio::spawn(async move { runtime.publish(sin_event("hostile.spin", Value::Null)).await })
    };
    let spinners = [publish(), publish()];
    beside.busy(&spinners).await;
    let health = beside.runtime.health().await;
    assert_eq!((health.ticker.running_calls, health.ticker.replaced), (2, 0));
    assert_eq!(of(&health, "neighbour"), Health::Healthy);
    assert_eq!(
        of(&health, "hostile"),
        Health::Busy,
        "a busy plugin is not an unhealthy one"
    );
    for spinner in spinners {
        spinner.abort();
        assert!(spinner.await.unwrap_err().is_cancelled());
    }
    assert_eq!(beside.runtime.health().await.ticker.running_calls, 0);
}

/// A sinner whose fresh instances trap in `start` while a file says so.
struct Marked {
    directory: TempDir,
    runtime: Runtime,
}

impl Marked {
    async fn new(change: impl FnOnce(PluginSpec) -> PluginSpec) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let grants = publishes("hostile.>").fs(directory.path(), "/mark", FsMode::Read);
        let spec = hostile()
            .grants(grants)
            .config(config(json!({ "in-start": "trap-if-marked" })));
        let runtime = runtime_with([change(spec), neighbour()]).await;
        Self { directory, runtime }
    }

    /// From now on no start goes well; the instance that is there is lost.
    async fn break_starts(&self) {
        fs::write(self.directory.path().join("trap"), "").unwrap();
        assert_eq!(self.publish("hostile.trap").await.0, Class::Trap);
    }

    fn mend_starts(&self) {
        fs::remove_file(self.directory.path().join("trap")).unwrap();
    }

    /// How it ended, and the words.
    async fn publish(&self, event_type: &str) -> (Class, String) {
        let report = self.runtime.publish(sin_event(event_type, Value::Null)).await.unwrap();
        assert_eq!(report.of("neighbour/all").unwrap().class, Class::Ok);
        let outcome = report.of("hostile/sin").unwrap();
        (outcome.class, outcome.message().to_owned())
    }
}

/// S5, S7: a fresh instance whose `start` fails is tried again with backoff: until the next try is due deliveries are
/// unavailable, told why and for how long, and nothing is instantiated; a start that goes well ends it.
#[tokio::test(start_paused = true)]
async fn s5_s7_a_start_that_fails_is_tried_again_with_backoff() {
    let marked = Marked::new(|spec| spec.quarantine(None)).await;
    marked.break_starts().await;
    let first = marked.publish("hostile.ok").await;
    assert_eq!(first.0, Class::Trap, "{}", first.1);
    for _ in 0..20 {
        let (class, words) = marked.publish("hostile.ok").await;
        assert_eq!(class, Class::Unavailable);
        let before = format!("hostile could not be started: {}; tried again in ", first.1);
        assert!(words.starts_with(&before) && words.ends_with(" s"), "{words}");
    }
    for wait in [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000] {
        assert_eq!(marked.publish("hostile.ok").await.0, Class::Unavailable);
        tokio::time::advance(Duration::from_millis(wait)).await;
        assert_eq!(marked.publish("hostile.ok").await.0, Class::Trap, "tried again");
    }
    marked.mend_starts();
    assert_eq!(marked.publish("hostile.ok").await.0, Class::Unavailable, "not due yet");
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(marked.publish("hostile.ok").await.0, Class::Ok);
    marked.break_starts().await;
    assert_eq!(marked.publish("hostile.ok").await.0, Class::Trap, "at once");
    tokio::time::advance(Duration::from_millis(100)).await;
    assert_eq!(marked.publish("hostile.ok").await.0, Class::Trap, "100 ms again");
}

/// S7: what is queued meanwhile is retried by its policy, and health tells why nothing goes on.
#[tokio::test(start_paused = true)]
async fn s7_queued_events_outlast_the_backoff() {
    let retry = RetryPolicy {
        attempts: 100,
        base: Duration::from_secs(1),
        ..RetryPolicy::default()
    };
    let marked = Marked::new(|spec| spec.quarantine(None).retry(retry)).await;
    marked.break_starts().await;
    assert_eq!(marked.publish("hostile.ok").await.0, Class::Trap);
    let health = marked.runtime.plugin_health("hostile").await.unwrap();
    assert!(
        matches!(&health, Health::Unhealthy(why) if why.contains("hostile could not be started: ")),
        "{health:?}"
    );
    marked
        .runtime
        .publish_async(event("hostile.ok", Value::Null))
        .await
        .unwrap();
    tokio::task::yield_now().await;
    marked.mend_starts();
    marked.runtime.quiet().await;
    assert!(dead_letters(&marked.runtime).await.is_empty());
    assert_eq!(marked.publish("hostile.ok").await.0, Class::Ok);
}

/// S7: faults in the `start` of fresh instances count; answers between two tries don't.
#[tokio::test(start_paused = true)]
async fn s7_faults_in_start_count() {
    let policy = QuarantinePolicy {
        faults: 2,
        window: Duration::from_secs(3600),
    };
    let marked = Marked::new(|spec| spec.quarantine(policy)).await;
    marked.break_starts().await;
    let state = || marked.runtime.plugin("hostile").unwrap().state;
    for fault in 2..=3 {
        assert_eq!(state(), PluginState::Started, "before fault {fault}");
        assert_eq!(marked.publish("hostile.ok").await.0, Class::Trap);
        assert_eq!(marked.publish("hostile.ok").await.0, Class::Unavailable);
        tokio::time::advance(Duration::from_secs(30)).await;
    }
    assert_eq!(state(), PluginState::Quarantined);
    marked.mend_starts();
    marked.runtime.start("hostile").await.unwrap();
    assert_eq!(marked.publish("hostile.ok").await.0, Class::Ok);
}

/// B11, S5: what a fresh instance published in `start` goes out, though the call that it was made for is the end of it, be
/// that an event or a question for its health.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_what_start_published_outlives_the_call_it_was_made_for() {
    let loud = json!({ "in-start": "publish", "in-health": "trap" });
    let spec = hostile().grants(only("hostile.trap")).config(config(loud));
    let runtime = runtime_with([spec, neighbour()]).await;
    let reports = Seen::subscribe(&runtime, "hostile.report", "reports");
    for started in 0..3 {
        let report = runtime.publish(sin_event("hostile.trap", Value::Null)).await.unwrap();
        assert_eq!(report.of("hostile/sin").unwrap().class, Class::Trap);
        runtime.quiet().await;
        assert_eq!(
            reports.len(),
            started,
            "the first one's start was before the test listened"
        );
    }
    let health = runtime.plugin_health("hostile").await.unwrap();
    assert!(
        matches!(&health, Health::Unhealthy(why) if why.starts_with("trap: ")),
        "{health:?}"
    );
    runtime.quiet().await;
    assert_eq!(reports.len(), 3);
}
