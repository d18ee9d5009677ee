//! D9: what is owed to plugins that are away, and to handlers that are gone.

use std::time::Duration;

use palisade::{
    Class, DeadLetterReason, DeliveryMode, HandlerSpec, PluginState, QuarantinePolicy, RetryPolicy, Runtime,
    SubscribeOptions,
};
use palisade_tests::{event, hostile, hostile_as, spec};
use serde_json::{Value, json};

use super::{Calls, Data, durable, end, owe, owed};
use crate::bus::words::{letters, plain, stats_of};

async fn handled(runtime: &Runtime, handler: &str) -> u64 {
    runtime.quiet().await;
    stats_of(runtime, handler).count(Class::Ok)
}

/// D9: while a plugin is stopped its durable handlers go on taking events, and get them when it is started again; its ephemeral
/// ones answer `unavailable`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_a_stopped_plugin_goes_on_being_owed() {
    let data = Data::new();
    let runtime = data.open();
    let kept = hostile_as("kept").mode(DeliveryMode::Durable);
    let gone = hostile_as("gone");
    runtime.launch(vec![kept, gone]).await.expect("started");
    for plugin in ["kept", "gone"] {
        runtime.stop(plugin).await.expect("stopped");
    }
    for _ in 0..3 {
        let receipt = runtime.publish_async(plain("hostile.ok")).await.expect("published");
        assert_eq!((receipt.matched, receipt.enqueued), (2, 1), "{receipt:?}");
        let refusal = &receipt.refused[0];
        assert_eq!(
            (refusal.handler.to_string().as_str(), refusal.class),
            ("gone/sin", Class::Unavailable)
        );
    }
    assert_eq!(owed(&runtime, "kept/sin").await, 3);
    letters(&runtime, 0).await;
    for plugin in ["kept", "gone"] {
        runtime.start(plugin).await.expect("started");
    }
    assert_eq!(handled(&runtime, "kept/sin").await, 3);
    assert_eq!(owed(&runtime, "kept/sin").await, 0);
    letters(&runtime, 0).await;
}

/// D9: and over a restart of the whole runtime, in which it is started late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_a_plugin_that_is_loaded_and_not_started_is_owed() {
    let data = Data::new();
    let durable_probe = || spec("probe").mode(DeliveryMode::Durable);
    let runtime = data.open();
    runtime.load(durable_probe()).await.expect("loaded");
    runtime.publish_async(plain("a")).await.expect("published");
    let before = owed(&runtime, "probe/all").await;
    end(runtime).await;
    let runtime = data.open();
    assert_eq!(owed(&runtime, "probe/all").await, before);
    runtime.launch(vec![durable_probe()]).await.expect("started");
    assert!(handled(&runtime, "probe/all").await >= before);
    assert_eq!(owed(&runtime, "probe/all").await, 0);
}

/// D9, H32: a quarantined plugin is owed what comes meanwhile, spending no attempt, and gets it when an operator has started it
/// again; a healthy neighbour is served all along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_h32_a_quarantined_plugin_goes_on_being_owed() {
    let data = Data::new();
    let runtime = data.open();
    let faults = QuarantinePolicy {
        faults: 1,
        ..QuarantinePolicy::default()
    };
    let sinner = hostile()
        .mode(DeliveryMode::Durable)
        .retry(RetryPolicy::none())
        .quarantine(faults);
    runtime
        .launch(vec![sinner, spec("probe").name("neighbour")])
        .await
        .expect("started");
    for _ in 0..2 {
        runtime
            .publish_async(event("hostile.trap", Value::Null))
            .await
            .expect("published");
    }
    runtime.quiet().await;
    assert_eq!(
        runtime.plugin("hostile").expect("known").state,
        PluginState::Quarantined
    );
    let served = handled(&runtime, "neighbour/all").await;
    for _ in 0..3 {
        let receipt = runtime
            .publish_async(event("hostile.ok", Value::Null))
            .await
            .expect("published");
        assert_eq!((receipt.enqueued, receipt.refused.len()), (2, 0), "{receipt:?}");
    }
    while stats_of(&runtime, "neighbour/all").count(Class::Ok) < served + 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(owed(&runtime, "hostile/sin").await, 3);
    letters(&runtime, 2).await;
    runtime.start("hostile").await.expect("started");
    assert_eq!(handled(&runtime, "hostile/sin").await, 3);
    letters(&runtime, 2).await;
}

/// D9: a durable and an ephemeral handler of one plugin are told apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d9_a_handler_has_a_mode_of_its_own() {
    let data = Data::new();
    let runtime = data.open();
    let mut kept = HandlerSpec::default();
    kept.mode = Some(DeliveryMode::Durable);
    runtime
        .launch(vec![hostile().handler("sin", kept)])
        .await
        .expect("started");
    runtime.stop("hostile").await.expect("stopped");
    let receipt = runtime
        .publish_async(event("hostile.ok", json!(null)))
        .await
        .expect("published");
    assert_eq!((receipt.enqueued, receipt.refused.len()), (1, 0), "{receipt:?}");
    assert_eq!(owed(&runtime, "hostile/sin").await, 1);
}

/// D9: what is owed to a handler that is gone is kept and shown; past its maximal age, and once the plugins have started, it is
/// a dead letter, `orphaned`, which the handler gets again when it is back. What is younger, and what is owed to a handler
/// that is there, stays.
#[tokio::test]
async fn d9_what_a_handler_that_is_gone_is_owed_becomes_orphaned() {
    let data = Data::new();
    let aged = |max_age| {
        durable().retry(RetryPolicy {
            max_age,
            ..RetryPolicy::default()
        })
    };
    let (young, old) = (Duration::from_secs(3600), Duration::from_millis(1));
    let subscribe = |runtime: &Runtime, name: &str, options: SubscribeOptions| {
        let hang = |_: palisade::Context| std::future::pending();
        runtime.subscribe_with(&["a"], name, options, hang).expect("subscribed");
    };
    let runtime = data.open();
    subscribe(&runtime, "gone", aged(old));
    owe(&runtime, &["1"]).await;
    subscribe(&runtime, "young", aged(young));
    subscribe(&runtime, "there", aged(old));
    runtime.publish_async(super::named("2")).await.expect("published");
    assert_eq!(end(runtime).await.kept, 4);

    let runtime = data.open();
    let there = Calls::well(&runtime, "there", aged(old));
    for (handler, events) in [("gone", 2), ("young", 1)] {
        assert_eq!(owed(&runtime, handler).await, events);
    }
    there.with("2").await;
    letters(&runtime, 0).await;
    runtime.announce().await;
    while owed(&runtime, "gone").await > 0 {
        tokio::task::yield_now().await;
    }
    for letter in letters(&runtime, 2).await {
        assert_eq!(letter.reason, DeadLetterReason::Orphaned);
        assert_eq!(
            letter.handler.map(|handler| handler.to_string()).as_deref(),
            Some("gone")
        );
    }
    assert_eq!(owed(&runtime, "young").await, 1);
    let back = Calls::well(&runtime, "gone", aged(young));
    runtime
        .redrive(letters(&runtime, 2).await[0].id)
        .await
        .expect("sent again");
    back.with("1").await;
    letters(&runtime, 1).await;
}
