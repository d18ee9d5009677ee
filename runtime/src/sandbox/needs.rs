//! What a component needs from its first moment must fit its limits (H13).

use wasmparser::{MemoryType, Parser, Payload, TableType};
use wasmtime::component::Component;

use crate::limits::{LimitKind, Limits};
use crate::sandbox::engine::{MAX_MEMORY, MAX_TABLE_ELEMENTS};
use crate::sandbox::error::ComponentError;
use crate::sandbox::heap::may_need_heap;
use crate::sandbox::names::check_names;
use crate::sandbox::places::places_of;

/// What memories are measured in, unless they say otherwise.
const WASM_PAGE: u64 = 64 * 1024;

/// What bounds a component: its own limits, and how many places there are for all.
#[derive(Clone)]
pub(super) struct Bounds {
    pub(super) limits: Limits,
    pub(super) places: u32,
}

/// Looks at each core module by itself, before anything is compiled: what no instance could have, or this one may not. Tells
/// whether there will be a GC heap, too.
pub(super) fn check_modules(bytes: &[u8], bounds: &Bounds) -> Result<bool, ComponentError> {
    let limits = &bounds.limits;
    let mut has_heap = false;
    for payload in Parser::new(0).parse_all(bytes) {
        // What can't be read is the compiler's to complain of.
        let Ok(payload) = payload else { continue };
        has_heap = has_heap || may_need_heap(&payload);
        match payload {
            Payload::MemorySection(section) => {
                fits(LimitKind::Memories, u64::from(section.count()), limits.memories)?;
                room(section.count(), 0, bounds)?;
                section
                    .into_iter()
                    .flatten()
                    .try_for_each(|memory| check_memory(&memory, limits))?;
            }
            Payload::TableSection(section) => {
                fits(LimitKind::Tables, u64::from(section.count()), limits.tables)?;
                room(0, section.count(), bounds)?;
                section
                    .into_iter()
                    .flatten()
                    .try_for_each(|table| check_table(&table.ty, limits))?;
            }
            Payload::CustomSection(section) => check_names(section.as_known())?,
            _ => {}
        }
    }
    Ok(has_heap)
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
/// limiter counts. Answers how many places each instance of the component takes.
pub(super) fn check_component(component: &Component, has_heap: bool, bounds: &Bounds) -> Result<u32, ComponentError> {
    // There is no answer for one that imports core modules, which nobody offers.
    let (memories, tables) = component
        .resources_required()
        .map_or((0, 0), |needed| (needed.num_memories, needed.num_tables));
    fits(LimitKind::Memories, u64::from(memories), bounds.limits.memories)?;
    fits(LimitKind::Tables, u64::from(tables), bounds.limits.tables)?;
    room(memories.saturating_add(u32::from(has_heap)), tables, bounds)
}

/// S6: what there could never be room for is refused at once.
fn room(memories: u32, tables: u32, bounds: &Bounds) -> Result<u32, ComponentError> {
    let (needed, max) = (places_of(memories, tables), bounds.places);
    if needed > max {
        return Err(ComponentError::NoRoom {
            memories,
            tables,
            needed,
            max,
        });
    }
    Ok(needed)
}

fn fits(kind: LimitKind, needed: u64, limit: usize) -> Result<(), ComponentError> {
    let limit = limit as u64;
    if needed > limit {
        return Err(ComponentError::TooLarge { kind, needed, limit });
    }
    Ok(())
}
