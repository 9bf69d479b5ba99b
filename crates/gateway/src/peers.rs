//! Whom we exchange messages with: an address, a DTLS session that may change its address, or a connection.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use coap::blockwise::Uploads;
use coap::exchange::{Answers, Responses};
use coap::{Capacity, Connection};
use dtls::{ConnectionId, PeerCertificate, Session, Suite, Tls};
use hashbrown::HashTable;

use crate::credential::Credential;
use crate::devices::DeviceIndex;
use crate::outbox::{ConnectionNumber, Outbox, Socket};
use crate::timers::Slot;

/// Names one peer for as long as it lives; a later one in the same place has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PeerKey {
    pub(crate) index: u32,
    generation: u32,
}

/// One peer.
pub(crate) struct Peer {
    pub(crate) socket: Socket,
    pub(crate) address: SocketAddr,
    /// Without one it speaks in the clear, or over a connection that has a security of its own.
    pub(crate) security: Option<Box<Association>>,
    /// Without one it sends datagrams.
    pub(crate) connected: Option<Box<Connected>>,
    /// What it proved itself with, or is about to.
    pub(crate) credential: Option<Arc<Credential>>,
    /// Whose peer it is, once we know.
    pub(crate) device: Option<DeviceIndex>,
    /// What we answered lately, for copies of a request.
    pub(crate) answers: Answers,
    /// Its bodies that come in blocks.
    pub(crate) uploads: Uploads,
    /// Answers that travel on their own until they are acknowledged.
    pub(crate) responses: Responses<()>,
    pub(crate) separate: Slot,
    pub(crate) heard_at: Instant,
}

/// A DTLS session and what belongs to it.
pub(crate) struct Association {
    pub(crate) session: Session,
    pub(crate) connection_id: ConnectionId,
    pub(crate) began_at: Instant,
    pub(crate) is_established: bool,
    pub(crate) handshake: Slot,
    /// No record may have this number before a newer checkpoint is safe.
    pub(crate) safe_up_to: Option<u64>,
}

/// A connection and what belongs to it.
pub(crate) struct Connected {
    pub(crate) number: ConnectionNumber,
    pub(crate) connection: Connection,
    /// Without it, it is in the clear.
    pub(crate) tls: Option<Box<Tls>>,
    pub(crate) timer: Slot,
    /// Bytes of an unfinished message, as they count in the sum of all.
    pub(crate) buffered: usize,
}

impl Peer {
    /// What it takes, if it is connected.
    pub(crate) fn capacity(&self) -> Option<Capacity> {
        self.connected.as_ref().map(|connected| connected.connection.capacity())
    }

    /// Whether it proves who it is, and nobody else can read what it says.
    pub(crate) fn is_secure(&self) -> bool {
        self.security.is_some() || self.tls().is_some()
    }

    fn tls(&self) -> Option<&Tls> {
        self.connected.as_ref()?.tls.as_deref()
    }

    /// The PSK identity that it proved, or claims in a handshake.
    pub(crate) fn identity(&self) -> Option<&[u8]> {
        match &self.security {
            Some(association) => association.session.identity(),
            None => self.tls()?.identity(),
        }
    }

    /// The certificate that it proved, or showed in a handshake.
    pub(crate) fn certificate(&self) -> Option<&PeerCertificate> {
        match &self.security {
            Some(association) => association.session.peer_certificate(),
            None => self.tls()?.peer_certificate(),
        }
    }

    /// What it goes by: its PSK identity, or the common name of its certificate.
    pub(crate) fn name(&self) -> &[u8] {
        let of_certificate = || self.certificate()?.common_name.as_deref().map(str::as_bytes);
        self.identity().or_else(of_certificate).unwrap_or_default()
    }

    pub(crate) fn suite(&self) -> Option<Suite> {
        match &self.security {
            Some(association) => association.session.suite(),
            None => self.tls()?.suite(),
        }
    }
}

impl Connected {
    /// Appends what `write` writes to what the connection is to carry, protected where it must be.
    pub(crate) fn write<T>(
        &mut self,
        outbox: &mut Outbox,
        write: impl FnOnce(&mut Connection, &mut Vec<u8>) -> T,
    ) -> T {
        let Some(tls) = &mut self.tls else {
            return outbox.write(self.number, |out| write(&mut self.connection, out));
        };
        let mut said = Vec::new();
        let result = write(&mut self.connection, &mut said);
        if !said.is_empty() {
            // A connection that cannot send is over, and its peer will make another.
            let _ = outbox.write(self.number, |out| tls.send(&said, out));
        }
        result
    }

    /// The last word of TLS, if there is any, before the connection ends.
    pub(crate) fn say_goodbye(&mut self, outbox: &mut Outbox) {
        if let Some(tls) = &mut self.tls {
            outbox.write(self.number, |out| tls.close(out));
        }
    }

    /// Bytes of what has not come whole.
    pub(crate) fn allocated(&self) -> usize {
        self.connection.allocated() + self.tls.as_ref().map_or(0, |tls| tls.allocated())
    }
}

struct Place {
    generation: u32,
    peer: Option<Peer>,
}

/// All peers of a shard.
pub(crate) struct Peers {
    places: Vec<Place>,
    free: Vec<u32>,
    /// Places only: the address is looked up where the peer is, which is wanted next anyway. So the table is a tenth of
    /// one with addresses in it, and stays in the processor's cache.
    by_address: HashTable<u32>,
    by_connection_id: HashMap<ConnectionId, u32, RandomState>,
    by_connection: HashMap<ConnectionNumber, u32, RandomState>,
    /// How many connections come from one network.
    connections_from: HashMap<IpAddr, usize, RandomState>,
    hasher: RandomState,
    half_open: usize,
    secure: usize,
    /// Where the sweep goes on.
    swept: usize,
}

impl Peers {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            by_address: HashTable::new(),
            by_connection_id: HashMap::with_hasher(hasher.clone()),
            by_connection: HashMap::with_hasher(hasher.clone()),
            connections_from: HashMap::with_hasher(hasher.clone()),
            hasher,
            half_open: 0,
            secure: 0,
            swept: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn half_open(&self) -> usize {
        self.half_open
    }

    pub(crate) fn secure(&self) -> usize {
        self.secure
    }

    pub(crate) fn get(&self, key: PeerKey) -> Option<&Peer> {
        self.places.get(key.index as usize).filter(|place| place.generation == key.generation)?.peer.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?.peer.as_mut()
    }

    /// The peer in a place, whoever it is now.
    pub(crate) fn at(&self, index: u32) -> Option<PeerKey> {
        let place = self.places.get(index as usize)?;
        place.peer.as_ref().map(|_| PeerKey { index, generation: place.generation })
    }

    /// The peer in a place.
    pub(crate) fn peer_at(&self, index: u32) -> Option<&Peer> {
        self.places.get(index as usize)?.peer.as_ref()
    }

    /// Where the peer at an address is, if it is known: nearly always. What would prove it is not looked at.
    pub(crate) fn likely_by_address(&self, socket: Socket, address: SocketAddr) -> Option<u32> {
        self.by_address.find(hash(&self.hasher, socket, address), |_| true).copied()
    }

    pub(crate) fn by_address(&self, socket: Socket, address: SocketAddr) -> Option<PeerKey> {
        let hash = hash(&self.hasher, socket, address);
        let index = self.by_address.find(hash, |index| is_at(&self.places, *index, socket, address))?;
        self.at(*index)
    }

    /// From now on this address means the peer in this place, which has it already.
    fn learn_address(&mut self, index: u32, socket: Socket, address: SocketAddr) {
        let Self { by_address, hasher, places, .. } = self;
        let hash_of = |socket, address| hash(hasher, socket, address);
        let hash = hash_of(socket, address);
        match by_address.find_mut(hash, |other| is_at(places, *other, socket, address)) {
            Some(former) => *former = index,
            None => {
                let rehash = |index: &u32| {
                    let peer = places.get(*index as usize).and_then(|place| place.peer.as_ref());
                    peer.map_or(0, |peer| hash_of(peer.socket, peer.address))
                };
                by_address.insert_unique(hash, index, rehash);
            }
        }
    }

    /// The address of this peer means nobody any more, unless it means another by now. Before the peer leaves it.
    fn forget_address(&mut self, index: u32, socket: Socket, address: SocketAddr) {
        let hash = hash(&self.hasher, socket, address);
        if let Ok(entry) = self.by_address.find_entry(hash, |other| *other == index) {
            entry.remove();
        }
    }

    pub(crate) fn likely_by_connection_id(&self, id: ConnectionId) -> Option<u32> {
        self.by_connection_id.get(&id).copied()
    }

    pub(crate) fn by_connection_id(&self, id: ConnectionId) -> Option<PeerKey> {
        self.by_connection_id.get(&id).and_then(|index| self.at(*index))
    }

    pub(crate) fn by_connection(&self, number: ConnectionNumber) -> Option<PeerKey> {
        self.by_connection.get(&number).and_then(|index| self.at(*index))
    }

    pub(crate) fn connections(&self) -> usize {
        self.by_connection.len()
    }

    pub(crate) fn connected(&self) -> Vec<PeerKey> {
        self.by_connection.values().filter_map(|index| self.at(*index)).collect()
    }

    pub(crate) fn connections_from(&self, address: IpAddr) -> usize {
        self.connections_from.get(&network(address)).copied().unwrap_or(0)
    }

    /// A new peer at an address; whoever had the address before keeps everything else.
    pub(crate) fn insert(&mut self, peer: Peer) -> PeerKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, peer: None });
            self.places.len() as u32 - 1
        });
        if let Some(connected) = &peer.connected {
            self.by_connection.insert(connected.number, index);
            *self.connections_from.entry(network(peer.address.ip())).or_default() += 1;
        }
        if let Some(association) = &peer.security {
            self.by_connection_id.insert(association.connection_id, index);
            self.half_open += 1;
            self.secure += 1;
        }
        let address = peer.connected.is_none().then_some((peer.socket, peer.address));
        let place = &mut self.places[index as usize];
        place.peer = Some(peer);
        let key = PeerKey { index, generation: place.generation };
        if let Some((socket, address)) = address {
            self.learn_address(index, socket, address);
        }
        key
    }

    pub(crate) fn remove(&mut self, key: PeerKey) -> Option<Peer> {
        let (socket, address) = self.get(key).map(|peer| (peer.socket, peer.address))?;
        self.forget_address(key.index, socket, address);
        let place = self.places.get_mut(key.index as usize)?;
        let peer = place.peer.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        if let Some(connected) = &peer.connected {
            self.by_connection.remove(&connected.number);
            if let Entry::Occupied(mut count) = self.connections_from.entry(network(peer.address.ip())) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        if let Some(association) = &peer.security {
            self.by_connection_id.remove(&association.connection_id);
            self.secure -= 1;
            self.half_open -= usize::from(!association.is_established);
        }
        Some(peer)
    }

    /// The handshake is complete; said once.
    pub(crate) fn establish(&mut self, key: PeerKey) {
        if let Some(association) = self.get_mut(key).and_then(|peer| peer.security.as_mut())
            && !association.is_established
        {
            association.is_established = true;
            self.half_open -= 1;
        }
    }

    /// The peer speaks from a new address, or to another socket, now (RFC 9146 §6; the caller has checked that it may).
    pub(crate) fn relocate(&mut self, key: PeerKey, socket: Socket, address: SocketAddr) {
        let Some((socket_before, before)) = self.get(key).map(|peer| (peer.socket, peer.address)) else { return };
        self.forget_address(key.index, socket_before, before);
        if let Some(peer) = self.get_mut(key) {
            peer.socket = socket;
            peer.address = address;
        }
        self.learn_address(key.index, socket, address);
    }

    /// The next few places, so that all are looked at once in a while.
    pub(crate) fn sweep(&mut self, count: usize) -> impl Iterator<Item = PeerKey> + use<'_> {
        let places = self.places.len();
        let first = self.swept;
        self.swept = if places == 0 { 0 } else { (first + count.min(places)) % places };
        (0..count.min(places)).filter_map(move |step| self.at(((first + step) % places) as u32))
    }

    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }
}

/// The hash of an address: in as few steps as hold all of it.
fn hash(hasher: &RandomState, socket: Socket, address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let node = socket.node.map_or(0, |node| u64::from(node) + 1);
    hasher.hash_one((ip, node << 24 | u64::from(socket.number) << 16 | u64::from(address.port())))
}

/// Whether the peer in a place has this address.
fn is_at(places: &[Place], index: u32, socket: Socket, address: SocketAddr) -> bool {
    let peer = places.get(index as usize).and_then(|place| place.peer.as_ref());
    peer.is_some_and(|peer| peer.address == address && peer.socket == socket)
}

/// What one subscriber of a network has: an address of IPv4, or 64 bits of one of IPv6.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}
