//! Inputs that mean something, for a fuzzer to begin with.

use super::tiny;

/// A plugin of the world `event-plugin` that takes every event and answers ok, in about 2 KiB.
pub fn event_plugin() -> Vec<u8> {
    tiny::EVENT.clone()
}

/// A plugin of the world `filter-plugin` that lets every event pass.
pub fn filter_plugin() -> Vec<u8> {
    tiny::FILTER.clone()
}
