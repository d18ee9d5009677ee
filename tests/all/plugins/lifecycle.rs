//! From loaded to unloaded: states, the events about them, and what a bad start or stop leads to.

use palisade::{Class, Failure, LoadError, PluginError, PluginSpec, PluginState};
use palisade_tests::{Seen, config, dead_letters, event, hostile, runtime, runtime_with, spec};
use serde_json::{Value, json};

use super::watch::{brief, count, guarded, life, state};

/// L1: each change has its event, published in order and after the change, with name, version and state.
#[tokio::test]
async fn l1_each_change_is_told_in_order_with_name_version_and_state() {
    let runtime = runtime();
    let seen = Seen::subscribe(&runtime, "plugin.>", "watch");
    let loaded = runtime.load(spec("probe")).await.unwrap();
    assert_eq!((loaded.state, loaded.error.as_deref()), (PluginState::Loaded, None));
    for _ in 0..2 {
        runtime.start("probe").await.unwrap();
        assert_eq!(state(&runtime, "probe"), Some(PluginState::Started));
        runtime.stop("probe").await.unwrap();
        assert_eq!(state(&runtime, "probe"), Some(PluginState::Stopped));
    }
    runtime.unload("probe").await.unwrap();
    assert_eq!(state(&runtime, "probe"), None);
    assert!(runtime.plugins().is_empty());
    let expected = [
        "plugin.loaded probe loaded",
        "plugin.initialized probe initialized",
        "plugin.started probe started",
        "plugin.stopped probe stopped",
        "plugin.initialized probe initialized",
        "plugin.started probe started",
        "plugin.stopped probe stopped",
        "plugin.unloaded probe stopped",
    ];
    assert_eq!(life(&runtime, &seen).await, expected);
    for event in seen.all() {
        assert_eq!(
            (event.json::<Value>().unwrap()["version"].as_str(), event.source()),
            (Some("0.1.0"), "palisade")
        );
    }
}

/// L1: a stopped plugin that is started again serves as before.
#[tokio::test]
async fn l1_a_stopped_plugin_can_be_started_again() {
    let runtime = runtime_with([spec("probe")]).await;
    runtime.stop("probe").await.unwrap();
    runtime.start("probe").await.unwrap();
    let report = runtime.publish(event("x", Value::Null)).await.unwrap();
    assert_eq!((report.outcomes.len(), report.all_ok()), (1, true));
}

/// L1: what is not possible from a state is refused by name, and changes nothing.
#[tokio::test]
async fn l1_a_change_from_the_wrong_state_is_refused() {
    let runtime = runtime();
    runtime.load(spec("probe")).await.unwrap();
    let error = runtime.stop("probe").await.unwrap_err();
    assert_eq!(error.to_string(), "probe is loaded, so it can't be stopped");
    runtime.start("probe").await.unwrap();
    let error = runtime.start("probe").await.unwrap_err();
    assert_eq!(error.to_string(), "probe is started, so it can't be started");
    assert_eq!(state(&runtime, "probe"), Some(PluginState::Started));
    for error in [
        runtime.start("ghost").await,
        runtime.stop("ghost").await,
        runtime.unload("ghost").await,
    ] {
        assert!(matches!(error, Err(PluginError::NotFound(name)) if name == "ghost"));
    }
}

/// L1, H2: a start that fails, in whatever way, leaves the plugin in error, says why with its class, and leaves the way
/// back open: with another config it starts. The neighbour doesn't notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l1_h2_a_failed_start_is_an_error_with_a_way_back() {
    let ways = [
        ("error", Class::Unavailable, "hostile refuses to start"),
        ("trap", Class::Trap, ""),
        ("panic", Class::Trap, "hostile panics outside handle"),
        ("spin", Class::Timeout, "by its deadline and was stopped"),
        ("sleep", Class::Timeout, "by its deadline and was stopped"),
    ];
    for (way, class, words) in ways {
        let runtime = runtime_with([spec("probe")]).await;
        let errors = Seen::subscribe(&runtime, "plugin.error", "watch");
        runtime
            .load(hostile().limits(brief()).config(config(json!({ "in-start": way }))))
            .await
            .unwrap();

        let error = runtime.start("hostile").await.unwrap_err();
        let PluginError::Start { plugin, fault } = &error else {
            panic!("{way}: {error}")
        };
        assert_eq!((plugin.as_str(), fault.class()), ("hostile", class), "{way}");
        let status = runtime.plugin("hostile").unwrap();
        assert_eq!(status.state, PluginState::Error, "{way}");
        assert!(
            status.error.as_deref().is_some_and(|error| error.contains(words)),
            "{way}: {:?}",
            status.error
        );
        let told: Value = errors.wait_for(1).await[0].json().unwrap();
        assert_eq!(
            (&told["plugin"], &told["state"]),
            (&json!("hostile"), &json!("error")),
            "{way}"
        );
        assert_eq!(told["class"], class.as_str(), "{way}");
        assert!(
            told["error"].as_str().is_some_and(|error| error.contains(words)),
            "{way}: {told}"
        );
        let report = runtime.publish(event("hostile.ok", Value::Null)).await.unwrap();
        assert_eq!(
            (report.outcomes.len(), report.of("probe/all").unwrap().class),
            (1, Class::Ok),
            "{way}"
        );

        runtime.reconfigure("hostile", config(json!({}))).await.unwrap();
        runtime.start("hostile").await.unwrap();
        assert_eq!(runtime.plugin("hostile").unwrap().error, None, "{way}");
        let report = runtime.publish(event("hostile.ok", Value::Null)).await.unwrap();
        assert_eq!(report.of("hostile/sin").unwrap().class, Class::Ok, "{way}");
    }
}

/// L1, H2: a plugin in error can be unloaded, and its name is free again.
#[tokio::test]
async fn l1_a_plugin_in_error_can_be_unloaded() {
    let runtime = runtime();
    let seen = Seen::subscribe(&runtime, "plugin.>", "watch");
    runtime
        .load(hostile().config(config(json!({ "in-start": "error" }))))
        .await
        .unwrap();
    runtime.start("hostile").await.unwrap_err();
    runtime.unload("hostile").await.unwrap();
    assert_eq!(
        life(&runtime, &seen).await.last().unwrap(),
        "plugin.unloaded hostile error"
    );
    runtime.launch(vec![hostile()]).await.unwrap();
}

/// H2, L3: however badly `stop` ends, the plugin is stopped, and the neighbour goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_stop_that_misbehaves_ends_and_stops_the_plugin() {
    for way in ["spin", "sleep", "trap", "panic"] {
        let bad = hostile().limits(brief()).config(config(json!({ "in-stop": way })));
        let runtime = runtime_with([spec("probe"), bad]).await;
        guarded(runtime.stop("hostile")).await.unwrap();
        assert_eq!(state(&runtime, "hostile"), Some(PluginState::Stopped), "{way}");
        assert_eq!(
            runtime.health().await.instances,
            1,
            "{way}: only the neighbour's is left"
        );
        let report = runtime.publish(event("x", Value::Null)).await.unwrap();
        assert!(report.all_ok(), "{way}");
    }
}

/// H2: a plugin that spins when it is asked who it is is not loaded, and stops nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_describe_that_spins_is_refused_at_load() {
    let runtime = runtime_with([spec("probe")]).await;
    let error = guarded(runtime.load(spec("hostile-describe").limits(brief())))
        .await
        .unwrap_err();
    let LoadError::Describe { fault, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(fault.class(), Class::Timeout);
    assert_eq!((runtime.plugins().len(), runtime.health().await.instances), (1, 1));
    assert!(runtime.publish(event("x", Value::Null)).await.unwrap().all_ok());
}

/// B11, L1: what `start` and `stop` publish goes out, each after the state has changed.
#[tokio::test]
async fn b11_start_and_stop_may_publish() {
    let runtime = runtime();
    let reports = Seen::subscribe(&runtime, "hostile.report", "reports");
    let loud = config(json!({ "in-start": "publish", "in-stop": "publish" }));
    runtime.launch(vec![hostile().config(loud)]).await.unwrap();
    runtime.stop("hostile").await.unwrap();
    let sins: Vec<Value> = reports
        .wait_for(2)
        .await
        .iter()
        .map(|event| event.json::<Value>().unwrap()["sin"].clone())
        .collect();
    assert_eq!(sins, ["in-start", "in-stop"]);
}

/// L1, B9: the events are published after the locks are released, so a handler may look at the plugins and change them,
/// the one it is told of included.
#[tokio::test]
async fn l1_b9_a_handler_of_lifecycle_events_may_change_plugins() {
    let runtime = runtime();
    let stopped = Seen::subscribe(&runtime, "plugin.stopped", "watch");
    let inside = runtime.clone();
    let stop_it = move |cx: palisade::Context| {
        let runtime = inside.clone();
        async move {
            let data: Value = cx.event.json().map_err(|error| Failure::reject(error.to_string()))?;
            let known = runtime.plugins().len();
            runtime
                .load(spec("probe").name("second"))
                .await
                .map_err(|error| Failure::reject(error.to_string()))?;
            assert_eq!(runtime.plugins().len(), known + 1);
            let name = data["plugin"].as_str().unwrap_or_default();
            runtime
                .stop(name)
                .await
                .map_err(|error| Failure::reject(error.to_string()))
        }
    };
    runtime.subscribe("plugin.started", "stopper", stop_it).unwrap();
    guarded(runtime.launch(vec![spec("probe")])).await.unwrap();
    guarded(stopped.wait_for(1)).await;
    guarded(runtime.quiet()).await;
    assert_eq!(state(&runtime, "probe"), Some(PluginState::Stopped));
    assert_eq!(state(&runtime, "second"), Some(PluginState::Loaded));
    assert_eq!(count(&runtime, "stopper", Class::Ok), 1);
}

/// B10, L1: a plugin that takes every event gets those about others and never its own.
#[tokio::test]
async fn b10_a_plugin_never_gets_its_own_lifecycle_events() {
    let runtime = runtime_with([spec("probe")]).await;
    runtime.reconfigure("probe", config(json!({ "a": 1 }))).await.unwrap();
    runtime.quiet().await;
    assert_eq!(count(&runtime, "probe/all", Class::Ok), 0);
    runtime.launch(vec![hostile()]).await.unwrap();
    runtime.quiet().await;
    assert_eq!(
        count(&runtime, "probe/all", Class::Ok),
        3,
        "loaded, initialized, started of the other"
    );
    assert!(dead_letters(&runtime).await.is_empty());
}

/// L1: a shutdown stops all that run, and nothing can be loaded or started after it.
#[tokio::test]
async fn l1_nothing_starts_after_a_shutdown() {
    let runtime = runtime_with([spec("probe")]).await;
    runtime
        .load(PluginSpec::from_file(palisade_tests::plugin("probe")).name("idle"))
        .await
        .unwrap();
    runtime.shutdown(std::time::Duration::from_secs(30)).await;
    assert_eq!(state(&runtime, "probe"), Some(PluginState::Stopped));
    assert!(matches!(runtime.start("idle").await, Err(PluginError::ShuttingDown)));
    assert!(matches!(
        runtime.load(hostile()).await,
        Err(LoadError::ShuttingDown { .. })
    ));
    assert_eq!(runtime.health().await.instances, 0);
}
