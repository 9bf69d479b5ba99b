//! OMA TLV (OMA LwM2M Core 1.1.1 §7.4.4): type, id, length, value; objects nest, values have no type of their own.

use std::borrow::Cow;

use super::float::{from_single, to_single};
use super::{Entry, Record, check_count, check_paths};
use crate::error::{DecodeError, EncodeError, Fault};
use crate::object::Definitions;
use crate::path::{ID_RESERVED, Path};
use crate::value::{Kind, Value, ValueError};

/// The length field has at most 24 bits.
const LENGTH_MAX: usize = 0xff_ffff;

/// Bits 7 and 6 of the type byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    ObjectInstance = 0,
    ResourceInstance = 1,
    /// Contains resource instances.
    MultipleResource = 2,
    Resource = 3,
}

/// One element; `offset` is where its value begins in the payload.
#[derive(Clone, Copy)]
struct Element<'a> {
    class: Class,
    id: u16,
    value: &'a [u8],
    offset: usize,
}

/// Reads a payload as records below `base`, typed by the definitions; what nobody declared is opaque.
pub(super) fn read(base: &Path, payload: &[u8], definitions: &Definitions) -> Result<Vec<Record>, DecodeError> {
    if base.is_root() {
        return Err(DecodeError::WrongLevel { base: *base });
    }
    let mut records = Records { base, definitions, found: Vec::new() };
    for element in Elements::new(payload, 0) {
        records.take(element?)?;
    }
    check_paths(&records.found)?;
    Ok(records.found)
}

/// What has been read so far.
struct Records<'a> {
    base: &'a Path,
    definitions: &'a Definitions,
    found: Vec<Record>,
}

impl Records<'_> {
    /// An element of the outermost level: what it may be depends on what was asked for.
    fn take(&mut self, element: Element<'_>) -> Result<(), DecodeError> {
        match (element.class, self.base.resource) {
            (Class::ObjectInstance, None) => {
                let instance = Path::of_instance(self.base.object, element.id);
                for inner in Elements::new(element.value, element.offset) {
                    self.take_resource(&instance, inner?)?;
                }
                // An instance that was not asked for is wrong even if it is empty.
                if instance.starts_with(self.base) { Ok(()) } else { Err(DecodeError::OutsideBase { path: instance }) }
            }
            (Class::Resource | Class::MultipleResource, _) => {
                let instance = self.instance()?;
                self.take_resource(&instance, element)
            }
            (Class::ResourceInstance, Some(resource)) => {
                let resource = Path::of_resource(self.base.object, self.instance()?.instance.unwrap_or(0), resource);
                self.take_value(resource.child(element.id), element)
            }
            _ => Err(DecodeError::Malformed { offset: element.offset, fault: Fault::NestingWrong }),
        }
    }

    /// The instance that bare resources belong to. Core 1.1.1 §7.4.4: only an object with a single instance may leave it
    /// out.
    fn instance(&self) -> Result<Path, DecodeError> {
        let object = self.base.object;
        match (self.base.instance, self.definitions.object(object)) {
            (Some(instance), _) => Ok(Path::of_instance(object, instance)),
            (None, Some(definition)) if !definition.multiple => Ok(Path::of_instance(object, 0)),
            _ => Err(DecodeError::InstanceMissing { object }),
        }
    }

    fn take_resource(&mut self, instance: &Path, element: Element<'_>) -> Result<(), DecodeError> {
        let nesting_wrong = |offset| DecodeError::Malformed { offset, fault: Fault::NestingWrong };
        let Some(resource) = instance.child(element.id) else { return Err(nesting_wrong(element.offset)) };
        match element.class {
            Class::Resource => self.take_value(Some(resource), element),
            Class::MultipleResource => {
                for inner in Elements::new(element.value, element.offset) {
                    let inner = inner?;
                    if inner.class != Class::ResourceInstance {
                        return Err(nesting_wrong(inner.offset));
                    }
                    self.take_value(resource.child(inner.id), inner)?;
                }
                Ok(())
            }
            Class::ObjectInstance | Class::ResourceInstance => Err(nesting_wrong(element.offset)),
        }
    }

    fn take_value(&mut self, path: Option<Path>, element: Element<'_>) -> Result<(), DecodeError> {
        let Some(path) = path else {
            return Err(DecodeError::Malformed { offset: element.offset, fault: Fault::NestingWrong });
        };
        if !self.base.contains(&path) {
            return Err(DecodeError::OutsideBase { path });
        }
        check_count(self.found.len())?;
        let declared = self.definitions.kind(&path).unwrap_or(Kind::Opaque);
        let value = read_value(element.value, declared).map_err(|error| DecodeError::Value { path, error })?;
        self.found.push(Record::new(path, value));
        Ok(())
    }
}

/// The elements of one level.
struct Elements<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Elements<'a> {
    fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, offset }
    }

    fn element(&mut self) -> Result<Element<'a>, DecodeError> {
        let start = self.offset;
        let kind = self.number(1)?;
        let class = match kind >> 6 {
            0 => Class::ObjectInstance,
            1 => Class::ResourceInstance,
            2 => Class::MultipleResource,
            _ => Class::Resource,
        };
        let id = self.number(1 + (kind >> 5 & 1))? as u16;
        if id == ID_RESERVED {
            return Err(DecodeError::Malformed { offset: start, fault: Fault::IdReserved });
        }
        let length = match kind >> 3 & 0b11 {
            // Bits 2 to 0 are the length itself.
            0 => kind & 0b111,
            bytes => self.number(bytes)?,
        };
        let offset = self.offset;
        Ok(Element { class, id, value: self.bytes(length)?, offset })
    }

    fn number(&mut self, bytes: usize) -> Result<usize, DecodeError> {
        Ok(self.bytes(bytes)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(DecodeError::Truncated { offset: self.offset + self.rest.len() });
        };
        self.rest = rest;
        self.offset += count;
        Ok(taken)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = self.element();
        if element.is_err() {
            self.rest = &[];
        }
        Some(element)
    }
}

/// The bytes as a value of the declared kind (Core 1.1 appendix C, column TLV).
fn read_value(bytes: &[u8], declared: Kind) -> Result<Value, ValueError> {
    let wrong_length = || ValueError::WrongLength { declared, bytes: bytes.len() };
    let text = || str::from_utf8(bytes).map(str::to_owned).map_err(|_| ValueError::Unreadable { declared });
    Ok(match declared {
        Kind::String => Value::String(text()?),
        Kind::CoreLink => Value::CoreLink(text()?),
        Kind::Opaque => Value::Opaque(bytes.to_vec()),
        Kind::Integer => Value::Integer(read_integer(bytes).ok_or_else(wrong_length)?),
        Kind::Time => Value::Time(read_integer(bytes).ok_or_else(wrong_length)?),
        Kind::Unsigned => match bytes.len() {
            1 | 2 | 4 | 8 => Value::Unsigned(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
            _ => return Err(wrong_length()),
        },
        Kind::Float => match (<[u8; 4]>::try_from(bytes), <[u8; 8]>::try_from(bytes)) {
            (Ok(single), _) => Value::Float(from_single(f32::from_be_bytes(single))),
            (_, Ok(double)) => Value::Float(f64::from_be_bytes(double)),
            _ => return Err(wrong_length()),
        },
        Kind::Boolean => match bytes {
            [0] => Value::Boolean(false),
            [1] => Value::Boolean(true),
            [_] => return Err(ValueError::OutOfRange { declared }),
            _ => return Err(wrong_length()),
        },
        Kind::Link => match *bytes {
            [a, b, c, d] => Value::Link { object: u16::from_be_bytes([a, b]), instance: u16::from_be_bytes([c, d]) },
            _ => return Err(wrong_length()),
        },
    })
}

/// Two's complement of 1, 2, 4 or 8 bytes.
fn read_integer(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [a] => Some(i64::from(i8::from_be_bytes([a]))),
        [a, b] => Some(i64::from(i16::from_be_bytes([a, b]))),
        [a, b, c, d] => Some(i64::from(i32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

/// Writes records in the order of their paths, nested as deep as `base` does not say already. Times cannot be written.
pub(super) fn write(base: &Path, entries: &[Entry<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if base.is_root() {
        return Err(EncodeError::WrongLevel { path: *base });
    }
    let mut sorted: Vec<&Entry<'_>> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.path);
    match base.depth() {
        1 => write_instances(&sorted, out),
        4 => write_resource_instances(&sorted, out),
        _ => write_resources(&sorted, out),
    }
}

fn write_instances(entries: &[&Entry<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    for group in entries.chunk_by(|a, b| a.path.instance == b.path.instance) {
        let mut resources = Vec::new();
        write_resources(group, &mut resources)?;
        write_element(Class::ObjectInstance, group[0].path.instance, &resources, out)?;
    }
    Ok(())
}

fn write_resources(entries: &[&Entry<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let level = |entry: &Entry<'_>| (entry.path.resource, entry.path.resource_instance.is_some());
    for group in entries.chunk_by(|a, b| level(a) == level(b)) {
        let resource = group[0].path.resource;
        if group[0].path.resource_instance.is_some() {
            let mut instances = Vec::new();
            write_resource_instances(group, &mut instances)?;
            write_element(Class::MultipleResource, resource, &instances, out)?;
        } else {
            for entry in group {
                write_element(Class::Resource, resource, &value_bytes(&entry.value), out)?;
            }
        }
    }
    Ok(())
}

fn write_resource_instances(entries: &[&Entry<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    entries.iter().try_for_each(|entry| {
        write_element(Class::ResourceInstance, entry.path.resource_instance, &value_bytes(&entry.value), out)
    })
}

fn write_element(class: Class, id: Option<u16>, value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let id = id.unwrap_or(0);
    let length = value.len();
    let length_bytes = match length {
        0..=7 => 0,
        8..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=LENGTH_MAX => 3,
        bytes => return Err(EncodeError::TooLong { bytes }),
    };
    let short = if length_bytes == 0 { length as u8 } else { 0 };
    out.push((class as u8) << 6 | u8::from(id > 0xff) << 5 | (length_bytes as u8) << 3 | short);
    out.extend_from_slice(&id.to_be_bytes()[usize::from(id <= 0xff)..]);
    out.extend_from_slice(&(length as u32).to_be_bytes()[4 - length_bytes..]);
    out.extend_from_slice(value);
    Ok(())
}

fn value_bytes(value: &Value) -> Cow<'_, [u8]> {
    match value {
        Value::String(text) | Value::CoreLink(text) => Cow::Borrowed(text.as_bytes()),
        Value::Opaque(bytes) => Cow::Borrowed(bytes),
        Value::Integer(whole) | Value::Time(whole) => Cow::Owned(integer_bytes(*whole)),
        Value::Unsigned(whole) => Cow::Owned(unsigned_bytes(*whole)),
        Value::Float(number) => Cow::Owned(match to_single(*number) {
            Some(single) => single.to_be_bytes().to_vec(),
            None => number.to_be_bytes().to_vec(),
        }),
        Value::Boolean(truth) => Cow::Owned(vec![u8::from(*truth)]),
        Value::Link { object, instance } => Cow::Owned([object.to_be_bytes(), instance.to_be_bytes()].concat()),
    }
}

/// The shortest of the four lengths.
fn integer_bytes(whole: i64) -> Vec<u8> {
    if let Ok(byte) = i8::try_from(whole) {
        return byte.to_be_bytes().to_vec();
    }
    if let Ok(short) = i16::try_from(whole) {
        return short.to_be_bytes().to_vec();
    }
    match i32::try_from(whole) {
        Ok(long) => long.to_be_bytes().to_vec(),
        Err(_) => whole.to_be_bytes().to_vec(),
    }
}

fn unsigned_bytes(whole: u64) -> Vec<u8> {
    let from = match whole {
        0..=0xff => 7,
        0x100..=0xffff => 6,
        0x1_0000..=0xffff_ffff => 4,
        _ => 0,
    };
    whole.to_be_bytes()[from..].to_vec()
}
