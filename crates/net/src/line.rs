//! The connection of one device to its server, over TCP.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Instant;

use device::Device;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

/// Reads before other devices get their turn.
const READS_PER_TURN_MAX: usize = 16;
/// What waits for a server that does not read: a device that has more to say than this is better off with a new connection.
const UNSENT_BYTES_MAX: usize = 1 << 20;

/// A connection, from the moment that it is wanted.
pub(crate) struct Line {
    /// Which one the device wanted.
    number: u64,
    socket: TcpStream,
    is_connected: bool,
    /// What the kernel did not take yet.
    unsent: VecDeque<u8>,
    is_full: bool,
}

impl Line {
    /// Brings the connection to what the device wants: makes it, carries what there is to say, ends it.
    pub(crate) fn follow(
        line: &mut Option<Self>,
        epoll: &OwnedFd,
        handle: u64,
        server: SocketAddr,
        device: &mut Device,
    ) {
        if let Some(open) = line
            && !open.send(epoll, handle, device)
        {
            *line = None;
            device.handle_closed(Instant::now(), "the connection broke");
        }
        let wanted = device.poll_connection();
        if line.as_ref().map(|open| open.number) == wanted {
            return;
        }
        // What was said last has left, or the server does not listen.
        *line = None;
        let Some(number) = wanted else { return };
        match Self::connect(number, epoll, handle, server) {
            Ok(open) => *line = Some(open),
            Err(error) => device.handle_closed(Instant::now(), &error.to_string()),
        }
    }

    fn connect(number: u64, epoll: &OwnedFd, handle: u64, server: SocketAddr) -> io::Result<Self> {
        let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = TcpStream::from(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?);
        socket.set_nodelay(true)?;
        match rustix::net::connect(&socket, &server) {
            // Either way it is told when it can be written to.
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        epoll::add(epoll, &socket, epoll::EventData::new_u64(handle), epoll::EventFlags::OUT)?;
        Ok(Self { number, socket, is_connected: false, unsent: VecDeque::new(), is_full: true })
    }

    /// Takes what happened to it; false when it is over, which the device has been told.
    pub(crate) fn receive(&mut self, flags: epoll::EventFlags, buffer: &mut [u8], device: &mut Device) -> bool {
        let now = Instant::now();
        if !self.is_connected {
            if let Ok(Ok(())) = sockopt::socket_error(&self.socket) {
                self.is_connected = true;
                device.handle_connected(now);
                return true;
            }
            device.handle_closed(now, "nobody is there to connect to");
            return false;
        }
        if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            return true;
        }
        for _ in 0..READS_PER_TURN_MAX {
            match rustix::io::read(&self.socket, &mut *buffer) {
                Ok(count @ 1..) => device.handle_bytes(now, &buffer[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Ok(0) | Err(_) => {
                    device.handle_closed(now, "the server closed the connection");
                    return false;
                }
            }
        }
        true
    }

    /// Gives the kernel what it takes; false when the connection is broken.
    fn send(&mut self, epoll: &OwnedFd, handle: u64, device: &mut Device) -> bool {
        if !self.is_connected {
            // What still waits was said to the connection before: the device forgets it when this one stands.
            return true;
        }
        while let Some(bytes) = device.poll_transmit() {
            self.unsent.extend(bytes);
        }
        while !self.unsent.is_empty() {
            match rustix::net::send(&self.socket, self.unsent.as_slices().0, SendFlags::NOSIGNAL) {
                Ok(count) => {
                    self.unsent.drain(..count);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        let is_full = !self.unsent.is_empty();
        if is_full != self.is_full {
            self.is_full = is_full;
            let wanted = if is_full { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
            let _ = epoll::modify(epoll, &self.socket, epoll::EventData::new_u64(handle), wanted);
        }
        self.unsent.len() <= UNSENT_BYTES_MAX
    }
}
