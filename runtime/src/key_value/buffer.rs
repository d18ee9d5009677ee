//! What one call has written and nobody else sees yet.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::{KeyValueUsage, KeyValueWrite};

/// The writes of one call, each key once. It needs no bound of its own: it holds keys that are new, of which there are no
/// more than the store may have, and keys that the store has.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    writes: BTreeMap<String, Pending>,
    growth: Growth,
}

#[derive(Debug)]
struct Pending {
    /// `None` removes it.
    value: Option<Bytes>,
    /// How many bytes the store's value had when the call first wrote the key.
    stored: Option<usize>,
}

/// By how much a store will have more than it has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Growth {
    keys: isize,
    bytes: isize,
}

impl WriteBuffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// What this call made of a key, if it wrote it: `Some(None)` if it removed it.
    pub(super) fn get(&self, key: &str) -> Option<Option<&Bytes>> {
        self.writes.get(key).map(|pending| pending.value.as_ref())
    }

    /// What the store had of a key when this call first wrote it, if it did.
    pub(super) fn stored(&self, key: &str) -> Option<Option<usize>> {
        self.writes.get(key).map(|pending| pending.stored)
    }

    /// By how much the store will have more when this is committed.
    pub(super) fn growth(&self) -> Growth {
        self.growth
    }

    /// The same with one key made a value of so many bytes, or removed.
    pub(super) fn growth_with(&self, key: &str, value: Option<usize>, stored: Option<usize>) -> Growth {
        let had = self.get(key).map(|own| own.map(Bytes::len));
        let new = Growth::of(key, value).less(Growth::of(key, had.unwrap_or(stored)));
        self.growth.plus(new)
    }

    /// Writes a key, of which the store has `stored`. What neither had nor gets a value is no write.
    pub(super) fn put(&mut self, key: String, value: Option<Bytes>, stored: Option<usize>) {
        self.growth = self.growth_with(&key, value.as_ref().map(Bytes::len), stored);
        if value.is_none() && stored.is_none() {
            self.writes.remove(&key);
        } else {
            self.writes.insert(key, Pending { value, stored });
        }
    }

    /// The keys that this call wrote after one and up to another, in their order, each with whether it has a value.
    pub(super) fn range<'a>(
        &'a self,
        after: Option<&'a str>,
        last: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let from_there = self.writes.range::<str, _>((from, Bound::Unbounded));
        let until = from_there.take_while(move |(key, _)| last.is_none_or(|last| key.as_str() <= last));
        until.map(|(key, pending)| (key.as_str(), pending.value.is_some()))
    }

    pub(super) fn into_writes(self) -> Vec<KeyValueWrite> {
        let writes = self.writes.into_iter();
        writes
            .map(|(key, Pending { value, .. })| KeyValueWrite { key, value })
            .collect()
    }
}

impl Growth {
    /// What a key with its value adds, if it has one.
    fn of(key: &str, value: Option<usize>) -> Self {
        let bytes = |value: usize| isize::try_from(key.len().saturating_add(value)).unwrap_or(isize::MAX);
        Self {
            keys: isize::from(value.is_some()),
            bytes: value.map_or(0, bytes),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            keys: self.keys.saturating_add(other.keys),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn less(self, other: Self) -> Self {
        Self {
            keys: self.keys.saturating_sub(other.keys),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// What a plugin will have that has `usage` now.
    pub(super) fn after(self, usage: KeyValueUsage) -> KeyValueUsage {
        KeyValueUsage {
            keys: usage.keys.saturating_add_signed(self.keys),
            bytes: usage.bytes.saturating_add_signed(self.bytes),
        }
    }
}
