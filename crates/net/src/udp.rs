//! UDP sockets: what one call to the kernel can do for many datagrams, it does.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use gateway::{Outbox, SocketNumber};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg as _;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketFlags, SocketType};

use crate::listener;
use crate::receive::{self, DATAGRAMS_PER_CALL_MAX};
use crate::uri::Uri;

/// Largest datagram that is taken: the record bound of the DTLS layer. A longer one is dropped, never cut.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 4096;
/// What the kernel keeps for us while the shard is busy: a hundred milliseconds of 100,000 datagrams a second. Where the
/// system's own bound (net.core.rmem_max) is smaller, we get that.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
const SEND_BUFFER_BYTES: usize = 4 << 20;
/// How long the shard waits for a full send buffer before it drops: a network card empties one much faster.
const SEND_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// Where the datagrams of one call are put.
pub(crate) type Room = receive::Room<DATAGRAM_BYTES_MAX>;

/// What the network did not take or we did not.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Losses {
    /// Longer than we take.
    pub(crate) too_long: u64,
    /// The kernel had none for us, but an error.
    pub(crate) receive_failed: u64,
    /// The kernel did not take it: no way there, too long for the way, or the buffer stayed full.
    pub(crate) send_failed: u64,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UdpSocket,
    is_secure: bool,
}

impl Listener {
    pub(crate) fn bind(uri: Uri) -> io::Result<Self> {
        let family = if uri.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
        if uri.address.is_ipv4() {
            // RFC 7252 §4.6: no fragments. It also saves the kernel an id for each datagram.
            sockopt::set_ip_mtu_discover(&socket, sockopt::Ipv4PathMtuDiscovery::DO)?;
        } else {
            sockopt::set_ipv6_mtu_discover(&socket, sockopt::Ipv6PathMtuDiscovery::DO)?;
            // So that `[::]` and `0.0.0.0` are two listeners that do not meet.
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        // Smaller buffers lose datagrams in a burst; that is no reason not to listen.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES));
        let _ = sockopt::set_socket_send_buffer_size_force(&socket, SEND_BUFFER_BYTES)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER_BYTES));
        rustix::net::bind(&socket, &uri.address)?;
        Ok(Self { socket: socket.into(), is_secure: uri.is_secure })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Where it listens, with the port that was found.
    pub(crate) fn uri(&self) -> io::Result<Uri> {
        Ok(Uri { is_secure: self.is_secure, is_tcp: false, address: self.socket.local_addr()? })
    }

    /// Takes what is there into the room, up to the bound of one call; whether more may wait behind it. Behind an error
    /// there may: it is of what was sent before, and leaves the room empty.
    pub(crate) fn receive(&self, room: &mut Room, losses: &mut Losses) -> bool {
        let received = room.receive(self.as_fd());
        losses.too_long += room.too_long() as u64;
        match received {
            Ok(count) => count == DATAGRAMS_PER_CALL_MAX,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                losses.receive_failed += 1;
                true
            }
        }
    }

    fn send(&self, datagrams: &[(SocketAddr, &[u8])], losses: &mut Losses) {
        send(&self.socket, datagrams, losses);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends datagrams in their order. One that the kernel does not take is lost, as any datagram may be.
pub(crate) fn send(socket: &UdpSocket, datagrams: &[(SocketAddr, &[u8])], losses: &mut Losses) {
    if let [(to, datagram)] = datagrams {
        // The way of almost everything when little is to do.
        if socket.send_to(datagram, to).is_ok() {
            return;
        }
    }
    let addresses: Vec<SocketAddrAny> = datagrams.iter().map(|(to, _)| to.as_any()).collect();
    let slices: Vec<[IoSlice<'_>; 1]> = datagrams.iter().map(|(_, datagram)| [IoSlice::new(datagram)]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        datagrams.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut headers: Vec<MMsgHdr<'_>> = addresses
        .iter()
        .zip(&slices)
        .zip(&mut controls)
        .map(|((address, slice), control)| MMsgHdr::new_with_addr(address, slice, control))
        .collect();
    let mut rest = headers.as_mut_slice();
    let mut has_waited = false;
    while !rest.is_empty() {
        // What the kernel says is about the first that it did not take.
        let done = match rustix::net::sendmmsg(socket, rest, SendFlags::empty()) {
            Ok(sent) => sent,
            Err(Errno::INTR) => 0,
            Err(Errno::AGAIN) if !has_waited => {
                has_waited = true;
                let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&SEND_WAIT));
                0
            }
            Err(_) => {
                losses.send_failed += 1;
                1
            }
        };
        rest = &mut rest[done..];
    }
}

/// Sends every datagram that waits, socket by socket.
pub(crate) fn send_all(listeners: &[listener::Listener], outbox: &Outbox, losses: &mut Losses) {
    let mut run: Vec<(SocketAddr, &[u8])> = Vec::with_capacity(outbox.len().min(DATAGRAMS_PER_CALL_MAX));
    let mut of: SocketNumber = 0;
    for (socket, to, datagram) in outbox.iter() {
        if socket != of || run.len() == DATAGRAMS_PER_CALL_MAX {
            flush(listeners, of, &mut run, losses);
            of = socket;
        }
        run.push((to, datagram));
    }
    flush(listeners, of, &mut run, losses);
}

fn flush(
    listeners: &[listener::Listener],
    socket: SocketNumber,
    run: &mut Vec<(SocketAddr, &[u8])>,
    losses: &mut Losses,
) {
    if let Some(listener::Listener::Udp(listener)) = listeners.get(usize::from(socket)).filter(|_| !run.is_empty()) {
        listener.send(run, losses);
    }
    run.clear();
}

/// Why nobody can listen there, in the words of the system, without its number.
pub(crate) fn reason(error: &io::Error) -> impl fmt::Display {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().collect::<String>()).unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use std::time::{Duration, Instant};

    use super::*;

    fn listener(uri: &str) -> Listener {
        Listener::bind(Uri::parse(uri).unwrap()).unwrap()
    }

    fn received(listener: &Listener, count: usize, losses: &mut Losses) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let until = Instant::now() + Duration::from_secs(10);
        while all.len() < count && Instant::now() < until {
            let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&SEND_WAIT));
            let mut room = Room::default();
            listener.receive(&mut room, losses);
            all.extend(room.datagrams().map(|(_, datagram)| datagram.to_vec()));
        }
        all
    }

    #[test]
    fn more_datagrams_than_one_call_takes_arrive_in_their_order() {
        for uri in ["coap://127.0.0.1:0", "coap://[::1]:0"] {
            let (here, there) = (listener(uri), listener(uri));
            let to = there.uri().unwrap().address;
            let datagrams: Vec<Vec<u8>> = (0..150_u8).map(|number| vec![number; 3]).collect();
            let mut losses = Losses::default();

            for chunk in datagrams.chunks(DATAGRAMS_PER_CALL_MAX) {
                here.send(&chunk.iter().map(|datagram| (to, datagram.as_slice())).collect::<Vec<_>>(), &mut losses);
            }

            assert_eq!(received(&there, 150, &mut losses), datagrams, "{uri}");
            assert_eq!(losses.send_failed, 0);
        }
    }

    #[test]
    fn a_datagram_that_cannot_leave_does_not_hold_up_the_others() {
        let (here, there) = (listener("coap://127.0.0.1:0"), listener("coap://127.0.0.1:0"));
        let to = there.uri().unwrap().address;
        let too_long = vec![0; 70_000];
        let mut losses = Losses::default();

        here.send(&[(to, b"one"), (to, &too_long), (to, b"two")], &mut losses);

        assert_eq!(received(&there, 2, &mut losses), [b"one", b"two"]);
        assert_eq!(losses.send_failed, 1);
    }

    #[test]
    fn a_datagram_that_is_too_long_is_dropped_and_not_cut() {
        let (here, there) = (listener("coap://127.0.0.1:0"), listener("coap://127.0.0.1:0"));
        let to = there.uri().unwrap().address;
        let mut losses = Losses::default();

        here.send(&[(to, &[0; DATAGRAM_BYTES_MAX + 1]), (to, &[1; DATAGRAM_BYTES_MAX])], &mut losses);

        assert_eq!(received(&there, 1, &mut losses), [vec![1; DATAGRAM_BYTES_MAX]]);
        assert_eq!(losses.too_long, 1);
    }

    #[test]
    fn an_address_that_is_taken_says_so() {
        let taken = listener("coap://127.0.0.1:0");

        let error = Listener::bind(taken.uri().unwrap()).unwrap_err();

        assert_eq!(reason(&error).to_string(), "address already in use");
    }
}
