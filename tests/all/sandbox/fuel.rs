//! Fuel: how much a call may compute, counted and not timed.

use palisade::{Class, Isolation, PluginSpec, Runtime};
use palisade_tests::{hostile, limits};
use serde_json::{Value, json};

use super::beside::{Beside, Lines};

const PLENTY: u64 = 1_000_000_000;

fn metered(fuel: u64) -> PluginSpec {
    hostile().limits(limits(|limits| limits.fuel = Some(fuel)))
}

/// S1, H10: a metered guest that keeps to its fuel is told how much it burnt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_fuel_obeyed() {
    let beside = Beside::new(metered(PLENTY)).await;
    let fuel = beside
        .obeys("hostile.ok", Value::Null)
        .await
        .fuel
        .expect("it is metered");
    assert!((1..PLENTY).contains(&fuel), "{fuel}");
    let more = beside
        .obeys("hostile.flood-log", json!(1000))
        .await
        .fuel
        .expect("it is metered");
    assert!(more > fuel, "a thousand lines cost more than nothing: {more}, {fuel}");
}

/// S1, H10: one that burns more is ended, long before its deadline, and the words name the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_h10_fuel_violated() {
    let beside = Beside::new(metered(5_000_000)).await;
    let outcome = beside.sin("hostile.spin", Value::Null).await;
    assert_eq!(outcome.class, Class::OutOfFuel, "{}", outcome.message());
    assert_eq!(outcome.fuel, Some(5_000_000));
    let words = beside.killed("hostile.spin", Value::Null, Class::OutOfFuel).await;
    assert!(
        words.contains("burnt all the fuel of one call; its limit is 5000000 units (plugin.limits.fuel)"),
        "{words}"
    );
}

/// S1, S11: one that was refused memory, went on and then burnt its fuel has burnt its fuel: what it got over did not end it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s11_fuel_violated_after_memory_was_refused() {
    let whole = Beside::new(metered(PLENTY)).await;
    let fuel = whole.obeys("hostile.grow", Value::Null).await.fuel;
    // It grows until it is refused, and tells of it afterwards: the end of its fuel falls into the telling.
    let beside = Beside::new(metered(fuel.expect("it is metered") - 1_000)).await;
    let words = beside.killed("hostile.grow", Value::Null, Class::OutOfFuel).await;
    assert!(words.contains("plugin.limits.fuel"), "{words}");
}

/// S1: a guest that is not metered has no fuel to tell, a metered one beside it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_fuel_is_told_of_metered_plugins_only() {
    let beside = Beside::new(metered(PLENTY)).await;
    let report = beside
        .runtime
        .publish(super::beside::sin_event("hostile.ok", Value::Null))
        .await
        .unwrap();
    assert!(report.of("hostile/sin").unwrap().fuel.is_some());
    assert_eq!(report.of("neighbour/all").unwrap().fuel, None);
}

/// H10: the same input costs the same fuel, in another runtime too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h10_the_same_input_burns_the_same_fuel() {
    let mut burnt = Vec::new();
    for _ in 0..2 {
        let beside = Beside::new(metered(PLENTY).isolation(Isolation::PerEvent)).await;
        for _ in 0..3 {
            burnt.push(
                beside
                    .obeys("hostile.flood-log", json!(100))
                    .await
                    .fuel
                    .expect("it is metered"),
            );
        }
    }
    assert!(burnt.iter().all(|fuel| *fuel == burnt[0]), "{burnt:?}");
}

/// H10: and a guest without enough is ended at the same point every time: after the same line of its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h10_out_of_fuel_comes_at_the_same_point_every_time() {
    let mut logged = Vec::new();
    for _ in 0..3 {
        let lines = Lines::default();
        let mut spec = metered(5_000_000);
        spec.limits.log_bytes = u64::MAX / 4;
        let beside = Beside::with(Runtime::builder().log_sink(lines.clone()), spec).await;
        assert_eq!(
            beside.sin("hostile.flood-log", Value::Null).await.class,
            Class::OutOfFuel
        );
        logged.push(lines.take().len());
    }
    assert!(logged[0] > 0, "it got somewhere");
    assert!(logged.iter().all(|lines| *lines == logged[0]), "{logged:?}");
}

/// S2, H9: an instance has its whole fuel again at every call: a second call of this size would not fit into the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h9_the_second_call_has_the_whole_fuel_again() {
    let beside = Beside::new(metered(PLENTY)).await;
    let one = beside
        .obeys("hostile.flood-log", json!(5000))
        .await
        .fuel
        .expect("it is metered");
    let beside = Beside::new(metered(one * 3 / 2)).await;
    for _ in 0..3 {
        beside.obeys("hostile.flood-log", json!(5000)).await;
    }
}
