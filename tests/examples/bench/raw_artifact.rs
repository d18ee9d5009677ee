//! Machine code in a file, as an embedder without Palisade would keep it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use palisade_tests::plugin;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Compiles the probe for this engine and writes its code.
pub(crate) fn write_probe(engine: &Engine, file: &Path) -> Result<()> {
    let code = Component::from_file(engine, plugin("probe"))?.serialize()?;
    Ok(fs::write(file, code)?)
}

/// The component whose code is in a file that this program wrote into a directory of its own.
#[allow(unsafe_code)]
pub(crate) fn read(engine: &Engine, file: &Path) -> Result<Component> {
    // SAFETY: `write_probe` has written the file, with what `Component::serialize` gave it, into a directory that only this
    // user can enter.
    Ok(unsafe { Component::deserialize_file(engine, file) }?)
}
