//! Granted directories that lie in what another plugin may write to, or that the store is in.

use std::path::{Path, PathBuf};

use palisade::config::Config;
use palisade::{FsGrant, FsMode, PluginSpec, Source};

/// Tells the operator of each: who may write above a directory decides what the other plugin finds there.
pub(crate) fn warn(config: &Config) {
    let specs = config.specs();
    let store = config
        .data_dir
        .as_deref()
        .map(|directory| around_store(&specs, directory));
    for line in overlapping(&specs).into_iter().chain(store.unwrap_or_default()) {
        tracing::warn!("{line}");
    }
}

fn overlapping(specs: &[PluginSpec]) -> Vec<String> {
    let mut lines = Vec::new();
    for (inner_at, inner, directory) in granted(specs) {
        for (outer_at, outer, around) in granted(specs) {
            let is_inside = directory != around && directory.starts_with(&around);
            if inner_at != outer_at && outer.mode == FsMode::Write && is_inside {
                lines.push(format!(
                    "{}: its directory {} lies in {}, which {} may write to and so replace whatever is in it \
                     (plugin.grants.fs.host)",
                    specs.get(inner_at).map_or_else(String::new, label),
                    inner.host.display(),
                    outer.host.display(),
                    specs.get(outer_at).map_or_else(String::new, label),
                ));
            }
        }
    }
    lines
}

/// Who sees the store sees what others are sent, and who may write to it may replace it.
fn around_store(specs: &[PluginSpec], store: &Path) -> Vec<String> {
    // Before the first start it is not there, and then lies where its parent is.
    let parent = || {
        let parent = store.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(parent.join(store.file_name()?))
    };
    let Some(place) = store.canonicalize().ok().or_else(parent) else {
        return Vec::new();
    };
    let around =
        granted(specs).filter(|(_, _, directory)| place.starts_with(directory) || directory.starts_with(&place));
    around
        .map(|(at, grant, _)| {
            format!(
                "{}: its directory {} and the store in {} overlap, so that it sees what others are sent and keep; give it \
                 another (plugin.grants.fs.host, data-dir)",
                specs.get(at).map_or_else(String::new, label),
                grant.host.display(),
                store.display(),
            )
        })
        .collect()
}

/// All granted directories that are there, by whichever path, each with the place of its plugin.
fn granted(specs: &[PluginSpec]) -> impl Iterator<Item = (usize, &FsGrant, PathBuf)> {
    let grants = specs.iter().enumerate();
    let grants = grants.flat_map(|(at, spec)| spec.grants.fs.iter().map(move |grant| (at, grant)));
    grants.filter_map(|(at, grant)| Some((at, grant, Path::canonicalize(&grant.host).ok()?)))
}

fn label(spec: &PluginSpec) -> String {
    match (&spec.name, &spec.source) {
        (Some(name), _) => name.clone(),
        (None, Source::File(path)) => path.display().to_string(),
        (None, _) => "a plugin".to_owned(),
    }
}
