//! The store by itself. What the bus does with it is in the tests of the runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod damage;
mod deliveries;
mod heard;
mod hostile;
mod key_value;
mod letters;
mod lifetime;
mod limits;
mod lost_writes;
mod power;
mod rows;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{DurableStore, StoreOptions};
use crate::delivery::{
    DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId, DeadLetterReason, DeadLetterStore, DeliveryId,
    DeliveryStore, NewEvent, Page, PageLimits, Recipient, Settled, Settlement, StoreError, Stored, Verdict,
};
use crate::event::Event;
use crate::handler::Origin;
use crate::outcome::{Class, HandlerName};

const HOUR: Duration = Duration::from_secs(3600);
const ALL: PageLimits = PageLimits {
    events: usize::MAX,
    bytes: usize::MAX,
};

fn open(directory: &TempDir) -> DurableStore {
    open_with(directory, StoreOptions::default())
}

fn open_with(directory: &TempDir, options: StoreOptions) -> DurableStore {
    DurableStore::open(directory.path(), options).unwrap()
}

fn empty() -> (TempDir, DurableStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    (directory, store)
}

fn event(id: &str) -> Event {
    Event::builder("user.login", "/tests").id(id).json(&1).build().unwrap()
}

fn owed_event(event: Event, to: &[&str]) -> NewEvent {
    let to = to.iter().map(|handler| Recipient {
        handler: (*handler).to_owned(),
        max_age: HOUR,
    });
    NewEvent {
        event,
        origin: Origin::Publisher,
        to: to.collect(),
    }
}

fn owed(id: &str, to: &[&str]) -> NewEvent {
    owed_event(event(id), to)
}

async fn append(store: &DurableStore, id: &str, to: &[&str]) -> Vec<Stored> {
    store.append(owed(id, to), Box::new(|_| ())).await.unwrap()
}

async fn load(store: &DurableStore, handler: &str) -> Page {
    let page = store.load(handler.to_owned(), DeliveryId::NONE, ALL, Box::new(|_| ()));
    page.await.unwrap()
}

async fn ids(store: &DurableStore, handler: &str) -> Vec<String> {
    let page = load(store, handler).await;
    page.deliveries
        .iter()
        .map(|delivery| delivery.event.id().to_owned())
        .collect()
}

fn only(stored: &[Stored]) -> DeliveryId {
    match stored {
        [Stored::Owed(id)] => *id,
        other => panic!("{other:?}"),
    }
}

async fn try_settle(store: &DurableStore, settlement: Settlement) -> Result<Settled, StoreError> {
    store.settle(Arc::new(settlement), Box::new(|_| ())).await
}

async fn conclude(store: &DurableStore, id: DeliveryId, verdict: Verdict) -> Settled {
    let settlement = Settlement {
        delivery: Some((id, verdict)),
        ..Settlement::default()
    };
    try_settle(store, settlement).await.unwrap()
}

async fn done(store: &DurableStore, id: DeliveryId) -> Settled {
    conclude(store, id, Verdict::Done).await
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// One that ended at that time.
fn letter(id: &str, handler: Option<HandlerName>, last: SystemTime) -> DeadLetter {
    DeadLetter {
        id: DeadLetterId(0),
        event: event(id),
        handler,
        plugin_digest: Some("sha256:00".to_owned()),
        reason: DeadLetterReason::Failed(Class::Trap),
        error: "it trapped".to_owned(),
        attempts: 4,
        first: at(1),
        last,
    }
}

async fn letters(store: &DurableStore, which: &DeadLetterFilter) -> Vec<DeadLetter> {
    store.list(which, None, usize::MAX).await.unwrap()
}

async fn letter_ids(store: &DurableStore) -> Vec<String> {
    let letters = letters(store, &DeadLetterFilter::all()).await;
    letters.iter().map(|letter| letter.event.id().to_owned()).collect()
}
