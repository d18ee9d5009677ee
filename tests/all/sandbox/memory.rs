//! Memory, tables, stack.

use palisade::{Class, ComponentError, EngineOptions, Limits, LoadError, PluginSpec, Runtime};
use palisade_tests::{hostile, limits, runtime};
use serde_json::{Value, json};

use super::beside::{Beside, neighbour};

const MIB: usize = 1024 * 1024;

fn with(change: impl FnOnce(&mut Limits)) -> PluginSpec {
    hostile().limits(limits(change))
}

/// S1, H12: a guest that asks for more than its limit is refused the growth and lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h12_memory_obeyed_by_a_guest_that_can_live_with_less() {
    for limit in [16, 48] {
        let beside = Beside::new(with(|limits| limits.memory = limit * MIB)).await;
        let report = beside.report("hostile.grow", Value::Null).await;
        let got = report["mebibytes"].as_u64().unwrap() as usize;
        assert!((limit - 8..limit).contains(&got), "{got} of {limit} MiB");
        assert_eq!(
            beside.report("hostile.count", Value::Null).await["count"],
            3,
            "it is the same instance still"
        );
        let memory = beside.runtime.plugin("hostile").unwrap().instance_memory;
        assert!(memory[0] <= limit * MIB, "{memory:?}");
    }
}

/// S1, H12: one that can't go on without it is ended, and the words tell how much it wanted and what the limit is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h12_memory_violated() {
    let beside = Beside::new(hostile()).await;
    let words = beside.killed("hostile.alloc", Value::Null, Class::OutOfMemory).await;
    assert!(words.starts_with("hostile asked for 6"), "{words}");
    assert!(
        words.contains(" MiB of memory; its limit is 64 MiB (plugin.limits.memory)"),
        "{words}"
    );
}

/// S11: a trap that has nothing to do with memory is a trap, although the guest was refused memory in an earlier call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_refused_growth_is_forgotten_with_its_call() {
    let beside = Beside::new(hostile()).await;
    beside.obeys("hostile.grow", Value::Null).await;
    beside.killed("hostile.trap", Value::Null, Class::Trap).await;
}

/// S1, H12: the memory of an instance that was ended is given back: ending many takes no more than one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h12_the_memory_of_an_ended_instance_is_given_back() {
    let mut options = EngineOptions::default();
    options.max_instances = Some(3);
    let beside = Beside::with(
        Runtime::builder().engine(options),
        with(|limits| limits.memory = 8 * MIB).quarantine(None),
    )
    .await;
    for _ in 0..10 {
        beside.killed("hostile.alloc", Value::Null, Class::OutOfMemory).await;
    }
    assert_eq!(beside.runtime.health().await.instances, 2);
}

/// S1, H13: a component whose first moment needs more than its limits is refused at load, by a message that names need,
/// limit and key; the neighbour runs on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h13_initial_memory_and_tables_violated() {
    let runtime = runtime();
    runtime.launch(vec![neighbour()]).await.unwrap();
    let too_small = [
        (
            with(|limits| limits.memory = MIB),
            " MiB of memory; its limit is 1 MiB",
            "plugin.limits.memory",
        ),
        (
            with(|limits| limits.memories = 0),
            "1 memories; its limit is 0",
            "plugin.limits.memories",
        ),
        (
            with(|limits| limits.tables = 1),
            " tables; its limit is 1",
            "plugin.limits.tables",
        ),
        (
            with(|limits| limits.table_elements = 10),
            " table elements; its limit is 10",
            "plugin.limits.table-elements",
        ),
    ];
    for (spec, what, key) in too_small {
        let error = runtime.load(spec).await.unwrap_err();
        let words = error.to_string();
        assert!(words.contains(what) && words.contains(key), "{words}");
        assert!(
            matches!(
                error,
                LoadError::Component {
                    source: ComponentError::TooLarge { .. },
                    ..
                }
            ),
            "{words}"
        );
    }
    let report = runtime
        .publish(super::beside::sin_event("hostile.ok", Value::Null))
        .await
        .unwrap();
    assert!(report.all_ok() && report.outcomes.len() == 1);
}

/// S1, H14: a component made of more core instances than it may have is refused at load, and named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h14_instances_violated() {
    let runtime = runtime();
    runtime.launch(vec![neighbour()]).await.unwrap();
    let error = runtime.load(with(|limits| limits.instances = 1)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("asked for 2 core instances; its limit is 1 (plugin.limits.instances)"),
        "{error}"
    );
    let event = super::beside::sin_event("any.event", Value::Null);
    assert!(runtime.publish(event).await.unwrap().all_ok());
}

/// S1, H14: a component that needs just what it may have is loaded and runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_tables_and_instances_obeyed() {
    let tight = with(|limits| {
        limits.tables = 4;
        limits.memories = 1;
        limits.instances = 8;
        limits.table_elements = 5000;
    });
    let beside = Beside::new(tight).await;
    beside.obeys("hostile.ok", Value::Null).await;
}

/// S1, H3: a guest that calls itself for ever is ended as such, and the words name the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h3_wasm_stack_violated() {
    let beside = Beside::new(hostile()).await;
    let words = beside
        .killed("hostile.recurse", Value::Null, Class::StackOverflow)
        .await;
    assert!(words.contains("engine.wasm-stack"), "{words}");
}

/// H4: one that calls the host at every level, and so at the brim of its stack, takes nothing down with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_host_call_at_the_brim_of_the_stack_ends_only_its_call() {
    let beside = Beside::new(hostile()).await;
    let outcome = beside.sin("hostile.brim", Value::Null).await;
    let expected = [Class::StackOverflow, Class::OutOfMemory];
    assert!(
        expected.contains(&outcome.class),
        "{}: {}",
        outcome.class,
        outcome.message()
    );
    beside.obeys("hostile.ok", Value::Null).await;
}

/// S1, H3: a guest that needs little stack runs with little.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_wasm_stack_obeyed() {
    let mut options = EngineOptions::default();
    options.wasm_stack = 64 * 1024;
    let beside = Beside::with(Runtime::builder().engine(options), hostile()).await;
    beside.obeys("hostile.flood-log", json!(10)).await;
    beside
        .killed("hostile.recurse", Value::Null, Class::StackOverflow)
        .await;
}
