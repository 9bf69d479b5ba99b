//! What can be wrong with a payload, and the CoAP code that says so.

use std::fmt;

use crate::path::Path;
use crate::value::ValueError;
use coap::code::Code;

/// A payload that we do not accept. The sender's fault, unless the format is one we do not speak.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// No codec for this content format.
    UnsupportedFormat {
        /// The content format.
        format: u16,
    },
    /// More records than we hold.
    TooManyRecords {
        /// The bound.
        records_max: usize,
    },
    /// Longer than any payload we take.
    TooLong {
        /// The length.
        bytes: usize,
    },
    /// Ends in the middle of something.
    Truncated {
        /// Where the payload ends.
        offset: usize,
    },
    /// Goes on after its end.
    Trailing {
        /// Where it should have ended.
        offset: usize,
    },
    /// Bytes that the format does not allow.
    Malformed {
        /// Where.
        offset: usize,
        /// What.
        fault: Fault,
    },
    /// Not JSON, or not the JSON of SenML or of LwM2M 1.0.
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A SenML name that is no path.
    NameInvalid {
        /// Base name and name, cut to what fits into a diagnostic.
        name: String,
    },
    /// The record is about something that was not asked for.
    OutsideBase {
        /// What it is about.
        path: Path,
    },
    /// The format cannot be used for this path: text, opaque and CBOR carry one resource, TLV not the root.
    WrongLevel {
        /// The path of the request.
        base: Path,
    },
    /// TLV resources for an object of many instances, without a word on which.
    InstanceMissing {
        /// The object.
        object: u16,
    },
    /// Two values for one place in a format that has no times to tell them apart.
    PathTwice {
        /// The place.
        path: Path,
    },
    /// A record without a value.
    ValueMissing {
        /// What it is about.
        path: Path,
    },
    /// RFC 8428 §4.2: a record has one value, this one has two.
    ValueTwice {
        /// Where the second one stands; 0 where the format does not tell.
        offset: usize,
    },
    /// A value that is not of the declared kind.
    Value {
        /// What it is about.
        path: Path,
        /// What is wrong.
        error: ValueError,
    },
    /// RFC 8428 §4.4: a newer version of SenML than we understand.
    VersionUnknown,
    /// RFC 8428 §4.4: a field whose label ends in `_` must be understood.
    FieldUnknown,
    /// A time that is no number we can reckon with.
    TimeInvalid,
}

/// Bytes that a format does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// CBOR: a reserved length, or an indefinite one where there is none.
    LengthReserved,
    /// An item of another type was expected here.
    TypeUnexpected,
    /// The same label twice in one map.
    LabelTwice,
    /// Nested deeper than any LwM2M payload.
    TooDeep,
    /// Text that is not UTF-8.
    NotUtf8,
    /// Text that is not Base64.
    NotBase64,
    /// Text that is not a date and time of RFC 3339.
    NotDate,
    /// A number of more bits than any value has.
    NumberTooLarge,
    /// A TLV inside of one that cannot contain it, or a value where no resource is.
    NestingWrong,
    /// Core 1.1 §7.3: id 65535 names nothing.
    IdReserved,
}

/// Values that cannot be put into this format: our fault, not the device's.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EncodeError {
    /// No codec for this content format.
    UnsupportedFormat {
        /// The content format.
        format: u16,
    },
    /// More records than one payload may have.
    TooManyRecords {
        /// The bound.
        records_max: usize,
    },
    /// A record that does not lie below the path of the request.
    OutsideBase {
        /// What it is about.
        path: Path,
    },
    /// A record must name a resource; text, opaque and CBOR carry exactly one.
    WrongLevel {
        /// The path of the record or of the request.
        path: Path,
    },
    /// A value that is not of the declared kind, or that must not be written.
    Value {
        /// What it is about.
        path: Path,
        /// What is wrong.
        error: ValueError,
    },
    /// Longer than the format can say.
    TooLong {
        /// The length.
        bytes: usize,
    },
    /// Two values for one place in a format that has no times to tell them apart.
    PathTwice {
        /// The place.
        path: Path,
    },
    /// RFC 8428 §4.5.3: a time before 2^28 would be read as relative to now.
    TimeInvalid {
        /// What it is about.
        path: Path,
    },
}

impl DecodeError {
    /// The code to answer with, when the payload came in a request.
    pub fn code(&self) -> Code {
        match self {
            Self::UnsupportedFormat { .. } => Code::UNSUPPORTED_CONTENT_FORMAT,
            Self::TooManyRecords { .. } | Self::TooLong { .. } => Code::REQUEST_ENTITY_TOO_LARGE,
            _ => Code::BAD_REQUEST,
        }
    }
}

impl EncodeError {
    /// The code to answer with, when the payload would have been an answer.
    pub fn code(&self) -> Code {
        match self {
            Self::UnsupportedFormat { .. } => Code::NOT_ACCEPTABLE,
            _ => Code::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedFormat { format } => write!(f, "content format {format} is not supported"),
            Self::TooManyRecords { records_max } => write!(f, "more than {records_max} records"),
            Self::TooLong { bytes } => write!(f, "{bytes} bytes are too many"),
            Self::Truncated { offset } => write!(f, "ends too early at byte {offset}"),
            Self::Trailing { offset } => write!(f, "goes on after its end at byte {offset}"),
            Self::Malformed { offset, fault } => write!(f, "{fault} at byte {offset}"),
            Self::Json { line, column } => write!(f, "not the JSON of this format at line {line} column {column}"),
            Self::NameInvalid { name } => write!(f, "name {name:?} is no path"),
            Self::OutsideBase { path } => write!(f, "{path} was not asked for"),
            Self::WrongLevel { base } => write!(f, "the content format cannot be used for {base}"),
            Self::InstanceMissing { object } => write!(f, "which instance of object {object}?"),
            Self::PathTwice { path } => write!(f, "{path} is there twice"),
            Self::ValueMissing { path } => write!(f, "{path} has no value"),
            Self::ValueTwice { offset } => write!(f, "a record has two values (byte {offset})"),
            Self::Value { path, error } => write!(f, "{path}: {error}"),
            Self::VersionUnknown => f.write_str("newer SenML version"),
            Self::FieldUnknown => f.write_str("unknown field that must be understood"),
            Self::TimeInvalid => f.write_str("time is no number"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LengthReserved => "reserved length",
            Self::TypeUnexpected => "unexpected type",
            Self::LabelTwice => "label used twice",
            Self::TooDeep => "nested too deeply",
            Self::NotUtf8 => "text is not UTF-8",
            Self::NotBase64 => "text is not Base64",
            Self::NotDate => "text is not a date",
            Self::NumberTooLarge => "number too large",
            Self::NestingWrong => "wrong nesting",
            Self::IdReserved => "reserved id",
        })
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedFormat { format } => write!(f, "content format {format} is not supported"),
            Self::TooManyRecords { records_max } => write!(f, "more than {records_max} records"),
            Self::OutsideBase { path } => write!(f, "{path} is not below the path of the request"),
            Self::WrongLevel { path } => write!(f, "the content format cannot be used for {path}"),
            Self::Value { path, error } => write!(f, "{path}: {error}"),
            Self::TooLong { bytes } => write!(f, "{bytes} bytes are too many"),
            Self::PathTwice { path } => write!(f, "{path} is there twice"),
            Self::TimeInvalid { path } => write!(f, "{path}: the time cannot be written"),
        }
    }
}

impl std::error::Error for DecodeError {}
impl std::error::Error for EncodeError {}
