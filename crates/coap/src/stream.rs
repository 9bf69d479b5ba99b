//! Frames: how messages stand one after another in a stream of bytes (RFC 8323 §3.2).
//!
//! A frame is a message without type and message id, and with its length in front. [`Decoder`] cuts a stream into frames,
//! [`crate::Message::parse_frame`] reads one, [`frame`] makes one of what [`crate::Encoder`] wrote.

use std::fmt;

use crate::{
    code::Code,
    error::MessageError,
    message::{HEADER_BYTES, TOKEN_BYTES_MAX},
};

/// What an emptied buffer keeps: room for a message that devices usually send.
const BUFFER_BYTES_KEPT_MAX: usize = 512;

/// The beginning of a frame: all that stands before the token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHeader {
    pub code: Code,
    /// Its own length.
    pub bytes: usize,
    pub token_bytes: usize,
    /// Options, marker and payload.
    rest_bytes: u64,
}

impl FrameHeader {
    /// `None` while more has to come before anything can be said.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, MessageError> {
        let Some((&first, after)) = bytes.split_first() else { return Ok(None) };
        let token_bytes = usize::from(first & 15);
        if token_bytes > TOKEN_BYTES_MAX {
            return Err(MessageError::TokenTooLong { length: token_bytes });
        }
        let (extension, base) = match first >> 4 {
            13 => (1, 13),
            14 => (2, 269),
            15 => (4, 65_805),
            small => (0, u64::from(small)),
        };
        let (Some(extended), Some(&code)) = (after.get(..extension), after.get(extension)) else { return Ok(None) };
        let rest_bytes = base + extended.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Ok(Some(Self { code: Code(code), bytes: extension + 2, token_bytes, rest_bytes }))
    }

    /// Length of the whole frame.
    pub(crate) const fn frame_bytes(&self) -> u64 {
        self.bytes as u64 + self.token_bytes as u64 + self.rest_bytes
    }
}

/// Appends the frame of a message that an encoder wrote; its type and its id have no place there. An empty message leaves
/// no trace: it would mean nothing (RFC 8323 §3.4).
pub fn frame(message: &[u8], out: &mut Vec<u8>) {
    let [first, code, _, _, rest @ ..] = message else { return };
    if *code == 0 {
        return;
    }
    let token_bytes = usize::from(first & 15).min(rest.len());
    let nibble = |length: u8| length << 4 | token_bytes as u8;
    match rest.len() - token_bytes {
        length @ 0..13 => out.push(nibble(length as u8)),
        length @ 13..269 => out.extend_from_slice(&[nibble(13), (length - 13) as u8]),
        length @ 269..65_805 => {
            out.push(nibble(14));
            out.extend_from_slice(&((length - 269) as u16).to_be_bytes());
        }
        length => {
            out.push(nibble(15));
            out.extend_from_slice(&((length - 65_805) as u32).to_be_bytes());
        }
    }
    out.push(*code);
    out.extend_from_slice(rest);
}

/// The most bytes that [`frame`] makes of a message.
#[must_use]
pub const fn frame_bytes_max(message_bytes: usize) -> usize {
    // Type and id go, five bytes of length at the most come.
    message_bytes + 6 - HEADER_BYTES
}

/// Why a stream cannot be read any further: after this nobody knows where the next frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// This is no frame.
    Malformed(MessageError),
    /// The frame is longer than we said that we take.
    TooLong {
        /// What it announces.
        bytes: u64,
    },
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::TooLong { bytes } => write!(f, "message of {bytes} bytes"),
        }
    }
}

impl std::error::Error for StreamError {}

/// Cuts a stream into frames, however the bytes arrive. It holds one unfinished frame at the most, in a buffer
/// of at most twice what has arrived of it: what a peer announces costs us nothing.
#[derive(Debug)]
pub struct Decoder {
    frame_bytes_max: usize,
    buffer: Vec<u8>,
    /// What is before this was taken.
    start: usize,
}

impl Decoder {
    /// Takes frames up to this length.
    #[must_use]
    pub const fn new(frame_bytes_max: usize) -> Self {
        Self { frame_bytes_max, buffer: Vec::new(), start: 0 }
    }

    /// More bytes of the stream. Take all frames before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame that is whole.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, StreamError> {
        let rest = &self.buffer[self.start..];
        let Some(header) = FrameHeader::read(rest).map_err(StreamError::Malformed)? else { return Ok(None) };
        let bytes = header.frame_bytes();
        if bytes > self.frame_bytes_max as u64 {
            return Err(StreamError::TooLong { bytes });
        }
        let Some(frame) = rest.get(..bytes as usize) else { return Ok(None) };
        self.start += frame.len();
        Ok(Some(frame))
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Memory that is kept for them.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives back what is not needed until more comes: most connections are idle most of the time. A little is kept, so
    /// that ordinary messages cost no allocation each.
    pub fn rest(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.capacity() > 2 * self.buffer.len() + BUFFER_BYTES_KEPT_MAX {
            self.buffer.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    // A test that cannot go on should say so loudly.
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Kind, Message, MessageBuilder, Token};

    #[test]
    fn a_frame_survives_every_length_of_its_extension() {
        for payload in [0, 1, 11, 12, 13, 267, 268, 269, 65_803, 65_804, 65_805, 70_000] {
            let token = Token::new(b"abc").unwrap();
            let message = MessageBuilder::new(Kind::Reliable, Code::CONTENT, 7, token).payload(vec![1; payload]);
            let (message, mut bytes) = (message.to_bytes(), Vec::new());
            frame(&message, &mut bytes);

            assert!(bytes.len() <= frame_bytes_max(message.len()));
            let parsed = Message::parse_frame(&bytes).unwrap();
            assert_eq!((parsed.kind, parsed.code, parsed.id), (Kind::Reliable, Code::CONTENT, 0));
            assert_eq!((parsed.token, parsed.payload), (token, vec![1; payload].as_slice()));
        }
    }

    #[test]
    fn an_empty_message_is_not_said() {
        let mut bytes = Vec::new();
        frame(&Message::acknowledgement(7), &mut bytes);

        assert!(bytes.is_empty());
    }

    #[test]
    fn what_is_announced_is_not_yet_kept() {
        let mut decoder = Decoder::new(1 << 30);
        decoder.push(&[0xf0, 0x3f, 0x00, 0x00, 0x00, 0x45]);

        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.buffered() == 6 && decoder.buffer.capacity() < 100);
    }

    #[test]
    fn a_frame_that_is_too_long_is_told_before_it_arrives() {
        let mut decoder = Decoder::new(1_000);
        decoder.push(&[0xe0, 0x03, 0x00, 0x45]);

        assert_eq!(decoder.next_frame(), Err(StreamError::TooLong { bytes: 4 + 269 + 768 }));
    }
}
