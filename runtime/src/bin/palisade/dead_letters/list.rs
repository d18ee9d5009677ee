//! `palisade dead-letters list`.

use std::io::{self, IsTerminal};

use anyhow::Result;
use palisade::DeadLetter;

use super::arguments::ListArguments;
use super::letter;
use super::pages::Pages;
use crate::exit::Exit;
use crate::{moment, show, text};

/// What a line of a table has for the event and the error, in characters, where nobody says how wide it may be.
const LONGEST: usize = 60;

pub(super) async fn run(arguments: &ListArguments, mut pages: Pages<'_>) -> Result<Exit> {
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let mut layout = None;
    while left > 0 {
        let page = pages.next(left).await?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len() as u64);
        let lines: String = if arguments.json {
            page.iter().map(letter::json_line).collect()
        } else {
            layout.get_or_insert_with(|| Layout::of(&page)).lines(&page)
        };
        if !show::print_on(&lines)? {
            break;
        }
    }
    if layout.is_none() && !arguments.json && io::stdout().is_terminal() {
        show::print("no dead letters\n")?;
    }
    Ok(Exit::Ok)
}

/// The columns, as wide as the first page needs them.
struct Layout {
    widths: [usize; 5],
    has_head: bool,
}

const HEAD: [&str; 6] = ["ID", "LAST", "HANDLER", "CLASS", "ATTEMPTS", "EVENT: ERROR"];

impl Layout {
    fn of(page: &[DeadLetter]) -> Self {
        let mut widths = [0; 5];
        let head = HEAD.map(str::to_owned);
        for row in page.iter().map(row).chain([head]) {
            for (width, cell) in widths.iter_mut().zip(&row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        Self {
            widths,
            has_head: false,
        }
    }

    fn lines(&mut self, page: &[DeadLetter]) -> String {
        let head = (!std::mem::replace(&mut self.has_head, true)).then(|| HEAD.map(str::to_owned));
        let rows = head.into_iter().chain(page.iter().map(row));
        rows.map(|row| self.line(&row)).collect()
    }

    fn line(&self, row: &[String; 6]) -> String {
        let [id, .., last] = row;
        let [width, ..] = self.widths;
        let mut line = format!("{id:>width$}");
        for (cell, width) in row.iter().zip(self.widths).skip(1) {
            line += &format!("  {cell:<width$}");
        }
        format!("{line}  {last}\n")
    }
}

fn row(of: &DeadLetter) -> [String; 6] {
    [
        of.id.0.to_string(),
        moment::seconds(of.last),
        letter::handler(of),
        of.reason.to_string(),
        of.attempts.to_string(),
        format!(
            "{} {}: {}",
            cut(of.event.event_type()),
            cut(of.event.id()),
            cut(&of.error)
        ),
    ]
}

/// On one line, without what a terminal would act on.
fn cut(whole: &str) -> String {
    let shown: String = whole.chars().take(LONGEST).collect();
    let more = if shown.len() < whole.len() { "..." } else { "" };
    format!("{}{more}", text::printable(&shown))
}
