//! From bytes to a component that can be instantiated, and what is known of it: out of the cache, or compiled anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::handler::Fault;
use crate::limits::Limits;
use crate::plugin::PluginInfo;
use crate::sandbox::cache::{Cache, EntryName, Found};
use crate::sandbox::compile::{CompileError, Compiler, blocking};
use crate::sandbox::component::Compiled;
use crate::sandbox::engine::compatibility;
use crate::sandbox::error::ComponentError;
use crate::sandbox::file::check_head;
use crate::sandbox::known::{Known, KnownComponent};
use crate::sandbox::linker::Linkers;
use crate::sandbox::needs::{Bounds, ModuleNeeds};

/// How all plugins of a runtime are loaded.
pub(crate) struct Loader {
    compiler: Compiler,
    cache: Option<Arc<Cache>>,
    linkers: Arc<Linkers>,
    known: Known,
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

/// What has been looked up, and may have to be compiled.
pub(crate) struct Looked {
    job: Job,
    bounds: Bounds,
    modules: ModuleNeeds,
    known: Arc<KnownComponent>,
}

/// What came of it: shared with all plugins of the same bytes, for as long as one of them has this.
pub(crate) struct Loaded {
    pub(crate) compiled: Arc<Compiled>,
    known: Arc<KnownComponent>,
}

impl Loader {
    pub(crate) fn new(compiler: Compiler, cache: Option<Arc<Cache>>) -> Self {
        Self {
            compiler,
            cache,
            linkers: Arc::default(),
            known: Known::default(),
        }
    }

    /// Everything but compiling: finds the component that was made of the same bytes for another plugin, or what the cache
    /// has. Refuses what this plugin's limits don't allow, before anything is compiled. Blocks; a panic is the file's fault.
    pub(crate) fn look(&self, job: Job) -> Result<Looked, ComponentError> {
        let looked = catch_unwind(AssertUnwindSafe(|| self.looked(job)));
        looked.unwrap_or_else(|_| Err(CompileError::GaveUp.into()))
    }

    fn looked(&self, job: Job) -> Result<Looked, ComponentError> {
        check_head(&job.bytes)?;
        let known = self.known.component(&job.digest, job.metered);
        let bounds = Bounds {
            limits: job.limits.clone(),
            places: job.places,
        };
        let modules = self.modules(&job, &bounds, &known)?;
        Ok(Looked {
            job,
            bounds,
            modules,
            known,
        })
    }

    /// What its modules ask for, in order. Its code is there then, too, if the cache has it.
    fn modules(&self, job: &Job, bounds: &Bounds, known: &KnownComponent) -> Result<ModuleNeeds, ComponentError> {
        // Who comes second finds what the first has found.
        let _looking = known.looking();
        if let Some(compiled) = known.compiled.get() {
            compiled.modules.check(bounds)?;
            return Ok(compiled.modules);
        }
        let name = EntryName::new(&job.digest, compatibility(&job.engine));
        if let Some(cache) = &self.cache
            && let Some(Found { artifact, info, needs }) = cache.find(&name)
        {
            needs.check(bounds)?;
            match artifact.load(&job.engine) {
                Ok(component) => {
                    let of = (job.digest.clone(), job.bytes.len());
                    known.found(link(&self.linkers, job.metered, &component, of, needs)?, info);
                    return Ok(needs);
                }
                Err(error) => cache.reject(&name, &format!("{error:#}")),
            }
        }
        let modules = ModuleNeeds::of(&job.bytes);
        modules.check(bounds)?;
        Ok(modules)
    }

    /// Makes a component of what was looked up: compiles it unless it is there already. The limits are those of the plugin
    /// that asks, either way.
    pub(crate) async fn load(&self, looked: Looked) -> Result<Loaded, ComponentError> {
        let Looked {
            job,
            bounds,
            modules,
            known,
        } = looked;
        // One that fails is tried again by the next plugin that waits for it, as if it had come alone.
        let compiled = known.compiled.get_or_try_init(|| self.compile(&job, modules));
        let compiled = compiled.await?.clone();
        compiled.room.check(&bounds)?;
        Ok(Loaded { compiled, known })
    }

    async fn compile(&self, job: &Job, modules: ModuleNeeds) -> Result<Arc<Compiled>, ComponentError> {
        let component = self
            .compiler
            .compile(&job.engine, job.metered, job.bytes.clone())
            .await?;
        let (linkers, metered) = (self.linkers.clone(), job.metered);
        let of = (job.digest.clone(), job.bytes.len());
        blocking(move || link(&linkers, metered, &component, of, modules)).await
    }

    /// Keeps what was compiled, with what it says of itself; that this can't be done stops nobody. For a component whose
    /// description is found to be in order.
    pub(crate) async fn keep(&self, loaded: &Loaded, info: &Arc<PluginInfo>) {
        let Some(cache) = &self.cache else { return };
        let kept = loaded.known.kept.get_or_init(async || {
            let (cache, compiled, info) = (cache.clone(), loaded.compiled.clone(), info.clone());
            let kept = blocking(move || {
                let component = compiled.pre.component();
                let name = EntryName::new(&compiled.digest, compatibility(component.engine()));
                match component.serialize() {
                    Ok(artifact) => cache.keep(&name, &artifact, &info, compiled.modules),
                    Err(error) => tracing::warn!("what was compiled can't be kept in the cache: {error:#}"),
                }
                Ok(())
            });
            // A panic in there would be told by the runtime's panic hook.
            let _ = kept.await;
        });
        kept.await;
    }
}

/// Makes a component one that can be instantiated.
fn link(
    linkers: &Linkers,
    metered: bool,
    component: &Component,
    of: (String, usize),
    modules: ModuleNeeds,
) -> Result<Arc<Compiled>, ComponentError> {
    let linker = linkers.of(component.engine(), metered);
    let linker = linker.map_err(|error| ComponentError::Unlinkable(format!("{error:#}")))?;
    Compiled::new(component, linker, of, modules).map(Arc::new)
}

impl Loaded {
    /// What it says of itself: `describe` is asked unless that was answered before, for another plugin or when what is in
    /// the cache was compiled. Nobody has held it against the limits of now.
    pub(crate) async fn described(
        &self,
        describe: impl AsyncFnOnce() -> Result<PluginInfo, Fault>,
    ) -> Result<Arc<PluginInfo>, Fault> {
        let described = self
            .known
            .described
            .get_or_try_init(async || describe().await.map(Arc::new));
        described.await.cloned()
    }
}
