//! One socket for many: datagrams by the dozen in each call, every one from the address of its client.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Datagrams of one call; more of them save nothing that can be measured.
const DATAGRAMS_PER_CALL: usize = 64;
/// Longest datagram of any peer we measure: a block of 1024 bytes, and a record around it.
const DATAGRAM_BYTES: usize = 2048;
/// What the kernel keeps for us while we are busy: a window of 8,192 answers fits many times.
const BUFFER_BYTES: libc::c_int = 16 << 20;
/// Room for one `in_pktinfo`.
const CONTROL_BYTES: usize = 64;

#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// A socket with the buffers of its calls.
pub struct Socket {
    socket: OwnedFd,
    buffers: Vec<[u8; DATAGRAM_BYTES]>,
    outgoing: Vec<u8>,
    /// From, to, and where the datagram ends in `outgoing`.
    waiting: Vec<(Option<Ipv4Addr>, SocketAddrV4, usize)>,
    /// Datagrams that the kernel did not take.
    pub unsent: u64,
}

impl Socket {
    /// Binds; all addresses of the machine when the host is 0.0.0.0.
    pub fn bind(address: SocketAddrV4) -> io::Result<Self> {
        // SAFETY: plain system calls; every pointer is to a local that outlives its call.
        unsafe {
            let raw = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0);
            if raw < 0 {
                return Err(io::Error::last_os_error());
            }
            let socket = OwnedFd::from_raw_fd(raw);
            let set = |level, name, value: libc::c_int| {
                libc::setsockopt(raw, level, name, (&raw const value).cast(), size_of::<libc::c_int>() as u32)
            };
            // Only root may have more than the system's own bound; whoever is not gets that.
            for (force, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
                if set(libc::SOL_SOCKET, force, BUFFER_BYTES) != 0 {
                    set(libc::SOL_SOCKET, plain, BUFFER_BYTES);
                }
            }
            // No id for each datagram: it is below any MTU.
            set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO);
            if set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1) != 0 {
                return Err(io::Error::last_os_error());
            }
            let name = name_of(address);
            if libc::bind(raw, (&raw const name).cast(), size_of::<libc::sockaddr_in>() as u32) != 0 {
                return Err(io::Error::last_os_error());
            }
            let buffers = vec![[0; DATAGRAM_BYTES]; DATAGRAMS_PER_CALL];
            Ok(Self { socket, buffers, outgoing: Vec::new(), waiting: Vec::new(), unsent: 0 })
        }
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddrV4> {
        // SAFETY: as above.
        unsafe {
            let mut name: libc::sockaddr_in = zeroed();
            let mut length = size_of::<libc::sockaddr_in>() as u32;
            if libc::getsockname(self.socket.as_raw_fd(), (&raw mut name).cast(), &raw mut length) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(address_of(&name))
        }
    }

    /// Waits until there is something to receive, or for this long.
    pub fn wait(&self, patience: Duration) {
        let patience =
            libc::timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor, as the call says. An interruption is a short wait.
        unsafe {
            libc::ppoll(&raw mut poll, 1, &raw const patience, std::ptr::null());
        }
    }

    /// Gives up to a call's worth of datagrams to `take`, with our address and theirs; how many there were.
    pub fn receive(&mut self, mut take: impl FnMut(&mut Outgoing<'_>, Ipv4Addr, SocketAddrV4, &[u8])) -> usize {
        // SAFETY: the kernel fills buffers that live until the end of this block, and says how much of each.
        unsafe {
            let mut names: [libc::sockaddr_in; DATAGRAMS_PER_CALL] = zeroed();
            let mut controls: [Control; DATAGRAMS_PER_CALL] = zeroed();
            let mut slices: [libc::iovec; DATAGRAMS_PER_CALL] = zeroed();
            let mut headers: [libc::mmsghdr; DATAGRAMS_PER_CALL] = zeroed();
            for (index, header) in headers.iter_mut().enumerate() {
                let buffer = &mut self.buffers[index];
                slices[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
                header.msg_hdr.msg_name = (&raw mut names[index]).cast();
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
                header.msg_hdr.msg_iov = &raw mut slices[index];
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = controls[index].0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = CONTROL_BYTES;
            }
            let fd = self.socket.as_raw_fd();
            let got = libc::recvmmsg(fd, headers.as_mut_ptr(), DATAGRAMS_PER_CALL as u32, 0, std::ptr::null_mut());
            let got = usize::try_from(got).unwrap_or(0);
            for index in 0..got {
                let header = &headers[index];
                if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                    continue;
                }
                let datagram = &self.buffers[index][..header.msg_len as usize];
                let mut outgoing = Outgoing { bytes: &mut self.outgoing, waiting: &mut self.waiting };
                take(&mut outgoing, destination(&header.msg_hdr), address_of(&names[index]), datagram);
            }
            got
        }
    }

    /// What leaves with the next [`Socket::flush`].
    pub fn outgoing(&mut self) -> Outgoing<'_> {
        Outgoing { bytes: &mut self.outgoing, waiting: &mut self.waiting }
    }

    /// Sends everything that waits.
    pub fn flush(&mut self) {
        let mut start = 0;
        let waiting = std::mem::take(&mut self.waiting);
        for run in waiting.chunks(DATAGRAMS_PER_CALL) {
            start = self.send(run, start);
        }
        self.waiting = waiting;
        self.waiting.clear();
        self.outgoing.clear();
    }

    /// Sends one call's worth, whose first datagram begins at `start`; where the last one ends.
    fn send(&mut self, run: &[(Option<Ipv4Addr>, SocketAddrV4, usize)], mut start: usize) -> usize {
        // SAFETY: the kernel reads buffers that live until the end of this block.
        unsafe {
            let mut names: [libc::sockaddr_in; DATAGRAMS_PER_CALL] = zeroed();
            let mut controls: [Control; DATAGRAMS_PER_CALL] = zeroed();
            let mut slices: [libc::iovec; DATAGRAMS_PER_CALL] = zeroed();
            let mut headers: [libc::mmsghdr; DATAGRAMS_PER_CALL] = zeroed();
            for (index, (from, to, end)) in run.iter().enumerate() {
                let datagram = &self.outgoing[start..*end];
                start = *end;
                names[index] = name_of(*to);
                slices[index] = libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
                let header = &mut headers[index].msg_hdr;
                header.msg_name = (&raw mut names[index]).cast();
                header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
                header.msg_iov = &raw mut slices[index];
                header.msg_iovlen = 1;
                if let Some(from) = from {
                    header.msg_control = controls[index].0.as_mut_ptr().cast();
                    header.msg_controllen = libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) as usize;
                    let control = libc::CMSG_FIRSTHDR(header);
                    (*control).cmsg_level = libc::IPPROTO_IP;
                    (*control).cmsg_type = libc::IP_PKTINFO;
                    (*control).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as usize;
                    let mut information: libc::in_pktinfo = zeroed();
                    information.ipi_spec_dst.s_addr = u32::from_ne_bytes(from.octets());
                    libc::CMSG_DATA(control).cast::<libc::in_pktinfo>().write_unaligned(information);
                }
            }
            let mut rest = &mut headers[..run.len()];
            let mut has_waited = false;
            while !rest.is_empty() {
                let sent = libc::sendmmsg(self.socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0);
                let done = match usize::try_from(sent) {
                    Ok(done) => done,
                    Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock && !has_waited => {
                        has_waited = true;
                        std::thread::sleep(Duration::from_millis(1));
                        0
                    }
                    Err(_) => {
                        self.unsent += 1;
                        1
                    }
                };
                rest = &mut rest[done..];
            }
        }
        start
    }
}

/// Datagrams that wait to be sent.
pub struct Outgoing<'a> {
    bytes: &'a mut Vec<u8>,
    waiting: &'a mut Vec<(Option<Ipv4Addr>, SocketAddrV4, usize)>,
}

impl Outgoing<'_> {
    /// Appends one datagram, from an address of ours (any when nothing is said) to one of theirs.
    pub fn push(&mut self, from: Option<Ipv4Addr>, to: SocketAddrV4, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.bytes);
        self.waiting.push((from, to, self.bytes.len()));
    }
}

/// Which of our addresses a datagram was sent to.
unsafe fn destination(header: &libc::msghdr) -> Ipv4Addr {
    // SAFETY: the kernel wrote the control messages of this header.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            if (*control).cmsg_level == libc::IPPROTO_IP && (*control).cmsg_type == libc::IP_PKTINFO {
                let information = libc::CMSG_DATA(control).cast::<libc::in_pktinfo>().read_unaligned();
                return Ipv4Addr::from(information.ipi_addr.s_addr.to_ne_bytes());
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    Ipv4Addr::UNSPECIFIED
}

fn name_of(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    }
}

fn address_of(name: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes()), u16::from_be(name.sin_port))
}
