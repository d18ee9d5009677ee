//! One handler on the bus: its name, its time limit, its queue and its counts.

use std::hint::black_box;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::bus::acknowledge::Acknowledgements;
use crate::bus::allowance::Allowance;
use crate::bus::call::Call;
use crate::bus::inflight::Inflight;
use crate::bus::lanes::Lane;
use crate::bus::options::SubscribeOptions;
use crate::bus::queue::Queue;
use crate::delivery::{Breaker, BreakerState, Change, DeliveryMode, EventOrder, Passage, RetryPolicy, Sign, Tripped};
use crate::event::Event;
use crate::handler::{Completion, DeadlineOf, Delivery, Fault, Handler};
use crate::loan::Loan;
use crate::outcome::{Class, HandlerName, Outcome};
use crate::uncommitted::Uncommitted;

/// Tells endpoints apart; a name that is used again gets a new id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EndpointId(pub(crate) u64);

/// A handler on the bus.
pub(crate) struct Endpoint {
    id: EndpointId,
    name: HandlerName,
    handler: Arc<dyn Handler>,
    timeout: Duration,
    pub(crate) queue: Queue,
    pub(crate) retry: RetryPolicy,
    /// Who had its name, and may be at work still.
    before: Mutex<Option<Arc<Endpoint>>>,
    /// Ends of deliveries that are on their way to the disk.
    pub(crate) acknowledgements: Acknowledgements,
    ordering: EventOrder,
    mode: DeliveryMode,
    breaker: Option<Breaker>,
    counts: Counts,
    dropped: AtomicU64,
    turn: AtomicU8,
}

/// How an attempt ended: an [`Outcome`] for whoever reads it, which of queued events nobody does.
pub(super) struct Ended {
    pub(super) class: Class,
    pub(super) fault: Option<Fault>,
    attempts: u32,
    duration: Duration,
    fuel: Option<u64>,
}

/// What an attempt that went well wants to have done.
#[derive(Default)]
pub(crate) struct Effects {
    /// What the handler published.
    pub(crate) outbox: Vec<Event>,
    pub(crate) uncommitted: Option<Box<Uncommitted>>,
}

impl Effects {
    pub(crate) fn is_empty(&self) -> bool {
        self.outbox.is_empty() && self.uncommitted.is_none()
    }
}

/// When a handler has its turn among those of one publish, by what it did with the last event. A guest that spins keeps
/// the thread until the next tick, so whoever was done at once goes before whoever was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Turn {
    /// It was done as soon as it was called.
    AtOnce,
    /// It had to wait for something, or to give way.
    Later,
    /// It had to be stopped.
    Last,
}

impl Endpoint {
    pub(crate) fn new(
        id: EndpointId,
        name: HandlerName,
        handler: Arc<dyn Handler>,
        options: &SubscribeOptions,
        inflight: Arc<Inflight>,
    ) -> Arc<Self> {
        let queue = Queue::new(options.queue, options.backlog, handler.concurrency().max(1), inflight);
        let (timeout, retry) = (options.timeout, options.retry);
        Arc::new(Self {
            id,
            name,
            handler,
            timeout,
            queue,
            retry,
            before: Mutex::default(),
            acknowledgements: Acknowledgements::default(),
            ordering: options.ordering.clone(),
            mode: options.mode,
            breaker: options.breaker.map(Breaker::new),
            counts: Counts::default(),
            dropped: AtomicU64::new(0),
            turn: AtomicU8::new(Turn::AtOnce as u8),
        })
    }

    pub(crate) fn id(&self) -> EndpointId {
        self.id
    }

    pub(crate) fn name(&self) -> &HandlerName {
        &self.name
    }

    pub(crate) fn is(&self, handler: &Arc<dyn Handler>) -> bool {
        Arc::ptr_eq(&self.handler, handler)
    }

    pub(crate) fn digest(&self) -> Option<String> {
        self.handler.digest()
    }

    pub(crate) fn unavailable(&self) -> Option<String> {
        self.handler.unavailable()
    }

    /// It is not given what is stored before that one, which had its name, is at rest.
    pub(crate) fn comes_after(&self, before: Arc<Self>) {
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    }

    /// Who had its name is at rest.
    pub(crate) fn comes_after_nobody(&self) {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(before);
    }

    /// Returns when it is at nothing, and the store knows of all ends; of those before it, too.
    pub(crate) async fn at_rest(&self) {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(before) = before {
            Box::pin(before.at_rest()).await;
            self.comes_after_nobody();
        }
        self.queue.idle().await;
        self.acknowledgements.all_there().await;
    }

    /// D1: whether its events are stored before they are given to it.
    #[inline]
    pub(crate) fn is_durable(&self) -> bool {
        self.mode == DeliveryMode::Durable
    }

    /// The time of an attempt that begins now, for a publisher who began then and waits so long.
    #[inline]
    pub(super) fn allowance(&self, started: Instant, publisher: Option<Duration>, now: Instant) -> Allowance {
        let (limit, of) = match publisher {
            Some(publisher) if publisher < self.timeout => (publisher, DeadlineOf::Publisher),
            _ => (self.timeout, DeadlineOf::Handler),
        };
        Allowance::after(started, limit, of, now)
    }

    /// B6: which events this one keeps its order among, if any.
    #[inline]
    pub(crate) fn lane(&self, event: &Event) -> Option<Lane> {
        Lane::of(event, &self.ordering)
    }

    /// D5: the right to call the handler; none where there is no breaker, an error while that is open.
    #[inline]
    pub(crate) fn passage(&self) -> Result<Option<Passage<'_>>, Tripped> {
        self.breaker.as_ref().map(Breaker::enter).transpose()
    }

    /// The outcome of a `publish` while the breaker is open.
    pub(crate) fn tripped(&self, started: Instant) -> Outcome {
        let message = format!(
            "{} failed too often and is left in peace for a while (delivery.breaker)",
            self.name
        );
        self.not_attempted(Class::BreakerOpen, message, None, started)
    }

    /// Whether its breaker lets somebody through now.
    pub(crate) fn is_passable(&self) -> bool {
        self.breaker.as_ref().is_none_or(Breaker::is_passable)
    }

    /// Holds nothing against it any more.
    pub(crate) fn forgive(&self) {
        if let Some(breaker) = &self.breaker {
            breaker.reset();
        }
    }

    /// Counts what the policy of its queue dropped.
    pub(crate) fn dropped(&self, events: usize) {
        self.dropped.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Reads what an attempt begins and ends with, and changes nothing: see [`Handler::touch`].
    #[inline]
    pub(super) fn touch(&self) {
        black_box((self.timeout, self.name.plugin().map(str::len)));
        self.queue.touch();
        if let Some(breaker) = &self.breaker {
            breaker.touch();
        }
        black_box(self.counts.0.first().map(|count| count.load(Ordering::Relaxed)));
        self.handler.touch();
    }

    /// What the next call will run in: see [`Handler::lend`].
    #[inline]
    pub(super) fn lend(&self) -> Option<Box<dyn Loan + '_>> {
        self.handler.lend()
    }

    /// Begins the call of one attempt.
    #[inline]
    pub(super) fn call(&self, delivery: Delivery) -> Call<'_> {
        Call::begin(&self.name, &*self.handler, delivery)
    }

    /// Counts how an attempt ended that began then.
    #[inline]
    pub(super) fn ended(
        &self,
        completion: Completion,
        passage: Option<Passage<'_>>,
        attempts: u32,
        started: Instant,
    ) -> (Ended, Effects, Change) {
        let Completion {
            result,
            outbox,
            fuel,
            uncommitted,
        } = completion;
        let fault = result.err();
        let class = fault.as_ref().map_or(Class::Ok, |fault| fault.class());
        self.counts.add(class);
        self.set_turn(if class == Class::Timeout {
            Turn::Last
        } else {
            Turn::AtOnce
        });
        let now = Instant::now();
        let change = passage.map_or(Change::None, |passage| passage.ended(sign(fault.as_ref()), now));
        let ended = Ended {
            class,
            fault,
            attempts,
            duration: now.saturating_duration_since(started),
            fuel,
        };
        (ended, Effects { outbox, uncommitted }, change)
    }

    /// What the publisher is told of it.
    #[inline]
    pub(super) fn outcome_of(&self, ended: Ended) -> Outcome {
        Outcome {
            handler: self.name.clone(),
            class: ended.class,
            attempts: ended.attempts,
            duration: ended.duration,
            fuel: ended.fuel,
            fault: ended.fault,
        }
    }

    /// Whether others may have their turn before it.
    #[inline]
    pub(crate) fn has_later_turn(&self) -> bool {
        self.turn() > Turn::AtOnce as u8
    }

    /// The smaller, the sooner.
    pub(crate) fn turn(&self) -> u8 {
        self.turn.load(Ordering::Relaxed)
    }

    /// The attempt was not done as soon as it was called.
    pub(crate) fn pended(&self) {
        if self.turn() < Turn::Later as u8 {
            self.set_turn(Turn::Later);
        }
    }

    fn set_turn(&self, turn: Turn) {
        // Nearly always it is what it was, and a store would take the cache line from the other publishers.
        if self.turn() != turn as u8 {
            self.turn.store(turn as u8, Ordering::Relaxed);
        }
    }

    /// The outcome where the deadline had passed before the handler could be called: it is not, and pays nothing.
    pub(crate) fn not_called(&self, started: Instant, of: DeadlineOf) -> Outcome {
        let message = format!("{} was not called: {} had passed", self.name, of.shown());
        self.not_attempted(Class::Overloaded, message, Some(of), started)
    }

    /// D9: the outcome of a `publish` whose event is stored, and waits for the handler's plugin.
    pub(crate) fn is_away(&self, started: Instant, why: &str) -> Outcome {
        let message = format!("{why}; the event is stored, and will be delivered when that is over");
        self.not_attempted(Class::Unavailable, message, None, started)
    }

    /// The outcome of a `publish` whose event is stored, and had no attempt that ended by the publisher's deadline.
    pub(crate) fn goes_on(&self, started: Instant, of: DeadlineOf, has_begun: bool) -> Outcome {
        let name = &self.name;
        if !has_begun {
            let message = format!(
                "{name} had others before it until {}; the event is stored, and will be delivered",
                of.shown()
            );
            return self.not_attempted(Class::Overloaded, message, Some(of), started);
        }
        let message = format!(
            "{name} was at it still at {}; it goes on, for the event is stored",
            of.shown()
        );
        // The attempt itself is counted when it ends.
        Outcome {
            attempts: 1,
            ..self.outcome(Class::Timeout, message, Some(of), started)
        }
    }

    /// The outcome of a `publish` that was queued and had no turn by its deadline.
    pub(crate) fn had_no_turn(&self, started: Instant, of: DeadlineOf) -> Outcome {
        let message = format!("{} had others before it until {}", self.name, of.shown());
        self.not_attempted(Class::Overloaded, message, Some(of), started)
    }

    /// The outcome of an attempt that was not made.
    pub(crate) fn not_attempted(
        &self,
        class: Class,
        message: String,
        deadline_of: Option<DeadlineOf>,
        started: Instant,
    ) -> Outcome {
        self.counts.add(class);
        self.outcome(class, message, deadline_of, started)
    }

    fn outcome(&self, class: Class, message: String, deadline_of: Option<DeadlineOf>, started: Instant) -> Outcome {
        Outcome {
            handler: self.name.clone(),
            class,
            attempts: 0,
            duration: started.elapsed(),
            fuel: None,
            fault: Some(Fault::new(class, message).with_deadline_of(deadline_of)),
        }
    }

    pub(crate) fn stats(&self) -> HandlerStats {
        let by_class = self.counts.0.iter().zip(Class::ALL);
        HandlerStats {
            handler: self.name.clone(),
            attempts: by_class
                .map(|(count, class)| (class, count.load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            queued: self.queue.len(),
            owed: self.queue.owed(),
            dropped: self.dropped.load(Ordering::Relaxed),
            breaker: self.breaker.as_ref().map(Breaker::shown),
        }
    }
}

/// How the attempts at one handler ended so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Which handler.
    pub handler: HandlerName,
    /// How many attempts ended in each class that occurred.
    pub attempts: Vec<(Class, u64)>,
    /// How many events wait in its queue.
    pub queued: usize,
    /// How many events it is owed in the store, those in its queue and at work included.
    pub owed: u64,
    /// How many events its queue dropped, as its overflow policy says.
    pub dropped: u64,
    /// Whether it is called; `None` without a breaker.
    pub breaker: Option<BreakerState>,
}

impl HandlerStats {
    /// How many attempts ended in this class.
    pub fn count(&self, class: Class) -> u64 {
        self.attempts
            .iter()
            .filter(|(other, _)| *other == class)
            .map(|(_, count)| count)
            .sum()
    }
}

/// D5: what an attempt says of its handler.
fn sign(fault: Option<&Fault>) -> Sign {
    let Some(fault) = fault else { return Sign::Success };
    match fault.class() {
        Class::Rejected => Sign::Success,
        // It had less time than it may take.
        Class::Timeout if !matches!(fault.deadline_of(), None | Some(DeadlineOf::Handler)) => Sign::None,
        Class::Overloaded | Class::Unavailable | Class::Cancelled | Class::BreakerOpen => Sign::None,
        _ => Sign::Failure,
    }
}

#[derive(Default)]
struct Counts([AtomicU64; Class::ALL.len()]);

impl Counts {
    fn add(&self, class: Class) {
        if let Some(count) = self.0.get(class as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
