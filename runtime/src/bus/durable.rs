//! Events that are stored before anybody is given them: how they come into the store, from there into the queues, and what is
//! committed when an attempt has ended (D1, D2).

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::Bus;
use super::caller::Caller;
use super::endpoint::Endpoint;
use super::entry::Entry;
use super::lanes::Lane;
use super::window::{Need, Row, Rows};
use crate::delivery::{
    Appending, Backlog, DeliveryId, DeliveryStore, NewEvent, Page, PageLimits, Recipient, Settled, Settlement,
    StoreError, Stored, StoredDelivery,
};
use crate::event::Event;
use crate::handler::Origin;

/// How long the bus waits before it asks a store again that has failed.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// How often what is in the store is looked through.
const HOUSE: Duration = Duration::from_secs(60);

/// How often a handler of nobody's plugin is looked at that can take nothing.
const LOOK: Duration = Duration::from_secs(1);

/// Room on a handler's disk for an event that is about to be stored for it; given back when dropped.
pub(super) struct Announced {
    pub(super) endpoint: Arc<Endpoint>,
    size: usize,
    /// The event is stored, and has taken the room.
    is_taken: AtomicBool,
}

impl Announced {
    /// None if there is no room now.
    pub(super) fn now(endpoint: &Arc<Endpoint>, event: &Event, origin: Origin) -> Option<Self> {
        let size = event.size_bytes();
        // Made only then: the drop of one gives room back.
        let has_room = endpoint.queue.announce(size, origin);
        has_room.then(|| Self::of(endpoint, size))
    }

    /// None if there is no room until the deadline, as far as the policy lets a publisher wait.
    pub(super) async fn until(endpoint: &Arc<Endpoint>, event: &Event, deadline: Instant) -> Option<Self> {
        let size = event.size_bytes();
        let has_room = endpoint.queue.announce_until(size, deadline).await;
        has_room.then(|| Self::of(endpoint, size))
    }

    fn of(endpoint: &Arc<Endpoint>, size: usize) -> Self {
        Self {
            endpoint: endpoint.clone(),
            size,
            is_taken: AtomicBool::new(false),
        }
    }

    /// The room is an event's now that is stored.
    fn take(&self, entry: Entry, id: DeliveryId) -> Row {
        self.is_taken.store(true, Ordering::SeqCst);
        self.endpoint.queue.committed(entry, id)
    }

    fn recipient(&self) -> Recipient {
        Recipient {
            handler: self.endpoint.name().to_string(),
            max_age: self.endpoint.retry.max_age,
        }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if !self.is_taken.load(Ordering::SeqCst) {
            self.endpoint.queue.withdraw(self.size);
        }
    }
}

/// An event as the store gets it.
pub(super) fn new_event<'a>(event: &Event, origin: Origin, to: impl Iterator<Item = &'a Announced>) -> NewEvent {
    NewEvent {
        event: event.clone(),
        origin,
        to: to.map(Announced::recipient).collect(),
    }
}

/// Events that a handler published, each with the durable handlers that it goes to.
pub(super) type DurableOutbox = Vec<(Event, Vec<Announced>)>;

impl Bus {
    /// D1: returns when the event is on the disk, once, with a delivery for each of the handlers.
    ///
    /// A future that is dropped leaves the event unstored, or stored.
    pub(super) async fn append(
        self: &Arc<Self>,
        event: &Event,
        origin: Origin,
        to: Vec<(Announced, Option<Caller>)>,
    ) -> Result<Vec<Stored>, StoreError> {
        self.begin_append(event, origin, to).await
    }

    /// The same, begun before this returns.
    pub(super) fn begin_append(
        self: &Arc<Self>,
        event: &Event,
        origin: Origin,
        to: Vec<(Announced, Option<Caller>)>,
    ) -> Appending {
        let Some(store) = &self.store else {
            let stored = Box::pin(ready(Err(StoreError::Closed)));
            return Appending {
                has_its_place: true,
                stored,
            };
        };
        let (new, handlers) = (new_event(event, origin, to.iter().map(|(room, _)| room)), to.len());
        let (bus, event) = (self.clone(), event.clone());
        let then = move |stored: &Result<Vec<Stored>, StoreError>| {
            let Ok(stored) = stored else { return };
            for ((room, caller), stored) in to.into_iter().zip(stored) {
                bus.recorded(&room, &event, origin, caller, *stored);
            }
        };
        let Appending { has_its_place, stored } = store.append(new, Box::new(then));
        let bus = self.clone();
        let stored = Box::pin(async move {
            let stored = stored.await;
            if stored.is_err() {
                (0..handlers).for_each(|_| bus.counters.refused());
            }
            stored
        });
        Appending { has_its_place, stored }
    }

    /// On the store's thread: what was committed comes into the queues, in the order of the commits.
    fn recorded(
        self: &Arc<Self>,
        room: &Announced,
        event: &Event,
        origin: Origin,
        caller: Option<Caller>,
        stored: Stored,
    ) {
        let Stored::Owed(id) = stored else { return };
        let entry = Entry {
            stored: Some(id),
            caller,
            _pending: None,
            ..self.entry(&room.endpoint, event, origin)
        };
        let row = room.take(entry, id);
        if let Row::Closed = row {
            self.missed(&room.endpoint, event.size_bytes());
        }
        self.took(&room.endpoint, row);
    }

    /// What was stored for a handler that left the bus meanwhile belongs to the one that has its name now.
    fn missed(self: &Arc<Self>, left: &Arc<Endpoint>, size: usize) {
        let now = self
            .registry()
            .endpoints
            .get(left.name())
            .map(|(endpoint, _)| endpoint.clone());
        if let Some(endpoint) = now.filter(|endpoint| !Arc::ptr_eq(endpoint, left)) {
            endpoint.queue.missed(size);
            self.refill(&endpoint);
        }
    }

    /// On the store's thread: a delivery that was made of a dead letter.
    pub(super) fn redriven(self: &Arc<Self>, room: &Announced, stored: &StoredDelivery) {
        let endpoint = &room.endpoint;
        let row = room.take(self.entry_of(endpoint, stored), stored.id);
        if let Row::Closed = row {
            self.missed(endpoint, stored.event.size_bytes());
        }
        self.took(endpoint, row);
    }

    /// Sees to it that a row which came into memory is worked on.
    fn took(self: &Arc<Self>, endpoint: &Arc<Endpoint>, row: Row) {
        match row {
            Row::Queued { start_worker: true } => self.start_worker(endpoint.clone()),
            Row::Queued { start_worker: false } | Row::Left | Row::Closed => {}
            Row::Early(entry) => {
                let due = entry.not_before.unwrap_or(entry.since);
                self.put_back_at(endpoint, *entry, due);
            }
        }
    }

    /// Follows the store for a handler that has come, or come back: all that it is owed comes into its queue, from the oldest
    /// on. Where another of its name was there before, what that one was at is over first.
    pub(super) fn follow(self: &Arc<Self>, endpoint: &Arc<Endpoint>, before: Option<Arc<Endpoint>>) {
        if self.store.is_none() {
            return;
        }
        let generation = endpoint.queue.follow(before.is_some());
        let Some(before) = before else {
            return self.refill(endpoint);
        };
        endpoint.comes_after(before.clone());
        let (bus, endpoint) = (self.clone(), endpoint.clone());
        self.tokio.spawn(async move {
            before.at_rest().await;
            drop(before);
            endpoint.comes_after_nobody();
            endpoint.queue.no_page(generation, None);
            bus.refill(&endpoint);
        });
    }

    /// Asks the store for what the window of a handler needs.
    pub(super) fn refill(self: &Arc<Self>, endpoint: &Arc<Endpoint>) {
        let Some(store) = &self.store else { return };
        while let Some(need) = endpoint.queue.need() {
            let (bus, endpoint, store) = (self.clone(), endpoint.clone(), store.clone());
            self.tokio
                .spawn(async move { bus.fetch(&endpoint, &store, need).await });
        }
    }

    async fn fetch(self: &Arc<Self>, endpoint: &Arc<Endpoint>, store: &Arc<dyn DeliveryStore>, need: Need) {
        let (bus, to) = (self.clone(), endpoint.clone());
        let Need { rows, generation } = need;
        let (name, lane) = (endpoint.name().to_string(), rows.lane());
        let of_lane = lane.clone();
        let then = Box::new(move |page: &Result<Page, StoreError>| {
            if let Ok(page) = page {
                bus.fetched(&to, generation, of_lane.as_ref(), page);
            }
        });
        let fetched = match rows {
            Rows::After(after) => {
                let policy = endpoint.queue.policy();
                let limits = PageLimits {
                    events: policy.events,
                    bytes: policy.bytes,
                };
                store.load(name, after, limits, then).await
            }
            Rows::OfLane(_, ids) => store.load_these(ids, then).await,
        };
        let Err(error) = fetched else {
            return self.refill(endpoint);
        };
        if matches!(error, StoreError::Closed) || self.ended.is_cancelled() {
            return;
        }
        tracing::error!(handler = %endpoint.name(), %error, "what is owed can't be read; it will be tried again");
        sleep(AGAIN).await;
        endpoint.queue.no_page(generation, lane.as_ref());
        self.refill(endpoint);
    }

    /// On the store's thread.
    fn fetched(self: &Arc<Self>, endpoint: &Arc<Endpoint>, generation: u64, lane: Option<&Lane>, page: &Page) {
        for id in &page.damaged {
            tracing::error!(
                handler = %endpoint.name(), delivery = id.0,
                "an event in the store is damaged: its bytes are not those that were written; it is not delivered"
            );
        }
        let entries = page
            .deliveries
            .iter()
            .map(|stored| (self.entry_of(endpoint, stored), stored.id))
            .collect();
        let rows = match lane {
            None => endpoint.queue.page(generation, page, entries),
            Some(lane) => endpoint.queue.lane_page(generation, lane, page, entries),
        };
        for row in rows {
            self.took(endpoint, row);
        }
    }

    fn entry_of(&self, endpoint: &Endpoint, stored: &StoredDelivery) -> Entry {
        let wall = SystemTime::now();
        // No retry is due later than that: whoever wrote it had another time.
        let wait = stored
            .due
            .duration_since(wall)
            .unwrap_or_default()
            .min(endpoint.retry.cap);
        Entry {
            attempts: stored.attempts,
            replayed: stored.replayed,
            aged: wall.duration_since(stored.first).unwrap_or_default(),
            first: Some(stored.first),
            stored: Some(stored.id),
            not_before: (!wait.is_zero()).then(|| crate::clock::deadline(wait)),
            _pending: None,
            ..self.entry(endpoint, &stored.event, stored.origin)
        }
    }

    /// D2: commits how an attempt ended, with what came of it; what it published comes into the queues.
    ///
    /// A store that is full, or fails, is asked again until it takes the end of a stored delivery: the attempt is not made
    /// twice for that. Given up where the runtime ends or the plugin is taken away; the delivery comes again then.
    pub(super) async fn commit(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        settlement: Settlement,
        size: usize,
        outbox: DurableOutbox,
    ) -> Result<(), StoreError> {
        let Some(store) = &self.store else {
            return Err(StoreError::Closed);
        };
        let (settlement, outbox) = (Arc::new(settlement), Arc::new(outbox));
        loop {
            let then = self.settled(endpoint, &settlement, size, &outbox);
            let error = match store.settle(settlement.clone(), Box::new(then)).await {
                Ok(_) => return Ok(()),
                Err(error @ (StoreError::Full(_) | StoreError::Failed(_))) if settlement.delivery.is_some() => error,
                Err(error) => return Err(error),
            };
            if self.store_told.is_due() {
                tracing::error!(handler = %endpoint.name(), %error, "the end of a delivery can't be stored; it is tried until it can");
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = self.ended.cancelled() => return Err(error),
            }
            // An instance must not be held for ever; an acknowledgement alone holds nobody.
            if settlement.writes.is_some() && endpoint.unavailable().is_some() {
                return Err(error);
            }
        }
    }

    /// What is to be done on the store's thread when the settlement is committed.
    fn settled(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        settlement: &Arc<Settlement>,
        size: usize,
        outbox: &Arc<DurableOutbox>,
    ) -> impl FnOnce(&Result<Settled, StoreError>) + Send + use<> {
        let (bus, endpoint, settlement) = (self.clone(), endpoint.clone(), settlement.clone());
        let outbox = outbox.clone();
        move |settled| {
            let Ok(settled) = settled else { return };
            for ((event, to), stored) in outbox.iter().zip(&settled.outbox) {
                for (room, stored) in to.iter().zip(stored) {
                    bus.recorded(room, event, Origin::Handler, None, *stored);
                }
            }
            if let Some((id, verdict)) = &settlement.delivery
                && verdict.is_end()
            {
                endpoint.queue.settled(*id, size);
            }
        }
    }

    /// D9: the handler is away, so what is stored waits, and nobody who waits for it is kept waiting.
    pub(super) fn wait_for_plugin(self: &Arc<Self>, endpoint: &Arc<Endpoint>, entry: Entry, why: &str) {
        endpoint.queue.wait_for_plugin(entry);
        for (caller, since) in endpoint.queue.take_callers() {
            if caller.claim() {
                caller.answer(endpoint.is_away(since, why));
            }
        }
        // It may have come back before the queue knew that it was away.
        if endpoint.unavailable().is_none() {
            return self.welcome(endpoint);
        }
        if endpoint.name().plugin().is_none() {
            self.look_again(endpoint);
        }
    }

    /// Nobody tells when a handler of an embedder's own can take events again.
    fn look_again(self: &Arc<Self>, endpoint: &Arc<Endpoint>) {
        let (bus, endpoint) = (self.clone(), endpoint.clone());
        self.tokio.spawn(async move {
            loop {
                tokio::select! {
                    () = sleep(LOOK) => {}
                    () = bus.ended.cancelled() => return,
                }
                if endpoint.unavailable().is_none() {
                    return bus.welcome(&endpoint);
                }
            }
        });
    }

    fn welcome(self: &Arc<Self>, endpoint: &Arc<Endpoint>) {
        for _ in 0..endpoint.queue.welcome() {
            self.start_worker(endpoint.clone());
        }
    }

    /// D9: a plugin was started, again perhaps: what its handlers are owed goes on, and their breakers are closed.
    pub(crate) fn welcome_plugin(self: &Arc<Self>, plugin: &str) {
        let endpoints = self.registry().all_endpoints();
        for endpoint in endpoints
            .iter()
            .filter(|endpoint| endpoint.name().plugin() == Some(plugin))
        {
            endpoint.forgive();
            self.resume(endpoint);
            self.welcome(endpoint);
        }
    }

    /// What is owed on the disk, by handler.
    pub(crate) async fn backlogs(&self) -> Result<Vec<Backlog>, StoreError> {
        match &self.store {
            Some(store) => store.backlogs().await,
            None => Ok(Vec::new()),
        }
    }

    /// D9: looks through the store once a minute: what is past its time goes. `loaded` names the handlers of all plugins that
    /// are loaded; without an answer the runtime is gone.
    pub(crate) fn keep_house(self: &Arc<Self>, loaded: impl Fn() -> Option<Vec<String>> + Send + 'static) {
        let Some(store) = self.store.clone() else { return };
        if self.keeps_house.swap(true, Ordering::SeqCst) {
            return;
        }
        let bus = Arc::downgrade(self);
        let ended = self.ended.clone();
        self.tokio.spawn(async move {
            loop {
                let (Some(bus), Some(mut known)) = (bus.upgrade(), loaded()) else {
                    return;
                };
                known.extend(bus.registry().endpoints.keys().map(ToString::to_string));
                drop(bus);
                let kept = keep_house(&*store, known).await;
                if let Err(error) = kept
                    && !ended.is_cancelled()
                {
                    tracing::error!(%error, "the store can't be looked through");
                }
                tokio::select! {
                    () = sleep(HOUSE) => {}
                    () = ended.cancelled() => return,
                }
            }
        });
    }

    /// D7: closes the store, and says what is in it.
    pub(crate) async fn close_store(&self) -> Vec<Backlog> {
        let Some(store) = &self.store else { return Vec::new() };
        self.ended.cancel();
        let kept = store.backlogs().await;
        store.close().await;
        kept.unwrap_or_else(|error| {
            tracing::error!(%error, "what is owed on the disk can't be counted");
            Vec::new()
        })
    }

    /// D7: what is stored stays on the disk from here on; what a worker has comes to its end.
    pub(super) fn rest(&self) {
        let endpoints = self.registry().all_endpoints();
        for endpoint in endpoints {
            endpoint.queue.rest();
        }
    }
}

async fn keep_house(store: &dyn DeliveryStore, known: Vec<String>) -> Result<(), StoreError> {
    let now = SystemTime::now();
    store.forget(now).await?;
    for (handler, events) in store.orphan(known, now).await? {
        tracing::warn!(
            handler,
            events,
            "owed to a handler that is gone, for longer than retry.max-age: dead letters now"
        );
    }
    Ok(())
}
