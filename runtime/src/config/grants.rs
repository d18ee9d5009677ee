//! `[plugin.grants]` and `[filter.grants]`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::document::Document;
use super::error::ConfigProblem;
use super::http::HttpEntry;
use super::value::{EnvName, GuestPath, HostPath, Parsed, PatternText, Value};
use crate::event::is_reserved;
use crate::plugin::{ClockGrant, FsGrant, FsMode, Grants};

/// What a plugin may be granted.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct GrantsTable {
    #[serde(default)]
    publish: Vec<Spanned<PatternText>>,
    #[serde(default)]
    subscribe: Vec<PatternText>,
    #[serde(default)]
    env: Vec<Parsed<EnvName>>,
    #[serde(default)]
    fs: Vec<FsTable>,
    #[serde(default)]
    clocks: ClocksName,
    #[serde(default)]
    key_value: bool,
    #[serde(default)]
    http: Vec<HttpEntry>,
}

/// What a filter may be granted: it has no bus to publish to.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FilterGrantsTable {
    #[serde(default)]
    env: Vec<Parsed<EnvName>>,
    #[serde(default)]
    fs: Vec<FsTable>,
    #[serde(default)]
    clocks: ClocksName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FsTable {
    host: Spanned<Parsed<HostPath>>,
    guest: Spanned<Parsed<GuestPath>>,
    #[serde(default)]
    mode: ModeName,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModeName {
    #[default]
    Read,
    Write,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ClocksName {
    #[default]
    Coarse,
    Precise,
}

impl From<ClocksName> for ClockGrant {
    fn from(name: ClocksName) -> Self {
        match name {
            ClocksName::Coarse => ClockGrant::Coarse,
            ClocksName::Precise => ClockGrant::Precise,
        }
    }
}

impl From<FilterGrantsTable> for GrantsTable {
    fn from(FilterGrantsTable { env, fs, clocks }: FilterGrantsTable) -> Self {
        Self {
            env,
            fs,
            clocks,
            ..Self::default()
        }
    }
}

/// What reading grants leaves for the config as a whole.
pub(super) struct Found<'a> {
    pub(super) problems: &'a mut Vec<ConfigProblem>,
    pub(super) directories: &'a mut Vec<(PathBuf, ConfigProblem)>,
}

impl GrantsTable {
    /// `owner` is `plugin` or `filter`.
    pub(super) fn grants(&self, owner: &str, document: &Document, found: Found<'_>) -> Grants {
        found.problems.extend(self.reserved(owner, document));
        let mut guests = BTreeSet::new();
        for fs in &self.fs {
            let (host, guest) = (document.path(&fs.host.get_ref().get().0), fs.guest.get_ref().get());
            let missing = format!("there is no directory {}; create it first", host.display());
            found.directories.push((
                host,
                document.problem(&fs.host.span(), format!("{owner}.grants.fs.host"), missing),
            ));
            if !guests.insert(guest.0.trim_end_matches('/').to_owned()) {
                let twice = format!("two directories are called {} for this {owner}", guest.0);
                found
                    .problems
                    .push(document.problem(&fs.guest.span(), format!("{owner}.grants.fs.guest"), twice));
            }
        }
        Grants {
            publish: self.publish.iter().map(|pattern| pattern.get_ref().get()).collect(),
            subscribe: self.subscribe.iter().map(Value::get).collect(),
            env: self.env.iter().map(|name| name.get().0).collect(),
            fs: self.fs.iter().map(|fs| fs.grant(document)).collect(),
            clocks: self.clocks.into(),
            key_value: self.key_value,
            http: self.http.iter().map(|entry| entry.0.clone()).collect(),
        }
    }

    /// Publish grants for nothing but types of the host's, which no grant gives. `>` and `*.x` name other types as well.
    fn reserved(&self, owner: &str, document: &Document) -> Vec<ConfigProblem> {
        let key = format!("{owner}.grants.publish");
        let reserved = self
            .publish
            .iter()
            .filter(|pattern| is_reserved(pattern.get_ref().get().as_str()));
        let problem = |pattern: &Spanned<PatternText>| {
            let message = format!(
                "`{}` can't be granted: host events are published by the host only",
                pattern.get_ref().get()
            );
            document.problem(&pattern.span(), key.clone(), message)
        };
        reserved.map(problem).collect()
    }
}

impl FsTable {
    fn grant(&self, document: &Document) -> FsGrant {
        let mode = match self.mode {
            ModeName::Read => FsMode::Read,
            ModeName::Write => FsMode::Write,
        };
        FsGrant {
            host: document.path(&self.host.get_ref().get().0),
            guest: self.guest.get_ref().get().0,
            mode,
        }
    }
}
