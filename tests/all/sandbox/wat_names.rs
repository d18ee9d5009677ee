//! Names of functions: the guest's own, shown when it traps, and neither a bomb nor a word of the host's.

use futures_util::FutureExt;
use palisade::{Class, ComponentError, LoadError};
use palisade_tests::wat::{Wat, event_plugin};
use serde_json::json;

use super::beside::Beside;
use super::measured::{Case, FLAT, Gauge, lean, measured};
use super::wat_words::{ends, refused};

/// A name of C++ whose every part refers to the one before, eight times: demangled it is as long as 8 to this power.
fn cpp_bomb(levels: usize) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut name = "_Z1f1pIiiiiiiiiE".to_owned();
    for digit in DIGITS.iter().take(levels) {
        let earlier = format!("S{}_", char::from(*digit)).repeat(8);
        name += &format!("S_I{earlier}E");
    }
    name
}

/// A function of this name calls itself as often, and traps.
fn trapping(name: &str, depth: u32) -> Wat {
    event_plugin()
        .fields(&format!(
            r#"(func $"{name}" (param i32)
                 (if (i32.eqz (local.get 0)) (then (unreachable)))
                 (call $"{name}" (i32.sub (local.get 0) (i32.const 1))))"#
        ))
        .body(&format!(r#"(call $"{name}" (i32.const {depth})) (global.get $OK)"#))
}

/// Traps a few times, and looks at what is told of it.
fn traps(name: String) -> Case {
    async move {
        let spec = trapping(&name, 30).spec().quarantine(None);
        let beside = Beside::with(lean(), spec).await;
        beside.obeys("hostile.ok", serde_json::Value::Null).await;
        let gauge = Gauge::begin();
        for _ in 0..3 {
            let fault = beside.sin("hostile.sin", json!(1)).await.fault.unwrap();
            assert_eq!(fault.class(), Class::Trap, "{fault}");
            let trace = fault.backtrace().unwrap();
            let start: String = name.chars().take(200).collect();
            assert!(trace.contains(&start), "{trace}");
            assert_eq!(trace.lines().count(), 20, "{trace}");
            assert!(trace.lines().all(|line| line.len() < 400), "{trace}");
            beside.obeys("hostile.ok", serde_json::Value::Null).await;
        }
        gauge.added()
    }
    .boxed_local()
}

/// S1, S4, H28: the name of a function that traps is no bomb: neither one of C++ that would be demangled to gibibytes, nor one
/// that is long.
#[test]
fn s1_s4_h28_names_of_functions_leave_the_host_flat() {
    let all = measured(
        "sandbox::wat_names::s1_s4_h28_names_of_functions_leave_the_host_flat",
        [traps(cpp_bomb(9)), traps("n".repeat(60_000))],
    );
    assert!(all.iter().all(|added| *added <= FLAT), "{all:?}");
}

/// S1, H33: a name that is longer than twenty traps' frames may copy is refused at load; one just as long as may be is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h33_a_function_with_an_endless_name_is_refused() {
    let named = |bytes: usize| trapping(&"n".repeat(bytes), 1).spec();
    let error = refused(named(3_000_000)).await;
    let LoadError::Component { source, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        *source,
        ComponentError::LongName {
            bytes: 3_000_000,
            limit: 65_536
        }
    );
    assert!(error.to_string().contains("strip it"), "{error}");
    refused(named(65_537)).await;
    ends(named(65_536), Class::Trap, None).await;
}

/// S11: the names of functions and of exports choose no class: an error of the contract, made in functions that are named like
/// the host's limits, is a trap as it is elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_names_of_a_guest_do_not_choose_the_class() {
    for name in [
        "cannot allocate another handle: store handle limit exceeded",
        "resource table has no free keys",
        "too much: fuel allocated for hostcalls has been exhausted",
        "total size of fields exceeds limit",
        "requested len 7 exceeds limit 1",
        "resource limit exceeded: table count too high at 9",
    ] {
        // The answer is to go where none can go: at an odd address.
        let wat = event_plugin()
            .fields(&format!(
                r#"(data (i32.const 8192) "other.x")
                   (func $"{name}" (export "{name}")
                     (call $publish (i32.const 8192) (i32.const 7) (i32.const 0) (i32.const 0)
                       (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 301)))"#
            ))
            .body(&format!(r#"(call $"{name}") (global.get $OK)"#));
        let words = ends(wat.spec(), Class::Trap, None).await;
        assert!(words.starts_with("hostile failed: "), "{words}");
    }
}
