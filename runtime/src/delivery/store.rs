//! Where durable deliveries are kept: what the bus asks of a store, and in which words.

// Without a store nothing is made of these words, which the bus speaks all the same.
#![cfg_attr(not(feature = "durable"), allow(dead_code))]

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use crate::delivery::{DeadLetter, DeadLetterId};
use crate::event::Event;
use crate::handler::{BoxFuture, Origin};
use crate::key_value::{KeyValueCaps, KeyValueError, KeyValueWrite};

/// Told of what came of a request, in the order of the commits: nothing that was committed later is told of before. It is
/// called where the store writes, so it must be short.
pub(crate) type Then<T> = Box<dyn FnOnce(&Result<T, StoreError>) + Send>;

/// Keeps what is owed to durable handlers. An answer means that it is on the disk. A future that is dropped has no effect or
/// all of it.
pub(crate) trait DeliveryStore: Send + Sync + 'static {
    /// D1: the event, once, and a delivery for each recipient that has not been given it of late (D6); all or nothing. What
    /// came of it is in the order of the recipients.
    ///
    /// Handed over before this returns, if there is room for it: dropping the future later changes nothing.
    fn append(&self, new: NewEvent, then: Then<Vec<Stored>>) -> Appending;

    /// D2: the end of an attempt, what it published and what it wrote, all of it or nothing.
    fn settle(&self, settlement: Arc<Settlement>, then: Then<Settled>) -> BoxFuture<'_, Result<Settled, StoreError>>;

    /// D2: the end of deliveries that went well and want nothing else done. Those that are over already are left out.
    fn acknowledge(&self, ids: Vec<DeliveryId>, then: Then<()>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Deliveries of one handler after that one, the oldest first, as many as both limits allow but always one.
    fn load(
        &self,
        handler: String,
        after: DeliveryId,
        limits: PageLimits,
        then: Then<Page>,
    ) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// These deliveries, in the order of their ids; those that are settled already are left out.
    fn load_these(&self, ids: Vec<DeliveryId>, then: Then<Page>) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// What is owed, by handler; those included that are gone (D9).
    fn backlogs(&self) -> BoxFuture<'_, Result<Vec<Backlog>, StoreError>>;

    /// D9: makes dead letters, `orphaned`, of what is past its maximal age and owed to none of these handlers. Says how many
    /// they were, by handler.
    fn orphan(&self, known: Vec<String>, now: SystemTime) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>>;

    /// D4: makes a delivery of a dead letter, past the deduplication. None if there is no such letter (any more), or if it
    /// has no handler.
    fn redrive(
        &self,
        letter: DeadLetterId,
        max_age: Duration,
        then: Then<Option<StoredDelivery>>,
    ) -> BoxFuture<'_, Result<Option<StoredDelivery>, StoreError>>;

    /// Forgets what is past its time: marks against repetition, and dead letters beyond their age.
    fn forget(&self, now: SystemTime) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Returns when all that was asked is done, and the data directory is free for others. What is asked later fails.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// An event on its way to the store.
pub(crate) struct Appending {
    /// Whether it comes before what is appended from here on; else only once it is waited for.
    pub(crate) has_its_place: bool,
    pub(crate) stored: BoxFuture<'static, Result<Vec<Stored>, StoreError>>,
}

impl Future for Appending {
    type Output = Result<Vec<Stored>, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.stored.as_mut().poll(context)
    }
}

/// Tells deliveries apart, in the order in which they were stored; never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DeliveryId(pub(crate) i64);

impl DeliveryId {
    /// Before all of them.
    pub(crate) const NONE: Self = Self(0);
}

/// One event to be stored for some handlers.
#[derive(Clone, Debug)]
pub(crate) struct NewEvent {
    pub(crate) event: Event,
    pub(crate) origin: Origin,
    pub(crate) to: Vec<Recipient>,
}

/// A handler that is owed an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// Its shown name.
    pub(crate) handler: String,
    /// For how long, should it be gone.
    pub(crate) max_age: Duration,
}

/// What became of an event for one handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Owed(DeliveryId),
    /// The handler was given it before (D6).
    Duplicate,
}

/// A delivery as it is in the store.
#[derive(Clone, Debug)]
pub(crate) struct StoredDelivery {
    pub(crate) id: DeliveryId,
    pub(crate) event: Event,
    pub(crate) attempts: u32,
    /// Not before this.
    pub(crate) due: SystemTime,
    pub(crate) first: SystemTime,
    pub(crate) replayed: bool,
    pub(crate) origin: Origin,
}

/// How much a page may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageLimits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// Rows of one handler, from the oldest on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) deliveries: Vec<StoredDelivery>,
    /// Rows whose bytes are not what was written, which can't be delivered.
    pub(crate) damaged: Vec<DeliveryId>,
    /// The last row that was looked at, and whether there are rows after it.
    pub(crate) last: Option<DeliveryId>,
    pub(crate) more: bool,
    /// All that the handler is owed, where the page is its first.
    pub(crate) owed: Option<Owed>,
}

/// How much one handler is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

/// What waits on the disk for one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Which handler, by its shown name.
    pub handler: String,
    /// How many events.
    pub events: u64,
    /// How many bytes they have in all.
    pub bytes: u64,
    /// Since when the oldest of them waits.
    pub oldest: SystemTime,
    /// When the first of them becomes a dead letter, `orphaned`, if its handler is gone: its age is then what `retry.max-age` of
    /// the handler was when it was stored.
    pub expires: SystemTime,
}

/// How an attempt ended, and all that is to be committed with it.
#[derive(Debug, Default)]
pub(crate) struct Settlement {
    /// Which delivery, and what becomes of it; none where the attempt was not at a stored one.
    pub(crate) delivery: Option<(DeliveryId, Verdict)>,
    /// What the handler published, for handlers that are durable.
    pub(crate) outbox: Vec<NewEvent>,
    /// What the plugin wrote to its key-value store.
    pub(crate) writes: Option<PluginWrites>,
    /// Dead letters that come of it beside the delivery's own.
    pub(crate) letters: Vec<DeadLetter>,
}

/// What becomes of a delivery.
#[derive(Debug)]
pub(crate) enum Verdict {
    Done,
    Retry { attempts: u32, due: SystemTime },
    Dead(Box<DeadLetter>),
}

impl Verdict {
    /// Whether the delivery is over with it.
    pub(crate) fn is_end(&self) -> bool {
        !matches!(self, Self::Retry { .. })
    }
}

/// What one call of a plugin wrote to its key-value store.
#[derive(Clone, Debug)]
pub(crate) struct PluginWrites {
    pub(crate) plugin: Arc<str>,
    pub(crate) writes: Vec<KeyValueWrite>,
    pub(crate) caps: KeyValueCaps,
}

/// What a settlement came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled {
    /// Of each event of the outbox, for each of its recipients.
    pub(crate) outbox: Vec<Vec<Stored>>,
    /// The delivery was settled before, so nothing was done now.
    pub(crate) gone: bool,
}

/// An error of the durable store, by what can be done about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room: on the disk, or by the store's own bound. Nothing of what was asked has been done; it is worth
    /// trying again when there is room.
    #[error("the store is full: {0}; free some space on the disk of data-dir, purge dead letters, or raise store.size")]
    Full(String),
    /// Another process has the data directory.
    #[error("{} is in use by another process; stop that one, or give this one a data-dir of its own", .0.display())]
    Locked(PathBuf),
    /// A newer Palisade has written it.
    #[error("{} has version {found} of the schema and this Palisade knows {known}; run the Palisade that wrote it, or a newer one", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The last one that is known here.
        known: i64,
    },
    /// The file is not what a store writes, or not any more.
    #[error("{} is damaged: {what}; put back a copy of it, or move it away to begin anew without what was in it", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A row of the database does not have the bytes that were written to it.
    #[error("{0} is damaged in the store: its bytes are not those that were written")]
    Damaged(String),
    /// What a plugin wrote to its key-value store is more than that may have.
    #[error(transparent)]
    KeyValue(#[from] KeyValueError),
    /// Anything else, mostly of the disk.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}
