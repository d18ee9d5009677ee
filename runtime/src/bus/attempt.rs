//! One attempt at one handler, whoever makes it, and what it means for those who wait for that handler.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::Bus;
use super::caller::waiting;
use super::endpoint::{Effects, Endpoint};
use super::lanes::Lane;
use super::queue::Entry;
use crate::delivery::{Change, Passage};
use crate::event::Event;
use crate::handler::{DeadlineOf, Delivery, Origin};
use crate::outcome::{Class, Outcome};

impl Bus {
    /// Makes the attempt; its passage through the breaker was given before.
    pub(super) async fn attempt(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        passage: Option<Passage<'_>>,
        delivery: Delivery,
        started: Instant,
    ) -> (Outcome, Effects) {
        // Dropped with the attempt, after the passage: a probe that nobody waits for any more makes way for another.
        let mut interrupted = Interrupted(Some((self, endpoint)));
        let (outcome, effects, change) = endpoint.attempt(passage, delivery, started).await;
        interrupted.0 = None;
        match change {
            Change::None => {}
            Change::Released => self.resume(endpoint),
            Change::Opened(until) => self.resume_at(endpoint, until),
        }
        (outcome, effects)
    }

    /// Starts what a paused queue needs.
    pub(super) fn resume(self: &Arc<Self>, endpoint: &Arc<Endpoint>) {
        for _ in 0..endpoint.queue.resume() {
            self.start_worker(endpoint.clone());
        }
    }

    /// D5: when the breaker has been open long enough, what is queued is the probe.
    fn resume_at(self: &Arc<Self>, endpoint: &Arc<Endpoint>, until: Instant) {
        let (queued, open) = (endpoint.queue.len(), until.saturating_duration_since(Instant::now()));
        tracing::warn!(handler = %endpoint.name(), queued, ?open, "its breaker is open: it failed too often (delivery.breaker)");
        let (bus, endpoint) = (self.clone(), endpoint.clone());
        self.tokio.spawn(async move {
            tokio::select! {
                () = sleep_until(until) => bus.resume(&endpoint),
                () = bus.ended.cancelled() => {}
            }
        });
    }

    /// B6: a `publish` whose event has others before it: it is queued, and a worker makes the attempt.
    pub(super) async fn publish_in_turn(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        event: &Event,
        started: Instant,
        (deadline, of): (Instant, DeadlineOf),
    ) -> Outcome {
        if !endpoint.is_passable() {
            return endpoint.tripped(started);
        }
        let (caller, waiting) = waiting(deadline, of);
        let entry = Entry {
            caller: Some(caller),
            ..self.entry(endpoint, event, Origin::Publisher)
        };
        let offer = endpoint.queue.offer_until(entry, deadline).await;
        if self.settle(endpoint, offer).is_err() {
            return endpoint.not_attempted(Class::Overloaded, self.full_message(endpoint), None, started);
        }
        match waiting.outcome().await {
            Some(outcome) => outcome,
            None => endpoint.had_no_turn(started, of),
        }
    }
}

/// The turn of a lane that a direct call has, until it is dropped.
pub(super) struct Turn<'a> {
    bus: &'a Arc<Bus>,
    endpoint: &'a Arc<Endpoint>,
    pub(super) lane: Option<Lane>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(bus: &'a Arc<Bus>, endpoint: &'a Arc<Endpoint>, lane: Option<Lane>) -> Self {
        Self { bus, endpoint, lane }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.bus.done(self.endpoint, self.lane.as_ref());
    }
}

/// What an attempt leaves behind that was dropped before its end.
struct Interrupted<'a>(Option<(&'a Arc<Bus>, &'a Arc<Endpoint>)>);

impl Drop for Interrupted<'_> {
    fn drop(&mut self) {
        if let Some((bus, endpoint)) = self.0 {
            bus.resume(endpoint);
        }
    }
}
