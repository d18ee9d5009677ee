//! Closing: by name, by the last handle, wherever that is dropped.

use super::*;

/// D7: closing writes what was handed over and frees the directory, whoever else has a handle; then the store says that it is
/// closed.
#[tokio::test]
async fn d7_a_store_is_closed_through_any_handle() {
    let (directory, store) = empty();
    let other = store.clone();
    let appends: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { append(&store, &n.to_string(), &["a"]).await })
        })
        .collect();
    append(&store, "last", &["a"]).await;
    tokio::join!(other.close(), store.close());
    other.close().await;
    let mut stored = 1;
    for append in appends {
        stored += usize::from(append.await.is_ok());
    }
    let told = Arc::new(std::sync::Mutex::new(false));
    let hears = told.clone();
    let late = other
        .append(
            owed("late", &["a"]),
            Box::new(move |stored| *hears.lock().unwrap() = stored.is_err()),
        )
        .await;
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    assert!(*told.lock().unwrap(), "who waits to be told is told so");
    assert!(matches!(other.backlogs().await, Err(StoreError::Closed)));
    let log = directory.path().join("palisade.db-wal");
    assert!(!log.exists(), "the log is folded into the database");
    assert_eq!(ids(&open(&directory), "a").await.len(), stored);
}

/// D7: the last handle may be dropped where the store itself works.
#[tokio::test]
async fn d7_the_last_handle_may_be_dropped_on_the_writer_s_thread() {
    let (directory, store) = empty();
    let (handle, dropped) = (store.clone(), Arc::new(tokio::sync::Notify::new()));
    let tells = dropped.clone();
    let then = Box::new(move |_: &Result<Vec<Stored>, StoreError>| {
        // Not before the other handle, in the test's thread, is gone.
        while Arc::strong_count(&handle.0) > 1 {
            std::thread::yield_now();
        }
        drop(handle);
        tells.notify_one();
    });
    {
        let mut append = store.append(owed("1", &["a"]), then);
        tokio::select! {
            biased;
            _ = &mut append => panic!("it is told of before"),
            () = std::future::ready(()) => {}
        }
    }
    drop(store);
    dropped.notified().await;
    let store = loop {
        match DurableStore::open(directory.path(), StoreOptions::default()) {
            Err(StoreError::Locked(_)) => tokio::task::yield_now().await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(ids(&store, "a").await, ["1"]);
}

/// D2: a request that nobody waits for any more has no effect or all of it; one that is never polled has none, but for an
/// event to be stored, which has its place at once.
#[tokio::test]
async fn d2_a_request_that_is_dropped_before_it_begins_has_no_effect() {
    let (_directory, store) = empty();
    let first = only(&append(&store, "1", &["a"]).await);
    drop(store.acknowledge(vec![first], Box::new(|_| ())));
    drop(store.append(owed("2", &["a"]), Box::new(|_| ())));
    append(&store, "3", &["a"]).await;
    assert_eq!(ids(&store, "a").await, ["1", "2", "3"]);
}
