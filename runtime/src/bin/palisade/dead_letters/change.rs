//! `palisade dead-letters redrive` and `purge`.

use anyhow::Result;
use futures_util::future::join_all;
use palisade::{DeadLetterFilter, DeadLetterId, DeadLetterStore, DurableStore, RedriveError};

use super::arguments::ChangeArguments;
use super::pages::{PAGE, Pages};
use crate::console::Console;
use crate::exit::Exit;
use crate::{show, text};

/// What is done with dead letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Redrive,
    Purge,
}

/// How it is done, and what came of it so far.
struct Work<'a> {
    change: Change,
    is_dry: bool,
    store: &'a DurableStore,
    console: &'a Console,
    done: u64,
    refused: u64,
}

pub(super) async fn run(
    change: Change,
    arguments: &ChangeArguments,
    store: &DurableStore,
    console: &Console,
) -> Result<Exit> {
    let mut work = Work {
        change,
        is_dry: arguments.dry_run,
        store,
        console,
        done: 0,
        refused: 0,
    };
    if arguments.ids.is_empty() {
        work.those(arguments.filter.filter()).await?;
    } else {
        work.these(&arguments.ids).await;
    }
    show::print(&work.told())?;
    Ok(if work.refused == 0 { Exit::Ok } else { Exit::Incomplete })
}

impl Work<'_> {
    /// Those that match.
    async fn those(&mut self, filter: DeadLetterFilter) -> Result<()> {
        if self.change == Change::Purge && !self.is_dry {
            // Damaged ones included, which no page has.
            self.done = self.store.purge(&filter).await?;
            return Ok(());
        }
        let mut pages = Pages::new(self.store, filter);
        loop {
            let page = pages.next(u64::MAX).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.page(page.iter().map(|letter| letter.id)).await;
        }
    }

    /// Those with these numbers.
    async fn these(&mut self, ids: &[DeadLetterId]) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        for ids in ids.chunks(PAGE) {
            self.page(ids.iter().copied()).await;
        }
    }

    /// Some of them together, so that they share their commits.
    async fn page(&mut self, ids: impl Iterator<Item = DeadLetterId> + Clone) {
        let answers = join_all(ids.clone().map(|id| self.one(id))).await;
        for (DeadLetterId(id), answer) in ids.zip(answers) {
            match answer {
                Ok(()) => self.done += 1,
                Err(why) => {
                    self.refused += 1;
                    let why = text::printable(&why);
                    self.console.warn(&format!("dead letter {id} is left as it is: {why}"));
                }
            }
        }
    }

    /// One of them; or why not.
    async fn one(&self, id: DeadLetterId) -> Result<(), String> {
        let told = |error: RedriveError| error.to_string();
        if self.change == Change::Redrive && !self.is_dry {
            return self.store.redrive(id).await.map_err(told);
        }
        let letter = match self.is_dry {
            true => self.store.get(id).await,
            false => self.store.take(id).await,
        };
        let letter = letter.map_err(|error| error.to_string())?;
        let letter = letter.ok_or_else(|| told(RedriveError::NotFound(id)))?;
        match letter.handler {
            None if self.change == Change::Redrive => Err(told(RedriveError::Undeliverable(id))),
            _ => Ok(()),
        }
    }

    fn told(&self) -> String {
        let what = match (self.change, self.is_dry) {
            (Change::Redrive, false) => "sent again, when their handlers are started next",
            (Change::Redrive, true) => "would be sent again",
            (Change::Purge, false) => "thrown away",
            (Change::Purge, true) => "would be thrown away",
        };
        let refused = match self.refused {
            0 => String::new(),
            refused => format!("; left as they are: {}", text::number(refused)),
        };
        format!("{what}: {}{refused}\n", text::number(self.done))
    }
}
