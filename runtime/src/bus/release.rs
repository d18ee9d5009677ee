//! What handlers publish, and what is committed with it (B11, D2).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, timeout_at};

use super::Bus;
use super::async_publish::NotTaken;
use super::durable::{Announced, DurableOutbox, new_event};
use super::endpoint::{Effects, Ended, Endpoint};
use super::entry::Entry;
use super::letters::Cause;
use crate::delivery::{DeadLetter, DeadLetterReason, DeliveryId, Settlement, StoreError, Verdict};
use crate::event::Event;
use crate::handler::{Fault, Origin};
use crate::key_value::KeyValueError;
use crate::outcome::{Class, Outcome};
use crate::uncommitted::HeldInstance;

/// An outbox that the filters have been asked about, with who gets what of it. Nobody has it yet.
#[derive(Default)]
struct Addressed {
    stored: DurableOutbox,
    queued: Vec<(Event, Vec<Arc<Endpoint>>)>,
    letters: Vec<DeadLetter>,
}

/// A stored delivery, and what becomes of it.
pub(super) struct End {
    pub(super) id: DeliveryId,
    pub(super) size: usize,
    pub(super) verdict: Verdict,
}

impl End {
    /// None for an entry that is not stored.
    pub(super) fn of(entry: &Entry, verdict: Verdict) -> Option<Self> {
        let (id, size) = (entry.stored?, entry.event.size_bytes());
        Some(Self { id, size, verdict })
    }
}

/// Why what an attempt wants to have done was not done; nothing of it was.
pub(super) enum Unfinished {
    /// The plugin wrote more than it may.
    Refused(Fault),
    /// The store did not take it.
    Store(Fault),
}

impl Unfinished {
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::Refused(fault) | Self::Store(fault) => fault,
        }
    }
}

impl Bus {
    /// B11: publishes what a plugin published in `start` or `stop`. Never waits for room.
    pub(crate) async fn release_from_plugin(self: &Arc<Self>, outbox: Vec<Event>) {
        let _pending = self.inflight.busy();
        let Addressed {
            stored,
            queued,
            letters,
        } = self.address(outbox).await;
        for (event, rooms) in stored {
            let rooms = rooms.into_iter().map(|room| (room, None)).collect();
            if let Err(error) = self.append(&event, Origin::Handler, rooms).await {
                tracing::error!(event = event.id(), %error, "what a plugin published could not be stored, and is not delivered");
            }
        }
        letters.into_iter().for_each(|letter| self.bury(letter));
        self.enqueue(queued);
    }

    /// D2: does what an attempt wants to have done: what it published and wrote, and the end of its delivery where that is
    /// stored, are committed together; what has no need of the store follows.
    pub(super) async fn finish(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        end: Option<End>,
        effects: Effects,
    ) -> Result<(), Unfinished> {
        let Addressed {
            stored,
            queued,
            mut letters,
        } = self.address(effects.outbox).await;
        let (writes, instance) = effects.uncommitted.map(|held| (held.writes, held.instance)).unzip();
        if end.is_some() || writes.is_some() || !stored.is_empty() {
            let (delivery, size) = end.map(|End { id, size, verdict }| ((id, verdict), size)).unzip();
            let outbox = stored
                .iter()
                .map(|(event, rooms)| new_event(event, Origin::Handler, rooms.iter()));
            let settlement = Settlement {
                delivery,
                outbox: outbox.collect(),
                writes,
                letters: std::mem::take(&mut letters),
            };
            let committed = self.commit(endpoint, settlement, size.unwrap_or(0), stored).await;
            if let Err(error) = committed {
                return Err(unfinished(endpoint, instance, error));
            }
        }
        if let Some(instance) = instance {
            instance.committed();
        }
        letters.into_iter().for_each(|letter| self.bury(letter));
        self.enqueue(queued);
        Ok(())
    }

    /// The same for an attempt whose publisher waits until the deadline, and with the outcome that it is told.
    ///
    /// On a task of its own where filters have a say or the store has to be waited for: what was done is not to be lost when
    /// the publisher goes away.
    pub(super) async fn finish_by(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        mut ended: Ended,
        effects: Effects,
        deadline: Instant,
    ) -> Outcome {
        let is_quick = !self.has_filters() && self.store.is_none();
        let finished = if is_quick {
            Ok(self.finish(endpoint, None, effects).await)
        } else {
            let (bus, of, pending) = (self.clone(), endpoint.clone(), self.inflight.pending());
            let finish = self.tokio.spawn(async move {
                let finished = bus.finish(&of, None, effects).await;
                drop(pending);
                finished
            });
            match &self.store {
                Some(_) => finish.await,
                // It goes on by itself if the time is up.
                None => timeout_at(deadline, finish).await.unwrap_or(Ok(Ok(()))),
            }
        };
        if let Ok(Err(unfinished)) = finished {
            let fault = unfinished.fault();
            (ended.class, ended.fault) = (fault.class(), Some(fault));
        }
        endpoint.outcome_of(ended)
    }

    /// Asks the filters, finds the handlers, and makes room on the disk for what is to be stored.
    async fn address(self: &Arc<Self>, outbox: Vec<Event>) -> Addressed {
        let mut addressed = Addressed::default();
        for event in outbox {
            self.counters.handler_published();
            if let Err(cause) = self.too_far(&event) {
                addressed.letters.push(self.letter(event, None, cause, (0, None)));
                continue;
            }
            if self.refusing_filter(&event).await.is_some() {
                continue;
            }
            let targets = self.table.load().targets(event.event_type(), None);
            self.counters.published(targets.len());
            let (mut rooms, mut others) = (Vec::new(), Vec::new());
            for endpoint in targets.as_slice() {
                if !endpoint.is_durable() {
                    others.push(endpoint.clone());
                } else if let Some(room) = Announced::now(endpoint, &event, Origin::Handler) {
                    rooms.push(room);
                } else {
                    self.counters.refused();
                    let cause = self.overloaded(endpoint);
                    addressed
                        .letters
                        .push(self.letter(event.clone(), Some(endpoint), cause, (0, None)));
                }
            }
            if !rooms.is_empty() {
                addressed.stored.push((event.clone(), rooms));
            }
            if !others.is_empty() {
                addressed.queued.push((event, others));
            }
        }
        addressed
    }

    /// What is not stored goes into the queues.
    fn enqueue(self: &Arc<Self>, queued: Vec<(Event, Vec<Arc<Endpoint>>)>) {
        for (event, endpoints) in queued {
            for endpoint in endpoints {
                match self.offer(&endpoint, event.clone(), Origin::Handler) {
                    Ok(()) | Err(NotTaken::Dropped) => {}
                    Err(NotTaken::Full(entry)) => self.bury_overloaded(&endpoint, *entry),
                    Err(NotTaken::Away(_)) if self.closed.load(Ordering::SeqCst) => {
                        self.give_up(&endpoint, &event, Origin::Handler);
                    }
                    Err(NotTaken::Away(error)) => {
                        self.counters.refused();
                        let reason = DeadLetterReason::Failed(Class::Unavailable);
                        let cause = Cause { reason, error };
                        self.bury(self.letter(event.clone(), Some(&endpoint), cause, (0, None)));
                    }
                }
            }
        }
    }

    pub(super) fn bury_overloaded(&self, endpoint: &Endpoint, entry: Entry) {
        if self.ended.is_cancelled() {
            return self.give_up(endpoint, &entry.event, entry.origin);
        }
        self.counters.refused();
        let cause = self.overloaded(endpoint);
        self.bury(self.letter_of(endpoint, &entry, cause));
    }

    fn overloaded(&self, endpoint: &Endpoint) -> Cause {
        Cause {
            reason: DeadLetterReason::Failed(Class::Overloaded),
            error: self.full_message(endpoint),
        }
    }
}

/// What an attempt came to whose effects were not committed.
fn unfinished(endpoint: &Endpoint, instance: Option<Box<dyn HeldInstance>>, error: StoreError) -> Unfinished {
    match (instance, error) {
        (Some(instance), StoreError::KeyValue(error)) => Unfinished::Refused(instance.refused(&error)),
        (Some(instance), error) => Unfinished::Store(instance.refused(&KeyValueError::Failed(error.to_string()))),
        (None, error) => {
            let message = format!("what {} did can't be stored: {error}", endpoint.name());
            Unfinished::Store(Fault::new(Class::Unavailable, message))
        }
    }
}
