//! Connections over TCP: what arrives goes to the gateway, what it says leaves as fast as the peer takes it.
//!
//! A stream of bytes and nothing else: whether it is TLS is the gateway's business.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use gateway::{ConnectionNumber, Gateway, Now, Outbox, SocketNumber};
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::clock;
use crate::listener;
use crate::uri::Uri;

/// Connections that the kernel completes before we take them: a farm that comes back at once.
const BACKLOG: i32 = 1_024;
/// Connections taken from one listener before others, and the answers, get their turn.
const ACCEPTS_PER_TURN_MAX: usize = 64;
/// Bytes of one read: our longest message.
const READ_BYTES: usize = 16 * 1024;
/// Reads of one connection before the others get their turn.
const READS_PER_TURN_MAX: usize = 4;
/// What waits for a peer that does not read. Blocks of files are asked for one by one, so that an honest peer has far less
/// to wait for.
const UNSENT_BYTES_MAX: usize = 256 * 1024;
/// What waits for all of them together: thousands that do not read must not fill the memory.
const UNSENT_BYTES_OF_ALL_MAX: usize = 64 * 1024 * 1024;
/// How long a peer may take for what waits for it, from when it stopped reading: a byte now and then does not count. TCP
/// itself would try for a quarter of an hour.
const STALL_MAX: Duration = Duration::from_secs(30);
/// How long what a peer still says is read and thrown away after our last word: closed before, the kernel would take that
/// word back.
const LINGER: Duration = Duration::from_secs(2);
/// How long nobody is let in after there was no descriptor for one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// The first number of a connection; the numbers before it are the listeners'.
const NUMBER_FIRST: ConnectionNumber = 1 << SocketNumber::BITS;

/// A socket that listens for connections.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    is_secure: bool,
    paused_until: Option<Instant>,
}

impl Listener {
    pub(crate) fn bind(uri: Uri) -> io::Result<Self> {
        let family = if uri.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        // What is left of connections from before a restart must not keep the new server from its address.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        if uri.address.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        rustix::net::bind(&socket, &uri.address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Self { socket: socket.into(), is_secure: uri.is_secure, paused_until: None })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    pub(crate) fn uri(&self) -> io::Result<Uri> {
        Ok(Uri { is_secure: self.is_secure, is_tcp: true, address: self.socket.local_addr()? })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What was not let in or given up, and why.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Losses {
    /// No descriptor, or the kernel had an error for us.
    pub(crate) accept_failed: u64,
    /// The peer did not read what we had to say.
    pub(crate) stalled: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Over when everything has left.
    Ending,
    /// Everything has left; what still comes is thrown away until then.
    Lingering(Instant),
}

#[derive(Debug)]
struct Open {
    socket: TcpStream,
    /// What the kernel did not take yet.
    unsent: Vec<u8>,
    /// Since when something waits.
    stuck_since: Option<Instant>,
    state: State,
}

/// All connections of a shard.
pub(crate) struct Connections {
    open: HashMap<ConnectionNumber, Open>,
    next: ConnectionNumber,
    connections_max: usize,
    buffer: Box<[u8; READ_BYTES]>,
    /// What waits for all of them.
    unsent_bytes: usize,
    /// Gone without the gateway having said so.
    closed: Vec<ConnectionNumber>,
    looked_at: Instant,
    is_listening: bool,
    pub(crate) losses: Losses,
}

impl Connections {
    pub(crate) fn new(now: Instant) -> Self {
        // Half of the descriptors are for connections: the log, the database and the pages need some, too.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self {
            open: HashMap::new(),
            next: NUMBER_FIRST,
            connections_max: limit.map_or(usize::MAX, |limit| limit as usize / 2),
            buffer: Box::new([0; READ_BYTES]),
            unsent_bytes: 0,
            closed: Vec::new(),
            looked_at: now,
            is_listening: true,
            losses: Losses::default(),
        }
    }

    /// Lets in whoever waits at a listener.
    pub(crate) fn accept(
        &mut self,
        now: Now,
        epoll: &OwnedFd,
        number: SocketNumber,
        listener: &mut Listener,
        gateway: &mut Gateway,
    ) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let accepted = rustix::net::acceptfrom_with(&listener.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
            match accepted {
                Ok((socket, Some(from))) => {
                    if let Ok(from) = SocketAddr::try_from(from) {
                        self.let_in(now, epoll, number, socket.into(), from, gateway);
                    }
                }
                Ok((_, None)) => {}
                Err(Errno::AGAIN) => return,
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(_) => {
                    // No descriptor, mostly: the connection stays in the kernel, which would tell us of it without a pause.
                    self.losses.accept_failed += 1;
                    let _ = epoll::delete(epoll, &listener.socket);
                    listener.paused_until = Some(now.monotonic + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    fn let_in(
        &mut self,
        now: Now,
        epoll: &OwnedFd,
        number: SocketNumber,
        socket: TcpStream,
        from: SocketAddr,
        gateway: &mut Gateway,
    ) {
        if self.open.len() >= self.connections_max {
            self.losses.accept_failed += 1;
            return;
        }
        let connection = self.next;
        let event = epoll::EventData::new_u64(connection);
        // Answers are small and waited for.
        let is_ready =
            socket.set_nodelay(true).is_ok() && epoll::add(epoll, &socket, event, epoll::EventFlags::IN).is_ok();
        if !is_ready {
            self.losses.accept_failed += 1;
        } else if gateway.handle_connected(now, connection, number, from) {
            self.next += 1;
            self.open.insert(connection, Open { socket, unsent: Vec::new(), stuck_since: None, state: State::Open });
        }
    }

    /// Something can be done about a connection.
    pub(crate) fn handle_ready(
        &mut self,
        now: Now,
        epoll: &OwnedFd,
        number: ConnectionNumber,
        flags: epoll::EventFlags,
        gateway: &mut Gateway,
    ) {
        if flags.contains(epoll::EventFlags::OUT) {
            self.push_on(now.monotonic, epoll, number);
        }
        // An error or the end of the connection is read like anything else, also while nothing else is read.
        if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            return;
        }
        for _ in 0..READS_PER_TURN_MAX {
            let Some(open) = self.open.get(&number) else { return };
            match rustix::io::read(&open.socket, &mut self.buffer[..]) {
                Ok(count @ 1..) if open.state == State::Open && self.is_listening => {
                    gateway.handle_bytes(now, number, &self.buffer[..count]);
                    if count < READ_BYTES {
                        return;
                    }
                }
                Ok(1..) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Ok(0) | Err(_) => return self.lose(number),
            }
        }
    }

    /// Carries what the gateway has to say.
    pub(crate) fn send(&mut self, epoll: &OwnedFd, outbox: &Outbox) {
        if outbox.pieces().next().is_none() && outbox.ended().is_empty() {
            return;
        }
        let now = clock::now().monotonic;
        for (number, piece) in outbox.pieces() {
            let Some(open) = self.open.get_mut(&number).filter(|open| open.state == State::Open) else { continue };
            let was_idle = open.unsent.is_empty();
            open.unsent.extend_from_slice(piece);
            self.unsent_bytes += piece.len();
            let is_too_much = open.unsent.len() > UNSENT_BYTES_MAX || self.unsent_bytes > UNSENT_BYTES_OF_ALL_MAX;
            if was_idle {
                self.push_on(now, epoll, number);
            } else if is_too_much {
                self.losses.stalled += 1;
                self.lose(number);
            }
        }
        for number in outbox.ended() {
            if let Some(open) = self.open.get_mut(number) {
                open.state = State::Ending;
                self.push_on(now, epoll, *number);
            }
        }
    }

    /// Gives the kernel what it takes.
    fn push_on(&mut self, now: Instant, epoll: &OwnedFd, number: ConnectionNumber) {
        let Some(open) = self.open.get_mut(&number) else { return };
        let was_stuck = open.stuck_since.is_some();
        let mut sent = 0;
        while sent < open.unsent.len() {
            match rustix::net::send(&open.socket, &open.unsent[sent..], rustix::net::SendFlags::NOSIGNAL) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return self.lose(number),
            }
        }
        open.unsent.drain(..sent);
        self.unsent_bytes -= sent;
        if open.unsent.is_empty() {
            open.unsent = Vec::new();
            open.stuck_since = None;
            if open.state == State::Ending {
                let _ = rustix::net::shutdown(&open.socket, rustix::net::Shutdown::Write);
                open.state = State::Lingering(now + LINGER);
            }
        } else {
            open.stuck_since.get_or_insert(now);
        }
        // Whoever does not read is not read from: so what waits for one cannot grow by what it asks.
        let is_stuck = open.stuck_since.is_some();
        if is_stuck != was_stuck {
            let wanted = if is_stuck { epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
            let _ = epoll::modify(epoll, &open.socket, epoll::EventData::new_u64(number), wanted);
        }
    }

    fn lose(&mut self, number: ConnectionNumber) {
        let Some(open) = self.open.remove(&number) else { return };
        self.unsent_bytes -= open.unsent.len();
        if open.state == State::Open {
            self.closed.push(number);
        }
    }

    /// Connections that are gone; the gateway has not heard of it yet.
    pub(crate) fn take_closed(&mut self) -> Vec<ConnectionNumber> {
        std::mem::take(&mut self.closed)
    }

    /// Now and then: gives up those who do not read, closes those who had time to, and lets people in again.
    pub(crate) fn handle_timeout(&mut self, now: Instant, epoll: &OwnedFd, listeners: &mut [listener::Listener]) {
        if self.looked_at + ACCEPT_PAUSE > now {
            return;
        }
        self.looked_at = now;
        let is_over = |open: &Open| match open.state {
            State::Lingering(until) => until <= now,
            State::Open | State::Ending => open.stuck_since.is_some_and(|since| since + STALL_MAX <= now),
        };
        let over: Vec<_> = self.open.iter().filter(|(_, open)| is_over(open)).map(|(number, _)| *number).collect();
        for number in over {
            if let Some(open) = self.open.get(&number)
                && !matches!(open.state, State::Lingering(_))
            {
                self.losses.stalled += 1;
            }
            self.lose(number);
        }
        for (number, listener) in (0_u64..).zip(listeners) {
            if let listener::Listener::Tcp(listener) = listener
                && listener.paused_until.is_some_and(|until| until <= now)
                && self.is_listening
            {
                listener.paused_until = None;
                let _ = epoll::add(epoll, &listener.socket, epoll::EventData::new_u64(number), epoll::EventFlags::IN);
            }
        }
    }

    /// Nothing more is taken in; answers still leave.
    pub(crate) fn stop_listening(&mut self) {
        self.is_listening = false;
    }
}
