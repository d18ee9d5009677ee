//! From a spec to a plugin that could be started: read, hashed, compiled, described, checked. Nobody knows of it yet.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::handler::{Fault, OutboxLimits};
use crate::limits::Limits;
use crate::outcome::Class;
use crate::pattern::Pattern;
use crate::plugin::info::check_name;
use crate::plugin::{Grants, Inspection, LoadError, PluginInfo, PluginSpec, Source};
use crate::sandbox::blueprint::Blueprint;
use crate::sandbox::component::Compiled;
use crate::sandbox::engine::Engines;
use crate::sandbox::host::{GuestSubscriptions, SubscriptionRefused};
use crate::sandbox::log::GuestLog;
use crate::sandbox::{self, Isolation, LogSink, file};

/// What all plugins of a runtime share.
pub(crate) struct Shared {
    pub(crate) engines: Arc<Engines>,
    pub(crate) ceiling: Option<Limits>,
    pub(crate) max_component: u64,
    pub(crate) outbox: Arc<OutboxLimits>,
    pub(crate) log: Arc<dyn LogSink>,
    #[cfg(feature = "wasi-http")]
    pub(crate) network: Arc<sandbox::Network>,
}

/// A plugin that could be started.
pub(crate) struct Prepared {
    pub(crate) name: Arc<str>,
    pub(crate) info: PluginInfo,
    pub(crate) compiled: Compiled,
    pub(crate) limits: Limits,
    pub(crate) spec: PluginSpec,
    /// The patterns of each handler, narrowed by the grants.
    pub(crate) patterns: Vec<Vec<Pattern>>,
}

impl Prepared {
    /// Runs everything that can fail before a plugin is known: `load`, `check` and `inspect` all go through here.
    pub(crate) async fn new(shared: &Arc<Shared>, mut spec: PluginSpec) -> Result<Self, LoadError> {
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
            check_name("plugin", name).map_err(invalid)?;
        }
        spec.config.to_json().map_err(invalid)?;
        let limits = shared
            .ceiling
            .as_ref()
            .map_or_else(|| spec.limits.clone(), |ceiling| spec.limits.within(ceiling));
        let compiled = compile(shared, &spec, &limits).await?;
        let described = sandbox::describe(throwaway(shared, &label, &compiled, &limits)).await;
        let info = described.map_err(|fault| LoadError::Describe { plugin: label, fault })?;
        info.check(compiled.exports.kind(), &limits).map_err(invalid)?;
        check_handler_names(&spec, &info).map_err(invalid)?;
        let patterns = narrowed(&info, &spec.grants).map_err(invalid)?;
        let name = Arc::from(spec.name.as_deref().unwrap_or(&info.name));
        Ok(Self {
            name,
            info,
            compiled,
            limits,
            spec,
            patterns,
        })
    }

    pub(crate) fn inspection(self) -> Inspection {
        Inspection {
            name: self.name.to_string(),
            kind: self.compiled.exports.kind(),
            info: self.info,
            digest: self.compiled.digest,
            size: self.compiled.size,
            imports: self.compiled.imports,
            limits: self.limits,
        }
    }
}

/// Reads and compiles where blocking is allowed.
async fn compile(shared: &Arc<Shared>, spec: &PluginSpec, limits: &Limits) -> Result<Compiled, LoadError> {
    let plugin = spec.label();
    let engine = shared.engines.engine(limits.fuel.is_some());
    let engine = engine
        .map_err(|source| LoadError::Engine {
            plugin: plugin.clone(),
            source,
        })?
        .clone();
    let (source, pinned) = (spec.source.clone(), spec.digest.clone());
    let (grants, limits, max) = (spec.grants.clone(), limits.clone(), shared.max_component);
    let (label, aborted) = (plugin.clone(), plugin.clone());
    let work = tokio::task::spawn_blocking(move || {
        let bytes = bytes_of(&source, max, &label)?;
        check_digest(&bytes, pinned, &label)?;
        let compiled = Compiled::new(&engine, &bytes, &grants, &limits);
        compiled.map_err(|source| LoadError::Component { plugin: label, source })
    });
    // The task ends early only when the process does, or when the compiler panics: then the file is to blame.
    let why = "the compiler gave up on it; build it again, or report it";
    work.await.unwrap_or_else(|_| {
        Err(LoadError::Invalid {
            plugin: aborted,
            why: why.to_owned(),
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

fn check_digest(bytes: &[u8], pinned: Option<String>, label: &str) -> Result<(), LoadError> {
    let Some(pinned) = pinned else { return Ok(()) };
    let actual = sandbox::digest_of(bytes);
    if actual.eq_ignore_ascii_case(&pinned) {
        return Ok(());
    }
    Err(LoadError::Digest {
        plugin: label.to_owned(),
        actual,
        pinned,
    })
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

/// For `describe`: no grant, no config, no bus.
fn throwaway(shared: &Shared, label: &str, compiled: &Compiled, limits: &Limits) -> Arc<Blueprint> {
    let name: Arc<str> = Arc::from(label);
    Arc::new(Blueprint {
        log: GuestLog::new(name.clone(), shared.log.clone(), limits.log_bytes),
        name,
        engines: shared.engines.clone(),
        pre: compiled.pre.clone(),
        exports: compiled.exports.clone(),
        isolation: Isolation::PerEvent,
        concurrency: 1,
        handlers: 0,
        limits: limits.clone(),
        grants: Grants::default(),
        config: "{}".to_owned(),
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
