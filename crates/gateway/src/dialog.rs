//! The talk with one device that we began: what waits for it, and what it was asked last.

use std::collections::VecDeque;
use std::time::Instant;

use coap::exchange::{Requests, Transmission};
use lwm2m::{Definitions, Path};
use serde_json::Value as Json;

use crate::command::{Answer, Operation, Outcome, Request};
use crate::files::ROOT;
use crate::formats::{Choose, Content, Refused, choose, choose_timed};
use crate::intent::{Goal, Target, Wish};
use crate::limits::BODY_BYTES_MAX;
use crate::observations::{Observation, Rest};
use crate::parts::Parts;
use crate::peers::PeerKey;
use crate::profile::Profile;

/// The talk with one device that we began. It belongs to the device and outlives its registrations.
pub(crate) struct Dialog {
    pub(crate) requests: Requests<()>,
    pub(crate) under_way: Option<UnderWay>,
    /// The caller's, oldest first.
    pub(crate) waiting: VecDeque<Task>,
    /// Our own: what follows from a registration.
    pub(crate) errands: VecDeque<Task>,
    pub(crate) observations: Vec<Observation>,
    /// What it refused, in whole or its attributes: not asked again before it registers, or has other objects.
    pub(crate) goals_refused: Vec<Goal>,
}

/// One thing to do, and how often it was tried.
pub(crate) struct Task {
    pub(crate) errand: Errand,
    pub(crate) sendings: u8,
    /// Content formats that the device refused for this very thing.
    pub(crate) formats_refused: Refused,
    /// Of a file that is pushed: how much of it the device has acknowledged.
    pub(crate) carried: u64,
    /// Of a composite that goes as single operations: those.
    pub(crate) parts: Option<Box<Parts>>,
}

/// What there is to do.
pub(crate) enum Errand {
    /// What the caller asked.
    Asked(Asked),
    /// Reading a path after a Register.
    Read(Path),
    /// Beginning an observation.
    Observe(Wish),
    /// Ending one.
    Cancel(Target),
    /// Fetching the rest of a notification that does not fit a datagram.
    Rest(Box<Rest>),
}

/// A request of the caller.
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) operation: Operation,
    pub(crate) path: Path,
    /// Of a composite: its paths.
    pub(crate) paths: Box<[Path]>,
    pub(crate) body: Option<Box<Json>>,
    /// None: it may wait for ever.
    expires_at: Option<Instant>,
    pub(crate) waits_for_wake: bool,
    /// The caller knows that it left.
    pub(crate) is_sent: bool,
    /// The same question of others, while it is under way: its answer is theirs, too.
    pub(crate) companions: Vec<Self>,
}

/// The exchange that goes on.
pub(crate) struct UnderWay {
    pub(crate) task: Task,
    pub(crate) peer: PeerKey,
    pub(crate) format: u16,
    pub(crate) began_at: Instant,
}

impl From<Errand> for Task {
    fn from(errand: Errand) -> Self {
        Self { errand, sendings: 0, formats_refused: Refused::default(), carried: 0, parts: None }
    }
}

impl Task {
    /// What its request or the answer has to carry.
    pub(crate) fn content(&self, definitions: &Definitions) -> Content {
        if let Some(parts) = &self.parts {
            return parts.content(definitions);
        }
        let of_target = |target: &Target| match target {
            Target::Single(path) => Content::at(path, definitions),
            Target::Composite(_) => Content::Tree,
        };
        match &self.errand {
            Errand::Asked(asked) => Content::of(asked.operation, &asked.path, asked.body.as_deref(), definitions),
            Errand::Read(path) => Content::at(path, definitions),
            Errand::Cancel(target) => of_target(target),
            Errand::Observe(wish) => of_target(&wish.target),
            Errand::Rest(rest) => of_target(&rest.target),
        }
    }

    /// How its format is chosen.
    pub(crate) fn choose(&self) -> Choose {
        let is_observation = match &self.errand {
            Errand::Asked(asked) => matches!(asked.operation, Operation::Observe | Operation::CancelObservation),
            Errand::Read(_) => false,
            Errand::Observe(_) | Errand::Cancel(_) | Errand::Rest(_) => true,
        };
        if is_observation { choose_timed } else { choose }
    }

    /// Whether doing it twice is as good as doing it once: it may be sent again when nobody knows whether it arrived.
    pub(crate) fn is_repeatable(&self) -> bool {
        match &self.errand {
            Errand::Asked(asked) => {
                !matches!(asked.operation, Operation::Execute | Operation::Create | Operation::BootstrapFinish)
            }
            _ => true,
        }
    }
}

/// A file that is to be the value of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Push<'a> {
    /// Below `/fw/`.
    pub(crate) path: &'a str,
    /// Where an earlier push broke off.
    pub(crate) from: u64,
}

impl<'a> Push<'a> {
    /// What a body says, if it is about a file: `{"file": "/fw/...", "from": 0}`.
    pub(crate) fn of(body: Option<&'a Json>) -> Option<Self> {
        let body = body?;
        let path = body.get("file")?.as_str()?.strip_prefix(ROOT)?;
        Some(Self { path, from: body.get("from").and_then(Json::as_u64).unwrap_or(0) })
    }
}

impl Asked {
    /// The file that it pushes, if it does.
    pub(crate) fn push(&self) -> Option<Push<'_>> {
        Push::of(self.body.as_deref())
    }

    pub(crate) fn new(now: Instant, request: Request, paths: Box<[Path]>) -> Self {
        Self {
            id: request.id,
            operation: request.operation,
            path: request.path,
            paths,
            body: request.body.map(Box::new),
            expires_at: now.checked_add(request.expires_in),
            waits_for_wake: request.wait_for_wake,
            is_sent: false,
            companions: Vec::new(),
        }
    }

    /// What it is about: of an instance to be created, the one that was named, which a device need not repeat.
    pub(crate) fn named_path(&self) -> Path {
        let body = self.body.as_ref().filter(|_| self.operation == Operation::Create);
        let named = body.and_then(|body| body.get("instance")?.as_u64()).and_then(|id| u16::try_from(id).ok());
        named.and_then(|id| Path::of_object(self.path.object).child(id)).unwrap_or(self.path)
    }

    /// What it observes, or observes no more.
    pub(crate) fn target(&self) -> Target {
        match self.operation {
            Operation::ObserveComposite | Operation::CancelObservationComposite => Target::composite(&self.paths),
            _ => Target::Single(self.path),
        }
    }

    /// Whether the answer to one is the answer to the other, if nothing happens between them.
    fn asks_the_same(&self, other: &Self) -> bool {
        self.operation.changes_nothing()
            && (self.operation, self.path, &self.body) == (other.operation, other.path, &other.body)
    }

    pub(crate) fn has_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|when| when <= now)
    }

    /// The end of one that will not be sent any more. What left once may have been done: nobody answered.
    pub(crate) fn given_up(&self, outcome: Outcome) -> Answer {
        Answer::of(self.id, if self.is_sent { Outcome::TimedOut } else { outcome })
    }
}

impl Profile {
    pub(crate) fn transmission(&self) -> Transmission {
        let body_bytes_max = BODY_BYTES_MAX as u32;
        // NSTART stays 1: what is asked of a device is done in that order.
        Transmission {
            ack_timeout: self.ack_timeout,
            random_factor: self.random_factor,
            max_retransmit: self.max_retransmit,
            nstart: 1,
            body_bytes_max,
            ..Transmission::default()
        }
    }
}

impl Dialog {
    pub(crate) fn new(transmission: Transmission, seed: u64) -> Self {
        Self {
            requests: Requests::new(transmission, seed),
            under_way: None,
            waiting: VecDeque::new(),
            errands: VecDeque::new(),
            observations: Vec::new(),
            goals_refused: Vec::new(),
        }
    }

    pub(crate) fn next_id(&mut self) -> u16 {
        self.requests.next_id()
    }

    pub(crate) fn under_way(&self) -> Option<&Task> {
        self.under_way.as_ref().map(|under_way| &under_way.task)
    }

    /// What comes next: the rest of a notification before the device forgets it, then what the caller asked.
    pub(crate) fn next(&mut self) -> Option<Task> {
        if self.errands.front().is_some_and(|task| matches!(task.errand, Errand::Rest(_))) {
            return self.errands.pop_front();
        }
        let mut task = self.waiting.pop_front().or_else(|| self.errands.pop_front())?;
        if let Errand::Asked(asked) = &mut task.errand {
            self.join(asked);
        }
        Some(task)
    }

    /// The same question of others goes along, up to the first that changes something: who asks after that wants to see
    /// it.
    fn join(&mut self, asked: &mut Asked) {
        if !asked.operation.changes_nothing() {
            return;
        }
        let mut kept = VecDeque::with_capacity(self.waiting.len());
        while let Some(task) = self.waiting.pop_front() {
            match task.errand {
                Errand::Asked(other) if other.asks_the_same(asked) => asked.companions.push(other),
                Errand::Asked(ref other) if !other.operation.changes_nothing() => {
                    kept.push_back(task);
                    break;
                }
                _ => kept.push_back(task),
            }
        }
        kept.append(&mut self.waiting);
        self.waiting = kept;
    }

    /// Puts a task back to where it stood: before all others of its kind.
    pub(crate) fn put_back(&mut self, mut task: Task) {
        let Errand::Asked(asked) = &mut task.errand else { return self.errands.push_front(task) };
        for companion in std::mem::take(&mut asked.companions).into_iter().rev() {
            self.waiting.push_front(Errand::Asked(companion).into());
        }
        self.waiting.push_front(task);
    }

    /// Whether the device observes this for us.
    pub(crate) fn observes(&self, target: &Target) -> bool {
        self.observations.iter().any(|observation| observation.target == *target)
    }

    /// Ends the exchange without an answer.
    pub(crate) fn abandon(&mut self) -> Option<Task> {
        let under_way = self.under_way.take()?;
        self.requests.abandon();
        Some(under_way.task)
    }

    /// Takes out what was asked and meets the condition.
    pub(crate) fn take_waiting(&mut self, is_wanted: impl Fn(&Asked) -> bool) -> Vec<Asked> {
        let mut taken = Vec::new();
        for task in std::mem::take(&mut self.waiting) {
            match task.errand {
                Errand::Asked(asked) if is_wanted(&asked) => taken.push(asked),
                errand => self.waiting.push_back(Task { errand, ..task }),
            }
        }
        taken
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Asked> {
        self.waiting.iter().filter_map(|task| match &task.errand {
            Errand::Asked(asked) => Some(asked),
            _ => None,
        })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.waiting().filter_map(|asked| asked.expires_at);
        self.requests.poll_timeout().into_iter().chain(expiry).min()
    }
}
