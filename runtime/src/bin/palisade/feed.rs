//! From lines to the bus: counts what becomes of each.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressStyle;
use palisade::config::Config;
use palisade::{Event, PublishError, Receipt, Runtime};
use tokio::sync::mpsc;

use crate::console::Console;
use crate::standstill::Standstill;
use crate::stdin::{self, Batch, Line};
use crate::stdout::Stdout;

/// What became of the lines of stdin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Those that are not blank.
    pub(crate) lines: u64,
    /// Events that the bus took, filtered ones and those that nobody handles included.
    pub(crate) published: u64,
    /// Lines that are no event, or one that the bus does not take.
    pub(crate) bad: u64,
    /// Of the published ones, those that not every queue took.
    pub(crate) refused: u64,
    /// Of the published ones, those that no plugin handles.
    pub(crate) unmatched: u64,
    /// Of the published ones, those that a durable handler has been given before.
    pub(crate) duplicates: u64,
}

/// Publishes what stdin says.
pub(crate) struct Feed {
    batches: mpsc::Receiver<Batch>,
    console: Console,
    standstill: Standstill,
    tally: Tally,
    current: Cell<Option<UnderWay>>,
}

/// A line that is being published, and how many are with it, behind it.
#[derive(Clone, Copy)]
struct UnderWay {
    number: u64,
    behind: usize,
}

impl Feed {
    /// Starts to read stdin.
    pub(crate) fn start(runtime: &Runtime, config: &Config, console: &Console) -> Result<Self> {
        let batches = stdin::read(runtime.event_limits())?;
        if console.is_for_people() {
            show_progress(console);
        }
        Ok(Self {
            batches,
            console: console.clone(),
            standstill: Standstill::new(config, console),
            tally: Tally::default(),
            current: Cell::new(None),
        })
    }

    /// Publishes line after line until the end of stdin, and then waits until all that follows from them is done with.
    ///
    /// Cancellation: what was published is under way; [`end`](Self::end) tells of a line that was not.
    pub(crate) async fn run(&mut self, runtime: &Runtime, stdout: &Stdout) -> Result<()> {
        while let Some(batch) = self.batches.recv().await {
            let mut together = Vec::new();
            for Line { number, bytes, event } in batch.context("stdin can't be read")? {
                self.standstill.written(number, stdout.room()).await;
                self.console.bar().inc(bytes);
                self.tally.lines += 1;
                match event {
                    Ok(event) => together.push((number, event)),
                    Err(why) => {
                        self.publish(std::mem::take(&mut together), runtime, stdout).await;
                        self.bad(number, &why);
                    }
                }
            }
            self.publish(together, runtime, stdout).await;
            self.console
                .bar()
                .set_message(format!("{} events", crate::text::number(self.tally.lines)));
        }
        runtime.quiet().await;
        stdout.flushed().await;
        Ok(())
    }

    /// Reads no more. Lines whose events were waiting for room in a queue are reported: other queues may have them.
    pub(crate) fn end(mut self) -> Tally {
        self.console.bar().finish_and_clear();
        if let Some(UnderWay { number, behind }) = self.current.take() {
            self.tally.refused += 1 + behind as u64;
            let others = match behind {
                0 => String::new(),
                1 => ", nor that of the line after it".to_owned(),
                _ => format!(", nor those of the {behind} lines after it"),
            };
            let why = format!("not every handler got its event{others}: the run was ended before its queue had room");
            self.console.bad_line(number, &why);
        }
        self.tally
    }

    /// Publishes lines that follow each other: those that are to be stored share their fsyncs.
    async fn publish(&mut self, lines: Vec<(u64, Event)>, runtime: &Runtime, stdout: &Stdout) {
        let Some(&(first, _)) = lines.first() else { return };
        let under_way = |at: usize| {
            let (number, _) = lines.get(at)?;
            let (number, behind) = (*number, lines.len() - at - 1);
            Some(UnderWay { number, behind })
        };
        let Self {
            console,
            standstill,
            tally,
            current,
            ..
        } = self;
        current.set(under_way(0));
        let events = lines.iter().map(|(_, event)| event.clone()).collect();
        let publish = runtime.publish_batch(events, |at, answer| {
            if let Some((number, event)) = lines.get(at) {
                tally.count(console, *number, answer, stdout.matches(event.event_type()));
            }
            current.set(under_way(at + 1));
        });
        let number = || current.get().map_or(first, |line| line.number);
        standstill.published(number, runtime, publish).await;
    }

    fn bad(&mut self, number: u64, why: &str) {
        self.tally.bad += 1;
        self.console.bad_line(number, why);
    }
}

impl Tally {
    /// What became of a line, whose event goes to stdout as well where it matches that.
    fn count(&mut self, console: &Console, number: u64, answer: Result<Receipt, PublishError>, to_stdout: bool) {
        let receipt = match answer {
            Ok(receipt) => receipt,
            Err(error) => {
                match error {
                    PublishError::Store(_) => self.refused += 1,
                    _ => self.bad += 1,
                }
                return console.bad_line(number, &error.to_string());
            }
        };
        self.published += 1;
        if receipt.filtered.is_none() && receipt.matched == usize::from(to_stdout) {
            self.unmatched += 1;
        }
        if receipt.duplicates > 0 {
            self.duplicates += 1;
        }
        if !receipt.refused.is_empty() {
            self.refused += 1;
        }
        for refusal in &receipt.refused {
            let why = format!(
                "{} did not get it ({}): {}",
                refusal.handler, refusal.class, refusal.message
            );
            console.bad_line(number, &why);
        }
    }
}

/// A bar where stdin is a file, whose size is known; else a count.
fn show_progress(console: &Console) {
    let bar = console.bar();
    let (template, size) = match size_of_stdin() {
        Some(size) => ("{bar:30} {bytes}/{total_bytes}  {msg}  {elapsed}", Some(size)),
        None => ("{spinner} {bytes}  {msg}  {elapsed}", None),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    if let Some(size) = size {
        bar.set_length(size);
    }
    bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(200));
}

fn size_of_stdin() -> Option<u64> {
    use std::os::fd::AsFd;
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let metadata = std::fs::File::from(stdin).metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}
