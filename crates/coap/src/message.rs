//! A message: header, token, options and payload, borrowed from the datagram it came in (RFC 7252 §3).

use std::fmt;

use crate::{
    blockwise::{Block, SZX_BERT, SZX_MAX},
    code::Code,
    error::MessageError,
    option::{self, Options},
    stream::FrameHeader,
};

/// RFC 7252 §3: longer tokens are a format error.
pub const TOKEN_BYTES_MAX: usize = 8;

/// Version, kind, token length; code; message id.
pub const HEADER_BYTES: usize = 4;

/// How a message is delivered (RFC 7252 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Repeated until acknowledged.
    Confirmable,
    /// Sent once.
    NonConfirmable,
    /// Arrived; often carries the response.
    Acknowledgement,
    /// Arrived, but the context to understand it is missing.
    Reset,
    /// Over a connection, which loses nothing and repeats nothing (RFC 8323 §3): it has no type, and no message id.
    Reliable,
}

impl Kind {
    const fn of_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Confirmable,
            1 => Self::NonConfirmable,
            2 => Self::Acknowledgement,
            _ => Self::Reset,
        }
    }

    /// RFC 7252 §4.3, table 1.
    const fn may_carry(self, code: Code) -> bool {
        match self {
            Self::Confirmable | Self::Reliable => true,
            Self::NonConfirmable => !code.is_empty(),
            Self::Acknowledgement => !code.is_request(),
            Self::Reset => code.is_empty(),
        }
    }
}

/// What ties a response to its request. Chosen by whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Token {
    length: u8,
    bytes: [u8; TOKEN_BYTES_MAX],
}

impl Token {
    /// The token of no bytes.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; TOKEN_BYTES_MAX] };

    /// At most eight bytes.
    pub fn new(token: &[u8]) -> Result<Self, MessageError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(MessageError::TokenTooLong { length: token.len() });
        }
        let mut bytes = [0; TOKEN_BYTES_MAX];
        bytes[..token.len()].copy_from_slice(token);
        Ok(Self { length: token.len() as u8, bytes })
    }

    /// The bytes that go over the wire.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    pub(crate) const fn of_u32(value: u32) -> Self {
        let [a, b, c, d] = value.to_be_bytes();
        Self { length: 4, bytes: [a, b, c, d, 0, 0, 0, 0] }
    }

    /// Sixteen bits of it, for memories that keep many. Two tokens of one peer seldom share them.
    pub(crate) fn digest(&self) -> u16 {
        let folded = (u64::from_le_bytes(self.bytes) ^ u64::from(self.length)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (folded >> 48) as u16
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What becomes of a request that cannot be honoured as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Answer with this code.
    Answer(Code),
    /// RFC 7252 §5.4.1: what was not confirmable gets no answer; reject it with a reset, or with silence.
    Reject,
}

/// A message that was parsed: every header in it is sound, nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// How it is delivered.
    pub kind: Kind,
    /// What it is.
    pub code: Code,
    /// What ties an acknowledgement to its message, and tells duplicates.
    pub id: u16,
    /// What ties a response to its request.
    pub token: Token,
    /// What comes after the options; empty when there is none.
    pub payload: &'a [u8],
    options: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a datagram. Never panics, never allocates, whatever the bytes.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, MessageError> {
        let [first, code, id_high, id_low, rest @ ..] = datagram else {
            return Err(MessageError::TooShort { bytes: datagram.len() });
        };
        if first >> 6 != 1 {
            return Err(MessageError::UnknownVersion { version: first >> 6 });
        }
        let length = usize::from(first & 15);
        if length > TOKEN_BYTES_MAX {
            return Err(MessageError::TokenTooLong { length });
        }
        let (kind, code) = (Kind::of_bits(first >> 4), Code(*code));
        if code.is_reserved() {
            return Err(MessageError::ReservedCode { code });
        }
        if !kind.may_carry(code) {
            return Err(MessageError::CodeNotAllowed { kind, code });
        }
        // RFC 7252 §4.1: an empty message is the header and nothing else.
        if code.is_empty() && datagram.len() + length > HEADER_BYTES {
            return Err(MessageError::EmptyMessageWithMore);
        }

        let (token, rest) = rest.split_at_checked(length).ok_or(MessageError::Truncated)?;
        let (options, payload) = split(rest)?;
        let id = u16::from_be_bytes([*id_high, *id_low]);
        Ok(Self { kind, code, id, token: Token::new(token)?, payload, options })
    }

    /// Reads the frame of a connection, whole as [`crate::stream::Decoder`] cuts it (RFC 8323 §3.2). Never panics, never
    /// allocates, whatever the bytes.
    pub fn parse_frame(frame: &'a [u8]) -> Result<Self, MessageError> {
        let header = FrameHeader::read(frame)?.filter(|header| header.frame_bytes() == frame.len() as u64);
        let header = header.ok_or(MessageError::Truncated)?;
        let code = header.code;
        if code.is_reserved() && !code.is_signal() {
            return Err(MessageError::ReservedCode { code });
        }
        let (token, rest) = frame[header.bytes..].split_at(header.token_bytes);
        let (options, payload) = split(rest)?;
        Ok(Self { kind: Kind::Reliable, code, id: 0, token: Token::new(token)?, payload, options })
    }

    /// Length of the datagram it came in.
    #[must_use]
    pub const fn datagram_bytes(&self) -> usize {
        let marker = if self.payload.is_empty() { 0 } else { 1 };
        HEADER_BYTES + self.token.length as usize + self.options.len() + marker + self.payload.len()
    }

    /// All options, ascending.
    #[must_use]
    pub const fn options(&self) -> Options<'a> {
        Options::new(self.options)
    }

    /// The value of the first option of this number.
    #[must_use]
    pub fn option(&self, number: u16) -> Option<&'a [u8]> {
        self.options().take_while(|(n, _)| *n <= number).find(|(n, _)| *n == number).map(|(_, value)| value)
    }

    /// The values of every option of this number, in their order.
    pub fn values(&self, number: u16) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.options()
            .skip_while(move |(n, _)| *n < number)
            .take_while(move |(n, _)| *n == number)
            .map(|(_, value)| value)
    }

    /// The option as a number. An option whose length is not one it can have counts as absent (RFC 7252 §5.4.3).
    #[must_use]
    pub fn uint(&self, number: u16) -> Option<u32> {
        let value = self.option(number)?;
        if option::is_length_valid(number, value.len()) { option::uint(value) } else { None }
    }

    /// The segments of Uri-Path.
    pub fn path(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.values(option::URI_PATH)
    }

    /// The parts of Uri-Query.
    pub fn queries(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.values(option::URI_QUERY)
    }

    /// The segments of Location-Path.
    pub fn location(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.values(option::LOCATION_PATH)
    }

    /// What the payload is, see [`crate::content_format`].
    #[must_use]
    pub fn content_format(&self) -> Option<u16> {
        self.uint(option::CONTENT_FORMAT).map(|format| format as u16)
    }

    /// What the asker would like to read.
    #[must_use]
    pub fn accept(&self) -> Option<u16> {
        self.uint(option::ACCEPT).map(|format| format as u16)
    }

    /// In a request 0 registers and 1 cancels; in a notification the order (RFC 7641 §2).
    #[must_use]
    pub fn observe(&self) -> Option<u32> {
        self.uint(option::OBSERVE)
    }

    /// The part of the request body this is about. A reserved block size counts as absent: see [`Message::refusal`].
    #[must_use]
    pub fn block1(&self) -> Option<Block> {
        self.block(option::BLOCK1)
    }

    /// The part of the response body this is about. A reserved block size counts as absent: see [`Message::refusal`].
    #[must_use]
    pub fn block2(&self) -> Option<Block> {
        self.block(option::BLOCK2)
    }

    /// RFC 8323 §6: the size that is reserved in a datagram means several blocks at once over a connection.
    fn block(&self, number: u16) -> Option<Block> {
        let szx_max = if self.kind == Kind::Reliable { SZX_BERT } else { SZX_MAX };
        self.uint(number).and_then(Block::of_uint).filter(|block| block.szx <= szx_max)
    }

    /// The first ETag.
    #[must_use]
    pub fn etag(&self) -> Option<&'a [u8]> {
        self.option(option::ETAG).filter(|value| option::is_length_valid(option::ETAG, value.len()))
    }

    /// Seconds for which the response stays fresh, if it says.
    #[must_use]
    pub fn max_age(&self) -> Option<u32> {
        self.uint(option::MAX_AGE)
    }

    /// The first critical option that cannot be honoured: not among `known`, given twice where once is allowed, or of
    /// a length it cannot have (RFC 7252 §5.4.1, §5.4.3, §5.4.5). Answer a request that has one with 4.02.
    #[must_use]
    pub fn unknown_critical(&self, known: &[u16]) -> Option<u16> {
        self.critical_beyond(|number| known.contains(&number))
    }

    fn critical_beyond(&self, is_known: impl Fn(u16) -> bool) -> Option<u16> {
        let mut before = None;
        self.options().find_map(|(number, value)| {
            let is_repeated = before.replace(number) == Some(number) && !option::is_repeatable(number);
            let is_honoured = is_known(number) && !is_repeated && option::is_length_valid(number, value.len());
            (option::is_critical(number) && !is_honoured).then_some(number)
        })
    }

    /// What must become of this request before its meaning is looked at, if anything must: 4.02 for a critical option
    /// that is not among `known`, 5.05 for one that wants a proxy (RFC 7252 §5.7.2), 4.00 for the reserved block size
    /// (RFC 7959 §2.2).
    #[must_use]
    pub fn refusal(&self, known: &[u16]) -> Option<Refusal> {
        let is_for_a_proxy = |number: u16| matches!(number, option::PROXY_URI | option::PROXY_SCHEME);
        if self.critical_beyond(|number| known.contains(&number) || is_for_a_proxy(number)).is_some() {
            let is_rejected = self.kind == Kind::NonConfirmable;
            return Some(if is_rejected { Refusal::Reject } else { Refusal::Answer(Code::BAD_OPTION) });
        }
        if self.options().any(|(number, _)| is_for_a_proxy(number)) {
            return Some(Refusal::Answer(Code::PROXYING_NOT_SUPPORTED));
        }
        let is_reserved = |number| self.uint(number).is_some() && self.block(number).is_none();
        (is_reserved(option::BLOCK1) || is_reserved(option::BLOCK2)).then_some(Refusal::Answer(Code::BAD_REQUEST))
    }

    /// The critical option for which this response must be rejected, if any: unknown, or not one a response can have
    /// (RFC 7252 §5.4, §5.4.1).
    #[must_use]
    pub fn response_rejection(&self) -> Option<u16> {
        self.critical_beyond(|number| matches!(number, option::BLOCK1 | option::BLOCK2))
    }

    /// Confirmable and empty: "are you there?". Answer with [`Message::reset`] (RFC 7252 §4.3).
    #[must_use]
    pub fn is_ping(&self) -> bool {
        self.kind == Kind::Confirmable && self.code.is_empty()
    }

    /// An empty acknowledgement of the message with this id.
    #[must_use]
    pub const fn acknowledgement(id: u16) -> [u8; HEADER_BYTES] {
        Self::empty(0b0110_0000, id)
    }

    /// A reset of the message with this id.
    #[must_use]
    pub const fn reset(id: u16) -> [u8; HEADER_BYTES] {
        Self::empty(0b0111_0000, id)
    }

    /// A confirmable empty message: whoever lives answers with a reset.
    #[must_use]
    pub const fn ping(id: u16) -> [u8; HEADER_BYTES] {
        Self::empty(0b0100_0000, id)
    }

    /// The reset that is due for a datagram that did not parse: only where it was meant to be confirmable
    /// (RFC 7252 §4.2), never for another version (§3).
    #[must_use]
    pub fn rejection(datagram: &[u8]) -> Option<[u8; HEADER_BYTES]> {
        match *datagram {
            [first, _, id_high, id_low, ..] if first >> 4 == 0b0100 => {
                Some(Self::reset(u16::from_be_bytes([id_high, id_low])))
            }
            _ => None,
        }
    }

    const fn empty(first: u8, id: u16) -> [u8; HEADER_BYTES] {
        let [id_high, id_low] = id.to_be_bytes();
        [first, 0, id_high, id_low]
    }
}

/// What comes after the token: options, and the payload behind its marker.
#[inline]
fn split(rest: &[u8]) -> Result<(&[u8], &[u8]), MessageError> {
    let options_bytes = option::measure(rest)?;
    let (options, rest) = rest.split_at(options_bytes);
    // RFC 7252 §3: a marker must be followed by at least one byte.
    match rest {
        [] => Ok((options, rest)),
        [_marker] => Err(MessageError::EmptyPayload),
        [_marker, payload @ ..] => Ok((options, payload)),
    }
}

#[cfg(test)]
mod tests {
    // A test that cannot go on should say so loudly.
    #![allow(clippy::unwrap_used)]

    use super::*;

    // CON POST /rd?ep=a&ep=b, Content-Format 40, token 0x1234, payload "</3>".
    const REGISTER: &[u8] = &[
        0x42, 0x02, 0x00, 0x07, 0x12, 0x34, 0xb2, b'r', b'd', 0x11, 40, 0x34, b'e', b'p', b'=', b'a', 0x04, b'e', b'p',
        b'=', b'b', 0xff, b'<', b'/', b'3', b'>',
    ];

    #[test]
    fn a_register_reads_as_it_was_meant() {
        let message = Message::parse(REGISTER).unwrap();

        assert_eq!((message.kind, message.code, message.id), (Kind::Confirmable, Code::POST, 7));
        assert_eq!(message.token.as_slice(), [0x12, 0x34]);
        assert_eq!(message.path().collect::<Vec<_>>(), [b"rd"]);
        assert_eq!(message.queries().collect::<Vec<_>>(), [b"ep=a", b"ep=b"]);
        assert_eq!(message.content_format(), Some(40));
        assert_eq!(message.payload, b"</3>");
        assert_eq!(message.observe(), None);
    }

    #[test]
    fn a_critical_option_is_refused_when_unknown_repeated_or_misshapen() {
        let known = [option::URI_PATH, option::URI_QUERY, option::ACCEPT, option::BLOCK1];
        assert_eq!(Message::parse(REGISTER).unwrap().refusal(&known), None);
        assert_eq!(Message::parse(REGISTER).unwrap().unknown_critical(&[option::URI_PATH]), Some(option::URI_QUERY));

        let accept_twice = [0x40, 1, 0, 1, 0xd1, 4, 0, 0x01, 40];
        assert_eq!(Message::parse(&accept_twice).unwrap().unknown_critical(&known), Some(option::ACCEPT));
        let accept_of_three_bytes = [0x40, 1, 0, 1, 0xd3, 4, 0, 0, 0];
        assert_eq!(
            Message::parse(&accept_of_three_bytes).unwrap().refusal(&known),
            Some(Refusal::Answer(Code::BAD_OPTION))
        );
        let block1_of_reserved_size = [0x40, 2, 0, 1, 0xd1, 14, 0x07];
        assert_eq!(
            Message::parse(&block1_of_reserved_size).unwrap().refusal(&known),
            Some(Refusal::Answer(Code::BAD_REQUEST))
        );

        let not_confirmable = [0x50, 1, 0, 1, 0x90];
        assert_eq!(Message::parse(&not_confirmable).unwrap().refusal(&known), Some(Refusal::Reject));
    }

    #[test]
    fn a_request_to_a_proxy_is_told_that_there_is_none() {
        let scheme = [0x40, 1, 0, 1, 0xd4, 26, b'c', b'o', b'a', b'p'];
        let uri = [0x50, 1, 0, 1, 0xd1, 22, b'x'];
        let both_and_unknown = [0x40, 1, 0, 1, 0x90, 0xd1, 13, b'x'];
        let no_proxy = Some(Refusal::Answer(Code::PROXYING_NOT_SUPPORTED));

        assert_eq!(Message::parse(&scheme).unwrap().refusal(&[]), no_proxy);
        assert_eq!(Message::parse(&uri).unwrap().refusal(&[]), no_proxy, "also when it is not confirmable");
        assert_eq!(Message::parse(&both_and_unknown).unwrap().refusal(&[]), Some(Refusal::Answer(Code::BAD_OPTION)));
    }

    #[test]
    fn a_response_with_an_option_it_cannot_have_is_to_be_rejected() {
        let block2 = [0x60, 0x45, 0, 1, 0xd1, 10, 0x06];
        let uri_path = [0x60, 0x45, 0, 1, 0xb1, b'x'];
        let twice = [0x60, 0x45, 0, 1, 0xd1, 10, 0x06, 0x01, 0x06];

        assert_eq!(Message::parse(&block2).unwrap().response_rejection(), None);
        assert_eq!(Message::parse(&uri_path).unwrap().response_rejection(), Some(option::URI_PATH));
        assert_eq!(Message::parse(&twice).unwrap().response_rejection(), Some(option::BLOCK2));
    }

    #[test]
    fn a_message_knows_how_long_it_was() {
        for datagram in [REGISTER, &[0x42, 1, 0, 1, 7, 7], &Message::ping(9)] {
            assert_eq!(Message::parse(datagram).unwrap().datagram_bytes(), datagram.len());
        }
    }

    #[test]
    fn only_what_was_meant_to_be_confirmable_is_rejected_with_a_reset() {
        assert_eq!(Message::rejection(&[0x4f, 0x01, 0x12, 0x34]), Some([0x70, 0, 0x12, 0x34]));
        assert_eq!(Message::rejection(&[0x5f, 0x01, 0x12, 0x34]), None);
        assert_eq!(Message::rejection(&[0x8f, 0x01, 0x12, 0x34]), None);
        assert_eq!(Message::rejection(&[0x40, 0x01, 0x12]), None);
        assert!(Message::parse(&Message::ping(9)).unwrap().is_ping());
    }
}
