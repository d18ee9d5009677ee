//! A call's view of its store is compared with a plain map, whatever it does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::limits::Limits;

type Map = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Set(String, usize),
    Delete(String),
    List(Option<String>),
    /// The call ends, well or not.
    End(bool),
    /// The call ends, and all is thrown away.
    Purge,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || "[a-c]{0,2}";
    let step = prop_oneof![
        6 => (key(), 0..12_usize).prop_map(|(key, bytes)| Step::Set(key, bytes)),
        3 => key().prop_map(Step::Delete),
        2 => proptest::option::of(key()).prop_map(Step::List),
        2 => any::<bool>().prop_map(Step::End),
        1 => Just(Step::Purge),
    ];
    proptest::collection::vec(step, 0..80)
}

/// In memory nothing waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("it is in memory")
}

fn usage(map: &Map) -> KeyValueUsage {
    KeyValueUsage {
        keys: map.len(),
        bytes: map.iter().map(|(key, value)| key.len() + value.len()).sum(),
    }
}

/// All pages from a cursor on.
fn listed(space: &Space, own: &WriteBuffer, mut cursor: Option<String>) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let page = now(space.list(own, cursor.as_deref())).unwrap();
        assert!(page.keys.iter().map(String::len).sum::<usize>() <= 4 || page.keys.len() == 1);
        all.extend(page.keys);
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

proptest! {
    /// S12, H27
    #[test]
    fn s12_h27_a_call_sees_what_it_wrote_and_keeps_to_the_caps(steps in steps()) {
        let mut limits = Limits::default();
        (limits.key_value_keys, limits.key_value_bytes, limits.key_value_value_bytes) = (6, 40, 10);
        // Pages of four bytes: most listings have several.
        limits.hostcall_bytes = 4;
        let store = Arc::new(MemoryKeyValueStore::default());
        let space = Space::new(store.clone(), super::Commits::OfTheirOwn, Arc::from("plugin"), &limits);
        let (mut kept, mut seen, mut own) = (Map::new(), Map::new(), WriteBuffer::default());
        for step in steps {
            match step {
                Step::Set(key, bytes) => {
                    let mut after = seen.clone();
                    after.insert(key.clone(), vec![0; bytes]);
                    let (before, would) = (usage(&seen), usage(&after));
                    let fits = bytes <= 10
                        && (would.keys <= 6 || would.keys <= before.keys)
                        && (would.bytes <= 40 || would.bytes <= before.bytes);
                    prop_assert_eq!(now(space.set(&mut own, key, vec![0; bytes])).is_ok(), fits);
                    if fits {
                        seen = after;
                    }
                }
                Step::Delete(key) => {
                    seen.remove(&key);
                    now(space.delete(&mut own, key)).unwrap();
                }
                Step::List(cursor) => {
                    let after = |key: &&String| cursor.as_ref().is_none_or(|cursor| *key > cursor);
                    let expected: Vec<_> = seen.keys().filter(after).cloned().collect();
                    prop_assert_eq!(listed(&space, &own, cursor), expected);
                }
                Step::End(true) => {
                    now(space.commit(std::mem::take(&mut own))).unwrap();
                    kept.clone_from(&seen);
                }
                Step::End(false) => {
                    own = WriteBuffer::default();
                    seen.clone_from(&kept);
                }
                Step::Purge => {
                    own = WriteBuffer::default();
                    prop_assert_eq!(now(store.purge("plugin")).unwrap(), usage(&kept));
                    (kept, seen) = (Map::new(), Map::new());
                }
            }
            prop_assert_eq!(now(store.usage("plugin")).unwrap(), usage(&kept));
            for key in ["", "a", "ab", "c"] {
                prop_assert_eq!(now(space.get(&own, key)).unwrap().map(Vec::from), seen.get(key).cloned());
                prop_assert_eq!(now(space.exists(&own, key)).unwrap(), seen.contains_key(key));
            }
        }
    }
}
