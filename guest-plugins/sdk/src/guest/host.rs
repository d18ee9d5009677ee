//! The host's functions, in the SDK's types. `testing::host` has the same ones for tests.

use super::bindings::handling::palisade::plugin::bus;
use super::bindings::life::palisade::plugin::context;
use super::bindings::life::wasi::logging::logging;
use crate::log::Level;
use crate::{Draft, PublishError, SubscribeError};

pub(crate) use context::{all_metadata, content_type, metadata};

pub(crate) fn publish(draft: Draft) -> Result<String, PublishError> {
    Ok(bus::publish(&draft.into())?)
}

pub(crate) fn subscribe(pattern: &str, handler: u32) -> Result<(), SubscribeError> {
    Ok(bus::subscribe(pattern, handler)?)
}

pub(crate) fn unsubscribe(pattern: &str, handler: u32) -> Result<(), SubscribeError> {
    Ok(bus::unsubscribe(pattern, handler)?)
}

pub(crate) fn log(level: Level, context: &str, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, context, message);
}
