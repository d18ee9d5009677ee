//! Carries a plan out on a real runtime, on one thread whose clock stands still while anybody can go on.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use palisade::{Class, Context, DeadLetterReason, Draft, Event, Failure, HandlerStats, Overflow, Runtime, WeakRuntime};
use palisade_tests::{dead_letters, runtime};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::yield_now;

use super::model::{self, Seen};
use super::plan::{Act, End, HandlerPlan, How, KEY, Patience, Plan, Publication, Step};
use super::record::{Answer, Call, Child, Ended, Moment, Published, Record, Told};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What handlers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// What the plan says.
    Planned,
    /// All goes well, at once.
    Well,
    /// They wait.
    Held,
}

/// What handlers and publishers share.
struct Shared {
    plan: Plan,
    record: Mutex<Record>,
    mood: watch::Sender<Mood>,
    runtime: WeakRuntime,
}

/// How often something happened that there are promises about.
pub(super) type Tally = BTreeMap<&'static str, u64>;

/// Runs the plan of a seed. An error tells what was wrong, and what happened.
pub(super) fn run(seed: u64) -> Result<Tally, String> {
    fastrand::seed(seed);
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("tokio");
    let (shared, mut wrong, tally) = tokio.block_on(async {
        let bench = Bench::new(Plan::new(seed));
        let wrong = bench.run().await;
        let tally = bench.tally();
        (bench.shared, wrong, tally)
    });
    let record = shared.record();
    wrong.extend(record.wrong.iter().cloned());
    if wrong.is_empty() {
        return Ok(tally);
    }
    let (wrong, plan) = (wrong.join("\n  "), &shared.plan);
    Err(format!("seed {seed}:\n  {wrong}\n{plan:#?}\n{}", record.shown()))
}

struct Bench {
    runtime: Runtime,
    shared: Arc<Shared>,
}

impl Bench {
    fn new(plan: Plan) -> Self {
        let runtime = runtime();
        let shared = Arc::new(Shared {
            plan,
            record: Mutex::new(Record::new()),
            mood: watch::Sender::new(Mood::Planned),
            runtime: runtime.downgrade(),
        });
        for (at, handler) in shared.plan.handlers.iter().enumerate() {
            let of_handler = shared.clone();
            let handle = move |cx: Context| {
                let shared = of_handler.clone();
                async move { shared.handle(at, &cx).await }
            };
            let own = format!("fill.{at}");
            let kinds = handler.kinds.iter().map(|kind| kind.as_str());
            let patterns: Vec<_> = kinds.chain([own.as_str()]).collect();
            runtime
                .subscribe_with(&patterns, &handler.name, handler.options(), handle)
                .expect("a subscription");
        }
        Self { runtime, shared }
    }

    /// The plan, then what became of it, then whether all is as good as new.
    async fn run(&self) -> Vec<String> {
        let mut rng = Rng::with_seed(self.shared.plan.seed ^ 0xdead);
        let publishers = 0..self.shared.plan.publishers.len();
        let publishers = publishers.map(|at| tokio::spawn(publish_all(self.shared.clone(), at, rng.fork())));
        for publisher in publishers.collect::<Vec<_>>() {
            publisher.await.expect("no panic");
        }
        if !self.is_quiet().await {
            return vec!["it is never quiet".to_owned()];
        }
        let mut wrong = self.compare().await;
        if wrong.is_empty() {
            self.shared.mood.send_replace(Mood::Well);
            wrong.extend(self.redrive().await);
            for (at, handler) in self.shared.plan.handlers.iter().enumerate() {
                wrong.extend(self.fill(at, handler).await);
            }
            wrong.extend(model::breakers(&self.shared.plan, &self.shared.record().calls));
        }
        wrong
    }

    async fn is_quiet(&self) -> bool {
        tokio::time::timeout(DAY, self.runtime.quiet()).await.is_ok()
    }

    async fn compare(&self) -> Vec<String> {
        let letters = dead_letters(&self.runtime).await;
        let record = self.shared.record();
        model::compare(&Seen {
            plan: &self.shared.plan,
            record: &record,
            letters: letters.iter().filter_map(model::Letter::of).collect(),
            handlers: self.handlers(),
            stats: self.runtime.stats(),
        })
    }

    fn tally(&self) -> Tally {
        let stats = self.runtime.stats();
        let letters = self.runtime.dead_letter_counts();
        let waited = letters.get(&DeadLetterReason::Failed(Class::BreakerOpen));
        let of_class = |class| self.handlers().iter().map(|stats| stats.count(class)).sum();
        let record = self.shared.record();
        let gone = record.published.iter().filter(|one| one.is_gone());
        Tally::from([
            ("refused", stats.refused),
            ("dropped", stats.dropped),
            ("retries", stats.retries),
            ("from handlers", stats.from_handlers),
            ("dead letters", stats.dead_letters),
            (
                "dead letters that had waited for a breaker",
                waited.copied().unwrap_or_default(),
            ),
            ("timeouts", of_class(Class::Timeout)),
            ("panics", of_class(Class::HostPanic)),
            ("publishes that met an open breaker", of_class(Class::BreakerOpen)),
            ("publishes without a turn", of_class(Class::Overloaded)),
            ("publishers that went away", gone.count() as u64),
        ])
    }

    /// The counts of the handlers, in the order of the plan.
    fn handlers(&self) -> Vec<HandlerStats> {
        self.runtime.handler_stats()
    }

    /// D4: each dead letter goes to its handler once more, and is handled, with the same id.
    async fn redrive(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for letter in dead_letters(&self.runtime).await {
            let before = self.shared.record().calls.len();
            let Some(expected) = model::Letter::of(&letter) else {
                wrong.push(format!("a foreign letter: {letter:?}"));
                continue;
            };
            if let Err(error) = self.runtime.redrive(letter.id).await {
                wrong.push(format!("{expected:?} was not sent again: {error}"));
            }
            if !self.is_quiet().await {
                wrong.push(format!("not quiet after {expected:?} was sent again"));
            }
            let calls = self.shared.record().calls[before..].to_vec();
            let is_it = |call: &Call| {
                let well = call.ended.is_some_and(|(_, how)| how == Ended::Ok);
                (call.handler, call.event) == (expected.handler, expected.event) && call.replayed && well
            };
            if !matches!(&calls[..], [call] if is_it(call) && call.attempt == 1) {
                wrong.push(format!("{expected:?} was sent again, and came as {calls:?}"));
            }
        }
        if !dead_letters(&self.runtime).await.is_empty() {
            wrong.push("letters are left".to_owned());
        }
        wrong
    }

    /// B7: its queue has all its room still, and no more, and its workers all their hands.
    async fn fill(&self, at: usize, handler: &HandlerPlan) -> Vec<String> {
        let event = || {
            let kind = format!("fill.{at}");
            Event::builder(kind, "/tests")
                .json(&json!({ "n": 0 }))
                .build()
                .expect("an event")
        };
        // Its breaker is closed by something that goes well.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let room = handler.queue.events.min(handler.queue.bytes / event().size_bytes());
        if room == 0 {
            return Vec::new();
        }
        let well = || self.handlers()[at].count(Class::Ok);
        let before = well();
        let first = self.runtime.publish_async(event()).await;
        if !self.is_quiet().await || well() != before + 1 {
            return vec![format!("{} is not served after all: {first:?}", handler.name)];
        }
        self.shared.mood.send_replace(Mood::Held);
        let hands = if handler.lane(None).is_some() {
            1
        } else {
            handler.concurrency
        };
        let mut taken = 0;
        let dropped = self.handlers()[at].dropped;
        while taken <= hands + room {
            let patience = Duration::from_millis(1);
            let receipt = self.runtime.publish_async_within(event(), patience).await;
            if receipt.expect("published").enqueued == 0 || self.handlers()[at].dropped > dropped {
                break;
            }
            taken += 1;
            for _ in 0..4 {
                yield_now().await;
            }
        }
        let running = self.shared.record().running(at);
        let (mut wrong, mut waited) = (Vec::new(), 0);
        if handler.queue.overflow == Overflow::Block {
            let (runtime, one_more) = (self.runtime.clone(), event());
            let waits = tokio::spawn(async move { runtime.publish_async_within(one_more, DAY).await });
            yield_now().await;
            self.shared.mood.send_replace(Mood::Well);
            let receipt = waits.await.expect("no panic").expect("published");
            waited = receipt.enqueued;
            taken += waited;
            if receipt.enqueued == 0 {
                wrong.push(format!("{} told nobody who waited that there is room", handler.name));
            }
        }
        self.shared.mood.send_replace(Mood::Well);
        if (running, taken) != (hands, hands + room + waited) {
            wrong.push(format!(
                "{} has room for {room} and {hands} hands, but took {taken}, {running} of them in hand",
                handler.name
            ));
        }
        if !self.is_quiet().await || well() != before + 1 + taken as u64 {
            wrong.push(format!("{} has not handled what its queue took", handler.name));
        }
        wrong
    }
}

async fn publish_all(shared: Arc<Shared>, publisher: usize, mut rng: Rng) {
    for step in &shared.plan.publishers[publisher] {
        match step {
            Step::Pause(time) => tokio::time::sleep(*time).await,
            Step::Publish(publication) => shared.publish(publication, &mut rng).await,
        }
        for _ in 0..rng.u8(0..3) {
            yield_now().await;
        }
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn publish(&self, publication: &Publication, rng: &mut Rng) {
        let mut began = None;
        let answer = {
            let mut began_now = |record: &mut Record| *began.get_or_insert_with(|| record.moment());
            let mut inner = pin!(self.answer(publication));
            let mut chance = rng.fork();
            let hesitant = poll_fn(|cx| {
                if chance.u8(0..4) == 0 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                began_now(&mut self.record());
                inner.as_mut().poll(cx)
            });
            patiently(hesitant, publication.dropped).await
        };
        self.watch();
        let Some(began) = began else { return };
        let mut record = self.record();
        let ended = record.moment();
        record.published.push(Published {
            publication: publication.clone(),
            began,
            ended,
            answer: answer.unwrap_or(Answer::Gone),
        });
    }

    async fn answer(&self, publication: &Publication) -> Answer {
        let runtime = self.runtime.upgrade().expect("it runs");
        let event = event_of(publication);
        match publication.how {
            How::Publish => self.reported(runtime.publish(event).await.expect("published")),
            How::PublishWithin(limit) => self.reported(runtime.publish_within(event, limit).await.expect("published")),
            How::Queue => self.received(runtime.publish_async(event).await.expect("published")),
            How::QueueWithin(limit) => {
                self.received(runtime.publish_async_within(event, limit).await.expect("published"))
            }
        }
    }

    fn reported(&self, report: palisade::Report) -> Answer {
        let told = |outcome: &palisade::Outcome| {
            let (class, attempts) = (outcome.class, outcome.attempts);
            (self.named(&outcome.handler.to_string()), Told { class, attempts })
        };
        Answer::Report(report.outcomes.iter().map(told).collect::<BTreeMap<_, _>>())
    }

    fn received(&self, receipt: palisade::Receipt) -> Answer {
        let refused = receipt.refused.iter();
        Answer::Receipt {
            matched: receipt.matched,
            enqueued: receipt.enqueued,
            dropped: receipt.dropped,
            refused: refused.map(|one| self.named(&one.handler.to_string())).collect(),
        }
    }

    fn named(&self, handler: &str) -> usize {
        let at = self.plan.handlers.iter().position(|plan| plan.name == handler);
        at.expect("it is in the plan")
    }

    async fn handle(&self, handler: usize, cx: &Context) -> Result<(), Failure> {
        let event = number(&cx.event);
        let call = self.begin(handler, event, cx);
        let mood = *self.mood.borrow();
        let act = match mood {
            Mood::Planned => self.plan.act(handler, event, cx.attempt, call.began.at),
            Mood::Well => return call.ends(End::Ok).await,
            Mood::Held => {
                let _ = self.mood.subscribe().wait_for(|mood| *mood != Mood::Held).await;
                return call.ends(End::Ok).await;
            }
        };
        for _ in 0..act.turns {
            yield_now().await;
        }
        if !act.takes.is_zero() {
            tokio::time::sleep(act.takes).await;
        }
        self.speak(&act, cx);
        call.ends(act.end).await
    }

    /// Publishes what the act says; it is heard only if the attempt goes well.
    fn speak(&self, act: &Act, cx: &Context) {
        let Some(event) = act.child else { return };
        let key = cx.event.metadata(KEY).map(|key| key.into_owned());
        let draft = Draft::json("queued", &json!({ "n": event })).expect("JSON");
        let draft = match &key {
            Some(key) => draft.with_metadata(KEY, key),
            None => draft,
        };
        cx.publish(draft).expect("room in the outbox");
        if matches!(act.end, End::Ok) {
            let mut record = self.record();
            let released = record.moment();
            record.children.push(Child { event, key, released });
        }
    }

    fn begin(&self, handler: usize, event: u64, cx: &Context) -> Running<'_> {
        self.watch();
        let mut record = self.record();
        // All that fill a queue are number 0, each with an id of its own.
        let id = if event == 0 { "" } else { cx.event.id() };
        let call = record.begin(handler, (event, id), cx.attempt, cx.replayed);
        let (running, most) = (record.running(handler), self.plan.handlers[handler].concurrency);
        if running > most {
            record.wrong.push(format!(
                "h{handler} has {running} at a time, of {most}, with event {event}"
            ));
        }
        let began = record.calls[call].began;
        Running {
            shared: self,
            call,
            began,
        }
    }

    /// B7: no queue holds more than it may.
    fn watch(&self) {
        let Some(runtime) = self.runtime.upgrade() else { return };
        for (stats, plan) in runtime.handler_stats().iter().zip(&self.plan.handlers) {
            let events = plan.queue.events;
            // What handlers publish may take a quarter more; what was in a worker's hands comes back though its room is taken.
            let retried = if plan.retry.attempts > 1 { plan.concurrency } else { 0 };
            let most = events + events / 4 + retried;
            if stats.queued > most {
                let wrong = format!("{} holds {} of {most}", plan.name, stats.queued);
                self.record().wrong.push(wrong);
            }
        }
    }
}

/// A call, until it ends or is dropped.
struct Running<'a> {
    shared: &'a Shared,
    call: usize,
    began: Moment,
}

impl Running<'_> {
    async fn ends(self, end: End) -> Result<(), Failure> {
        let (ended, result) = match end {
            End::Ok => (Ended::Ok, Ok(())),
            End::Retry(None) => (Ended::Retry(None), Err(Failure::retry("not yet"))),
            End::Retry(Some(after)) => (Ended::Retry(Some(after)), Err(Failure::retry_after("not yet", after))),
            End::Reject => (Ended::Rejected, Err(Failure::reject("never"))),
            End::Panic => {
                self.shared.record().end(self.call, Ended::Panicked);
                // Past the hook, which would print it.
                std::panic::resume_unwind(Box::new("as planned"));
            }
            End::Hang => pending().await,
        };
        self.shared.record().end(self.call, ended);
        result
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.record().end(self.call, Ended::Cut);
    }
}

/// Waits for a future, or drops it.
async fn patiently<T>(future: impl Future<Output = T>, patience: Option<Patience>) -> Option<T> {
    let over = async {
        match patience {
            None => pending().await,
            Some(Patience::Time(time)) => tokio::time::sleep(time).await,
            Some(Patience::Turns(turns)) => {
                for _ in 0..turns {
                    yield_now().await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        done = future => Some(done),
        () = over => None,
    }
}

fn event_of(publication: &Publication) -> Event {
    let data = json!({ "n": publication.event, "padding": "x".repeat(publication.padding) });
    let event = Event::builder(publication.kind.as_str(), "/tests").json(&data);
    let event = match publication.key {
        Some(key) => event.extension(KEY, key),
        None => event,
    };
    event.build().expect("an event")
}

/// The number of an event.
pub(super) fn number(event: &Event) -> u64 {
    let data: Value = event.json().expect("JSON");
    data["n"].as_u64().expect("a number")
}
