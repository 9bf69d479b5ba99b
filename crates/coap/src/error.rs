//! What can be wrong with what a peer sent, or with what we were asked to send.

use std::fmt;

use crate::{code::Code, message::Kind};

/// The datagram is not a CoAP message. Count it; answer with [`crate::Message::rejection`] where one is due; keep the
/// session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// RFC 7252 §3: four bytes of header are the least.
    TooShort {
        /// Length of the datagram.
        bytes: usize,
    },
    /// RFC 7252 §3: other versions than 1 are silently ignored.
    UnknownVersion {
        /// The version it claims.
        version: u8,
    },
    /// RFC 7252 §3: lengths 9 to 15 are reserved and must be processed as a format error.
    TokenTooLong {
        /// The length it claims, or the length we were given.
        length: usize,
    },
    /// The datagram ends inside its token or inside an option.
    Truncated,
    /// RFC 7252 §3: classes 1, 6 and 7 are reserved.
    ReservedCode {
        /// The code it carries.
        code: Code,
    },
    /// RFC 7252 §4.3, table 1: this kind of message cannot carry this code (a reset with a response, an
    /// acknowledgement with a request, an empty non-confirmable).
    CodeNotAllowed {
        /// The kind of the message.
        kind: Kind,
        /// The code it carries.
        code: Code,
    },
    /// RFC 7252 §4.1: an empty message ends after its message id.
    EmptyMessageWithMore,
    /// RFC 7252 §3.1: a delta or length of 15 that is not the payload marker.
    ReservedOptionHeader,
    /// The deltas sum up to a number beyond 65535.
    OptionNumberTooLarge {
        /// The sum.
        number: u32,
    },
    /// RFC 7252 §3: a payload marker with nothing behind it.
    EmptyPayload,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { bytes } => write!(f, "{bytes} bytes are too short for a header"),
            Self::UnknownVersion { version } => write!(f, "version {version}"),
            Self::TokenTooLong { length } => write!(f, "token of {length} bytes"),
            Self::Truncated => f.write_str("truncated"),
            Self::ReservedCode { code } => write!(f, "reserved code {code}"),
            Self::CodeNotAllowed { kind, code } => write!(f, "{kind:?} with code {code}"),
            Self::EmptyMessageWithMore => f.write_str("empty message with more than a header"),
            Self::ReservedOptionHeader => f.write_str("reserved option header"),
            Self::OptionNumberTooLarge { number } => write!(f, "option number {number}"),
            Self::EmptyPayload => f.write_str("payload marker without payload"),
        }
    }
}

impl std::error::Error for MessageError {}

/// The queue towards this peer is full. Tell whoever asked; nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull {
    /// How many wait already.
    pub waiting: usize,
}

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests wait already", self.waiting)
    }
}

impl std::error::Error for QueueFull {}
