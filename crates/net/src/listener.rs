//! Where a shard listens: for datagrams or for connections.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::uri::Uri;
use crate::{tcp, udp};

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum Listener {
    Udp(udp::Listener),
    Tcp(tcp::Listener),
}

impl Listener {
    pub(crate) fn bind(uri: Uri) -> io::Result<Self> {
        if uri.is_tcp { tcp::Listener::bind(uri).map(Self::Tcp) } else { udp::Listener::bind(uri).map(Self::Udp) }
    }

    /// Whether it speaks DTLS or TLS.
    pub(crate) fn is_secure(&self) -> bool {
        match self {
            Self::Udp(listener) => listener.is_secure(),
            Self::Tcp(listener) => listener.is_secure(),
        }
    }

    /// Where it listens, with the port that was found.
    pub(crate) fn uri(&self) -> io::Result<Uri> {
        match self {
            Self::Udp(listener) => listener.uri(),
            Self::Tcp(listener) => listener.uri(),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(listener) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }
}
