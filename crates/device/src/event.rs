//! What a device tells its owner.

use coap::Code;
use lwm2m::Path;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The server accepted the registration.
    Registered,
    /// The registration is over: power lost, deregistered, or the server no longer knows it.
    Unregistered,
    /// The server refused the registration or the handshake; it is tried again later.
    Refused {
        /// What it answered; None when the handshake failed or nobody answered.
        code: Option<Code>,
        /// Why, as far as it is known.
        detail: String,
    },
    /// A server wrote a value.
    Written {
        /// Where.
        path: Path,
        /// What, as JSON.
        value: Vec<u8>,
    },
    /// A server executed a resource.
    Executed {
        /// Which.
        path: Path,
        /// Its arguments by digit, as JSON.
        arguments: Vec<u8>,
    },
    /// A server is writing a value that comes in blocks.
    Receiving {
        /// Where.
        path: Path,
        /// Bytes that are here.
        bytes: u64,
    },
    /// A download goes on.
    Progress {
        /// The owner's number of the order.
        number: u64,
        /// Bytes that are here.
        bytes: u64,
        /// Bytes of the whole, if the server says so.
        size: Option<u64>,
    },
    /// An order of the owner is done.
    Done {
        /// The owner's number of the order.
        number: u64,
        /// What the server answered; None when it did not.
        code: Option<Code>,
        /// Why not, in words.
        detail: String,
        /// What was downloaded: all of it, or what came before it broke off.
        data: Vec<u8>,
        /// Which version of the file that was.
        etag: Option<Vec<u8>>,
    },
}

impl Event {
    /// An order that the server answered.
    pub(crate) fn done(number: u64, code: Code) -> Self {
        Self::Done { number, code: Some(code), detail: String::new(), data: Vec::new(), etag: None }
    }

    /// An order that came to nothing.
    pub(crate) fn failed(number: u64, detail: &str) -> Self {
        Self::Done { number, code: None, detail: detail.to_owned(), data: Vec::new(), etag: None }
    }
}
