//! `wasi:keyvalue/store` for guests: one store a plugin, its writes buffered until the call is acknowledged (S12).

use wasmtime::component::Resource;

use crate::handler::Fault;
use crate::key_value::{AccessError, KeyValueError};
use crate::outcome::Class;
use crate::sandbox::bindings::{cut, keyvalue};
use crate::sandbox::state::HostState;

/// The names of a plugin's only store.
const NAMES: [&str; 2] = ["", "default"];

/// An open store. There is nothing to it: what it stands for is the plugin's, and how many there are the resource table
/// limits (`plugin.limits.handles`).
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated code re-exports it")]
pub struct Bucket;

type Answer<T> = wasmtime::Result<Result<T, keyvalue::Error>>;

impl keyvalue::Host for HostState {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        if !NAMES.contains(&identifier.as_str()) {
            return Ok(Err(keyvalue::Error::NoSuchStore));
        }
        Ok(Ok(self.table.push(Bucket)?))
    }
}

impl keyvalue::HostBucket for HostState {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        self.table.get(&bucket)?;
        let got = self.blueprint.key_value.get(&self.call.writes, &key).await;
        Ok(got.map(|value| value.map(Vec::from)).map_err(lower))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        self.table.get(&bucket)?;
        if let Err(error) = self.may_write() {
            return Ok(Err(lower(error)));
        }
        let set = self.blueprint.key_value.set(&mut self.call.writes, key, value).await;
        Ok(set.map_err(lower))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        self.table.get(&bucket)?;
        if let Err(error) = self.may_write() {
            return Ok(Err(lower(error)));
        }
        let deleted = self.blueprint.key_value.delete(&mut self.call.writes, key).await;
        Ok(deleted.map_err(lower))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        self.table.get(&bucket)?;
        let exists = self.blueprint.key_value.exists(&self.call.writes, &key).await;
        Ok(exists.map_err(lower))
    }

    async fn list_keys(&mut self, bucket: Resource<Bucket>, cursor: Option<String>) -> Answer<keyvalue::KeyResponse> {
        self.table.get(&bucket)?;
        let listed = self
            .blueprint
            .key_value
            .list(&self.call.writes, cursor.as_deref())
            .await;
        let listed = listed.map(|page| keyvalue::KeyResponse {
            keys: page.keys,
            cursor: page.cursor,
        });
        Ok(listed.map_err(lower))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl HostState {
    fn may_write(&self) -> Result<(), AccessError> {
        let phase = self.call.phase;
        if phase.may_write() {
            return Ok(());
        }
        Err(AccessError::ReadOnly { phase: phase.as_str() })
    }
}

fn lower(error: AccessError) -> keyvalue::Error {
    keyvalue::Error::Other(cut(error.to_string()))
}

/// The fault of a call that returned ok and whose writes could not be made. That it wrote too much, together with
/// another instance, is the plugin's affair; that the store is full or fails is not.
pub(super) fn not_committed(plugin: &str, error: &KeyValueError) -> Fault {
    let class = match error {
        KeyValueError::OverLimit { .. } => Class::HostLimit,
        KeyValueError::Full { .. } | KeyValueError::Failed(_) => Class::Unavailable,
    };
    let message = format!("what {plugin} wrote to its key-value store is not kept: {error}");
    Fault::new(class, cut(message))
}
