//! From lines to the bus: counts what becomes of each.

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
    /// The line that is being published.
    current: Option<u64>,
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
            current: None,
        })
    }

    /// Publishes line after line until the end of stdin, and then waits until all that follows from them is done with.
    ///
    /// Cancellation: what was published is under way; [`end`](Self::end) tells of a line that was not.
    pub(crate) async fn run(&mut self, runtime: &Runtime, stdout: &Stdout) -> Result<()> {
        while let Some(batch) = self.batches.recv().await {
            for line in batch.context("stdin can't be read")? {
                self.standstill.written(line.number, stdout.room()).await;
                self.console.bar().inc(line.bytes);
                self.take(line, runtime, stdout).await;
            }
            self.console
                .bar()
                .set_message(format!("{} events", crate::text::number(self.tally.lines)));
        }
        runtime.quiet().await;
        stdout.flushed().await;
        Ok(())
    }

    /// Reads no more. A line whose event was waiting for room in a queue is reported: its event may be in other queues.
    pub(crate) fn end(mut self) -> Tally {
        self.console.bar().finish_and_clear();
        if let Some(number) = self.current.take() {
            self.tally.refused += 1;
            self.console.bad_line(
                number,
                "not every handler got it: the run was ended before its queue had room",
            );
        }
        self.tally
    }

    async fn take(&mut self, Line { number, event, .. }: Line, runtime: &Runtime, stdout: &Stdout) {
        self.tally.lines += 1;
        let event = match event {
            Ok(event) => event,
            Err(why) => return self.bad(number, &why),
        };
        self.current = Some(number);
        let publish = runtime.publish_async(event.clone());
        let answer = self.standstill.published(number, runtime, publish).await;
        self.current = None;
        self.count(number, &event, answer, stdout);
    }

    fn count(&mut self, number: u64, event: &Event, answer: Result<Receipt, PublishError>, stdout: &Stdout) {
        let receipt = match answer {
            Ok(receipt) => receipt,
            Err(error @ PublishError::Store(_)) => {
                self.tally.refused += 1;
                return self.console.bad_line(number, &error.to_string());
            }
            Err(error) => return self.bad(number, &error.to_string()),
        };
        self.tally.published += 1;
        let is_filtered = receipt.filtered.is_some();
        if !is_filtered && receipt.matched == usize::from(stdout.matches(event.event_type())) {
            self.tally.unmatched += 1;
        }
        if receipt.duplicates > 0 {
            self.tally.duplicates += 1;
        }
        if !receipt.refused.is_empty() {
            self.tally.refused += 1;
        }
        for refusal in &receipt.refused {
            let why = format!(
                "{} did not get it ({}): {}",
                refusal.handler, refusal.class, refusal.message
            );
            self.console.bad_line(number, &why);
        }
    }

    fn bad(&mut self, number: u64, why: &str) {
        self.tally.bad += 1;
        self.console.bad_line(number, why);
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
