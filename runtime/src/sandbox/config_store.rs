//! `wasi:config/store`: the plugin's config table, for what is not written for Palisade.

use serde_json::Value;
use wasmtime::component::Linker;
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

use crate::sandbox::state::HostState;

/// What a guest sees: strings as they are, anything else as JSON. Lives as long as the plugin has this config; by default
/// there is nothing in it, as for `describe`.
#[derive(Default)]
pub(crate) struct ConfigStore(WasiConfigVariables);

impl ConfigStore {
    pub(crate) fn new<'a>(values: impl Iterator<Item = (&'a str, &'a Value)>) -> Self {
        let shown = values.map(|(key, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (key.to_owned(), value)
        });
        Self(shown.collect())
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, |state| WasiConfig::from(&state.blueprint.config_store.0))
}
