//! Write Palisade plugins in Rust: a struct, a trait and one macro line.
//!
//! A plugin is a WebAssembly component for the target `wasm32-wasip2`. It declares *handlers*, each with the *subject
//! patterns* of the events it wants; the host calls them one event at a time. What a handler publishes is released when
//! it returns `Ok`, and forgotten when it fails.
//!
//! ```
//! use palisade_sdk::prelude::*;
//!
//! struct Hello {
//!     greeting: String,
//!     seen: u64,
//! }
//!
//! impl Plugin for Hello {
//!     fn info() -> Info {
//!         Info::new("hello", env!("CARGO_PKG_VERSION")).description("Greets whoever logs in.")
//!     }
//!
//!     fn handlers() -> Vec<Handler<Self>> {
//!         vec![Handler::new("greet", Self::greet).on("user.login").timeout(Duration::from_secs(10))]
//!     }
//!
//!     fn start(config: &Config, _bus: &Bus) -> Result<Self, StartError> {
//!         let greeting = config.get("greeting")?.unwrap_or_else(|| "Hello".to_owned());
//!         Ok(Self { greeting, seen: 0 })
//!     }
//! }
//!
//! impl Hello {
//!     fn greet(&mut self, event: &Event, cx: &Context) -> Result<(), Failure> {
//!         let data: serde_json::Value = event.json()?;
//!         self.seen += 1;
//!         log::info!("login number {} is {}", self.seen, data["user"]);
//!         cx.publish(Draft::json("greeting.sent", &json!({ "text": self.greeting, "to": data["user"] }))?)?;
//!         Ok(())
//!     }
//! }
//!
//! palisade_sdk::plugin!(Hello);
//!
//! // On the host, without wasm, a test drives the same code:
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use palisade_sdk::testing::{Harness, TestEvent};
//!
//! let mut hello = Harness::<Hello>::start(json!({ "greeting": "Servus" }))?;
//! hello.deliver(TestEvent::new("user.login").json(json!({ "user": "ada" })))?;
//! assert_eq!(hello.published()[0].event_type(), "greeting.sent");
//! assert_eq!(hello.log()[0].message, "login number 1 is \"ada\"");
//! # Ok(())
//! # }
//! ```
//!
//! The plugin's crate is a `cdylib`; build it with `cargo build --release --target wasm32-wasip2`. To derive
//! `Serialize` and `Deserialize` for its payloads it depends on `serde` itself.
//!
//! A *filter* plugin decides which events go on instead: see [`Filter`] and [`filter!`].

mod bus;
mod config;
mod context;
mod draft;
mod event;
mod failure;
mod filter;
mod handler;
mod info;
pub mod kv;
pub mod log;
mod macros;
mod plugin;
mod running;
mod timestamp;

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(target_arch = "wasm32")]
use guest::host;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(not(target_arch = "wasm32"))]
use testing::host;

pub use bus::{Bus, PublishError, SubscribeError};
pub use config::{Config, ConfigError, duration};
pub use context::Context;
pub use draft::Draft;
pub use event::Event;
pub use failure::Failure;
pub use filter::Filter;
pub use handler::Handler;
pub use info::Info;
pub use plugin::{Plugin, StartError};
pub use timestamp::Timestamp;

pub use {serde, serde_json};

/// What a plugin's source file wants in scope.
pub mod prelude {
    pub use crate::{
        Bus, Config, Context, Draft, Event, Failure, Filter, Handler, Info, Plugin, StartError, Timestamp, log,
    };
    pub use serde_json::{self, json};
    pub use std::time::Duration;
}

/// For what `plugin!` and `filter!` expand to; no part of the API.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::guest::bindings::{filtering, handling, life, storing};
    #[cfg(target_arch = "wasm32")]
    pub use crate::guest::{Component, Slot};
    pub use crate::running::{Life, Running, RunningFilter};
}
