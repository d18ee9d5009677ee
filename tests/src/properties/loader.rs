//! H13, H33 to H37, S10: no bytes make the loader panic, hang or leak; what it says is fit to be shown, and it goes on.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arbitrary::Unstructured;
use palisade::{LoadError, PluginSpec, Runtime};
use wasm_smith::{Component, Config, Module};

use super::assert_presentable;
use super::mutation::mutated;
use super::tiny::{self, World};
use crate::{event, limits, plugin, small_engine, spec};

/// A load that takes this long hangs: the guest is bounded by its fuel, and a small input compiles in a moment.
const HANGS: Duration = Duration::from_secs(120);

/// Loads the input as it is.
pub fn check_bytes(input: &[u8]) {
    loads(input);
}

/// The same, and whether it is a plugin.
pub fn loads(input: &[u8]) -> bool {
    BENCH.check(input).is_ok()
}

/// Loads what wasm-smith makes of the input: a component, a core module, or a plugin whose functions do something
/// arbitrary.
pub fn check_smith(input: &[u8]) {
    let mut input = Unstructured::new(input);
    if let Ok(Some(bytes)) = smith(&mut input) {
        let _ = BENCH.check(&bytes);
    }
}

/// Loads a plugin with the changes that the input asks for. The first byte picks the plugin; nothing more, and it loads.
pub fn check_mutated(input: &[u8]) {
    let (pick, rest) = input.split_first().unwrap_or((&0, &[]));
    let bytes = base(*pick);
    let changed = mutated(&bytes, &mut Unstructured::new(rest));
    let loaded = BENCH.check(&changed);
    if changed == bytes {
        loaded.expect("a plugin that is as it was built loads");
    }
}

/// Mostly the tiny ones: a real one takes the compiler a hundred times longer.
fn base(pick: u8) -> Vec<u8> {
    let name = match pick {
        250 => "hello",
        251 => "hostile-filter",
        252 => "probe",
        253 => "no-secrets",
        odd if odd % 2 == 1 => return tiny::FILTER.clone(),
        _ => return tiny::EVENT.clone(),
    };
    std::fs::read(plugin(name)).expect("readable")
}

fn smith(input: &mut Unstructured<'_>) -> arbitrary::Result<Option<Vec<u8>>> {
    let config = Config {
        // What wasmtime does not run by default would be refused by its first byte.
        gc_enabled: false,
        exceptions_enabled: false,
        shared_everything_threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        memory64_enabled: input.arbitrary()?,
        // Else most memories are larger than a plugin may have.
        max_memory32_bytes: 16 * 1024 * 1024,
        max_memory64_bytes: 16 * 1024 * 1024,
        memory_max_size_required: false,
        max_funcs: 20,
        ..Config::default()
    };
    Ok(match input.int_in_range(0..=7)? {
        0 => Some(Module::new(config, input)?.to_bytes()),
        1 => Some(Component::new(config, input)?.to_bytes()),
        way => {
            let world = if way == 2 { World::Filter } else { World::Event };
            let config = Config {
                exports: Some(world.module()),
                max_imports: 0,
                ..config
            };
            tiny::component(&Module::new(config, input)?.to_bytes(), world)
        }
    })
}

/// A runtime with a plugin at work, which must not notice what else is loaded.
static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);

struct Bench {
    tokio: tokio::runtime::Runtime,
    /// One input at a time: what is alive is counted.
    runtime: Mutex<Runtime>,
}

impl Bench {
    fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("tokio");
        let runtime = tokio.block_on(async {
            let builder = Runtime::builder().max_component(1024 * 1024).engine(small_engine());
            let runtime = builder.build().expect("a runtime");
            runtime.launch(vec![spec("probe")]).await.expect("the neighbour starts");
            runtime
        });
        Self {
            tokio,
            runtime: Mutex::new(runtime),
        }
    }

    /// Whether the bytes are a plugin. Panics when the loader is not as it should be.
    fn check(&self, bytes: &[u8]) -> Result<(), LoadError> {
        let runtime: MutexGuard<'_, Runtime> = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = check(&runtime, bytes);
        let answer = self
            .tokio
            .block_on(async { tokio::time::timeout(HANGS, checked).await });
        answer.expect("it hangs")
    }
}

async fn check(runtime: &Runtime, bytes: &[u8]) -> Result<(), LoadError> {
    let suspect = PluginSpec::from_bytes(bytes.to_vec())
        .name("suspect")
        .limits(limits(|limits| {
            limits.timeout = Duration::from_secs(1);
            limits.fuel = Some(200_000);
        }));
    let before = runtime.health().await.instances;
    let inspected = runtime.inspect(suspect.clone()).await;
    let loaded = runtime.load(suspect).await;
    match (&inspected, &loaded) {
        (Ok(inspection), Ok(status)) => {
            assert_eq!((inspection.name.as_str(), status.name.as_str()), ("suspect", "suspect"));
            assert_eq!(inspection.digest, status.digest);
            assert_eq!(inspection.size, bytes.len());
            live(runtime).await;
        }
        // An inspection asks for no grants.
        (Ok(inspection), Err(error)) if !inspection.needs.is_empty() => assert_refusal(error),
        (Err(one), Err(other)) => [one, other].into_iter().for_each(assert_refusal),
        // A guest need not say the same twice, for all that the contract asks it to: only the file has one answer.
        (Err(error), _) | (_, Err(error)) => {
            assert_refusal(error);
            assert!(
                !matches!(error, LoadError::Component { .. }),
                "once it loads, once not: {error}"
            );
        }
    }
    if loaded.is_ok() {
        runtime.unload("suspect").await.expect("it was loaded");
    }
    assert_unharmed(runtime, before, bytes).await;
    loaded.map(drop)
}

fn assert_refusal(error: &LoadError) {
    let message = error.to_string();
    assert_presentable(&message);
    assert!(message.starts_with("suspect: "), "it names the plugin: {message}");
    assert!(!message.contains("the compiler gave up"), "the compiler panicked");
}

/// The life of a plugin that was loaded, whatever its functions do.
async fn live(runtime: &Runtime) {
    if let Err(error) = runtime.start("suspect").await {
        assert_presentable(&error.to_string());
        return;
    }
    // A filter that fails refuses the event; its neighbours are asked once it is gone.
    if let Ok(report) = runtime.publish(event("any.event", serde_json::json!({}))).await {
        let outcomes = report.outcomes.iter();
        outcomes
            .filter(|outcome| !outcome.message().is_empty())
            .for_each(|outcome| assert_presentable(outcome.message()));
    }
    runtime.plugin_health("suspect").await.expect("it is known");
    runtime.stop("suspect").await.expect("it was started");
}

/// Nothing of the suspect is left, the neighbour is served, and another plugin loads.
async fn assert_unharmed(runtime: &Runtime, instances: usize, bytes: &[u8]) {
    // The neighbour is told of the suspect's life, too.
    runtime.quiet().await;
    let health = runtime.health().await;
    assert_eq!(health.instances, instances, "instances are back to what they were");
    assert_eq!(health.ticker.running_calls, 0, "no call goes on");
    assert_eq!(runtime.plugins().len(), 1, "nothing is left of it");
    let report = runtime
        .publish(event("any.event", serde_json::json!({})))
        .await
        .expect("it is taken");
    assert!(report.all_ok() && report.outcomes.len() == 1, "{report:?}");
    // Not each time: it costs more than most refusals do.
    if bytes.len().is_multiple_of(8) {
        let healthy = PluginSpec::from_bytes(tiny::EVENT.clone()).name("healthy");
        runtime.load(healthy).await.expect("a healthy plugin loads");
        runtime.unload("healthy").await.expect("it was loaded");
    }
}
