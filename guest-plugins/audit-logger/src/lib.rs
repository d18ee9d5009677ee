//! Keeps a record of who logged in, which data changed and which plugins ran: one line of JSON an event.
//!
//! ```toml
//! [[plugin]]
//! path = "plugins/audit-logger.wasm"
//! config = { file = "/audit/audit.ndjson" }
//! [[plugin.grants.fs]]
//! host = "./audit"
//! guest = "/audit"
//! mode = "write"
//! ```
//!
//! Without `file` the lines go to the plugin's log, level info. With it each event is one line, appended before the
//! event counts as handled. What can't be written is a retry, never a lost line; what comes twice, after a crash, is
//! there twice with the same id. The plugin never shortens the file: rotate it outside, by moving it away. Keep
//! `concurrency = 1`: several instances would mix the parts of long lines.

mod record;
mod sink;

use palisade_sdk::prelude::*;
use record::Record;
use serde::Deserialize;
use sink::Sink;

/// What is audited.
const TYPES: [&str; 7] = [
    "user.login",
    "user.logout",
    "data.created",
    "data.updated",
    "data.deleted",
    "plugin.loaded",
    "plugin.started",
];

struct AuditLogger {
    sink: Sink,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the lines go, as the guest sees it; the log if absent.
    file: Option<String>,
}

impl Plugin for AuditLogger {
    fn info() -> Info {
        Info::new("audit-logger", env!("CARGO_PKG_VERSION")).description(env!("CARGO_PKG_DESCRIPTION"))
    }

    fn handlers() -> Vec<Handler<Self>> {
        let audit = Handler::new("audit", Self::audit).timeout(Duration::from_secs(15));
        vec![TYPES.into_iter().fold(audit, Handler::on)]
    }

    fn start(config: &Config, _bus: &Bus) -> Result<Self, StartError> {
        let settings: Settings = config.parse()?;
        Ok(Self {
            sink: Sink::new(settings.file)?,
        })
    }
}

impl AuditLogger {
    fn audit(&mut self, event: &Event, _cx: &Context) -> Result<(), Failure> {
        self.sink.write(Record::of(event).into_line()?)
    }
}

palisade_sdk::plugin!(AuditLogger);

#[cfg(test)]
mod tests;
