//! An LwM2M client without I/O: bytes and the time go in, bytes and events come out.
//!
//! [`Device`] registers, renews and comes back by itself, serves its object [`Tree`] to the server, notifies, sends and
//! downloads. It is what stands behind `shoal.lwm2m.Device`, the demo farm and the load generator.

mod account;
mod bootstrap;
mod choosing;
mod client;
mod command;
mod connection;
mod discover;
mod download;
mod event;
mod held;
mod line;
mod observing;
mod patience;
mod proving;
mod registration;
mod relation;
mod reply;
mod serve;
mod server_object;
mod transport;
mod tree;

pub use choosing::Place;
pub use client::Device;
pub use coap::{Code, Request};
pub use command::{Config, Credential, Readings, parse_value};
pub use download::Begun;
pub use dtls::OwnCertificate;
pub use event::{Asked, Event};
pub use held::Guard;
pub use lwm2m::{Definitions, Operations, Path, Record, Value, Version};
pub use tree::{Mode, Tree};

/// The definitions of all objects that this build knows; a device may have been given more.
pub fn definitions() -> &'static Definitions {
    Definitions::embedded()
}
