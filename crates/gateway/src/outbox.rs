//! Datagrams on their way out, in one buffer.

use std::net::SocketAddr;

/// Which of the shard's sockets; the caller numbers them.
pub type SocketNumber = u8;

/// Datagrams to send, in order. The caller sends them all and clears.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    datagrams: Vec<(SocketNumber, SocketAddr, usize)>,
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

    /// How many datagrams wait.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Forgets all datagrams, and gives a large buffer back.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
        self.bytes.shrink_to(OUTBOX_BYTES_KEPT_MAX);
        self.datagrams.shrink_to(OUTBOX_BYTES_KEPT_MAX / 64);
    }
}

/// What an ordinary round fills; a burst gives the rest back.
const OUTBOX_BYTES_KEPT_MAX: usize = 256 * 1024;
