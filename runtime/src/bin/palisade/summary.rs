//! What became of everything, at the end of a run.

use std::time::Duration;

use palisade::{Backlog, BreakerState, BusStats, Class, HandlerStats, PluginState, Runtime};
use serde_json::{Map, Value, json};

use crate::arguments::LogFormat;
use crate::console::Console;
use crate::exit::Exit;
use crate::feed::Tally;
use crate::stdout;
use crate::text;

/// The counts of a run.
pub(crate) struct Summary {
    /// Of stdin; none where it was not read.
    tally: Option<Tally>,
    stats: BusStats,
    handlers: Vec<HandlerStats>,
    dead_letters: Vec<(String, u64)>,
    /// Plugins that are quarantined, by name.
    quarantined: Vec<String>,
    /// Handlers whose breaker is not closed, by name.
    open_breakers: Vec<String>,
    left: Left,
    elapsed: Duration,
}

/// What was not finished.
pub(crate) struct Left {
    /// Deliveries that a drain gave up, and events that never reached stdout.
    pub(crate) abandoned: usize,
    /// Deliveries that are in the store, for the next start.
    pub(crate) kept: Vec<Backlog>,
    /// Whether there was time enough for them: nothing but their handlers was in the way.
    pub(crate) is_whole: bool,
}

impl Summary {
    pub(crate) fn new(runtime: &Runtime, tally: Option<Tally>, left: Left, elapsed: Duration) -> Self {
        let mut handlers = runtime.handler_stats();
        handlers.retain(|stats| stats.handler.plugin().is_some() || stats.handler.handler() != stdout::HANDLER);
        let reasons = runtime.dead_letter_counts();
        Self {
            tally,
            stats: runtime.stats(),
            open_breakers: open_breakers(&handlers),
            handlers,
            dead_letters: reasons
                .iter()
                .map(|(reason, count)| (reason.as_str().to_owned(), *count))
                .collect(),
            quarantined: quarantined(runtime),
            left,
            elapsed,
        }
    }

    /// Whether everything that was to be delivered was.
    pub(crate) fn exit(&self) -> Exit {
        let tally = self.tally.unwrap_or_default();
        let lost = [
            tally.bad,
            tally.refused,
            self.stats.refused,
            self.stats.dropped,
            self.stats.filter_faults,
            self.stats.dead_letters,
            self.left.abandoned as u64,
            if self.left.is_whole { self.kept() } else { 0 },
        ];
        if lost.iter().all(|count| *count == 0) {
            Exit::Ok
        } else {
            Exit::Incomplete
        }
    }

    pub(crate) fn show(&self, console: &Console) {
        match console.format() {
            LogFormat::Pretty => console.line(self.table().trim_end()),
            LogFormat::Json => console.line(&self.json().to_string()),
        }
    }

    fn table(&self) -> String {
        let width = self
            .handlers
            .iter()
            .map(|stats| stats.handler.to_string().len())
            .max()
            .unwrap_or(0)
            .max(18);
        let row = |name: &str, value: String| format!("  {name:<width$}  {value}\n");
        let mut table = String::from("summary\n");
        for (name, count) in self.counts() {
            table += &row(&name.replace('_', " "), text::number(count));
        }
        let rate = self
            .rate()
            .map_or_else(String::new, |rate| format!(", {} events/s", text::number(rate)));
        table += &row("elapsed", format!("{}{rate}", text::measured(self.elapsed)));
        if !self.dead_letters.is_empty() {
            let by_reason = self
                .dead_letters
                .iter()
                .map(|(reason, count)| format!("{reason} {}", text::number(*count)));
            table += &row("dead letters by", by_reason.collect::<Vec<_>>().join(", "));
        }
        if !self.quarantined.is_empty() {
            table += &row("quarantined", self.quarantined.join(", "));
        }
        if !self.open_breakers.is_empty() {
            table += &row("open breakers", self.open_breakers.join(", "));
        }
        let owed: Vec<_> = self
            .owed()
            .map(|(name, count)| format!("{name} {}", text::number(count)))
            .collect();
        if !owed.is_empty() {
            table += &row("kept for", owed.join(", "));
        }
        for stats in &self.handlers {
            table += &row(&stats.handler.to_string(), classes(stats));
        }
        table
    }

    fn kept(&self) -> u64 {
        self.left.kept.iter().map(|backlog| backlog.events).sum()
    }

    /// What is kept, by handler; by those that are gone, too.
    fn owed(&self) -> impl Iterator<Item = (String, u64)> {
        let kept = self.left.kept.iter();
        kept.map(|backlog| (text::printable(&backlog.handler), backlog.events))
    }

    fn json(&self) -> Value {
        let mut summary: Map<_, _> = self
            .counts()
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count.into()))
            .collect();
        let by_reason: Map<_, _> = self
            .dead_letters
            .iter()
            .map(|(reason, count)| (reason.clone(), (*count).into()))
            .collect();
        summary.insert("dead_letters_by_reason".to_owned(), by_reason.into());
        let kept_for: Map<_, _> = self.owed().map(|(name, count)| (name, count.into())).collect();
        summary.insert("kept_for".to_owned(), kept_for.into());
        summary.insert("quarantined".to_owned(), self.quarantined.as_slice().into());
        summary.insert("open_breakers".to_owned(), self.open_breakers.as_slice().into());
        let handlers = self
            .handlers
            .iter()
            .map(|stats| (stats.handler.to_string(), json_classes(&stats.attempts)));
        summary.insert("handlers".to_owned(), handlers.collect::<Map<_, _>>().into());
        summary.insert("elapsed_ms".to_owned(), text::milliseconds(self.elapsed).into());
        summary.insert("events_per_second".to_owned(), self.rate().into());
        json!({ "level": "INFO", "message": "summary", "summary": summary })
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let BusStats {
            filtered,
            filter_faults,
            from_handlers,
            retries,
            refused,
            dropped,
            dead_letters,
            ..
        } = self.stats;
        let mut counts = Vec::new();
        if let Some(Tally {
            lines,
            published,
            bad,
            unmatched,
            duplicates,
            ..
        }) = self.tally
        {
            counts.extend([
                ("lines", lines),
                ("bad_lines", bad),
                ("published", published),
                ("unmatched", unmatched),
                ("duplicates", duplicates),
            ]);
        }
        counts.extend([
            ("filtered", filtered),
            ("filter_faults", filter_faults),
            ("from_plugins", from_handlers),
            ("retries", retries),
        ]);
        counts.extend([
            ("refused", refused),
            ("dropped", dropped),
            ("dead_letters", dead_letters),
            ("abandoned", self.left.abandoned as u64),
            ("kept", self.kept()),
        ]);
        counts
    }

    /// Lines a second, where lines were read.
    fn rate(&self) -> Option<u64> {
        let lines = self.tally?.lines;
        let seconds = self.elapsed.as_secs_f64();
        // A rate has no fractions, and none is beyond 2^64.
        (seconds > 0.0).then(|| (lines as f64 / seconds) as u64)
    }
}

fn quarantined(runtime: &Runtime) -> Vec<String> {
    let plugins = runtime.plugins().into_iter();
    let quarantined = plugins.filter(|plugin| plugin.state == PluginState::Quarantined);
    quarantined.map(|plugin| plugin.name).collect()
}

fn open_breakers(handlers: &[HandlerStats]) -> Vec<String> {
    let is_open = |stats: &&HandlerStats| stats.breaker.is_some_and(|state| state != BreakerState::Closed);
    let open = handlers.iter().filter(is_open);
    open.map(|stats| stats.handler.to_string()).collect()
}

fn classes(stats: &HandlerStats) -> String {
    if stats.attempts.is_empty() {
        return "no event".to_owned();
    }
    let counts = stats
        .attempts
        .iter()
        .map(|(class, count)| format!("{class} {}", text::number(*count)));
    counts.collect::<Vec<_>>().join(", ")
}

fn json_classes(attempts: &[(Class, u64)]) -> Value {
    attempts
        .iter()
        .map(|(class, count)| (class.as_str().to_owned(), (*count).into()))
        .collect::<Map<_, _>>()
        .into()
}
