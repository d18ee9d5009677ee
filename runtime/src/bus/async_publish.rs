//! `publish_async` and what follows it: queues, their workers, retries, what handlers publish, the drain.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use futures_util::FutureExt;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::caller::Caller;
use super::endpoint::Endpoint;
use super::lanes::Lane;
use super::queue::{Entry, Offer};
use super::{Bus, PublishError, fan_out};
use crate::clock;
use crate::delivery::{DeadLetter, DeadLetterError, DeadLetterId, DeadLetterReason};
use crate::event::{Event, EventTime};
use crate::handler::{Fault, Origin, panic_message};
use crate::outcome::{Class, Receipt, Refusal};

/// What host events have as their source.
pub(crate) const HOST_SOURCE: &str = "palisade";

/// Why a dead letter was not sent again. It is where it was.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedriveError {
    /// There is no such dead letter (any more).
    #[error("there is no dead letter {}", .0.0)]
    NotFound(DeadLetterId),
    /// The handler that should get it is not on the bus now.
    #[error("{0} is not on the bus now; load and start its plugin, or subscribe it, first")]
    NoHandler(String),
    /// The letter was stopped before it had a handler, as by the hop limit, and would be again.
    #[error("dead letter {} has no handler: it was stopped by the hop limit, and would be again", .0.0)]
    Undeliverable(DeadLetterId),
    /// The handler's queue did not take it.
    #[error("{handler} did not take it: {message}")]
    Refused {
        /// The handler.
        handler: String,
        /// Why not.
        message: String,
    },
    /// The store of dead letters failed.
    #[error(transparent)]
    Store(#[from] DeadLetterError),
}

impl Bus {
    /// B4: gives the event to the queue of each matched handler and waits for none of them.
    ///
    /// Cancellation safe: queues that have taken the event keep it, the others don't get it.
    pub(crate) async fn publish_async(
        self: &Arc<Self>,
        event: Event,
        deadline: Option<Instant>,
    ) -> Result<Receipt, PublishError> {
        self.admit(&event)?;
        let _pending = self.inflight.begin();
        if let Some(by) = self.refusing_filter(&event).await {
            return Ok(Receipt {
                matched: 0,
                filtered: Some(by.id),
                enqueued: 0,
                dropped: 0,
                refused: Vec::new(),
            });
        }
        let deadline = deadline.unwrap_or_else(|| clock::deadline(self.publish_timeout));
        let targets = self.table.load().targets(event.event_type(), None);
        let targets = targets.as_slice();
        self.counters.published(targets.len());
        let (mut refused, mut dropped) = (Vec::new(), 0);
        let mut full = Vec::new();
        for endpoint in targets {
            match self.offer(endpoint, &event, Origin::Publisher) {
                Ok(()) => {}
                Err(NotTaken::Away(message)) => {
                    self.counters.refused();
                    refused.push(Refusal {
                        handler: endpoint.name().clone(),
                        class: Class::Unavailable,
                        message,
                    });
                }
                Err(NotTaken::Dropped) => dropped += 1,
                Err(NotTaken::Full(entry)) => full.push((endpoint, entry)),
            }
        }
        let waits = full
            .into_iter()
            .map(|(endpoint, entry)| self.offer_until(endpoint, *entry, deadline));
        refused.extend(fan_out::all(waits, |_| ()).await.into_iter().flatten());
        let enqueued = targets.len() - refused.len() - dropped;
        Ok(Receipt {
            matched: targets.len(),
            filtered: None,
            enqueued,
            dropped,
            refused,
        })
    }

    /// Publishes a host event: not filtered, never waits, not told to the plugin it is about.
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
        for endpoint in targets.as_slice() {
            // A plugin that is away has no claim to host events; it is not told what it missed.
            if let Err(NotTaken::Full(entry)) = self.offer(endpoint, &event, Origin::Host) {
                self.bury_overloaded(endpoint, *entry);
            }
        }
    }

    /// B11: publishes what a handler has published, after it returned ok. Never waits for room.
    pub(super) async fn release(self: &Arc<Self>, outbox: Vec<Event>) {
        for event in outbox {
            self.counters.handler_published();
            if self.check_hops(&event).is_err() || self.refusing_filter(&event).await.is_some() {
                continue;
            }
            let targets = self.table.load().targets(event.event_type(), None);
            self.counters.published(targets.len());
            for endpoint in targets.as_slice() {
                match self.offer(endpoint, &event, Origin::Handler) {
                    Ok(()) | Err(NotTaken::Dropped) => {}
                    Err(NotTaken::Full(entry)) => self.bury_overloaded(endpoint, *entry),
                    Err(NotTaken::Away(_)) if self.closed.load(Ordering::SeqCst) => {
                        self.give_up(endpoint, &event, Origin::Handler);
                    }
                    Err(NotTaken::Away(message)) => {
                        self.counters.refused();
                        let reason = DeadLetterReason::Failed(Class::Unavailable);
                        self.bury(event.clone(), Some(endpoint), reason, message, 0, None);
                    }
                }
            }
        }
    }

    /// The same, on a task of its own where filters have a say: they may take longer than the publisher waits, and what was
    /// published is not to be lost when it goes away.
    pub(super) async fn release_by(self: &Arc<Self>, outbox: Vec<Event>, deadline: Instant) {
        if outbox.is_empty() || self.filters.load().is_empty() {
            return self.release(outbox).await;
        }
        let bus = self.clone();
        let released = self.tokio.spawn(async move { bus.release_from_plugin(outbox).await });
        // It goes on by itself if the time is up.
        let _ = timeout_at(deadline, released).await;
    }

    /// What a plugin published in `start` or `stop`.
    pub(crate) async fn release_from_plugin(self: &Arc<Self>, outbox: Vec<Event>) {
        let _pending = self.inflight.begin();
        self.release(outbox).await;
    }

    fn offer(self: &Arc<Self>, endpoint: &Arc<Endpoint>, event: &Event, origin: Origin) -> Result<(), NotTaken> {
        if let Some(why) = endpoint.unavailable() {
            return Err(NotTaken::Away(why));
        }
        let offer = endpoint.queue.offer(self.entry(endpoint, event, origin));
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
            Offer::Full(entry) => Err(NotTaken::Full(Box::new(entry))),
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

    /// The turn of a lane is over: the next event of it may go.
    pub(super) fn done(self: &Arc<Self>, endpoint: &Arc<Endpoint>, lane: Option<&Lane>) {
        if endpoint.queue.done(lane) {
            self.start_worker(endpoint.clone());
        }
    }

    pub(super) fn entry(&self, endpoint: &Endpoint, event: &Event, origin: Origin) -> Entry {
        Entry {
            event: event.clone(),
            attempts: 0,
            replayed: false,
            origin,
            since: Instant::now(),
            first: SystemTime::now(),
            lane: endpoint.lane(event),
            caller: None,
            _pending: self.inflight.begin_delivery(),
        }
    }

    async fn offer_until(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        entry: Entry,
        deadline: Instant,
    ) -> Option<Refusal> {
        let offer = endpoint.queue.offer_until(entry, deadline).await;
        match self.settle(endpoint, offer) {
            Err(NotTaken::Full(_)) => {}
            _ => return None,
        }
        self.counters.refused();
        Some(Refusal {
            handler: endpoint.name().clone(),
            class: Class::Overloaded,
            message: self.full_message(endpoint),
        })
    }

    fn bury_overloaded(&self, endpoint: &Endpoint, entry: Entry) {
        if self.ended.is_cancelled() {
            return self.give_up(endpoint, &entry.event, entry.origin);
        }
        self.counters.refused();
        let reason = DeadLetterReason::Failed(Class::Overloaded);
        let error = self.full_message(endpoint);
        self.bury(
            entry.event,
            Some(endpoint),
            reason,
            error,
            entry.attempts,
            Some(entry.first),
        );
    }

    /// D7: a drain makes no dead letters; what it gives up on is counted and logged.
    fn give_up(&self, endpoint: &Endpoint, event: &Event, origin: Origin) {
        // Nobody is owed a host event, nor what it published itself as it stopped.
        if origin == Origin::Host || endpoint.name().plugin() == Some(event.source()) {
            return;
        }
        self.counters.abandoned(1);
        tracing::warn!(event = event.id(), handler = %endpoint.name(), "not delivered: the runtime is ending");
    }

    /// A worker lives while its queue has entries that may go; an idle queue costs no task.
    pub(super) fn start_worker(self: &Arc<Self>, endpoint: Arc<Endpoint>) {
        let bus = self.clone();
        self.tokio.spawn(async move {
            while let Some(entry) = endpoint.queue.next() {
                let lane = entry.lane.clone();
                tokio::select! {
                    biased;
                    ended = AssertUnwindSafe(bus.work(&endpoint, entry)).catch_unwind() => {
                        if let Err(panic) = ended {
                            // Handlers are caught elsewhere; this is a store of dead letters. The queue goes on.
                            let panic = panic_message(&*panic);
                            tracing::error!(handler = %endpoint.name(), panic, "a delivery ended in a panic of the host");
                            bus.done(&endpoint, lane.as_ref());
                        }
                    }
                    // D7: what still runs then is dropped, which is held against nobody.
                    () = bus.ended.cancelled() => return,
                }
                // Handlers that never wait would keep the thread to themselves.
                tokio::task::consume_budget().await;
            }
        });
    }

    /// One attempt at a queued event, and what follows from how it ended.
    async fn work(self: &Arc<Self>, endpoint: &Arc<Endpoint>, mut entry: Entry) {
        let passage = match endpoint.passage() {
            Ok(passage) => passage,
            Err(_) => return self.wait_for_breaker(endpoint, entry),
        };
        let Some(mut caller) = entry.caller.take() else {
            let started = Instant::now();
            let deadline = endpoint.deadline(started, None);
            let (outcome, outbox) = self.attempt(endpoint, passage, entry.delivery(deadline), started).await;
            entry.attempts += 1;
            self.release(outbox).await;
            return self.after(endpoint, entry, outcome.fault);
        };
        if caller.claim() {
            let (deadline, of) = (caller.deadline, caller.deadline_of);
            let attempt = async {
                let delivery = entry.delivery((deadline, of));
                let (outcome, outbox) = self.attempt(endpoint, passage, delivery, entry.since).await;
                self.release_by(outbox, deadline).await;
                outcome
            };
            tokio::select! {
                biased;
                outcome = attempt => caller.answer(outcome),
                // B3: as a publish that is dropped while it calls the handler itself.
                () = caller.gone() => {}
            }
        }
        self.done(endpoint, entry.lane.as_ref());
    }

    /// D5: the handler is left in peace, so the queue rests; a `publish` that waits in it is told, and what is older than a
    /// retry may be (D3) waits no longer.
    fn wait_for_breaker(self: &Arc<Self>, endpoint: &Arc<Endpoint>, entry: Entry) {
        endpoint.queue.pause(entry);
        loop {
            let oldest = endpoint.retry.max_age;
            let taken = endpoint
                .queue
                .take(|entry| entry.caller.is_some() || entry.since.elapsed() > oldest);
            if taken.is_empty() {
                break;
            }
            for entry in taken {
                let lane = entry.lane.clone();
                self.not_attempted(endpoint, entry);
                self.done(endpoint, lane.as_ref());
            }
        }
        // The probe may have ended before the queue was paused, when nobody could resume it.
        if endpoint.is_passable() {
            self.resume(endpoint);
        }
    }

    fn not_attempted(&self, endpoint: &Endpoint, mut entry: Entry) {
        if let Some(caller) = entry.caller.take() {
            if caller.claim() {
                caller.answer(endpoint.tripped(entry.since));
            }
        } else if entry.origin != Origin::Host {
            let reason = DeadLetterReason::Failed(Class::BreakerOpen);
            let error = format!(
                "{} was left in peace for longer than retry.max-age (delivery.breaker)",
                endpoint.name()
            );
            let (attempts, first) = (entry.attempts, Some(entry.first));
            self.bury(entry.event, Some(endpoint), reason, error, attempts, first);
        }
    }

    fn after(self: &Arc<Self>, endpoint: &Arc<Endpoint>, entry: Entry, fault: Option<Fault>) {
        let lane = entry.lane.clone();
        let is_retried = fault.is_some_and(|fault| self.is_retried(endpoint, entry, &fault));
        // B6: across retries its lane waits.
        if !is_retried {
            self.done(endpoint, lane.as_ref());
        }
    }

    /// Sees to an event whose attempt failed: the next attempt if there is one, or a dead letter.
    fn is_retried(self: &Arc<Self>, endpoint: &Arc<Endpoint>, entry: Entry, fault: &Fault) -> bool {
        if fault.class() == Class::Unavailable {
            if entry.origin == Origin::Host {
                // As in `publish_host`: a plugin that is away has no claim to host events.
                return false;
            }
            if self.closed.load(Ordering::SeqCst) {
                // Nothing starts any more that could take it.
                self.give_up(endpoint, &entry.event, entry.origin);
                return false;
            }
        }
        let age = entry.since.elapsed();
        let retry = fault.class().is_retryable();
        let delay = retry.then(|| {
            endpoint
                .retry
                .delay(entry.attempts, age, fault.retry_after(), fastrand::f64())
        });
        let Some(delay) = delay.flatten() else {
            let reason = DeadLetterReason::Failed(fault.class());
            let error = fault.message().to_owned();
            self.bury(
                entry.event,
                Some(endpoint),
                reason,
                error,
                entry.attempts,
                Some(entry.first),
            );
            return false;
        };
        tracing::debug!(handler = %endpoint.name(), event = entry.event.id(), %fault, ?delay, "will be tried again");
        self.counters.retry();
        endpoint.queue.hold(&entry);
        let (bus, endpoint) = (self.clone(), endpoint.clone());
        self.tokio.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => {
                    if endpoint.queue.put_back(entry) {
                        bus.start_worker(endpoint.clone());
                    }
                }
                () = bus.ended.cancelled() => endpoint.queue.release(&entry),
            }
        });
        true
    }

    /// D4: sends a dead letter again, to its handler only, with the same id.
    pub(crate) async fn redrive(self: &Arc<Self>, id: DeadLetterId) -> Result<(), RedriveError> {
        let letter = self.dead_letters.get(id).await?.ok_or(RedriveError::NotFound(id))?;
        let name = letter.handler.clone().ok_or(RedriveError::Undeliverable(id))?;
        let endpoint = self
            .registry()
            .endpoints
            .get(&name)
            .map(|(endpoint, _)| endpoint.clone());
        let endpoint = endpoint.ok_or_else(|| RedriveError::NoHandler(name.to_string()))?;
        let refused = |message| RedriveError::Refused {
            handler: name.to_string(),
            message,
        };
        if let Some(why) = endpoint.unavailable() {
            return Err(refused(why));
        }
        // Taken before it is queued, so that two callers can't send it twice.
        let DeadLetter { event, .. } = self.dead_letters.take(id).await?.ok_or(RedriveError::NotFound(id))?;
        let entry = Entry {
            replayed: true,
            ..self.entry(&endpoint, &event, Origin::Publisher)
        };
        let offer = endpoint.queue.offer(entry);
        self.settle(&endpoint, offer).map_err(|_| {
            self.keep_letter(letter);
            refused(self.full_message(&endpoint))
        })
    }

    /// Returns when nothing is queued, running or waiting for a retry, and nothing will follow by itself.
    pub(crate) async fn quiet(&self) {
        self.inflight.quiet().await;
    }

    /// D7: takes no more events from outside.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Waits for quiet until the deadline, and then gives up on what is left; says how many deliveries that were, the ones
    /// since the last drain included.
    pub(crate) async fn drain(&self, deadline: Instant) -> usize {
        if timeout_at(deadline, self.inflight.quiet()).await.is_err() {
            self.abandon();
        }
        self.counters.abandoned_unreported()
    }

    /// Gives up on all that is left: nothing is delivered from here on.
    pub(crate) fn abandon(&self) {
        self.close();
        self.counters.abandoned(self.inflight.give_up());
        self.ended.cancel();
        let endpoints = self.registry().all_endpoints();
        for endpoint in endpoints {
            for entry in endpoint
                .queue
                .close()
                .into_iter()
                .filter(|entry| entry.origin != Origin::Host)
            {
                tracing::warn!(event = entry.event.id(), handler = %endpoint.name(), "not delivered: the runtime is ending");
            }
        }
    }

    pub(super) fn full_message(&self, endpoint: &Endpoint) -> String {
        if self.ended.is_cancelled() {
            return "the runtime is shutting down".to_owned();
        }
        let (name, policy) = (endpoint.name(), endpoint.queue.policy());
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
