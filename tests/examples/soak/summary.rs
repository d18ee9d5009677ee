//! What is printed at the end.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use palisade::{Class, HandlerStats, RuntimeHealth};

use crate::memory::Memory;
use crate::plugins::{HOSTILE, must_get_all};
use crate::process::{Held, resident};
use crate::soak::Soak;

/// The classes in which the runtime ends a guest.
pub(crate) fn kills() -> impl Iterator<Item = Class> {
    Class::ALL.into_iter().filter(|class| class.is_guest_fault())
}

/// What came of a run.
pub(crate) struct Summary<'a> {
    pub(crate) soak: &'a Soak,
    pub(crate) took: Duration,
    pub(crate) memory: Memory,
    pub(crate) health: RuntimeHealth,
    /// As they were before the plugins were unloaded.
    pub(crate) handlers: Vec<HandlerStats>,
    /// At the begin of the load, and when all was unloaded.
    pub(crate) held: (Held, Held),
}

/// How many attempts at the hostile plugins that stay all the time ended in a class.
pub(crate) fn of_hostile(handlers: &[HandlerStats], class: Class) -> u64 {
    let hostile = handlers.iter().filter(|stats| is_hostile(stats));
    hostile.map(|stats| stats.count(class)).sum()
}

fn is_hostile(stats: &HandlerStats) -> bool {
    HOSTILE.iter().any(|(name, _, _)| stats.handler.plugin() == Some(name))
}

/// Bytes for people.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

impl Summary<'_> {
    /// Notes what the numbers themselves say is wrong.
    pub(crate) fn check(&self) {
        let (memory, findings) = (&self.memory, &self.soak.findings);
        findings.check(!memory.has_grown(), || {
            let (before, after) = (mib(memory.before), mib(memory.after));
            format!("memory grew by more than 5 %: {before} after the warm-up, {after} at the end")
        });
        for stats in self
            .handlers
            .iter()
            .filter(|stats| must_get_all(&stats.handler.to_string()))
        {
            let failed = stats
                .attempts
                .iter()
                .any(|(class, count)| *class != Class::Ok && *count > 0);
            findings.check(!failed, || format!("{} failed: {:?}", stats.handler, stats.attempts));
        }
    }

    fn row(f: &mut fmt::Formatter<'_>, what: impl fmt::Display, value: impl fmt::Display) -> fmt::Result {
        writeln!(f, "{:<34} {value:>18}", what.to_string())
    }

    fn show_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, (before, after)) = (&self.memory, self.held);
        let after_warm_up = format!("memory after {} s (median of {} s)", memory.warm_up, memory.window);
        Self::row(f, after_warm_up, mib(memory.before))?;
        Self::row(f, "memory at the end", mib(memory.after))?;
        Self::row(f, "growth", format!("{:+.1} %", memory.growth() * 100.0))?;
        Self::row(f, "most at any second", mib(memory.peak))?;
        Self::row(f, "memory with all unloaded", mib(resident()))?;
        Self::row(f, "instances left", self.health.instances)?;
        Self::row(
            f,
            "threads, before and after",
            format!("{}, {}", before.threads, after.threads),
        )?;
        Self::row(
            f,
            "open files, before and after",
            format!("{}, {}", before.files, after.files),
        )
    }

    fn show_events(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.soak.tally;
        let (healthy, hostile) = (
            tally.healthy.load(Ordering::Relaxed),
            tally.hostile.load(Ordering::Relaxed),
        );
        let handled = |hostile: bool| -> u64 {
            let of = self.handlers.iter().filter(|stats| is_hostile(stats) == hostile);
            of.map(|stats| stats.count(Class::Ok)).sum()
        };
        let per_second = (healthy + hostile) as f64 / self.took.as_secs_f64();
        Self::row(f, "published, healthy", healthy)?;
        Self::row(f, "published, hostile", hostile)?;
        Self::row(f, "published a second", format!("{per_second:.0}"))?;
        Self::row(
            f,
            "published in all, by handlers too",
            self.soak.runtime.stats().published,
        )?;
        Self::row(f, "handled by healthy ones", handled(false))?;
        Self::row(f, "handled by hostile ones", handled(true))?;
        for (what, ledger) in [("reports", &self.soak.reports), ("alerts", &self.soak.alerts)] {
            let (sent, arrived) = ledger.counts();
            Self::row(f, format!("{what}, due and arrived"), format!("{sent}, {arrived}"))?;
        }
        Self::row(f, "lines logged by guests", tally.log_lines.load(Ordering::Relaxed))
    }

    fn show_ends(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for class in kills() {
            Self::row(f, format!("kills, {class}"), of_hostile(&self.handlers, class))?;
        }
        for (reason, count) in self.soak.letters.by_reason() {
            Self::row(f, format!("dead letters, {reason}"), count)?;
        }
        for (kind, change) in self.soak.tally.changes() {
            Self::row(
                f,
                format!("{kind}, done and refused"),
                format!("{}, {}", change.done, change.refused),
            )?;
        }
        Self::row(f, "ticker replaced", self.health.ticker.replaced)?;
        Self::row(f, "calls still running", self.health.ticker.running_calls)
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nsoak of {:.0?}, --seed {}\n", self.took, self.soak.seed)?;
        self.show_memory(f)?;
        self.show_events(f)?;
        self.show_ends(f)?;
        let findings = self.soak.findings.all();
        if findings.is_empty() {
            return writeln!(
                f,
                "\nok: every healthy event was handled, and once; nothing is left behind"
            );
        }
        writeln!(f, "\nFAILED:")?;
        findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))
    }
}
