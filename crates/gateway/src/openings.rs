//! Connections whose TLS handshake goes on: nobody yet, bounded in number, time and bytes, until they have proved who they
//! are.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use coap::Connection;
use dtls::{Progress, SessionError, Tls};

use crate::connections::OPTIONS;
use crate::credential::Credential;
use crate::gateway::Gateway;
use crate::keyring::KeyRing;
use crate::limits::{OPENINGS_MAX, TLS_HANDSHAKE_WAIT};
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
    /// What it is about to prove itself with.
    credential: Option<Arc<Credential>>,
    /// Bytes of an unfinished record, as they count in the sum of all.
    buffered: usize,
}

/// All of a shard.
pub(crate) struct Openings {
    by_number: HashMap<ConnectionNumber, Opening, RandomState>,
    /// In the order in which they are given up.
    due: BTreeSet<(Instant, ConnectionNumber)>,
    /// How many come from one network.
    from: HashMap<IpAddr, usize, RandomState>,
}

impl Openings {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            by_number: HashMap::with_hasher(hasher.clone()),
            due: BTreeSet::new(),
            from: HashMap::with_hasher(hasher),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(crate) fn from(&self, address: IpAddr) -> usize {
        self.from.get(&network(address)).copied().unwrap_or(0)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(when, _)| *when)
    }

    fn put(&mut self, number: ConnectionNumber, opening: Opening) {
        self.due.insert((opening.until, number));
        *self.from.entry(network(opening.address.ip())).or_default() += 1;
        self.by_number.insert(number, opening);
    }

    fn take(&mut self, number: ConnectionNumber) -> Option<Opening> {
        let opening = self.by_number.remove(&number)?;
        self.due.remove(&(opening.until, number));
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
        if self.openings.len() >= OPENINGS_MAX {
            self.stats.connections_refused += 1;
            return false;
        }
        let Ok(tls) = self.tls.accept(self.dtls_ms(now)) else {
            self.stats.connections_refused += 1;
            return false;
        };
        let until = now.monotonic + TLS_HANDSHAKE_WAIT;
        self.openings.put(number, Opening { tls, socket, address, until, credential: None, buffered: 0 });
        true
    }

    /// Bytes of a handshake.
    pub(crate) fn handle_opening(&mut self, now: Now, number: ConnectionNumber, bytes: &[u8]) {
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

    /// Gives up those who took too long.
    pub(crate) fn end_slow_openings(&mut self, now: Now) {
        while let Some(&(when, number)) = self.openings.due.first()
            && when <= now.monotonic
        {
            self.fail_opening(now, number, &SessionError::HandshakeTimedOut);
        }
    }
}
