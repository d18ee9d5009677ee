//! The host's own memory stays flat, whatever a guest hands to it, asks of it or makes it keep. Each attack is measured beside
//! the same one with its limit out of the way, so that the measure is seen to see it.

use futures_util::FutureExt;
use palisade::{
    Class, CompileError, CompilerChild, ComponentError, Event, FsMode, LimitKind, Limits, LoadError, MemoryDeadLetters,
    MemoryKeyValueStore, PluginError, PluginSpec, RuntimeBuilder,
};
use palisade_tests::wat::{Wat, event_plugin};
use palisade_tests::{binary, event, hostile, limits, publishes};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::beside::{Beside, Lines, neighbour};
use super::costly::costly;
use super::ledger::{Books, ledger};
use super::measured::{Case, FLAT, Gauge, lean, measured};

const MIB: u64 = 1 << 20;

fn shown(bytes: &[u64]) -> String {
    let all: Vec<_> = bytes.iter().map(|bytes| format!("{} KiB", bytes / 1024)).collect();
    all.join(", ")
}

/// A guest with 60 MB of zeros: memory that it has and never touched, so that the host's copy is all that counts.
fn large() -> Wat {
    event_plugin().memory(r#"(memory (export "memory") 990)"#)
}

fn at_most(bytes: usize) -> impl FnOnce(&mut Limits) {
    move |limits| limits.hostcall_bytes = bytes
}

/// Commits a sin a few times, each of which must end so; the next event must be served each time.
fn sins(spec: PluginSpec, sin: (&'static str, Value), ends: (Class, Option<LimitKind>)) -> Case {
    sins_in(lean(), spec, sin, ends)
}

fn sins_in(
    builder: RuntimeBuilder,
    spec: PluginSpec,
    (sin, data): (&'static str, Value),
    ends: (Class, Option<LimitKind>),
) -> Case {
    async move {
        let beside = Beside::with(builder, spec.quarantine(None)).await;
        for _ in 0..3 {
            beside.obeys("hostile.ok", Value::Null).await;
        }
        let gauge = Gauge::begin();
        for _ in 0..3 {
            let outcome = beside.sin(sin, data.clone()).await;
            assert_eq!((outcome.class, outcome.limit()), ends, "{}", outcome.message());
            beside.obeys("hostile.ok", Value::Null).await;
        }
        gauge.added()
    }
    .boxed_local()
}

/// The attack is flat; with its limit out of the way it takes so much at least.
#[track_caller]
fn flat(attack: u64, without: u64, at_least: u64) {
    let both = shown(&[attack, without]);
    assert!(attack <= FLAT, "it is not flat: {both}");
    assert!(without >= at_least, "the measure does not see it: {both}");
}

const HOSTCALL: (Class, Option<LimitKind>) = (Class::HostLimit, Some(LimitKind::HostcallBytes));

/// S1, H16: an answer of 60 MB is never in the host.
#[test]
fn h16_a_huge_answer_leaves_the_host_flat() {
    let answers = "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store8 (i32.const 68) (i32.const 1))
        (i32.store (i32.const 72) (i32.const 65536)) (i32.store (i32.const 76) (i32.const 60000000))
        (i32.const 64)";
    let spec = || large().body(answers).spec();
    let sin = || ("hostile.sin", json!(1));
    let raised = limits(at_most(256 << 20));
    let [attack, without] = measured(
        "sandbox::host_memory::h16_a_huge_answer_leaves_the_host_flat",
        [
            sins(spec(), sin(), HOSTCALL),
            sins(spec().limits(raised), sin(), (Class::Rejected, None)),
        ],
    );
    flat(attack, without, 50 * MIB);
}

/// S1, H16: nor is a list of three million empty pieces, which would be larger in the host than in the guest.
#[test]
fn h16_a_list_of_millions_of_empties_leaves_the_host_flat() {
    let publishes_many = "(call $publish (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 131072) (i32.const 3000000) (i32.const 32))
        (global.get $OK)";
    let spec = || large().body(publishes_many).spec();
    let sin = || ("hostile.sin", json!(1));
    let raised = limits(at_most(1 << 30));
    let [attack, without] = measured(
        "sandbox::host_memory::h16_a_list_of_millions_of_empties_leaves_the_host_flat",
        [
            sins(spec(), sin(), HOSTCALL),
            sins(spec().limits(raised), sin(), (Class::Ok, None)),
        ],
    );
    flat(attack, without, 100 * MIB);
}

/// S1, H16, H20: nor is a line of the log of 60 MB.
#[test]
fn h16_a_huge_line_of_the_log_leaves_the_host_flat() {
    let logs = "(call $log (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 60000000))
        (global.get $OK)";
    let spec = || large().body(logs).spec();
    let sin = || ("hostile.sin", json!(1));
    let raised = limits(at_most(256 << 20));
    let [attack, without] = measured(
        "sandbox::host_memory::h16_a_huge_line_of_the_log_leaves_the_host_flat",
        [
            sins(spec(), sin(), HOSTCALL),
            sins(spec().limits(raised), sin(), (Class::Ok, None)),
        ],
    );
    flat(attack, without, 50 * MIB);
}

/// `start` and `health` fail with a text of 60 MB.
fn giant_error(change: impl FnOnce(&mut Limits) + 'static, class: Class) -> Case {
    const GIANT: &str = "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) (i32.const 65536))
        (i32.store (i32.const 72) (i32.const 60000000)) (i32.const 64)";
    async move {
        let runtime = lean().build().unwrap();
        runtime.launch(vec![neighbour()]).await.unwrap();
        let limits = limits(change);
        runtime
            .load(large().start(GIANT).spec().limits(limits.clone()))
            .await
            .unwrap();
        let ill = large().info("ill", &[("sin", &["hostile.>"])]).health(GIANT).spec();
        runtime.launch(vec![ill.limits(limits)]).await.unwrap();
        let gauge = Gauge::begin();
        let error = runtime.start("hostile").await.unwrap_err();
        assert!(
            matches!(&error, PluginError::Start { fault, .. } if fault.class() == class),
            "{error:.200}"
        );
        let health = runtime.plugin_health("ill").await.unwrap();
        assert!(matches!(health, palisade::Health::Unhealthy(_)));
        assert!(runtime.publish(event("any.event", Value::Null)).await.unwrap().all_ok());
        gauge.added()
    }
    .boxed_local()
}

/// S1, H16: nor is the giant text of an error, of `start` and of `health`.
#[test]
fn h16_a_giant_error_text_leaves_the_host_flat() {
    let [attack, without] = measured(
        "sandbox::host_memory::h16_a_giant_error_text_leaves_the_host_flat",
        [
            giant_error(|_| {}, Class::HostLimit),
            giant_error(at_most(256 << 20), Class::Unavailable),
        ],
    );
    flat(attack, without, 50 * MIB);
}

/// S1, H19: a gibibyte of random bytes is never made.
#[test]
fn h19_a_gibibyte_of_random_bytes_leaves_the_host_flat() {
    let raised = limits(|limits| limits.random_bytes = 1 << 30);
    let refused = (Class::HostLimit, Some(LimitKind::RandomBytes));
    let [attack, without] = measured(
        "sandbox::host_memory::h19_a_gibibyte_of_random_bytes_leaves_the_host_flat",
        [
            sins(hostile(), ("hostile.big-random", Value::Null), refused),
            // As many as the guest has room for: once in the host, once in the guest.
            sins(
                hostile().limits(raised),
                ("hostile.big-random", json!(24)),
                (Class::Ok, None),
            ),
        ],
    );
    flat(attack, without, 40 * MIB);
}

/// Grows two memories by a mebibyte at a time, and fills each, until both are refused; then `end`.
fn growing(limit: u64, end: &str, ends: (Class, Option<LimitKind>)) -> Case {
    let wat = event_plugin()
        .fields(
            "(memory $b 0)
             (func $bomb (local $at i32)
               (loop $again
                 (local.set $at (memory.grow (i32.const 16)))
                 (if (i32.ne (local.get $at) (i32.const -1)) (then
                   (memory.fill (i32.shl (local.get $at) (i32.const 16)) (i32.const 7) (i32.const 1048576))
                   (local.set $at (memory.grow $b (i32.const 16)))
                   (if (i32.ne (local.get $at) (i32.const -1)) (then
                     (memory.fill $b (i32.shl (local.get $at) (i32.const 16)) (i32.const 7) (i32.const 1048576))))
                   (br $again)))))",
        )
        .body(&format!("(call $bomb) {end}"));
    let bounded = limits(|limits| limits.memory = limit as usize);
    sins(wat.spec().limits(bounded), ("hostile.sin", json!(1)), ends)
}

/// S1, H12: a bomb of two memories takes what its limit says, and no more; and what was ended gives it back: three in a row take
/// no more than one.
#[test]
fn h12_a_memory_bomb_takes_its_limit_and_no_more() {
    let ended = (Class::OutOfMemory, Some(LimitKind::Memory));
    let all = measured(
        "sandbox::host_memory::h12_a_memory_bomb_takes_its_limit_and_no_more",
        [
            growing(40 * MIB, "(global.get $OK)", (Class::Ok, None)),
            growing(40 * MIB, "(unreachable)", ended),
            growing(200 * MIB, "(global.get $OK)", (Class::Ok, None)),
        ],
    );
    let [lives, dies, larger] = all;
    for bomb in [lives, dies] {
        assert!((30 * MIB..=40 * MIB + FLAT).contains(&bomb), "{}", shown(&all));
    }
    assert!((150 * MIB..=200 * MIB + FLAT).contains(&larger), "{}", shown(&all));
}

/// S1, H20: a flood of the log that somebody keeps is cut by the quota.
#[test]
fn h20_a_flood_of_the_log_leaves_the_host_flat() {
    let flood = |spec: PluginSpec| {
        let sin = ("hostile.flood-log", json!(150_000));
        sins_in(lean().log_sink(Lines::default()), spec, sin, (Class::Ok, None))
    };
    let unbounded = limits(|limits| limits.log_bytes = u64::MAX / 4);
    let [attack, without] = measured(
        "sandbox::host_memory::h20_a_flood_of_the_log_leaves_the_host_flat",
        [flood(hostile()), flood(hostile().limits(unbounded))],
    );
    flat(attack, without, 32 * MIB);
}

/// S1, H20: of a line that never ends the host keeps its beginning.
#[test]
fn h20_a_line_without_an_end_leaves_the_host_flat() {
    let [attack] = measured(
        "sandbox::host_memory::h20_a_line_without_an_end_leaves_the_host_flat",
        [sins(hostile(), ("hostile.endless-line", json!(100)), (Class::Ok, None))],
    );
    assert!(attack <= FLAT, "{}", shown(&[attack]));
}

/// S1, H18: two hundred listings of a directory with ten thousand entries, all open at a time, are never whole in the host,
/// where they would be some 500 MB.
#[test]
fn h18_many_listings_of_a_huge_directory_leave_the_host_flat() {
    let listings = async {
        let root = TempDir::new().unwrap();
        for at in 0..10_000 {
            std::fs::write(root.path().join(format!("{at:0>200}")), "").unwrap();
        }
        let grants = publishes("hostile.>").fs(root.path(), "/data", FsMode::Read);
        let beside = Beside::with(lean(), hostile().grants(grants)).await;
        let list = |count: u64| json!({ "op": "listings", "path": ".", "count": count });
        beside.report("hostile.disk", list(1)).await;
        let gauge = Gauge::begin();
        for _ in 0..2 {
            let report = beside.report("hostile.disk", list(200)).await;
            assert_eq!((&report["done"], &report["error"]), (&json!(200), &Value::Null));
        }
        let all = beside.report("hostile.disk", json!({ "op": "entries", "path": "." }));
        assert_eq!(all.await["done"], 10_000);
        gauge.added()
    };
    let [attack] = measured(
        "sandbox::host_memory::h18_many_listings_of_a_huge_directory_leave_the_host_flat",
        [listings.boxed_local()],
    );
    assert!(attack <= FLAT, "{}", shown(&[attack]));
}

/// Publishes a hundred events of a megabyte in one call.
fn flooding(change: impl FnOnce(&mut Limits)) -> Case {
    let wat = event_plugin()
        .memory(r#"(memory (export "memory") 32)"#)
        .fields(
            r#"(data (i32.const 8192) "other.drop") (data (i32.const 8208) "a/b")
             (func $flood (local $left i32) (local.set $left (i32.const 100))
               (loop $again
                 (call $publish (i32.const 8192) (i32.const 10) (i32.const 65536) (i32.const 1000000)
                   (i32.const 1) (i32.const 8208) (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 32))
                 (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                 (br_if $again (local.get $left))))"#,
        )
        .body("(call $flood) (global.get $OK)");
    let spec = wat.spec().grants(publishes("other.>")).limits(limits(change));
    sins(spec, ("hostile.sin", json!(1)), (Class::Ok, None))
}

/// S1, B11, H22: a flood of large events is cut by the outbox.
#[test]
fn h22_a_flood_of_events_leaves_the_host_flat() {
    let [attack, without] = measured(
        "sandbox::host_memory::h22_a_flood_of_events_leaves_the_host_flat",
        [
            flooding(|_| {}),
            flooding(|limits| (limits.publish_events, limits.publish_bytes) = (1000, 1 << 30)),
        ],
    );
    flat(attack, without, 80 * MIB);
}

/// Rejects 120 events of a megabyte each, which end as dead letters.
fn buried(letters: MemoryDeadLetters) -> Case {
    async move {
        let beside = Beside::with(lean().dead_letters(letters), hostile()).await;
        let gauge = Gauge::begin();
        for _ in 0..120 {
            let large = Event::builder("hostile.fail-reject", "/tests").data("text/plain", vec![b'x'; 1_000_000]);
            beside.runtime.publish_async(large.build().unwrap()).await.unwrap();
            beside.runtime.quiet().await;
        }
        assert_eq!(beside.runtime.stats().dead_letters, 120);
        beside.obeys("hostile.ok", Value::Null).await;
        gauge.added()
    }
    .boxed_local()
}

/// D4, H32: the dead letters of a plugin that fails every event don't fill the host.
#[test]
fn d4_h32_large_dead_letters_take_their_limit_and_no_more() {
    let kept = || MemoryDeadLetters::default();
    let all = measured(
        "sandbox::host_memory::d4_h32_large_dead_letters_take_their_limit_and_no_more",
        [buried(kept()), buried(kept().max_bytes(1 << 30))],
    );
    let [attack, without] = all;
    assert!((50 * MIB..=64 * MIB + FLAT).contains(&attack), "{}", shown(&all));
    assert!(without >= 100 * MIB, "{}", shown(&all));
}

/// Fills a store with 100 MB, again and again.
fn hoarding(change: impl FnOnce(&mut Limits), taken: u64) -> Case {
    let spec = ledger().limits(limits(change));
    async move {
        let builder = lean().key_value(MemoryKeyValueStore::new(1 << 30));
        let books = Books::with(builder, spec).await;
        books.ok(json!({ "set": ["k", "v"] })).await;
        let gauge = Gauge::begin();
        for _ in 0..3 {
            let filled = books.ok(json!({ "fill": ["k", 0, 500, 200_000] })).await;
            assert_eq!(filled["done"], taken, "{filled}");
        }
        gauge.added()
    }
    .boxed_local()
}

/// S1, S12, H27: a store that is filled for ever takes its limit: once where it is kept, once for what a call is about to write.
#[test]
fn h27_a_store_filled_for_ever_takes_its_limit_and_no_more() {
    let all = measured(
        "sandbox::host_memory::h27_a_store_filled_for_ever_takes_its_limit_and_no_more",
        [
            hoarding(|_| {}, 83),
            hoarding(|limits| limits.key_value_bytes = 1 << 30, 500),
        ],
    );
    let [attack, without] = all;
    assert!(attack <= 2 * 16 * MIB + FLAT, "{}", shown(&all));
    assert!(without >= 90 * MIB, "{}", shown(&all));
}

/// S10, H33: what hurts the compiler hurts its process only.
#[test]
fn h33_a_costly_component_leaves_the_host_flat() {
    let loading = async {
        let compiler = CompilerChild::new(binary()).args(["compile-child"]).memory(200 * MIB);
        let runtime = lean().compiler(compiler).build().unwrap();
        runtime.launch(vec![neighbour()]).await.unwrap();
        let gauge = Gauge::begin();
        let error = runtime
            .load(PluginSpec::from_bytes(costly()).name("costly"))
            .await
            .unwrap_err();
        let told = matches!(
            &error,
            LoadError::Component {
                source: ComponentError::Compile(CompileError::Memory { .. }),
                ..
            }
        );
        assert!(told, "{error}");
        assert!(runtime.publish(event("any.event", Value::Null)).await.unwrap().all_ok());
        gauge.added()
    };
    let [attack] = measured(
        "sandbox::host_memory::h33_a_costly_component_leaves_the_host_flat",
        [loading.boxed_local()],
    );
    assert!(attack <= FLAT, "{}", shown(&[attack]));
}
