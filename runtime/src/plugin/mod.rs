//! Plugins: what they say of themselves, what the operator says of them, their life.

mod address;
mod config;
mod dependencies;
mod error;
pub(crate) mod grants;
mod handler;
mod info;
mod manager;
mod needed;
mod one;
pub(crate) mod origin;
mod prepare;
mod spec;
mod state;
mod supervisor;

pub use config::{PluginConfig, REDACTED};
pub use error::{LaunchError, LaunchFailure, LoadError, PluginError};
pub use grants::{ClockGrant, FsGrant, FsMode, Grants, HttpGrant, HttpGrantError};
pub use info::{HandlerInfo, Inspection, Ordering, PluginInfo};
#[cfg(feature = "cli")]
pub(crate) use info::{is_name, is_reserved};
pub(crate) use manager::Manager;
pub use needed::NeededGrant;
pub(crate) use prepare::Shared;
pub use spec::{HandlerSpec, PluginSpec, Source};
pub use state::{PluginState, PluginStatus};
