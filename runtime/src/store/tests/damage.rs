//! What is no store, or not any more (H46).

use std::path::Path;

use super::*;

/// Flips a bit of the last place that has these bytes.
pub(super) fn flip(path: &Path, wanted: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes
        .windows(wanted.len())
        .rposition(|window| window == wanted)
        .unwrap();
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
