//! Our requests towards one peer, one after another (RFC 7252 §4.2, §4.7, §5.2).

use std::{collections::VecDeque, time::Instant};

use super::{
    Handled, Outbox, Outcome, Request, Transmission,
    ids::{Ids, Numbers},
    transfer::{Step, Transfer},
    transmission::{Repetition, after},
};
use crate::{
    error::QueueFull,
    message::{Kind, Message, Token},
};

/// Requests that wait for their turn towards one peer. A device is asked a few things after it woke up; whoever queues
/// more than this does not see that it is not answering.
pub const REQUESTS_QUEUED_MAX: usize = 32;

/// Requests that were acknowledged and whose response is still to come, and those on their way. Slow devices answer
/// separately; one that acknowledges everything and answers nothing must not collect requests without end.
pub const REQUESTS_OPEN_MAX: usize = 8;

/// Separate responses remembered after the request is through, because their acknowledgement may get lost. A peer
/// keeps to NSTART too, so few of them can be on their way.
const SETTLED_MAX: usize = 4;

/// Our requests towards one peer: a queue, NSTART at a time, repeated until acknowledged, through as many blocks as
/// needed. `T` is the caller's ticket.
///
/// After `push`, `handle` and `handle_timeout`, drain `poll_sent` and `poll_outcome`; call `handle_timeout` no earlier
/// than `poll_timeout` says. Extra calls do no harm. While idle it holds no memory beyond itself.
#[derive(Debug)]
pub struct Requests<T> {
    transmission: Transmission,
    ids: Ids,
    settled: [Settled; SETTLED_MAX],
    settled_at: u8,
    work: Option<Box<Work<T>>>,
}

#[derive(Debug)]
struct Work<T> {
    queued: VecDeque<(Request, T)>,
    open: Vec<Open<T>>,
    outcomes: VecDeque<(T, Outcome)>,
    pushed_at: Instant,
}

/// A request that was sent.
#[derive(Debug)]
struct Open<T> {
    ticket: T,
    transfer: Transfer,
    id: u16,
    token: Token,
    stage: Stage,
    datagram: Vec<u8>,
    is_sent_told: bool,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The next message of the transfer waits for its turn.
    Ready,
    /// Sent; no sign of arrival yet. Counts for NSTART.
    OnItsWay(Repetition),
    /// Acknowledged, or nothing that will be (not confirmable, or over a connection): the response is to come until then.
    Awaiting { until: Instant, is_acknowledged: bool },
}

/// A separate response that was taken: its message id and its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Settled {
    id: u16,
    /// Zero where there is none.
    digest: u16,
}

impl Settled {
    fn of(message: &Message<'_>) -> Self {
        Self { id: message.id, digest: message.token.digest() | 1 }
    }
}

impl<T> Requests<T> {
    /// Nothing asked yet. `seed` starts message ids, tokens and jitter; give every peer its own, from a good source:
    /// tokens that can be guessed invite forged responses where there is no DTLS (RFC 7252 §5.3.1).
    #[must_use]
    pub const fn new(transmission: Transmission, seed: u64) -> Self {
        Self {
            transmission,
            ids: Ids::new(seed),
            settled: [Settled { id: 0, digest: 0 }; SETTLED_MAX],
            settled_at: 0,
            work: None,
        }
    }

    /// The parameters in use.
    #[must_use]
    pub const fn transmission(&self) -> &Transmission {
        &self.transmission
    }

    /// Other parameters, from the next message on.
    pub fn set_transmission(&mut self, transmission: Transmission) {
        self.transmission = transmission;
    }

    /// Where message ids and tokens stand, for [`Requests::go_on`] after a restart.
    #[must_use]
    pub const fn numbers(&self) -> Numbers {
        self.ids.numbers()
    }

    /// Goes on behind the message ids and tokens of before a restart: a notification of an observation that stands must
    /// not look like the answer to a new request.
    pub const fn go_on(&mut self, before: Numbers) {
        self.ids.go_on(before);
    }

    /// A message id for any other message to this peer.
    pub const fn next_id(&mut self) -> u16 {
        self.ids.next_id()
    }

    /// A token that no other request of ours to this peer has.
    pub const fn next_token(&mut self) -> Token {
        self.ids.next_token()
    }

    /// Queues a request. It leaves with the next `handle_timeout`, at once if its turn has come.
    pub fn push(&mut self, now: Instant, request: Request, ticket: T) -> Result<(), QueueFull> {
        let work = self.work.get_or_insert_with(|| {
            let (queued, open, outcomes) = (VecDeque::with_capacity(1), Vec::with_capacity(1), VecDeque::new());
            Box::new(Work { queued, open, outcomes, pushed_at: now })
        });
        if work.queued.len() >= REQUESTS_QUEUED_MAX {
            return Err(QueueFull { waiting: work.queued.len() });
        }
        work.queued.push_back((request, ticket));
        work.pushed_at = now;
        Ok(())
    }

    /// Takes acknowledgements, resets and responses to what was asked here. Everything else is left alone: requests,
    /// notifications of observations that stand, and responses to nobody. Of the latter, confirmable ones want a
    /// reset from the caller.
    pub fn handle(&mut self, now: Instant, message: &Message<'_>, out: &mut dyn Outbox) -> Handled {
        let handled = match message.kind {
            Kind::Acknowledgement => self.handle_acknowledgement(now, message),
            Kind::Reset => self.handle_reset(message),
            Kind::Confirmable | Kind::NonConfirmable | Kind::Reliable if message.code.is_response() => {
                self.handle_response(message, out)
            }
            Kind::Confirmable | Kind::NonConfirmable | Kind::Reliable => Handled::NotOurs,
        };
        if handled == Handled::Consumed {
            self.send_next(now, out);
        }
        handled
    }

    fn handle_acknowledgement(&mut self, now: Instant, message: &Message<'_>) -> Handled {
        let Some(index) = self.position(|open| open.id == message.id && open.transfer.is_confirmable()) else {
            return Handled::NotOurs;
        };
        let Some(open) = self.open_mut(index) else { return Handled::NotOurs };
        if message.code.is_empty() {
            if matches!(open.stage, Stage::OnItsWay(_)) {
                let until = after(now, self.transmission.response_wait);
                self.set_stage(index, Stage::Awaiting { until, is_acknowledged: true });
            }
        } else if open.token == message.token {
            self.take(index, message);
        }
        // RFC 7252 §5.3.2: a response in an acknowledgement must match by token too; one that does not is no sign of
        // anything, and the request goes on being repeated.
        Handled::Consumed
    }

    fn handle_reset(&mut self, message: &Message<'_>) -> Handled {
        let Some(index) = self.position(|open| open.id == message.id) else { return Handled::NotOurs };
        self.finish(index, Outcome::Reset);
        Handled::Consumed
    }

    fn handle_response(&mut self, message: &Message<'_>, out: &mut dyn Outbox) -> Handled {
        let is_confirmable = message.kind == Kind::Confirmable;
        // RFC 7252 §4.5: every copy is acknowledged, only the first is taken. Over a connection there are none.
        let is_datagram = message.kind != Kind::Reliable;
        if is_datagram && self.settled.contains(&Settled::of(message)) {
            if is_confirmable {
                out.send(&Message::acknowledgement(message.id));
            }
            return Handled::Consumed;
        }
        let is_answer = |open: &Open<T>| open.token == message.token && !open.transfer.is_late_notification(message);
        let Some(index) = self.position(is_answer) else { return Handled::NotOurs };
        if message.response_rejection().is_some() {
            out.send(&Message::reset(message.id));
            self.take(index, message);
            return Handled::Consumed;
        }
        if is_confirmable {
            out.send(&Message::acknowledgement(message.id));
        }
        if is_datagram {
            self.settled[usize::from(self.settled_at) % SETTLED_MAX] = Settled::of(message);
            self.settled_at = self.settled_at.wrapping_add(1);
        }
        // RFC 7252 §5.2.2: a response is a sign of arrival, whether or not an acknowledgement came before it.
        self.take(index, message);
        Handled::Consumed
    }

    /// RFC 7252 §5.4.1: a response that wants something of us we do not know is rejected, and with it the hope for
    /// another.
    fn take(&mut self, index: usize, message: &Message<'_>) {
        match message.response_rejection() {
            Some(number) => self.finish(index, Outcome::UnknownOption { number }),
            None => self.advance(index, message),
        }
    }

    fn advance(&mut self, index: usize, message: &Message<'_>) {
        let Some(open) = self.open_mut(index) else { return };
        match open.transfer.absorb(message) {
            Step::Next => open.stage = Stage::Ready,
            Step::Done(outcome) => self.finish(index, outcome),
        }
    }

    /// Sends what may go, repeats what is due, gives up what waited long enough.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outbox) {
        let mut index = 0;
        while let Some(open) = self.open_mut(index) {
            match &mut open.stage {
                Stage::OnItsWay(repetition) if repetition.deadline <= now => {
                    if !open.transfer.is_confirmable() {
                        let until = after(now, self.transmission.response_wait);
                        self.set_stage(index, Stage::Awaiting { until, is_acknowledged: false });
                    } else if repetition.is_due_again(now) {
                        out.send(&open.datagram);
                    } else {
                        self.finish(index, Outcome::TimedOut { acknowledged: false });
                        continue;
                    }
                }
                Stage::Awaiting { until, is_acknowledged } if *until <= now => {
                    let acknowledged = *is_acknowledged;
                    self.finish(index, Outcome::TimedOut { acknowledged });
                    continue;
                }
                _ => {}
            }
            index += 1;
        }
        self.send_next(now, out);
    }

    /// The peer was heard and may not listen for long: sends once more what it gave no sign of having (beside RFC 7252 §4.2,
    /// which knows no peers that sleep).
    pub fn remind(&mut self, now: Instant, out: &mut dyn Outbox) {
        let Self { transmission, work: Some(work), .. } = self else { return };
        for open in &mut work.open {
            if let Stage::OnItsWay(repetition) = &mut open.stage
                && open.transfer.is_confirmable()
                && repetition.is_worth_a_copy(now, transmission)
            {
                out.send(&open.datagram);
            }
        }
    }

    /// When to call [`Requests::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let work = self.work.as_ref()?;
        let deadlines = work.open.iter().filter_map(|open| match open.stage {
            Stage::Ready => None,
            Stage::OnItsWay(repetition) => Some(repetition.deadline),
            Stage::Awaiting { until, .. } => Some(until),
        });
        let at_once = work.may_send(self.transmission.nstart).then_some(work.pushed_at);
        deadlines.chain(at_once).min()
    }

    /// The next request that left for the first time. One that is through already is told by its outcome alone.
    pub fn poll_sent(&mut self) -> Option<&T> {
        let open = self.work.as_mut()?.open.iter_mut().find(|open| !open.is_sent_told)?;
        open.is_sent_told = true;
        Some(&open.ticket)
    }

    /// The next request that is through.
    pub fn poll_outcome(&mut self) -> Option<(T, Outcome)> {
        let outcome = self.work.as_mut()?.outcomes.pop_front();
        self.give_back();
        outcome
    }

    /// Bytes that the peer has acknowledged of a body that is read piece by piece, while one is being sent.
    #[must_use]
    pub fn uploaded(&self) -> Option<u64> {
        self.work.as_ref()?.open.iter().find_map(|open| open.transfer.uploaded())
    }

    /// Forgets a request, wherever it is; true if there was one. What was sent is not called back, and a response to
    /// it is nobody's.
    pub fn cancel(&mut self, ticket: &T) -> bool
    where
        T: PartialEq,
    {
        let Some(work) = &mut self.work else { return false };
        let before = work.queued.len() + work.open.len();
        work.queued.retain(|(_, queued)| queued != ticket);
        work.open.retain(|open| open.ticket != *ticket);
        let is_gone = work.queued.len() + work.open.len() < before;
        self.give_back();
        is_gone
    }

    /// Forgets what is not through, when the session ends: the tickets, those sent first.
    pub fn abandon(&mut self) -> Vec<T> {
        let Some(work) = &mut self.work else { return Vec::new() };
        let sent = work.open.drain(..).map(|open| open.ticket);
        let tickets = sent.chain(work.queued.drain(..).map(|(_, ticket)| ticket)).collect();
        self.give_back();
        tickets
    }

    /// The tickets of what is not through, those sent first.
    pub fn tickets(&self) -> impl Iterator<Item = &T> {
        let work = self.work.iter();
        work.flat_map(|work| {
            work.open.iter().map(|open| &open.ticket).chain(work.queued.iter().map(|(_, ticket)| ticket))
        })
    }

    /// Nothing queued, nothing on its way, nothing to tell.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.work.is_none()
    }

    /// Requests that are not through: queued, on their way, or waiting for their response.
    #[must_use]
    pub fn len(&self) -> usize {
        self.work.as_ref().map_or(0, |work| work.queued.len() + work.open.len())
    }

    /// No request is open; outcomes may still wait to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn send_next(&mut self, now: Instant, out: &mut dyn Outbox) {
        let Self { transmission, ids, work: Some(work), .. } = self else { return };
        while work.may_send(transmission.nstart) {
            let index = match work.open.iter().position(|open| matches!(open.stage, Stage::Ready)) {
                Some(index) => index,
                None => {
                    let Some((request, ticket)) = work.queued.pop_front() else { break };
                    work.open.push(Open::new(Transfer::new(request, transmission), ticket));
                    work.open.len() - 1
                }
            };
            let open = &mut work.open[index];
            let (id, token) = (ids.next_id(), open.transfer.token().unwrap_or_else(|| ids.next_token()));
            let Some(datagram) = open.transfer.encode(id, token) else {
                let open = work.open.remove(index);
                let outcome = open.transfer.broken_outcome();
                work.outcomes.push_back((open.ticket, outcome));
                continue;
            };
            out.send(&datagram);
            let stage = match transmission.capacity {
                Some(_) => Stage::Awaiting { until: after(now, transmission.response_wait), is_acknowledged: false },
                None if open.transfer.is_confirmable() => {
                    Stage::OnItsWay(Repetition::start(now, transmission, &mut ids.jitter))
                }
                None => Stage::OnItsWay(Repetition::probe(now, transmission, datagram.len())),
            };
            (open.id, open.token, open.datagram, open.stage) = (id, token, datagram, stage);
        }
    }

    fn finish(&mut self, index: usize, outcome: Outcome) {
        let Some(work) = &mut self.work else { return };
        let open = work.open.remove(index);
        work.outcomes.push_back((open.ticket, outcome));
    }

    /// Among what was sent, not what is about to be.
    fn position(&self, matches: impl Fn(&Open<T>) -> bool) -> Option<usize> {
        let open = &self.work.as_ref()?.open;
        open.iter().position(|open| !matches!(open.stage, Stage::Ready) && matches(open))
    }

    fn open_mut(&mut self, index: usize) -> Option<&mut Open<T>> {
        self.work.as_mut()?.open.get_mut(index)
    }

    fn set_stage(&mut self, index: usize, stage: Stage) {
        if let Some(open) = self.open_mut(index) {
            open.stage = stage;
        }
    }

    fn give_back(&mut self) {
        if self.work.as_ref().is_some_and(|work| work.is_done()) {
            self.work = None;
        }
    }
}

impl<T> Work<T> {
    /// Something is ready, and NSTART allows it.
    fn may_send(&self, nstart: u8) -> bool {
        let on_their_way = self.open.iter().filter(|open| matches!(open.stage, Stage::OnItsWay(_))).count();
        let is_ready = self.open.iter().any(|open| matches!(open.stage, Stage::Ready))
            || (!self.queued.is_empty() && self.open.len() < REQUESTS_OPEN_MAX);
        is_ready && on_their_way < usize::from(nstart.max(1))
    }

    fn is_done(&self) -> bool {
        self.queued.is_empty() && self.open.is_empty() && self.outcomes.is_empty()
    }
}

impl<T> Open<T> {
    fn new(transfer: Transfer, ticket: T) -> Self {
        let (token, datagram) = (Token::EMPTY, Vec::new());
        Self { ticket, transfer, id: 0, token, stage: Stage::Ready, datagram, is_sent_told: false }
    }
}
