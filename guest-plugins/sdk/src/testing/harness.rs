use serde_json::Value;

use super::host::{self, Facts, LogLine, World};
use super::subject::matches;
use super::{TestEvent, describe};
use crate::running::{Life, Running};
use crate::{Draft, Failure, Plugin};

/// One started instance of a plugin, and the bus as it sees it.
///
/// The [crate's page](crate) shows one at work.
pub struct Harness<P> {
    running: Running<P>,
    world: World,
    published: Vec<Draft>,
}

/// What the operator lets the plugin publish.
#[derive(Debug, Clone)]
pub struct Grants {
    publish: Vec<String>,
}

impl Grants {
    /// Every type but the host's own.
    pub fn all() -> Self {
        Self {
            publish: vec![">".to_owned()],
        }
    }

    /// Only the types that match one of these patterns.
    pub fn publish<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Self {
        Self {
            publish: patterns.into_iter().map(Into::into).collect(),
        }
    }
}

impl<P: Plugin> Harness<P> {
    /// Starts the plugin with this config, `json!({})` for none, and every grant. An error is what the operator would
    /// read: of `start`, or of a description that the host would refuse.
    pub fn start(config: Value) -> Result<Self, String> {
        Self::start_with(config, Grants::all())
    }

    /// Starts the plugin with this config and only these grants.
    pub fn start_with(config: Value, grants: Grants) -> Result<Self, String> {
        let (info, handlers) = Running::<P>::describe();
        describe::check(&info, &handlers)?;
        let mut world = World {
            publish_grants: grants.publish,
            ..World::default()
        };
        for (place, handler) in (0..).zip(&handlers) {
            world.handlers = place + 1;
            for pattern in &handler.patterns {
                world
                    .subscribe(pattern, place)
                    .map_err(|error| format!("handler `{}`: {error}", handler.name))?;
            }
        }
        let config = config.to_string();
        let (running, published) = host::call(&mut world, Facts::default(), true, || Running::start(&config));
        let running = running?;
        world.stored.keep();
        Ok(Self {
            running,
            world,
            published,
        })
    }

    /// Delivers an event to every handler that is subscribed to it, in the order of `handlers`, and returns the first
    /// failure.
    ///
    /// # Panics
    ///
    /// If no handler is subscribed to the event: a test that expects nothing to happen asks [`wants`](Self::wants).
    #[expect(clippy::panic, reason = "a test is best told by a panic")]
    pub fn deliver(&mut self, event: TestEvent) -> Result<(), Failure> {
        let handlers = self.subscribed_to(event.event_type());
        if handlers.is_empty() {
            panic!(
                "no handler is subscribed to `{}`; there is {:?}",
                event.event_type(),
                self.subscriptions()
            );
        }
        let mut outcome = Ok(());
        for handler in handlers {
            outcome = outcome.and(self.call(handler, &event));
        }
        outcome
    }

    /// Whether any handler is subscribed to events of this type.
    pub fn wants(&self, event_type: &str) -> bool {
        !self.subscribed_to(event_type).is_empty()
    }

    /// What was published and released, in order, since the start or since [`take_published`](Self::take_published).
    pub fn published(&self) -> &[Draft] {
        &self.published
    }

    /// The same, and forgets it.
    pub fn take_published(&mut self) -> Vec<Draft> {
        std::mem::take(&mut self.published)
    }

    /// What the plugin's key-value store holds for a key: what calls that succeeded wrote.
    pub fn stored(&self, key: &str) -> Option<&[u8]> {
        self.world.stored.kept().get(key).map(Vec::as_slice)
    }

    /// All keys of that store, in order.
    pub fn stored_keys(&self) -> Vec<&str> {
        self.world.stored.kept().keys().map(String::as_str).collect()
    }

    /// What was logged, in order. A failed call's lines are there too.
    pub fn log(&self) -> &[LogLine] {
        &self.world.log
    }

    /// The patterns in force, each with its handler's name: those of `handlers` first.
    pub fn subscriptions(&self) -> Vec<(&str, &str)> {
        let names = &self.running.names;
        let name_of = |place: u32| names.get(place as usize).map_or("", String::as_str);
        self.world
            .subscriptions
            .iter()
            .map(|(pattern, place)| (pattern.as_str(), name_of(*place)))
            .collect()
    }

    /// Asks the plugin for its health.
    pub fn health(&mut self) -> Result<(), String> {
        let Self { running, world, .. } = self;
        host::call(world, Facts::default(), false, || running.health()).0
    }

    /// Stops the plugin in order and returns all that is published and not yet taken, what `stop` publishes included.
    pub fn stop(mut self) -> Vec<Draft> {
        let Self { running, world, .. } = &mut self;
        let (_, outbox) = host::call(world, Facts::default(), true, || running.stop());
        self.published.extend(outbox);
        self.published
    }

    /// The plugin itself, to look at.
    pub fn plugin(&self) -> &P {
        &self.running.plugin
    }

    fn subscribed_to(&self, event_type: &str) -> Vec<u32> {
        let matched = self
            .world
            .subscriptions
            .iter()
            .filter(|(pattern, _)| matches(pattern, event_type));
        let mut handlers: Vec<_> = matched.map(|(_, handler)| *handler).collect();
        handlers.sort_unstable();
        handlers.dedup();
        handlers
    }

    fn call(&mut self, handler: u32, event: &TestEvent) -> Result<(), Failure> {
        let (event, delivery, facts) = event.parts();
        let Self { running, world, .. } = self;
        let (outcome, outbox) = host::call(world, facts, true, || running.handle(handler, &event, delivery));
        if outcome.is_ok() {
            self.world.stored.keep();
            self.published.extend(outbox);
        }
        outcome
    }
}
