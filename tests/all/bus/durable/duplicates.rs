//! D6: the same (source, id) is given to a handler once.

use palisade::{BacklogPolicy, DeadLetterFilter, Draft, Event, Failure, Overflow, QueuePolicy, SubscribeOptions};
use serde_json::json;

use super::{Calls, Data, durable, end, named, owe, owed, publish};
use crate::bus::words::Gate;

/// D6: the same source and id are known to each handler that has taken them, by whichever of `publish` and `publish_async`, and
/// after a restart; to one that is subscribed later they are new, and so is the same id of another source.
#[tokio::test]
async fn d6_a_repeated_event_is_known_to_each_handler_that_had_it() {
    let data = Data::new();
    let runtime = data.open();
    let first = Calls::well(&runtime, "first", durable());
    owe(&runtime, &["1"]).await;
    runtime.quiet().await;
    let receipt = publish(&runtime, "1").await;
    assert_eq!(
        (receipt.matched, receipt.enqueued, receipt.duplicates),
        (1, 0, 1),
        "{receipt:?}"
    );
    let second = Calls::well(&runtime, "second", durable());
    let receipt = publish(&runtime, "1").await;
    assert_eq!(
        (receipt.matched, receipt.enqueued, receipt.duplicates),
        (2, 1, 1),
        "{receipt:?}"
    );
    let other = Event::builder("a", "/others")
        .id("1")
        .json(&json!(1))
        .build()
        .expect("an event");
    assert_eq!(runtime.publish_async(other).await.expect("published").enqueued, 2);
    runtime.quiet().await;
    assert_eq!((first.ids().len(), second.ids().len()), (2, 2));
    end(runtime).await;

    let runtime = data.open();
    let first = Calls::well(&runtime, "first", durable());
    let report = runtime.publish(named("1")).await.expect("published");
    assert_eq!((report.duplicates, report.outcomes.len()), (1, 0), "{report:?}");
    runtime.quiet().await;
    assert_eq!(first.ids().len(), 0);
}

/// D6: an ephemeral handler has no memory: beside a durable one that knows the event it gets it again.
#[tokio::test]
async fn d6_ephemeral_handlers_get_what_durable_ones_know() {
    let data = Data::new();
    let runtime = data.open();
    let kept = Calls::well(&runtime, "kept", durable());
    let gone = Calls::well(&runtime, "gone", SubscribeOptions::default());
    for duplicates in [0, 1, 1] {
        let receipt = publish(&runtime, "1").await;
        assert_eq!(
            (receipt.duplicates, receipt.enqueued),
            (duplicates, 2 - duplicates),
            "{receipt:?}"
        );
    }
    runtime.quiet().await;
    assert_eq!((kept.ids().len(), gone.ids().len()), (1, 3));
}

/// D6: an event that one handler refused can be published again: that one takes it now, and the other knows it.
#[tokio::test]
async fn d6_what_one_handler_refused_can_be_published_again_for_it() {
    let data = Data::new();
    let runtime = data.open();
    let queue = QueuePolicy {
        overflow: Overflow::Reject,
        ..QueuePolicy::default()
    };
    let backlog = BacklogPolicy {
        events: 1,
        ..BacklogPolicy::default()
    };
    let gate = Gate::subscribe_with(&runtime, "a", "full", durable().queue(queue).backlog(backlog));
    let well = Calls::well(&runtime, "well", durable());
    assert_eq!(publish(&runtime, "1").await.enqueued, 2);
    gate.began(1).await;
    let receipt = publish(&runtime, "2").await;
    assert_eq!((receipt.enqueued, receipt.refused.len()), (1, 1), "{receipt:?}");
    assert_eq!(receipt.refused[0].handler.to_string(), "full");
    gate.open(9);
    runtime.quiet().await;
    let receipt = publish(&runtime, "2").await;
    assert_eq!(
        (receipt.enqueued, receipt.duplicates, receipt.refused.len()),
        (1, 1, 0),
        "{receipt:?}"
    );
    runtime.quiet().await;
    assert_eq!(well.ids(), ["1", "2"]);
    assert_eq!((gate.begun(), owed(&runtime, "full").await), (1, 0));
}

/// D6, D4: what has become a dead letter is known as well: publishing it again does not try it again, a redrive does.
#[tokio::test]
async fn d6_d4_a_dead_letter_is_known_and_only_a_redrive_sends_it_again() {
    let data = Data::new();
    let runtime = data.open();
    let calls = Calls::subscribe(&runtime, "strict", durable(), |call| match call.replayed {
        true => Ok(()),
        false => Err(Failure::reject("no")),
    });
    owe(&runtime, &["1", "2"]).await;
    runtime.quiet().await;
    assert_eq!(publish(&runtime, "1").await.duplicates, 1);
    runtime.quiet().await;
    assert_eq!(calls.ids(), ["1", "2"]);
    let redriven = runtime.redrive_all(&DeadLetterFilter::all()).await.expect("sent again");
    assert_eq!((redriven.sent, redriven.refused.len()), (2, 0));
    runtime.quiet().await;
    assert_eq!(calls.ids(), ["1", "2", "1", "2"]);
}

/// D2, D6: what a handler publishes is stored with its acknowledgement: after a restart it is owed to whom it is for, once, and
/// what a failed attempt published is not.
#[tokio::test]
async fn d2_d6_the_outbox_of_a_handled_event_is_owed_after_a_restart() {
    let data = Data::new();
    let runtime = data.open();
    let gate = Gate::subscribe_with(&runtime, "b", "next", durable());
    let forward = |cx: palisade::Context| {
        let published = cx.publish(Draft::new("b"));
        std::future::ready(match (cx.attempt, published) {
            (1, _) => Err(Failure::retry("not yet")),
            (_, Err(error)) => Err(Failure::reject(error.to_string())),
            (_, Ok(_)) => Ok(()),
        })
    };
    runtime
        .subscribe_with(&["a"], "forward", durable(), forward)
        .expect("a subscription");
    owe(&runtime, &["1"]).await;
    gate.began(1).await;
    let drained = end(runtime).await;
    assert_eq!((drained.kept, drained.abandoned), (1, 0));

    let runtime = data.open();
    let seen = palisade_tests::Seen::subscribe(&runtime, ">", "ephemeral");
    let next = crate::bus::words::counting(&runtime, "b", "next", durable(), |_| Ok(()));
    runtime.quiet().await;
    assert_eq!((next.count(), seen.len()), (1, 0));
    assert_eq!(owed(&runtime, "forward").await, 0);
}
