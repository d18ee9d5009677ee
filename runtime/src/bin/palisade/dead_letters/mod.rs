//! `palisade dead-letters`: looks at the dead letters of a data directory that no server is using, sends them again, throws
//! them away.

mod arguments;
mod change;
mod letter;
mod list;
mod pages;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;
use palisade::config::Config;
use palisade::{DeadLetterId, DeadLetterStore, DurableStore, StoreOptions};

use crate::arguments::Arguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::{show, start, store};
pub(crate) use arguments::DeadLettersArguments;
use arguments::{DeadLettersCommand, PlaceArguments, ShowArguments};
use change::Change;
use pages::Pages;

pub(crate) fn run(arguments: &DeadLettersArguments, console: &Console) -> Result<Exit> {
    if let DeadLettersCommand::Redrive(these) | DeadLettersCommand::Purge(these) = &arguments.command
        && !these.says_which()
    {
        let message = "which ones? Give their numbers, or --handler, --class, --since and --until, or --all";
        wrong_usage(ErrorKind::MissingRequiredArgument, message);
    }
    let directory = arguments.place.directory()?;
    let store = store::open_existing(&directory, keeps_all())?;
    start::tokio()?.block_on(ask(&arguments.command, &store, console))
}

async fn ask(command: &DeadLettersCommand, store: &DurableStore, console: &Console) -> Result<Exit> {
    match command {
        DeadLettersCommand::List(list) => list::run(list, Pages::new(store, list.filter.filter())).await,
        DeadLettersCommand::Show(one) => show_one(one, store).await,
        DeadLettersCommand::Redrive(these) => change::run(Change::Redrive, these, store, console).await,
        DeadLettersCommand::Purge(these) => change::run(Change::Purge, these, store, console).await,
    }
}

async fn show_one(arguments: &ShowArguments, store: &DurableStore) -> Result<Exit> {
    let DeadLetterId(id) = arguments.id;
    let Some(letter) = store.get(arguments.id).await? else {
        bail!("there is no dead letter {id} (any more)");
    };
    show::print(&match arguments.json {
        true => letter::json_line(&letter),
        false => letter::in_words(&letter),
    })?;
    Ok(Exit::Ok)
}

/// Ends the process as clap does.
fn wrong_usage(kind: ErrorKind, message: &str) -> ! {
    let mut all = Arguments::command();
    all.build();
    let mut nothing = clap::Command::new("palisade");
    let command = all.find_subcommand_mut("dead-letters").unwrap_or(&mut nothing);
    command.error(kind, message).exit()
}

/// Looking at what is kept is not to throw any of it away, whatever the bounds of the server are.
fn keeps_all() -> StoreOptions {
    const EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    StoreOptions::default()
        .max_bytes(1 << 50)
        .dead_letters(usize::MAX)
        .dead_letter_age(EVER)
        .deduplication(EVER)
}

impl PlaceArguments {
    /// Exactly one of the two is given: what is global can't be required of clap.
    fn directory(&self) -> Result<PathBuf> {
        match (&self.data_dir, &self.config) {
            (Some(directory), None) => Ok(directory.clone()),
            (None, Some(path)) => match Config::from_file(path)?.data_dir {
                Some(directory) => Ok(directory),
                None => bail!(
                    "{}: there is no data-dir in it, so no dead letters are kept",
                    path.display()
                ),
            },
            (Some(_), Some(_)) => wrong_usage(ErrorKind::ArgumentConflict, "give --data-dir or --config, not both"),
            (None, None) => wrong_usage(
                ErrorKind::MissingRequiredArgument,
                "which store? Give --data-dir DIR or --config FILE",
            ),
        }
    }
}
