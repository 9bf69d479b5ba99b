//! What can go wrong with a session, and whose fault it is.

use std::fmt;

use mbedtls_sys as sys;

use crate::certificate::{CertificateRefused, PeerCertificate};
use crate::native::Code;

/// A session is over, or refused what it was asked for. Where TLS asks for a fatal alert, it was already put into the
/// caller's list of datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer named an identity nobody has a key for; it was told so (RFC 4279 §2, `unknown_psk_identity`).
    UnknownIdentity {
        /// The name as the peer sent it, at most [`crate::IDENTITY_BYTES_MAX`] bytes of it.
        identity: Vec<u8>,
    },
    /// The first protected record of the handshake did not decrypt: the two ends hold different keys.
    WrongKey {
        /// The name the peer gave; empty on the side of the client.
        identity: Vec<u8>,
    },
    /// The peer's certificate was not taken.
    CertificateRefused {
        /// Why; it names the alert, too.
        reason: CertificateRefused,
        /// What the certificate says, as far as it was read; none of it is proved.
        certificate: Option<Box<PeerCertificate>>,
    },
    /// The peer offers none of our cipher suites.
    NoSharedSuite,
    /// The peer stopped answering during the handshake.
    HandshakeTimedOut,
    /// The peer said more than any handshake needs.
    HandshakeTooLong,
    /// The peer ended the session with a fatal alert.
    Alert {
        /// The alert's number in the TLS registry, such as 115 for `unknown_psk_identity`.
        description: u8,
    },
    /// The peer broke the protocol, or the library failed.
    Fatal {
        /// Mbed TLS's own error code, negative.
        code: i32,
    },
    /// Only an established session carries data. The session itself is as it was.
    NotEstablished,
    /// A record must fit into one datagram. The session itself is as it was.
    PlaintextTooLong {
        /// The longest plaintext this session can send.
        bytes_max: usize,
    },
    /// The session ended before this call.
    Over,
}

impl SessionError {
    /// Whether the session goes on in spite of this error.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::NotEstablished | Self::PlaintextTooLong { .. })
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIdentity { identity } => {
                write!(formatter, "unknown identity {:?}", String::from_utf8_lossy(identity))
            }
            Self::WrongKey { identity } => write!(formatter, "wrong key for {:?}", String::from_utf8_lossy(identity)),
            Self::CertificateRefused { reason, certificate } => {
                let name = certificate.as_ref().and_then(|certificate| certificate.common_name.as_deref());
                write!(formatter, "certificate of {:?} refused: {}", name.unwrap_or_default(), reason.name())
            }
            Self::NoSharedSuite => formatter.write_str("no shared cipher suite"),
            Self::HandshakeTimedOut => formatter.write_str("handshake timed out"),
            Self::HandshakeTooLong => formatter.write_str("handshake too long"),
            Self::Alert { description } => {
                write!(formatter, "the peer refused with alert {description}")?;
                alert_name(*description).map_or(Ok(()), |name| write!(formatter, " ({name})"))
            }
            Self::Fatal { code } => write!(formatter, "Mbed TLS error -0x{:04x}", code.unsigned_abs()),
            Self::NotEstablished => formatter.write_str("session not established"),
            Self::PlaintextTooLong { bytes_max } => write!(formatter, "plaintext longer than {bytes_max} bytes"),
            Self::Over => formatter.write_str("session is over"),
        }
    }
}

impl std::error::Error for SessionError {}

/// A server, a client or a session could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// An identity must have 1 to [`crate::IDENTITY_BYTES_MAX`] bytes.
    IdentityLength {
        /// What was given.
        bytes: usize,
    },
    /// A key must have 1 to [`crate::KEY_BYTES_MAX`] bytes.
    KeyLength {
        /// What was given.
        bytes: usize,
    },
    /// A certificate or its key is not what it must be.
    Certificate {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An option is outside its bounds.
    Option {
        /// Which one.
        name: &'static str,
    },
    /// Mbed TLS refused, most likely for want of memory or of system entropy.
    Library {
        /// Mbed TLS's own error code, negative.
        code: i32,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdentityLength { bytes } => write!(formatter, "an identity cannot have {bytes} bytes"),
            Self::KeyLength { bytes } => write!(formatter, "a key cannot have {bytes} bytes"),
            Self::Certificate { problem } => write!(formatter, "certificate: {problem}"),
            Self::Option { name } => write!(formatter, "{name} is out of bounds"),
            Self::Library { code } => write!(formatter, "Mbed TLS error -0x{:04x}", code.unsigned_abs()),
        }
    }
}

impl std::error::Error for SetupError {}

/// What an error says of the certificate at hand, if it says anything.
pub(crate) fn refusal_of_code(code: Code) -> Option<CertificateRefused> {
    match code {
        sys::NO_CLIENT_CERTIFICATE => Some(CertificateRefused::Missing),
        sys::BAD_PROOF => Some(CertificateRefused::NotOwned),
        sys::X509_FATAL => Some(CertificateRefused::ChainTooLong),
        sys::BAD_CERTIFICATE => Some(CertificateRefused::Malformed),
        code if sys::PK_UNKNOWN.iter().any(|codes| codes.contains(&code)) => {
            Some(CertificateRefused::UnsupportedAlgorithm)
        }
        code if sys::X509_ERRORS.contains(&code) || sys::PK_ERRORS.contains(&code) => {
            Some(CertificateRefused::Malformed)
        }
        _ => None,
    }
}

/// Whether an error came of a private key.
pub(crate) fn is_key_error(code: Code) -> bool {
    sys::PK_ERRORS.contains(&code) || sys::ECP_ERRORS.contains(&code)
}

/// The name of an alert that a handshake may end with (RFC 5246 §7.2, RFC 4279 §2, RFC 7301 §3.2).
const fn alert_name(description: u8) -> Option<&'static str> {
    Some(match description {
        20 => "bad_record_mac: another key",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        51 => "decrypt_error: another key",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return None,
    })
}
