//! Cross-component tests: real components, the real bus, the real binary. One binary, one module a part of the system.

mod bus;
mod cli;
mod crash;
mod plugins;
mod properties;
mod sandbox;
