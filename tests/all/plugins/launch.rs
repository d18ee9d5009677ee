//! What may be loaded, under which name, and what is left of what may not: nothing.

use palisade::{
    Class, Disposition, Grants, HandlerSpec, LaunchFailure, LoadError, Pattern, PluginKind, PluginSpec, PluginState,
    digest_of,
};
use palisade_tests::{Seen, config, event, hostile, hostile_as, plugin, publishes, runtime, runtime_with, spec};
use serde_json::{Value, json};

use super::watch::{brief, count, guarded, life, state};

fn patterns<const N: usize>(patterns: [&str; N]) -> [Pattern; N] {
    patterns.map(|pattern| pattern.parse().unwrap())
}

/// H51: a name that is taken is refused, and whoever has it goes on.
#[tokio::test]
async fn h51_same_name_plugins_are_refused() {
    let runtime = runtime_with([spec("probe")]).await;
    let error = runtime.load(hostile_as("probe")).await.unwrap_err();
    assert!(
        matches!(&error, LoadError::AlreadyLoaded { plugin } if plugin == "probe"),
        "{error}"
    );
    for set in [
        vec![spec("probe")],
        vec![hostile(), spec("probe")],
        vec![hostile(), hostile()],
    ] {
        let error = runtime.launch(set).await.unwrap_err();
        assert!(
            matches!(
                error.0.as_slice(),
                [LaunchFailure::Load(LoadError::AlreadyLoaded { .. })]
            ),
            "{error}"
        );
    }
    assert_eq!(runtime.plugins().len(), 1);
    assert_eq!(state(&runtime, "probe"), Some(PluginState::Started));
    let report = runtime.publish(event("x", Value::Null)).await.unwrap();
    assert!(report.all_ok());
}

/// H51: two launches of one name at the same time: one of them wins, and the other takes nothing of it away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h51_of_two_launches_at_once_one_wins() {
    let runtime = runtime();
    for _ in 0..5 {
        let both = async { tokio::join!(runtime.launch(vec![spec("probe")]), runtime.launch(vec![spec("probe")])) };
        let (one, other) = guarded(both).await;
        assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|ok| **ok).count(), 1);
        assert!(runtime.publish(event("x", Value::Null)).await.unwrap().all_ok());
        runtime.unload("probe").await.unwrap();
    }
}

/// H51: a plugin whose start fails half way leaves no subscription behind, those that it made itself included.
#[tokio::test]
async fn h51_a_start_that_fails_half_way_is_rolled_back() {
    let grants = Grants::default().subscribe(patterns(["hostile.>", "other.>"]));
    let runtime = runtime();
    let half = hostile()
        .grants(grants)
        .config(config(json!({ "in-start": "subscribe-and-fail" })));
    runtime.load(half).await.unwrap();
    runtime.start("hostile").await.unwrap_err();
    for event_type in ["hostile.ok", "other.thing"] {
        let report = runtime.publish(event(event_type, Value::Null)).await.unwrap();
        assert_eq!(report.disposition, Disposition::Unmatched, "{event_type}");
    }
    assert!(runtime.handler_stats().is_empty());
    assert_eq!(runtime.health().await.instances, 0);
}

/// L3, B11: what a plugin subscribed to in `start` it gets, until it stops; the next start subscribes anew.
#[tokio::test]
async fn l3_subscriptions_of_its_own_end_with_a_stop() {
    let grants = Grants::default().subscribe(patterns(["hostile.>", "other.>"]));
    let runtime = runtime();
    let own = hostile()
        .grants(grants.publish(patterns(["hostile.>"])))
        .config(config(json!({ "in-start": "subscribe" })));
    runtime.launch(vec![own]).await.unwrap();
    for _ in 0..2 {
        assert!(
            runtime
                .publish(event("other.thing", Value::Null))
                .await
                .unwrap()
                .all_ok()
        );
        runtime.stop("hostile").await.unwrap();
        let report = runtime.publish(event("other.thing", Value::Null)).await.unwrap();
        assert_eq!(report.disposition, Disposition::Unmatched);
        runtime.start("hostile").await.unwrap();
    }
    runtime.unload("hostile").await.unwrap();
    let report = runtime.publish(event("other.thing", Value::Null)).await.unwrap();
    assert_eq!(report.disposition, Disposition::Unmatched);
}

/// H51, L2: a launch is all or nothing: when one does not start, those that did are unloaded again. What ran before goes on.
#[tokio::test]
async fn h51_a_launch_with_a_bad_one_leaves_none_loaded() {
    let runtime = runtime_with([spec("probe").name("before")]).await;
    let seen = Seen::subscribe(&runtime, "plugin.unloaded", "watch");
    let bad = hostile().config(config(json!({ "in-start": "error" })));
    let error = runtime.launch(vec![spec("probe"), bad]).await.unwrap_err();
    assert!(error.to_string().contains("hostile did not start"), "{error}");
    let names: Vec<_> = runtime.plugins().into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["before"]);
    assert_eq!(runtime.health().await.instances, 1);
    assert_eq!(
        life(&runtime, &seen).await,
        ["plugin.unloaded hostile error", "plugin.unloaded probe stopped"]
    );
    let report = runtime.publish(event("x", Value::Null)).await.unwrap();
    assert_eq!((report.outcomes.len(), report.all_ok()), (1, true));
}

/// H51, L2: whatever is wrong with a set, whoever runs already does not notice, and nothing of it is left; put right, it is
/// launched.
#[tokio::test]
async fn h51_a_bad_set_is_not_noticed_by_those_that_run() {
    let runtime = runtime_with([spec("probe").name("before")]).await;
    let half = || {
        let grants = Grants::default().subscribe(patterns(["hostile.>", "other.>"]));
        let config = config(json!({ "in-start": "subscribe-and-fail" }));
        hostile().grants(grants).config(config)
    };
    for (what, bad) in [
        ("a missing dependency", vec![spec("dependent")]),
        ("a circle", vec![spec("dependent").name("probe")]),
        ("a name twice", vec![spec("probe"), hostile(), hostile()]),
        ("a start that fails", vec![spec("dependent"), half(), spec("probe")]),
    ] {
        runtime.launch(bad).await.expect_err(what);
        let names: Vec<_> = runtime.plugins().into_iter().map(|status| status.name).collect();
        assert_eq!(
            (names, runtime.health().await.instances),
            (vec!["before".to_owned()], 1),
            "{what}"
        );
        for event_type in ["hostile.ok", "other.thing"] {
            let report = runtime.publish(event(event_type, Value::Null)).await.unwrap();
            assert!(report.all_ok() && report.outcomes.len() == 1, "{what}: {report:?}");
        }
    }
    let good = vec![spec("dependent"), hostile(), spec("probe")];
    runtime.launch(good).await.unwrap();
    let report = runtime.publish(event("hostile.ok", Value::Null)).await.unwrap();
    assert!(report.all_ok() && report.of("hostile/sin").is_some(), "{report:?}");
}

/// H34, H36, H51: a launch names every plugin that is bad, not only the first, and starts none; `check` says the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h51_a_launch_lists_all_that_is_wrong() {
    let set = || {
        vec![
            PluginSpec::from_file("no/such/file.wasm").name("missing"),
            PluginSpec::from_bytes(&b"no component"[..]).name("garbage"),
            spec("probe"),
            spec("probe"),
            spec("probe").name("pinned").digest(digest_of(b"something else")),
            spec("hostile-describe").name("silent").limits(brief()),
            spec("probe").name("not a name"),
        ]
    };
    let runtime = runtime();
    let seen = Seen::subscribe(&runtime, "plugin.>", "watch");
    let launched = runtime.launch(set()).await.unwrap_err();
    let checked = runtime.check(set()).await.unwrap_err();
    let names = |error: &palisade::LaunchError| {
        let names: Vec<_> = error
            .0
            .iter()
            .map(|failure| failure.to_string().split(':').next().unwrap().to_owned())
            .collect();
        names
    };
    assert_eq!(
        names(&launched)[1..],
        ["garbage", "probe", "pinned", "silent", "not a name"]
    );
    assert!(
        names(&launched)[0].starts_with("missing (no/such/file.wasm)"),
        "{launched}"
    );
    assert_eq!(names(&launched), names(&checked));
    assert!(runtime.plugins().is_empty());
    assert!(life(&runtime, &seen).await.is_empty());
}

/// H51: names are plain, so that they can be shown, logged and used as a source.
#[tokio::test]
async fn h51_names_that_are_none_are_refused() {
    let runtime = runtime();
    for name in ["", "a b", "a/b", "a.b", "ä", "a\n", &"x".repeat(65)] {
        let error = runtime.load(spec("probe").name(name)).await.unwrap_err();
        assert!(
            matches!(&error, LoadError::Invalid { why, .. } if why.contains("is no name for a plugin")),
            "{error}"
        );
        assert!(!error.to_string().ends_with('\n'));
    }
    runtime.load(spec("probe").name("x".repeat(64))).await.unwrap();
}

/// H47: settings for a handler that the plugin does not have are refused, naming those it has.
#[tokio::test]
async fn h47_settings_for_an_unknown_handler_are_refused() {
    let runtime = runtime();
    let error = runtime
        .load(spec("probe").handler("al", HandlerSpec::default()))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("plugin.handler.al: it has no such handler; it has all"),
        "{error}"
    );
    runtime
        .load(spec("probe").handler("all", HandlerSpec::default()))
        .await
        .unwrap();
}

/// L6: the operator's name is the one of outcomes and of the events that the plugin publishes.
#[tokio::test]
async fn the_operators_name_is_the_plugins_name() {
    let runtime = runtime_with([hostile_as("renamed")]).await;
    let reports = Seen::subscribe(&runtime, "hostile.report", "reports");
    let status = runtime.plugin("renamed").unwrap();
    assert_eq!(
        (status.name.as_str(), status.info.name.as_str()),
        ("renamed", "hostile")
    );
    let report = runtime.publish(event("hostile.count", Value::Null)).await.unwrap();
    assert_eq!(report.outcomes[0].handler.to_string(), "renamed/sin");
    assert_eq!(reports.wait_for(1).await[0].source(), "renamed");
}

/// H36: a digest that fits is loaded, in either case; another is refused with both.
#[tokio::test]
async fn h36_a_pinned_digest_is_checked() {
    let bytes = std::fs::read(plugin("probe")).unwrap();
    let digest = digest_of(&bytes);
    let runtime = runtime();
    let status = runtime.load(spec("probe").digest(digest.to_uppercase())).await.unwrap();
    assert_eq!(status.digest, digest);
    let pinned = digest_of(b"another file");
    let error = runtime
        .load(spec("probe").name("other").digest(&pinned))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, LoadError::Digest { .. }) && text.contains(&digest) && text.contains(&pinned),
        "{text}"
    );
}

/// L6: a component may come from memory.
#[tokio::test]
async fn a_component_in_memory_is_as_good_as_a_file() {
    let bytes = std::fs::read(plugin("probe")).unwrap();
    let runtime = runtime_with([PluginSpec::from_bytes(bytes)]).await;
    assert!(runtime.publish(event("x", Value::Null)).await.unwrap().all_ok());
}

/// B8: a filter plugin filters from its start to its stop, whichever way it ends.
#[tokio::test]
async fn b8_a_filter_plugin_filters_while_it_is_started() {
    let runtime = runtime_with([spec("probe")]).await;
    let secret = || event("x", json!({ "text": "hunter2" }));
    let filter = spec("no-secrets").config(config(json!({ "words": ["hunter2"] })));
    let status = runtime.load(filter.clone()).await.unwrap();
    assert_eq!(status.kind, PluginKind::Filter);
    assert!(runtime.publish(secret()).await.unwrap().all_ok(), "only loaded");
    for end in ["stop", "unload"] {
        runtime.start("no-secrets").await.unwrap();
        let report = runtime.publish(secret()).await.unwrap();
        assert!(matches!(&report.disposition, Disposition::Filtered { name, .. } if &**name == "no-secrets"));
        assert!(
            runtime
                .publish(event("x", json!({ "text": "fine" })))
                .await
                .unwrap()
                .all_ok()
        );
        match end {
            "stop" => runtime.stop("no-secrets").await.unwrap(),
            _ => runtime.unload("no-secrets").await.unwrap(),
        }
        assert!(runtime.publish(secret()).await.unwrap().all_ok(), "{end}");
    }
}

/// S8, B11: a subscribe grant narrows what a plugin declares; where they have nothing in common it gets nothing.
#[tokio::test]
async fn s8_a_subscribe_grant_narrows_what_a_plugin_sees() {
    let narrow = spec("probe")
        .name("narrow")
        .grants(Grants::default().subscribe(patterns(["user.*", "data.created"])));
    let deaf = spec("auth-enhancer").grants(publishes("auth.*").subscribe(patterns(["data.>"])));
    let runtime = runtime_with([narrow, deaf, spec("probe")]).await;
    for event_type in [
        "user.login",
        "data.created",
        "user.login.failed",
        "data.deleted",
        "user",
    ] {
        runtime
            .publish(event(event_type, json!({ "ip": "192.0.2.1" })))
            .await
            .unwrap();
    }
    assert_eq!(count(&runtime, "narrow/all", Class::Ok), 2);
    assert_eq!(count(&runtime, "probe/all", Class::Ok), 5);
    assert!(
        runtime
            .handler_stats()
            .iter()
            .all(|stats| stats.handler.plugin() != Some("auth-enhancer"))
    );
}
