//! S7: a plugin that fails too often is set aside, and nobody else notices.

use std::time::Duration;

use palisade::{
    Class, DeadLetterReason, Health, LogRecord, LogSink, PluginError, PluginState, QuarantinePolicy, RetryPolicy,
    Runtime,
};
use palisade_tests::{
    Seen, config, dead_letters, event, hostile, limits, publishes, runtime, runtime_with, small_engine, spec,
};
use serde_json::{Value, json};

use super::watch::{bears, beside, brief, goes_on, guarded, life, of_sinner, sleep, state, until_busy};

/// Publishes one event that both handle; the neighbour must have been served. How it ended for the sinner, and the words.
async fn sin(runtime: &Runtime, event_type: &str) -> (Class, String) {
    let outcome = of_sinner(&runtime.publish(event(event_type, Value::Null)).await.unwrap());
    (outcome.class, outcome.message().to_owned())
}

async fn sins(runtime: &Runtime, event_type: &str, times: usize) {
    for _ in 0..times {
        assert_ne!(sin(runtime, event_type).await.0, Class::Unavailable);
    }
}

/// S7: five faults in a minute, however quickly, are borne: the sixth event is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_five_faults_obeyed() {
    let (runtime, errors) = beside(hostile()).await;
    sins(&runtime, "hostile.trap", 5).await;
    goes_on(&runtime, &errors).await;
}

/// S7, H32, D9: with the sixth the plugin is quarantined. It is told once, with all that an operator needs; deliveries answer
/// `unavailable` by both ways of publishing, saying what brings the plugin back; its instances are gone; the neighbour is
/// served all along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_h32_d9_a_sixth_fault_violated() {
    let (runtime, errors) = beside(hostile()).await;
    sins(&runtime, "hostile.trap", 6).await;

    let status = runtime.plugin("hostile").unwrap();
    assert_eq!(status.state, PluginState::Quarantined);
    let why = status.error.unwrap();
    assert!(
        why.starts_with("hostile is quarantined after 6 faults in 60s, the last of them trap: hostile trapped: "),
        "{why}"
    );
    assert!(
        why.ends_with("; start it again to bring it back (plugin.quarantine)"),
        "{why}"
    );

    for event_type in ["hostile.ok", "hostile.trap", "hostile.ok"] {
        assert_eq!(sin(&runtime, event_type).await, (Class::Unavailable, why.clone()));
    }
    let receipt = runtime.publish_async(event("hostile.ok", Value::Null)).await.unwrap();
    assert_eq!((receipt.matched, receipt.enqueued), (2, 1));
    let refusal = &receipt.refused[0];
    assert_eq!((refusal.class, &refusal.message), (Class::Unavailable, &why));

    runtime.quiet().await;
    let told = errors.all();
    assert_eq!(told.len(), 1);
    let told: Value = told[0].json().unwrap();
    let text = |key: &str| told[key].as_str().unwrap_or("?").to_owned();
    assert_eq!(
        [text("plugin"), text("state"), text("class")],
        ["hostile", "quarantined", "trap"]
    );
    assert_eq!(
        (text("version"), text("window")),
        ("0.1.0".to_owned(), "60s".to_owned())
    );
    assert_eq!(told["faults"], 6);
    assert!(text("error").starts_with("hostile trapped: "), "{told}");

    let health = runtime.health().await;
    assert_eq!(health.instances, 1, "the neighbour's");
    let of_hostile = &health.plugins.iter().find(|(name, _)| name == "hostile").unwrap().1;
    assert_eq!(of_hostile, &Health::Unhealthy(format!("unavailable: {why}")));
}

/// S7: each class of fault that a guest is to blame for counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_each_fault_of_a_guest_counts() {
    let metered = || hostile().limits(limits(|limits| limits.fuel = Some(5_000_000)));
    let cases = [
        (hostile().limits(brief()), "hostile.spin", Class::Timeout),
        (hostile().limits(brief()), "hostile.sleep", Class::Timeout),
        (hostile(), "hostile.trap", Class::Trap),
        (hostile(), "hostile.panic", Class::Trap),
        (hostile(), "hostile.exit", Class::Trap),
        (hostile(), "hostile.recurse", Class::StackOverflow),
        (metered(), "hostile.spin", Class::OutOfFuel),
        (hostile(), "hostile.alloc", Class::OutOfMemory),
        (hostile(), "hostile.handles", Class::HostLimit),
    ];
    for (spec, event_type, class) in cases {
        let (runtime, errors) = beside(spec.quarantine(bears(1))).await;
        for borne in [true, false] {
            // Without data, which some of the sins take as "for ever".
            let bare = palisade::Event::builder(event_type, "/tests").build().unwrap();
            let report = runtime.publish(bare).await.unwrap();
            assert_eq!(of_sinner(&report).class, class, "{event_type}");
            let is_started = state(&runtime, "hostile") == Some(PluginState::Started);
            assert_eq!(is_started, borne, "{event_type}");
        }
        let told: Value = guarded(errors.wait_for(1)).await[0].json().unwrap();
        assert_eq!((&told["class"], &told["faults"]), (&json!(class.as_str()), &json!(2)));
    }
}

/// A sink that panics at a flood, in a host function that the guest has called.
struct Fragile;

impl LogSink for Fragile {
    fn log(&self, record: LogRecord<'_>) {
        assert!(!record.message.contains("line 3"), "the sink panics");
    }
}

/// S7: what no guest is to blame for, or what is no fault, does not count, even where not one fault is borne: verdicts,
/// having no room, a caller that went away, a panic of the host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_nothing_else_counts() {
    let runtime = Runtime::builder()
        .engine(small_engine())
        .log_sink(Fragile)
        .build()
        .unwrap();
    let only = ["ok", "fail-retry", "fail-reject", "sleep", "flood-log"].map(|sin| format!("hostile.{sin}"));
    let grants = publishes("hostile.>").subscribe(only.map(|pattern| pattern.parse().unwrap()));
    let touchy = hostile().grants(grants).quarantine(bears(0));
    runtime.launch(vec![touchy, spec("probe")]).await.unwrap();
    let errors = Seen::subscribe(&runtime, "plugin.error", "errors");
    for (event_type, data, class) in [
        ("hostile.fail-retry", json!(0), Class::Retry),
        ("hostile.fail-reject", Value::Null, Class::Rejected),
        ("hostile.flood-log", json!(5), Class::HostPanic),
    ] {
        let report = runtime.publish(event(event_type, data)).await.unwrap();
        assert_eq!(report.of("hostile/sin").unwrap().class, class, "{event_type}");
    }
    assert_eq!(sin(&runtime, "hostile.ok").await.0, Class::Ok, "by a fresh instance");
    let publisher = runtime.clone();
    let dropped = tokio::spawn(async move { publisher.publish(sleep()).await });
    guarded(until_busy(&runtime, "hostile")).await;
    let soon = Duration::from_millis(20);
    let report = runtime
        .publish_within(event("hostile.ok", Value::Null), soon)
        .await
        .unwrap();
    assert_eq!(report.of("hostile/sin").unwrap().class, Class::Overloaded);
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    goes_on(&runtime, &errors).await;
}

/// S7: faults of `health` count, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_faults_of_health_count() {
    let sick = hostile().config(config(json!({ "in-health": "trap" })));
    let (runtime, errors) = beside(sick.quarantine(bears(1))).await;
    for _ in 0..2 {
        let health = runtime.plugin_health("hostile").await.unwrap();
        assert!(
            matches!(&health, Health::Unhealthy(why) if why.starts_with("trap: ")),
            "{health:?}"
        );
    }
    assert_eq!(sin(&runtime, "hostile.ok").await.0, Class::Unavailable);
    guarded(errors.wait_for(1)).await;
}

/// S7: where the operator has turned it off, a plugin may fail for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_a_plugin_without_quarantine_goes_on() {
    let (runtime, errors) = beside(hostile().quarantine(None)).await;
    sins(&runtime, "hostile.trap", 20).await;
    goes_on(&runtime, &errors).await;
}

/// S7, L1: a start brings it back, with nothing held against it, and the next quarantine is told like the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_l1_a_start_brings_it_back_with_an_empty_count() {
    let (runtime, errors) = beside(hostile().quarantine(bears(2))).await;
    for round in 1..=2 {
        sins(&runtime, "hostile.trap", 2).await;
        assert_eq!(sin(&runtime, "hostile.ok").await.0, Class::Ok, "two are borne");
        sins(&runtime, "hostile.trap", 1).await;
        assert_eq!(sin(&runtime, "hostile.ok").await.0, Class::Unavailable);
        runtime.start("hostile").await.unwrap();
        let status = runtime.plugin("hostile").unwrap();
        assert_eq!((status.state, status.error), (PluginState::Started, None));
        runtime.quiet().await;
        assert_eq!(errors.len(), round);
    }
    assert_eq!(sin(&runtime, "hostile.ok").await.0, Class::Ok);
    runtime.shutdown(Duration::from_secs(30)).await;
    assert_eq!(
        state(&runtime, "hostile"),
        Some(PluginState::Stopped),
        "stopped like any other"
    );
}

/// S7, L1: the other ways out of quarantine, each with its events; `stop` of the guest is not called in any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_l1_stop_unload_and_reconfigure_of_a_quarantined_plugin() {
    let quarantined = async || {
        let loud = hostile().config(config(json!({ "in-stop": "publish" }))).concurrency(2);
        let (runtime, _) = beside(loud.quarantine(bears(0))).await;
        let changes = Seen::subscribe(&runtime, "plugin.>", "changes");
        let reports = Seen::subscribe(&runtime, "hostile.report", "reports");
        sins(&runtime, "hostile.trap", 1).await;
        (runtime, changes, reports)
    };

    let (runtime, changes, reports) = quarantined().await;
    runtime.stop("hostile").await.unwrap();
    assert_eq!(
        sin(&runtime, "hostile.ok").await,
        (Class::Unavailable, "hostile is stopped".into())
    );
    assert_eq!(runtime.plugin("hostile").unwrap().error, None);
    let told = life(&runtime, &changes).await;
    assert_eq!(
        told,
        ["plugin.error hostile quarantined", "plugin.stopped hostile stopped"]
    );
    assert!(reports.is_empty());

    let (runtime, changes, reports) = quarantined().await;
    runtime.unload("hostile").await.unwrap();
    assert_eq!(state(&runtime, "hostile"), None);
    let told = life(&runtime, &changes).await;
    assert_eq!(
        told,
        [
            "plugin.error hostile quarantined",
            "plugin.unloaded hostile quarantined"
        ]
    );
    assert!(reports.is_empty());

    let (runtime, changes, _) = quarantined().await;
    let keys = runtime
        .reconfigure("hostile", config(json!({ "in-stop": "nothing" })))
        .await
        .unwrap();
    assert_eq!(keys, ["in-stop"]);
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
    runtime.start("hostile").await.unwrap();
    assert_eq!(sin(&runtime, "hostile.ok").await.0, Class::Ok);
    let told = life(&runtime, &changes).await;
    assert_eq!(told[0], "plugin.error hostile quarantined");
    assert_eq!(told.last().unwrap(), "plugin.started hostile started");
}

/// S7, L1: a start that fails ends the quarantine in the state error; the plugin can be unloaded, or started with another
/// config.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_l1_a_start_out_of_quarantine_may_fail() {
    let (runtime, _) = beside(hostile().quarantine(bears(0))).await;
    sins(&runtime, "hostile.trap", 1).await;
    runtime
        .reconfigure("hostile", config(json!({ "in-start": "error" })))
        .await
        .unwrap();
    let error = runtime.start("hostile").await.unwrap_err();
    assert!(matches!(error, PluginError::Start { .. }), "{error}");
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Error));
    runtime.reconfigure("hostile", config(json!({}))).await.unwrap();
    runtime.start("hostile").await.unwrap();
    assert_eq!(sin(&runtime, "hostile.ok").await.0, Class::Ok);
}

/// S7, D9: what waits in the queue of a plugin that is quarantined meanwhile is answered like what comes later: it is
/// retried by policy, and then a dead letter that says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_d9_queued_events_are_answered_too() {
    let once = hostile()
        .limits(brief())
        .retry(RetryPolicy::none())
        .quarantine(bears(1));
    let (runtime, _) = beside(once).await;
    runtime.publish_async(sleep()).await.unwrap();
    guarded(until_busy(&runtime, "hostile")).await;
    for event_type in ["hostile.trap", "hostile.ok", "hostile.ok"] {
        let receipt = runtime.publish_async(event(event_type, Value::Null)).await.unwrap();
        assert_eq!(receipt.enqueued, 2, "taken while the first is at work");
    }
    guarded(runtime.quiet()).await;
    let letters = dead_letters(&runtime).await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
    let failed = [Class::Timeout, Class::Trap, Class::Unavailable, Class::Unavailable];
    assert_eq!(reasons, failed.map(DeadLetterReason::Failed));
    assert!(
        letters[3].error.starts_with("hostile is quarantined after 2 faults"),
        "{}",
        letters[3].error
    );
    runtime.start("hostile").await.unwrap();
    runtime.redrive(letters[3].id).await.unwrap();
    runtime.quiet().await;
    assert_eq!(dead_letters(&runtime).await.len(), 3);
}

/// S7: subscriptions that the guest made itself end with its instances; those it describes stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_dynamic_subscriptions_end() {
    let grants = publishes("hostile.>").subscribe(["hostile.>", "other.>"].map(|pattern| pattern.parse().unwrap()));
    let (runtime, errors) = beside(hostile().grants(grants).quarantine(bears(0))).await;
    let is_subscribed = async || {
        let report = runtime.publish(event("other.x", Value::Null)).await.unwrap();
        report.of("hostile/sin").is_some()
    };
    runtime
        .publish(event("hostile.subscribe", json!("other.>")))
        .await
        .unwrap();
    assert!(is_subscribed().await);
    sins(&runtime, "hostile.trap", 1).await;
    guarded(errors.wait_for(1)).await;
    runtime.quiet().await;
    assert!(!is_subscribed().await);
    runtime.start("hostile").await.unwrap();
    assert!(!is_subscribed().await);
    assert_eq!(sin(&runtime, "hostile.ok").await.0, Class::Ok);
}

/// S7, L2: a plugin that depends on a quarantined one goes on without it, keeps it from being forgotten, and is not started
/// anew before it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_l2_dependents_go_on_and_wait_for_it_when_they_start() {
    let needed = palisade_tests::hostile_as("probe").quarantine(bears(0));
    let runtime = runtime_with([needed, spec("dependent")]).await;
    let report = runtime.publish(event("hostile.trap", Value::Null)).await.unwrap();
    assert_eq!(report.of("probe/sin").unwrap().class, Class::Trap);
    let report = runtime.publish(event("dependent.x", Value::Null)).await.unwrap();
    assert!(report.all_ok() && report.of("dependent/own").is_some());
    for refused in [runtime.stop("probe").await, runtime.unload("probe").await] {
        assert!(matches!(refused, Err(PluginError::HasDependents { .. })), "{refused:?}");
    }
    runtime.stop("dependent").await.unwrap();
    let refused = runtime.start("dependent").await;
    assert!(
        matches!(refused, Err(PluginError::DependencyNotStarted { .. })),
        "{refused:?}"
    );
    runtime.start("probe").await.unwrap();
    runtime.start("dependent").await.unwrap();
}

/// S7: five faults in a minute, unless the spec says otherwise.
#[test]
fn s7_the_default_policy_is_five_faults_in_a_minute() {
    let policy = spec("probe").quarantine.unwrap();
    assert_eq!((policy.faults, policy.window), (5, Duration::from_secs(60)));
    assert_eq!(policy, QuarantinePolicy::default());
}

/// S7, L1: a plugin that is quarantined while others are being launched is rolled back with them, if it comes to that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_a_quarantine_during_a_launch() {
    let runtime = runtime();
    let changes = Seen::subscribe(&runtime, "plugin.>", "changes");
    let two_seconds = limits(|limits| limits.timeout = Duration::from_secs(2));
    let slow = palisade_tests::hostile_as("slow").limits(two_seconds);
    let slow = slow.config(config(json!({ "in-start": "sleep" })));
    let launcher = runtime.clone();
    let first = hostile().quarantine(bears(0));
    let launch = tokio::spawn(async move { launcher.launch(vec![first, spec("probe"), slow]).await });
    let under_way = async {
        while state(&runtime, "slow") != Some(PluginState::Initialized) {
            tokio::task::yield_now().await;
        }
    };
    guarded(under_way).await;
    sins(&runtime, "hostile.trap", 1).await;
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Quarantined));
    guarded(launch).await.unwrap().unwrap_err();
    assert!(runtime.plugins().is_empty());
    let told = life(&runtime, &changes).await;
    assert_eq!(
        told.iter().filter(|line| line.ends_with("hostile quarantined")).count(),
        2,
        "{told:?}"
    );
    assert!(
        told.contains(&"plugin.unloaded hostile quarantined".to_owned()),
        "{told:?}"
    );
}
