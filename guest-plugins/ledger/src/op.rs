//! What the ledger can be told to do.

use palisade_sdk::kv::{Store, StoreError};
use palisade_sdk::prelude::*;
use palisade_sdk::serde_json::Value;
use serde::Deserialize;

/// One thing to do.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Op {
    /// Sets a key to a text.
    Set(String, String),
    /// Sets a key to so many bytes.
    SetSized(String, usize),
    /// The text of a key.
    Get(String),
    /// Whether there is such a key.
    Exists(String),
    /// Asks again and again, until there is such a key.
    Until(String),
    /// Removes a key.
    Delete(String),
    /// Reads the number of a key, adds one, writes it back, and answers it.
    Count(String),
    /// Sets keys of a prefix and five digits, from a number on, so many, to so many bytes each; stops at an error and
    /// answers how many there were and the error.
    Fill(String, usize, usize, usize),
    /// Removes as many, the same way.
    Empty(String, usize, usize),
    /// One page of keys after a cursor.
    List(Option<String>),
    /// All pages: how many keys each has, how many bytes the largest, whether the keys are in order.
    ListAll,
    /// Opens a store by its name.
    Open(String),
    /// Opens its own store so many times and keeps all.
    Hoard(usize),
    /// One value of `wasi:config`.
    Config(String),
    /// All of them.
    ConfigAll,
    /// Both clocks so many times, one after the other, and what they say of their resolution, in nanoseconds.
    Clocks(usize),
    /// Waits so many nanoseconds from now by the monotonic clock, and answers how many have passed by it.
    Wait(u64),
    /// Ends the call.
    End(End),
    /// Ends it in all attempts before this one.
    EndBefore(u32, End),
}

/// How a call ends other than well.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    Retry,
    Reject,
    Trap,
    Spin,
    Sleep,
}

/// One call's doings.
pub(crate) struct Turn {
    attempt: u32,
    pub(crate) hoard: Vec<Store>,
}

impl Default for Turn {
    fn default() -> Self {
        Self::at(1)
    }
}

impl Turn {
    pub(crate) fn at(attempt: u32) -> Self {
        Self {
            attempt,
            hoard: Vec::new(),
        }
    }

    /// Does all, and answers a list of answers: `{"ok": ...}` or `{"error": "text"}`.
    pub(crate) fn all(&mut self, ops: &[Op]) -> Result<Value, Failure> {
        let mut answers = Vec::with_capacity(ops.len());
        for op in ops {
            answers.push(match self.one(op)? {
                Ok(value) => json!({ "ok": value }),
                Err(error) => json!({ "error": error.to_string() }),
            });
        }
        Ok(Value::Array(answers))
    }

    fn one(&mut self, op: &Op) -> Result<Result<Value, StoreError>, Failure> {
        Ok(match op {
            Op::End(how) => return end(*how),
            Op::EndBefore(attempt, how) if self.attempt < *attempt => return end(*how),
            Op::EndBefore(..) => Ok(Value::Null),
            Op::Hoard(count) => self.hoard(*count),
            Op::Config(key) => Ok(wasi::config(key)),
            Op::ConfigAll => Ok(wasi::config_all()),
            Op::Clocks(count) => Ok(wasi::clocks(*count)),
            Op::Wait(nanos) => Ok(wasi::wait(*nanos)),
            Op::Open(name) => wasi::open(name),
            stored => Store::open().and_then(|store| in_store(&store, stored)),
        })
    }

    fn hoard(&mut self, count: usize) -> Result<Value, StoreError> {
        for _ in 0..count {
            self.hoard.push(Store::open()?);
        }
        Ok(self.hoard.len().into())
    }
}

fn in_store(store: &Store, op: &Op) -> Result<Value, StoreError> {
    Ok(match op {
        Op::Set(key, value) => store.set(key, value)?.into_value(),
        Op::SetSized(key, bytes) => store.set(key, vec![b'x'; *bytes])?.into_value(),
        Op::Get(key) => store
            .get(key)?
            .map(|value| String::from_utf8_lossy(&value).into_owned())
            .into(),
        Op::Exists(key) => store.exists(key)?.into(),
        Op::Until(key) => {
            while !store.exists(key)? {
                std::thread::sleep(Duration::from_millis(1));
            }
            Value::Null
        }
        Op::Delete(key) => store.delete(key)?.into_value(),
        Op::Count(key) => {
            let count = store.get_json::<u64>(key)?.unwrap_or_default() + 1;
            store.set_json(key, &count)?;
            count.into()
        }
        Op::Fill(prefix, from, count, bytes) => {
            let value = vec![b'x'; *bytes];
            each(prefix, *from, *count, |key| store.set(key, &value))
        }
        Op::Empty(prefix, from, count) => each(prefix, *from, *count, |key| store.delete(key)),
        Op::List(cursor) => {
            let (keys, cursor) = store.keys_page(cursor.as_deref())?;
            json!({ "keys": keys, "cursor": cursor })
        }
        Op::ListAll => list_all(store)?,
        other => json!(format!("{other:?} is nothing to do with a store")),
    })
}

fn each(prefix: &str, from: usize, count: usize, mut act: impl FnMut(&str) -> Result<(), StoreError>) -> Value {
    for done in 0..count {
        if let Err(error) = act(&format!("{prefix}{:05}", from + done)) {
            return json!({ "done": done, "error": error.to_string() });
        }
    }
    json!({ "done": count, "error": null })
}

fn list_all(store: &Store) -> Result<Value, StoreError> {
    let (mut pages, mut largest, mut ordered) = (Vec::new(), 0, true);
    let (mut last, mut cursor) = (None, None);
    loop {
        let (keys, next) = store.keys_page(cursor.as_deref())?;
        pages.push(keys.len());
        largest = largest.max(keys.iter().map(String::len).sum());
        for key in keys {
            ordered &= last.as_ref().is_none_or(|last| *last < key);
            last = Some(key);
        }
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(json!({ "pages": pages, "largest": largest, "ordered": ordered })),
        }
    }
}

fn end(how: End) -> Result<Result<Value, StoreError>, Failure> {
    match how {
        End::Retry => Err(Failure::retry("told to")),
        End::Reject => Err(Failure::reject("told to")),
        End::Trap => std::process::abort(),
        End::Spin => loop {
            std::hint::spin_loop();
        },
        End::Sleep => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
    }
}

trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for () {
    fn into_value(self) -> Value {
        Value::Null
    }
}

#[cfg(target_arch = "wasm32")]
use crate::wasi;

/// What a unit test of the ledger has none of.
#[cfg(not(target_arch = "wasm32"))]
mod wasi {
    use super::{StoreError, Value};

    pub(super) fn config(_: &str) -> Value {
        Value::Null
    }
    pub(super) fn config_all() -> Value {
        Value::Null
    }
    pub(super) fn clocks(_: usize) -> Value {
        Value::Null
    }
    pub(super) fn wait(_: u64) -> Value {
        Value::Null
    }
    pub(super) fn open(_: &str) -> Result<Value, StoreError> {
        Ok(Value::Null)
    }
}
