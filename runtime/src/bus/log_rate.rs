//! Keeps a flood of events that fail alike from being a flood of warnings.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many are told in each [`WINDOW`]; the others are there for who asks for more detail, and in the counts.
const TOLD: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// Says which of many like events are worth a warning.
#[derive(Default)]
pub(crate) struct LogRate {
    state: Mutex<Option<(Instant, u32)>>,
}

impl LogRate {
    /// Whether this one is.
    pub(crate) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, told) = match *state {
            Some((since, told)) if now.duration_since(since) < WINDOW => (since, told.saturating_add(1)),
            _ => (now, 1),
        };
        *state = Some((since, told));
        told <= TOLD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D4: ten a second are told, and the next second ten more.
    #[tokio::test(start_paused = true)]
    async fn d4_ten_warnings_a_second_and_no_more() {
        let rate = LogRate::default();
        let told = || (0..100).filter(|_| rate.is_due()).count();
        assert_eq!(told(), 10);
        tokio::time::advance(WINDOW).await;
        assert_eq!(told(), 10);
    }
}
