//! Deadlines.

use std::time::Duration;

use tokio::time::Instant;

/// Ten years. Beyond this a limit on time is as good as none, and in a config a mistake; the clock itself ends somewhere, too.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The moment that is `limit` after `start`, at most ten years.
pub(crate) fn after(start: Instant, limit: Duration) -> Instant {
    start + limit.min(LONGEST)
}

/// The moment that is `limit` from now, at most ten years.
pub(crate) fn deadline(limit: Duration) -> Instant {
    after(Instant::now(), limit)
}
