//! The raw side: the same component, function and `Config`, with a store, WASI, a limiter and an epoch callback that is
//! armed for each call; no Palisade code. Nothing ticks here, which a real embedder would have to pay for.

use anyhow::{Context, Result};
use palisade::Event;
use palisade_tests::plugin;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::raw_engine::engine;

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

/// What there is once for all components: what guests may import.
pub(crate) struct RawHost {
    engine: Engine,
    linker: Linker<State>,
}

impl RawHost {
    /// One with room for so many instances.
    pub(crate) fn new(instances: u32) -> Result<Self> {
        let engine = engine(instances)?;
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        generated::EventPlugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        Ok(Self { engine, linker })
    }

    /// What compiles for it.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A component, linked.
    pub(crate) fn plugin(&self, component: &Component) -> Result<RawPlugin> {
        Ok(RawPlugin {
            engine: self.engine.clone(),
            pre: generated::EventPluginPre::new(self.linker.instantiate_pre(component)?)?,
        })
    }
}

/// A component, ready to be instantiated.
pub(crate) struct RawPlugin {
    engine: Engine,
    pre: generated::EventPluginPre<State>,
}

impl RawPlugin {
    /// The probe, compiled.
    pub(crate) fn probe(instances: u32) -> Result<Self> {
        let host = RawHost::new(instances)?;
        host.plugin(&Component::from_file(host.engine(), plugin("probe"))?)
    }

    /// A new instance, started.
    pub(crate) async fn instance(&self) -> Result<RawInstance> {
        let state = State {
            wasi: WasiCtxBuilder::new().build(),
            table: ResourceTable::new(),
            limits: wasmtime::StoreLimitsBuilder::new().memory_size(64 << 20).build(),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        store.set_epoch_deadline(1);
        let guest = self.pre.instantiate_async(&mut store).await?;
        let started = guest.palisade_plugin_plugin().call_start(&mut store, "{}").await?;
        started.map_err(anyhow::Error::msg).context("start")?;
        Ok(RawInstance { store, guest })
    }
}

/// A live one.
pub(crate) struct RawInstance {
    store: Store<State>,
    guest: generated::EventPlugin,
}

impl RawInstance {
    /// Gives it an event.
    pub(crate) async fn handle(&mut self, event: &Event) -> Result<()> {
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

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: wasmtime::StoreLimits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
impl types::Host for State {}
impl context::Host for State {
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
impl bus::Host for State {
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
impl logging::Host for State {
    fn log(&mut self, _level: logging::Level, _context: String, _message: String) {}
}
