//! The sandbox: each limit obeyed and violated, with a healthy neighbour served in both.

mod beside;
mod cache;
mod compile;
pub(crate) mod costly;
mod clocks;
mod config_store;
mod faults;
mod files;
mod filters;
mod fuel;
mod grants;
mod host_calls;
mod host_panics;
mod isolation;
mod key_value;
mod key_value_ack;
mod kills;
mod ledger;
mod loading;
mod log;
mod memory;
mod neighbours;
mod patched;
mod quotas;
mod supervision;
