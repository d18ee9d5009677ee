//! What a component needs from its first moment must fit its limits (H13).

use wasmparser::{MemoryType, Parser, Payload, TableType};
use wasmtime::component::Component;

use crate::limits::{LimitKind, Limits};
use crate::sandbox::engine::{MAX_MEMORY, MAX_TABLE_ELEMENTS};
use crate::sandbox::error::ComponentError;

/// What memories are measured in, unless they say otherwise.
const WASM_PAGE: u64 = 64 * 1024;

/// Looks at each core module by itself, before anything is compiled: what no instance could have, or this one may not.
pub(super) fn check_modules(bytes: &[u8], limits: &Limits) -> Result<(), ComponentError> {
    for payload in Parser::new(0).parse_all(bytes) {
        // What can't be read is the compiler's to complain of.
        match payload {
            Ok(Payload::MemorySection(section)) => {
                fits(LimitKind::Memories, u64::from(section.count()), limits.memories)?;
                section
                    .into_iter()
                    .flatten()
                    .try_for_each(|memory| check_memory(&memory, limits))?;
            }
            Ok(Payload::TableSection(section)) => {
                fits(LimitKind::Tables, u64::from(section.count()), limits.tables)?;
                section
                    .into_iter()
                    .flatten()
                    .try_for_each(|table| check_table(&table.ty, limits))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_memory(memory: &MemoryType, limits: &Limits) -> Result<(), ComponentError> {
    if memory.shared {
        return Err(ComponentError::SharedMemory);
    }
    let page = memory
        .page_size_log2
        .map_or(WASM_PAGE, |log2| 1u64.checked_shl(log2).unwrap_or(WASM_PAGE));
    fits(
        LimitKind::Memory,
        memory.initial.saturating_mul(page),
        limits.memory.min(MAX_MEMORY),
    )
}

fn check_table(table: &TableType, limits: &Limits) -> Result<(), ComponentError> {
    fits(
        LimitKind::TableElements,
        table.initial,
        limits.table_elements.min(MAX_TABLE_ELEMENTS),
    )
}

/// Looks at all core instances together, as far as the component itself decides which there are; what they have in sum the
/// limiter counts.
pub(super) fn check_component(component: &Component, limits: &Limits) -> Result<(), ComponentError> {
    let Some(needed) = component.resources_required() else {
        return Ok(());
    };
    fits(LimitKind::Memories, u64::from(needed.num_memories), limits.memories)?;
    fits(LimitKind::Tables, u64::from(needed.num_tables), limits.tables)
}

fn fits(kind: LimitKind, needed: u64, limit: usize) -> Result<(), ComponentError> {
    let limit = limit as u64;
    if needed > limit {
        return Err(ComponentError::TooLarge { kind, needed, limit });
    }
    Ok(())
}
