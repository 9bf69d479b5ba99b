//! One value by itself: as text, as the bytes of an opaque resource, or in CBOR (OMA LwM2M Core 1.1 §7.4).

use base64::Engine;

use super::cbor::{Reader, write_tagged};
use super::{Entry, Record};
use crate::error::{DecodeError, EncodeError, Fault};
use crate::object::Definitions;
use crate::path::Path;
use crate::value::{BASE64, Kind, Value, ValueError, parse_link, write_link};

/// Reads a text as the kind the resource is declared to be; one that nobody declared is a string.
pub(super) fn read_text(base: &Path, payload: &[u8], definitions: &Definitions) -> Result<Record, DecodeError> {
    if base.depth() < 3 {
        return Err(DecodeError::WrongLevel { base: *base });
    }
    let text = str::from_utf8(payload)
        .map_err(|error| DecodeError::Malformed { offset: error.valid_up_to(), fault: Fault::NotUtf8 })?;
    let declared = definitions.kind(base).unwrap_or(Kind::String);
    let value = parse_text(text, declared)
        .ok_or(DecodeError::Value { path: *base, error: ValueError::Unreadable { declared } })?;
    Ok(Record::new(*base, value))
}

/// Reads the payload as it is.
pub(super) fn read_opaque(base: &Path, payload: &[u8]) -> Result<Record, DecodeError> {
    if base.depth() < 3 {
        return Err(DecodeError::WrongLevel { base: *base });
    }
    Ok(Record::new(*base, Value::Opaque(payload.to_vec())))
}

/// Reads the one value, which says its type itself.
pub(super) fn read_cbor(base: &Path, payload: &[u8]) -> Result<Record, DecodeError> {
    if base.depth() < 3 {
        return Err(DecodeError::WrongLevel { base: *base });
    }
    let mut reader = Reader::new(payload);
    let scalar = reader.scalar()?;
    reader.end()?;
    Ok(Record::new(*base, scalar.into_value(base)?))
}

/// Writes the one value in CBOR.
pub(super) fn write_cbor(base: &Path, entries: &[Entry<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write_tagged(only(base, entries)?, out);
    Ok(())
}

/// Writes the one value as text.
pub(super) fn write_text(base: &Path, entries: &[Entry<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match only(base, entries)? {
        Value::String(text) | Value::CoreLink(text) => out.extend_from_slice(text.as_bytes()),
        Value::Integer(whole) | Value::Time(whole) => {
            out.extend_from_slice(itoa::Buffer::new().format(*whole).as_bytes());
        }
        Value::Unsigned(whole) => out.extend_from_slice(itoa::Buffer::new().format(*whole).as_bytes()),
        Value::Float(number) => write_decimal(*number, out),
        Value::Boolean(truth) => out.push(b'0' + u8::from(*truth)),
        Value::Opaque(bytes) => out.extend_from_slice(BASE64.encode(bytes).as_bytes()),
        Value::Link { object, instance } => write_link(*object, *instance, out),
    }
    Ok(())
}

/// Core 1.1 appendix C: a decimal without an exponent. The shortest text that reads back the same.
fn write_decimal(number: f64, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format(number);
    if shortest.contains('e') {
        out.extend_from_slice(number.to_string().as_bytes());
    } else {
        out.extend_from_slice(shortest.as_bytes());
    }
}

/// Writes the bytes of the one opaque value.
pub(super) fn write_opaque(base: &Path, entries: &[Entry<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let Value::Opaque(bytes) = only(base, entries)? else {
        let error = ValueError::WrongKind { declared: Kind::Opaque };
        return Err(EncodeError::Value { path: *base, error });
    };
    out.extend_from_slice(bytes);
    Ok(())
}

fn only<'e>(base: &Path, entries: &'e [Entry<'_>]) -> Result<&'e Value, EncodeError> {
    match entries {
        [entry] if entry.path == *base => Ok(&entry.value),
        _ => Err(EncodeError::WrongLevel { path: *base }),
    }
}

fn parse_text(text: &str, declared: Kind) -> Option<Value> {
    Some(match declared {
        Kind::String => Value::String(text.to_owned()),
        Kind::CoreLink => Value::CoreLink(text.to_owned()),
        Kind::Integer => Value::Integer(text.parse().ok()?),
        Kind::Unsigned => Value::Unsigned(text.parse().ok()?),
        Kind::Time => Value::Time(text.parse().ok()?),
        Kind::Float => Value::Float(text.parse().ok()?),
        Kind::Boolean => Value::Boolean(match text {
            "0" => false,
            "1" => true,
            _ => return None,
        }),
        Kind::Opaque => Value::Opaque(BASE64.decode(text).ok()?),
        Kind::Link => parse_link(text)?,
    })
}
