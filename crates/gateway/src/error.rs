//! What is wrong with what we were given by our own side.

use std::fmt;

use dtls::NotRestored;
use lwm2m::PathError;
use lwm2m::attributes::AttributeError;

/// An entry or a file that cannot be taken in. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryError {
    /// A device needs a name and an endpoint.
    NameEmpty,
    /// A path to observe or to read that is none.
    Path {
        /// As given.
        path: String,
        /// What is wrong.
        error: PathError,
    },
    /// Attributes of an observation that no device could take.
    Attributes {
        /// As given.
        attributes: String,
        /// What is wrong.
        error: AttributeError,
    },
    /// More paths than one device may have.
    TooManyPaths {
        /// The bound.
        paths_max: usize,
    },
    /// The context is no JSON fragment of the form `"name":value,...`.
    ContextInvalid,
    /// More credentials than one device may have.
    TooManyCredentials {
        /// The bound.
        credentials_max: usize,
    },
    /// Two credentials of one device have one name, or are told apart by nothing.
    CredentialTwice {
        /// The second of them.
        credential: String,
    },
    /// Another device goes by this credential.
    CredentialTaken {
        /// That device.
        device: String,
    },
    /// Another device without credentials has this endpoint.
    EndpointTaken {
        /// That device.
        device: String,
    },
    /// More than we hold.
    TooMany {
        /// The bound.
        entries_max: usize,
    },
    /// An ETag has 1 to 8 bytes (RFC 7252 §5.10.6).
    EtagLength {
        /// What was given.
        bytes: usize,
    },
    /// A registration id that we never gave out.
    RegistrationInvalid,
}

impl fmt::Display for EntryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameEmpty => formatter.write_str("device and endpoint must not be empty"),
            Self::Path { path, error } => write!(formatter, "{path}: {error}"),
            Self::Attributes { attributes, error } => write!(formatter, "{attributes}: {error}"),
            Self::TooManyPaths { paths_max } => write!(formatter, "more than {paths_max} paths"),
            Self::ContextInvalid => formatter.write_str("context is not a JSON fragment"),
            Self::TooManyCredentials { credentials_max } => {
                write!(formatter, "more than {credentials_max} credentials")
            }
            Self::CredentialTwice { credential } => write!(formatter, "credential {credential} is there twice"),
            Self::CredentialTaken { device } => write!(formatter, "device {device} has this credential already"),
            Self::EndpointTaken { device } => write!(formatter, "device {device} has this endpoint already"),
            Self::TooMany { entries_max } => write!(formatter, "more than {entries_max}"),
            Self::EtagLength { bytes } => write!(formatter, "an ETag cannot have {bytes} bytes"),
            Self::RegistrationInvalid => formatter.write_str("not a registration id"),
        }
    }
}

impl std::error::Error for EntryError {}

/// A checkpoint of an earlier start that does not serve, or not for its session. The device will shake hands again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotTakenUp {
    /// Nobody has this name.
    UnknownDevice,
    /// Written by another version.
    Version,
    /// Not what was written.
    Damaged,
    /// It claims to be of this start, or of one to come.
    CountSetBack,
    /// The credential of its session is another device's now.
    CredentialChanged,
    /// Its session is none any more.
    Session(NotRestored),
    /// Nothing in it serves here: the device is not registered; or the session was another node's.
    Unwanted,
    /// More sessions than we hold.
    Full,
}

impl fmt::Display for NotTakenUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDevice => formatter.write_str("the device is not known"),
            Self::Version => formatter.write_str("written by another version"),
            Self::Damaged => formatter.write_str("damaged"),
            Self::CountSetBack => formatter.write_str("the database was set back"),
            Self::CredentialChanged => formatter.write_str("the credential has changed hands"),
            Self::Session(error) => write!(formatter, "the session: {error}"),
            Self::Unwanted => formatter.write_str("nothing in it serves any more"),
            Self::Full => formatter.write_str("too many sessions"),
        }
    }
}

impl std::error::Error for NotTakenUp {}
