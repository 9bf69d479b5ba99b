//! The form of a checkpoint: what is written of a device for the next start, and how it is read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coap::message::Token;
use coap::observe::Order;
use lwm2m::Path;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::NotTakenUp;
use crate::intent::{Goal, Target};
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::observations::Observation;
use crate::outbox::Socket;
use crate::timers::Now;

/// Of the form of a checkpoint: one of another version is not read.
const VERSION: u8 = 3;

/// What is written: no byte of it is believed before the owner has found it authentic.
#[derive(Serialize, Deserialize)]
pub(crate) struct Checkpoint<'a> {
    pub(crate) start: u32,
    pub(crate) registration: u64,
    pub(crate) root: &'a str,
    pub(crate) content_formats: Vec<u16>,
    pub(crate) lacking: u8,
    pub(crate) formats_refused: u16,
    pub(crate) heard_unix_ms: u64,
    pub(crate) way: Option<SavedWay>,
    pub(crate) numbers: Option<(u16, u32, u32)>,
    pub(crate) observations: Vec<SavedObservation>,
    pub(crate) goals_refused: Vec<SavedGoal>,
    #[serde(borrow)]
    pub(crate) session: Option<SavedAssociation<'a>>,
}

/// Where datagrams reach the device.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedWay {
    pub(crate) socket: Socket,
    pub(crate) address: std::net::SocketAddr,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SavedAssociation<'a> {
    pub(crate) connection_id: [u8; dtls::CONNECTION_ID_BYTES],
    pub(crate) session: &'a [u8],
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SavedTarget {
    paths: Vec<String>,
    is_composite: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SavedGoal {
    target: SavedTarget,
    attributes: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SavedObservation {
    target: SavedTarget,
    token: Vec<u8>,
    /// The newest notification: its number, and when it came.
    newest: Option<(u32, u64)>,
    attributes: String,
    is_asked: bool,
    in_request: bool,
}

impl<'a> Checkpoint<'a> {
    /// The bytes, in one piece that does not move: they hold keys.
    pub(crate) fn write(&self) -> Option<Zeroizing<Vec<u8>>> {
        let length = postcard::experimental::serialized_size(self).ok()?;
        let mut bytes = Zeroizing::new(vec![0; 1 + length]);
        bytes[0] = VERSION;
        postcard::to_slice(self, &mut bytes[1..]).ok()?;
        Some(bytes)
    }

    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, NotTakenUp> {
        match bytes.split_first() {
            Some((&VERSION, rest)) if bytes.len() <= CHECKPOINT_BYTES_MAX => {
                postcard::from_bytes(rest).map_err(|_| NotTakenUp::Damaged)
            }
            Some((version, _)) if *version != VERSION => Err(NotTakenUp::Version),
            _ => Err(NotTakenUp::Damaged),
        }
    }
}

impl SavedTarget {
    fn of(target: &Target) -> Self {
        let paths = target.paths().iter().map(ToString::to_string).collect();
        Self { paths, is_composite: target.is_composite() }
    }

    /// Nothing if it is none that we wrote.
    fn target(&self) -> Option<Target> {
        let paths: Vec<Path> = self.paths.iter().map(|path| Path::parse(path).ok()).collect::<Option<_>>()?;
        match (paths.as_slice(), self.is_composite) {
            ([path], false) => Some(Target::Single(*path)),
            (_, true) => Some(Target::composite(&paths)),
            _ => None,
        }
    }
}

impl SavedGoal {
    pub(crate) fn of((target, attributes): &Goal) -> Self {
        Self { target: SavedTarget::of(target), attributes: attributes.to_string() }
    }

    pub(crate) fn goal(&self) -> Option<Goal> {
        Some((self.target.target()?, Arc::from(self.attributes.as_str())))
    }
}

impl Observation {
    pub(crate) fn saved(&self, now: Now) -> SavedObservation {
        SavedObservation {
            target: SavedTarget::of(&self.target),
            token: self.token.as_slice().to_vec(),
            newest: self.order.newest().map(|(value, at)| (value, unix_ms_of(now, at))),
            attributes: self.attributes.to_string(),
            is_asked: self.is_asked,
            in_request: self.in_request,
        }
    }

    pub(crate) fn restored(now: Now, saved: &SavedObservation) -> Option<Self> {
        Some(Self {
            target: saved.target.target()?,
            token: Token::new(&saved.token).ok()?,
            order: order_of(now, saved.newest),
            attributes: Arc::from(saved.attributes.as_str()),
            is_asked: saved.is_asked,
            in_request: saved.in_request,
        })
    }
}

/// When something happened, by the wall clock.
fn unix_ms_of(now: Now, at: Instant) -> u64 {
    now.unix_ms.saturating_sub(now.monotonic.saturating_duration_since(at).as_millis() as u64)
}

/// The order of notifications as it was, if that is not so long ago that it means nothing.
fn order_of(now: Now, newest: Option<(u32, u64)>) -> Order {
    let age = |unix_ms| Duration::from_millis(now.unix_ms.saturating_sub(unix_ms));
    let at = newest.and_then(|(value, unix_ms)| Some((value, now.monotonic.checked_sub(age(unix_ms))?)));
    at.map_or_else(Order::new, |(value, at)| Order::of(value, at))
}
