//! Bounds of the store as a whole: bytes, dead letters, time.

use super::*;
use crate::store::deliveries;
use crate::store::record::Record;

async fn append_at(store: &DurableStore, id: &str, now: SystemTime, window: Duration) -> Stored {
    let new = owed(id, &["a"]);
    let work = move |db: &Connection| deliveries::append(db, &new, &Record::of(&new.event), now, window);
    store.0.writer.run(work).await.unwrap()[0]
}

/// D6: within the window a handler is not given the same source and id again.
#[tokio::test]
async fn d6_deduplication_obeyed() {
    let (_directory, store) = empty();
    let now = SystemTime::now();
    assert!(matches!(append_at(&store, "1", now, HOUR).await, Stored::Owed(_)));
    assert_eq!(append_at(&store, "1", now + HOUR, HOUR).await, Stored::Duplicate);
    store.forget(now + 23 * HOUR).await.unwrap();
    assert_eq!(append_at(&store, "1", now + HOUR, HOUR).await, Stored::Duplicate);
}

/// D6: beyond the window it is, whether the mark has been forgotten or not; without one it always is.
#[tokio::test]
async fn d6_deduplication_beyond_its_window() {
    let (_directory, store) = empty();
    let now = SystemTime::now();
    let later = now + HOUR + Duration::from_millis(1);
    append_at(&store, "1", now, HOUR).await;
    assert!(matches!(append_at(&store, "1", later, HOUR).await, Stored::Owed(_)));
    assert_eq!(
        append_at(&store, "1", later + HOUR, HOUR).await,
        Stored::Duplicate,
        "the new one counts"
    );
    store.forget(now + 48 * HOUR).await.unwrap();
    assert!(matches!(append_at(&store, "1", now, HOUR).await, Stored::Owed(_)));
    for _ in 0..2 {
        assert!(matches!(
            append_at(&store, "2", now, Duration::ZERO).await,
            Stored::Owed(_)
        ));
    }
}

/// D4: as many dead letters as are allowed are kept.
#[tokio::test]
async fn d4_dead_letters_obeyed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(&directory, StoreOptions::default().dead_letters(3));
    for id in ["1", "2", "3"] {
        store.put(letter(id, None, at(9))).await.unwrap();
    }
    assert_eq!(letter_ids(&store).await, ["1", "2", "3"]);
    assert_eq!(store.evicted_dead_letters().await.unwrap(), 0);
}

/// D4: the oldest make room for the newest, whichever way that came, and are counted; a bound that was lowered is kept, too.
#[tokio::test]
async fn d4_dead_letters_violated() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(&directory, StoreOptions::default().dead_letters(3));
    for id in ["1", "2", "3", "4"] {
        store.put(letter(id, None, at(9))).await.unwrap();
    }
    let id = only(&append(&store, "5", &["a"]).await);
    conclude(&store, id, Verdict::Dead(Box::new(letter("5", None, at(9))))).await;
    append(&store, "6", &["gone"]).await;
    store.orphan(vec![], SystemTime::now() + 2 * HOUR).await.unwrap();
    assert_eq!(letter_ids(&store).await, ["4", "5", "6"]);
    assert_eq!(store.evicted_dead_letters().await.unwrap(), 3);
    drop(store);
    let store = open_with(
        &directory,
        StoreOptions::default().dead_letters(0).dead_letter_age(Duration::MAX),
    );
    store.forget(SystemTime::now()).await.unwrap();
    assert_eq!(letter_ids(&store).await, ["6"], "one is always kept");
}

/// D4: a dead letter that is younger than its maximal age is kept.
#[tokio::test]
async fn d4_dead_letter_age_obeyed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(&directory, StoreOptions::default().dead_letter_age(HOUR));
    store.put(letter("1", None, at(7200))).await.unwrap();
    store.forget(at(7200) + HOUR).await.unwrap();
    assert_eq!(letter_ids(&store).await, ["1"]);
}

/// D4: those that are older are forgotten, many of them at once too, and no other.
#[tokio::test]
async fn d4_dead_letter_age_violated() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(&directory, StoreOptions::default().dead_letter_age(HOUR));
    for n in 0..250 {
        store.put(letter(&n.to_string(), None, at(7200))).await.unwrap();
    }
    store.put(letter("younger", None, at(7300))).await.unwrap();
    store.forget(at(7201) + HOUR).await.unwrap();
    assert_eq!(letter_ids(&store).await, ["younger"]);
}

fn large(id: &str) -> NewEvent {
    let data = vec![b'x'; 300_000];
    let large = Event::builder("a", "/tests").id(id).data("text/plain", data).build();
    owed_event(large.unwrap(), &["a"])
}

/// H45: what fits into the bound is stored.
#[tokio::test]
async fn h45_max_bytes_obeyed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(&directory, StoreOptions::default().max_bytes(1024 * 1024));
    for id in ["1", "2"] {
        store.append(large(id), Box::new(|_| ())).await.unwrap();
    }
    assert_eq!(ids(&store, "a").await, ["1", "2"]);
}

/// H45: a full store takes nothing and says so, but what needs no room is done, for others too; and when there is room again
/// it goes on. Nothing of what was refused is left, not even the mark against repetition.
#[tokio::test]
async fn h45_max_bytes_violated() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(&directory, StoreOptions::default().max_bytes(1024 * 1024));
    let first = only(&store.append(large("1"), Box::new(|_| ())).await.unwrap());
    store.append(large("2"), Box::new(|_| ())).await.unwrap();
    store.append(large("3"), Box::new(|_| ())).await.unwrap();
    let (refused, small, settled) = tokio::join!(
        store.append(large("4"), Box::new(|_| ())),
        append(&store, "small", &["b"]),
        done(&store, first)
    );
    let refused = refused.unwrap_err();
    assert!(matches!(refused, StoreError::Full(_)), "{refused}");
    assert!(refused.to_string().contains("store.size"), "{refused}");
    assert!(matches!(small.as_slice(), [Stored::Owed(_)]) && !settled.gone);
    assert_eq!(ids(&store, "a").await, ["2", "3"]);
    only(&store.append(large("4"), Box::new(|_| ())).await.unwrap());
    drop(store);
    let store = open_with(&directory, StoreOptions::default().max_bytes(1));
    assert_eq!(
        ids(&store, "a").await,
        ["2", "3", "4"],
        "a database that is larger is served"
    );
    let full = store.append(large("5"), Box::new(|_| ())).await.unwrap_err();
    assert!(matches!(full, StoreError::Full(_)), "{full}");
}

/// D6: a mark of a time that is yet to come, made while the clock was wrong, neither suppresses an event nor stays; that the
/// clock was set a little does not matter.
#[tokio::test]
async fn d6_a_mark_from_the_future_is_past_its_time() {
    let (_directory, store) = empty();
    let now = SystemTime::now();
    let future = now + 1000 * HOUR;
    append_at(&store, "1", future, HOUR).await;
    assert!(matches!(append_at(&store, "1", now, HOUR).await, Stored::Owed(_)));
    let a_little_before = now - Duration::from_secs(5);
    assert_eq!(append_at(&store, "1", a_little_before, HOUR).await, Stored::Duplicate);
    append_at(&store, "2", future, HOUR).await;
    store.forget(now).await.unwrap();
    let marks = |db: &Connection| Ok(db.query_row("SELECT group_concat(id) FROM seen", [], |row| row.get(0))?);
    let marks: String = store.0.writer.run(marks).await.unwrap();
    assert_eq!(marks, "1");
}
