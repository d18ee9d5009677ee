//! The key-value store for tests, with the contract's limits.

use std::collections::BTreeMap;

use crate::kv::StoreError;

/// The default limits.
const KEYS: usize = 10_000;
const BYTES: usize = 16 * 1024 * 1024;
const VALUE_BYTES: usize = 256 * 1024;
const KEY_BYTES: usize = 256;
const PAGE_KEYS: usize = 1000;

/// What is kept, and what the call at hand makes of it.
#[derive(Debug, Default)]
pub(super) struct Stored {
    kept: BTreeMap<String, Vec<u8>>,
    call: BTreeMap<String, Vec<u8>>,
}

impl Stored {
    /// Forgets what the last call did not keep.
    pub(super) fn begin(&mut self) {
        self.call.clone_from(&self.kept);
    }

    /// Keeps what the call wrote.
    pub(super) fn keep(&mut self) {
        self.kept.clone_from(&self.call);
    }

    pub(super) fn kept(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.kept
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        Ok(self.call.get(key).cloned())
    }

    pub(super) fn set(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        check_key(key)?;
        if value.len() > VALUE_BYTES {
            let bytes = value.len();
            return other(format!(
                "the value has {bytes} bytes; {VALUE_BYTES} are the most (plugin.limits.key-value-value-bytes)"
            ));
        }
        let others = || self.call.iter().filter(|(other, _)| *other != key);
        let bytes: usize = others().map(|(key, value)| key.len() + value.len()).sum();
        if others().count() >= KEYS {
            return other(format!(
                "the key-value store may have {KEYS} keys (plugin.limits.key-value-keys)"
            ));
        }
        if bytes + key.len() + value.len() > BYTES {
            return other(format!(
                "the key-value store may have {BYTES} bytes of keys and values (plugin.limits.key-value-bytes)"
            ));
        }
        self.call.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    pub(super) fn delete(&mut self, key: &str) -> Result<(), StoreError> {
        check_key(key)?;
        self.call.remove(key);
        Ok(())
    }

    pub(super) fn list(&self, cursor: Option<&str>) -> (Vec<String>, Option<String>) {
        let mut after = self
            .call
            .keys()
            .filter(|key| cursor.is_none_or(|cursor| key.as_str() > cursor));
        let keys: Vec<_> = after.by_ref().take(PAGE_KEYS).cloned().collect();
        let cursor = after.next().and_then(|_| keys.last().cloned());
        (keys, cursor)
    }
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if key.len() > KEY_BYTES {
        return other(format!("the key has {} bytes; {KEY_BYTES} are the most", key.len()));
    }
    Ok(())
}

fn other<T>(text: String) -> Result<T, StoreError> {
    Err(StoreError::Other(text))
}
