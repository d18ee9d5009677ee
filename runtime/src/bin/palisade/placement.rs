//! Whether each component stands in the table that is for it.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use palisade::config::Config;
use palisade::{Inspection, PluginKind, PluginSpec, PluginStatus, Source, digest_of};

use crate::plain_file;

/// A component that was looked at.
pub(crate) struct Found {
    name: String,
    kind: PluginKind,
    digest: String,
}

impl From<&Inspection> for Found {
    fn from(of: &Inspection) -> Self {
        Self {
            name: of.name.clone(),
            kind: of.kind,
            digest: of.digest.clone(),
        }
    }
}

impl From<&PluginStatus> for Found {
    fn from(of: &PluginStatus) -> Self {
        Self {
            name: of.name.clone(),
            kind: of.kind,
            digest: of.digest.clone(),
        }
    }
}

/// What a component's world and its table disagree about, in words: an event plugin among the filters would be delivered
/// events, and a filter among the plugins would not be run as its table says.
pub(crate) fn misplaced(config: &Config, found: &[Found]) -> Vec<String> {
    let filters = config.filters.iter().map(|spec| (spec, PluginKind::Filter));
    let plugins = config.plugins.iter().map(|spec| (spec, PluginKind::Event));
    let placed = filters
        .chain(plugins)
        .filter_map(|(spec, kind)| Some((component(spec, found)?, kind)));
    let wrong = placed.filter(|(component, kind)| component.kind != *kind);
    wrong
        .map(|(component, _)| {
            let (name, kind) = (&component.name, component.kind);
            let (here, there) = match kind {
                PluginKind::Event => ("[[filter]]", "[[plugin]]"),
                PluginKind::Filter => ("[[plugin]]", "[[filter]]"),
            };
            format!("{name}: it is of the world {kind}, but its table is a {here}: make that a {there}")
        })
        .collect()
}

/// The specs of the event plugins that were found, by the plugins' names.
pub(crate) fn by_name(config: &Config, found: &[Found]) -> BTreeMap<String, PluginSpec> {
    let specs = config.plugins.iter();
    specs
        .filter_map(|spec| Some((component(spec, found)?.name.clone(), spec.clone())))
        .collect()
}

/// By its name where the table gives one; else by its bytes, of which no two components without a given name can be the
/// same.
fn component<'a>(spec: &PluginSpec, found: &'a [Found]) -> Option<&'a Found> {
    match (&spec.name, &spec.source) {
        (Some(name), _) => found.iter().find(|component| component.name == *name),
        (None, Source::File(path)) => {
            let digest = digest_of(&read(path).ok()?);
            found.iter().find(|component| component.digest == digest)
        }
        (None, _) => None,
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
