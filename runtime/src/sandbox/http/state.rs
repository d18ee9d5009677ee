//! What an instance has of HTTP: the questions of wasmtime's implementation, and our answers.

use std::hint::black_box;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderName, Request, Response, header};
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView,
    WasiHttpHooks,
};

use crate::plugin::grants::Ask;
use crate::plugin::origin::HttpOrigin;
use crate::sandbox::blueprint::Blueprint;
use crate::sandbox::http::head;
use crate::sandbox::http::request::{Admitted, Requests};
use crate::sandbox::log::LogLevel;
use crate::sandbox::state::Phase;

/// How much host memory one list of headers may take that a guest makes: with as many lists as it may have handles, 8 MiB.
const FIELDS_BYTES: usize = 32 * 1024;

/// The most that a guest writes to a request's body at a time, and so the most that the host keeps of it.
const WRITE_BYTES: usize = 64 * 1024;

/// The HTTP of one instance.
pub(in crate::sandbox) struct HttpState {
    ctx: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    blueprint: Arc<Blueprint>,
    phase: Phase,
    /// Those of the call at hand; made when it sends its first.
    requests: Option<Requests>,
}

impl HttpState {
    pub(in crate::sandbox) fn new(blueprint: &Arc<Blueprint>) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(FIELDS_BYTES);
        let hooks = Hooks {
            blueprint: blueprint.clone(),
            phase: Phase::Instantiate,
            requests: None,
        };
        Self { ctx, hooks }
    }

    pub(in crate::sandbox) fn view<'a>(
        &'a mut self,
        phase: Phase,
        table: &'a mut ResourceTable,
    ) -> WasiHttpCtxView<'a> {
        self.hooks.phase = phase;
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table,
            ctx: &mut self.ctx,
        }
    }

    /// Closes what the call has left open: a request belongs to the call that sent it, and so an instance that lives on
    /// doesn't pile up connections.
    #[inline]
    pub(in crate::sandbox) fn end_call(&mut self) {
        // Nearly every call sends nothing, and this is the way of all.
        if self.hooks.requests.is_some() {
            self.hooks.requests = None;
        }
    }

    /// Reads what a call looks at.
    #[inline]
    pub(in crate::sandbox) fn touch(&self) {
        black_box(self.hooks.requests.is_some());
    }
}

type Sent = Result<(Response<WasiBody>, Done), Error>;
type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    /// What frames a message or belongs to the connection is ours, `host` first of all; so is everything for proxies.
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name: &HeaderName| {
            DEFAULT_FORBIDDEN_HEADERS.contains(name) || *name == header::TE || name.as_str().starts_with("proxy-")
        })
    }

    /// `send` does, from the origin rather than from the guest's spelling of it.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        WRITE_BYTES
    }

    /// Transport errors have codes of ours already; what is left is nobody's business but the guest's.
    fn p2_error_from_hyper(&mut self, _: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let admitted = self.admit(&request);
        Box::new(async move { admitted?.send(request, options.unwrap_or_default()).await })
    }
}

impl Hooks {
    /// Everything that can be refused before anybody is asked.
    fn admit(&mut self, request: &Request<WasiBody>) -> Result<Admitted, Error> {
        let origin = self.granted(request).map_err(|why| {
            let uri = request.uri();
            let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority());
            let to = authority.map_or("", |authority| authority.as_str());
            let line = format!("a request to {scheme}://{to} is denied: {why}");
            self.blueprint.log.line(LogLevel::Warn, "http", &line);
            Error::HttpRequestDenied
        })?;
        // A connection that the guest speaks through by its own rules is no request.
        if request.method() == http::Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let limits = &self.blueprint.limits;
        let most = limits.http_request_bytes;
        let Some(body_bytes) = most.checked_sub(head::bytes(request)) else {
            let most = u32::try_from(most).ok();
            return Err(Error::HttpRequestHeaderSectionSize(most));
        };
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > body_bytes) {
            return Err(Error::HttpRequestBodySize(Some(most)));
        }
        let requests = self.requests.get_or_insert_with(|| Requests::new(limits.http_requests));
        Ok(Admitted {
            open: requests
                .open(&self.blueprint.files)
                .ok_or(Error::ConnectionLimitReached)?,
            blueprint: self.blueprint.clone(),
            origin,
            body_bytes,
        })
    }

    fn granted(&self, request: &Request<WasiBody>) -> Result<HttpOrigin, String> {
        if !self.phase.may_send_requests() {
            return Err(format!("{} may not send HTTP requests", self.phase.as_str()));
        }
        let uri = request.uri();
        let scheme = uri.scheme().unwrap_or(&Scheme::HTTPS);
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let origin = HttpOrigin::new(scheme.as_str(), authority)?;
        self.blueprint.grants.allows(Ask::Http(&origin))?;
        Ok(origin)
    }
}
