//! The sandbox: each limit obeyed and violated, with a healthy neighbour served in both.

mod beside;
mod faults;
mod files;
mod filters;
mod fuel;
mod grants;
mod host_calls;
mod host_panics;
mod isolation;
mod kills;
mod loading;
mod log;
mod memory;
mod neighbours;
mod patched;
mod quotas;
mod supervision;
mod wat_abi;
mod wat_component;
mod wat_memory;
mod wat_time;
mod wat_words;
