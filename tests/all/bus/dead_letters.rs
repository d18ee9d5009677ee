//! D4: dead letters are kept, shown, sent again and thrown away.

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use palisade::{
    Class, Context, DeadLetterFilter, DeadLetterId, DeadLetterReason, Event, Failure, MemoryDeadLetters, Overflow,
    RedriveError, Runtime, SubscribeOptions,
};
use palisade_tests::{Seen, dead_letters, event, hostile, runtime, runtime_with, small_engine, spec};
use serde_json::json;

use super::words::{Gate, counting, letters, plain, queue_of};

fn rejecting(runtime: &Runtime) {
    counting(runtime, "a", "strict", SubscribeOptions::default(), |_| {
        Err(Failure::reject("no"))
    });
}

async fn bury(runtime: &Runtime, count: usize) -> Vec<Event> {
    let events: Vec<_> = (0..count).map(|_| plain("a")).collect();
    for event in &events {
        runtime.publish_async(event.clone()).await.expect("published");
    }
    runtime.quiet().await;
    events
}

/// D4: they are listed oldest first, found by id, taken once, and purged.
#[tokio::test(start_paused = true)]
async fn d4_dead_letters_are_listed_shown_taken_and_purged() {
    let runtime = runtime();
    rejecting(&runtime);
    let events = bury(&runtime, 3).await;
    let store = runtime.dead_letters();
    let all = letters(&runtime, 3).await;
    let ids = |letters: &[palisade::DeadLetter]| {
        letters
            .iter()
            .map(|letter| letter.event.id().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&all),
        events.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>()
    );
    assert!(all.is_sorted_by_key(|letter| letter.id));
    let second = store.get(all[1].id).await.unwrap().expect("there");
    assert_eq!(
        (second.event.to_json(), second.error.as_str()),
        (events[1].to_json(), "no")
    );
    assert_eq!(store.take(all[1].id).await.unwrap().expect("there").id, all[1].id);
    assert!(store.take(all[1].id).await.unwrap().is_none());
    assert!(store.get(all[1].id).await.unwrap().is_none());
    assert_eq!(store.purge(&DeadLetterFilter::all()).await.unwrap(), 2);
    letters(&runtime, 0).await;
    assert_eq!(runtime.stats().dead_letters, 3);
}

/// D4: the last ones are kept, as many as the store holds; the total counts all.
#[tokio::test(start_paused = true)]
async fn d4_the_store_keeps_the_last_ones() {
    let runtime = Runtime::builder()
        .engine(small_engine())
        .dead_letters(MemoryDeadLetters::new(3))
        .build()
        .expect("a runtime");
    rejecting(&runtime);
    let events = bury(&runtime, 5).await;
    let kept: Vec<_> = letters(&runtime, 3)
        .await
        .iter()
        .map(|letter| letter.event.id().to_owned())
        .collect();
    assert_eq!(
        kept,
        events[2..]
            .iter()
            .map(|event| event.id().to_owned())
            .collect::<Vec<_>>()
    );
    assert_eq!(runtime.stats().dead_letters, 5);
}

/// D4, H22, H32: and as many bytes of them as it may have: large events don't fill the host's memory through their letters. The
/// newest is kept, however large.
#[tokio::test(start_paused = true)]
async fn d4_h32_bytes_of_dead_letters_obeyed_and_violated() {
    let store = MemoryDeadLetters::new(1000).max_bytes(100_000);
    let builder = Runtime::builder().engine(small_engine()).dead_letters(store);
    let runtime = builder.build().expect("a runtime");
    rejecting(&runtime);
    let served = Seen::subscribe(&runtime, "a", "neighbour");
    let sized = async |bytes: usize, count: usize| {
        for _ in 0..count {
            let large = event("a", json!("x".repeat(bytes)));
            runtime.publish_async(large).await.expect("published");
        }
        runtime.quiet().await;
        dead_letters(&runtime).await.len()
    };
    assert_eq!(sized(20_000, 4).await, 4);
    assert_eq!(sized(20_000, 50).await, 4, "a fifth would be too much");
    assert_eq!(sized(200_000, 1).await, 1, "the newest alone");
    assert_eq!(sized(20_000, 3).await, 3, "which makes room like others");
    let first = dead_letters(&runtime).await[0].id;
    assert!(runtime.dead_letters().take(first).await.unwrap().is_some());
    assert_eq!(sized(20_000, 2).await, 4, "what is taken makes room");
    assert_eq!(runtime.dead_letters().purge(&DeadLetterFilter::all()).await.unwrap(), 4);
    assert_eq!(sized(20_000, 4).await, 4, "and so does what is thrown away");
    assert_eq!((served.len(), runtime.stats().dead_letters), (64, 64));
}

/// D4: of a plugin's handler they say which component it was.
#[tokio::test]
async fn d4_a_plugins_dead_letter_has_its_digest() {
    let runtime = runtime_with([hostile()]).await;
    runtime
        .publish_async(plain("hostile.fail-reject"))
        .await
        .expect("published");
    runtime.quiet().await;
    let letter = letters(&runtime, 1).await.remove(0);
    assert_eq!(
        letter.plugin_digest,
        Some(runtime.plugin("hostile").expect("known").digest)
    );
    assert_eq!(
        (letter.reason.to_string(), letter.error.as_str()),
        ("rejected".to_owned(), "hostile rejects this")
    );
}

/// D4: redrive: the same event with the same id, to that handler only, told that it is a replay, past the filters.
#[tokio::test(start_paused = true)]
async fn d4_a_redriven_event_goes_to_its_handler_only() {
    let runtime = runtime();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (note, healthy) = (calls.clone(), Arc::new(AtomicBool::new(false)));
    let well = healthy.clone();
    let recovers = move |cx: Context| {
        note.lock()
            .unwrap()
            .push((cx.event.id().to_owned(), cx.attempt, cx.replayed));
        ready(if well.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(Failure::reject("ill"))
        })
    };
    runtime.subscribe("a", "recovers", recovers).expect("a subscription");
    let other = Seen::subscribe(&runtime, "a", "other");
    let event = bury(&runtime, 1).await.remove(0);
    let id = letters(&runtime, 1).await[0].id;
    healthy.store(true, Ordering::SeqCst);
    runtime.redrive(id).await.expect("sent again");
    runtime.quiet().await;
    let id_of = event.id().to_owned();
    assert_eq!(*calls.lock().unwrap(), [(id_of.clone(), 1, false), (id_of, 1, true)]);
    assert_eq!(other.len(), 1, "the other one had it already");
    letters(&runtime, 0).await;
    assert!(matches!(runtime.redrive(id).await, Err(RedriveError::NotFound(gone)) if gone == id));
}

/// D4: one that fails again is a dead letter again, by a new number.
#[tokio::test(start_paused = true)]
async fn d4_a_redriven_event_that_fails_again_is_a_dead_letter_again() {
    let runtime = runtime();
    rejecting(&runtime);
    let event = bury(&runtime, 1).await.remove(0);
    let first = letters(&runtime, 1).await[0].id;
    runtime.redrive(first).await.expect("sent again");
    runtime.quiet().await;
    let again = letters(&runtime, 1).await.remove(0);
    assert_eq!((again.event.id(), again.attempts), (event.id(), 1));
    assert!(again.id > first);
}

/// D4: what can't be sent again stays where it is, and the error says why.
#[tokio::test(start_paused = true)]
async fn d4_what_can_not_be_redriven_stays() {
    let runtime = runtime();
    let error = runtime.redrive(DeadLetterId(7)).await.expect_err("there is none");
    assert!(matches!(error, RedriveError::NotFound(DeadLetterId(7))), "{error}");
    rejecting(&runtime);
    bury(&runtime, 1).await;
    runtime.unsubscribe_pattern("a", "strict").expect("there");
    let error = runtime
        .redrive(letters(&runtime, 1).await[0].id)
        .await
        .expect_err("its handler is gone");
    assert!(
        matches!(&error, RedriveError::NoHandler(name) if name == "strict"),
        "{error}"
    );
    letters(&runtime, 1).await;
    let too_far = Event::builder("a", "/tests")
        .extension("hopcount", 17)
        .build()
        .expect("an event");
    runtime.publish(too_far).await.expect_err("past the limit");
    let all = letters(&runtime, 2).await;
    assert_eq!(all[1].reason, DeadLetterReason::HopLimit);
    assert!(matches!(
        runtime.redrive(all[1].id).await,
        Err(RedriveError::Undeliverable(_))
    ));
    letters(&runtime, 2).await;
}

/// D4: a queue that is full, or a plugin that is away, refuses a redrive; the letter stays and can be sent later.
#[tokio::test]
async fn d4_a_redrive_that_is_refused_loses_nothing() {
    let runtime = runtime_with([hostile(), spec("probe")]).await;
    runtime
        .publish_async(event("hostile.fail-reject", json!(null)))
        .await
        .expect("published");
    runtime.quiet().await;
    runtime.stop("hostile").await.expect("stopped");
    let error = runtime
        .redrive(letters(&runtime, 1).await[0].id)
        .await
        .expect_err("it is away");
    assert!(
        matches!(&error, RedriveError::Refused { handler, .. } if handler == "hostile/sin"),
        "{error}"
    );
    letters(&runtime, 1).await;
    runtime.start("hostile").await.expect("started");
    runtime
        .redrive(letters(&runtime, 1).await[0].id)
        .await
        .expect("sent again");
    runtime.quiet().await;
    assert_eq!(letters(&runtime, 1).await[0].attempts, 1);
}

/// D4: the same for a full queue.
#[tokio::test(start_paused = true)]
async fn d4_a_redrive_into_a_full_queue_stays() {
    let runtime = runtime();
    let gate = Gate::subscribe_with(&runtime, "a", "slow", queue_of(1, Overflow::Reject));
    let tell = |cx: Context| {
        let sent = [0, 1, 2].map(|_| cx.publish(palisade::Draft::new("a")));
        ready(
            sent.into_iter()
                .collect::<Result<Vec<_>, _>>()
                .map(drop)
                .map_err(|error| Failure::reject(error.to_string())),
        )
    };
    runtime.subscribe("tell", "tell", tell).expect("a subscription");
    runtime.publish(plain("tell")).await.expect("published");
    gate.began(1).await;
    runtime.publish_async(plain("a")).await.expect("published");
    let first = letters(&runtime, 2).await[0].clone();
    assert_eq!(first.reason, DeadLetterReason::Failed(Class::Overloaded));
    let error = runtime.redrive(first.id).await.expect_err("the queue is full");
    assert!(matches!(error, RedriveError::Refused { .. }), "{error}");
    let kept = letters(&runtime, 2).await;
    assert!(kept.iter().any(|letter| letter.event.id() == first.event.id()));
    gate.open(10);
    runtime.quiet().await;
    for letter in kept {
        runtime.redrive(letter.id).await.expect("there is room now");
        runtime.quiet().await;
    }
    letters(&runtime, 0).await;
}
