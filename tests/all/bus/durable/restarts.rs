//! D1, D2, D3, D4, D7, B3, B6: events, attempts, times and dead letters from one runtime to the next.

use palisade::{Class, DeadLetterReason, EventOrder, Failure, StoreError};
use palisade_tests::{Seen, config, event, publishes, spec};
use serde_json::json;

use super::{Calls, Data, HOUR, LONG, SOON, durable, end, named, owe, owed, publish, retries};
use crate::bus::words::{Gate, letters, stats_of};

/// D1: what was published is delivered after the runtime was dropped with all its clones and another one was built; what was
/// for an ephemeral handler is not.
#[tokio::test]
async fn d1_what_was_published_survives_a_drop_of_the_runtime() {
    let data = Data::new();
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "kept", durable());
    let gone = Gate::subscribe(&runtime, "a", "gone");
    for id in ["1", "2", "3"] {
        assert_eq!(publish(&runtime, id).await.enqueued, 2);
    }
    gate.began(1).await;
    gone.began(1).await;
    drop(runtime);
    // Nobody says when the last task that had a hold of it has ended.
    let runtime = loop {
        match data.store() {
            Ok(store) => {
                break palisade::Runtime::builder()
                    .engine(palisade_tests::small_engine())
                    .store(store)
                    .build();
            }
            Err(StoreError::Locked(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let runtime = runtime.expect("a runtime");
    let (kept, gone) = (
        Calls::well(&runtime, "kept", durable()),
        Seen::subscribe(&runtime, "a", "gone"),
    );
    runtime.quiet().await;
    let first = |id: &str| (id.to_owned(), 1);
    assert_eq!(kept.attempts(), [first("1"), first("2"), first("3")]);
    assert!(kept.all().iter().all(|call| !call.replayed) && gone.is_empty());
    assert_eq!(owed(&runtime, "kept").await, 0);
}

/// D1, B3: a `publish` stores the event first: when the runtime ends while its handler is at it, the next one delivers it.
#[tokio::test]
async fn d1_b3_a_publish_that_never_returned_is_owed() {
    let data = Data::new();
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "kept", durable());
    let publisher = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.publish(named("1")).await }
    });
    gate.began(1).await;
    assert_eq!(end(runtime).await.kept, 1);
    publisher.abort();
    let runtime = data.open();
    let kept = Calls::well(&runtime, "kept", durable());
    runtime.quiet().await;
    assert_eq!(kept.attempts(), [("1".to_owned(), 1)]);
}

/// B3, D1: the outcome of a `publish` is that of the first attempt; after a failed one a durable handler tries again from its
/// queue, an ephemeral one does not.
#[tokio::test]
async fn b3_d1_a_publish_is_retried_from_the_queue() {
    let data = Data::new();
    let runtime = data.open();
    let once = |call: &super::Call| match call.attempt {
        1 => Err(Failure::retry("not yet")),
        _ => Ok(()),
    };
    let kept = Calls::subscribe(&runtime, "kept", durable(), once);
    let gone = Calls::subscribe(&runtime, "gone", palisade::SubscribeOptions::default(), once);
    let report = runtime.publish(named("1")).await.expect("published");
    for handler in ["kept", "gone"] {
        let outcome = report.of(handler).expect("it matched");
        assert_eq!((outcome.class, outcome.attempts), (Class::Retry, 1));
    }
    runtime.quiet().await;
    assert_eq!(kept.attempts(), [("1".to_owned(), 1), ("1".to_owned(), 2)]);
    assert_eq!(gone.attempts(), [("1".to_owned(), 1)]);
    letters(&runtime, 0).await;
}

/// D2: a data directory is one runtime's; when that has shut down, whoever still has a clone of it, it is free.
#[tokio::test]
async fn d2_a_data_directory_is_locked_until_the_shutdown() {
    let data = Data::new();
    let runtime = data.open();
    let Err(error) = data.store() else {
        panic!("it is in use");
    };
    assert!(matches!(&error, StoreError::Locked(_)), "{error}");
    let clone = runtime.clone();
    end(runtime).await;
    drop(data.store().expect("it is free"));
    assert!(matches!(
        clone.publish(named("1")).await,
        Err(palisade::PublishError::ShuttingDown)
    ));
}

/// D3: the time of the next attempt survives: an event whose handler asked for an hour is not attempted when the next runtime
/// attempts the one after it.
#[tokio::test]
async fn d3_the_time_of_the_next_attempt_survives_a_restart() {
    let data = Data::new();
    let runtime = data.open();
    let calls = Calls::subscribe(&runtime, "later", durable(), |_| {
        Err(Failure::retry_after("later", HOUR))
    });
    owe(&runtime, &["1"]).await;
    calls.with("1").await;
    // When the next one is called, what becomes of the one before has been handed to the store.
    owe(&runtime, &["2"]).await;
    calls.with("2").await;
    assert_eq!(end(runtime).await.kept, 2);
    let runtime = data.open();
    let calls = Calls::well(&runtime, "later", durable());
    owe(&runtime, &["3"]).await;
    calls.with("3").await;
    let attempts = calls.attempts();
    assert!(!attempts.iter().any(|(id, _)| id == "1"), "{attempts:?}");
    assert!(owed(&runtime, "later").await >= 1);
}

/// D3, B6: an event that has to wait for its time does so, too, when it had to wait first for one before it in its lane.
#[tokio::test]
async fn d3_b6_the_turn_of_a_lane_makes_no_attempt_early() {
    let data = Data::new();
    let runtime = data.open();
    let (hangs, last) = (
        std::sync::Arc::new(tokio::sync::Notify::new()),
        std::sync::Arc::new(tokio::sync::Notify::new()),
    );
    let (began, called) = (hangs.clone(), last.clone());
    let handle = move |cx: palisade::Context| {
        let (began, called) = (began.clone(), called.clone());
        async move {
            match cx.event.id() {
                "x1" => {
                    began.notify_one();
                    std::future::pending().await
                }
                "x2" => Err(Failure::retry_after("later", HOUR)),
                _ => {
                    called.notify_one();
                    Ok(())
                }
            }
        }
    };
    runtime
        .subscribe_with(&["a"], "later", durable().concurrency(2), handle)
        .expect("subscribed");
    owe(&runtime, &["x1", "x2", "y0"]).await;
    // When the last one is called, what becomes of `x2` has been handed to the store.
    tokio::join!(hangs.notified(), last.notified());
    assert!(end(runtime).await.kept >= 2);

    let runtime = data.open();
    let by_key = durable().ordering(EventOrder::Key("subject".into()));
    let calls = Calls::well(&runtime, "later", by_key);
    calls.with("x1").await;
    // What has the turn of its lane after `x1` is before the second of these.
    for id in ["y1", "y2"] {
        owe(&runtime, &[id]).await;
        calls.with(id).await;
    }
    assert!(!calls.ids().contains(&"x2".to_owned()), "{:?}", calls.attempts());
    assert!(owed(&runtime, "later").await >= 1);
}

/// D3: attempts are counted on: with three in all, one before the restart leaves two; the attempt that the shutdown cut off
/// costs nothing (D7).
#[tokio::test]
async fn d3_d7_attempts_are_counted_across_restarts() {
    let data = Data::new();
    let options = || durable().retry(retries(3));
    let runtime = data.open();
    let hang = std::sync::Arc::new(tokio::sync::Notify::new());
    let began = hang.clone();
    let handle = move |cx: palisade::Context| {
        let began = began.clone();
        async move {
            if cx.attempt == 1 {
                return Err(Failure::retry("not yet"));
            }
            began.notify_one();
            std::future::pending().await
        }
    };
    runtime
        .subscribe_with(&["a"], "failing", options(), handle)
        .expect("subscribed");
    owe(&runtime, &["1"]).await;
    hang.notified().await;
    assert_eq!(end(runtime).await.kept, 1);

    let runtime = data.open();
    let calls = Calls::subscribe(&runtime, "failing", options(), |_| {
        Err(Failure::retry_after("never", SOON))
    });
    runtime.quiet().await;
    assert_eq!(calls.attempts(), [("1".to_owned(), 2), ("1".to_owned(), 3)]);
    let letter = letters(&runtime, 1).await.remove(0);
    assert_eq!((letter.attempts, letter.error.as_str()), (3, "never"));
}

/// D4: dead letters are there after a restart with all that is to be known of them, and are sent again: the same id, told as a
/// replay, to that handler only, past the deduplication that another publish of them meets (D6).
#[tokio::test]
async fn d4_d6_dead_letters_survive_a_restart_and_are_redriven() {
    let data = Data::new();
    let runtime = data.open();
    Calls::subscribe(&runtime, "strict", durable(), |_| Err(Failure::reject("no")));
    Calls::well(&runtime, "other", durable());
    let event = named("1");
    runtime.publish_async(event.clone()).await.expect("published");
    runtime.quiet().await;
    let before = letters(&runtime, 1).await.remove(0);
    end(runtime).await;

    let runtime = data.open();
    let (strict, other) = (
        Calls::well(&runtime, "strict", durable()),
        Calls::well(&runtime, "other", durable()),
    );
    let letter = letters(&runtime, 1).await.remove(0);
    assert_eq!((letter.id, letter.event.to_json()), (before.id, event.to_json()));
    assert_eq!(
        letter.handler.as_ref().map(ToString::to_string).as_deref(),
        Some("strict")
    );
    assert_eq!(
        (letter.reason, letter.error.as_str(), letter.attempts, letter.last),
        (DeadLetterReason::Failed(Class::Rejected), "no", 1, before.last)
    );
    let receipt = publish(&runtime, "1").await;
    assert_eq!((receipt.duplicates, receipt.enqueued), (2, 0));
    runtime.redrive(letter.id).await.expect("sent again");
    runtime.quiet().await;
    let calls: Vec<_> = strict
        .all()
        .into_iter()
        .map(|call| (call.id, call.attempt, call.replayed))
        .collect();
    assert_eq!((calls, other.ids().len()), (vec![("1".to_owned(), 1, true)], 0));
    letters(&runtime, 0).await;
    end(runtime).await;
    letters(&data.open(), 0).await;
}

/// D4: so is one whose redrive was under way when the runtime ended: it is owed, and told as a replay still.
#[tokio::test]
async fn d4_a_redrive_survives_a_restart() {
    let data = Data::new();
    let runtime = data.open();
    Calls::subscribe(&runtime, "strict", durable(), |_| Err(Failure::reject("no")));
    owe(&runtime, &["1"]).await;
    runtime.quiet().await;
    end(runtime).await;
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "strict", durable());
    runtime
        .redrive(letters(&runtime, 1).await[0].id)
        .await
        .expect("sent again");
    gate.began(1).await;
    assert_eq!(end(runtime).await.kept, 1);
    let runtime = data.open();
    letters(&runtime, 0).await;
    let strict = Calls::well(&runtime, "strict", durable());
    runtime.quiet().await;
    let calls: Vec<_> = strict.all().into_iter().map(|call| (call.id, call.replayed)).collect();
    assert_eq!(calls, [("1".to_owned(), true)]);
}

/// D7: a shutdown that has no time gives up nothing that is durable: it is kept, counts no attempt and is no dead letter.
#[tokio::test]
async fn d7_a_shutdown_keeps_what_it_can_not_finish() {
    let data = Data::new();
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", durable());
    let ids = ["1", "2", "3", "4", "5"];
    owe(&runtime, &ids).await;
    gate.began(1).await;
    let drained = end(runtime).await;
    assert_eq!((drained.kept, drained.abandoned), (5, 0));
    let runtime = data.open();
    letters(&runtime, 0).await;
    assert_eq!(owed(&runtime, "slow").await, 5);
    let calls = Calls::well(&runtime, "slow", durable());
    runtime.quiet().await;
    assert_eq!(calls.attempts(), ids.map(|id| (id.to_owned(), 1)));
    let drained = runtime.shutdown(LONG).await;
    assert_eq!((drained.kept, drained.abandoned), (0, 0));
}

/// B6: in strict order a restart changes nothing: the event that is retried goes first, and holds all its successors.
#[tokio::test]
async fn b6_strict_order_survives_a_restart() {
    let data = Data::new();
    let strict = || durable().ordering(EventOrder::Strict).concurrency(4);
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "a", "ordered", strict());
    let ids = ["1", "2", "3", "4", "5"];
    owe(&runtime, &ids).await;
    gate.began(1).await;
    end(runtime).await;
    let runtime = data.open();
    let calls = Calls::subscribe(&runtime, "ordered", strict(), |call| {
        match (call.id.as_str(), call.attempt) {
            ("1", 1..=2) | ("3", 1) => Err(Failure::retry("not yet")),
            _ => Ok(()),
        }
    });
    owe(&runtime, &["6"]).await;
    runtime.quiet().await;
    assert_eq!(calls.ids(), ["1", "1", "1", "2", "3", "3", "4", "5", "6"]);
}

/// B6: by key, each key keeps its order across a restart, retries included; a key whose event waits for an hour holds itself
/// only.
#[tokio::test]
async fn b6_order_by_key_survives_a_restart() {
    let data = Data::new();
    let by_key = || durable().ordering(EventOrder::Key("subject".into()));
    let runtime = data.open();
    let calls = Calls::subscribe(&runtime, "ordered", by_key(), |call| match call.id.as_str() {
        "x1" => Err(Failure::retry_after("in an hour", HOUR)),
        _ => Err(Failure::retry("not yet")),
    });
    owe(&runtime, &["x1", "x2", "y1", "y2", "x3"]).await;
    calls.with("y1").await;
    end(runtime).await;
    assert!(
        !calls.ids().iter().any(|id| id == "x2" || id == "y2"),
        "{:?}",
        calls.ids()
    );
    let runtime = data.open();
    let calls = Calls::well(&runtime, "ordered", by_key());
    owe(&runtime, &["y3"]).await;
    calls.with("y3").await;
    assert_eq!(calls.ids(), ["y1", "y2", "y3"]);
    while owed(&runtime, "ordered").await > 3 {
        tokio::task::yield_now().await;
    }
}

/// S12, D2: what a plugin wrote, and what it published, are there together after a restart, and its next call goes on from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_d2_what_a_plugin_wrote_survives_a_restart() {
    let data = Data::new();
    let ledger = || {
        let spec = spec("ledger")
            .grants(publishes("ledger.*").key_value())
            .config(config(json!({})));
        spec.mode(palisade::DeliveryMode::Durable).retry(retries(5))
    };
    let count = json!([{ "count": "n" }, { "end-before": [2, "retry"] }]);
    let mut counted = Vec::new();
    for _ in 0..3 {
        let runtime = data.open();
        let reports = Seen::subscribe(&runtime, "ledger.report", "reports");
        runtime.launch(vec![ledger()]).await.expect("started");
        runtime
            .publish_async(event("ledger.do", count.clone()))
            .await
            .expect("published");
        runtime.quiet().await;
        assert_eq!(stats_of(&runtime, "ledger/do").count(Class::Retry), 1);
        let report: serde_json::Value = reports.all()[0].json().expect("JSON");
        counted.push(report["answers"][0]["ok"].clone());
        end(runtime).await;
    }
    assert_eq!(counted, [1, 2, 3]);
}
