//! Events that are owed: stored, settled, sent again, given up.

use super::*;
use crate::delivery::{Owed, PluginWrites};
use crate::key_value::{KeyValueCaps, KeyValueError, KeyValueStore, KeyValueWrite};

/// D1, D2: what was stored is there after the store was closed and opened again, in order, until it is settled.
#[tokio::test]
async fn d1_what_is_owed_survives_a_restart() {
    let (directory, store) = empty();
    let first = only(&append(&store, "1", &["a"]).await);
    append(&store, "2", &["a", "b"]).await;
    drop(store);
    let store = open(&directory);
    assert_eq!(
        (ids(&store, "a").await, ids(&store, "b").await),
        (vec!["1".to_owned(), "2".to_owned()], vec!["2".to_owned()])
    );
    assert!(!done(&store, first).await.gone);
    assert!(done(&store, first).await.gone, "it is settled once");
    assert_eq!(ids(&store, "a").await, ["2"]);
    let backlogs = store.backlogs().await.unwrap();
    let shown: Vec<_> = backlogs
        .iter()
        .map(|backlog| (backlog.handler.as_str(), backlog.events))
        .collect();
    assert_eq!(shown, [("a", 1), ("b", 1)]);
    assert!(
        backlogs
            .iter()
            .all(|backlog| backlog.bytes == event("2").size_bytes() as u64)
    );
    assert!(store.size() > 0);
}

/// D1, E2: an event comes back as it was: its text, what it holds in memory, and the time at which it was accepted where it
/// has none of its own.
#[tokio::test]
async fn d1_an_event_comes_back_as_it_was() {
    let (directory, store) = empty();
    let events = [
        event("no-time"),
        Event::builder("a", "/tests").build().unwrap(),
        Event::builder("a", "/tests").data("text/plain", "text").subject("s").build().unwrap(),
        Event::builder("a", "/tests").data("application/octet-stream", vec![0_u8, 255]).build().unwrap(),
        Event::from_json(
            r#"{"specversion":"1.0","id":"1","type":"a","source":"s","time":"2015-12-10T06:55:46.100Z","x":true,"data":{"a": 1}}"#,
            &crate::event::EventLimits::default(),
        )
        .unwrap(),
    ];
    for event in &events {
        let stored = store.append(owed_event(event.clone(), &["a"]), Box::new(|_| ())).await;
        only(&stored.unwrap());
    }
    drop(store);
    let page = load(&open(&directory), "a").await;
    assert_eq!(page.deliveries.len(), events.len());
    for (kept, event) in page.deliveries.iter().map(|delivery| &delivery.event).zip(&events) {
        assert_eq!(kept.to_json(), event.to_json());
        assert_eq!(kept.timestamp_nanos(), event.timestamp_nanos(), "{}", event.to_json());
        assert_eq!(kept.size_bytes(), event.size_bytes(), "{}", event.to_json());
    }
    let bytes: usize = events.iter().map(Event::size_bytes).sum();
    let owed = Owed {
        events: events.len() as u64,
        bytes: bytes as u64,
    };
    assert_eq!(page.owed, Some(owed));
}

/// B7, D1: a page has as much as its limits allow, but always one; its first says how much is owed in all.
#[tokio::test]
async fn b7_a_page_is_as_large_as_its_limits_allow() {
    let (_directory, store) = empty();
    for id in ["1", "2", "3", "4", "5"] {
        append(&store, id, &["a"]).await;
    }
    append(&store, "x", &["ab"]).await;
    let size = event("1").size_bytes();
    let page = |after, events, bytes| {
        let limits = PageLimits { events, bytes };
        store.load("a".to_owned(), after, limits, Box::new(|_| ()))
    };
    let seen = |page: &Page| {
        page.deliveries
            .iter()
            .map(|one| one.event.id().to_owned())
            .collect::<Vec<_>>()
    };
    let first = page(DeliveryId::NONE, 2, usize::MAX).await.unwrap();
    assert_eq!(
        (seen(&first), first.more, first.owed.unwrap().events),
        (vec!["1".to_owned(), "2".to_owned()], true, 5)
    );
    let second = page(first.last.unwrap(), usize::MAX, 2 * size).await.unwrap();
    assert_eq!(
        (seen(&second), second.more, second.owed),
        (vec!["3".to_owned(), "4".to_owned()], true, None)
    );
    let third = page(second.last.unwrap(), 0, 0).await.unwrap();
    assert_eq!((seen(&third), third.more), (vec!["5".to_owned()], false));
    let none = page(third.last.unwrap(), 9, 9).await.unwrap();
    assert!(none.deliveries.is_empty() && none.last.is_none() && !none.more);
}

/// D2: deliveries are found by their ids, in their order; those that are settled are not.
#[tokio::test]
async fn d2_deliveries_are_found_by_their_ids() {
    let (_directory, store) = empty();
    let mut all = Vec::new();
    for id in ["1", "2", "3"] {
        all.push(only(&append(&store, id, &["a"]).await));
    }
    done(&store, all[1]).await;
    all.reverse();
    let page = store.load_these(all.clone(), Box::new(|_| ())).await.unwrap();
    let found: Vec<_> = page.deliveries.iter().map(|delivery| delivery.id).collect();
    assert_eq!(found, [all[2], all[0]]);
}

/// D6: the same source and id are owed to a handler once, whatever became of it, and to another that has not had it.
#[tokio::test]
async fn d6_an_event_is_owed_to_a_handler_once() {
    let (directory, store) = empty();
    let first = only(&append(&store, "1", &["a"]).await);
    done(&store, first).await;
    drop(store);
    let store = open(&directory);
    let again = append(&store, "1", &["a", "b"]).await;
    assert!(
        matches!(again.as_slice(), [Stored::Duplicate, Stored::Owed(_)]),
        "{again:?}"
    );
    let other_source = Event::builder("user.login", "/other").id("1").build().unwrap();
    let other = store
        .append(owed_event(other_source, &["a"]), Box::new(|_| ()))
        .await
        .unwrap();
    assert!(matches!(other.as_slice(), [Stored::Owed(_)]), "{other:?}");
}

/// D2: the acknowledgement, what was published and what was written are one: where one fails none is.
#[tokio::test]
async fn d2_s12_a_settlement_is_all_or_nothing() {
    let (_directory, store) = empty();
    let id = only(&append(&store, "1", &["a"]).await);
    let settlement = |bytes: usize| Settlement {
        delivery: Some((id, Verdict::Done)),
        outbox: vec![owed("2", &["b"])],
        writes: Some(PluginWrites {
            plugin: "p".into(),
            writes: vec![KeyValueWrite {
                key: "k".to_owned(),
                value: Some(bytes::Bytes::from(vec![0; 10])),
            }],
            caps: KeyValueCaps { keys: 10, bytes },
        }),
        letters: vec![letter("3", None, at(9))],
    };
    let refused = try_settle(&store, settlement(5)).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::KeyValue(KeyValueError::OverLimit { most: 5, .. })),
        "{refused}"
    );
    assert_eq!((ids(&store, "a").await.len(), ids(&store, "b").await.len()), (1, 0));
    assert_eq!(
        (
            letter_ids(&store).await.len(),
            KeyValueStore::get(&store, "p", "k").await.unwrap()
        ),
        (0, None)
    );
    let settled = try_settle(&store, settlement(100)).await.unwrap();
    assert!(matches!(settled.outbox.as_slice(), [stored] if matches!(stored.as_slice(), [Stored::Owed(_)])));
    assert!(!settled.gone);
    assert_eq!(
        (ids(&store, "a").await.len(), ids(&store, "b").await),
        (0, vec!["2".to_owned()])
    );
    assert_eq!(letter_ids(&store).await, ["3"]);
    assert_eq!(KeyValueStore::size(&store, "p", "k").await.unwrap(), Some(10));
    let again = try_settle(&store, settlement(1)).await.unwrap();
    assert!(again.gone && again.outbox.is_empty(), "nothing of it is done twice");
}

/// D2, D6: what a handler published again is no second delivery; a settlement without a delivery is made as well.
#[tokio::test]
async fn d2_d6_an_outbox_is_told_from_its_repetition() {
    let (_directory, store) = empty();
    let outbox = || Settlement {
        outbox: vec![owed("1", &["a", "b"])],
        ..Settlement::default()
    };
    try_settle(&store, outbox()).await.unwrap();
    let settled = try_settle(&store, outbox()).await.unwrap();
    assert_eq!(settled.outbox, [[Stored::Duplicate, Stored::Duplicate]]);
    assert_eq!(ids(&store, "a").await.len(), 1);
}

/// D3, D4: attempts and the time of the next one are kept; so is a dead letter, with all that is to be known of it.
#[tokio::test]
async fn d3_d4_retries_and_dead_letters_are_kept() {
    let (directory, store) = empty();
    let due = SystemTime::UNIX_EPOCH + Duration::from_millis(4_000_000_000_123);
    let id = only(&append(&store, "1", &["p/a"]).await);
    assert!(!conclude(&store, id, Verdict::Retry { attempts: 3, due }).await.gone);
    drop(store);
    let store = open(&directory);
    let page = load(&store, "p/a").await;
    let [kept] = page.deliveries.as_slice() else {
        panic!("{page:?}")
    };
    assert_eq!(
        (kept.attempts, kept.due, kept.replayed, kept.origin),
        (3, due, false, Origin::Publisher)
    );
    let letter = DeadLetter {
        first: kept.first,
        ..letter("1", Some(HandlerName::of_plugin("p", "a")), due)
    };
    conclude(&store, id, Verdict::Dead(Box::new(letter.clone()))).await;
    assert!(conclude(&store, id, Verdict::Dead(Box::new(letter.clone()))).await.gone);
    assert!(conclude(&store, id, Verdict::Retry { attempts: 4, due }).await.gone);
    drop(store);
    let store = open(&directory);
    let found = letters(&store, &DeadLetterFilter::all()).await;
    let [found] = found.as_slice() else { panic!("{found:?}") };
    let same = DeadLetter { id: found.id, ..letter };
    assert_eq!(format!("{found:?}"), format!("{same:?}"));
    assert_eq!(ids(&store, "p/a").await.len(), 0);
}

/// D9: what is owed to a handler that is gone is a dead letter at its maximal age; what is younger, or owed to one that is
/// there, is not.
#[tokio::test]
async fn d9_what_nobody_handles_is_orphaned_at_its_maximal_age() {
    let (_directory, store) = empty();
    let mut old = owed("old", &["gone/a", "there", "Gone"]);
    old.to[2].max_age = Duration::from_secs(3 * 3600);
    store.append(old, Box::new(|_| ())).await.unwrap();
    for n in 0..200 {
        append(&store, &n.to_string(), &["gone/a"]).await;
    }
    let known = || vec!["there".to_owned()];
    let now = SystemTime::now();
    assert_eq!(store.orphan(known(), now).await.unwrap(), []);
    let made = store.orphan(known(), now + 2 * HOUR).await.unwrap();
    assert_eq!(made, [("gone/a".to_owned(), 201)]);
    assert_eq!(
        (ids(&store, "there").await.len(), ids(&store, "Gone").await.len()),
        (1, 1)
    );
    let letters = letters(&store, &DeadLetterFilter::all().reason(DeadLetterReason::Orphaned)).await;
    assert_eq!(letters.len(), 201);
    assert_eq!(
        (letters[0].event.id(), letters[0].handler.clone().unwrap().plugin()),
        ("old", Some("gone"))
    );
    assert!(letters[0].error.contains("retry.max-age"));
    assert_eq!(store.orphan(known(), now + 2 * HOUR).await.unwrap(), []);
}
