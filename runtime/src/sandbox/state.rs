//! What the host keeps for one instance, and what a guest can reach of it.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::event::Event;
use crate::handler::Outbox;
use crate::key_value::WriteBuffer;
use crate::limits::Limits;
use crate::pattern::Pattern;
use crate::sandbox::bindings::MAX_TEXT;
use crate::sandbox::blueprint::Blueprint;
use crate::sandbox::deadline::Deadline;
use crate::sandbox::files::FilesView;
use crate::sandbox::limiter::{Denied, Limiter};
use crate::sandbox::log::GuestStream;
use crate::sandbox::turn::Turn;

/// What a guest is being called for; decides what it may do meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing, or the core start functions while it is instantiated.
    Instantiate,
    Describe,
    Start,
    Stop,
    Health,
    Handle,
    Accepts,
}

impl Phase {
    /// The name that messages use.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Phase::Instantiate => "instantiation",
            Phase::Describe => "describe",
            Phase::Start => "start",
            Phase::Stop => "stop",
            Phase::Health => "health",
            Phase::Handle => "handle",
            Phase::Accepts => "accepts",
        }
    }

    pub(super) fn may_publish(self) -> bool {
        matches!(self, Phase::Start | Phase::Stop | Phase::Handle)
    }

    pub(super) fn may_write(self) -> bool {
        matches!(self, Phase::Start | Phase::Stop | Phase::Handle)
    }

    #[cfg(feature = "wasi-http")]
    pub(super) fn may_send_requests(self) -> bool {
        matches!(self, Phase::Start | Phase::Stop | Phase::Health | Phase::Handle)
    }

    pub(super) fn may_subscribe(self) -> bool {
        matches!(self, Phase::Start | Phase::Handle)
    }
}

/// The data of a store: lives as long as its instance.
pub(crate) struct HostState {
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) limiter: Limiter,
    /// The call at hand; replaced by each call.
    pub(super) call: Call,
    /// What this very instance has subscribed, to tell a repetition from another instance's.
    pub(super) subscribed: Vec<(Pattern, usize)>,
    pub(super) turn: Turn,
    wasi: WasiCtx,
    pub(super) table: ResourceTable,
    stderr: GuestStream,
    #[cfg(feature = "wasi-http")]
    pub(super) http: super::http::HttpState,
}

/// One call of a guest.
pub(super) struct Call {
    pub(super) phase: Phase,
    pub(super) deadline: Deadline,
    /// At how many ticks it was still computing.
    pub(super) ticks: u32,
    pub(super) event: Option<Event>,
    /// What the call is made for, if not for `event`: a fresh instance's `start` comes of the event that needs the
    /// instance, and what it publishes is one hop further.
    pub(super) cause: Option<Event>,
    pub(super) outbox: Outbox,
    /// What it wrote to its key-value store; committed when it returns ok.
    pub(super) writes: WriteBuffer,
}

impl HostState {
    pub(super) fn new(blueprint: Arc<Blueprint>, wasi: WasiCtx, stderr: GuestStream, deadline: Deadline) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(blueprint.limits.handles);
        let limiter = Limiter::new(&blueprint.limits);
        let call = Call {
            phase: Phase::Instantiate,
            deadline,
            ticks: 0,
            event: None,
            cause: None,
            outbox: Outbox::default(),
            writes: WriteBuffer::default(),
        };
        Self {
            #[cfg(feature = "wasi-http")]
            http: super::http::HttpState::new(&blueprint),
            turn: blueprint.engines.turn(),
            blueprint,
            limiter,
            call,
            subscribed: Vec::new(),
            wasi,
            table,
            stderr,
        }
    }

    /// What it can reach of its files.
    pub(super) fn files(&mut self) -> FilesView<'_> {
        FilesView {
            files: self.blueprint.files.clone(),
            wasi: self.filesystem(),
        }
    }

    pub(super) fn plugin(&self) -> &str {
        &self.blueprint.name
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.blueprint.limits
    }

    /// What a growth that was refused asked for, if one was in this call.
    pub(super) fn denied(&self) -> Option<Denied> {
        self.limiter.denied()
    }

    /// How much stack the engine gives a guest.
    pub(super) fn wasm_stack(&self) -> usize {
        self.blueprint.engines.wasm_stack()
    }

    /// What the guest says, safe to show, without the secrets of its config, and cut to what is worth keeping.
    pub(super) fn shown(&self, said: &str) -> String {
        self.blueprint.log.shown(said, MAX_TEXT)
    }

    /// What a call before this one wrote to stderr is not to be taken for this one's.
    #[inline]
    pub(super) fn forget_stderr(&self) {
        self.stderr.forget_tail();
    }

    /// What the guest wrote to stderr last, in this call.
    pub(super) fn stderr_tail(&self) -> String {
        self.stderr.take_tail()
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

#[cfg(feature = "wasi-http")]
impl wasmtime_wasi_http::WasiHttpView for HostState {
    fn http(&mut self) -> wasmtime_wasi_http::WasiHttpCtxView<'_> {
        self.http.view(self.call.phase, &mut self.table)
    }
}
