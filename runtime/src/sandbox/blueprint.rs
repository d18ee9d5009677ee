//! What every instance of a plugin is made from: lives as long as the plugin has this version and config.

use std::hint::black_box;
use std::sync::Arc;

use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, InstancePre};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use crate::handler::{Fault, OutboxLimits};
use crate::key_value::Space;
use crate::limits::Limits;
use crate::outcome::Class;
use crate::plugin::grants::Grants;
use crate::sandbox::clocks::give_clocks;
use crate::sandbox::component::Exports;
use crate::sandbox::config_store::ConfigStore;
use crate::sandbox::deadline::Deadline;
use crate::sandbox::engine::Engines;
use crate::sandbox::files::Files;
use crate::sandbox::host::GuestSubscriptions;
use crate::sandbox::log::{GuestLog, GuestStream};
use crate::sandbox::state::HostState;

/// How long an instance lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// From the plugin's start to its stop, or to a fault; keeps its memory between events.
    #[default]
    Persistent,
    /// For one event: nothing of an event is left for the next.
    PerEvent,
}

/// The recipe for an instance.
pub(crate) struct Blueprint {
    pub(crate) name: Arc<str>,
    pub(crate) engines: Arc<Engines>,
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) exports: Exports,
    /// One of the component's exports, whichever.
    pub(crate) an_export: Option<ComponentExportIndex>,
    /// How many places each instance takes.
    pub(crate) places: u32,
    pub(crate) isolation: Isolation,
    /// How many instances there may be at a time.
    pub(crate) concurrency: usize,
    /// Whether events of one lane go to the same instance.
    pub(crate) keeps_lanes: bool,
    /// How many handlers its `describe` names.
    pub(crate) handlers: usize,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    /// The table that `start` gets, as JSON.
    pub(crate) config: String,
    /// The same for `wasi:config`.
    pub(crate) config_store: ConfigStore,
    pub(crate) key_value: Space,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) files: Arc<Files>,
    pub(crate) outbox: Arc<OutboxLimits>,
    pub(crate) subscriptions: Arc<dyn GuestSubscriptions>,
    #[cfg(feature = "wasi-http")]
    pub(crate) http: super::http::Outbound,
}

impl Blueprint {
    /// Reads what a call looks at: see [`Handler::touch`](crate::Handler::touch).
    #[inline]
    pub(super) fn touch(&self) {
        black_box((self.isolation, self.limits.fuel, self.limits.timeout));
    }

    /// Opens the granted directories, once for each start of the plugin.
    pub(crate) async fn open_directories(&self) -> Result<(), Fault> {
        if self.files.is_empty() {
            return Ok(());
        }
        let files = self.files.clone();
        let opened = tokio::task::spawn_blocking(move || files.open()).await;
        let opened = opened.unwrap_or_else(|ended| Err(ended.to_string()));
        opened.map_err(|why| Fault::new(Class::Unavailable, format!("{}: {why}", self.name)))
    }

    /// A store with all limits set, for one instance.
    pub(super) fn store(self: &Arc<Self>, deadline: Deadline) -> Store<HostState> {
        let (stdout, stderr) = GuestStream::both(self.log.clone());
        let wasi = self.wasi(stdout, stderr.clone());
        let state = HostState::new(self.clone(), wasi, stderr, deadline);
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(self.limits.hostcall_bytes);
        store.set_max_component_handles(self.limits.handles);
        store.epoch_deadline_callback(|mut context| {
            // Ends a call that is over its time; lets everyone else on this thread have a turn otherwise.
            let state = context.data_mut();
            if Instant::now() >= state.call.deadline.at {
                return Ok(wasmtime::UpdateDeadline::Interrupt);
            }
            state.call.ticks = state.call.ticks.saturating_add(1);
            state.blueprint.engines.keep_ticking();
            Ok(wasmtime::UpdateDeadline::YieldCustom(
                1,
                state.turn.at_tick(state.call.ticks),
            ))
        });
        store
    }

    /// WASI with nothing in it but what is granted: no stdin, no arguments, no sockets, no name look-up. Directories are the
    /// affair of [`Files`].
    fn wasi(&self, stdout: GuestStream, stderr: GuestStream) -> WasiCtx {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(stdout)
            .stderr(stderr)
            .max_random_size(self.limits.random_bytes)
            // What it opens is used in jobs only, where blocking is allowed.
            .allow_blocking_current_thread(true)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        give_clocks(&mut wasi, self.grants.clocks);
        for name in &self.grants.env {
            if let Ok(value) = std::env::var(name) {
                wasi.env(name, value);
            }
        }
        wasi.build()
    }
}
