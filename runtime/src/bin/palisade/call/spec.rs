//! What the plugin is called with: a table of a config file, or the defaults, and the arguments on top.

use anyhow::Result;
use palisade::{DeliveryMode, PluginSpec, RetryPolicy, RuntimeBuilder};

use super::CallArguments;

pub(super) fn of(arguments: &CallArguments) -> Result<(PluginSpec, RuntimeBuilder)> {
    let (mut spec, builder) = arguments.table.of(&arguments.file)?;
    apply(&mut spec, arguments);
    arguments.grants.add_to(&mut spec.grants)?;
    Ok((spec, builder))
}

/// One instance and one attempt are enough for one event, and no store is open that could keep it.
fn apply(spec: &mut PluginSpec, arguments: &CallArguments) {
    (spec.concurrency, spec.retry, spec.mode) = (1, RetryPolicy::none(), DeliveryMode::Ephemeral);
    for handler in spec.handlers.values_mut() {
        (handler.retry, handler.mode) = (None, None);
    }
    spec.limits.timeout = arguments.timeout.unwrap_or(spec.limits.timeout);
    spec.limits.fuel = arguments.fuel.or(spec.limits.fuel);
    spec.limits.memory = arguments.memory.unwrap_or(spec.limits.memory);
    for setting in &arguments.set {
        spec.config = std::mem::take(&mut spec.config).with(&setting.key, setting.value.clone());
    }
}
