//! Does what it is told with its key-value store, its config and its clocks, for the runtime's tests.
//!
//! The data of an event `ledger.do` are a list of `Op`s, done one after the other; what each was answered is published
//! together as `ledger.report`, `{"answers": [...]}`, and comes out only if the call returns ok. The config has such lists
//! for the rest of its life: `in-start`, `in-stop` and `in-health`. What `describe` is answered is its description.

mod op;
#[cfg(target_arch = "wasm32")]
mod wasi;

use op::{Op, Turn};
use palisade_sdk::kv::Store;
use palisade_sdk::prelude::*;
use serde::Deserialize;

struct Ledger {
    settings: Settings,
    /// Stores opened to have many of them.
    hoard: Vec<Store>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Settings {
    in_start: Vec<Op>,
    in_stop: Vec<Op>,
    in_health: Vec<Op>,
}

impl Plugin for Ledger {
    fn info() -> Info {
        let ops = [
            Op::Set("described".into(), "x".into()),
            Op::Get("kept".into()),
            Op::ConfigAll,
        ];
        let description = match Turn::default().all(&ops) {
            Ok(answers) => answers.to_string(),
            Err(failure) => failure.to_string(),
        };
        Info::new("ledger", env!("CARGO_PKG_VERSION")).description(description)
    }

    fn handlers() -> Vec<Handler<Self>> {
        vec![Handler::new("do", Self::act).on("ledger.do")]
    }

    fn start(config: &Config, bus: &Bus) -> Result<Self, StartError> {
        let settings: Settings = config.parse()?;
        if !settings.in_start.is_empty() {
            let answers = Turn::default().all(&settings.in_start)?;
            bus.publish(report("start", answers)?)?;
        }
        Ok(Self {
            settings,
            hoard: Vec::new(),
        })
    }

    fn stop(&mut self, bus: &Bus) {
        if self.settings.in_stop.is_empty() {
            return;
        }
        let answers = Turn::default().all(&self.settings.in_stop);
        if let Some(draft) = answers.ok().and_then(|answers| report("stop", answers).ok()) {
            let _ = bus.publish(draft);
        }
    }

    /// Told by an error, for want of another way out.
    fn health(&self) -> Result<(), String> {
        if self.settings.in_health.is_empty() {
            return Ok(());
        }
        let answers = Turn::default().all(&self.settings.in_health);
        Err(answers.map_or_else(|failure| failure.to_string(), |answers| answers.to_string()))
    }
}

impl Ledger {
    fn act(&mut self, event: &Event, cx: &Context) -> Result<(), Failure> {
        let ops: Vec<Op> = event.json()?;
        let mut turn = Turn::at(cx.attempt());
        let answers = turn.all(&ops)?;
        self.hoard.append(&mut turn.hoard);
        cx.publish(report("handle", answers)?)?;
        Ok(())
    }
}

fn report(call: &str, answers: serde_json::Value) -> Result<Draft, serde_json::Error> {
    Draft::json("ledger.report", &json!({ "call": call, "answers": answers }))
}

palisade_sdk::plugin!(Ledger);

#[cfg(test)]
mod tests;
