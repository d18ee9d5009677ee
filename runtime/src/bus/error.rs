//! Why the bus said no.

use crate::bus::FilterId;
use crate::delivery::StoreError;
use crate::event::EventError;
use crate::pattern::{Pattern, PatternError};

/// Why an event was not published. Nobody got it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The runtime is draining or stopped; publish elsewhere or after the next start.
    #[error("the runtime is shutting down and takes no more events")]
    ShuttingDown,
    /// The event has a type that belongs to the host; choose another.
    #[error("`{0}` is a host event: plugin.>, system.> and config.> are published by the host only")]
    Reserved(String),
    /// The event came through too long a chain of handlers that publish; it is kept among the dead letters.
    #[error("hop {hops} is past the limit of {limit} (events.max-hops)")]
    HopLimit {
        /// The event's hop count.
        hops: u32,
        /// The limit in force.
        limit: u32,
    },
    /// The store did not take it, which it has to before a durable handler is given anything.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event breaks a limit of this runtime.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// Why a subscription was not made or ended. Nothing changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The handler has this pattern already; there is nothing to do.
    #[error("{handler} is subscribed to `{pattern}` already")]
    AlreadyExists {
        /// The pattern.
        pattern: Pattern,
        /// The handler's shown name.
        handler: String,
    },
    /// Another handler has this name; choose another, or pass the same `Arc` to add patterns to it.
    #[error("another handler is named {handler}; names are unique, as dead letters and outcomes go by them")]
    NameTaken {
        /// The name.
        handler: String,
    },
    /// The handler is to be durable, and the runtime was built without a store.
    #[error("{handler} can't be durable: the runtime has no store (data-dir, RuntimeBuilder::store)")]
    NoStore {
        /// The handler's shown name.
        handler: String,
    },
    /// The handler is to be durable, and its queue to drop events.
    #[error("{handler} can't be durable with a queue that drops events; choose overflow block or reject")]
    DurableDrops {
        /// The handler's shown name.
        handler: String,
    },
    /// The name of a native handler is none.
    #[error(
        "`{0}` is no name for a native handler: it is empty, or has a `/`, which is in the names of plugins' handlers"
    )]
    BadName(String),
    /// There is no such subscription (any more).
    #[error("{0}")]
    NotFound(String),
    /// The list of patterns is empty.
    #[error("{handler} was given no pattern to subscribe to")]
    NoPattern {
        /// The handler's shown name.
        handler: String,
    },
    /// The pattern is not one.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// Why a filter was not removed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// There is no such filter (any more).
    #[error("there is no filter {0}")]
    NotFound(FilterId),
}
