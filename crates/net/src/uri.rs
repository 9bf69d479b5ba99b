//! Where a server listens, or where it is: `coaps://HOST:PORT` (RFC 7252 §6), `coaps+tcp://HOST:PORT` (RFC 8323 §8).

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};

/// Port of `coap://` (RFC 7252 §12.6) and of `coap+tcp://` (RFC 8323 §8.1).
const PORT: u16 = 5683;
/// Port of `coaps://` (RFC 7252 §12.7) and of `coaps+tcp://` (RFC 8323 §8.2).
const PORT_SECURE: u16 = 5684;
/// Longest address that is said in an error.
const SAID_CHARS_MAX: usize = 80;

/// An address with its scheme. A host name is resolved once, here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri {
    /// DTLS or TLS, or plain CoAP.
    pub is_secure: bool,
    /// Connections, or datagrams.
    pub is_tcp: bool,
    /// The first address of the host.
    pub address: SocketAddr,
}

impl Uri {
    /// Reads `coap://`, `coaps://`, `coap+tcp://` or `coaps+tcp://`, a host (a name, IPv4, or IPv6 in brackets) and maybe a
    /// port; a path is passed over.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(UriError::of(text, "not of the form coaps://HOST:PORT"));
        };
        let (is_secure, is_tcp, port) = match scheme {
            "coaps" => (true, false, PORT_SECURE),
            "coap" => (false, false, PORT),
            "coap+tcp" => (false, true, PORT),
            "coaps+tcp" => (true, true, PORT_SECURE),
            _ => return Err(UriError::of(text, "not of the form coaps://HOST:PORT")),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, port) =
            split(authority, port).ok_or_else(|| UriError::of(text, "not of the form coaps://HOST:PORT"))?;
        let address = (host, port).to_socket_addrs().ok().and_then(|mut found| found.next());
        let address = address.ok_or_else(|| UriError::of(text, "no such host"))?;
        Ok(Self { is_secure, is_tcp, address })
    }
}

/// Host and port of an authority (RFC 3986 §3.2).
fn split(authority: &str, port: u16) -> Option<(&str, u16)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    if host.is_empty() {
        return None;
    }
    match rest.strip_prefix(':') {
        Some(digits) => Some((host, digits.parse().ok()?)),
        None => rest.is_empty().then_some((host, port)),
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "coaps" } else { "coap" };
        write!(formatter, "{scheme}{}://{}", if self.is_tcp { "+tcp" } else { "" }, self.address)
    }
}

/// A text that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriError {
    uri: String,
    reason: &'static str,
}

impl UriError {
    fn of(uri: &str, reason: &'static str) -> Self {
        Self { uri: uri.chars().take(SAID_CHARS_MAX).collect(), reason }
    }
}

impl fmt::Display for UriError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.uri, self.reason)
    }
}

impl std::error::Error for UriError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<String> {
        Uri::parse(text).ok().map(|uri| uri.to_string())
    }

    #[test]
    fn a_port_that_is_not_said_is_the_one_of_the_scheme() {
        assert_eq!(said("coap://127.0.0.1").as_deref(), Some("coap://127.0.0.1:5683"));
        assert_eq!(said("coaps://127.0.0.1").as_deref(), Some("coaps://127.0.0.1:5684"));
        assert_eq!(said("coap+tcp://127.0.0.1").as_deref(), Some("coap+tcp://127.0.0.1:5683"));
        assert_eq!(said("coaps+tcp://127.0.0.1").as_deref(), Some("coaps+tcp://127.0.0.1:5684"));
        assert_eq!(said("coaps://[::1]/rd?ep=x").as_deref(), Some("coaps://[::1]:5684"));
    }

    #[test]
    fn a_port_that_is_said_counts() {
        assert_eq!(said("coap://127.0.0.1:0").as_deref(), Some("coap://127.0.0.1:0"));
        assert_eq!(said("coaps://[2001:db8::7]:7000").as_deref(), Some("coaps://[2001:db8::7]:7000"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "",
            "127.0.0.1:5684",
            "http://127.0.0.1",
            "coap+udp://127.0.0.1",
            "coap://",
            "coap://:5683",
            "coap://[::1",
            "coap://[::1]5",
            "coap://127.0.0.1:x",
            "coap://127.0.0.1:65536",
        ] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }
}
