//! Many datagrams with one call: `recvmmsg`, which no crate offers without `unsafe`.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Datagrams of one call. Twice as many save nothing that can be measured.
pub(crate) const DATAGRAMS_PER_CALL_MAX: usize = 64;

/// Room for the datagrams of one call, each at most `BYTES` long.
pub(crate) struct Room<const BYTES: usize> {
    buffers: Box<[[u8; BYTES]; DATAGRAMS_PER_CALL_MAX]>,
    arrived: Vec<Arrived>,
}

/// One datagram of the newest call.
struct Arrived {
    from: SocketAddr,
    buffer: usize,
    /// Nothing if it is longer than its room.
    length: Option<usize>,
}

impl<const BYTES: usize> Default for Room<BYTES> {
    fn default() -> Self {
        Self {
            buffers: Box::new([[0; BYTES]; DATAGRAMS_PER_CALL_MAX]),
            arrived: Vec::with_capacity(DATAGRAMS_PER_CALL_MAX),
        }
    }
}

impl<const BYTES: usize> Room<BYTES> {
    /// Takes what is there, without waiting, up to the bound of one call, in place of what the call before took; how many
    /// there were.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.arrived.clear();
        // SAFETY: the kernel writes into buffers and names that live until the end of this block, each no longer than
        // its length says; zeroes are valid for all of these structures.
        unsafe {
            let mut names: [libc::sockaddr_in6; DATAGRAMS_PER_CALL_MAX] = zeroed();
            let mut slices: [libc::iovec; DATAGRAMS_PER_CALL_MAX] = zeroed();
            let mut headers: [libc::mmsghdr; DATAGRAMS_PER_CALL_MAX] = zeroed();
            for (((header, slice), name), buffer) in
                headers.iter_mut().zip(&mut slices).zip(&mut names).zip(self.buffers.iter_mut())
            {
                *slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: BYTES };
                header.msg_hdr.msg_name = (&raw mut *name).cast();
                // Of the kinds of address that our sockets have, the longer one.
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
                header.msg_hdr.msg_iov = slice;
                header.msg_hdr.msg_iovlen = 1;
            }
            let got = libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                DATAGRAMS_PER_CALL_MAX as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            );
            let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
            for (buffer, (header, name)) in headers.iter().zip(&names).take(got).enumerate() {
                let Some(from) = address(name) else { continue };
                let is_whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
                self.arrived.push(Arrived { from, buffer, length: is_whole.then_some(header.msg_len as usize) });
            }
            Ok(got)
        }
    }

    /// What the newest call took, without what is longer than its room.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> + Clone {
        self.arrived.iter().filter_map(|arrived| Some((arrived.from, &self.buffers[arrived.buffer][..arrived.length?])))
    }

    /// How many of the newest call were longer than their room.
    pub(crate) fn too_long(&self) -> usize {
        self.arrived.iter().filter(|arrived| arrived.length.is_none()).count()
    }
}

/// The address that the kernel wrote; none of a kind that we do not speak.
fn address(name: &libc::sockaddr_in6) -> Option<SocketAddr> {
    match i32::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: the family says what was written, and `sockaddr_in` is the shorter of the two.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
            Some((ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id).into())
        }
        _ => None,
    }
}
