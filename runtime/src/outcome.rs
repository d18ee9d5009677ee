//! What became of an event: one [`Outcome`] an attempt, a [`Report`] for `publish`, a [`Receipt`] for `publish_async`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::FilterId;
use crate::handler::Fault;
use crate::limits::LimitKind;

/// How an attempt at a handler ended, or why there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// The handler did its work.
    Ok,
    /// The handler says that a later attempt may succeed.
    Retry,
    /// The handler says that this event never will: a verdict on the event, not a fault of the handler.
    Rejected,
    /// The deadline passed, the handler's own or, if that was earlier, the publisher's ([`Fault::deadline_of`] says which); a
    /// guest was stopped and its instance thrown away.
    Timeout,
    /// The guest trapped: a panic, `unreachable`, an access out of bounds, an `exit`.
    Trap,
    /// The guest's stack is used up (`engine.wasm-stack`, for the whole runtime).
    StackOverflow,
    /// The guest burnt the fuel of one call (`limits.fuel`).
    OutOfFuel,
    /// The guest asked for more memory than it may have (`limits.memory`) and could not go on.
    OutOfMemory,
    /// The guest asked more of the host than it may: bytes a host call, handles, random bytes, tables; or wrote more to its
    /// key-value store, together with another instance, than that may have. `Fault::limit` says which.
    HostLimit,
    /// A native handler, or a host function that a guest called, panicked. Held against no plugin.
    HostPanic,
    /// There was no free instance (or permit of a native handler) by the deadline, or no room in a queue. Costs the
    /// handler nothing.
    Overloaded,
    /// The handler failed too often and is left in peace for a while (`delivery.breaker`): a `publish` that comes meanwhile.
    BreakerOpen,
    /// The handler's plugin is not started, or its key-value store failed.
    Unavailable,
    /// The caller went away before the handler was done.
    Cancelled,
}

impl Class {
    /// All classes, in the order in which a summary shows them.
    pub const ALL: [Class; 14] = [
        Class::Ok,
        Class::Retry,
        Class::Rejected,
        Class::Timeout,
        Class::Trap,
        Class::StackOverflow,
        Class::OutOfFuel,
        Class::OutOfMemory,
        Class::HostLimit,
        Class::HostPanic,
        Class::Overloaded,
        Class::BreakerOpen,
        Class::Unavailable,
        Class::Cancelled,
    ];

    /// The name that logs, dead letters and JSON use, such as `stack-overflow`.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Ok => "ok",
            Class::Retry => "retry",
            Class::Rejected => "rejected",
            Class::Timeout => "timeout",
            Class::Trap => "trap",
            Class::StackOverflow => "stack-overflow",
            Class::OutOfFuel => "out-of-fuel",
            Class::OutOfMemory => "out-of-memory",
            Class::HostLimit => "host-limit",
            Class::HostPanic => "host-panic",
            Class::Overloaded => "overloaded",
            Class::BreakerOpen => "breaker-open",
            Class::Unavailable => "unavailable",
            Class::Cancelled => "cancelled",
        }
    }

    /// Whether the guest is to blame for it: what a plugin is [quarantined](crate::QuarantinePolicy) for when it comes too
    /// often. Verdicts on events, asking for a retry, having no room, being away and being cancelled are no faults of a
    /// guest's, nor is a panic of the host. Of a timeout the class alone does not tell whose deadline it was:
    /// [`Fault::is_guest_fault`] does.
    pub fn is_guest_fault(self) -> bool {
        match self {
            Class::Timeout
            | Class::Trap
            | Class::StackOverflow
            | Class::OutOfFuel
            | Class::OutOfMemory
            | Class::HostLimit => true,
            Class::Ok
            | Class::Retry
            | Class::Rejected
            | Class::HostPanic
            | Class::Overloaded
            | Class::BreakerOpen
            | Class::Unavailable
            | Class::Cancelled => false,
        }
    }

    /// Whether another attempt could end differently, so that a queue tries again: everything but ok and rejected.
    pub fn is_retryable(self) -> bool {
        !matches!(self, Class::Ok | Class::Rejected)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who handles: a plugin's handler, or a native one.
///
/// Shown as `plugin/handler`, a native one as its bare name. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandlerName(Arc<Name>);

/// In the order by which names are sorted.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Name {
    plugin: Option<Box<str>>,
    handler: Box<str>,
}

impl HandlerName {
    /// The name of a native handler.
    pub fn native(handler: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Name {
            plugin: None,
            handler: handler.into(),
        }))
    }

    /// The name of a plugin's handler.
    pub fn of_plugin(plugin: impl Into<Box<str>>, handler: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Name {
            plugin: Some(plugin.into()),
            handler: handler.into(),
        }))
    }

    /// The name that is shown so.
    #[cfg(feature = "durable")]
    pub(crate) fn parse(shown: &str) -> Self {
        match shown.split_once('/') {
            Some((plugin, handler)) => Self::of_plugin(plugin, handler),
            None => Self::native(shown),
        }
    }

    /// The plugin, unless the handler is native.
    pub fn plugin(&self) -> Option<&str> {
        self.0.plugin.as_deref()
    }

    /// The handler's own name.
    pub fn handler(&self) -> &str {
        &self.0.handler
    }

    /// What an event that this handler publishes has as its source: the plugin's name, or the native handler's.
    pub fn source(&self) -> &str {
        self.plugin().unwrap_or(self.handler())
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.plugin() {
            Some(plugin) => f.pad(&format!("{plugin}/{}", self.handler())),
            None => f.pad(self.handler()),
        }
    }
}

/// How one attempt at one handler ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Whose attempt it was.
    pub handler: HandlerName,
    /// How it ended.
    pub class: Class,
    /// How many attempts there have been, this one included.
    pub attempts: u32,
    /// From the publish (or, for a queued event, from when it was taken off its queue) to the end, the wait for a free
    /// instance included.
    pub duration: Duration,
    /// What a metered plugin burnt in this call.
    pub fuel: Option<u64>,
    /// Why it failed, and what the handler asked for; `None` exactly when `class` is ok.
    pub fault: Option<Fault>,
}

impl Outcome {
    /// Why it failed; empty when it did not.
    pub fn message(&self) -> &str {
        self.fault.as_ref().map_or("", Fault::message)
    }

    /// Which of its limits the guest ran into, if it was one.
    pub fn limit(&self) -> Option<LimitKind> {
        self.fault.as_ref().and_then(Fault::limit)
    }
}

/// What `publish` answers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What became of the event on the way to its handlers.
    pub disposition: Disposition,
    /// One for each matched handler, in no particular order.
    pub outcomes: Vec<Outcome>,
    /// How many durable handlers were given an event of this source and id within 24 h, and don't get it again.
    pub duplicates: usize,
}

/// Filtered, unmatched and delivered are different answers; a refused event is an error of `publish`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// A filter did not let it through.
    Filtered {
        /// Which one.
        by: FilterId,
        /// Its name.
        name: Arc<str>,
    },
    /// Nobody is subscribed to its type.
    Unmatched,
    /// It was given to every handler that matches; the outcomes say how that went.
    Delivered,
}

impl Report {
    pub(crate) fn delivered(outcomes: Vec<Outcome>, duplicates: usize) -> Self {
        Self {
            disposition: Disposition::Delivered,
            outcomes,
            duplicates,
        }
    }

    pub(crate) fn undelivered(disposition: Disposition) -> Self {
        Self {
            disposition,
            outcomes: Vec::new(),
            duplicates: 0,
        }
    }

    /// Whether every handler that the event was given to did its work; false for a filtered or unmatched one.
    pub fn all_ok(&self) -> bool {
        self.disposition == Disposition::Delivered && self.outcomes.iter().all(|outcome| outcome.class == Class::Ok)
    }

    /// The outcome of one handler, by its shown name.
    pub fn of(&self, handler: &str) -> Option<&Outcome> {
        self.outcomes
            .iter()
            .find(|outcome| outcome.handler.to_string() == handler)
    }
}

/// What `publish_async` answers: what the queues took, not how it ended.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Receipt {
    /// How many handlers are subscribed to the type.
    pub matched: usize,
    /// The filter that did not let the event through; then nothing was matched.
    pub filtered: Option<FilterId>,
    /// How many queues have taken the event.
    pub enqueued: usize,
    /// How many queues dropped it at once, as their policy says (`drop-newest`).
    pub dropped: usize,
    /// How many durable handlers were given an event of this source and id within 24 h, and don't get it again.
    pub duplicates: usize,
    /// The handlers that did not get it, and why. `matched` is `enqueued`, `dropped`, `duplicates` and these.
    pub refused: Vec<Refusal>,
}

/// One queue that did not take an event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// Whose queue it was.
    pub handler: HandlerName,
    /// `overloaded` or `unavailable`.
    pub class: Class,
    /// What the limit was, or why the handler is away.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is counted by class is counted at its place.
    #[test]
    fn all_classes_are_listed_in_their_order() {
        let places: Vec<_> = Class::ALL.iter().map(|class| *class as usize).collect();
        assert_eq!(places, (0..Class::ALL.len()).collect::<Vec<_>>());
    }
}
