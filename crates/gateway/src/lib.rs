//! The data plane of one shard, without I/O: datagrams, bytes of connections, requests and the time go in; datagrams,
//! bytes, pages of events and answers come out.
//!
//! [`Gateway`] knows its devices ([`DeviceEntry`]), shakes hands with them, takes their registrations and readings, and
//! writes what happened as lines of JSON into [`Page`]s. An answer to a device waits until its page is in the log. What
//! we ask of a device ([`Request`]) waits until the device listens.
//!
//! Nothing in here reads a clock, opens a socket or rolls dice: the time and the seed are passed in.

mod command;
mod composite;
mod conclusions;
mod connections;
mod content;
mod devices;
mod dialog;
mod downlink;
mod error;
pub mod est;
mod event;
mod files;
mod formats;
mod gateway;
mod intent;
pub mod limits;
mod observations;
mod operation;
mod outbox;
mod page;
mod parts;
mod peers;
mod random;
mod refusals;
mod registering;
mod registrations;
mod security;
mod separate;
mod sessions;
mod stats;
mod timers;
mod trust;
mod uplink;

pub use coap::{Code, Pieces};
pub use command::{
    Answer, DeviceEntry, Operation, Outcome, RegistrationState, Request, RestoredRegistration, Security,
};
pub use dtls::{OwnCertificate, SetupError};
pub use error::EntryError;
pub use est::{EnrolmentAnswer, EnrolmentRequest};
pub use files::{FileEntry, Files};
pub use gateway::{AWAKE_WINDOW_DEFAULT, Gateway, GatewayOptions};
pub use lwm2m::{Definitions, Path, PathError};
pub use outbox::{ConnectionNumber, Outbox, SocketNumber};
pub use page::Page;
pub use timers::Now;
