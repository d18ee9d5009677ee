//! Each class of fault, from a real guest: told apart by type, with words that say which limit it was.

use palisade::{Class, Fault, LimitKind, PluginSpec};
use palisade_tests::{hostile, limits};
use serde_json::{Value, json};

use super::beside::{Beside, SHORT};

async fn fault(spec: PluginSpec, sin: &str, data: Value) -> Fault {
    let beside = Beside::new(spec).await;
    let outcome = beside.sin(sin, data).await;
    let fault = outcome.fault.expect("it failed");
    assert_eq!(fault.class(), outcome.class);
    beside.obeys("hostile.ok", Value::Null).await;
    fault
}

/// S11, B3: a panic is a trap that carries the guest's own words and where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_panic_is_a_trap_with_message_and_backtrace() {
    let fault = fault(hostile(), "hostile.panic", json!("over and out")).await;
    assert_eq!((fault.class(), fault.limit()), (Class::Trap, None));
    assert!(
        fault.message().contains("panicked at") && fault.message().contains("over and out"),
        "{fault}"
    );
    assert!(!fault.message().contains("RUST_BACKTRACE"), "{fault}");
    let trace = fault.backtrace().expect("a backtrace");
    assert!(trace.contains("hostile::sins::fault::panic"), "{trace}");
}

/// S11: an instruction that traps is a trap, named, with where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_an_abort_is_a_trap_with_a_backtrace() {
    let fault = fault(hostile(), "hostile.trap", Value::Null).await;
    assert_eq!(fault.class(), Class::Trap);
    assert!(fault.message().contains("unreachable"), "{fault}");
    assert!(
        fault
            .backtrace()
            .is_some_and(|trace| trace.contains("hostile::sins::fault")),
        "{:?}",
        fault.backtrace()
    );
}

/// S11: what an earlier call wrote to stderr is not taken for the last words of one that traps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_trap_is_told_in_its_own_words() {
    let beside = Beside::new(hostile()).await;
    beside.obeys("hostile.flood-stderr", json!(1)).await;
    let fault = beside.sin("hostile.trap", Value::Null).await.fault.expect("it failed");
    assert_eq!(fault.class(), Class::Trap);
    assert!(fault.message().starts_with("hostile trapped: "), "{fault}");
    assert!(!fault.message().contains("stderr line"), "{fault}");
}

/// S11: so is an `exit`, which ends no process but its own. WASI 0.2 passes on only that it was no success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_an_exit_is_a_trap_with_its_code() {
    let fault = fault(hostile(), "hostile.exit", Value::Null).await;
    assert_eq!(
        (fault.class(), fault.message()),
        (Class::Trap, "hostile called exit with a failing status")
    );
}

/// S11: what a guest says of its own failure is no fault: its words come as they are, and the instance is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_a_guests_own_failure_is_no_fault() {
    let beside = Beside::new(hostile().grants(super::beside::only("hostile.*"))).await;
    let outcome = beside.sin("hostile.fail-reject", Value::Null).await;
    assert_eq!(
        (outcome.class, outcome.message()),
        (Class::Rejected, "hostile rejects this")
    );
    let outcome = beside.sin("hostile.fail-retry", json!(250)).await;
    assert_eq!(
        (outcome.class, outcome.message()),
        (Class::Retry, "hostile wants another try")
    );
    let after = outcome.fault.unwrap().retry_after();
    assert_eq!(after, Some(std::time::Duration::from_millis(250)));
    assert_eq!(beside.report("hostile.count", Value::Null).await["count"], 3);
}

/// S11: the other classes, each by a guest of its own, with the key of the limit that it broke.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_each_limit_has_its_class_and_its_key() {
    let hurried = || hostile().limits(limits(|limits| limits.timeout = SHORT));
    let metered = || hostile().limits(limits(|limits| limits.fuel = Some(5_000_000)));
    let cases = [
        (hurried(), "hostile.spin", Class::Timeout, LimitKind::Timeout),
        (hurried(), "hostile.sleep", Class::Timeout, LimitKind::Timeout),
        (metered(), "hostile.spin", Class::OutOfFuel, LimitKind::Fuel),
        (hostile(), "hostile.recurse", Class::StackOverflow, LimitKind::WasmStack),
        (hostile(), "hostile.alloc", Class::OutOfMemory, LimitKind::Memory),
        (
            hostile(),
            "hostile.big-answer",
            Class::HostLimit,
            LimitKind::HostcallBytes,
        ),
        (hostile(), "hostile.handles", Class::HostLimit, LimitKind::Handles),
        (
            hostile(),
            "hostile.big-random",
            Class::HostLimit,
            LimitKind::RandomBytes,
        ),
    ];
    for (spec, sin, class, limit) in cases {
        let fault = fault(spec, sin, Value::Null).await;
        assert_eq!((fault.class(), fault.limit()), (class, Some(limit)), "{sin}: {fault}");
        let key = format!(" ({})", limit.key());
        assert!(
            fault.message().starts_with("hostile ") && fault.message().contains(&key),
            "{sin}: {fault}"
        );
    }
}

/// S11: a guest can't choose its class by its words: a panic that quotes the host's is a trap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_words_of_a_guest_do_not_choose_the_class() {
    for words in [
        "fuel allocated for hostcalls has been exhausted",
        "store handle limit exceeded",
        "requested len",
    ] {
        let fault = fault(hostile(), "hostile.panic", json!(words)).await;
        assert_eq!(fault.class(), Class::Trap, "{fault}");
    }
}
