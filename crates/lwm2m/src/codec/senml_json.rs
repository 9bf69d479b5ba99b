//! SenML JSON (RFC 8428 §5).

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Entry;
use super::scalar::{Number, Scalar};
use super::senml::{Bases, Fields, VERSION};
use crate::error::{DecodeError, Fault};
use crate::path::Path;
use crate::value::{Value, write_json_string, write_link};

/// RFC 8428 §5: URL-safe and without padding; padding is forgiven, Leshan writes it.
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Hands every record of a payload to `each`.
pub(super) fn read<'a>(
    payload: &'a [u8],
    each: impl FnMut(Fields<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    // What `each` objects to cannot travel through serde's error, so it waits here.
    let mut objection = None;
    let mut json = serde_json::Deserializer::from_slice(payload);
    let whole = Records { each, objection: &mut objection }.deserialize(&mut json).and_then(|()| json.end());
    match (whole, objection) {
        (_, Some(objection)) => Err(objection),
        (Err(error), None) => Err(DecodeError::Json { line: error.line(), column: error.column() }),
        (Ok(()), None) => Ok(()),
    }
}

/// The array of records.
struct Records<'o, F> {
    each: F,
    objection: &'o mut Option<DecodeError>,
}

impl<'a, F: FnMut(Fields<'a>) -> Result<(), DecodeError>> DeserializeSeed<'a> for Records<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'a, F: FnMut(Fields<'a>) -> Result<(), DecodeError>> Visitor<'a> for Records<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut records: A) -> Result<(), A::Error> {
        while let Some(fields) = records.next_element_seed(Record { objection: self.objection })? {
            if let Err(error) = (self.each)(fields) {
                *self.objection = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// One record.
struct Record<'o> {
    objection: &'o mut Option<DecodeError>,
}

impl<'a> DeserializeSeed<'a> for Record<'_> {
    type Value = Fields<'a>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Fields<'a>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Record<'_> {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Fields<'a>, A::Error> {
        let mut fields = Fields::default();
        while let Some(label) = map.next_key_seed(Text)? {
            match field(&label, &mut map, &mut fields)? {
                Field::Taken => {}
                Field::Twice => return Err(A::Error::custom("label used twice")),
                Field::Refused(error) => {
                    *self.objection = Some(error);
                    return Err(A::Error::custom("refused"));
                }
            }
        }
        Ok(fields)
    }
}

enum Field {
    Taken,
    Twice,
    Refused(DecodeError),
}

/// Takes one field of a record.
fn field<'a, A: MapAccess<'a>>(label: &str, map: &mut A, fields: &mut Fields<'a>) -> Result<Field, A::Error> {
    let value = match label {
        "v" => Scalar::Number(map.next_value_seed(Numeral)?),
        "vs" => Scalar::Text(map.next_value_seed(Text)?),
        "vb" => Scalar::Boolean(map.next_value()?),
        "vlo" => Scalar::Link(map.next_value_seed(Text)?),
        "vd" => match BASE64_URL.decode(map.next_value_seed(Text)?.as_ref()) {
            Ok(bytes) => Scalar::Bytes(Cow::Owned(bytes)),
            Err(_) => return Ok(Field::Refused(DecodeError::Malformed { offset: 0, fault: Fault::NotBase64 })),
        },
        "bn" => return Ok(once(fields.base_name.replace(map.next_value_seed(Text)?))),
        "n" => return Ok(once(fields.name.replace(map.next_value_seed(Text)?))),
        "bt" => return Ok(once(fields.base_time.replace(map.next_value_seed(Numeral)?.to_f64()))),
        "t" => return Ok(once(fields.time.replace(map.next_value_seed(Numeral)?.to_f64()))),
        "bv" => return Ok(once(fields.base_value.replace(map.next_value_seed(Numeral)?))),
        "bver" => {
            return Ok(match map.next_value_seed(Numeral)? {
                Number::Integer(1..=VERSION) => Field::Taken,
                _ => Field::Refused(DecodeError::VersionUnknown),
            });
        }
        // RFC 8428 §4.4: a label that ends in an underscore must be understood.
        label if label.ends_with('_') => return Ok(Field::Refused(DecodeError::FieldUnknown)),
        _ => return map.next_value::<IgnoredAny>().map(|_| Field::Taken),
    };
    Ok(match fields.value.replace(value) {
        None => Field::Taken,
        Some(_) => Field::Refused(DecodeError::ValueTwice { offset: 0 }),
    })
}

fn once<T>(before: Option<T>) -> Field {
    if before.is_none() { Field::Taken } else { Field::Twice }
}

/// A string, borrowed from the payload unless it has escapes.
pub(super) struct Text;

impl<'a> DeserializeSeed<'a> for Text {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Cow<'a, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Text {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A number, whole if it is written so.
pub(super) struct Numeral;

impl<'a> DeserializeSeed<'a> for Numeral {
    type Value = Number;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Number, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Numeral {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, whole: u64) -> Result<Number, E> {
        Ok(Number::Integer(i128::from(whole)))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Number, E> {
        Ok(Number::Integer(i128::from(whole)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number::Float(number))
    }
}

/// Appends records; the first one carries the bases.
pub(super) fn write(bases: &Bases, entries: &[Entry<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (nth, entry) in entries.iter().enumerate() {
        out.extend_from_slice(if nth == 0 { b"{" } else { b",{" });
        if nth == 0 {
            write_bases(bases, out);
        }
        write_entry(bases, entry, write_value, out);
    }
    out.push(b']');
}

/// Appends what holds for all entries, each part with a comma behind it.
pub(super) fn write_bases(bases: &Bases, out: &mut Vec<u8>) {
    if !bases.name.is_empty() {
        out.extend_from_slice(b"\"bn\":\"");
        out.extend_from_slice(&bases.name);
        out.extend_from_slice(b"\",");
    }
    if let Some(time) = bases.time {
        out.extend_from_slice(b"\"bt\":");
        write_time(time, out);
        out.push(b',');
    }
}

/// Appends name, value and time of an entry, and the brace that ends it. How a value is named differs between formats.
pub(super) fn write_entry(bases: &Bases, entry: &Entry<'_>, write_value: fn(&Value, &mut Vec<u8>), out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"n\":\"");
    bases.write_name(&entry.path, out);
    out.extend_from_slice(b"\",");
    write_value(&entry.value, out);
    if let Some(time) = entry.time.filter(|_| bases.time.is_none()) {
        out.extend_from_slice(b",\"t\":");
        write_time(time, out);
    }
    out.push(b'}');
}

/// Appends records that ask: names without values.
pub(super) fn write_paths(paths: &[Path], out: &mut Vec<u8>) {
    out.push(b'[');
    for (nth, path) in paths.iter().enumerate() {
        out.extend_from_slice(if nth == 0 { b"{\"n\":\"" } else { b",{\"n\":\"" });
        path.write(out);
        out.extend_from_slice(b"\"}");
    }
    out.push(b']');
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    let label: &[u8] = match value {
        Value::String(_) | Value::CoreLink(_) => b"\"vs\":",
        Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) | Value::Time(_) => b"\"v\":",
        Value::Boolean(_) => b"\"vb\":",
        Value::Opaque(_) => b"\"vd\":",
        Value::Link { .. } => b"\"vlo\":",
    };
    out.extend_from_slice(label);
    match value {
        Value::String(text) | Value::CoreLink(text) => write_json_string(text, out),
        Value::Opaque(bytes) => write_json_string(&BASE64_URL.encode(bytes), out),
        Value::Link { object, instance } => {
            out.push(b'"');
            write_link(*object, *instance, out);
            out.push(b'"');
        }
        number => number.to_json(out),
    }
}

fn write_time(time: f64, out: &mut Vec<u8>) {
    if time.fract() == 0.0 && time.abs() < 2f64.powi(53) {
        out.extend_from_slice(itoa::Buffer::new().format(time as i64).as_bytes());
    } else {
        Value::Float(time).to_json(out);
    }
}
