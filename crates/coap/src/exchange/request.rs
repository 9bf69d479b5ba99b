//! What we ask of a peer, and what becomes of it.

use std::{fmt, sync::Arc};

use crate::{
    blockwise::Block,
    code::Code,
    message::{Message, Token},
    option,
};

/// A request to be made. Fill in what matters and leave the rest to `..Request::default()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Repeated until it is acknowledged. The default.
    pub confirmable: bool,
    /// The method.
    pub code: Code,
    /// Uri-Path as text, such as `/3/0`. A segment that contains a slash goes into `options` instead.
    pub path: String,
    /// Parts of Uri-Query, such as `pmin=10`.
    pub queries: Vec<String>,
    /// What the payload is.
    pub content_format: Option<u16>,
    /// What we would like to read.
    pub accept: Option<u16>,
    /// 0 starts an observation, 1 ends it: see [`crate::observe`].
    pub observe: Option<u32>,
    /// Further options, in any order.
    pub options: Vec<(u16, Vec<u8>)>,
    /// The whole body, however long: blocks are made of it as needed.
    pub payload: Vec<u8>,
    /// Instead of `payload`: a body that is read piece by piece while it is sent.
    pub source: Option<Source>,
    /// The token to use for the first message; a fresh one if `None`. To end an observation, give the token it was
    /// started with (RFC 7641 §3.6).
    pub token: Option<Token>,
    /// Ask for exactly this block and hand its bytes over as they come: for downloads too large for memory.
    pub block2: Option<Block>,
    /// The first block is here already: fetch the rest. For a notification that does not fit a datagram.
    pub begun: Option<Begun>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            confirmable: true,
            code: Code::GET,
            path: String::new(),
            queries: Vec::new(),
            content_format: None,
            accept: None,
            observe: None,
            options: Vec::new(),
            payload: Vec::new(),
            source: None,
            token: None,
            block2: None,
            begun: None,
        }
    }
}

/// Where the bytes of a body come from that is too large for memory; reading is the caller's business.
pub trait Pieces: Send + Sync {
    /// Fills `buffer` from `offset` on. False when that cannot be done: the transfer is then broken off.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> bool;
}

/// A body that is read piece by piece. It always goes in blocks, from `from` on: where an earlier transfer broke off.
#[derive(Clone)]
pub struct Source {
    /// The bytes.
    pub pieces: Arc<dyn Pieces>,
    /// How many there are.
    pub bytes: u64,
    /// So many the peer has already, if it still knows; if not it says 4.08 and gets all of it.
    pub from: u64,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Source({} of {} bytes)", self.from, self.bytes)
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pieces, &other.pieces) && (self.bytes, self.from) == (other.bytes, other.from)
    }
}

impl Eq for Source {}

impl Request {
    /// A confirmable request without payload.
    #[must_use]
    pub fn new(code: Code, path: impl Into<String>) -> Self {
        Self { code, path: path.into(), ..Self::default() }
    }
}

/// The first block of a body whose rest is to be fetched (RFC 7959 §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// What came with the first block, its payload included.
    pub head: Answered,
    /// Its block size exponent.
    pub szx: u8,
}

impl Begun {
    /// From a response or notification; `None` if nothing is missing from its body or the block is not the first.
    #[must_use]
    pub fn of(message: &Message<'_>) -> Option<Self> {
        let block = message.block2().filter(|block| block.more && block.num == 0)?;
        block.is_full(message.payload.len()).then(|| Self { head: Answered::of(message), szx: block.szx })
    }
}

/// A response, its body whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What became of the request.
    pub code: Code,
    /// The token under which the response came: notifications of an observation carry it too.
    pub token: Token,
    /// What the payload is.
    pub content_format: Option<u16>,
    /// Present if an observation was established (RFC 7641 §3.1).
    pub observe: Option<u32>,
    /// Which version of the body this is.
    pub etag: Option<Vec<u8>>,
    /// Seconds of freshness; with 5.03, seconds after which to try again.
    pub max_age: Option<u32>,
    /// Segments of Location-Path, lossy where they are not UTF-8.
    pub location: Vec<String>,
    /// Which block this is, if the request asked for one.
    pub block2: Option<Block>,
    /// Length of the whole body, where the peer says it.
    pub size2: Option<u32>,
    /// The body: assembled from all blocks, unless the request asked for one.
    pub payload: Vec<u8>,
}

impl Answered {
    /// A response as it came.
    #[must_use]
    pub fn of(message: &Message<'_>) -> Self {
        Self {
            code: message.code,
            token: message.token,
            content_format: message.content_format(),
            observe: message.observe(),
            etag: message.etag().map(<[u8]>::to_vec),
            max_age: message.max_age(),
            location: message.location().map(|segment| String::from_utf8_lossy(segment).into_owned()).collect(),
            block2: message.block2(),
            size2: message.uint(option::SIZE2),
            payload: message.payload.to_vec(),
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The peer answered, be it with success or with an error code.
    Answered(Answered),
    /// The peer does not know what the message was about (RFC 7252 §4.2).
    Reset,
    /// No answer in time.
    TimedOut {
        /// The peer did acknowledge the request, or it was not confirmable; its response never came.
        acknowledged: bool,
    },
    /// The answer has a critical option that is unknown, or that no answer can have (RFC 7252 §5.4.1).
    UnknownOption {
        /// The option.
        number: u16,
    },
    /// The answer is larger than `body_bytes_max` allows.
    BodyTooLarge {
        /// The bound.
        bytes_max: u32,
    },
    /// The blocks of the answer do not fit together, or the request needs more blocks than can be numbered.
    BrokenTransfer {
        /// Bytes of the body that were sound.
        bytes: usize,
    },
}
