//! B11: what handlers publish.

use std::future::ready;
use std::sync::{Arc, Mutex};

use palisade::{Class, Context, DeadLetterReason, Draft, Failure, Overflow, PublishRefused, Runtime};
use palisade_tests::{Seen, config, event, hostile, limits, runtime, runtime_with, spec};
use serde_json::{Value, json};

use super::words::{Gate, letters, plain, queue_of, report};

fn reject(error: impl std::fmt::Display) -> Failure {
    Failure::reject(error.to_string())
}

/// B11: the outbox is released when the handler returns ok and forgotten when it fails, native or guest.
#[tokio::test]
async fn b11_the_outbox_is_released_on_ok_and_forgotten_on_failure() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    let seen = Seen::published(&runtime);
    let publish = |cx: Context| {
        let sent = cx.publish(Draft::new("out.native")).map_err(reject);
        ready(sent.and_then(|_| match cx.event.event_type() {
            "do.panic" => panic!("after publishing"),
            "do.reject" => Err(Failure::reject("after publishing")),
            "do.retry" => Err(Failure::retry("after publishing")),
            _ => Ok(()),
        }))
    };
    runtime.subscribe("do.*", "native", publish).expect("a subscription");
    for event_type in ["do.panic", "do.reject", "do.retry", "do.well"] {
        runtime.publish(plain(event_type)).await.expect("published");
    }
    for then_fail in [true, false] {
        let order = json!({ "type": "hostile.drop", "then-fail": then_fail });
        let report = runtime
            .publish(event("hostile.publish", order))
            .await
            .expect("published");
        assert_eq!(
            report.of("hostile/sin").expect("an outcome").class == Class::Ok,
            !then_fail
        );
    }
    runtime.quiet().await;
    assert_eq!(seen.types(), ["out.native", "hostile.drop"]);
}

/// B11: of a retried event the attempt that succeeds publishes, the failed ones have published nothing.
#[tokio::test(start_paused = true)]
async fn b11_only_the_successful_attempt_publishes() {
    let runtime = runtime();
    let flaky = |cx: Context| {
        let sent = Draft::json("out", &cx.attempt)
            .map_err(reject)
            .and_then(|draft| cx.publish(draft).map_err(reject));
        ready(sent.and_then(|_| {
            if cx.attempt < 3 {
                Err(Failure::retry("not yet"))
            } else {
                Ok(())
            }
        }))
    };
    runtime.subscribe("a", "flaky", flaky).expect("a subscription");
    let seen = Seen::published(&runtime);
    runtime.publish_async(plain("a")).await.expect("published");
    runtime.quiet().await;
    assert_eq!(
        seen.all()
            .iter()
            .map(|event| event.json::<u32>().expect("a number"))
            .collect::<Vec<_>>(),
        [3]
    );
}

/// How many drafts of so many data bytes each a native handler could publish, and why no more.
async fn taken(runtime: &Runtime, drafts: usize, bytes: usize) -> (usize, Option<PublishRefused>) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let note = answers.clone();
    let flood = move |cx: Context| {
        let draft = || {
            Draft::new("out")
                .with_content_type("text/plain")
                .with_data(vec![b'x'; bytes])
        };
        note.lock().unwrap().extend((0..drafts).map(|_| cx.publish(draft())));
        ready(Ok(()))
    };
    let id = runtime.subscribe("flood", "flood", flood).expect("a subscription");
    assert!(runtime.publish(plain("flood")).await.expect("published").all_ok());
    runtime.unsubscribe(id).expect("there");
    let mut answers = std::mem::take(&mut *answers.lock().unwrap());
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    let first_refusal = answers
        .iter()
        .position(Result::is_err)
        .map(|at| answers.swap_remove(at));
    (taken, first_refusal.and_then(Result::err))
}

/// B11, H22: 64 events a call and 1 MiB in all, for native handlers; what was taken is published.
#[tokio::test(start_paused = true)]
async fn b11_h22_outbox_limits_obeyed_and_violated() {
    let runtime = runtime();
    let seen = Seen::published(&runtime);
    assert!(matches!(taken(&runtime, 64, 0).await, (64, None)));
    let (events, refused) = taken(&runtime, 10_000, 0).await;
    assert!(
        matches!(
            refused,
            Some(PublishRefused::OverLimit {
                limit: 64,
                unit: "events",
                ..
            })
        ),
        "{refused:?}"
    );
    runtime.quiet().await;
    assert_eq!((events, seen.len()), (64, 128));
    // Four of a quarter each would be 1 MiB and their types: three fit.
    let quarter = 256 * 1024;
    assert!(matches!(taken(&runtime, 3, quarter).await, (3, None)));
    let (few, refused) = taken(&runtime, 4, quarter).await;
    assert!(
        matches!(
            refused,
            Some(PublishRefused::OverLimit {
                limit: 1_048_576,
                unit: "bytes",
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(few, 3);
}

/// B11, H22: the same for a guest, which goes on; and by the plugin's own limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_h22_a_guests_outbox_limits_obeyed_and_violated() {
    let few = limits(|limits| (limits.publish_events, limits.publish_bytes) = (10, 1024 * 1024));
    for (spec_of_guest, cap) in [(hostile(), 64), (hostile().limits(few), 10)] {
        let runtime = runtime_with([spec_of_guest, spec("probe")]).await;
        let seen = Seen::published(&runtime);
        for (asked, came) in [(cap, cap), (10_000, cap)] {
            let before = seen.len();
            let report = runtime
                .publish(event("hostile.flood", json!(asked)))
                .await
                .expect("published");
            assert!(report.all_ok(), "{report:?}");
            runtime.quiet().await;
            assert_eq!(seen.len() - before, came);
        }
        let before = seen.len();
        runtime
            .publish(event("hostile.big-publish", json!(2)))
            .await
            .expect("published");
        let answer = report(&seen.wait_for(before + 1).await[before], "big-publish");
        assert!(answer["error"].is_string(), "{answer}");
    }
}

/// B11: the outbox never waits: what a full queue refuses becomes a dead letter `overloaded`, the handler stays ok.
#[tokio::test(start_paused = true)]
async fn b11_a_full_queue_makes_a_dead_letter_of_an_outbox_event() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "out", "slow", queue_of(1, Overflow::Block));
    let seen = Seen::subscribe(&runtime, "out", "quick");
    let three = |cx: Context| {
        let sent = [1, 2, 3].map(|_| cx.publish(Draft::new("out")));
        ready(
            sent.into_iter()
                .collect::<Result<Vec<_>, _>>()
                .map(drop)
                .map_err(reject),
        )
    };
    runtime.subscribe("a", "three", three).expect("a subscription");
    let before = tokio::time::Instant::now();
    assert!(runtime.publish(plain("a")).await.expect("published").all_ok());
    assert_eq!(before.elapsed(), std::time::Duration::ZERO, "it never waits");
    seen.wait_for(3).await;
    gate.open(3);
    runtime.quiet().await;
    for letter in letters(&runtime, 2).await {
        assert_eq!(letter.reason, DeadLetterReason::Failed(Class::Overloaded));
        assert_eq!(letter.handler.expect("a handler").to_string(), "slow");
        assert!(letter.error.contains("full"), "{}", letter.error);
    }
}

/// B11: `start` and `stop` may publish; `health` may not, and neither may `describe`.
#[tokio::test]
async fn b11_start_and_stop_may_publish_and_health_and_describe_may_not() {
    let settings = json!({ "in-start": "publish", "in-stop": "publish", "in-health": "publish" });
    let runtime = runtime();
    let seen = Seen::published(&runtime);
    let spec = hostile().config(config(settings));
    let description = runtime
        .inspect(spec.clone())
        .await
        .expect("it can be loaded")
        .info
        .description;
    assert!(
        description.contains("Err") && description.contains("may not publish"),
        "{description}"
    );
    runtime.launch(vec![spec]).await.expect("started");
    assert_eq!(
        report(&seen.wait_for(1).await[0], "in-start"),
        json!({ "sin": "in-start" })
    );
    let palisade::Health::Unhealthy(told) = runtime.plugin_health("hostile").await.expect("known") else {
        panic!("it tells by its health");
    };
    assert!(told.contains("may not publish"), "{told}");
    runtime.stop("hostile").await.expect("stopped");
    runtime.quiet().await;
    let sins: Vec<_> = seen
        .all()
        .iter()
        .map(|event| event.json::<Value>().expect("JSON")["sin"].clone())
        .collect();
    assert_eq!(sins, ["in-start", "in-stop"]);
}
