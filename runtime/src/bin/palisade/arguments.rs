//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use crate::call::CallArguments;
pub(crate) use crate::dead_letters::DeadLettersArguments;
use crate::table::TableArguments;

/// Runs WebAssembly plugins around an event bus, each in its own sandbox.
#[derive(Parser)]
#[command(name = "palisade", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  palisade inspect plugins/audit-logger.wasm
      what the file is, what it handles, what it asks for
  palisade call plugins/auth-enhancer.wasm event.json --grant-publish 'auth.*'
      give it one event and see what it does
  palisade check --config palisade.toml
      find what would stop a start, without running any plugin's `start`
  palisade run --config palisade.toml --stdin < events.ndjson > published.ndjson
      send events through the plugins; what these publish goes to stdout
  palisade dead-letters --data-dir data list --since 2h
      what could not be delivered; `redrive` sends it again

Exit codes: 0 all well, 1 it could not start or go on, 2 wrong usage, 3 some events were refused or
not delivered; `palisade run --help` and those of the others say more.";

/// What goes to stderr, and how.
#[derive(Args)]
pub(crate) struct LogArguments {
    /// How stderr looks: for people, or one JSON object a line, the summary included.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "pretty",
        value_name = "FORMAT",
        help_heading = "Log"
    )]
    pub(crate) log: LogFormat,
    /// What is logged. By default `info` for `run` and `warn` for the others. PALISADE_LOG takes filters such as
    /// `warn,palisade::guest=debug` instead.
    #[arg(long, global = true, value_enum, value_name = "LEVEL", help_heading = "Log")]
    pub(crate) log_level: Option<LogLevel>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Pretty,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start the plugins of a config file, and serve until SIGTERM or SIGINT, or until the end of stdin.
    Run(RunArguments),
    /// Say what would stop a start, as far as that can be known without running the plugins' own `start`.
    Check(CheckArguments),
    /// Show what a component is, what it handles, what it asks for, and its limits.
    Inspect(InspectArguments),
    /// Give one event to one plugin, and show what becomes of it.
    Call(Box<CallArguments>),
    /// List the events that could not be delivered, show them, send them again or throw them away.
    DeadLetters(DeadLettersArguments),
    /// Compile the component on stdin, within the limits that come with it: what the others start to load a plugin.
    #[command(hide = true)]
    CompileChild,
}

#[derive(Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArguments {
    /// The config file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Read events from stdin, one CloudEvents JSON a line, and end when all of them are done with.
    #[arg(long)]
    pub(crate) stdin: bool,
}

const RUN_HELP: &str = "\
With --stdin every event that a plugin publishes is written to stdout, one CloudEvents JSON a line,
and nothing else is; logs and a summary go to stderr. A line that is no event is reported with its
number, and the rest goes on.

Lines are published in their order, one after the other. A queue that is full holds up the line that
it is full for, and so all that come after it, if its overflow is \"block\", the default: until there
is room, or events.publish-timeout is over and the handler is passed over for that line, which is
reported. From the first second on, stderr says what a line waits for. For a handler that may not
hold up the others, take overflow = \"reject\" or, with a data-dir, mode = \"durable\".

With a data-dir in the config, what durable handlers have not done with when the process ends is
kept there, whichever way it ends, and they get it at the next start. `palisade dead-letters` shows
what could not be delivered.

A first SIGTERM or SIGINT ends it in order: no more events are taken, and those under way are
finished until the time that `drain` in the config says. A second signal ends it at once.

Examples:
  palisade run --config palisade.toml --stdin < events.ndjson
  tail -F events.ndjson | palisade run --config palisade.toml --stdin
  palisade run --config palisade.toml --stdin --log json < events.ndjson 2> run.log

Exit codes:
  0    all delivered; filtered events, repeated ones, those that nobody handles, and what a signal
       left for the next start are no failure
  1    the start failed, or stdout can't be written to
  2    wrong usage
  3    some events were refused, dead-lettered or given up on, or a filter failed to judge them;
       or stdin ended, and some durable ones are kept because they can't be delivered now
  130  a second signal, and that was SIGINT; no summary then
  143  the same, and it was SIGTERM";

#[derive(Args)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct CheckArguments {
    /// The config file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

const CHECK_HELP: &str = "\
Looks at the config, the files that it names, the components and what they describe, their
dependencies on each other, the directories that they are granted, and the store in data-dir, unless
a server is using it. It does not run any plugin's `start`, which may still fail on a config, or for
want of a grant. Of the limits, those are shown that differ from the defaults.

Example:
  palisade check --config palisade.toml && systemctl restart palisade

Exit codes: 0 nothing was found, 1 something would stop a start, 2 wrong usage.";

#[derive(Args)]
#[command(after_help = INSPECT_HELP)]
pub(crate) struct InspectArguments {
    /// The component.
    #[arg(value_name = "FILE.wasm")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) table: TableArguments,
    /// Show it as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

const INSPECT_HELP: &str = "\
Only the component's `describe` is run, with nothing granted. It is shown whatever it asks for:
\"asks for\" names the grants without which `run`, `check` and `call` refuse it. What it would
publish, read or write besides shows only when it runs.

With --config, limits and timeouts are those in force there. A limit that is not the default shows
the default as well, and whether `ceilings` cut it; \"asks for\" says what the table grants.

Examples:
  palisade inspect plugin.wasm
  palisade inspect plugin.wasm --config palisade.toml
  palisade inspect plugin.wasm --json | jq -r .digest

Exit codes: 0 it can be loaded once it is granted what it asks for, 1 it can't (--json shows the
error on stdout as well), 2 wrong usage.";

/// What is longer is a mistake, as in a config file.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What is larger is a mistake, as in a config file.
const LARGEST: u64 = 1 << 40;

/// A time such as `15s`, for arguments.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("it has to be longer than nothing".to_owned()),
        Ok(time) if time > LONGEST => Err("it is longer than 10 years, the most that is taken".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("no time such as 15s or 100ms: {error}")),
    }
}

/// A size such as `64MiB`, for arguments.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let size = text
        .parse::<bytesize::ByteSize>()
        .map_err(|_| "no size such as 64MiB".to_owned())?;
    match usize::try_from(size.as_u64()) {
        Ok(0) => Err("it has to be more than nothing".to_owned()),
        Ok(_) if size.as_u64() > LARGEST => Err("it is beyond 1 TiB, the most that is taken".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("more than this machine can have".to_owned()),
    }
}
