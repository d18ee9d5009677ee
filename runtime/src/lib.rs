//! A WebAssembly-sandboxed plugin runtime built around an event bus.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod bus;
mod delivery;
mod draft;
mod event;
mod handler;
mod limits;
mod outcome;
mod pattern;
mod plugin;
mod runtime;
mod sandbox;

pub use builder::{BuildError, RuntimeBuilder};
pub use bus::{
    BusStats, Filter, FilterError, FilterId, FilterOptions, HandlerStats, OnFault, PublishError, RedriveError,
    SubscribeError, SubscribeOptions, SubscriptionId,
};
pub use delivery::{
    DeadLetter, DeadLetterId, DeadLetterReason, DeadLetterStore, MemoryDeadLetters, Overflow, QueuePolicy, RetryPolicy,
};
pub use draft::{Draft, DraftError};
pub use event::*;
pub use handler::{BoxFuture, Completion, Context, Delivery, Failure, Fault, Handler, PublishRefused};
pub use limits::Limits;
pub use outcome::{Class, Disposition, HandlerName, Outcome, Receipt, Refusal, Report};
pub use pattern::{Pattern, PatternError};
pub use plugin::{
    FsGrant, FsMode, Grants, HandlerInfo, HandlerSpec, Inspection, LaunchError, LaunchFailure, LoadError, Ordering,
    PluginConfig, PluginError, PluginInfo, PluginSpec, PluginState, PluginStatus, REDACTED, Source,
};
pub use runtime::{Drained, Runtime, RuntimeHealth};
pub use sandbox::{
    ComponentError, EngineError, EngineOptions, Health, INTERFACE_VERSION, Isolation, LogLevel, LogRecord, LogSink,
    PluginKind, TickerHealth, TracingLog, digest_of,
};
