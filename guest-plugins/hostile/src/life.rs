//! The sins outside `handle`.

use palisade_sdk::prelude::*;
use serde::Deserialize;

use crate::report;
use crate::sins::{fault, time};

/// The config: `{ in-start = "spin" }`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) in_start: Life,
    pub(crate) in_stop: Life,
    pub(crate) in_health: Life,
    /// What `blab` tells.
    pub(crate) secret: String,
}

/// What to do there.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Life {
    /// What a decent plugin does.
    #[default]
    Nothing,
    /// Never return, computing.
    Spin,
    /// Never return, waiting in the host.
    Sleep,
    /// End in a trap.
    Trap,
    /// End in a trap if there is a file `/mark/trap`: unlike the others, a sin that can come and go between two starts.
    TrapIfMarked,
    /// End in a panic.
    Panic,
    /// Return an error. `stop` has none to return, and does nothing.
    Error,
    /// Publish a report. `health` may not, and tells by its error what the host answered.
    Publish,
    /// Subscribe the handler to `other.>`, as only `start` can.
    Subscribe,
    /// The same, and then return an error.
    SubscribeAndFail,
}

pub(crate) fn in_start(life: Life, bus: &Bus) -> Result<(), StartError> {
    match life {
        Life::Error => return Err("hostile refuses to start".into()),
        Life::Publish => drop(bus.publish(report::draft("in-start", json!({}))?)?),
        Life::Subscribe => bus.subscribe("other.>", "sin")?,
        Life::SubscribeAndFail => {
            bus.subscribe("other.>", "sin")?;
            return Err("hostile subscribes and refuses to start".into());
        }
        other => common(other),
    }
    Ok(())
}

pub(crate) fn in_stop(life: Life, bus: &Bus) {
    match life {
        Life::Publish => match report::draft("in-stop", json!({})).map(|draft| bus.publish(draft)) {
            Ok(Ok(_)) => {}
            refused => log::error!("in-stop: {refused:?}"),
        },
        other => common(other),
    }
}

pub(crate) fn in_health(life: Life) -> Result<(), String> {
    match life {
        Life::Error => Err("hostile is not well".to_owned()),
        Life::Publish => Err(format!("a publish in health: {}", publish_where_none_may())),
        other => {
            common(other);
            Ok(())
        }
    }
}

/// Told in the description, for want of another way out.
pub(crate) fn in_describe() -> String {
    format!("A publish in describe: {}", publish_where_none_may())
}

fn common(life: Life) {
    match life {
        Life::Nothing | Life::Error | Life::Publish | Life::Subscribe | Life::SubscribeAndFail => {}
        Life::Spin => time::spin_for_ever(),
        Life::Sleep => time::sleep_for_ever(),
        Life::TrapIfMarked if !std::path::Path::new("/mark/trap").exists() => {}
        Life::Trap | Life::TrapIfMarked => fault::abort(),
        Life::Panic => fault::panic_with("hostile panics outside handle"),
    }
}

/// Past the SDK, which offers no bus there.
#[cfg(target_arch = "wasm32")]
fn publish_where_none_may() -> String {
    use palisade_sdk::__private::handling::palisade::plugin::bus;
    let event = bus::Draft {
        type_: "hostile.report".to_owned(),
        data: Vec::new(),
        content_type: None,
        metadata: Vec::new(),
    };
    format!("{:?}", bus::publish(&event))
}

#[cfg(not(target_arch = "wasm32"))]
fn publish_where_none_may() -> String {
    "not tried, this is no component".to_owned()
}
