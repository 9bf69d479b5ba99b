//! Several gateways over one database: which node numbers are whose, and datagrams that reached the wrong one.
//!
//! A node number stands for sessions and registrations, not for a machine: a gateway serves one of its own and whatever
//! it took over from others. Every connection id names the number of its session, so that a datagram which reaches
//! another gateway is handed to the one that has the session, and what is said to the device leaves by where it was
//! heard last: a load balancer, or an address translator on the way, lets nothing else through.

use std::net::SocketAddr;

use dtls::ConnectionId;

use crate::devices::DeviceIndex;
use crate::event::write_number;
use crate::gateway::Gateway;
use crate::limits::NODES_MAX;
use crate::outbox::{Handover, Socket, SocketNumber, Way};
use crate::page::EventWriter;
use crate::registrations::Registration;
use crate::timers::{Now, Timer};

/// Which numbers there are.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    /// Those of this gateway, besides the one that its own connection ids name.
    taken_over: Vec<u16>,
    /// Those of gateways that can be reached.
    others: Vec<u16>,
    /// All that somebody has to speak for: more than those above when a gateway is away.
    known: Vec<u16>,
}

impl Nodes {
    /// For whom a heartbeat speaks, and of whom else there has to be one before a partition is complete.
    pub(crate) fn write(&self, own: u16, event: &mut EventWriter<'_>) {
        for (name, others) in [("nodes", &self.taken_over), ("of", &self.known)] {
            event.value(name, |body| {
                for (place, node) in std::iter::once(&own).chain(others).enumerate() {
                    body.push(if place == 0 { b'[' } else { b',' });
                    write_number(body, *node);
                }
                body.push(b']');
            });
        }
    }
}

impl Gateway {
    /// From now on this gateway has these numbers, besides its own; `others` are of gateways that take handovers, `known` are
    /// those that there are. No more than [`NODES_MAX`] of each count.
    pub fn set_nodes(&mut self, taken_over: &[u16], others: &[u16], known: &[u16]) {
        let own = self.options.node;
        let some = |nodes: &[u16]| nodes.iter().copied().filter(|node| *node != own).take(NODES_MAX).collect();
        self.nodes = Nodes { taken_over: some(taken_over), others: some(others), known: some(known) };
    }

    /// A datagram between two gateways. Nothing in it is believed but what its session finds authentic.
    pub fn handle_handover(&mut self, now: Now, handover: Handover<'_>) {
        let Handover { way, node, socket: number, address, datagram } = handover;
        match way {
            Way::Up => {
                self.stats.datagrams += 1;
                self.stats.handed_to_us += 1;
                let known = ConnectionId::of_record(datagram).and_then(|id| self.peers.by_connection_id(id));
                match known {
                    Some(key) => self.feed(now, key, Socket { node: Some(node), number }, address, datagram),
                    // Whoever handed it over believes that we have the session. It is not handed on: it could go in circles.
                    None => self.stats.unknown_connection_id += 1,
                }
            }
            Way::Down if self.sends_datagrams(number, true) => {
                self.stats.sent_for_others += 1;
                self.outbox.push(number.into(), address, |out| out.extend_from_slice(datagram));
            }
            Way::Down => self.stats.handovers_refused += 1,
        }
    }

    /// The session of a record is not here: another gateway may have it.
    pub(crate) fn hand_up(&mut self, id: ConnectionId, socket: SocketNumber, from: SocketAddr, datagram: &[u8]) {
        let node = id.node();
        if self.nodes.others.contains(&node) {
            self.stats.handed_over += 1;
            self.outbox.hand_up(node, socket, from, datagram);
        } else {
            self.stats.unknown_connection_id += 1;
        }
    }

    /// What is taken up from now on was left before this start: see [`crate::GatewayOptions::start`].
    pub fn count_start(&mut self, start: u32) {
        self.checkpoints.count_start(start);
    }

    /// Whether sessions of this number are ours to take up.
    pub(crate) fn has_node(&self, node: u16) -> bool {
        node == self.options.node || self.nodes.taken_over.contains(&node)
    }

    /// Whether this is a socket for datagrams, with DTLS or in the clear.
    pub(crate) fn sends_datagrams(&self, socket: SocketNumber, is_secure: bool) -> bool {
        let is_stream = self.options.stream_sockets.get(usize::from(socket)).copied().unwrap_or_default();
        self.options.secure_sockets.get(usize::from(socket)) == Some(&is_secure) && !is_stream
    }

    /// Another gateway has these devices now: what is here of them is of the past, and nothing is told of it. One that has
    /// registered here again meanwhile stays; its checkpoint will tell the other.
    pub fn move_away(&mut self, devices: &[String]) {
        for device in devices {
            if let Some(index) = self.directory.by_id(device) {
                self.move_one_away(index);
            }
        }
    }

    fn move_one_away(&mut self, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        let is_ours = |registration: &Registration| !device.checkpoint.is_safe_for(registration.id);
        if device.registration.as_deref().is_none_or(is_ours) {
            return;
        }
        self.stats.moved_away += 1;
        // Whatever was asked is the other gateway's to carry: the caller has it, and gets no answer from here.
        self.asked.retain(|_, of| *of != index);
        self.directory.unregister(index);
        let Some(device) = self.directory.get_mut(index) else { return };
        device.dialog = None;
        device.awake_until = None;
        self.timers.clear(&mut device.expiry, Timer::Expiry(index));
        self.timers.clear(&mut device.downlink, Timer::Downlink(index));
        let peer = device.peer.take();
        self.drop_checkpoint(index);
        if let Some(key) = peer {
            self.remove_peer(key);
        }
    }
}
