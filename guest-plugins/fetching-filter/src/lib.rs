//! A filter that would ask a server about each event, for the runtime's tests: a filter may not send requests while an event
//! waits for it, whatever is granted.
//!
//! - The data of an event are the authority to ask, a JSON string; what can be read from there to its end is accepted. An event
//!   without data is accepted unasked.
//! - Its config is `{ in-start = AUTHORITY }`: asked there, where a filter may; it does not start without an answer.

#[path = "../../fetcher/src/http.rs"]
mod http;

use http::Request;
use palisade_sdk::prelude::*;
use wasip2::http::types::{ErrorCode, Method, Scheme};

struct FetchingFilter;

impl Filter for FetchingFilter {
    fn info() -> Info {
        Info::new("fetching-filter", env!("CARGO_PKG_VERSION")).description(env!("CARGO_PKG_DESCRIPTION"))
    }

    fn start(config: &Config) -> Result<Self, StartError> {
        if let Some(authority) = config.get::<String>("in-start")? {
            ask(&authority).map_err(|code| format!("no answer: {code:?}"))?;
        }
        Ok(Self)
    }

    fn accepts(&mut self, event: &Event) -> bool {
        let Ok(authority) = event.json::<String>() else {
            return true;
        };
        match ask(&authority) {
            Ok((headers, bytes)) => log::info!("an answer of {headers} headers and {bytes} bytes"),
            Err(ref code) => {
                log::info!("no answer: {code:?}");
                return false;
            }
        }
        true
    }
}

/// Reads `/` there, and says how many headers and bytes it has.
fn ask(authority: &str) -> Result<(usize, usize), ErrorCode> {
    let request = Request {
        method: Method::Get,
        scheme: Scheme::Http,
        authority,
        path: "/",
        headers: &[],
        body: &[],
    };
    let mut response = http::send(&request, None)?.wait()?;
    if response.status != 200 {
        return Err(ErrorCode::HttpProtocolError);
    }
    let mut bytes = 0;
    while let Some(chunk) = response.chunk()? {
        bytes += chunk.len();
    }
    Ok((response.headers.len(), bytes))
}

palisade_sdk::filter!(FetchingFilter);
