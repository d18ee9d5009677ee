//! A store of keys and values that outlives the instance: [`Store`].
//!
//! A plugin that uses it imports `wasi:keyvalue/store` and is loaded only with the operator's grant `key-value`; one that
//! doesn't imports nothing of it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host;

/// The plugin's own key-value store. All its instances have the same one; no other plugin sees it.
///
/// What a call writes it sees at once; it is kept, all of it together, when the call returns `Ok`, and forgotten when it
/// fails in any way. So a handler that counts here counts once, however often it is tried:
///
/// ```
/// # use palisade_sdk::prelude::*;
/// # use palisade_sdk::kv::Store;
/// # struct Shop { store: Store }
/// # impl Shop {
/// fn bill(&mut self, event: &Event, _cx: &Context) -> Result<(), Failure> {
///     let paid: u64 = self.store.get_json("paid")?.unwrap_or_default();
///     self.store.set_json("paid", &(paid + event.json::<u64>()?))?;
///     Ok(())
/// }
/// # }
/// ```
///
/// Only `start`, handlers and `stop` may write; anything else may read. Two calls that run at the same time may both read
/// before either writes, and then the later one's value is kept: a plugin that counts is to have one instance
/// (`concurrency = 1`).
///
/// A key has at most 256 bytes. The operator's limits are on keys (10,000), on their bytes with their values (16 MiB), and
/// on one value (256 KiB); an error names the one that was hit.
#[derive(Debug)]
pub struct Store(host::Bucket);

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The host has no store for this plugin.
    #[error("key-value store: there is none")]
    NoSuchStore,
    /// The plugin may not use it.
    #[error("key-value store: access denied")]
    AccessDenied,
    /// A limit, a write where none may be, or a fault of the store; the text says which.
    #[error("key-value store: {0}")]
    Other(String),
    /// What is there is not JSON of the type asked for, or the value can't be JSON.
    #[error("key-value store: the value of `{key}`: {reason}")]
    Json {
        /// Of which key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

impl Store {
    /// Opens it. Open it once, in `start`: an open store counts as a handle.
    pub fn open() -> Result<Self, StoreError> {
        host::open_bucket().map(Self)
    }

    /// The value of a key; `None` if there is no such key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key)
    }

    /// The value of a key, read as JSON.
    pub fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let value = self.get(key)?;
        let read = value.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        read.map_err(|error| not_json(key, &error))
    }

    /// Sets a key.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), StoreError> {
        self.0.set(key, value.as_ref())
    }

    /// Sets a key to a value as JSON.
    pub fn set_json(&self, key: &str, value: &impl Serialize) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).map_err(|error| not_json(key, &error))?;
        self.set(key, bytes)
    }

    /// Removes a key; does nothing if there is none.
    pub fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key)
    }

    /// Whether there is such a key.
    pub fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.0.exists(key)
    }

    /// All keys, in the order of their bytes, asked for page by page. Keys may be written meanwhile.
    pub fn keys(&self) -> Keys<'_> {
        Keys {
            store: self,
            page: Vec::new().into_iter(),
            next: Next::Page(None),
        }
    }

    /// One page of keys, at most 1,000, after a cursor; and the cursor of the next page, if there is one. A page may be
    /// empty and yet have a next one.
    pub fn keys_page(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), StoreError> {
        self.0.list_keys(cursor)
    }
}

/// The keys of a [`Store`]; ends after the first error.
#[derive(Debug)]
pub struct Keys<'a> {
    store: &'a Store,
    page: std::vec::IntoIter<String>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Page(Option<String>),
    End,
}

impl Iterator for Keys<'_> {
    type Item = Result<String, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.page.next() {
                return Some(Ok(key));
            }
            let Next::Page(cursor) = std::mem::replace(&mut self.next, Next::End) else {
                return None;
            };
            match self.store.keys_page(cursor.as_deref()) {
                Ok((keys, cursor)) => {
                    self.page = keys.into_iter();
                    self.next = cursor.map_or(Next::End, |cursor| Next::Page(Some(cursor)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn not_json(key: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Json {
        key: key.to_owned(),
        reason: error.to_string(),
    }
}
