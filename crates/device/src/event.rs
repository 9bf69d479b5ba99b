//! What a device tells its owner.

use coap::{Answered, Code};
use lwm2m::Path;

/// What a server wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Read or observe.
    Read,
    /// Write.
    Write,
    /// Make an instance.
    Create,
    /// Delete an instance, or one value of several.
    Delete,
    /// Execute.
    Execute,
}

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
    /// A bootstrap server changed whom the device talks to. The values hold keys.
    AccountsChanged {
        /// All that objects 0, 1, 2 and 21 hold now, as JSON by path.
        values: Vec<u8>,
    },
    /// A server made an object instance.
    Created {
        /// Which.
        path: Path,
        /// What it gave, as JSON: values by path.
        values: Vec<u8>,
    },
    /// A server deleted this, or replaced what is around it.
    Removed {
        /// Which instance, resource, or value of several.
        path: Path,
    },
    /// A server set attributes. They hold until they are set anew, also beyond a registration.
    AttributesSet {
        /// Where.
        path: Path,
        /// All that are set there now, as `pmin=10`.
        queries: Vec<String>,
    },
    /// A server asks for something that the owner wanted to be asked about: see [`crate::Device::decide`].
    Asked {
        /// Which question.
        number: u64,
        /// What the server wants.
        asked: Asked,
        /// Where; the root of a composite.
        path: Path,
        /// JSON: of a Read its paths, of an Execute its arguments, else the values by path.
        values: Vec<u8>,
    },
    /// An observer wants to know how a value is now that only the owner can say; no answer is due.
    Wanted {
        /// Where.
        path: Path,
    },
    /// In queue mode: it listens, because it spoke.
    Awake,
    /// In queue mode: it listens no more until it speaks again.
    Asleep,
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
        /// With 5.03: after so many seconds it is worth another try.
        retry_after_s: Option<u32>,
        /// What was answered; what was downloaded: all of it, or what came before it broke off.
        data: Vec<u8>,
        /// Which version of the file that was.
        etag: Option<Vec<u8>>,
    },
}

impl Event {
    /// An order that the server answered.
    pub(crate) fn done(number: u64, code: Code) -> Self {
        Self::answered(number, code, None)
    }

    /// The same, with what the server says about another try.
    pub(crate) fn answered(number: u64, code: Code, retry_after_s: Option<u32>) -> Self {
        Self::Done { number, code: Some(code), detail: String::new(), retry_after_s, data: Vec::new(), etag: None }
    }

    /// An order that the server answered with something to read.
    pub(crate) fn told(number: u64, answered: Answered) -> Self {
        let (code, is_refused) = (answered.code, !answered.code.is_success());
        let retry_after_s = answered.max_age.filter(|_| code == Code::SERVICE_UNAVAILABLE);
        let words = if is_refused { String::from_utf8_lossy(&answered.payload).into_owned() } else { String::new() };
        let data = if is_refused { Vec::new() } else { answered.payload };
        Self::Done { number, code: Some(code), detail: words, retry_after_s, data, etag: answered.etag }
    }

    /// An order that came to nothing.
    pub(crate) fn failed(number: u64, detail: &str) -> Self {
        let detail = detail.to_owned();
        Self::Done { number, code: None, detail, retry_after_s: None, data: Vec::new(), etag: None }
    }
}
