//! How much memory and how many tables an instance may have, all of them together (S1).

use wasmtime::ResourceLimiter;

use crate::limits::Limits;

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
    denied: Option<usize>,
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

    /// The total that the guest asked for and did not get, in this call.
    pub(crate) fn denied(&self) -> Option<usize> {
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
            self.denied = Some(total);
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
        if maximum.is_some_and(|maximum| desired > maximum) || total > self.table_limit {
            return Ok(false);
        }
        self.table_elements = total;
        self.last_table_growth = growth;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements = self.table_elements.saturating_sub(std::mem::take(&mut self.last_table_growth));
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
