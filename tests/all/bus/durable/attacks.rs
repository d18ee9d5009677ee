//! What an attacker found: many at once, handlers that are replaced in the midst of it, rows that somebody else changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::{
    BacklogPolicy, BoxFuture, Context, DeliveryMode, Draft, Event, EventOrder, Failure, Fault, Filter, FilterOptions,
    Overflow, QueuePolicy, RetryPolicy, Runtime, SubscribeOptions, SubscriptionId,
};
use palisade_tests::{chance::Chance, event, publishes, spec};
use rusqlite::Connection;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::{Calls, Data, HOUR, durable, end, named, owed, retries};
use crate::bus::words::{Gate, plain, stats_of};

/// Long enough for everything; nothing waits for it to pass.
const LIMIT: Duration = Duration::from_secs(20);

/// The database, as somebody else sees and changes it.
fn database(data: &Data) -> Connection {
    Connection::open(data.0.path().join("palisade.db")).expect("a database")
}

fn number(database: &Connection, query: &str) -> i64 {
    database.query_row(query, [], |row| row.get(0)).expect("a number")
}

fn rows(data: &Data) -> i64 {
    number(&database(data), "SELECT count(*) FROM delivery")
}

fn queue(events: usize) -> QueuePolicy {
    QueuePolicy {
        events,
        ..QueuePolicy::default()
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:06}")).collect()
}

/// Publishes them together; each is taken.
async fn publish_all(runtime: &Runtime, ids: impl IntoIterator<Item = String>) {
    let events = ids.into_iter().map(|id| named(&id)).collect();
    let told = |_, receipt: Result<palisade::Receipt, _>| assert_eq!(receipt.expect("published").enqueued, 1);
    runtime.publish_batch(events, told).await;
}

/// A data directory in which the handler `slow` is owed so many events.
async fn owing(count: usize) -> Data {
    let data = Data::new();
    let runtime = data.open();
    Gate::subscribe_with(&runtime, "a", "slow", durable());
    publish_all(&runtime, ids(count)).await;
    assert_eq!(end(runtime).await.kept, count as u64);
    data
}

/// Quiet comes, and not only when the test is given up.
async fn quiet(runtime: &Runtime) {
    timeout(LIMIT, runtime.quiet()).await.expect("it is quiet in the end");
}

/// Lets everything happen that nothing holds up: the store is asked again and again, whatever it answers.
async fn settle_down(runtime: &Runtime) {
    for _ in 0..50 {
        let _ = runtime.backlogs().await;
        tokio::task::yield_now().await;
    }
}

fn bounded(events: u64, overflow: Overflow) -> SubscribeOptions {
    let backlog = BacklogPolicy {
        events,
        ..BacklogPolicy::default()
    };
    let queue = QueuePolicy {
        overflow,
        ..QueuePolicy::default()
    };
    durable().backlog(backlog).queue(queue)
}

/// So many tasks publish so many events each; how many were taken.
async fn publish_at_once(runtime: &Runtime, tasks: usize, events: usize) -> u64 {
    let publisher = |task: usize| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            let mut taken = 0;
            for number in 0..events {
                let event = named(&format!("{task}-{number}"));
                let receipt = runtime.publish_async_within(event, Duration::from_millis(1)).await;
                taken += receipt.expect("published").enqueued as u64;
            }
            taken
        })
    };
    let publishers: Vec<_> = (0..tasks).map(publisher).collect();
    let mut taken = 0;
    for publisher in publishers {
        taken += publisher.await.expect("no panic");
    }
    taken
}

/// B7, D1: the bound of a backlog is not passed by publishers that come at once, nor while a handler that has just come reads
/// what it is owed; what is refused leaves no room unused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_d1_a_backlog_is_bound_whoever_publishes_at_once() {
    for overflow in [Overflow::Reject, Overflow::Block] {
        for has_begun in [false, true] {
            let data = Data::new();
            let runtime = data.open();
            let gate = Gate::subscribe_with(&runtime, "a", "slow", bounded(10, overflow));
            let mut taken = 0;
            if has_begun {
                publish_all(&runtime, ["first".to_owned()]).await;
                gate.began(1).await;
                taken += 1;
            }
            taken += publish_at_once(&runtime, 200, 1).await;
            assert!((1..=10).contains(&taken), "{taken} of 10 with {overflow:?}");
            assert_eq!(owed(&runtime, "slow").await, taken);
            let more: Vec<_> = (taken..10).map(|number| format!("more-{number}")).collect();
            publish_all(&runtime, more).await;
            assert_eq!(publish_at_once(&runtime, 1, 1).await, 0);
            gate.open(99);
            quiet(&runtime).await;
            assert_eq!(stats_of(&runtime, "slow").owed, 0);
        }
    }
}

/// B7, D1: the same for many publishers of many events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_d1_a_backlog_is_bound_whoever_goes_on_publishing() {
    let data = Data::new();
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", bounded(100, Overflow::Reject));
    let taken = publish_at_once(&runtime, 64, 20).await;
    assert!((1..=100).contains(&taken), "{taken} of 100");
    assert_eq!(owed(&runtime, "slow").await, taken);
    gate.open(999);
    quiet(&runtime).await;
}

/// B7, D1: what handlers publish, durable ones and others, many at once, has a quarter more, and not more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_d1_a_backlog_is_bound_for_outboxes_at_once() {
    for mode in [DeliveryMode::Durable, DeliveryMode::Ephemeral] {
        let data = Data::new();
        let runtime = data.open();
        let gate = Gate::subscribe_with(&runtime, "a", "slow", bounded(100, Overflow::Reject));
        let feed = |cx: Context| {
            let published = (0..10).try_for_each(|_| cx.publish(Draft::new("a")).map(drop));
            std::future::ready(published.map_err(|refused| Failure::reject(refused.to_string())))
        };
        let options = durable().mode(mode).concurrency(16);
        runtime
            .subscribe_with(&["feed"], "feeder", options, feed)
            .expect("subscribed");
        let events = (0..64).map(|_| plain("feed")).collect();
        runtime
            .publish_batch(events, |_, receipt| assert_eq!(receipt.expect("published").enqueued, 1))
            .await;
        while stats_of(&runtime, "feeder").count(palisade::Class::Ok) < 64 || owed(&runtime, "feeder").await > 0 {
            tokio::task::yield_now().await;
        }
        // What they published is stored when they have been counted.
        while owed(&runtime, "slow").await < 100 {
            tokio::task::yield_now().await;
        }
        settle_down(&runtime).await;
        let owed = owed(&runtime, "slow").await;
        assert!(
            (100..=125).contains(&owed),
            "{owed} of 125 by handlers that are {mode:?}"
        );
        gate.open(999);
        quiet(&runtime).await;
    }
}

/// D9, S12: an event of a plugin that was stopped while the end of its call, with what it wrote, could not be stored comes again
/// when the plugin is started: in the same process, and what it writes is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_s12_an_event_whose_commit_failed_comes_again_after_a_start() {
    let data = Data::new();
    let runtime = data.open();
    let grants = publishes("ledger.*").key_value();
    let ledger = spec("ledger").grants(grants).mode(DeliveryMode::Durable);
    runtime.launch(vec![ledger.retry(retries(5))]).await.expect("started");
    let count = || event("ledger.do", json!([{ "count": "n" }]));
    runtime.publish_async(count()).await.expect("published");
    quiet(&runtime).await;
    let outside = database(&data);
    let trouble = "CREATE TRIGGER trouble BEFORE UPDATE ON pair BEGIN SELECT raise(ABORT, 'disk trouble'); END";
    outside.execute_batch(trouble).expect("a trigger");
    runtime.publish_async(count()).await.expect("published");
    while stats_of(&runtime, "ledger/do").queued > 0 {
        tokio::task::yield_now().await;
    }
    settle_down(&runtime).await;
    runtime.stop("ledger").await.expect("stopped");
    assert_eq!(owed(&runtime, "ledger/do").await, 1);
    outside.execute_batch("DROP TRIGGER trouble").expect("no trigger");
    runtime.start("ledger").await.expect("started");
    quiet(&runtime).await;
    assert_eq!(owed(&runtime, "ledger/do").await, 0);
    let value: Vec<u8> = outside
        .query_row("SELECT value FROM pair WHERE key = 'n'", [], |row| row.get(0))
        .expect("a value");
    assert_eq!(value, b"2");
}

/// Which events a handler was called with, however often it was subscribed.
type Log = Arc<Mutex<Vec<String>>>;

fn subscribe_log(runtime: &Runtime, log: &Log) -> SubscriptionId {
    let log = log.clone();
    let handle = move |cx: Context| {
        log.lock().expect("not poisoned").push(cx.event.id().to_owned());
        async {
            tokio::task::yield_now().await;
            Ok(())
        }
    };
    let options = durable().ordering(EventOrder::Strict).queue(queue(64));
    let subscribed = runtime.subscribe_with(&["a"], "slow", options, handle);
    subscribed.expect("subscribed")[0]
}

/// B6, D9: a handler that is unsubscribed and subscribed again and again, in the midst of what it is owed, gets all of it in strict
/// order, and what the one before has done only once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_subscribing_again_keeps_strict_order() {
    let data = owing(1500).await;
    let runtime = data.open();
    let (log, mut chance) = (Log::default(), Chance::of_task(4, 0));
    let mut subscription = subscribe_log(&runtime, &log);
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_micros(chance.below(3000))).await;
        runtime.unsubscribe(subscription).expect("it was subscribed");
        if chance.below(2) == 0 {
            tokio::time::sleep(Duration::from_micros(chance.below(500))).await;
        }
        subscription = subscribe_log(&runtime, &log);
    }
    quiet(&runtime).await;
    assert_eq!(owed(&runtime, "slow").await, 0);
    let log = log.lock().expect("not poisoned").clone();
    let turned: Vec<_> = log.windows(2).filter(|two| two[0] >= two[1]).collect();
    assert!(turned.is_empty(), "{} out of order: {:?}", turned.len(), turned.first());
    assert_eq!(log, ids(1500));
}

/// D9, B6: a handler that is replaced twice while its first one is at an event: the third one waits for the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_b6_a_name_is_at_one_event_at_a_time() {
    let data = owing(3).await;
    let runtime = data.open();
    let strict = || durable().ordering(EventOrder::Strict);
    let first = Gate::subscribe_with(&runtime, "a", "slow", strict());
    first.began(1).await;
    runtime.unsubscribe_pattern("a", "slow").expect("it was subscribed");
    let second = Gate::subscribe_with(&runtime, "a", "slow", strict());
    runtime.unsubscribe_pattern("a", "slow").expect("it was subscribed");
    let third = Gate::subscribe_with(&runtime, "a", "slow", strict());
    settle_down(&runtime).await;
    assert_eq!((second.begun(), third.begun()), (0, 0), "the first is at it");
    first.open(1);
    third.began(1).await;
    assert_eq!(owed(&runtime, "slow").await, 2);
    third.open(9);
    quiet(&runtime).await;
    assert_eq!((first.begun(), second.begun(), third.begun()), (0, 0, 1));
    assert_eq!(owed(&runtime, "slow").await, 0);
}

/// A filter that lets the second event of the batch `late` wait.
#[derive(Clone)]
struct Late {
    go: Arc<Semaphore>,
}

impl Filter for Late {
    fn accepts<'a>(&'a self, event: &'a Event, _: Instant) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            if event.id() == "late-000001" {
                self.go.acquire().await.expect("never closed").forget();
            }
            Ok(true)
        })
    }
}

/// B6: batches that are published at once, of more events together than may wait for the store, keep their order, each: an event
/// that has to wait for room is not overtaken by one that finds some.
#[tokio::test]
async fn b6_batches_at_once_keep_their_order() {
    let data = Data::new();
    let runtime = data.open();
    let late = Late {
        go: Arc::new(Semaphore::new(0)),
    };
    runtime.add_filter("late", FilterOptions::default().timeout(LIMIT), late.clone());
    let calls = Calls::well(&runtime, "ordered", durable().ordering(EventOrder::Strict));
    quiet(&runtime).await;
    let publish = |batch: &'static str, events: usize| {
        let (runtime, ids) = (runtime.clone(), ids(events));
        tokio::spawn(async move { publish_all(&runtime, ids.into_iter().map(|id| format!("{batch}-{id}"))).await })
    };
    // While somebody else writes, the store's thread waits, with all the 1,024 jobs that it takes.
    let outside = database(&data);
    outside.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let batches: Vec<_> = ["a", "b", "c", "d"].map(|batch| publish(batch, 256)).into();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let last = publish("late", 20);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    outside.execute_batch("ROLLBACK").expect("no lock");
    for batch in batches {
        batch.await.expect("no panic");
    }
    late.go.add_permits(1);
    last.await.expect("no panic");
    quiet(&runtime).await;
    let all = calls.ids();
    assert_eq!(all.len(), 4 * 256 + 20);
    let mut last: HashMap<&str, &str> = HashMap::new();
    for id in &all {
        let (batch, _) = id.split_once('-').expect("a batch");
        if let Some(before) = last.insert(batch, id) {
            assert!(before < id.as_str(), "{before} came before {id}");
        }
    }
}

/// D3: a time of the next attempt that the policy would not have given, as a clock that was wrong has left it, holds nobody up: the
/// event comes within the cap, and in strict order those behind it.
#[tokio::test]
async fn d3_a_due_time_beyond_the_policy_is_not_trusted() {
    let data = owing(3).await;
    let far = "UPDATE delivery SET attempts = 1, due = 4102444800000, first = 4102444799000
        WHERE id = (SELECT min(id) FROM delivery)";
    database(&data).execute_batch(far).expect("an hour in the year 2100");
    let runtime = data.open();
    let cap = Duration::from_millis(10);
    let retry = RetryPolicy {
        base: cap,
        cap,
        ..RetryPolicy::default()
    };
    let calls = Calls::well(&runtime, "slow", durable().ordering(EventOrder::Strict).retry(retry));
    quiet(&runtime).await;
    assert_eq!(
        calls.attempts(),
        [
            ("000000".to_owned(), 2),
            ("000001".to_owned(), 1),
            ("000002".to_owned(), 1)
        ]
    );
}

/// D7: while what a handler is owed can't be read it is not quiet, however often it is tried; when it can, all is
/// delivered first. Time is paused: whenever nothing else is to be done, it is tried again.
#[tokio::test(start_paused = true)]
async fn d7_quiet_waits_for_what_can_t_be_read_yet() {
    let data = owing(3).await;
    let runtime = data.open();
    let outside = database(&data);
    let rename = |from: &str, to: &str| {
        let renamed = outside.execute_batch(&format!("ALTER TABLE delivery RENAME COLUMN {from} TO {to}"));
        renamed.expect("renamed");
    };
    rename("first", "nowhere");
    let calls = Calls::well(&runtime, "slow", durable());
    let waiting = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.quiet().await }
    });
    settle_down(&runtime).await;
    assert!(!waiting.is_finished(), "three events are owed");
    assert_eq!(calls.ids().len(), 0);
    rename("nowhere", "first");
    waiting.await.expect("no panic");
    assert_eq!(calls.ids(), ids(3));
    assert_eq!(owed(&runtime, "slow").await, 0);
}

/// H46, D7: damaged rows, which come up again whenever the store is read from the first row on, are counted once: quiet comes when
/// all the others are delivered, and not before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h46_damaged_rows_are_counted_once() {
    let data = owing(60).await;
    let damage = "UPDATE event SET sum = sum + 1 WHERE id % 4 = 0";
    let damaged = database(&data).execute(damage, []).expect("damaged") as i64;
    assert_eq!(damaged, 15);
    let runtime = data.open();
    let soon = RetryPolicy {
        base: Duration::from_millis(50),
        cap: Duration::from_millis(50),
        ..RetryPolicy::default()
    };
    let options = durable().queue(queue(8)).retry(soon);
    let calls = Calls::subscribe(&runtime, "slow", options, |call| match call.attempt {
        1 | 2 => Err(Failure::retry("not yet")),
        _ => Ok(()),
    });
    quiet(&runtime).await;
    assert_eq!(rows(&data), damaged);
    let ended = calls.all().into_iter().filter(|call| call.attempt == 3);
    assert_eq!(ended.map(|call| call.id).collect::<BTreeSet<_>>().len(), 45);
    assert_eq!(calls.ids().len(), 3 * 45);
}

/// B6: with an order by key, keys whose events fail, and wait for an hour with all that is behind them, leave room for keys that are
/// well, though there is more of them than the queue holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_many_keys_that_fail_leave_room_for_others() {
    let data = Data::new();
    let runtime = data.open();
    let retry = RetryPolicy {
        base: HOUR,
        cap: HOUR,
        ..retries(9)
    };
    let by_key = durable().ordering(EventOrder::Key("subject".into()));
    let calls = Calls::subscribe(
        &runtime,
        "ordered",
        by_key.queue(queue(64)).retry(retry),
        |call| match call.id.starts_with("good") {
            true => Ok(()),
            false => Err(Failure::retry_after("in an hour", HOUR)),
        },
    );
    let bad = (0..5).flat_map(|number| (0..40).map(move |key| format!("bad{key}-{number}")));
    publish_all(&runtime, bad).await;
    publish_all(&runtime, (0..10).map(|key| format!("good{key}-0"))).await;
    for key in 0..10 {
        let good = format!("good{key}-0");
        let came = timeout(LIMIT, calls.with(&good)).await;
        came.unwrap_or_else(|_| panic!("{good} is held up by keys that fail"));
    }
    while owed(&runtime, "ordered").await > 200 {
        tokio::task::yield_now().await;
    }
}
