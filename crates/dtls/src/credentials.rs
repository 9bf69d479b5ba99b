//! The question a handshake asks: which key belongs to this identity.

use zeroize::Zeroizing;

/// Longest identity we look up. RFC 4279 §5.3 asks for 128; LwM2M endpoint names of the recorded fleets stay below 64.
pub const IDENTITY_BYTES_MAX: usize = 128;

/// Longest pre-shared key. RFC 4279 §5.3 asks for 64 (`MBEDTLS_PSK_MAX_LEN` in our configuration says the same).
pub const KEY_BYTES_MAX: usize = 64;

/// Where a server finds the keys of its devices.
pub trait Keys {
    /// The key of this identity, or `None` when there is none. The peer then gets a fatal alert.
    ///
    /// Called in the middle of a handshake: it must answer at once, and must not panic.
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>>;
}

/// No keys at all: what a client has to offer, as nobody asks it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn psk(&mut self, _identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        None
    }
}
