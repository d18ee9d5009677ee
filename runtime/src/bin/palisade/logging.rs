//! The log: `tracing`, to stderr.

use std::io::{self, IsTerminal};

use anyhow::{Result, anyhow};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::arguments::{Command, LogArguments, LogFormat, LogLevel};
use crate::console::Console;

/// The variable for filters that `--log-level` can't say.
const VARIABLE: &str = "PALISADE_LOG";

/// Sets up the log; `--log-level` beats PALISADE_LOG, which beats what the command has by default.
pub(crate) fn init(arguments: &LogArguments, command: &Command, console: &Console) -> Result<()> {
    let filter = filter(
        arguments.log_level,
        std::env::var(VARIABLE).ok().as_deref(),
        default_of(command),
    )?;
    let log = fmt()
        .with_env_filter(filter)
        .with_writer(console.clone())
        .log_internal_errors(false);
    match console.format() {
        LogFormat::Json => log.json().init(),
        LogFormat::Pretty => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            log.with_ansi(colours).with_target(false).init();
        }
    }
    Ok(())
}

fn default_of(command: &Command) -> LogLevel {
    match command {
        Command::Run(_) => LogLevel::Info,
        Command::Check(_)
        | Command::Inspect(_)
        | Command::Call(_)
        | Command::DeadLetters(_)
        | Command::CompileChild => LogLevel::Warn,
    }
}

fn filter(level: Option<LogLevel>, variable: Option<&str>, default: LogLevel) -> Result<EnvFilter> {
    let directives = match (level, variable) {
        (Some(level), _) => directives(level).to_owned(),
        (None, Some(filters)) if !filters.trim().is_empty() => filters.to_owned(),
        (None, _) => directives(default).to_owned(),
    };
    let wrong = |error| anyhow!("{VARIABLE}: {error}; it takes filters such as `warn,palisade::guest=debug`");
    EnvFilter::try_new(directives).map_err(wrong)
}

/// What is more than a warning concerns ourselves and the guests, not the crates below.
fn directives(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Off => "off",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "warn,palisade=info",
        LogLevel::Debug => "warn,palisade=debug",
        LogLevel::Trace => "warn,palisade=trace",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(level: Option<LogLevel>, variable: Option<&str>) -> String {
        filter(level, variable, LogLevel::Warn).unwrap().to_string()
    }

    #[test]
    fn the_argument_beats_the_variable_and_that_the_default() {
        assert_eq!(shown(Some(LogLevel::Off), Some("debug")), "off");
        assert_eq!(shown(None, Some("debug")), "debug");
        assert_eq!(
            (shown(None, Some(" ")), shown(None, None)),
            ("warn".to_owned(), "warn".to_owned())
        );
    }

    #[test]
    fn a_variable_that_is_no_filter_is_named() {
        let error = filter(None, Some("palisade=loud"), LogLevel::Warn)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("PALISADE_LOG: "), "{error}");
    }
}
