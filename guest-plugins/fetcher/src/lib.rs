//! Sends the HTTP requests that events ask for, and publishes what came of them. `http` is what a plugin author would copy.
//!
//! - `fetch.order`: the data is an `order::Order`; answered by `fetch.report` with `{"answers": [...]}`.
//! - `fetch.resume`: goes on with what earlier orders have kept; answered alike.
//! - `fetch.unsent`: the data is an `unsent::Unsent`; makes requests and keeps them; answered alike.
//! - Its config is `{ in-start = ORDER, in-stop = ORDER, in-health = ORDER }`, each carried out there. What happens in `describe`,
//!   where nothing is granted, its description tells.

mod http;
mod order;
mod unsent;

use order::{Kept, Order};
use palisade_sdk::prelude::*;
use serde::Deserialize;
use unsent::Unsent;
use wasip2::http::types::OutgoingRequest;

struct Fetcher {
    settings: Settings,
    kept: Kept,
    unsent: Vec<OutgoingRequest>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
struct Settings {
    in_start: Option<Order>,
    in_stop: Option<Order>,
    in_health: Option<Order>,
}

impl Plugin for Fetcher {
    fn info() -> Info {
        let told = Order::get("describe.test").carry_out(&mut Kept::default());
        let description = format!("{} In describe: {told:?}", env!("CARGO_PKG_DESCRIPTION"));
        Info::new("fetcher", env!("CARGO_PKG_VERSION")).description(description)
    }

    fn handlers() -> Vec<Handler<Self>> {
        vec![
            Handler::new("fetch", Self::fetch)
                .on("fetch.order")
                .on("fetch.resume")
                .on("fetch.unsent"),
        ]
    }

    fn start(config: &Config, bus: &Bus) -> Result<Self, StartError> {
        let settings: Settings = config.parse()?;
        let mut kept = Kept::default();
        if let Some(order) = &settings.in_start {
            bus.publish(report(order.carry_out(&mut kept))?)?;
        }
        Ok(Self {
            settings,
            kept,
            unsent: Vec::new(),
        })
    }

    fn stop(&mut self, bus: &Bus) {
        if let Some(order) = &self.settings.in_stop {
            let answers = order.carry_out(&mut self.kept);
            if let Err(error) = report(answers).map(|draft| bus.publish(draft)) {
                palisade_sdk::log::error!("no report of stop: {error}");
            }
        }
    }

    fn health(&self) -> Result<(), String> {
        match &self.settings.in_health {
            None => Ok(()),
            Some(order) => Err(format!("{:?}", order.carry_out(&mut Kept::default()))),
        }
    }
}

impl Fetcher {
    fn fetch(&mut self, event: &Event, cx: &Context) -> Result<(), Failure> {
        let answers = match event.event_type() {
            "fetch.resume" => self.kept.resume(),
            "fetch.unsent" => event.json::<Unsent>()?.make(&mut self.unsent),
            _ => event.json::<Order>()?.carry_out(&mut self.kept),
        };
        cx.publish(report(answers)?)?;
        Ok(())
    }
}

fn report(answers: Vec<serde_json::Value>) -> Result<Draft, serde_json::Error> {
    Draft::json("fetch.report", &json!({ "answers": answers }))
}

palisade_sdk::plugin!(Fetcher);
