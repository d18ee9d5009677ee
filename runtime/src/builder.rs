//! How a runtime is put together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{Bus, BusConfig};
use crate::delivery::{DeadLetterStore, DeliveryStore, MemoryDeadLetters};
use crate::event::EventLimits;
use crate::handler::OutboxLimits;
use crate::key_value::{Commits, KeyValueStore, MemoryKeyValueStore};
use crate::limits::Limits;
use crate::plugin::Manager;
use crate::plugin::Shared;
use crate::runtime::Runtime;
use crate::sandbox::cache::Cache;
use crate::sandbox::engine::Engines;
use crate::sandbox::load::Loader;
use crate::sandbox::{Compiler, EngineError, EngineOptions, LogSink, TracingLog};
#[cfg(feature = "durable")]
use crate::store::DurableStore;

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
    dead_letters: Option<Arc<dyn DeadLetterStore>>,
    key_value: Option<Arc<dyn KeyValueStore>>,
    #[cfg(feature = "durable")]
    store: Option<DurableStore>,
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
    /// A store was given, and another place for dead letters.
    #[error("the store keeps the dead letters; give it or `dead_letters`, not both")]
    DeadLettersTwice,
    /// The sandbox could not be set up.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// TLS for outbound HTTP could not be set up.
    #[cfg(feature = "wasi-http")]
    #[error("TLS for plugins' HTTP requests can't be set up: {0}")]
    Tls(String),
}

/// Where everything is kept.
struct Stores {
    deliveries: Option<Arc<dyn DeliveryStore>>,
    dead_letters: Arc<dyn DeadLetterStore>,
    key_value: Arc<dyn KeyValueStore>,
    commits: Commits,
}

impl Stores {
    fn of(builder: &RuntimeBuilder) -> Result<Self, BuildError> {
        let (dead_letters, key_value) = (builder.dead_letters.clone(), builder.key_value.clone());
        #[cfg(feature = "durable")]
        if let Some(store) = builder.store.clone() {
            if dead_letters.is_some() {
                return Err(BuildError::DeadLettersTwice);
            }
            let commits = match &key_value {
                Some(_) => Commits::OfTheirOwn,
                None => Commits::WithTheAck,
            };
            return Ok(Self {
                deliveries: Some(Arc::new(store.clone())),
                dead_letters: Arc::new(store.clone()),
                key_value: key_value.unwrap_or_else(|| Arc::new(store)),
                commits,
            });
        }
        Ok(Self {
            deliveries: None,
            dead_letters: dead_letters.unwrap_or_else(|| Arc::new(MemoryDeadLetters::default())),
            key_value: key_value.unwrap_or_else(|| Arc::new(MemoryKeyValueStore::default())),
            commits: Commits::OfTheirOwn,
        })
    }
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
            dead_letters: None,
            key_value: None,
            #[cfg(feature = "durable")]
            store: None,
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

    /// Sets the store of a data directory: durable events are in it before a publish of them returns, and dead letters and
    /// what plugins keep in their key-value stores are in it, too. Without it everything is in memory.
    ///
    /// What a plugin's handler wrote is committed there together with what it published and the end of its event: all of it
    /// or nothing.
    #[cfg(feature = "durable")]
    #[must_use]
    pub fn store(mut self, store: DurableStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets where dead letters are kept: in memory, the last 1,000, unless given. With [`store`](Self::store) they are there,
    /// because the end of an event and its dead letter are committed together; then this is an error of `build`.
    #[must_use]
    pub fn dead_letters(mut self, store: impl DeadLetterStore) -> Self {
        self.dead_letters = Some(Arc::new(store));
        self
    }

    /// Sets where plugins that are granted a key-value store have it: in memory, at most 1 GiB of all plugins together,
    /// or in the [`store`](Self::store), unless given. One that is given here commits by itself, before the event is
    /// acknowledged: should the process end between the two, the event comes again.
    #[must_use]
    pub fn key_value(mut self, store: impl KeyValueStore) -> Self {
        self.key_value = Some(Arc::new(store));
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
    /// When there is no tokio runtime around, two places for dead letters were given, or the sandbox can't be set up.
    pub fn build(self) -> Result<Runtime, BuildError> {
        let tokio = Runtime::tokio().ok_or(BuildError::NoTokio)?;
        let stores = Stores::of(&self)?;
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
            dead_letters: stores.dead_letters,
            store: stores.deliveries,
        };
        let bus = Bus::new(bus, tokio);
        let shared = Shared {
            engines: engines.clone(),
            ceiling: self.ceiling,
            max_component: self.max_component,
            loader: Loader::new(
                self.compiler,
                self.cache_dir.map(|path| Arc::new(Cache::new(path, self.cache_size))),
            ),
            outbox,
            key_value: stores.key_value,
            key_value_commits: stores.commits,
            log: self.log,
            #[cfg(feature = "wasi-http")]
            network: Arc::new(crate::sandbox::Network::new(self.resolver).map_err(BuildError::Tls)?),
        };
        let manager = Manager::new(Arc::new(shared), bus.clone());
        Ok(Runtime::assemble(bus, manager, engines))
    }
}
