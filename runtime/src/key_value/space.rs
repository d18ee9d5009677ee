//! One plugin's part of a store, as a call of it sees it: what is committed, with its own writes on top.

use std::sync::Arc;

use bytes::Bytes;

use super::{KeyPageLimits, KeyValueCaps, KeyValueError, KeyValueStore, MemoryKeyValueStore, WriteBuffer};
use crate::delivery::PluginWrites;
use crate::limits::{LimitKind, Limits};

/// The longest key.
const KEY_BYTES: usize = 256;

/// The largest page of keys.
const PAGE: KeyPageLimits = KeyPageLimits {
    keys: 1000,
    bytes: 64 * 1024,
};

/// The store of one plugin. Lives as long as the plugin's instances are made from the same recipe; what is in it longer.
pub(crate) struct Space {
    store: Arc<dyn KeyValueStore>,
    commits: Commits,
    plugin: Arc<str>,
    caps: KeyValueCaps,
    value_bytes: usize,
    page: KeyPageLimits,
}

/// Who makes the writes of a call that handled an event everybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commits {
    /// The call itself.
    OfTheirOwn,
    /// Whoever acknowledges the event, in the same transaction: the store is the one of the deliveries.
    #[cfg_attr(not(feature = "durable"), allow(dead_code))]
    WithTheAck,
}

/// What a guest is told of its keys.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) keys: Vec<String>,
    /// What the next page comes after; `None` at the end.
    pub(crate) cursor: Option<String>,
}

/// Why a guest did not get what it asked of its store. The guest is told the words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("the key has {bytes} bytes; {KEY_BYTES} are the most")]
    KeyTooLong { bytes: usize },
    #[error(
        "the value has {bytes} bytes; {most} are the most ({})",
        LimitKind::KeyValueValueBytes
    )]
    ValueTooLarge { bytes: usize, most: usize },
    #[error("{phase} may not write to the key-value store")]
    ReadOnly { phase: &'static str },
    #[error(transparent)]
    Store(#[from] KeyValueError),
}

impl Space {
    pub(crate) fn new(store: Arc<dyn KeyValueStore>, commits: Commits, plugin: Arc<str>, limits: &Limits) -> Self {
        let caps = KeyValueCaps {
            keys: limits.key_value_keys,
            bytes: limits.key_value_bytes,
        };
        Self {
            store,
            commits,
            plugin,
            caps,
            value_bytes: limits.key_value_value_bytes,
            page: KeyPageLimits {
                bytes: PAGE.bytes.min(limits.hostcall_bytes),
                ..PAGE
            },
        }
    }

    /// One with nothing in it, and nobody else's.
    pub(crate) fn empty(plugin: Arc<str>, limits: &Limits) -> Self {
        let store = Arc::new(MemoryKeyValueStore::default());
        Self::new(store, Commits::OfTheirOwn, plugin, limits)
    }

    pub(crate) async fn get(&self, own: &WriteBuffer, key: &str) -> Result<Option<Bytes>, AccessError> {
        check_key(key)?;
        match own.get(key) {
            Some(written) => Ok(written.cloned()),
            None => Ok(self.store.get(&self.plugin, key).await?),
        }
    }

    pub(crate) async fn exists(&self, own: &WriteBuffer, key: &str) -> Result<bool, AccessError> {
        check_key(key)?;
        match own.get(key) {
            Some(written) => Ok(written.is_some()),
            None => Ok(self.store.size(&self.plugin, key).await?.is_some()),
        }
    }

    /// Buffers a write, unless the store would then have more than it may.
    pub(crate) async fn set(&self, own: &mut WriteBuffer, key: String, value: Vec<u8>) -> Result<(), AccessError> {
        check_key(&key)?;
        let (bytes, most) = (value.len(), self.value_bytes);
        if bytes > most {
            return Err(AccessError::ValueTooLarge { bytes, most });
        }
        let stored = self.stored(own, &key).await?;
        let usage = self.store.usage(&self.plugin).await?;
        let after = own.growth_with(&key, Some(bytes), stored).after(usage);
        self.caps.check(own.growth().after(usage), after)?;
        own.put(key, Some(value.into()), stored);
        Ok(())
    }

    pub(crate) async fn delete(&self, own: &mut WriteBuffer, key: String) -> Result<(), AccessError> {
        check_key(&key)?;
        let stored = self.stored(own, &key).await?;
        own.put(key, None, stored);
        Ok(())
    }

    /// The keys after one, from the first without one: what is committed, without what the call itself removed and with
    /// what it added.
    pub(crate) async fn list(&self, own: &WriteBuffer, after: Option<&str>) -> Result<Listing, AccessError> {
        after.map_or(Ok(()), check_key)?;
        let page = self.store.list(&self.plugin, after, self.page).await?;
        // Up to where we know what is committed: beyond it the call's own keys have to wait for the next page.
        let known_to = page.keys.last().filter(|_| page.more).cloned();
        let merged = merge(page.keys, own.range(after, known_to.as_deref()));
        let (mut keys, mut bytes) = (Vec::new(), 0_usize);
        for key in merged {
            if !self.page.has_room(keys.len(), bytes, &key) {
                let cursor = keys.last().cloned();
                return Ok(Listing { keys, cursor });
            }
            bytes = bytes.saturating_add(key.len());
            keys.push(key);
        }
        Ok(Listing { keys, cursor: known_to })
    }

    /// The writes of a call, where somebody else commits them.
    pub(crate) fn to_be_acknowledged(&self, own: &mut WriteBuffer) -> Option<PluginWrites> {
        if self.commits == Commits::OfTheirOwn || own.is_empty() {
            return None;
        }
        Some(PluginWrites {
            plugin: self.plugin.clone(),
            writes: std::mem::take(own).into_writes(),
            caps: self.caps,
        })
    }

    /// Makes the writes of a call everybody's.
    pub(crate) async fn commit(&self, own: WriteBuffer) -> Result<(), KeyValueError> {
        self.store.commit(&self.plugin, own.into_writes(), self.caps).await
    }

    async fn stored(&self, own: &WriteBuffer, key: &str) -> Result<Option<usize>, AccessError> {
        match own.stored(key) {
            Some(known) => Ok(known),
            None => Ok(self.store.size(&self.plugin, key).await?),
        }
    }
}

/// Committed keys and a call's own, both in order, as one: a key that is in both has the call's verdict.
fn merge<'a>(committed: Vec<String>, own: impl Iterator<Item = (&'a str, bool)>) -> impl Iterator<Item = String> {
    let (mut committed, mut own) = (committed.into_iter().peekable(), own.peekable());
    let next = move || {
        let Some((written, is_there)) = own.peek().copied() else {
            return committed.next().map(Some);
        };
        if committed.peek().is_some_and(|key| key.as_str() < written) {
            return committed.next().map(Some);
        }
        committed.next_if(|key| key == written);
        own.next();
        Some(is_there.then(|| written.to_owned()))
    };
    std::iter::from_fn(next).flatten()
}

fn check_key(key: &str) -> Result<(), AccessError> {
    if key.len() > KEY_BYTES {
        return Err(AccessError::KeyTooLong { bytes: key.len() });
    }
    Ok(())
}
