//! The JSON of LwM2M 1.0 (OMA LwM2M Core 1.0 §6.4.4): an object with a base name, a base time and an array of entries.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::Scalar;
use super::senml::Bases;
use super::senml_json::{Numeral, Text, write_bases, write_entry};
use super::{Entry, RECORDS_MAX, Record, check_count};
use crate::error::{DecodeError, Fault};
use crate::object::Definitions;
use crate::path::Path;
use crate::registration::excerpt;
use crate::value::{BASE64, Kind, Value, write_json_string};

/// Reads a payload. What is text in it becomes what the definitions say: the format has no bytes.
pub(super) fn read(
    base: &Path,
    payload: &[u8],
    now_unix_s: f64,
    definitions: &Definitions,
) -> Result<Vec<Record>, DecodeError> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let whole = json.deserialize_map(WholeVisitor).and_then(|whole| json.end().map(|()| whole));
    let whole = whole.map_err(|error| DecodeError::Json { line: error.line(), column: error.column() })?;
    let base_name = whole.base_name.unwrap_or_else(|| Cow::Owned(base.to_string()));
    let base_name = base_name.trim_matches('/');
    let mut records = Vec::with_capacity(whole.entries.len());
    for entry in whole.entries {
        check_count(records.len())?;
        let path = path_of(base_name, &entry.name.unwrap_or_default())?;
        if !base.contains(&path) {
            return Err(DecodeError::OutsideBase { path });
        }
        let Some(scalar) = entry.value else { return Err(DecodeError::ValueMissing { path }) };
        let value = value_of(scalar, &path, definitions)?;
        records.push(Record { path, value, time: time_of(whole.base_time, entry.time, now_unix_s)? });
    }
    Ok(records)
}

/// Base name (without slashes around it) and name in one, with a slash between them: clients write the base name with it or without.
fn path_of(base_name: &str, name: &str) -> Result<Path, DecodeError> {
    let name = name.trim_matches('/');
    let text = if base_name.is_empty() || name.is_empty() {
        format!("/{base_name}{name}")
    } else {
        format!("/{base_name}/{name}")
    };
    let path = Path::parse(&text).ok().filter(|path| path.resource.is_some());
    path.ok_or_else(|| DecodeError::NameInvalid { name: excerpt(&text) })
}

fn value_of(scalar: Scalar<'_>, path: &Path, definitions: &Definitions) -> Result<Value, DecodeError> {
    match (scalar, definitions.kind(path)) {
        // Core 1.0 appendix C: opaque is Base64 in a string.
        (Scalar::Text(text), Some(Kind::Opaque)) => {
            let not_base64 = |_| DecodeError::Malformed { offset: 0, fault: Fault::NotBase64 };
            BASE64.decode(text.as_ref()).map(Value::Opaque).map_err(not_base64)
        }
        (Scalar::Text(text), Some(Kind::CoreLink)) => Ok(Value::CoreLink(text.into_owned())),
        (scalar, _) => scalar.into_value(path),
    }
}

/// Core 1.0 §6.4.4 refers to a draft of SenML: a positive time is of 1970, any other is relative to now.
fn time_of(base: Option<f64>, time: Option<f64>, now_unix_s: f64) -> Result<Option<f64>, DecodeError> {
    if base.is_none() && time.is_none() {
        return Ok(None);
    }
    let sum = base.unwrap_or(0.0) + time.unwrap_or(0.0);
    let at = if sum > 0.0 { sum } else { sum + now_unix_s };
    if at.is_finite() { Ok(Some(at)) } else { Err(DecodeError::TimeInvalid) }
}

/// The object around the entries.
#[derive(Default)]
struct Whole<'a> {
    base_name: Option<Cow<'a, str>>,
    base_time: Option<f64>,
    entries: Vec<Written<'a>>,
}

/// One entry as it was written.
#[derive(Default)]
struct Written<'a> {
    name: Option<Cow<'a, str>>,
    time: Option<f64>,
    value: Option<Scalar<'a>>,
}

struct WholeVisitor;

impl<'a> Visitor<'a> for WholeVisitor {
    type Value = Whole<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with entries")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Whole<'a>, A::Error> {
        let mut whole = Whole::default();
        let mut entries = None;
        while let Some(label) = map.next_key_seed(Text)? {
            let is_first = match label.as_ref() {
                "bn" => whole.base_name.replace(map.next_value_seed(Text)?).is_none(),
                "bt" => whole.base_time.replace(map.next_value_seed(Numeral)?.to_f64()).is_none(),
                "e" => entries.replace(map.next_value_seed(Entries)?).is_none(),
                _ => map.next_value::<IgnoredAny>().map(|_| true)?,
            };
            if !is_first {
                return Err(A::Error::custom("label used twice"));
            }
        }
        whole.entries = entries.ok_or_else(|| A::Error::missing_field("e"))?;
        Ok(whole)
    }
}

struct Entries;

impl<'a> DeserializeSeed<'a> for Entries {
    type Value = Vec<Written<'a>>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Vec<Written<'a>>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Entries {
    type Value = Vec<Written<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<Vec<Written<'a>>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = array.next_element_seed(WrittenVisitor)? {
            entries.push(entry);
            // One more than may be, so that the reader of the records says that there are too many.
            if entries.len() > RECORDS_MAX {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(entries)
    }
}

struct WrittenVisitor;

impl<'a> DeserializeSeed<'a> for WrittenVisitor {
    type Value = Written<'a>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Written<'a>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for WrittenVisitor {
    type Value = Written<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Written<'a>, A::Error> {
        let mut written = Written::default();
        while let Some(label) = map.next_key_seed(Text)? {
            let is_first = match label.as_ref() {
                "n" => written.name.replace(map.next_value_seed(Text)?).is_none(),
                "t" => written.time.replace(map.next_value_seed(Numeral)?.to_f64()).is_none(),
                "v" => written.value.replace(Scalar::Number(map.next_value_seed(Numeral)?)).is_none(),
                "sv" => written.value.replace(Scalar::Text(map.next_value_seed(Text)?)).is_none(),
                "bv" => written.value.replace(Scalar::Boolean(map.next_value()?)).is_none(),
                "ov" => written.value.replace(Scalar::Link(map.next_value_seed(Text)?)).is_none(),
                _ => map.next_value::<IgnoredAny>().map(|_| true)?,
            };
            if !is_first {
                return Err(A::Error::custom("two values, or a label used twice"));
            }
        }
        Ok(written)
    }
}

/// Appends the object.
pub(super) fn write(bases: &Bases, entries: &[Entry<'_>], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{");
    write_bases(bases, out);
    out.extend_from_slice(b"\"e\":[");
    for (nth, entry) in entries.iter().enumerate() {
        out.extend_from_slice(if nth == 0 { b"{" } else { b",{" });
        write_entry(bases, entry, write_value, out);
    }
    out.extend_from_slice(b"]}");
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    let label: &[u8] = match value {
        Value::String(_) | Value::CoreLink(_) | Value::Opaque(_) => b"\"sv\":",
        Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) | Value::Time(_) => b"\"v\":",
        Value::Boolean(_) => b"\"bv\":",
        Value::Link { .. } => b"\"ov\":",
    };
    out.extend_from_slice(label);
    match value {
        Value::Opaque(bytes) => write_json_string(&BASE64.encode(bytes), out),
        other => other.to_json(out),
    }
}
