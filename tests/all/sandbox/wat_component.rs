//! Components that no toolchain makes: too many instances, wrong types, and what nests.

use palisade::{Class, ComponentError, LimitKind, LoadError, PluginSpec};
use palisade_tests::wat::{component, event_plugin};
use serde_json::json;
use wasm_encoder::{ComponentSection, InstanceSection, RawSection};
use wasmparser::{Parser, Payload};

use super::beside::Beside;
use super::wat_words::{no_plugin, refused};

/// A decent plugin with `count` more instances of a core module behind it.
fn with_instances(module: &str, count: u32) -> PluginSpec {
    let mut bytes = event_plugin().component();
    let modules = Parser::new(0)
        .parse_all(&bytes)
        .filter(|payload| matches!(payload, Ok(Payload::ModuleSection { .. })))
        .count();
    let module = wat::parse_str(module).unwrap();
    let mut instances = InstanceSection::new();
    for _ in 0..count {
        let none: [(&str, wasm_encoder::ModuleArg); 0] = [];
        instances.instantiate(u32::try_from(modules).unwrap(), none);
    }
    // A core module is section 1 of a component.
    RawSection { id: 1, data: &module }.append_to_component(&mut bytes);
    instances.append_to_component(&mut bytes);
    PluginSpec::from_bytes(bytes)
}

/// S1, H14: more core instances than a component may be made of, each of them empty, are refused at load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h14_many_core_instances_obeyed_and_violated() {
    let words = no_plugin(with_instances("(module)", 500), Class::HostLimit, LimitKind::Instances).await;
    assert!(
        words.contains(" core instances; its limit is 128 (plugin.limits.instances)"),
        "{words}"
    );
    let beside = Beside::new(with_instances("(module)", 100)).await;
    beside.obeys("hostile.sin", json!(1)).await;
}

/// S1, H12, H13, H14: memories and tables of many instances count together, for their number and for their size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h14_memories_and_tables_of_many_instances_count_together() {
    for (module, kind) in [
        ("(module (memory 0))", LimitKind::Memories),
        ("(module (table 0 funcref))", LimitKind::Tables),
    ] {
        let error = refused(with_instances(module, 70)).await;
        assert!(
            matches!(
                &error,
                LoadError::Component { source: ComponentError::TooLarge { kind: told, .. }, .. } if *told == kind
            ),
            "{error}"
        );
    }
    let memories = with_instances("(module (memory 100))", 12);
    no_plugin(memories, Class::OutOfMemory, LimitKind::Memory).await;
    let tables = with_instances("(module (table 9000 funcref))", 12);
    no_plugin(tables, Class::HostLimit, LimitKind::TableElements).await;
    let both = with_instances("(module (memory 50) (table 5000 funcref))", 12);
    Beside::new(both).await.obeys("hostile.sin", json!(1)).await;
}

/// A component that exports functions of one odd type under our names.
fn odd_types(functions: &[&str]) -> PluginSpec {
    let functions: String = functions
        .iter()
        .map(|name| format!(r#"(export "{name}" (func $f))"#))
        .collect();
    component(&format!(
        r#"(component
          (core module $m (func (export "f") (result i32) (i32.const 0)))
          (core instance $i (instantiate $m))
          (func $f (result u32) (canon lift (core func $i "f")))
          (instance $plugin {functions})
          (instance $handler (export "handle" (func $f)))
          (export "palisade:plugin/plugin@0.1.0" (instance $plugin))
          (export "palisade:plugin/handler@0.1.0" (instance $handler)))"#
    ))
}

/// S10, H35: an interface of ours that lacks a function, or has one of another type, is refused by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h35_exports_of_other_types_are_refused_by_name() {
    let error = refused(odd_types(&["start", "stop", "health"])).await;
    assert!(
        matches!(&error, LoadError::Component { source: ComponentError::WrongWorld(why), .. } if why.contains("`describe`")),
        "{error}"
    );
    let error = refused(odd_types(&["describe", "start", "stop", "health"])).await;
    let words = error.to_string();
    assert!(
        words.contains("exports palisade:plugin/plugin with other types than 0.1.0 has") && words.contains("SDK"),
        "{words}"
    );
}

/// S10, H35: a name of ours that is no instance, and none at all, are refused too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h35_exports_of_another_sort_are_no_plugin() {
    for text in [
        r#"(component
          (core module $m (func (export "f")))
          (core instance $i (instantiate $m))
          (func $f (canon lift (core func $i "f")))
          (export "describe" (func $f)))"#,
        "(component (component) (component (component)))",
    ] {
        let error = refused(component(text)).await;
        assert!(
            matches!(
                &error,
                LoadError::Component {
                    source: ComponentError::WrongWorld(_),
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// S10, H34: what the component model has and this engine has not, such as a start of a component, is no valid component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h34_a_start_of_a_component_is_refused() {
    let starts = r#"(component
      (core module $m (func (export "f")))
      (core instance $i (instantiate $m))
      (func $f (canon lift (core func $i "f")))
      (start $f))"#;
    for text in [starts.to_owned(), format!("(component {starts})")] {
        let error = refused(component(&text)).await;
        assert!(
            matches!(
                &error,
                LoadError::Component {
                    source: ComponentError::Invalid(_),
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// S10, H34: components within components, a thousand deep, are refused without following them down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h34_components_a_thousand_deep_are_refused() {
    let innermost = wasm_encoder::Component::new().finish();
    let deep = (0..1000).fold(innermost, |inner, _| {
        let mut outer = wasm_encoder::Component::new();
        // A nested component is section 4.
        outer.section(&RawSection { id: 4, data: &inner });
        outer.finish()
    });
    let error = refused(PluginSpec::from_bytes(deep)).await;
    assert!(matches!(&error, LoadError::Component { .. }), "{error}");
}
