//! `publish_async` and host events: every queue that matches is given the event, and no handler is waited for (B4).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::durable::Announced;
use super::endpoint::Endpoint;
use super::entry::Entry;
use super::inflight::Busy;
use super::queue::Offer;
use super::table::Targets;
use super::{Bus, PublishError, fan_out};
use crate::clock;
use crate::delivery::{Appending, BacklogPolicy, Stored};
use crate::event::{Event, EventTime};
use crate::handler::Origin;
use crate::outcome::{Class, Receipt, Refusal};

/// What host events have as their source.
pub(crate) const HOST_SOURCE: &str = "palisade";

/// How many events of a batch are on their way to the store at a time.
const TOGETHER: usize = 256;

/// A handler that has no room for an event now.
enum Full {
    Queue(Arc<Endpoint>, Box<Entry>),
    Disk(Arc<Endpoint>),
}

/// What became of an event for one of the handlers that had no room for it at first.
enum Late {
    Taken,
    Dropped,
    Duplicate,
    Refused(Refusal),
}

/// An event that filters let through: it is on its way to the store, and in no queue yet.
struct Begun<'a> {
    event: Event,
    targets: Targets,
    full: Vec<Full>,
    appending: Option<Appending>,
    _pending: Busy<'a>,
}

impl Begun<'_> {
    fn must_wait(&self) -> bool {
        !self.full.is_empty()
            || self
                .appending
                .as_ref()
                .is_some_and(|appending| !appending.has_its_place)
    }
}

/// An event that is under way, or the answer to one that is not.
type Beginning<'a> = Result<Begun<'a>, Result<Receipt, PublishError>>;

impl Bus {
    /// B4: gives the event to the queue of each matched handler and waits for none of them. D1: where some of them are
    /// durable the event is stored first, and nobody gets it if it can't be.
    ///
    /// Cancellation safe: queues that have taken the event keep it, the others don't get it.
    pub(crate) async fn publish_async(
        self: &Arc<Self>,
        event: Event,
        deadline: Option<Instant>,
    ) -> Result<Receipt, PublishError> {
        self.admit(&event)?;
        if self.has_filters() {
            // Boxed is what most events do not need: the way to one queue stays short.
            return Box::pin(async {
                match self.begin(event).await {
                    Ok(begun) => self.give(begun, deadline).await,
                    Err(ended) => ended,
                }
            })
            .await;
        }
        match self.targets(&event) {
            Targets::One(endpoint) if !endpoint.is_durable() => self.give_one(&endpoint, event, deadline).await,
            targets => {
                let begun = self.begin_for(event, targets, self.inflight.busy());
                Box::pin(self.give(begun, deadline)).await
            }
        }
    }

    fn targets(&self, event: &Event) -> Targets {
        let targets = self.table.load().targets(event.event_type(), None);
        self.counters.published(targets.len());
        targets
    }

    /// Gives an event that concerns one queue only to that, and waits if it has no room.
    async fn give_one(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        event: Event,
        deadline: Option<Instant>,
    ) -> Result<Receipt, PublishError> {
        let mut receipt = Receipt {
            matched: 1,
            ..Receipt::default()
        };
        // It is counted as pending from here on, by its entry.
        let offered = match self.offer(endpoint, event, Origin::Publisher) {
            Err(NotTaken::Full(entry)) => {
                let deadline = deadline.unwrap_or_else(|| clock::deadline(self.publish_timeout));
                Box::pin(self.wait_for_room(endpoint, entry, deadline)).await
            }
            offered => offered,
        };
        match offered {
            Ok(()) => receipt.enqueued = 1,
            Err(NotTaken::Dropped) => receipt.dropped = 1,
            Err(NotTaken::Full(_)) => receipt.refused.push(self.refuse_full(endpoint)),
            Err(NotTaken::Away(message)) => {
                receipt
                    .refused
                    .push(self.refusal(endpoint, Class::Unavailable, message));
            }
        }
        Ok(receipt)
    }

    async fn wait_for_room(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        entry: Box<Entry>,
        deadline: Instant,
    ) -> Result<(), NotTaken> {
        let offer = endpoint.queue.offer_until(*entry, deadline).await;
        self.settle(endpoint, offer)
    }

    /// The same for several, in their order; those that are stored share their fsyncs. `told` hears what became of each, in
    /// their order, too. Each has so long to wait for room.
    pub(crate) async fn publish_batch(
        self: &Arc<Self>,
        events: Vec<Event>,
        mut told: impl FnMut(usize, Result<Receipt, PublishError>),
    ) {
        let mut under_way = VecDeque::new();
        for (at, event) in events.into_iter().enumerate() {
            let begun = match self.admit(&event) {
                Ok(()) => self.begin(event).await,
                Err(error) => Err(Err(error)),
            };
            // One that has to wait for room must not be overtaken.
            let must_wait = begun.as_ref().is_ok_and(Begun::must_wait);
            under_way.push_back((at, begun));
            if must_wait || under_way.len() >= TOGETHER {
                self.give_all(&mut under_way, &mut told).await;
            }
        }
        self.give_all(&mut under_way, &mut told).await;
    }

    async fn give_all(
        self: &Arc<Self>,
        under_way: &mut VecDeque<(usize, Beginning<'_>)>,
        told: &mut impl FnMut(usize, Result<Receipt, PublishError>),
    ) {
        while let Some((at, begun)) = under_way.pop_front() {
            let result = match begun {
                Ok(begun) => self.give(begun, None).await,
                Err(ended) => ended,
            };
            told(at, result);
        }
    }

    /// Finds out who gets the event, and has it stored for those who are durable.
    async fn begin(self: &Arc<Self>, event: Event) -> Beginning<'_> {
        let pending = self.inflight.busy();
        if let Some(by) = self.refusing_filter(&event).await {
            return Err(Ok(Receipt {
                filtered: Some(by.id),
                ..Receipt::default()
            }));
        }
        let targets = self.targets(&event);
        Ok(self.begin_for(event, targets, pending))
    }

    fn begin_for<'a>(self: &'a Arc<Self>, event: Event, targets: Targets, pending: Busy<'a>) -> Begun<'a> {
        let (mut rooms, mut full) = (Vec::new(), Vec::new());
        for endpoint in targets.as_slice().iter().filter(|endpoint| endpoint.is_durable()) {
            match Announced::now(endpoint, &event, Origin::Publisher) {
                Some(room) => rooms.push((room, None)),
                None => full.push(Full::Disk(endpoint.clone())),
            }
        }
        let appending = (!rooms.is_empty()).then(|| self.begin_append(&event, Origin::Publisher, rooms));
        Begun {
            event,
            targets,
            full,
            appending,
            _pending: pending,
        }
    }

    /// Gives the event to the queues once it is stored, and waits where there is no room.
    async fn give(self: &Arc<Self>, begun: Begun<'_>, deadline: Option<Instant>) -> Result<Receipt, PublishError> {
        let Begun {
            event,
            targets,
            mut full,
            appending,
            _pending,
        } = begun;
        let targets = targets.as_slice();
        let mut receipt = Receipt {
            matched: targets.len(),
            ..Receipt::default()
        };
        if let Some(appending) = appending {
            let stored = appending.await?;
            receipt.duplicates = stored.iter().filter(|stored| **stored == Stored::Duplicate).count();
        }
        for endpoint in targets.iter().filter(|endpoint| !endpoint.is_durable()) {
            match self.offer(endpoint, event.clone(), Origin::Publisher) {
                Ok(()) => {}
                Err(NotTaken::Away(message)) => {
                    receipt
                        .refused
                        .push(self.refusal(endpoint, Class::Unavailable, message));
                }
                Err(NotTaken::Dropped) => receipt.dropped += 1,
                Err(NotTaken::Full(entry)) => full.push(Full::Queue(endpoint.clone(), entry)),
            }
        }
        if !full.is_empty() {
            let deadline = deadline.unwrap_or_else(|| clock::deadline(self.publish_timeout));
            let waits = full
                .into_iter()
                .map(|full| Box::pin(self.give_late(full, &event, deadline)));
            for late in fan_out::all(waits, |_| ()).await {
                match late {
                    Late::Taken => {}
                    Late::Dropped => receipt.dropped += 1,
                    Late::Duplicate => receipt.duplicates += 1,
                    Late::Refused(refusal) => receipt.refused.push(refusal),
                }
            }
        }
        self.counters.duplicates(receipt.duplicates);
        receipt.enqueued = receipt.matched - receipt.refused.len() - receipt.dropped - receipt.duplicates;
        Ok(receipt)
    }

    /// Waits for room until the deadline, as far as the policy lets a publisher wait.
    async fn give_late(self: &Arc<Self>, full: Full, event: &Event, deadline: Instant) -> Late {
        match full {
            Full::Queue(endpoint, entry) => match self.wait_for_room(&endpoint, entry, deadline).await {
                Err(NotTaken::Full(_)) => Late::Refused(self.refuse_full(&endpoint)),
                Err(NotTaken::Dropped) => Late::Dropped,
                _ => Late::Taken,
            },
            Full::Disk(endpoint) => {
                let Some(room) = Announced::until(&endpoint, event, deadline).await else {
                    return Late::Refused(self.refuse_full(&endpoint));
                };
                let stored = self.append(event, Origin::Publisher, vec![(room, None)]).await;
                match stored.as_deref() {
                    Ok([Stored::Duplicate]) => Late::Duplicate,
                    Ok(_) => Late::Taken,
                    Err(error) => Late::Refused(self.refusal(&endpoint, Class::Unavailable, error.to_string())),
                }
            }
        }
    }

    fn refuse_full(&self, endpoint: &Endpoint) -> Refusal {
        self.refusal(endpoint, Class::Overloaded, self.full_message(endpoint))
    }

    fn refusal(&self, endpoint: &Endpoint, class: Class, message: String) -> Refusal {
        self.counters.refused();
        Refusal {
            handler: endpoint.name().clone(),
            class,
            message,
        }
    }

    /// Publishes a host event: not filtered, never waits for room, not told to the plugin it is about.
    pub(crate) async fn publish_host<T: Serialize>(self: &Arc<Self>, event_type: &str, data: &T, about: Option<&str>) {
        let event = match Event::builder(event_type, HOST_SOURCE)
            .time(EventTime::now())
            .json(data)
            .build()
        {
            Ok(event) => event,
            Err(error) => return tracing::error!("host event {event_type} could not be made: {error}"),
        };
        let targets = self.table.load().targets(event_type, about);
        let mut rooms = Vec::new();
        for endpoint in targets.as_slice() {
            if endpoint.unavailable().is_some() {
                // A plugin that is away has no claim to host events; it is not told what it missed.
            } else if !endpoint.is_durable() {
                if let Err(NotTaken::Full(entry)) = self.offer(endpoint, event.clone(), Origin::Host) {
                    self.bury_overloaded(endpoint, *entry);
                }
            } else if let Some(room) = Announced::now(endpoint, &event, Origin::Host) {
                rooms.push((room, None));
            } else {
                let entry = self.entry(endpoint, &event, Origin::Host);
                self.bury_overloaded(endpoint, entry);
            }
        }
        if !rooms.is_empty()
            && let Err(error) = self.append(&event, Origin::Host, rooms).await
        {
            tracing::error!(event_type, %error, "a host event could not be stored, and is not delivered");
        }
    }

    pub(super) fn offer(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        event: Event,
        origin: Origin,
    ) -> Result<(), NotTaken> {
        if let Some(why) = endpoint.unavailable() {
            return Err(NotTaken::Away(why));
        }
        let offer = endpoint.queue.offer(self.entry_for(endpoint, event, origin));
        self.settle(endpoint, offer)
    }

    /// Sees to it that what was taken is worked on; gives back what was not.
    pub(super) fn settle(self: &Arc<Self>, endpoint: &Arc<Endpoint>, offer: Offer) -> Result<(), NotTaken> {
        match offer {
            Offer::Taken { start_worker, dropped } => {
                self.count_dropped(endpoint, dropped.len());
                if start_worker {
                    self.start_worker(endpoint.clone());
                }
                Ok(())
            }
            Offer::Dropped => {
                self.count_dropped(endpoint, 1);
                Err(NotTaken::Dropped)
            }
            Offer::Full(entry) => Err(NotTaken::Full(entry)),
        }
    }

    /// B7: each drop is counted.
    fn count_dropped(&self, endpoint: &Endpoint, events: usize) {
        if events > 0 {
            endpoint.dropped(events);
            self.counters.dropped(events);
            tracing::debug!(handler = %endpoint.name(), events, "dropped: the queue is full (delivery.queue)");
        }
    }

    pub(super) fn entry(&self, endpoint: &Endpoint, event: &Event, origin: Origin) -> Entry {
        self.entry_for(endpoint, event.clone(), origin)
    }

    fn entry_for(&self, endpoint: &Endpoint, event: Event, origin: Origin) -> Entry {
        Entry {
            lane: endpoint.lane(&event),
            event,
            attempts: 0,
            replayed: false,
            origin,
            since: Instant::now(),
            aged: Duration::ZERO,
            first: None,
            stored: None,
            not_before: None,
            caller: None,
            _pending: Some(self.inflight.delivery()),
        }
    }

    pub(super) fn full_message(&self, endpoint: &Endpoint) -> String {
        if self.ended.is_cancelled() {
            return "the runtime is shutting down".to_owned();
        }
        let name = endpoint.name();
        if endpoint.is_durable() {
            let BacklogPolicy { events, bytes } = endpoint.queue.backlog;
            return format!("{name} is owed as much as it may be ({events} events, {bytes} bytes: delivery.backlog)");
        }
        let policy = endpoint.queue.policy();
        format!(
            "the queue of {name} is full ({} events, {} bytes: delivery.queue)",
            policy.events, policy.bytes
        )
    }
}

/// Why a queue did not take an event at once.
pub(super) enum NotTaken {
    Full(Box<Entry>),
    /// As the policy of the queue says; it is counted.
    Dropped,
    Away(String),
}
