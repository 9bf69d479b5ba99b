//! From a content format to its codec: payload bytes to records, and back.

mod cbor;
mod float;
mod lwm2m_cbor;
mod lwm2m_json;
mod plain;
mod scalar;
mod senml;
mod senml_cbor;
mod senml_json;
mod tlv;

use std::borrow::Cow;

use coap::content_format::{CBOR, JSON, LWM2M_CBOR, OCTET_STREAM, SENML_CBOR, SENML_JSON, TEXT_PLAIN, TLV, registered};

use crate::error::{DecodeError, EncodeError};
use crate::object::Definitions;
use crate::path::Path;
use crate::value::{Kind, Value, ValueError};
use senml::{Bases, Fields, Resolved, Resolver, TIME_ABSOLUTE_FROM_S};

/// Most records of one payload. The largest recorded tree (a camera with all its lenses) has 600 resources.
pub const RECORDS_MAX: usize = 4096;

/// Longest payload that is decoded: a firmware image written as opaque bytes is the longest, and goes in blocks.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One value of one resource (or resource instance), as a payload carries it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The resource or resource instance.
    pub path: Path,
    /// The value, typed by the payload where the format has types, else by the definitions.
    pub value: Value,
    /// Unix time in seconds at which the value held; only SenML and the JSON of 1.0 carry it.
    pub time: Option<f64>,
}

impl Record {
    /// A record without a time.
    pub fn new(path: Path, value: Value) -> Self {
        Self { path, value, time: None }
    }

    /// Makes the value the declared kind, if the resource is known; on an error the record stays as it is.
    pub fn retype(&mut self, definitions: &Definitions) -> Result<(), ValueError> {
        if let Some(declared) = definitions.kind(&self.path)
            && self.value.kind() != declared
        {
            self.value = self.value.clone().into_kind(declared)?;
        }
        Ok(())
    }
}

/// Reads a payload. `base` is the path of the request ([`Path::ROOT`] for Send and composites); `now_unix_s` resolves
/// relative times.
///
/// Types: SenML and CBOR say them themselves (see [`Record::retype`]), TLV and text take them from the definitions, and so
/// does the JSON of 1.0 where it has only strings; a resource that nobody declared is opaque in TLV and a string in text.
///
/// [`DecodeError::InstanceMissing`] in a Create means that the server left the choice of the id to the client: choose
/// one and decode again with the path of the new instance.
pub fn decode(
    format: u16,
    base: &Path,
    payload: &[u8],
    now_unix_s: f64,
    definitions: &Definitions,
) -> Result<Vec<Record>, DecodeError> {
    check_length(payload)?;
    let format = registered(format);
    match format {
        SENML_CBOR | SENML_JSON => {
            let mut records = Vec::new();
            each_record(format, base, payload, now_unix_s, |record| {
                let Resolved { path, value, time } = record;
                records.push(Record { path, value: value.into_value(&path)?, time });
                Ok(())
            })?;
            Ok(records)
        }
        LWM2M_CBOR => lwm2m_cbor::read(base, payload),
        TLV => tlv::read(base, payload, definitions),
        JSON => lwm2m_json::read(base, payload, now_unix_s, definitions),
        CBOR => Ok(vec![plain::read_cbor(base, payload)?]),
        TEXT_PLAIN => Ok(vec![plain::read_text(base, payload, definitions)?]),
        OCTET_STREAM => Ok(vec![plain::read_opaque(base, payload)?]),
        _ => Err(DecodeError::UnsupportedFormat { format }),
    }
}

/// Appends the readings of a payload as `{"path":"/3303/0/5700","value":9.1,"time":1764000000.5},{...}`, without
/// brackets; says how many. The time is there only if the payload gave one. On an error the caller truncates `out`.
///
/// A value whose kind is lost in JSON has it beside it: `"value":"AAEC","kind":"opaque"` ([`Kind::is_lost_in_json`]).
///
/// The same as [`decode`] followed by [`Value::to_json`], but SenML CBOR gets there without allocating.
pub fn readings_json(
    format: u16,
    base: &Path,
    payload: &[u8],
    now_unix_s: f64,
    definitions: &Definitions,
    out: &mut Vec<u8>,
) -> Result<u32, DecodeError> {
    check_length(payload)?;
    let mut count = 0;
    if matches!(format, SENML_CBOR | SENML_JSON) {
        each_record(format, base, payload, now_unix_s, |record| {
            open_reading(count, &record.path, out);
            record.value.to_json(&record.path, out)?;
            close_reading(record.value.kind_lost_in_json(), record.time, out);
            count += 1;
            Ok(())
        })?;
        return Ok(count);
    }
    for record in decode(format, base, payload, now_unix_s, definitions)? {
        open_reading(count, &record.path, out);
        record.value.to_json(out);
        close_reading(Some(record.value.kind()).filter(|kind| kind.is_lost_in_json()), record.time, out);
        count += 1;
    }
    Ok(count)
}

/// Writes a payload. Values are made the declared kind first; NaN and infinities are refused. Formats that cannot carry
/// times leave them out.
///
/// For a Create without an instance id, give the records any instance, use its path as `base`, and send the payload to
/// the object.
pub fn encode(format: u16, base: &Path, records: &[Record], definitions: &Definitions) -> Result<Vec<u8>, EncodeError> {
    if records.len() > RECORDS_MAX {
        return Err(EncodeError::TooManyRecords { records_max: RECORDS_MAX });
    }
    let entries = records.iter().map(|record| Entry::of(record, base, definitions)).collect::<Result<Vec<_>, _>>()?;
    let mut out = Vec::new();
    match registered(format) {
        format @ (SENML_CBOR | SENML_JSON | JSON) => {
            let unwritable = |time: f64| !(TIME_ABSOLUTE_FROM_S..f64::INFINITY).contains(&time);
            if let Some(entry) = entries.iter().find(|entry| entry.time.is_some_and(unwritable)) {
                return Err(EncodeError::TimeInvalid { path: entry.path });
            }
            let bases = Bases::of(base, entries.iter().map(|entry| entry.time));
            let write = match format {
                SENML_CBOR => senml_cbor::write,
                SENML_JSON => senml_json::write,
                _ => lwm2m_json::write,
            };
            write(&bases, &entries, &mut out);
        }
        LWM2M_CBOR => lwm2m_cbor::write(&entries, &mut out)?,
        TLV => tlv::write(base, &entries, &mut out)?,
        CBOR => plain::write_cbor(base, &entries, &mut out)?,
        TEXT_PLAIN => plain::write_text(base, &entries, &mut out)?,
        OCTET_STREAM => plain::write_opaque(base, &entries, &mut out)?,
        _ => return Err(EncodeError::UnsupportedFormat { format }),
    }
    Ok(out)
}

/// Reads the paths of a Read-Composite or Observe-Composite: SenML records without values, LwM2M CBOR with null for them.
pub fn decode_paths(format: u16, payload: &[u8]) -> Result<Vec<Path>, DecodeError> {
    check_length(payload)?;
    if format == LWM2M_CBOR {
        return lwm2m_cbor::read_paths(payload);
    }
    let (mut resolver, mut paths) = (Resolver::new(0.0), Vec::new());
    each_fields(format, payload, |fields| {
        if let Some(path) = resolver.resolve_path(fields)? {
            check_count(paths.len())?;
            paths.push(path);
        }
        Ok(())
    })?;
    Ok(paths)
}

/// Writes the paths of a Read-Composite or Observe-Composite. LwM2M CBOR has its own order for them, and none for `/`.
pub fn encode_paths(format: u16, paths: &[Path]) -> Result<Vec<u8>, EncodeError> {
    if paths.len() > RECORDS_MAX {
        return Err(EncodeError::TooManyRecords { records_max: RECORDS_MAX });
    }
    let mut out = Vec::new();
    match format {
        SENML_CBOR => senml_cbor::write_paths(paths, &mut out),
        SENML_JSON => senml_json::write_paths(paths, &mut out),
        LWM2M_CBOR => lwm2m_cbor::write_paths(paths, &mut out)?,
        _ => return Err(EncodeError::UnsupportedFormat { format }),
    }
    Ok(out)
}

/// Whether [`decode`] and [`encode`] know a content format.
pub fn is_supported(format: u16) -> bool {
    matches!(registered(format), SENML_CBOR | SENML_JSON | LWM2M_CBOR | TLV | JSON | CBOR | TEXT_PLAIN | OCTET_STREAM)
}

/// A record that can be written: below the base, of the declared kind, finite.
struct Entry<'a> {
    path: Path,
    value: Cow<'a, Value>,
    time: Option<f64>,
}

impl<'a> Entry<'a> {
    fn of(record: &'a Record, base: &Path, definitions: &Definitions) -> Result<Self, EncodeError> {
        let path = record.path;
        if path.depth() < 3 {
            return Err(EncodeError::WrongLevel { path });
        }
        if !base.contains(&path) {
            return Err(EncodeError::OutsideBase { path });
        }
        let value = match definitions.kind(&path) {
            Some(declared) if declared != record.value.kind() => {
                let value = record.value.clone().into_kind(declared);
                Cow::Owned(value.map_err(|error| EncodeError::Value { path, error })?)
            }
            _ => Cow::Borrowed(&record.value),
        };
        if !value.is_finite() {
            return Err(EncodeError::Value { path, error: ValueError::NotFinite });
        }
        Ok(Self { path, value, time: record.time })
    }
}

/// Hands every resolved record of a SenML payload to `each`.
fn each_record<'a>(
    format: u16,
    base: &Path,
    payload: &'a [u8],
    now_unix_s: f64,
    mut each: impl FnMut(Resolved<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let (mut resolver, mut count) = (Resolver::new(now_unix_s), 0);
    each_fields(format, payload, |fields| {
        let Some(record) = resolver.resolve(fields)? else { return Ok(()) };
        if record.path.resource.is_none() {
            return Err(DecodeError::NameInvalid { name: record.path.to_string() });
        }
        if !base.contains(&record.path) {
            return Err(DecodeError::OutsideBase { path: record.path });
        }
        check_count(count)?;
        count += 1;
        each(record)
    })
}

fn each_fields<'a>(
    format: u16,
    payload: &'a [u8],
    each: impl FnMut(Fields<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    match format {
        SENML_CBOR => senml_cbor::read(payload, each),
        SENML_JSON => senml_json::read(payload, each),
        _ => Err(DecodeError::UnsupportedFormat { format }),
    }
}

fn check_length(payload: &[u8]) -> Result<(), DecodeError> {
    if payload.len() > PAYLOAD_BYTES_MAX { Err(DecodeError::TooLong { bytes: payload.len() }) } else { Ok(()) }
}

fn check_count(so_far: usize) -> Result<(), DecodeError> {
    if so_far == RECORDS_MAX { Err(DecodeError::TooManyRecords { records_max: RECORDS_MAX }) } else { Ok(()) }
}

/// In a format without times two values for one path contradict each other.
fn check_paths(records: &[Record]) -> Result<(), DecodeError> {
    let mut paths: Vec<Path> = records.iter().map(|record| record.path).collect();
    paths.sort_unstable();
    match paths.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(DecodeError::PathTwice { path: pair[0] }),
        None => Ok(()),
    }
}

fn open_reading(count: u32, path: &Path, out: &mut Vec<u8>) {
    out.extend_from_slice(if count == 0 { b"{\"path\":\"" } else { b",{\"path\":\"" });
    path.write(out);
    out.extend_from_slice(b"\",\"value\":");
}

fn close_reading(kind: Option<Kind>, time: Option<f64>, out: &mut Vec<u8>) {
    if let Some(kind) = kind {
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(kind.name().as_bytes());
        out.push(b'"');
    }
    if let Some(time) = time {
        out.extend_from_slice(b",\"time\":");
        Value::Float(time).to_json(out);
    }
    out.push(b'}');
}
