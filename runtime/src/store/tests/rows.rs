//! Rows that do not fit together, or hold what was never written to them (H46).

use super::*;
use crate::bus::RedriveError;

/// Does it to the database of a store that is closed.
fn alter(directory: &TempDir, sql: &str) {
    let db = Connection::open(directory.path().join("palisade.db")).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    db.execute_batch(sql).unwrap();
}

const DELIVERIES: &[&str] = &[
    "DELETE FROM event WHERE id = 1",
    "UPDATE event SET json = x'00' WHERE id = 1",
    "UPDATE delivery SET attempts = -1 WHERE id = 1",
    "UPDATE delivery SET attempts = 4294967296 WHERE id = 1",
    "UPDATE delivery SET due = -1 WHERE id = 1",
    "UPDATE delivery SET first = -1 WHERE id = 1",
    "UPDATE delivery SET origin = 7 WHERE id = 1",
];

/// H46: a delivery whose event is not there, or that has what nobody wrote, is told as damaged; the handler's others come.
#[tokio::test]
async fn h46_a_delivery_that_makes_no_sense_is_damaged_and_the_others_come() {
    for sql in DELIVERIES {
        let (directory, store) = empty();
        let bad = only(&append(&store, "bad", &["a"]).await);
        append(&store, "good", &["a"]).await;
        drop(store);
        alter(&directory, sql);
        let store = open(&directory);
        let page = load(&store, "a").await;
        assert_eq!((page.deliveries.len(), page.damaged), (1, vec![bad]), "{sql}");
        assert_eq!(page.owed.unwrap().events, 2, "{sql}");
        let these = store.load_these(vec![bad], Box::new(|_| ())).await.unwrap();
        assert_eq!((these.deliveries.len(), these.damaged), (0, vec![bad]), "{sql}");
        assert!(!done(&store, bad).await.gone, "{sql}: it can be ended");
        assert_eq!(ids(&store, "a").await, ["good"], "{sql}");
    }
}

/// H46, D9: of a handler that is gone it is given up, and does not keep the others from becoming dead letters.
#[tokio::test]
async fn h46_an_orphan_that_makes_no_sense_is_given_up() {
    for sql in [DELIVERIES[0], DELIVERIES[2], DELIVERIES[5]] {
        let (directory, store) = empty();
        append(&store, "bad", &["a"]).await;
        append(&store, "good", &["a"]).await;
        drop(store);
        alter(&directory, sql);
        let store = open(&directory);
        let orphaned = store.orphan(vec![], SystemTime::now() + 2 * HOUR).await.unwrap();
        assert_eq!(orphaned, [("a".to_owned(), 2)], "{sql}");
        assert_eq!(letter_ids(&store).await, ["good"], "{sql}");
        assert!(
            store
                .orphan(vec![], SystemTime::now() + 2 * HOUR)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// H46: the name of a handler that is no text is shown as well as it can be, and what it is owed is given up in its time.
#[tokio::test]
async fn h46_a_handler_s_name_that_is_no_text_stops_nobody() {
    let (directory, store) = empty();
    for handler in ["a", "m", "z"] {
        append(&store, handler, &[handler]).await;
    }
    drop(store);
    alter(
        &directory,
        "UPDATE delivery SET handler = CAST(x'6dff' AS TEXT) WHERE id = 2",
    );
    let store = open(&directory);
    let backlogs = store.backlogs().await.unwrap();
    let names: Vec<_> = backlogs.iter().map(|backlog| backlog.handler.as_str()).collect();
    assert_eq!(names, ["a", "m\u{fffd}", "z"]);
    let known = vec!["a".to_owned()];
    let orphaned = store.orphan(known, SystemTime::now() + 2 * HOUR).await.unwrap();
    assert_eq!(orphaned, [("m\u{fffd}".to_owned(), 1), ("z".to_owned(), 1)]);
    assert_eq!(letter_ids(&store).await, ["z"]);
}

/// H46, D4: a dead letter that has what nobody wrote is left out, refused alone, and thrown away or made room of like others.
#[tokio::test]
async fn h46_a_dead_letter_that_makes_no_sense_stands_in_nobody_s_way() {
    for column in [
        "attempts = -1",
        "first = -1",
        "last = -1",
        "json = x'00'",
        "reason = 'none such'",
        "reason = CAST(x'ff' AS TEXT)",
        "handler = CAST(x'ff' AS TEXT)",
        "digest = CAST(x'ff' AS TEXT)",
        "error = CAST(x'ff' AS TEXT)",
    ] {
        let (directory, store) = empty();
        let handler = || Some(HandlerName::native("a"));
        for id in ["bad", "good"] {
            store.put(letter(id, handler(), SystemTime::now())).await.unwrap();
        }
        drop(store);
        alter(&directory, &format!("UPDATE dead_letter SET {column} WHERE id = 1"));
        let store = open_with(&directory, StoreOptions::default().dead_letters(2));
        assert_eq!(letter_ids(&store).await, ["good"], "{column}");
        assert!(store.get(DeadLetterId(1)).await.is_err(), "{column}");
        let redriven = store.redrive_all(&DeadLetterFilter::all()).await.unwrap();
        assert_eq!(redriven.sent, 1, "{column}");
        let refused = redriven.refused.as_slice();
        assert!(
            matches!(refused, [(DeadLetterId(1), RedriveError::Store(_))]),
            "{column}: {refused:?}"
        );
        for id in ["3", "4"] {
            store.put(letter(id, handler(), SystemTime::now())).await.unwrap();
        }
        assert_eq!(letter_ids(&store).await, ["3", "4"], "{column}");
    }
}
