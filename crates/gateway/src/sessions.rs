//! DTLS: which session a datagram belongs to, and how sessions begin and end.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use coap::blockwise::Uploads;
use coap::exchange::{Answers, Responses};
use dtls::{ConnectionId, Hello, HelloRefused, PeerCertificate, Progress, SessionError};

use crate::admission::Wait;
use crate::credential::Bearer;
use crate::devices::DeviceIndex;
use crate::gateway::Gateway;
use crate::keyring::KeyRing;
use crate::limits::{HANDSHAKE_COST_CERTIFICATE, HANDSHAKE_COST_PSK, HANDSHAKE_WAIT, PEERS_MAX, SESSIONS_MAX};
use crate::outbox::{Outbox, Socket, SocketNumber};
use crate::peers::{Association, Peer, PeerKey, Peers};
use crate::timers::{Now, Timer};
use crate::uplink::Origin;

impl Gateway {
    /// A datagram on a socket in the clear.
    pub(crate) fn handle_clear(&mut self, now: Now, socket: Socket, from: SocketAddr, datagram: &[u8]) {
        let peer = self.peers.by_address(socket, from);
        let device = peer.and_then(|key| {
            let peer = self.peers.get_mut(key)?;
            peer.heard_at = now.monotonic;
            peer.device
        });
        let origin = Origin { socket, address: from, peer, device, is_secure: false };
        self.handle_message(now, origin, datagram);
    }

    /// A datagram on a socket for DTLS.
    pub(crate) fn handle_secure(&mut self, now: Now, number: SocketNumber, from: SocketAddr, datagram: &[u8]) {
        let socket = Socket::from(number);
        // RFC 9146 §4: only records of content type 25 carry an id; everything else goes by address.
        let key = match ConnectionId::of_record(datagram) {
            Some(id) => match self.peers.by_connection_id(id) {
                Some(key) => Some(key),
                None => return self.hand_up(id, number, from, datagram),
            },
            None => self.peers.by_address(socket, from),
        };
        if dtls::is_client_hello(datagram) {
            self.handle_hello(now, socket, from, key, datagram);
            return;
        }
        match key {
            Some(key) => self.feed(now, key, socket, from, datagram),
            // RFC 6347 §4.1.2.7: dropped. A device behind a new address without a connection id comes back by itself.
            None => self.stats.unknown_address += 1,
        }
    }

    fn handle_hello(&mut self, now: Now, socket: Socket, from: SocketAddr, living: Option<PeerKey>, datagram: &[u8]) {
        let now_ms = self.dtls_ms(now);
        let mut reply = std::mem::take(&mut self.encoded);
        let hello = self.server.handle_hello(now_ms, &address_bytes(from), datagram, &mut reply);
        self.encoded = reply;
        match hello {
            Hello::SendCookie => {
                let encoded = &self.encoded;
                self.outbox.push(socket, from, |out| out.extend_from_slice(encoded));
            }
            Hello::Verified => {
                let is_copy = living
                    .and_then(|key| self.peers.get(key)?.security.as_ref())
                    .is_some_and(|association| association.session.began_with(datagram));
                match living.filter(|_| is_copy) {
                    Some(key) => self.feed(now, key, socket, from, datagram),
                    None => self.accept(now, socket, from, living, datagram),
                }
            }
            Hello::Drop(HelloRefused::NotFirstFragment) => match living {
                // The rest of a hello whose first part brought the cookie.
                Some(key) => self.feed(now, key, socket, from, datagram),
                None => self.stats.hello_dropped += 1,
            },
            Hello::Drop(_) => self.stats.hello_dropped += 1,
        }
    }

    /// The peer returned our cookie: it is where it says, and may have a session.
    fn accept(&mut self, now: Now, socket: Socket, from: SocketAddr, living: Option<PeerKey>, datagram: &[u8]) {
        if self.peers.secure() >= SESSIONS_MAX {
            self.stats.sessions_full += 1;
            return;
        }
        let cost = if dtls::offers_psk(datagram) { HANDSHAKE_COST_PSK } else { HANDSHAKE_COST_CERTIFICATE };
        if let Err(wait) = self.admission.admit(now.monotonic, from.ip(), cost, self.more_waits) {
            return self.note_waiting(wait);
        }
        // One that can be reached by its connection id lives on until the new one has proved who it is.
        if let Some(living) = living {
            let association = self.peers.get(living).and_then(|peer| peer.security.as_ref());
            if !association.is_some_and(|old| old.is_established && old.session.peer_has_cid()) {
                self.remove_peer(living);
            }
        }
        let connection_id = self.connection_id();
        let now_ms = self.dtls_ms(now);
        let Ok(session) = self.server.accept(now_ms, connection_id.0) else {
            self.stats.sessions_full += 1;
            return;
        };
        let association = Association {
            session,
            connection_id,
            began_at: now.monotonic,
            is_established: false,
            handshake: None,
            safe_up_to: None,
        };
        let key = self.peers.insert(new_peer(now, socket, from, Some(Box::new(association))));
        self.admission.begin(key.index, from.ip());
        self.feed(now, key, socket, from, datagram);
        let association = self.peers.get(key).and_then(|peer| peer.security.as_ref());
        if association.is_some_and(|association| association.session.is_resumed()) {
            self.admission.give_back(from.ip(), cost - HANDSHAKE_COST_PSK);
        }
    }

    pub(crate) fn note_waiting(&mut self, wait: Wait) {
        let count = match wait {
            Wait::Shard => &mut self.stats.handshakes_waiting,
            Wait::Network => &mut self.stats.handshakes_waiting_network,
            Wait::HalfOpen => &mut self.stats.half_open_full,
            Wait::HalfOpenOfNetwork => &mut self.stats.half_open_full_network,
        };
        *count += 1;
    }

    fn connection_id(&mut self) -> ConnectionId {
        loop {
            let [_, _, _, random @ ..] = self.random.next_u64().to_be_bytes();
            let id = ConnectionId::new(self.options.node, self.options.shard, random);
            if self.peers.by_connection_id(id).is_none() {
                return id;
            }
        }
    }

    /// Gives a datagram to its session, and what it held to the layer above.
    pub(crate) fn feed(&mut self, now: Now, key: PeerKey, socket: Socket, from: SocketAddr, datagram: &[u8]) {
        let now_ms = self.dtls_ms(now);
        let Some(peer) = self.peers.get_mut(key) else { return };
        let before = (peer.socket, peer.address);
        let Some(association) = peer.security.as_mut() else { return };
        let mut plaintext = std::mem::take(&mut self.plaintext);
        let newest = association.session.newest();
        let mut keys = KeyRing::new(now, &self.directory, &self.authorities);
        let progress = association.session.handle_datagram(
            now_ms,
            datagram,
            &mut keys,
            &mut |record| plaintext.push(record),
            &mut self.datagrams,
        );
        peer.credential = keys.asked.or(peer.credential.take());
        // RFC 9146 §6: only what is newer than everything before may move the session.
        let has_moved =
            association.session.newest() > newest && (socket, from) != before && association.session.peer_has_cid();
        if !plaintext.is_empty() || progress.is_ok() {
            peer.heard_at = now.monotonic;
        }
        self.flush(key);
        if has_moved {
            self.stats.relocated += 1;
            self.peers.relocate(key, socket, from);
            if let Some(device) = self.peers.get(key).and_then(|peer| peer.device) {
                self.want_checkpoint(now, device);
            }
        }
        match progress {
            Ok(Progress::Established) => self.establish(now, key),
            Ok(Progress::Handshaking) => self.watch_handshake(key),
            Ok(Progress::Data | Progress::Closed) => {}
            Err(ref error) if error.is_harmless() => {}
            Err(ref error) => self.note_failure(now, key, error),
        }
        for record in plaintext.iter() {
            // The session may have ended by the last record.
            let Some(peer) = self.peers.get(key) else { break };
            let origin = Origin {
                socket: peer.socket,
                address: peer.address,
                peer: Some(key),
                device: peer.device,
                is_secure: true,
            };
            self.handle_message(now, origin, record);
        }
        plaintext.clear();
        self.plaintext = plaintext;
        let is_over = matches!(progress, Ok(Progress::Closed)) || progress.is_err_and(|error| !error.is_harmless());
        if is_over {
            self.remove_peer(key);
        }
    }

    /// The handshake is complete: now we know who it is.
    fn establish(&mut self, now: Now, key: PeerKey) {
        self.stats.handshakes += 1;
        self.peers.establish(key);
        self.admission.end(key.index);
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(association) = peer.security.as_mut() else { return };
        self.stats.handshakes_resumed += u64::from(association.session.is_resumed());
        self.timers.clear(&mut association.handshake, Timer::Handshake(key.index));
        self.admit(now, key);
    }

    /// Who goes by what was proved, and by which credential.
    pub(crate) fn bearer(&self, certificate: Option<&PeerCertificate>, identity: Option<&[u8]>) -> Option<&Bearer> {
        match certificate {
            Some(certificate) => self.authorities.bearer(&self.directory, certificate),
            None => self.directory.bearers().of_identity(identity?),
        }
    }

    /// Finds out whose peer it is by what it has proved, and shows a stranger out.
    pub(crate) fn admit(&mut self, now: Now, key: PeerKey) {
        let Some(peer) = self.peers.get(key) else { return };
        let bearer = self.bearer(peer.certificate(), peer.identity()).cloned();
        let Some(peer) = self.peers.get_mut(key) else { return };
        // The key may have been replaced while they shook hands.
        let used = peer.credential.take();
        let bearer = bearer.filter(|(_, credential)| used.is_none_or(|used| used == *credential));
        let device = bearer.as_ref().map(|(index, _)| *index);
        peer.credential = bearer.map(|(_, credential)| credential);
        peer.device = device;
        match device {
            Some(device) => self.bind(now, device, key),
            None => {
                self.note_unknown_certificate(now, key);
                // Or the device was removed while it shook hands.
                self.end_session(now, key);
            }
        }
    }

    fn watch_handshake(&mut self, key: PeerKey) {
        let started = self.started;
        let Some(association) = self.peers.get_mut(key).and_then(|peer| peer.security.as_mut()) else { return };
        if association.is_established {
            return;
        }
        let end = association.began_at + HANDSHAKE_WAIT;
        let repeat = association.session.poll_timeout().map(|ms| started + Duration::from_millis(ms));
        let when = repeat.map_or(end, |repeat| repeat.min(end));
        self.timers.set(&mut association.handshake, Timer::Handshake(key.index), when);
    }

    /// The timer of a handshake fired.
    pub(crate) fn handle_handshake(&mut self, now: Now, index: u32) {
        let now_ms = self.dtls_ms(now);
        let Some(key) = self.peers.at(index) else { return };
        let Some(association) = self.peers.get_mut(key).and_then(|peer| peer.security.as_mut()) else { return };
        association.handshake = None;
        if association.is_established {
            return;
        }
        let is_too_long = association.began_at + HANDSHAKE_WAIT <= now.monotonic;
        let result = association.session.handle_timeout(now_ms, &mut self.datagrams);
        self.flush(key);
        let failure = match result {
            Err(error) if !error.is_harmless() => Some(error),
            _ => is_too_long.then_some(SessionError::HandshakeTimedOut),
        };
        match failure {
            Some(error) => {
                self.note_failure(now, key, &error);
                self.remove_peer(key);
            }
            None => self.watch_handshake(key),
        }
    }

    /// Says goodbye to a peer and forgets it.
    pub(crate) fn end_session(&mut self, now: Now, key: PeerKey) {
        if self.peers.get(key).is_some_and(|peer| peer.connected.is_some()) {
            return self.hang_up(now, key);
        }
        if let Some(association) = self.peers.get_mut(key).and_then(|peer| peer.security.as_mut()) {
            association.session.close(&mut self.datagrams);
            self.flush(key);
        }
        self.remove_peer(key);
    }

    /// The device is somewhere else now.
    pub(crate) fn unbind(&mut self, now: Now, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.security.is_some() {
            self.remove_peer(key);
        } else if peer.connected.is_some() {
            self.hang_up(now, key);
        } else {
            peer.device = None;
        }
    }

    pub(crate) fn remove_peer(&mut self, key: PeerKey) {
        let Some(mut peer) = self.peers.remove(key) else { return };
        self.admission.end(key.index);
        if let Some(association) = peer.security.as_mut() {
            self.timers.clear(&mut association.handshake, Timer::Handshake(key.index));
        }
        if let Some(connected) = peer.connected.as_mut() {
            self.timers.clear(&mut connected.timer, Timer::Connection(key.index));
            self.unfinished_bytes -= connected.buffered;
            connected.say_goodbye(&mut self.outbox);
            self.outbox.end(connected.number);
        }
        self.timers.clear(&mut peer.separate, Timer::Separate(key.index));
        self.uploading_peers -= usize::from(!peer.uploads.is_idle());
        if let Some(index) = peer.device
            && let Some(device) = self.directory.get_mut(index)
            && device.peer == Some(key)
        {
            device.peer = None;
            // A session that has ended must not come back.
            self.queue_checkpoint(index);
        }
    }

    /// The peer a message came from; one in the clear is remembered from now on.
    pub(crate) fn peer_of(&mut self, now: Now, origin: &Origin) -> Option<PeerKey> {
        if let Some(peer) = origin.peer.filter(|key| self.peers.get(*key).is_some()) {
            return Some(peer);
        }
        if origin.is_secure || self.peers.len() - self.peers.secure() >= PEERS_MAX {
            self.stats.peers_full += 1;
            return None;
        }
        Some(self.peers.insert(new_peer(now, origin.socket, origin.address, None)))
    }

    pub(crate) fn suite_of(&self, key: PeerKey) -> Option<&'static str> {
        Some(self.peers.get(key)?.suite()?.name())
    }

    /// Sends one message to a peer, protected where it must be.
    pub(crate) fn post(&mut self, key: PeerKey, message: &[u8]) {
        post(&mut self.peers, &mut self.outbox, &mut self.datagrams, key, message);
    }

    /// Sends what stands in the buffer for encoding.
    pub(crate) fn post_encoded(&mut self, key: PeerKey) {
        post(&mut self.peers, &mut self.outbox, &mut self.datagrams, key, &self.encoded);
    }

    fn flush(&mut self, key: PeerKey) {
        flush(&self.peers, &mut self.outbox, &mut self.datagrams, key);
    }

    pub(crate) fn dtls_ms(&self, now: Now) -> u64 {
        now.monotonic.saturating_duration_since(self.started).as_millis() as u64
    }
}

/// Sends one message to a peer; apart from the gateway, so that whoever sends may hold another part of it.
pub(crate) fn post(peers: &mut Peers, outbox: &mut Outbox, datagrams: &mut Vec<Vec<u8>>, key: PeerKey, message: &[u8]) {
    let Some(peer) = peers.get_mut(key) else { return };
    if let Some(connected) = &mut peer.connected {
        if !connected.write(outbox, |connection, out| connection.send(message, out)) {
            outbox.too_long += 1;
        }
        return;
    }
    match peer.security.as_mut() {
        None => outbox.push(peer.socket, peer.address, |out| out.extend_from_slice(message)),
        Some(association) if association.is_exhausted() => outbox.exhausted += 1,
        Some(association) => {
            // A session that cannot send is over, or the message too long for a record: the peer will ask again.
            let _ = association.session.send(message, datagrams);
            flush(peers, outbox, datagrams, key);
        }
    }
}

fn flush(peers: &Peers, outbox: &mut Outbox, datagrams: &mut Vec<Vec<u8>>, key: PeerKey) {
    if let Some(peer) = peers.get(key) {
        for datagram in datagrams.iter() {
            outbox.push(peer.socket, peer.address, |out| out.extend_from_slice(datagram));
        }
    }
    datagrams.clear();
}

pub(crate) fn new_peer(now: Now, socket: Socket, address: SocketAddr, security: Option<Box<Association>>) -> Peer {
    Peer {
        socket,
        address,
        security,
        connected: None,
        credential: None,
        device: None::<DeviceIndex>,
        answers: Answers::new(),
        uploads: Uploads::new(),
        responses: Responses::new(),
        separate: None::<Instant>,
        heard_at: now.monotonic,
    }
}

/// A stable form of an address, for cookies.
fn address_bytes(address: SocketAddr) -> [u8; 18] {
    let mut bytes = [0; 18];
    match address.ip() {
        IpAddr::V4(ip) => bytes[..16].copy_from_slice(&ip.to_ipv6_mapped().octets()),
        IpAddr::V6(ip) => bytes[..16].copy_from_slice(&ip.octets()),
    }
    bytes[16..].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

/// The records of one datagram in the clear, in one buffer that is used again.
#[derive(Default)]
pub(crate) struct Plaintext {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Plaintext {
    fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let record = &self.bytes[start..end];
            start = end;
            record
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}
