//! Messages into bytes: [`Encoder`] writes straight into a buffer, [`MessageBuilder`] collects first.

use std::borrow::Cow;

use crate::{
    blockwise::Block,
    code::Code,
    message::{Kind, Message, Token},
    option::{self, Header, OPTION_BYTES_MAX, Options, PAYLOAD_MARKER},
};

/// Writes one message at the end of a buffer, without allocation of its own.
///
/// Give the options in ascending order: then each is appended. One that comes late is put in its place, which costs a
/// copy of the options but never a wrong message.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    options_at: usize,
    number: u16,
}

impl<'a> Encoder<'a> {
    /// Header and token.
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, kind: Kind, code: Code, id: u16, token: Token) -> Self {
        let token = token.as_slice();
        let kind = match kind {
            Kind::Confirmable => 0b0100_0000,
            // The frame that `stream::frame` makes of it has neither type nor id.
            Kind::NonConfirmable | Kind::Reliable => 0b0101_0000,
            Kind::Acknowledgement => 0b0110_0000,
            Kind::Reset => 0b0111_0000,
        };
        let [id_high, id_low] = id.to_be_bytes();
        out.extend_from_slice(&[kind | token.len() as u8, code.0, id_high, id_low]);
        out.extend_from_slice(token);
        let options_at = out.len();
        Self { out, options_at, number: 0 }
    }

    /// The response to `request`: in the acknowledgement of a confirmable one; of its own, with `fresh_id`, to one
    /// that was not (RFC 7252 §5.2); over the same connection to one that came over one.
    #[inline]
    pub fn answer(out: &'a mut Vec<u8>, request: &Message<'_>, code: Code, fresh_id: u16) -> Self {
        let (kind, id) = answer_header(request, fresh_id);
        Self::new(out, kind, code, id, request.token)
    }

    /// One option. A value longer than [`OPTION_BYTES_MAX`] cannot be said and is cut there.
    #[inline]
    pub fn option(mut self, number: u16, value: &[u8]) -> Self {
        debug_assert!(value.len() <= OPTION_BYTES_MAX, "option {number} is too long");
        let value = &value[..value.len().min(OPTION_BYTES_MAX)];
        match number.checked_sub(self.number) {
            Some(delta) => self.append(number, delta, value),
            None => self.insert(number, value),
        }
        self
    }

    /// An option that is a number.
    #[inline]
    pub fn uint(self, number: u16, value: u32) -> Self {
        self.option(number, option::uint_bytes(value, &mut [0; 4]))
    }

    /// Uri-Path from text such as `/rd/x`. `/` and the empty text are no option at all (RFC 7252 §6.4).
    pub fn path(self, path: &str) -> Self {
        segments(path).fold(self, |encoder, segment| encoder.option(option::URI_PATH, segment.as_bytes()))
    }

    /// One part of Uri-Query, such as `lt=300`.
    pub fn query(self, query: &str) -> Self {
        self.option(option::URI_QUERY, query.as_bytes())
    }

    /// What the payload is.
    #[inline]
    pub fn content_format(self, format: u16) -> Self {
        self.uint(option::CONTENT_FORMAT, u32::from(format))
    }

    /// What we would like to read.
    pub fn accept(self, format: u16) -> Self {
        self.uint(option::ACCEPT, u32::from(format))
    }

    /// Register, cancel, or the order of a notification: its lower 24 bits (RFC 7641 §2).
    pub fn observe(self, value: u32) -> Self {
        self.uint(option::OBSERVE, value & 0x00ff_ffff)
    }

    /// The part of the request body this is about.
    pub fn block1(self, block: Block) -> Self {
        self.uint(option::BLOCK1, block.to_uint())
    }

    /// The part of the response body this is about.
    pub fn block2(self, block: Block) -> Self {
        self.uint(option::BLOCK2, block.to_uint())
    }

    /// Ends the message with a payload; an empty one leaves no trace.
    #[inline]
    pub fn payload(self, payload: &[u8]) {
        if !payload.is_empty() {
            self.out.push(PAYLOAD_MARKER);
            self.out.extend_from_slice(payload);
        }
    }

    /// Ends the message without a payload.
    pub fn finish(self) {}

    #[inline]
    fn append(&mut self, number: u16, delta: u16, value: &[u8]) {
        if delta < 13 && value.len() < 13 {
            self.out.push((delta as u8) << 4 | value.len() as u8);
        } else {
            let (header, bytes) = Header::write(delta, value.len());
            self.out.extend_from_slice(&header[..bytes]);
        }
        self.out.extend_from_slice(value);
        self.number = number;
    }

    #[cold]
    fn insert(&mut self, number: u16, value: &[u8]) {
        let written = self.out.split_off(self.options_at);
        let before = Options::new(&written).filter(|(n, _)| *n <= number);
        let after = Options::new(&written).filter(|(n, _)| *n > number);
        self.number = 0;
        for (number, value) in before.chain([(number, value)]).chain(after) {
            self.append(number, number - self.number, value);
        }
    }
}

/// A message to be said: options in any order, sorted when encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageBuilder<'a> {
    kind: Kind,
    code: Code,
    id: u16,
    token: Token,
    options: Vec<(u16, Cow<'a, [u8]>)>,
    payload: Cow<'a, [u8]>,
}

impl<'a> MessageBuilder<'a> {
    /// A message without options and payload.
    #[must_use]
    pub const fn new(kind: Kind, code: Code, id: u16, token: Token) -> Self {
        Self { kind, code, id, token, options: Vec::new(), payload: Cow::Borrowed(&[]) }
    }

    /// The response to `request`: in the acknowledgement of a confirmable one; of its own, with `fresh_id`, to one
    /// that was not (RFC 7252 §5.2); over the same connection to one that came over one.
    #[must_use]
    pub fn answer(request: &Message<'_>, code: Code, fresh_id: u16) -> Self {
        let (kind, id) = answer_header(request, fresh_id);
        Self::new(kind, code, id, request.token)
    }

    /// One option.
    #[must_use]
    pub fn option(mut self, number: u16, value: impl Into<Cow<'a, [u8]>>) -> Self {
        self.options.push((number, value.into()));
        self
    }

    /// An option that is a number.
    #[must_use]
    pub fn uint(self, number: u16, value: u32) -> Self {
        self.option(number, option::uint_bytes(value, &mut [0; 4]).to_vec())
    }

    /// Uri-Path from text such as `/rd/x`. `/` and the empty text are no option at all (RFC 7252 §6.4).
    #[must_use]
    pub fn path(self, path: &'a str) -> Self {
        segments(path).fold(self, |builder, segment| builder.option(option::URI_PATH, segment.as_bytes()))
    }

    /// Location-Path from text such as `/rd/x`.
    #[must_use]
    pub fn location(self, path: &'a str) -> Self {
        segments(path).fold(self, |builder, segment| builder.option(option::LOCATION_PATH, segment.as_bytes()))
    }

    /// One part of Uri-Query, such as `lt=300`.
    #[must_use]
    pub fn query(self, query: &'a str) -> Self {
        self.option(option::URI_QUERY, query.as_bytes())
    }

    /// What the payload is.
    #[must_use]
    pub fn content_format(self, format: u16) -> Self {
        self.uint(option::CONTENT_FORMAT, u32::from(format))
    }

    /// What we would like to read.
    #[must_use]
    pub fn accept(self, format: u16) -> Self {
        self.uint(option::ACCEPT, u32::from(format))
    }

    /// Register, cancel, or the order of a notification: its lower 24 bits (RFC 7641 §2).
    #[must_use]
    pub fn observe(self, value: u32) -> Self {
        self.uint(option::OBSERVE, value & 0x00ff_ffff)
    }

    /// Which version of the body this is: one to eight bytes.
    #[must_use]
    pub fn etag(self, etag: impl Into<Cow<'a, [u8]>>) -> Self {
        self.option(option::ETAG, etag)
    }

    /// Seconds for which the response stays fresh; with 5.03, seconds after which to try again.
    #[must_use]
    pub fn max_age(self, max_age_s: u32) -> Self {
        self.uint(option::MAX_AGE, max_age_s)
    }

    /// The part of the request body this is about.
    #[must_use]
    pub fn block1(self, block: Block) -> Self {
        self.uint(option::BLOCK1, block.to_uint())
    }

    /// The part of the response body this is about.
    #[must_use]
    pub fn block2(self, block: Block) -> Self {
        self.uint(option::BLOCK2, block.to_uint())
    }

    /// What comes after the options.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Cow<'a, [u8]>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Appends the message to `out`; options of one number keep their order.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut order: Vec<_> = self.options.iter().collect();
        order.sort_by_key(|(number, _)| *number);
        out.reserve(16 + self.payload.len() + order.iter().map(|(_, value)| value.len() + 2).sum::<usize>());
        let encoder = Encoder::new(out, self.kind, self.code, self.id, self.token);
        order
            .into_iter()
            .fold(encoder, |encoder, (number, value)| encoder.option(*number, value))
            .payload(&self.payload);
    }

    /// The message as a datagram of its own.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

fn answer_header(request: &Message<'_>, fresh_id: u16) -> (Kind, u16) {
    match request.kind {
        Kind::Confirmable => (Kind::Acknowledgement, request.id),
        Kind::Reliable => (Kind::Reliable, 0),
        _ => (Kind::NonConfirmable, fresh_id),
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut segments = path.split('/');
    if path.is_empty() {
        segments.next();
    }
    segments
}

#[cfg(test)]
mod tests {
    // A test that cannot go on should say so loudly.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_option_that_comes_late_still_finds_its_place() {
        let mut late = Vec::new();
        Encoder::new(&mut late, Kind::Confirmable, Code::GET, 1, Token::EMPTY)
            .accept(60)
            .option(2000, b"far")
            .path("/3/0")
            .query("pmin=1")
            .payload(b"x");
        let sorted = MessageBuilder::new(Kind::Confirmable, Code::GET, 1, Token::EMPTY)
            .path("/3/0")
            .query("pmin=1")
            .accept(60)
            .option(2000, &b"far"[..])
            .payload(&b"x"[..])
            .to_bytes();

        assert_eq!(late, sorted);
    }

    #[test]
    fn an_encoder_leaves_alone_what_is_in_the_buffer_already() {
        let mut out = b"before".to_vec();
        Encoder::new(&mut out, Kind::NonConfirmable, Code::GET, 7, Token::EMPTY)
            .uint(option::ACCEPT, 0)
            .path("a")
            .finish();

        assert_eq!(out[..6], *b"before");
        assert_eq!(Message::parse(&out[6..]).unwrap().path().count(), 1);
    }

    #[test]
    fn a_path_splits_as_the_uri_rules_say() {
        for (path, expected) in
            [("", &[][..]), ("/", &[]), ("/rd", &["rd"]), ("rd/x", &["rd", "x"]), ("/rd/", &["rd", ""])]
        {
            assert_eq!(segments(path).collect::<Vec<_>>(), expected, "{path}");
        }
    }

    #[test]
    fn an_answer_rides_on_the_acknowledgement_only_of_a_confirmable_request() {
        let confirmable = Message::parse(&[0x41, 1, 0, 5, 0xaa]).unwrap();
        assert_eq!(MessageBuilder::answer(&confirmable, Code::CHANGED, 99).to_bytes(), [0x61, 0x44, 0, 5, 0xaa]);
        let not_confirmable = Message::parse(&[0x51, 1, 0, 5, 0xaa]).unwrap();
        assert_eq!(MessageBuilder::answer(&not_confirmable, Code::CHANGED, 99).to_bytes(), [0x51, 0x44, 0, 99, 0xaa]);
    }
}
