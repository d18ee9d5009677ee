//! `[engine]`.

use serde::Deserialize;

use super::value::{Count, Size, Time, Value};
use crate::builder::RuntimeBuilder;
use crate::sandbox::{CompilerChild, EngineOptions};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EngineTable {
    wasm_stack: Option<Size<usize>>,
    max_instances: Option<Count<u32, 1_000_000>>,
    max_component: Option<Size<u64>>,
    compile_time: Option<Time>,
    compile_memory: Option<Size<u64>>,
}

impl EngineTable {
    pub(super) fn apply(&self, builder: RuntimeBuilder) -> RuntimeBuilder {
        let builder = builder.engine(self.options());
        match &self.max_component {
            Some(bytes) => builder.max_component(bytes.get()),
            None => builder,
        }
    }

    pub(super) fn bound(&self, mut compiler: CompilerChild) -> CompilerChild {
        if let Some(time) = &self.compile_time {
            compiler = compiler.time(time.get());
        }
        if let Some(bytes) = &self.compile_memory {
            compiler = compiler.memory(bytes.get());
        }
        compiler
    }

    pub(super) fn options(&self) -> EngineOptions {
        let default = EngineOptions::default();
        EngineOptions {
            wasm_stack: self.wasm_stack.as_ref().map_or(default.wasm_stack, Value::get),
            max_instances: self.max_instances.as_ref().map(Value::get),
        }
    }
}
