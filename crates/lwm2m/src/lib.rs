//! What OMA LwM2M puts into CoAP messages, and nothing else: paths, values, object definitions, links, registration
//! queries, attributes and the payload codecs.
//!
//! Pure: bytes and the time come in, values come out. Nothing in here panics on what a peer sends, and everything a
//! peer sends is bounded.

pub mod attributes;
pub mod codec;
pub mod error;
pub mod link_format;
pub mod object;
pub mod object_xml;
pub mod path;
pub mod registration;
pub mod value;

pub use attributes::Attributes;
pub use codec::Record;
pub use error::{DecodeError, EncodeError};
pub use link_format::{Link, Links};
pub use object::{Definitions, ObjectDefinition, Operations, ResourceDefinition};
pub use path::{Path, PathError};
pub use registration::{RegisterParameters, RegistrationError, UpdateParameters, Version};
pub use value::{Kind, Value, ValueError};
