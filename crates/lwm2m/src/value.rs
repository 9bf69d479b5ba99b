//! What a resource holds, and the type its definition declares (OMA LwM2M Core 1.1 appendix C).

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::path::ID_RESERVED;

/// Writes padding, reads with or without: people type it by hand.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The value of a resource or of one of its instances.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// UTF-8 text.
    String(String),
    /// A signed number of up to 64 bits.
    Integer(i64),
    /// An unsigned number of up to 64 bits (since LwM2M 1.1).
    Unsigned(u64),
    /// A number with a fraction. NaN and infinities can be received, never sent.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes without a meaning of their own.
    Opaque(Vec<u8>),
    /// Unix time in seconds.
    Time(i64),
    /// Another object instance; 65535:65535 is none.
    Link {
        /// The object id.
        object: u16,
        /// The object instance id.
        instance: u16,
    },
    /// CoRE links as text (since LwM2M 1.1).
    CoreLink(String),
}

/// The type that a definition declares for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    String,
    /// Signed, up to 64 bits.
    Integer,
    /// Unsigned, up to 64 bits.
    Unsigned,
    /// 32 or 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// Bytes.
    Opaque,
    /// Unix seconds.
    Time,
    /// `object:instance`.
    Link,
    /// CoRE links.
    CoreLink,
}

/// Why something is not a value of the declared kind.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ValueError {
    /// The value has another type.
    WrongKind {
        /// The declared kind.
        declared: Kind,
    },
    /// A number does not fit.
    OutOfRange {
        /// The declared kind.
        declared: Kind,
    },
    /// Text that should have been a value of this kind.
    Unreadable {
        /// The declared kind.
        declared: Kind,
    },
    /// NaN and infinities are never written to a device.
    NotFinite,
    /// A payload field of this many bytes cannot hold the kind.
    WrongLength {
        /// The declared kind.
        declared: Kind,
        /// The length that was found.
        bytes: usize,
    },
}

impl Value {
    /// The link that points nowhere.
    pub const LINK_TO_NOTHING: Self = Self::Link { object: ID_RESERVED, instance: ID_RESERVED };

    /// The kind this value is of.
    pub fn kind(&self) -> Kind {
        match self {
            Self::String(_) => Kind::String,
            Self::Integer(_) => Kind::Integer,
            Self::Unsigned(_) => Kind::Unsigned,
            Self::Float(_) => Kind::Float,
            Self::Boolean(_) => Kind::Boolean,
            Self::Opaque(_) => Kind::Opaque,
            Self::Time(_) => Kind::Time,
            Self::Link { .. } => Kind::Link,
            Self::CoreLink(_) => Kind::CoreLink,
        }
    }

    /// False for NaN and infinities, which may be received and must not be sent.
    pub fn is_finite(&self) -> bool {
        !matches!(self, Self::Float(number) if !number.is_finite())
    }

    /// The same value as the declared kind, where nothing is lost by it.
    ///
    /// Payload formats know fewer types than definitions: SenML says "number" for a time, and one that writes 21 for a
    /// float of 21.0 is within its rights.
    pub fn into_kind(self, declared: Kind) -> Result<Self, ValueError> {
        if self.kind() == declared {
            return Ok(self);
        }
        let out_of_range = ValueError::OutOfRange { declared };
        match (self, declared) {
            (Self::String(text), Kind::CoreLink) => Ok(Self::CoreLink(text)),
            (Self::CoreLink(text), Kind::String) => Ok(Self::String(text)),
            (Self::String(text), Kind::Link) => parse_link(&text).ok_or(ValueError::Unreadable { declared }),
            (number, Kind::Integer | Kind::Time) => {
                let whole = number.whole().ok_or(ValueError::WrongKind { declared })?;
                let whole = i64::try_from(whole).map_err(|_| out_of_range)?;
                Ok(if declared == Kind::Time { Self::Time(whole) } else { Self::Integer(whole) })
            }
            (number, Kind::Unsigned) => {
                let whole = number.whole().ok_or(ValueError::WrongKind { declared })?;
                u64::try_from(whole).map(Self::Unsigned).map_err(|_| out_of_range)
            }
            (Self::Integer(whole) | Self::Time(whole), Kind::Float) => Ok(Self::Float(whole as f64)),
            (Self::Unsigned(whole), Kind::Float) => Ok(Self::Float(whole as f64)),
            _ => Err(ValueError::WrongKind { declared }),
        }
    }

    /// The number without a fraction, if it is one.
    fn whole(&self) -> Option<i128> {
        match *self {
            Self::Integer(whole) | Self::Time(whole) => Some(i128::from(whole)),
            Self::Unsigned(whole) => Some(i128::from(whole)),
            // Casting saturates far outside of 64 bits, so the caller's range check still refuses it.
            Self::Float(number) if number.is_finite() && number.fract() == 0.0 => Some(number as i128),
            _ => None,
        }
    }

    /// Appends the value as JSON: bytes in Base64, a time in seconds, a link as `"3:0"`, NaN and infinities as null.
    pub fn to_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) | Self::CoreLink(text) => write_json_string(text, out),
            Self::Integer(whole) | Self::Time(whole) => {
                out.extend_from_slice(itoa::Buffer::new().format(*whole).as_bytes());
            }
            Self::Unsigned(whole) => out.extend_from_slice(itoa::Buffer::new().format(*whole).as_bytes()),
            Self::Float(number) => write_json_float(*number, out),
            Self::Boolean(true) => out.extend_from_slice(b"true"),
            Self::Boolean(false) => out.extend_from_slice(b"false"),
            Self::Opaque(bytes) => write_json_base64(bytes, out),
            Self::Link { object, instance } => {
                out.push(b'"');
                write_link(*object, *instance, out);
                out.push(b'"');
            }
        }
    }

    /// Reads what [`Value::to_json`] writes, given the declared kind.
    pub fn from_json(json: &serde_json::Value, declared: Kind) -> Result<Self, ValueError> {
        use serde_json::Value as Json;
        let unreadable = ValueError::Unreadable { declared };
        match (json, declared) {
            (Json::String(text), Kind::String) => Ok(Self::String(text.clone())),
            (Json::String(text), Kind::CoreLink) => Ok(Self::CoreLink(text.clone())),
            (Json::String(text), Kind::Opaque) => BASE64.decode(text).map(Self::Opaque).map_err(|_| unreadable),
            (Json::String(text), Kind::Link) => parse_link(text).ok_or(unreadable),
            (Json::Bool(truth), Kind::Boolean) => Ok(Self::Boolean(*truth)),
            (Json::Number(number), Kind::Integer | Kind::Unsigned | Kind::Float | Kind::Time) => {
                let value = if let Some(whole) = number.as_i64() {
                    Self::Integer(whole)
                } else if let Some(whole) = number.as_u64() {
                    Self::Unsigned(whole)
                } else {
                    Self::Float(number.as_f64().filter(|n| n.is_finite()).ok_or(ValueError::NotFinite)?)
                };
                value.into_kind(declared)
            }
            _ => Err(ValueError::WrongKind { declared }),
        }
    }
}

impl Kind {
    /// The word the definitions use for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Unsigned => "unsigned integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Opaque => "opaque",
            Self::Time => "time",
            Self::Link => "objlnk",
            Self::CoreLink => "corelnk",
        }
    }

    /// Whether JSON does not tell it: bytes and links are text there, a time is a number. So are CoRE links text, but no
    /// payload tells them from other text either.
    pub fn is_lost_in_json(self) -> bool {
        matches!(self, Self::Opaque | Self::Time | Self::Link)
    }

    /// The kind of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        const KINDS: [Kind; 9] = [
            Kind::String,
            Kind::Integer,
            Kind::Unsigned,
            Kind::Float,
            Kind::Boolean,
            Kind::Opaque,
            Kind::Time,
            Kind::Link,
            Kind::CoreLink,
        ];
        KINDS.into_iter().find(|kind| kind.name() == name)
    }
}

/// Reads `3:0`; 65535 is allowed here, it means "nothing".
pub(crate) fn parse_link(text: &str) -> Option<Value> {
    let (object, instance) = text.split_once(':')?;
    let id = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u16>().ok()).flatten();
    Some(Value::Link { object: id(object)?, instance: id(instance)? })
}

/// Appends `3:0`.
pub(crate) fn write_link(object: u16, instance: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(object).as_bytes());
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(instance).as_bytes());
}

/// Appends a float as the shortest JSON number that reads back the same; null where JSON has no number.
pub(crate) fn write_json_float(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends bytes as a JSON string of Base64 with padding.
pub(crate) fn write_json_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    // Four characters for every three bytes begun; the engine fills exactly that.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

/// Appends text as a JSON string.
pub(crate) fn write_json_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut clean_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[clean_from..at]);
        clean_from = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]),
        }
    }
    out.extend_from_slice(&text.as_bytes()[clean_from..]);
    out.push(b'"');
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKind { declared } => write!(f, "not of type {}", declared.name()),
            Self::OutOfRange { declared } => write!(f, "out of the range of type {}", declared.name()),
            Self::Unreadable { declared } => write!(f, "cannot be read as {}", declared.name()),
            Self::NotFinite => f.write_str("neither NaN nor infinities can be written"),
            Self::WrongLength { declared, bytes } => write!(f, "{bytes} bytes are no {}", declared.name()),
        }
    }
}

impl std::error::Error for ValueError {}
