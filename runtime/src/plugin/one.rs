//! One loaded plugin and its life.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

use crate::bus::{Bus, FilterId, OnFault, SubscribeError, SubscribeOptions};
use crate::event::Event;
use crate::handler::{Fault, Handler};
use crate::key_value::Space;
use crate::outcome::{Class, HandlerName};
use crate::pattern::Pattern;
use crate::plugin::handler::{PluginFilter, PluginHandler, Serving};
use crate::plugin::prepare::{Prepared, Shared, not_running};
use crate::plugin::supervisor::Overseer;
use crate::plugin::{PluginConfig, PluginInfo, PluginState, PluginStatus};
use crate::sandbox::blueprint::Blueprint;
use crate::sandbox::component::PluginKind;
use crate::sandbox::config_store::ConfigStore;
use crate::sandbox::deadline::SetBy;
use crate::sandbox::files::Files;
use crate::sandbox::host::{GuestSubscriptions, SubscriptionRefused};
use crate::sandbox::load::Loaded;
use crate::sandbox::log::GuestLog;
use crate::sandbox::pool::{Instances, Pool, Supervision};
use crate::sandbox::ready::Ready;

/// A loaded plugin. Its life changes one step at a time, under `changing`; its state is read without it.
pub(crate) struct Plugin {
    prepared: Prepared,
    shared: Arc<Shared>,
    pub(super) bus: Arc<Bus>,
    log: Arc<GuestLog>,
    pub(super) serving: Arc<Serving>,
    files: Arc<Files>,
    handlers: Vec<(HandlerName, Arc<dyn Handler>, SubscribeOptions)>,
    state: Mutex<State>,
    itself: Weak<Plugin>,
    /// Held while the plugin's life changes. No handler is called and no event awaited under it but the plugin's own
    /// `start` and `stop`, which end by their deadlines.
    pub(super) changing: tokio::sync::Mutex<()>,
}

struct State {
    state: PluginState,
    error: Option<String>,
    config: PluginConfig,
    filter: Option<FilterId>,
    /// Subscriptions that the guest made itself: they end when it stops.
    dynamic: Vec<(Pattern, usize)>,
}

impl Plugin {
    pub(crate) fn new(prepared: Prepared, shared: Arc<Shared>, bus: Arc<Bus>) -> Arc<Self> {
        let name = &prepared.name;
        let concurrency = prepared.spec.concurrency.max(1);
        let serving = Serving::new(name, prepared.loaded.compiled.digest.clone(), concurrency);
        let log = GuestLog::new(name.clone(), shared.log.clone(), prepared.limits.log_bytes);
        let files = Files::new(&prepared.spec.grants, &prepared.limits, &log);
        let handlers = handlers(&prepared, &serving);
        let state = Mutex::new(State {
            state: PluginState::Loaded,
            error: None,
            config: prepared.spec.config.clone(),
            filter: None,
            dynamic: Vec::new(),
        });
        let changing = tokio::sync::Mutex::default();
        Arc::new_cyclic(|itself| {
            let itself = itself.clone();
            Self {
                prepared,
                shared,
                bus,
                log,
                files,
                serving,
                handlers,
                state,
                itself,
                changing,
            }
        })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.prepared.name
    }

    pub(crate) fn dependencies(&self) -> &[String] {
        &self.prepared.info.dependencies
    }

    pub(super) fn kind(&self) -> PluginKind {
        self.prepared.loaded.compiled.exports.kind()
    }

    pub(super) fn on_fault(&self) -> OnFault {
        self.prepared.spec.filter.on_fault
    }

    pub(crate) fn version(&self) -> &str {
        &self.prepared.info.version
    }

    /// A plugin whose faults were too many is quarantined from that moment on, whenever its life is changed next.
    pub(crate) fn state(&self) -> PluginState {
        // Asked first: who settles it sets the state before it is taken from there.
        let quarantined = self.serving.quarantined().is_some();
        match self.settled_state() {
            PluginState::Started if quarantined => PluginState::Quarantined,
            state => state,
        }
    }

    /// What the events about it say: they tell of one change after the other.
    pub(super) fn settled_state(&self) -> PluginState {
        self.lock().state
    }

    pub(crate) fn set_state(&self, new: PluginState, error: Option<String>) {
        let mut state = self.lock();
        state.state = new;
        state.error = error;
    }

    pub(crate) fn handler_names(&self) -> impl Iterator<Item = String> {
        self.handlers.iter().map(|(name, _, _)| name.to_string())
    }

    pub(crate) fn config(&self) -> PluginConfig {
        self.lock().config.clone()
    }

    pub(crate) fn set_config(&self, config: PluginConfig) {
        self.lock().config = config;
    }

    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        self.serving.pool()
    }

    pub(super) fn ready(&self) -> &Ready {
        self.serving.ready()
    }

    /// What a health check says while there are no instances.
    pub(crate) fn not_running(&self) -> Fault {
        match self.state() {
            PluginState::Quarantined => Fault::new(Class::Unavailable, self.serving.away()),
            state => not_running(state),
        }
    }

    /// The recipe for instances with this config.
    pub(crate) fn blueprint(&self, config: &PluginConfig) -> Result<Arc<Blueprint>, String> {
        let Prepared {
            name,
            info,
            loaded: Loaded { compiled, .. },
            limits,
            spec,
            ..
        } = &self.prepared;
        let mut outbox = (*self.shared.outbox).clone();
        (outbox.events, outbox.bytes) = (limits.publish_events, limits.publish_bytes);
        self.log.hide(&config.secrets());
        Ok(Arc::new(Blueprint {
            name: name.clone(),
            engines: self.shared.engines.clone(),
            pre: compiled.pre.clone(),
            exports: compiled.exports.clone(),
            an_export: compiled.an_export,
            places: compiled.room.places(),
            isolation: spec.isolation,
            concurrency: spec.concurrency.max(1),
            keeps_lanes: spec.keeps_lanes(),
            handlers: info.handlers.len(),
            limits: limits.clone(),
            grants: spec.grants.clone(),
            config: config.to_json()?,
            config_store: ConfigStore::new(config.values()),
            key_value: Space::new(
                self.shared.key_value.clone(),
                self.shared.key_value_commits,
                name.clone(),
                limits,
            ),
            log: self.log.clone(),
            files: self.files.clone(),
            outbox: Arc::new(outbox),
            subscriptions: Arc::new(OwnSubscriptions(self.itself.clone())),
            #[cfg(feature = "wasi-http")]
            http: crate::sandbox::Outbound::new(self.shared.network.clone(), limits),
        }))
    }

    /// Starts instances and lets events in. Returns what `start` published; on an error all is as it was before.
    pub(crate) async fn open(&self, blueprint: Arc<Blueprint>, instances: Instances) -> Result<Vec<Event>, Fault> {
        let opened = Pool::open(blueprint, instances, self.supervision()).await;
        let (pool, outbox) = opened.inspect_err(|_| self.forget_dynamic())?;
        self.serving.open(pool);
        self.bus.welcome_plugin(self.name());
        if let Err(error) = self.join_bus() {
            self.leave_bus();
            self.serving.close(format!("{} did not start", self.name()));
            return Err(Fault::new(Class::Unavailable, error.to_string()));
        }
        Ok(outbox)
    }

    /// Starts instances with another config beside the ones at work, and lets events go to them; then stops the others.
    /// Returns what both published; on an error the ones at work go on.
    pub(crate) async fn replace(&self, blueprint: Arc<Blueprint>) -> Result<Vec<Event>, Fault> {
        let before = self.lock().dynamic.clone();
        let started = async {
            let instances = Pool::instantiate(&blueprint).await?;
            Pool::open(blueprint.clone(), instances, self.supervision()).await
        };
        let (pool, mut outbox) = started.await.inspect_err(|_| self.forget_dynamic_but(&before))?;
        if let Some(before) = self.serving.open(pool) {
            outbox.extend(self.end(&before, None).await);
        }
        Ok(outbox)
    }

    /// L3: lets no event in any more, waits for the calls that run, and calls `stop`. Returns what that published.
    pub(crate) async fn close(&self, last: Option<Instant>) -> Vec<Event> {
        self.leave_chain();
        let outbox = match self.serving.close(format!("{} is stopped", self.name())) {
            Some(pool) => self.end(&pool, last).await,
            None => Vec::new(),
        };
        // Only now: a call that was running may have subscribed until its end.
        self.forget_dynamic();
        outbox
    }

    async fn end(&self, pool: &Pool, last: Option<Instant>) -> Vec<Event> {
        let (outbox, fault) = pool.close(last).await;
        if let Some(fault) = fault {
            tracing::warn!(plugin = %self.name(), %fault, "stop failed");
        }
        outbox
    }

    /// A filter is asked nothing any more.
    pub(crate) fn leave_chain(&self) {
        let filter = self.lock().filter.take();
        if let Some(id) = filter {
            // It is in the chain for as long as its id is here.
            let _ = self.bus.remove_filter(id);
        }
    }

    fn supervision(&self) -> Supervision {
        Supervision::new(self.prepared.spec.quarantine, Arc::new(Overseer(self.itself.clone())))
    }

    /// After a start that failed.
    pub(crate) fn fail(&self, fault: &Fault) {
        self.forget_dynamic();
        self.bus.unsubscribe_ephemeral(self.name());
        self.serving.close(format!("{} did not start: {fault}", self.name()));
        self.set_state(PluginState::Error, Some(fault.to_string()));
    }

    /// Ends all subscriptions, for an unload.
    pub(crate) fn leave_bus(&self) {
        self.lock().dynamic.clear();
        self.bus.unsubscribe_plugin(self.name());
    }

    pub(crate) fn status(&self) -> PluginStatus {
        let Prepared {
            name,
            info,
            loaded: Loaded { compiled, .. },
            limits,
            spec,
            ..
        } = &self.prepared;
        let instance_memory = self.pool().map_or(Vec::new(), |pool| pool.memory(self.ready()));
        let (now, why) = (self.state(), self.serving.quarantined());
        let state = self.lock();
        PluginStatus {
            name: name.to_string(),
            state: now,
            error: why.map_or_else(|| state.error.clone(), |why| Some(why.words.to_string())),
            kind: compiled.exports.kind(),
            info: PluginInfo::clone(info),
            digest: compiled.digest.clone(),
            config: state.config.shown(),
            limits: limits.clone(),
            isolation: spec.isolation,
            instance_memory,
        }
    }

    /// B2: every declared pattern of every handler. Those left from before a stop stay.
    fn join_bus(&self) -> Result<(), SubscribeError> {
        if self.kind() == PluginKind::Filter {
            // One that comes back from its quarantine has its place still.
            if self.lock().filter.is_some() {
                return Ok(());
            }
            let options = self.prepared.spec.filter;
            let filter = Arc::new(PluginFilter {
                serving: self.serving.clone(),
                timeout: options.timeout,
            });
            let id = self.bus.add_filter(self.name().clone(), filter, options);
            self.lock().filter = Some(id);
            return Ok(());
        }
        for ((name, handler, options), patterns) in self.handlers.iter().zip(&self.prepared.patterns) {
            let known = self.bus.subscriptions_of(name);
            let missing: Vec<_> = patterns
                .iter()
                .filter(|pattern| !known.contains(pattern))
                .cloned()
                .collect();
            if !missing.is_empty() {
                self.bus.subscribe(&missing, name, handler, options)?;
            }
        }
        Ok(())
    }

    /// Ends what the guest subscribed itself.
    pub(super) fn forget_dynamic(&self) {
        self.forget_dynamic_but(&[]);
    }

    /// The same, for what was not there before.
    fn forget_dynamic_but(&self, kept: &[(Pattern, usize)]) {
        let dynamic = std::mem::replace(&mut self.lock().dynamic, kept.to_vec());
        for (pattern, handler) in dynamic.into_iter().filter(|one| !kept.contains(one)) {
            if let Some((name, _, _)) = self.handlers.get(handler) {
                // It may have unsubscribed meanwhile.
                let _ = self.bus.unsubscribe_pattern(&pattern, name);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn handlers(prepared: &Prepared, serving: &Arc<Serving>) -> Vec<(HandlerName, Arc<dyn Handler>, SubscribeOptions)> {
    let Prepared {
        name,
        info,
        limits,
        spec,
        ..
    } = prepared;
    let described = (0_u32..).zip(&info.handlers);
    let made = described.map(|(index, handler)| {
        let own = spec.handlers.get(&handler.name).cloned().unwrap_or_default();
        let options = SubscribeOptions {
            timeout: spec.handler_timeout(handler, limits),
            concurrency: spec.concurrency.max(1),
            queue: own.queue.unwrap_or(spec.queue),
            retry: own.retry.unwrap_or(spec.retry),
            ordering: own.ordering.unwrap_or_else(|| spec.ordering.clone()),
            breaker: own.breaker.unwrap_or(spec.breaker),
            mode: own.mode.unwrap_or(spec.mode),
            backlog: own.backlog.unwrap_or(spec.backlog),
        };
        let shown = HandlerName::of_plugin(&**name, handler.name.as_str());
        let timeout = SetBy::handler(options.timeout, limits);
        let handler: Arc<dyn Handler> = Arc::new(PluginHandler::new(serving.clone(), index, timeout));
        (shown, handler, options)
    });
    made.collect()
}

/// What a plugin's instances subscribe: it belongs to the plugin, whichever instance asks.
struct OwnSubscriptions(Weak<Plugin>);

impl GuestSubscriptions for OwnSubscriptions {
    fn subscribe(&self, pattern: &Pattern, handler: usize) -> Result<(), SubscriptionRefused> {
        let plugin = self.plugin()?;
        let Some((name, as_handler, options)) = plugin.handlers.get(handler) else {
            return Err(SubscriptionRefused::NotFound);
        };
        let mut state = plugin.lock();
        if state.dynamic.contains(&(pattern.clone(), handler)) {
            return Ok(());
        }
        let declared: usize = plugin.prepared.patterns.iter().map(Vec::len).sum();
        let limit = plugin.prepared.limits.subscriptions;
        if declared + state.dynamic.len() >= limit {
            return Err(SubscriptionRefused::OverLimit(limit));
        }
        // Declared patterns join the bus only once the first `start` has returned; they count as there already.
        let is_declared = plugin
            .prepared
            .patterns
            .get(handler)
            .is_some_and(|patterns| patterns.contains(pattern));
        if is_declared && plugin.pool().is_none() {
            return Err(SubscriptionRefused::AlreadyExists);
        }
        match plugin
            .bus
            .subscribe(std::slice::from_ref(pattern), name, as_handler, options)
        {
            Ok(_) => {
                state.dynamic.push((pattern.clone(), handler));
                Ok(())
            }
            Err(SubscribeError::AlreadyExists { .. }) => Err(SubscriptionRefused::AlreadyExists),
            Err(error) => Err(SubscriptionRefused::Gone(error.to_string())),
        }
    }

    fn unsubscribe(&self, pattern: &Pattern, handler: usize) -> Result<(), SubscriptionRefused> {
        let plugin = self.plugin()?;
        let Some((name, _, _)) = plugin.handlers.get(handler) else {
            return Err(SubscriptionRefused::NotFound);
        };
        plugin
            .lock()
            .dynamic
            .retain(|(other, at)| other != pattern || *at != handler);
        plugin
            .bus
            .unsubscribe_pattern(pattern, name)
            .map_err(|_| SubscriptionRefused::NotFound)
    }
}

impl OwnSubscriptions {
    fn plugin(&self) -> Result<Arc<Plugin>, SubscriptionRefused> {
        self.0
            .upgrade()
            .ok_or_else(|| SubscriptionRefused::Gone("the plugin is being unloaded".to_owned()))
    }
}
