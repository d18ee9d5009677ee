//! Plugins with many memories and tables: they take the room of several, are refused by our own words, and starve nobody.

use palisade::{
    Class, CompilerChild, ComponentError, EngineOptions, LoadError, PluginError, PluginSpec, Runtime, RuntimeBuilder,
};
use palisade_tests::wat::{Wat, event_plugin};
use palisade_tests::{binary, small_engine};
use serde_json::{Value, json};

use super::beside::{Beside, neighbour, served};

fn room_for(instances: u32) -> RuntimeBuilder {
    let mut options = EngineOptions::default();
    options.max_instances = Some(instances);
    Runtime::builder().engine(options)
}

fn with_tables(count: usize) -> Wat {
    event_plugin().fields(&"(table 1 funcref)".repeat(count))
}

/// With the one that each plugin has.
fn with_memories(count: usize) -> Wat {
    event_plugin().fields(&"(memory 1)".repeat(count - 1))
}

/// Loads what never fits, beside a neighbour that must not notice.
async fn never_fits(builder: RuntimeBuilder, spec: PluginSpec) -> (ComponentError, String) {
    let runtime = builder.build().unwrap();
    runtime.launch(vec![neighbour()]).await.unwrap();
    let error = runtime.load(spec).await.unwrap_err();
    served(&runtime, "any.event").await;
    assert_eq!(runtime.health().await.instances, 1);
    let words = error.to_string();
    let LoadError::Component { source, .. } = error else {
        panic!("{words}");
    };
    (source, words)
}

/// S6, H14: what needs more than there is for all is refused at load by the key, wherever it is compiled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_h14_more_than_there_is_room_for_is_refused_at_load() {
    let child = || CompilerChild::new(binary()).args(["compile-child"]);
    for builder in [room_for(8), room_for(8).compiler(child())] {
        let (source, words) = never_fits(builder, with_tables(60).spec()).await;
        assert!(
            matches!(source, ComponentError::NoRoom { needed: 30, max: 8, .. }),
            "{words}"
        );
        assert!(words.contains("room for 8 in all (engine.max-instances)"), "{words}");
    }
    let (source, words) = never_fits(room_for(8), with_memories(9).spec()).await;
    assert!(matches!(source, ComponentError::NoRoom { needed: 9, .. }), "{words}");
    let just = Beside::with(room_for(9), with_memories(8).spec()).await;
    just.obeys("hostile.sin", json!(1)).await;
    assert_eq!(just.runtime.health().await.instances, 2);
}

/// S6, H14: a plugin with many memories or tables takes the room of as many instances: it is refused by our own words when that
/// is gone, at once, and gives back just what it took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_h14_many_memories_and_tables_take_the_room_of_many() {
    for large in [with_memories(6), with_tables(11)] {
        let beside = Beside::with(room_for(14), large.spec()).await;
        let other = large.clone().info("other", &[("sin", &["other.>"])]);
        for _ in 0..3 {
            beside.runtime.load(other.spec()).await.unwrap();
            beside.runtime.start("other").await.unwrap();
            assert_eq!(beside.runtime.health().await.instances, 3);
            let third = large.clone().info("third", &[("sin", &["third.>"])]);
            let error = beside.runtime.load(third.spec()).await.unwrap_err();
            assert!(
                matches!(&error, LoadError::Describe { fault, .. } if fault.class() == Class::Overloaded),
                "{error}"
            );
            let words = error.to_string();
            assert!(
                words.contains(
                    "3 instances live already, with memories and tables for 13 of 14; one more needs those of 6"
                ) && words.contains("engine.max-instances"),
                "{words}"
            );
            // What is left is for a small one.
            beside.runtime.load(neighbour().name("small")).await.unwrap();
            beside.runtime.start("small").await.unwrap();
            beside.obeys("hostile.ok", Value::Null).await;
            for gone in ["small", "other"] {
                beside.runtime.unload(gone).await.unwrap();
            }
            assert_eq!(beside.runtime.health().await.instances, 2);
        }
        // A trap gives its places back, too.
        beside.runtime.load(other.spec().concurrency(2)).await.unwrap();
        let error = beside.runtime.start("other").await.unwrap_err();
        assert!(
            matches!(&error, PluginError::Start { fault, .. } if fault.class() == Class::Overloaded),
            "{error}"
        );
        assert_eq!(beside.runtime.health().await.instances, 2);
    }
}

/// S6, H14: a GC heap is a memory more, however its guest comes to one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_h14_a_gc_heap_takes_the_room_of_a_memory() {
    let cases = [
        ("(type (struct (field i32)))", "(global.get $OK)"),
        ("(type (array i32))", "(global.get $OK)"),
        ("(table 1 externref)", "(global.get $OK)"),
        ("(global (mut anyref) (ref.null any))", "(global.get $OK)"),
        ("(tag)", "(global.get $OK)"),
        ("(elem externref (ref.null extern))", "(global.get $OK)"),
        ("", "(drop (array.len (ref.null array))) (global.get $OK)"),
    ];
    for (fields, body) in cases {
        let wat = event_plugin().fields(fields).body(body);
        let runtime = room_for(1).build().unwrap();
        let error = runtime.load(wat.spec()).await.unwrap_err();
        assert!(
            matches!(
                &error,
                LoadError::Component {
                    source: ComponentError::NoRoom { needed: 2, .. },
                    ..
                }
            ),
            "{fields} {body}: {error}"
        );
        let beside = Beside::with(room_for(3), wat.spec()).await;
        beside.obeys("hostile.ok", Value::Null).await;
    }
    // What only looks like it.
    let wat = event_plugin()
        .fields("(table 1 funcref) (global funcref (ref.null func)) (elem funcref (ref.null func))")
        .body("(drop (i64.const 0x0ffb0ffb)) (drop (f32.const 0x1.1e1ff6p-96)) (global.get $OK)");
    let runtime = room_for(1).build().unwrap();
    runtime.launch(vec![wat.spec()]).await.unwrap();
    assert_eq!(runtime.health().await.instances, 1);
}

/// S10, H13: what is larger than the engine can have is told so, and not as a fault of the compiler's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_h13_a_module_beyond_the_engines_measures_is_told_so() {
    let wat = event_plugin().fields(&"(global i32 (i32.const 0))".repeat(300_000));
    let compiler = CompilerChild::new(binary()).args(["compile-child"]);
    let child = Runtime::builder().engine(small_engine()).compiler(compiler);
    for builder in [Runtime::builder().engine(small_engine()), child] {
        let (source, words) = never_fits(builder, wat.spec()).await;
        assert!(
            matches!(source, ComponentError::Engine(_))
                && words.contains("it is too large for the engine: instance allocation"),
            "{words}"
        );
    }
}
