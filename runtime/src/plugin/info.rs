//! What a plugin says of itself.

use std::time::Duration;

use crate::bus::HOST_SOURCE;
use crate::limits::Limits;
use crate::pattern::Pattern;
use crate::plugin::NeededGrant;
use crate::sandbox::PluginKind;

/// What `describe` answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Its own name; the operator may have given it another.
    pub name: String,
    /// Its version, free in form.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// Names of plugins that must be started before it.
    pub dependencies: Vec<String>,
    /// What it handles; empty for a filter plugin.
    pub handlers: Vec<HandlerInfo>,
}

/// One handler, as its plugin describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerInfo {
    /// Unique in the plugin.
    pub name: String,
    /// The patterns it wants to be subscribed to.
    pub patterns: Vec<String>,
    /// The longest one call should take; the plugin's limit if absent.
    pub timeout: Option<Duration>,
    /// How its events are to be ordered.
    pub ordering: Ordering,
}

/// How events to one handler are ordered when an attempt fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ordering {
    /// First attempts come in publish order; retries come later and hold nobody up.
    #[default]
    None,
    /// Events with the same value of this metadata key keep their order.
    Key(String),
    /// All events keep their order.
    Strict,
}

/// Everything that is known of a component without starting it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// What it is called in this runtime.
    pub name: String,
    /// Handler or filter.
    pub kind: PluginKind,
    /// What it says of itself.
    pub info: PluginInfo,
    /// `sha256:` and the hash of its bytes.
    pub digest: String,
    /// How many bytes it has.
    pub size: usize,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// The grants without which it would not be loaded.
    pub needs: Vec<NeededGrant>,
    /// The limits in force, ceilings considered.
    pub limits: Limits,
}

const MAX_NAME: usize = 64;
const MAX_HANDLERS: usize = 64;
const MAX_DEPENDENCIES: usize = 64;

impl PluginInfo {
    /// Checks what a guest says: it may say anything.
    pub(crate) fn check(&self, kind: PluginKind, limits: &Limits) -> Result<(), String> {
        check_name("plugin", &self.name)?;
        if self.dependencies.len() > MAX_DEPENDENCIES {
            let count = self.dependencies.len();
            return Err(format!(
                "it describes {count} dependencies; {MAX_DEPENDENCIES} are the most"
            ));
        }
        for dependency in &self.dependencies {
            check_name("dependency", dependency)?;
        }
        match (kind, self.handlers.len()) {
            (PluginKind::Event, 0) => return Err("it describes no handler".to_owned()),
            (PluginKind::Filter, 1..) => {
                return Err("a filter plugin has no handlers, but it describes some".to_owned());
            }
            (_, count) if count > MAX_HANDLERS => {
                return Err(format!("it describes {count} handlers; {MAX_HANDLERS} are the most"));
            }
            _ => {}
        }
        let patterns: usize = self.handlers.iter().map(|handler| handler.patterns.len()).sum();
        if patterns > limits.subscriptions {
            let limit = limits.subscriptions;
            return Err(format!(
                "it describes {patterns} patterns; the limit is {limit} (plugin.limits.subscriptions)"
            ));
        }
        self.handlers
            .iter()
            .enumerate()
            .try_for_each(|(at, handler)| self.check_handler(at, handler))
    }

    fn check_handler(&self, at: usize, handler: &HandlerInfo) -> Result<(), String> {
        let name = &handler.name;
        check_name("handler", name)?;
        if self.handlers.iter().take(at).any(|other| other.name == *name) {
            return Err(format!("it describes two handlers named `{name}`"));
        }
        if handler.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(format!("handler `{name}` asks for a timeout of 0"));
        }
        if handler.ordering != Ordering::None {
            let why = "asks for an ordering that this version can't keep yet";
            return Err(format!("handler `{name}` {why}; only `none` is offered"));
        }
        if handler.patterns.is_empty() {
            return Err(format!("handler `{name}` has no pattern"));
        }
        handler.parsed_patterns().map(drop)
    }
}

impl HandlerInfo {
    /// Its patterns, or which one is none.
    pub(crate) fn parsed_patterns(&self) -> Result<Vec<Pattern>, String> {
        let mut parsed: Vec<Pattern> = Vec::with_capacity(self.patterns.len());
        for pattern in &self.patterns {
            let pattern = pattern
                .parse::<Pattern>()
                .map_err(|error| format!("handler `{}`: {error}", self.name))?;
            if !parsed.contains(&pattern) {
                parsed.push(pattern);
            }
        }
        Ok(parsed)
    }
}

/// Whether a text is a name: 1 to 64 ASCII letters, digits, `-` and `_`.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a name is the host's: what its own events have as their source must not be what a plugin's have.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.eq_ignore_ascii_case(HOST_SOURCE)
}

/// Checks the name that a plugin goes by.
pub(crate) fn check_plugin_name(name: &str) -> Result<(), String> {
    if is_reserved(name) {
        return Err(format!(
            "`{name}` is the name of the host, which its own events have as their source: give the plugin another with \
             `name`"
        ));
    }
    check_name("plugin", name)
}

/// Names are shown, logged and used as the source of events, so they are plain.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME).flat_map(char::escape_debug).collect();
    Err(format!(
        "`{shown}` is no name for a {what}: use 1 to {MAX_NAME} letters, digits, `-` and `_`"
    ))
}
