//! The component side: what exists on wasm only.

pub mod bindings;
mod exports;
pub(crate) mod host;
mod lift;
mod slot;

pub use exports::Component;
pub use slot::Slot;
