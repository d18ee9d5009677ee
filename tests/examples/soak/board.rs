//! What each task is doing, for the watchdog to name when something hangs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One line a task.
#[derive(Default)]
pub(crate) struct Board(Mutex<Vec<Arc<Line>>>);

/// What one task is doing.
pub(crate) struct Line {
    task: String,
    step: Mutex<(&'static str, Instant)>,
}

impl Board {
    /// A line for one more task.
    pub(crate) fn line(&self, task: impl Into<String>) -> Arc<Line> {
        let line = Arc::new(Line {
            task: task.into(),
            step: Mutex::new(("begin", Instant::now())),
        });
        self.lock().push(line.clone());
        line
    }

    /// Every task that has been at the same step for so long, unless it has ended.
    pub(crate) fn stuck(&self, since: Duration) -> Vec<String> {
        let lines = self.lock();
        let steps = lines.iter().map(|line| (line, line.now()));
        steps
            .filter(|(_, (step, at))| *step != "ended" && at.elapsed() >= since)
            .map(|(line, (step, at))| format!("{}: {step} for {:.0?}", line.task, at.elapsed()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The task begins a step.
    pub(crate) fn now_at(&self, step: &'static str) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = (step, Instant::now());
    }

    fn now(&self) -> (&'static str, Instant) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
