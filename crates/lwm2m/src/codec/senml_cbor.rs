//! SenML CBOR (RFC 8428 §6).

use super::Entry;
use super::cbor::{
    ARRAY, BYTES, MAP, NEGATIVE, Reader, TEXT, UNSIGNED, malformed, write_head, write_integer, write_seconds,
    write_string, write_value,
};
use super::scalar::{Number, Scalar};
use super::senml::{Bases, Fields, VERSION};
use crate::error::{DecodeError, Fault};
use crate::path::Path;
use crate::value::Value;

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
    let mut reader = Reader::new(payload);
    let mut records = reader.open(ARRAY)?;
    while reader.has_more(&mut records)? {
        each(reader.record()?)?;
    }
    reader.end()
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
            write_seconds(time, out);
        }
        name.clear();
        bases.write_name(&entry.path, &mut name);
        write_label(label::NAME, out);
        write_string(TEXT, &name, out);
        write_labelled(&entry.value, out);
        if let Some(time) = time {
            write_label(label::TIME, out);
            write_seconds(time, out);
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

fn write_labelled(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(_) | Value::CoreLink(_) => write_label(label::STRING_VALUE, out),
        Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) | Value::Time(_) => write_label(label::VALUE, out),
        Value::Boolean(_) => write_label(label::BOOLEAN_VALUE, out),
        Value::Opaque(_) => write_label(label::DATA_VALUE, out),
        Value::Link { .. } => write_string(TEXT, b"vlo", out),
    }
    write_value(value, out);
}

fn write_label(label: i64, out: &mut Vec<u8>) {
    write_integer(label, out);
}
