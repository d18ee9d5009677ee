//! Where a plugin is in its life.

use crate::limits::Limits;
use crate::plugin::PluginInfo;
use crate::sandbox::{Isolation, PluginKind};

/// The states of a plugin. One that was unloaded is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PluginState {
    /// Checked, compiled and described; not running.
    Loaded,
    /// Its instances are made; `start` is about to be called in them.
    Initialized,
    /// It takes events.
    Started,
    /// It was stopped; its subscriptions answer `unavailable`.
    Stopped,
    /// Its last start failed; its subscriptions were rolled back. A filter that was quarantined before keeps its place, and
    /// events fare as its `on_fault` says.
    Error,
    /// It failed too often (see [`QuarantinePolicy`](crate::QuarantinePolicy)): its subscriptions answer `unavailable`, or, if
    /// it is a filter, events fare as its `on_fault` says. Its instances are thrown away; `stop` is not called in them.
    ///
    /// A start brings it back, with nothing held against it. A stop leaves it stopped, an unload forgets it, and a new config
    /// is kept for its next start. Plugins that depend on it go on without it, as long as they are not started anew.
    Quarantined,
}

impl PluginState {
    /// The name that events, logs and JSON use.
    pub fn as_str(self) -> &'static str {
        match self {
            PluginState::Loaded => "loaded",
            PluginState::Initialized => "initialized",
            PluginState::Started => "started",
            PluginState::Stopped => "stopped",
            PluginState::Error => "error",
            PluginState::Quarantined => "quarantined",
        }
    }
}

impl std::fmt::Display for PluginState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the runtime knows of a plugin now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginStatus {
    /// What it is called in this runtime.
    pub name: String,
    /// Where it is in its life.
    pub state: PluginState,
    /// Why its last start failed, or why it is quarantined and what brings it back.
    pub error: Option<String>,
    /// Handler or filter.
    pub kind: PluginKind,
    /// What it says of itself.
    pub info: PluginInfo,
    /// `sha256:` and the hash of its bytes.
    pub digest: String,
    /// Its config, secrets replaced.
    pub config: serde_json::Value,
    /// The limits in force, ceilings considered.
    pub limits: Limits,
    /// How long its instances live.
    pub isolation: Isolation,
    /// How many bytes of memory each instance has that waits for work now.
    pub instance_memory: Vec<usize>,
}
