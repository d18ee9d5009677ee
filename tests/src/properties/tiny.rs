//! The smallest plugins there can be, written by hand: they compile in a moment, so that inputs made from them are cheap.

use std::sync::LazyLock;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// The worlds of the contract.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum World {
    Event,
    Filter,
}

/// Takes every event and answers ok.
pub(super) static EVENT: LazyLock<Vec<u8>> =
    LazyLock::new(|| component(&World::Event.module(), World::Event).expect("a component"));

/// Lets every event pass.
pub(super) static FILTER: LazyLock<Vec<u8>> =
    LazyLock::new(|| component(&World::Filter.module(), World::Filter).expect("a component"));

static CONTRACT: LazyLock<(Resolve, [WorldId; 2])> = LazyLock::new(|| {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(crate::root().join("wit")).expect("the contract");
    let world = |name| resolve.select_world(&[package], Some(name)).expect("a world");
    let worlds = [world("event-plugin"), world("filter-plugin")];
    (resolve, worlds)
});

/// Makes a component of a world out of a core module that exports what the world does.
pub(super) fn component(module: &[u8], world: World) -> Option<Vec<u8>> {
    let (resolve, worlds) = &*CONTRACT;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, resolve, worlds[world as usize], StringEncoding::UTF8).ok()?;
    let mut encoder = ComponentEncoder::default().validate(false).module(&module).ok()?;
    encoder.encode().ok()
}

impl World {
    /// A core module with its exports, and a `describe` that the host accepts.
    pub(super) fn module(self) -> Vec<u8> {
        // The record `info` is at 256: name, version, description, dependencies and handlers, each a pointer and a length.
        // A handler is at 512 and its pattern at 560. What is 0 is ok, absent or empty.
        let (handlers, work) = match self {
            World::Event => (
                r#"\00\02\00\00\01\00\00\00"#,
                r#"(func (export "palisade:plugin/handler@0.1.0#handle")
                     (param i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32) (result i32)
                     (global.set $free (i32.const 1024))
                     (i32.const 0))"#,
            ),
            World::Filter => (
                r#"\00\00\00\00\00\00\00\00"#,
                r#"(func (export "palisade:plugin/filter@0.1.0#accepts")
                     (param i32 i32 i32 i32 i32 i32 i64 i32 i32) (result i32)
                     (global.set $free (i32.const 1024))
                     (i32.const 1))"#,
            ),
        };
        let text = format!(
            r#"(module
                (memory (export "memory") 2)
                (global $free (mut i32) (i32.const 1024))
                (data (i32.const 64) "tiny0.1.0all>")
                (data (i32.const 256)
                  "\40\00\00\00\04\00\00\00" "\44\00\00\00\05\00\00\00" "\44\00\00\00\00\00\00\00"
                  "\00\00\00\00\00\00\00\00" "{handlers}")
                (data (i32.const 512) "\49\00\00\00\03\00\00\00" "\30\02\00\00\01\00\00\00")
                (data (i32.const 560) "\4c\00\00\00\01\00\00\00")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                  (local $at i32)
                  (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                  (global.set $free (i32.add (local.get $at) (local.get 3)))
                  (local.get $at))
                (func (export "palisade:plugin/plugin@0.1.0#describe") (result i32) (i32.const 256))
                (func (export "palisade:plugin/plugin@0.1.0#start") (param i32 i32) (result i32) (i32.const 0))
                (func (export "palisade:plugin/plugin@0.1.0#stop"))
                (func (export "palisade:plugin/plugin@0.1.0#health") (result i32) (i32.const 0))
                {work})"#
        );
        wat::parse_str(text).expect("WebAssembly text")
    }
}
