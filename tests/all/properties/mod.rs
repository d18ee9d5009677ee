//! The properties of `palisade_tests::properties`, each on the same inputs in every run; `cargo xtask fuzz` looks for
//! others.

mod cancellation;
mod delivery;
mod durable;
mod events;
mod inputs;
mod loader;
