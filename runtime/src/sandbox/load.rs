//! From bytes to a component that can be instantiated, and what is known of it: out of the cache, or compiled anew.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits::Limits;
use crate::plugin::PluginInfo;
use crate::sandbox::cache::{Cache, EntryName, Found};
use crate::sandbox::compile::{Compiler, blocking};
use crate::sandbox::component::Compiled;
use crate::sandbox::engine::compatibility;
use crate::sandbox::error::ComponentError;
use crate::sandbox::file::check_head;
use crate::sandbox::needs::{Bounds, check_modules};

/// How all plugins of a runtime are loaded.
pub(crate) struct Loader {
    pub(crate) compiler: Compiler,
    pub(crate) cache: Option<Arc<Cache>>,
}

/// What is to be loaded.
pub(crate) struct Job {
    pub(crate) engine: Engine,
    pub(crate) metered: bool,
    pub(crate) bytes: Bytes,
    /// Of these bytes.
    pub(crate) digest: String,
    pub(crate) limits: Limits,
    /// How many there are for all instances.
    pub(crate) places: u32,
}

/// What came of it.
pub(crate) struct Loaded {
    pub(crate) compiled: Compiled,
    /// What its `describe` answered when it was compiled; nothing checks it against the limits of now.
    pub(crate) described: Option<PluginInfo>,
}

impl Loader {
    pub(crate) async fn load(&self, job: Job) -> Result<Loaded, ComponentError> {
        check_head(&job.bytes)?;
        let bounds = Bounds {
            limits: job.limits.clone(),
            places: job.places,
        };
        let (bytes, bounds_there) = (job.bytes.clone(), bounds.clone());
        let has_heap = blocking(move || check_modules(&bytes, &bounds_there)).await?;
        let (component, described) = match self.cached(&job).await? {
            Some((component, info)) => (component, Some(info)),
            None => {
                let compiled = self.compiler.compile(&job.engine, job.metered, job.bytes.clone());
                (compiled.await?, None)
            }
        };
        blocking(move || {
            let of = (job.digest, job.bytes.len());
            let compiled = Compiled::new(&component, of, has_heap, &bounds)?;
            Ok(Loaded { compiled, described })
        })
        .await
    }

    async fn cached(&self, job: &Job) -> Result<Option<(Component, PluginInfo)>, ComponentError> {
        let Some(cache) = self.cache.clone() else {
            return Ok(None);
        };
        let (name, engine) = (
            EntryName::new(&job.digest, compatibility(&job.engine)),
            job.engine.clone(),
        );
        blocking(move || {
            let Some(Found { artifact, info }) = cache.find(&name) else {
                return Ok(None);
            };
            match artifact.load(&engine) {
                Ok(component) => Ok(Some((component, info))),
                Err(error) => {
                    cache.reject(&name, &format!("{error:#}"));
                    Ok(None)
                }
            }
        })
        .await
    }

    /// Keeps what was compiled, with what it says of itself; that this can't be done stops nobody.
    pub(crate) async fn keep(&self, compiled: &Compiled, info: &PluginInfo) {
        let Some(cache) = self.cache.clone() else { return };
        let (component, info) = (compiled.pre.component().clone(), info.clone());
        let name = EntryName::new(&compiled.digest, compatibility(component.engine()));
        let kept = blocking(move || {
            match component.serialize() {
                Ok(artifact) => cache.keep(&name, &artifact, &info),
                Err(error) => tracing::warn!("what was compiled can't be kept in the cache: {error:#}"),
            }
            Ok(())
        });
        // A panic in there would be told by the runtime's panic hook.
        let _ = kept.await;
    }
}
