use crate::{Draft, host};

/// The way back to the bus during `start` and `stop`; in a handler, [`Context`](crate::Context) has the same.
#[derive(Debug)]
pub struct Bus<'a> {
    /// The handlers' names in the order of `describe`: the host knows a handler by its place.
    handlers: &'a [String],
}

impl<'a> Bus<'a> {
    pub(crate) fn new(handlers: &'a [String]) -> Self {
        Self { handlers }
    }

    /// Puts an event into this call's outbox and returns the id it will have. It is released when the call returns `Ok`
    /// and forgotten when it fails. Never waits.
    pub fn publish(&self, draft: Draft) -> Result<String, PublishError> {
        host::publish(draft)
    }

    /// Subscribes a handler, by name, to one more pattern, from the next publish on. The subscription belongs to the
    /// plugin, not to this instance: it stays until `unsubscribe` or until the plugin stops. Needs a `subscribe` grant.
    pub fn subscribe(&self, pattern: &str, handler: &str) -> Result<(), SubscribeError> {
        host::subscribe(pattern, self.place_of(handler)?)
    }

    /// Ends a subscription of a handler, be it of `subscribe` or of [`Plugin::handlers`](crate::Plugin::handlers), from
    /// the next publish on.
    pub fn unsubscribe(&self, pattern: &str, handler: &str) -> Result<(), SubscribeError> {
        host::unsubscribe(pattern, self.place_of(handler)?)
    }

    fn place_of(&self, handler: &str) -> Result<u32, SubscribeError> {
        let place = self
            .handlers
            .iter()
            .position(|name| name == handler)
            .and_then(|place| u32::try_from(place).ok());
        place.ok_or_else(|| {
            let known = self.handlers.join(", ");
            SubscribeError::Invalid(format!("there is no handler `{handler}`; this plugin has: {known}"))
        })
    }
}

/// Why the host did not take an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The plugin's `publish` grants do not name this type, or the type is the host's. The text says which.
    #[error("publish: {0}")]
    NotGranted(String),
    /// A limit in force for this call: on the events (64) or on their bytes in all (1 MiB). The number is the limit.
    #[error("publish: over the limit of {0} for one call")]
    OverLimit(u64),
    /// The draft breaks a rule, or this call may not publish. The text says which.
    #[error("publish: {0}")]
    Invalid(String),
}

/// Why a subscription was not made or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The plugin's `subscribe` grants do not cover this pattern, or its instances live for one event only.
    #[error("subscribe: {0}")]
    NotGranted(String),
    /// This handler has this pattern already.
    #[error("subscribe: this handler has this pattern already")]
    AlreadyExists,
    /// This handler has no such pattern.
    #[error("unsubscribe: this handler has no such pattern")]
    NotFound,
    /// The plugin has as many subscriptions as it may have. The number is the limit.
    #[error("subscribe: the plugin has its {0} subscriptions already")]
    OverLimit(u64),
    /// The pattern can't be one, or there is no such handler. The text says why.
    #[error("subscribe: {0}")]
    Invalid(String),
}
