//! The event types that have a fixed meaning. Any other type is as good.

/// A plugin was compiled and described. Published by the host.
pub const PLUGIN_LOADED: &str = "plugin.loaded";
/// A plugin has its configuration, its grants and its subscriptions. Published by the host.
pub const PLUGIN_INITIALIZED: &str = "plugin.initialized";
/// A plugin's `start` returned ok: its handlers get events from now on. Published by the host.
pub const PLUGIN_STARTED: &str = "plugin.started";
/// A plugin gets no more events until it is started again. Published by the host.
pub const PLUGIN_STOPPED: &str = "plugin.stopped";
/// A plugin is gone from the runtime. Published by the host.
pub const PLUGIN_UNLOADED: &str = "plugin.unloaded";
/// A plugin could not start, was quarantined, or a filter was taken out of the way. Published by the host.
pub const PLUGIN_ERROR: &str = "plugin.error";
/// The runtime has started all its plugins and takes events. Published by the host.
pub const SYSTEM_STARTUP: &str = "system.startup";
/// The runtime has ended its intake and drained its queues. Published by the host.
pub const SYSTEM_SHUTDOWN: &str = "system.shutdown";
/// A plugin's configuration changed; the data names the keys, never the values. Published by the host.
pub const CONFIG_CHANGED: &str = "config.changed";
/// A user logged in.
pub const USER_LOGIN: &str = "user.login";
/// A user logged out.
pub const USER_LOGOUT: &str = "user.logout";
/// A record was created.
pub const DATA_CREATED: &str = "data.created";
/// A record was changed.
pub const DATA_UPDATED: &str = "data.updated";
/// A record was deleted.
pub const DATA_DELETED: &str = "data.deleted";

/// Whether a type belongs to the host: true for what `plugin.>`, `system.>` and `config.>` match. Neither guests nor HTTP
/// nor stdin can publish these. The bare words `plugin`, `system` and `config` are free.
pub fn is_reserved(event_type: &str) -> bool {
    event_type.starts_with("plugin.") || event_type.starts_with("system.") || event_type.starts_with("config.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::pattern::Pattern;

    /// E1
    #[test]
    fn reserved_types_are_those_that_the_reserved_patterns_match() {
        let patterns: Vec<Pattern> = ["plugin.>", "system.>", "config.>"].map(|p| p.parse().unwrap()).into();
        let types = [
            PLUGIN_LOADED,
            PLUGIN_INITIALIZED,
            PLUGIN_STARTED,
            PLUGIN_STOPPED,
            PLUGIN_UNLOADED,
            PLUGIN_ERROR,
            SYSTEM_STARTUP,
            SYSTEM_SHUTDOWN,
            CONFIG_CHANGED,
            USER_LOGIN,
            USER_LOGOUT,
            DATA_CREATED,
            DATA_UPDATED,
            DATA_DELETED,
            "plugin",
            "system",
            "config",
            "plugin.",
            "plugin.a.b",
            "plugins.loaded",
            "Plugin.loaded",
            ".plugin.loaded",
            "my.plugin.loaded",
            "",
            ".",
        ];
        for event_type in types {
            let matched = patterns.iter().any(|pattern| pattern.matches(event_type));
            assert_eq!(is_reserved(event_type), matched, "{event_type:?}");
        }
        assert!(is_reserved(CONFIG_CHANGED) && !is_reserved(USER_LOGIN) && !is_reserved("plugin"));
    }
}
