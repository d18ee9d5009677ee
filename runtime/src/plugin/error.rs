//! Why a plugin can't be loaded, started or stopped.

use crate::handler::Fault;
use crate::key_value::KeyValueError;
use crate::sandbox::{ComponentError, EngineError};

/// Why a plugin was not loaded. Nothing changed; other plugins keep running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file can't be read.
    #[error("{plugin}: can't be read: {source}")]
    Read {
        /// Its name or path.
        plugin: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no component that this runtime can run.
    #[error("{plugin}: {source}")]
    Component {
        /// Its name or path.
        plugin: String,
        /// Why not.
        source: ComponentError,
    },
    /// The bytes are not the ones that the operator pinned.
    #[error(
        "{plugin}: its digest is {actual}, but {pinned} is pinned (plugin.digest): get the right file, or pin this one"
    )]
    Digest {
        /// Its name or path.
        plugin: String,
        /// What the bytes have.
        actual: String,
        /// What they should have.
        pinned: String,
    },
    /// Its `describe` failed.
    #[error("{plugin}: describe failed: {fault}")]
    Describe {
        /// Its name or path.
        plugin: String,
        /// How.
        fault: Fault,
    },
    /// What it describes, or what the operator says of it, can't be.
    #[error("{plugin}: {why}")]
    Invalid {
        /// Its name or path.
        plugin: String,
        /// What is wrong.
        why: String,
    },
    /// There is a plugin of this name.
    #[error("{plugin}: a plugin of this name is loaded already; give one of them another name (plugin.name)")]
    AlreadyLoaded {
        /// The name.
        plugin: String,
    },
    /// The engine for it can't be set up.
    #[error("{plugin}: {source}")]
    Engine {
        /// Its name or path.
        plugin: String,
        /// Why not.
        source: EngineError,
    },
    /// The runtime is stopping.
    #[error("{plugin}: the runtime is shutting down")]
    ShuttingDown {
        /// Its name or path.
        plugin: String,
    },
}

/// Why a plugin was not started, stopped or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// There is no such plugin.
    #[error("there is no plugin named {0}")]
    NotFound(String),
    /// It needs another plugin that is not there.
    #[error("{plugin} depends on {dependency}, which is not loaded")]
    MissingDependency {
        /// The plugin.
        plugin: String,
        /// What it needs.
        dependency: String,
    },
    /// It needs another plugin that is not started.
    #[error("{plugin} depends on {dependency}, which is not started: start that first")]
    DependencyNotStarted {
        /// The plugin.
        plugin: String,
        /// What it needs.
        dependency: String,
    },
    /// Plugins depend on each other in a circle.
    #[error("these plugins depend on each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// Others that are started depend on it.
    #[error("{plugin} is needed by {}, which are started: stop these first", .dependents.join(", "))]
    HasDependents {
        /// The plugin.
        plugin: String,
        /// Who needs it.
        dependents: Vec<String>,
    },
    /// It is not in the right state.
    #[error("{plugin} is {state}, so it can't be {attempted}")]
    WrongState {
        /// The plugin.
        plugin: String,
        /// Where it is.
        state: super::PluginState,
        /// What was tried: `started`, `stopped`, or `purged: stop it first`.
        attempted: &'static str,
    },
    /// Its `start` failed; it is in state error, nothing of it runs, and its subscriptions are gone.
    #[error("{plugin} did not start: {fault}")]
    Start {
        /// The plugin.
        plugin: String,
        /// How it failed.
        fault: Fault,
    },
    /// Its key-value store failed.
    #[error("{plugin}: {source}")]
    KeyValue {
        /// The plugin.
        plugin: String,
        /// How.
        source: KeyValueError,
    },
    /// Its new config can't be.
    #[error("{plugin}: {why}")]
    Config {
        /// The plugin.
        plugin: String,
        /// What is wrong.
        why: String,
    },
    /// The runtime is stopping.
    #[error("the runtime is shutting down")]
    ShuttingDown,
}

/// Why a set of plugins was not launched. None of them is left loaded.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub struct LaunchError(pub Vec<LaunchFailure>);

/// One reason why a launch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchFailure {
    /// A plugin could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A plugin could not be started, or its dependencies can't be met.
    #[error(transparent)]
    Start(#[from] PluginError),
}

fn list(failures: &[LaunchFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
