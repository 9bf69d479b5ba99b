//! Connections: peers whose messages come in order and once, in a stream of bytes (RFC 8323).
//!
//! A message that came over one takes the way of any other; what is different is how it begins, how it ends, and that an
//! observation ends with it. Between the bytes of the caller and the framing stands TLS, or nothing.

use std::net::SocketAddr;
use std::time::Instant;

use coap::{Connection, ConnectionOptions, Ending, Message};
use dtls::{Progress, SessionError};

use crate::gateway::Gateway;
use crate::keyring::KeyRing;
use crate::limits::{
    CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, CSM_WAIT, MESSAGE_BYTES_MAX, MESSAGES_UNFINISHED_BYTES_MAX,
    PING_AFTER, PONG_WAIT, STRANGER_IDLE,
};
use crate::outbox::{ConnectionNumber, SocketNumber};
use crate::peers::{Connected, Peer, PeerKey};
use crate::sessions::new_peer;
use crate::timers::{Now, Timer};
use crate::uplink::Origin;

pub(crate) const OPTIONS: ConnectionOptions = ConnectionOptions {
    message_bytes_max: MESSAGE_BYTES_MAX,
    csm_wait: CSM_WAIT,
    ping_after: PING_AFTER,
    pong_wait: PONG_WAIT,
};

impl Gateway {
    /// Somebody connected to a socket; false if there is no room: close it.
    pub fn handle_connected(
        &mut self,
        now: Now,
        number: ConnectionNumber,
        socket: SocketNumber,
        from: SocketAddr,
    ) -> bool {
        let (count, count_from) = (self.openings.len(), self.openings.from(from.ip()));
        if self.peers.connections() + count >= CONNECTIONS_MAX
            || self.peers.connections_from(from.ip()) + count_from >= CONNECTIONS_PER_ADDRESS_MAX
        {
            self.stats.connections_refused += 1;
            return false;
        }
        if self.is_secure_socket(socket) {
            return self.open_tls(now, number, socket, from);
        }
        let connection = self.outbox.write(number, |out| Connection::open(now.monotonic, OPTIONS, out));
        let connected = Some(Box::new(Connected { number, connection, tls: None, timer: None, buffered: 0 }));
        let key = self.peers.insert(Peer { connected, ..new_peer(now, socket.into(), from, None) });
        self.watch_connection(now, key);
        true
    }

    /// Bytes that came over a connection.
    pub fn handle_bytes(&mut self, now: Now, number: ConnectionNumber, bytes: &[u8]) {
        let Some(key) = self.peers.by_connection(number) else { return self.handle_opening(now, number, bytes) };
        if self.peers.get(key).and_then(|peer| peer.connected.as_ref()).is_some_and(|connected| connected.tls.is_some())
        {
            self.handle_protected(now, key, bytes);
        } else {
            self.handle_plain(now, key, bytes);
        }
    }

    /// Records of TLS: what they hold goes to the framing, and the end that they may bring comes after it.
    fn handle_protected(&mut self, now: Now, key: PeerKey, bytes: &[u8]) {
        let now_ms = self.dtls_ms(now);
        let Some(connected) = self.peers.get_mut(key).and_then(|peer| peer.connected.as_mut()) else { return };
        let Some(tls) = connected.tls.as_mut() else { return };
        let mut keys = KeyRing::new(now, &self.directory, &self.authorities);
        let mut plain = Vec::new();
        let progress = self.outbox.write(connected.number, |out| {
            tls.handle_bytes(now_ms, bytes, &mut keys, &mut |part| plain.extend_from_slice(part), out)
        });
        self.handle_plain(now, key, &plain);
        match progress {
            Ok(Progress::Closed) => {
                self.stats.connections_closed += 1;
                self.lose_connection(now, key);
            }
            Ok(_) => {}
            Err(error) => self.break_connection(now, key, &error),
        }
    }

    /// What came was no record of the peer's, or is not what TLS allows.
    fn break_connection(&mut self, now: Now, key: PeerKey, error: &SessionError) {
        self.stats.sessions_broken += 1;
        if let Some(device) = self.peers.get(key).and_then(|peer| peer.device) {
            self.note_refused(now, device, "connection", coap::Code::ABORT, "connection_broken", &error.to_string());
        }
        self.lose_connection(now, key);
    }

    /// Bytes for the framing.
    pub(crate) fn handle_plain(&mut self, now: Now, key: PeerKey, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if !bytes.is_empty() {
            peer.heard_at = now.monotonic;
            if let Some(connected) = &mut peer.connected {
                connected.connection.push(now.monotonic, bytes);
            }
        }
        let mut message = std::mem::take(&mut self.message);
        while self.next_message(now, key, &mut message) {}
        self.message = message;
        self.weigh(now, key);
        self.watch_connection(now, key);
    }

    /// Takes one message; false when there is none, or the connection is over.
    fn next_message(&mut self, now: Now, key: PeerKey, message: &mut Vec<u8>) -> bool {
        let Some(peer) = self.peers.get_mut(key) else { return false };
        let origin = Origin {
            socket: peer.socket,
            address: peer.address,
            peer: Some(key),
            device: peer.device,
            is_secure: peer.connected.as_ref().is_some_and(|connected| connected.tls.is_some()),
        };
        let Some(connected) = &mut peer.connected else { return false };
        let next = connected.write(&mut self.outbox, |connection, out| connection.next_message(message, out));
        match next {
            Ok(true) => {
                self.stats.messages += 1;
                // It was read once already, to see whether it is a signal.
                if let Ok(message) = Message::parse_frame(message) {
                    self.handle_parsed(now, origin, &message);
                }
                true
            }
            Ok(false) => false,
            Err(ending) => {
                self.end_connection(now, key, &ending);
                false
            }
        }
    }

    /// A connection is gone.
    pub fn handle_closed(&mut self, now: Now, number: ConnectionNumber) {
        if let Some(key) = self.peers.by_connection(number) {
            self.stats.connections_closed += 1;
            self.lose_connection(now, key);
        } else if self.forget_opening(number) {
            self.stats.connections_closed += 1;
        }
    }

    /// The timer of a connection fired.
    pub(crate) fn handle_connection(&mut self, now: Now, index: u32) {
        let Some(key) = self.peers.at(index) else { return };
        let is_idle = self.idle_at(now, key).is_some_and(|when| when <= now.monotonic);
        let Some(connected) = self.peers.get_mut(key).and_then(|peer| peer.connected.as_mut()) else { return };
        connected.timer = None;
        if is_idle {
            self.let_go(now, key);
        } else if let Err(ending) =
            connected.write(&mut self.outbox, |connection, out| connection.handle_timeout(now.monotonic, out))
        {
            self.end_connection(now, key, &ending);
        } else {
            self.watch_connection(now, key);
        }
    }

    /// When a connection is of no more use, if nothing comes until then: one of a stranger, or of a device that sleeps by
    /// now. That is not asked whether it is there, which would wake it; it comes back by itself.
    fn idle_at(&self, now: Now, key: PeerKey) -> Option<Instant> {
        let peer = self.peers.get(key)?;
        let connection = &peer.connected.as_ref()?.connection;
        if !connection.is_open() {
            return None;
        }
        let mut when = connection.heard_at() + STRANGER_IDLE;
        let device = peer.device.and_then(|index| self.directory.get(index)).filter(|device| device.peer == Some(key));
        if let Some((device, registration)) = device.and_then(|device| Some((device, device.registration.as_ref()?))) {
            if !registration.queue_mode {
                return None;
            }
            when = device.awake_until.map_or(when, |until| when.max(until));
        }
        // Whoever waits for our answer is not idle.
        Some(if connection.is_owed() { when.max(now.monotonic + STRANGER_IDLE) } else { when })
    }

    fn watch_connection(&mut self, now: Now, key: PeerKey) {
        let idle_at = self.idle_at(now, key);
        let Some(connected) = self.peers.get_mut(key).and_then(|peer| peer.connected.as_mut()) else { return };
        let when = connected.connection.poll_timeout();
        let when = idle_at.map_or(when, |idle_at| when.min(idle_at));
        self.timers.set(&mut connected.timer, Timer::Connection(key.index), when);
    }

    /// Keeps the sum of all unfinished messages within its bound.
    fn weigh(&mut self, now: Now, key: PeerKey) {
        let Some(connected) = self.peers.get_mut(key).and_then(|peer| peer.connected.as_mut()) else { return };
        let buffered = connected.allocated();
        self.unfinished_bytes = self.unfinished_bytes - connected.buffered + buffered;
        connected.buffered = buffered;
        if self.unfinished_bytes > MESSAGES_UNFINISHED_BYTES_MAX {
            self.stats.connections_full += 1;
            self.let_go(now, key);
        }
    }

    /// It is over for a reason that the connection itself found.
    fn end_connection(&mut self, now: Now, key: PeerKey, ending: &Ending) {
        let (counter, reason) = match ending {
            Ending::Released { .. } => (&mut self.stats.connections_released, None),
            Ending::Aborted { .. } => (&mut self.stats.connections_aborted, None),
            Ending::CsmMissing => (&mut self.stats.connections_without_csm, None),
            Ending::Silent => (&mut self.stats.connections_silent, None),
            _ => (&mut self.stats.connections_broken, Some("connection_broken")),
        };
        *counter += 1;
        let device = self.peers.get(key).and_then(|peer| peer.device);
        if let (Some(device), Some(reason)) = (device, reason) {
            self.note_refused(now, device, "connection", coap::Code::ABORT, reason, &ending.to_string());
        }
        self.lose_connection(now, key);
    }

    /// Ends a connection in an orderly way (RFC 8323 §5.5).
    pub(crate) fn hang_up(&mut self, now: Now, key: PeerKey) {
        let Some(connected) = self.peers.get_mut(key).and_then(|peer| peer.connected.as_mut()) else { return };
        self.stats.connections_ended += 1;
        connected.write(&mut self.outbox, |connection, out| connection.release(out));
        self.drop_connection(now, key);
    }

    /// The same, and what cannot wait for its device is turned away.
    pub(crate) fn let_go(&mut self, now: Now, key: PeerKey) {
        let device = self.peers.get(key).and_then(|peer| peer.device);
        self.hang_up(now, key);
        if let Some(device) = device {
            self.pump(now, device);
        }
    }

    /// A connection is gone. Its device is out of reach, and as registered as before.
    fn lose_connection(&mut self, now: Now, key: PeerKey) {
        let device = self.peers.get(key).and_then(|peer| peer.device);
        self.drop_connection(now, key);
        if let Some(device) = device {
            self.pump(now, device);
        }
    }

    /// RFC 8323 §7.4: what was observed over a connection ends with it. What we want begins anew when the device is back.
    fn drop_connection(&mut self, now: Now, key: PeerKey) {
        let device = self.peers.get(key).and_then(|peer| peer.device);
        self.remove_peer(key);
        let Some(index) = device else { return };
        let dialog = self.directory.get(index).and_then(|device| device.dialog.as_ref());
        if dialog.and_then(|dialog| dialog.under_way.as_ref()).is_some_and(|under_way| under_way.peer == key) {
            self.interrupt(now, index);
        }
        self.lose_observations(now, index);
        self.reconcile(now, index);
    }

    /// Nobody will be served here any more: every peer that is connected is told so.
    pub fn release_connections(&mut self) {
        for key in self.peers.connected() {
            if let Some(connected) = self.peers.get_mut(key).and_then(|peer| peer.connected.as_mut()) {
                connected.write(&mut self.outbox, |connection, out| connection.release(out));
                connected.say_goodbye(&mut self.outbox);
            }
        }
    }

    /// An answer over a connection waits for the log.
    pub(crate) fn note_held(&mut self, key: PeerKey) {
        if let Some(connected) = self.peers.get_mut(key).and_then(|peer| peer.connected.as_mut()) {
            connected.connection.hold();
        }
    }

    /// An answer that waited has left: whatever waited for that may follow.
    pub(crate) fn note_answered(&mut self, now: Now, key: PeerKey) {
        let Some(connected) = self.peers.get_mut(key).and_then(|peer| peer.connected.as_mut()) else { return };
        let answered = connected.write(&mut self.outbox, |connection, out| connection.answered(out));
        if let Err(ending) = answered {
            self.end_connection(now, key, &ending);
        }
    }
}
