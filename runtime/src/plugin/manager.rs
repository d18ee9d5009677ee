//! All plugins: their order, their states, and the events about them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZero;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::bus::Bus;
use crate::event::types;
use crate::handler::Fault;
use crate::key_value::KeyValueUsage;
use crate::plugin::dependencies::{check_reachable, start_order};
use crate::plugin::error::LaunchFailure;
use crate::plugin::one::Plugin;
use crate::plugin::prepare::{Prepared, Shared};
use crate::plugin::{
    Inspection, LaunchError, LoadError, PluginConfig, PluginError, PluginSpec, PluginState, PluginStatus,
};
use crate::sandbox::Health;
use crate::sandbox::pool::Pool;

/// How many plugins of one launch are prepared at a time, at most: each may hold a component's bytes and machine code, and a
/// compiler's process with its memory.
const MOST_AT_A_TIME: usize = 8;

/// The plugins of a runtime. `plugins` is locked to look one up or to add or remove one, never while a guest runs.
pub(crate) struct Manager {
    shared: Arc<Shared>,
    bus: Arc<Bus>,
    plugins: Mutex<Plugins>,
    closed: AtomicBool,
}

#[derive(Default)]
struct Plugins {
    by_name: BTreeMap<Arc<str>, Arc<Plugin>>,
    /// In the order in which they started; they stop in the reverse of it.
    started: Vec<Arc<str>>,
}

impl Plugins {
    /// One that was quarantined may be there still.
    fn push_started(&mut self, name: &Arc<str>) {
        self.started.retain(|other| other != name);
        self.started.push(name.clone());
    }

    fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
        self.started.retain(|other| **other != *name);
    }
}

impl Manager {
    pub(crate) fn new(shared: Arc<Shared>, bus: Arc<Bus>) -> Self {
        Self {
            shared,
            bus,
            plugins: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Everything that `load` would find out but for grants, and nothing of it kept.
    pub(crate) async fn inspect(&self, spec: PluginSpec) -> Result<Inspection, LoadError> {
        Ok(Prepared::to_be_shown(&self.shared, spec).await?.inspection())
    }

    pub(crate) async fn load(&self, spec: PluginSpec) -> Result<PluginStatus, LoadError> {
        let prepared = Prepared::new(&self.shared, spec).await?;
        let plugin = self.register(prepared).await?;
        Ok(plugin.status())
    }

    /// Loads and starts a set of plugins: checks all of them first, then loads and starts one after the other in the
    /// order of their dependencies, so that each hears of those that come after it. All or, on an error, none.
    pub(crate) async fn launch(&self, specs: Vec<PluginSpec>) -> Result<(), LaunchError> {
        let mut prepared = self.prepare_all(specs).await?;
        let order = self
            .launch_order(&prepared)
            .map_err(|error| LaunchError(vec![error.into()]))?;
        let order: HashMap<_, _> = order.into_iter().zip(0_usize..).collect();
        prepared.sort_by_key(|one| order.get(&*one.name).copied());
        let mut launched = Vec::new();
        for one in prepared {
            let name = one.name.clone();
            let registered = self.register(one).await.map_err(LaunchFailure::from);
            if registered.is_ok() {
                launched.push(name);
            }
            let started = match registered {
                Ok(plugin) => self.start(plugin.name()).await.map_err(LaunchFailure::from),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = started {
                self.roll_back(launched).await;
                return Err(LaunchError(vec![failure]));
            }
        }
        Ok(())
    }

    /// What stops a launch, all of it, without launching.
    pub(crate) async fn check(&self, specs: Vec<PluginSpec>) -> Result<Vec<Inspection>, LaunchError> {
        let prepared = self.prepare_all(specs).await?;
        self.launch_order(&prepared)
            .map_err(|error| LaunchError(vec![error.into()]))?;
        Ok(prepared.into_iter().map(Prepared::inspection).collect())
    }

    /// Several at a time; what comes of them, errors included, in the order of the specs.
    async fn prepare_all(&self, specs: Vec<PluginSpec>) -> Result<Vec<Prepared>, LaunchError> {
        let preparing = stream::iter(specs.into_iter().map(|spec| Prepared::new(&self.shared, spec)));
        let mut preparing = pin!(preparing.buffered(at_a_time()));
        let (mut prepared, mut failures): (Vec<Prepared>, Vec<LaunchFailure>) = Default::default();
        let mut names = HashSet::new();
        while let Some(one) = preparing.next().await {
            match one {
                Ok(one) if self.is_there(&one.name) || names.contains(&one.name) => {
                    failures.push(
                        LoadError::AlreadyLoaded {
                            plugin: one.name.to_string(),
                        }
                        .into(),
                    );
                }
                Ok(one) => {
                    names.insert(one.name.clone());
                    prepared.push(one);
                }
                Err(error) => failures.push(error.into()),
            }
        }
        if failures.is_empty() {
            Ok(prepared)
        } else {
            Err(LaunchError(failures))
        }
    }

    /// Plugins that run already count as dependencies that are met.
    fn launch_order(&self, prepared: &[Prepared]) -> Result<Vec<String>, PluginError> {
        let new = prepared
            .iter()
            .map(|one| (one.name.to_string(), one.info.dependencies.clone()));
        let there = self
            .lock()
            .by_name
            .keys()
            .map(|name| (name.to_string(), Vec::new()))
            .collect::<Vec<_>>();
        start_order(&there.into_iter().chain(new).collect::<Vec<_>>())
    }

    async fn roll_back(&self, launched: Vec<Arc<str>>) {
        for name in launched.into_iter().rev() {
            // Somebody else may have unloaded it meanwhile.
            let _ = self.unload(&name).await;
        }
    }

    fn is_there(&self, name: &str) -> bool {
        self.lock().by_name.contains_key(name)
    }

    /// Makes a plugin known, and tells of it before anyone can start it.
    async fn register(&self, prepared: Prepared) -> Result<Arc<Plugin>, LoadError> {
        let plugin = Plugin::new(prepared, self.shared.clone(), self.bus.clone());
        let changing = plugin.change(None).await;
        self.insert(&plugin)?;
        plugin.tell(types::PLUGIN_LOADED, None).await;
        drop(changing);
        Ok(plugin)
    }

    fn insert(&self, plugin: &Arc<Plugin>) -> Result<(), LoadError> {
        let name = plugin.name().clone();
        if self.closed.load(Ordering::SeqCst) {
            return Err(LoadError::ShuttingDown {
                plugin: name.to_string(),
            });
        }
        let mut plugins = self.lock();
        if plugins.by_name.contains_key(&name) {
            return Err(LoadError::AlreadyLoaded {
                plugin: name.to_string(),
            });
        }
        plugins.by_name.insert(name, plugin.clone());
        Ok(())
    }

    pub(crate) async fn start(&self, name: &str) -> Result<(), PluginError> {
        let plugin = self.get(name)?;
        let _changing = plugin.change(None).await;
        if self.closed.load(Ordering::SeqCst) {
            return Err(PluginError::ShuttingDown);
        }
        self.check_known(&plugin)?;
        let state = plugin.state();
        if state == PluginState::Started {
            return Err(wrong_state(name, state, "started"));
        }
        self.check_dependencies(&plugin)?;
        match self.start_instances(&plugin).await {
            Ok(outbox) => {
                plugin.set_state(PluginState::Started, None);
                self.lock().push_started(plugin.name());
                plugin.tell(types::PLUGIN_STARTED, None).await;
                self.bus.release_from_plugin(outbox).await;
                Ok(())
            }
            Err(fault) => {
                plugin.fail(&fault);
                plugin.tell(types::PLUGIN_ERROR, Some(&fault)).await;
                Err(PluginError::Start {
                    plugin: name.to_owned(),
                    fault,
                })
            }
        }
    }

    async fn start_instances(&self, plugin: &Arc<Plugin>) -> Result<Vec<crate::Event>, Fault> {
        let blueprint = plugin.blueprint(&plugin.config());
        let blueprint = blueprint.map_err(|why| Fault::new(crate::Class::Unavailable, why))?;
        blueprint.open_directories().await?;
        let instances = Pool::instantiate(&blueprint).await?;
        plugin.set_state(PluginState::Initialized, None);
        plugin.tell(types::PLUGIN_INITIALIZED, None).await;
        plugin.open(blueprint, instances).await
    }

    fn check_dependencies(&self, plugin: &Plugin) -> Result<(), PluginError> {
        // Most have none, and a look at all the others would be one at each start.
        if plugin.dependencies().is_empty() {
            return Ok(());
        }
        let plugins = self.lock();
        let known = plugins
            .by_name
            .values()
            .map(|other| (other.name().to_string(), other.dependencies().to_vec()));
        check_reachable(plugin.name(), &known.collect::<Vec<_>>())?;
        let started = |name: &str| {
            plugins
                .by_name
                .get(name)
                .is_some_and(|other| other.state() == PluginState::Started)
        };
        match plugin.dependencies().iter().find(|dependency| !started(dependency)) {
            None => Ok(()),
            Some(dependency) => {
                let (plugin, dependency) = (plugin.name().to_string(), dependency.clone());
                Err(PluginError::DependencyNotStarted { plugin, dependency })
            }
        }
    }

    pub(crate) async fn stop(&self, name: &str) -> Result<(), PluginError> {
        let plugin = self.get(name)?;
        let _changing = plugin.change(None).await;
        self.check_known(&plugin)?;
        let state = plugin.state();
        if !matches!(state, PluginState::Started | PluginState::Quarantined) {
            return Err(wrong_state(name, state, "stopped"));
        }
        self.check_dependents(name)?;
        self.stop_instances(&plugin, None).await;
        Ok(())
    }

    async fn stop_instances(&self, plugin: &Arc<Plugin>, last: Option<Instant>) {
        self.lock().started.retain(|other| other != plugin.name());
        let outbox = plugin.close(last).await;
        plugin.set_state(PluginState::Stopped, None);
        self.bus.release_from_plugin(outbox).await;
        plugin.tell(types::PLUGIN_STOPPED, None).await;
    }

    fn check_dependents(&self, name: &str) -> Result<(), PluginError> {
        let plugins = self.lock();
        let needs = |other: &&Arc<Plugin>| other.dependencies().iter().any(|dependency| dependency == name);
        let started = plugins
            .by_name
            .values()
            .filter(|other| other.state() == PluginState::Started);
        let dependents: Vec<_> = started.filter(needs).map(|other| other.name().to_string()).collect();
        if dependents.is_empty() {
            return Ok(());
        }
        Err(PluginError::HasDependents {
            plugin: name.to_owned(),
            dependents,
        })
    }

    /// Stops the plugin if it runs, and forgets it.
    pub(crate) async fn unload(&self, name: &str) -> Result<(), PluginError> {
        let plugin = self.get(name)?;
        let _changing = plugin.change(None).await;
        self.check_known(&plugin)?;
        // One that does not run may have lost those that depend on it to its quarantine only.
        self.check_dependents(name)?;
        if plugin.state() == PluginState::Started {
            self.stop_instances(&plugin, None).await;
        }
        plugin.leave_chain();
        plugin.leave_bus();
        self.lock().forget(name);
        plugin.tell(types::PLUGIN_UNLOADED, None).await;
        Ok(())
    }

    /// L4: gives a plugin another config: fresh instances start with it beside those at work, and take over. If they
    /// can't start, those at work go on, with the config they have.
    pub(crate) async fn reconfigure(&self, name: &str, config: PluginConfig) -> Result<Vec<String>, PluginError> {
        let plugin = self.get(name)?;
        let _changing = plugin.change(None).await;
        self.check_known(&plugin)?;
        let state = plugin.state();
        let changed = plugin.config().changed_keys(&config);
        let invalid = |why| PluginError::Config {
            plugin: name.to_owned(),
            why,
        };
        let blueprint = plugin.blueprint(&config).map_err(invalid)?;
        if state == PluginState::Started {
            let replaced = plugin.replace(blueprint).await;
            let outbox = replaced.map_err(|fault| PluginError::Start {
                plugin: name.to_owned(),
                fault,
            })?;
            self.bus.release_from_plugin(outbox).await;
        }
        plugin.set_config(config);
        let data = json!({ "plugin": name, "keys": changed });
        self.bus.publish_host(types::CONFIG_CHANGED, &data, Some(name)).await;
        Ok(changed)
    }

    /// Throws away what a plugin has in its key-value store. The name need not be one of a plugin that is loaded.
    pub(crate) async fn purge_key_value(&self, name: &str) -> Result<KeyValueUsage, PluginError> {
        let plugin = self.get(name).ok();
        let _changing = match &plugin {
            // Calls of a quarantined plugin that still run have ended then, too.
            Some(plugin) => Some(plugin.change(None).await),
            None => None,
        };
        // Asked anew: another of this name may have come meanwhile.
        let state = self.get(name).ok().map(|plugin| plugin.state());
        if let Some(state @ (PluginState::Initialized | PluginState::Started)) = state {
            return Err(wrong_state(name, state, "purged: stop it first"));
        }
        let purged = self.shared.key_value.purge(name).await;
        purged.map_err(|source| PluginError::KeyValue {
            plugin: name.to_owned(),
            source,
        })
    }

    pub(crate) async fn health(&self, name: &str) -> Result<Health, PluginError> {
        let plugin = self.get(name)?;
        match plugin.pool() {
            Some(pool) => {
                let (health, outbox) = pool.health(plugin.ready()).await;
                if !outbox.is_empty() {
                    self.bus.release_from_plugin(outbox).await;
                }
                Ok(health)
            }
            None => Ok(Health::Unhealthy(plugin.not_running().to_string())),
        }
    }

    /// The handlers of all plugins that are loaded, whatever their state.
    pub(crate) fn handler_names(&self) -> Vec<String> {
        let plugins = self.lock();
        let names = plugins.by_name.values().flat_map(|plugin| plugin.handler_names());
        names.collect()
    }

    pub(crate) fn status(&self, name: &str) -> Option<PluginStatus> {
        let plugin = self.lock().by_name.get(name).cloned();
        plugin.map(|plugin| plugin.status())
    }

    pub(crate) fn statuses(&self) -> Vec<PluginStatus> {
        let plugins: Vec<_> = self.lock().by_name.values().cloned().collect();
        plugins.iter().map(|plugin| plugin.status()).collect()
    }

    /// Stops all plugins, those that depend on others first, and has done so by `last`. None starts from here on.
    pub(crate) async fn shut_down(&self, last: Instant) {
        self.closed.store(true, Ordering::SeqCst);
        let plugins: Vec<_> = self.lock().by_name.values().cloned().collect();
        for plugin in plugins {
            // A start that had begun comes to its end first, so that none is missed below.
            drop(timeout_at(last, plugin.change(Some(last))).await);
        }
        while let Some(name) = self.take_last_started() {
            let Ok(plugin) = self.get(&name) else { continue };
            let Ok(_changing) = timeout_at(last, plugin.change(Some(last))).await else {
                tracing::warn!(plugin = %name, "its life is changing still, so it is not stopped in order");
                continue;
            };
            if plugin.state() == PluginState::Started {
                self.stop_instances(&plugin, Some(last)).await;
            }
        }
    }

    fn take_last_started(&self) -> Option<Arc<str>> {
        self.lock().started.pop()
    }

    fn get(&self, name: &str) -> Result<Arc<Plugin>, PluginError> {
        self.lock()
            .by_name
            .get(name)
            .cloned()
            .ok_or_else(|| PluginError::NotFound(name.to_owned()))
    }

    /// While a change waited for its turn the plugin may have been unloaded.
    fn check_known(&self, plugin: &Arc<Plugin>) -> Result<(), PluginError> {
        match self.lock().by_name.get(plugin.name()) {
            Some(known) if Arc::ptr_eq(known, plugin) => Ok(()),
            _ => Err(PluginError::NotFound(plugin.name().to_string())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Plugins> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More than there are processors, so that none waits for the next plugin.
fn at_a_time() -> usize {
    let processors = available_parallelism().map_or(1, NonZero::get);
    processors.saturating_mul(2).min(MOST_AT_A_TIME)
}

fn wrong_state(plugin: &str, state: PluginState, attempted: &'static str) -> PluginError {
    PluginError::WrongState {
        plugin: plugin.to_owned(),
        state,
        attempted,
    }
}
