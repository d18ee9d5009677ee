//! B1: who is subscribed to what.

use std::future::ready;
use std::sync::Arc;

use palisade::{
    Completion, Context, Delivery, Disposition, Failure, Fault, Grants, Handler, Limits, Runtime, SubscribeError,
    SubscribeOptions,
};
use palisade_tests::{Seen, config, event, hostile, limits, runtime, runtime_with};
use serde_json::json;

use super::words::{plain, report};

fn nothing(_: Context) -> std::future::Ready<Result<(), Failure>> {
    ready(Ok(()))
}

async fn matched(runtime: &Runtime, event_type: &str) -> usize {
    runtime
        .publish(plain(event_type))
        .await
        .expect("published")
        .outcomes
        .len()
}

/// B1: a subscription ends by its id, once.
#[tokio::test(start_paused = true)]
async fn b1_unsubscribe_by_id_ends_that_subscription_only() {
    let runtime = runtime();
    let first = runtime.subscribe("a.*", "one", nothing).expect("a subscription");
    runtime.subscribe("a.*", "two", nothing).expect("another");
    assert_eq!(matched(&runtime, "a.b").await, 2);
    runtime.unsubscribe(first).expect("it was there");
    assert_eq!(matched(&runtime, "a.b").await, 1);
    assert!(matches!(runtime.unsubscribe(first), Err(SubscribeError::NotFound(_))));
}

/// B1: it ends by pattern and name as well; what is not there is `NotFound`, and nothing else ends for it.
#[tokio::test(start_paused = true)]
async fn b1_unsubscribe_by_pattern_and_name() {
    let runtime = runtime();
    runtime
        .subscribe_with(&["a.b", "a.*"], "one", SubscribeOptions::default(), nothing)
        .expect("subscriptions");
    runtime.unsubscribe_pattern("a.b", "one").expect("it was there");
    assert_eq!((matched(&runtime, "a.b").await, matched(&runtime, "a.c").await), (1, 1));
    for (pattern, name) in [("a.b", "one"), ("a.*", "two"), ("a.>", "one")] {
        let error = runtime.unsubscribe_pattern(pattern, name);
        assert!(
            matches!(error, Err(SubscribeError::NotFound(_))),
            "{pattern} {name}: {error:?}"
        );
    }
    let error = runtime.unsubscribe_pattern("a.>.b", "one");
    assert!(matches!(error, Err(SubscribeError::Pattern(_))), "{error:?}");
    runtime.unsubscribe_pattern("a.*", "one").expect("it was there");
    assert_eq!(matched(&runtime, "a.b").await, 0);
}

struct Own;

impl Handler for Own {
    fn handle(&self, _: Delivery) -> palisade::BoxFuture<'_, Completion> {
        Box::pin(ready(Completion::failed(Fault::new(palisade::Class::Rejected, "own"))))
    }
}

/// B1: (pattern, handler) is unique; a list of patterns is subscribed as a whole or not at all.
#[tokio::test(start_paused = true)]
async fn b1_a_second_subscription_is_already_exists() {
    let runtime = runtime();
    let handler: Arc<dyn Handler> = Arc::new(Own);
    let subscribe = |patterns: &[&str], handler: &Arc<dyn Handler>| {
        runtime.subscribe_handler(patterns, "own", SubscribeOptions::default(), handler.clone())
    };
    assert_eq!(subscribe(&["a.b"], &handler).expect("the first").len(), 1);
    let error = subscribe(&["c.d", "a.b"], &handler).expect_err("the second");
    assert!(
        matches!(&error, SubscribeError::AlreadyExists { pattern, .. } if pattern.as_str() == "a.b"),
        "{error}"
    );
    assert_eq!(matched(&runtime, "c.d").await, 0, "nothing of a failed subscribe stays");
    let error = subscribe(&["c.d", "c.d"], &handler).expect_err("twice in one list");
    assert!(matches!(error, SubscribeError::AlreadyExists { .. }), "{error}");
    let other: Arc<dyn Handler> = Arc::new(Own);
    let error = subscribe(&["c.d"], &other).expect_err("another handler of the same name");
    assert!(matches!(error, SubscribeError::NameTaken { .. }), "{error}");
    assert!(matches!(
        subscribe(&[], &handler),
        Err(SubscribeError::NoPattern { .. })
    ));
    assert!(matches!(
        subscribe(&["c..>"], &handler),
        Err(SubscribeError::Pattern(_))
    ));
    subscribe(&["c.d"], &handler).expect("more patterns for the same handler");
    assert_eq!((matched(&runtime, "a.b").await, matched(&runtime, "c.d").await), (1, 1));
}

/// B1: a name is free again once all its subscriptions are gone.
#[tokio::test(start_paused = true)]
async fn b1_a_name_is_free_after_its_last_subscription() {
    let runtime = runtime();
    let ids = runtime
        .subscribe_with(&["a", "b"], "n", SubscribeOptions::default(), nothing)
        .expect("subscriptions");
    runtime.unsubscribe(ids[0]).expect("there");
    let error = runtime.subscribe("c", "n", nothing).expect_err("one is left");
    assert!(matches!(error, SubscribeError::NameTaken { .. }), "{error}");
    runtime.unsubscribe(ids[1]).expect("there");
    runtime.subscribe("c", "n", nothing).expect("none is left");
}

/// B1: `*` is one token and `>` one or more, as NATS has them.
#[tokio::test(start_paused = true)]
async fn b1_wildcards_match_as_in_nats() {
    let runtime = runtime();
    for pattern in ["user.login", "user.*", "user.>", "*.login", ">", "*"] {
        runtime.subscribe(pattern, pattern, nothing).expect("a subscription");
    }
    let names = async |event_type: &str| {
        let report = runtime.publish(plain(event_type)).await.expect("published");
        let mut names: Vec<_> = report
            .outcomes
            .iter()
            .map(|outcome| outcome.handler.to_string())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names("user.login").await,
        ["*.login", ">", "user.*", "user.>", "user.login"]
    );
    assert_eq!(names("user.login.failed").await, [">", "user.>"]);
    assert_eq!(names("user").await, ["*", ">"]);
    assert_eq!(names("x.login").await, ["*.login", ">"]);
}

/// B1: an event that several patterns of one handler match is handled once, and stays so when one of them ends.
#[tokio::test(start_paused = true)]
async fn b1_several_matching_patterns_are_one_delivery() {
    let runtime = runtime();
    let patterns = ["a.b", "a.*", "a.>", ">", "*.b"];
    let ids = runtime
        .subscribe_with(&patterns, "many", SubscribeOptions::default(), nothing)
        .expect("subscriptions");
    assert_eq!(matched(&runtime, "a.b").await, 1);
    let receipt = runtime.publish_async(plain("a.b")).await.expect("published");
    assert_eq!((receipt.matched, receipt.enqueued), (1, 1));
    for id in ids {
        assert_eq!(matched(&runtime, "a.b").await, 1);
        runtime.unsubscribe(id).expect("there");
    }
    assert_eq!(matched(&runtime, "a.b").await, 0);
}

/// B1: subscribing from inside a handler works, and takes effect with the next publish.
#[tokio::test(start_paused = true)]
async fn b1_subscribing_inside_a_native_handler_takes_effect_with_the_next_publish() {
    let runtime = runtime();
    let inner = runtime.clone();
    let subscribe = move |_: Context| {
        let done = inner.subscribe("a", "late", nothing).map(drop);
        ready(done.map_err(|error| Failure::reject(error.to_string())))
    };
    runtime.subscribe("a", "early", subscribe).expect("a subscription");
    let first = runtime.publish(plain("a")).await.expect("published");
    assert!(first.all_ok() && first.of("late").is_none(), "{first:?}");
    let second = runtime.publish(plain("a")).await.expect("published");
    assert!(second.of("late").is_some(), "{second:?}");
}

/// B1: so does unsubscribing; even itself, and even a handler that the same publish still delivers to.
#[tokio::test(start_paused = true)]
async fn b1_unsubscribing_inside_a_native_handler_takes_effect_with_the_next_publish() {
    let runtime = runtime();
    let inner = runtime.clone();
    let leave = move |_: Context| {
        let both = inner
            .unsubscribe_pattern("a", "first")
            .and_then(|()| inner.unsubscribe_pattern("a", "second"));
        ready(both.map_err(|error| Failure::reject(error.to_string())))
    };
    runtime.subscribe("a", "first", leave).expect("a subscription");
    let seen = Seen::subscribe(&runtime, "a", "second");
    let report = runtime.publish(plain("a")).await.expect("published");
    assert!(report.all_ok(), "{report:?}");
    assert_eq!((report.outcomes.len(), seen.len()), (2, 1));
    let report = runtime.publish(plain("a")).await.expect("published");
    assert_eq!(report.disposition, Disposition::Unmatched);
}

fn may_subscribe(pattern: &str) -> Grants {
    let patterns = [pattern, "hostile.>"].map(|pattern| pattern.parse().expect("a pattern"));
    hostile().grants.subscribe(patterns)
}

/// B1, B11: a guest with the grant subscribes and unsubscribes from inside its handler, effective with the next publish.
#[tokio::test]
async fn b1_a_guest_subscribes_and_unsubscribes_inside_its_handler() {
    let runtime = runtime_with([hostile().grants(may_subscribe("other.>"))]).await;
    let reports = Seen::published(&runtime);
    let ask = async |sin: &str, pattern: &str, nth: usize| {
        let sent = runtime
            .publish(event(&format!("hostile.{sin}"), json!(pattern)))
            .await
            .expect("published");
        assert!(sent.all_ok(), "{sent:?}");
        report(&reports.wait_for(nth).await[nth - 1], sin)
    };
    let other = async || {
        runtime
            .publish(plain("other.x"))
            .await
            .expect("published")
            .of("hostile/sin")
            .is_some()
    };
    assert!(!other().await);
    assert_eq!(ask("subscribe", "other.*", 1).await["error"], json!(null));
    assert!(other().await);
    assert_eq!(report(&reports.wait_for(2).await[1], "other")["type"], "other.x");
    assert!(ask("subscribe", "other.*", 3).await["error"].is_string(), "twice");
    assert_eq!(ask("unsubscribe", "other.*", 4).await["error"], json!(null));
    assert!(!other().await);
    assert!(ask("unsubscribe", "other.*", 5).await["error"].is_string(), "gone");
    runtime.quiet().await;
}

/// B11, H26: without a grant that covers it a guest subscribes to nothing more, and hears which one it lacks.
#[tokio::test]
async fn b11_h26_a_guest_without_the_grant_subscribes_to_nothing() {
    for grants in [hostile().grants, may_subscribe("others.*")] {
        let runtime = runtime_with([hostile().grants(grants)]).await;
        let reports = Seen::published(&runtime);
        runtime
            .publish(event("hostile.subscribe", json!("other.*")))
            .await
            .expect("published");
        let answer = report(&reports.wait_for(1).await[0], "subscribe");
        assert!(
            answer["error"].as_str().is_some_and(|text| text.contains("grant")),
            "{answer}"
        );
        assert!(
            runtime
                .publish(plain("other.x"))
                .await
                .expect("published")
                .of("hostile/sin")
                .is_none()
        );
    }
}

/// B1: what an instance subscribes in `start` belongs to the plugin; a second instance changes nothing, a stop ends it.
#[tokio::test]
async fn b1_subscriptions_of_start_belong_to_the_plugin() {
    let spec = hostile().grants(may_subscribe("other.>")).concurrency(2);
    let runtime = runtime_with([spec.config(config(json!({ "in-start": "subscribe" })))]).await;
    let outcomes = async || matched(&runtime, "other.x").await;
    assert_eq!(outcomes().await, 1);
    runtime.stop("hostile").await.expect("stopped");
    assert_eq!(outcomes().await, 0, "dynamic subscriptions end with the plugin's stop");
    runtime.start("hostile").await.expect("started");
    assert_eq!(outcomes().await, 1);
}

/// H26: the number of a plugin's subscriptions is capped; what is below works, and the neighbour is served.
#[tokio::test]
async fn h26_subscription_limit_obeyed_and_violated() {
    let cap = |limits: &mut Limits| limits.subscriptions = 10;
    // One pattern is declared, so nine are left.
    let grants = hostile().grants.subscribe(["hostile.>".parse().expect("a pattern")]);
    let spec = hostile().grants(grants).limits(limits(cap));
    let runtime = runtime_with([spec, palisade_tests::spec("probe")]).await;
    let reports = Seen::published(&runtime);
    let report_of = async |count: u64, nth: usize| {
        let sent = runtime
            .publish(event("hostile.flood-subscribe", json!(count)))
            .await
            .expect("published");
        assert!(sent.all_ok() && sent.of("probe/all").is_some(), "{sent:?}");
        report(&reports.wait_for(nth).await[nth - 1], "flood-subscribe")
    };
    assert_eq!(
        report_of(9, 1).await,
        json!({ "sin": "flood-subscribe", "made": 9, "error": null })
    );
    let violated = report_of(100_000, 2).await;
    assert_eq!(violated["made"], 0, "{violated}");
    runtime.quiet().await;
    assert_eq!(
        matched(&runtime, "hostile.extra.8").await,
        3,
        "hostile once, probe, and the collector"
    );
}

/// B1: ten thousand subscriptions, each of which still gets its own events and no other's.
#[tokio::test(start_paused = true)]
async fn b1_ten_thousand_subscriptions_work() {
    let runtime = runtime();
    let mut ids = Vec::new();
    for n in 0..10_000 {
        let pattern = if n % 10 == 0 {
            format!("t.{n}.*")
        } else {
            format!("t.{n}.x")
        };
        ids.push(
            runtime
                .subscribe(&pattern, &format!("h{n}"), nothing)
                .expect("a subscription"),
        );
    }
    for n in [0, 1, 4_999, 5_000, 9_999] {
        let report = runtime.publish(plain(&format!("t.{n}.x"))).await.expect("published");
        assert!(report.all_ok() && report.outcomes.len() == 1, "{report:?}");
        assert!(report.of(&format!("h{n}")).is_some());
    }
    assert_eq!(matched(&runtime, "t.10000.x").await, 0);
    for id in ids {
        runtime.unsubscribe(id).expect("there");
    }
    assert_eq!(
        (matched(&runtime, "t.0.x").await, runtime.handler_stats().len()),
        (0, 0)
    );
}
