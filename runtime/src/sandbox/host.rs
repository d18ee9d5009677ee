//! What guests import from us: the context of the event, the bus, the log. WASI is `wasi.rs`.

use crate::handler::PublishRefused;
use crate::pattern::Pattern;
use crate::plugin::grants::Ask;
use crate::sandbox::bindings::{bus, context, cut, lift_draft, logging, types};
use crate::sandbox::blueprint::Isolation;
use crate::sandbox::log::LogLevel;
use crate::sandbox::state::HostState;

impl types::Host for HostState {}

impl context::Host for HostState {
    fn content_type(&mut self) -> wasmtime::Result<String> {
        Ok(self
            .call
            .event
            .as_ref()
            .map_or(String::new(), |event| event.content_type().to_owned()))
    }

    fn metadata(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self
            .call
            .event
            .as_ref()
            .and_then(|event| event.metadata(&key))
            .map(Into::into))
    }

    fn all_metadata(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self
            .call
            .event
            .as_ref()
            .map_or(Vec::new(), crate::event::Event::all_metadata))
    }
}

impl bus::Host for HostState {
    fn publish(&mut self, draft: bus::Draft) -> wasmtime::Result<Result<String, bus::PublishError>> {
        Ok(self.publish_draft(draft))
    }

    fn subscribe(&mut self, pattern: String, handler: u32) -> wasmtime::Result<Result<(), bus::SubscribeError>> {
        Ok(self.subscribe_handler(&pattern, handler))
    }

    fn unsubscribe(&mut self, pattern: String, handler: u32) -> wasmtime::Result<Result<(), bus::SubscribeError>> {
        Ok(self.unsubscribe_handler(&pattern, handler))
    }
}

impl HostState {
    fn publish_draft(&mut self, draft: bus::Draft) -> Result<String, bus::PublishError> {
        let phase = self.call.phase;
        if !phase.may_publish() {
            return Err(bus::PublishError::Invalid(format!(
                "{} may not publish",
                phase.as_str()
            )));
        }
        let draft = lift_draft(draft);
        let allowed = self.blueprint.grants.allows(Ask::Publish(draft.event_type()));
        allowed.map_err(|why| bus::PublishError::NotGranted(cut(why)))?;
        let limits = &self.blueprint.outbox;
        let source = &self.blueprint.name;
        let cause = self.call.event.as_ref().or(self.call.cause.as_ref());
        let published = self.call.outbox.publish(draft, source, cause, limits);
        published.map_err(|refused| match refused {
            PublishRefused::OverLimit { limit, .. } => bus::PublishError::OverLimit(limit),
            refused => bus::PublishError::Invalid(cut(refused.to_string())),
        })
    }

    fn subscribe_handler(&mut self, pattern: &str, handler: u32) -> Result<(), bus::SubscribeError> {
        let (pattern, handler) = self.check_subscription(pattern, handler)?;
        let allowed = self.blueprint.grants.allows(Ask::Subscribe(&pattern));
        allowed.map_err(|why| bus::SubscribeError::NotGranted(cut(why)))?;
        if self.subscribed.contains(&(pattern.clone(), handler)) {
            return Err(bus::SubscribeError::AlreadyExists);
        }
        self.blueprint
            .subscriptions
            .subscribe(&pattern, handler)
            .map_err(lower_refusal)?;
        self.subscribed.push((pattern, handler));
        Ok(())
    }

    fn unsubscribe_handler(&mut self, pattern: &str, handler: u32) -> Result<(), bus::SubscribeError> {
        let (pattern, handler) = self.check_subscription(pattern, handler)?;
        self.subscribed
            .retain(|(other, at)| *other != pattern || *at != handler);
        self.blueprint
            .subscriptions
            .unsubscribe(&pattern, handler)
            .map_err(lower_refusal)
    }

    fn check_subscription(&self, pattern: &str, handler: u32) -> Result<(Pattern, usize), bus::SubscribeError> {
        if self.blueprint.isolation == Isolation::PerEvent {
            let why = "its instances live for one event only (plugin.isolation = per-event)";
            return Err(bus::SubscribeError::NotGranted(why.to_owned()));
        }
        let phase = self.call.phase;
        if !phase.may_subscribe() {
            return Err(bus::SubscribeError::Invalid(format!(
                "{} may not subscribe",
                phase.as_str()
            )));
        }
        let handler = handler as usize;
        if handler >= self.blueprint.handlers {
            return Err(bus::SubscribeError::Invalid(format!("there is no handler {handler}")));
        }
        let pattern: Pattern = pattern
            .parse()
            .map_err(|error: crate::pattern::PatternError| bus::SubscribeError::Invalid(cut(error.to_string())))?;
        Ok((pattern, handler))
    }
}

/// Why a plugin's subscription was not made or ended.
#[derive(Debug)]
pub(crate) enum SubscriptionRefused {
    /// The handler has the pattern from its `describe`.
    AlreadyExists,
    /// It has no such pattern.
    NotFound,
    /// The plugin has as many as it may.
    OverLimit(usize),
    /// The plugin is on its way out.
    Gone(String),
}

/// How a guest's subscriptions reach the bus; the plugin has one for all its instances.
pub(crate) trait GuestSubscriptions: Send + Sync + 'static {
    /// Subscribes a handler, by its place in `describe`, to one more pattern. Ok if another instance has done so.
    fn subscribe(&self, pattern: &Pattern, handler: usize) -> Result<(), SubscriptionRefused>;
    /// Ends a subscription.
    fn unsubscribe(&self, pattern: &Pattern, handler: usize) -> Result<(), SubscriptionRefused>;
}

fn lower_refusal(refused: SubscriptionRefused) -> bus::SubscribeError {
    match refused {
        SubscriptionRefused::AlreadyExists => bus::SubscribeError::AlreadyExists,
        SubscriptionRefused::NotFound => bus::SubscribeError::NotFound,
        SubscriptionRefused::OverLimit(limit) => bus::SubscribeError::OverLimit(limit as u64),
        SubscriptionRefused::Gone(why) => bus::SubscribeError::Invalid(why),
    }
}

impl logging::Host for HostState {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Trace => LogLevel::Trace,
            logging::Level::Debug => LogLevel::Debug,
            logging::Level::Info => LogLevel::Info,
            logging::Level::Warn => LogLevel::Warn,
            logging::Level::Error | logging::Level::Critical => LogLevel::Error,
        };
        self.blueprint.log.line(level, &context, &message);
        Ok(())
    }
}
