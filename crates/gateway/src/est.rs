//! Enrolment over CoAP (EST-coaps, RFC 9148): what a device asks that has proved itself goes to whoever signs, and the
//! answer back. Where that takes a while, the request is acknowledged and the answer travels on its own.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use coap::Code;
use coap::blockwise::Block;
use coap::message::{Kind, Message};

use crate::arrival::NOT_APPROVED;
use crate::files::FileBlock;
use crate::gateway::Gateway;
use crate::limits::{ACKNOWLEDGE_AFTER, ENROLMENT_BYTES_MAX, ENROLMENTS_MAX, EXCHANGE_LIFETIME};
use crate::peers::PeerKey;
use crate::reply::{HeldAnswer, Reply, Response};
use crate::timers::Now;
use crate::uplink::{Ask, Origin};

/// application/pkcs7-mime; smime-type=certs-only (RFC 9148)
pub const CERTIFICATES: u16 = 281;
/// application/csrattrs
pub const ATTRIBUTES: u16 = 285;
/// application/pkcs10
pub const REQUEST: u16 = 286;
/// application/pkix-cert: one certificate
pub const CERTIFICATE: u16 = 287;

/// What a device wants (RFC 9148).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolment {
    /// Whom to trust: `crts`.
    Authorities,
    /// Which key to make: `att`.
    Attributes,
    /// A certificate: `sen`.
    Enrol,
    /// The next one: `sren`.
    Renew,
}

impl Enrolment {
    /// The word for it on the other side of the border: the short name of its resource.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorities => "crts",
            Self::Attributes => "att",
            Self::Enrol => "sen",
            Self::Renew => "sren",
        }
    }

    const fn method(self) -> Code {
        match self {
            Self::Authorities | Self::Attributes => Code::GET,
            Self::Enrol | Self::Renew => Code::POST,
        }
    }

    const fn success(self) -> Code {
        match self {
            Self::Authorities | Self::Attributes => Code::CONTENT,
            Self::Enrol | Self::Renew => Code::CHANGED,
        }
    }

    /// What it is answered with, when the device wants nothing else.
    const fn format(self) -> u16 {
        match self {
            Self::Attributes => ATTRIBUTES,
            Self::Authorities | Self::Enrol | Self::Renew => CERTIFICATES,
        }
    }

    fn gives(self, format: u16) -> bool {
        format == self.format() || (format == CERTIFICATE && self.method() == Code::POST)
    }
}

/// A question for whoever signs; to be answered with [`Gateway::answer_enrolment`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentRequest {
    /// The number of the question.
    pub ticket: u64,
    /// Who asks, as we call it.
    pub device: String,
    /// What for.
    pub operation: Enrolment,
    /// The content format that the answer is to have.
    pub format: u16,
    /// PKCS #10 in DER, or nothing.
    pub body: Vec<u8>,
}

/// What is answered: `body` in the format that was wanted when `refusal` is nothing, and otherwise words for people.
#[derive(Debug, Clone)]
pub struct EnrolmentAnswer {
    /// The number of the question.
    pub ticket: u64,
    /// The code of a refusal.
    pub refusal: Option<Code>,
    /// Certificates, attributes, or why not.
    pub body: Vec<u8>,
}

/// What is under way, one for each peer.
#[derive(Default)]
pub(crate) struct Enrolments {
    exchanges: HashMap<PeerKey, Exchange>,
    questions: VecDeque<EnrolmentRequest>,
    /// Requests that want an empty acknowledgement, and when: by their peer and message id.
    slow: VecDeque<(Instant, PeerKey, u16)>,
    tickets: u64,
}

struct Exchange {
    ticket: u64,
    operation: Enrolment,
    format: u16,
    asked: Vec<u8>,
    held: HeldAnswer,
    block2: Option<Block>,
    /// There once it was given, for the blocks that follow the first.
    answer: Option<Vec<u8>>,
    used_at: Instant,
}

impl Enrolments {
    pub(crate) fn len(&self) -> usize {
        self.exchanges.len()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.slow.front().map(|(when, ..)| *when)
    }

    /// The last block of a request in blocks, which its answer repeats (RFC 7959 §2.3).
    pub(crate) fn note_block(&mut self, key: PeerKey, block: Option<Block>) {
        if let Some(exchange) = self.exchanges.get_mut(&key) {
            exchange.held.block1 = block;
        }
    }

    /// Whether there is room for one more.
    fn has_room(&self, key: PeerKey) -> bool {
        self.exchanges.len() < ENROLMENTS_MAX || self.exchanges.contains_key(&key)
    }
}

fn operation_of(message: &Message<'_>) -> Option<Enrolment> {
    let mut path = message.path().skip_while(|segment| *segment == b".well-known").skip(1);
    let operation = match path.next()? {
        b"crts" => Enrolment::Authorities,
        b"att" => Enrolment::Attributes,
        b"sen" => Enrolment::Enrol,
        b"sren" => Enrolment::Renew,
        _ => return None,
    };
    path.next().is_none().then_some(operation)
}

impl Gateway {
    /// The next question for whoever signs.
    pub fn poll_enrolment(&mut self) -> Option<EnrolmentRequest> {
        self.enrolments.questions.pop_front()
    }

    /// Whether a request is about enrolment: below `/.well-known/est`, or `/est` for short.
    pub(crate) fn is_enrolment(&self, message: &Message<'_>) -> bool {
        let mut path = message.path();
        self.options.enrolment
            && match path.next() {
                Some(b"est") => true,
                Some(b".well-known") => path.next() == Some(b"est"),
                _ => false,
            }
    }

    /// A whole request for enrolment.
    pub(crate) fn take_enrolment(&mut self, now: Now, ask: &Ask<'_>) -> Reply {
        let Origin { device, peer, is_secure, .. } = ask.origin;
        let (Some(index), Some(key), true) = (device, peer, is_secure) else {
            // RFC 9148: a session that proves both ends, and nothing less.
            return self.refuse(now, device, "enrol", Code::UNAUTHORIZED, "insecure", "not without DTLS");
        };
        if self.is_waiting(index) {
            return self.refuse(now, device, "enrol", Code::FORBIDDEN, "not_approved", NOT_APPROVED);
        }
        let message = ask.message;
        let Some(operation) = operation_of(message) else {
            return self.refuse_route(now, &ask.origin, Code::NOT_FOUND);
        };
        if message.code != operation.method() {
            return self.refuse_route(now, &ask.origin, Code::METHOD_NOT_ALLOWED);
        }
        if message.block2().is_some_and(|block| block.num > 0) {
            return self.next_block(now, ask, key, operation);
        }
        let format = message.accept().unwrap_or(operation.format());
        let is_request = operation.method() != Code::POST || message.content_format() == Some(REQUEST);
        let refusal = if !operation.gives(format) {
            Some((Code::NOT_ACCEPTABLE, "content_format", "not in that format"))
        } else if !is_request {
            Some((Code::UNSUPPORTED_CONTENT_FORMAT, "content_format", "expected PKCS #10 (286)"))
        } else if ask.payload.len() > ENROLMENT_BYTES_MAX {
            Some((Code::REQUEST_ENTITY_TOO_LARGE, "body_too_large", "body too large"))
        } else {
            None
        };
        if let Some((code, reason, detail)) = refusal {
            return self.refuse(now, device, "enrol", code, reason, detail);
        }
        let Some(name) = self.directory.get(index).map(|device| device.id.to_string()) else { return Reply::busy() };
        if !self.enrolments.has_room(key) {
            self.forget_enrolments(now);
        }
        if !self.enrolments.has_room(key) {
            return self.refuse_busy();
        }
        let held = HeldAnswer {
            peer: key,
            id: message.id,
            token: message.token,
            is_confirmable: message.kind == Kind::Confirmable,
            is_acknowledged: false,
            code: operation.success(),
            location: None,
            block1: None,
        };
        let enrolments = &mut self.enrolments;
        let waits_already = enrolments.exchanges.get(&key).filter(|exchange| {
            exchange.answer.is_none() && exchange.operation == operation && exchange.asked == ask.payload
        });
        // A device that asks the same once more, because it lost patience, gets the one answer.
        let ticket = waits_already.map(|exchange| exchange.ticket).unwrap_or_else(|| {
            enrolments.tickets += 1;
            let (ticket, body) = (enrolments.tickets, ask.payload.to_vec());
            enrolments.questions.push_back(EnrolmentRequest { ticket, device: name, operation, format, body });
            ticket
        });
        let exchange = Exchange {
            ticket,
            operation,
            format,
            asked: ask.payload.to_vec(),
            held,
            block2: message.block2(),
            answer: None,
            used_at: now.monotonic,
        };
        let replaced = enrolments.exchanges.insert(key, exchange);
        self.note_held(key);
        // RFC 8323 §5.5: a Release waits for the answer to this one; to what it replaces there will be none.
        if replaced.is_some_and(|replaced| replaced.answer.is_none()) {
            self.note_answered(now, key);
        }
        Reply::WhenSigned
    }

    /// Those that nobody asks for any more make room, and nobody waits for an answer to them.
    fn forget_enrolments(&mut self, now: Now) {
        let is_over = |exchange: &mut Exchange| exchange.used_at + EXCHANGE_LIFETIME <= now.monotonic;
        let over: Vec<_> = self.enrolments.exchanges.extract_if(|_, exchange| is_over(exchange)).collect();
        for (key, _) in over.into_iter().filter(|(_, exchange)| exchange.answer.is_none()) {
            self.note_answered(now, key);
        }
    }

    /// Copies of the request are passed over until it is answered, or acknowledged.
    pub(crate) fn wait_for_enrolment(&mut self, now: Now, origin: &Origin, message: &Message<'_>) {
        let Some(key) = origin.peer else { return };
        let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.connected.is_none()) else { return };
        peer.answers.pending(now.monotonic, message.id, message.token);
        if message.kind == Kind::Confirmable {
            self.enrolments.slow.push_back((now.monotonic + ACKNOWLEDGE_AFTER, key, message.id));
        }
    }

    /// RFC 7252 §5.2.2: whoever waits too long for a signature learns that we have the request.
    pub(crate) fn acknowledge_slow_enrolments(&mut self, now: Now) {
        while self.enrolments.poll_timeout().is_some_and(|when| when <= now.monotonic) {
            let Some((_, key, id)) = self.enrolments.slow.pop_front() else { return };
            let exchange = self.enrolments.exchanges.get_mut(&key);
            let waits = exchange.filter(|exchange| exchange.answer.is_none() && exchange.held.id == id);
            let (Some(exchange), Some(peer)) = (waits, self.peers.get_mut(key)) else { continue };
            exchange.held.is_acknowledged = true;
            let acknowledgement = Message::acknowledgement(id);
            peer.answers.answered(now.monotonic, id, exchange.held.token, &acknowledgement);
            self.stats.acknowledged_early += 1;
            self.post(key, &acknowledgement);
        }
    }

    /// What whoever signs says. Nothing happens when the device has gone, or has asked something else since.
    pub fn answer_enrolment(&mut self, now: Now, answer: EnrolmentAnswer) {
        let found = self.enrolments.exchanges.iter_mut().find(|(_, exchange)| exchange.ticket == answer.ticket);
        let Some((&key, exchange)) = found.filter(|(_, exchange)| exchange.answer.is_none()) else { return };
        let Some(peer) = self.peers.get(key) else {
            self.enrolments.exchanges.remove(&key);
            return;
        };
        let held = exchange.held;
        let first = FileBlock::of(&answer.body, exchange.format, peer.capacity(), exchange.block2);
        let response = match (answer.refusal, first) {
            (None, Some(block)) => {
                let is_whole = block.bytes.len() == answer.body.len();
                exchange.used_at = now.monotonic;
                exchange.answer = Some(answer.body);
                if is_whole {
                    self.enrolments.exchanges.remove(&key);
                }
                Response { file: Some(Box::new(block)), block1: held.block1, ..held.code.into() }
            }
            (refusal, _) => {
                self.enrolments.exchanges.remove(&key);
                let words = String::from_utf8_lossy(&answer.body).into_owned();
                let code = refusal.unwrap_or(Code::INTERNAL_SERVER_ERROR);
                if let Some(device) = self.peers.get(key).and_then(|peer| peer.device) {
                    self.note_refused(now, device, "enrol", code, "not_enrolled", &words);
                }
                Response { diagnostic: Some(Cow::Owned(words)), block1: held.block1, ..code.into() }
            }
        };
        self.answer_held(now, &held, &response);
        self.note_answered(now, held.peer);
    }

    /// A later block of an answer (RFC 7959 §2.7): the peer repeats its request without a body.
    fn next_block(&mut self, now: Now, ask: &Ask<'_>, key: PeerKey, operation: Enrolment) -> Reply {
        let capacity = self.peers.get(key).and_then(|peer| peer.capacity());
        let exchange = self.enrolments.exchanges.get_mut(&key).filter(|exchange| exchange.operation == operation);
        let Some((exchange, answer)) =
            exchange.and_then(|exchange| exchange.answer.clone().map(|body| (exchange, body)))
        else {
            let detail = "there is no answer to go on with";
            let code = Code::REQUEST_ENTITY_INCOMPLETE;
            return self.refuse(now, ask.origin.device, "enrol", code, "body_incomplete", detail);
        };
        exchange.used_at = now.monotonic;
        let format = exchange.format;
        let Some(block) = FileBlock::of(&answer, format, capacity, ask.message.block2()) else {
            return self.refuse(now, ask.origin.device, "enrol", Code::BAD_REQUEST, "block_invalid", "beyond the end");
        };
        Reply::Now(Response { file: Some(Box::new(block)), ..operation.success().into() })
    }
}
