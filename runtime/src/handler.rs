//! What the bus knows of a handler: one trait. A closure is one implementation of it, a plugin's handler another.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::clock::by;
use crate::draft::{Draft, DraftError, stamp};
use crate::event::{Event, EventLimits};
use crate::limits::LimitKind;
use crate::loan::Loan;
use crate::outcome::{Class, HandlerName};
use crate::uncommitted::Uncommitted;

/// A future that borrows what it works on.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One attempt at one event, as the bus hands it to a handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The event; a clone shares it.
    pub event: Event,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When the attempt began.
    pub started: Instant,
    /// When it has to be over, the wait for a free instance included.
    pub deadline: Instant,
    /// Whose deadline that is.
    pub deadline_of: DeadlineOf,
    /// How long after `started` that is.
    pub(crate) allowed: Duration,
    /// Whether the event is sent again from the dead letters.
    pub replayed: bool,
    /// Who put the event on the bus of this runtime.
    pub origin: Origin,
    /// A hash of what events have in common that keep their order among themselves ([`EventOrder`](crate::EventOrder)): they
    /// go to the same instance. None where there is no order.
    pub lane: Option<u64>,
}

/// Whose deadline an attempt has: the earlier one of two counts, and of two at the same time the handler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadlineOf {
    /// The handler's own: what a plugin's limits, config or `describe` say, or [`SubscribeOptions`](crate::SubscribeOptions).
    Handler,
    /// The publisher's, who would wait no longer: [`Runtime::publish_within`](crate::Runtime::publish_within). What it ends
    /// is held against no plugin.
    Publisher,
    /// The handler's own, of which less than half was left when an instance was free. What it ends is held against no plugin.
    Waiting,
}

impl DeadlineOf {
    /// After the name of a handler that missed it.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Handler => "its deadline",
            Self::Publisher => "the publisher's deadline",
            Self::Waiting => "its deadline (most of its time it had waited for a free instance)",
        }
    }
}

/// Who put an event on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// A caller of `publish` or `publish_async`, or somebody who sent a dead letter again.
    Publisher,
    /// A handler, native or of a plugin.
    Handler,
    /// The runtime itself.
    Host,
}

/// How an attempt ended, and what the handler published meanwhile.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completion {
    /// Ok, or why not.
    pub result: Result<(), Fault>,
    /// What the bus has to publish now, in this order. What a handler published in an attempt that failed is not here.
    pub outbox: Vec<Event>,
    /// What a metered guest burnt.
    pub fuel: Option<u64>,
    /// S12: what the handler wrote that the bus has to commit together with the acknowledgement.
    pub(crate) uncommitted: Option<Box<Uncommitted>>,
}

impl Completion {
    /// An attempt that went well, and what is to be published now.
    pub fn ok(outbox: Vec<Event>) -> Self {
        Self {
            result: Ok(()),
            outbox,
            fuel: None,
            uncommitted: None,
        }
    }

    /// A failed attempt.
    pub fn failed(fault: Fault) -> Self {
        Self {
            result: Err(fault),
            ..Self::ok(Vec::new())
        }
    }
}

/// Something that handles events.
///
/// An implementation ends by `delivery.deadline` and says so by its class; it may be dropped at any await.
pub trait Handler: Send + Sync + 'static {
    /// Handles one event.
    fn handle(&self, delivery: Delivery) -> BoxFuture<'_, Completion>;

    /// Reads what a call begins with, and changes nothing: it is told so a moment before, where one event goes to many
    /// handlers. Each of them is cold by then, and what is read of several in a row is waited for at once: as far as it goes
    /// without a lock, since a lock waits for all that was read before it.
    #[doc(hidden)]
    fn touch(&self) {}

    /// Lends what the next call will run in, to be touched in the same way and given back at once.
    #[doc(hidden)]
    fn lend(&self) -> Option<Box<dyn Loan + '_>> {
        None
    }

    /// How many events it can take at a time; its queue has as many workers. Never 0.
    fn concurrency(&self) -> usize {
        1
    }

    /// The SHA-256 of the plugin it belongs to, for its dead letters.
    fn digest(&self) -> Option<String> {
        None
    }

    /// Why it can take nothing now, if so: its queue then refuses events as `unavailable` or, where they are durable, keeps
    /// them until it can, which is looked for once a second.
    fn unavailable(&self) -> Option<String> {
        None
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub struct Fault(Box<Why>);

/// In a box: what may fail goes through many hands, nearly always without a fault in it.
#[derive(Clone, Debug)]
struct Why {
    class: Class,
    message: Arc<str>,
    backtrace: Option<Arc<str>>,
    retry_after: Option<Duration>,
    limit: Option<LimitKind>,
    deadline_of: Option<DeadlineOf>,
}

impl Fault {
    /// A fault of a class, with words for the operator.
    pub fn new(class: Class, message: impl Into<Arc<str>>) -> Self {
        Self(Box::new(Why {
            class,
            message: message.into(),
            backtrace: None,
            retry_after: None,
            limit: None,
            deadline_of: None,
        }))
    }

    /// What a deadline did not let begin or come to its end.
    pub(crate) fn with_deadline_of(mut self, of: Option<DeadlineOf>) -> Self {
        self.0.deadline_of = of;
        self
    }

    pub(crate) fn with_limit(mut self, limit: Option<LimitKind>) -> Self {
        self.0.limit = limit;
        self
    }

    pub(crate) fn with_backtrace(mut self, backtrace: Option<String>) -> Self {
        self.0.backtrace = backtrace.map(Arc::from);
        self
    }

    pub(crate) fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    /// What kind of failure it was; never ok.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// What happened, with the guest's panic message where there is one.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the guest it happened, a frame a line.
    pub fn backtrace(&self) -> Option<&str> {
        self.0.backtrace.as_deref()
    }

    /// Which of its limits the guest ran into, if it was one; [`LimitKind::key`] is the key that sets it. None where the
    /// publisher would wait no longer.
    pub fn limit(&self) -> Option<LimitKind> {
        self.0.limit
    }

    /// Whose deadline it was, where the runtime ended the attempt, or the wait for its turn, because that had passed.
    pub fn deadline_of(&self) -> Option<DeadlineOf> {
        self.0.deadline_of
    }

    /// Whether the guest is to blame for it: its [class](Class::is_guest_fault) says so, and it had the time that it may
    /// take, not less because of an impatient publisher or a long wait for a free instance.
    pub fn is_guest_fault(&self) -> bool {
        self.0.class.is_guest_fault() && matches!(self.0.deadline_of, None | Some(DeadlineOf::Handler))
    }

    /// The delay that a handler asked for before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.class, self.0.message)
    }
}

/// Why a native handler could not do its work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// It may succeed later.
    Retry {
        /// Words for the operator.
        message: String,
        /// The delay asked for, honoured within the policy.
        after: Option<Duration>,
    },
    /// It never will.
    Reject(String),
}

impl Failure {
    /// It may succeed later.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry {
            message: message.into(),
            after: None,
        }
    }

    /// It may succeed after this delay.
    pub fn retry_after(message: impl Into<String>, after: Duration) -> Self {
        Self::Retry {
            message: message.into(),
            after: Some(after),
        }
    }

    /// It never will.
    pub fn reject(message: impl Into<String>) -> Self {
        Self::Reject(message.into())
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry { message, after } => Fault::new(Class::Retry, message).with_retry_after(after),
            Failure::Reject(message) => Fault::new(Class::Rejected, message),
        }
    }
}

/// What a native handler is called with: the delivery, and the way back to the bus.
///
/// What it [publishes](Context::publish) is released when the handler returns ok and forgotten when it fails, as it is for
/// a guest. Subscribing and publishing at once go through a [`WeakRuntime`](crate::WeakRuntime) that the closure owns.
#[derive(Clone, Debug)]
pub struct Context {
    shared: Arc<ContextState>,
}

#[derive(Debug)]
struct ContextState {
    delivery: Delivery,
    source: HandlerName,
    limits: Arc<OutboxLimits>,
    outbox: Mutex<Outbox>,
}

impl Context {
    /// Puts an event into this call's outbox and returns the id it will have. Never waits.
    ///
    /// # Errors
    /// When the draft breaks a rule of events, or the outbox is full (64 events, 1 MiB, unless configured otherwise).
    pub fn publish(&self, draft: Draft) -> Result<String, PublishRefused> {
        let state = &*self.shared;
        let mut outbox = state.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        outbox.publish(draft, state.source.source(), Some(&state.delivery.event), &state.limits)
    }

    /// The time left until the deadline.
    pub fn time_left(&self) -> Duration {
        self.shared.delivery.deadline.saturating_duration_since(Instant::now())
    }
}

impl Deref for Context {
    type Target = Delivery;

    fn deref(&self) -> &Delivery {
        &self.shared.delivery
    }
}

/// Why an outbox did not take an event.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishRefused {
    /// The call published as many events, or bytes, as it may.
    #[error("one call may publish {limit} {unit} and no more (RuntimeBuilder::native_outbox)")]
    OverLimit {
        /// The limit in force.
        limit: u64,
        /// `events` or `bytes`.
        unit: &'static str,
        /// Which limit it was.
        kind: LimitKind,
    },
    /// The draft is no event.
    #[error(transparent)]
    Draft(#[from] DraftError),
}

/// What one call may publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutboxLimits {
    pub(crate) events: u32,
    pub(crate) bytes: usize,
    pub(crate) event: EventLimits,
}

/// What one call has published so far.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) events: Vec<Event>,
    bytes: usize,
}

impl Outbox {
    /// Stamps a draft and puts it in; returns the id it will have.
    pub(crate) fn publish(
        &mut self,
        draft: Draft,
        source: &str,
        cause: Option<&Event>,
        limits: &OutboxLimits,
    ) -> Result<String, PublishRefused> {
        self.admit(&draft, limits)?;
        let event = stamp(draft, source, cause, &limits.event)?;
        let id = event.id().to_owned();
        self.events.push(event);
        Ok(id)
    }

    /// Counts a draft in, or says which limit it would break.
    fn admit(&mut self, draft: &Draft, limits: &OutboxLimits) -> Result<(), PublishRefused> {
        if self.events.len() >= limits.events as usize {
            let (limit, kind) = (u64::from(limits.events), LimitKind::PublishEvents);
            return Err(PublishRefused::OverLimit {
                limit,
                unit: "events",
                kind,
            });
        }
        let bytes = self.bytes.saturating_add(draft.size_bytes());
        if bytes > limits.bytes {
            let (limit, kind) = (limits.bytes as u64, LimitKind::PublishBytes);
            return Err(PublishRefused::OverLimit {
                limit,
                unit: "bytes",
                kind,
            });
        }
        self.bytes = bytes;
        Ok(())
    }
}

/// A closure as a handler: permits, deadline, panics and outbox around it.
pub(crate) struct Native<F> {
    name: HandlerName,
    limits: Arc<OutboxLimits>,
    concurrency: usize,
    permits: Semaphore,
    call: F,
}

impl<F, Fut> Native<F>
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    pub(crate) fn new(name: HandlerName, limits: Arc<OutboxLimits>, concurrency: usize, call: F) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            name,
            limits,
            concurrency,
            permits: Semaphore::new(concurrency),
            call,
        }
    }

    async fn attempt(&self, context: Context) -> Result<(), Fault> {
        let (deadline, of) = (context.deadline, context.deadline_of);
        let late = |class, what| {
            let message = format!("{} {what} {}", self.name, of.shown());
            Fault::new(class, message).with_deadline_of(Some(of))
        };
        let _permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match by(deadline, self.permits.acquire()).await {
                Ok(Ok(permit)) => permit,
                _ => return Err(late(Class::Overloaded, "was busy until")),
            },
        };
        match by(deadline, (self.call)(context)).await {
            Ok(result) => result.map_err(Fault::from),
            Err(_) => Err(late(Class::Timeout, "did not end by")),
        }
    }
}

impl<F, Fut> Handler for Native<F>
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    fn handle(&self, delivery: Delivery) -> BoxFuture<'_, Completion> {
        Box::pin(async move {
            let shared = Arc::new(ContextState {
                delivery,
                source: self.name.clone(),
                limits: self.limits.clone(),
                outbox: Mutex::default(),
            });
            let result = self.attempt(Context { shared: shared.clone() }).await;
            let outbox = std::mem::take(&mut *shared.outbox.lock().unwrap_or_else(PoisonError::into_inner));
            let outbox = if result.is_ok() { outbox.events } else { Vec::new() };
            Completion {
                result,
                outbox,
                fuel: None,
                uncommitted: None,
            }
        })
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }
}

/// The words of a panic, where it has some.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
