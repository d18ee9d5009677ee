//! Memories, tables, the GC heap and instances, against guests that no compiler would make.

use palisade::{Class, ComponentError, LimitKind, Limits, LoadError, PluginSpec};
use palisade_tests::limits;
use palisade_tests::wat::{Wat, event_plugin};
use serde_json::json;

use super::beside::Beside;
use super::wat_words::{ends, no_plugin, refused};

const MIB: u64 = 1024 * 1024;

fn with(wat: &Wat, change: impl FnOnce(&mut Limits)) -> PluginSpec {
    wat.spec().limits(limits(change))
}

/// Loads what is too large for a limit; the words.
async fn too_large(spec: PluginSpec, kind: LimitKind, needed: u64, limit: u64) -> String {
    let error = refused(spec).await;
    let LoadError::Component { source, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*source, ComponentError::TooLarge { kind, needed, limit });
    error.to_string()
}

/// S1, H12: three memories together may have what one may; each growth beyond is -1, and the guest lives with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h12_memories_share_one_limit_and_a_guest_lives_with_less() {
    let wat = event_plugin()
        .fields(
            "(memory $b 0) (memory $c 0)
             ;; A mebibyte at a time, until each of them says -1.
             (func $bomb
               (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
               (loop $again (br_if $again (i32.ne (memory.grow $b (i32.const 16)) (i32.const -1))))
               (loop $again (br_if $again (i32.ne (memory.grow $c (i32.const 1)) (i32.const -1)))))",
        )
        .body("(call $bomb) (global.get $OK)");
    let beside = Beside::new(wat.spec()).await;
    for _ in 0..3 {
        beside.obeys("hostile.sin", json!(1)).await;
    }
    // The last memory takes what is left, page by page.
    let memory = beside.runtime.plugin("hostile").unwrap().instance_memory;
    assert_eq!(memory, [64 * MIB as usize]);
}

/// S1, S11, H12: one that can't go on without it is ended by its own trap, and the words tell of the memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h12_a_trap_after_a_refused_growth_tells_of_the_memory() {
    let wat = event_plugin()
        .fields("(memory $b 0)")
        .body("(drop (memory.grow $b (i32.const 1132))) (unreachable)");
    let words = ends(wat.spec(), Class::OutOfMemory, Some(LimitKind::Memory)).await;
    assert_eq!(
        words,
        "hostile asked for 71 MiB of memory; its limit is 64 MiB (plugin.limits.memory)"
    );
}

/// S1, H12: the GC heap counts: structs that are kept for ever end at the same limit, and garbage does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h12_the_gc_heap_is_part_of_the_memory() {
    let cell = "(type $cell (struct (field (ref null $cell)) (field i64 i64 i64 i64)))
        (global $all (mut (ref null $cell)) (ref.null $cell))
        (func $cell (param $next (ref null $cell)) (result (ref $cell))
          (struct.new $cell (local.get $next) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))";
    let hoard = event_plugin()
        .fields(cell)
        .body("(loop $again (global.set $all (call $cell (global.get $all))) (br $again)) (unreachable)");
    let words = ends(hoard.spec(), Class::OutOfMemory, Some(LimitKind::Memory)).await;
    assert!(
        words.starts_with("hostile asked for ") && words.contains("; its limit is 64 MiB (plugin.limits.memory)"),
        "{words}"
    );
    // A hundred thousand of them, each forgotten at once.
    let garbage = event_plugin()
        .fields(&format!(
            "{cell} (func $litter (local $left i32) (local.set $left (i32.const 100000))
               (loop $again
                 (drop (call $cell (ref.null $cell)))
                 (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                 (br_if $again (local.get $left))))"
        ))
        .body("(call $litter) (global.get $OK)");
    let beside = Beside::new(with(&garbage, |limits| limits.memory = 2 * MIB as usize)).await;
    beside.obeys("hostile.sin", json!(1)).await;
}

/// S1, H12: an array of 4 GiB at once is no way around it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h12_a_huge_gc_array_is_out_of_memory() {
    for length in ["100000000", "-1"] {
        let wat = event_plugin().fields("(type $bytes (array (mut i64)))").body(&format!(
            "(drop (array.new_default $bytes (i32.const {length}))) (global.get $OK)"
        ));
        ends(wat.spec(), Class::OutOfMemory, Some(LimitKind::Memory)).await;
    }
}

/// S1, H13: a module whose first moment needs more than its limits is refused before it is compiled, in words that say how
/// much it needs, what the limit is, and its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_initial_memories_and_tables_violated() {
    let memory = |pages: u64| event_plugin().memory(&format!(r#"(memory (export "memory") {pages})"#));
    let words = too_large(memory(1136).spec(), LimitKind::Memory, 71 * MIB, 64 * MIB).await;
    assert!(
        words.contains("it needs 71 MiB of memory; its limit is 64 MiB (plugin.limits.memory)"),
        "{words}"
    );
    too_large(memory(65536).spec(), LimitKind::Memory, 4096 * MIB, 64 * MIB).await;
    let table = event_plugin().fields("(table 100001 funcref)");
    let words = too_large(table.spec(), LimitKind::TableElements, 100_001, 100_000).await;
    assert!(words.contains("(plugin.limits.table-elements)"), "{words}");
    // No single table is larger than the engine's, whatever the limit.
    let spec = with(&table, |limits| limits.table_elements = 1_000_000);
    too_large(spec, LimitKind::TableElements, 100_001, 100_000).await;
    let memories = event_plugin().fields(&"(memory 0)".repeat(16));
    too_large(memories.spec(), LimitKind::Memories, 17, 16).await;
    let tables = event_plugin().fields(&"(table 0 funcref)".repeat(65));
    too_large(tables.spec(), LimitKind::Tables, 65, 64).await;
}

/// S1, H13: what each may have, all have together: several that would fit alone are refused where they are made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_what_fits_alone_is_refused_together() {
    let memories = event_plugin().fields("(memory 600) (memory 600)");
    let words = no_plugin(memories.spec(), Class::OutOfMemory, LimitKind::Memory).await;
    assert!(
        words.contains("asked for 75.2 MiB of memory; its limit is 64 MiB"),
        "{words}"
    );
    let tables = event_plugin().fields("(table 60000 funcref) (table 60000 funcref)");
    let words = no_plugin(tables.spec(), Class::HostLimit, LimitKind::TableElements).await;
    assert!(
        words.contains(" table elements; its limit is 100000 (plugin.limits.table-elements)"),
        "{words}"
    );
}

/// S1, H13: just what the limits allow is loaded and served; also more than the engine's own defaults, where the operator
/// says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_initial_memories_and_tables_obeyed() {
    let wat = event_plugin()
        .memory(r#"(memory (export "memory") 994)"#)
        .fields(&format!("{} (table 99990 funcref)", "(memory 2)".repeat(15)));
    Beside::new(wat.spec()).await.obeys("hostile.sin", json!(1)).await;
    let many = event_plugin().fields(&format!(
        "{} {}",
        "(memory 0)".repeat(30),
        "(table 0 funcref)".repeat(70)
    ));
    let spec = with(&many, |limits| (limits.memories, limits.tables) = (40, 80));
    Beside::new(spec).await.obeys("hostile.sin", json!(1)).await;
}

/// S1, H14: `table.grow` beyond the limit is -1, of each table and of all together; where the guest can't go on, the words
/// tell of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h14_table_growth_obeyed_and_violated() {
    let tables = "(table $a 0 funcref) (table $b 0 externref)
        (func $bomb
          (loop $again (br_if $again (i32.ne (table.grow $a (ref.null func) (i32.const 9000)) (i32.const -1))))
          (loop $again (br_if $again (i32.ne (table.grow $b (ref.null extern) (i32.const 1)) (i32.const -1)))))";
    let lives = event_plugin().fields(tables).body("(call $bomb) (global.get $OK)");
    let beside = Beside::new(lives.spec()).await;
    for _ in 0..3 {
        beside.obeys("hostile.sin", json!(1)).await;
    }
    let dies = event_plugin()
        .fields("(table $a 10 funcref)")
        .body("(drop (table.grow $a (ref.null func) (i32.const 4000000))) (unreachable)");
    let words = ends(dies.spec(), Class::HostLimit, Some(LimitKind::TableElements)).await;
    assert!(
        words.starts_with("hostile asked for 40000")
            && words.ends_with(" table elements; its limit is 100000 (plugin.limits.table-elements)"),
        "{words}"
    );
}

/// S11, H14: a trap that has nothing to do with a table that was refused in an earlier call is a trap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h14_a_refused_table_is_forgotten_with_its_call() {
    let wat = event_plugin()
        .fields("(table $a 0 funcref) (global $calls (mut i32) (i32.const 0))")
        .body(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (if (i32.eq (global.get $calls) (i32.const 2)) (then (unreachable)))
             (drop (table.grow $a (ref.null func) (i32.const 4000000)))
             (global.get $OK)",
        );
    let beside = Beside::new(wat.spec()).await;
    beside.obeys("hostile.sin", json!(1)).await;
    let outcome = beside.sin("hostile.sin", json!(1)).await;
    assert_eq!(
        (outcome.class, outcome.limit()),
        (Class::Trap, None),
        "{}",
        outcome.message()
    );
}

/// H12, H13: a memory of 64-bit addresses is bounded like others; it grows to the limit and no further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h12_h13_a_memory_of_64_bit_addresses_is_bounded() {
    let huge = event_plugin().fields("(memory $wide i64 0x1000000)");
    too_large(huge.spec(), LimitKind::Memory, 1 << 40, 64 * MIB).await;
    let wat = event_plugin().fields("(memory $wide i64 0)").body(
        "(drop (memory.grow $wide (i64.const 0xffffffff))) (drop (memory.grow $wide (i64.const 900))) (unreachable)",
    );
    ends(wat.spec(), Class::OutOfMemory, Some(LimitKind::Memory)).await;
}

/// H13, H34: what this engine does not have is refused at load, by its own words: shared memories, other page sizes, stack
/// switching.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_proposals_that_are_not_offered_are_refused() {
    let error = refused(event_plugin().fields("(memory 1 2 shared)").spec()).await;
    assert!(
        matches!(
            &error,
            LoadError::Component {
                source: ComponentError::SharedMemory,
                ..
            }
        ),
        "{error}"
    );
    for (fields, words) in [
        ("(memory 1 (pagesize 1))", "custom"),
        ("(type $f (func)) (type $c (cont $f))", "stack switching"),
    ] {
        let error = refused(event_plugin().fields(fields).spec()).await;
        assert!(
            matches!(&error, LoadError::Component { source: ComponentError::Invalid(why), .. } if why.contains(words)),
            "{error}"
        );
    }
}

/// S5, S11: an exception that nobody catches ends the call like a trap, whatever it carries; one that is caught is the
/// guest's own affair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_an_uncaught_exception_is_a_trap() {
    let wat = event_plugin()
        .fields("(tag $sin (param i64))")
        .body("(throw $sin (i64.const 7))");
    ends(wat.spec(), Class::Trap, None).await;
    let caught = event_plugin().fields("(tag $sin)").body(
        "(block $out (try_table (catch $sin $out) (throw $sin)))
         (global.get $OK)",
    );
    Beside::new(caught.spec()).await.obeys("hostile.sin", json!(1)).await;
}

/// S11, H29: traps of all kinds are traps, cost the instance, and name no limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_h29_traps_are_told_by_their_own_words() {
    for (body, words) in [
        ("(unreachable)", "`unreachable` instruction"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "integer divide by zero"),
        ("(i32.load (i32.const -4))", "out of bounds memory access"),
        (
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const -1)) (global.get $OK)",
            "out of bounds memory access",
        ),
        (
            "(memory.init $d (i32.const 0) (i32.const 0) (i32.const -1)) (global.get $OK)",
            "out of bounds memory access",
        ),
        (
            "(table.fill $t (i32.const 0) (ref.null func) (i32.const -1)) (global.get $OK)",
            "out of bounds table access",
        ),
        ("(call_indirect $t (result i32) (i32.const 0))", "uninitialized element"),
    ] {
        let wat = event_plugin()
            .fields(r#"(table $t 1 funcref) (data $d "data")"#)
            .body(body);
        let said = ends(wat.spec(), Class::Trap, None).await;
        assert!(said.starts_with("hostile trapped: ") && said.contains(words), "{said}");
    }
}
