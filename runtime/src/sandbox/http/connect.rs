//! From addresses to a connection, with TLS where the origin says so.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use wasmtime_wasi_http::Error;

use crate::plugin::origin::HttpHost;
use crate::sandbox::http::code;
use crate::sandbox::http::request::Admitted;

/// A connection, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// TLS for all requests: Mozilla's roots, no certificate of ours, and no key log, whatever the environment says.
///
/// The provider is named: the process may have another one that we know nothing of, or two and so none by default.
pub(super) fn tls() -> Result<TlsConnector, rustls::Error> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Admitted {
    /// Resolves, dials and makes TLS, all of it by the deadline.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<Box<dyn Stream>, Error> {
        let addresses = timeout_at(deadline, self.addresses()).await;
        let addresses = addresses.map_err(|_| Error::DnsTimeout)??;
        let connected = timeout_at(deadline, async {
            let stream = dial(&addresses).await?;
            if self.origin.is_tls() {
                self.secure(stream).await
            } else {
                Ok(Box::new(stream) as Box<dyn Stream>)
            }
        });
        connected.await.map_err(|_| Error::ConnectionTimeout)?
    }

    async fn secure(&self, stream: TcpStream) -> Result<Box<dyn Stream>, Error> {
        let name = match self.origin.host() {
            HttpHost::Ip(address) => ServerName::from(*address),
            HttpHost::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?,
        };
        let secured = self.blueprint.http.network.tls.connect(name, stream).await;
        let secured = secured.map_err(|error| code::of_tls(&error).unwrap_or(Error::ConnectionTerminated))?;
        Ok(Box::new(secured))
    }
}

/// The first address that answers, in the resolver's order.
async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut last = Error::DestinationNotFound;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = code::of_connect(&error),
        }
    }
    Err(last)
}
