//! The host's functions, in the SDK's types. `testing::host` has the same ones for tests.

use super::bindings::handling::palisade::plugin::bus;
use super::bindings::life::palisade::plugin::context;
use super::bindings::life::wasi::logging::logging;
use super::bindings::storing::wasi::keyvalue::store;
use crate::kv::StoreError;
use crate::log::Level;
use crate::{Draft, PublishError, SubscribeError};

pub(crate) use context::{all_metadata, content_type, metadata};

pub(crate) fn publish(draft: Draft) -> Result<String, PublishError> {
    Ok(bus::publish(&draft.into())?)
}

pub(crate) fn subscribe(pattern: &str, handler: u32) -> Result<(), SubscribeError> {
    Ok(bus::subscribe(pattern, handler)?)
}

pub(crate) fn unsubscribe(pattern: &str, handler: u32) -> Result<(), SubscribeError> {
    Ok(bus::unsubscribe(pattern, handler)?)
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Bucket(store::Bucket);

pub(crate) fn open_bucket() -> Result<Bucket, StoreError> {
    Ok(Bucket(store::open("default")?))
}

impl Bucket {
    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key)?)
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.set(key, value)?)
    }

    pub(crate) fn delete(&self, key: &str) -> Result<(), StoreError> {
        Ok(self.0.delete(key)?)
    }

    pub(crate) fn exists(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.0.exists(key)?)
    }

    pub(crate) fn list_keys(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), StoreError> {
        let page = self.0.list_keys(cursor)?;
        Ok((page.keys, page.cursor))
    }
}

pub(crate) fn log(level: Level, context: &str, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, context, message);
}
