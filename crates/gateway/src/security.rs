//! Who was not let in: counted for a second, then told once.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use dtls::{CertificateRefused, SessionError};

use crate::devices::DeviceIndex;
use crate::gateway::Gateway;
use crate::limits::{FOREIGN_TEXT_BYTES_MAX, SECURITY_EVENTS_EVERY, SECURITY_EVENTS_MAX};
use crate::page::Pages;
use crate::peers::Peer;
use crate::peers::PeerKey;
use crate::timers::Now;
use crate::trust::write_certificate;
use crate::uplink::Origin;

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SecurityReason {
    UnknownIdentity,
    WrongKey,
    HandshakeTimeout,
    HandshakeFailed,
    NoSharedSuite,
    Certificate(CertificateRefused),
    UnknownCertificate,
    RevokedCertificate,
    EndpointMismatch,
    NotAllowed,
    Insecure,
    ForeignRegistration,
}

impl SecurityReason {
    const fn name(self) -> &'static str {
        match self {
            Self::UnknownIdentity => "unknown_identity",
            Self::WrongKey => "wrong_key",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::NoSharedSuite => "no_shared_suite",
            Self::Certificate(refused) => certificate_reason(refused),
            Self::UnknownCertificate => "unknown_certificate",
            Self::RevokedCertificate => "certificate_revoked",
            Self::EndpointMismatch => "endpoint_mismatch",
            Self::NotAllowed => "not_allowed",
            Self::Insecure => "insecure",
            Self::ForeignRegistration => "foreign_registration",
        }
    }
}

const fn certificate_reason(refused: CertificateRefused) -> &'static str {
    match refused {
        CertificateRefused::Missing => "certificate_missing",
        CertificateRefused::UnknownAuthority => "unknown_authority",
        CertificateRefused::BadSignature => "certificate_signature",
        CertificateRefused::Expired => "certificate_expired",
        CertificateRefused::NotYetValid => "certificate_not_yet_valid",
        CertificateRefused::WrongUsage => "certificate_usage",
        CertificateRefused::UnsupportedAlgorithm => "certificate_algorithm",
        CertificateRefused::ChainTooLong => "certificate_chain_too_long",
        CertificateRefused::NotOwned => "certificate_not_owned",
        // Names are for devices to check; the library may learn to refuse more.
        _ => "certificate_malformed",
    }
}

/// One thing that happened.
pub(crate) struct Intrusion<'a> {
    pub(crate) reason: SecurityReason,
    pub(crate) identity: &'a [u8],
    pub(crate) endpoint: &'a [u8],
    pub(crate) address: SocketAddr,
    /// The device it was about, its context and its partition, where we know.
    pub(crate) device: Option<(Arc<str>, Arc<str>, u32)>,
    /// The certificate of a stranger, and whose authority issued it.
    pub(crate) stranger: Option<Stranger>,
}

/// Somebody whose certificate is good and whom nobody has taken in.
pub(crate) struct Stranger {
    /// See [`crate::Authority::context`].
    pub(crate) context: Arc<str>,
    /// As JSON.
    pub(crate) certificate: Vec<u8>,
}

#[derive(PartialEq, Eq, Hash)]
struct Sameness {
    reason: SecurityReason,
    name: Vec<u8>,
    address: IpAddr,
}

struct Counted {
    count: u64,
    unix_ms: u64,
    identity: Vec<u8>,
    endpoint: Vec<u8>,
    address: SocketAddr,
    device: Option<(Arc<str>, Arc<str>, u32)>,
    stranger: Option<Stranger>,
}

/// What happened within this second.
pub(crate) struct SecurityLog {
    counted: HashMap<Sameness, Counted, RandomState>,
    /// How many of them are about nobody that we know.
    strangers: usize,
    tell_at: Option<Instant>,
    /// More kinds of trouble than fit into the table.
    pub(crate) dropped: u64,
}

impl SecurityLog {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self { counted: HashMap::with_hasher(hasher), strangers: 0, tell_at: None, dropped: 0 }
    }

    pub(crate) fn note(&mut self, now: Now, intrusion: Intrusion<'_>) {
        let cut = |bytes: &[u8]| bytes[..bytes.len().min(FOREIGN_TEXT_BYTES_MAX)].to_vec();
        let name = if intrusion.identity.is_empty() { intrusion.endpoint } else { intrusion.identity };
        let sameness = Sameness { reason: intrusion.reason, name: cut(name), address: intrusion.address.ip() };
        let is_stranger = intrusion.device.is_none();
        // Each has a table of its own: a flood of strangers does not hide a device that is refused.
        let held = if is_stranger { self.strangers } else { self.counted.len() - self.strangers };
        let is_new = !self.counted.contains_key(&sameness);
        if is_new && held >= SECURITY_EVENTS_MAX {
            self.dropped += 1;
            return;
        }
        self.strangers += usize::from(is_new && is_stranger);
        self.tell_at.get_or_insert(now.monotonic + SECURITY_EVENTS_EVERY);
        let counted = self.counted.entry(sameness).or_insert_with(|| Counted {
            count: 0,
            unix_ms: now.unix_ms,
            identity: cut(intrusion.identity),
            endpoint: cut(intrusion.endpoint),
            address: intrusion.address,
            device: intrusion.device,
            stranger: intrusion.stranger,
        });
        counted.count += 1;
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.tell_at
    }

    /// Tells what was counted, when its second is over.
    pub(crate) fn handle_timeout(&mut self, now: Now, pages: &mut Pages) {
        if self.tell_at.is_none_or(|when| when > now.monotonic) {
            return;
        }
        self.tell_at = None;
        self.strangers = 0;
        for (same, counted) in self.counted.drain() {
            let (key, partition) = match &counted.device {
                Some((device, _, partition)) => (Arc::clone(device), *partition),
                None => {
                    let key: Arc<str> = crate::event::foreign(&same.name).into();
                    let partition = pages.partition_of(&key);
                    (key, partition)
                }
            };
            let mut event = pages.begin_at(now, counted.unix_ms, partition, &key, "security");
            if let Some((device, context, _)) = &counted.device {
                event.text("device", device);
                event.fragment(context);
            }
            if let Some(stranger) = &counted.stranger {
                event.fragment(&stranger.context);
                event.value("certificate", |body| body.extend_from_slice(&stranger.certificate));
            }
            event.text("reason", same.reason.name());
            if !counted.identity.is_empty() {
                event.foreign("identity", &counted.identity);
            }
            // The context of a known device tells its endpoint already.
            if counted.device.is_none() && !counted.endpoint.is_empty() {
                event.foreign("endpoint", &counted.endpoint);
            }
            event.address(counted.address);
            event.number("count", counted.count);
            event.finish();
        }
    }
}

impl Gateway {
    /// Tells that somebody was not let in.
    pub(crate) fn note_intrusion(&mut self, now: Now, reason: SecurityReason, origin: &Origin, endpoint: &[u8]) {
        let peer = origin.peer.and_then(|key| self.peers.get(key));
        let identity = peer.map(Peer::name).unwrap_or_default().to_vec();
        let device = origin.device.and_then(|index| self.subject(index));
        self.security.note(
            now,
            Intrusion { reason, identity: &identity, endpoint, address: origin.address, device, stranger: None },
        );
    }

    /// A handshake failed, or a session broke.
    pub(crate) fn note_failure(&mut self, now: Now, key: PeerKey, error: &SessionError) {
        let Some(peer) = self.peers.get(key) else { return };
        let Some(association) = &peer.security else { return };
        if association.is_established {
            self.stats.sessions_broken += 1;
            return;
        }
        let (address, known) = (peer.address, peer.name().to_vec());
        self.note_handshake(now, address, &known, error);
    }

    /// A handshake failed; `known` is the name that the peer gave, if it came to that.
    pub(crate) fn note_handshake(&mut self, now: Now, address: SocketAddr, known: &[u8], error: &SessionError) {
        self.stats.handshakes_failed += 1;
        let known = known.to_vec();
        let (reason, identity) = match error {
            SessionError::UnknownIdentity { identity } => (SecurityReason::UnknownIdentity, identity.clone()),
            SessionError::WrongKey { identity } => (SecurityReason::WrongKey, identity.clone()),
            SessionError::CertificateRefused { reason, certificate } => {
                let name = certificate.as_ref().and_then(|certificate| certificate.common_name.clone());
                (SecurityReason::Certificate(*reason), name.unwrap_or_default().into_bytes())
            }
            SessionError::NoSharedSuite => (SecurityReason::NoSharedSuite, known),
            SessionError::HandshakeTimedOut => (SecurityReason::HandshakeTimeout, known),
            _ => (SecurityReason::HandshakeFailed, known),
        };
        let device = match error {
            SessionError::CertificateRefused { certificate, .. } => {
                let bearer =
                    |certificate| self.authorities.bearer(&self.directory, certificate).map(|(index, _)| *index);
                certificate.as_deref().and_then(bearer)
            }
            _ => self.directory.by_identity(&identity),
        };
        let device = device.and_then(|index| self.subject(index));
        self.security
            .note(now, Intrusion { reason, identity: &identity, endpoint: b"", address, device, stranger: None });
    }

    /// A certificate that is as it should be, of a device that nobody has taken in; or one that was taken back.
    pub(crate) fn note_unknown_certificate(&mut self, now: Now, key: PeerKey) {
        let Some(peer) = self.peers.get(key) else { return };
        let Some(certificate) = peer.certificate() else { return };
        let reason = match self.authorities.is_revoked(certificate) {
            true => SecurityReason::RevokedCertificate,
            false => SecurityReason::UnknownCertificate,
        };
        let (identity, address) = (peer.name().to_vec(), peer.address);
        let stranger = self.authorities.context(certificate).map(|context| {
            let mut facts = Vec::new();
            write_certificate(&mut facts, certificate);
            Stranger { context, certificate: facts }
        });
        let intrusion = Intrusion { reason, identity: &identity, endpoint: b"", address, device: None, stranger };
        self.security.note(now, intrusion);
    }

    /// What an event says about a device.
    pub(crate) fn subject(&self, index: DeviceIndex) -> Option<(Arc<str>, Arc<str>, u32)> {
        let device = self.directory.get(index)?;
        Some((Arc::clone(&device.id), Arc::clone(&device.context), device.partition))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // one true moment to count from
    use std::time::Duration;

    use super::*;
    use crate::page::PageOptions;

    #[test]
    fn a_flood_of_different_names_is_bounded_and_hides_no_device() {
        let now = Now { monotonic: Instant::now(), unix_ms: 0 };
        let mut log = SecurityLog::new(RandomState::with_seeds(1, 2, 3, 4));
        let mut pages = Pages::new(PageOptions {
            boot: "00000000".to_owned(),
            shard: 0,
            partitions: 1,
            linger: Duration::ZERO,
            uncommitted_bytes_max: 1 << 20,
        });

        for number in 0..SECURITY_EVENTS_MAX + 10 {
            let identity = number.to_string().into_bytes();
            let address = SocketAddr::from(([192, 0, 2, 1], 5684));
            let reason = SecurityReason::UnknownIdentity;
            log.note(
                now,
                Intrusion { reason, identity: &identity, endpoint: b"", address, device: None, stranger: None },
            );
        }
        let device = Some((Arc::from("dev-1"), Arc::from(""), 0));
        let address = SocketAddr::from(([192, 0, 2, 2], 5684));
        let reason = SecurityReason::WrongKey;
        log.note(now, Intrusion { reason, identity: b"known", endpoint: b"", address, device, stranger: None });
        let later = Now { monotonic: now.monotonic + SECURITY_EVENTS_EVERY, unix_ms: 1_000 };
        log.handle_timeout(now, &mut pages);
        assert_eq!(pages.events(), 0, "not before the second is over");
        log.handle_timeout(later, &mut pages);

        assert_eq!((pages.events(), log.dropped), (SECURITY_EVENTS_MAX as u64 + 1, 10), "the device is told as well");
        assert_eq!(log.poll_timeout(), None);
    }
}
