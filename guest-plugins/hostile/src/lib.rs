//! Sins on demand, for the runtime's tests: the type of an event, `hostile.NAME`, picks one of `sins::SINS`.
//!
//! - What the event's data means is each sin's own affair; its doc says it. Numbers are JSON numbers.
//! - A sin that asks the host for something tells the answer in an event `hostile.report` with `{"sin": NAME, ...}`.
//! - What is published only to be published is `hostile.drop`. Neither of the two does anything when it comes back.
//! - An event of any other type comes by a subscription made at run time, and is reported as `other`.
//!
//! Its config picks the sins outside `handle`: `in-start`, `in-stop` and `in-health` (see `life::Life`); `secret` is
//! what it can't keep.

mod data;
mod life;
mod report;
mod sins;

use life::Settings;
use palisade_sdk::prelude::*;
use sins::{Hoard, SINS};

struct Hostile {
    pub(crate) settings: Settings,
    /// How many events this instance was given: shows whether it is a fresh one.
    handled: u64,
    hoard: Hoard,
}

impl Plugin for Hostile {
    fn info() -> Info {
        let description = format!("{} {}", env!("CARGO_PKG_DESCRIPTION"), life::in_describe());
        Info::new("hostile", env!("CARGO_PKG_VERSION")).description(description)
    }

    fn handlers() -> Vec<Handler<Self>> {
        vec![Handler::new("sin", Self::sin).on("hostile.>")]
    }

    fn start(config: &Config, bus: &Bus) -> Result<Self, StartError> {
        let settings: Settings = config.parse()?;
        life::in_start(settings.in_start, bus)?;
        Ok(Self {
            settings,
            handled: 0,
            hoard: Hoard::default(),
        })
    }

    fn stop(&mut self, bus: &Bus) {
        life::in_stop(self.settings.in_stop, bus);
    }

    fn health(&self) -> Result<(), String> {
        life::in_health(self.settings.in_health)
    }
}

impl Hostile {
    fn sin(&mut self, event: &Event, cx: &Context) -> Result<(), Failure> {
        self.handled += 1;
        let Some(name) = event.event_type().strip_prefix("hostile.") else {
            return report::publish(cx, "other", json!({ "type": event.event_type() }));
        };
        if name == "report" || name == "drop" {
            return Ok(());
        }
        match SINS.iter().find(|(sin, _)| *sin == name) {
            Some((_, commit)) => commit(self, event, cx),
            None => Err(Failure::reject(format_args!("there is no sin named `{name}`"))),
        }
    }
}

palisade_sdk::plugin!(Hostile);

#[cfg(test)]
mod tests;
