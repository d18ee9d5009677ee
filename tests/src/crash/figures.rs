//! What is printed in the end.

use std::fmt;
use std::time::Duration;

use super::Plan;
use super::book::Book;
use super::life::Lived;

/// What came of a plan: figures, and what was found wrong.
#[derive(Debug)]
pub struct Verdict {
    seed: u64,
    rows: Vec<(&'static str, String)>,
    /// What does not hold, and must; empty if all is well.
    pub findings: Vec<String>,
}

impl Verdict {
    pub(super) fn new(plan: &Plan, book: &Book, lives: &[Lived], findings: Vec<String>) -> Self {
        let mut rows = rows_of_lives(lives);
        rows.extend(rows_of_events(book, lives));
        Self {
            seed: plan.seed,
            rows,
            findings,
        }
    }
}

fn rows_of_lives(lives: &[Lived]) -> Vec<(&'static str, String)> {
    let killed = lives.iter().filter(|lived| !lived.ended).count();
    let mut recoveries: Vec<_> = lives.iter().filter_map(|lived| lived.recovery).collect();
    recoveries.sort();
    let median = recoveries.get(recoveries.len() / 2).copied().unwrap_or_default();
    let longest = recoveries.last().copied().unwrap_or_default();
    let ended = lives.len().saturating_sub(killed);
    vec![
        ("killed, and ended in order", format!("{killed}, {ended}")),
        ("from a start to ready, p50", format!("{median:.0?}")),
        ("from a start to ready, most", format!("{longest:.0?}")),
    ]
}

fn rows_of_events(book: &Book, lives: &[Lived]) -> Vec<(&'static str, String)> {
    let publishing: Duration = lives.iter().map(|lived| lived.publishing).sum();
    let (acked, handled, ended) = (book.acked.len(), book.handled.len(), book.ends("plain").len());
    let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    let twice = |handler, of| {
        let twice = book.handled_twice(handler);
        format!("{twice} ({:.2} %)", share(twice, of))
    };
    let due = book.owed_to("doomed").count();
    let unanswered = book.tried.len().saturating_sub(acked);
    let kept: u64 = book.ended.iter().map(|(kept, _)| kept).sum();
    let repeated = book.calls.saturating_sub(book.came_out() as u64);
    vec![
        ("publishes that returned", acked.to_string()),
        (
            "a second, while it published",
            format!("{:.0}", acked as f64 / publishing.as_secs_f64().max(0.001)),
        ),
        ("publishes that never returned", unanswered.to_string()),
        ("published again, though known", book.again.to_string()),
        ("committed by `keyed`", handled.to_string()),
        ("  called again after a kill", twice("keyed", handled)),
        ("handled by `plain`", ended.to_string()),
        ("  called again after a kill", twice("plain", ended)),
        ("committed by the plugin", book.reported.len().to_string()),
        (
            "  as it has counted itself",
            book.total.map_or_else(|| "?".to_owned(), |total| total.to_string()),
        ),
        ("came out of both, by id", book.came_out().to_string()),
        (
            "  of them delivered again",
            format!("{repeated} ({:.2} %)", share(repeated as usize, book.came_out())),
        ),
        ("dead letters, due and found", format!("{due}, {}", book.dead("doomed"))),
        ("kept by shutdowns in order", kept.to_string()),
        ("lines torn by a kill", book.torn.to_string()),
    ]
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crash test, --seed {}\n", self.seed)?;
        for (what, value) in &self.rows {
            writeln!(f, "{what:<38} {value:>18}")?;
        }
        if self.findings.is_empty() {
            return writeln!(
                f,
                "\nok: nothing that was acknowledged is lost, and what belongs together is together"
            );
        }
        writeln!(f, "\nFAILED:")?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))
    }
}
