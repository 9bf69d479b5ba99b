//! Between gateways: datagrams that reached one and are for a device whose session another has.
//!
//! What devices say is protected already (only records of DTLS travel here), but where to send an answer is not: each
//! frame is authenticated with a key that all gateways of an installation have (HMAC-SHA256, RFC 2104, cut to 16 bytes as
//! its §5 allows). A frame that is played again is a datagram that came twice, which DTLS does not mind.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use gateway::{Handover, Outbox, Way};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::receive::{DATAGRAMS_PER_CALL_MAX, Room};
use crate::udp::{DATAGRAM_BYTES_MAX, Losses, send};

/// What a frame begins with: a word, and the version of its form.
const BEGINNING: [u8; 4] = *b"Shl\x01";
const TAG_BYTES: usize = 16;
/// Beginning, way, sender, receiver, socket, kind of address, address, port.
const HEAD_BYTES_MAX: usize = 4 + 1 + 2 + 2 + 1 + 1 + 16 + 2;
/// The longest record that a device may send, and what goes around it.
const FRAME_BYTES_MAX: usize = HEAD_BYTES_MAX + DATAGRAM_BYTES_MAX + TAG_BYTES;
const KEY_BYTES: usize = 32;
/// Full calls before devices get their turn.
const CALLS_PER_TURN_MAX: usize = 4;

/// How a gateway is reached by the others.
pub struct LinkOptions {
    /// Where it listens; port 0 is any that is free.
    pub listen: SocketAddr,
    /// What all gateways of the installation have in common.
    pub key: zeroize::Zeroizing<[u8; KEY_BYTES]>,
}

/// A gateway's way to the others.
pub(crate) struct Link {
    socket: UdpSocket,
    keyed: Hmac<Sha256>,
    own: u16,
    taken_over: Vec<u16>,
    others: HashMap<u16, SocketAddr>,
    room: Room<FRAME_BYTES_MAX>,
    frames: Vec<u8>,
    ends: Vec<(SocketAddr, usize)>,
}

/// What the link did not take, or could not give.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Refused {
    /// Not authentic, not for us, or no frame at all.
    pub(crate) strange: u64,
    /// For a gateway that nobody knows.
    pub(crate) nobody: u64,
}

impl Link {
    pub(crate) fn bind(options: &LinkOptions, own: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind(options.listen)?;
        socket.set_nonblocking(true)?;
        let keyed = Hmac::new_from_slice(options.key.as_slice()).map_err(io::Error::other)?;
        Ok(Self {
            socket,
            keyed,
            own,
            taken_over: Vec::new(),
            others: HashMap::new(),
            room: Room::default(),
            frames: Vec::new(),
            ends: Vec::new(),
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) fn set_nodes(&mut self, taken_over: &[u16], others: &[(u16, SocketAddr)]) {
        self.taken_over = taken_over.to_vec();
        self.others = others.iter().copied().collect();
    }

    /// Hands every frame that is there to `take`, up to the bound of one turn.
    pub(crate) fn receive(&mut self, losses: &mut Losses, refused: &mut Refused, mut take: impl FnMut(Handover<'_>)) {
        let Self { socket, keyed, own, taken_over, room, .. } = self;
        let is_ours = |node: u16| node == *own || taken_over.contains(&node);
        for _ in 0..CALLS_PER_TURN_MAX {
            let received = room.receive(socket.as_fd());
            refused.strange += room.too_long() as u64;
            for (_, frame) in room.datagrams() {
                match read(keyed, frame).filter(|(_, receiver)| is_ours(*receiver)) {
                    Some((handover, _)) => take(handover),
                    None => refused.strange += 1,
                }
            }
            match received {
                Ok(DATAGRAMS_PER_CALL_MAX) => {}
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A gateway that has just ended answers with an error of its host: nothing to do about it here.
                Err(_) => losses.receive_failed += 1,
            }
        }
    }

    /// Sends every datagram that is for another gateway.
    pub(crate) fn send(&mut self, outbox: &Outbox, losses: &mut Losses, refused: &mut Refused) {
        let Self { socket, keyed, own, others, frames, ends, .. } = self;
        for handover in outbox.handovers() {
            match others.get(&handover.node) {
                Some(&to) => {
                    write(keyed, *own, &handover, frames);
                    ends.push((to, frames.len()));
                }
                None => refused.nobody += 1,
            }
        }
        let mut start = 0;
        let all: Vec<(SocketAddr, &[u8])> = ends
            .iter()
            .map(|&(to, end)| {
                let frame = &frames[start..end];
                start = end;
                (to, frame)
            })
            .collect();
        all.chunks(DATAGRAMS_PER_CALL_MAX).for_each(|some| send(socket, some, losses));
        frames.clear();
        ends.clear();
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Appends a frame.
fn write(keyed: &Hmac<Sha256>, own: u16, handover: &Handover<'_>, frames: &mut Vec<u8>) {
    let start = frames.len();
    frames.extend_from_slice(&BEGINNING);
    frames.push(match handover.way {
        Way::Up => 0,
        Way::Down => 1,
    });
    frames.extend_from_slice(&own.to_be_bytes());
    frames.extend_from_slice(&handover.node.to_be_bytes());
    frames.push(handover.socket);
    match handover.address.ip() {
        IpAddr::V4(ip) => {
            frames.push(4);
            frames.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            frames.push(6);
            frames.extend_from_slice(&ip.octets());
        }
    }
    frames.extend_from_slice(&handover.address.port().to_be_bytes());
    frames.extend_from_slice(handover.datagram);
    let tag = keyed.clone().chain_update(&frames[start..]).finalize().into_bytes();
    frames.extend_from_slice(&tag[..TAG_BYTES]);
}

/// A frame and whom it is for; the gateway in it is the one that sent it. Nothing if it is not authentic.
fn read<'a>(keyed: &Hmac<Sha256>, frame: &'a [u8]) -> Option<(Handover<'a>, u16)> {
    let (said, tag) = frame.split_at_checked(frame.len().checked_sub(TAG_BYTES)?)?;
    keyed.clone().chain_update(said).verify_truncated_left(tag).ok()?;
    let (way, rest) = said.strip_prefix(&BEGINNING)?.split_first()?;
    let way = match way {
        0 => Way::Up,
        1 => Way::Down,
        _ => return None,
    };
    let (node, rest) = rest.split_first_chunk()?;
    let (receiver, rest) = rest.split_first_chunk()?;
    let (&socket, rest) = rest.split_first()?;
    let (kind, rest) = rest.split_first()?;
    let (ip, rest) = match kind {
        4 => rest.split_first_chunk().map(|(ip, rest)| (IpAddr::from(Ipv4Addr::from(*ip)), rest))?,
        6 => rest.split_first_chunk::<16>().map(|(ip, rest)| (IpAddr::from(Ipv6Addr::from(*ip)), rest))?,
        _ => return None,
    };
    let (port, datagram) = rest.split_first_chunk()?;
    let address = SocketAddr::new(ip, u16::from_be_bytes(*port));
    Some((Handover { way, node: u16::from_be_bytes(*node), socket, address, datagram }, u16::from_be_bytes(*receiver)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn keyed(byte: u8) -> Hmac<Sha256> {
        Hmac::new_from_slice(&[byte; KEY_BYTES]).unwrap()
    }

    fn handovers() -> Vec<Handover<'static>> {
        let addresses = ["192.0.2.7:5683", "[2001:db8::7]:1"];
        let ways = [Way::Up, Way::Down];
        ways.into_iter()
            .flat_map(|way| {
                addresses.map(|address| Handover {
                    way,
                    node: 0x0102,
                    socket: 3,
                    address: address.parse().unwrap(),
                    datagram: b"a record",
                })
            })
            .collect()
    }

    #[test]
    fn what_one_gateway_writes_the_other_reads() {
        for handover in handovers() {
            let mut frame = Vec::new();
            write(&keyed(1), 0x0a0b, &handover, &mut frame);

            let read = read(&keyed(1), &frame).unwrap();

            assert_eq!(read, (Handover { node: 0x0a0b, ..handover }, 0x0102));
        }
    }

    #[test]
    fn a_frame_that_was_touched_is_none() {
        let mut frame = Vec::new();
        write(&keyed(1), 7, &handovers()[0], &mut frame);

        for at in 0..frame.len() {
            let mut touched = frame.clone();
            touched[at] ^= 1;
            assert_eq!(read(&keyed(1), &touched), None, "byte {at}");
            assert_eq!(read(&keyed(1), &frame[..at]), None, "{at} bytes");
        }
        assert_eq!(read(&keyed(2), &frame), None, "another key");
    }
}
