//! Requests that are made, kept and never sent.

use palisade_sdk::prelude::*;
use palisade_sdk::serde_json::Value;
use serde::Deserialize;
use wasip2::http::types::{Fields, Method, OutgoingRequest, Scheme};

/// How long the parts of each request's head are; the host may refuse one.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Unsent {
    times: usize,
    #[serde(default)]
    method: usize,
    #[serde(default)]
    scheme: usize,
    #[serde(default)]
    authority: usize,
    #[serde(default)]
    path: usize,
}

impl Unsent {
    /// Makes them; one answer for each, which says of each part whether the host has taken it.
    pub(crate) fn make(&self, kept: &mut Vec<OutgoingRequest>) -> Vec<Value> {
        let text = |length: usize| "a".repeat(length);
        let (method, scheme) = (Method::Other(text(self.method)), Scheme::Other(text(self.scheme)));
        let (authority, path) = (text(self.authority), text(self.path).replacen('a', "/", 1));
        let make = |_| {
            let request = OutgoingRequest::new(Fields::new());
            let answer = json!({
                "method": request.set_method(&method).is_ok(),
                "scheme": request.set_scheme(Some(&scheme)).is_ok(),
                "authority": request.set_authority(Some(&authority)).is_ok(),
                "path": request.set_path_with_query(Some(&path)).is_ok(),
            });
            kept.push(request);
            answer
        };
        (0..self.times).map(make).collect()
    }
}
