//! The engine of the raw side. Each setting is that of `runtime/src/sandbox/engine.rs`, and changes with it.

use anyhow::Result;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The stack of a guest, and what the host may need beyond.
const WASM_STACK: usize = 512 * 1024;
const HOST_STACK: usize = 1024 * 1024;

/// An engine with room for so many instances.
pub(crate) fn engine(instances: u32) -> Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(false)
        .wasm_component_model(true)
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + HOST_STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    Ok(Engine::new(&config)?)
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(u32::MAX)
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .total_gc_heaps(instances)
        .total_stacks(instances)
        .max_component_instance_size(4 * 1024 * 1024)
        .max_core_instance_size(4 * 1024 * 1024)
        .max_memory_size(4 * 1024 * 1024 * 1024)
        .table_elements(100_000)
        .max_tables_per_module(100)
        .max_memories_per_module(100)
        .linear_memory_keep_resident(128 * 1024)
        .table_keep_resident(8 * 1024)
        .pagemap_scan(Enabled::Auto);
    pool
}
