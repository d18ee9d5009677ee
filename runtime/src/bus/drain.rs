//! The end: waiting for quiet, and giving up (D7).

use std::sync::atomic::Ordering;

use tokio::time::{Instant, timeout_at};

use super::Bus;
use super::endpoint::Endpoint;
use crate::event::Event;
use crate::handler::Origin;

impl Bus {
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
        self.rest();
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

    /// D7: a drain makes no dead letters; what it gives up on is counted and logged.
    pub(super) fn give_up(&self, endpoint: &Endpoint, event: &Event, origin: Origin) {
        // Nobody is owed a host event, nor what it published itself as it stopped.
        if origin == Origin::Host || endpoint.name().plugin() == Some(event.source()) {
            return;
        }
        self.counters.abandoned(1);
        tracing::warn!(event = event.id(), handler = %endpoint.name(), "not delivered: the runtime is ending");
    }
}
