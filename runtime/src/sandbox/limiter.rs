//! How much memory and how many tables an instance may have, all of them together (S1).

use wasmtime::ResourceLimiter;

use crate::limits::Limits;
use crate::sandbox::engine::MAX_TABLE_ELEMENTS;

/// Counts what all memories of a store have in total; wasmtime's own limiter counts each memory apart.
pub(crate) struct Limiter {
    memory_limit: usize,
    memory: usize,
    table_limit: usize,
    table_elements: usize,
    instances: usize,
    tables: usize,
    memories: usize,
    last_growth: usize,
    last_table_growth: usize,
    denied: Option<Denied>,
}

/// A total that the guest asked for and did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Bytes of all memories.
    Memory(usize),
    /// Elements of all tables.
    TableElements(usize),
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_limit: limits.memory,
            memory: 0,
            table_limit: limits.table_elements,
            table_elements: 0,
            instances: limits.instances,
            tables: limits.tables,
            memories: limits.memories,
            last_growth: 0,
            last_table_growth: 0,
            denied: None,
        }
    }

    /// Forgets refusals of earlier calls.
    pub(crate) fn arm(&mut self) {
        self.denied = None;
    }

    /// What the guest asked for last and did not get, in this call.
    pub(crate) fn denied(&self) -> Option<Denied> {
        self.denied
    }

    /// What all memories have now.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.last_growth = 0;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let growth = desired.saturating_sub(current);
        let total = self.memory.saturating_add(growth);
        if total > self.memory_limit {
            self.denied = Some(Denied::Memory(total));
            return Ok(false);
        }
        self.memory = total;
        self.last_growth = growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory = self.memory.saturating_sub(std::mem::take(&mut self.last_growth));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.last_table_growth = 0;
        let growth = desired.saturating_sub(current);
        let total = self.table_elements.saturating_add(growth);
        // Every table of the pool has a maximum, so that one as large as the pool's is no word of the guest's own.
        let own = maximum.filter(|maximum| *maximum < MAX_TABLE_ELEMENTS);
        if own.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if total > self.table_limit {
            self.denied = Some(Denied::TableElements(total));
            return Ok(false);
        }
        self.table_elements = total;
        self.last_table_growth = growth;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements = self
            .table_elements
            .saturating_sub(std::mem::take(&mut self.last_table_growth));
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn limiter(memory: usize, table_elements: usize) -> Limiter {
        Limiter::new(&Limits {
            memory,
            table_elements,
            ..Limits::default()
        })
    }

    /// S1, H12: the limit is that of all memories together, not of each.
    #[test]
    fn s1_h12_many_memories_share_one_limit() {
        let mut limiter = limiter(100, 0);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap(), "a second memory");
        assert_eq!((limiter.denied(), limiter.memory()), (Some(Denied::Memory(120)), 60));
        assert!(limiter.memory_growing(0, 40, None).unwrap(), "exactly the rest");
    }

    /// H12: a growth that the engine then failed at counts for nothing.
    #[test]
    fn h12_a_growth_that_failed_is_not_counted() {
        let mut limiter = limiter(100, 100);
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no room")).unwrap();
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        assert!(limiter.table_growing(0, 100, None).unwrap());
        limiter.table_grow_failed(wasmtime::Error::msg("no room")).unwrap();
        assert!(limiter.table_growing(0, 100, None).unwrap());
    }

    /// H12: what a memory may not by its own declaration is no refusal of ours, and not told as one.
    #[test]
    fn h12_a_growth_beyond_the_memorys_own_maximum_is_not_held_against_the_limit() {
        let mut limiter = limiter(100, 0);
        assert!(!limiter.memory_growing(10, 50, Some(20)).unwrap());
        assert!(!limiter.table_growing(10, 50, Some(20)).unwrap());
        assert_eq!(limiter.denied(), None);
    }

    /// S1, H14: the same holds for the elements of all tables.
    #[test]
    fn s1_h14_many_tables_share_one_limit() {
        let mut limiter = limiter(0, 100);
        assert!(limiter.table_growing(0, 60, None).unwrap());
        assert!(!limiter.table_growing(0, 60, None).unwrap(), "a second table");
        assert_eq!(limiter.denied(), Some(Denied::TableElements(120)));
        assert!(limiter.table_growing(60, 100, None).unwrap(), "exactly the rest");
    }
}
