//! How long one attempt may take.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::after;
use crate::handler::DeadlineOf;

/// The time that an attempt has, and who says so.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    /// When it has to be over.
    pub(super) until: Instant,
    pub(super) of: DeadlineOf,
    /// How long after its beginning that is.
    pub(super) left: Duration,
}

impl Allowance {
    /// So long after that moment, for an attempt that begins now.
    #[inline]
    pub(super) fn after(started: Instant, limit: Duration, of: DeadlineOf, now: Instant) -> Self {
        let until = after(started, limit);
        if now == started {
            return Self { until, of, left: limit };
        }
        Self::by(until, of, now)
    }

    /// Until then, for an attempt that begins now.
    pub(super) fn by(until: Instant, of: DeadlineOf, now: Instant) -> Self {
        Self {
            until,
            of,
            left: until.saturating_duration_since(now),
        }
    }
}
