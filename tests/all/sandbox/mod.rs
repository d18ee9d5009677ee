//! The sandbox: each limit obeyed and violated, with a healthy neighbour served in both.

mod beside;
mod faults;
mod files;
mod filters;
mod fuel;
mod grants;
mod host_calls;
mod host_panics;
mod http;
mod isolation;
mod kills;
mod loading;
mod log;
mod memory;
mod neighbours;
mod patched;
mod quotas;
mod supervision;
