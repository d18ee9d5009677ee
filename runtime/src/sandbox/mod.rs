//! The sandbox: the only place that knows wasmtime.
//!
//! Three lifetimes, three places: [`engine`] is made once; [`component`] and [`blueprint`] live as long as a plugin is
//! loaded; [`instance`] is about single calls. [`pool`] joins the last two. [`load`] makes a component of bytes: from the
//! [`cache`], or by one of the ways to [`compile`].

mod affinity;
mod answer;
mod artifact;
mod backoff;
mod bindings;
pub(crate) mod blueprint;
pub(crate) mod cache;
mod clocks;
pub(crate) mod compile;
pub(crate) mod component;
pub(crate) mod config_store;
pub(crate) mod deadline;
mod descriptors;
pub(crate) mod engine;
mod epoch;
mod error;
mod fault;
pub(crate) mod file;
pub(crate) mod files;
mod heap;
mod hit;
pub(crate) mod host;
#[cfg(feature = "wasi-http")]
mod http;
pub(crate) mod instance;
mod interface;
mod keyvalue;
mod known;
mod limiter;
mod linker;
pub(crate) mod load;
pub(crate) mod log;
mod names;
mod needs;
pub(crate) mod places;
pub(crate) mod pool;
pub(crate) mod ready;
mod sealed;
mod secrets;
mod slot;
mod state;
mod trace;
mod turn;
mod wasi;

use std::sync::Arc;

pub use blueprint::Isolation;
pub use compile::{CompileError, Compiler, CompilerChild, compile_child};
pub use component::{PluginKind, digest_of};
pub use engine::{EngineError, EngineOptions};
pub use epoch::TickerHealth;
pub use error::ComponentError;
#[cfg(feature = "wasi-http")]
pub use http::{Resolver, SystemResolver};
pub use interface::INTERFACE_VERSION;
pub use log::{LogLevel, LogRecord, LogSink, TracingLog};
pub use pool::Health;

use crate::handler::Fault;
use crate::plugin::PluginInfo;
use blueprint::Blueprint;
use deadline::Deadline;
#[cfg(feature = "wasi-http")]
pub(crate) use http::{Network, Outbound};
use instance::Instance;

/// Asks a plugin who it is, in an instance of its own that is thrown away: a guest's libc would remember that it had no
/// files.
pub(crate) async fn describe(blueprint: Arc<Blueprint>) -> Result<PluginInfo, Fault> {
    let deadline = Deadline::of_limits(&blueprint.limits);
    let described = async { Instance::new(&blueprint, deadline).await?.describe(deadline).await };
    described.await.map_err(|failed: instance::Failed| failed.fault)
}
