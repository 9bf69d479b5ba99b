//! A value as a payload types it, before it is known what its resource is declared to be.

use std::borrow::Cow;

use crate::error::DecodeError;
use crate::path::Path;
use crate::value::{Kind, Value, ValueError, parse_link, write_json_base64, write_json_float, write_json_string};

/// A value as the format types it.
pub(super) enum Scalar<'a> {
    Number(Number),
    Text(Cow<'a, str>),
    Boolean(bool),
    Bytes(Cow<'a, [u8]>),
    /// An object link as text: `vlo` of SenML (OMA LwM2M Core 1.1 §7.4), `ov` of LwM2M JSON (Core 1.0 §6.4.4).
    Link(Cow<'a, str>),
    /// Unix seconds that say so themselves (RFC 8949 §3.4).
    Time(Number),
}

/// A number, kept whole as long as it can be.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            // Neither has more than 65 bits, so the sum fits.
            (Self::Integer(a), Self::Integer(b)) => Self::Integer(a.saturating_add(b)),
            (a, b) => Self::Float(a.to_f64() + b.to_f64()),
        }
    }

    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Integer(whole) => whole as f64,
            Self::Float(number) => number,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Float(number) => Value::Float(number),
            Self::Integer(whole) => match (i64::try_from(whole), u64::try_from(whole)) {
                (Ok(signed), _) => Value::Integer(signed),
                (_, Ok(unsigned)) => Value::Unsigned(unsigned),
                _ => Value::Float(whole as f64),
            },
        }
    }

    /// A time of whole seconds is one; a fraction of a second is kept, as the number it is.
    fn into_time(self) -> Value {
        let value = self.into_value();
        value.clone().into_kind(Kind::Time).unwrap_or(value)
    }
}

impl Scalar<'_> {
    /// The value, typed by the payload.
    pub(super) fn into_value(self, path: &Path) -> Result<Value, DecodeError> {
        Ok(match self {
            Self::Number(number) => number.into_value(),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::Bytes(bytes) => Value::Opaque(bytes.into_owned()),
            Self::Link(text) => link(&text, path)?,
            Self::Time(number) => number.into_time(),
        })
    }

    /// The kind of the value, where JSON does not tell it ([`Kind::is_lost_in_json`]).
    pub(super) fn kind_lost_in_json(&self) -> Option<Kind> {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Boolean(_) => None,
            Self::Bytes(_) => Some(Kind::Opaque),
            Self::Link(_) => Some(Kind::Link),
            Self::Time(number) => Some(number.into_time().kind()).filter(|kind| kind.is_lost_in_json()),
        }
    }

    /// Appends what [`Value::to_json`] would, without making the value first.
    pub(super) fn to_json(&self, path: &Path, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match self {
            Self::Number(Number::Float(number)) => write_json_float(*number, out),
            Self::Number(number) => number.into_value().to_json(out),
            Self::Text(text) => write_json_string(text, out),
            Self::Boolean(truth) => Value::Boolean(*truth).to_json(out),
            Self::Bytes(bytes) => write_json_base64(bytes, out),
            Self::Link(text) => link(text, path)?.to_json(out),
            Self::Time(number) => number.into_time().to_json(out),
        }
        Ok(())
    }
}

fn link(text: &str, path: &Path) -> Result<Value, DecodeError> {
    let unreadable = || DecodeError::Value { path: *path, error: ValueError::Unreadable { declared: Kind::Link } };
    parse_link(text).ok_or_else(unreadable)
}
