//! Dead letters: how they come to be, and how they are sent again (D4).

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;

use super::Bus;
use super::durable::Announced;
use super::endpoint::Endpoint;
use super::entry::Entry;
use crate::delivery::{
    DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId, DeadLetterReason, DeliveryStore, StoreError,
    StoredDelivery,
};
use crate::event::Event;
use crate::handler::Origin;

/// How many dead letters are looked at at a time.
const PAGE: usize = 32;

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
    Letters(#[from] DeadLetterError),
    /// The store of deliveries failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of sending dead letters again.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Redriven {
    /// How many were sent.
    pub sent: u64,
    /// Those that were not, and why; they are where they were.
    pub refused: Vec<(DeadLetterId, RedriveError)>,
}

/// Why an event becomes a dead letter.
pub(super) struct Cause {
    pub(super) reason: DeadLetterReason,
    pub(super) error: String,
}

impl Bus {
    /// An event that ends here, counted and logged; the caller sees to it that it is kept.
    pub(super) fn letter(
        &self,
        event: Event,
        handler: Option<&Endpoint>,
        cause: Cause,
        (attempts, first): (u32, Option<SystemTime>),
    ) -> DeadLetter {
        let Cause { reason, error } = cause;
        let last = SystemTime::now();
        self.counters.dead_letter(reason);
        let name = handler.map(|endpoint| endpoint.name().clone());
        let shown = name.as_ref().map(ToString::to_string);
        let event_type = event.event_type();
        if self.letters_told.is_due() {
            tracing::warn!(event = event.id(), "type" = event_type, handler = shown, %reason, attempts, error, "dead letter");
        } else {
            tracing::debug!(event = event.id(), "type" = event_type, handler = shown, %reason, attempts, error, "dead letter");
        }
        DeadLetter {
            id: DeadLetterId(0),
            event,
            handler: name,
            plugin_digest: handler.and_then(Endpoint::digest),
            reason,
            error,
            attempts,
            first: first.unwrap_or(last),
            last,
        }
    }

    /// The same for an entry of a handler's queue.
    pub(super) fn letter_of(&self, endpoint: &Endpoint, entry: &Entry, cause: Cause) -> DeadLetter {
        let event = entry.event.clone();
        self.letter(event, Some(endpoint), cause, (entry.attempts, Some(entry.first())))
    }

    /// Gives a dead letter to its store: at once where that answers at once, else on a task of its own.
    pub(super) fn bury(&self, letter: DeadLetter) {
        let store = self.dead_letters.clone();
        let event = letter.event.clone();
        let mut kept = Box::pin(async move {
            if let Err(error) = store.put(letter).await {
                tracing::error!(event = event.id(), %error, "a dead letter is lost");
            }
        });
        if (&mut kept).now_or_never().is_none() {
            self.follow_up(kept);
        }
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
        if let Some(why) = endpoint.unavailable().filter(|_| !endpoint.is_durable()) {
            return Err(refused(why));
        }
        if let Some(store) = &self.store {
            let room = Announced::now(&endpoint, &letter.event, Origin::Publisher)
                .ok_or_else(|| refused(self.full_message(&endpoint)))?;
            return self.redrive_stored(store, id, room).await;
        }
        // Taken before it is queued, so that two callers can't send it twice.
        let DeadLetter { event, .. } = self.dead_letters.take(id).await?.ok_or(RedriveError::NotFound(id))?;
        let entry = Entry {
            replayed: true,
            ..self.entry(&endpoint, &event, Origin::Publisher)
        };
        let offer = endpoint.queue.offer(entry);
        self.settle(&endpoint, offer).map_err(|_| {
            self.bury(letter);
            refused(self.full_message(&endpoint))
        })
    }

    /// In the store, the letter becomes a delivery in one transaction.
    async fn redrive_stored(
        self: &Arc<Self>,
        store: &Arc<dyn DeliveryStore>,
        id: DeadLetterId,
        room: Announced,
    ) -> Result<(), RedriveError> {
        let (bus, max_age) = (self.clone(), room.endpoint.retry.max_age);
        let then = move |delivered: &Result<Option<StoredDelivery>, StoreError>| {
            if let Ok(Some(stored)) = delivered {
                bus.redriven(&room, stored);
            }
        };
        let delivered = store.redrive(id, max_age, Box::new(then)).await?;
        delivered.map(drop).ok_or(RedriveError::NotFound(id))
    }

    /// D4: sends all of those again that are meant, the oldest first.
    pub(crate) async fn redrive_all(self: &Arc<Self>, which: &DeadLetterFilter) -> Result<Redriven, RedriveError> {
        let (mut redriven, mut after) = (Redriven::default(), None);
        // What fails again meanwhile is not sent for ever.
        let now = SystemTime::now();
        let until = which.until.map_or(now, |until| until.min(now));
        let which = which.clone().until(until);
        loop {
            let page = self.dead_letters.list(&which, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(redriven) };
            after = Some(last.id);
            for letter in page {
                match self.redrive(letter.id).await {
                    Ok(()) => redriven.sent += 1,
                    // Somebody else has sent it, or thrown it away.
                    Err(RedriveError::NotFound(_)) => {}
                    Err(error) => redriven.refused.push((letter.id, error)),
                }
            }
        }
    }
}
