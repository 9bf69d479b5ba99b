//! Connections whose TLS handshake goes on: nobody yet, bounded in number, time and bytes, until they have proved who they
//! are. When more want to shake hands than the processor has time for, their hellos wait here, in the order in which they
//! connected: over a connection nobody would repeat one that was dropped.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use coap::Connection;
use dtls::{Progress, SessionError, Tls};

use crate::admission::Wait;
use crate::connections::OPTIONS;
use crate::credential::Credential;
use crate::gateway::Gateway;
use crate::keyring::KeyRing;
use crate::limits::{
    HANDSHAKE_COST_CERTIFICATE, HANDSHAKE_COST_KEY_OVER_TLS, OPENING_EARLY_BYTES_MAX, OPENINGS_MAX,
    OPENINGS_PER_NETWORK_MAX, OPENINGS_TURN_EVERY, TLS_HANDSHAKE_WAIT,
};
use crate::outbox::{ConnectionNumber, SocketNumber};
use crate::peers::{Connected, Peer, network};
use crate::sessions::new_peer;
use crate::timers::Now;

/// One of them.
struct Opening {
    tls: Tls,
    socket: SocketNumber,
    address: SocketAddr,
    until: Instant,
    turn: Turn,
    /// What it is about to prove itself with.
    credential: Option<Arc<Credential>>,
    /// Bytes of an unfinished record, or of what waits, as they count in the sum of all.
    buffered: usize,
}

/// Whether it may shake hands.
enum Turn {
    /// It has said nothing yet.
    Silent,
    /// Not yet; this came meanwhile.
    Waiting { early: Vec<u8>, was_counted: bool },
    /// Since it was its turn.
    Come,
}

/// All of a shard.
pub(crate) struct Openings {
    by_number: HashMap<ConnectionNumber, Opening, RandomState>,
    /// In the order in which they are given up.
    due: BTreeSet<(Instant, ConnectionNumber)>,
    /// How many come from one network.
    from: HashMap<IpAddr, usize, RandomState>,
    /// Those whose turn has not come.
    waiting: BTreeSet<ConnectionNumber>,
    /// When they are asked in.
    turn_at: Option<Instant>,
}

impl Openings {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            by_number: HashMap::with_hasher(hasher.clone()),
            due: BTreeSet::new(),
            from: HashMap::with_hasher(hasher),
            waiting: BTreeSet::new(),
            turn_at: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(crate) fn from(&self, address: IpAddr) -> usize {
        self.from.get(&network(address)).copied().unwrap_or(0)
    }

    /// What keeps one more from this address out.
    fn room_for(&self, address: IpAddr) -> Option<Wait> {
        if self.len() >= OPENINGS_MAX {
            return Some(Wait::HalfOpen);
        }
        (self.from(address) >= OPENINGS_PER_NETWORK_MAX).then_some(Wait::HalfOpenOfNetwork)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(when, _)| *when).into_iter().chain(self.turn_at).min()
    }

    fn put(&mut self, number: ConnectionNumber, opening: Opening) {
        self.due.insert((opening.until, number));
        *self.from.entry(network(opening.address.ip())).or_default() += 1;
        self.by_number.insert(number, opening);
    }

    fn take(&mut self, number: ConnectionNumber) -> Option<Opening> {
        let opening = self.by_number.remove(&number)?;
        self.due.remove(&(opening.until, number));
        self.waiting.remove(&number);
        let network = network(opening.address.ip());
        if let Some(count) = self.from.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.from.remove(&network);
            }
        }
        Some(opening)
    }
}

impl Gateway {
    /// Somebody connected to a socket for TLS; false if there is no room.
    pub(crate) fn open_tls(
        &mut self,
        now: Now,
        number: ConnectionNumber,
        socket: SocketNumber,
        address: SocketAddr,
    ) -> bool {
        if let Some(wait) = self.openings.room_for(address.ip()) {
            self.note_waiting(wait);
            self.stats.connections_refused += 1;
            return false;
        }
        let Ok(tls) = self.tls.accept(self.dtls_ms(now)) else {
            self.stats.connections_refused += 1;
            return false;
        };
        let until = now.monotonic + TLS_HANDSHAKE_WAIT;
        let turn = Turn::Silent;
        self.openings.put(number, Opening { tls, socket, address, until, turn, credential: None, buffered: 0 });
        true
    }

    /// Bytes of a handshake.
    pub(crate) fn handle_opening(&mut self, now: Now, number: ConnectionNumber, bytes: &[u8]) {
        let Some(opening) = self.openings.by_number.get_mut(&number) else { return };
        let early = match &mut opening.turn {
            Turn::Come => return self.shake_hands(now, number, bytes),
            Turn::Silent => {
                opening.turn = Turn::Waiting { early: bytes.to_vec(), was_counted: false };
                bytes.len()
            }
            Turn::Waiting { early, .. } => {
                early.extend_from_slice(bytes);
                early.len()
            }
        };
        self.unfinished_bytes = self.unfinished_bytes - opening.buffered + early;
        opening.buffered = early;
        if early > OPENING_EARLY_BYTES_MAX {
            return self.fail_opening(now, number, &SessionError::HandshakeTooLong);
        }
        if self.openings.waiting.insert(number) && self.openings.turn_at.is_none() {
            self.ask_openings_in(now);
        }
    }

    /// Lets those shake hands for whom there is time, in turn. The others are counted once, and asked again soon.
    fn ask_openings_in(&mut self, now: Now) {
        let waiting: Vec<ConnectionNumber> = self.openings.waiting.iter().copied().collect();
        for number in waiting {
            let Some(opening) = self.openings.by_number.get_mut(&number) else { continue };
            let Turn::Waiting { early, was_counted } = &mut opening.turn else { continue };
            let from = opening.address.ip();
            // Whether it will be a key or a certificate shows later.
            match self.admission.admit_connected(now.monotonic, from, HANDSHAKE_COST_CERTIFICATE) {
                Ok(()) => {
                    let early = std::mem::take(early);
                    opening.turn = Turn::Come;
                    self.openings.waiting.remove(&number);
                    self.shake_hands(now, number, &early);
                }
                Err(wait) => {
                    if !std::mem::replace(was_counted, true) {
                        self.note_waiting(wait);
                    }
                }
            }
        }
        let has_more = !self.openings.waiting.is_empty();
        self.openings.turn_at = has_more.then(|| now.monotonic + OPENINGS_TURN_EVERY);
    }

    fn shake_hands(&mut self, now: Now, number: ConnectionNumber, bytes: &[u8]) {
        let now_ms = self.dtls_ms(now);
        let Some(opening) = self.openings.by_number.get_mut(&number) else { return };
        let mut keys = KeyRing::new(now, &self.directory, &self.authorities);
        let mut data = Vec::new();
        let progress = self.outbox.write(number, |out| {
            opening.tls.handle_bytes(now_ms, bytes, &mut keys, &mut |part| data.extend_from_slice(part), out)
        });
        let buffered = opening.tls.allocated();
        self.unfinished_bytes = self.unfinished_bytes - opening.buffered + buffered;
        opening.buffered = buffered;
        opening.credential = keys.asked.or(opening.credential.take());
        match progress {
            Ok(Progress::Established) => self.admit_opening(now, number, &data),
            Ok(Progress::Handshaking | Progress::Data) => {}
            Ok(Progress::Closed) => {
                self.stats.connections_closed += 1;
                self.end_opening(number);
            }
            Err(error) => self.fail_opening(now, number, &error),
        }
    }

    /// The handshake is complete: from now on it is a connection like any other, whose first words may have come already.
    fn admit_opening(&mut self, now: Now, number: ConnectionNumber, data: &[u8]) {
        let Some(opening) = self.openings.take(number) else { return };
        self.stats.handshakes += 1;
        if opening.tls.peer_certificate().is_none() {
            let unused = HANDSHAKE_COST_CERTIFICATE - HANDSHAKE_COST_KEY_OVER_TLS;
            self.admission.give_back(opening.address.ip(), unused);
        }
        let mut csm = Vec::new();
        let connection = Connection::open(now.monotonic, OPTIONS, &mut csm);
        let tls = Some(Box::new(opening.tls));
        let mut connected = Connected { number, connection, tls, timer: None, buffered: opening.buffered };
        connected.write(&mut self.outbox, |_, out| out.extend_from_slice(&csm));
        let peer =
            Peer { credential: opening.credential, ..new_peer(now, opening.socket.into(), opening.address, None) };
        let key = self.peers.insert(Peer { connected: Some(Box::new(connected)), ..peer });
        self.admit(now, key);
        if self.peers.get(key).is_some() {
            self.handle_plain(now, key, data);
        }
    }

    fn fail_opening(&mut self, now: Now, number: ConnectionNumber, error: &SessionError) {
        let Some(opening) = self.openings.by_number.get(&number) else { return };
        let (identity, address) = (opening.tls.identity().unwrap_or_default().to_vec(), opening.address);
        self.note_handshake(now, address, &identity, error);
        self.end_opening(number);
    }

    fn end_opening(&mut self, number: ConnectionNumber) {
        self.forget_opening(number);
        self.outbox.end(number);
    }

    /// Its connection is gone; false if there was none.
    pub(crate) fn forget_opening(&mut self, number: ConnectionNumber) -> bool {
        let Some(opening) = self.openings.take(number) else { return false };
        self.unfinished_bytes -= opening.buffered;
        true
    }

    /// Asks in whose turn it is, and gives up those who took too long.
    pub(crate) fn handle_openings(&mut self, now: Now) {
        if self.openings.turn_at.is_some_and(|when| when <= now.monotonic) {
            self.ask_openings_in(now);
        }
        while let Some(&(when, number)) = self.openings.due.first()
            && when <= now.monotonic
        {
            self.fail_opening(now, number, &SessionError::HandshakeTimedOut);
        }
    }
}
