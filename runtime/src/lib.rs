//! Run plugins that you don't trust, in your own process: a WebAssembly sandbox built around an event bus.
//!
//! A plugin is one wasm component, in a sandbox of its own with limits on time, memory and everything else; it handles
//! events and publishes others. The bus carries each event to the handlers subscribed to its type, be they plugins or
//! closures of yours, and no plugin can hurt the host, the bus or another plugin.
//!
//! ```
//! use palisade::{Class, Event, Grants, PluginConfig, PluginSpec, Runtime};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().build()?;
//! let plugin = PluginSpec::from_file("../target/plugins/auth-enhancer.wasm")
//!     .config(PluginConfig::default().with("threshold", 1))
//!     .grants(Grants::default().publish(["auth.*".parse()?]));
//! runtime.launch(vec![plugin]).await?;
//! runtime.subscribe("auth.bruteforce", "pager", |cx| async move {
//!     println!("alert: {}", String::from_utf8_lossy(cx.event.data()));
//!     Ok(())
//! })?;
//!
//! let event = Event::builder("user.login.failed", "/sshd").json(&serde_json::json!({ "ip": "192.0.2.7" })).build()?;
//! let report = runtime.publish(event).await?;
//! assert_eq!(report.outcomes[0].class, Class::Ok);
//! runtime.quiet().await; // until the alert has been printed, too
//! runtime.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Runtime::publish`] calls the handlers on your own task and tells what became of each; [`Runtime::publish_async`] goes
//!   through bounded queues, retries and [dead letters](DeadLetterStore).
//! - With a store ([`RuntimeBuilder`], feature `durable`) handlers can be [durable](DeliveryMode::Durable): a publish returns
//!   when the event is on the disk, and a crash loses none of these.
//! - [`Limits`] bounds what a plugin may use; none is infinite. [`Grants`] says what it may do; by default nothing.
//! - [`Class`] tells how an attempt ended. A guest that is killed loses its instance; the next event gets a fresh one.
//! - Plugins are written against the WIT package `palisade:plugin` ([`INTERFACE_VERSION`]); in Rust, with `palisade-sdk`.
//!
//! # Features
//! - `cli` (default): the config file (`palisade::config`) and what the `palisade` binary needs. An embedder builds with
//!   `default-features = false`.
//! - `durable` (part of `cli`): `DurableStore`, durable delivery in a SQLite database.
//! - `wasi-http` (part of `cli`): outbound HTTP for plugins that are granted it ([`HttpGrant`]).

mod builder;
mod bus;
mod clock;
#[cfg(feature = "cli")]
pub mod config;
mod delivery;
mod draft;
mod event;
mod handler;
mod health;
mod key_value;
mod limits;
mod loan;
mod outcome;
mod pattern;
mod plain_file;
mod plugin;
mod quarantine;
mod runtime;
mod sandbox;
#[cfg(feature = "durable")]
mod store;
mod terminal;
mod uncommitted;

pub use builder::{BuildError, RuntimeBuilder};
pub use bus::{
    BusStats, Filter, FilterError, FilterId, FilterOptions, HandlerStats, OnFault, PublishError, RedriveError,
    Redriven, SubscribeError, SubscribeOptions, SubscriptionId,
};
pub use delivery::{
    Backlog, BacklogPolicy, BreakerPolicy, BreakerState, DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId,
    DeadLetterReason, DeadLetterStore, DeliveryMode, EventOrder, MemoryDeadLetters, Overflow, QueuePolicy, RetryPolicy,
    StoreError, UnknownReason,
};
pub use draft::{Draft, DraftError};
pub use event::*;
pub use handler::{
    BoxFuture, Completion, Context, DeadlineOf, Delivery, Failure, Fault, Handler, Origin, PublishRefused,
};
pub use health::RuntimeHealth;
pub use key_value::{
    KeyPage, KeyPageLimits, KeyValueCaps, KeyValueError, KeyValueStore, KeyValueUsage, KeyValueWrite,
    MemoryKeyValueStore,
};
pub use limits::{LimitKind, Limits};
pub use outcome::{Class, Disposition, HandlerName, Outcome, Receipt, Refusal, Report};
pub use pattern::{Pattern, PatternError};
pub use plugin::{
    ClockGrant, FsGrant, FsMode, Grants, HandlerInfo, HandlerSpec, HttpGrant, HttpGrantError, Inspection, LaunchError,
    LaunchFailure, LoadError, NeededGrant, Ordering, PluginConfig, PluginError, PluginInfo, PluginSpec, PluginState,
    PluginStatus, REDACTED, Source,
};
pub use quarantine::QuarantinePolicy;
pub use runtime::{Drained, Runtime, WeakRuntime};
pub use sandbox::{
    CompileError, Compiler, CompilerChild, ComponentError, EngineError, EngineOptions, Health, INTERFACE_VERSION,
    Isolation, LogLevel, LogRecord, LogSink, PluginKind, TickerHealth, TracingLog, compile_child, digest_of,
};
#[cfg(feature = "wasi-http")]
pub use sandbox::{Resolver, SystemResolver};
#[cfg(feature = "durable")]
pub use store::{DurableStore, StoreOptions};
