//! B10: loops end.

use std::future::ready;

use palisade::{Context, DeadLetterReason, Draft, Event, Failure, PublishError, Runtime};
use palisade_tests::{Seen, hostile_as, runtime, runtime_with, small_engine, spec};

use super::words::{letters, plain};

fn hops(event: &Event) -> u8 {
    event.hop_count()
}

/// Publishes the first event of a loop and returns what went round, which has to end in one dead letter.
async fn round(runtime: &Runtime, first: &str, last: &str) -> Vec<Event> {
    let seen = Seen::published(runtime);
    assert!(runtime.publish(plain(first)).await.expect("published").all_ok());
    runtime.quiet().await;
    let letter = letters(runtime, 1).await.remove(0);
    assert_eq!(
        (letter.reason, letter.reason.as_str()),
        (DeadLetterReason::HopLimit, "hop-limit")
    );
    assert_eq!((hops(&letter.event), letter.event.event_type()), (17, last));
    assert_eq!((letter.handler, letter.attempts), (None, 0));
    assert!(letter.error.contains("events.max-hops"), "{}", letter.error);
    seen.all()
}

/// B10, H23: a guest that publishes what it handles ends after 16 hops, in the dead letters.
#[tokio::test]
async fn b10_h23_a_cycle_ends_at_16_hops() {
    let runtime = runtime_with([hostile_as("round"), spec("probe")]).await;
    let seen = round(&runtime, "hostile.cycle", "hostile.cycle").await;
    assert_eq!(seen.iter().map(hops).collect::<Vec<_>>(), (1..=16).collect::<Vec<u8>>());
    assert!(
        seen.iter()
            .all(|event| event.event_type() == "hostile.cycle" && event.source() == "round")
    );
}

/// B10, H23: two plugins that play ping-pong as well.
#[tokio::test]
async fn b10_h23_ping_pong_ends_at_16_hops() {
    let only = |name: &str, pattern: &str| {
        let grants = hostile_as(name).grants.subscribe([pattern.parse().expect("a pattern")]);
        hostile_as(name).grants(grants)
    };
    let runtime = runtime_with([
        only("left", "hostile.ping"),
        only("right", "hostile.pong"),
        spec("probe"),
    ])
    .await;
    let seen = round(&runtime, "hostile.ping", "hostile.pong").await;
    assert_eq!(seen.len(), 16);
    for (at, event) in seen.iter().enumerate() {
        let expected = if at % 2 == 0 {
            ("hostile.pong", "left")
        } else {
            ("hostile.ping", "right")
        };
        assert_eq!(
            (event.event_type(), event.source(), usize::from(hops(event))),
            (expected.0, expected.1, at + 1)
        );
    }
}

fn cycle(cx: Context) -> std::future::Ready<Result<(), Failure>> {
    ready(
        cx.publish(Draft::new("a"))
            .map(drop)
            .map_err(|error| Failure::reject(error.to_string())),
    )
}

/// B10: a native handler's loop ends likewise, and at the number that the builder was given.
#[tokio::test(start_paused = true)]
async fn b10_the_limit_of_hops_can_be_set() {
    let runtime = Runtime::builder()
        .engine(small_engine())
        .max_hops(3)
        .build()
        .expect("a runtime");
    runtime.subscribe("a", "cycle", cycle).expect("a subscription");
    let seen = Seen::published(&runtime);
    runtime.publish(plain("a")).await.expect("published");
    runtime.quiet().await;
    assert_eq!(seen.all().iter().map(hops).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(letters(&runtime, 1).await[0].reason, DeadLetterReason::HopLimit);
}

/// B10: a hop count from outside counts on, so that a loop over two hosts ends too.
#[tokio::test(start_paused = true)]
async fn b10_a_hop_count_from_outside_counts_on() {
    let runtime = runtime();
    runtime.subscribe("a", "cycle", cycle).expect("a subscription");
    let seen = Seen::published(&runtime);
    let event = Event::builder("a", "/other/host")
        .extension("hopcount", 14)
        .build()
        .expect("an event");
    runtime.publish_async(event).await.expect("published");
    runtime.quiet().await;
    assert_eq!(seen.all().iter().map(hops).collect::<Vec<_>>(), [15, 16]);
    letters(&runtime, 1).await;
}

/// B10, H23: hop 16 from outside is still delivered; hop 17 is an error of either publish and a dead letter, and reaches nobody.
#[tokio::test(start_paused = true)]
async fn b10_hops_from_outside_obeyed_and_violated() {
    let runtime = runtime();
    let seen = Seen::subscribe(&runtime, "a", "seen");
    let at = |hops: i64| {
        Event::builder("a", "/other/host")
            .extension("hopcount", hops)
            .build()
            .expect("an event")
    };
    assert!(runtime.publish(at(16)).await.expect("published").all_ok());
    for refused in [
        runtime.publish(at(17)).await.err(),
        runtime.publish_async(at(255)).await.err(),
    ] {
        assert!(
            matches!(refused, Some(PublishError::HopLimit { limit: 16, .. })),
            "{refused:?}"
        );
    }
    runtime.quiet().await;
    assert_eq!(seen.len(), 1);
    let kept: Vec<_> = letters(&runtime, 2)
        .await
        .iter()
        .map(|letter| hops(&letter.event))
        .collect();
    assert_eq!(kept, [17, 255]);
}

/// B10: a plugin never gets its own lifecycle events, and gets those of others.
#[tokio::test]
async fn b10_a_plugin_never_gets_its_own_lifecycle_events() {
    let runtime = runtime_with([spec("probe").name("first")]).await;
    let count = || super::words::stats_of(&runtime, "first/all").count(palisade::Class::Ok);
    runtime.quiet().await;
    assert_eq!(count(), 0, "its own `plugin.started`");
    runtime
        .launch(vec![spec("probe").name("second")])
        .await
        .expect("started");
    runtime.quiet().await;
    assert_eq!(count(), 3, "loaded, initialized, started");
    runtime
        .reconfigure("first", palisade::PluginConfig::default().with("key", 1))
        .await
        .expect("reconfigured");
    runtime.quiet().await;
    assert_eq!(count(), 3, "its own `config.changed`");
    runtime.unload("second").await.expect("unloaded");
    runtime.quiet().await;
    assert_eq!(count(), 5, "stopped, unloaded");
}
