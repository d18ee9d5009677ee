//! Everything that guests may import, made once for each engine.

use std::sync::OnceLock;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::sandbox::bindings::{bus, context, keyvalue, logging, types};
use crate::sandbox::config_store;
use crate::sandbox::state::HostState;
use crate::sandbox::wasi;

/// The linkers of a runtime: one for plugins that are not metered, one for those that are.
///
/// All plugins have the same: nothing of one plugin is in there, its grants included. What a guest may do with what it
/// imports is decided by the state of its store, which is made for each instance.
#[derive(Default)]
pub(super) struct Linkers {
    plain: OnceLock<Linker<HostState>>,
    metered: OnceLock<Linker<HostState>>,
}

impl Linkers {
    /// The linker for components of this engine, which is the metered one or not.
    pub(super) fn of(&self, engine: &Engine, metered: bool) -> wasmtime::Result<&Linker<HostState>> {
        let place = if metered { &self.metered } else { &self.plain };
        if let Some(linker) = place.get() {
            return Ok(linker);
        }
        let made = linker(engine)?;
        Ok(place.get_or_init(|| made))
    }
}

/// Linked whole: a plugin that imports something and lacks its grant is refused by name, and never instantiated.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker)?;
    types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    context::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    bus::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    logging::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    keyvalue::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)?;
    config_store::add_to_linker(&mut linker)?;
    #[cfg(feature = "wasi-http")]
    crate::sandbox::http::add_to_linker(&mut linker)?;
    Ok(linker)
}
