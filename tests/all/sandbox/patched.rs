//! A built plugin with some of its bytes replaced: components that no toolchain of ours makes.

/// The bytes of a built plugin.
pub(super) fn built(name: &str) -> Vec<u8> {
    std::fs::read(palisade_tests::plugin(name)).expect("readable")
}

/// Replaces every occurrence; both texts have one length, so that the component stays well-formed.
pub(super) fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "lengths are written into the component");
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    let mut times = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| position(rest, from)) {
        bytes[at + found..at + found + to.len()].copy_from_slice(to.as_bytes());
        at += found + to.len();
        times += 1;
    }
    assert!(times > 0, "`{from}` is not in the component");
    bytes
}

/// A plugin that says it was built for another version of the contract, of the same length as `0.1.0`.
pub(super) fn built_for(name: &str, version: &str) -> Vec<u8> {
    ["types", "context", "bus", "plugin", "handler"]
        .iter()
        .fold(built(name), |bytes, interface| {
            let (from, to) = (
                format!("palisade:plugin/{interface}@0.1.0"),
                format!("palisade:plugin/{interface}@{version}"),
            );
            replaced(&bytes, &from, &to)
        })
}

fn position(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}

/// A filter plugin that spins before anything of it can be called: in the start function of its core module.
pub(super) fn spinning_from_the_start() -> Vec<u8> {
    let module = r#"(module
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "palisade:plugin/plugin@0.1.0#describe") (result i32) unreachable)
        (func (export "palisade:plugin/plugin@0.1.0#start") (param i32 i32) (result i32) unreachable)
        (func (export "palisade:plugin/plugin@0.1.0#stop"))
        (func (export "palisade:plugin/plugin@0.1.0#health") (result i32) unreachable)
        (func (export "palisade:plugin/filter@0.1.0#accepts")
            (param i32 i32 i32 i32 i32 i32 i64 i32 i32) (result i32) unreachable)
        (func $spin (loop $again (br $again)))
        (start $spin))"#;
    let mut module = wat::parse_str(module).expect("a module");
    let mut resolve = wit_parser::Resolve::default();
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");
    let (package, _) = resolve.push_dir(contract).expect("the contract");
    let world = resolve
        .select_world(&[package], Some("filter-plugin"))
        .expect("a world");
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).expect("a module of that world");
    let encoder = wit_component::ComponentEncoder::default()
        .module(&module)
        .expect("a module");
    encoder.validate(true).encode().expect("a component")
}
