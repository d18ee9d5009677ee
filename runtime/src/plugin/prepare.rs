//! From a spec to a plugin that could be started: read, hashed, compiled, described, checked. Nobody knows of it yet.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::handler::{Fault, OutboxLimits};
use crate::key_value::{Commits, KeyValueStore, Space};
use crate::limits::Limits;
use crate::outcome::Class;
use crate::pattern::Pattern;
use crate::plugin::info::check_plugin_name;
use crate::plugin::{Grants, Inspection, LoadError, PluginInfo, PluginSpec, Source};
use crate::sandbox::blueprint::Blueprint;
use crate::sandbox::component::Compiled;
use crate::sandbox::config_store::ConfigStore;
use crate::sandbox::engine::Engines;
use crate::sandbox::files::Files;
use crate::sandbox::host::{GuestSubscriptions, SubscriptionRefused};
use crate::sandbox::load::{Job, Loaded, Loader, Looked};
use crate::sandbox::log::GuestLog;
use crate::sandbox::{self, Isolation, LogSink, file};

/// What all plugins of a runtime share.
pub(crate) struct Shared {
    pub(crate) engines: Arc<Engines>,
    pub(crate) ceiling: Option<Limits>,
    pub(crate) max_component: u64,
    pub(crate) loader: Loader,
    pub(crate) outbox: Arc<OutboxLimits>,
    pub(crate) key_value: Arc<dyn KeyValueStore>,
    pub(crate) key_value_commits: Commits,
    pub(crate) log: Arc<dyn LogSink>,
    #[cfg(feature = "wasi-http")]
    pub(crate) network: Arc<sandbox::Network>,
}

/// A plugin that could be started.
pub(crate) struct Prepared {
    pub(crate) name: Arc<str>,
    pub(crate) info: Arc<PluginInfo>,
    /// Shared with other plugins of the same bytes.
    pub(crate) loaded: Loaded,
    pub(crate) limits: Limits,
    pub(crate) spec: PluginSpec,
    /// The patterns of each handler, narrowed by the grants.
    pub(crate) patterns: Vec<Vec<Pattern>>,
}

/// What a component is prepared for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To be started: it must have the grants that it needs.
    Run,
    /// To be shown: it needs none, since none is in force while it describes itself.
    Show,
}

impl Prepared {
    /// Runs everything that can fail before a plugin is known, for `load` and `check`.
    pub(crate) async fn new(shared: &Arc<Shared>, spec: PluginSpec) -> Result<Self, LoadError> {
        Self::made(shared, spec, Purpose::Run).await
    }

    /// The same for `inspect`, whatever is granted.
    pub(crate) async fn to_be_shown(shared: &Arc<Shared>, spec: PluginSpec) -> Result<Self, LoadError> {
        Self::made(shared, spec, Purpose::Show).await
    }

    async fn made(shared: &Arc<Shared>, mut spec: PluginSpec, purpose: Purpose) -> Result<Self, LoadError> {
        let label = spec.label();
        let grants = spec.grants.clone().checked();
        spec.grants = grants.map_err(|why| LoadError::Invalid {
            plugin: spec.label(),
            why: format!("plugin.grants.http: {why}"),
        })?;
        let invalid = |why: String| LoadError::Invalid {
            plugin: spec.label(),
            why,
        };
        if let Some(name) = &spec.name {
            check_plugin_name(name).map_err(invalid)?;
        }
        spec.config.to_json().map_err(invalid)?;
        let limits = shared
            .ceiling
            .as_ref()
            .map_or_else(|| spec.limits.clone(), |ceiling| spec.limits.within(ceiling));
        let loaded = load(shared, &spec, &limits).await?;
        if purpose == Purpose::Run {
            let granted = loaded.compiled.check_granted(&spec.grants);
            granted.map_err(|source| LoadError::Component {
                plugin: spec.label(),
                source,
            })?;
        }
        let describe = async || sandbox::describe(throwaway(shared, &label, &loaded.compiled, &limits)).await;
        let info = match loaded.described(describe).await {
            Ok(info) => info,
            Err(fault) => return Err(LoadError::Describe { plugin: label, fault }),
        };
        // Each time: the answer was given under other limits, perhaps.
        info.check(loaded.compiled.exports.kind(), &limits).map_err(invalid)?;
        shared.loader.keep(&loaded, &info).await;
        check_handler_names(&spec, &info).map_err(invalid)?;
        let patterns = narrowed(&info, &spec.grants).map_err(invalid)?;
        let name = spec.name.as_deref().unwrap_or(&info.name);
        check_plugin_name(name).map_err(invalid)?;
        let name = Arc::from(name);
        Ok(Self {
            name,
            info,
            loaded,
            limits,
            spec,
            patterns,
        })
    }

    pub(crate) fn inspection(self) -> Inspection {
        let compiled = &self.loaded.compiled;
        Inspection {
            name: self.name.to_string(),
            kind: compiled.exports.kind(),
            info: PluginInfo::clone(&self.info),
            digest: compiled.digest.clone(),
            size: compiled.size,
            imports: compiled.imports.clone(),
            needs: compiled.needs.clone(),
            limits: self.limits,
        }
    }
}

/// Reads the bytes once, hashes them, and loads those same bytes (H36).
async fn load(shared: &Arc<Shared>, spec: &PluginSpec, limits: &Limits) -> Result<Loaded, LoadError> {
    let plugin = spec.label();
    let looked = look(shared, spec, limits).await?;
    let loaded = shared.loader.load(looked).await;
    loaded.map_err(|source| LoadError::Component { plugin, source })
}

/// All that is done with the bytes where blocking is allowed, in one go: to change threads takes longer than much of it.
async fn look(shared: &Arc<Shared>, spec: &PluginSpec, limits: &Limits) -> Result<Looked, LoadError> {
    let plugin = spec.label();
    let metered = limits.fuel.is_some();
    let engine = shared.engines.engine(metered).map_err(|source| LoadError::Engine {
        plugin: plugin.clone(),
        source,
    })?;
    let (engine, shared, limits) = (engine.clone(), shared.clone(), limits.clone());
    let (source, pinned, label) = (spec.source.clone(), spec.digest.clone(), plugin.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let bytes = bytes_of(&source, shared.max_component, &label)?;
        let digest = sandbox::digest_of(&bytes);
        check_digest(&digest, pinned, label.clone())?;
        let job = Job {
            engine,
            metered,
            bytes,
            digest,
            limits,
            places: shared.engines.max_instances(),
        };
        let looked = shared.loader.look(job);
        looked.map_err(|source| LoadError::Component { plugin: label, source })
    });
    // The task ends early only when the process does.
    looked.await.unwrap_or_else(|error| {
        Err(LoadError::Read {
            plugin,
            source: error.into(),
        })
    })
}

fn bytes_of(source: &Source, max: u64, label: &str) -> Result<Bytes, LoadError> {
    let too_large = |source| LoadError::Component {
        plugin: label.to_owned(),
        source,
    };
    match source {
        Source::Bytes(bytes) if bytes.len() as u64 > max => {
            Err(too_large(sandbox::ComponentError::FileTooLarge { limit: max }))
        }
        Source::Bytes(bytes) => Ok(bytes.clone()),
        Source::File(path) => {
            let read = file::read(path, max).map_err(|source| unreadable(path, label, source))?;
            read.map(Bytes::from).map_err(too_large)
        }
    }
}

fn unreadable(path: &Path, label: &str, source: std::io::Error) -> LoadError {
    let path = path.display().to_string();
    let plugin = if path == label {
        path
    } else {
        format!("{label} ({path})")
    };
    LoadError::Read { plugin, source }
}

fn check_digest(actual: &str, pinned: Option<String>, plugin: String) -> Result<(), LoadError> {
    match pinned {
        Some(pinned) if !actual.eq_ignore_ascii_case(&pinned) => Err(LoadError::Digest {
            plugin,
            actual: actual.to_owned(),
            pinned,
        }),
        _ => Ok(()),
    }
}

fn check_handler_names(spec: &PluginSpec, info: &PluginInfo) -> Result<(), String> {
    let known = |name: &String| info.handlers.iter().any(|handler| handler.name == *name);
    match spec.handlers.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => {
            let names: Vec<_> = info.handlers.iter().map(|handler| handler.name.as_str()).collect();
            Err(format!(
                "plugin.handler.{name}: it has no such handler; it has {}",
                names.join(", ")
            ))
        }
    }
}

fn narrowed(info: &PluginInfo, grants: &Grants) -> Result<Vec<Vec<Pattern>>, String> {
    let mut all = Vec::with_capacity(info.handlers.len());
    for handler in &info.handlers {
        let mut patterns: Vec<_> = handler
            .parsed_patterns()?
            .iter()
            .flat_map(|p| grants.narrow(p))
            .collect();
        patterns.sort();
        patterns.dedup();
        if patterns.is_empty() {
            tracing::warn!(
                handler = handler.name,
                "its subscribe grant leaves it no pattern: it will get no event"
            );
        }
        all.push(patterns);
    }
    Ok(all)
}

/// For `describe`: no grant, no config, no bus, an empty key-value store.
fn throwaway(shared: &Shared, label: &str, compiled: &Compiled, limits: &Limits) -> Arc<Blueprint> {
    let name: Arc<str> = Arc::from(label);
    let log = GuestLog::new(name.clone(), shared.log.clone(), limits.log_bytes);
    Arc::new(Blueprint {
        key_value: Space::empty(name.clone(), limits),
        files: Files::new(&Grants::default(), limits, &log),
        log,
        name,
        engines: shared.engines.clone(),
        pre: compiled.pre.clone(),
        exports: compiled.exports.clone(),
        an_export: compiled.an_export,
        places: compiled.room.places(),
        isolation: Isolation::PerEvent,
        concurrency: 1,
        keeps_lanes: false,
        handlers: 0,
        limits: limits.clone(),
        grants: Grants::default(),
        config: "{}".to_owned(),
        config_store: ConfigStore::default(),
        outbox: shared.outbox.clone(),
        subscriptions: Arc::new(NoSubscriptions),
        #[cfg(feature = "wasi-http")]
        http: sandbox::Outbound::new(shared.network.clone(), limits),
    })
}

struct NoSubscriptions;

impl GuestSubscriptions for NoSubscriptions {
    fn subscribe(&self, _pattern: &Pattern, _handler: usize) -> Result<(), SubscriptionRefused> {
        Err(SubscriptionRefused::Gone("describe may not subscribe".to_owned()))
    }

    fn unsubscribe(&self, _pattern: &Pattern, _handler: usize) -> Result<(), SubscriptionRefused> {
        Err(SubscriptionRefused::NotFound)
    }
}

/// What a health check of a plugin without instances says.
pub(crate) fn not_running(state: super::PluginState) -> Fault {
    Fault::new(Class::Unavailable, format!("it is {state}"))
}
