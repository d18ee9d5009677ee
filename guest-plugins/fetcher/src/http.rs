//! A short wrapper of `wasi:http/outgoing-handler`: what a plugin needs to send a request and read the response.
//!
//! The plugin needs a grant of the origin: `[plugin.grants] http = ["https://api.example.com"]`. All that takes long waits in
//! the host, within the call's deadline.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use wasip2::io::streams::{InputStream, StreamError};

/// What is sent.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) scheme: Scheme,
    pub(crate) authority: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
}

/// A request on its way. When it is dropped, its connection is closed.
pub(crate) struct Pending(FutureIncomingResponse);

/// A response, its body still to be read. When it is dropped, its connection is closed.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    // In this order: the host wants each dropped before what it comes from.
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

/// Sends a request; returns when its body has been taken.
pub(crate) fn send(request: &Request, options: Option<RequestOptions>) -> Result<Pending, ErrorCode> {
    let wrong = |()| ErrorCode::HttpRequestUriInvalid;
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
        .collect();
    let headers =
        Fields::from_list(&headers).map_err(|error| ErrorCode::InternalError(Some(format!("headers: {error}"))))?;
    let outgoing = OutgoingRequest::new(headers);
    outgoing.set_method(&request.method).map_err(wrong)?;
    outgoing.set_scheme(Some(&request.scheme)).map_err(wrong)?;
    outgoing.set_authority(Some(request.authority)).map_err(wrong)?;
    outgoing.set_path_with_query(Some(request.path)).map_err(wrong)?;
    if request.body.is_empty() {
        return Ok(Pending(outgoing_handler::handle(outgoing, options)?));
    }
    let body = outgoing.body().map_err(wrong)?;
    let pending = Pending(outgoing_handler::handle(outgoing, options)?);
    // An error of the connection's ends the body, too; which one it is, the response tells.
    if write(&body, request.body).is_ok() {
        OutgoingBody::finish(body, None)?;
    }
    Ok(pending)
}

fn write(body: &OutgoingBody, mut bytes: &[u8]) -> Result<(), StreamError> {
    let Ok(stream) = body.write() else { return Ok(()) };
    while !bytes.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        let Some((chunk, rest)) = bytes.split_at_checked(room.min(bytes.len())) else {
            break;
        };
        if chunk.is_empty() {
            stream.subscribe().block();
        } else {
            stream.write(chunk)?;
            bytes = rest;
        }
    }
    stream.flush()
}

impl Pending {
    /// Waits for the head of the response.
    pub(crate) fn wait(self) -> Result<Response, ErrorCode> {
        self.0.subscribe().block();
        let gone = |()| ErrorCode::InternalError(None);
        let response = self.0.get().ok_or(()).flatten().map_err(gone)??;
        let headers = response.headers().entries();
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()));
        let headers = headers.collect();
        let body = response.consume().map_err(gone)?;
        Ok(Response {
            status: response.status(),
            headers,
            stream: body.stream().map_err(gone)?,
            _body: body,
            _response: response,
        })
    }
}

impl Response {
    /// The next part of the body, in the size it comes; none at its end.
    pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>, ErrorCode> {
        match self.stream.blocking_read(64 * 1024) {
            Ok(chunk) => Ok(Some(chunk)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = http_error_code(&error);
                Err(code.unwrap_or_else(|| ErrorCode::InternalError(Some(error.to_debug_string()))))
            }
        }
    }
}
