//! The thread that looks at the run from outside: memory each second, a line each ten, and whether anything still moves.
//!
//! A thread, not a task: it has to see a tokio runtime that hangs.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::sync::atomic::Ordering;

use crate::process::resident;
use crate::soak::Soak;
use crate::summary::{kills, mib, of_hostile};

/// Without one healthy event for so long, or with a task at one step for so long, the run hangs.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP_PATIENCE: Duration = Duration::from_secs(120);
const LINE_EACH: u64 = 10;

/// The thread, until it is ended.
pub(crate) struct Watch {
    end: Sender<()>,
    thread: JoinHandle<Vec<u64>>,
}

impl Watch {
    pub(crate) fn start(soak: Arc<Soak>) -> Self {
        let (end, ended) = channel();
        let thread = std::thread::spawn(move || {
            let (began, mut samples, mut moved) = (Instant::now(), Vec::new(), Moved::default());
            while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                samples.push(resident());
                let seconds = samples.len() as u64;
                if std::io::stderr().is_terminal() || seconds.is_multiple_of(LINE_EACH) {
                    progress(&soak, began.elapsed(), samples.last().copied().unwrap_or(0));
                }
                moved.look(&soak);
            }
            samples
        });
        Self { end, thread }
    }

    /// Ends it; the samples of memory, one a second.
    pub(crate) fn end(self) -> Vec<u64> {
        drop(self.end);
        self.thread.join().unwrap_or_default()
    }
}

/// When something moved last.
struct Moved {
    counts: (u64, u64, u64),
    at: Instant,
}

impl Default for Moved {
    fn default() -> Self {
        Self {
            counts: (0, 0, 0),
            at: Instant::now(),
        }
    }
}

impl Moved {
    /// Ends the process when nothing does: what hangs can't be ended in order.
    fn look(&mut self, soak: &Soak) {
        let healthy = soak.tally.healthy.load(Ordering::Relaxed);
        let counts = (healthy, soak.reports.counts().1, soak.alerts.counts().1);
        let all_moved = counts.0 != self.counts.0 && counts.1 != self.counts.1 && counts.2 != self.counts.2;
        if all_moved {
            (self.counts, self.at) = (counts, Instant::now());
        }
        let stuck = soak.board.stuck(STEP_PATIENCE);
        if self.at.elapsed() < PATIENCE && stuck.is_empty() {
            return;
        }
        eprintln!(
            "\nFAILED: it hangs. {counts:?} healthy publishes, reports and alerts, where there were {:?}",
            self.counts
        );
        let lines = soak.board.stuck(Duration::from_secs(5));
        lines.iter().for_each(|line| eprintln!("  {line}"));
        for (name, ledger) in [("reports", &soak.reports), ("alerts", &soak.alerts)] {
            let (sent, arrived) = ledger.counts();
            eprintln!("  {name}: {sent} sent, {arrived} arrived");
        }
        for stats in soak.runtime.handler_stats() {
            eprintln!("  {}: {} queued, {:?}", stats.handler, stats.queued, stats.attempts);
        }
        soak.findings
            .all()
            .iter()
            .for_each(|finding| eprintln!("  WRONG: {finding}"));
        std::process::exit(1);
    }
}

fn progress(soak: &Soak, elapsed: Duration, resident: u64) {
    let stats = soak.runtime.handler_stats();
    let kills: u64 = kills().map(|class| of_hostile(&stats, class)).sum();
    let events = soak.tally.healthy.load(Ordering::Relaxed) + soak.tally.hostile.load(Ordering::Relaxed);
    let (start, end) = if std::io::stderr().is_terminal() {
        ("\r", "\u{1b}[K")
    } else {
        ("", "\n")
    };
    let seconds = elapsed.as_secs();
    eprint!(
        "{start}{seconds:>6} s  {events:>10} events  {kills:>8} kills  {:>8} RSS{end}",
        mib(resident)
    );
    let _ = std::io::stderr().flush();
}
