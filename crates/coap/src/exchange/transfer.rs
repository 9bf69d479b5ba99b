//! One request of ours through as many blocks as it takes, both ways (RFC 7959): what to say next, and what an answer
//! means. Knows nothing of time and repetition.

use super::{Answered, Outcome, Request, Transmission};
use crate::{
    blockwise::{Block, SZX_BERT, size_of_szx},
    code::Code,
    connection::Capacity,
    encode::MessageBuilder,
    message::{Kind, Message, Token},
    option,
};

/// How often a transfer starts over: once because the peer wants smaller blocks or rebooted in the middle, once more
/// because the body changed under a download. A peer that forces a third would force a hundredth.
const TRANSFER_RESTARTS_MAX: u8 = 2;

/// Where a request is on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    request: Request,
    szx: u8,
    capacity: Option<Capacity>,
    body_bytes_max: usize,
    phase: Phase,
    /// The first block of the answer; its payload grows into the whole.
    head: Option<Answered>,
    /// Token and Observe of the answer that began: an observation stands under them, even if the body starts over.
    begun_under: Option<(Token, Option<u32>)>,
    restarts: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The request goes in one piece.
    Whole,
    /// The request goes in blocks; so much of it arrived.
    Upload { offset: usize },
    /// The request arrived; the rest of the answer is fetched.
    Download,
}

/// What to do after an answer.
#[derive(Debug)]
pub(super) enum Step {
    /// Say the next message of the transfer.
    Next,
    /// The request is through.
    Done(Outcome),
}

impl Transfer {
    pub(super) fn new(mut request: Request, transmission: &Transmission) -> Self {
        let capacity = transmission.capacity;
        let (mut szx, mut head) = (capacity.map_or(transmission.szx, Capacity::szx), None);
        let piece_bytes = capacity.map_or(size_of_szx(szx), Capacity::piece_bytes);
        let mut phase = match &request.source {
            // A block boundary, and never behind the last block: its answer is the answer to it all.
            Some(source) => {
                let last = source.bytes.saturating_sub(1);
                let from = source.from.min(last);
                Phase::Upload { offset: (from - from % size_of_szx(szx) as u64) as usize }
            }
            None if request.payload.len() > piece_bytes => Phase::Upload { offset: 0 },
            None => Phase::Whole,
        };
        if let Some(begun) = request.begun.take() {
            szx = szx.min(begun.szx);
            phase = Phase::Download;
            head = Some(begun.head);
        }
        let body_bytes_max = transmission.body_bytes_max as usize;
        let begun_under = head.as_ref().map(|head| (head.token, head.observe));
        Self { request, szx, capacity, body_bytes_max, phase, head, begun_under, restarts: 0 }
    }

    pub(super) const fn is_confirmable(&self) -> bool {
        self.request.confirmable && self.capacity.is_none()
    }

    /// The token the caller wants for the next message, if any: only for the first, because notifications and blocks
    /// must be told apart (RFC 7959 §3.4).
    pub(super) fn token(&self) -> Option<Token> {
        if self.phase == Phase::Whole { self.request.token } else { None }
    }

    /// A notification under the token with which we are ending its observation: late, and not our answer.
    pub(super) fn is_late_notification(&self, message: &Message<'_>) -> bool {
        self.request.observe == Some(crate::observe::CANCEL)
            && message.kind != Kind::Acknowledgement
            && message.observe().is_some()
    }

    /// Bytes of a body that is read piece by piece which the peer has acknowledged; `None` for all other requests.
    pub(super) fn uploaded(&self) -> Option<u64> {
        match (&self.request.source, self.phase) {
            (Some(_), Phase::Upload { offset }) => Some(offset as u64),
            _ => None,
        }
    }

    /// The next message; `None` if its block cannot be numbered, or its bytes cannot be read.
    pub(super) fn encode(&self, id: u16, token: Token) -> Option<Vec<u8>> {
        let request = &self.request;
        let kind = match self.capacity {
            Some(_) => Kind::Reliable,
            None if request.confirmable => Kind::Confirmable,
            None => Kind::NonConfirmable,
        };
        let mut message = MessageBuilder::new(kind, request.code, id, token).path(&request.path);
        message = request.queries.iter().fold(message, |message, query| message.query(query));
        for (number, value) in &request.options {
            message = message.option(*number, value.as_slice());
        }
        if let Some(format) = request.accept {
            message = message.accept(format);
        }
        let message = match self.phase {
            Phase::Whole => self.whole(message),
            Phase::Upload { offset } => self.upload_block(message, offset)?,
            Phase::Download => self.download_block(message)?,
        };
        Some(message.to_bytes())
    }

    fn whole<'a>(&'a self, mut message: MessageBuilder<'a>) -> MessageBuilder<'a> {
        if let Some(block) = self.request.block2 {
            message = message.block2(block);
        } else if self.szx < crate::blockwise::SZX_MAX {
            // RFC 7959 §2.4: say early how large blocks may be, the first one included.
            message = message.block2(Block { num: 0, more: false, szx: self.szx });
        }
        self.with_body(message, &self.request.payload)
    }

    fn upload_block<'a>(&'a self, message: MessageBuilder<'a>, offset: usize) -> Option<MessageBuilder<'a>> {
        let bytes = self.upload_bytes();
        let end = bytes.min(offset + self.block_bytes());
        let block = Block::at(offset as u64, end < bytes, self.szx)?;
        let message = message.block1(block);
        let mut message = match &self.request.source {
            Some(source) => {
                let mut piece = vec![0; end - offset];
                if !source.pieces.read(offset as u64, &mut piece) {
                    return None;
                }
                self.described(message).payload(piece)
            }
            None => self.with_body(message, &self.request.payload[offset..end]),
        };
        if offset == 0 {
            message = message.uint(option::SIZE1, u32::try_from(bytes).ok()?);
        }
        Some(message)
    }

    /// Bytes of the body that go into one message.
    fn block_bytes(&self) -> usize {
        match self.capacity.filter(|_| self.szx == SZX_BERT) {
            Some(capacity) => capacity.block_bytes(self.szx),
            None => size_of_szx(self.szx),
        }
    }

    fn upload_bytes(&self) -> usize {
        let source = self.request.source.as_ref();
        source.map_or(self.request.payload.len(), |source| source.bytes as usize)
    }

    fn download_block<'a>(&'a self, message: MessageBuilder<'a>) -> Option<MessageBuilder<'a>> {
        let block = Block::at(self.received() as u64, false, self.szx)?;
        let message = message.block2(block);
        // RFC 8132 §2: what a FETCH asks for is in its payload, so every block of the answer needs it again. Other
        // methods said it all with the first message (RFC 7959 §3.3).
        let is_repeated = self.request.code == Code::FETCH && self.request.payload.len() <= self.block_bytes();
        if !is_repeated {
            return Some(message);
        }
        Some(match self.request.content_format {
            Some(format) => message.content_format(format).payload(self.request.payload.as_slice()),
            None => message.payload(self.request.payload.as_slice()),
        })
    }

    fn with_body<'a>(&self, message: MessageBuilder<'a>, body: &'a [u8]) -> MessageBuilder<'a> {
        self.described(message).payload(body)
    }

    fn described<'a>(&self, mut message: MessageBuilder<'a>) -> MessageBuilder<'a> {
        if let Some(value) = self.request.observe {
            message = message.observe(value);
        }
        if let Some(format) = self.request.content_format {
            message = message.content_format(format);
        }
        message
    }

    /// What the answer to the last message means.
    pub(super) fn absorb(&mut self, message: &Message<'_>) -> Step {
        let upload_step = match self.phase {
            Phase::Whole => self.absorb_refused_size(message),
            Phase::Upload { offset } => self.absorb_upload(message, offset),
            Phase::Download => None,
        };
        upload_step.unwrap_or_else(|| self.absorb_answer(message))
    }

    /// `None` when the message is the answer to the whole upload.
    fn absorb_upload(&mut self, message: &Message<'_>, offset: usize) -> Option<Step> {
        if message.code == Code::REQUEST_ENTITY_TOO_LARGE {
            return self.absorb_refused_size(message);
        }
        // RFC 7959 §2.9.2: the peer lost what came before. Start over.
        if message.code == Code::REQUEST_ENTITY_INCOMPLETE && self.may_restart() {
            self.phase = Phase::Upload { offset: 0 };
            return Some(Step::Next);
        }
        let acknowledged = message.block1();
        let end = offset + self.block_bytes();
        let is_last = end >= self.upload_bytes();
        if is_last || !message.code.is_success() || (acknowledged.is_none() && message.code != Code::CONTINUE) {
            return None;
        }
        // RFC 7959 §2.3: the peer may ask for smaller blocks from now on; what was sent counts as it was.
        self.szx = acknowledged.map_or(self.szx, |block| block.szx.min(self.szx));
        self.phase = Phase::Upload { offset: end };
        Some(Step::Next)
    }

    /// RFC 7959 §2.9.3: a 4.13 with a smaller block size invites us to start over in blocks of that size.
    fn absorb_refused_size(&mut self, message: &Message<'_>) -> Option<Step> {
        let hint = message.block1().filter(|_| message.code == Code::REQUEST_ENTITY_TOO_LARGE)?;
        let is_smaller = match self.phase {
            Phase::Whole => size_of_szx(hint.szx) < self.upload_bytes(),
            _ => hint.szx < self.szx,
        };
        if !is_smaller || !self.may_restart() {
            return None;
        }
        self.szx = self.szx.min(hint.szx);
        self.phase = Phase::Upload { offset: 0 };
        Some(Step::Next)
    }

    fn absorb_answer(&mut self, message: &Message<'_>) -> Step {
        let block = message.block2().filter(|_| self.request.block2.is_none() && message.code.is_success());
        let Some(block) = block else {
            // RFC 7959 §2.2: the reserved block size means nothing, and what came under it is not the whole.
            let is_reserved = message.option(option::BLOCK2).is_some() && message.block2().is_none();
            return if is_reserved && message.code.is_success() { self.broken() } else { self.done(message) };
        };
        let is_first = self.head.is_none();
        if is_first && block.num == 0 && !block.more {
            return self.done(message);
        }
        let bytes = message.payload.len();
        if is_first && block.num != 0 || block.more && !block.is_full(bytes) {
            return self.broken();
        }
        let size_announced = message.uint(option::SIZE2).unwrap_or(0) as usize;
        if (self.received() + bytes).max(size_announced) > self.body_bytes_max {
            return Step::Done(Outcome::BodyTooLarge { bytes_max: self.body_bytes_max as u32 });
        }
        match &mut self.head {
            None => {
                self.begun_under.get_or_insert((message.token, message.observe()));
                self.head = Some(Answered { block2: None, ..Answered::of(message) });
            }
            // RFC 7959 §2.4: another ETag is another body, and its first part is not what we have.
            Some(head) if message.etag() != head.etag.as_deref() || block.offset() != head.payload.len() as u64 => {
                return self.start_download_over();
            }
            Some(head) => head.payload.extend_from_slice(message.payload),
        }
        if !block.more {
            return self.done(message);
        }
        self.szx = self.szx.min(block.szx);
        self.phase = Phase::Download;
        Step::Next
    }

    /// The answer is complete: the assembled one, or the message itself.
    fn done(&mut self, message: &Message<'_>) -> Step {
        let assembled = self.head.take().filter(|_| message.code.is_success() && message.block2().is_some());
        let mut answered = assembled.unwrap_or_else(|| Answered::of(message));
        if let Some((token, observe)) = self.begun_under.filter(|_| answered.code.is_success()) {
            (answered.token, answered.observe) = (token, observe);
        }
        Step::Done(Outcome::Answered(answered))
    }

    /// Only where asking again changes nothing: another POST would be another deed.
    fn start_download_over(&mut self) -> Step {
        if !matches!(self.request.code, Code::GET | Code::FETCH) || !self.may_restart() {
            return self.broken();
        }
        self.head = None;
        self.phase = Phase::Download;
        Step::Next
    }

    fn broken(&self) -> Step {
        Step::Done(self.broken_outcome())
    }

    pub(super) fn broken_outcome(&self) -> Outcome {
        Outcome::BrokenTransfer { bytes: self.received() }
    }

    fn received(&self) -> usize {
        self.head.as_ref().map_or(0, |head| head.payload.len())
    }

    fn may_restart(&mut self) -> bool {
        self.restarts += 1;
        self.restarts <= TRANSFER_RESTARTS_MAX
    }
}
