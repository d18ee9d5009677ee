//! What a guest may hand to the host: texts, lists and pointers that are none (H16).

use palisade::{Class, LimitKind, LoadError};
use palisade_tests::wat::{Handlers, POLLABLES, Wat, event_plugin};
use palisade_tests::{limits, publishes};
use serde_json::json;

use super::beside::{Beside, SHORT};
use super::wat_words::{ends, no_plugin, refused};

/// `handle` answers `reject(text)`, the text being at this place, of this length.
fn rejects(at: &str, length: &str) -> String {
    format!(
        "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store8 (i32.const 68) (i32.const 1))
         (i32.store (i32.const 72) (i32.const {at})) (i32.store (i32.const 76) (i32.const {length}))
         (i32.const 64)"
    )
}

/// A memory with room for large texts.
fn large() -> Wat {
    event_plugin().memory(r#"(memory (export "memory") 990)"#)
}

/// Each attack by its body must end as a trap that says this, name no limit, and cost nobody else anything.
async fn traps(attacks: &[(&str, &str)]) {
    for (body, words) in attacks {
        let wat = event_plugin().fields(r#"(data (i32.const 8192) "\ff\fe")"#).body(body);
        let said = ends(wat.spec().grants(publishes("hostile.>")), Class::Trap, None).await;
        assert!(said.contains(words), "{body}: {said}");
    }
}

/// S1, H16: an answer of 60 MB is not taken; one of 1 MB is, and cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_an_answer_of_sixty_megabytes_ends_the_call() {
    let wat = large().body(&rejects("65536", "60000000"));
    let words = ends(wat.spec(), Class::HostLimit, Some(LimitKind::HostcallBytes)).await;
    assert_eq!(
        words,
        "hostile passed too much in one call of the host or one answer; its limit is 8 MiB \
         (plugin.limits.hostcall-bytes)"
    );
    let beside = Beside::new(large().body(&rejects("65536", "1000000")).spec()).await;
    let outcome = beside.sin("hostile.sin", json!(1)).await;
    assert_eq!((outcome.class, outcome.limit()), (Class::Rejected, None));
    assert!(outcome.message().len() < 9 * 1024);
}

/// H16: answers that point beyond the memory, to no text, or to no variant of the contract, are traps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_answers_that_are_none_are_traps() {
    traps(&[
        (&rejects("0", "-1"), "out of bounds"),
        (&rejects("262140", "8"), "out of bounds"),
        (&rejects("-1", "1"), "out of bounds"),
        (&rejects("8192", "2"), "invalid utf-8"),
        ("(i32.const 65)", "not aligned"),
        ("(i32.const -4)", "out of bounds"),
        (
            "(i32.store8 (i32.const 64) (i32.const 7)) (i32.const 64)",
            "discriminant",
        ),
        (
            "(i32.store (i32.const 64) (i32.const 1)) (i32.store8 (i32.const 68) (i32.const 9)) (i32.const 64)",
            "discriminant",
        ),
    ])
    .await;
}

/// H16: so are texts that a guest hands to the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_texts_for_the_log_that_are_none_are_traps() {
    let log = |level: &str, at: &str, length: &str| {
        format!(
            "(call $log (i32.const {level}) (i32.const 0) (i32.const 0) (i32.const {at}) (i32.const {length}))
             (global.get $OK)"
        )
    };
    traps(&[
        (&log("4", "262143", "2"), "out of bounds"),
        (&log("4", "-1", "-1"), "out of bounds"),
        (&log("4", "8192", "2"), "invalid utf-8"),
        (&log("99", "0", "0"), "discriminant"),
    ])
    .await;
}

/// `publish` with metadata at a place, so many of them, and an answer to another place.
fn publish(content_type: &str, count: &str, answer: &str) -> String {
    format!(
        "(call $publish (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0)
           (i32.const {content_type}) (i32.const 0) (i32.const 0)
           (i32.const 65536) (i32.const {count}) (i32.const {answer}))
         (global.get $OK)"
    )
}

/// H16: so are events that a guest publishes; a list of very many pieces ends by its size, not by what it costs the host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_events_that_are_none_are_traps() {
    traps(&[
        (&publish("7", "0", "32"), "discriminant"),
        (&publish("0", "-1", "32"), "out of bounds"),
        (&publish("0", "0", "33"), "not aligned"),
        (&publish("0", "0", "-8"), "out of bounds"),
    ])
    .await;
    let pieces = large().body(&publish("0", "3000000", "32"));
    ends(pieces.spec(), Class::HostLimit, Some(LimitKind::HostcallBytes)).await;
    // What is well-formed is answered, however odd: four bytes of nothing are no type.
    let odd = event_plugin().body(&publish("0", "0", "32"));
    Beside::new(odd.spec()).await.obeys("hostile.sin", json!(1)).await;
}

/// The data of the event, `1`, is what `cabi_realloc` is attacked for: nothing else of it has one byte.
fn realloc(attack: &str) -> Wat {
    event_plugin().realloc(&format!(
        "(if (i32.eq (local.get $size) (i32.const 1)) (then {attack})) (i32.const 65536)"
    ))
}

/// H16: the host lowers an event through the guest's own `cabi_realloc`: one that answers a place beyond the memory or one
/// that is not aligned, traps, or calls the host from there, ends the call as a trap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_a_realloc_that_lies_is_a_trap() {
    for (attack, words) in [
        ("(return (i32.const -1))", "realloc return"),
        ("(return (i32.const 262144))", "realloc return"),
        ("(unreachable)", "unreachable"),
        (
            "(call $log (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
            "cannot leave component instance",
        ),
    ] {
        let said = ends(realloc(attack).spec(), Class::Trap, None).await;
        assert!(said.contains(words), "{attack}: {said}");
    }
}

/// S1, S2, H2, H3, H12, H16: the limits of a call hold in `cabi_realloc` too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_a_realloc_that_never_ends_is_killed() {
    let spins = realloc("(loop $again (br $again))").spec();
    let spins = spins.limits(limits(|limits| limits.timeout = SHORT));
    ends(spins, Class::Timeout, Some(LimitKind::Timeout)).await;
    let burns = realloc("(loop $again (br $again))").spec();
    let burns = burns.limits(limits(|limits| limits.fuel = Some(1_000_000)));
    ends(burns, Class::OutOfFuel, Some(LimitKind::Fuel)).await;
    let recurses = realloc("(call $deep)").fields("(func $deep (call $deep) (drop (memory.size)))");
    ends(recurses.spec(), Class::StackOverflow, Some(LimitKind::WasmStack)).await;
    let grows = realloc("(drop (memory.grow (i32.const 2000))) (unreachable)");
    ends(grows.spec(), Class::OutOfMemory, Some(LimitKind::Memory)).await;
}

/// S1, H18: handles: held for ever they end the call; dropped twice, used after that, or never had, they trap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h18_handles_held_for_ever_or_dropped_twice() {
    let handles = || event_plugin().imports(POLLABLES);
    let hoards = handles().body("(loop $again (drop (call $pollable (i64.const 1))) (br $again)) (unreachable)");
    let words = ends(hoards.spec(), Class::HostLimit, Some(LimitKind::Handles)).await;
    assert_eq!(
        words,
        "hostile asked for one handle more than it may hold; its limit is 256 (plugin.limits.handles)"
    );
    let one = "(global $one (mut i32) (i32.const 0))";
    let take = "(global.set $one (call $pollable (i64.const 1))) (call $drop (global.get $one))";
    for attack in [
        "(call $drop (global.get $one))",
        "(call $block (global.get $one))",
        "(call $drop (i32.const 77))",
    ] {
        let wat = handles().fields(one).body(&format!("{take} {attack} (global.get $OK)"));
        let said = ends(wat.spec(), Class::Trap, None).await;
        assert!(said.contains("handle"), "{said}");
    }
    // Ten thousand, one at a time.
    let decent = handles()
        .fields(&format!(
            "{one} (func $many (local $left i32) (local.set $left (i32.const 10000))
               (loop $again {take}
                 (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                 (br_if $again (local.get $left))))"
        ))
        .body("(call $many) (global.get $OK)");
    Beside::new(decent.spec()).await.obeys("hostile.sin", json!(1)).await;
}

/// Where `describe`'s list of handlers is told, and the names.
const HANDLERS: &str = "(i32.store (i32.const 4128)";

/// H16, H34: a `describe` that answers too much is stopped by size, and what it answers wrongly is a trap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_a_describe_with_a_million_handlers_is_refused() {
    let describe = |attack: &str| large().describe(&format!("{attack} (global.get $INFO)")).spec();
    let million = format!("{HANDLERS} (i32.const 65536)) (i32.store (i32.const 4132) (i32.const 1000000))");
    no_plugin(describe(&million), Class::HostLimit, LimitKind::HostcallBytes).await;
    // One handler with a million patterns, each empty.
    let patterns = "(i32.store (i32.const 4144) (i32.const 65536)) (i32.store (i32.const 4148) (i32.const 1000000))";
    no_plugin(describe(patterns), Class::HostLimit, LimitKind::HostcallBytes).await;
    let name = "(i32.store (i32.const 4096) (i32.const 65536)) (i32.store (i32.const 4100) (i32.const 60000000))";
    no_plugin(describe(name), Class::HostLimit, LimitKind::HostcallBytes).await;
    for attack in [
        "(i32.store8 (i32.const 4160) (i32.const 9))".to_owned(),
        format!("{HANDLERS} (i32.const 65537))"),
        "(i32.store (i32.const 4100) (i32.const -1))".to_owned(),
    ] {
        let error = refused(describe(&attack)).await;
        assert!(
            matches!(&error, LoadError::Describe { fault, .. } if fault.class() == Class::Trap),
            "{attack}: {error}"
        );
    }
}

/// H16, H34: what a `describe` may not say is refused by name, in few words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h16_what_a_describe_may_not_say_is_refused_by_name() {
    let names: Vec<String> = (0..300).map(|at| format!("h{at}")).collect();
    let pattern: &[&str] = &["hostile.>"];
    let many: Vec<_> = names.iter().map(|name| (&**name, pattern)).collect();
    let types: Vec<&str> = names.iter().map(|name| &**name).collect();
    let long = "x".repeat(1 << 20);
    let cases: [(&str, &Handlers, &str); 10] = [
        ("", &[("sin", pattern)], "`` is no name for a plugin"),
        (&long, &[("sin", pattern)], "is no name for a plugin"),
        ("a b", &[("sin", pattern)], "`a b` is no name for a plugin"),
        ("hostile", &[("", pattern)], "`` is no name for a handler"),
        (
            "hostile",
            &[("sin", pattern), ("sin", pattern)],
            "two handlers named `sin`",
        ),
        ("hostile", &[("sin", &[])], "handler `sin` has no pattern"),
        ("hostile", &[("sin", &["a..b"])], "handler `sin`: "),
        ("hostile", &[("sin", &[&long])], "handler `sin`: "),
        ("hostile", &many, "handlers"),
        (
            "hostile",
            &[("sin", &types)],
            "it describes 300 patterns; the limit is 256 (plugin.limits.subscriptions)",
        ),
    ];
    for (name, handlers, words) in cases {
        let wat = large().info(name, handlers);
        let error = refused(wat.spec()).await;
        let said = error.to_string();
        assert!(
            matches!(error, LoadError::Invalid { .. }) && said.contains(words),
            "{words}: {said}"
        );
        assert!(said.len() < 1024, "{} bytes", said.len());
    }
}
