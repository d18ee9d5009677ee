//! Time, fuel and stack, against guests that no compiler would make.

use std::time::Duration;

use palisade::{Class, EngineOptions, Health, LimitKind, LoadError, PluginError, PluginSpec, Runtime};
use palisade_tests::wat::{Wat, event_plugin, filter_plugin};
use palisade_tests::{event, limits, runtime};
use serde_json::{Value, json};

use super::beside::{Beside, SHORT, neighbour, served};
use super::wat_words::{ends, ends_in, no_plugin};

const FOR_EVER: &str = "(loop $again (br $again)) (unreachable)";
/// The same by a call in tail position: the stack stays as it is.
const TAIL_CALL: &str = "(return_call $again)";
const AGAIN: &str = "(func $again (result i32) (return_call $again))";

fn hurried(wat: &Wat) -> PluginSpec {
    wat.spec().limits(limits(|limits| limits.timeout = SHORT))
}

/// The guest, with all the time that a slow machine may need.
fn patient(wat: &Wat) -> PluginSpec {
    wat.spec()
        .limits(limits(|limits| limits.timeout = Duration::from_secs(3600)))
}

/// H1, H2: the skeleton does what it should: the tests in these files are about what is put into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_decent_plugin_of_text_is_served() {
    let beside = Beside::new(hurried(&event_plugin())).await;
    for _ in 0..3 {
        beside.obeys("hostile.sin", json!("some data")).await;
    }
    let health = beside.runtime.plugin_health("hostile").await.unwrap();
    assert_eq!(health, Health::Healthy);
    beside.runtime.stop("hostile").await.unwrap();
    let filtered = runtime();
    filtered
        .launch(vec![filter_plugin().spec(), neighbour()])
        .await
        .unwrap();
    assert!(filtered.publish(event("any.event", json!(1))).await.unwrap().all_ok());
}

/// S2, H1: a loop, and a chain of tail calls that needs no stack, end by the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_loops_and_tail_calls_end_by_the_deadline() {
    for wat in [
        event_plugin().body(FOR_EVER),
        event_plugin().fields(AGAIN).body(TAIL_CALL),
    ] {
        let words = ends(hurried(&wat), Class::Timeout, Some(LimitKind::Timeout)).await;
        assert_eq!(
            words,
            "hostile did not end handle by its deadline and was stopped; its limit is 250ms (plugin.limits.timeout)"
        );
    }
}

/// S2, H2: a core `start` function that loops ends at load, where the plugin is instantiated to be described.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_core_start_function_that_loops_is_refused_at_load() {
    let wat = event_plugin().fields("(start $begin) (func $begin (loop $again (br $again)))");
    let words = no_plugin(hurried(&wat), Class::Timeout, LimitKind::Timeout).await;
    assert!(words.contains("did not end instantiation by its deadline"), "{words}");
    let wat = event_plugin().describe(FOR_EVER);
    let words = no_plugin(hurried(&wat), Class::Timeout, LimitKind::Timeout).await;
    assert!(words.contains("did not end describe by its deadline"), "{words}");
}

/// H2: one that traps is refused with its trap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_core_start_function_that_traps_is_refused_at_load() {
    let wat = event_plugin().fields("(start $begin) (func $begin (unreachable))");
    let error = runtime().load(wat.spec()).await.unwrap_err();
    assert!(
        matches!(&error, LoadError::Describe { fault, .. } if fault.class() == Class::Trap && fault.limit().is_none()),
        "{error}"
    );
}

/// S2, H2: `start`, `health` and `stop` end by the deadline; the plugin is in error, unhealthy, and stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_every_phase_ends_by_the_deadline() {
    let runtime = runtime();
    runtime.launch(vec![neighbour()]).await.unwrap();
    runtime.load(hurried(&event_plugin().start(FOR_EVER))).await.unwrap();
    let error = runtime.start("hostile").await.unwrap_err();
    assert!(
        matches!(&error, PluginError::Start { fault, .. } if fault.limit() == Some(LimitKind::Timeout)),
        "{error}"
    );
    served(&runtime, "any.event").await;

    let wat = event_plugin().health(FOR_EVER).stop("(loop $again (br $again))");
    let beside = Beside::new(hurried(&wat)).await;
    let health = beside.runtime.plugin_health("hostile").await.unwrap();
    assert!(
        matches!(&health, Health::Unhealthy(why) if why.contains("did not end health by its deadline")),
        "{health:?}"
    );
    beside.obeys("hostile.ok", Value::Null).await;
    beside.runtime.stop("hostile").await.unwrap();
    beside.runtime.start("hostile").await.unwrap();
    beside.obeys("hostile.ok", Value::Null).await;
}

/// S2, H2: so does a filter; the event that it looped at is refused, the next one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_filter_that_loops_ends_by_its_deadline() {
    let runtime = runtime();
    let filter = filter_plugin().body(FOR_EVER).spec();
    runtime.launch(vec![filter, neighbour()]).await.unwrap();
    let report = runtime.publish(event("any.event", json!(1))).await.unwrap();
    assert!(report.outcomes.is_empty(), "{report:?}");
    served(&runtime, "any.event").await;
}

/// S1, H3: recursion, a function of very many locals and a chain of calls through a table use up the stack, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_recursion_and_huge_frames_use_up_the_stack() {
    let locals = "i64 ".repeat(40_000);
    let huge = format!("(func $huge (param i32) (result i32) (local {locals}) (call $huge (local.get 0)))");
    let attacks = [
        event_plugin()
            .fields("(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))")
            .body("(call $deep)"),
        event_plugin().fields(&huge).body("(call $huge (i32.const 0))"),
        event_plugin()
            .fields(
                "(type $f (func (result i32))) (table $t 1 funcref) (elem (table $t) (i32.const 0) func $by_table)
                 (func $by_table (result i32) (i32.add (call_indirect $t (type $f) (i32.const 0)) (i32.const 1)))",
            )
            .body("(call $by_table)"),
    ];
    for wat in attacks {
        let words = ends(wat.spec(), Class::StackOverflow, Some(LimitKind::WasmStack)).await;
        assert_eq!(
            words,
            "hostile used up its stack; its limit is 512 KiB (engine.wasm-stack)"
        );
    }
}

/// S1, H3, H4: recursion that fits into the stack, with a call of the host at every level of it, is nothing to be ended for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_h4_recursion_within_the_stack_obeyed() {
    let deep = "(func $deep (param $left i32) (result i32)
        (if (i32.eqz (local.get $left)) (then (return (i32.const 0))))
        (call $log (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 1))
        (i32.add (call $deep (i32.sub (local.get $left) (i32.const 1))) (i32.const 1)))";
    let wat = event_plugin()
        .fields(deep)
        .body("(if (i32.ne (call $deep (i32.const 1000)) (i32.const 1000)) (then (unreachable))) (global.get $OK)");
    let beside = Beside::new(wat.spec()).await;
    for _ in 0..3 {
        beside.obeys("hostile.sin", json!(1)).await;
    }
}

/// H4: at every level down to the brim the host is called, with a line longer than it may be, and with an event: whatever
/// the call ends as, the process lives, and so does everyone else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_deep_call_of_the_host_at_the_brim_ends_only_its_call() {
    let log = "(call $log (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 16384))";
    let publish = "(call $publish (i32.const 65536) (i32.const 256) (i32.const 65536) (i32.const 131072)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 32))";
    for call in [log, publish] {
        let deep = format!("(func $deep (result i32) {call} (i32.add (call $deep) (i32.const 1)))");
        let wat = event_plugin().fields(&deep).body("(call $deep)");
        ends(patient(&wat), Class::StackOverflow, Some(LimitKind::WasmStack)).await;
    }
}

/// H5: filling all memory again and again, with bulk instructions of the largest size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h5_bulk_instructions_of_the_largest_size_end_by_the_deadline() {
    let all = "(i32.const 62914560)";
    for instruction in [
        format!("(memory.fill (i32.const 0) (i32.const 7) {all})"),
        format!("(memory.copy (i32.const 8) (i32.const 0) {all})"),
        "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 4))".to_owned(),
        "(table.fill $t (i32.const 0) (ref.null func) (i32.const 99990))".to_owned(),
        "(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 99989))".to_owned(),
    ] {
        let wat = event_plugin()
            .memory(r#"(memory (export "memory") 1000)"#)
            .fields(r#"(table $t 99990 funcref) (data $d "data")"#)
            .body(&format!("(loop $again {instruction} (br $again)) (unreachable)"));
        ends(hurried(&wat), Class::Timeout, Some(LimitKind::Timeout)).await;
    }
}

/// H5: filling all memory ten times is nothing to be killed for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h5_filling_all_memory_a_few_times_is_allowed() {
    let fill = "(memory.fill (i32.const 131072) (i32.const 7) (i32.const 64880640))".repeat(10);
    let wat = event_plugin()
        .memory(r#"(memory (export "memory") 1000)"#)
        .body(&format!("{fill} (global.get $OK)"));
    Beside::new(wat.spec()).await.obeys("hostile.sin", json!(1)).await;
}

/// Burns about `rounds` times four units of fuel.
fn burner(rounds: u32) -> String {
    format!(
        "(local $left i32) (local.set $left (i32.const {rounds}))
         (loop $again
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br_if $again (local.get $left)))
         (global.get $OK)"
    )
}

fn metered(rounds: u32, fuel: u64) -> PluginSpec {
    // `handle` begins with a test: locals can't follow it, so the loop is a function of its own.
    let wat = event_plugin()
        .fields(&format!("(func $burn (result i32) {})", burner(rounds)))
        .body("(call $burn)");
    wat.spec().limits(limits(|limits| limits.fuel = Some(fuel)))
}

/// S1, S2, H9, H10: the fuel of a call is the same every time, and is the whole fuel again at every call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h9_h10_each_call_burns_the_same_of_its_own_fuel() {
    let beside = Beside::new(metered(100_000, 1_000_000_000)).await;
    let fuel = beside.obeys("hostile.sin", json!(1)).await.fuel.unwrap();
    assert!((200_000..2_000_000).contains(&fuel), "{fuel}");
    // Just enough for one such call, ten times; and only half of it, at the same point each time.
    let beside = Beside::new(metered(100_000, fuel)).await;
    for _ in 0..10 {
        assert_eq!(beside.obeys("hostile.sin", json!(1)).await.fuel, Some(fuel));
    }
    let half = fuel / 2;
    let beside = Beside::new(metered(100_000, half)).await;
    for _ in 0..2 {
        let outcome = beside.sin("hostile.sin", json!(1)).await;
        assert_eq!(
            (outcome.class, outcome.limit()),
            (Class::OutOfFuel, Some(LimitKind::Fuel))
        );
        assert_eq!(outcome.fuel, Some(half));
        let words = format!("hostile burnt all the fuel of one call; its limit is {half} units (plugin.limits.fuel)");
        assert_eq!(outcome.message(), words);
        beside.obeys("hostile.ok", Value::Null).await;
    }
}

/// S2, S11, H1: a guest that was refused memory and then loops has run out of time, not of memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_loop_after_a_refused_growth_is_a_timeout() {
    let wat = event_plugin().body(&format!("(drop (memory.grow (i32.const 60000))) {FOR_EVER}"));
    ends(hurried(&wat), Class::Timeout, Some(LimitKind::Timeout)).await;
}

/// S1, H4: the smallest and a large stack keep the same distance between guest and host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_the_stack_of_the_host_is_apart_from_the_guests() {
    for wasm_stack in [64 * 1024, 4 * 1024 * 1024] {
        let mut options = EngineOptions::default();
        (options.wasm_stack, options.max_instances) = (wasm_stack, Some(16));
        let deep = "(func $deep (result i32)
            (call $log (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 1024))
            (i32.add (call $deep) (i32.const 1)))";
        let wat = event_plugin().fields(deep).body("(call $deep)");
        let beside = Beside::with(Runtime::builder().engine(options), patient(&wat)).await;
        ends_in(&beside, Class::StackOverflow, Some(LimitKind::WasmStack)).await;
    }
}
