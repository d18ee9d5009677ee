//! What the head of a request may be: a guest makes as many requests as it may have handles, and need send none of them.

use http::Request;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method, Scheme};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;

use crate::sandbox::state::HostState;

/// The longest method, in bytes. RFC 9110 sets no bound; the longest one that is registered has 17.
const METHOD_BYTES: usize = 64;

/// The longest name of a scheme, in bytes: what the `http` crate takes.
const SCHEME_BYTES: usize = 64;

/// The longest authority, in bytes: the 253 of the longest host name, and room for a port.
const AUTHORITY_BYTES: usize = 300;

/// The longest path with its query, in bytes. RFC 9110, section 4.1, wants URIs of 8,000 to work.
const PATH_BYTES: usize = 8 * 1024;

type Outgoing = Resource<HostOutgoingRequest>;
type Store<'a> = StoreContextMut<'a, HostState>;
/// What the guest is told; it may not be told why.
type Set = wasmtime::Result<(Result<(), ()>,)>;

/// Puts bounds before the crate's own functions, which keep a method and an authority of whatever length. With all handles a
/// guest's requests keep about 3 MiB, besides their headers.
pub(super) fn bound(types: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_>, (request, method): (Outgoing, Method)| -> Set {
            let length = match &method {
                Method::Other(name) => name.len(),
                _ => 0,
            };
            within(length, METHOD_BYTES, || {
                store.data_mut().http().set_method(request, method)
            })
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-scheme",
        |mut store: Store<'_>, (request, scheme): (Outgoing, Option<Scheme>)| -> Set {
            let length = match &scheme {
                Some(Scheme::Other(name)) => name.len(),
                _ => 0,
            };
            within(length, SCHEME_BYTES, || {
                store.data_mut().http().set_scheme(request, scheme)
            })
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_>, (request, authority): (Outgoing, Option<String>)| -> Set {
            let length = authority.as_ref().map_or(0, String::len);
            within(length, AUTHORITY_BYTES, || {
                store.data_mut().http().set_authority(request, authority)
            })
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_>, (request, path): (Outgoing, Option<String>)| -> Set {
            let length = path.as_ref().map_or(0, String::len);
            within(length, PATH_BYTES, || {
                store.data_mut().http().set_path_with_query(request, path)
            })
        },
    )
}

fn within(length: usize, most: usize, set: impl FnOnce() -> wasmtime::Result<Result<(), ()>>) -> Set {
    if length > most {
        return Ok((Err(()),));
    }
    Ok((set()?,))
}

/// How many bytes the head of a request has: its method, its path and query, and the names and values of its headers.
pub(super) fn bytes<B>(request: &Request<B>) -> u64 {
    let headers = request.headers().iter();
    let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    (request.method().as_str().len() + path + headers) as u64
}
