//! What the host calls, in terms of what the author wrote.

use std::thread::LocalKey;

use super::Slot;
use super::bindings::filtering::exports::palisade::plugin::filter;
use super::bindings::handling::exports::palisade::plugin::handler;
use super::bindings::life::exports::palisade::plugin::plugin;
use super::bindings::life::palisade::plugin::types;
use crate::running::{Life, Running, RunningFilter};
use crate::{Failure, Filter, Plugin};

/// What `plugin!` and `filter!` implement on a type of their own; the exports follow from it.
pub trait Component: 'static {
    /// What `start` makes.
    type Instance: Life + 'static;

    /// Where it is kept.
    fn slot() -> &'static LocalKey<Slot<Self::Instance>>;
}

/// What a call gets that comes before `start`.
const NOT_STARTED: &str = "not started: the host has to call `start` first";

impl<C: Component> plugin::Guest for C {
    fn describe() -> plugin::Info {
        C::Instance::describe().into()
    }

    fn start(config: String) -> Result<(), String> {
        let instance = C::Instance::start(&config)?;
        C::slot().with(|slot| slot.fill(instance));
        Ok(())
    }

    fn stop() {
        C::slot().with(|slot| slot.with(Life::stop));
    }

    fn health() -> Result<(), String> {
        C::slot()
            .with(|slot| slot.with(|instance| instance.health()))
            .unwrap_or_else(|| Err(NOT_STARTED.to_owned()))
    }
}

impl<P: Plugin, C: Component<Instance = Running<P>>> handler::Guest for C {
    fn handle(handler: u32, event: types::Event, delivery: types::Delivery) -> Result<(), types::Failure> {
        let outcome = C::slot().with(|slot| slot.with(|plugin| plugin.handle(handler, &event.into(), delivery.into())));
        outcome
            .unwrap_or_else(|| Err(Failure::reject(NOT_STARTED)))
            .map_err(Into::into)
    }
}

impl<F: Filter, C: Component<Instance = RunningFilter<F>>> filter::Guest for C {
    /// Before `start` nothing is accepted: a filter that isn't there must not let through what it is there to hold
    /// back.
    fn accepts(event: types::Event) -> bool {
        C::slot()
            .with(|slot| slot.with(|filter| filter.accepts(&event.into())))
            .unwrap_or(false)
    }
}
