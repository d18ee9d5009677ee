//! What was found: a table for people, and `target/bench/report.json` for programs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use palisade::EventTime;
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::turns::{Spread, Turns};

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
    /// What could not be measured, and why.
    pub(crate) failed: Vec<(&'static str, String)>,
}

/// Where the commit is found that is measured.
const COMMIT: &str = "PALISADE_BENCH_COMMIT";

/// What was run: reports of two trees are not to be taken for each other, nor a part or a look for the whole.
pub(crate) struct Run(Value);

impl Run {
    pub(crate) fn now(arguments: &Arguments) -> Self {
        let processors = std::thread::available_parallelism().ok();
        Self(json!({
            "began": EventTime::now().to_string(),
            // As `cargo xtask bench` says, which has just built it; by hand nobody knows.
            "commit": std::env::var(COMMIT).ok(),
            "quick": arguments.quick,
            "only": (!arguments.only.is_empty()).then_some(&arguments.only),
            "processors": processors,
        }))
    }
}

/// One target and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) what: &'static str,
    /// Of `ours` and `raw`.
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) raw: Option<f64>,
    /// What the target is about: a ratio, or `ours` where there is nothing raw.
    pub(crate) value: f64,
    /// Where most rounds had the ratio.
    pub(crate) spread: Option<Spread>,
    pub(crate) op: Op,
    pub(crate) target: f64,
}

/// On which side of its target a value should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    AtMost,
    AtLeast,
}

impl Op {
    fn as_str(self) -> &'static str {
        match self {
            Op::AtMost => "<=",
            Op::AtLeast => ">=",
        }
    }
}

impl Row {
    /// A target for the ratio, which should be this at most.
    pub(crate) fn ratio(id: &'static str, what: &'static str, unit: &'static str, turns: Turns, target: f64) -> Self {
        Self {
            id,
            what,
            unit,
            ours: turns.ours,
            raw: Some(turns.raw),
            value: turns.ratio.median,
            spread: Some(turns.ratio),
            op: Op::AtMost,
            target,
        }
    }

    /// A target for the figure itself, which should be this at most.
    pub(crate) fn absolute(id: &'static str, what: &'static str, unit: &'static str, ours: f64, target: f64) -> Self {
        Self {
            id,
            what,
            unit,
            ours,
            raw: None,
            value: ours,
            spread: None,
            op: Op::AtMost,
            target,
        }
    }

    /// The same where more is better.
    pub(crate) fn at_least(self) -> Self {
        Self {
            op: Op::AtLeast,
            ..self
        }
    }

    pub(crate) fn passes(&self) -> bool {
        match self.op {
            Op::AtMost => self.value <= self.target,
            Op::AtLeast => self.value >= self.target,
        }
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "what": self.what, "unit": self.unit, "ours": self.ours, "raw": self.raw,
            "value": self.value, "op": self.op.as_str(), "target": self.target, "pass": self.passes(),
            "8_of_10_rounds": self.spread.map(|spread| [spread.p10, spread.p90]),
        })
    }

    fn line(&self) -> String {
        let raw = self.raw.map_or_else(|| "-".to_owned(), number);
        let spread = |spread: Spread| format!("{:.2}..{:.2}", spread.p10, spread.p90);
        format!(
            "{:<4} {:<58} {:>9} {:>9} {:<8} {:>7}{:1} {} {:<6} {:<7} {}",
            self.id,
            self.what,
            number(self.ours),
            raw,
            self.unit,
            number(self.value),
            if self.raw.is_some() { "x" } else { "" },
            self.op.as_str(),
            self.target,
            if self.passes() { "met" } else { "MISSED" },
            self.spread.map(spread).unwrap_or_default(),
        )
    }
}

/// Something without a target.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// The table it belongs to.
    pub(crate) table: &'static str,
    pub(crate) what: String,
    found: Found,
}

#[derive(Clone, Debug)]
enum Found {
    Number(f64, &'static str),
    Words(String),
}

impl Figure {
    pub(crate) fn new(table: &'static str, what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            table,
            what: what.into(),
            found: Found::Number(value, unit),
        }
    }

    /// What is told rather than measured.
    pub(crate) fn words(table: &'static str, what: impl Into<String>, words: String) -> Self {
        Self {
            table,
            what: what.into(),
            found: Found::Words(words),
        }
    }

    fn json(&self) -> Value {
        let Self { table, what, found } = self;
        match found {
            Found::Number(value, unit) => json!({ "table": table, "what": what, "unit": unit, "value": value }),
            Found::Words(words) => json!({ "table": table, "what": what, "words": words }),
        }
    }

    fn line(&self) -> String {
        match &self.found {
            Found::Number(value, unit) => format!("  {:<61} {:>9} {unit}", self.what, number(*value)),
            Found::Words(words) => format!("  {}: {words}", self.what),
        }
    }
}

impl Report {
    /// The targets that were missed.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        let missed = self.rows.iter().filter(|row| !row.passes());
        missed.map(|row| row.id).collect()
    }

    /// The table, on stdout.
    pub(crate) fn print(&self) {
        if !self.rows.is_empty() {
            println!(
                "{:<4} {:<58} {:>9} {:>9} {:<8} {:>7}  {:<9} {:<7} 8 of 10 rounds",
                "", "", "ours", "raw", "", "value", "target", ""
            );
        }
        for row in &self.rows {
            println!("{}", row.line());
        }
        if self.rows.iter().any(|row| row.spread.is_some()) {
            println!("A ratio is the median of those of the rounds, and need not be that of the two medians.");
        }
        let mut table = "";
        for figure in &self.figures {
            if figure.table != table {
                table = figure.table;
                println!("\n{table}");
            }
            println!("{}", figure.line());
        }
        for (id, why) in &self.failed {
            println!("{id} could not be measured: {why}");
        }
    }

    /// Writes the file anew, with its directory.
    pub(crate) fn write(&self, path: &Path, run: &Run) -> Result<()> {
        let failed = self.failed.iter().map(|(id, why)| json!({ "id": id, "why": why }));
        let report = json!({
            "run": run.0,
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
            "failed": failed.collect::<Vec<_>>(),
        });
        let written = path.parent().map_or(Ok(()), fs::create_dir_all);
        written
            .and_then(|()| fs::write(path, format!("{report:#}\n")))
            .with_context(|| format!("{} can't be written", path.display()))
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
