//! What an instance keeps, when a fresh one takes over, and how many there may be.

use palisade::{Class, EngineOptions, Isolation, LoadError, PluginError, PluginSpec, Runtime};
use palisade_tests::{config, hostile, hostile_as, publishes, spec};
use serde_json::{Value, json};

use super::beside::{Beside, SHORT, hurried, neighbour, only, served, sin_event, until_busy};

/// The sinner without its own reports, which would count.
fn counting(spec: PluginSpec) -> PluginSpec {
    let patterns = [
        "hostile.count",
        "hostile.ok",
        "hostile.trap",
        "hostile.spin",
        "hostile.sleep",
        "hostile.panic",
    ];
    spec.grants(publishes("hostile.>").subscribe(patterns.map(|pattern| pattern.parse().unwrap())))
}

async fn count(beside: &Beside) -> u64 {
    beside.report("hostile.count", Value::Null).await["count"]
        .as_u64()
        .unwrap()
}

/// S6: a persistent instance keeps its memory from event to event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_persistent_instance_keeps_its_state() {
    let beside = Beside::new(counting(hostile())).await;
    assert_eq!(
        [count(&beside).await, count(&beside).await, count(&beside).await],
        [1, 2, 3]
    );
    assert_eq!(beside.runtime.health().await.instances, 2);
}

/// S6: with per-event isolation nothing is left for the next event, and no instance lives between two; `start` comes
/// before each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_per_event_instance_keeps_nothing() {
    let spec = counting(hostile())
        .isolation(Isolation::PerEvent)
        .config(config(json!({ "in-start": "publish" })));
    let beside = Beside::new(spec).await;
    for _ in 0..3 {
        let report = beside
            .runtime
            .publish(sin_event("hostile.count", Value::Null))
            .await
            .unwrap();
        assert!(report.all_ok());
    }
    let reports = beside.reports().await;
    let told: Vec<_> = reports
        .iter()
        .map(|report| (report["sin"].as_str().unwrap(), report["count"].as_u64()))
        .collect();
    let each = [("in-start", None), ("count", Some(1))];
    assert_eq!(told, [each, each, each].concat());
    assert_eq!(beside.runtime.health().await.instances, 1, "the neighbour's");
}

/// S6: memory that one instance has written is blank for the next that has its place, be it what the place keeps or what is
/// beyond that, and whosever it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_nothing_is_left_in_a_place_that_is_taken_again() {
    let patterns = ["hostile.remains", "hostile.trap"].map(|pattern| pattern.parse().unwrap());
    let grants = publishes("hostile.>").subscribe(patterns);
    let spec = hostile().grants(grants).isolation(Isolation::PerEvent);
    let beside = Beside::new(spec).await;
    for round in 0..20 {
        let report = beside.report("hostile.remains", Value::Null).await;
        assert_eq!(report["remains"], 0);
        if round % 8 == 0 {
            // One that is thrown away in the middle of its work leaves as little.
            beside.sin("hostile.trap", Value::Null).await;
        }
    }
}

/// S6: an instance that lives for one event may not subscribe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_subscribe_is_refused_with_per_event_isolation() {
    let grants = publishes("hostile.>").subscribe(["hostile.>".parse().unwrap(), "other.>".parse().unwrap()]);
    let beside = Beside::new(hostile().grants(grants).isolation(Isolation::PerEvent)).await;
    for sin in ["hostile.subscribe", "hostile.unsubscribe"] {
        let report = beside.report(sin, json!("other.>")).await;
        let why = report["error"].as_str().expect("refused");
        assert!(why.contains("plugin.isolation = per-event"), "{why}");
    }
}

/// S6: with a concurrency of 2 there are two instances, each started, and two events are handled at a time; a third finds
/// no room by its deadline, which costs nobody anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_concurrency_gives_as_many_instances() {
    let spec = counting(hostile())
        .concurrency(2)
        .config(config(json!({ "in-start": "publish" })));
    let runtime = Runtime::builder().build().unwrap();
    let started = palisade_tests::Seen::subscribe(&runtime, "hostile.report", "reports");
    runtime.launch(vec![spec]).await.unwrap();
    assert_eq!(started.wait_for(2).await.len(), 2, "start was called in both");
    let publish = || {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.publish(sin_event("hostile.sleep", Value::Null)).await })
    };
    let sleepers = [publish(), publish()];
    until_busy(&runtime, &sleepers).await;
    assert_eq!(runtime.health().await.instances, 2);
    let report = runtime
        .publish_within(sin_event("hostile.ok", Value::Null), SHORT / 5)
        .await
        .unwrap();
    let third = report.of("hostile/sin").unwrap();
    assert_eq!(third.class, Class::Overloaded, "{}", third.message());
    for sleeper in sleepers {
        sleeper.abort();
        assert!(sleeper.await.unwrap_err().is_cancelled());
    }
    served(&runtime, "hostile.ok").await;
}

/// S5, H29: after a trap the next event gets a fresh instance, started anew; the poisoned one is never entered again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_h29_a_trap_costs_the_instance() {
    replaced_after(hostile(), "hostile.trap", Class::Trap).await;
}

/// S5: so it is after a timeout, in the guest or in the host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_timeout_costs_the_instance() {
    replaced_after(hurried(), "hostile.spin", Class::Timeout).await;
    replaced_after(hurried(), "hostile.sleep", Class::Timeout).await;
}

async fn replaced_after(spec: PluginSpec, sin: &str, class: Class) {
    let beside = Beside::new(counting(spec).config(config(json!({ "in-start": "publish" })))).await;
    let starts = async || {
        beside
            .reports()
            .await
            .iter()
            .filter(|report| report["sin"] == "in-start")
            .count()
    };
    beside.obeys("hostile.ok", Value::Null).await;
    assert_eq!(starts().await, 0, "the first start was before the test listened");
    assert_eq!(beside.sin(sin, Value::Null).await.class, class);
    assert_eq!(starts().await, 0, "a fresh instance is made when it is needed");
    beside.obeys("hostile.count", Value::Null).await;
    assert_eq!(starts().await, 1, "started anew");
    assert_eq!(
        beside.reports().await.last().unwrap()["count"],
        1,
        "nothing is left of the one before"
    );
    assert_eq!(count(&beside).await, 2, "and it stays");
}

/// S5, B3, H30: dropping the publish while the guest is at work costs the instance and nothing else: no instance is left
/// over, none is counted as a fault, and the next event is handled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_h30_a_dropped_publish_discards_the_instance_and_leaks_nothing() {
    let mut options = EngineOptions::default();
    options.max_instances = Some(2);
    let builder = Runtime::builder().engine(options);
    let beside = Beside::with(builder, counting(hostile())).await;
    let before = beside.runtime.health().await.instances;
    for sin in ["hostile.sleep", "hostile.spin", "hostile.sleep", "hostile.spin"] {
        let runtime = beside.runtime.clone();
        let publish = tokio::spawn(async move { runtime.publish(sin_event(sin, Value::Null)).await });
        beside.busy(std::slice::from_ref(&publish)).await;
        publish.abort();
        assert!(publish.await.unwrap_err().is_cancelled());
        assert_eq!(count(&beside).await, 1, "a fresh instance");
        assert_eq!(beside.runtime.health().await.instances, before);
        assert_eq!(beside.runtime.health().await.ticker.running_calls, 0);
    }
    let stats = beside.runtime.handler_stats();
    let hostile = stats
        .iter()
        .find(|stats| stats.handler.to_string() == "hostile/sin")
        .unwrap();
    assert_eq!(
        hostile.attempts,
        [(Class::Ok, 4)],
        "what was dropped is held against nobody"
    );
}

/// S6: at the cap on instances one more is refused by name of the key, at load and at start; those that live go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_the_number_of_instances_is_capped() {
    let mut options = EngineOptions::default();
    options.max_instances = Some(2);
    let beside = Beside::with(Runtime::builder().engine(options), hostile().grants(only("hostile.ok"))).await;
    // Not one of those that have said who they are: these need no instance for it.
    let error = beside
        .runtime
        .load(spec("audit-logger").name("third"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, LoadError::Describe { fault, .. } if fault.class() == Class::Overloaded),
        "{error}"
    );
    assert!(error.to_string().contains("2 instances live already"), "{error}");
    assert!(error.to_string().contains("engine.max-instances"), "{error}");
    beside.obeys("hostile.ok", Value::Null).await;
    beside.runtime.stop("hostile").await.unwrap();
    beside.runtime.load(hostile_as("third").concurrency(2)).await.unwrap();
    let error = beside.runtime.start("third").await.unwrap_err();
    assert!(
        matches!(&error, PluginError::Start { fault, .. } if fault.class() == Class::Overloaded),
        "{error}"
    );
    assert!(error.to_string().contains("engine.max-instances"), "{error}");
    beside.runtime.start("hostile").await.unwrap();
    beside.obeys("hostile.ok", Value::Null).await;
}

/// S6: with the defaults the cap comes from what the kernel allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_the_default_cap_comes_from_the_kernel() {
    let runtime = palisade_tests::runtime_with([neighbour()]).await;
    let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_else(|_| "65530".to_owned());
    let cap = u64::from(runtime.health().await.max_instances);
    assert!(
        cap > 0 && cap * 12 <= maps.trim().parse::<u64>().unwrap(),
        "{cap} instances for {maps} mappings"
    );
}
