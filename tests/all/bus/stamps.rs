//! B11 and H25: what the host stamps on the events of handlers, and what nobody can forge.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};

use palisade::{Context, Draft, DraftError, Event, Failure, PublishError, PublishRefused};
use palisade_tests::{Seen, config, event, hostile, publishes, runtime, runtime_with, spec};
use serde_json::json;

use super::words::{plain, report};

fn reject(error: impl std::fmt::Display) -> Failure {
    Failure::reject(error.to_string())
}

/// B11: a lineage that begins in `start` has a correlation and a trace of its own, and no cause.
#[tokio::test]
async fn b11_what_start_publishes_begins_a_lineage() {
    let runtime = runtime();
    let seen = Seen::published(&runtime);
    runtime
        .launch(vec![hostile().config(config(json!({ "in-start": "publish" })))])
        .await
        .expect("started");
    let first = seen.wait_for(1).await.remove(0);
    assert_eq!((first.source(), first.hop_count()), ("hostile", 0));
    assert_eq!(first.metadata("correlationid").as_deref(), Some(first.id()));
    assert!(first.metadata("causationid").is_none() && first.metadata("traceparent").is_some());
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a handler's event has to carry when it was published on this cause.
fn assert_stamped(event: &Event, cause: &Event, source: &str) {
    let id = uuid::Uuid::parse_str(event.id()).expect("a UUID");
    assert_eq!((id.get_version_num(), event.source()), (7, source));
    assert!(event.time().is_some());
    let metadata: BTreeMap<_, _> = event.all_metadata().into_iter().collect();
    let correlation = cause
        .metadata("correlationid")
        .map_or(cause.id().to_owned(), |id| id.into_owned());
    assert_eq!(metadata["correlationid"], correlation);
    assert_eq!(metadata["causationid"], cause.id());
    assert_eq!(metadata["hopcount"], (cause.hop_count() + 1).to_string());
    let (parent, own) = (
        cause.metadata("traceparent").expect("a parent"),
        &metadata["traceparent"],
    );
    assert_eq!(
        (&own[..36], &own[52..]),
        (&parent[..36], &parent[52..]),
        "trace id and flags go on: {own}"
    );
    assert_ne!(own[36..52], parent[36..52], "the span is a new one");
    assert_eq!(own.len(), parent.len());
}

/// B11, B10: the host stamps id, source, time, correlation, causation, hop count and traceparent, hop by hop.
#[tokio::test]
async fn b11_the_stamps_of_what_handlers_publish() {
    let runtime = runtime_with([hostile()]).await;
    let native = |cx: Context| {
        let order = json!({ "type": "hostile.drop", "data": [1], "metadata": { "tenant": "t" } });
        let draft = Draft::json("hostile.publish", &order).map_err(reject);
        ready(draft.and_then(|draft| cx.publish(draft).map(drop).map_err(reject)))
    };
    runtime.subscribe("a", "native", native).expect("a subscription");
    let seen = Seen::published(&runtime);
    let cause = Event::builder("a", "/tests")
        .extension("traceparent", PARENT)
        .build()
        .expect("an event");
    runtime.publish(cause.clone()).await.expect("published");
    let both = seen.wait_for(2).await;
    assert_stamped(&both[0], &cause, "native");
    assert_stamped(&both[1], &both[0], "hostile");
    assert_eq!(
        both[1].metadata("correlationid").as_deref(),
        Some(cause.id()),
        "the first of the chain"
    );
    assert_eq!(both[1].metadata("tenant").as_deref(), Some("t"));
    assert_eq!(
        (both[1].content_type(), both[1].data()),
        ("application/json", &b"[1]"[..])
    );
}

/// B11: a traceparent that is none begins a new trace and is not handed on.
#[tokio::test(start_paused = true)]
async fn b11_a_broken_traceparent_is_not_handed_on() {
    let runtime = runtime();
    let tell = |cx: Context| ready(cx.publish(Draft::new("out")).map(drop).map_err(reject));
    runtime.subscribe("a", "tell", tell).expect("a subscription");
    let seen = Seen::published(&runtime);
    let zeros = PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
    let broken = [
        "",
        "x",
        "00-zz-00f067aa0ba902b7-01",
        &zeros,
        &format!("{PARENT}-more"),
        &PARENT.to_uppercase(),
    ];
    for (at, parent) in broken.into_iter().enumerate() {
        let cause = Event::builder("a", "/tests")
            .extension("traceparent", parent)
            .build()
            .expect("an event");
        runtime.publish(cause).await.expect("published");
        let own = seen.wait_for(at + 1).await[at]
            .metadata("traceparent")
            .expect("a trace")
            .into_owned();
        assert!(
            own.len() == 55 && own.starts_with("00-") && own.ends_with("-00"),
            "{own}"
        );
        assert!(!own.contains(&"0".repeat(32)), "{own}");
    }
}

/// B11, H25: the host's types are refused to publishers, native handlers and guests alike; so are forged stamps.
#[tokio::test]
async fn b11_h25_reserved_types_and_forged_stamps_are_refused() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    for event_type in [
        "plugin.loaded",
        "plugin.x",
        "system.shutdown",
        "config.changed",
        "config.a.b",
    ] {
        let refused = [
            runtime.publish(plain(event_type)).await.err(),
            runtime.publish_async(plain(event_type)).await.err(),
        ];
        assert!(
            refused
                .iter()
                .all(|error| matches!(error, Some(PublishError::Reserved(_)))),
            "{refused:?}"
        );
    }
    let answers = Arc::new(Mutex::new(Vec::new()));
    let note = answers.clone();
    let forge = move |cx: Context| {
        let forged = [
            "hopcount",
            "correlationid",
            "causationid",
            "traceparent",
            "tracestate",
            "source",
            "id",
        ];
        let drafts = forged.map(|name| Draft::new("out").with_metadata(name, "1"));
        let drafts = drafts
            .into_iter()
            .chain([Draft::new("plugin.x"), Draft::new("system.startup")]);
        note.lock().unwrap().extend(drafts.map(|draft| cx.publish(draft)));
        ready(Ok(()))
    };
    runtime.subscribe("forge", "native", forge).expect("a subscription");
    runtime.publish(plain("forge")).await.expect("published");
    for answer in answers.lock().unwrap().iter() {
        let wanted = matches!(
            answer,
            Err(PublishRefused::Draft(
                DraftError::HostOwned(_) | DraftError::Reserved(_)
            ))
        );
        assert!(wanted, "{answer:?}");
    }
}

/// B11, H25: a guest is told so one by one, and told the grant that it lacks; nothing of it reaches the bus.
#[tokio::test]
async fn b11_h25_a_guest_can_forge_nothing() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    let seen = Seen::published(&runtime);
    for (nth, sin) in ["reserved", "forge"].into_iter().enumerate() {
        assert!(
            runtime
                .publish(plain(&format!("hostile.{sin}")))
                .await
                .expect("published")
                .all_ok()
        );
        let answers = report(&seen.wait_for(nth + 1).await[nth], sin)["answers"].clone();
        let answers = answers.as_object().expect("a table");
        assert!(
            answers.len() >= 9 && answers.values().all(|answer| answer["error"].is_string()),
            "{answers:#?}"
        );
        if sin == "reserved" {
            assert!(
                answers["not.granted"]["error"]
                    .as_str()
                    .expect("text")
                    .contains("plugin.grants.publish")
            );
        }
    }
    runtime.quiet().await;
    assert_eq!(seen.types(), ["hostile.report", "hostile.report"]);
}

/// B11: even a grant of everything does not open the host's types.
#[tokio::test]
async fn b11_a_grant_of_everything_opens_no_reserved_type() {
    let runtime = runtime_with([hostile().grants(publishes(">"))]).await;
    let seen = Seen::published(&runtime);
    runtime.publish(plain("hostile.reserved")).await.expect("published");
    runtime.quiet().await;
    let mut types = seen.types();
    types.sort();
    assert_eq!(types, ["hostile.report", "not.granted"]);
    runtime
        .publish(event("hostile.publish", json!({ "type": "system.startup" })))
        .await
        .expect("published");
    runtime.quiet().await;
    assert_eq!(seen.types().len(), 3);
}
