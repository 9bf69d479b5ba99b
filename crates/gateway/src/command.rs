//! What Python asks of the data plane, and what it gets back.

use std::sync::Arc;
use std::time::Duration;

use coap::{Code, Transmission};
use lwm2m::Path;

use crate::credential::Security;
use crate::limits::AWAKE_WINDOW;

/// A device that may register, and what we want of it.
#[derive(Debug, Clone)]
pub struct DeviceEntry {
    /// Our name for it.
    pub device: String,
    /// Its own name for itself.
    pub endpoint: String,
    /// How it proves that.
    pub security: Security,
    /// It came by itself, and nobody has approved it yet: it may say who and where it is, and nothing comes of it.
    pub is_waiting: bool,
    /// A JSON fragment that every event about the device carries.
    pub context: String,
    /// Paths to observe after each Register, with their attributes as queries; an instance may be `*`.
    pub observe: Vec<(String, String)>,
    /// Paths that are not observed, though a `*` of `observe` means them too.
    pub unobserved: Vec<String>,
    /// Paths to read after each Register.
    pub read: Vec<String>,
    /// How long it listens after it spoke.
    pub awake_window: Duration,
    /// What is added to its lifetime; by default a tenth of the lifetime, 247 s at least.
    pub grace: Option<Duration>,
    /// RFC 7252 §4.8, ACK_TIMEOUT: how long it may take to acknowledge.
    pub ack_timeout: Duration,
    /// RFC 7252 §4.8, ACK_RANDOM_FACTOR: how far beyond that its first wait may lie.
    pub random_factor: f32,
    /// RFC 7252 §4.8, MAX_RETRANSMIT: how often a message to it is repeated.
    pub max_retransmit: u8,
}

impl DeviceEntry {
    /// A device of which nothing is wanted, that listens and repeats as clients do by default.
    #[must_use]
    pub fn new(device: &str, endpoint: &str, security: Security) -> Self {
        let usual = Transmission::default();
        Self {
            device: device.to_owned(),
            endpoint: endpoint.to_owned(),
            security,
            is_waiting: false,
            context: String::new(),
            observe: Vec::new(),
            unobserved: Vec::new(),
            read: Vec::new(),
            awake_window: AWAKE_WINDOW,
            grace: None,
            ack_timeout: usual.ack_timeout,
            random_factor: usual.random_factor,
            max_retransmit: usual.max_retransmit,
        }
    }
}

/// A registration from before a restart.
#[derive(Debug, Clone)]
pub struct RestoredRegistration {
    /// Whose it is.
    pub device: String,
    /// Its id, as we gave it out.
    pub registration: String,
    /// Seconds the device promised; 0 = for ever.
    pub lifetime_s: u32,
    /// `1.0`, `1.1` or `1.2`.
    pub version: String,
    /// As registered.
    pub binding: String,
    /// Whether the device sleeps.
    pub queue_mode: bool,
    /// Registered paths and their versions.
    pub objects: Vec<(String, Option<String>)>,
}

/// What we ask a device to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Read a path.
    Read,
    /// Replace.
    Write,
    /// Change some, keep the rest.
    WritePartial,
    /// Execute a resource.
    Execute,
    /// Make an object instance.
    Create,
    /// Delete an object instance.
    Delete,
    /// Which paths are there, with which attributes.
    Discover,
    /// When to notify.
    WriteAttributes,
    /// Begin an observation.
    Observe,
    /// End an observation.
    CancelObservation,
    /// Read several paths at once.
    ReadComposite,
    /// Write several resources at once: all or none.
    WriteComposite,
    /// Begin one observation of several paths.
    ObserveComposite,
    /// End one.
    CancelObservationComposite,
    /// Of a bootstrap server: delete all, an object, or an instance.
    BootstrapDelete,
    /// Of a bootstrap server: that was all.
    BootstrapFinish,
    /// Of a bootstrap server: the answer to a device that asked for its account in one piece.
    BootstrapPack,
}

impl Operation {
    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "read" => Self::Read,
            "write" => Self::Write,
            "write_partial" => Self::WritePartial,
            "execute" => Self::Execute,
            "create" => Self::Create,
            "delete" => Self::Delete,
            "discover" => Self::Discover,
            "write_attributes" => Self::WriteAttributes,
            "observe" => Self::Observe,
            "cancel_observation" => Self::CancelObservation,
            "read_composite" => Self::ReadComposite,
            "write_composite" => Self::WriteComposite,
            "observe_composite" => Self::ObserveComposite,
            "cancel_observation_composite" => Self::CancelObservationComposite,
            "bootstrap_delete" => Self::BootstrapDelete,
            "bootstrap_finish" => Self::BootstrapFinish,
            "bootstrap_pack" => Self::BootstrapPack,
            _ => return None,
        })
    }

    /// Whether asking once is as good as asking twice.
    pub(crate) const fn changes_nothing(self) -> bool {
        matches!(self, Self::Read | Self::ReadComposite | Self::Discover)
    }
}

/// One request to one device.
#[derive(Debug, Clone)]
pub struct Request {
    /// The caller's number for it.
    pub id: u64,
    /// Which device.
    pub device: String,
    /// What.
    pub operation: Operation,
    /// Where; the root for composites, whose body names their paths.
    pub path: Path,
    /// With what: JSON, or nothing.
    pub body: Option<serde_json::Value>,
    /// After this long it is not worth sending any more.
    pub expires_in: Duration,
    /// Whether a sleeping or absent device keeps it waiting.
    pub wait_for_wake: bool,
}

/// How a request goes on or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It left; told once, before any other.
    Sent,
    /// The device did it.
    Answered,
    /// The device refused, or the request made no sense: see `code` and `detail`.
    Refused,
    /// The device did not answer.
    TimedOut,
    /// Its time passed before it could be sent.
    Expired,
    /// The device is not registered, or unknown.
    Unregistered,
    /// The caller took it back.
    Cancelled,
    /// Too many wait already.
    TooMany,
}

impl Outcome {
    /// The word for it on the other side of the border.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Expired => "expired",
            Self::Unregistered => "unregistered",
            Self::Cancelled => "cancelled",
            Self::TooMany => "too_many",
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The caller's number of the request.
    pub id: u64,
    /// What happened.
    pub outcome: Outcome,
    /// The device's code.
    pub code: Option<Code>,
    /// The device's answer as JSON.
    pub body: Option<Vec<u8>>,
    /// Why not, in a few words.
    pub detail: Option<String>,
    /// From sending to answer.
    pub trip: Option<Duration>,
}

impl Answer {
    pub(crate) fn of(id: u64, outcome: Outcome) -> Self {
        Self { id, outcome, code: None, body: None, detail: None, trip: None }
    }

    pub(crate) fn refused(id: u64, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::of(id, Outcome::Refused) }
    }
}

/// A registration as it is now.
#[derive(Debug, Clone)]
pub struct RegistrationState {
    /// Whose it is.
    pub device: Arc<str>,
    /// The name it registered under.
    pub endpoint: Arc<str>,
    /// The registration's id.
    pub registration: String,
    /// Seconds promised.
    pub lifetime_s: u32,
    /// Whether a request would be sent at once.
    pub is_awake: bool,
    /// Where it was heard last, `ip:port`; nothing until it is heard after a restart.
    pub address: Option<String>,
    /// Registered paths and their versions.
    pub objects: Vec<(String, Option<String>)>,
}
