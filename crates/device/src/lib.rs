//! An LwM2M client without I/O: bytes and the time go in, bytes and events come out.
//!
//! [`Device`] registers, renews and comes back by itself, serves its object [`Tree`] to the server, notifies, sends and
//! downloads. It is what stands behind `shoal.lwm2m.Device`, the demo farm and the load generator.

mod client;
mod command;
mod download;
mod event;
mod registration;
mod relation;
mod serve;
mod transport;
mod tree;

pub use client::Device;
pub use command::{Config, Credential, parse_value};
pub use download::Begun;
pub use event::Event;
pub use lwm2m::{Definitions, Path, Value};
pub use tree::{Mode, Tree};

/// The definitions of all objects that this build knows; a device may have been given more.
pub fn definitions() -> &'static Definitions {
    Definitions::embedded()
}
