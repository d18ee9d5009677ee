//! What a component needs from its first moment must fit its limits (H13).

use serde::{Deserialize, Serialize};
use wasmparser::{MemoryType, Parser, Payload};
use wasmtime::component::Component;

use crate::limits::{LimitKind, Limits};
use crate::sandbox::engine::{MAX_MEMORY, MAX_TABLE_ELEMENTS};
use crate::sandbox::error::ComponentError;
use crate::sandbox::heap::may_need_heap;
use crate::sandbox::names::{check_name, too_long_name};
use crate::sandbox::places::places_of;

/// What memories are measured in, unless they say otherwise.
const WASM_PAGE: u64 = 64 * 1024;

/// What bounds a component: its own limits, and how many places there are for all.
#[derive(Clone)]
pub(super) struct Bounds {
    pub(super) limits: Limits,
    pub(super) places: u32,
}

/// What the core modules of a component ask for, the most of each kind that one of them does.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ModuleNeeds {
    tables: u32,
    table_elements: u64,
    memories: u32,
    /// In bytes.
    memory: u64,
    shared_memory: bool,
    /// The length of a function's name, if one is too long.
    long_name: Option<usize>,
    /// Whether there will be a GC heap, perhaps.
    pub(super) has_heap: bool,
}

impl ModuleNeeds {
    /// Looks at each core module by itself, before anything is compiled.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut needs = Self::default();
        // What can't be read is the compiler's to complain of.
        for payload in Parser::new(0).parse_all(bytes).flatten() {
            needs.has_heap = needs.has_heap || may_need_heap(&payload);
            match payload {
                Payload::TableSection(section) => {
                    needs.tables = needs.tables.max(section.count());
                    let initial = section.into_iter().flatten().map(|table| table.ty.initial).max();
                    needs.table_elements = needs.table_elements.max(initial.unwrap_or_default());
                }
                Payload::MemorySection(section) => {
                    needs.memories = needs.memories.max(section.count());
                    section
                        .into_iter()
                        .flatten()
                        .for_each(|memory| needs.add_memory(&memory));
                }
                Payload::CustomSection(section) => {
                    needs.long_name = needs.long_name.max(too_long_name(section.as_known()));
                }
                _ => {}
            }
        }
        needs
    }

    fn add_memory(&mut self, memory: &MemoryType) {
        let page = memory
            .page_size_log2
            .map_or(WASM_PAGE, |log2| 1u64.checked_shl(log2).unwrap_or(WASM_PAGE));
        self.shared_memory |= memory.shared;
        self.memory = self.memory.max(memory.initial.saturating_mul(page));
    }

    /// Refuses what no instance could have, or this plugin's may not.
    pub(super) fn check(&self, bounds: &Bounds) -> Result<(), ComponentError> {
        let limits = &bounds.limits;
        fits(LimitKind::Tables, u64::from(self.tables), limits.tables)?;
        room(0, self.tables, bounds)?;
        let most = limits.table_elements.min(MAX_TABLE_ELEMENTS);
        fits(LimitKind::TableElements, self.table_elements, most)?;
        fits(LimitKind::Memories, u64::from(self.memories), limits.memories)?;
        room(self.memories, 0, bounds)?;
        if self.shared_memory {
            return Err(ComponentError::SharedMemory);
        }
        fits(LimitKind::Memory, self.memory, limits.memory.min(MAX_MEMORY))?;
        check_name(self.long_name)
    }
}

/// What each instance of a component takes: all core instances together, as far as the component itself decides which there
/// are; what they have in sum the limiter counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ComponentNeeds {
    memories: u32,
    tables: u32,
    has_heap: bool,
}

impl ComponentNeeds {
    pub(super) fn of(component: &Component, has_heap: bool) -> Self {
        // There is no answer for one that imports core modules, which nobody offers.
        let (memories, tables) = component
            .resources_required()
            .map_or((0, 0), |needed| (needed.num_memories, needed.num_tables));
        Self {
            memories,
            tables,
            has_heap,
        }
    }

    /// Refuses what this plugin's instances may not have, or there could never be room for.
    pub(super) fn check(self, bounds: &Bounds) -> Result<(), ComponentError> {
        fits(LimitKind::Memories, u64::from(self.memories), bounds.limits.memories)?;
        fits(LimitKind::Tables, u64::from(self.tables), bounds.limits.tables)?;
        room(self.pooled_memories(), self.tables, bounds)
    }

    /// How many places it takes.
    pub(crate) fn places(self) -> u32 {
        places_of(self.pooled_memories(), self.tables)
    }

    /// A GC heap is a memory of the pool, too.
    fn pooled_memories(self) -> u32 {
        self.memories.saturating_add(u32::from(self.has_heap))
    }
}

/// S6: what there could never be room for is refused at once.
fn room(memories: u32, tables: u32, bounds: &Bounds) -> Result<(), ComponentError> {
    let (needed, max) = (places_of(memories, tables), bounds.places);
    if needed > max {
        return Err(ComponentError::NoRoom {
            memories,
            tables,
            needed,
            max,
        });
    }
    Ok(())
}

fn fits(kind: LimitKind, needed: u64, limit: usize) -> Result<(), ComponentError> {
    let limit = limit as u64;
    if needed > limit {
        return Err(ComponentError::TooLarge { kind, needed, limit });
    }
    Ok(())
}
