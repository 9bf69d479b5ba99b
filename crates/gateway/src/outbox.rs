//! Datagrams, and bytes of connections, on their way out.

use std::net::SocketAddr;

/// Which of the shard's sockets; the caller numbers them.
pub type SocketNumber = u8;

/// What the caller calls a connection. No number is used a second time.
pub type ConnectionNumber = u64;

/// What is to be sent, in order. The caller sends it all and clears.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    datagrams: Vec<(SocketNumber, SocketAddr, usize)>,
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
    pub(crate) fn push(&mut self, socket: SocketNumber, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.datagrams.push((socket, to, self.bytes.len()));
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
        self.datagrams.is_empty() && self.pieces.is_empty() && self.ended.is_empty()
    }

    /// Forgets everything, and gives a large buffer back.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
        self.written.clear();
        self.pieces.clear();
        self.ended.clear();
        self.written.shrink_to(OUTBOX_BYTES_KEPT_MAX);
        self.bytes.shrink_to(OUTBOX_BYTES_KEPT_MAX);
        self.datagrams.shrink_to(OUTBOX_BYTES_KEPT_MAX / 64);
    }
}

/// What an ordinary round fills; a burst gives the rest back.
const OUTBOX_BYTES_KEPT_MAX: usize = 256 * 1024;
