//! Sessions that live through a restart: saved as bytes, and taken up again by another process.
//!
//! A session that is taken up knows what it knew when it was saved, and has forgotten what came after. So its next
//! record must lie beyond all that it may have sent since: each start of the server skips [`RECORDS_SKIPPED`] numbers,
//! and whoever saves a session must save it again before it has sent as many. What it *received* since could be played
//! to it a second time; the fresher the checkpoint, the less.

use std::fmt;
use std::sync::Arc;

use mbedtls_sys as sys;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::certificate::PeerCertificate;
use crate::connection_id::CONNECTION_ID_BYTES;
use crate::credentials::Keys;
use crate::hello::Random;
use crate::native::{self, Association, Code};
use crate::server::Server;
use crate::session::Session;

/// Sequence numbers left out at each start: RFC 5288 §3 and RFC 6655 §3 make the nonce of them, and none may come twice
/// under one key. Of 2^48 numbers that is room for sixteen million starts.
pub const RECORDS_SKIPPED: u64 = 1 << 24;

/// Of the form of what is saved; the library adds its own version and configuration.
const VERSION: u8 = 1;

/// The library's part. A context with two connection ids of 32 bytes and the digest of a certificate takes 300.
const CONTEXT_BYTES_MAX: usize = 1_024;

/// Everything, with all the names that we keep of a certificate.
const SAVED_BYTES_MAX: usize = 8_192;

/// What is bound to the key of a device, so that a session does not outlive it.
const KEY_LABEL: &[u8] = b"shoal session under this key";

/// A session as bytes. They hold its keys, and are wiped when they are dropped.
pub type SavedSession = Zeroizing<Vec<u8>>;

/// A session cannot be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotSaved {
    /// It uses CBC: the library can only save suites with AEAD.
    Suite,
    /// It is not established, or its last flight may still have to be repeated: as soon as the peer sends data, it can be.
    NotYet,
    /// The key that it began with is not the peer's any more.
    KeyGone,
}

/// What was saved is no session any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotRestored {
    /// Saved by another version of ours or of the library.
    Version,
    /// Not what was saved.
    Damaged,
    /// The peer has another key now, or none.
    KeyChanged,
    /// The peer's certificate is not valid any more.
    CertificateExpired,
    /// After so many starts no sequence number is left.
    NumbersUsedUp,
    /// The library has no memory for it.
    NoMemory,
}

impl fmt::Display for NotRestored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Version => "saved by another version",
            Self::Damaged => "damaged",
            Self::KeyChanged => "the key is another",
            Self::CertificateExpired => "the certificate is not valid any more",
            Self::NumbersUsedUp => "no sequence number is left",
            Self::NoMemory => "no memory",
        })
    }
}

impl std::error::Error for NotRestored {}

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    hello: Option<Random>,
    peer: Peer<'a>,
    context: &'a [u8],
}

/// Who it is, and what that rests on.
#[derive(Serialize, Deserialize)]
enum Peer<'a> {
    Psk { identity: &'a [u8], key: [u8; sys::MAC_BYTES] },
    Certificate(Box<PeerCertificate>),
}

impl Session {
    /// The session as it is now; it goes on. Cheap enough for every session of a busy server: no key is worked out, and
    /// a parked session stays parked.
    ///
    /// `keys` are those that the handshake was answered from.
    pub fn save(&mut self, keys: &mut dyn Keys) -> Result<SavedSession, NotSaved> {
        if !self.is_established() {
            return Err(NotSaved::NotYet);
        }
        if !self.suite().is_some_and(|suite| suite.is_aead()) {
            return Err(NotSaved::Suite);
        }
        let mut context = Zeroizing::new([0; CONTEXT_BYTES_MAX]);
        let length = self.association.save(&mut *context).map_err(|_| NotSaved::NotYet)?;
        let peer = match (self.peer_certificate(), self.identity()) {
            (Some(certificate), _) => Peer::Certificate(Box::new(certificate.clone())),
            (None, Some(identity)) => Peer::Psk { identity, key: key_proof(keys, identity).ok_or(NotSaved::KeyGone)? },
            (None, None) => return Err(NotSaved::NotYet),
        };
        let saved = Saved { hello: self.hello, peer, context: &context[..length] };
        // Of its full length at once: bytes that move would leave a copy of the keys behind.
        let mut bytes = Zeroizing::new(vec![0; SAVED_BYTES_MAX]);
        bytes[0] = VERSION;
        let length = postcard::to_slice(&saved, &mut bytes[1..]).map_or(0, |written| written.len());
        if length == 0 {
            return Err(NotSaved::NotYet);
        }
        Ok(Zeroizing::new(bytes[..=length].to_vec()))
    }

    /// The number of the next record that it sends.
    pub fn written(&self) -> u64 {
        self.association.written()
    }
}

impl Server {
    /// Takes up a session that was saved `starts` starts ago, at least one. `cid` is the connection id it was accepted
    /// with; `keys` must know the same key of the peer, or find its certificate still valid.
    ///
    /// The same bytes must never be taken up twice within one start.
    pub fn restore(
        &self,
        saved: &[u8],
        cid: [u8; CONNECTION_ID_BYTES],
        starts: u32,
        keys: &mut dyn Keys,
    ) -> Result<Session, NotRestored> {
        let rest = match saved.split_first() {
            Some((&VERSION, rest)) => rest,
            Some(_) => return Err(NotRestored::Version),
            None => return Err(NotRestored::Damaged),
        };
        let saved: Saved<'_> = postcard::from_bytes(rest).map_err(|_| NotRestored::Damaged)?;
        let (identity, certificate) = match saved.peer {
            Peer::Psk { identity, key } => match key_proof(keys, identity) {
                Some(proof) if proof == key => (Some(identity.into()), None),
                _ => return Err(NotRestored::KeyChanged),
            },
            Peer::Certificate(certificate) if keys.trust().unix_s > certificate.not_after_s => {
                return Err(NotRestored::CertificateExpired);
            }
            Peer::Certificate(certificate) => (None, Some(certificate)),
        };
        let records_skipped = RECORDS_SKIPPED * u64::from(starts.max(1));
        let association = Association::load(Arc::clone(self.configuration()), &cid, saved.context, records_skipped)
            .map_err(not_restored)?;
        let session = Session::restored(association, identity, certificate, saved.hello);
        // A suite that we speak no more; and each has its kind of peer.
        let is_sound =
            session.suite().is_some_and(|suite| suite.has_certificates() == session.peer_certificate().is_some());
        if is_sound { Ok(session) } else { Err(NotRestored::Damaged) }
    }
}

fn key_proof(keys: &mut dyn Keys, identity: &[u8]) -> Option<[u8; sys::MAC_BYTES]> {
    native::mac(&keys.psk(identity)?, KEY_LABEL).ok()
}

fn not_restored(code: Code) -> NotRestored {
    match code {
        sys::VERSION_MISMATCH => NotRestored::Version,
        sys::COUNTER_WRAPPING => NotRestored::NumbersUsedUp,
        native::ALLOC_FAILED => NotRestored::NoMemory,
        _ => NotRestored::Damaged,
    }
}
