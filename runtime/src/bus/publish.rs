//! `publish`: one attempt at each handler, and an outcome for each (B3).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::allowance::Allowance;
use super::attempt::{Attempt, Turn};
use super::caller::{Waiting, waiting};
use super::durable::Announced;
use super::endpoint::Endpoint;
use super::lanes::Lane;
use super::table::Targets;
use super::{Bus, PublishError, fan_out};
use crate::delivery::Stored;
use crate::event::Event;
use crate::handler::{BoxFuture, Delivery, Origin};
use crate::outcome::{Class, Disposition, Outcome, Report};

/// From so many handlers on, what one event finds of each is in no near cache any more when its turn comes.
const MANY: usize = 32;
/// Of so many in a row what their attempts begin with is read at once: the waits for memory overlap then.
const IN_A_ROW: usize = 16;

/// When a publish began, and how long its caller waits.
#[derive(Clone, Copy)]
struct Patience {
    started: Instant,
    /// Filters are all that takes time before the handlers do.
    now: Instant,
    limit: Option<Duration>,
}

/// An attempt at one handler, for a publisher who waits for it. It begins as soon as it is made.
struct ToOne<'a> {
    // Over before the turn is.
    attempt: Option<Attempt<'a>>,
    turn: Option<Turn<'a>>,
    endpoint: &'a Arc<Endpoint>,
    end: Instant,
    /// What is waited for before the attempt or after it, or instead of it.
    follows: Option<BoxFuture<'a, Outcome>>,
}

impl<'a> ToOne<'a> {
    /// Without an attempt on this task.
    #[cold]
    fn other(endpoint: &'a Arc<Endpoint>, end: Instant, follows: impl Future<Output = Outcome> + Send + 'a) -> Self {
        Self {
            attempt: None,
            turn: None,
            endpoint,
            end,
            follows: Some(Box::pin(follows)),
        }
    }
}

impl Future for ToOne<'_> {
    type Output = Outcome;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let to_one = self.get_mut();
        if let Some(attempt) = &mut to_one.attempt {
            let (ended, effects) = ready!(Pin::new(attempt).poll(context));
            to_one.attempt = None;
            let turn = to_one.turn.take();
            let Some(turn) = turn.filter(|_| !effects.is_empty()) else {
                return Poll::Ready(to_one.endpoint.outcome_of(ended));
            };
            let end = to_one.end;
            // Here and not when all are done: what one published does not wait for the others.
            to_one.follows = Some(Box::pin(async move {
                // Its turn is over when that is.
                let Turn { bus, endpoint, .. } = &turn;
                bus.finish_by(endpoint, ended, effects, end).await
            }));
        }
        match &mut to_one.follows {
            Some(follows) => follows.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

/// How the event of one publish comes to one handler.
enum Way<'a> {
    /// At once, or in its turn.
    Now(&'a Arc<Endpoint>),
    /// From the store, where it is.
    Stored(&'a Arc<Endpoint>, Waiting),
    /// Into the store, once that has room for it.
    Full(&'a Arc<Endpoint>),
}

/// Reads ahead what the attempts at the next few handlers begin with, where the one at this place is the first of them.
fn touch(endpoints: &[Arc<Endpoint>], at: usize) {
    if endpoints.len() < MANY || !at.is_multiple_of(IN_A_ROW) {
        return;
    }
    let row = || endpoints.iter().skip(at).take(IN_A_ROW);
    row().for_each(|endpoint| endpoint.touch());
    let mut loans: [_; IN_A_ROW] = Default::default();
    for (loan, endpoint) in loans.iter_mut().zip(row()) {
        *loan = endpoint.lend();
    }
    loans.iter_mut().flatten().for_each(|loan| loan.touch());
}

impl Bus {
    /// B3: one attempt at each matched handler, on the caller's task, for a caller who waits so long for it.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        event: Event,
        limit: Option<Duration>,
    ) -> Result<Report, PublishError> {
        self.admit(&event)?;
        let _pending = self.inflight.busy();
        let asked = self.has_filters().then(Instant::now);
        if asked.is_some()
            && let Some(by) = Box::pin(self.refusing_filter(&event)).await
        {
            return Ok(Report::undelivered(Disposition::Filtered {
                by: by.id,
                name: by.name.clone(),
            }));
        }
        let targets = self.table.load().targets(event.event_type(), None);
        self.counters.published(targets.len());
        let patience = || {
            let now = Instant::now();
            let started = asked.unwrap_or(now);
            Patience { started, now, limit }
        };
        // Boxed is what few events need, or what costs more than a box: the way to one handler stays short.
        let outcomes = match targets {
            // Without a look at the clock.
            Targets::None => return Ok(Report::undelivered(Disposition::Unmatched)),
            targets if targets.as_slice().iter().any(|endpoint| endpoint.is_durable()) => {
                return Box::pin(self.publish_stored(&event, targets.as_slice(), patience())).await;
            }
            Targets::One(endpoint) => vec![self.publish_to(&endpoint, event, patience()).await],
            Targets::Many(endpoints) => Box::pin(self.publish_to_all(endpoints, &event, patience())).await,
        };
        Ok(Report::delivered(outcomes, 0))
    }

    /// One attempt at each of several handlers, on the caller's task.
    async fn publish_to_all(
        self: &Arc<Self>,
        mut endpoints: Vec<Arc<Endpoint>>,
        event: &Event,
        patience: Patience,
    ) -> Vec<Outcome> {
        if endpoints.iter().any(|endpoint| endpoint.has_later_turn()) {
            // Each is asked once: another publisher may change it meanwhile.
            endpoints.sort_by_cached_key(|endpoint| endpoint.turn());
        }
        let mut pended = Vec::new();
        let attempts = endpoints.iter().enumerate().map(|(at, endpoint)| {
            touch(&endpoints, at);
            self.publish_to(endpoint, event.clone(), patience)
        });
        let outcomes = fan_out::all(attempts, |at| pended.push(at)).await;
        pended
            .into_iter()
            .filter_map(|at| endpoints.get(at))
            .for_each(|endpoint| endpoint.pended());
        outcomes
    }

    /// One attempt at one handler: at once, or where others are ahead in its turn.
    fn publish_to<'a>(self: &'a Arc<Self>, endpoint: &'a Arc<Endpoint>, event: Event, patience: Patience) -> ToOne<'a> {
        let Patience { started, now, limit } = patience;
        let Allowance { until: end, of, left } = endpoint.allowance(started, limit, now);
        if left.is_zero() {
            return ToOne::other(endpoint, end, std::future::ready(endpoint.not_called(started, of)));
        }
        let lane = endpoint.lane(&event);
        if !endpoint.queue.may_go_at_once(lane.as_ref()) {
            return ToOne::other(endpoint, end, async move {
                self.publish_in_turn(endpoint, &event, started, (end, of)).await
            });
        }
        // B6: until it is done with, nothing of its lane goes.
        let turn = Turn::new(self, endpoint, lane);
        let Ok(passage) = endpoint.passage() else {
            return ToOne::other(endpoint, end, std::future::ready(endpoint.tripped(started)));
        };
        let delivery = Delivery {
            event,
            attempt: 1,
            started: now,
            deadline: end,
            deadline_of: of,
            allowed: left,
            replayed: false,
            origin: Origin::Publisher,
            lane: turn.lane.as_ref().map(Lane::hash),
        };
        ToOne {
            attempt: Some(self.attempt(endpoint, passage, delivery, started)),
            turn: Some(turn),
            endpoint,
            end,
            follows: None,
        }
    }

    /// D1: where some of the handlers are durable the event is stored first, and nobody gets it if it can't be.
    async fn publish_stored(
        self: &Arc<Self>,
        event: &Event,
        targets: &[Arc<Endpoint>],
        patience: Patience,
    ) -> Result<Report, PublishError> {
        let (durable, others): (Vec<_>, Vec<_>) = targets.iter().partition(|endpoint| endpoint.is_durable());
        let mut ways: Vec<_> = others.into_iter().map(Way::Now).collect();
        let (mut to, mut waits) = (Vec::new(), Vec::new());
        for endpoint in durable {
            let Some(room) = Announced::now(endpoint, event, Origin::Publisher) else {
                ways.push(Way::Full(endpoint));
                continue;
            };
            let time = endpoint.allowance(patience.started, patience.limit, patience.now);
            let (caller, waiting) = waiting(time.until, time.of);
            to.push((room, Some(caller)));
            waits.push((endpoint, waiting));
        }
        let mut duplicates = 0;
        if !to.is_empty() {
            let stored = self.append(event, Origin::Publisher, to).await?;
            for ((endpoint, waiting), stored) in waits.into_iter().zip(stored) {
                match stored {
                    Stored::Owed(_) => ways.push(Way::Stored(endpoint, waiting)),
                    Stored::Duplicate => duplicates += 1,
                }
            }
        }
        let outcomes = ways
            .into_iter()
            .map(|way| Box::pin(self.outcome_by(way, event, patience)));
        let outcomes = fan_out::all(outcomes, |_| ()).await;
        duplicates += outcomes.iter().filter(|outcome| outcome.is_none()).count();
        self.counters.duplicates(duplicates);
        Ok(Report::delivered(outcomes.into_iter().flatten().collect(), duplicates))
    }

    /// None for a duplicate.
    async fn outcome_by(self: &Arc<Self>, way: Way<'_>, event: &Event, patience: Patience) -> Option<Outcome> {
        let Patience { started, limit, now } = patience;
        match way {
            Way::Now(endpoint) => Some(self.publish_to(endpoint, event.clone(), patience).await),
            Way::Stored(endpoint, waiting) => Some(self.outcome_of_stored(endpoint, waiting, started).await),
            Way::Full(endpoint) => {
                let time = endpoint.allowance(started, limit, now);
                let Some(room) = Announced::until(endpoint, event, time.until).await else {
                    let message = self.full_message(endpoint);
                    return Some(endpoint.not_attempted(Class::Overloaded, message, None, started));
                };
                let (caller, waiting) = waiting(time.until, time.of);
                let stored = self.append(event, Origin::Publisher, vec![(room, Some(caller))]).await;
                match stored.as_deref() {
                    Ok([Stored::Owed(_)]) => Some(self.outcome_of_stored(endpoint, waiting, started).await),
                    Ok(_) => None,
                    Err(error) => Some(endpoint.not_attempted(Class::Unavailable, error.to_string(), None, started)),
                }
            }
        }
    }

    /// How the first attempt at a stored event ended, or why nobody waits for it: it is made in any case.
    async fn outcome_of_stored(&self, endpoint: &Arc<Endpoint>, waiting: Waiting, started: Instant) -> Outcome {
        if let Some(why) = endpoint.unavailable() {
            return endpoint.is_away(started, &why);
        }
        if !endpoint.is_passable() {
            return endpoint.tripped(started);
        }
        let of = waiting.deadline_of();
        match waiting.outcome_of_stored().await {
            Ok(outcome) => outcome,
            Err(has_begun) => endpoint.goes_on(started, of, has_begun),
        }
    }
}
