//! The table of one component in a config file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use palisade::config::Config;
use palisade::{PluginSpec, RuntimeBuilder, Source};

use crate::start;

/// Which table a component is looked at or called with.
#[derive(Args)]
pub(crate) struct TableArguments {
    /// Take limits, grants and config from the component's table in this config file, cut to its `ceilings`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name of that table, where the component's path does not tell which one it is.
    #[arg(long, requires = "config")]
    name: Option<String>,
}

impl TableArguments {
    /// The config file, if there is one.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// How the component in this file is run, and what it is run in. Without a config: by the defaults.
    pub(crate) fn of(&self, file: &Path) -> Result<(PluginSpec, RuntimeBuilder)> {
        let Some(path) = &self.config else {
            return Ok((PluginSpec::from_file(file), start::by_default()?));
        };
        let config = Config::from_file(path)?;
        Ok((self.find(&config, path, file)?, start::by_config(&config)?))
    }

    /// The table whose name is given, or whose component is the file. The file is what is run in any case.
    fn find(&self, config: &Config, path: &Path, component: &Path) -> Result<PluginSpec> {
        let is_it = |spec: &PluginSpec| match &self.name {
            Some(name) => spec.name.as_ref() == Some(name),
            None => matches!(&spec.source, Source::File(file) if is_same(file, component)),
        };
        let mut found: Vec<_> = config.specs().into_iter().filter(is_it).collect();
        let file = component.display();
        match (found.pop(), found.is_empty(), &self.name) {
            (Some(mut spec), true, _) => {
                spec.source = Source::File(component.to_owned());
                Ok(spec)
            }
            (Some(_), false, _) => bail!(
                "{}: several tables have the path {file}: say which one with --name",
                path.display()
            ),
            (None, _, Some(name)) => bail!(
                "{}: no table has the name `{name}` ({}); one without a name is found by its path",
                path.display(),
                names(config)
            ),
            (None, _, None) if !component.exists() => bail!(
                "{file} does not exist, and no table of {} has that path",
                path.display()
            ),
            (None, _, None) => bail!(
                "{}: no table has the path {file}: say with --name which one is meant ({})",
                path.display(),
                names(config)
            ),
        }
    }
}

/// The names that there are.
fn names(config: &Config) -> String {
    let names: Vec<_> = config.specs().into_iter().filter_map(|spec| spec.name).collect();
    if names.is_empty() {
        "none has a name".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
