//! Memory is waited for once for many datagrams, and not once for each.
//!
//! With ten thousand devices nearly nothing of the one that speaks is in the processor's caches. What is known of it is
//! found step by step: its peer by its address, its device by the peer, the words about its place by the device; each
//! step waits for memory that the step before named. Datagrams that came together take each step together, before the
//! first of them is looked at: then the processor fetches for all of them side by side. Nothing is decided here: what is
//! read is thrown away (an instruction to prefetch would be `unsafe`).

use std::hint::black_box;
use std::net::SocketAddr;

use dtls::ConnectionId;

use crate::gateway::Gateway;
use crate::outbox::{Socket, SocketNumber};
use crate::timers::Now;

/// What processors fetch at once, nearly all of them.
const CACHE_LINE_BYTES: usize = 64;
/// How many look ahead together: what they bring near must still be there when it is used.
const AHEAD_MAX: usize = 64;
/// Fewer wait no longer than it takes to look ahead.
const AHEAD_MIN: usize = 4;

impl Gateway {
    /// Datagrams that came in together on a socket, in their order.
    pub fn handle_datagrams<'a>(
        &mut self,
        now: Now,
        socket: SocketNumber,
        datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])> + Clone,
    ) {
        let is_secure = self.is_secure_socket(socket);
        let places = Places::of(datagrams.clone().filter_map(|(from, datagram)| {
            match ConnectionId::of_record(datagram).filter(|_| is_secure) {
                Some(id) => self.peers.likely_by_connection_id(id),
                None => self.peers.likely_by_address(Socket::from(socket), from),
            }
        }));
        self.look_at_peers(&places);
        self.look_at_devices(&places);
        for (from, datagram) in datagrams {
            self.handle_datagram(now, socket, from, datagram);
        }
    }

    /// The log has the events of a page, or has refused them: its answers may leave.
    pub(crate) fn deliver_page(&mut self, now: Now, page: u64, is_committed: bool) {
        for some in self.pages.release(page).chunks(AHEAD_MAX) {
            let places = Places::of(some.iter().map(|held| held.peer.index));
            self.look_at_peers(&places);
            some.iter().for_each(|held| self.deliver(now, *held, is_committed));
        }
    }

    fn look_at_peers(&self, places: &Places) {
        for peer in places.iter().filter_map(|index| self.peers.peer_at(index)) {
            black_box((peer.heard_at, peer.address.port(), peer.answers.is_idle(), peer.responses.is_idle()));
        }
        for peer in places.iter().filter_map(|index| self.peers.peer_at(index)) {
            bring_near(peer.answers.memory());
            if let Some(association) = &peer.security {
                black_box((association.is_established, association.session.is_established()));
            }
        }
    }

    /// After their peers.
    fn look_at_devices(&self, places: &Places) {
        let devices = || {
            let peers = places.iter().filter_map(|index| self.peers.peer_at(index));
            peers.filter_map(|peer| self.directory.get(peer.device?))
        };
        for device in devices() {
            black_box((device.heard_unix_ms, device.partition, device.is_enrolled, device.id.len()));
            black_box((device.awake_until, device.checkpoint.is_kept));
        }
        for device in devices() {
            bring_near(device.id.as_bytes());
            bring_near(device.context.as_bytes());
            if let Some(registration) = &device.registration {
                black_box((registration.queue_mode, registration.expires_at));
            }
        }
    }
}

/// Reads a byte of each line.
fn bring_near(memory: &[u8]) {
    black_box(memory.iter().step_by(CACHE_LINE_BYTES).fold(0_u8, |sum, byte| sum ^ byte));
}

/// Where the peers of some datagrams are.
struct Places {
    all: [u32; AHEAD_MAX],
    count: usize,
}

impl Places {
    /// None of them, where looking ahead would take longer than it saves.
    fn of(coming: impl Iterator<Item = u32>) -> Self {
        let (mut all, mut count) = ([0; AHEAD_MAX], 0);
        for (place, index) in all.iter_mut().zip(coming) {
            *place = index;
            count += 1;
        }
        Self { all, count: if count < AHEAD_MIN { 0 } else { count } }
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        self.all[..self.count].iter().copied()
    }
}
