//! What plugins keep (S12).

use super::*;
use crate::key_value::{KeyPageLimits, KeyValueCaps, KeyValueError, KeyValueStore, KeyValueUsage, KeyValueWrite};

const CAPS: KeyValueCaps = KeyValueCaps { keys: 3, bytes: 100 };

fn write(key: &str, value: Option<&str>) -> KeyValueWrite {
    KeyValueWrite {
        key: key.to_owned(),
        value: value.map(|value| bytes::Bytes::copy_from_slice(value.as_bytes())),
    }
}

async fn usage(store: &DurableStore, plugin: &str) -> (usize, usize) {
    let KeyValueUsage { keys, bytes } = store.usage(plugin).await.unwrap();
    (keys, bytes)
}

/// S12: what is committed is seen by the next read, plugins apart, and is there after a restart.
#[tokio::test]
async fn s12_pairs_survive_a_restart_and_are_apart() {
    let (directory, store) = empty();
    let writes = vec![write("b", Some("22")), write("a", Some("1")), write("é", Some(""))];
    store.commit("p", writes, CAPS).await.unwrap();
    assert_eq!(KeyValueStore::get(&store, "p", "b").await.unwrap().unwrap(), "22");
    assert_eq!(KeyValueStore::get(&store, "q", "b").await.unwrap(), None);
    store
        .commit(
            "p",
            vec![write("b", Some("3")), write("a", None), write("none", None)],
            CAPS,
        )
        .await
        .unwrap();
    drop(store);
    let store = open(&directory);
    assert_eq!(usage(&store, "p").await, (2, 4));
    assert_eq!(KeyValueStore::size(&store, "p", "b").await.unwrap(), Some(1));
    let page = |after: Option<&'static str>, keys| {
        let limits = KeyPageLimits { keys, bytes: 100 };
        let store = store.clone();
        async move { KeyValueStore::list(&store, "p", after, limits).await.unwrap() }
    };
    let first = page(None, 1).await;
    assert_eq!((first.keys, first.more), (vec!["b".to_owned()], true));
    let second = page(Some("b"), 1).await;
    assert_eq!((second.keys, second.more), (vec!["é".to_owned()], false));
    assert_eq!(
        KeyValueStore::purge(&store, "p").await.unwrap(),
        KeyValueUsage { keys: 2, bytes: 4 }
    );
    assert_eq!((usage(&store, "p").await, page(None, 9).await.keys.len()), ((0, 0), 0));
}

/// S12: writes within the caps are made.
#[tokio::test]
async fn s12_caps_obeyed() {
    let (_directory, store) = empty();
    let writes = vec![
        write("a", Some(&"x".repeat(97))),
        write("b", Some("")),
        write("c", Some("")),
    ];
    store.commit("p", writes, CAPS).await.unwrap();
    assert_eq!(usage(&store, "p").await, (3, 100));
    store
        .commit("q", vec![write("a", Some("neighbour"))], CAPS)
        .await
        .unwrap();
}

/// S12: none of the writes that go over a cap is made; a neighbour's are, and so is what makes it smaller.
#[tokio::test]
async fn s12_caps_violated() {
    let (_directory, store) = empty();
    store.commit("p", vec![write("a", Some("1"))], CAPS).await.unwrap();
    let keys = vec![write("b", Some("")), write("c", Some("")), write("d", Some(""))];
    let bytes = vec![write("a", None), write("b", Some(&"x".repeat(100)))];
    for writes in [keys, bytes] {
        let refused = store.commit("p", writes, CAPS).await.unwrap_err();
        assert!(matches!(refused, KeyValueError::OverLimit { .. }), "{refused}");
        assert_eq!(usage(&store, "p").await, (1, 2));
    }
    store
        .commit("q", vec![write("a", Some("neighbour"))], CAPS)
        .await
        .unwrap();
    let none = KeyValueCaps { keys: 0, bytes: 0 };
    store.commit("p", vec![write("a", Some(""))], none).await.unwrap();
    assert_eq!(usage(&store, "p").await, (1, 1));
}

/// S12, H45: what goes over the bound of the whole store is refused by that bound's number.
#[tokio::test]
async fn s12_h45_the_store_s_own_bound_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(&directory, StoreOptions::default().max_bytes(1024 * 1024));
    let caps = KeyValueCaps {
        keys: 9,
        bytes: usize::MAX,
    };
    let large = "x".repeat(2 * 1024 * 1024);
    let refused = store
        .commit("p", vec![write("a", Some(&large))], caps)
        .await
        .unwrap_err();
    assert_eq!(refused, KeyValueError::Full { most: 1024 * 1024 });
    assert_eq!(usage(&store, "p").await, (0, 0));
    store.commit("p", vec![write("a", Some("small"))], caps).await.unwrap();
}
