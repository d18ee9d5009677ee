//! The store by itself. What the bus does with it is in the tests of the runtime.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use super::*;
use crate::event::Event;
use crate::handler::Origin;
use crate::outcome::Class;

fn event(id: &str) -> Event {
    Event::builder("user.login", "/tests").id(id).json(&1).build().unwrap()
}

fn owed(id: &str, to: &[&str]) -> NewEvent {
    NewEvent {
        event: event(id),
        origin: Origin::Publisher,
        to: to.iter().map(ToString::to_string).collect(),
        replayed: false,
    }
}

async fn append(store: &DurableStore, id: &str, to: &[&str]) -> Vec<Stored> {
    store.append(owed(id, to), |_| ()).await.unwrap()
}

async fn ids(store: &DurableStore, handler: &str) -> Vec<String> {
    let page = store
        .load(handler.to_owned(), DeliveryId::NONE, (100, 1 << 20), |_| ())
        .await;
    page.unwrap()
        .deliveries
        .iter()
        .map(|delivery| delivery.event.id().to_owned())
        .collect()
}

fn only(stored: &[Stored]) -> DeliveryId {
    match stored {
        [Stored::Owed(id)] => *id,
        other => panic!("{other:?}"),
    }
}

async fn done(store: &DurableStore, id: DeliveryId) -> Settled {
    let settlement = Settlement {
        delivery: Some((id, Verdict::Done)),
        ..Settlement::default()
    };
    store.settle(settlement, |_| ()).await.unwrap()
}

/// D1, D2: what was stored is there after the store was closed and opened again, in order, until it is settled.
#[tokio::test]
async fn d1_what_is_owed_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = {
        let store = DurableStore::open(directory.path()).unwrap();
        let first = only(&append(&store, "1", &["a"]).await);
        append(&store, "2", &["a", "b"]).await;
        first
    };
    let store = DurableStore::open(directory.path()).unwrap();
    assert_eq!(
        (ids(&store, "a").await.len(), ids(&store, "b").await),
        (2, vec!["2".to_owned()])
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
}

/// D6: the same source and id are owed to a handler once, whatever became of it, and to another that has not had it.
#[tokio::test]
async fn d6_an_event_is_owed_to_a_handler_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = DurableStore::open(directory.path()).unwrap();
    let first = only(&append(&store, "1", &["a"]).await);
    done(&store, first).await;
    let again = append(&store, "1", &["a", "b"]).await;
    assert!(
        matches!(again.as_slice(), [Stored::Duplicate, Stored::Owed(_)]),
        "{again:?}"
    );
    let replayed = NewEvent {
        replayed: true,
        ..owed("1", &["a"])
    };
    assert!(matches!(
        store.append(replayed, |_| ()).await.unwrap().as_slice(),
        [Stored::Owed(_)]
    ));
    let tomorrow = SystemTime::now() + REPEATED + Duration::from_secs(1);
    store.forget(tomorrow).await.unwrap();
    assert!(matches!(
        append(&store, "1", &["a"]).await.as_slice(),
        [Stored::Owed(_)]
    ));
}

/// D2: the acknowledgement, what was published and what was written are one: where one fails none is.
#[tokio::test]
async fn d2_a_settlement_is_all_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = DurableStore::open(directory.path()).unwrap();
    let id = only(&append(&store, "1", &["a"]).await);
    let settlement = |bytes: usize| Settlement {
        delivery: Some((id, Verdict::Done)),
        outbox: vec![owed("2", &["b"])],
        writes: Some(PluginWrites {
            plugin: "p".to_owned(),
            writes: vec![KeyValueWrite {
                key: "k".to_owned(),
                value: Some(bytes::Bytes::from(vec![0; 10])),
            }],
            caps: KeyValueCaps { keys: 10, bytes },
        }),
        letters: Vec::new(),
    };
    assert!(store.settle(settlement(5), |_| ()).await.is_err(), "over the cap");
    assert_eq!((ids(&store, "a").await.len(), ids(&store, "b").await.len()), (1, 0));
    let settled = store.settle(settlement(100), |_| ()).await.unwrap();
    assert_eq!((settled.outbox.len(), settled.gone), (1, false));
    assert_eq!(
        (ids(&store, "a").await.len(), ids(&store, "b").await),
        (0, vec!["2".to_owned()])
    );
}

/// D3, D4: attempts and the time of the next one are kept; so is a dead letter, with all that is to be known of it.
#[tokio::test]
async fn d3_d4_retries_and_dead_letters_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let due = SystemTime::UNIX_EPOCH + Duration::from_millis(4_000_000_000_123);
    let store = DurableStore::open(directory.path()).unwrap();
    let id = only(&append(&store, "1", &["p/a"]).await);
    let retry = Settlement {
        delivery: Some((id, Verdict::Retry { attempts: 3, due })),
        ..Settlement::default()
    };
    store.settle(retry, |_| ()).await.unwrap();
    drop(store);
    let store = DurableStore::open(directory.path()).unwrap();
    let page = store
        .load("p/a".to_owned(), DeliveryId::NONE, (9, 9), |_| ())
        .await
        .unwrap();
    let [kept] = page.deliveries.as_slice() else {
        panic!("{page:?}")
    };
    assert_eq!((kept.attempts, kept.due), (3, due));
    let letter = DeadLetter {
        id: DeadLetterId(0),
        event: kept.event.clone(),
        handler: Some(crate::outcome::HandlerName::of_plugin("p", "a")),
        plugin_digest: Some("sha256:00".to_owned()),
        reason: crate::delivery::DeadLetterReason::Failed(Class::Trap),
        error: "it trapped".to_owned(),
        attempts: 4,
        first: kept.first,
        last: due,
    };
    let dead = Settlement {
        delivery: Some((id, Verdict::Dead(Box::new(letter)))),
        ..Settlement::default()
    };
    let settled = store.settle(dead, |_| ()).await.unwrap();
    let [id] = settled.letters.as_slice() else {
        panic!("{settled:?}")
    };
    let id = *id;
    let found = store.writer.run(move |db| letters::get(db, id)).await.unwrap().unwrap();
    assert_eq!(
        (found.event.id(), found.error.as_str(), found.attempts, found.last),
        ("1", "it trapped", 4, due)
    );
    assert_eq!(found.handler.unwrap().to_string(), "p/a");
    assert!(store.writer.run(move |db| letters::remove(db, id)).await.unwrap());
    assert_eq!(ids(&store, "p/a").await.len(), 0);
}

/// H46: a database of something else, of a newer Palisade, in use or with a flipped byte is refused with what to do.
#[tokio::test]
async fn h46_what_is_no_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = DurableStore::open(directory.path()).unwrap();
    let in_use = DurableStore::open(directory.path()).err().unwrap();
    assert!(matches!(in_use, StoreError::Locked(_)), "{in_use}");
    drop(store);
    let path = directory.path().join("palisade.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(db);
    let newer = DurableStore::open(directory.path()).err().unwrap();
    assert!(matches!(newer, StoreError::Newer { found: 99, .. }), "{newer}");

    let other = tempfile::tempdir().unwrap();
    let db = Connection::open(other.path().join("palisade.db")).unwrap();
    db.execute_batch("CREATE TABLE mine (x)").unwrap();
    drop(db);
    let foreign = DurableStore::open(other.path()).err().unwrap();
    assert!(matches!(foreign, StoreError::Corrupt { .. }), "{foreign}");

    let text = tempfile::tempdir().unwrap();
    fs::write(
        text.path().join("palisade.db"),
        "no database at all, but long enough to be read as one",
    )
    .unwrap();
    let text = DurableStore::open(text.path()).err().unwrap();
    assert!(matches!(text, StoreError::Corrupt { .. }), "{text}");
}

/// H46: a byte of an event that the disk flipped is noticed, and that event is not delivered; the others are.
#[tokio::test]
async fn h46_a_flipped_byte_of_an_event_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let store = DurableStore::open(directory.path()).unwrap();
    let bad = only(&append(&store, "bad-one", &["a"]).await);
    append(&store, "good", &["a"]).await;
    drop(store);
    let path = directory.path().join("palisade.db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|window| window == b"bad-one").unwrap();
    if let Some(byte) = bytes.get_mut(at) {
        *byte = b'B';
    }
    fs::write(&path, bytes).unwrap();
    let store = DurableStore::open(directory.path()).unwrap();
    let page = store
        .load("a".to_owned(), DeliveryId::NONE, (9, 999), |_| ())
        .await
        .unwrap();
    assert_eq!((page.deliveries.len(), page.damaged), (1, vec![bad]));
}

/// H45: a full database takes nothing and says so; when there is room again it goes on.
#[tokio::test]
async fn h45_a_full_store_takes_nothing_falsely_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let store = DurableStore::open(directory.path()).unwrap();
    let pages = |most: i64| {
        move |db: &Connection| {
            db.query_row(&format!("PRAGMA max_page_count = {most}"), [], |row| {
                row.get::<_, i64>(0)
            })?;
            Ok(())
        }
    };
    store.writer.run(pages(1)).await.unwrap();
    let large = || {
        let mut large = owed("x", &["a"]);
        large.event = Event::builder("a", "/tests")
            .data("text/plain", vec![b'x'; 300_000])
            .build()
            .unwrap();
        large
    };
    let refused = store.append(large(), |_| ()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Full(_)), "{refused}");
    assert_eq!(ids(&store, "a").await.len(), 0);
    store.writer.run(pages(1_000_000)).await.unwrap();
    store.append(large(), |_| ()).await.unwrap();
    assert_eq!(ids(&store, "a").await.len(), 1);
}
