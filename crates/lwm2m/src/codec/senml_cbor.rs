//! SenML CBOR (RFC 8428 §6), and as much of CBOR (RFC 8949) as it needs.

use std::borrow::Cow;

use super::Entry;
use super::float::{from_half, from_single, to_single};
use super::senml::{Bases, Fields, Number, Scalar, VERSION};
use crate::error::{DecodeError, Fault};
use crate::path::Path;
use crate::value::{Value, write_link};

/// How deep an ignored field may nest. LwM2M has none; units and sums are scalars.
const DEPTH_MAX: usize = 8;

/// CBOR major types (RFC 8949 §3.1).
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// The additional information that means "until a break" (RFC 8949 §3.2).
const INDEFINITE: u8 = 31;
/// The byte that ends it.
const BREAK: u8 = 0xff;
/// RFC 8949 §3.4.4: a decimal fraction, `[exponent, mantissa]`.
const TAG_DECIMAL_FRACTION: u64 = 4;

/// RFC 8428 §6 table 4, as CBOR writes them.
mod label {
    pub(super) const BASE_VERSION: i64 = -1;
    pub(super) const BASE_NAME: i64 = -2;
    pub(super) const BASE_TIME: i64 = -3;
    pub(super) const BASE_VALUE: i64 = -5;
    pub(super) const NAME: i64 = 0;
    pub(super) const VALUE: i64 = 2;
    pub(super) const STRING_VALUE: i64 = 3;
    pub(super) const BOOLEAN_VALUE: i64 = 4;
    pub(super) const TIME: i64 = 6;
    pub(super) const DATA_VALUE: i64 = 8;
    /// Ours for the text label `vlo`: beyond those a peer can write as a number.
    pub(super) const LINK_VALUE: i64 = 31;
    /// A field that may be ignored.
    pub(super) const OTHER: i64 = 32;
}

/// Hands every record of a payload to `each`.
pub(super) fn read<'a>(
    payload: &'a [u8],
    mut each: impl FnMut(Fields<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader { payload, at: 0 };
    let mut records = reader.open(ARRAY)?;
    while reader.has_more(&mut records)? {
        each(reader.record()?)?;
    }
    if reader.at < payload.len() {
        return Err(DecodeError::Trailing { offset: reader.at });
    }
    Ok(())
}

/// What stands before every item: its type and a number, which is its value or its length.
struct Head {
    major: u8,
    info: u8,
    argument: u64,
}

/// Items still to come in an array or map.
enum Left {
    Count(u64),
    UntilBreak,
}

struct Reader<'a> {
    payload: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn record(&mut self) -> Result<Fields<'a>, DecodeError> {
        let mut fields = Fields::default();
        let mut seen = 0u64;
        let mut pairs = self.open(MAP)?;
        while self.has_more(&mut pairs)? {
            let offset = self.at;
            let label = self.label()?;
            if label != label::OTHER {
                // RFC 8949 §5.6: a map with the same key twice is not valid. Labels lie between -16 and 31.
                let bit = 1 << (label + 16);
                if seen & bit != 0 {
                    return Err(malformed(offset, Fault::LabelTwice));
                }
                seen |= bit;
            }
            self.field(label, offset, &mut fields)?;
        }
        Ok(fields)
    }

    fn field(&mut self, label: i64, offset: usize, fields: &mut Fields<'a>) -> Result<(), DecodeError> {
        let value = match label {
            label::VALUE => Scalar::Number(self.number()?),
            label::STRING_VALUE => Scalar::Text(self.text()?),
            label::BOOLEAN_VALUE => Scalar::Boolean(self.boolean()?),
            label::DATA_VALUE => Scalar::Bytes(self.bytes(BYTES)?),
            label::LINK_VALUE => Scalar::Link(self.text()?),
            label::BASE_NAME => return self.text().map(|name| fields.base_name = Some(name)),
            label::NAME => return self.text().map(|name| fields.name = Some(name)),
            label::BASE_TIME => return self.number().map(|time| fields.base_time = Some(time.to_f64())),
            label::TIME => return self.number().map(|time| fields.time = Some(time.to_f64())),
            label::BASE_VALUE => return self.number().map(|value| fields.base_value = Some(value)),
            label::BASE_VERSION => {
                return match self.number()? {
                    Number::Integer(1..=VERSION) => Ok(()),
                    _ => Err(DecodeError::VersionUnknown),
                };
            }
            _ => return self.skip(0),
        };
        if fields.value.replace(value).is_some() {
            return Err(DecodeError::ValueTwice { offset });
        }
        Ok(())
    }

    fn label(&mut self) -> Result<i64, DecodeError> {
        let offset = self.at;
        match self.peek_major()? {
            UNSIGNED | NEGATIVE => match self.number()? {
                Number::Integer(label @ -16..=30) => Ok(label as i64),
                _ => Ok(label::OTHER),
            },
            TEXT => match self.text()?.as_ref() {
                "vlo" => Ok(label::LINK_VALUE),
                // RFC 8428 §4.4: a label that ends in an underscore must be understood.
                text if text.ends_with('_') => Err(DecodeError::FieldUnknown),
                _ => Ok(label::OTHER),
            },
            _ => Err(malformed(offset, Fault::TypeUnexpected)),
        }
    }

    fn number(&mut self) -> Result<Number, DecodeError> {
        let offset = self.at;
        let head = self.head()?;
        Ok(match (head.major, head.info) {
            (UNSIGNED, _) => Number::Integer(i128::from(head.argument)),
            (NEGATIVE, _) => Number::Integer(-1 - i128::from(head.argument)),
            (SIMPLE, 25) => Number::Float(from_half(head.argument as u16)),
            (SIMPLE, 26) => Number::Float(from_single(f32::from_bits(head.argument as u32))),
            (SIMPLE, 27) => Number::Float(f64::from_bits(head.argument)),
            (TAG, _) if head.argument == TAG_DECIMAL_FRACTION => self.decimal_fraction()?,
            _ => return Err(malformed(offset, Fault::TypeUnexpected)),
        })
    }

    fn decimal_fraction(&mut self) -> Result<Number, DecodeError> {
        let offset = self.at;
        let mut parts = self.open(ARRAY)?;
        let mut whole = || -> Result<i128, DecodeError> {
            let at = self.at;
            if !self.has_more(&mut parts)? || self.peek_major()? > NEGATIVE {
                return Err(malformed(at, Fault::TypeUnexpected));
            }
            match self.number()? {
                Number::Integer(whole) => Ok(whole),
                Number::Float(_) => Err(malformed(at, Fault::TypeUnexpected)),
            }
        };
        let (exponent, mantissa) = (whole()?, whole()?);
        if self.has_more(&mut parts)? {
            return Err(malformed(offset, Fault::TypeUnexpected));
        }
        // Reading it as text rounds once and correctly.
        format!("{mantissa}e{exponent}")
            .parse()
            .map(Number::Float)
            .map_err(|_| malformed(offset, Fault::TypeUnexpected))
    }

    fn boolean(&mut self) -> Result<bool, DecodeError> {
        let offset = self.at;
        let head = self.head()?;
        match (head.major, head.info) {
            (SIMPLE, 20) => Ok(false),
            (SIMPLE, 21) => Ok(true),
            _ => Err(malformed(offset, Fault::TypeUnexpected)),
        }
    }

    fn text(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let offset = self.at;
        let not_utf8 = |_| malformed(offset, Fault::NotUtf8);
        Ok(match self.bytes(TEXT)? {
            Cow::Borrowed(bytes) => Cow::Borrowed(str::from_utf8(bytes).map_err(not_utf8)?),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|error| not_utf8(error.utf8_error()))?),
        })
    }

    /// A byte or text string; in one piece it is borrowed from the payload.
    fn bytes(&mut self, major: u8) -> Result<Cow<'a, [u8]>, DecodeError> {
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
    fn skip(&mut self, depth: usize) -> Result<(), DecodeError> {
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
    fn open(&mut self, major: u8) -> Result<Left, DecodeError> {
        let offset = self.at;
        let head = self.head()?;
        match (head.major == major, head.info) {
            (false, _) => Err(malformed(offset, Fault::TypeUnexpected)),
            (true, INDEFINITE) => Ok(Left::UntilBreak),
            (true, _) => Ok(Left::Count(head.argument)),
        }
    }

    /// Whether another item follows; takes the break at the end.
    fn has_more(&mut self, left: &mut Left) -> Result<bool, DecodeError> {
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

    fn peek_major(&self) -> Result<u8, DecodeError> {
        let first = self.payload.get(self.at).ok_or(DecodeError::Truncated { offset: self.at })?;
        Ok(first >> 5)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], DecodeError> {
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let taken = rest.get(..count).ok_or(DecodeError::Truncated { offset: self.payload.len() })?;
        self.at += count;
        Ok(taken)
    }
}

fn malformed(offset: usize, fault: Fault) -> DecodeError {
    DecodeError::Malformed { offset, fault }
}

/// Appends records; the first one carries the bases.
pub(super) fn write(bases: &Bases, entries: &[Entry<'_>], out: &mut Vec<u8>) {
    write_head(ARRAY, entries.len() as u64, out);
    let mut name = Vec::new();
    for (nth, entry) in entries.iter().enumerate() {
        let base_name = nth == 0 && !bases.name.is_empty();
        let base_time = bases.time.filter(|_| nth == 0);
        let time = entry.time.filter(|_| bases.time.is_none());
        let pairs = 2 + u64::from(base_name) + u64::from(base_time.is_some()) + u64::from(time.is_some());
        write_head(MAP, pairs, out);
        if base_name {
            write_label(label::BASE_NAME, out);
            write_string(TEXT, &bases.name, out);
        }
        if let Some(time) = base_time {
            write_label(label::BASE_TIME, out);
            write_float(time, out);
        }
        name.clear();
        bases.write_name(&entry.path, &mut name);
        write_label(label::NAME, out);
        write_string(TEXT, &name, out);
        write_value(&entry.value, out);
        if let Some(time) = time {
            write_label(label::TIME, out);
            write_float(time, out);
        }
    }
}

/// Appends records that ask: names without values.
pub(super) fn write_paths(paths: &[Path], out: &mut Vec<u8>) {
    write_head(ARRAY, paths.len() as u64, out);
    for path in paths {
        let mut name = Vec::new();
        path.write(&mut name);
        write_head(MAP, 1, out);
        write_label(label::NAME, out);
        write_string(TEXT, &name, out);
    }
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    let label = match value {
        Value::String(_) | Value::CoreLink(_) => label::STRING_VALUE,
        Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) | Value::Time(_) => label::VALUE,
        Value::Boolean(_) => label::BOOLEAN_VALUE,
        Value::Opaque(_) => label::DATA_VALUE,
        Value::Link { .. } => label::LINK_VALUE,
    };
    match label {
        label::LINK_VALUE => write_string(TEXT, b"vlo", out),
        _ => write_label(label, out),
    }
    match value {
        Value::String(text) | Value::CoreLink(text) => write_string(TEXT, text.as_bytes(), out),
        Value::Integer(whole) | Value::Time(whole) => write_integer(*whole, out),
        Value::Unsigned(whole) => write_head(UNSIGNED, *whole, out),
        Value::Float(number) => write_float_typed(*number, out),
        Value::Boolean(truth) => out.push(SIMPLE << 5 | (20 + u8::from(*truth))),
        Value::Opaque(bytes) => write_string(BYTES, bytes, out),
        Value::Link { object, instance } => {
            let mut text = Vec::new();
            write_link(*object, *instance, &mut text);
            write_string(TEXT, &text, out);
        }
    }
}

fn write_label(label: i64, out: &mut Vec<u8>) {
    write_integer(label, out);
}

fn write_integer(whole: i64, out: &mut Vec<u8>) {
    match u64::try_from(whole) {
        Ok(unsigned) => write_head(UNSIGNED, unsigned, out),
        // -1 - n in two's complement is the complement of n.
        Err(_) => write_head(NEGATIVE, !whole as u64, out),
    }
}

/// A time: whole seconds are shorter as an integer.
fn write_float(number: f64, out: &mut Vec<u8>) {
    if number.fract() == 0.0 && number.abs() < 2f64.powi(53) {
        write_integer(number as i64, out);
    } else {
        write_float_typed(number, out);
    }
}

/// A value: a float stays one. Halves are not written, small clients cannot read them.
fn write_float_typed(number: f64, out: &mut Vec<u8>) {
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

fn write_string(major: u8, bytes: &[u8], out: &mut Vec<u8>) {
    write_head(major, bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The shortest head, as deterministic CBOR wants it (RFC 8949 §4.2.1).
fn write_head(major: u8, argument: u64, out: &mut Vec<u8>) {
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
