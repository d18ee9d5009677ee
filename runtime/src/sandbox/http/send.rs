//! One request over one connection.

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::time::timeout;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::clock::{LONGEST, deadline};
use crate::sandbox::http::body::{Excess, Limits, RequestBody, ResponseBody};
use crate::sandbox::http::code;
use crate::sandbox::http::connect::Stream;
use crate::sandbox::http::request::Admitted;

/// About the most that is kept of a response that the guest has not read yet.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many bytes the status line and headers of a response may have together; its trailers, too.
const HEAD_BYTES: usize = 64 * 1024;

/// How many headers a response may have.
const HEADERS: usize = 128;

type Connection = http1::Connection<TokioIo<Box<dyn Stream>>, RequestBody>;
type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl Admitted {
    /// Sends the request and waits for the head of the response. The future beside it carries the bodies; it ends with the
    /// connection.
    ///
    /// The guest's own limits on time hold where it set any. In any case the call's deadline does: with the call, all its
    /// requests are dropped.
    pub(super) async fn send(
        self,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<(Response<WasiBody>, Driver), Error> {
        let limits = Limits {
            request_bytes: self.blueprint.limits.http_request_bytes,
            response_bytes: self.blueprint.limits.http_response_bytes,
            between_bytes: options.between_bytes_timeout.map(|longest| longest.min(LONGEST)),
        };
        let connected = self.connect(deadline(options.connect_timeout.unwrap_or(LONGEST)));
        let closed = self.open.closed();
        let stream = tokio::select! {
            stream = connected => stream?,
            () = closed.cancelled() => return Err(Error::HttpResponseIncomplete),
        };
        let excess = Excess::default();
        let request = prepared(request, &self.origin.authority())?.map(|body| RequestBody {
            body,
            left: self.body_bytes,
            excess: excess.clone(),
        });
        let first_byte = options.first_byte_timeout.unwrap_or(LONGEST).min(LONGEST);
        let answered = tokio::select! {
            answered = timeout(first_byte, exchange(stream, request)) => answered,
            () = closed.cancelled() => return Err(Error::HttpResponseIncomplete),
        };
        let (response, connection) = match answered.map_err(|_| Error::ConnectionReadTimeout)? {
            Err(_) if excess.is_there() => return Err(Error::HttpRequestBodySize(Some(limits.request_bytes))),
            Err(error) => return Err(code::of_exchange(&error)),
            Ok(answered) => answered,
        };
        let (head, body) = response.into_parts();
        let body = ResponseBody::new(body, self.open, excess, limits)?;
        let driver = async move {
            let Some(connection) = connection else { return Ok(()) };
            // An error of the connection's is the body's, too, and there the guest is told.
            tokio::select! {
                _ = connection => {}
                () = closed.cancelled() => {}
            }
            Ok(())
        };
        Ok((Response::from_parts(head, body.boxed_unsync()), Box::new(driver)))
    }
}

/// The request as a server wants it: the path alone, and a `Host` that is ours.
fn prepared<B>(mut request: Request<B>, authority: &str) -> Result<Request<B>, Error> {
    let host = HeaderValue::from_str(authority).map_err(|_| Error::HttpRequestUriInvalid)?;
    request.headers_mut().insert(header::HOST, host);
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| Error::HttpRequestUriInvalid)?;
    *request.version_mut() = http::Version::HTTP_11;
    Ok(request)
}

/// Drives the connection until the head of the response is there. No connection is given back if it has ended by then.
async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<RequestBody>,
) -> hyper::Result<(Response<Incoming>, Option<Connection>)> {
    let (mut sender, mut connection) = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .handshake(TokioIo::new(stream))
        .await?;
    let response = sender.send_request(request);
    tokio::pin!(response);
    tokio::select! {
        biased;
        response = &mut response => Ok((response?, Some(connection))),
        ended = &mut connection => match response.await {
            Ok(response) => Ok((response, None)),
            Err(error) => Err(ended.err().unwrap_or(error)),
        },
    }
}
