//! TLS over a stream of bytes: handshake and records of one connection (RFC 8446; RFC 5246).

use mbedtls_sys as sys;

use crate::buffers::{with_buffers, with_plaintext};
use crate::certificate::{CertificateRefused, PeerCertificate};
use crate::credentials::{Keys, NoKeys};
use crate::error::SessionError;
use crate::native::{Association, Code, Outside};
use crate::session::{Progress, certificate_error, session_error};
use crate::suite::Suite;
use crate::tls_ends::TlsVersion;

/// Type (1), version (2), length (2).
const HEADER_BYTES: usize = 5;

/// The content types that a record can have: change_cipher_spec, alert, handshake, application_data.
const CONTENT_TYPES: std::ops::RangeInclusive<u8> = 20..=23;

/// The first byte of every version.
const MAJOR_VERSION: u8 = 3;

/// RFC 5246 §6.2.3: the longest record under protection, beside its header. TLS 1.3 has less.
const CONTENT_BYTES_MAX: usize = (1 << 14) + 2_048;

/// What a peer may say before the handshake is over: a hello, a second one, and a chain of certificates as long as a
/// message can be. Whoever needs more goes on for ever.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// RFC 8446 §5.5: AES-GCM is good for 2^24.5 records under one key.
const RECORDS_PER_KEY_MAX: u32 = 1 << 24;

/// A TLS connection with one peer.
///
/// Feed it every byte of its peer in order, call [`Tls::handle_timeout`] no earlier than [`Tls::poll_timeout`] says, and
/// send what they append to `out`, also after an error: it may be an alert. It keeps no buffers between calls, save for
/// a record that has not come whole.
pub struct Tls {
    association: Association,
    phase: Phase,
    /// A record of which more is to come.
    unfinished: Vec<u8>,
    handshake_bytes: usize,
    records_sent: u32,
    identity: Option<Box<[u8]>>,
    certificate: Option<Box<PeerCertificate>>,
    refused: Option<CertificateRefused>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshaking { give_up_ms: u64 },
    Established,
    Over,
}

impl Tls {
    pub(crate) fn new(association: Association, give_up_ms: u64) -> Self {
        Self {
            association,
            phase: Phase::Handshaking { give_up_ms },
            unfinished: Vec::new(),
            handshake_bytes: 0,
            records_sent: 0,
            identity: None,
            certificate: None,
            refused: None,
        }
    }

    /// Says a client's first flight.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), Code> {
        self.take_record(None, &mut NoKeys, &mut |_| {}, out)
    }

    /// Takes bytes that came. The data of every record is given to `plaintext`, in order.
    ///
    /// [`Progress::Established`] is said once, [`Progress::Closed`] when the peer said goodbye; what came with it was
    /// handed over before. After any error the connection is over; close it when `out` is sent.
    pub fn handle_bytes(
        &mut self,
        now_ms: u64,
        bytes: &[u8],
        keys: &mut dyn Keys,
        plaintext: &mut dyn FnMut(&[u8]),
        out: &mut Vec<u8>,
    ) -> Result<Progress, SessionError> {
        let mut progress = match self.phase {
            Phase::Over => return Err(SessionError::Over),
            Phase::Handshaking { give_up_ms } if now_ms >= give_up_ms => return Err(self.fail(sys::TIMEOUT)),
            Phase::Handshaking { .. } => Progress::Handshaking,
            Phase::Established => Progress::Data,
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let waiting = std::mem::take(&mut self.unfinished);
            let Some((record, after)) = next_record(waiting, rest, &mut self.unfinished) else { break };
            rest = after;
            if let Phase::Handshaking { .. } = self.phase {
                self.handshake_bytes += record.bytes().len();
                if self.handshake_bytes > HANDSHAKE_BYTES_MAX {
                    self.phase = Phase::Over;
                    return Err(SessionError::HandshakeTooLong);
                }
            }
            let taken = match record.bytes() {
                bytes if is_beginning(bytes) => self.take_record(Some(bytes), keys, plaintext, out),
                // The library finds the right words for it, once it has a header.
                bytes => self.take_record(Some(&padded(bytes)), keys, plaintext, out).and(Err(sys::INVALID_RECORD)),
            };
            match taken {
                Ok(()) => {}
                Err(sys::CLOSE_NOTIFY) => {
                    self.phase = Phase::Over;
                    return Ok(Progress::Closed);
                }
                Err(code) => return Err(self.fail(code)),
            }
            if self.phase != Phase::Established && self.association.is_established() {
                self.establish();
                progress = Progress::Established;
            }
        }
        Ok(progress)
    }

    fn establish(&mut self) {
        self.phase = Phase::Established;
        if self.certificate.is_some() {
            // It was offered, too, and nobody knew it.
            self.identity = None;
        }
    }

    fn take_record(
        &mut self,
        record: Option<&[u8]>,
        keys: &mut dyn Keys,
        plaintext: &mut dyn FnMut(&[u8]),
        out: &mut Vec<u8>,
    ) -> Result<(), Code> {
        let mut sent = Vec::new();
        let mut outside = Outside::new(&mut sent, keys);
        let association = &mut self.association;
        let taken = with_plaintext(|room| {
            let mut record = record;
            loop {
                let read = with_buffers(|buffers| association.read_stream(record.take(), room, buffers, &mut outside));
                match read {
                    // An empty record says nothing, and the library gives 0 for nothing else.
                    Ok(0) | Err(sys::WANT_READ) => return Ok(()),
                    Ok(length) => plaintext(&room[..length]),
                    Err(code) => return Err(code),
                }
            }
        });
        let Outside { identity, certificate, .. } = outside;
        if let Some(identity) = identity {
            self.identity = Some(identity);
        }
        if let Some((certificate, refused)) = certificate {
            (self.certificate, self.refused) = (Some(certificate), refused);
        }
        out.extend(sent.into_iter().flatten());
        taken
    }

    /// Protects data and appends it to `out`.
    pub fn send(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), SessionError> {
        match self.phase {
            Phase::Handshaking { .. } => return Err(SessionError::NotEstablished),
            Phase::Over => return Err(SessionError::Over),
            Phase::Established => {}
        }
        if self.records_sent >= RECORDS_PER_KEY_MAX {
            self.renew_keys(out)?;
        }
        self.write(out, |association, outside| {
            with_buffers(|buffers| association.write_stream(plaintext, buffers, outside))
        })
    }

    /// Goes over to new keys, and asks the peer to do the same (RFC 8446 §4.6.3); in TLS 1.2 nothing happens. Needed by
    /// nobody: [`Tls::send`] does it when a key has served long enough.
    pub fn renew_keys(&mut self, out: &mut Vec<u8>) -> Result<(), SessionError> {
        if self.phase != Phase::Established {
            return Err(SessionError::NotEstablished);
        }
        self.write(out, |association, outside| with_buffers(|buffers| association.renew_stream(buffers, outside)))?;
        self.records_sent = 0;
        Ok(())
    }

    fn write(
        &mut self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Association, &mut Outside<'_>) -> Result<(), Code>,
    ) -> Result<(), SessionError> {
        let (mut sent, mut keys) = (Vec::new(), NoKeys);
        let written = write(&mut self.association, &mut Outside::new(&mut sent, &mut keys));
        self.records_sent = self.records_sent.saturating_add(u32::try_from(sent.len()).unwrap_or(u32::MAX));
        out.extend(sent.into_iter().flatten());
        written.map_err(|code| self.fail(code))
    }

    /// Gives up a handshake that takes too long. Extra calls do no harm.
    pub fn handle_timeout(&mut self, now_ms: u64) -> Result<(), SessionError> {
        match self.phase {
            Phase::Handshaking { give_up_ms } if now_ms >= give_up_ms => Err(self.fail(sys::TIMEOUT)),
            _ => Ok(()),
        }
    }

    /// When [`Tls::handle_timeout`] is due; `None` once established.
    pub fn poll_timeout(&self) -> Option<u64> {
        let Phase::Handshaking { give_up_ms } = self.phase else { return None };
        Some(give_up_ms)
    }

    /// Says goodbye (`close_notify`) if there is anybody to say it to. The connection is over afterwards.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Established {
            // What cannot be said is not said: the connection is over either way.
            let _ = self
                .write(out, |association, outside| with_buffers(|buffers| association.close_stream(buffers, outside)));
        }
        self.phase = Phase::Over;
    }

    /// Whether data can be sent.
    pub fn is_established(&self) -> bool {
        self.phase == Phase::Established
    }

    /// The PSK identity of the peer, from the moment it gave it; only once established is it known to be true. `None`
    /// on the side of the client.
    pub fn identity(&self) -> Option<&[u8]> {
        self.identity.as_deref()
    }

    /// The certificate of the peer; only once established is it known to be the peer's own.
    pub fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_deref()
    }

    /// The suite agreed on, once established.
    pub fn suite(&self) -> Option<Suite> {
        self.association.suite()
    }

    /// The version agreed on, once established.
    pub fn version(&self) -> Option<TlsVersion> {
        TlsVersion::of_code(self.association.stream_version()).filter(|_| self.is_established())
    }

    /// Memory for what came of a record that is not whole yet.
    pub fn allocated(&self) -> usize {
        self.unfinished.capacity()
    }

    fn fail(&mut self, code: Code) -> SessionError {
        let was_handshaking = matches!(self.phase, Phase::Handshaking { .. });
        self.phase = Phase::Over;
        self.unfinished = Vec::new();
        // Who named an unknown identity is asked for a certificate instead, in TLS 1.3: the identity is what is wrong.
        if let (sys::NO_CLIENT_CERTIFICATE, Some(identity)) = (code, &self.identity) {
            return SessionError::UnknownIdentity { identity: identity.to_vec() };
        }
        if was_handshaking && let Some(error) = certificate_error(code, self.refused, &mut self.certificate) {
            return error;
        }
        let has_key = was_handshaking && self.certificate.is_none() && self.identity.is_some();
        session_error(code, was_handshaking, has_key, self.identity.as_deref(), self.association.alert())
    }
}

/// A record where it came, or put together.
enum Record<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

impl Record<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// The first record of `waiting` and then `came`, and what came behind it; `None` if more has to come, and everything
/// then stands in `unfinished`. What cannot be a record ends where that shows.
fn next_record<'a>(mut waiting: Vec<u8>, came: &'a [u8], unfinished: &mut Vec<u8>) -> Option<(Record<'a>, &'a [u8])> {
    if waiting.is_empty()
        && let Some(length) = record_bytes(came)
        && let Some((record, rest)) = came.split_at_checked(length)
    {
        return Some((Record::Borrowed(record), rest));
    }
    let mut rest = came;
    loop {
        let length = record_bytes(&waiting);
        if length.is_some_and(|length| waiting.len() >= length) {
            return Some((Record::Owned(waiting), rest));
        }
        if rest.is_empty() {
            *unfinished = waiting;
            return None;
        }
        let wanted = length.unwrap_or(HEADER_BYTES) - waiting.len();
        let (taken, after) = rest.split_at(wanted.min(rest.len()));
        waiting.extend_from_slice(taken);
        rest = after;
    }
}

/// How long the record is that begins so, header and all; nothing before that is known.
fn record_bytes(bytes: &[u8]) -> Option<usize> {
    if !is_beginning(bytes) {
        return Some(bytes.len().min(HEADER_BYTES));
    }
    let header = bytes.get(..HEADER_BYTES)?;
    Some(HEADER_BYTES + usize::from(u16::from_be_bytes([header[3], header[4]])))
}

/// Whether a record can begin so, as far as it came.
fn is_beginning(bytes: &[u8]) -> bool {
    let is_length = |bytes: &[u8]| match bytes {
        [_, _, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])) <= CONTENT_BYTES_MAX,
        _ => true,
    };
    bytes.first().is_none_or(|kind| CONTENT_TYPES.contains(kind))
        && bytes.get(1).is_none_or(|major| *major == MAJOR_VERSION)
        && is_length(bytes)
}

/// A header that begins so.
fn padded(bytes: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let length = bytes.len().min(HEADER_BYTES);
    header[..length].copy_from_slice(&bytes[..length]);
    header
}
