//! Outbound HTTP for guests: `wasi:http/outgoing-handler`, to the origins that are granted and nowhere else.
//!
//! A request goes through these steps, and the first that says no is what the guest is told:
//!
//! 1. The call may send requests (not in `describe`, not in a filter), and scheme, host and port are granted
//!    ([`state`]; `Grants::allows`).
//! 2. The name is resolved, once ([`resolve`]). If one of its addresses may not be connected to, none is: an answer that mixes
//!    public and private addresses is a sign of rebinding.
//! 3. One of those very addresses is dialled, and TLS made with the name of the origin ([`connect`]). No proxy is used, whatever
//!    the environment says.
//! 4. The request is sent by HTTP/1.1 with our own `Host` ([`send`]), and the response handed over: redirects are the guest's
//!    to follow, as requests of their own.
//!
//! What a guest says of a request before it sends it is bounded as it says it ([`head`]), and counted with the body.
//!
//! Bodies are streamed with backpressure and counted ([`body`]). Each connection serves one request and is closed with it,
//! with the guest's last handle of it, or with the call ([`request`]): there is no pool, so that nothing of one request can
//! reach another.
//!
//! Three lifetimes: [`Network`] is the runtime's, [`Outbound`] the plugin's, [`HttpState`] the instance's.

mod body;
mod code;
mod connect;
mod head;
mod request;
mod resolve;
mod send;
mod state;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, IoError};

pub use resolve::{Resolver, SystemResolver};
pub(super) use state::HttpState;

use crate::limits::Limits;
use crate::sandbox::state::HostState;

/// What all requests of a runtime share.
pub(crate) struct Network {
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
}

impl Network {
    /// An error says why TLS can't be set up.
    pub(crate) fn new(resolver: Arc<dyn Resolver>) -> Result<Self, String> {
        let tls = connect::tls().map_err(|error| error.to_string())?;
        Ok(Self { resolver, tls })
    }
}

/// What all requests of a plugin share.
#[derive(Clone)]
pub(crate) struct Outbound {
    network: Arc<Network>,
    /// A place for each look-up of a name. It can't be aborted (the system's resolver has a thread of its own for each), so
    /// that without these places a guest that gives up at once and asks again could pile up threads.
    lookups: Arc<Semaphore>,
}

impl Outbound {
    pub(crate) fn new(network: Arc<Network>, limits: &Limits) -> Self {
        let lookups = Arc::new(Semaphore::new(limits.http_requests.min(Semaphore::MAX_PERMITS)));
        Self { network, lookups }
    }
}

/// The version that wasmtime-wasi-http 48 links; older ones of 0.2 are matched to it.
const TYPES: &str = "wasi:http/types@0.2.12";

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    // The crate's own function knows no code for what ends the stream of a body: it looks for another type than it has put
    // there. A guest that reads could not tell a limit from a broken connection.
    linker.allow_shadowing(true);
    let error_code = |mut store: StoreContextMut<'_, HostState>, (error,): (Resource<IoError>,)| {
        let state = store.data_mut().ctx();
        let error = state.table.get(&error)?;
        let stream = error.downcast_ref().and_then(code::of_stream);
        Ok((stream.or_else(|| error.downcast_ref::<ErrorCode>().cloned()),))
    };
    let mut types = linker.instance(TYPES)?;
    types.func_wrap("http-error-code", error_code)?;
    head::bound(&mut types)?;
    linker.allow_shadowing(false);
    Ok(())
}
