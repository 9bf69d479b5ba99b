//! Handshake and records of one peer.

use mbedtls_sys as sys;

use crate::buffers::{with_buffers, with_plaintext};
use crate::certificate::{CertificateRefused, PeerCertificate};
use crate::credentials::{Keys, NoKeys};
use crate::error::{SessionError, refusal_of_code};
use crate::hello::{ClientHello, Random, is_hello_verify};
use crate::native::{Association, Code, Outside};
use crate::record::records;
use crate::suite::Suite;
use crate::ticket::{TICKET_LIFE_MS, Ticket};

/// A client waits for three flights (cookie, ServerHello, Finished), a server for one; each may need every repetition.
/// Without this bound a peer that goes on repeating itself could keep a half-made session for ever.
const FLIGHTS_AWAITED_MAX: u64 = 3;

/// Cookies that are given back to a server in one handshake: one (RFC 6347 §4.2.1), another if it changed its secret
/// meanwhile, and copies of them where hellos were repeated. One that takes none of them would otherwise have its client
/// repeat itself as fast as the network goes.
const COOKIES_MAX: u8 = 8;

/// What a datagram led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The handshake goes on.
    Handshaking,
    /// The handshake is complete; said once. Data that came with its last record was handed over already.
    Established,
    /// An established session took the datagram, whatever was in it.
    Data,
    /// The peer closed the session.
    Closed,
}

/// A DTLS association with one peer.
///
/// Feed it every datagram of its peer, call [`Session::handle_timeout`] no earlier than [`Session::poll_timeout`] says,
/// and send what they put into `out`. An established session gives its buffers back by itself as soon as the handshake
/// can no longer be repeated (a server with the first record of data), and borrows the thread's own while it works.
pub struct Session {
    pub(crate) association: Association,
    phase: Phase,
    is_parked: bool,
    identity: Option<Box<[u8]>>,
    certificate: Option<Box<PeerCertificate>>,
    refused: Option<CertificateRefused>,
    /// Cookies that were given back.
    cookies: u8,
    /// Servers only: the random number of the hello that the session began with.
    pub(crate) hello: Option<Random>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshaking { give_up_ms: u64 },
    Established,
    Over,
}

impl Session {
    pub(crate) fn of_server(association: Association, give_up_ms: u64) -> Self {
        let phase = Phase::Handshaking { give_up_ms };
        Self {
            association,
            phase,
            is_parked: false,
            identity: None,
            certificate: None,
            refused: None,
            cookies: 0,
            hello: None,
        }
    }

    pub(crate) fn of_client(
        association: Association,
        certificate: Option<Box<PeerCertificate>>,
        now_ms: u64,
        give_up_ms: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Self, Code> {
        let mut session = Self { certificate, ..Self::of_server(association, give_up_ms) };
        session.resume(now_ms, out)?;
        Ok(session)
    }

    /// One that was established before a restart.
    pub(crate) fn restored(
        association: Association,
        identity: Option<Box<[u8]>>,
        certificate: Option<Box<PeerCertificate>>,
        hello: Option<Random>,
    ) -> Self {
        let phase = Phase::Established;
        Self { association, phase, is_parked: true, identity, certificate, refused: None, cookies: 0, hello }
    }

    /// Takes one datagram. Every record of data in it is given to `plaintext`, in order.
    ///
    /// Garbage, copies and records that do not decrypt are dropped without an error once the session is established.
    /// After an error that is not [`SessionError::is_harmless`] the session is over; drop it when `out` is sent.
    pub fn handle_datagram(
        &mut self,
        now_ms: u64,
        datagram: &[u8],
        keys: &mut dyn Keys,
        plaintext: &mut dyn FnMut(&[u8]),
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Progress, SessionError> {
        let mut progress = match self.phase {
            Phase::Over => return Err(SessionError::Over),
            Phase::Handshaking { give_up_ms } if now_ms >= give_up_ms => return Err(self.fail(sys::TIMEOUT)),
            Phase::Handshaking { .. } => Progress::Handshaking,
            Phase::Established => Progress::Data,
        };
        if self.hello.is_none() {
            self.hello = ClientHello::parse(datagram).ok().map(|hello| *hello.random);
        }
        for record in records(datagram, self.association.cid_bytes()) {
            if progress == Progress::Handshaking && is_hello_verify(record) {
                if self.cookies == COOKIES_MAX {
                    continue;
                }
                self.cookies += 1;
            }
            let mut outside = Outside::new(out, keys);
            outside.identity = self.identity.take();
            outside.certificate = self.certificate.take().map(|certificate| (certificate, self.refused));
            let taken = self.take_record(now_ms, record, plaintext, &mut outside);
            self.identity = outside.identity;
            if let Some((certificate, refused)) = outside.certificate {
                (self.certificate, self.refused) = (Some(certificate), refused);
            }
            match taken {
                Ok(()) => {}
                Err(sys::CLOSE_NOTIFY) => {
                    self.phase = Phase::Over;
                    return Ok(Progress::Closed);
                }
                Err(code) => return Err(self.fail(code)),
            }
            if self.phase != Phase::Established && self.association.is_established() {
                self.phase = Phase::Established;
                progress = Progress::Established;
            }
        }
        if !self.is_parked && self.phase == Phase::Established {
            self.is_parked = self.association.park();
        }
        Ok(progress)
    }

    fn take_record(
        &mut self,
        now_ms: u64,
        record: &[u8],
        plaintext: &mut dyn FnMut(&[u8]),
        outside: &mut Outside<'_>,
    ) -> Result<(), Code> {
        with_plaintext(|room| {
            let mut record = Some(record);
            loop {
                let read = with_buffers(|buffers| self.association.read(now_ms, record.take(), room, buffers, outside));
                match read {
                    // An empty record says nothing, and the library gives 0 for nothing else.
                    Ok(0) | Err(sys::WANT_READ) => return Ok(()),
                    Ok(length) => plaintext(&room[..length]),
                    Err(code) => return Err(code),
                }
            }
        })
    }

    /// Protects one record of data and appends its datagram to `out`.
    pub fn send(&mut self, plaintext: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), SessionError> {
        match self.phase {
            Phase::Handshaking { .. } => return Err(SessionError::NotEstablished),
            Phase::Over => return Err(SessionError::Over),
            Phase::Established => {}
        }
        let bytes_max = self.plaintext_bytes_max();
        if plaintext.len() > bytes_max {
            return Err(SessionError::PlaintextTooLong { bytes_max });
        }
        let mut keys = NoKeys;
        let mut outside = Outside::new(out, &mut keys);
        with_buffers(|buffers| self.association.write(plaintext, buffers, &mut outside)).map_err(|code| self.fail(code))
    }

    /// Sends a flight of the handshake again when it is due. Extra calls do no harm.
    pub fn handle_timeout(&mut self, now_ms: u64, out: &mut Vec<Vec<u8>>) -> Result<(), SessionError> {
        let Phase::Handshaking { give_up_ms } = self.phase else { return Ok(()) };
        if now_ms >= give_up_ms {
            return Err(self.fail(sys::TIMEOUT));
        }
        if self.association.deadline_ms().is_none_or(|deadline_ms| now_ms < deadline_ms) {
            return Ok(());
        }
        self.resume(now_ms, out).map_err(|code| self.fail(code))
    }

    /// When [`Session::handle_timeout`] is due; `None` once established.
    pub fn poll_timeout(&self) -> Option<u64> {
        let Phase::Handshaking { give_up_ms } = self.phase else { return None };
        Some(self.association.deadline_ms().map_or(give_up_ms, |deadline_ms| deadline_ms.min(give_up_ms)))
    }

    /// Says goodbye (`close_notify`) if there is anybody to say it to. The session is over afterwards.
    pub fn close(&mut self, out: &mut Vec<Vec<u8>>) {
        if self.phase == Phase::Established {
            let mut keys = NoKeys;
            let mut outside = Outside::new(out, &mut keys);
            // What cannot be said is not said: the session is over either way.
            let _ = with_buffers(|buffers| self.association.close(buffers, &mut outside));
        }
        self.phase = Phase::Over;
    }

    /// Whether data can be sent.
    pub fn is_established(&self) -> bool {
        self.phase == Phase::Established
    }

    /// Whether the session has given its buffers back.
    pub fn is_parked(&self) -> bool {
        self.is_parked
    }

    /// Whether this session goes on from an earlier one; only once established is it known.
    pub fn is_resumed(&self) -> bool {
        self.association.is_resumed()
    }

    /// What [`crate::Client::resume`] can go on from later, once established: a ticket, or the id that a server without
    /// tickets remembers the session by (RFC 5246 §7.4.1.3). Clients only, and only where the server gave something new
    /// and both ends know the extended master secret (RFC 7627 §5.4): keep the one before otherwise.
    pub fn ticket(&self, now_ms: u64) -> Option<Ticket> {
        let (saved, lifetime_s) = self.association.saved().filter(|_| self.is_established())?;
        // RFC 5077 §3.3: 0 leaves it to the client.
        let life_ms = if lifetime_s == 0 { TICKET_LIFE_MS } else { u64::from(lifetime_s) * 1_000 };
        Some(Ticket {
            saved,
            owner: self.association.owner(),
            expires_ms: now_ms.saturating_add(life_ms.min(TICKET_LIFE_MS)),
            certificate: self.certificate.clone(),
        })
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

    /// The newest sequence number received and authenticated.
    ///
    /// RFC 9146 §6: the peer's address changes only with a record that is newer than every other, so compare this
    /// before and after [`Session::handle_datagram`].
    pub fn newest(&self) -> u64 {
        self.association.newest()
    }

    /// Whether connection ids were agreed on: only then can the peer change its address.
    pub fn peer_has_cid(&self) -> bool {
        self.association.has_cid()
    }

    /// The suite agreed on, once established.
    pub fn suite(&self) -> Option<Suite> {
        self.association.suite()
    }

    /// The longest plaintext [`Session::send`] takes; 0 before the session is established.
    pub fn plaintext_bytes_max(&self) -> usize {
        if self.is_established() { self.association.write_bytes_max() } else { 0 }
    }

    /// Whether this datagram is a copy of the ClientHello the session began with. Servers only.
    pub fn began_with(&self, datagram: &[u8]) -> bool {
        let Ok(hello) = ClientHello::parse(datagram) else { return false };
        self.hello.as_ref() == Some(hello.random)
    }

    /// Lets the library do what it can without a new record.
    fn resume(&mut self, now_ms: u64, out: &mut Vec<Vec<u8>>) -> Result<(), Code> {
        // Whatever would ask for a key came with a record and was dealt with then.
        let mut keys = NoKeys;
        let mut outside = Outside::new(out, &mut keys);
        match with_buffers(|buffers| self.association.resume(now_ms, buffers, &mut outside)) {
            Ok(()) | Err(sys::WANT_READ) => Ok(()),
            Err(code) => Err(code),
        }
    }

    fn fail(&mut self, code: Code) -> SessionError {
        let was_handshaking = matches!(self.phase, Phase::Handshaking { .. });
        self.phase = Phase::Over;
        if was_handshaking && let Some(error) = certificate_error(code, self.refused, &mut self.certificate) {
            return error;
        }
        let has_key = was_handshaking && self.certificate.is_none();
        session_error(code, was_handshaking, has_key, self.identity.as_deref(), self.association.alert())
    }
}

/// What an error of a handshake says of the peer's certificate, if it is about that.
pub(crate) fn certificate_error(
    code: Code,
    refused: Option<CertificateRefused>,
    certificate: &mut Option<Box<PeerCertificate>>,
) -> Option<SessionError> {
    let reason = refused.or_else(|| refusal_of_code(code))?;
    Some(SessionError::CertificateRefused { reason, certificate: certificate.take() })
}

/// Every other error. `has_key`: a record that does not decrypt is the sign of another key.
pub(crate) fn session_error(
    code: Code,
    was_handshaking: bool,
    has_key: bool,
    identity: Option<&[u8]>,
    alert: u8,
) -> SessionError {
    let identity = || identity.unwrap_or_default().to_vec();
    match code {
        sys::UNKNOWN_IDENTITY => SessionError::UnknownIdentity { identity: identity() },
        sys::INVALID_MAC if has_key => SessionError::WrongKey { identity: identity() },
        sys::HANDSHAKE_FAILURE if was_handshaking => SessionError::NoSharedSuite,
        sys::TIMEOUT => SessionError::HandshakeTimedOut,
        sys::FATAL_ALERT => SessionError::Alert { description: alert },
        code => SessionError::Fatal { code },
    }
}

/// How long a handshake may take in all, whatever the peer does.
pub(crate) fn patience_ms((first_ms, last_ms): (u32, u32)) -> u64 {
    let (mut wait_ms, last_ms) = (u64::from(first_ms), u64::from(last_ms));
    let mut flight_ms = wait_ms;
    while wait_ms < last_ms {
        wait_ms = (wait_ms * 2).min(last_ms);
        flight_ms += wait_ms;
    }
    flight_ms * FLIGHTS_AWAITED_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_three_times_the_repetitions_of_a_flight() {
        assert_eq!(patience_ms((2_000, 32_000)), 3 * 62_000);
        assert_eq!(patience_ms((1_000, 1_000)), 3_000);
        assert_eq!(patience_ms((1_000, 1_500)), 3 * 2_500);
    }
}
