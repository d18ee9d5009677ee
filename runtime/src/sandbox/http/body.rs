//! Bodies that are counted as they pass. Nothing is collected: what is not asked for is not read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::sandbox::http::code;
use crate::sandbox::http::request::Open;

/// Whether a request's body was more than it may be: the connection can't tell that from others of the guest's mistakes.
#[derive(Clone, Default)]
pub(super) struct Excess(Arc<AtomicBool>);

impl Excess {
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What bodies may be.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Of head and body together.
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    /// The longest that nothing may come of a response; the guest's own limit.
    pub(super) between_bytes: Option<Duration>,
}

/// The body of a request. The chunk that would be too much is not sent, and nothing after it.
pub(super) struct RequestBody {
    pub(super) body: WasiBody,
    /// How many bytes it may still have.
    pub(super) left: u64,
    pub(super) excess: Excess,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let Some(left) = rest(self.left, frame) else {
                self.excess.0.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(None))));
            };
            self.left = left;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response. It has the request's place among those under way, and gives it back at its end.
pub(super) struct ResponseBody {
    body: Incoming,
    open: Option<Open>,
    /// Of the request, which may still be on its way.
    excess: Excess,
    limits: Limits,
    left: u64,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    /// Refuses one that says it is longer than it may be.
    pub(super) fn new(body: Incoming, open: Open, excess: Excess, limits: Limits) -> Result<Self, Error> {
        let left = limits.response_bytes;
        if body.size_hint().lower() > left {
            return Err(Error::HttpResponseBodySize(Some(left)));
        }
        Ok(Self {
            body,
            open: Some(open),
            excess,
            limits,
            left,
            stalled: None,
        })
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(open) = &self.open else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut self.body).poll_frame(cx) {
            // A connection that we have closed ends like one that has served.
            Poll::Ready(None) if open.is_closed() => Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(_))) if self.excess.is_there() => {
                Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(self.limits.request_bytes)))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(code::of_body(&error)))),
            Poll::Ready(Some(Ok(frame))) => {
                self.stalled = None;
                let left = rest(self.left, &frame);
                self.left = left.unwrap_or_default();
                let too_much = Error::HttpResponseBodySize(Some(self.limits.response_bytes));
                Poll::Ready(Some(left.map(|_| frame).ok_or(too_much)))
            }
            Poll::Pending => self.poll_stalled(cx),
        }
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(longest) = self.limits.between_bytes else {
            return Poll::Pending;
        };
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(longest)));
        let waited = stalled.as_mut().poll(cx);
        waited.map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = self.poll_body(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.open = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is left of a limit after a frame; none if the frame is too much. Trailers are bounded by the connection.
fn rest(left: u64, frame: &Frame<Bytes>) -> Option<u64> {
    let length = frame.data_ref().map_or(0, Bytes::len);
    left.checked_sub(length as u64)
}
