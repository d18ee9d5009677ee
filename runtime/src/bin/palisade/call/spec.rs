//! What the plugin is called with: a table of a config file, or the defaults, and the arguments on top.

use std::path::Path;

use anyhow::{Result, bail};
use palisade::config::Config;
use palisade::{PluginSpec, RetryPolicy, RuntimeBuilder, Source};

use super::CallArguments;
use crate::start;

pub(super) fn of(arguments: &CallArguments) -> Result<(PluginSpec, RuntimeBuilder)> {
    let (mut spec, builder) = match &arguments.config {
        None => (PluginSpec::from_file(&arguments.file), start::by_default()?),
        Some(path) => {
            let config = Config::from_file(path)?;
            (table(&config, arguments, path)?, start::by_config(&config)?)
        }
    };
    apply(&mut spec, arguments);
    Ok((spec, builder))
}

/// One instance and one attempt are enough for one event.
fn apply(spec: &mut PluginSpec, arguments: &CallArguments) {
    (spec.concurrency, spec.retry) = (1, RetryPolicy::none());
    for handler in spec.handlers.values_mut() {
        handler.retry = None;
    }
    spec.limits.timeout = arguments.timeout.unwrap_or(spec.limits.timeout);
    spec.limits.fuel = arguments.fuel.or(spec.limits.fuel);
    spec.limits.memory = arguments.memory.unwrap_or(spec.limits.memory);
    spec.grants.publish.extend(arguments.grant_publish.iter().cloned());
    spec.grants.subscribe.extend(arguments.grant_subscribe.iter().cloned());
    spec.grants.env.extend(arguments.env.iter().cloned());
    spec.grants.key_value |= arguments.key_value;
    for directory in &arguments.fs {
        spec.grants = std::mem::take(&mut spec.grants).fs(&directory.host, &directory.guest, directory.mode);
    }
    for setting in &arguments.set {
        spec.config = std::mem::take(&mut spec.config).with(&setting.key, setting.value.clone());
    }
}

/// The table whose name is given, or whose component is the file. The file is what is run in any case.
fn table(config: &Config, arguments: &CallArguments, path: &Path) -> Result<PluginSpec> {
    let is_it = |spec: &PluginSpec| match &arguments.name {
        Some(name) => spec.name.as_ref() == Some(name),
        None => matches!(&spec.source, Source::File(file) if is_same(file, &arguments.file)),
    };
    let mut found: Vec<_> = config.specs().into_iter().filter(is_it).collect();
    let file = arguments.file.display();
    match (found.pop(), found.is_empty(), &arguments.name) {
        (Some(mut spec), true, _) => {
            spec.source = Source::File(arguments.file.clone());
            Ok(spec)
        }
        (Some(_), false, _) => bail!(
            "{}: several tables have the path {file}: say which one with --name",
            path.display()
        ),
        (None, _, Some(name)) => bail!("{}: no table has the name `{name}`", path.display()),
        (None, _, None) => bail!(
            "{}: no table has the path {file}: say which one is meant with --name",
            path.display()
        ),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
