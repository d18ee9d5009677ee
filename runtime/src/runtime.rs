//! The runtime: the one API that the binary and embedders call (L6).

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle as TokioHandle;
use tokio::time::Instant;

use crate::builder::RuntimeBuilder;
use crate::bus::{
    Bus, BusStats, Filter, FilterError, FilterId, FilterOptions, HandlerStats, PublishError, RedriveError, Redriven,
    SubscribeError, SubscribeOptions, SubscriptionId,
};
use crate::clock::deadline;
use crate::delivery::{Backlog, DeadLetterFilter, DeadLetterId, DeadLetterReason, DeadLetterStore, StoreError};
use crate::event::{Event, EventLimits, types};
use crate::handler::{Context, Failure, Handler, Native};
use crate::health::RuntimeHealth;
use crate::key_value::KeyValueUsage;
use crate::outcome::{HandlerName, Receipt, Report};
use crate::pattern::Pattern;
use crate::plugin::{Inspection, LaunchError, LoadError, Manager, PluginConfig, PluginError, PluginSpec, PluginStatus};
use crate::sandbox::Health;
use crate::sandbox::engine::Engines;

/// A bus, a sandbox and the plugins in it. Cheap to clone; all clones are the same runtime.
///
/// Build it, and use it, inside a tokio runtime with time enabled; a multi-threaded one lets plugins run beside each other.
/// What changes a plugin's life (`launch`, `start`, `stop`, `unload`, `reconfigure`, `purge_key_value`) comes to its end even
/// when the caller drops the future.
/// When the last clone is dropped nothing more is delivered; [`shutdown`](Self::shutdown) ends it in order.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

/// How long all plugins' `stop` together may take at least, when the drain has used up the limit.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A runtime that may be gone: what a handler keeps that needs the runtime. One that kept a [`Runtime`] would keep itself
/// alive by it, since the runtime keeps its handlers.
#[derive(Clone)]
pub struct WeakRuntime {
    inner: Weak<Inner>,
}

impl WeakRuntime {
    /// The runtime, unless its last clone was dropped.
    pub fn upgrade(&self) -> Option<Runtime> {
        self.inner.upgrade().map(|inner| Runtime { inner })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Workers and retries hold the bus: without this they would go on without a runtime.
        self.bus.abandon();
    }
}

struct Inner {
    bus: Arc<Bus>,
    manager: Arc<Manager>,
    engines: Arc<Engines>,
}

/// How a shutdown went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// How many deliveries were given up because the drain deadline passed. None of them was durable.
    pub abandoned: usize,
    /// How many durable ones are in the store, for the next runtime that has it.
    pub kept: u64,
    /// The same by handler, those that nobody has loaded or subscribed now included.
    pub backlogs: Vec<Backlog>,
}

impl Runtime {
    /// Starts a builder with the default limits.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    pub(crate) fn assemble(bus: Arc<Bus>, manager: Manager, engines: Arc<Engines>) -> Self {
        Self {
            inner: Arc::new(Inner {
                bus,
                manager: Arc::new(manager),
                engines,
            }),
        }
    }

    /// For handlers and filters of this runtime to keep.
    pub fn downgrade(&self) -> WeakRuntime {
        WeakRuntime {
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// Gives an event to every handler subscribed to its type and waits for what becomes of it: exactly one attempt a
    /// handler, all on this task. One that fails stops no other and is not tried again; the outcome says how it went.
    ///
    /// Where a handler is [durable](crate::DeliveryMode) the event is stored first, and the outcome is that of the first
    /// attempt, which a worker of its queue makes in its turn: after a failure it is tried again from there. While the
    /// handler's breaker is open or its plugin is away the outcome says so at once, and the event waits in the store. What a
    /// handler had within 24 h is not given to it again; [`Report::duplicates`] counts these.
    ///
    /// # Errors
    /// When nobody got the event: it breaks a limit, has a type of the host's, has come too many hops, the store did not take
    /// it, or the runtime is shutting down.
    ///
    /// # Cancellation
    /// Dropping the future throws away the instances that are at work on the event, which is held against nobody. Handlers
    /// that were done stay done. What is stored is delivered all the same.
    pub async fn publish(&self, event: Event) -> Result<Report, PublishError> {
        self.inner.bus.publish(event, None).await
    }

    /// [`publish`](Self::publish), with an end to every attempt that is still going on after `limit`. The earlier deadline
    /// counts, this one or the handler's own; of two at the same time the handler's.
    ///
    /// An attempt that this deadline ends is a `timeout` ([`DeadlineOf::Publisher`](crate::DeadlineOf)); a guest loses its
    /// instance by it like by any other. But it is never held against the plugin: that its publishers are in a hurry does not
    /// [quarantine](crate::QuarantinePolicy) it, nor delay its next start. So a plugin that hangs, and is only ever given
    /// events by this method with less time than it may take, is stopped at each of them and never quarantined. Let it have
    /// less time ([`Limits::timeout`](crate::Limits::timeout)) if that is what you want.
    ///
    /// What is stored goes on after it: an outcome `timeout` says that the attempt had begun, `overloaded` that it had not. The
    /// wait for the store itself is not bounded by `limit`.
    ///
    /// # Errors
    /// As `publish`.
    pub async fn publish_within(&self, event: Event, limit: Duration) -> Result<Report, PublishError> {
        self.inner.bus.publish(event, Some(limit)).await
    }

    /// Puts an event into the queue of every handler subscribed to its type, and waits for no handler. Where a queue is
    /// full and its policy is to block, waits for room for as long as `events.publish-timeout` says (30 s).
    ///
    /// Where a handler is [durable](crate::DeliveryMode) this returns when the event, and what is owed of it, are on the disk
    /// (fsynced): from then on no crash loses it. Callers at the same time share one fsync.
    ///
    /// # Errors
    /// As `publish`. A queue that did not take the event is no error: the receipt names it.
    ///
    /// # Cancellation
    /// Queues that have taken the event keep it; it is in the store, for all of its durable handlers, or it is not.
    pub async fn publish_async(&self, event: Event) -> Result<Receipt, PublishError> {
        self.inner.bus.publish_async(event, None).await
    }

    /// [`publish_async`](Self::publish_async), with another limit to the wait for room.
    ///
    /// # Errors
    /// As `publish_async`.
    pub async fn publish_async_within(&self, event: Event, limit: Duration) -> Result<Receipt, PublishError> {
        self.inner.bus.publish_async(event, Some(deadline(limit))).await
    }

    /// [`publish_async`](Self::publish_async) for several events, in their order: none is overtaken by one behind it. Durable
    /// ones are stored together and share their fsyncs, where one `publish_async` after the other would wait for each.
    /// `told` hears what became of each, by its place, as soon as it is known, and in their order.
    ///
    /// # Cancellation
    /// Events of which `told` has not heard may have been published.
    pub async fn publish_batch(&self, events: Vec<Event>, told: impl FnMut(usize, Result<Receipt, PublishError>)) {
        self.inner.bus.publish_batch(events, told).await;
    }

    /// Subscribes a closure to a pattern, with the default options: one event at a time, 30 s each.
    ///
    /// # Errors
    /// When the pattern is none, or another handler has this name.
    pub fn subscribe<F, Fut>(&self, pattern: &str, name: &str, handler: F) -> Result<SubscriptionId, SubscribeError>
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let ids = self.subscribe_with(&[pattern], name, SubscribeOptions::default(), handler)?;
        ids.first().copied().ok_or_else(|| SubscribeError::NoPattern {
            handler: name.to_owned(),
        })
    }

    /// Subscribes a closure to several patterns. An event that matches several of them is handled once.
    ///
    /// # Errors
    /// As `subscribe`, and when there is no pattern or one comes twice. Then none of them is subscribed.
    pub fn subscribe_with<F, Fut>(
        &self,
        patterns: &[&str],
        name: &str,
        options: SubscribeOptions,
        handler: F,
    ) -> Result<Vec<SubscriptionId>, SubscribeError>
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let limits = self.inner.bus.outbox_limits().clone();
        let native = Native::new(HandlerName::native(name), limits, options.concurrency, handler);
        self.subscribe_handler(patterns, name, options, Arc::new(native))
    }

    /// Subscribes a [`Handler`] of your own. The same `Arc` may be subscribed again, with the same name, to more patterns;
    /// the options are those of the first time.
    ///
    /// # Errors
    /// As `subscribe_with`; `AlreadyExists` when it has one of the patterns.
    pub fn subscribe_handler(
        &self,
        patterns: &[&str],
        name: &str,
        options: SubscribeOptions,
        handler: Arc<dyn Handler>,
    ) -> Result<Vec<SubscriptionId>, SubscribeError> {
        let patterns = patterns
            .iter()
            .map(|pattern| pattern.parse())
            .collect::<Result<Vec<Pattern>, _>>()?;
        if name.is_empty() || name.contains('/') {
            return Err(SubscribeError::BadName(name.to_owned()));
        }
        self.inner
            .bus
            .subscribe(&patterns, &HandlerName::native(name), &handler, &options)
    }

    /// Ends a subscription; in force from the next publish on. What its queue holds is still delivered; of a durable handler
    /// it stays in the store, for when it is subscribed again.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn unsubscribe(&self, id: SubscriptionId) -> Result<(), SubscribeError> {
        self.inner.bus.unsubscribe(id)
    }

    /// Ends the subscription of a native handler to a pattern.
    ///
    /// # Errors
    /// When it has none.
    pub fn unsubscribe_pattern(&self, pattern: &str, name: &str) -> Result<(), SubscribeError> {
        self.inner
            .bus
            .unsubscribe_pattern(&pattern.parse()?, &HandlerName::native(name))
    }

    /// Adds a filter at the end of the chain. It is asked about every event that is published from now on.
    pub fn add_filter(&self, name: &str, options: FilterOptions, filter: impl Filter) -> FilterId {
        self.inner.bus.add_filter(Arc::from(name), Arc::new(filter), options)
    }

    /// Removes a filter.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn remove_filter(&self, id: FilterId) -> Result<(), FilterError> {
        self.inner.bus.remove_filter(id)
    }

    /// Loads a plugin: reads, checks, compiles and describes it. It takes no events before [`start`](Self::start).
    ///
    /// # Errors
    /// When the file is no plugin, or what it or the spec says can't be; nothing is left of it.
    pub async fn load(&self, spec: PluginSpec) -> Result<PluginStatus, LoadError> {
        self.inner.manager.load(spec).await
    }

    /// Everything that [`load`](Self::load) would find out, without loading, and whatever the spec grants: what is lacking of
    /// [`Inspection::needs`] is no error here. Only `describe` is run, where nothing is granted in any case.
    ///
    /// # Errors
    /// As `load`, but for grants.
    pub async fn inspect(&self, spec: PluginSpec) -> Result<Inspection, LoadError> {
        self.inner.manager.inspect(spec).await
    }

    /// Loads and starts plugins, each after those it depends on. All are checked before the first one starts; all run in
    /// the end or, on an error, none of them.
    ///
    /// # Errors
    /// With all that is wrong with the files, or with the first plugin that did not start.
    pub async fn launch(&self, specs: Vec<PluginSpec>) -> Result<(), LaunchError> {
        let manager = self.inner.manager.clone();
        carry_through(async move { manager.launch(specs).await }).await
    }

    /// Everything that would stop a [`launch`](Self::launch) before the first plugin starts.
    ///
    /// # Errors
    /// With all that is wrong.
    pub async fn check(&self, specs: Vec<PluginSpec>) -> Result<Vec<Inspection>, LaunchError> {
        self.inner.manager.check(specs).await
    }

    /// Starts a loaded, stopped, failed or quarantined plugin: `start` is called in its instances, then it takes events. A
    /// quarantined one first ends the calls that still run, and nothing is held against it afterwards.
    ///
    /// # Errors
    /// When it is started, a dependency is not, or its `start` fails.
    pub async fn start(&self, plugin: &str) -> Result<(), PluginError> {
        let (manager, plugin) = (self.inner.manager.clone(), plugin.to_owned());
        carry_through(async move { manager.start(&plugin).await }).await
    }

    /// Stops a plugin. No delivery to it begins after this has returned; those that ran have ended. A quarantined one is
    /// stopped without its `stop` being called; a filter leaves the chain with that.
    ///
    /// # Errors
    /// When it is neither started nor quarantined, or others that are depend on it.
    pub async fn stop(&self, plugin: &str) -> Result<(), PluginError> {
        let (manager, plugin) = (self.inner.manager.clone(), plugin.to_owned());
        carry_through(async move { manager.stop(&plugin).await }).await
    }

    /// Stops a plugin if it runs, and forgets it.
    ///
    /// # Errors
    /// When it is not known, or others that are started depend on it.
    pub async fn unload(&self, plugin: &str) -> Result<(), PluginError> {
        let (manager, plugin) = (self.inner.manager.clone(), plugin.to_owned());
        carry_through(async move { manager.unload(&plugin).await }).await
    }

    /// Gives a plugin another config. A started one gets fresh instances, which take over once they have started; the ones
    /// before them are stopped then. Publishes `config.changed` with the keys that changed, which are returned.
    ///
    /// # Errors
    /// When the plugin does not start with it; it goes on as it was then.
    pub async fn reconfigure(&self, plugin: &str, config: PluginConfig) -> Result<Vec<String>, PluginError> {
        let (manager, plugin) = (self.inner.manager.clone(), plugin.to_owned());
        carry_through(async move { manager.reconfigure(&plugin, config).await }).await
    }

    /// Throws away all that a plugin has in its key-value store, and says how much that was: also for one that is not loaded
    /// any more, whose data the next plugin of that name would find. Dead letters, files and what other plugins have stay.
    ///
    /// A plugin that is loaded has to be stopped for it, or quarantined: one that runs may remember what it had, and write it
    /// again. It is not started before the purge is over; one that is not loaded should not be loaded meanwhile.
    ///
    /// # Errors
    /// When it is started, or the store fails; all is as it was then.
    pub async fn purge_key_value(&self, plugin: &str) -> Result<KeyValueUsage, PluginError> {
        let (manager, plugin) = (self.inner.manager.clone(), plugin.to_owned());
        carry_through(async move { manager.purge_key_value(&plugin).await }).await
    }

    /// What is known of a plugin.
    pub fn plugin(&self, name: &str) -> Option<PluginStatus> {
        self.inner.manager.status(name)
    }

    /// What is known of all plugins, by name.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.inner.manager.statuses()
    }

    /// Asks a plugin for its health. A busy one is not asked, and not unhealthy.
    ///
    /// # Errors
    /// When it is not known.
    pub async fn plugin_health(&self, plugin: &str) -> Result<Health, PluginError> {
        self.inner.manager.health(plugin).await
    }

    /// Asks the sandbox and every plugin for their health.
    pub async fn health(&self) -> RuntimeHealth {
        let mut plugins = Vec::new();
        for status in self.plugins() {
            // One that was unloaded meanwhile has no health.
            if let Ok(health) = self.plugin_health(&status.name).await {
                plugins.push((status.name, health));
            }
        }
        RuntimeHealth {
            ticker: self.inner.engines.ticker_health(),
            instances: self.inner.engines.live_instances(),
            max_instances: self.inner.engines.max_instances(),
            plugins,
        }
    }

    /// What could not be delivered.
    pub fn dead_letters(&self) -> &Arc<dyn DeadLetterStore> {
        self.inner.bus.dead_letters()
    }

    /// Sends a dead letter again: the same event, to the same handler only.
    ///
    /// # Errors
    /// When it is not there, or its handler does not take it; it stays a dead letter then.
    pub async fn redrive(&self, id: DeadLetterId) -> Result<(), RedriveError> {
        self.inner.bus.redrive(id).await
    }

    /// Sends all of those again that are meant, the oldest first; what becomes a dead letter again meanwhile is not sent twice.
    ///
    /// # Errors
    /// When the store of dead letters can't be read. That one of them is not taken is no error: the answer names it.
    pub async fn redrive_all(&self, which: &DeadLetterFilter) -> Result<Redriven, RedriveError> {
        self.inner.bus.redrive_all(which).await
    }

    /// What is owed on the disk, by handler: those included that nobody has loaded or subscribed now. Empty without a store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn backlogs(&self) -> Result<Vec<Backlog>, StoreError> {
        self.inner.bus.backlogs().await
    }

    /// What went over the bus so far.
    pub fn stats(&self) -> BusStats {
        self.inner.bus.stats()
    }

    /// How many dead letters there have been since the runtime was built, by reason; those no longer kept included.
    pub fn dead_letter_counts(&self) -> BTreeMap<DeadLetterReason, u64> {
        self.inner.bus.dead_letter_counts()
    }

    /// How the attempts at each subscribed handler ended so far, by name.
    pub fn handler_stats(&self) -> Vec<HandlerStats> {
        self.inner.bus.handler_stats()
    }

    /// The limits of events that this runtime was built with.
    pub fn event_limits(&self) -> &EventLimits {
        self.inner.bus.event_limits()
    }

    /// Returns when nothing is queued, running or waiting for a retry, and nothing will follow by itself.
    pub async fn quiet(&self) {
        self.inner.bus.quiet().await;
    }

    /// Ends the runtime in order: takes no more events, publishes `system.shutdown`, finishes what is queued until the
    /// limit, then stops the plugins, for which there is at least a second. What could not be finished is counted and logged.
    ///
    /// What is durable is not waited for but for the attempts that run: the rest is in the store, which is closed at the end,
    /// so that another runtime may open it.
    pub async fn shutdown(&self, limit: Duration) -> Drained {
        let deadline = deadline(limit);
        self.inner.bus.close();
        self.inner
            .bus
            .publish_host(types::SYSTEM_SHUTDOWN, &serde_json::json!({}), None)
            .await;
        let mut abandoned = self.inner.bus.drain(deadline).await;
        // However long the drain took, the plugins are told that it ends.
        let last = deadline.max(Instant::now() + LAST_WORDS);
        self.inner.manager.shut_down(last).await;
        // What plugins published in `stop`, to native handlers and to those that stopped later.
        abandoned += self.inner.bus.drain(deadline).await;
        let kept = self.inner.bus.close_store().await;
        Drained {
            abandoned,
            kept: kept.iter().map(|backlog| backlog.events).sum(),
            backlogs: kept,
        }
    }

    /// Publishes `system.startup`; call it when all plugins have started and events are about to come.
    ///
    /// From here on the store is looked through once a minute: what is owed to a handler that is neither subscribed nor of a
    /// plugin that is loaded becomes a dead letter, `orphaned`, when it is older than that handler's `retry.max-age` was.
    pub async fn announce(&self) {
        self.inner
            .bus
            .publish_host(types::SYSTEM_STARTUP, &serde_json::json!({}), None)
            .await;
        let manager = Arc::downgrade(&self.inner.manager);
        self.inner
            .bus
            .keep_house(move || manager.upgrade().map(|manager| manager.handler_names()));
    }

    pub(crate) fn tokio() -> Option<TokioHandle> {
        TokioHandle::try_current().ok()
    }
}

/// Runs a change of a plugin's life to its end even if the caller goes away: no plugin is left half started, or stopped
/// with calls still running.
async fn carry_through<T: Send + 'static>(change: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(change).await {
        Ok(answer) => answer,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nobody cancels the task, so tokio itself is going away, and the caller with it.
            Err(_) => std::future::pending().await,
        },
    }
}
