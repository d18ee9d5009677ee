//! What an event, or the config, says is to be fetched.

use std::time::Duration;

use palisade_sdk::prelude::*;
use palisade_sdk::serde_json::Value;
use serde::Deserialize;
use wasip2::http::types::{ErrorCode, Method, RequestOptions, Scheme};

use crate::http::{self, Pending, Request, Response};

/// One order; what is absent is a `GET` of `/` at once, read to its end.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Order {
    /// `http` unless said.
    scheme: Option<String>,
    authority: String,
    #[serde(default = "root")]
    path: String,
    method: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// How many bytes the request's body has.
    #[serde(default)]
    body: usize,
    /// How many such requests are sent before the first response is waited for.
    #[serde(default = "one")]
    times: usize,
    #[serde(default)]
    read: Read,
    connect_ms: Option<u64>,
    first_byte_ms: Option<u64>,
    between_bytes_ms: Option<u64>,
}

/// What to do with a response.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Read {
    /// Read it to its end.
    #[default]
    All,
    /// Look at its head and drop it.
    Head,
    /// Don't even wait for it, and drop the request.
    Nothing,
    /// Look at its head and keep it, read no further.
    Keep,
    /// Don't wait for it, and keep the request.
    KeepPending,
}

/// What is kept for the instance's life.
#[derive(Default)]
pub(crate) struct Kept {
    pending: Vec<Pending>,
    responses: Vec<Response>,
}

fn root() -> String {
    "/".to_owned()
}

fn one() -> usize {
    1
}

impl Order {
    /// A `GET` of `http://AUTHORITY/`.
    pub(crate) fn get(authority: &str) -> Self {
        Self {
            scheme: None,
            authority: authority.to_owned(),
            path: root(),
            method: None,
            headers: Vec::new(),
            body: 0,
            times: 1,
            read: Read::All,
            connect_ms: None,
            first_byte_ms: None,
            between_bytes_ms: None,
        }
    }

    /// Carries it out; one answer for each request.
    pub(crate) fn carry_out(&self, kept: &mut Kept) -> Vec<Value> {
        let sent: Vec<_> = (0..self.times).map(|_| self.send()).collect();
        let answers = sent.into_iter().map(|sent| match sent {
            Ok(pending) => self.answer(pending, kept),
            Err(error) => told(&error),
        });
        answers.collect()
    }

    fn send(&self) -> Result<Pending, ErrorCode> {
        let scheme = match self.scheme.as_deref() {
            None | Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(other) => Scheme::Other(other.to_owned()),
        };
        let method = match self.method.as_deref() {
            None | Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            Some("CONNECT") => Method::Connect,
            Some(other) => Method::Other(other.to_owned()),
        };
        let request = Request {
            method,
            scheme,
            authority: &self.authority,
            path: &self.path,
            headers: &self.headers,
            body: &vec![b'x'; self.body],
        };
        http::send(&request, Some(self.options()?))
    }

    fn options(&self) -> Result<RequestOptions, ErrorCode> {
        let nanos =
            |ms: Option<u64>| ms.map(|ms| u64::try_from(Duration::from_millis(ms).as_nanos()).unwrap_or(u64::MAX));
        let options = RequestOptions::new();
        let set = options.set_connect_timeout(nanos(self.connect_ms));
        set.and_then(|()| options.set_first_byte_timeout(nanos(self.first_byte_ms)))
            .and_then(|()| options.set_between_bytes_timeout(nanos(self.between_bytes_ms)))
            .map_err(|()| ErrorCode::ConfigurationError)?;
        Ok(options)
    }

    fn answer(&self, pending: Pending, kept: &mut Kept) -> Value {
        match self.read {
            Read::Nothing => return json!({ "read": "nothing" }),
            Read::KeepPending => {
                kept.pending.push(pending);
                return json!({ "read": "nothing" });
            }
            Read::All | Read::Head | Read::Keep => {}
        }
        let mut response = match pending.wait() {
            Ok(response) => response,
            Err(error) => return told(&error),
        };
        let mut answer = json!({ "status": response.status, "headers": response.headers });
        match self.read {
            Read::All => all(&mut response, &mut answer),
            Read::Keep => kept.responses.push(response),
            Read::Head | Read::Nothing | Read::KeepPending => {}
        }
        answer
    }
}

impl Kept {
    /// Goes on with what an earlier call has left: one answer for each.
    pub(crate) fn resume(&mut self) -> Vec<Value> {
        let mut answers = Vec::new();
        for pending in self.pending.drain(..) {
            answers.push(match pending.wait() {
                Ok(response) => json!({ "status": response.status }),
                Err(error) => told(&error),
            });
        }
        for mut response in self.responses.drain(..) {
            let mut answer = json!({});
            all(&mut response, &mut answer);
            answers.push(answer);
        }
        answers
    }
}

/// Adds `bytes`, the number of them; `text`, the first KiB; and `error`, if one has ended the body.
fn all(response: &mut Response, answer: &mut Value) {
    let (mut bytes, mut text) = (0, Vec::new());
    let error = loop {
        match response.chunk() {
            Ok(Some(chunk)) => {
                bytes += chunk.len();
                text.extend(chunk.iter().take(1024 - text.len().min(1024)));
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    if let Value::Object(answer) = answer {
        answer.insert("bytes".to_owned(), bytes.into());
        answer.insert("text".to_owned(), String::from_utf8_lossy(&text).into());
        if let Some(error) = error {
            answer.insert("error".to_owned(), code(&error).into());
        }
    }
}

fn told(error: &ErrorCode) -> Value {
    json!({ "error": code(error) })
}

/// `HttpResponseBodySize(Some(8))`
pub(crate) fn code(error: &ErrorCode) -> String {
    let text = format!("{error:?}");
    text.strip_prefix("ErrorCode::").map_or(text.clone(), str::to_owned)
}
