//! A component that is made to hurt the compiler (H33): some 50 KB that are valid, and that Cranelift takes minutes and
//! gigabytes for. All of its locals change in the innermost of many nested loops, so each loop's header has to merge each
//! local: their product counts, while the file grows with their sum.

use wasm_encoder::{
    BlockType, CodeSection, Component, Function, FunctionSection, Module, ModuleSection, TypeSection, ValType,
};

const LOCALS: u32 = 3000;
const LOOPS: u32 = 3000;

/// Its bytes.
pub(crate) fn costly() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut code = CodeSection::new();
    code.function(&function());
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

fn function() -> Function {
    let mut function = Function::new([(LOCALS, ValType::I32)]);
    let mut code = function.instructions();
    for _ in 0..LOOPS {
        code.loop_(BlockType::Empty);
    }
    for local in 0..LOCALS {
        code.local_get(local)
            .local_get((local + 1) % LOCALS)
            .i32_add()
            .local_set(local);
    }
    for _ in 0..LOOPS {
        code.local_get(0).br_if(0).end();
    }
    code.end();
    function
}
