//! From a name to addresses that may be dialled.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use wasmtime_wasi_http::Error;

use crate::handler::BoxFuture;
use crate::plugin::grants::Ask;
use crate::plugin::origin::HttpHost;
use crate::sandbox::http::request::Admitted;
use crate::sandbox::log::LogLevel;

/// Says which addresses a host has.
///
/// Asked once for each request, for names only, and never about a host that is not granted. One look-up goes on after the
/// request that wants it has been given up; a plugin has at most `http-requests` of them at a time.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a host, those to be tried first in front.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// Asks the system, as `getaddrinfo` does.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let work = tokio::task::spawn_blocking(move || (host, 0).to_socket_addrs());
            let addresses = work.await.map_err(io::Error::other)??;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

impl Admitted {
    /// The addresses that the host has at this moment. If the plugin may not connect to one of them, it connects to none.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, Error> {
        let addresses = match self.origin.host() {
            HttpHost::Ip(address) => vec![*address],
            HttpHost::Name(name) => self.resolve(name.clone()).await?,
        };
        for address in &addresses {
            let allowed = self.blueprint.grants.allows(Ask::Connect(&self.origin, *address));
            allowed.map_err(|why| {
                let line = format!("a request to {} is denied: {why}", self.origin);
                self.blueprint.log.line(LogLevel::Warn, "http", &line);
                Error::DestinationIpProhibited
            })?;
        }
        let port = self.origin.port();
        Ok(addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }

    /// In a task of its own, which ends when the resolver does: see `Outbound::lookups`.
    async fn resolve(&self, name: String) -> Result<Vec<IpAddr>, Error> {
        let outbound = &self.blueprint.http;
        let place = outbound.lookups.clone().acquire_owned().await;
        let place = place.map_err(|_| Error::DnsTimeout)?;
        let network = Arc::clone(&outbound.network);
        let answer = tokio::spawn(async move {
            let answer = network.resolver.resolve(&name).await;
            drop(place);
            answer
        });
        match answer.await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(_) | Err(_) => Err(Error::DnsError {
                rcode: Some("address not available".to_owned()),
                info_code: None,
            }),
        }
    }
}
