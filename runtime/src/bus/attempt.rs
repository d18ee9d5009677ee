//! One attempt at one handler, whoever makes it, and what it means for those who wait for that handler.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, sleep_until};

use super::Bus;
use super::call::Call;
use super::caller::waiting;
use super::endpoint::{Effects, Ended, Endpoint};
use super::entry::Entry;
use super::lanes::Lane;
use crate::delivery::{Change, Passage};
use crate::event::Event;
use crate::handler::{DeadlineOf, Delivery, Origin};
use crate::outcome::{Class, Outcome};

/// An attempt, until it is over. Dropped before that, a probe that nobody waits for any more makes way for another.
pub(super) struct Attempt<'a> {
    bus: &'a Arc<Bus>,
    endpoint: &'a Arc<Endpoint>,
    passage: Option<Passage<'a>>,
    call: Call<'a>,
    number: u32,
    started: Instant,
    is_over: bool,
}

impl Future for Attempt<'_> {
    type Output = (Ended, Effects);

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let attempt = self.get_mut();
        let completion = ready!(Pin::new(&mut attempt.call).poll(context));
        attempt.is_over = true;
        let (bus, endpoint, passage) = (attempt.bus, attempt.endpoint, attempt.passage.take());
        let (ended, effects, change) = endpoint.ended(completion, passage, attempt.number, attempt.started);
        match change {
            Change::None => {}
            Change::Released => bus.resume(endpoint),
            Change::Opened(until) => bus.resume_at(endpoint, until),
        }
        Poll::Ready((ended, effects))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // In this order: the handler is at nothing, and the breaker has heard of it, when the queue goes on.
            self.call.end();
            drop(self.passage.take());
            self.bus.resume(self.endpoint);
        }
    }
}

impl Bus {
    /// Begins the attempt; its passage through the breaker was given before.
    #[inline]
    pub(super) fn attempt<'a>(
        self: &'a Arc<Self>,
        endpoint: &'a Arc<Endpoint>,
        passage: Option<Passage<'a>>,
        delivery: Delivery,
        started: Instant,
    ) -> Attempt<'a> {
        Attempt {
            bus: self,
            endpoint,
            passage,
            number: delivery.attempt,
            call: endpoint.call(delivery),
            started,
            is_over: false,
        }
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
    pub(super) bus: &'a Arc<Bus>,
    pub(super) endpoint: &'a Arc<Endpoint>,
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
