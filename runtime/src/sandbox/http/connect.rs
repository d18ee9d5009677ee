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
    tls_trusting(RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    })
}

fn tls_trusting(roots: RootCertStore) -> Result<TlsConnector, rustls::Error> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    /// A certificate of `intranet.test` that nobody has signed but its own key; and that key, which is good for nothing else.
    const CERTIFICATE: &str = "MIIBcDCCARWgAwIBAgIUefBQ6lYIc2sWPcqB6u19fh0SHjMwCgYIKoZIzj0EAwIwGDEWMBQGA1UEAwwNaW50cmFuZXQudGVzdDAg\
        Fw0yNjExMjMyMTMxNDdaGA8yMTI2MTAzMDIxMzE0N1owGDEWMBQGA1UEAwwNaW50cmFuZXQudGVzdDBZMBMGByqGSM49AgEGCCqG\
        SM49AwEHA0IABCnn4ayPam0dDRfaPLxPkYV3oCujwqsFi4pfO7rehZXntS7f0YITDWE/BbqKXQghs6B+pOr5K+aRA8cG37JjLFqj\
        OzA5MBgGA1UdEQQRMA+CDWludHJhbmV0LnRlc3QwHQYDVR0OBBYEFAX1iRlWDixn2g2+XY/eVgHJco2MMAoGCCqGSM49BAMCA0kA\
        MEYCIQC62nBXcFLOf6sQSqYvPoN+pXpu40s8L4qpuMPK2N6RkAIhAKxC3c4Kh08ZwEyjOj2MxTX3KVIdjBzuP5RX91Kv9rtI";
    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1grFGveu5pCpUofdD/QotZqGCfWqnGkEU65bZAREoyqhRANCAAQp\
        5+Gsj2ptHQ0X2jy8T5GFd6Aro8KrBYuKXzu63oWV57Uu39GCEw1hPwW6il0IIbOgfqTq+SvmkQPHBt+yYyxa";

    fn certificate() -> CertificateDer<'static> {
        BASE64_STANDARD.decode(CERTIFICATE).unwrap().into()
    }

    /// A handshake of a client with the server that has the certificate.
    async fn handshake(client: TlsConnector, name: &'static str) -> Result<(), Error> {
        let key = PrivateKeyDer::Pkcs8(BASE64_STANDARD.decode(KEY).unwrap().into());
        let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate()], key)
            .unwrap();
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let accepted = TlsAcceptor::from(Arc::new(server)).accept(theirs);
        let connected = client.connect(ServerName::try_from(name).unwrap(), ours);
        let (connected, _) = tokio::join!(connected, accepted);
        connected.map(|_| ()).map_err(|error| code::of_tls(&error).unwrap())
    }

    /// S8: a certificate that no root has signed is refused.
    #[tokio::test]
    async fn s8_a_self_signed_certificate_is_refused() {
        let refused = handshake(tls().unwrap(), "intranet.test").await;
        assert!(matches!(refused, Err(Error::TlsCertificateError)), "{refused:?}");
    }

    /// S8: one that is trusted is taken, for the name that it is made out to and for no other.
    #[tokio::test]
    async fn s8_a_trusted_certificate_is_good_for_its_name() {
        let mut roots = RootCertStore::empty();
        roots.add(certificate()).unwrap();
        let client = tls_trusting(roots).unwrap();
        handshake(client.clone(), "intranet.test").await.unwrap();
        let refused = handshake(client, "other.test").await;
        assert!(matches!(refused, Err(Error::TlsCertificateError)), "{refused:?}");
    }
}
