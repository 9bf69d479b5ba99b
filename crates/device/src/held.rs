//! Requests that wait for the owner of the device: it computes a value, or may refuse a Write, Create, Delete or Execute.
//!
//! The answer is held back. If the owner takes longer than a moment, the request is acknowledged first and the response
//! comes separately (RFC 7252 §5.2.2).

use std::time::{Duration, Instant};

use coap::{Block, Code, Kind, Message};
use lwm2m::{Operations, Path, Record};

use crate::client::Device;
use crate::event::{Asked, Event};
use crate::reply::{Reply, encode, encode_as};
use crate::serve::Work;

/// Requests that wait at a time; one more is answered 5.03. A server that keeps to NSTART has one.
const HELD_MAX: usize = 8;

/// After this long a request is acknowledged: well before ACK_TIMEOUT (2 s), when it would be repeated.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_secs(1);

/// After this long it is answered 5.03: before a server gives up (MAX_TRANSMIT_WAIT, 93 s), so that it hears why.
const DECIDE_WITHIN: Duration = Duration::from_secs(60);

/// Where the owner wants to be asked, and before which operations. Create and Delete go with `write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// At, beneath and above this path.
    pub path: Path,
    /// Before which operations.
    pub operations: Operations,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Held {
    number: u64,
    datagram: Vec<u8>,
    block: Option<Block>,
    work: Work,
    is_acknowledged: bool,
    acknowledge_at: Instant,
    decide_until: Instant,
}

impl Held {
    pub(crate) fn due(&self) -> Instant {
        if self.is_acknowledged { self.decide_until } else { self.acknowledge_at.min(self.decide_until) }
    }
}

impl Device {
    /// From now on the owner is asked before this.
    pub fn guard(&mut self, guard: Guard) {
        if !self.guards.contains(&guard) {
            self.guards.push(guard);
        }
    }

    /// The owner's answer to an [`Event::Asked`]: let it happen, or refuse it with a code and a reason in words.
    pub fn decide(&mut self, now: Instant, number: u64, verdict: Result<(), (Code, String)>) {
        let Some(index) = self.held.iter().position(|held| held.number == number) else { return };
        let held = self.held.remove(index);
        let Ok(message) = Message::parse(&held.datagram) else { return };
        let reply = match verdict {
            Ok(()) => {
                let work = self.check_again(held.work);
                work.and_then(|work| self.carry_out(now, &message, work)).unwrap_or_else(Reply::from)
            }
            Err((code, reason)) => Reply { payload: reason.into_bytes(), ..Reply::from(code) },
        };
        self.respond(now, &message, reply, held.block, held.is_acknowledged);
    }

    /// Gives work back that nobody has to be asked about. Otherwise it waits for the owner, or is refused with a code.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        block: Option<Block>,
        work: Work,
    ) -> Result<Work, Option<Code>> {
        let Some((asked, path, values)) = self.question(message, &work) else { return Ok(work) };
        if self.held.len() >= HELD_MAX {
            return Err(Some(Code::SERVICE_UNAVAILABLE));
        }
        self.questions += 1;
        let number = self.questions;
        self.held.push(Held {
            number,
            datagram: without_body(message),
            block,
            work,
            is_acknowledged: message.kind != Kind::Confirmable,
            acknowledge_at: now + ACKNOWLEDGE_AFTER,
            decide_until: now + DECIDE_WITHIN,
        });
        self.events.push_back(Event::Asked { number, asked, path, values });
        Err(None)
    }

    /// What the owner has to be asked, if anything.
    fn question(&self, message: &Message<'_>, work: &Work) -> Option<(Asked, Path, Vec<u8>)> {
        let is_guarded = |path: &Path, wanted: fn(&Operations) -> bool| {
            let concerns = |guard: &&Guard| guard.path.contains(path) || path.contains(&guard.path);
            self.guards.iter().filter(concerns).any(|guard| wanted(&guard.operations))
        };
        match work {
            // The later blocks of an answer belong to the value that its first block began.
            Work::Look { .. } if message.block2().is_some_and(|block| block.num > 0) => None,
            Work::Look { paths, .. } => {
                let guarded: Vec<String> =
                    paths.iter().filter(|path| is_guarded(path, |of| of.read)).map(Path::to_string).collect();
                let first = *paths.first()?;
                (!guarded.is_empty()).then(|| (Asked::Read, first, serde_json::to_vec(&guarded).unwrap_or_default()))
            }
            Work::Write { path, records, .. } => {
                let is_one = records.iter().any(|record| is_guarded(&record.path, |of| of.write));
                is_one.then(|| (Asked::Write, *path, values_json(records)))
            }
            Work::Create { instance, records } => {
                is_guarded(instance, |of| of.write).then(|| (Asked::Create, *instance, values_json(records)))
            }
            Work::Delete { path } => is_guarded(path, |of| of.write).then(|| (Asked::Delete, *path, b"{}".to_vec())),
            Work::Execute { path, arguments } => {
                is_guarded(path, |of| of.execute).then(|| (Asked::Execute, *path, arguments.clone()))
            }
        }
    }

    /// The tree may have changed while the owner thought about it.
    fn check_again(&self, work: Work) -> Result<Work, Code> {
        match work {
            Work::Write { mode, path, records } => {
                let records = self.tree.check_write(&path, records, &self.definitions)?;
                Ok(Work::Write { mode, path, records })
            }
            Work::Delete { path } => self.tree.check_delete(&path, &self.definitions).map(|()| Work::Delete { path }),
            Work::Execute { path, arguments } => {
                self.tree.execute(&path, &self.definitions).map(|()| Work::Execute { path, arguments })
            }
            // A read looks at the tree when it is carried out, and what an owner put into a new instance belongs there.
            work @ (Work::Look { .. } | Work::Create { .. }) => Ok(work),
        }
    }

    fn respond(&mut self, now: Instant, message: &Message<'_>, reply: Reply, block: Option<Block>, is_separate: bool) {
        let id = self.requests.next_id();
        if !is_separate || message.kind != Kind::Confirmable {
            let answer = encode(message, reply, block, id, self.capacity());
            self.answers.answered(now, message.id, message.token, &answer);
            return self.transmit(now, vec![answer]);
        }
        let transmission = *self.requests.transmission();
        let is_full = self.responses.is_full();
        let kind = if is_full { Kind::NonConfirmable } else { Kind::Confirmable };
        let response = encode_as(kind, id, message, reply, block, None);
        let mut out: Vec<Vec<u8>> = Vec::new();
        if is_full {
            out.push(response);
        } else {
            let _ = self.responses.push(now, &transmission, response, message.token, &mut out);
        }
        self.transmit(now, out);
    }

    /// Acknowledges what takes longer, and refuses what takes too long.
    pub(crate) fn handle_held(&mut self, now: Instant) {
        let mut acknowledged = Vec::new();
        for held in self.held.iter_mut().filter(|held| !held.is_acknowledged && held.acknowledge_at <= now) {
            held.is_acknowledged = true;
            if let Ok(message) = Message::parse(&held.datagram) {
                let empty = Message::acknowledgement(message.id).to_vec();
                self.answers.answered(now, message.id, message.token, &empty);
                acknowledged.push(empty);
            }
        }
        self.transmit(now, acknowledged);
        let late: Vec<u64> = self.held.iter().filter(|held| held.decide_until <= now).map(|held| held.number).collect();
        for number in late {
            self.decide(now, number, Err((Code::SERVICE_UNAVAILABLE, "the device did not decide in time".to_owned())));
        }
    }
}

/// The message as it is needed for its answer. A body that was written is in the work already.
fn without_body(message: &Message<'_>) -> Vec<u8> {
    let builder = coap::MessageBuilder::new(message.kind, message.code, message.id, message.token);
    message.options().fold(builder, |builder, (number, value)| builder.option(number, value.to_vec())).to_bytes()
}

/// Values by path, as JSON: `{"/3/0/15":"Europe/Oslo"}`.
pub(crate) fn values_json(records: &[Record]) -> Vec<u8> {
    let mut out = b"{".to_vec();
    for (nth, record) in records.iter().enumerate() {
        out.extend_from_slice(if nth == 0 { b"\"" } else { b",\"" });
        record.path.write(&mut out);
        out.extend_from_slice(b"\":");
        record.value.to_json(&mut out);
    }
    out.push(b'}');
    out
}
