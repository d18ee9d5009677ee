//! When a call into a guest has to be over, and who says so.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::deadline;
use crate::handler::{DeadlineOf, Delivery};
use crate::limits::{LimitKind, Limits};

/// The moment by which a call is over or ended. Of two the earlier one counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(super) at: Instant,
    pub(super) set_by: SetBy,
}

/// Who has set a deadline: what a call that it ends is told of, and whom that is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetBy {
    /// The plugin's limits.
    Limits,
    /// The handler itself or its part of the config, with less than the plugin's limits allow.
    Handler(Duration),
    /// The options of the filter.
    Filter(Duration),
    /// Whoever published the event, with less than the handler may take.
    Publisher,
    /// The plugin itself, whose other calls kept this one waiting for more than half of its time.
    Waiting,
    /// Whoever ends the runtime.
    Shutdown,
}

impl Deadline {
    pub(crate) fn new(at: Instant, set_by: SetBy) -> Self {
        Self { at, set_by }
    }

    /// What a plugin's limits give to a call that begins now.
    pub(super) fn of_limits(limits: &Limits) -> Self {
        Self::new(deadline(limits.timeout), SetBy::Limits)
    }

    /// Of an attempt at a handler whose own timeout was set so.
    pub(crate) fn of_delivery(delivery: &Delivery, own: SetBy) -> Self {
        let set_by = match delivery.deadline_of {
            DeadlineOf::Publisher => SetBy::Publisher,
            DeadlineOf::Handler | DeadlineOf::Waiting => own,
        };
        Self::new(delivery.deadline, set_by)
    }

    /// For a call that waited for its instance until now.
    pub(super) fn after_wait(self, limits: &Limits) -> Self {
        let left = self.at.saturating_duration_since(Instant::now());
        let is_own = matches!(self.set_by, SetBy::Limits | SetBy::Handler(_) | SetBy::Filter(_));
        if is_own && left < self.set_by.allowed(limits) / 2 {
            return Self::new(self.at, SetBy::Waiting);
        }
        self
    }

    /// This one, unless the other is earlier.
    pub(super) fn or_earlier(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }
}

impl SetBy {
    /// Of a handler that may take so long, in a plugin with these limits.
    pub(crate) fn handler(timeout: Duration, limits: &Limits) -> Self {
        if timeout < limits.timeout {
            Self::Handler(timeout)
        } else {
            Self::Limits
        }
    }

    /// The limit that a call has run into which this deadline ended, if it is one of the plugin's.
    pub(super) fn limit(self) -> Option<LimitKind> {
        match self {
            Self::Limits => Some(LimitKind::Timeout),
            Self::Handler(_) => Some(LimitKind::HandlerTimeout),
            Self::Filter(_) => Some(LimitKind::FilterTimeout),
            Self::Publisher | Self::Waiting | Self::Shutdown => None,
        }
    }

    /// How long that limit is.
    pub(super) fn allowed(self, limits: &Limits) -> Duration {
        match self {
            Self::Handler(timeout) | Self::Filter(timeout) => timeout,
            Self::Limits | Self::Publisher | Self::Waiting | Self::Shutdown => limits.timeout,
        }
    }

    /// Whose deadline it is, to those who know of handlers and publishers only.
    pub(super) fn of(self) -> Option<DeadlineOf> {
        match self {
            Self::Limits | Self::Handler(_) | Self::Filter(_) => Some(DeadlineOf::Handler),
            Self::Publisher => Some(DeadlineOf::Publisher),
            Self::Waiting => Some(DeadlineOf::Waiting),
            Self::Shutdown => None,
        }
    }

    /// What a call did not end by.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Limits | Self::Handler(_) | Self::Filter(_) => DeadlineOf::Handler.shown(),
            Self::Publisher => DeadlineOf::Publisher.shown(),
            Self::Waiting => DeadlineOf::Waiting.shown(),
            Self::Shutdown => "the end of the shutdown",
        }
    }
}
