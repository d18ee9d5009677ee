//! H32 as one story, told as it goes: a plugin fails for a while and heals, twice. `--no-capture` shows it, each line with the
//! seconds since the start. Time is paused, so the minutes of the story pass in no time.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palisade::{
    BreakerPolicy, BreakerState, Class, DeadLetterFilter, DeadLetterReason, Event, FsMode, PluginState, Runtime,
};
use palisade_tests::{Seen, config, dead_letters, hostile, publishes, runtime_with, spec};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span;

use super::watch::{count, state};

const SECOND: Duration = Duration::from_secs(1);
const SINNER: &str = "hostile/sin";
const NEIGHBOUR: &str = "probe/all";

/// What has happened so far.
#[derive(Clone)]
struct Story {
    started: Instant,
    lines: Arc<Mutex<Vec<String>>>,
    /// How many attempts at each event have failed.
    failed: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Story {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            lines: Arc::default(),
            failed: Arc::default(),
        }
    }

    fn tell(&self, what: impl std::fmt::Display) {
        println!("{:9.3} s  {what}", self.started.elapsed().as_secs_f64());
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what.to_string());
    }

    /// Which attempt at the event it was that failed now.
    fn attempt(&self, id: &str) -> u32 {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = failed.entry(id.to_owned()).or_default();
        *attempts += 1;
        *attempts
    }

    /// In this order, with other things in between.
    fn assert_told(&self, steps: &[&str]) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut rest = lines.iter();
        for step in steps {
            assert!(rest.any(|line| line.contains(step)), "not told, or too early: {step}");
        }
    }
}

/// The runtime's own log becomes part of the story, for the reader.
impl tracing::Subscriber for Story {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("palisade::") && *metadata.level() <= tracing::Level::DEBUG
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let (id, fault) = (line.field("event"), line.field("fault"));
        let class = fault.split(':').next().unwrap_or_default();
        match &*line.field("message") {
            "will be tried again" => {
                let (attempt, delay) = (self.attempt(&id), line.field("delay"));
                self.tell(format_args!(
                    "{id}: attempt {attempt} failed ({class}), again in {delay}"
                ));
            }
            "dead letter" => {
                let (attempt, reason) = (self.attempt(&id), line.field("reason"));
                self.tell(format_args!("{id}: attempt {attempt} failed ({reason}), a dead letter"));
            }
            other => self.tell(other),
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The fields of a line of the log.
#[derive(Default)]
struct Line(BTreeMap<&'static str, String>);

impl Line {
    fn field(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// The plugin, whose instances trap in `start` while there is a mark, its neighbour, and who watches them.
struct Stage {
    story: Story,
    runtime: Runtime,
    directory: tempfile::TempDir,
    /// `plugin.error`.
    errors: Seen,
}

impl Stage {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let grants = publishes("hostile.>").fs(directory.path(), "/mark", FsMode::Read);
        let sinner = hostile()
            .breaker(BreakerPolicy::default())
            .grants(grants)
            .config(config(json!({ "in-start": "trap-if-marked" })));
        let runtime = runtime_with([sinner, spec("probe")]).await;
        let errors = Seen::subscribe(&runtime, "plugin.error", "errors");
        let story = Story::new();
        story.tell("the plugin has started; its neighbour gets every event, too, and one of its own every second");
        Self {
            story,
            runtime,
            directory,
            errors,
        }
    }

    fn breaks(&self) {
        fs::write(self.directory.path().join("trap"), "").unwrap();
    }

    fn mends(&self) {
        fs::remove_file(self.directory.path().join("trap")).unwrap();
    }

    fn traps(&self) -> u64 {
        count(&self.runtime, SINNER, Class::Trap)
    }

    fn handled(&self) -> u64 {
        count(&self.runtime, SINNER, Class::Ok)
    }

    fn breaker(&self) -> BreakerState {
        breaker(&self.runtime)
    }

    async fn queue(&self, id: &str, event_type: &str) -> bool {
        let receipt = self.runtime.publish_async(named(id, event_type)).await.unwrap();
        let by_sinner = receipt
            .refused
            .iter()
            .all(|refusal| refusal.handler.to_string() == SINNER);
        assert!(by_sinner, "the neighbour's queue takes it: {receipt:?}");
        let words = receipt.refused.first().map_or("queued", |refusal| &*refusal.message);
        self.story.tell(format_args!("{id} is published: {words}"));
        receipt.refused.is_empty()
    }

    async fn orders(&self, numbers: std::ops::RangeInclusive<u32>) {
        for number in numbers {
            assert!(self.queue(&format!("order-{number}"), "hostile.ok").await);
        }
    }

    /// Waits in small steps of the clock; ten minutes are too long.
    async fn until(&self, what: impl Fn() -> bool) {
        let patience = Instant::now() + 600 * SECOND;
        while !what() {
            assert!(Instant::now() < patience, "it does not come to that");
            tokio::time::sleep(SECOND / 100).await;
        }
    }

    /// Tells each change of the plugin's state and its breaker's, and sees to it that the neighbour is served every second.
    async fn watch(story: Story, runtime: Runtime) {
        let (mut last, mut ticks) = (String::new(), 0_u32);
        loop {
            let now = format!(
                "breaker {}, plugin {}",
                breaker(&runtime),
                state(&runtime, "hostile").unwrap()
            );
            if now != last {
                story.tell(&now);
                last = now;
            }
            if ticks.is_multiple_of(100) {
                let report = runtime.publish(named("pulse", "pulse")).await.unwrap();
                assert_eq!(report.of(NEIGHBOUR).unwrap().class, Class::Ok);
            }
            ticks += 1;
            tokio::time::sleep(SECOND / 100).await;
        }
    }

    /// Five orders and no fault.
    async fn all_is_well(&self) {
        self.orders(1..=3).await;
        self.runtime.quiet().await;
        assert_eq!((self.handled(), self.traps()), (3, 0));
        self.story.tell("3 orders are handled");
    }

    /// S7, D3: starts that fail are tried again with backoff, and what is queued with it; nobody has to do anything.
    async fn a_short_illness(&self) {
        self.story
            .tell("SHORT ILLNESS: an event traps, and what the plugin needs to start is gone");
        self.breaks();
        let pill = self.runtime.publish(named("pill-1", "hostile.trap")).await.unwrap();
        assert_eq!(pill.of(SINNER).unwrap().class, Class::Trap);
        self.orders(4..=5).await;
        self.until(|| self.traps() == 3).await;
        self.mends();
        self.story.tell("it is back, after two starts that trapped");
        self.runtime.quiet().await;
        assert_eq!((self.handled(), self.traps()), (5, 3));
        assert!(
            count(&self.runtime, SINNER, Class::Unavailable) > 0,
            "between two starts"
        );
        assert_eq!((self.breaker(), self.errors.len()), (BreakerState::Closed, 0));
        assert!(dead_letters(&self.runtime).await.is_empty());
        self.story
            .tell("both orders are handled, without a hand of the operator's");
    }

    /// D5, S7: the fifth failure in a row opens the breaker; its probe is the sixth fault within a minute.
    async fn a_long_illness(&self) {
        tokio::time::sleep(61 * SECOND).await;
        self.story.tell("LONG ILLNESS: as before, but nobody mends it");
        self.breaks();
        let before = self.traps();
        assert!(self.queue("pill-2", "hostile.trap").await);
        self.orders(6..=10).await;
        self.until(|| self.breaker() == BreakerState::Open).await;
        let opened = Instant::now();
        assert_eq!(self.traps() - before, 5, "in a row");
        assert_eq!(state(&self.runtime, "hostile"), Some(PluginState::Started));

        let report = self.runtime.publish(named("urgent", "hostile.ok")).await.unwrap();
        assert_eq!(report.of(SINNER).unwrap().class, Class::BreakerOpen);
        assert_eq!(report.of(NEIGHBOUR).unwrap().class, Class::Ok);
        self.orders(11..=12).await;
        self.until(|| self.traps() - before == 6).await;
        let rested = opened.elapsed();
        assert!((29 * SECOND..31 * SECOND).contains(&rested), "{rested:?}");
        self.story.tell("the probe has failed, the sixth fault of this minute");
        self.errors.wait_for(1).await;
        self.story.tell(format_args!(
            "plugin.error: {}",
            String::from_utf8_lossy(self.errors.all()[0].data())
        ));
        assert_eq!(state(&self.runtime, "hostile"), Some(PluginState::Quarantined));
        assert!(
            !self.queue("order-13", "hostile.ok").await,
            "refused: it is quarantined"
        );

        self.runtime.quiet().await;
        assert_eq!((self.traps() - before, self.handled()), (6, 5), "it was left in peace");
        let told: Value = self.errors.all()[0].json().unwrap();
        assert_eq!((&told["state"], &told["faults"]), (&json!("quarantined"), &json!(6)));
        assert_eq!(self.errors.len(), 1);
    }

    /// D4: nothing is lost: what could not be handled waits as dead letters.
    async fn the_letters(&self) {
        let letters = dead_letters(&self.runtime).await;
        for letter in &letters {
            let (id, reason, attempts) = (letter.event.id(), letter.reason, letter.attempts);
            assert_eq!(
                (reason, attempts),
                (DeadLetterReason::Failed(Class::Unavailable), 5),
                "{id}"
            );
            assert!(letter.error.contains("quarantined"), "{}", letter.error);
        }
        let mut ids: Vec<_> = letters.iter().map(|letter| letter.event.id().to_owned()).collect();
        ids.sort_by_key(|id| (id.len(), id.clone()));
        assert_eq!(
            ids,
            [
                "pill-2", "order-6", "order-7", "order-8", "order-9", "order-10", "order-11", "order-12"
            ]
        );
    }

    /// S7, D4, D5: the operator starts it again, throws the pill away and sends the rest again; its breaker is closed with the start.
    async fn the_cure(&self) {
        tokio::time::sleep(60 * SECOND).await;
        self.mends();
        self.runtime.start("hostile").await.unwrap();
        self.story.tell("CURE: the operator has mended it and started it again");
        tokio::time::sleep(SECOND / 10).await;
        assert_eq!(self.breaker(), BreakerState::Closed, "nothing is held against it");
        for letter in dead_letters(&self.runtime).await {
            let id = letter.event.id();
            if id == "pill-2" {
                self.runtime.dead_letters().take(letter.id).await.unwrap();
                self.story.tell(format_args!("{id} is thrown away"));
            } else {
                self.runtime.redrive(letter.id).await.unwrap();
                self.story.tell(format_args!("{id} is sent again"));
            }
        }
        self.runtime.quiet().await;
        tokio::time::sleep(SECOND / 10).await;
        assert_eq!((self.handled(), self.breaker()), (12, BreakerState::Closed));
        let left = self.runtime.dead_letters().purge(&DeadLetterFilter::all()).await;
        assert_eq!(left.unwrap(), 0);
        self.story.tell("all 12 orders are handled, and the breaker is closed");
    }

    /// All the counts, in the end.
    fn counts(&self) {
        let traps = count(&self.runtime, SINNER, Class::Trap);
        let refused = count(&self.runtime, SINNER, Class::BreakerOpen);
        assert_eq!((traps, self.traps()), (3 + 6, 9));
        assert!(refused >= 1);
        let stats = self.runtime.stats();
        assert_eq!(
            (stats.dead_letters, stats.refused, stats.dropped, stats.abandoned),
            (8, 1, 0, 0)
        );
        for class in Class::ALL.into_iter().filter(|class| *class != Class::Ok) {
            assert_eq!(count(&self.runtime, NEIGHBOUR, class), 0, "{class}");
        }
        let (served, errors) = (count(&self.runtime, NEIGHBOUR, Class::Ok), self.errors.len() as u64);
        // Everything that was published, but for what only the redrive sent to the other one, and the host's events.
        assert!(served >= stats.published, "{served} of {}", stats.published);
        self.story.tell(format_args!(
            "the end: {traps} traps, {errors} quarantine, {} retries, {} dead letters of which none is left; the neighbour \
             handled all of its {served} events",
            stats.retries, stats.dead_letters
        ));
    }
}

fn breaker(runtime: &Runtime) -> BreakerState {
    let stats = runtime.handler_stats();
    let stats = stats.iter().find(|stats| stats.handler.to_string() == SINNER);
    stats.and_then(|stats| stats.breaker).unwrap()
}

fn named(id: &str, event_type: &str) -> Event {
    Event::builder(event_type, "/tests")
        .id(id)
        .json(&json!({}))
        .build()
        .unwrap()
}

/// H32, S5, S7, D3, D4, D5: a plugin that traps at every event for a while is tried again with backoff, left in peace by its
/// breaker, quarantined, and brought back; its events are handled in the end, and its neighbour's all the time.
#[tokio::test(start_paused = true)]
async fn h32_a_plugin_fails_for_a_while_and_heals() {
    fastrand::seed(32);
    let stage = Stage::new().await;
    let _log = tracing::subscriber::set_default(stage.story.clone());
    let watch = tokio::spawn(Stage::watch(stage.story.clone(), stage.runtime.clone()));
    tokio::task::yield_now().await;
    stage.all_is_well().await;
    stage.a_short_illness().await;
    stage.a_long_illness().await;
    stage.the_letters().await;
    stage.the_cure().await;
    tokio::time::sleep(SECOND).await;
    assert!(!watch.is_finished(), "the neighbour was served throughout");
    watch.abort();
    stage.counts();
    stage.story.assert_told(&[
        "breaker closed, plugin started",
        "SHORT ILLNESS",
        "order-4: attempt 1 failed (trap), again in ",
        "order-5: attempt 1 failed (unavailable), again in ",
        "it is back",
        "both orders are handled",
        "LONG ILLNESS",
        "pill-2: attempt 1 failed (trap), again in ",
        "its breaker is open",
        "breaker open, plugin started",
        "its breaker is open",
        "hostile is quarantined after 6 faults in 60s",
        "breaker open, plugin quarantined",
        "the probe has failed",
        "order-13 is published: hostile is quarantined",
        "breaker half-open, plugin quarantined",
        "attempt 5 failed (unavailable), a dead letter",
        "CURE",
        "breaker closed, plugin started",
        "all 12 orders are handled",
    ]);
}
