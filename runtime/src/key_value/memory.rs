//! Key-value pairs in memory.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{KeyPage, KeyPageLimits, KeyValueCaps, KeyValueError, KeyValueStore, KeyValueUsage, KeyValueWrite};
use crate::handler::BoxFuture;

/// Keeps everything in memory until the runtime ends. All plugins together may have so many bytes of keys and values;
/// a commit that would go beyond it is refused whole, and the call that made it fails as `unavailable`.
#[derive(Debug)]
pub struct MemoryKeyValueStore {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plugins: HashMap<String, Pairs>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Pairs {
    values: BTreeMap<String, Bytes>,
    bytes: usize,
}

impl MemoryKeyValueStore {
    /// Holds at most so many bytes of all plugins together.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_now(&self, plugin: &str, writes: Vec<KeyValueWrite>, caps: KeyValueCaps) -> Result<(), KeyValueError> {
        let mut state = self.state();
        let before = state.usage(plugin);
        let after = state.plugins.get(plugin).map_or_else(
            || Pairs::default().usage_after(&writes),
            |pairs| pairs.usage_after(&writes),
        );
        caps.check(before, after)?;
        let all = state.bytes.saturating_sub(before.bytes).saturating_add(after.bytes);
        if all > self.capacity && all > state.bytes {
            return Err(KeyValueError::Full { most: self.capacity });
        }
        state.bytes = all;
        let pairs = state.plugins.entry(plugin.to_owned()).or_default();
        pairs.bytes = after.bytes;
        for KeyValueWrite { key, value } in writes {
            match value {
                Some(value) => drop(pairs.values.insert(key, value)),
                None => drop(pairs.values.remove(&key)),
            }
        }
        if pairs.values.is_empty() {
            state.plugins.remove(plugin);
        }
        Ok(())
    }
}

impl Default for MemoryKeyValueStore {
    /// 1 GiB.
    fn default() -> Self {
        Self::new(1024 * 1024 * 1024)
    }
}

impl State {
    fn usage(&self, plugin: &str) -> KeyValueUsage {
        self.plugins
            .get(plugin)
            .map_or_else(KeyValueUsage::default, Pairs::usage)
    }

    fn purge(&mut self, plugin: &str) -> KeyValueUsage {
        let purged = self.usage(plugin);
        self.plugins.remove(plugin);
        self.bytes = self.bytes.saturating_sub(purged.bytes);
        purged
    }
}

impl Pairs {
    fn usage(&self) -> KeyValueUsage {
        KeyValueUsage {
            keys: self.values.len(),
            bytes: self.bytes,
        }
    }

    fn usage_after(&self, writes: &[KeyValueWrite]) -> KeyValueUsage {
        let KeyValueUsage { mut keys, mut bytes } = self.usage();
        for KeyValueWrite { key, value } in writes {
            if let Some(old) = self.values.get(key) {
                keys = keys.saturating_sub(1);
                bytes = bytes.saturating_sub(key.len().saturating_add(old.len()));
            }
            if let Some(new) = value {
                keys = keys.saturating_add(1);
                bytes = bytes.saturating_add(key.len()).saturating_add(new.len());
            }
        }
        KeyValueUsage { keys, bytes }
    }

    fn page(&self, after: Option<&str>, limits: KeyPageLimits) -> KeyPage {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut page, mut bytes) = (KeyPage::default(), 0_usize);
        for key in self
            .values
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(key, _)| key)
        {
            if !limits.has_room(page.keys.len(), bytes, key) {
                page.more = true;
                break;
            }
            bytes = bytes.saturating_add(key.len());
            page.keys.push(key.clone());
        }
        page
    }
}

impl KeyValueStore for MemoryKeyValueStore {
    fn get<'a>(&'a self, plugin: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, KeyValueError>> {
        let state = self.state();
        let value = state.plugins.get(plugin).and_then(|pairs| pairs.values.get(key));
        Box::pin(ready(Ok(value.cloned())))
    }

    fn size<'a>(&'a self, plugin: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<usize>, KeyValueError>> {
        let state = self.state();
        let value = state.plugins.get(plugin).and_then(|pairs| pairs.values.get(key));
        Box::pin(ready(Ok(value.map(Bytes::len))))
    }

    fn list<'a>(
        &'a self,
        plugin: &'a str,
        after: Option<&'a str>,
        page: KeyPageLimits,
    ) -> BoxFuture<'a, Result<KeyPage, KeyValueError>> {
        let state = self.state();
        let pairs = state.plugins.get(plugin);
        Box::pin(ready(Ok(
            pairs.map_or_else(KeyPage::default, |pairs| pairs.page(after, page))
        )))
    }

    fn usage<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<KeyValueUsage, KeyValueError>> {
        Box::pin(ready(Ok(self.state().usage(plugin))))
    }

    fn commit<'a>(
        &'a self,
        plugin: &'a str,
        writes: Vec<KeyValueWrite>,
        caps: KeyValueCaps,
    ) -> BoxFuture<'a, Result<(), KeyValueError>> {
        // Not before it is polled: a future that nobody polls has no effect.
        Box::pin(async move { self.commit_now(plugin, writes, caps) })
    }

    fn purge<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<KeyValueUsage, KeyValueError>> {
        Box::pin(async move { Ok(self.state().purge(plugin)) })
    }
}
