//! A `publish` whose event had to queue: it waits for the first attempt, which a worker makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::handler::DeadlineOf;
use crate::outcome::Outcome;

/// The worker's end of it.
pub(crate) struct Caller {
    pub(crate) deadline: Instant,
    pub(crate) deadline_of: DeadlineOf,
    claimed: Arc<AtomicBool>,
    answer: oneshot::Sender<Outcome>,
}

/// The publisher's end. Dropped before the attempt has begun, there will be none; dropped while it runs, it is cancelled.
pub(crate) struct Waiting {
    deadline: Instant,
    deadline_of: DeadlineOf,
    claimed: Arc<AtomicBool>,
    answer: oneshot::Receiver<Outcome>,
}

/// Both ends, for an attempt that has to be over by the deadline.
pub(crate) fn waiting(deadline: Instant, deadline_of: DeadlineOf) -> (Caller, Waiting) {
    let (answer, answered) = oneshot::channel();
    let claimed = Arc::new(AtomicBool::new(false));
    let caller = Caller {
        deadline,
        deadline_of,
        claimed: claimed.clone(),
        answer,
    };
    let waiting = Waiting {
        deadline,
        deadline_of,
        claimed,
        answer: answered,
    };
    (caller, waiting)
}

impl Caller {
    /// Whether the publisher waits still; from then on it waits for the answer, however long.
    pub(crate) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::SeqCst)
    }

    /// Whether the publisher has gone away, or waits no more.
    pub(crate) fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }

    /// Returns when the publisher has gone away.
    pub(crate) async fn gone(&mut self) {
        self.answer.closed().await;
    }

    pub(crate) fn answer(self, outcome: Outcome) {
        // Nobody hears it who went away in this moment.
        let _ = self.answer.send(outcome);
    }
}

impl Waiting {
    /// Whose deadline it is that ends the wait.
    pub(crate) fn deadline_of(&self) -> DeadlineOf {
        self.deadline_of
    }

    /// The outcome of the attempt at a stored event, which is made whether somebody waits or not; else whether it had begun
    /// when the wait was over.
    pub(crate) async fn outcome_of_stored(mut self) -> Result<Outcome, bool> {
        match timeout_at(self.deadline, &mut self.answer).await {
            Ok(Ok(outcome)) => Ok(outcome),
            // There are so many before it that it is on the disk only.
            Ok(Err(_)) => Err(false),
            Err(_) => Err(self.claimed.swap(true, Ordering::SeqCst)),
        }
    }

    /// The outcome of the attempt; none if it had not begun by the deadline, or never will.
    pub(crate) async fn outcome(mut self) -> Option<Outcome> {
        match timeout_at(self.deadline, &mut self.answer).await {
            Ok(answer) => answer.ok(),
            Err(_) if !self.claimed.swap(true, Ordering::SeqCst) => None,
            // It has begun, and ends by the same deadline.
            Err(_) => (&mut self.answer).await.ok(),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.claimed.store(true, Ordering::SeqCst);
    }
}
