//! The host's functions for tests: the same ones as `guest::host`, over what the harness put there for the call.

use std::cell::RefCell;

use super::draft::{check, size_bytes};
use super::store::Stored;
use super::subject::{is_pattern, matches};
use crate::kv::StoreError;
use crate::log::Level;
use crate::{Draft, PublishError, SubscribeError};

/// A line that the plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The module it comes from.
    pub context: String,
    /// What it says.
    pub message: String,
}

/// What a guest may ask about the event being handled.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(super) content_type: String,
    pub(super) metadata: Vec<(String, String)>,
}

/// What one plugin has with the host: it outlives a call.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) publish_grants: Vec<String>,
    pub(super) handlers: u32,
    pub(super) subscriptions: Vec<(String, u32)>,
    pub(super) log: Vec<LogLine>,
    pub(super) ids: u64,
    pub(super) stored: Stored,
}

#[derive(Debug)]
struct Call {
    facts: Facts,
    /// Whether it may publish, and write to the store.
    may_publish: bool,
    outbox: Vec<Draft>,
    outbox_bytes: usize,
    world: World,
}

/// The contract's limits for one call.
const OUTBOX_EVENTS: usize = 64;
const OUTBOX_BYTES: usize = 1024 * 1024;
/// The contract's limit for one plugin.
const SUBSCRIPTIONS: usize = 1024;

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// Runs one call of the plugin in `world` and returns its result with the outbox.
pub(super) fn call<R>(world: &mut World, facts: Facts, may_publish: bool, run: impl FnOnce() -> R) -> (R, Vec<Draft>) {
    world.stored.begin();
    let call = Call {
        facts,
        may_publish,
        outbox: Vec::new(),
        outbox_bytes: 0,
        world: std::mem::take(world),
    };
    CALL.replace(Some(call));
    let result = run();
    let Some(call) = CALL.take() else {
        return (result, Vec::new());
    };
    *world = call.world;
    (result, call.outbox)
}

fn in_call<R>(use_it: impl FnOnce(&mut Call) -> R) -> Option<R> {
    CALL.with_borrow_mut(|call| call.as_mut().map(use_it))
}

pub(crate) fn content_type() -> String {
    in_call(|call| call.facts.content_type.clone()).unwrap_or_default()
}

pub(crate) fn metadata(key: &str) -> Option<String> {
    in_call(|call| {
        call.facts
            .metadata
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.clone())
    })
    .flatten()
}

pub(crate) fn all_metadata() -> Vec<(String, String)> {
    in_call(|call| call.facts.metadata.clone()).unwrap_or_default()
}

pub(crate) fn publish(draft: Draft) -> Result<String, PublishError> {
    in_call(|call| call.publish(draft)).unwrap_or_else(|| Err(PublishError::Invalid("no call is running".to_owned())))
}

pub(crate) fn subscribe(pattern: &str, handler: u32) -> Result<(), SubscribeError> {
    in_call(|call| call.world.subscribe(pattern, handler))
        .unwrap_or_else(|| Err(SubscribeError::Invalid("no call is running".to_owned())))
}

pub(crate) fn unsubscribe(pattern: &str, handler: u32) -> Result<(), SubscribeError> {
    in_call(|call| call.world.unsubscribe(pattern, handler))
        .unwrap_or_else(|| Err(SubscribeError::Invalid("no call is running".to_owned())))
}

/// An open store: there is nothing to it.
#[derive(Debug)]
pub(crate) struct Bucket;

pub(crate) fn open_bucket() -> Result<Bucket, StoreError> {
    in_store(|_| Ok(Bucket))
}

impl Bucket {
    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        in_store(|call| call.world.stored.get(key))
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        in_store(|call| call.writable()?.set(key, value))
    }

    pub(crate) fn delete(&self, key: &str) -> Result<(), StoreError> {
        in_store(|call| call.writable()?.delete(key))
    }

    pub(crate) fn exists(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.get(key)?.is_some())
    }

    pub(crate) fn list_keys(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), StoreError> {
        in_store(|call| Ok(call.world.stored.list(cursor)))
    }
}

fn in_store<R>(use_it: impl FnOnce(&mut Call) -> Result<R, StoreError>) -> Result<R, StoreError> {
    in_call(use_it).unwrap_or_else(|| Err(StoreError::Other("no call is running".to_owned())))
}

/// A line logged outside a call, by a test that uses the plugin's functions directly, goes nowhere.
pub(crate) fn log(level: Level, context: &str, message: &str) {
    let line = LogLine {
        level,
        context: context.to_owned(),
        message: message.to_owned(),
    };
    in_call(|call| call.world.log.push(line));
}

impl Call {
    fn writable(&mut self) -> Result<&mut Stored, StoreError> {
        if self.may_publish {
            return Ok(&mut self.world.stored);
        }
        Err(StoreError::Other(
            "this call may not write to the key-value store".to_owned(),
        ))
    }

    fn publish(&mut self, draft: Draft) -> Result<String, PublishError> {
        if !self.may_publish {
            return Err(PublishError::Invalid("this call may not publish".to_owned()));
        }
        self.world.check_grant(&draft.event_type)?;
        if self.outbox.len() == OUTBOX_EVENTS {
            return Err(PublishError::OverLimit(OUTBOX_EVENTS as u64));
        }
        let bytes = self.outbox_bytes.saturating_add(size_bytes(&draft));
        if bytes > OUTBOX_BYTES {
            return Err(PublishError::OverLimit(OUTBOX_BYTES as u64));
        }
        // Counted even if the draft is refused, as the host does.
        self.outbox_bytes = bytes;
        check(&draft)?;
        self.outbox.push(draft);
        self.world.ids += 1;
        Ok(format!("event-{}", self.world.ids))
    }
}

impl World {
    fn check_grant(&self, event_type: &str) -> Result<(), PublishError> {
        let text = if ["plugin.", "system.", "config."]
            .iter()
            .any(|prefix| event_type.starts_with(prefix))
        {
            format!("`{event_type}` is a host event: plugin.>, system.> and config.> are the host's")
        } else if self.publish_grants.iter().any(|grant| matches(grant, event_type)) {
            return Ok(());
        } else {
            format!("no publish grant names `{event_type}` (plugin.grants.publish)")
        };
        Err(PublishError::NotGranted(text))
    }

    pub(super) fn subscribe(&mut self, pattern: &str, handler: u32) -> Result<(), SubscribeError> {
        if !is_pattern(pattern) {
            return Err(SubscribeError::Invalid(format!("`{pattern}` can't be a pattern")));
        }
        if handler >= self.handlers {
            return Err(SubscribeError::Invalid(format!("there is no handler {handler}")));
        }
        if self.place_of(pattern, handler).is_some() {
            return Err(SubscribeError::AlreadyExists);
        }
        if self.subscriptions.len() == SUBSCRIPTIONS {
            return Err(SubscribeError::OverLimit(SUBSCRIPTIONS as u64));
        }
        self.subscriptions.push((pattern.to_owned(), handler));
        Ok(())
    }

    fn unsubscribe(&mut self, pattern: &str, handler: u32) -> Result<(), SubscribeError> {
        let place = self.place_of(pattern, handler).ok_or(SubscribeError::NotFound)?;
        self.subscriptions.remove(place);
        Ok(())
    }

    fn place_of(&self, pattern: &str, handler: u32) -> Option<usize> {
        self.subscriptions
            .iter()
            .position(|(own, owner)| own == pattern && *owner == handler)
    }
}
