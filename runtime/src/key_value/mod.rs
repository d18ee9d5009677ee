//! Where plugins keep key-value pairs: one trait, and an implementation in memory.
//!
//! What a call writes is held in a [`WriteBuffer`] and becomes one [`commit`](KeyValueStore::commit) when the call is
//! acknowledged, so that a call which fails has written nothing and its retry counts once.

mod buffer;
mod memory;
mod space;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::handler::BoxFuture;
use crate::limits::LimitKind;

pub(crate) use buffer::WriteBuffer;
pub use memory::MemoryKeyValueStore;
pub(crate) use space::{AccessError, Commits, Space};

/// Keeps key-value pairs for plugins, apart by the plugin's name.
///
/// What a plugin has written stays while the store lives: over its stop and start, over a change of its config, and
/// over an unload, for the next plugin of that name. Only [`Runtime::purge_key_value`](crate::Runtime::purge_key_value) throws
/// it away.
///
/// The methods are asynchronous because a store on disk waits, for one writer and its fsync: a guest's host call may wait,
/// by the deadline of its call, but must not hold up the thread that others run on. An implementation in memory answers at
/// once. A future may be dropped at any await, and then has no effect or, of a commit and a purge, all of it.
pub trait KeyValueStore: Send + Sync + 'static {
    /// The value of a key.
    fn get<'a>(&'a self, plugin: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, KeyValueError>>;

    /// How many bytes the value of a key has; `None` if there is no such key.
    fn size<'a>(&'a self, plugin: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<usize>, KeyValueError>>;

    /// Keys in the order of their bytes: those after `after`, or from the first, as many as `page` takes.
    fn list<'a>(
        &'a self,
        plugin: &'a str,
        after: Option<&'a str>,
        page: KeyPageLimits,
    ) -> BoxFuture<'a, Result<KeyPage, KeyValueError>>;

    /// How much the plugin has in it.
    fn usage<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<KeyValueUsage, KeyValueError>>;

    /// Makes all these writes or, on an error, none. Each key comes once. The caps are checked here, with
    /// [`KeyValueCaps::check`] and nobody else writing meanwhile, so that two instances can't exceed them together.
    fn commit<'a>(
        &'a self,
        plugin: &'a str,
        writes: Vec<KeyValueWrite>,
        caps: KeyValueCaps,
    ) -> BoxFuture<'a, Result<(), KeyValueError>>;

    /// Throws away all that the plugin has in it, or on an error none of it, and says how much that was. Nobody asks for
    /// it while instances of the plugin may write.
    fn purge<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<KeyValueUsage, KeyValueError>>;
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValueWrite {
    /// Of what; at most 256 bytes.
    pub key: String,
    /// What it is set to; `None` removes it.
    pub value: Option<Bytes>,
}

/// How much one plugin has in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyValueUsage {
    /// How many keys.
    pub keys: usize,
    /// How many bytes all keys and values have together.
    pub bytes: usize,
}

/// How much one plugin may have in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyValueCaps {
    /// How many keys: `Limits::key_value_keys`.
    pub keys: usize,
    /// How many bytes all keys and values may have together: `Limits::key_value_bytes`.
    pub bytes: usize,
}

impl KeyValueCaps {
    /// Whether a store may go from `before` to `after`. What makes it no larger is always allowed: a plugin whose caps were
    /// lowered can still remove things.
    ///
    /// # Errors
    /// [`KeyValueError::OverLimit`] with the cap that stands against it.
    pub fn check(self, before: KeyValueUsage, after: KeyValueUsage) -> Result<(), KeyValueError> {
        let over = |before: usize, after: usize, limit: usize| after > limit && after > before;
        if over(before.keys, after.keys, self.keys) {
            let (limit, most) = (LimitKind::KeyValueKeys, self.keys);
            return Err(KeyValueError::OverLimit { limit, most });
        }
        if over(before.bytes, after.bytes, self.bytes) {
            let (limit, most) = (LimitKind::KeyValueBytes, self.bytes);
            return Err(KeyValueError::OverLimit { limit, most });
        }
        Ok(())
    }
}

/// How much one page of keys may have; always room for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPageLimits {
    /// How many keys.
    pub keys: usize,
    /// How many bytes of them.
    pub bytes: usize,
}

impl KeyPageLimits {
    /// Whether a page that has so many keys, of so many bytes, has room for one more key.
    pub fn has_room(self, keys: usize, bytes: usize, next: &str) -> bool {
        keys == 0 || keys < self.keys && bytes.saturating_add(next.len()) <= self.bytes
    }
}

/// One page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys, in the order of their bytes.
    pub keys: Vec<String>,
    /// Whether there are keys after the last one.
    pub more: bool,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyValueError {
    /// The writes would make the plugin's part larger than it may be.
    #[error("the key-value store may have {most} {} ({limit})", unit(.limit))]
    OverLimit {
        /// Which limit.
        limit: LimitKind,
        /// The limit in force.
        most: usize,
    },
    /// All plugins together have as much as the store takes.
    #[error("the key-value stores of all plugins together may have {most} bytes")]
    Full {
        /// The limit in force.
        most: usize,
    },
    /// The store itself failed; with its words.
    #[error("the key-value store failed: {0}")]
    Failed(String),
}

fn unit(limit: &LimitKind) -> &'static str {
    match limit {
        LimitKind::KeyValueKeys => "keys",
        _ => "bytes of keys and values",
    }
}
