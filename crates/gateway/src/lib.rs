//! The data plane of one shard, without I/O: datagrams, bytes of connections, requests and the time go in; datagrams,
//! bytes, pages of events and answers come out.
//!
//! [`Gateway`] knows its devices ([`DeviceEntry`]), shakes hands with them, takes their registrations and readings, and
//! writes what happened as lines of JSON into [`Page`]s. An answer to a device waits until its page is in the log. What
//! we ask of a device ([`Request`]) waits until the device listens.
//!
//! Nothing in here reads a clock, opens a socket or rolls dice: the time and the seed are passed in.

mod admission;
mod ahead;
mod arrival;
mod awake;
mod bootstrap;
mod checkpoints;
mod command;
mod composite;
mod conclusions;
mod connections;
mod content;
mod credential;
mod denials;
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
mod keyring;
pub mod limits;
mod nodes;
mod observations;
mod openings;
mod operation;
mod outbox;
mod page;
mod parts;
mod peers;
mod profile;
mod random;
mod refusals;
mod registering;
mod registrations;
mod reply;
mod restoring;
mod saved;
mod security;
mod separate;
mod sessions;
mod stats;
mod timers;
mod trust;
mod uplink;

pub use checkpoints::CheckpointBatch;
pub use coap::{Code, Pieces};
pub use command::{Answer, DeviceEntry, Operation, Outcome, RegistrationState, Request, RestoredRegistration};
pub use credential::{Credential, Proof, Security};
pub use denials::DenialEntry;
pub use dtls::{Digest, OwnCertificate, SetupError};
pub use error::{EntryError, NotTakenUp};
pub use est::{EnrolmentAnswer, EnrolmentRequest};
pub use files::{FileEntry, Files};
pub use gateway::{AWAKE_WINDOW_DEFAULT, Gateway, GatewayOptions};
pub use lwm2m::{Definitions, Path, PathError};
pub use outbox::{ConnectionNumber, Handover, Outbox, SocketNumber, Way};
pub use page::Page;
pub use timers::Now;
pub use trust::Authority;
