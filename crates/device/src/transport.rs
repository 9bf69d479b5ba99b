//! The way to the server: a DTLS session, or nothing in between.

use std::time::Instant;

use dtls::{Client, ClientOptions, NoKeys, Progress, Session};

use crate::command::Credential;

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
    Secure(Box<Session>),
}

impl Transport {
    /// Begins; a secure one puts its first flight into `out`.
    pub fn open(
        credential: Option<&Credential>,
        seed: u64,
        now_ms: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Self, String> {
        let Some(credential) = credential else { return Ok(Self::Plain) };
        let mut seed_bytes = [0; 32];
        seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let options = ClientOptions { seed: seed_bytes, ..ClientOptions::default() };
        let client = Client::new(&credential.identity, &credential.key, &options).map_err(|error| error.to_string())?;
        let session = client.connect(now_ms, out).map_err(|error| error.to_string())?;
        Ok(Self::Secure(Box::new(session)))
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::Secure(session) => session.is_established(),
        }
    }

    /// Takes a datagram from the server.
    pub fn receive(&mut self, now_ms: u64, datagram: &[u8], out: &mut Vec<Vec<u8>>) -> Arrived {
        let Self::Secure(session) = self else { return Arrived::Messages(vec![datagram.to_vec()]) };
        let mut messages = Vec::new();
        let mut take = |plaintext: &[u8]| messages.push(plaintext.to_vec());
        match session.handle_datagram(now_ms, datagram, &mut NoKeys, &mut take, out) {
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
            Self::Secure(session) => {
                let _ = session.send(message, out);
            }
        }
    }

    /// Repeats a flight of the handshake when it is due; an error ends the session.
    pub fn handle_timeout(&mut self, now_ms: u64, out: &mut Vec<Vec<u8>>) -> Result<(), String> {
        match self {
            Self::Plain => Ok(()),
            Self::Secure(session) => session.handle_timeout(now_ms, out).map_err(|error| error.to_string()),
        }
    }

    /// When that is, on the device's own clock of milliseconds.
    pub fn poll_timeout_ms(&self) -> Option<u64> {
        match self {
            Self::Plain => None,
            Self::Secure(session) => session.poll_timeout(),
        }
    }

    /// Says goodbye.
    pub fn close(&mut self, out: &mut Vec<Vec<u8>>) {
        if let Self::Secure(session) = self {
            session.close(out);
        }
    }
}

/// Milliseconds since the device was made: the clock that the session knows.
pub fn milliseconds(origin: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(origin).as_millis()).unwrap_or(u64::MAX)
}
