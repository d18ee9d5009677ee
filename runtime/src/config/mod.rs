//! `palisade.toml`: what the operator says, read strictly.
//!
//! An unknown key, a limit of zero or below, a value beyond all reason, a pattern that can't be one: each is an error that
//! names the key and its line. Sizes are texts such as `"64MiB"` or numbers of bytes, times are texts such as `"15s"`, and
//! paths are relative to the file. The sample `examples/palisade.toml` shows every key with its default.

mod breaker;
mod cache;
mod ceilings;
mod delivery;
mod document;
mod engine;
mod error;
mod events;
mod grants;
mod http;
mod limits;
mod mode;
mod ordering;
mod plugin;
mod quarantine;
mod settings;
mod store;
mod switch;
mod table;
mod value;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::builder::RuntimeBuilder;
use crate::delivery::MemoryDeadLetters;
use crate::limits::Limits;
use crate::plugin::PluginSpec;
use crate::sandbox::CompilerChild;
use crate::store::StoreOptions;
use cache::CacheSettings;
pub use cache::user_cache_dir;
use document::Document;
use engine::EngineTable;
pub use error::{ConfigError, ConfigProblem};
use events::EventsTable;
use store::StoreTable;

/// What a config file says, checked; what it does not say has its default.
///
/// ```no_run
/// use palisade::config::Config;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_file("palisade.toml")?;
/// let runtime = config.runtime().build()?;
/// runtime.launch(config.specs()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where what is durable is kept: `data-dir`. `None`: everything is in memory.
    pub data_dir: Option<PathBuf>,
    /// How long a shutdown waits for what is queued and running: `drain`.
    pub drain: Duration,
    /// The `[[filter]]` tables, in their order.
    pub filters: Vec<PluginSpec>,
    /// The `[[plugin]]` tables, in their order.
    pub plugins: Vec<PluginSpec>,
    cache: CacheSettings,
    engine: EngineTable,
    events: EventsTable,
    store: StoreTable,
    ceilings: Limits,
    /// The directories of all grants, each with the problem that there is if it does not exist.
    directories: Vec<(PathBuf, ConfigProblem)>,
}

impl Config {
    /// Reads and checks a config file, and the files of secrets that it names. Components are not looked at.
    ///
    /// # Errors
    /// When the file can't be read, or with everything that is wrong in it; a mistake in its syntax or in the shape of a
    /// table hides those after it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        table::read(&Document::open(path.as_ref())?)
    }

    /// A builder with the settings of `[engine]`, `[events]`, `[ceilings]` and the cache. Plugins are not part of it: they are
    /// [launched](crate::Runtime::launch) afterwards; nor is the [`compiler`](Self::compiler), whose program only the caller
    /// knows, nor the [store](RuntimeBuilder::store) of `data-dir`, which only the caller can open:
    ///
    /// ```no_run
    /// # fn example(config: &palisade::config::Config) -> Result<palisade::RuntimeBuilder, palisade::StoreError> {
    /// Ok(match &config.data_dir {
    ///     Some(directory) => {
    ///         let store = palisade::DurableStore::open(directory, config.store_options())?;
    ///         config.runtime().store(store)
    ///     }
    ///     None => config.runtime(),
    /// })
    /// # }
    /// ```
    pub fn runtime(&self) -> RuntimeBuilder {
        let mut builder = RuntimeBuilder::default().ceiling(self.ceilings.clone());
        if self.data_dir.is_none() {
            builder = builder.dead_letters(self.dead_letters());
        }
        self.cache.apply(self.events.apply(self.engine.apply(builder)))
    }

    /// This compiler with the limits of `engine.compile-time` and `engine.compile-memory`, for
    /// [`RuntimeBuilder::compiler`]. Without it components are compiled in this process, which nothing bounds.
    pub fn compiler(&self, child: CompilerChild) -> CompilerChild {
        self.engine.bound(child)
    }

    /// How the store of `data-dir` is opened, as `[store]` says.
    pub fn store_options(&self) -> StoreOptions {
        self.store.options()
    }

    /// A store in memory for as many dead letters as `events.dead-letters` and `events.max-dead-letters` say; the one that
    /// [`runtime`](Self::runtime) sets where there is no `data-dir`, unless another is set after it.
    pub fn dead_letters(&self) -> MemoryDeadLetters {
        self.events.dead_letters()
    }

    /// All that is to be launched, the filters first, so that no event passes before they are there.
    pub fn specs(&self) -> Vec<PluginSpec> {
        self.filters.iter().chain(&self.plugins).cloned().collect()
    }

    /// Looks whether the directories that `fs` grants name are there. A plugin whose directory is missing would not start.
    ///
    /// # Errors
    /// With each that is missing or no directory.
    pub fn check_directories(&self) -> Result<(), ConfigError> {
        let missing = self.directories.iter().filter(|(directory, _)| !directory.is_dir());
        let problem = |(path, missing): &(PathBuf, ConfigProblem)| {
            let mut problem = missing.clone();
            if path.exists() {
                problem.message = format!("{} is a file, not a directory; grant the one it is in", path.display());
            }
            problem
        };
        error::all_or(missing.map(problem).collect(), ())
    }
}

#[cfg(test)]
mod tests;
