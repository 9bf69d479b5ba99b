//! The way to the server: datagrams as they are, a DTLS session, or a connection.

use std::time::{Duration, Instant};

use coap::Capacity;
use dtls::{Client, ClientOptions, Progress, Session, SetupError, Ticket, Trust, TrustAnchors};

use crate::command::Credential;
use crate::line::Line;

/// What a datagram led to.
pub enum Arrived {
    /// These messages.
    Messages(Vec<Vec<u8>>),
    /// The session is established; messages may have come along.
    Established(Vec<Vec<u8>>),
    /// The session is over, and why.
    Over(String),
}

/// One way to the server, made anew after each failure.
pub enum Transport {
    /// CoAP in clear.
    Plain,
    /// CoAP over DTLS.
    Secure {
        /// With the server.
        session: Box<Session>,
        /// Who may vouch for it.
        anchors: TrustAnchors,
    },
    /// CoAP over a connection.
    Connected(Box<Line>),
}

impl Transport {
    /// Begins; a secure one puts its first flight into `out`. It goes on from an earlier session if it has a ticket of one
    /// and the server's certificate is still good at `unix_s`.
    pub fn open(
        credential: Option<&Credential>,
        ticket: Option<&Ticket>,
        seed: u64,
        (now_ms, unix_s): (u64, i64),
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Self, String> {
        let Some(credential) = credential else { return Ok(Self::Plain) };
        let options = ClientOptions { seed: seed_bytes(seed), ..ClientOptions::default() };
        Self::secure(credential, ticket, &options, (now_ms, unix_s), out).map_err(|error| error.to_string())
    }

    fn secure(
        credential: &Credential,
        ticket: Option<&Ticket>,
        options: &ClientOptions,
        (now_ms, unix_s): (u64, i64),
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Self, SetupError> {
        let mut anchors = TrustAnchors::new();
        let client = match credential {
            Credential::Psk { identity, key } => Client::new(identity, key, options)?,
            Credential::X509 { own, authorities, server_name } => {
                for authority in authorities {
                    anchors.put(authority)?;
                }
                Client::with_certificate(own, server_name.as_deref(), options)?
            }
        };
        let session = match ticket {
            Some(ticket) => client.resume(now_ms, ticket, &Trust { anchors: &anchors, unix_s }, out)?,
            None => client.connect(now_ms, out)?,
        };
        Ok(Self::Secure { session: Box::new(session), anchors })
    }

    /// What a later session can go on from, if the server just gave something new.
    pub fn ticket(&self, now_ms: u64) -> Option<Ticket> {
        match self {
            Self::Secure { session, .. } => session.ticket(now_ms),
            Self::Plain | Self::Connected(_) => None,
        }
    }

    /// The connection was made; what is said first goes into `out`.
    pub fn connected(
        now: Instant,
        now_ms: u64,
        credential: Option<&Credential>,
        seed: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let line = Line::open(now, now_ms, credential, seed_bytes(seed), &mut bytes);
        out.push(bytes);
        line.map(|line| Self::Connected(Box::new(line))).map_err(|error| error.to_string())
    }

    /// What the server takes over a connection.
    pub fn capacity(&self) -> Option<Capacity> {
        match self {
            Self::Connected(line) => Some(line.capacity()),
            Self::Plain | Self::Secure { .. } => None,
        }
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Connected(line) => line.is_open(),
            Self::Plain => true,
            Self::Secure { session, .. } => session.is_established(),
        }
    }

    /// Takes a datagram from the server; `unix_s` is the time that the server's certificate must be valid at.
    pub fn receive(&mut self, (now_ms, unix_s): (u64, i64), datagram: &[u8], out: &mut Vec<Vec<u8>>) -> Arrived {
        let Self::Secure { session, anchors } = self else { return Arrived::Messages(vec![datagram.to_vec()]) };
        let mut trust = Trust { anchors, unix_s };
        let mut messages = Vec::new();
        let mut take = |plaintext: &[u8]| messages.push(plaintext.to_vec());
        match session.handle_datagram(now_ms, datagram, &mut trust, &mut take, out) {
            Ok(Progress::Established) => Arrived::Established(messages),
            Ok(Progress::Closed) => Arrived::Over("the server closed the session".to_owned()),
            Ok(Progress::Handshaking | Progress::Data) => Arrived::Messages(messages),
            Err(error) if error.is_harmless() => Arrived::Messages(messages),
            Err(error) => Arrived::Over(error.to_string()),
        }
    }

    /// Sends a message. What cannot be sent is lost, as on any network; the exchange layer repeats what matters.
    pub fn send(&mut self, message: &[u8], out: &mut Vec<Vec<u8>>) {
        match self {
            Self::Plain => out.push(message.to_vec()),
            Self::Connected(line) => {
                let mut bytes = Vec::new();
                line.send(message, &mut bytes);
                out.extend(Some(bytes).filter(|bytes| !bytes.is_empty()));
            }
            Self::Secure { session, .. } => {
                let _ = session.send(message, out);
            }
        }
    }

    /// Repeats a flight of the handshake when it is due, asks a silent server whether it is there; an error ends it.
    pub fn handle_timeout(&mut self, origin: Instant, now: Instant, out: &mut Vec<Vec<u8>>) -> Result<(), String> {
        match self {
            Self::Plain => Ok(()),
            Self::Secure { session, .. } => {
                session.handle_timeout(milliseconds(origin, now), out).map_err(|error| error.to_string())
            }
            Self::Connected(line) => {
                let mut bytes = Vec::new();
                let result = line.handle_timeout(origin, now, &mut bytes);
                out.extend(Some(bytes).filter(|bytes| !bytes.is_empty()));
                result
            }
        }
    }

    /// When that is; the device's own clock begins at `origin`.
    pub fn poll_timeout(&self, origin: Instant) -> Option<Instant> {
        match self {
            Self::Plain => None,
            Self::Secure { session, .. } => session.poll_timeout().map(|ms| origin + Duration::from_millis(ms)),
            Self::Connected(line) => line.poll_timeout(origin),
        }
    }

    /// Says goodbye.
    pub fn close(&mut self, out: &mut Vec<Vec<u8>>) {
        match self {
            Self::Plain => {}
            Self::Secure { session, .. } => session.close(out),
            Self::Connected(line) => {
                let mut bytes = Vec::new();
                line.close(&mut bytes);
                out.extend(Some(bytes).filter(|bytes| !bytes.is_empty()));
            }
        }
    }
}

/// Milliseconds since the device was made: the clock that the session knows.
pub fn milliseconds(origin: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(origin).as_millis()).unwrap_or(u64::MAX)
}

fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}
