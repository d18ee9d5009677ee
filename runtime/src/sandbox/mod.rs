//! The sandbox: the only place that knows wasmtime.
//!
//! Three lifetimes, three places: [`engine`] is made once; [`component`] and [`blueprint`] live as long as a plugin is
//! loaded; [`instance`] is about single calls. [`pool`] joins the last two.

mod bindings;
pub(crate) mod blueprint;
pub(crate) mod component;
pub(crate) mod engine;
mod epoch;
mod error;
mod fault;
pub(crate) mod file;
pub(crate) mod host;
#[cfg(feature = "wasi-http")]
mod http;
mod instance;
mod interface;
mod limiter;
pub(crate) mod log;
pub(crate) mod pool;
mod state;

use std::sync::Arc;

pub use blueprint::Isolation;
pub use component::{PluginKind, digest_of};
pub use engine::{EngineError, EngineOptions};
pub use epoch::TickerHealth;
pub use error::ComponentError;
#[cfg(feature = "wasi-http")]
pub use http::{Resolver, SystemResolver};
pub use interface::INTERFACE_VERSION;
pub use log::{LogLevel, LogRecord, LogSink, TracingLog};
pub use pool::Health;

use crate::clock::deadline;
use crate::handler::Fault;
use crate::plugin::PluginInfo;
use blueprint::Blueprint;
#[cfg(feature = "wasi-http")]
pub(crate) use http::{Network, Outbound};
use instance::Instance;

/// Asks a plugin who it is, in an instance of its own that is thrown away: a guest's libc would remember that it had no
/// files.
pub(crate) async fn describe(blueprint: Arc<Blueprint>) -> Result<PluginInfo, Fault> {
    let deadline = deadline(blueprint.limits.timeout);
    let described = async { Instance::new(&blueprint, deadline).await?.describe(deadline).await };
    described.await.map_err(|failed: instance::Failed| failed.fault)
}
