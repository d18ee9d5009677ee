//! Origins: where a plugin may send HTTP requests to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A scheme, a host and a port: `https://api.example.com`. Two spellings of one origin are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpOrigin {
    tls: bool,
    host: HttpHost,
    port: u16,
}

/// The host of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpHost {
    /// A name, in lower case.
    Name(String),
    /// An address, which nobody is asked for.
    Ip(IpAddr),
}

impl HttpOrigin {
    /// From a scheme and what follows `//`, both as they are written in a URL. No part may be left over, so that nothing
    /// that is compared here is read in another way where it is dialled.
    pub(crate) fn new(scheme: &str, authority: &str) -> Result<Self, String> {
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("its scheme is neither http nor https".to_owned()),
        };
        if authority.contains('@') {
            return Err("it names a user: credentials belong in a header".to_owned());
        }
        let (host, port) = split_port(authority)?;
        let host = parse_host(host)?;
        let port = port.map_or(Ok(default_port(tls)), parse_port)?;
        Ok(Self { tls, host, port })
    }

    pub(crate) fn host(&self) -> &HttpHost {
        &self.host
    }

    #[cfg(feature = "wasi-http")]
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    #[cfg(feature = "wasi-http")]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, as a `Host` header says them: without the scheme's own port.
    pub(crate) fn authority(&self) -> String {
        let host = match &self.host {
            HttpHost::Name(name) => name.clone(),
            HttpHost::Ip(IpAddr::V4(address)) => address.to_string(),
            HttpHost::Ip(IpAddr::V6(address)) => format!("[{address}]"),
        };
        if self.port == default_port(self.tls) {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

impl FromStr for HttpOrigin {
    type Err = String;

    /// `https://api.example.com`, and nothing after it.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once("://") {
            None => Err("it does not begin with http:// or https://".to_owned()),
            Some((_, rest)) if rest.contains(['/', '?', '#', '\\']) => {
                Err("something follows the host and port, where only those are granted".to_owned())
            }
            Some((scheme, authority)) => Self::new(scheme, authority),
        };
        parsed.map_err(|why| format!("{text:?} is no origin such as \"https://api.example.com\": {why}"))
    }
}

impl fmt::Display for HttpOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// At the colon of a port, which is not one of an IPv6 address.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    let at = match authority.rfind(']') {
        Some(bracket) => match authority.get(bracket + 1..) {
            Some("") | None => return Ok((authority, None)),
            Some(rest) if rest.starts_with(':') => bracket + 1,
            Some(_) => return Err("something stands between the address and the port".to_owned()),
        },
        None => match authority.find(':') {
            None => return Ok((authority, None)),
            Some(at) => at,
        },
    };
    let (host, port) = authority.split_at(at);
    Ok((host, port.get(1..)))
}

fn parse_port(text: &str) -> Result<u16, String> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let port = text.parse().ok().filter(|_| canonical);
    port.ok_or_else(|| format!("{text:?} is no port from 1 to 65535"))
}

fn parse_host(text: &str) -> Result<HttpHost, String> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address
            .parse()
            .map_err(|_| format!("{address:?} is no IPv6 address without a zone"))?;
        return Ok(HttpHost::Ip(address.into()));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(HttpHost::Ip(address.into()));
    }
    let name = text.to_ascii_lowercase();
    check_name(&name)?;
    Ok(HttpHost::Name(name))
}

/// A host name in lower case. International names come in punycode: two spellings of one name would be two origins.
fn check_name(name: &str) -> Result<(), String> {
    if name.contains('*') {
        return Err("it has a wildcard: name each host".to_owned());
    }
    if !name.is_ascii() {
        return Err("its host is not ASCII: write it in punycode (xn--...)".to_owned());
    }
    if name.is_empty() || name.len() > 253 || !name.split('.').all(is_label) {
        return Err("its host is neither a name nor an address".to_owned());
    }
    // `127.1`, `0x7f.1`, `2130706433` and `0177.0.0.1` are addresses for some resolvers, and names for nobody.
    if name.rsplit('.').next().is_some_and(is_number) {
        return Err("its host is a number, but no address in the usual form of 127.0.0.1".to_owned());
    }
    Ok(())
}

fn is_label(label: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(usual) && !label.starts_with('-') && !label.ends_with('-')
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x");
    hex.map_or_else(
        || label.bytes().all(|byte| byte.is_ascii_digit()),
        |hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_origin_are_equal() {
        for (text, canonical) in [
            ("https://api.example.com", "https://api.example.com"),
            ("HTTPS://API.Example.COM:443", "https://api.example.com"),
            ("http://intranet:8080", "http://intranet:8080"),
            ("http://intranet:80", "http://intranet"),
            ("https://xn--bcher-kva.example:80", "https://xn--bcher-kva.example:80"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://[::1]", "http://[::1]"),
            ("http://[0:0::0:1]:80", "http://[::1]"),
            ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
            ("http://my_service.1st-zone", "http://my_service.1st-zone"),
        ] {
            assert_eq!(text.parse::<HttpOrigin>().unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused_by_name() {
        for (text, why) in [
            ("api.example.com", "does not begin with"),
            ("ftp://example.com", "neither http nor https"),
            ("https://example.com/", "only those are granted"),
            ("https://example.com?x", "only those are granted"),
            ("https://example.com#x", "only those are granted"),
            ("https://example.com\\@evil", "only those are granted"),
            ("https://user@example.com", "names a user"),
            ("https://example.com@evil.test", "names a user"),
            ("https://*.example.com", "wildcard"),
            ("https://bücher.example", "punycode"),
            ("https://", "neither a name nor an address"),
            ("https://example.com.", "neither a name nor an address"),
            ("https://exa mple.com", "neither a name nor an address"),
            ("https://example%2ecom", "neither a name nor an address"),
            ("https://example.com:", "no port"),
            ("https://example.com:0", "no port"),
            ("https://example.com:+80", "no port"),
            ("https://example.com:080", "no port"),
            ("https://example.com:65536", "no port"),
            ("https://example.com:80:80", "no port"),
            ("http://2130706433", "is a number"),
            ("http://127.1", "is a number"),
            ("http://0177.0.0.1", "is a number"),
            ("http://0x7f.1", "is a number"),
            ("http://0x7f000001", "is a number"),
            ("http://127.0.0.0x1", "is a number"),
            ("http://[::1%eth0]", "without a zone"),
            ("http://[127.0.0.1]", "without a zone"),
            ("http://[::1]x:80", "between the address and the port"),
            ("http://::1", "neither a name nor an address"),
        ] {
            let error = text.parse::<HttpOrigin>().unwrap_err();
            assert!(
                error.contains(why) && error.contains(&format!("{text:?}")),
                "{text}: {error}"
            );
        }
    }
}
