use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::grants::GrantArguments;
use crate::arguments::{size, time};
use crate::table::TableArguments;

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
    #[command(flatten)]
    pub(super) table: TableArguments,
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
    #[command(flatten)]
    pub(super) grants: GrantArguments,
}

const HELP: &str = "\
Every handler of the plugin that takes events of this type gets it, once: one that fails is not
tried again, even if it asks for that. Nothing is granted unless you say so, here or in the table of
--config; what is said here comes on top of the table, and `ceilings` of that config still cut it.
The store of data-dir is not opened: the plugin's key-value store is empty, and nothing is kept.
What the plugin logs is shown with --log-level info.

Examples:
  palisade call auth-enhancer.wasm event.json --grant-publish 'auth.*' --set threshold=1
  palisade call audit-logger.wasm event.json --fs ./audit:/audit:write --set file=/audit/log
  palisade call plugin.wasm event.json --http https://api.example.com
  palisade call plugin.wasm event.json --http-private http://localhost:8080
  palisade call plugin.wasm event.json --config palisade.toml --json
  head -1 events.ndjson | palisade call plugin.wasm - --timeout 2s --fuel 1000000

Exit codes: 0 the event was handled, 1 the plugin could not be started (--json shows the error on
stdout as well), 2 wrong usage, 3 the event was refused or not handled.";

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
