//! A connection to the server (RFC 8323), in the clear or under TLS.

use std::time::{Duration, Instant};

use coap::{Capacity, Connection, ConnectionOptions, Ending};
use dtls::{Progress, SetupError, Tls, TlsClient, TlsClientOptions, Trust, TrustAnchors};

use crate::command::Credential;
use crate::transport::milliseconds;

/// How a device behaves over a connection. An image that is pushed comes in fewer, longer messages than a server takes;
/// the time is that within which routers keep a connection that nobody uses.
const CONNECTION: ConnectionOptions = ConnectionOptions {
    message_bytes_max: 64 * 1024,
    csm_wait: Duration::from_secs(30),
    ping_after: Duration::from_secs(240),
    pong_wait: Duration::from_secs(30),
};

/// One connection, from the moment that it was made.
pub struct Line {
    tls: Option<Protection>,
    /// Nothing while TLS shakes hands: our first words are said under it.
    connection: Option<Connection>,
}

struct Protection {
    tls: Tls,
    /// Who may vouch for the server.
    anchors: TrustAnchors,
}

impl Line {
    /// What is said first goes into `out`.
    pub fn open(
        now: Instant,
        now_ms: u64,
        credential: Option<&Credential>,
        seed: [u8; 32],
        out: &mut Vec<u8>,
    ) -> Result<Self, SetupError> {
        let Some(credential) = credential else {
            return Ok(Self { tls: None, connection: Some(Connection::open(now, CONNECTION, out)) });
        };
        let options = TlsClientOptions { seed, ..TlsClientOptions::default() };
        let mut anchors = TrustAnchors::new();
        let client = match credential {
            Credential::Psk { identity, key } => TlsClient::new(identity, key, &options)?,
            Credential::X509 { own, authorities, server_name } => {
                for authority in authorities {
                    anchors.put(authority)?;
                }
                TlsClient::with_certificate(own, server_name.as_deref(), &options)?
            }
        };
        let tls = client.connect(now_ms, out)?;
        Ok(Self { tls: Some(Protection { tls, anchors }), connection: None })
    }

    /// Takes what came; `unix_s` is the time that the server's certificate must be valid at. Why it is over, if it is:
    /// after the messages that came before.
    pub fn push(&mut self, now: Instant, now_ms: u64, unix_s: i64, bytes: &[u8], out: &mut Vec<u8>) -> Option<String> {
        let Some(Protection { tls, anchors }) = &mut self.tls else {
            self.hear(now, bytes);
            return None;
        };
        let (mut trust, mut plain) = (Trust { anchors, unix_s }, Vec::new());
        let progress = tls.handle_bytes(now_ms, bytes, &mut trust, &mut |part| plain.extend_from_slice(part), out);
        if let Ok(Progress::Established) = progress {
            let mut csm = Vec::new();
            self.connection = Some(Connection::open(now, CONNECTION, &mut csm));
            // It was established just now.
            let _ = tls.send(&csm, out);
        }
        self.hear(now, &plain);
        match progress {
            Ok(Progress::Closed) => Some("the server closed the connection".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        }
    }

    fn hear(&mut self, now: Instant, bytes: &[u8]) {
        if let Some(connection) = self.connection.as_mut().filter(|_| !bytes.is_empty()) {
            connection.push(now, bytes);
        }
    }

    /// The next message, put into `frame`; false when more has to arrive.
    pub fn next_message(&mut self, frame: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool, Ending> {
        self.write(out, |connection, out| connection.next_message(frame, out)).unwrap_or(Ok(false))
    }

    /// What `write` writes, protected where it must be; nothing while TLS shakes hands.
    fn write<T>(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Connection, &mut Vec<u8>) -> T) -> Option<T> {
        let connection = self.connection.as_mut()?;
        let Some(Protection { tls, .. }) = &mut self.tls else { return Some(write(connection, out)) };
        let mut said = Vec::new();
        let result = write(connection, &mut said);
        if !said.is_empty() {
            // One that cannot send is over; its end is heard of elsewhere.
            let _ = tls.send(&said, out);
        }
        Some(result)
    }

    /// What the server takes.
    pub fn capacity(&self) -> Capacity {
        self.connection.as_ref().map_or_else(Capacity::default, Connection::capacity)
    }

    /// Whether the server has introduced itself.
    pub fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_open)
    }

    /// Says a message.
    pub fn send(&mut self, message: &[u8], out: &mut Vec<u8>) {
        self.write(out, |connection, out| connection.send(message, out));
    }

    /// Gives up a handshake that takes too long, asks a silent server whether it is there; an error ends it.
    pub fn handle_timeout(&mut self, origin: Instant, now: Instant, out: &mut Vec<u8>) -> Result<(), String> {
        if let Some(Protection { tls, .. }) = &mut self.tls {
            tls.handle_timeout(milliseconds(origin, now)).map_err(|error| error.to_string())?;
        }
        let handled = self.write(out, |connection, out| connection.handle_timeout(now, out));
        handled.unwrap_or(Ok(())).map_err(|ending| ending.to_string())
    }

    /// When that is; the device's own clock begins at `origin`.
    pub fn poll_timeout(&self, origin: Instant) -> Option<Instant> {
        let handshake = self.tls.as_ref().and_then(|protection| protection.tls.poll_timeout());
        match handshake {
            Some(ms) => Some(origin + Duration::from_millis(ms)),
            None => self.connection.as_ref().map(Connection::poll_timeout),
        }
    }

    /// Says goodbye.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.write(out, |connection, out| connection.release(out));
        if let Some(Protection { tls, .. }) = &mut self.tls {
            tls.close(out);
        }
    }
}
