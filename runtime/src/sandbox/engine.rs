//! The engines: made once, shared by all plugins.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::sandbox::epoch::{EpochTicker, TickerHealth};
use crate::sandbox::places::{Place, Places, TABLES};
use crate::sandbox::turn::{Turn, Turns};

/// The largest memory that the pool can give one instance. `limits.memory` beyond this is cut to it by wasm itself: a
/// 32-bit memory ends here.
pub(super) const MAX_MEMORY: usize = 4 * 1024 * 1024 * 1024;
/// The largest table that the pool can give one instance, whatever `limits.table_elements` allows all of them.
pub(super) const MAX_TABLE_ELEMENTS: usize = 100_000;
/// How many kernel mappings are set aside for one pooled instance. Two are taken before it lives (its stack), four more while
/// it lives, measured with the plugins of this repository; as many again for guests with more memories and tables, and for
/// the second engine where fuel is used.
const MAPS_PER_INSTANCE: u64 = 12;
/// Mappings left to the rest of the process.
const MAPS_RESERVED: u64 = 4096;
/// Linux's default, for when the kernel does not say.
const DEFAULT_MAX_MAP_COUNT: u64 = 65_530;
/// What the host may need of a fiber's stack when a guest calls it at the brim of its own.
const HOST_STACK: usize = 1024 * 1024;
/// How much of a memory, and of a table, a place keeps that is free: at most a hundred of them do (wasmtime's
/// `max_unused_warm_slots`), so some 14 MiB.
const KEPT_OF_MEMORY: usize = 128 * 1024;
const KEPT_OF_TABLE: usize = 8 * 1024;

/// What the engines are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineOptions {
    /// How much stack a guest may use: 512 KiB. A call that needs more ends as `stack-overflow`. The same for all plugins,
    /// since it is built into the engine.
    pub wasm_stack: usize,
    /// How many instances may live at a time; `None`: what `vm.max_map_count` allows. One more is refused with a message
    /// that says so; one with many memories, with many tables (two each) or with a GC heap counts as several. Each takes 4 GiB of address space (not of memory): a program with more than a few runtimes in one
    /// process sets this, since 47 bits of addresses hold some 30,000 instances in all.
    pub max_instances: Option<u32>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            wasm_stack: 512 * 1024,
            max_instances: None,
        }
    }
}

/// Why the engines could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox could not be set up: {0}")]
pub struct EngineError(String);

/// One engine for plugins that are not metered, one for those that are (fuel is compiled in), and the clock of both.
pub(crate) struct Engines {
    plain: Engine,
    metered: OnceLock<Engine>,
    options: EngineOptions,
    max_instances: u32,
    places: Places,
    turns: Turns,
    ticker: EpochTicker,
    ticked: Arc<OnceLock<wasmtime::EngineWeak>>,
}

impl Engines {
    pub(crate) fn new(options: EngineOptions) -> Result<Self, EngineError> {
        let max_instances = options.max_instances.unwrap_or_else(instances_by_map_count).max(1);
        let plain = engine(options, max_instances, false)?;
        let ticked: Arc<OnceLock<wasmtime::EngineWeak>> = Arc::default();
        let (weak, metered) = (plain.weak(), ticked.clone());
        let ticker = EpochTicker::start(move || {
            for engine in [weak.upgrade(), metered.get().and_then(wasmtime::EngineWeak::upgrade)]
                .into_iter()
                .flatten()
            {
                engine.increment_epoch();
            }
        });
        let ticker = ticker.map_err(|error| EngineError(format!("no thread for the epoch ticker: {error}")))?;
        Ok(Self {
            plain,
            metered: OnceLock::new(),
            options,
            max_instances,
            places: Places::new(max_instances),
            turns: Turns::here(),
            ticker,
            ticked,
        })
    }

    /// The engine for a plugin with or without a limit on fuel.
    pub(crate) fn engine(&self, metered: bool) -> Result<&Engine, EngineError> {
        if !metered {
            return Ok(&self.plain);
        }
        if let Some(engine) = self.metered.get() {
            return Ok(engine);
        }
        let engine = engine(self.options, self.max_instances, true)?;
        let engine = self.metered.get_or_init(|| engine);
        let _ = self.ticked.set(engine.weak());
        Ok(engine)
    }

    /// Room for one more instance that takes so many places, given back when it is dropped; an error names the cap.
    pub(crate) fn admit_instance(&self, places: u32) -> Result<Place, String> {
        self.places.take(places)
    }

    /// How a new instance shares the worker threads with others.
    pub(super) fn turn(&self) -> Turn {
        self.turns.turn()
    }

    /// Says that a guest computes, or is about to, so that the epochs tick.
    pub(super) fn keep_ticking(&self) {
        self.ticker.keep_ticking();
    }

    pub(crate) fn ticker_health(&self) -> TickerHealth {
        TickerHealth {
            replaced: self.ticker.replaced(),
            running_calls: self.turns.running(),
        }
    }

    pub(crate) fn live_instances(&self) -> usize {
        self.places.live()
    }

    pub(crate) fn wasm_stack(&self) -> usize {
        self.options.wasm_stack
    }

    pub(crate) fn max_instances(&self) -> u32 {
        self.max_instances
    }
}

/// Everything that decides what a component is compiled to: the same where components run and where they are compiled.
fn code(metered: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(metered)
        .wasm_component_model(true)
        // Calls that share a store at the same time: not made here, and each call would pay for the chance. Said, because
        // another crate of the embedder's may build wasmtime with it.
        .concurrency_support(false);
    config
}

/// An engine that compiles and runs nothing: without the pool, which reserves more addresses than a limit on memory leaves.
pub(super) fn compiling_engine(metered: bool) -> Result<Engine, EngineError> {
    Engine::new(&code(metered)).map_err(|error| EngineError(format!("{error:#}")))
}

/// What an engine's code is compatible with: what one engine compiled, another of the same number can run.
pub(super) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn engine(options: EngineOptions, instances: u32, metered: bool) -> Result<Engine, EngineError> {
    let mut config = code(metered);
    config
        .max_wasm_stack(options.wasm_stack)
        .async_stack_size(options.wasm_stack + HOST_STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    Engine::new(&config).map_err(|error| {
        EngineError(format!(
            "{error:#} (room for {instances} instances was asked for; engine.max-instances sets another number)"
        ))
    })
}

/// As much as there are places for ([`Places`]), so that nobody is refused here who was admitted there.
fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        // Counted, but nothing is set aside for them: how many a plugin may have is its limiter's affair.
        .total_core_instances(u32::MAX)
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES))
        .total_gc_heaps(instances)
        .total_stacks(instances)
        .max_component_instance_size(4 * 1024 * 1024)
        .max_core_instance_size(4 * 1024 * 1024)
        .max_memory_size(MAX_MEMORY)
        .table_elements(MAX_TABLE_ELEMENTS)
        // As many as a module can have at all: what a plugin may have is its limiter's affair.
        .max_tables_per_module(100)
        .max_memories_per_module(100)
        // A place that is taken again costs a third, where what was written is found and reset, and only what is beyond these
        // bytes is given back to the kernel. `Auto`: where the kernel can say what was written (Linux 6.7).
        .linear_memory_keep_resident(KEPT_OF_MEMORY)
        .table_keep_resident(KEPT_OF_TABLE)
        .pagemap_scan(Enabled::Auto);
    pool
}

fn instances_by_map_count() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    let maps = text.trim().parse().unwrap_or(DEFAULT_MAX_MAP_COUNT);
    let instances = maps.saturating_sub(MAPS_RESERVED) / MAPS_PER_INSTANCE;
    // Beyond this the address space, not the mappings, would be the limit.
    u32::try_from(instances.min(10_000)).unwrap_or(10_000)
}
