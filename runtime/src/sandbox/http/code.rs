//! What a guest is told of what went wrong on the way.

use std::error::Error as _;
use std::io;

use tokio_rustls::rustls;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

/// Nobody could be reached at an address.
pub(super) fn of_connect(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Error::DestinationIpUnroutable,
        _ => Error::DestinationUnavailable,
    }
}

/// TLS failed, if it was TLS that did.
pub(super) fn of_tls(error: &io::Error) -> Option<Error> {
    Some(match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Error::TlsCertificateError,
        rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: alert.as_str().map(str::to_owned),
        },
        _ => Error::TlsProtocolError,
    })
}

/// No response came.
pub(super) fn of_exchange(error: &hyper::Error) -> Error {
    if let Some(tls) = tls_below(error) {
        return tls;
    }
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_parse() || error.is_user() {
        Error::HttpProtocolError
    } else {
        Error::ConnectionTerminated
    }
}

/// A response came, but not to its end.
pub(super) fn of_body(error: &hyper::Error) -> Error {
    if error.is_parse_too_large() {
        Error::HttpResponseTrailerSectionSize(None)
    } else if error.is_parse() {
        Error::HttpProtocolError
    } else {
        Error::HttpResponseIncomplete
    }
}

/// The code of what ended a body's stream: the errors that [`super::body`] makes.
pub(super) fn of_stream(error: &Error) -> Option<ErrorCode> {
    Some(match error {
        Error::HttpRequestBodySize(limit) => ErrorCode::HttpRequestBodySize(*limit),
        Error::HttpResponseBodySize(limit) => ErrorCode::HttpResponseBodySize(*limit),
        Error::HttpResponseTrailerSectionSize(limit) => ErrorCode::HttpResponseTrailerSectionSize(*limit),
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        _ => return None,
    })
}

fn tls_below(error: &hyper::Error) -> Option<Error> {
    of_tls(error.source()?.downcast_ref()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn tls_errors_are_told_apart() {
        let code = |error: rustls::Error| of_tls(&io::Error::other(error)).unwrap();
        let unknown = rustls::CertificateError::UnknownIssuer;
        assert!(matches!(code(unknown.into()), Error::TlsCertificateError));
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
        assert!(matches!(
            code(alert),
            Error::TlsAlertReceived { alert_id: Some(40), .. }
        ));
        assert!(matches!(code(rustls::Error::DecryptError), Error::TlsProtocolError));
        assert!(of_tls(&io::ErrorKind::BrokenPipe.into()).is_none());
    }
}
