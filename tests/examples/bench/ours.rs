//! Our side: runtimes and events, as an embedder has them.

use std::path::Path;

use anyhow::Result;
use palisade::{Event, Grants, Pattern, PluginSpec, Runtime, RuntimeBuilder};
use palisade_tests::plugin;

/// The plugin that takes every event of the bench and does nothing with it, with the defaults of a plugin.
pub(crate) fn probe() -> PluginSpec {
    granted(PluginSpec::from_file(plugin("probe")))
}

/// A plugin that gets the events of the bench, and not those of the host: each plugin that starts would be one to all others.
pub(crate) fn granted(spec: PluginSpec) -> PluginSpec {
    spec.grants(Grants::default().subscribe([events()]))
}

fn events() -> Pattern {
    "bench.>".parse().expect("a pattern")
}

/// So many of them, by names of their own.
pub(crate) fn probes(names: impl IntoIterator<Item = u32>) -> Vec<PluginSpec> {
    let named = |number| probe().name(format!("probe-{number}"));
    names.into_iter().map(named).collect()
}

/// A builder whose runtime takes little of the address space, so that several can live in this process.
pub(crate) fn builder(instances: u32) -> RuntimeBuilder {
    let mut engine = palisade::EngineOptions::default();
    engine.max_instances = Some(instances);
    Runtime::builder().engine(engine)
}

/// A runtime with these plugins, started.
pub(crate) async fn runtime(specs: Vec<PluginSpec>) -> Result<Runtime> {
    let runtime = builder(256).build()?;
    runtime.launch(specs).await?;
    Ok(runtime)
}

/// A runtime with room for thousands of instances, whose compiled code is kept in `cache` in this directory.
pub(crate) fn crowded(cache: &Path, instances: u32) -> Result<Runtime> {
    // One that others may enter would not be used.
    Ok(builder(instances).cache_dir(cache.join("cache")).build()?)
}

/// A runtime with so many native handlers of the bench's events, which do nothing.
pub(crate) fn natives(count: u32) -> Result<Runtime> {
    let runtime = builder(1).build()?;
    for number in 0..count {
        runtime.subscribe("bench.event", &format!("native-{number}"), |_| {
            std::future::ready(Ok(()))
        })?;
    }
    Ok(runtime)
}

/// A runtime with so many probes, whose compiled code is in `cache` in this directory from the first one on.
pub(crate) async fn crowd(cache: &Path, count: u32) -> Result<Runtime> {
    let runtime = crowded(cache, count + 50)?;
    runtime.launch(probes(0..1)).await?;
    runtime.launch(probes(1..count)).await?;
    Ok(runtime)
}

/// An event of `bench.event` with so many bytes of JSON.
pub(crate) fn event(bytes: usize) -> Result<Event> {
    typed("bench.event", bytes)
}

/// The same of another type.
pub(crate) fn typed(event_type: &str, bytes: usize) -> Result<Event> {
    let frame = serde_json::json!({ "pad": "" }).to_string().len();
    let pad = "x".repeat(bytes.saturating_sub(frame));
    Ok(Event::builder(event_type, "/bench")
        .json(&serde_json::json!({ "pad": pad }))
        .build()?)
}

/// So many handles of it, made before the clock starts: what is published is dropped by whoever handles it last.
pub(crate) fn handles(event: &Event, count: u32) -> Vec<Event> {
    (0..count).map(|_| event.clone()).collect()
}
