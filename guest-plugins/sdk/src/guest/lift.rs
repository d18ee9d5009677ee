//! The contract's types to the SDK's and back. Strings and bytes are moved, not copied.

use std::time::Duration;

use super::bindings::handling::palisade::plugin::bus;
use super::bindings::life::exports::palisade::plugin::plugin;
use super::bindings::life::palisade::plugin::types;
use super::bindings::storing::wasi::keyvalue::store;
use crate::context::Delivery;
use crate::handler::Ordering;
use crate::kv::StoreError;
use crate::{Draft, Event, Failure, Handler, Info, PublishError, SubscribeError, Timestamp};

impl<P> From<(Info, Vec<Handler<P>>)> for plugin::Info {
    fn from((info, handlers): (Info, Vec<Handler<P>>)) -> Self {
        Self {
            name: info.name,
            version: info.version,
            description: info.description,
            dependencies: info.dependencies,
            handlers: handlers.into_iter().map(Into::into).collect(),
        }
    }
}

impl<P> From<Handler<P>> for plugin::HandlerInfo {
    fn from(handler: Handler<P>) -> Self {
        Self {
            name: handler.name,
            patterns: handler.patterns,
            // At least one: zero would be no time at all.
            timeout_ms: handler.timeout.map(|timeout| whole_millis(timeout).max(1)),
            ordering: match handler.ordering {
                Ordering::None => plugin::Ordering::None,
                Ordering::Key(key) => plugin::Ordering::Key(key),
                Ordering::Strict => plugin::Ordering::Strict,
            },
        }
    }
}

impl From<types::Event> for Event {
    fn from(event: types::Event) -> Self {
        Self {
            id: event.id,
            event_type: event.type_,
            source: event.source,
            time: Timestamp::from_nanos(event.time),
            data: event.data,
        }
    }
}

impl From<types::Delivery> for Delivery {
    fn from(delivery: types::Delivery) -> Self {
        Self {
            attempt: delivery.attempt,
            time_left_ms: delivery.time_left_ms,
            replayed: delivery.replayed,
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry { message, after } => Self::Retry((message, after.map(whole_millis))),
            Failure::Reject(message) => Self::Reject(message),
        }
    }
}

impl From<Draft> for types::Draft {
    fn from(draft: Draft) -> Self {
        Self {
            type_: draft.event_type,
            data: draft.data,
            content_type: draft.content_type,
            metadata: draft.metadata,
        }
    }
}

impl From<bus::PublishError> for PublishError {
    fn from(error: bus::PublishError) -> Self {
        match error {
            bus::PublishError::NotGranted(text) => Self::NotGranted(text),
            bus::PublishError::OverLimit(limit) => Self::OverLimit(limit),
            bus::PublishError::Invalid(text) => Self::Invalid(text),
        }
    }
}

impl From<bus::SubscribeError> for SubscribeError {
    fn from(error: bus::SubscribeError) -> Self {
        match error {
            bus::SubscribeError::NotGranted(text) => Self::NotGranted(text),
            bus::SubscribeError::AlreadyExists => Self::AlreadyExists,
            bus::SubscribeError::NotFound => Self::NotFound,
            bus::SubscribeError::OverLimit(limit) => Self::OverLimit(limit),
            bus::SubscribeError::Invalid(text) => Self::Invalid(text),
        }
    }
}

impl From<store::Error> for StoreError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchStore => Self::NoSuchStore,
            store::Error::AccessDenied => Self::AccessDenied,
            store::Error::Other(text) => Self::Other(text),
        }
    }
}

fn whole_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
