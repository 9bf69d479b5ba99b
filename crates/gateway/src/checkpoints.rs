//! What a device would have to begin anew after a restart, kept outside while it changes.
//!
//! A checkpoint is of a registered device: its DTLS session, where it is, what it observes for us, and of its
//! registration what no event tells. The owner gets a few at a time, one batch after another, and says when a batch is
//! safe; what changes meanwhile is in the next. A 2.01 waits until the first checkpoint of its registration is safe, or
//! has been refused: whoever was told that it is registered is so after a crash, too, without a new handshake.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coap::Code;
use coap::exchange::Numbers;
use dtls::{ConnectionId, NotSaved, RECORDS_SKIPPED, SavedSession};
use zeroize::Zeroizing;

use crate::devices::{Device, DeviceIndex};
use crate::gateway::Gateway;
use crate::keyring::KeyRing;
use crate::limits::{CHECKPOINT_AGAIN, CHECKPOINT_EVERY, CHECKPOINT_SOON, CHECKPOINTS_PER_BATCH_MAX};
use crate::peers::{Association, PeerKey};
use crate::registrations::RegistrationId;
use crate::reply::HeldAnswer;
use crate::saved::{Checkpoint, SavedAssociation, SavedGoal, SavedWay};
use crate::timers::{Now, Slot, Timer};

/// Records that a session may send beyond its newest safe checkpoint: half of what the next start skips, so that a
/// goodbye more makes no difference.
const RECORDS_AHEAD_MAX: u64 = RECORDS_SKIPPED / 2;

/// A few checkpoints for the owner. They hold keys: to be encrypted before they are written anywhere.
pub struct CheckpointBatch {
    /// For [`Gateway::handle_checkpointed`].
    pub number: u64,
    /// By device, with the node number of its session; each replaces the one before it.
    pub kept: Vec<(Arc<str>, u16, Zeroizing<Vec<u8>>)>,
    /// Devices whose checkpoint is to be forgotten; before those that are kept.
    pub gone: Vec<Arc<str>>,
}

impl fmt::Debug for CheckpointBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CheckpointBatch({}: {} kept, {} gone)", self.number, self.kept.len(), self.gone.len())
    }
}

/// Where the checkpoint of one device stands.
#[derive(Default)]
pub(crate) struct Standing {
    /// When the next one is to be taken.
    due: Slot,
    is_queued: bool,
    /// Something changed that no safe one tells of.
    is_changed: bool,
    /// The one under way tells of it.
    is_taken: bool,
    /// There is one outside, or will be.
    pub(crate) is_kept: bool,
    taken_at: Option<Instant>,
    /// The registration that the newest safe one tells of.
    safe: Option<RegistrationId>,
    /// The 2.01 that waits for that.
    held: Option<Box<HeldAnswer>>,
}

impl Standing {
    /// Whether everything that the device was told of this registration would outlive us.
    pub(crate) fn is_safe_for(&self, registration: RegistrationId) -> bool {
        self.safe == Some(registration) && self.held.is_none()
    }

    /// One that was taken up from before a restart.
    pub(crate) fn restored(now: Instant, registration: Option<RegistrationId>) -> Self {
        Self { is_kept: true, taken_at: Some(now), safe: registration, ..Self::default() }
    }
}

/// Those of all devices.
#[derive(Default)]
pub(crate) struct Checkpoints {
    /// Which start it is, counted by the owner; none are kept without.
    start: Option<u32>,
    queue: VecDeque<DeviceIndex>,
    gone: Vec<Arc<str>>,
    number: u64,
    under_way: Option<UnderWay>,
    /// Devices of which not everything is safe that a restart would cost.
    changed: usize,
    /// After a refusal.
    not_before: Option<Instant>,
}

struct UnderWay {
    number: u64,
    taken: Vec<Taken>,
    gone: Vec<Arc<str>>,
}

/// What a checkpoint under way tells of.
struct Taken {
    index: DeviceIndex,
    id: Arc<str>,
    node: u16,
    registration: RegistrationId,
    /// The session, and the number of its next record.
    session: Option<(PeerKey, u64)>,
}

impl Checkpoints {
    pub(crate) fn new(start: Option<u32>) -> Self {
        Self { start, ..Self::default() }
    }

    /// Which start it is, if anything is kept for the next.
    pub(crate) fn start(&self) -> Option<u32> {
        self.start
    }

    /// Another start was counted, for what is taken up from now on.
    pub(crate) fn count_start(&mut self, start: u32) {
        self.start = self.start.max(Some(start));
    }

    /// Devices of which not everything is safe that a restart would cost.
    pub(crate) fn waiting(&self) -> usize {
        self.changed
    }

    fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.queue.is_empty() && self.gone.is_empty()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.under_way.is_none() && !self.is_idle())
    }
}

impl Gateway {
    /// The next checkpoints, once those before are safe or refused; nothing while nothing has changed.
    pub fn poll_checkpoints(&mut self, now: Now) -> Option<CheckpointBatch> {
        let is_too_soon = self.checkpoints.not_before.is_some_and(|when| when > now.monotonic);
        if self.checkpoints.under_way.is_some() || self.checkpoints.is_idle() || is_too_soon {
            return None;
        }
        self.checkpoints.not_before = None;
        let (mut taken, mut kept) = (Vec::new(), Vec::new());
        while kept.len() < CHECKPOINTS_PER_BATCH_MAX
            && let Some(index) = self.checkpoints.queue.pop_front()
        {
            if let Some((of, bytes)) = self.take_checkpoint(now, index) {
                kept.push((Arc::clone(&of.id), of.node, bytes));
                taken.push(of);
            }
        }
        let gone = std::mem::take(&mut self.checkpoints.gone);
        if kept.is_empty() && gone.is_empty() {
            return None;
        }
        self.checkpoints.number += 1;
        let number = self.checkpoints.number;
        self.stats.checkpoints += kept.len() as u64;
        self.checkpoints.under_way = Some(UnderWay { number, taken, gone: gone.clone() });
        Some(CheckpointBatch { number, kept, gone })
    }

    /// These checkpoints are safe; or they could not be written, and will come again. Then the answers that waited for
    /// them leave all the same: a device that waits in vain would be worse off than one that shakes hands once more.
    pub fn handle_checkpointed(&mut self, now: Now, number: u64, is_safe: bool) {
        let Some(under_way) = self.checkpoints.under_way.take_if(|under_way| under_way.number == number) else {
            return;
        };
        if !is_safe {
            self.stats.checkpoints_refused += under_way.taken.len() as u64;
            self.checkpoints.not_before = Some(now.monotonic + CHECKPOINT_AGAIN);
            self.checkpoints.gone.extend(under_way.gone);
        }
        for taken in under_way.taken {
            let Some(device) = self.directory.get_mut(taken.index).filter(|device| Arc::ptr_eq(&device.id, &taken.id))
            else {
                continue;
            };
            let held = device.checkpoint.held.take();
            if is_safe {
                device.checkpoint.safe = Some(taken.registration);
                if std::mem::take(&mut device.checkpoint.is_taken) {
                    self.checkpoints.changed -= usize::from(std::mem::take(&mut device.checkpoint.is_changed));
                }
            }
            if let Some((key, written)) = taken.session.filter(|_| is_safe)
                && let Some(association) = self.peers.get_mut(key).and_then(|peer| peer.security.as_mut())
            {
                association.safe_up_to = Some(written + RECORDS_AHEAD_MAX);
            }
            if !is_safe {
                self.note_change(taken.index);
                self.queue_checkpoint(taken.index);
            }
            match held {
                // It was taken before a later Register.
                Some(held) if is_safe && held.location != Some(taken.registration) => {
                    self.hold_back(taken.index, *held)
                }
                Some(held) => self.deliver_now(now, *held, true),
                None => {}
            }
        }
    }

    /// Whether nothing waits to be kept, or to be heard of.
    pub fn has_checkpoints(&self) -> bool {
        !self.checkpoints.is_idle()
    }

    /// Keeps the 2.01 of a device until its checkpoint is safe; gives it back where there is nothing to wait for.
    pub(crate) fn await_checkpoint(&mut self, held: HeldAnswer) -> Option<HeldAnswer> {
        if self.checkpoints.start.is_none() || held.code != Code::CREATED {
            return Some(held);
        }
        let index = held.location.and_then(|id| self.directory.by_registration(id));
        let Some((index, device)) = index.and_then(|index| Some((index, self.directory.get(index)?))) else {
            return Some(held);
        };
        if device.is_enrolled || device.checkpoint.safe == held.location {
            return Some(held);
        }
        self.hold_back(index, held);
        None
    }

    fn hold_back(&mut self, index: DeviceIndex, held: HeldAnswer) {
        if let Some(device) = self.directory.get_mut(index) {
            device.checkpoint.held = Some(Box::new(held));
        }
        self.note_change(index);
        self.queue_checkpoint(index);
    }

    /// Something changed that a restart would forget.
    pub(crate) fn want_checkpoint(&mut self, now: Now, index: DeviceIndex) {
        self.note_change(index);
        self.schedule_checkpoint(now, index, CHECKPOINT_SOON);
    }

    fn note_change(&mut self, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        if self.checkpoints.start.is_some() && is_wanted(device) {
            device.checkpoint.is_taken = false;
            self.checkpoints.changed += usize::from(!std::mem::replace(&mut device.checkpoint.is_changed, true));
        }
    }

    /// The next checkpoint of a device is due after so long, at the latest.
    fn schedule_checkpoint(&mut self, now: Now, index: DeviceIndex, wait: Duration) {
        let Some(device) = self.directory.get_mut(index) else { return };
        if self.checkpoints.start.is_some() && is_wanted(device) && !device.checkpoint.is_queued {
            self.timers.set(&mut device.checkpoint.due, Timer::Checkpoint(index), now.monotonic + wait);
        }
    }

    /// A device was heard: what could be played to it a second time is not to grow old.
    pub(crate) fn freshen_checkpoint(&mut self, now: Now, index: DeviceIndex) {
        if self.checkpoints.start.is_none() {
            return;
        }
        let Some(standing) = self.directory.get(index).map(|device| &device.checkpoint) else { return };
        if standing.due.is_some() || standing.is_queued {
            return;
        }
        let wait = match standing.taken_at {
            // Not all of a fleet in the same second.
            Some(taken_at) => {
                let age = now.monotonic.saturating_duration_since(taken_at);
                let early = CHECKPOINT_EVERY.mul_f64(f64::from(self.random.next_u32() >> 16) / f64::from(1 << 18));
                (CHECKPOINT_EVERY - early).saturating_sub(age)
            }
            None => CHECKPOINT_SOON,
        };
        self.schedule_checkpoint(now, index, wait);
    }

    /// The timer of a checkpoint fired.
    pub(crate) fn handle_checkpoint(&mut self, index: DeviceIndex) {
        if let Some(device) = self.directory.get_mut(index) {
            device.checkpoint.due = None;
        }
        self.queue_checkpoint(index);
    }

    /// The next checkpoint of a device is due.
    pub(crate) fn queue_checkpoint(&mut self, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        self.timers.clear(&mut device.checkpoint.due, Timer::Checkpoint(index));
        if self.checkpoints.start.is_some() && is_wanted(device) && !device.checkpoint.is_queued {
            device.checkpoint.is_queued = true;
            self.checkpoints.queue.push_back(index);
        }
    }

    /// Whatever would be due at some time is due now: nothing more is to come.
    pub(crate) fn queue_all_checkpoints(&mut self) {
        for index in self.directory.indices() {
            if self.directory.get(index).is_some_and(|device| device.checkpoint.due.is_some()) {
                self.queue_checkpoint(index);
            }
        }
    }

    /// A registration ended, or its device is forgotten: there is nothing to go on with after a restart.
    pub(crate) fn drop_checkpoint(&mut self, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        self.timers.clear(&mut device.checkpoint.due, Timer::Checkpoint(index));
        let before = std::mem::take(&mut device.checkpoint);
        self.checkpoints.changed -= usize::from(before.is_changed);
        // It stands in the queue still, and is passed over there unless it registers again.
        device.checkpoint.is_queued = before.is_queued;
        if before.is_kept {
            self.checkpoints.gone.push(Arc::clone(&device.id));
        }
    }

    fn take_checkpoint(&mut self, now: Now, index: DeviceIndex) -> Option<(Taken, Zeroizing<Vec<u8>>)> {
        let start = self.checkpoints.start?;
        let device = self.directory.get_mut(index)?;
        // A place in the directory that has another device by now: that one is not queued.
        if !std::mem::take(&mut device.checkpoint.is_queued) || !is_wanted(device) {
            return None;
        }
        device.checkpoint.is_taken = true;
        let key = device.peer;
        let saved = key.map(|key| self.save_session(now, key));
        let device = self.directory.get_mut(index)?;
        device.checkpoint.is_kept = true;
        // One whose first data is still to come is looked at again as soon as they are here.
        device.checkpoint.taken_at = Some(now.monotonic).filter(|_| !matches!(saved, Some(Err(NotSaved::NotYet))));
        let session = saved.and_then(Result::ok).flatten();
        let device = self.directory.get(index)?;
        let registration = device.registration.as_ref()?;
        let way = key.and_then(|key| self.peers.get(key)).filter(|peer| peer.connected.is_none());
        let observations = device.dialog.iter().flat_map(|dialog| &dialog.observations);
        let goals_refused = device.dialog.iter().flat_map(|dialog| &dialog.goals_refused);
        let checkpoint = Checkpoint {
            start,
            registration: registration.id.0,
            root: &registration.objects.root,
            content_formats: registration.objects.content_formats.clone(),
            lacking: device.lacking(),
            formats_refused: device.formats_refused.bits(),
            heard_unix_ms: device.heard_unix_ms,
            way: way.map(|peer| SavedWay { socket: peer.socket, address: peer.address }),
            numbers: device.dialog.as_ref().map(|dialog| numbers_out(dialog.requests.numbers())),
            observations: observations.map(|observation| observation.saved(now)).collect(),
            goals_refused: goals_refused.map(SavedGoal::of).collect(),
            session: session
                .as_ref()
                .map(|(id, session, _)| SavedAssociation { connection_id: id.0, session: session.as_slice() }),
        };
        let bytes = checkpoint.write()?;
        let node = session.as_ref().map_or(self.options.node, |(id, _, _)| id.node());
        let session = session.as_ref().and_then(|(_, _, written)| Some((key?, *written)));
        Some((Taken { index, id: Arc::clone(&device.id), node, registration: registration.id, session }, bytes))
    }

    /// The session of a peer, if it has one and it can be saved, with the number of its next record.
    fn save_session(&mut self, now: Now, key: PeerKey) -> Result<Option<(ConnectionId, SavedSession, u64)>, NotSaved> {
        let mut keys = KeyRing::new(now, &self.directory, &self.authorities);
        let Some(association) = self.peers.get_mut(key).and_then(|peer| peer.security.as_mut()) else {
            return Ok(None);
        };
        let saved = association.session.save(&mut keys)?;
        let written = association.session.written();
        // From now on it may be what the next start begins with.
        association.safe_up_to.get_or_insert(written + RECORDS_AHEAD_MAX);
        Ok(Some((association.connection_id, saved, written)))
    }
}

impl Association {
    /// Whether another record would come too near to what the next start begins with. Only a session whose checkpoints
    /// could not be written for millions of records gets there.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.safe_up_to.is_some_and(|number| self.session.written() >= number)
    }

    /// It was taken up from before a restart: what it began with may be taken up again.
    pub(crate) fn bound(&mut self) {
        self.safe_up_to = Some(self.session.written() + RECORDS_AHEAD_MAX);
    }
}

/// Strangers of open enrolment live as long as their registration, and no restart.
fn is_wanted(device: &Device) -> bool {
    device.registration.is_some() && !device.is_enrolled
}

fn numbers_out(numbers: Numbers) -> (u16, u32, u32) {
    (numbers.next_id, numbers.next_token, numbers.token_key)
}
