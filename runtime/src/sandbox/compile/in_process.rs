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
        Component::from_binary(&engine, &bytes).map_err(|error| ComponentError::Invalid(why_invalid(&error)))
    })
    .await
}

/// What is wrong with a component, by its compiler.
pub(super) fn why_invalid(error: &Error) -> String {
    printable(&format!("{:#}", error.root_cause()), 256)
}
