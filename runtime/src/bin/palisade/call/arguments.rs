use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use palisade::{FsMode, Pattern, PatternError, is_reserved};
use serde_json::Value;

use crate::arguments::{size, time};

/// What `palisade call` is called with.
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct CallArguments {
    /// The component.
    #[arg(value_name = "FILE.wasm")]
    pub(super) file: PathBuf,
    /// The event, one CloudEvents JSON; `-` reads it from stdin.
    #[arg(value_name = "EVENT.json")]
    pub(super) event: PathBuf,
    /// Take grants, config and limits from the table of the component in this config file. The arguments below come on top.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The name of that table, where it is not told by the component's path.
    #[arg(long, requires = "config")]
    pub(super) name: Option<String>,
    /// Let it publish types that match.
    #[arg(long, value_name = "PATTERN", value_parser = publishable)]
    pub(super) grant_publish: Vec<Pattern>,
    /// Narrow what it is subscribed to, and let it subscribe within that at run time.
    #[arg(long, value_name = "PATTERN")]
    pub(super) grant_subscribe: Vec<Pattern>,
    /// Show it a variable of the environment.
    #[arg(long, value_name = "NAME")]
    pub(super) env: Vec<String>,
    /// Let it use a directory; `read` where no mode is given.
    #[arg(long, value_name = "HOST:GUEST[:read|write]")]
    pub(super) fs: Vec<Directory>,
    /// Give it a key-value store, empty at first and gone after the call.
    #[arg(long)]
    pub(super) key_value: bool,
    /// Set a value of its config: JSON, or a text where it is none.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<Setting>,
    /// The longest the call may take.
    #[arg(long, value_parser = time)]
    pub(super) timeout: Option<Duration>,
    /// How much fuel one call may burn: `describe` and `start` count too, each may burn as much. Without it, fuel is not
    /// metered.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) fuel: Option<u64>,
    /// How much memory it may have.
    #[arg(long, value_parser = size)]
    pub(super) memory: Option<usize>,
    /// Show what happened as one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

const HELP: &str = "\
Every handler of the plugin that takes events of this type gets it, once: one that fails is not
tried again, even if it asks for that. Nothing is granted unless you say so.
What the plugin logs is shown with --log-level info.

Examples:
  palisade call auth-enhancer.wasm event.json --grant-publish 'auth.*' --set threshold=1
  palisade call audit-logger.wasm event.json --fs ./audit:/audit:write --set file=/audit/audit.ndjson
  palisade call plugin.wasm event.json --config palisade.toml --json
  head -1 events.ndjson | palisade call plugin.wasm - --timeout 2s --fuel 1000000

Exit codes: 0 the event was handled, 1 the plugin could not be started (--json shows the error on
stdout as well), 2 wrong usage, 3 the event was refused or not handled.";

/// As in a config file, a grant for nothing but types of the host's is a mistake.
fn publishable(text: &str) -> Result<Pattern, String> {
    if is_reserved(text) {
        return Err("host events are published by the host only".to_owned());
    }
    text.parse().map_err(|error: PatternError| error.to_string())
}

/// `HOST:GUEST[:MODE]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) host: PathBuf,
    pub(super) guest: String,
    pub(super) mode: FsMode,
}

impl FromStr for Directory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, mode) = match text.rsplit_once(':') {
            Some((rest, "read")) => (rest, FsMode::Read),
            Some((rest, "write")) => (rest, FsMode::Write),
            _ => (text, FsMode::Read),
        };
        match rest.rsplit_once(':') {
            Some((host, guest)) if !host.is_empty() && guest.starts_with('/') => Ok(Self {
                host: host.into(),
                guest: guest.to_owned(),
                mode,
            }),
            _ => {
                Err("it takes a directory, an absolute path for the plugin, and a mode: ./rules:/rules:read".to_owned())
            }
        }
    }
}

/// `KEY=VALUE`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: Value,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: serde_json::from_str(value).unwrap_or_else(|_| value.into()),
            }),
            _ => Err("it takes a key and a value: threshold=5".to_owned()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_a_mode_at_its_end_or_none() {
        let parse = |text: &str| text.parse::<Directory>();
        let of = |host: &str, mode| {
            Ok(Directory {
                host: host.into(),
                guest: "/g".to_owned(),
                mode,
            })
        };
        assert_eq!(parse("./a:/g"), of("./a", FsMode::Read));
        assert_eq!(parse("a:b:/g:write"), of("a:b", FsMode::Write));
        for wrong in ["a", "a:g", ":/g", "a:/g:both", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_is_json_or_a_text() {
        let value = |text: &str| text.parse::<Setting>().unwrap().value;
        assert_eq!(
            [value("a=5"), value("a=true"), value("a=[1]")],
            [serde_json::json!(5), true.into(), vec![1].into()]
        );
        assert_eq!(
            [value("a=60s"), value("a="), value("a=b=c")],
            ["60s", "", "b=c"].map(Value::from)
        );
        assert!("a".parse::<Setting>().is_err() && "=5".parse::<Setting>().is_err());
    }
}
