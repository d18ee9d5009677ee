//! How a runtime is put together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{Bus, BusConfig};
use crate::delivery::{DeadLetterStore, MemoryDeadLetters};
use crate::event::EventLimits;
use crate::handler::OutboxLimits;
use crate::key_value::{KeyValueStore, MemoryKeyValueStore};
use crate::limits::Limits;
use crate::plugin::Manager;
use crate::plugin::Shared;
use crate::runtime::Runtime;
use crate::sandbox::cache::Cache;
use crate::sandbox::engine::Engines;
use crate::sandbox::load::Loader;
use crate::sandbox::{Compiler, EngineError, EngineOptions, LogSink, TracingLog};

/// The settings of a runtime; the defaults bound everything.
pub struct RuntimeBuilder {
    engine: EngineOptions,
    ceiling: Option<Limits>,
    events: EventLimits,
    native_outbox: (u32, usize),
    max_hops: u32,
    max_component: u64,
    compiler: Compiler,
    cache_dir: Option<PathBuf>,
    cache_size: u64,
    publish_timeout: Duration,
    dead_letters: Arc<dyn DeadLetterStore>,
    key_value: Arc<dyn KeyValueStore>,
    log: Arc<dyn LogSink>,
    #[cfg(feature = "wasi-http")]
    resolver: Arc<dyn crate::sandbox::Resolver>,
}

/// Why a runtime could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// It was built outside a tokio runtime.
    #[error("a Palisade runtime is built inside a tokio runtime: call this from an async function, or enter one first")]
    NoTokio,
    /// The sandbox could not be set up.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// TLS for outbound HTTP could not be set up.
    #[cfg(feature = "wasi-http")]
    #[error("TLS for plugins' HTTP requests can't be set up: {0}")]
    Tls(String),
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            engine: EngineOptions::default(),
            ceiling: None,
            events: EventLimits::default(),
            native_outbox: (limits.publish_events, limits.publish_bytes),
            max_hops: 16,
            max_component: 64 * 1024 * 1024,
            compiler: Compiler::default(),
            cache_dir: None,
            cache_size: 1024 * 1024 * 1024,
            publish_timeout: Duration::from_secs(30),
            dead_letters: Arc::new(MemoryDeadLetters::default()),
            key_value: Arc::new(MemoryKeyValueStore::default()),
            log: Arc::new(TracingLog),
            #[cfg(feature = "wasi-http")]
            resolver: Arc::new(crate::sandbox::SystemResolver),
        }
    }
}

impl RuntimeBuilder {
    /// Sets what the engines are built with.
    #[must_use]
    pub fn engine(mut self, options: EngineOptions) -> Self {
        self.engine = options;
        self
    }

    /// Sets limits that no plugin exceeds, whatever its spec says.
    #[must_use]
    pub fn ceiling(mut self, limits: Limits) -> Self {
        self.ceiling = Some(limits);
        self
    }

    /// Sets the limits of events.
    #[must_use]
    pub fn event_limits(mut self, limits: EventLimits) -> Self {
        self.events = limits;
        self
    }

    /// Sets how many events, and how many bytes of them, one call of a native handler may publish: 64 and 1 MiB.
    #[must_use]
    pub fn native_outbox(mut self, events: u32, bytes: usize) -> Self {
        self.native_outbox = (events, bytes);
        self
    }

    /// Sets how many hops an event may come, from handler to handler: 16, at most 254. What is a hop further is a dead
    /// letter.
    #[must_use]
    pub fn max_hops(mut self, hops: u32) -> Self {
        // The count on an event ends at 255: with a higher limit no loop would ever end.
        self.max_hops = hops.min(254);
        self
    }

    /// Sets how many bytes a component may have: 64 MiB. A larger one is refused before it is compiled.
    #[must_use]
    pub fn max_component(mut self, bytes: u64) -> Self {
        self.max_component = bytes;
        self
    }

    /// Sets where components are compiled: [in this process](Compiler::InProcess), which nothing bounds, unless given.
    #[must_use]
    pub fn compiler(mut self, compiler: impl Into<Compiler>) -> Self {
        self.compiler = compiler.into();
        self
    }

    /// Sets a directory in which machine code is kept, so that a component is compiled once and not at each start; without
    /// it none is kept. It is made (0700) if it is not there; one that others may enter, or that is somebody else's, is not
    /// used, and a warning says so. Entries are authenticated with a key that is made beside them; what does not check out
    /// is never executed, but compiled anew.
    #[must_use]
    pub fn cache_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(directory.into());
        self
    }

    /// Sets how many bytes the entries of the cache may have in all: 1 GiB. Those that were not used for longest are removed
    /// to make room for new ones; what is larger than all of it is not kept.
    #[must_use]
    pub fn cache_size(mut self, bytes: u64) -> Self {
        self.cache_size = bytes;
        self
    }

    /// Sets how long `publish_async` waits for room in queues that block: 30 s.
    #[must_use]
    pub fn publish_timeout(mut self, limit: Duration) -> Self {
        self.publish_timeout = limit;
        self
    }

    /// Sets where dead letters are kept: in memory, the last 1,000, unless given.
    #[must_use]
    pub fn dead_letters(mut self, store: impl DeadLetterStore) -> Self {
        self.dead_letters = Arc::new(store);
        self
    }

    /// Sets where plugins that are granted a key-value store have it: in memory, at most 1 GiB of all plugins together,
    /// unless given.
    #[must_use]
    pub fn key_value(mut self, store: impl KeyValueStore) -> Self {
        self.key_value = Arc::new(store);
        self
    }

    /// Sets where guests' log lines go: to `tracing`, unless given.
    #[must_use]
    pub fn log_sink(mut self, sink: impl LogSink) -> Self {
        self.log = Arc::new(sink);
        self
    }

    /// Sets who is asked for the addresses of hosts that plugins send HTTP requests to: the system, unless given. What it
    /// answers is checked like the system's answers.
    #[cfg(feature = "wasi-http")]
    #[must_use]
    pub fn resolver(mut self, resolver: impl crate::sandbox::Resolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Builds the runtime: sets up the engine and starts its clock.
    ///
    /// # Errors
    /// When there is no tokio runtime around, or the sandbox can't be set up.
    pub fn build(self) -> Result<Runtime, BuildError> {
        let tokio = Runtime::tokio().ok_or(BuildError::NoTokio)?;
        let engines = Arc::new(Engines::new(self.engine)?);
        let (events, bytes) = self.native_outbox;
        let outbox = Arc::new(OutboxLimits {
            events,
            bytes,
            event: self.events,
        });
        let bus = BusConfig {
            limits: outbox.clone(),
            max_hops: self.max_hops,
            publish_timeout: self.publish_timeout,
            dead_letters: self.dead_letters,
        };
        let bus = Bus::new(bus, tokio);
        let shared = Shared {
            engines: engines.clone(),
            ceiling: self.ceiling,
            max_component: self.max_component,
            loader: Loader {
                compiler: self.compiler,
                cache: self.cache_dir.map(|path| Arc::new(Cache::new(path, self.cache_size))),
            },
            outbox,
            key_value: self.key_value,
            log: self.log,
            #[cfg(feature = "wasi-http")]
            network: Arc::new(crate::sandbox::Network::new(self.resolver).map_err(BuildError::Tls)?),
        };
        let manager = Manager::new(Arc::new(shared), bus.clone());
        Ok(Runtime::assemble(bus, manager, engines))
    }
}
