//! X.509 certificates (RFC 5280): our own, those of peers, and the authorities that we let vouch for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{SetupError, is_key_error, refusal_of_code};
use crate::native;

/// SHA-256 over DER.
pub type Digest = [u8; 32];

/// Longest name we take from a certificate; a longer one is left out. LwM2M endpoint names end well before.
pub const NAME_BYTES_MAX: usize = 255;

/// Anchors that may share one subject. While an authority changes its certificate there are two, and tenants may choose
/// equal names; each costs a signature check for whoever claims to be of that name. All of them are tried.
pub const ANCHORS_PER_SUBJECT_MAX: usize = 64;

/// Longest certificate, and longest chain, that fits into a message of the handshake in our configuration.
pub const CHAIN_BYTES_MAX: usize = 4_000;

/// A certificate of ours and the key that belongs to it.
#[derive(Clone)]
pub struct OwnCertificate {
    /// DER: our own first, then who issued it and so on; the anchor itself may be left out.
    pub chain: Vec<Vec<u8>>,
    /// DER: PKCS #8 (RFC 5958) or RFC 5915; P-256 or P-384.
    pub key: Zeroizing<Vec<u8>>,
}

impl OwnCertificate {
    pub(crate) fn check(&self) -> Result<(), SetupError> {
        // Each certificate is preceded by its length.
        let bytes: usize = self.chain.iter().map(|der| der.len() + 3).sum();
        match self.chain.is_empty() || bytes > CHAIN_BYTES_MAX {
            true => Err(SetupError::Certificate { problem: "the chain is empty or too long" }),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OwnCertificate({} certificates)", self.chain.len())
    }
}

/// A name of a certificate's owner besides its subject (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlternativeName {
    /// A host name.
    Dns(String),
    /// Such as `urn:dev:mac:0024befffe804ff1`.
    Uri(String),
}

/// What the certificate of a peer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCertificate {
    /// The subject's common name.
    pub common_name: Option<String>,
    /// The first eight names besides.
    pub names: Vec<AlternativeName>,
    /// Digest of the issuer's name.
    pub issuer: Digest,
    /// Digest of the subject's name.
    pub subject: Digest,
    /// Digest of the whole certificate.
    pub fingerprint: Digest,
    /// The issuer's number for it.
    pub serial: Vec<u8>,
    /// Seconds since 1970 (UTC).
    pub not_before_s: i64,
    /// Seconds since 1970 (UTC).
    pub not_after_s: i64,
    /// The same of whichever certificate of its chain ends first, the anchor included.
    pub chain_not_after_s: i64,
    /// Digest of the anchor that the chain ends at. If the certificate was refused: of the last one that was found.
    pub anchor: Digest,
}

impl PeerCertificate {
    /// Whether the owner may call itself by this name: it is the common name, or one of the others.
    pub fn is_named(&self, name: &str) -> bool {
        self.common_name.as_deref() == Some(name)
            || self.names.iter().any(|own| match own {
                AlternativeName::Dns(own) | AlternativeName::Uri(own) => own == name,
            })
    }
}

/// Why a peer's certificate was not taken. It was told by the alert of RFC 5246 §7.2.2 that is named here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateRefused {
    /// The client sent none: `handshake_failure`.
    Missing,
    /// None of our anchors issued it: `unknown_ca`.
    UnknownAuthority,
    /// Somebody signed it with the issuer's name and another key: `bad_certificate`.
    BadSignature,
    /// It, or one of its issuers, was valid once: `certificate_expired`.
    Expired,
    /// It, or one of its issuers, is not valid yet: `certificate_expired`, for want of a better one.
    NotYetValid,
    /// Key usage or extended key usage do not allow this use: `unsupported_certificate`.
    WrongUsage,
    /// A curve, key or hash we do not take: `unsupported_certificate`.
    UnsupportedAlgorithm,
    /// More issuers than we follow: `certificate_unknown`.
    ChainTooLong,
    /// It belongs to another server: `bad_certificate`.
    WrongName,
    /// It is no certificate: `bad_certificate`.
    Malformed,
    /// The peer does not hold the key that belongs to it: `decrypt_error`.
    NotOwned,
}

impl CertificateRefused {
    /// A few words for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "no certificate",
            Self::UnknownAuthority => "unknown authority",
            Self::BadSignature => "bad signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not yet valid",
            Self::WrongUsage => "not for this use",
            Self::UnsupportedAlgorithm => "unsupported algorithm",
            Self::ChainTooLong => "chain too long",
            Self::WrongName => "wrong name",
            Self::Malformed => "malformed",
            Self::NotOwned => "key not held",
        }
    }
}

/// An authority that is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustAnchor {
    /// Digest of the whole certificate: what [`PeerCertificate::anchor`] names it by.
    pub fingerprint: Digest,
    /// Digest of the subject's name.
    pub subject: Digest,
    /// Digest of subject and public key. What one certificate with both vouches for, every other one with both does, too.
    pub authority: Digest,
}

/// The authorities whose certificates we trust.
#[derive(Debug, Default)]
pub struct TrustAnchors {
    by_subject: BTreeMap<Box<[u8]>, Vec<Anchor>>,
    fingerprints: BTreeSet<Digest>,
}

#[derive(Debug)]
struct Anchor {
    fingerprint: Digest,
    der: Box<[u8]>,
}

impl TrustAnchors {
    /// Nobody is trusted.
    pub const fn new() -> Self {
        Self { by_subject: BTreeMap::new(), fingerprints: BTreeSet::new() }
    }

    /// Trusts an authority, given its certificate in DER. One that is trusted already stays so. Names are compared byte
    /// for byte.
    pub fn put(&mut self, der: &[u8]) -> Result<TrustAnchor, SetupError> {
        if der.len() > CHAIN_BYTES_MAX {
            return Err(SetupError::Certificate { problem: "it is too long" });
        }
        let facts = native::read_certificate(der).map_err(setup_error)?;
        if !facts.is_authority {
            return Err(SetupError::Certificate { problem: "it may not issue others" });
        }
        if !facts.is_curve_ours {
            return Err(SetupError::Certificate { problem: "its key is not on P-256 or P-384" });
        }
        let digest = |input: &[u8]| native::digest(input).map_err(setup_error);
        let known = TrustAnchor {
            fingerprint: facts.fingerprint,
            subject: digest(&facts.subject)?,
            // Both are DER and tell their own length.
            authority: digest(&[&*facts.subject, &*facts.public_key].concat())?,
        };
        let same_subject = self.by_subject.entry(facts.subject).or_default();
        if same_subject.iter().any(|anchor| anchor.fingerprint == facts.fingerprint) {
            return Ok(known);
        }
        if same_subject.len() >= ANCHORS_PER_SUBJECT_MAX {
            return Err(SetupError::Certificate { problem: "too many authorities have this name" });
        }
        self.fingerprints.insert(facts.fingerprint);
        same_subject.push(Anchor { fingerprint: facts.fingerprint, der: der.into() });
        Ok(known)
    }

    /// Trusts an authority no longer; whether it was. Sessions that are established go on.
    pub fn remove(&mut self, fingerprint: &Digest) -> bool {
        self.by_subject.retain(|_, anchors| {
            anchors.retain(|anchor| anchor.fingerprint != *fingerprint);
            !anchors.is_empty()
        });
        self.fingerprints.remove(fingerprint)
    }

    /// Whether this authority is trusted.
    pub fn contains(&self, fingerprint: &Digest) -> bool {
        self.fingerprints.contains(fingerprint)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    /// The certificates of those with this name.
    pub(crate) fn of_subject(&self, subject: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.by_subject.get(subject).into_iter().flatten().map(|anchor| &*anchor.der)
    }
}

/// What is wrong with a certificate or a key of the operator's.
pub(crate) fn setup_error(code: native::Code) -> SetupError {
    match refusal_of_code(code) {
        Some(CertificateRefused::UnsupportedAlgorithm) => {
            SetupError::Certificate { problem: "its key is not on P-256 or P-384" }
        }
        Some(CertificateRefused::Malformed) => SetupError::Certificate { problem: "it cannot be read" },
        _ if is_key_error(code) => SetupError::Certificate { problem: "the key cannot be read or is another's" },
        _ => SetupError::Library { code },
    }
}
