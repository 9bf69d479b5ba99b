//! Option numbers and their delta coding (RFC 7252 §3.1, §5.4, §5.10).

use crate::error::MessageError;

/// If-Match: opaque, repeatable, critical.
pub const IF_MATCH: u16 = 1;
/// Uri-Host: text, critical.
pub const URI_HOST: u16 = 3;
/// ETag: opaque, elective; repeatable in requests.
pub const ETAG: u16 = 4;
/// If-None-Match: empty, critical.
pub const IF_NONE_MATCH: u16 = 5;
/// Observe: uint of at most 24 bits, elective (RFC 7641).
pub const OBSERVE: u16 = 6;
/// Uri-Port: uint, critical.
pub const URI_PORT: u16 = 7;
/// Location-Path: text, repeatable, elective.
pub const LOCATION_PATH: u16 = 8;
/// Uri-Path: text, repeatable, critical.
pub const URI_PATH: u16 = 11;
/// Content-Format: uint, elective.
pub const CONTENT_FORMAT: u16 = 12;
/// Max-Age: uint, seconds, elective.
pub const MAX_AGE: u16 = 14;
/// Uri-Query: text, repeatable, critical.
pub const URI_QUERY: u16 = 15;
/// Accept: uint, critical.
pub const ACCEPT: u16 = 17;
/// Location-Query: text, repeatable, elective.
pub const LOCATION_QUERY: u16 = 20;
/// Block2: the part of the response, critical (RFC 7959).
pub const BLOCK2: u16 = 23;
/// Block1: the part of the request, critical (RFC 7959).
pub const BLOCK1: u16 = 27;
/// Size2: length of the whole response body, elective (RFC 7959).
pub const SIZE2: u16 = 28;
/// Proxy-Uri: text, critical.
pub const PROXY_URI: u16 = 35;
/// Proxy-Scheme: text, critical.
pub const PROXY_SCHEME: u16 = 39;
/// Size1: length of the whole request body, elective.
pub const SIZE1: u16 = 60;
/// No-Response: uint, elective (RFC 7967).
pub const NO_RESPONSE: u16 = 258;

/// RFC 7252 §3: the byte between options and payload.
pub const PAYLOAD_MARKER: u8 = 0xff;

/// RFC 7252 §3.1: the longest value that an option header can announce (269 + 65535).
pub const OPTION_BYTES_MAX: usize = 65_804;

/// RFC 7252 §5.4.6: whoever does not know a critical option must refuse the message.
#[must_use]
pub const fn is_critical(number: u16) -> bool {
    number & 1 == 1
}

/// RFC 7252 §5.4.6: a proxy that does not know the option must not forward it.
#[must_use]
pub const fn is_unsafe_to_forward(number: u16) -> bool {
    number & 2 == 2
}

/// RFC 7252 table 4: may this option be given more than once? Unknown options may: their meaning is not ours to judge.
#[must_use]
pub const fn is_repeatable(number: u16) -> bool {
    !matches!(
        number,
        URI_HOST
            | IF_NONE_MATCH
            | OBSERVE
            | URI_PORT
            | CONTENT_FORMAT
            | MAX_AGE
            | ACCEPT
            | BLOCK2
            | BLOCK1
            | SIZE2
            | PROXY_URI
            | PROXY_SCHEME
            | SIZE1
            | NO_RESPONSE
    )
}

/// RFC 7252 table 4, RFC 7959 table 1: is this a length that the option can have? Unknown options may have any.
#[must_use]
pub const fn is_length_valid(number: u16, length: usize) -> bool {
    match number {
        IF_MATCH => length <= 8,
        URI_HOST | PROXY_SCHEME => 1 <= length && length <= 255,
        ETAG => 1 <= length && length <= 8,
        IF_NONE_MATCH => length == 0,
        OBSERVE | BLOCK1 | BLOCK2 => length <= 3,
        URI_PORT | CONTENT_FORMAT | ACCEPT => length <= 2,
        LOCATION_PATH | URI_PATH | URI_QUERY | LOCATION_QUERY => length <= 255,
        MAX_AGE | SIZE1 | SIZE2 => length <= 4,
        PROXY_URI => 1 <= length && length <= 1034,
        NO_RESPONSE => length <= 1,
        _ => true,
    }
}

/// A number as an option value holds it: big-endian, leading zeros allowed, nothing is 0 (RFC 7252 §3.2).
#[must_use]
pub fn uint(value: &[u8]) -> Option<u32> {
    match *value {
        [] => Some(0),
        [a] => Some(u32::from(a)),
        [a, b] => Some(u32::from_be_bytes([0, 0, a, b])),
        [a, b, c] => Some(u32::from_be_bytes([0, a, b, c])),
        [a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

/// The bytes of a number without leading zeros (RFC 7252 §3.2), at the end of `buffer`.
pub(crate) fn uint_bytes(value: u32, buffer: &mut [u8; 4]) -> &[u8] {
    *buffer = value.to_be_bytes();
    &buffer[value.leading_zeros() as usize / 8..]
}

/// The options of a message that was parsed, in ascending order: number and value.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    rest: &'a [u8],
    number: u16,
}

impl<'a> Options<'a> {
    /// `bytes` went through [`measure`], so every header in it is sound.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, number: 0 }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::read(self.rest).ok()??;
        let value = self.rest.get(header.bytes..header.bytes + header.length)?;
        self.rest = &self.rest[header.bytes + header.length..];
        self.number = self.number.wrapping_add(header.delta as u16);
        Some((self.number, value))
    }
}

/// Checks every option up to the payload marker or the end; the length of them all, without the marker.
#[inline]
pub(crate) fn measure(bytes: &[u8]) -> Result<usize, MessageError> {
    let mut at = 0;
    let mut number = 0_u32;
    while let Some(header) = Header::read(&bytes[at..])? {
        number += header.delta;
        if number > u32::from(u16::MAX) {
            return Err(MessageError::OptionNumberTooLarge { number });
        }
        at += header.bytes + header.length;
        if at > bytes.len() {
            return Err(MessageError::Truncated);
        }
    }
    Ok(at)
}

/// One option header, read.
pub(crate) struct Header {
    /// Difference to the number before.
    pub delta: u32,
    /// Length of the value.
    pub length: usize,
    /// Length of the header itself.
    pub bytes: usize,
}

impl Header {
    /// `None` at the end or at the payload marker.
    #[inline(always)]
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, MessageError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (delta, length) = (u32::from(first >> 4), u32::from(first & 15));
        if delta < 13 && length < 13 {
            return Ok(Some(Self { delta, length: length as usize, bytes: 1 }));
        }
        if first == PAYLOAD_MARKER {
            return Ok(None);
        }
        Self::read_extended(bytes, delta, length).map(Some)
    }

    fn read_extended(bytes: &[u8], delta: u32, length: u32) -> Result<Self, MessageError> {
        let mut at = 1;
        let mut extend = |nibble: u32| match nibble {
            13 => {
                let low = bytes.get(at).ok_or(MessageError::Truncated)?;
                at += 1;
                Ok(13 + u32::from(*low))
            }
            14 => {
                let (Some(high), Some(low)) = (bytes.get(at), bytes.get(at + 1)) else {
                    return Err(MessageError::Truncated);
                };
                at += 2;
                Ok(269 + u32::from(u16::from_be_bytes([*high, *low])))
            }
            15 => Err(MessageError::ReservedOptionHeader),
            small => Ok(small),
        };
        let (delta, length) = (extend(delta)?, extend(length)?);
        Ok(Self { delta, length: length as usize, bytes: at })
    }

    /// The header in bytes: a buffer and how much of it counts.
    #[inline]
    pub(crate) fn write(delta: u16, length: usize) -> ([u8; 5], usize) {
        let mut bytes = [0; 5];
        let mut at = 1;
        let mut extend = |value: usize| match value {
            0..13 => value as u8,
            13..269 => {
                bytes[at] = (value - 13) as u8;
                at += 1;
                13
            }
            _ => {
                let [high, low] = ((value - 269).min(usize::from(u16::MAX)) as u16).to_be_bytes();
                bytes[at] = high;
                bytes[at + 1] = low;
                at += 2;
                14
            }
        };
        let (delta, length) = (extend(usize::from(delta)), extend(length));
        bytes[0] = delta << 4 | length;
        (bytes, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_tells_critical_and_unsafe() {
        for critical in [IF_MATCH, URI_HOST, URI_PORT, URI_PATH, URI_QUERY, ACCEPT, BLOCK1, BLOCK2, PROXY_URI] {
            assert!(is_critical(critical), "{critical}");
        }
        for elective in [ETAG, OBSERVE, LOCATION_PATH, CONTENT_FORMAT, MAX_AGE, SIZE1, SIZE2] {
            assert!(!is_critical(elective), "{elective}");
        }
        assert!(is_unsafe_to_forward(URI_PATH));
        assert!(!is_unsafe_to_forward(ETAG));
    }

    #[test]
    fn numbers_lose_their_leading_zeros() {
        for (value, bytes) in [(0, &[][..]), (1, &[1]), (255, &[255]), (256, &[1, 0]), (65_536, &[1, 0, 0])] {
            assert_eq!(uint_bytes(value, &mut [0; 4]), bytes);
            assert_eq!(uint(bytes), Some(value));
        }
        assert_eq!(uint(&[0, 0, 7]), Some(7));
        assert_eq!(uint(&[0; 5]), None);
    }

    #[test]
    fn a_header_survives_every_length_of_its_extension() {
        for value in [0, 12, 13, 268, 269, 270, 65_535] {
            for length in [0, 12, 13, 268, 269, OPTION_BYTES_MAX] {
                let (bytes, written) = Header::write(value, length);
                let Ok(Some(header)) = Header::read(&bytes[..written]) else { unreachable!("{value} {length}") };
                assert_eq!((header.delta, header.length, header.bytes), (u32::from(value), length, written));
            }
        }
    }
}
