//! Compiling here, with no bounds.

use bytes::Bytes;
use wasmtime::component::Component;
use wasmtime::{Engine, Error};

use super::blocking;
use crate::sandbox::error::ComponentError;
use crate::sandbox::file::check_structure;
use crate::sandbox::log::printable;

pub(super) async fn compile(engine: Engine, bytes: Bytes) -> Result<Component, ComponentError> {
    blocking(move || {
        check_structure(&bytes)?;
        // `from_binary`, not `new`: text must not be taken for a component (H34), nor an artifact be executed (H37).
        Component::from_binary(&engine, &bytes)
            .map_err(|error| too_large(&error).unwrap_or_else(|| ComponentError::Invalid(why_invalid(&error))))
    })
    .await
}

/// What is wrong with a component, by its compiler.
pub(super) fn why_invalid(error: &Error) -> String {
    printable(&format!("{:#}", error.root_cause()), 256)
}

/// That its code is right, and its instances larger than the engine's measures; wasmtime has no type for that.
pub(super) fn too_large(error: &Error) -> Option<ComponentError> {
    let is = error
        .to_string()
        .ends_with(" does not fit in pooling allocator requirements");
    is.then(|| {
        let root = error.root_cause().to_string();
        // More lines say what it is made of; there may be many.
        let why = root.split([';', '\n']).next().unwrap_or_default();
        ComponentError::Engine(printable(why, 256))
    })
}
