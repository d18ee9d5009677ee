//! Whether memory grows: the median after the warm-up against the median at the end.

use std::time::Duration;

/// How much it may grow.
const ALLOWED: f64 = 0.05;
/// A run shorter than this shows the numbers, and judges nothing: caches are still filling.
const JUDGED_FROM: Duration = Duration::from_secs(60);

/// What became of memory over a run.
pub(crate) struct Memory {
    /// The median of the window after the warm-up, in bytes.
    pub(crate) before: u64,
    /// The median of the last window.
    pub(crate) after: u64,
    /// The most there was at any second.
    pub(crate) peak: u64,
    /// How long a window was, in seconds.
    pub(crate) window: usize,
    /// How many seconds were warm-up.
    pub(crate) warm_up: usize,
    judged: bool,
}

impl Memory {
    /// From one sample a second.
    pub(crate) fn of(samples: &[u64], load: Duration) -> Self {
        let is_long = load >= Duration::from_secs(5 * 60);
        let least = if is_long { 60 } else { 1 };
        let warm_up = (samples.len() / 5).max(least);
        let window = if is_long {
            samples.len() / 5
        } else {
            (samples.len() / 10).max(3)
        };
        let first = samples.iter().skip(warm_up).take(window).copied();
        let last = samples.iter().rev().take(window).copied();
        Self {
            before: median(first.collect()),
            after: median(last.collect()),
            peak: samples.iter().max().copied().unwrap_or(0),
            window,
            warm_up,
            judged: load >= JUDGED_FROM,
        }
    }

    /// By which part it grew; negative where it shrank.
    pub(crate) fn growth(&self) -> f64 {
        self.after as f64 / (self.before.max(1) as f64) - 1.0
    }

    pub(crate) fn has_grown(&self) -> bool {
        self.judged && self.growth() > ALLOWED
    }
}

fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}
