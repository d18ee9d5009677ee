//! What was found: a table for people, and `target/bench/report.json` for programs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::turns::Medians;

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
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
    pub(crate) target: f64,
}

impl Row {
    /// A target for the ratio.
    pub(crate) fn ratio(
        id: &'static str,
        what: &'static str,
        unit: &'static str,
        medians: Medians,
        target: f64,
    ) -> Self {
        Self {
            id,
            what,
            unit,
            ours: medians.ours,
            raw: Some(medians.raw),
            value: medians.ratio(),
            target,
        }
    }

    /// A target for the figure itself.
    pub(crate) fn absolute(id: &'static str, what: &'static str, unit: &'static str, ours: f64, target: f64) -> Self {
        Self {
            id,
            what,
            unit,
            ours,
            raw: None,
            value: ours,
            target,
        }
    }

    pub(crate) fn passes(&self) -> bool {
        self.value <= self.target
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "what": self.what, "unit": self.unit, "ours": self.ours, "raw": self.raw,
            "value": self.value, "op": "<=", "target": self.target, "pass": self.passes(),
        })
    }

    fn line(&self) -> String {
        let raw = self.raw.map(number).unwrap_or_else(|| "-".to_owned());
        let sign = if self.raw.is_some() { "x" } else { "" };
        format!(
            "{:<4} {:<58} {:>10} {:>10} {:<4} {:>8}{:1} <= {:<6} {}",
            self.id,
            self.what,
            number(self.ours),
            raw,
            self.unit,
            number(self.value),
            sign,
            self.target,
            if self.passes() { "met" } else { "MISSED" }
        )
    }
}

/// A number without a target.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// The table it belongs to.
    pub(crate) table: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

impl Report {
    /// Whether every target was met.
    pub(crate) fn all_pass(&self) -> bool {
        self.rows.iter().all(Row::passes)
    }

    /// The table, on stdout.
    pub(crate) fn print(&self) {
        if !self.rows.is_empty() {
            println!(
                "{:<4} {:<58} {:>10} {:>10} {:<4} {:>9}",
                "", "", "ours", "raw", "", "value"
            );
        }
        for row in &self.rows {
            println!("{}", row.line());
        }
        let mut table = "";
        for figure in &self.figures {
            if figure.table != table {
                table = figure.table;
                println!("\n{table}");
            }
            println!("  {:<61} {:>10} {}", figure.what, number(figure.value), figure.unit);
        }
    }

    /// Writes the file anew, with its directory.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let figures = self.figures.iter().map(
            |figure| json!({ "table": figure.table, "what": figure.what, "unit": figure.unit, "value": figure.value }),
        );
        let report = json!({
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "figures": figures.collect::<Vec<_>>(),
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
