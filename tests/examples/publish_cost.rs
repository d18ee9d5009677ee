//! What one `publish` to a persistent wasm handler costs beside the raw typed call: both in this process, taking turns.
//!
//!     cargo run --release -p palisade-tests --example publish_cost
//!
//! Raw is the same component and function on the same kind of engine, with a store, WASI, a limiter and an epoch callback
//! that is armed for each call; no Palisade code.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use palisade::Event;
use palisade_tests::{plugin, runtime_with, spec};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

mod generated {
    #![allow(missing_docs, clippy::all, unreachable_pub)]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "palisade:plugin/event-plugin",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
use generated::palisade::plugin::{bus, context, types};
use generated::wasi::logging::logging;

const CALLS: u32 = 20_000;
const ROUNDS: usize = 15;

struct Raw {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: wasmtime::StoreLimits,
}

impl WasiView for Raw {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
impl types::Host for Raw {}
impl context::Host for Raw {
    fn content_type(&mut self) -> String {
        String::new()
    }
    fn metadata(&mut self, _key: String) -> Option<String> {
        None
    }
    fn all_metadata(&mut self) -> Vec<(String, String)> {
        Vec::new()
    }
}
impl bus::Host for Raw {
    fn publish(&mut self, _draft: bus::Draft) -> Result<String, bus::PublishError> {
        Err(bus::PublishError::OverLimit(0))
    }
    fn subscribe(&mut self, _pattern: String, _handler: u32) -> Result<(), bus::SubscribeError> {
        Err(bus::SubscribeError::NotFound)
    }
    fn unsubscribe(&mut self, _pattern: String, _handler: u32) -> Result<(), bus::SubscribeError> {
        Err(bus::SubscribeError::NotFound)
    }
}
impl logging::Host for Raw {
    fn log(&mut self, _level: logging::Level, _context: String, _message: String) {}
}

struct RawInstance {
    store: Store<Raw>,
    guest: generated::EventPlugin,
}

async fn raw_instance() -> anyhow::Result<RawInstance> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::default()));
    let engine = Engine::new(&config).map_err(anyhow::Error::from)?;
    let component = Component::from_binary(&engine, &std::fs::read(plugin("probe"))?)?;
    let mut linker = Linker::<Raw>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    generated::EventPlugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    let state = Raw {
        wasi: WasiCtxBuilder::new().build(),
        table: ResourceTable::new(),
        limits: wasmtime::StoreLimitsBuilder::new().memory_size(64 << 20).build(),
    };
    let mut store = Store::new(&engine, state);
    store.limiter(|state| &mut state.limits);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
    store.set_epoch_deadline(1);
    let guest = generated::EventPlugin::instantiate_async(&mut store, &component, &linker).await?;
    let started = guest.palisade_plugin_plugin().call_start(&mut store, "{}").await?;
    started.map_err(anyhow::Error::msg)?;
    Ok(RawInstance { store, guest })
}

impl RawInstance {
    async fn call(&mut self, event: &Event) -> anyhow::Result<()> {
        self.store.set_epoch_deadline(1);
        let lowered = generated::exports::palisade::plugin::handler::Event {
            id: event.id(),
            type_: event.event_type(),
            source: event.source(),
            time: event.timestamp_nanos(),
            data: event.data(),
        };
        let told = types::Delivery {
            attempt: 1,
            time_left_ms: 1000,
            replayed: false,
        };
        let handler = self.guest.palisade_plugin_handler();
        let answer = handler.call_handle(&mut self.store, 0, lowered, told).await?;
        answer.map_err(|failure| anyhow::anyhow!("{failure:?}"))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let runtime = runtime_with([spec("probe")]).await;
    let native = palisade::Runtime::builder().build()?;
    native.subscribe("bench.event", "native", |_| std::future::ready(Ok(())))?;
    let mut raw = raw_instance().await?;
    let event = Event::builder("bench.event", "/bench")
        .json(&serde_json::json!({ "pad": "x".repeat(1000) }))
        .build()?;
    let (mut ours, mut raws, mut natives, mut empties) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let nobody = palisade::Runtime::builder().build()?;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for _ in 0..CALLS {
            raw.call(&event).await?;
        }
        raws.push(begin.elapsed() / CALLS);
        let begin = Instant::now();
        for _ in 0..CALLS {
            anyhow::ensure!(runtime.publish(event.clone()).await?.all_ok());
        }
        ours.push(begin.elapsed() / CALLS);
        let begin = Instant::now();
        for _ in 0..CALLS {
            anyhow::ensure!(native.publish(event.clone()).await?.all_ok());
        }
        natives.push(begin.elapsed() / CALLS);
        let begin = Instant::now();
        for _ in 0..CALLS {
            nobody.publish(event.clone()).await?;
        }
        empties.push(begin.elapsed() / CALLS);
    }
    let (raw, ours) = (median(raws)?, median(ours)?);
    println!("raw typed call             {raw:>9.1?}");
    println!(
        "publish, one wasm handler  {ours:>9.1?}  ({:.2}x raw)",
        ours.as_secs_f64() / raw.as_secs_f64()
    );
    println!("publish, one native closure{:>9.1?}", median(natives)?);
    println!("publish, nobody subscribed {:>9.1?}", median(empties)?);
    Ok(())
}

fn median(mut all: Vec<Duration>) -> anyhow::Result<Duration> {
    all.sort();
    all.get(all.len() / 2).copied().context("no rounds")
}
