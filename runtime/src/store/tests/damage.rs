//! What is no store, or not any more (H46).

use std::path::Path;

use super::heard::heard;
use super::*;

/// Flips a bit of the first place that has these bytes.
pub(super) fn flip(path: &Path, wanted: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    bytes[at] ^= 0x20;
    fs::write(path, bytes).unwrap();
}

fn refused(directory: &TempDir) -> StoreError {
    DurableStore::open(directory.path(), StoreOptions::default())
        .err()
        .unwrap()
}

/// H46: a database of something else, of a newer Palisade, in use or no database at all is refused with what to do.
#[tokio::test]
async fn h46_what_is_no_store_is_refused() {
    let (directory, store) = empty();
    let in_use = refused(&directory);
    assert!(matches!(in_use, StoreError::Locked(_)), "{in_use}");
    drop(store);
    let path = directory.path().join("palisade.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(db);
    let newer = refused(&directory);
    assert!(matches!(newer, StoreError::Newer { found: 99, .. }), "{newer}");

    let other = tempfile::tempdir().unwrap();
    let db = Connection::open(other.path().join("palisade.db")).unwrap();
    db.execute_batch("CREATE TABLE mine (x)").unwrap();
    drop(db);
    let foreign = refused(&other);
    assert!(matches!(foreign, StoreError::Corrupt { .. }), "{foreign}");

    let text = tempfile::tempdir().unwrap();
    let words = "no database at all, but long enough to be read as one";
    fs::write(text.path().join("palisade.db"), words).unwrap();
    let text = refused(&text);
    assert!(matches!(text, StoreError::Corrupt { .. }), "{text}");
}

/// H46: a byte of an event that the disk flipped is noticed, and that event is not delivered; the others are.
#[tokio::test]
async fn h46_a_flipped_byte_of_an_event_is_noticed() {
    let (directory, store) = empty();
    let bad = only(&append(&store, "bad-one", &["a"]).await);
    append(&store, "good", &["a"]).await;
    drop(store);
    let path = directory.path().join("palisade.db");
    let place = r#""id":"bad-one""#;
    flip(&path, place.as_bytes());
    let store = open(&directory);
    let page = load(&store, "a").await;
    assert_eq!((page.deliveries.len(), page.damaged), (1, vec![bad]));
    let these = store.load_these(vec![bad], Box::new(|_| ())).await.unwrap();
    assert_eq!((these.deliveries.len(), these.damaged), (0, vec![bad]));
    let orphaned = store.orphan(vec![], SystemTime::now() + 2 * HOUR).await.unwrap();
    assert_eq!(orphaned, [("a".to_owned(), 2)]);
    assert_eq!(letter_ids(&store).await, ["good"]);
}

/// A data directory as a process that was killed leaves it: these events are owed, each by a commit of its own, and all of it
/// is in the log.
async fn killed(ids: &[&str]) -> TempDir {
    let (directory, store) = empty();
    // Closing it leaves the tables in the database, so that the log has nothing but the events.
    drop(store);
    let store = open(&directory);
    for id in ids {
        append(&store, id, &["a"]).await;
    }
    let left = tempfile::tempdir().unwrap();
    for name in ["palisade.db", "palisade.db-wal"] {
        fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
    }
    left
}

fn log(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("palisade.db-wal")
}

/// D8, H46: what a killed process left in its log is taken up, and the log says how much is owed.
#[tokio::test]
async fn h46_the_log_of_a_killed_process_is_taken_up() {
    let directory = killed(&["1", "2"]).await;
    let (store, lines) = heard(|| open(&directory));
    assert_eq!(ids(&store, "a").await, ["1", "2"]);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(
        line.starts_with("INFO") && line.contains("owed=2") && line.contains("not closed in order"),
        "{line}"
    );
    drop(store);
    let (_store, lines) = heard(|| open(&directory));
    assert_eq!(lines, [""; 0], "one that was closed in order has nothing to say");
}

/// H46: of a log whose end is torn off or damaged all commits before it are there, and the log says what was left out.
#[tokio::test]
async fn h46_a_torn_end_of_the_log_is_left_out() {
    for (cut, flipped) in [
        (1, None),
        (3000, None),
        (0, Some(1)),
        (0, Some(2000)),
        (0, Some(4112)),
        (9000, Some(1)),
    ] {
        let directory = killed(&["1", "2", "3"]).await;
        let mut bytes = fs::read(log(&directory)).unwrap();
        bytes.truncate(bytes.len() - cut);
        if let Some(from_end) = flipped {
            let at = bytes.len() - from_end;
            bytes[at] ^= 0x10;
        }
        fs::write(log(&directory), bytes).unwrap();
        let (store, lines) = heard(|| open(&directory));
        assert_eq!(ids(&store, "a").await, ["1", "2"], "{cut} {flipped:?}");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("WARN") && line.contains("does not hold together")),
            "{cut} {flipped:?}: {lines:?}"
        );
        only(&append(&store, "3", &["a"]).await);
        assert_eq!(ids(&store, "a").await.len(), 3);
    }
}

/// H46: where the log is damaged in its midst, commits after that are lost: SQLite would not say so, and the store does.
#[tokio::test]
async fn h46_damage_in_the_midst_of_the_log_is_said_loudly() {
    let directory = killed(&["1", "2", "3", "4"]).await;
    flip(&log(&directory), br#""id":"2""#);
    let (store, lines) = heard(|| open(&directory));
    assert!(ids(&store, "a").await.len() < 3);
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("ERROR") && line.contains("is lost")),
        "{lines:?}"
    );
}

/// H46: a flipped byte anywhere in the database is refused, or noticed at the row, or changes nothing that is told.
#[tokio::test]
async fn h46_a_flipped_byte_is_never_told_as_the_truth() {
    let (directory, store) = empty();
    for n in 0..20 {
        append(&store, &format!("event-{n:02}"), &["a"]).await;
    }
    let told = load(&store, "a").await;
    let told: Vec<_> = told
        .deliveries
        .iter()
        .map(|one| (one.id, one.event.to_json()))
        .collect();
    drop(store);
    let path = directory.path().join("palisade.db");
    let whole = fs::read(&path).unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut refused, mut noticed) = (0, 0);
    for _ in 0..150 {
        let mut bytes = whole.clone();
        let at = rng.usize(0..bytes.len());
        bytes[at] ^= 1 << rng.u8(0..8);
        fs::write(&path, bytes).unwrap();
        let (opened, lines) = heard(|| DurableStore::open(directory.path(), StoreOptions::default()));
        match opened {
            Err(error) => {
                refused += 1;
                assert!(
                    matches!(error, StoreError::Corrupt { .. } | StoreError::Newer { .. }),
                    "{at}: {error} {lines:?}"
                );
            }
            Ok(store) => match store
                .load("a".to_owned(), DeliveryId::NONE, ALL, Box::new(|_| ()))
                .await
            {
                Err(_) => noticed += 1,
                Ok(page) => {
                    noticed += usize::from(!page.damaged.is_empty());
                    for one in page.deliveries {
                        assert!(told.contains(&(one.id, one.event.to_json())), "{at}: {one:?}");
                    }
                }
            },
        }
    }
    assert!(refused > 0 && noticed > 0, "{refused} refused, {noticed} noticed");
}
