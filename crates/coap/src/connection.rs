//! One side of a connection that carries messages (RFC 8323): frames, signalling, and whether the peer is still there.
//!
//! What it writes is a stream of bytes and what it reads is one: TCP below it, or TLS over TCP, is the caller's business.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use crate::{
    blockwise::{SZX_BERT, SZX_MAX, size_of_szx},
    code::Code,
    encode::Encoder,
    error::MessageError,
    message::{Kind, Message, Token},
    option,
    stream::{Decoder, StreamError, frame, frame_bytes_max},
};

/// RFC 8323 §5.3.1: what every peer takes that says nothing else.
const MESSAGE_BYTES_BASE: u32 = 1_152;

/// Option of a CSM: the largest message that its sender takes (RFC 8323 §5.3.1).
const MAX_MESSAGE_SIZE: u16 = 2;
/// Option of a CSM: its sender understands Block1 and Block2 (RFC 8323 §5.3.2).
const BLOCK_WISE_TRANSFER: u16 = 4;
/// Option of Ping and Pong (RFC 8323 §5.4.1).
const CUSTODY: u16 = 2;
/// Option of a Release: for so many seconds nobody should connect again (RFC 8323 §5.5). Its other option, an address to
/// go to instead, is elective, and nobody whom we connect to is told to us that way.
const HOLD_OFF: u16 = 4;
/// Option of an Abort: which option of the CSM was at fault (RFC 8323 §5.6).
const BAD_CSM_OPTION: u16 = 2;

/// The largest part of a body that we put into one message: longer ones save nothing that can be measured, and each is
/// copied a few times on its way.
const PIECE_BYTES_MAX: usize = 32 * 1024;

/// Room beside the payload for the header, the token and the options. 128 bytes are what the base size leaves beside a
/// block of 1024; whoever takes more gets our longest queries in one message, too.
const ENVELOPE_BYTES: u32 = 128;
const ENVELOPE_BYTES_AMPLE: u32 = 512;

/// Pings whose answer waits for what came before them. One who sends more before the first is answered hears of the rest
/// at once, without Custody, which is a wish (RFC 8323 §5.4.1).
const CUSTODY_WAITING_MAX: usize = 4;

/// What a peer said in its CSM that it takes (RFC 8323 §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Its longest message, from the first byte of the frame to the last.
    pub message_bytes: u32,
    /// It understands block-wise transfer.
    pub has_blocks: bool,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { message_bytes: MESSAGE_BYTES_BASE, has_blocks: false }
    }
}

impl Capacity {
    /// The largest body that goes in one piece, and the largest part of one that does not.
    #[must_use]
    pub fn piece_bytes(self) -> usize {
        let is_ample = self.message_bytes >= 4 * ENVELOPE_BYTES_AMPLE;
        let envelope = if is_ample { ENVELOPE_BYTES_AMPLE } else { ENVELOPE_BYTES };
        (self.message_bytes.saturating_sub(envelope) as usize).clamp(size_of_szx(0), PIECE_BYTES_MAX)
    }

    /// The block size exponent to begin with. RFC 8323 §6: BERT is for those who say that they know blocks, and take more
    /// than the base size.
    #[must_use]
    pub fn szx(self) -> u8 {
        let piece = self.piece_bytes();
        if self.has_blocks && self.message_bytes > MESSAGE_BYTES_BASE && piece >= size_of_szx(SZX_MAX) {
            return SZX_BERT;
        }
        (0..=SZX_MAX).rev().find(|szx| size_of_szx(*szx) <= piece).unwrap_or(0)
    }

    /// Bytes of one part of a body in blocks of this exponent.
    #[must_use]
    pub fn block_bytes(self, szx: u8) -> usize {
        let size = size_of_szx(szx);
        if szx == SZX_BERT { (self.piece_bytes() / size).max(1) * size } else { size }
    }
}

/// How a connection behaves.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionOptions {
    /// The longest message that we take.
    pub message_bytes_max: u32,
    /// How long the peer may take for its CSM.
    pub csm_wait: Duration,
    /// After so much silence the peer is asked whether it is there.
    pub ping_after: Duration,
    /// How long it may take to answer that.
    pub pong_wait: Duration,
}

/// Why a connection is over. What the peer should know of it has been written; close it when that has left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The peer wants to end it (RFC 8323 §5.5), and everything it asked before was answered.
    Released {
        /// It does not want to be connected to for so long; 0 if it did not say.
        hold_off_s: u32,
    },
    /// The peer ended it (RFC 8323 §5.6).
    Aborted {
        /// Its own words, cut.
        diagnostic: String,
    },
    /// RFC 8323 §3.3: the first message was no CSM, or none came in time.
    CsmMissing,
    /// RFC 8323 §5.2, §5.3: a CSM with an option that we must know and do not, or that makes no sense.
    CsmInvalid {
        /// The option.
        option: u16,
    },
    /// RFC 8323 §5.2: another signal with an option that we must know and do not.
    SignalInvalid {
        /// The option.
        option: u16,
    },
    /// What came is no message, or too long.
    Unreadable(StreamError),
    /// Nothing came for a long time, and no answer to a Ping.
    Silent,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released { .. } => f.write_str("released by the peer"),
            Self::Aborted { diagnostic } if diagnostic.is_empty() => f.write_str("aborted by the peer"),
            Self::Aborted { diagnostic } => write!(f, "aborted by the peer: {diagnostic}"),
            Self::CsmMissing => f.write_str("no capabilities and settings (CSM)"),
            Self::CsmInvalid { option } => write!(f, "option {option} of the CSM"),
            Self::SignalInvalid { option } => write!(f, "option {option} of a signal"),
            Self::Unreadable(error) => error.fmt(f),
            Self::Silent => f.write_str("nothing heard for too long"),
        }
    }
}

/// Longest diagnostic of an Abort that is kept: enough to say why.
const DIAGNOSTIC_BYTES_MAX: usize = 128;

/// One side of a connection.
///
/// Give it what arrives with [`Connection::push`], then take messages with [`Connection::next_message`] until there is none;
/// call [`Connection::handle_timeout`] no earlier than [`Connection::poll_timeout`] says. Whatever it has to say is appended
/// to `out`. After an [`Ending`] it is of no more use.
#[derive(Debug)]
pub struct Connection {
    options: ConnectionOptions,
    decoder: Decoder,
    /// The peer's; `None` until its CSM.
    capacity: Option<Capacity>,
    began_at: Instant,
    heard_at: Instant,
    pinged_at: Option<Instant>,
    /// Requests of the peer whose answer is still to come.
    held: u32,
    /// Pongs that wait, each for so many answers.
    custody: VecDeque<(Token, u32)>,
    /// The peer wants to end it, and its Hold-Off.
    released: Option<u32>,
}

impl Connection {
    /// The connection was made: our CSM goes first (RFC 8323 §3.3), whichever side we are.
    #[must_use]
    pub fn open(now: Instant, options: ConnectionOptions, out: &mut Vec<u8>) -> Self {
        write_signal(out, Code::CSM, Token::EMPTY, |csm| {
            csm.uint(MAX_MESSAGE_SIZE, options.message_bytes_max).option(BLOCK_WISE_TRANSFER, &[]).finish();
        });
        Self {
            options,
            decoder: Decoder::new(options.message_bytes_max as usize),
            capacity: None,
            began_at: now,
            heard_at: now,
            pinged_at: None,
            held: 0,
            custody: VecDeque::new(),
            released: None,
        }
    }

    /// What the peer takes; the base values until it has said so.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.capacity.unwrap_or_default()
    }

    /// The peer has introduced itself: requests may go its way.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.capacity.is_some()
    }

    /// When something came last.
    #[must_use]
    pub const fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Memory for what came of a message that is not whole yet.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.decoder.allocated()
    }

    /// Bytes that arrived. Take all messages before the next call.
    pub fn push(&mut self, now: Instant, bytes: &[u8]) {
        self.heard_at = now;
        self.pinged_at = None;
        // RFC 8323 §5.5: whoever asks for the end is not heard any more.
        if self.released.is_none() {
            self.decoder.push(bytes);
        }
    }

    /// The next request, response or notification, put into `frame` for [`Message::parse_frame`]; false when more has to
    /// arrive. Signals are dealt with on the way, empty messages are passed over (RFC 8323 §3.4).
    pub fn next_message(&mut self, frame: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool, Ending> {
        while self.released.is_none() {
            match self.decoder.next_frame() {
                Ok(Some(next)) => {
                    frame.clear();
                    frame.extend_from_slice(next);
                }
                Ok(None) => {
                    self.decoder.rest();
                    return Ok(false);
                }
                Err(error) => return Err(abort(out, Ending::Unreadable(error))),
            }
            let unreadable = |error: MessageError| Ending::Unreadable(StreamError::Malformed(error));
            let message = Message::parse_frame(frame).map_err(|error| abort(out, unreadable(error)))?;
            if message.code.is_empty() {
                continue;
            }
            if message.code.is_signal() {
                self.handle_signal(&message, out)?;
            } else if self.is_open() {
                return Ok(true);
            } else {
                return Err(abort(out, Ending::CsmMissing));
            }
        }
        Ok(false)
    }

    fn handle_signal(&mut self, signal: &Message<'_>, out: &mut Vec<u8>) -> Result<(), Ending> {
        // RFC 8323 §5.2: no option of a signal that exists today is critical.
        let unknown = signal.options().map(|(number, _)| number).find(|number| option::is_critical(*number));
        match (signal.code, unknown) {
            (Code::CSM, Some(option)) => Err(abort(out, Ending::CsmInvalid { option })),
            (Code::CSM, None) => self.handle_csm(signal, out),
            // What ends the connection ends it, whatever else it says.
            (Code::ABORT, _) => {
                let said = &signal.payload[..signal.payload.len().min(DIAGNOSTIC_BYTES_MAX)];
                Err(Ending::Aborted { diagnostic: String::from_utf8_lossy(said).into_owned() })
            }
            _ if !self.is_open() => Err(abort(out, Ending::CsmMissing)),
            (_, Some(option)) => Err(abort(out, Ending::SignalInvalid { option })),
            (Code::PING, None) => {
                self.handle_ping(signal, out);
                Ok(())
            }
            (Code::RELEASE, None) => {
                self.released = Some(signal.option(HOLD_OFF).and_then(option::uint).unwrap_or(0));
                self.end_if_released()
            }
            // A Pong was heard, which is all that it is for. Signals that are not invented yet mean nothing to us.
            _ => Ok(()),
        }
    }

    /// RFC 8323 §5.3: what was said before and is not said again still holds.
    fn handle_csm(&mut self, csm: &Message<'_>, out: &mut Vec<u8>) -> Result<(), Ending> {
        let mut capacity = self.capacity();
        if let Some(value) = csm.option(MAX_MESSAGE_SIZE) {
            let invalid = Ending::CsmInvalid { option: MAX_MESSAGE_SIZE };
            capacity.message_bytes = option::uint(value).ok_or_else(|| abort(out, invalid))?;
        }
        capacity.has_blocks |= csm.option(BLOCK_WISE_TRANSFER).is_some();
        self.capacity = Some(capacity);
        Ok(())
    }

    /// RFC 8323 §5.4: answered with the same token; with Custody when everything asked before was answered.
    fn handle_ping(&mut self, ping: &Message<'_>, out: &mut Vec<u8>) {
        let wants_custody = ping.option(CUSTODY).is_some();
        if wants_custody && self.held > 0 && self.custody.len() < CUSTODY_WAITING_MAX {
            self.custody.push_back((ping.token, self.held));
        } else {
            write_pong(out, ping.token, wants_custody && self.held == 0);
        }
    }

    /// The answer to a request of the peer will be some time: what waits for it is told with [`Connection::answered`].
    pub const fn hold(&mut self) {
        self.held = self.held.saturating_add(1);
    }

    /// The peer waits for an answer that is held.
    #[must_use]
    pub const fn is_owed(&self) -> bool {
        self.held > 0
    }

    /// An answer that was held has been sent.
    pub fn answered(&mut self, out: &mut Vec<u8>) -> Result<(), Ending> {
        self.held = self.held.saturating_sub(1);
        self.custody.iter_mut().for_each(|(_, before)| *before = before.saturating_sub(1));
        while let Some((token, 0)) = self.custody.front() {
            write_pong(out, *token, true);
            self.custody.pop_front();
        }
        self.end_if_released()
    }

    /// RFC 8323 §5.5: a Release waits for the answers to what was asked before.
    fn end_if_released(&self) -> Result<(), Ending> {
        match self.released {
            Some(hold_off_s) if self.held == 0 => Err(Ending::Released { hold_off_s }),
            _ => Ok(()),
        }
    }

    /// Says a message as an encoder wrote it; false if it is longer than the peer takes. An empty one leaves no trace.
    pub fn send(&self, message: &[u8], out: &mut Vec<u8>) -> bool {
        if frame_bytes_max(message.len()) > self.capacity().message_bytes as usize {
            return false;
        }
        frame(message, out);
        true
    }

    /// We want the connection to end (RFC 8323 §5.5). Close it when this has left: all that we owed was said before.
    pub fn release(&self, out: &mut Vec<u8>) {
        write_signal(out, Code::RELEASE, Token::EMPTY, |signal| signal.finish());
    }

    /// Asks a peer that was silent for long whether it is there, and gives up one that does not answer.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), Ending> {
        if self.poll_timeout() > now {
            return Ok(());
        }
        if !self.is_open() {
            return Err(abort(out, Ending::CsmMissing));
        }
        if self.pinged_at.is_some() {
            return Err(abort(out, Ending::Silent));
        }
        self.pinged_at = Some(now);
        write_signal(out, Code::PING, Token::EMPTY, |signal| signal.finish());
        Ok(())
    }

    /// When to call [`Connection::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        match self.pinged_at {
            _ if !self.is_open() => self.began_at + self.options.csm_wait,
            Some(pinged_at) => pinged_at + self.options.pong_wait,
            None => self.heard_at + self.options.ping_after,
        }
    }
}

fn write_pong(out: &mut Vec<u8>, token: Token, has_custody: bool) {
    write_signal(
        out,
        Code::PONG,
        token,
        |pong| {
            if has_custody { pong.option(CUSTODY, &[]).finish() } else { pong.finish() }
        },
    );
}

/// RFC 8323 §5.6: says why before it ends.
fn abort(out: &mut Vec<u8>, ending: Ending) -> Ending {
    let diagnostic = ending.to_string();
    write_signal(out, Code::ABORT, Token::EMPTY, |abort| match ending {
        Ending::CsmInvalid { option } => {
            abort.uint(BAD_CSM_OPTION, u32::from(option)).payload(diagnostic.as_bytes());
        }
        _ => abort.payload(diagnostic.as_bytes()),
    });
    ending
}

fn write_signal(out: &mut Vec<u8>, code: Code, token: Token, write: impl FnOnce(Encoder<'_>)) {
    let mut message = Vec::new();
    write(Encoder::new(&mut message, Kind::Reliable, code, 0, token));
    frame(&message, out);
}
