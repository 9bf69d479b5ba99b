//! The questions a handshake asks: which key belongs to this identity, and whom to trust.

use zeroize::Zeroizing;

use crate::certificate::{PeerCertificate, TrustAnchors};

/// Longest identity we look up. RFC 4279 §5.3 asks for 128; LwM2M endpoint names of the recorded fleets stay below 64.
pub const IDENTITY_BYTES_MAX: usize = 128;

/// Longest pre-shared key. RFC 4279 §5.3 asks for 64 (`MBEDTLS_PSK_MAX_LEN` in our configuration says the same).
pub const KEY_BYTES_MAX: usize = 64;

/// Whom to trust, and at what time.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// The authorities that may have issued the peer's certificate.
    pub anchors: &'a TrustAnchors,
    /// The time that certificates must be valid at, in seconds since 1970 (UTC).
    pub unix_s: i64,
}

impl Trust<'_> {
    /// Whether a certificate that was taken once would still be: its authority is trusted, and its time is not over.
    pub fn holds(&self, certificate: &PeerCertificate) -> bool {
        self.anchors.contains(&certificate.anchor)
            && (certificate.not_before_s..=certificate.chain_not_after_s).contains(&self.unix_s)
    }
}

static NOBODY: TrustAnchors = TrustAnchors::new();

/// How an end finds out who the other is: a server the keys of its devices, and both whose certificates to trust.
pub trait Keys {
    /// The key of this identity, or `None` when there is none. The peer then gets a fatal alert.
    ///
    /// Called in the middle of a handshake: it must answer at once, and must not panic.
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>>;

    /// Whose certificates to trust; nobody's where only keys are in use.
    ///
    /// Called for every datagram.
    fn trust(&self) -> Trust<'_> {
        Trust { anchors: &NOBODY, unix_s: 0 }
    }

    /// Whether the owner of a certificate that was taken in an earlier handshake may go on from there. If not, the
    /// handshake becomes a full one, in which the certificate is judged anew.
    fn takes_again(&self, certificate: &PeerCertificate) -> bool {
        self.trust().holds(certificate)
    }
}

/// No keys at all: what a client with a pre-shared key has to offer, as nobody asks it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn psk(&mut self, _identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        None
    }
}

/// What a client with a certificate answers: it has no keys, and trusts the authorities of its server.
impl Keys for Trust<'_> {
    fn psk(&mut self, _identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        None
    }

    fn trust(&self) -> Trust<'_> {
        *self
    }
}
