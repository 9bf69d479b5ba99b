//! Datagrams, and bytes of connections, on their way out.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Which of the shard's sockets; the caller numbers them.
pub type SocketNumber = u8;

/// What the caller calls a connection. No number is used a second time.
pub type ConnectionNumber = u64;

/// One of this gateway's sockets, or of another's that hands over what reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Socket {
    /// The other gateway, by the number of its node.
    pub(crate) node: Option<u16>,
    pub(crate) number: SocketNumber,
}

impl From<SocketNumber> for Socket {
    fn from(number: SocketNumber) -> Self {
        Self { node: None, number }
    }
}

/// A datagram between two gateways: one has the socket, the other the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover<'a> {
    /// Which way it goes.
    pub way: Way,
    /// The other gateway, by the number of its node.
    pub node: u16,
    /// Of the gateway that has the socket.
    pub socket: SocketNumber,
    /// Of the device.
    pub address: SocketAddr,
    /// What the device sent, or is to get.
    pub datagram: &'a [u8],
}

/// Which way a datagram goes between two gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a device to the gateway that has its session.
    Up,
    /// To a device, by the gateway that it reaches.
    Down,
}

/// What is to be sent, in order. The caller sends it all and clears.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    datagrams: Vec<(SocketNumber, SocketAddr, usize)>,
    handed: Vec<u8>,
    handovers: Vec<(Way, u16, SocketNumber, SocketAddr, usize)>,
    written: Vec<u8>,
    pieces: Vec<(ConnectionNumber, usize)>,
    ended: Vec<ConnectionNumber>,
    /// Messages that were not sent, because their peer takes none of that length.
    pub(crate) too_long: u64,
    /// Messages that were not sent, because the checkpoints of their session could not be written for too long.
    pub(crate) exhausted: u64,
}

impl Outbox {
    /// Appends what `write` writes as one datagram.
    pub(crate) fn push(&mut self, socket: Socket, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(node) = socket.node else {
            write(&mut self.bytes);
            self.datagrams.push((socket.number, to, self.bytes.len()));
            return;
        };
        write(&mut self.handed);
        self.handovers.push((Way::Down, node, socket.number, to, self.handed.len()));
    }

    /// Appends a datagram that is another gateway's.
    pub(crate) fn hand_up(&mut self, node: u16, socket: SocketNumber, from: SocketAddr, datagram: &[u8]) {
        self.handed.extend_from_slice(datagram);
        self.handovers.push((Way::Up, node, socket, from, self.handed.len()));
    }

    /// Every datagram that goes to another gateway.
    pub fn handovers(&self) -> impl Iterator<Item = Handover<'_>> {
        let mut start = 0;
        self.handovers.iter().map(move |&(way, node, socket, address, end)| {
            let datagram = &self.handed[start..end];
            start = end;
            Handover { way, node, socket, address, datagram }
        })
    }

    /// Every datagram with its socket and destination.
    pub fn iter(&self) -> impl Iterator<Item = (SocketNumber, SocketAddr, &[u8])> {
        let mut start = 0;
        self.datagrams.iter().map(move |&(socket, to, end)| {
            let datagram = &self.bytes[start..end];
            start = end;
            (socket, to, datagram)
        })
    }

    /// Appends what `write` writes to what a connection is to carry.
    pub(crate) fn write<T>(&mut self, connection: ConnectionNumber, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let before = self.written.len();
        let result = write(&mut self.written);
        if self.written.len() > before {
            self.pieces.push((connection, self.written.len()));
        }
        result
    }

    /// Bytes that wait for connections.
    pub(crate) fn written_bytes(&self) -> usize {
        self.written.len()
    }

    /// A connection is to be closed when what was written before has left.
    pub(crate) fn end(&mut self, connection: ConnectionNumber) {
        self.ended.push(connection);
    }

    /// Bytes with the connection that is to carry them.
    pub fn pieces(&self) -> impl Iterator<Item = (ConnectionNumber, &[u8])> {
        let mut start = 0;
        self.pieces.iter().map(move |&(connection, end)| {
            let piece = &self.written[start..end];
            start = end;
            (connection, piece)
        })
    }

    /// Connections to close when the pieces have left.
    pub fn ended(&self) -> &[ConnectionNumber] {
        &self.ended
    }

    /// How many datagrams wait.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty() && self.handovers.is_empty() && self.pieces.is_empty() && self.ended.is_empty()
    }

    /// Forgets everything, and gives a large buffer back.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
        self.handed.clear();
        self.handovers.clear();
        self.written.clear();
        self.pieces.clear();
        self.ended.clear();
        self.written.shrink_to(OUTBOX_BYTES_KEPT_MAX);
        self.bytes.shrink_to(OUTBOX_BYTES_KEPT_MAX);
        self.handed.shrink_to(OUTBOX_BYTES_KEPT_MAX);
        self.handovers.shrink_to(OUTBOX_BYTES_KEPT_MAX / 64);
        self.datagrams.shrink_to(OUTBOX_BYTES_KEPT_MAX / 64);
    }
}

/// What an ordinary round fills; a burst gives the rest back.
const OUTBOX_BYTES_KEPT_MAX: usize = 256 * 1024;
