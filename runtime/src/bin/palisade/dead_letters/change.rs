//! `palisade dead-letters redrive` and `purge`.

use anyhow::Result;
use palisade::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterStore, DurableStore, RedriveError, Redriven};

use super::arguments::ChangeArguments;
use super::pages::Pages;
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
        match self.change {
            _ if self.is_dry => {
                let mut pages = Pages::new(self.store, filter);
                loop {
                    let page = pages.next(u64::MAX).await?;
                    if page.is_empty() {
                        return Ok(());
                    }
                    for letter in page {
                        self.count(letter.id, self.would(&letter));
                    }
                }
            }
            Change::Redrive => {
                let Redriven { sent, refused, .. } = self.store.redrive_all(&filter).await?;
                self.done = sent;
                for (id, why) in refused {
                    self.count(id, Err(why.to_string()));
                }
            }
            Change::Purge => self.done = self.store.purge(&filter).await?,
        }
        Ok(())
    }

    /// Those with these numbers.
    async fn these(&mut self, ids: &[DeadLetterId]) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            self.count(id, self.one(id).await);
        }
    }

    fn count(&mut self, DeadLetterId(id): DeadLetterId, answer: Result<(), String>) {
        let Err(why) = answer else {
            self.done += 1;
            return;
        };
        self.refused += 1;
        let why = text::printable(&why);
        self.console.warn(&format!("dead letter {id} was refused: {why}"));
    }

    /// One of them; or why not.
    async fn one(&self, id: DeadLetterId) -> Result<(), String> {
        let letter = match (self.change, self.is_dry) {
            (Change::Redrive, false) => return self.store.redrive(id).await.map_err(|error| error.to_string()),
            (Change::Purge, false) => self.store.take(id).await,
            (_, true) => self.store.get(id).await,
        };
        let letter = letter.map_err(|error| error.to_string())?;
        let letter = letter.ok_or_else(|| RedriveError::NotFound(id).to_string())?;
        self.would(&letter)
    }

    /// What would come of it; or why nothing.
    fn would(&self, letter: &DeadLetter) -> Result<(), String> {
        match letter.handler {
            None if self.change == Change::Redrive => Err(RedriveError::Undeliverable(letter.id).to_string()),
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
            refused => format!("; refused: {}", text::number(refused)),
        };
        format!("{what}: {}{refused}\n", text::number(self.done))
    }
}
