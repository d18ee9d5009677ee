//! The durable handlers of the child.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use palisade::{
    BacklogPolicy, Context, DeliveryMode, Draft, Event, EventOrder, Failure, Overflow, PluginSpec, QueuePolicy,
    RetryPolicy, Runtime, SubscribeError, SubscribeOptions,
};
use serde_json::Value;

use super::log::Log;
use super::name::Name;
use super::record::Record;
use crate::{publishes, spec};

/// The id of the last event: the plugin is asked how far it has counted.
pub(super) const LAST: &str = "last";

/// After so many attempts an event of `doomed` is a dead letter.
pub(super) const DOOMED_ATTEMPTS: u32 = 2;

/// Room for fewer than publishers bring while the handlers are at it: most of what is owed waits on the disk, and comes into memory
/// by pages.
const QUEUE: QueuePolicy = QueuePolicy {
    events: 8,
    bytes: 16 * 1024 * 1024,
    overflow: Overflow::Block,
};
/// Not so much that it takes long to do all that is owed.
const BACKLOG: BacklogPolicy = BacklogPolicy {
    events: 1000,
    bytes: 256 * 1024 * 1024,
};

fn retry(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        base: Duration::from_millis(2),
        cap: Duration::from_millis(10),
        ..RetryPolicy::default()
    }
}

fn durable(attempts: u32) -> SubscribeOptions {
    SubscribeOptions::default()
        .mode(DeliveryMode::Durable)
        .retry(retry(attempts))
        .breaker(None)
}

/// The plugin: it counts in its key-value store, and publishes how far it has come.
pub(super) fn ledger() -> PluginSpec {
    spec("ledger")
        .grants(publishes("ledger.*").key_value())
        .quarantine(None)
        .mode(DeliveryMode::Durable)
        .queue(QUEUE)
        .backlog(BACKLOG)
        .retry(retry(10))
}

/// The native ones; first those that get what others publish, for what is owed is delivered from here on.
pub(super) fn subscribe(runtime: &Runtime, log: &Arc<Log>) -> Result<(), SubscribeError> {
    sink(runtime, log)?;
    audit(runtime, log)?;
    let bounded = |options: SubscribeOptions| options.queue(QUEUE).backlog(BACKLOG);
    doomed(runtime, log, bounded(durable(DOOMED_ATTEMPTS)))?;
    let by_key = || bounded(durable(10)).ordering(EventOrder::Key("subject".into()));
    keyed(runtime, log, by_key().concurrency(4))?;
    plain(runtime, log, by_key().concurrency(4))
}

/// Fails now and then, and publishes one event for each that it has handled.
fn keyed(runtime: &Runtime, log: &Arc<Log>, options: SubscribeOptions) -> Result<(), SubscribeError> {
    let log = log.clone();
    let handle = move |cx: Context| {
        let log = log.clone();
        async move {
            let Some(name) = attempt(&log, "keyed", &cx) else {
                return Ok(());
            };
            let handled = cx.publish(Draft::new("crash.handled"));
            // Others have their turn before it is over, so that a kill finds several at work.
            tokio::task::yield_now().await;
            if cx.attempt <= name.failures() {
                return Err(Failure::retry("not yet"));
            }
            handled.map(drop).map_err(|error| Failure::reject(error.to_string()))
        }
    };
    runtime
        .subscribe_with(&["ledger.do"], "keyed", options, handle)
        .map(drop)
}

/// Fails now and then, and publishes nothing: there is nothing to commit but that it is done.
fn plain(runtime: &Runtime, log: &Arc<Log>, options: SubscribeOptions) -> Result<(), SubscribeError> {
    let log = log.clone();
    let handle = move |cx: Context| {
        let fails = attempt(&log, "plain", &cx).is_some_and(|name| cx.attempt <= name.failures());
        ready(if fails { Err(Failure::retry("not yet")) } else { Ok(()) })
    };
    runtime
        .subscribe_with(&["ledger.do"], "plain", options, handle)
        .map(drop)
}

/// Fails for ever.
fn doomed(runtime: &Runtime, log: &Arc<Log>, options: SubscribeOptions) -> Result<(), SubscribeError> {
    let log = log.clone();
    let handle = move |cx: Context| {
        attempt(&log, "doomed", &cx);
        ready(Err(Failure::retry("never")))
    };
    runtime
        .subscribe_with(&["crash.doomed"], "doomed", options, handle)
        .map(drop)
}

/// Gets what `keyed` publishes.
fn sink(runtime: &Runtime, log: &Arc<Log>) -> Result<(), SubscribeError> {
    let log = log.clone();
    let handle = move |cx: Context| {
        if let Some(cause) = cause(&cx.event).and_then(|cause| cause.parse().ok()) {
            log.write(&Record::Sink(cx.event.id().to_owned(), cause));
        }
        ready(Ok(()))
    };
    let ids = runtime.subscribe_with(&["crash.handled"], "sink", durable(10), handle);
    ids.map(drop)
}

/// Gets what the plugin publishes.
fn audit(runtime: &Runtime, log: &Arc<Log>) -> Result<(), SubscribeError> {
    let log = log.clone();
    let handle = move |cx: Context| {
        let record = report(&cx.event);
        match record {
            Some(record) => log.write(&record),
            None => log.wrong(format!("a report of the plugin says {}", cx.event.to_json())),
        }
        ready(Ok(()))
    };
    let ids = runtime.subscribe_with(&["ledger.report"], "audit", durable(10), handle);
    ids.map(drop)
}

/// Notes an attempt, unless the event is no business of the judge's.
fn attempt(log: &Log, handler: &str, cx: &Context) -> Option<Name> {
    let name = Name::of(&cx.event)?;
    log.write(&Record::Attempt(handler.to_owned(), name, cx.attempt));
    if cx.replayed {
        log.wrong(format!("{handler} was told that {name} is a replay, and it is none"));
    }
    Some(name)
}

fn cause(event: &Event) -> Option<String> {
    event.metadata("causationid").map(std::borrow::Cow::into_owned)
}

/// The first answer is a number where the plugin has counted, and a text where it was asked for what it has.
fn report(event: &Event) -> Option<Record> {
    let said: Value = event.json().ok()?;
    let answer = said.get("answers")?.get(0)?.get("ok")?;
    let cause = cause(event)?;
    if cause == LAST {
        return answer.as_str()?.parse().ok().map(Record::Total);
    }
    Some(Record::Report(
        event.id().to_owned(),
        cause.parse().ok()?,
        answer.as_u64()?,
    ))
}
