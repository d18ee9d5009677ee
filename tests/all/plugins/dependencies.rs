//! Plugins that need each other. The guest `dependent` depends on `probe`; named `probe`, it depends on itself.

use std::time::Duration;

use palisade::{LaunchFailure, PluginError, PluginState};
use palisade_tests::{Seen, runtime, runtime_with, spec};

use super::watch::{life, state};

/// L2, H51: what others depend on starts first, whatever the order in the set, and stops last.
#[tokio::test]
async fn l2_dependencies_start_first_and_stop_last() {
    for reversed in [false, true] {
        let runtime = runtime();
        let (started, stopped) = (
            Seen::subscribe(&runtime, "plugin.started", "started"),
            Seen::subscribe(&runtime, "plugin.stopped", "stopped"),
        );
        let mut set = vec![spec("dependent"), spec("probe")];
        if reversed {
            set.reverse();
        }
        runtime.launch(set).await.unwrap();
        assert_eq!(
            life(&runtime, &started).await,
            ["plugin.started probe started", "plugin.started dependent started"]
        );
        runtime.shutdown(Duration::from_secs(30)).await;
        assert_eq!(
            life(&runtime, &stopped).await,
            ["plugin.stopped dependent stopped", "plugin.stopped probe stopped"]
        );
    }
}

/// L2: a plugin that runs already meets a dependency.
#[tokio::test]
async fn l2_a_dependency_may_have_been_started_before() {
    let runtime = runtime_with([spec("probe")]).await;
    runtime.launch(vec![spec("dependent")]).await.unwrap();
    assert_eq!(state(&runtime, "dependent"), Some(PluginState::Started));
}

/// L2, H51: a missing dependency is named with the plugin that needs it, whether it is checked, launched or started.
#[tokio::test]
async fn l2_h51_a_missing_dependency_is_named() {
    let words = "dependent depends on probe, which is not loaded";
    let runtime = runtime();
    assert_eq!(
        runtime.check(vec![spec("dependent")]).await.unwrap_err().to_string(),
        words
    );
    let error = runtime.launch(vec![spec("dependent")]).await.unwrap_err();
    assert!(matches!(
        error.0.as_slice(),
        [LaunchFailure::Start(PluginError::MissingDependency { .. })]
    ));
    assert_eq!(error.to_string(), words);
    assert!(runtime.plugins().is_empty());
    runtime.load(spec("dependent")).await.unwrap();
    assert_eq!(runtime.start("dependent").await.unwrap_err().to_string(), words);
}

/// L2: a dependency that is there but does not run is named too, and starting it is the remedy.
#[tokio::test]
async fn l2_a_dependency_that_is_not_started_is_named() {
    let runtime = runtime();
    runtime.load(spec("dependent")).await.unwrap();
    runtime.load(spec("probe")).await.unwrap();
    let error = runtime.start("dependent").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "dependent depends on probe, which is not started: start that first"
    );
    assert_eq!(
        state(&runtime, "dependent"),
        Some(PluginState::Loaded),
        "nothing was tried"
    );
    runtime.start("probe").await.unwrap();
    runtime.start("dependent").await.unwrap();
}

/// L2, H51: a circle is named, whether it is checked, launched or started.
#[tokio::test]
async fn l2_h51_a_circle_is_named() {
    let words = "these plugins depend on each other in a circle: probe -> probe";
    let circle = || spec("dependent").name("probe");
    let runtime = runtime();
    assert_eq!(runtime.check(vec![circle()]).await.unwrap_err().to_string(), words);
    assert_eq!(runtime.launch(vec![circle()]).await.unwrap_err().to_string(), words);
    assert!(runtime.plugins().is_empty());
    runtime.load(circle()).await.unwrap();
    assert_eq!(runtime.start("probe").await.unwrap_err().to_string(), words);
}

/// L2: a plugin that others need is neither stopped nor unloaded under them; they are named.
#[tokio::test]
async fn l2_what_others_need_is_not_stopped() {
    let runtime = runtime_with([
        spec("dependent").name("first"),
        spec("probe"),
        spec("dependent").name("second"),
    ])
    .await;
    for refused in [runtime.stop("probe").await, runtime.unload("probe").await] {
        let error = refused.unwrap_err();
        let PluginError::HasDependents { plugin, dependents } = &error else {
            panic!("{error}")
        };
        assert_eq!(
            (plugin.as_str(), dependents.as_slice()),
            ("probe", ["first".to_owned(), "second".to_owned()].as_slice())
        );
    }
    assert_eq!(state(&runtime, "probe"), Some(PluginState::Started));
    runtime.stop("first").await.unwrap();
    runtime.stop("probe").await.unwrap_err();
    runtime.unload("second").await.unwrap();
    runtime.stop("probe").await.unwrap();
    runtime.start("first").await.unwrap_err();
}
