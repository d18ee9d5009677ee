//! The command line of `palisade dead-letters`.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use palisade::{DeadLetterFilter, DeadLetterId, DeadLetterReason};

use crate::moment::moment;

/// What `palisade dead-letters` is called with.
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct DeadLettersArguments {
    #[command(flatten)]
    pub(super) place: PlaceArguments,
    #[command(subcommand)]
    pub(super) command: DeadLettersCommand,
}

/// Which store; one of the two has to be there.
#[derive(Args)]
pub(super) struct PlaceArguments {
    /// The data directory that they are in.
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// The data directory of this config file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(super) enum DeadLettersCommand {
    /// List them, the oldest first.
    List(ListArguments),
    /// Show all of one, its event included.
    Show(ShowArguments),
    /// Send them again: each to the handler that it was for, when that is started next.
    #[command(after_help = REDRIVE_HELP)]
    Redrive(ChangeArguments),
    /// Throw them away.
    #[command(after_help = PURGE_HELP)]
    Purge(ChangeArguments),
}

#[derive(Args)]
#[command(after_help = LIST_HELP)]
pub(super) struct ListArguments {
    #[command(flatten)]
    pub(super) filter: FilterArguments,
    /// At most so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
    /// One JSON object a line, event included.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
#[command(after_help = SHOW_HELP)]
pub(super) struct ShowArguments {
    /// Its number.
    #[arg(value_parser = id)]
    pub(super) id: DeadLetterId,
    /// Show it as one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct ChangeArguments {
    /// Their numbers.
    #[arg(value_name = "ID", value_parser = id, conflicts_with_all = FILTERS)]
    pub(super) ids: Vec<DeadLetterId>,
    /// All that there are.
    #[arg(long, conflicts_with_all = FILTERS, conflicts_with = "ids")]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) filter: FilterArguments,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

const FILTERS: [&str; 4] = ["handler", "class", "since", "until"];

/// Which ones are meant: those for which all holds that is given.
#[derive(Args)]
pub(super) struct FilterArguments {
    /// Those of this handler, such as `auth-enhancer/logins`; a plugin's name means all its handlers.
    #[arg(long)]
    handler: Option<String>,
    /// Those that are here for this reason, such as `timeout`, `rejected`, `orphaned` or `hop-limit`.
    #[arg(long, value_name = "CLASS")]
    class: Option<DeadLetterReason>,
    /// Those that ended here then or later: a time such as `2026-01-31T12:00:00Z`, or so long ago, such as `2h`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<SystemTime>,
    /// Those that ended here before then.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<SystemTime>,
}

impl ChangeArguments {
    /// Whether it says which; that nothing means all is not to be found out by accident.
    pub(super) fn says_which(&self) -> bool {
        self.all || !self.ids.is_empty() || self.filter.filter() != DeadLetterFilter::all()
    }
}

impl FilterArguments {
    pub(super) fn filter(&self) -> DeadLetterFilter {
        let mut filter = DeadLetterFilter::all();
        filter.handler.clone_from(&self.handler);
        (filter.reason, filter.since, filter.until) = (self.class, self.since, self.until);
        filter
    }
}

fn id(text: &str) -> Result<DeadLetterId, String> {
    let number = text.parse().map(DeadLetterId);
    number.map_err(|_| "no number of a dead letter, as `palisade dead-letters list` shows it".to_owned())
}

const HELP: &str = "\
A dead letter is an event that a handler did not get, or could not handle. With a data-dir in the
config they are kept there. These commands are for a data directory that no server is using: stop
the server first.

Examples:
  palisade dead-letters --data-dir data list --since 2h
      what went wrong in the last two hours
  palisade dead-letters --config palisade.toml show 7
      all of one
  palisade dead-letters --data-dir data redrive --handler auth-enhancer --dry-run
      what would be sent again
  palisade dead-letters --data-dir data purge --class rejected --until 7d
      throw away what was rejected more than a week ago

Exit codes: 0 done, 1 the store can't be opened or read, or what `show` asks for is not there,
2 wrong usage, 3 some could not be sent again or were not there.";

const LIST_HELP: &str = "\
Times are in UTC. `--handler` and the others narrow it down together.

Examples:
  palisade dead-letters --data-dir data list --class timeout --limit 20
  palisade dead-letters --data-dir data list --json | jq -r .event.id

Exit codes: 0 listed, 1 the store can't be opened or read, 2 wrong usage.";

const SHOW_HELP: &str = "\
Examples:
  palisade dead-letters --data-dir data show 7
  palisade dead-letters --data-dir data show 7 --json | jq -c .event | palisade call plugin.wasm -

Exit codes: 0 shown, 1 it is not there, or the store can't be opened or read, 2 wrong usage.";

const REDRIVE_HELP: &str = "\
Say which: by number, by what they have in common, or all of them.

Each one becomes a delivery again, past the deduplication: its event, with the same id, goes to the
same handler and to no other, when that is started next. If it fails again it is a dead letter
again, by another number. One that never had a handler, as after too many hops, is refused.

Examples:
  palisade dead-letters --data-dir data redrive 7 8
  palisade dead-letters --data-dir data redrive --class unavailable --since 2026-01-31T12:00:00Z

Exit codes: 0 done, 1 the store can't be opened or read, 2 wrong usage, 3 some were refused or were
not there; the others were done.";

const PURGE_HELP: &str = "\
Say which: by number, by what they have in common, or all of them. What is thrown away is gone.

Examples:
  palisade dead-letters --data-dir data purge --all --dry-run
  palisade dead-letters --data-dir data purge --class rejected --until 7d

Exit codes: 0 done, 1 the store can't be opened or read, 2 wrong usage, 3 some were not there; the
others were done.";
