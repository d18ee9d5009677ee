//! B6, D1-D4, D6-D8: what is stored outlives the runtimes that deliver it, one after the other.
//!
//! A seed makes up durable handlers and several lives of a runtime on one [`DurableStore`]. Publishers publish, handlers
//! fail, and each life ends calmly, at once, or by being dropped with all its tasks in the middle of what they do. In the last
//! life all goes well. What the handlers saw in all lives is compared with what must have become of each event that a
//! publisher was told is taken ([`check`]).
//!
//! The store works in threads of its own, so the clock is the real one here and a seed does not bring about the same order
//! twice: it varies what happens, and what is checked holds for any order. Nothing is said of how long anything takes, but
//! for how soon an attempt may come. The process goes on living, so what the store has been given before a life is dropped is
//! written; what `kill -9` leaves is another test's affair.
//!
//! `PALISADE_SEEDS=2000..2100` tries other seeds.

mod check;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use palisade::{
    Context, DeliveryMode, DurableStore, Event, EventOrder, Failure, QueuePolicy, RetryPolicy, Runtime, StoreError,
    StoreOptions, SubscribeOptions,
};
use palisade_tests::{dead_letters, small_engine};
use serde_json::json;
use tokio::task::yield_now;

use super::inputs::seeds;

/// The metadata key of those that keep the order of a key.
const KEY: &str = "lane";
const MILLI: Duration = Duration::from_millis(1);
/// The longest delay of a retry.
const CAP: Duration = Duration::from_millis(20);
/// A guard against what never ends.
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Plan {
    seed: u64,
    handlers: Vec<HandlerPlan>,
    lives: Vec<Life>,
}

#[derive(Debug)]
struct HandlerPlan {
    name: String,
    ordering: EventOrder,
    concurrency: usize,
    /// How many of its events are in memory at a time.
    events: usize,
    attempts: u32,
    /// In so many of a hundred attempts it fails.
    fails: u8,
}

/// One runtime on the store.
#[derive(Debug)]
struct Life {
    publishers: Vec<Vec<Publication>>,
    /// How long it lasts after the publishers have begun, where it does not end calmly.
    lasts: Duration,
    end: End,
    threads: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// When all is quiet.
    Calm,
    /// By a shutdown that waits for nothing.
    Hasty,
    /// Dropped with all its tasks.
    Dropped,
}

#[derive(Clone, Copy, Debug)]
struct Publication {
    event: u64,
    key: Option<&'static str>,
    waits: bool,
    pause: Duration,
}

/// One call of a handler.
#[derive(Clone, Debug)]
struct Call {
    life: usize,
    handler: usize,
    event: u64,
    attempt: u32,
    replayed: bool,
    began: (u64, SystemTime),
    /// None: it was dropped with its runtime.
    ended: Option<(u64, SystemTime, Ended)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Ok,
    Retry(Option<Duration>),
    Rejected,
}

/// A publish that was begun.
#[derive(Clone, Debug)]
struct Published {
    publication: Publication,
    began: u64,
    /// When the publisher was told that it is taken, and how many handlers had it before.
    taken: Option<(u64, usize)>,
}

/// A dead letter: of which handler, and of which event.
type Letters = BTreeMap<(usize, u64), u32>;

/// What has happened in all lives.
#[derive(Default)]
struct Record {
    place: u64,
    calls: Vec<Call>,
    published: Vec<Published>,
    /// The letters that there were at the end of a life, or at the begin of the next.
    letters: Vec<(usize, Letters)>,
    wrong: Vec<String>,
}

impl Record {
    fn next(&mut self) -> u64 {
        self.place += 1;
        self.place
    }
}

impl Plan {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let handlers = (0..rng.usize(1..=2)).map(|at| HandlerPlan::new(&mut rng, at)).collect();
        let (mut lives, mut event) = (Vec::new(), 0);
        for _ in 0..rng.usize(2..=4) {
            lives.push(Life::new(&mut rng, &mut event));
        }
        lives.push(Life {
            publishers: Vec::new(),
            lasts: Duration::ZERO,
            end: End::Calm,
            threads: false,
        });
        Self { seed, handlers, lives }
    }

    fn is_last(&self, life: usize) -> bool {
        life + 1 == self.lives.len()
    }

    /// How an attempt ends, and how long it takes.
    fn act(&self, handler: usize, event: u64, attempt: u32, life: usize) -> (Ended, Duration) {
        if self.is_last(life) {
            return (Ended::Ok, Duration::ZERO);
        }
        let mix = ((handler as u64 * 1000 + event) * 8 + u64::from(attempt)) * 8 + life as u64;
        let mut rng = Rng::with_seed(self.seed ^ mix.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let takes = MILLI * [0, 0, 1, 3][rng.usize(0..4)];
        if rng.u8(0..100) >= self.handlers[handler].fails {
            return (Ended::Ok, takes);
        }
        let end = match rng.u8(0..6) {
            0 => Ended::Rejected,
            1 | 2 => Ended::Retry(Some(CAP)),
            _ => Ended::Retry(None),
        };
        (end, takes)
    }
}

impl HandlerPlan {
    fn new(rng: &mut Rng, at: usize) -> Self {
        let orders = [EventOrder::None, EventOrder::Key(KEY.into()), EventOrder::Strict];
        Self {
            name: format!("h{at}"),
            ordering: orders[rng.usize(0..3)].clone(),
            concurrency: rng.usize(1..=3),
            events: rng.usize(1..=4),
            attempts: rng.u32(2..=4),
            fails: [10, 40, 70][rng.usize(0..3)],
        }
    }

    fn options(&self) -> SubscribeOptions {
        let queue = QueuePolicy {
            events: self.events,
            ..QueuePolicy::default()
        };
        let retry = RetryPolicy {
            attempts: self.attempts,
            base: MILLI,
            cap: CAP,
            ..RetryPolicy::default()
        };
        SubscribeOptions::default()
            .mode(DeliveryMode::Durable)
            .ordering(self.ordering.clone())
            .concurrency(self.concurrency)
            .queue(queue)
            .retry(retry)
            .breaker(None)
    }

    fn lane(&self, key: Option<&str>) -> Option<String> {
        match &self.ordering {
            EventOrder::Strict => Some("all".to_owned()),
            EventOrder::Key(_) => key.map(str::to_owned),
            _ => None,
        }
    }
}

impl Life {
    fn new(rng: &mut Rng, event: &mut u64) -> Self {
        let publishers = (0..rng.usize(1..=2)).map(|_| {
            let publications = (0..rng.usize(1..=8)).map(|_| {
                // Now and then one that was published before.
                let is_old = *event > 2 && rng.u8(0..8) == 0;
                *event += u64::from(!is_old);
                let number = if is_old { rng.u64(1..*event) } else { *event };
                Publication {
                    event: number,
                    key: [None, Some("x"), Some("y")][(number % 3) as usize],
                    waits: rng.u8(0..4) == 0,
                    pause: MILLI * [0, 0, 1, 3][rng.usize(0..4)],
                }
            });
            publications.collect()
        });
        Self {
            publishers: publishers.collect(),
            lasts: MILLI * [1, 5, 10, 20][rng.usize(0..4)],
            end: [End::Calm, End::Hasty, End::Dropped, End::Dropped][rng.usize(0..4)],
            threads: rng.bool(),
        }
    }
}

/// What the lives share.
struct Shared {
    plan: Plan,
    record: Mutex<Record>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(seed: u64) -> Result<(), String> {
    let directory = tempfile::tempdir().expect("a directory");
    let shared = Arc::new(Shared {
        plan: Plan::new(seed),
        record: Mutex::default(),
    });
    for (at, life) in shared.plan.lives.iter().enumerate() {
        live(&shared, directory.path(), at, life);
    }
    let record = shared.record();
    let mut wrong = record.wrong.clone();
    wrong.extend(check::compare(&shared.plan, &record));
    if wrong.is_empty() {
        return Ok(());
    }
    let (wrong, plan) = (wrong.join("\n  "), &shared.plan);
    let (calls, published) = (&record.calls, &record.published);
    let published: Vec<_> = published.iter().map(|one| format!("{one:?}")).collect();
    let calls: Vec<_> = calls.iter().map(|call| format!("{call:?}")).collect();
    let (published, calls) = (published.join("\n"), calls.join("\n"));
    Err(format!("seed {seed}:\n  {wrong}\n{plan:#?}\n{published}\n{calls}"))
}

/// The directory is free as soon as the life before has closed the store, which happens in the store's own thread.
fn open(directory: &Path) -> DurableStore {
    let began = std::time::Instant::now();
    loop {
        match DurableStore::open(directory, StoreOptions::default()) {
            Err(StoreError::Locked(_)) if began.elapsed() < MINUTE => std::thread::yield_now(),
            opened => return opened.expect("the store"),
        }
    }
}

fn live(shared: &Arc<Shared>, directory: &Path, at: usize, life: &Life) {
    let mut tokio = if life.threads {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let tokio = tokio.worker_threads(2).enable_all().build().expect("tokio");
    tokio.block_on(async {
        let builder = Runtime::builder().engine(small_engine()).store(open(directory));
        let runtime = builder.build().expect("a runtime");
        remember_letters(shared, &runtime, at).await;
        for (handler, plan) in shared.plan.handlers.iter().enumerate() {
            let of_handler = shared.clone();
            let handle = move |cx: Context| {
                let shared = of_handler.clone();
                async move { handle(&shared, at, handler, &cx).await }
            };
            runtime
                .subscribe_with(&["a"], &plan.name, plan.options(), handle)
                .expect("a subscription");
        }
        let publishers: Vec<_> = (0..life.publishers.len())
            .map(|publisher| tokio::spawn(publish_all(shared.clone(), runtime.clone(), (at, publisher))))
            .collect();
        if life.end != End::Calm {
            tokio::time::sleep(life.lasts).await;
        }
        if life.end == End::Hasty {
            runtime.shutdown(Duration::ZERO).await;
        }
        if life.end == End::Calm {
            for publisher in publishers {
                publisher.await.expect("no panic");
            }
            if tokio::time::timeout(MINUTE, runtime.quiet()).await.is_err() {
                let owed = runtime.backlogs().await;
                shared
                    .record()
                    .wrong
                    .push(format!("life {at} is never quiet: {owed:?}"));
            }
            remember_letters(shared, &runtime, at).await;
            if shared.plan.is_last(at) {
                last_words(shared, &runtime, at).await;
            }
            runtime.shutdown(MINUTE).await;
        }
    });
    // Here all tasks of the life are dropped, whatever they are at.
    drop(tokio);
}

async fn remember_letters(shared: &Shared, runtime: &Runtime, life: usize) {
    let letters = dead_letters(runtime).await;
    let of = |letter: &palisade::DeadLetter| {
        let name = letter.handler.as_ref().expect("a handler").to_string();
        let handler = name.trim_start_matches('h').parse().expect("a number");
        ((handler, number(&letter.event)), letter.attempts)
    };
    let known: Letters = letters.iter().map(of).collect();
    let mut record = shared.record();
    if known.len() != letters.len() {
        record.wrong.push(format!("two letters of one event: {letters:?}"));
    }
    record.letters.push((life, known));
}

/// D4: nothing is owed any more, and every dead letter is handled when it is sent again.
async fn last_words(shared: &Shared, runtime: &Runtime, life: usize) {
    let letters = dead_letters(runtime).await;
    let before = shared.record().calls.len();
    let redriven = runtime.redrive_all(&palisade::DeadLetterFilter::all()).await;
    let is_quiet = tokio::time::timeout(MINUTE, runtime.quiet()).await.is_ok();
    let owed = runtime.backlogs().await.expect("the store");
    let left = dead_letters(runtime).await;
    let mut record = shared.record();
    let again = record.calls[before..].iter();
    let again = again.filter(|call| call.replayed && call.attempt == 1 && call.life == life);
    if again.count() != letters.len() || !is_quiet || !owed.is_empty() || !left.is_empty() {
        let wrong = format!(
            "{} letters were sent again: {redriven:?}, owed {owed:?}, left {left:?}",
            letters.len()
        );
        record.wrong.push(wrong);
    }
    // What is checked afterwards is what came before.
    record.calls.truncate(before);
}

async fn publish_all(shared: Arc<Shared>, runtime: Runtime, (life, publisher): (usize, usize)) {
    for publication in &shared.plan.lives[life].publishers[publisher] {
        let at = {
            let mut record = shared.record();
            let began = record.next();
            record.published.push(Published {
                publication: *publication,
                began,
                taken: None,
            });
            record.published.len() - 1
        };
        let taken = if publication.waits {
            let report = runtime.publish(event_of(publication)).await;
            report.ok().map(|report| report.duplicates)
        } else {
            let receipt = runtime.publish_async(event_of(publication)).await;
            // What is refused is not taken; there is room for a million.
            let taken = receipt.ok().filter(|receipt| receipt.refused.is_empty());
            taken.map(|receipt| receipt.duplicates)
        };
        {
            let mut record = shared.record();
            let place = record.next();
            record.published[at].taken = taken.map(|duplicates| (place, duplicates));
        }
        if publication.pause.is_zero() {
            yield_now().await;
        } else {
            tokio::time::sleep(publication.pause).await;
        }
    }
}

async fn handle(shared: &Shared, life: usize, handler: usize, cx: &Context) -> Result<(), Failure> {
    let event = number(&cx.event);
    let call = {
        let mut record = shared.record();
        if cx.event.id() != format!("e{event}") {
            record.wrong.push(format!("event {event} comes as {}", cx.event.id()));
        }
        let began = (record.next(), SystemTime::now());
        record.calls.push(Call {
            life,
            handler,
            event,
            attempt: cx.attempt,
            replayed: cx.replayed,
            began,
            ended: None,
        });
        record.calls.len() - 1
    };
    let (end, takes) = shared.plan.act(handler, event, cx.attempt, life);
    yield_now().await;
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    let mut record = shared.record();
    let place = record.next();
    if let Some(call) = record.calls.get_mut(call) {
        call.ended = Some((place, SystemTime::now(), end));
    }
    match end {
        Ended::Ok => Ok(()),
        Ended::Retry(None) => Err(Failure::retry("not yet")),
        Ended::Retry(Some(after)) => Err(Failure::retry_after("not yet", after)),
        Ended::Rejected => Err(Failure::reject("never")),
    }
}

fn event_of(publication: &Publication) -> Event {
    let event = Event::builder("a", "/tests")
        .id(format!("e{}", publication.event))
        .json(&json!(publication.event));
    let event = match publication.key {
        Some(key) => event.extension(KEY, key),
        None => event,
    };
    event.build().expect("an event")
}

fn number(event: &Event) -> u64 {
    event.json().expect("a number")
}

/// B6, D1, D2, D3, D4, D6, D7: whatever a publisher was told is taken is handled at least once, under one id, or a dead letter;
/// in order; no earlier than its retry is due; and in no life after it was done with.
#[test]
fn d1_d7_what_is_stored_outlives_the_runtime() {
    let failed = seeds(0..40).filter(|seed| match run(*seed) {
        Ok(()) => false,
        Err(wrong) => {
            eprintln!("{wrong}");
            true
        }
    });
    assert_eq!(failed.take(2).count(), 0, "seeds failed");
}
