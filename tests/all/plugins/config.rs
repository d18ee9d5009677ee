//! A plugin's config: what `start` gets, what is shown, and a change of it while events flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use palisade::{Class, Disposition, FilterOptions, PluginConfig, PluginError, PluginState, REDACTED, Runtime};
use palisade_tests::{Seen, config, event, hostile, publishes, runtime, runtime_with, spec};
use serde_json::{Value, json};

use super::watch::{brief, count, guarded, state};

const SECRET: &str = "correct-horse-battery";

fn with_a_secret() -> PluginConfig {
    PluginConfig::default()
        .with("words", json!(["plain"]))
        .with_secret("token", SECRET)
}

async fn fail_to_log_in(runtime: &Runtime) {
    let failed = event("user.login.failed", json!({ "ip": "192.0.2.1" }));
    assert!(runtime.publish(failed).await.unwrap().all_ok());
}

/// Which event of its instance this is.
async fn counted(runtime: &Runtime, reports: &Seen) -> u64 {
    let before = reports.len();
    assert!(
        runtime
            .publish(event("hostile.count", Value::Null))
            .await
            .unwrap()
            .of("hostile/sin")
            .unwrap()
            .class
            == Class::Ok
    );
    let report: Value = reports.wait_for(before + 1).await[before].json().unwrap();
    report["count"].as_u64().unwrap()
}

/// L4: `start` gets the config.
#[tokio::test]
async fn l4_start_gets_the_config() {
    let enhancer = spec("auth-enhancer")
        .grants(publishes("auth.*"))
        .config(config(json!({ "threshold": 2 })));
    let runtime = runtime_with([enhancer]).await;
    let alerts = Seen::subscribe(&runtime, "auth.bruteforce", "alerts");
    fail_to_log_in(&runtime).await;
    runtime.quiet().await;
    assert!(alerts.is_empty());
    fail_to_log_in(&runtime).await;
    runtime.quiet().await;
    assert_eq!(alerts.len(), 1);
}

/// L4: a secret is nowhere that a config is shown.
#[tokio::test]
async fn l4_secrets_are_not_shown() {
    let probe = spec("probe").config(with_a_secret());
    assert!(!format!("{probe:?} {:?}", with_a_secret()).contains(SECRET));
    let runtime = runtime_with([probe]).await;
    let status = runtime.plugin("probe").unwrap();
    assert_eq!(status.config, json!({ "words": ["plain"], "token": REDACTED }));
    assert!(!format!("{status:?} {:?}", runtime.plugins()).contains(SECRET));
}

/// L4: but the plugin gets it.
#[tokio::test]
async fn l4_secrets_reach_their_plugin() {
    let words = PluginConfig::default().with_secret("words", json!([SECRET]));
    let runtime = runtime_with([spec("no-secrets").config(words)]).await;
    let report = runtime.publish(event("x", json!({ "text": SECRET }))).await.unwrap();
    assert!(matches!(report.disposition, Disposition::Filtered { .. }));
}

/// L4: `config.changed` names the keys that changed and no value, and so does the answer.
#[tokio::test]
async fn l4_config_changed_names_keys_and_never_values() {
    let runtime = runtime_with([spec("probe").config(with_a_secret())]).await;
    let changes = Seen::subscribe(&runtime, "config.changed", "watch");
    let new = PluginConfig::default()
        .with("words", json!(["other"]))
        .with_secret("token", "tr0ub4dor")
        .with("more", 4321);
    assert_eq!(
        runtime.reconfigure("probe", new).await.unwrap(),
        ["more", "token", "words"]
    );
    let fewer = PluginConfig::default()
        .with("words", json!(["other"]))
        .with_secret("token", "tr0ub4dor");
    assert_eq!(runtime.reconfigure("probe", fewer).await.unwrap(), ["more"]);
    let told: Vec<Value> = changes
        .wait_for(2)
        .await
        .iter()
        .map(|event| event.json().unwrap())
        .collect();
    assert_eq!(
        told[0],
        json!({ "plugin": "probe", "keys": ["more", "token", "words"] })
    );
    assert_eq!(told[1], json!({ "plugin": "probe", "keys": ["more"] }));
}

/// L4: a started plugin goes on with the new config in fresh instances; its state does not change.
#[tokio::test]
async fn l4_a_new_config_is_in_force_at_once() {
    let runtime = runtime_with([spec("auth-enhancer").grants(publishes("auth.*"))]).await;
    let alerts = Seen::subscribe(&runtime, "auth.bruteforce", "alerts");
    let life = Seen::subscribe(&runtime, "plugin.>", "life");
    runtime
        .reconfigure("auth-enhancer", config(json!({ "threshold": 2 })))
        .await
        .unwrap();
    assert_eq!(
        runtime.plugin("auth-enhancer").unwrap().config,
        json!({ "threshold": 2 })
    );
    fail_to_log_in(&runtime).await;
    fail_to_log_in(&runtime).await;
    runtime.quiet().await;
    assert_eq!((alerts.len(), life.len()), (1, 0));
    assert_eq!(runtime.health().await.instances, 1, "the one before was stopped");
}

/// L4: a config with which it can't start changes nothing: the same instance goes on, with the config it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_a_config_that_fails_leaves_the_old_one_running() {
    let runtime = runtime_with([hostile().limits(brief())]).await;
    let reports = Seen::published(&runtime);
    let changes = Seen::subscribe(&runtime, "config.changed", "changes");
    assert_eq!(counted(&runtime, &reports).await, 1);
    for (way, class) in [
        ("error", Class::Unavailable),
        ("panic", Class::Trap),
        ("spin", Class::Timeout),
    ] {
        let error = runtime
            .reconfigure("hostile", config(json!({ "in-start": way })))
            .await
            .unwrap_err();
        let PluginError::Start { fault, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(fault.class(), class);
        let status = runtime.plugin("hostile").unwrap();
        assert_eq!((status.state, status.config), (PluginState::Started, json!({})));
    }
    // The first report came back as an event of its own, so it counts too.
    runtime.quiet().await;
    assert_eq!(counted(&runtime, &reports).await, 3);
    assert_eq!(changes.len(), 0);
    assert_eq!(runtime.health().await.instances, 1);
    runtime
        .reconfigure("hostile", config(json!({ "in-stop": "publish" })))
        .await
        .unwrap();
    runtime.quiet().await;
    let fresh = counted(&runtime, &reports).await;
    assert!(
        fresh < 3,
        "a fresh instance, which may have got the reports of the one before: {fresh}"
    );
}

/// L4: the config of a plugin that does not run is what its next start gets.
#[tokio::test]
async fn l4_the_config_of_a_stopped_plugin_is_for_its_next_start() {
    let runtime = runtime();
    runtime.load(hostile()).await.unwrap();
    runtime
        .reconfigure("hostile", config(json!({ "in-start": "error" })))
        .await
        .unwrap();
    assert_eq!(state(&runtime, "hostile"), Some(PluginState::Loaded));
    runtime.start("hostile").await.unwrap_err();
    runtime.reconfigure("hostile", PluginConfig::default()).await.unwrap();
    runtime.start("hostile").await.unwrap();
}

/// L4: a table that is too large is refused at load and at run time, by its size.
#[tokio::test]
async fn l4_a_config_has_a_largest_size() {
    let large = || PluginConfig::default().with("blob", "x".repeat(1024 * 1024));
    let runtime = runtime_with([spec("probe")]).await;
    let error = runtime.reconfigure("probe", large()).await.unwrap_err();
    assert!(
        matches!(&error, PluginError::Config { why, .. } if why.contains("1048576")),
        "{error}"
    );
    let error = runtime
        .load(spec("probe").name("other").config(large()))
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("other: the config has"), "{error}");
    assert!(PluginConfig::from_json(json!(["no", "table"])).is_err());
}

/// L4, L5: events that flow meanwhile are all handled, by the instances before or by those after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_no_event_is_lost_while_the_config_changes() {
    let runtime = runtime_with([spec("probe")]).await;
    let done = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(publish_until(runtime.clone(), done.clone())))
        .collect();
    for n in 0..30 {
        guarded(runtime.reconfigure("probe", config(json!({ "n": n }))))
            .await
            .unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let mut published = 0;
    for publisher in publishers {
        published += guarded(publisher).await.unwrap();
    }
    guarded(runtime.quiet()).await;
    assert_eq!(count(&runtime, "probe/all", Class::Ok), published);
    assert_eq!(runtime.stats().dead_letters, 0);
}

/// Publishes in both ways; returns how many events it were.
async fn publish_until(runtime: Runtime, done: Arc<AtomicBool>) -> u64 {
    let mut published = 0;
    while !done.load(Ordering::SeqCst) || published < 10 {
        let report = runtime.publish(event("x", Value::Null)).await.unwrap();
        assert!(report.all_ok(), "{report:?}");
        assert_eq!(
            runtime.publish_async(event("x", Value::Null)).await.unwrap().enqueued,
            1
        );
        published += 2;
        tokio::task::yield_now().await;
    }
    published
}

/// L4, B8: nor does a filter refuse an event because its config changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_no_event_is_refused_while_a_filters_config_changes() {
    let patient = FilterOptions::default().timeout(std::time::Duration::from_secs(30));
    let runtime = runtime_with([spec("no-secrets").filter(patient), spec("probe")]).await;
    let done = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(publish_until(runtime.clone(), done.clone())))
        .collect();
    for n in 0..20 {
        let words = config(json!({ "words": [format!("word-{n}")] }));
        guarded(runtime.reconfigure("no-secrets", words)).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for publisher in publishers {
        guarded(publisher).await.unwrap();
    }
    assert_eq!(runtime.stats().filtered, 0);
}

/// L4: a plugin that repeats a secret in its error, its panic or its log does not get it shown, nor published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_a_plugin_that_repeats_a_secret_does_not_get_it_shown() {
    let runtime = runtime();
    let seen = Seen::subscribe(&runtime, "plugin.error", "errors");
    let config = PluginConfig::default().with_secret("file", "/hunter2-geheim");
    let refused = runtime
        .launch(vec![spec("audit-logger").config(config)])
        .await
        .expect_err("there is no such directory");
    let told = seen.wait_for(1).await.remove(0).to_json();
    for said in [refused.to_string(), told] {
        assert!(!said.contains("hunter2"), "{said}");
        assert!(said.contains(REDACTED), "{said}");
    }
    let mut keen = hostile();
    keen.config = PluginConfig::default().with_secret("in-start", "nothing");
    let runtime = runtime_with([keen]).await;
    let report = runtime
        .publish(event("hostile.panic", json!("nothing")))
        .await
        .expect("published");
    let message = report.of("hostile/sin").expect("hostile got it").message().to_owned();
    assert!(message.contains(REDACTED) && !message.contains("nothing"), "{message}");
}

/// L4, H51: what the instances of a config that fails have subscribed is rolled back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_h51_a_config_that_fails_leaves_no_subscription() {
    let mut plugin = hostile();
    plugin.grants = plugin.grants.subscribe([
        "hostile.>".parse().expect("a pattern"),
        "other.>".parse().expect("a pattern"),
    ]);
    let runtime = runtime_with([plugin]).await;
    let failing = config(json!({ "in-start": "subscribe-and-fail" }));
    runtime.reconfigure("hostile", failing).await.expect_err("start fails");
    let report = runtime.publish(event("other.x", json!({}))).await.expect("published");
    assert_eq!(report.disposition, palisade::Disposition::Unmatched);
}
