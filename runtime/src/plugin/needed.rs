//! Grants that a component asks for by what it imports.

use std::fmt;

use crate::plugin::Grants;

/// A grant without which a component that imports certain interfaces is not loaded. Other grants are asked for only as the
/// plugin runs, so that nobody can tell them from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NeededGrant {
    /// A key-value store: for `wasi:keyvalue`.
    KeyValue,
    /// An origin to send HTTP requests to: for `wasi:http`.
    Http,
}

impl NeededGrant {
    /// The key of the config that gives it, such as `plugin.grants.key-value`.
    pub fn key(self) -> &'static str {
        match self {
            NeededGrant::KeyValue => "plugin.grants.key-value",
            NeededGrant::Http => "plugin.grants.http",
        }
    }

    /// Whether these grants have it.
    pub fn is_in(self, grants: &Grants) -> bool {
        match self {
            NeededGrant::KeyValue => grants.key_value,
            NeededGrant::Http => !grants.http.is_empty(),
        }
    }

    /// What a component needs that imports this interface.
    pub(crate) fn of(interface: &str) -> Option<Self> {
        match interface.split_once('/') {
            Some(("wasi:keyvalue", _)) => Some(NeededGrant::KeyValue),
            Some(("wasi:http", _)) => Some(NeededGrant::Http),
            _ => None,
        }
    }

    /// What is lacking, and where to give it.
    pub(crate) fn lacking(self) -> String {
        let what = match self {
            NeededGrant::KeyValue => "",
            NeededGrant::Http => " with an origin in it",
        };
        format!("it needs the grant `{self}`{what} ({})", self.key())
    }
}

/// The grant's name, as in `[plugin.grants]`: `key-value`.
impl fmt::Display for NeededGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            NeededGrant::KeyValue => "key-value",
            NeededGrant::Http => "http",
        })
    }
}
