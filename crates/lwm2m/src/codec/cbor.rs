//! As much of CBOR (RFC 8949) as payloads of LwM2M need.

use std::borrow::Cow;

use super::float::{from_half, from_single, to_single};
use super::scalar::{Number, Scalar};
use crate::error::{DecodeError, Fault};
use crate::value::{Value, write_link};

/// How deep an ignored field may nest, and how many tags may stand before a value. LwM2M has neither; units and sums of
/// SenML are scalars.
const DEPTH_MAX: usize = 8;

/// CBOR major types (RFC 8949 §3.1).
pub(super) const UNSIGNED: u8 = 0;
pub(super) const NEGATIVE: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;
pub(super) const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// The additional information that means "until a break" (RFC 8949 §3.2).
const INDEFINITE: u8 = 31;
/// The byte that ends it.
const BREAK: u8 = 0xff;
/// Simple values (RFC 8949 §3.3).
const FALSE: u8 = 20;
const TRUE: u8 = 21;
const NULL: u8 = 22;

/// Tags (RFC 8949 §3.4).
mod tag {
    /// Text as in RFC 3339.
    pub(super) const DATE_TEXT: u64 = 0;
    /// Unix seconds.
    pub(super) const EPOCH: u64 = 1;
    /// Bytes, the most significant first.
    pub(super) const BIG_UNSIGNED: u64 = 2;
    /// The same for -1 - n.
    pub(super) const BIG_NEGATIVE: u64 = 3;
    /// `[exponent, mantissa]` to the base 10.
    pub(super) const DECIMAL_FRACTION: u64 = 4;
    /// `[exponent, mantissa]` to the base 2.
    pub(super) const BIG_FLOAT: u64 = 5;
}

/// What stands before every item: its type and a number, which is its value or its length.
struct Head {
    major: u8,
    info: u8,
    argument: u64,
}

/// Items still to come in an array or map.
pub(super) enum Left {
    Count(u64),
    UntilBreak,
}

/// Reads one item after the other.
pub(super) struct Reader<'a> {
    payload: &'a [u8],
    /// Where the next item begins.
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { payload, at: 0 }
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.at < self.payload.len() { Err(DecodeError::Trailing { offset: self.at }) } else { Ok(()) }
    }

    /// A value that says its type itself. What a tag adds that we do not know can be left out (RFC 8949 §3.4).
    pub(super) fn scalar(&mut self) -> Result<Scalar<'a>, DecodeError> {
        let offset = self.at;
        for _ in 0..=DEPTH_MAX {
            if self.peek_major()? != TAG {
                return self.untagged();
            }
            let offset = self.at;
            match self.head()?.argument {
                tag::DATE_TEXT => {
                    let seconds = date(&self.text()?).ok_or_else(|| malformed(offset, Fault::NotDate))?;
                    return Ok(Scalar::Time(seconds));
                }
                tag::EPOCH => return self.tagged_number(tag::EPOCH, offset).map(Scalar::Time),
                number @ tag::BIG_UNSIGNED..=tag::BIG_FLOAT => {
                    return self.tagged_number(number, offset).map(Scalar::Number);
                }
                _ => {}
            }
        }
        Err(malformed(offset, Fault::TooDeep))
    }

    fn untagged(&mut self) -> Result<Scalar<'a>, DecodeError> {
        Ok(match self.peek_major()? {
            BYTES => Scalar::Bytes(self.bytes(BYTES)?),
            TEXT => Scalar::Text(self.text()?),
            SIMPLE if self.payload.get(self.at).is_some_and(|byte| byte & 0x1f < 24) => {
                Scalar::Boolean(self.boolean()?)
            }
            _ => Scalar::Number(self.number()?),
        })
    }

    /// A number, also one that is tagged to be more than 64 bits or to have a fraction.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number, DecodeError> {
        let offset = self.at;
        let head = self.head()?;
        if head.major == TAG { self.tagged_number(head.argument, offset) } else { plain_number(&head, offset) }
    }

    /// A whole number without a sign.
    pub(super) fn unsigned(&mut self) -> Result<u64, DecodeError> {
        let offset = self.at;
        let head = self.head()?;
        if head.major == UNSIGNED { Ok(head.argument) } else { Err(malformed(offset, Fault::TypeUnexpected)) }
    }

    /// What stands behind a tag that was read already.
    #[cold]
    fn tagged_number(&mut self, tag: u64, offset: usize) -> Result<Number, DecodeError> {
        match tag {
            tag::EPOCH => {
                let head = self.head()?;
                plain_number(&head, offset)
            }
            tag::BIG_UNSIGNED | tag::BIG_NEGATIVE => self.big_number(tag, offset).map(Number::Integer),
            tag::DECIMAL_FRACTION => {
                let (exponent, mantissa) = self.exponent_and_mantissa()?;
                // Reading it as text rounds once and correctly.
                let number = format!("{mantissa}e{exponent}").parse();
                number.map(Number::Float).map_err(|_| malformed(offset, Fault::TypeUnexpected))
            }
            tag::BIG_FLOAT => {
                let (exponent, mantissa) = self.exponent_and_mantissa()?;
                Ok(Number::Float(times_power_of_two(mantissa, exponent)))
            }
            _ => Err(malformed(offset, Fault::TypeUnexpected)),
        }
    }

    fn big_number(&mut self, tag: u64, offset: usize) -> Result<i128, DecodeError> {
        /// What an `i128` holds for sure.
        const BYTES_MAX: usize = 15;
        let bytes = self.bytes(BYTES)?;
        let significant = bytes.iter().position(|byte| *byte != 0).map_or([].as_slice(), |first| &bytes[first..]);
        if significant.len() > BYTES_MAX {
            return Err(malformed(offset, Fault::NumberTooLarge));
        }
        let whole = significant.iter().fold(0, |sum, byte| sum << 8 | i128::from(*byte));
        Ok(if tag == tag::BIG_NEGATIVE { -1 - whole } else { whole })
    }

    fn exponent_and_mantissa(&mut self) -> Result<(i128, i128), DecodeError> {
        let offset = self.at;
        let mut parts = self.open(ARRAY)?;
        let (exponent, mantissa) = (self.part(&mut parts, false)?, self.part(&mut parts, true)?);
        if self.has_more(&mut parts)? {
            return Err(malformed(offset, Fault::TypeUnexpected));
        }
        Ok((exponent, mantissa))
    }

    /// A whole number of a fraction; only the mantissa may be of more than 64 bits (RFC 8949 §3.4.4).
    fn part(&mut self, parts: &mut Left, may_be_big: bool) -> Result<i128, DecodeError> {
        let offset = self.at;
        let unexpected = || malformed(offset, Fault::TypeUnexpected);
        if !self.has_more(parts)? {
            return Err(unexpected());
        }
        let head = self.head()?;
        match (head.major, head.argument) {
            (UNSIGNED | NEGATIVE, _) => match plain_number(&head, offset)? {
                Number::Integer(whole) => Ok(whole),
                Number::Float(_) => Err(unexpected()),
            },
            (TAG, tag @ (tag::BIG_UNSIGNED | tag::BIG_NEGATIVE)) if may_be_big => self.big_number(tag, offset),
            _ => Err(unexpected()),
        }
    }

    /// Takes a null, if that is what comes next.
    pub(super) fn take_null(&mut self) -> bool {
        let is_null = self.payload.get(self.at) == Some(&(SIMPLE << 5 | NULL));
        self.at += usize::from(is_null);
        is_null
    }

    pub(super) fn boolean(&mut self) -> Result<bool, DecodeError> {
        let offset = self.at;
        let head = self.head()?;
        match (head.major, head.info) {
            (SIMPLE, FALSE) => Ok(false),
            (SIMPLE, TRUE) => Ok(true),
            _ => Err(malformed(offset, Fault::TypeUnexpected)),
        }
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let offset = self.at;
        let not_utf8 = |_| malformed(offset, Fault::NotUtf8);
        Ok(match self.bytes(TEXT)? {
            Cow::Borrowed(bytes) => Cow::Borrowed(str::from_utf8(bytes).map_err(not_utf8)?),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|error| not_utf8(error.utf8_error()))?),
        })
    }

    /// A byte or text string; in one piece it is borrowed from the payload.
    #[inline]
    pub(super) fn bytes(&mut self, major: u8) -> Result<Cow<'a, [u8]>, DecodeError> {
        let offset = self.at;
        let head = self.head()?;
        if head.major != major {
            return Err(malformed(offset, Fault::TypeUnexpected));
        }
        if head.info != INDEFINITE {
            return self.take(head.argument).map(Cow::Borrowed);
        }
        // RFC 8949 §3.2.3: chunks of the same type, each of definite length.
        let mut whole = Vec::new();
        let mut chunks = Left::UntilBreak;
        while self.has_more(&mut chunks)? {
            let offset = self.at;
            let chunk = self.head()?;
            if chunk.major != major || chunk.info == INDEFINITE {
                return Err(malformed(offset, Fault::TypeUnexpected));
            }
            whole.extend_from_slice(self.take(chunk.argument)?);
        }
        Ok(Cow::Owned(whole))
    }

    /// Passes over one item of any type.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), DecodeError> {
        let offset = self.at;
        if depth > DEPTH_MAX {
            return Err(malformed(offset, Fault::TooDeep));
        }
        match self.peek_major()? {
            major @ (BYTES | TEXT) => self.bytes(major).map(|_| ()),
            major @ (ARRAY | MAP) => {
                let mut items = self.open(major)?;
                while self.has_more(&mut items)? {
                    self.skip(depth + 1)?;
                    if major == MAP {
                        self.skip(depth + 1)?;
                    }
                }
                Ok(())
            }
            TAG => {
                self.head()?;
                self.skip(depth + 1)
            }
            _ => self.head().map(|_| ()),
        }
    }

    /// Goes into an array or map.
    pub(super) fn open(&mut self, major: u8) -> Result<Left, DecodeError> {
        let offset = self.at;
        let head = self.head()?;
        match (head.major == major, head.info) {
            (false, _) => Err(malformed(offset, Fault::TypeUnexpected)),
            (true, INDEFINITE) => Ok(Left::UntilBreak),
            (true, _) => Ok(Left::Count(head.argument)),
        }
    }

    /// Whether another item follows; takes the break at the end.
    #[inline]
    pub(super) fn has_more(&mut self, left: &mut Left) -> Result<bool, DecodeError> {
        match left {
            Left::Count(0) => Ok(false),
            Left::Count(count) => {
                *count -= 1;
                Ok(true)
            }
            Left::UntilBreak => {
                let ends = *self.payload.get(self.at).ok_or(DecodeError::Truncated { offset: self.at })? == BREAK;
                self.at += usize::from(ends);
                Ok(!ends)
            }
        }
    }

    #[inline]
    fn head(&mut self) -> Result<Head, DecodeError> {
        let offset = self.at;
        let first = *self.payload.get(self.at).ok_or(DecodeError::Truncated { offset })?;
        self.at += 1;
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => u64::from(info),
            24..=27 => self.take(1 << (info - 24))?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            INDEFINITE if matches!(major, BYTES | TEXT | ARRAY | MAP) => 0,
            _ => return Err(malformed(offset, Fault::LengthReserved)),
        };
        Ok(Head { major, info, argument })
    }

    #[inline]
    pub(super) fn peek_major(&self) -> Result<u8, DecodeError> {
        let first = self.payload.get(self.at).ok_or(DecodeError::Truncated { offset: self.at })?;
        Ok(first >> 5)
    }

    #[inline]
    fn take(&mut self, count: u64) -> Result<&'a [u8], DecodeError> {
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let taken = rest.get(..count).ok_or(DecodeError::Truncated { offset: self.payload.len() })?;
        self.at += count;
        Ok(taken)
    }
}

pub(super) fn malformed(offset: usize, fault: Fault) -> DecodeError {
    DecodeError::Malformed { offset, fault }
}

/// The number that a head is, if it is one.
#[inline]
fn plain_number(head: &Head, offset: usize) -> Result<Number, DecodeError> {
    Ok(match (head.major, head.info) {
        (UNSIGNED, _) => Number::Integer(i128::from(head.argument)),
        (NEGATIVE, _) => Number::Integer(-1 - i128::from(head.argument)),
        (SIMPLE, 25) => Number::Float(from_half(head.argument as u16)),
        (SIMPLE, 26) => Number::Float(from_single(f32::from_bits(head.argument as u32))),
        (SIMPLE, 27) => Number::Float(f64::from_bits(head.argument)),
        _ => return Err(malformed(offset, Fault::TypeUnexpected)),
    })
}

/// The nearest float; what is too large is infinite, what is too small nothing.
fn times_power_of_two(mantissa: i128, exponent: i128) -> f64 {
    /// Beyond it even the largest mantissa is nothing, and the smallest infinite.
    const EXPONENT_MAX: i128 = 1_300;
    if mantissa == 0 {
        return 0.0;
    }
    let exponent = exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX) as i32;
    // In two steps: the power alone may be beyond what a float can be.
    mantissa as f64 * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2)
}

/// Reads a date and time of RFC 3339 as Unix seconds.
fn date(text: &str) -> Option<Number> {
    const SECONDS_PER_DAY: i128 = 86_400;
    let field = |from: usize, to: usize| -> Option<i128> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let is = |at: usize, any_of: &[u8]| text.as_bytes().get(at).is_some_and(|byte| any_of.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !in_range {
        return None;
    }
    let digits =
        text.get(20..).filter(|_| is(19, b".")).map(|rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let zone = 19 + digits.map_or(0, |count| 1 + count);
    let offset = match (text.as_bytes().get(zone)?, text.len() - zone) {
        (b'Z' | b'z', 1) => 0,
        (sign @ (b'+' | b'-'), 6) if is(zone + 3, b":") => {
            let ahead = field(zone + 1, zone + 3)? * 3_600 + field(zone + 4, zone + 6)? * 60;
            if *sign == b'+' { ahead } else { -ahead }
        }
        _ => return None,
    };
    let whole = days_before(year, month, day) * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second - offset;
    match digits {
        None => Some(Number::Integer(whole)),
        Some(_) => Some(Number::Float(whole as f64 + text.get(19..zone)?.parse::<f64>().ok()?)),
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years begin in March here, so that leap days come last.
fn days_before(year: i128, month: i128, day: i128) -> i128 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// Appends a value, typed as well as CBOR can.
pub(super) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) | Value::CoreLink(text) => write_string(TEXT, text.as_bytes(), out),
        Value::Integer(whole) | Value::Time(whole) => write_integer(*whole, out),
        Value::Unsigned(whole) => write_head(UNSIGNED, *whole, out),
        Value::Float(number) => write_float(*number, out),
        Value::Boolean(truth) => out.push(SIMPLE << 5 | if *truth { TRUE } else { FALSE }),
        Value::Opaque(bytes) => write_string(BYTES, bytes, out),
        Value::Link { object, instance } => {
            let mut text = Vec::new();
            write_link(*object, *instance, &mut text);
            write_string(TEXT, &text, out);
        }
    }
}

/// The same with the tag that makes a number a time, where the format around it says nothing of times.
pub(super) fn write_tagged(value: &Value, out: &mut Vec<u8>) {
    if let Value::Time(_) = value {
        write_head(TAG, tag::EPOCH, out);
    }
    write_value(value, out);
}

/// Appends a null.
pub(super) fn write_null(out: &mut Vec<u8>) {
    out.push(SIMPLE << 5 | NULL);
}

pub(super) fn write_integer(whole: i64, out: &mut Vec<u8>) {
    match u64::try_from(whole) {
        Ok(unsigned) => write_head(UNSIGNED, unsigned, out),
        // -1 - n in two's complement is the complement of n.
        Err(_) => write_head(NEGATIVE, !whole as u64, out),
    }
}

/// A time of SenML: whole seconds are shorter as an integer.
pub(super) fn write_seconds(number: f64, out: &mut Vec<u8>) {
    if number.fract() == 0.0 && number.abs() < 2f64.powi(53) {
        write_integer(number as i64, out);
    } else {
        write_float(number, out);
    }
}

/// A value: a float stays one. Halves are not written, small clients cannot read them.
fn write_float(number: f64, out: &mut Vec<u8>) {
    match to_single(number) {
        Some(single) => {
            out.push(SIMPLE << 5 | 26);
            out.extend_from_slice(&single.to_be_bytes());
        }
        None => {
            out.push(SIMPLE << 5 | 27);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

pub(super) fn write_string(major: u8, bytes: &[u8], out: &mut Vec<u8>) {
    write_head(major, bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The shortest head, as deterministic CBOR wants it (RFC 8949 §4.2.1).
pub(super) fn write_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    let (info, from) = match argument {
        0..=23 => (argument as u8, 8),
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    out.push(major | info);
    out.extend_from_slice(&bytes[from..]);
}
