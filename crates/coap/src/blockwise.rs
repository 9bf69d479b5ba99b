//! Bodies larger than a datagram (RFC 7959): cutting what we serve, assembling what peers upload.

use std::{
    borrow::Cow,
    ops::Range,
    time::{Duration, Instant},
};

use crate::{code::Code, connection::Capacity, message::Message, option};

/// The largest block size exponent in a datagram: 1024 bytes. 7 is reserved there (RFC 7959 §2.2).
pub const SZX_MAX: u8 = 6;

/// RFC 8323 §6, BERT: over a connection 7 stands for as many blocks of 1024 bytes as the message has room for.
pub const SZX_BERT: u8 = 7;

/// RFC 7959 §2.2: block numbers have 20 bits.
pub const BLOCK_NUM_MAX: u32 = (1 << 20) - 1;

/// Largest body assembled from blocks where the caller has no better bound: a Register of 1,000 objects with their
/// attributes stays below 32 kB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Half-finished uploads held per peer. A device uploads one body at a time; the second is for one that rebooted in
/// the middle and starts over with another request.
pub const UPLOADS_PER_PEER_MAX: usize = 2;

/// How long after its last block an upload is given up: EXCHANGE_LIFETIME, when no block of it can still be on its
/// way (RFC 7252 §4.8.2). Counted from the last block, so a slow link may take all the time it needs.
pub const UPLOAD_IDLE_MAX: Duration = Duration::from_secs(247);

/// A Block1 or Block2 option: which block, whether more follow, and how large blocks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    /// Which block, counted in blocks of this size. At most [`BLOCK_NUM_MAX`].
    pub num: u32,
    /// More blocks follow.
    pub more: bool,
    /// Block size exponent, 0 to [`SZX_MAX`]: blocks have `16 << szx` bytes. Or [`SZX_BERT`].
    pub szx: u8,
}

impl Block {
    /// `None` for more than 24 bits.
    #[must_use]
    pub const fn of_uint(value: u32) -> Option<Self> {
        if value >> 4 > BLOCK_NUM_MAX {
            return None;
        }
        Some(Self { num: value >> 4, more: value & 8 != 0, szx: (value & 7) as u8 })
    }

    /// The option's value; fields beyond their bound are cut to it.
    #[must_use]
    pub const fn to_uint(self) -> u32 {
        let szx = if self.szx > SZX_BERT { SZX_BERT } else { self.szx };
        let num = if self.num > BLOCK_NUM_MAX { BLOCK_NUM_MAX } else { self.num };
        num << 4 | (self.more as u32) << 3 | szx as u32
    }

    /// Bytes in a full block; with [`SZX_BERT`] in each of its blocks.
    #[must_use]
    pub const fn size(self) -> usize {
        size_of_szx(self.szx)
    }

    /// Whether a part of so many bytes may say that more follow: exactly one block, or with [`SZX_BERT`] any number of
    /// them.
    #[must_use]
    pub const fn is_full(self, bytes: usize) -> bool {
        if self.szx == SZX_BERT { bytes > 0 && bytes.is_multiple_of(self.size()) } else { bytes == self.size() }
    }

    /// Bytes of the body before this block.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.num as u64 * self.size() as u64
    }

    /// The block of size `szx` that starts at `offset`, if there is one and its number can be said.
    #[must_use]
    pub fn at(offset: u64, more: bool, szx: u8) -> Option<Self> {
        let szx = szx.min(SZX_BERT);
        let size = size_of_szx(szx) as u64;
        let num = u32::try_from(offset / size).ok().filter(|num| *num <= BLOCK_NUM_MAX)?;
        offset.is_multiple_of(size).then_some(Self { num, more, szx })
    }
}

pub(crate) const fn size_of_szx(szx: u8) -> usize {
    16 << (if szx > SZX_MAX { SZX_MAX } else { szx })
}

/// The part of a body that answers one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Which bytes of the body.
    pub range: Range<u64>,
    /// The Block2 option of the response; `None` where the whole body fits and nobody asked for blocks.
    pub block: Option<Block>,
}

/// Cuts the block that `asked` (the request's Block2 option) means out of a body of `body_bytes`, in blocks of at most
/// `szx_max`. Holds no state: any node can serve any block, if body and ETag are the same. `None` when the block lies
/// behind the end: answer 4.00.
#[must_use]
pub fn serve(body_bytes: u64, asked: Option<Block>, szx_max: u8) -> Option<Cut> {
    let szx = asked.map_or(SZX_MAX, |block| block.szx).min(szx_max).min(SZX_MAX);
    cut(body_bytes, asked, szx, size_of_szx(szx))
}

/// The same for a peer that is connected and takes so much; in blocks of at most 1024 bytes where nothing is known, which
/// is the way of datagrams.
#[must_use]
pub fn serve_over(capacity: Option<Capacity>, body_bytes: u64, asked: Option<Block>) -> Option<Cut> {
    let Some(capacity) = capacity else { return serve(body_bytes, asked, SZX_MAX) };
    if asked.is_none() && body_bytes <= capacity.piece_bytes() as u64 {
        return Some(Cut { range: 0..body_bytes, block: None });
    }
    let szx = asked.map_or(SZX_BERT, |block| block.szx).min(capacity.szx());
    cut(body_bytes, asked, szx, capacity.block_bytes(szx))
}

fn cut(body_bytes: u64, asked: Option<Block>, szx: u8, bytes: usize) -> Option<Cut> {
    let start = asked.map_or(0, Block::offset);
    if start > 0 && start >= body_bytes {
        return None;
    }
    let end = body_bytes.min(start + bytes as u64);
    let is_cut = asked.is_some() || end < body_bytes;
    let block = if is_cut { Some(Block::at(start, end < body_bytes, szx)?) } else { None };
    Some(Cut { range: start..end, block })
}

/// An ETag that any node computes alike: FNV-1a over the body. It tells versions apart, it does not prove anything.
#[must_use]
pub fn etag(body: &[u8]) -> [u8; 8] {
    fnv1a(FNV_START, body).to_be_bytes()
}

/// What to do about a request that may be one block of a larger one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadStep<'m> {
    /// The body is complete: run the request with it. Put `block`, if there is one, into the response.
    Whole {
        /// The whole body: the message's own payload when it came in one piece.
        body: Cow<'m, [u8]>,
        /// The Block1 option of the response.
        block: Option<Block>,
    },
    /// Answer 2.31 with this Block1 option and wait for the next block.
    Continue(Block),
    /// Answer with this code: 4.08 a block is missing, 4.13 the body is larger than allowed, 4.00 the block itself is
    /// wrong. `block` goes into the response.
    Refused {
        /// The code to answer.
        code: Code,
        /// The Block1 option of the response.
        block: Option<Block>,
    },
}

/// The uploads of one peer, assembled (RFC 7959 §2.5, atomic). Costs nothing while there is none.
#[derive(Debug, Default)]
pub struct Uploads {
    open: Vec<Upload>,
}

/// One body on its way.
#[derive(Debug)]
struct Upload {
    request: u64,
    body: Vec<u8>,
    heard_at: Instant,
}

impl Uploads {
    /// No upload yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { open: Vec::new() }
    }

    /// Takes a request, block or not. Give duplicates to [`crate::Answers`] first.
    pub fn handle<'m>(&mut self, now: Instant, message: &Message<'m>, body_bytes_max: usize) -> UploadStep<'m> {
        if message.option(option::BLOCK1).is_none() {
            return UploadStep::Whole { body: Cow::Borrowed(message.payload), block: None };
        }
        let is_sound = |block: &Block| !block.more || block.is_full(message.payload.len());
        let Some(block) = message.block1().filter(is_sound) else {
            return UploadStep::Refused { code: Code::BAD_REQUEST, block: None };
        };
        self.handle_timeout(now);

        let request = fingerprint(message);
        if block.num == 0 {
            self.forget(request);
            if !block.more {
                return UploadStep::Whole { body: Cow::Borrowed(message.payload), block: Some(block) };
            }
            self.begin(request, now);
        }
        let size_announced = message.uint(option::SIZE1).unwrap_or(0) as usize;
        let size_so_far = block.offset() as usize + message.payload.len();
        if size_so_far.max(size_announced) > body_bytes_max {
            self.forget(request);
            return UploadStep::Refused { code: Code::REQUEST_ENTITY_TOO_LARGE, block: None };
        }
        self.append(now, request, block, message.payload)
    }

    fn append<'m>(&mut self, now: Instant, request: u64, block: Block, payload: &[u8]) -> UploadStep<'m> {
        let incomplete = UploadStep::Refused { code: Code::REQUEST_ENTITY_INCOMPLETE, block: Some(block) };
        let Some(index) = self.open.iter().position(|upload| upload.request == request) else { return incomplete };
        let upload = &mut self.open[index];
        let (start, end) = (block.offset() as usize, block.offset() as usize + payload.len());
        // A block once more, in a new message: its 2.31 was lost for good, or the peer goes on from where it knows that it
        // was. It is in the body already.
        if block.more && upload.body.get(start..end) == Some(payload) {
            upload.heard_at = now;
            return UploadStep::Continue(block);
        }
        if start != upload.body.len() {
            return incomplete;
        }
        upload.body.extend_from_slice(payload);
        upload.heard_at = now;
        if block.more {
            return UploadStep::Continue(block);
        }
        let body = self.open.swap_remove(index).body;
        self.give_back();
        UploadStep::Whole { body: Cow::Owned(body), block: Some(block) }
    }

    fn begin(&mut self, request: u64, now: Instant) {
        if self.open.len() >= UPLOADS_PER_PEER_MAX
            && let Some(oldest) = (0..self.open.len()).min_by_key(|index| self.open[*index].heard_at)
        {
            self.open.swap_remove(oldest);
        }
        self.open.push(Upload { request, body: Vec::new(), heard_at: now });
    }

    fn forget(&mut self, request: u64) {
        self.open.retain(|upload| upload.request != request);
        self.give_back();
    }

    /// Gives up uploads whose last block came too long ago.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.open.retain(|upload| now.saturating_duration_since(upload.heard_at) < UPLOAD_IDLE_MAX);
        self.give_back();
    }

    /// When the next upload is given up.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.open.iter().map(|upload| upload.heard_at + UPLOAD_IDLE_MAX).min()
    }

    /// No upload is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    fn give_back(&mut self) {
        if self.open.is_empty() {
            self.open = Vec::new();
        }
    }
}

/// What makes two blocks parts of the same request: its code and all options but those about blocks (RFC 7959 §2.5).
fn fingerprint(message: &Message<'_>) -> u64 {
    message
        .options()
        .filter(|(number, _)| !matches!(*number, option::BLOCK1 | option::BLOCK2 | option::SIZE1 | option::SIZE2))
        .fold(fnv1a(FNV_START, &[message.code.0]), |hash, (number, value)| {
            let hash = fnv1a(hash, &number.to_be_bytes());
            fnv1a(fnv1a(hash, &(value.len() as u16).to_be_bytes()), value)
        })
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_body_is_not_cut_unless_asked() {
        assert_eq!(serve(100, None, SZX_MAX), Some(Cut { range: 0..100, block: None }));
        let whole = Block { num: 0, more: false, szx: 6 };
        assert_eq!(serve(100, Some(whole), SZX_MAX), Some(Cut { range: 0..100, block: Some(whole) }));
        assert_eq!(serve(0, None, SZX_MAX), Some(Cut { range: 0..0, block: None }));
    }

    #[test]
    fn a_large_body_is_cut_and_every_block_can_be_asked_for_alone() {
        assert_eq!(
            serve(2500, None, SZX_MAX),
            Some(Cut { range: 0..1024, block: Some(Block { num: 0, more: true, szx: 6 }) })
        );
        let last = Block { num: 2, more: false, szx: 6 };
        assert_eq!(serve(2500, Some(last), SZX_MAX), Some(Cut { range: 2048..2500, block: Some(last) }));
        assert_eq!(serve(2500, Some(Block { num: 3, more: false, szx: 6 }), SZX_MAX), None);
    }

    #[test]
    fn blocks_get_no_larger_than_either_side_wants() {
        let asked = Block { num: 1, more: false, szx: 6 };
        let smaller = Block { num: 4, more: true, szx: 4 };
        assert_eq!(serve(2500, Some(asked), 4), Some(Cut { range: 1024..1280, block: Some(smaller) }));
        assert_eq!(serve(2500, Some(smaller), SZX_MAX).map(|cut| cut.range), Some(1024..1280));
    }

    #[test]
    fn an_offset_without_a_block_number_is_none() {
        assert_eq!(Block::at(100, false, 6), None);
        assert_eq!(Block::at(1 << 30, false, 6), None);
        assert_eq!(Block::at(1 << 24, false, 0), None);
        assert_eq!(Block::of_uint(1 << 24), None);
    }
}
