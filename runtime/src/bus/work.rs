//! The workers of a queue: one attempt at each event, and what follows from how it ended (D3).

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use super::Bus;
use super::allowance::Allowance;
use super::caller::Caller;
use super::endpoint::{Effects, Ended, Endpoint};
use super::entry::Entry;
use super::lanes::Lane;
use super::letters::Cause;
use super::release::{End, Unfinished};
use super::room::Room;
use crate::delivery::{DeadLetterReason, Passage, Verdict};
use crate::handler::{Fault, Origin, panic_message};
use crate::outcome::Class;

/// What follows a failed attempt.
enum Next {
    Retry(Duration),
    Dead(Cause),
    /// Nobody is owed it any more, or it can't be delivered by this process.
    Nothing,
}

impl Bus {
    /// A worker lives while its queue has entries that may go; an idle queue costs no task.
    pub(super) fn start_worker(self: &Arc<Self>, endpoint: Arc<Endpoint>) {
        let bus = self.clone();
        self.tokio.spawn(async move {
            let mut room = Room::of(&endpoint.queue);
            let mut bus_ended = pin!(bus.ended.cancelled());
            while let Some(entry) = endpoint.queue.next() {
                room.has_more(&entry);
                let (lane, stored) = (entry.lane.clone(), entry.stored);
                // It stays where it is: each async function that had it by value would copy it.
                let mut in_hand = Some(entry);
                let worked = {
                    let mut work = pin!(AssertUnwindSafe(bus.work(&endpoint, &mut in_hand)).catch_unwind());
                    poll_fn(|context| match work.as_mut().poll(context) {
                        Poll::Ready(worked) => Poll::Ready(Some(worked)),
                        Poll::Pending => {
                            room.tell();
                            bus_ended.as_mut().poll(context).map(|()| None)
                        }
                    })
                    .await
                };
                drop(in_hand);
                match worked {
                    Some(Ok(())) => {}
                    Some(Err(panic)) => {
                        // Handlers are caught elsewhere; this is a store of dead letters. The queue goes on.
                        let panic = panic_message(&*panic);
                        tracing::error!(handler = %endpoint.name(), panic, "a delivery ended in a panic of the host");
                        if let Some(id) = stored {
                            endpoint.queue.lost(id);
                        }
                        bus.done(&endpoint, lane.as_ref());
                    }
                    // D7: what still runs then is dropped, which is held against nobody.
                    None => return,
                }
                bus.refill(&endpoint);
                // Handlers that never wait would keep the thread to themselves.
                tokio::task::consume_budget().await;
            }
            room.tell();
        });
    }

    /// The turn of a lane is over: the next event of it may go.
    pub(super) fn done(self: &Arc<Self>, endpoint: &Arc<Endpoint>, lane: Option<&Lane>) {
        if endpoint.queue.done(lane) {
            self.start_worker(endpoint.clone());
        }
    }

    /// One attempt at a queued event, and what follows from how it ended.
    async fn work(self: &Arc<Self>, endpoint: &Arc<Endpoint>, in_hand: &mut Option<Entry>) {
        let Some(passage) = self.may_begin(endpoint, in_hand) else {
            return;
        };
        let caller = in_hand.as_mut().and_then(|entry| entry.caller.take());
        match caller {
            Some(caller) if in_hand.as_ref().is_some_and(|entry| entry.stored.is_none()) => {
                if let Some(entry) = in_hand.take() {
                    // Boxed is what few events need, or what costs more than a box: the way of most stays short.
                    Box::pin(self.work_for(endpoint, passage, entry, caller)).await;
                }
            }
            caller => self.work_at(endpoint, passage, in_hand, caller).await,
        }
    }

    /// The passage of the attempt; none if the event has to wait, and is where it waits.
    fn may_begin<'a>(
        self: &Arc<Self>,
        endpoint: &'a Arc<Endpoint>,
        in_hand: &mut Option<Entry>,
    ) -> Option<Option<Passage<'a>>> {
        let entry = in_hand.as_ref()?;
        if let Some(due) = entry.not_before.filter(|due| *due > Instant::now()) {
            // D3: it had to wait for another of its lane, and has to wait for its time still.
            endpoint.queue.hold(entry);
            self.put_back_at(endpoint, in_hand.take()?, due);
            return None;
        }
        let is_kept = entry.stored.is_some() && endpoint.is_durable();
        if is_kept && let Some(why) = endpoint.unavailable() {
            self.wait_for_plugin(endpoint, in_hand.take()?, &why);
            return None;
        }
        match endpoint.passage() {
            Ok(passage) => Some(passage),
            Err(_) => {
                self.wait_for_breaker(endpoint, in_hand.take()?);
                None
            }
        }
    }

    /// The only attempt at an event whose publisher waits for it.
    async fn work_for(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        passage: Option<Passage<'_>>,
        entry: Entry,
        mut caller: Caller,
    ) {
        if caller.claim() {
            let (deadline, of) = (caller.deadline, caller.deadline_of);
            let attempt = async {
                let now = Instant::now();
                let delivery = entry.delivery(now, Allowance::by(deadline, of, now));
                let (ended, effects) = self.attempt(endpoint, passage, delivery, entry.since).await;
                if effects.is_empty() {
                    return endpoint.outcome_of(ended);
                }
                self.finish_by(endpoint, ended, effects, deadline).await
            };
            tokio::select! {
                biased;
                outcome = attempt => caller.answer(outcome),
                // B3: as a publish that is dropped while it calls the handler itself.
                () = caller.gone() => {}
            }
        } else {
            // It may have been the probe, which is another's now.
            drop(passage);
            self.resume(endpoint);
        }
        self.done(endpoint, entry.lane.as_ref());
    }

    /// One of the attempts at an event that nobody waits for, or only for the first one.
    async fn work_at(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        passage: Option<Passage<'_>>,
        in_hand: &mut Option<Entry>,
        caller: Option<Caller>,
    ) {
        let Some(entry) = in_hand else { return };
        // An entry that is not stored is counted itself.
        let _pending = entry.stored.is_some().then(|| self.inflight.busy());
        let caller = caller.filter(Caller::claim);
        let started = Instant::now();
        let time = endpoint.allowance(started, None, started);
        let (ended, effects) = self
            .attempt(endpoint, passage, entry.delivery(started, time), started)
            .await;
        entry.attempts += 1;
        if ended.fault.is_none() && effects.is_empty() && entry.stored.is_none() {
            self.done(endpoint, entry.lane.as_ref());
        } else if let Some(entry) = in_hand.take() {
            Box::pin(self.after_attempt(endpoint, entry, ended, effects, caller)).await;
        }
    }

    /// Commits what an attempt came to, or sees to its failure, and tells who waits for it.
    async fn after_attempt(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        mut entry: Entry,
        mut ended: Ended,
        effects: Effects,
        caller: Option<Caller>,
    ) {
        if let Some(fault) = ended.fault.clone() {
            self.after_failure(endpoint, entry, &fault, effects).await;
        } else {
            let finished = match End::of(&entry, Verdict::Done) {
                Some(End { id, size, .. }) if effects.is_empty() => {
                    self.acknowledge(endpoint, id, size).await;
                    Ok(())
                }
                end => self.finish(endpoint, end, effects).await,
            };
            match finished {
                Ok(()) => self.done(endpoint, entry.lane.as_ref()),
                Err(unfinished) => {
                    let is_in_store = entry.stored.is_some() && matches!(unfinished, Unfinished::Store(_));
                    let fault = unfinished.fault();
                    (ended.class, ended.fault) = (fault.class(), Some(fault.clone()));
                    if is_in_store && let Some(why) = endpoint.unavailable() {
                        // D9: the plugin was taken away while the store failed: the event waits for it, in its turn.
                        entry.attempts -= 1;
                        self.wait_for_plugin(endpoint, entry, &why);
                    } else if is_in_store {
                        // The runtime ends: it comes again.
                        endpoint.queue.left(&entry);
                    } else {
                        self.after_failure(endpoint, entry, &fault, Effects::default()).await;
                    }
                }
            }
        }
        if let Some(caller) = caller {
            caller.answer(endpoint.outcome_of(ended));
        }
    }

    /// Sees to an event whose attempt failed: the next attempt if there is one, or a dead letter. What there is to release
    /// all the same comes from the `start` of a fresh instance.
    async fn after_failure(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        mut entry: Entry,
        fault: &Fault,
        effects: Effects,
    ) {
        let why = endpoint.unavailable().filter(|_| fault.class() == Class::Unavailable);
        if let Some(why) = why.filter(|_| entry.stored.is_some() && endpoint.is_durable()) {
            // D9: it was taken away meanwhile, which costs no attempt.
            entry.attempts -= 1;
            drop(self.finish(endpoint, None, effects).await);
            return self.wait_for_plugin(endpoint, entry, &why);
        }
        match self.next(endpoint, &entry, fault) {
            Next::Nothing if entry.origin == Origin::Host => {
                let end = End::of(&entry, Verdict::Done);
                drop(self.finish(endpoint, end, effects).await);
                self.done(endpoint, entry.lane.as_ref());
            }
            Next::Nothing => {
                drop(self.finish(endpoint, None, effects).await);
                endpoint.queue.left(&entry);
            }
            Next::Retry(delay) => {
                let (attempts, due) = (entry.attempts, SystemTime::now() + delay);
                let end = End::of(&entry, Verdict::Retry { attempts, due });
                if let Err(unfinished) = self.finish(endpoint, end, effects).await {
                    // Here it is known when the next attempt is due; only after a restart would it be made too early.
                    tracing::debug!(handler = %endpoint.name(), fault = %unfinished.fault(), "a retry is not stored");
                }
                tracing::debug!(handler = %endpoint.name(), event = entry.event.id(), %fault, ?delay, "will be tried again");
                self.counters.retry();
                endpoint.queue.hold(&entry);
                // B6: across retries its lane waits.
                self.put_back_at(endpoint, entry, crate::clock::deadline(delay));
            }
            Next::Dead(cause) => self.end_dead(endpoint, entry, cause, effects).await,
        }
    }

    /// The event becomes a dead letter, and the next of its lane has its turn.
    async fn end_dead(self: &Arc<Self>, endpoint: &Arc<Endpoint>, entry: Entry, cause: Cause, effects: Effects) {
        let letter = self.letter_of(endpoint, &entry, cause);
        if entry.stored.is_none() {
            self.bury(letter);
            drop(self.finish(endpoint, None, effects).await);
        } else if self
            .finish(endpoint, End::of(&entry, Verdict::Dead(Box::new(letter))), effects)
            .await
            .is_err()
        {
            return endpoint.queue.left(&entry);
        }
        self.done(endpoint, entry.lane.as_ref());
    }

    fn next(&self, endpoint: &Endpoint, entry: &Entry, fault: &Fault) -> Next {
        if fault.class() == Class::Unavailable {
            if entry.origin == Origin::Host {
                // As in `publish_host`: a plugin that is away has no claim to host events.
                return Next::Nothing;
            }
            if self.closed.load(Ordering::SeqCst) {
                // Nothing starts any more that could take it.
                if entry.stored.is_none() {
                    self.give_up(endpoint, &entry.event, entry.origin);
                }
                return Next::Nothing;
            }
        }
        let (attempts, asked) = (entry.attempts, fault.retry_after());
        let retry = fault.class().is_retryable();
        let delay = retry.then(|| endpoint.retry.delay(attempts, entry.age(), asked, fastrand::f64()));
        delay.flatten().map_or_else(
            || {
                Next::Dead(Cause {
                    reason: DeadLetterReason::Failed(fault.class()),
                    error: fault.message().to_owned(),
                })
            },
            Next::Retry,
        )
    }

    /// Puts an entry that is held back into its queue when it is due.
    pub(super) fn put_back_at(self: &Arc<Self>, endpoint: &Arc<Endpoint>, entry: Entry, due: Instant) {
        let (bus, endpoint) = (self.clone(), endpoint.clone());
        self.tokio.spawn(async move {
            tokio::select! {
                () = sleep_until(due) => {
                    if endpoint.queue.put_back(entry) {
                        bus.start_worker(endpoint.clone());
                    }
                    bus.refill(&endpoint);
                }
                () = bus.ended.cancelled() => endpoint.queue.release(&entry),
            }
        });
    }

    /// D5: the handler is left in peace, so the queue rests; a `publish` that waits in it is told, and what is older than a
    /// retry may be (D3) waits no longer.
    fn wait_for_breaker(self: &Arc<Self>, endpoint: &Arc<Endpoint>, entry: Entry) {
        endpoint.queue.pause(entry);
        for (caller, since) in endpoint.queue.take_callers() {
            if caller.claim() {
                caller.answer(endpoint.tripped(since));
            }
        }
        loop {
            let oldest = endpoint.retry.max_age;
            let taken = endpoint
                .queue
                .take(|entry| entry.caller.is_some() || (entry.age() > oldest && !entry.is_untried()));
            if taken.is_empty() {
                break;
            }
            for entry in taken {
                self.not_attempted(endpoint, entry);
            }
        }
        // The probe may have ended before the queue was paused, when nobody could resume it.
        if endpoint.is_passable() {
            self.resume(endpoint);
        }
    }

    fn not_attempted(self: &Arc<Self>, endpoint: &Arc<Endpoint>, mut entry: Entry) {
        if let Some(caller) = entry.caller.take() {
            if caller.claim() {
                caller.answer(endpoint.tripped(entry.since));
            }
        } else if entry.stored.is_some() || entry.origin != Origin::Host {
            let cause = Cause {
                reason: DeadLetterReason::Failed(Class::BreakerOpen),
                error: format!(
                    "{} was left in peace for longer than retry.max-age (delivery.breaker)",
                    endpoint.name()
                ),
            };
            if entry.stored.is_some() {
                let (bus, endpoint) = (self.clone(), endpoint.clone());
                return self.follow_up(async move { bus.end_dead(&endpoint, entry, cause, Effects::default()).await });
            }
            self.bury(self.letter_of(endpoint, &entry, cause));
        }
        self.done(endpoint, entry.lane.as_ref());
    }
}
