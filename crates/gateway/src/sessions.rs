//! DTLS: which session a datagram belongs to, and how sessions begin and end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coap::blockwise::Uploads;
use coap::exchange::{Answers, Responses};
use dtls::{ConnectionId, Hello, HelloRefused, Keys, Progress, Session, SessionError, Trust};
use zeroize::Zeroizing;

use crate::credential::Credential;
use crate::devices::{DeviceIndex, Directory};
use crate::gateway::Gateway;
use crate::limits::{HALF_OPEN_MAX, HANDSHAKE_WAIT, PEERS_MAX, SESSIONS_MAX};
use crate::outbox::{Outbox, SocketNumber};
use crate::peers::{Association, Peer, PeerKey, Peers};
use crate::security::{Intrusion, SecurityReason};
use crate::timers::{Now, Timer};
use crate::uplink::Origin;

/// The directory and the authorities as the handshake sees them.
struct KeyRing<'a> {
    directory: &'a Directory,
    trust: Trust<'a>,
    /// Whose key was asked for.
    asked: Option<Arc<Credential>>,
}

impl Keys for KeyRing<'_> {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (key, (_, credential)) = self.directory.key(identity)?;
        self.asked = Some(Arc::clone(credential));
        Some(key)
    }

    fn trust(&self) -> Trust<'_> {
        self.trust
    }
}

impl Gateway {
    /// A datagram on a socket in the clear.
    pub(crate) fn handle_clear(&mut self, now: Now, socket: SocketNumber, from: SocketAddr, datagram: &[u8]) {
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
    pub(crate) fn handle_secure(&mut self, now: Now, socket: SocketNumber, from: SocketAddr, datagram: &[u8]) {
        // RFC 9146 §4: only records of content type 25 carry an id; everything else goes by address.
        let key = match ConnectionId::of_record(datagram) {
            Some(id) => match self.peers.by_connection_id(id) {
                Some(key) => Some(key),
                None => {
                    self.stats.unknown_connection_id += 1;
                    return;
                }
            },
            None => self.peers.by_address(socket, from),
        };
        if dtls::is_client_hello(datagram) {
            self.handle_hello(now, socket, from, key, datagram);
            return;
        }
        match key {
            Some(key) => self.feed(now, key, from, datagram),
            // RFC 6347 §4.1.2.7: dropped. A device behind a new address without a connection id comes back by itself.
            None => self.stats.unknown_address += 1,
        }
    }

    fn handle_hello(
        &mut self,
        now: Now,
        socket: SocketNumber,
        from: SocketAddr,
        living: Option<PeerKey>,
        datagram: &[u8],
    ) {
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
                    Some(key) => self.feed(now, key, from, datagram),
                    None => self.accept(now, socket, from, living, datagram),
                }
            }
            Hello::Drop(HelloRefused::NotFirstFragment) => match living {
                // The rest of a hello whose first part brought the cookie.
                Some(key) => self.feed(now, key, from, datagram),
                None => self.stats.hello_dropped += 1,
            },
            Hello::Drop(_) => self.stats.hello_dropped += 1,
        }
    }

    /// The peer returned our cookie: it is where it says, and may have a session.
    fn accept(&mut self, now: Now, socket: SocketNumber, from: SocketAddr, living: Option<PeerKey>, datagram: &[u8]) {
        if self.peers.half_open() >= HALF_OPEN_MAX || self.peers.secure() >= SESSIONS_MAX {
            self.stats.sessions_full += 1;
            return;
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
            credential: None,
            handshake: None,
        };
        let key = self.peers.insert(new_peer(now, socket, from, Some(Box::new(association))));
        self.feed(now, key, from, datagram);
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
    fn feed(&mut self, now: Now, key: PeerKey, from: SocketAddr, datagram: &[u8]) {
        let now_ms = self.dtls_ms(now);
        let Some(peer) = self.peers.get_mut(key) else { return };
        let socket = peer.socket;
        let Some(association) = peer.security.as_mut() else { return };
        let mut plaintext = std::mem::take(&mut self.plaintext);
        let newest = association.session.newest();
        let trust = Trust { anchors: &self.authorities.anchors, unix_s: (now.unix_ms / 1_000) as i64 };
        let mut keys = KeyRing { directory: &self.directory, trust, asked: None };
        let progress = association.session.handle_datagram(
            now_ms,
            datagram,
            &mut keys,
            &mut |record| plaintext.push(record),
            &mut self.datagrams,
        );
        association.credential = keys.asked.or(association.credential.take());
        // RFC 9146 §6: only what is newer than everything before may move the session.
        let has_moved =
            association.session.newest() > newest && from != peer.address && association.session.peer_has_cid();
        if !plaintext.is_empty() || progress.is_ok() {
            peer.heard_at = now.monotonic;
        }
        self.flush(key);
        if has_moved {
            self.stats.relocated += 1;
            self.peers.relocate(key, from);
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
            let origin =
                Origin { socket, address: peer.address, peer: Some(key), device: peer.device, is_secure: true };
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
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(association) = peer.security.as_mut() else { return };
        self.timers.clear(&mut association.handshake, Timer::Handshake(key.index));
        let bearer = match association.session.peer_certificate() {
            Some(certificate) => self.authorities.bearer(&self.directory, certificate),
            None => association.session.identity().and_then(|identity| self.directory.bearers().of_identity(identity)),
        };
        // The key may have been replaced while they shook hands.
        let used = association.credential.take();
        let bearer = bearer.filter(|(_, credential)| used.is_none_or(|used| used == *credential));
        let device = bearer.map(|(index, _)| *index);
        association.credential = bearer.map(|(_, credential)| Arc::clone(credential));
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

    fn note_failure(&mut self, now: Now, key: PeerKey, error: &SessionError) {
        let Some(peer) = self.peers.get(key) else { return };
        let Some(association) = &peer.security else { return };
        if association.is_established {
            self.stats.sessions_broken += 1;
            return;
        }
        self.stats.handshakes_failed += 1;
        let known = name_of(&association.session).to_vec();
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
        let address = peer.address;
        self.security.note(now, Intrusion { reason, identity: &identity, endpoint: b"", address, device });
    }

    /// A certificate that is as it should be, of a device that nobody has taken in.
    fn note_unknown_certificate(&mut self, now: Now, key: PeerKey) {
        let Some(peer) = self.peers.get(key) else { return };
        let Some(session) = peer.security.as_ref().map(|association| &association.session) else { return };
        if session.peer_certificate().is_some() {
            let (reason, identity, address) =
                (SecurityReason::UnknownCertificate, name_of(session).to_vec(), peer.address);
            self.security.note(now, Intrusion { reason, identity: &identity, endpoint: b"", address, device: None });
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
        if let Some(association) = peer.security.as_mut() {
            self.timers.clear(&mut association.handshake, Timer::Handshake(key.index));
        }
        if let Some(connected) = peer.connected.as_mut() {
            self.timers.clear(&mut connected.timer, Timer::Connection(key.index));
            self.unfinished_bytes -= connected.buffered;
            self.outbox.end(connected.number);
        }
        self.timers.clear(&mut peer.separate, Timer::Separate(key.index));
        self.uploading_peers -= usize::from(!peer.uploads.is_idle());
        if let Some(device) = peer.device.and_then(|index| self.directory.get_mut(index))
            && device.peer == Some(key)
        {
            device.peer = None;
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
        Some(self.peers.get(key)?.security.as_ref()?.session.suite()?.name())
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

    fn dtls_ms(&self, now: Now) -> u64 {
        now.monotonic.saturating_duration_since(self.started).as_millis() as u64
    }
}

/// What a peer goes by: its PSK identity, or the common name of its certificate.
pub(crate) fn name_of(session: &Session) -> &[u8] {
    let of_certificate = || session.peer_certificate()?.common_name.as_deref().map(str::as_bytes);
    session.identity().or_else(of_certificate).unwrap_or_default()
}

/// Sends one message to a peer; apart from the gateway, so that whoever sends may hold another part of it.
pub(crate) fn post(peers: &mut Peers, outbox: &mut Outbox, datagrams: &mut Vec<Vec<u8>>, key: PeerKey, message: &[u8]) {
    let Some(peer) = peers.get_mut(key) else { return };
    if let Some(connected) = &peer.connected {
        if !outbox.write(connected.number, |out| connected.connection.send(message, out)) {
            outbox.too_long += 1;
        }
        return;
    }
    match peer.security.as_mut() {
        None => outbox.push(peer.socket, peer.address, |out| out.extend_from_slice(message)),
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

pub(crate) fn new_peer(
    now: Now,
    socket: SocketNumber,
    address: SocketAddr,
    security: Option<Box<Association>>,
) -> Peer {
    Peer {
        socket,
        address,
        security,
        connected: None,
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
