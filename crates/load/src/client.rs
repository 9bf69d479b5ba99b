//! One client: the operation that it is in the middle of, and what an answer to it has to look like.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use coap::{Code, Kind, Message, Token};
use dtls::{ClientOptions, Progress, Session, Ticket, Trust};
use serde::Deserialize;

use crate::credential::Credential;
use crate::message;
use crate::udp::Outgoing;

/// How often something is sent again before we give up: MAX_RETRANSMIT (RFC 7252 §4.8).
const REPETITIONS_MAX: u8 = 4;

/// What a client can be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A full handshake; a session from before is dropped without a word.
    Handshake,
    /// A handshake that goes on from the session of an earlier one; a full one in its place is an error.
    Resume,
    /// Register: 2.01 with a location.
    Register,
    /// An Update that says nothing new: 2.04.
    Update,
    /// A Send of two values in SenML CBOR: 2.04.
    Send,
    /// A confirmable notification: its acknowledgement.
    Notify,
    /// De-register: 2.02.
    Deregister,
}

impl Operation {
    const fn is_handshake(self) -> bool {
        matches!(self, Self::Handshake | Self::Resume)
    }
}

/// What all clients share.
pub(crate) struct Common {
    pub(crate) server: SocketAddrV4,
    /// Before the number in every endpoint name, which is the PSK identity too.
    pub(crate) prefix: String,
    /// CoAP in the clear without one.
    pub(crate) credential: Option<Credential>,
    pub(crate) origin: Instant,
    /// The time of day at `origin`, for certificates.
    pub(crate) unix_s: i64,
    /// Records on their way out and plaintext on its way in, used again and again.
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) plaintext: Vec<Vec<u8>>,
}

impl Common {
    pub(crate) fn endpoint(&self, number: u32) -> String {
        format!("{}{number:06}", self.prefix)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_secure(&self) -> bool {
        self.credential.is_some()
    }

    fn flush(&mut self, from: Ipv4Addr, outgoing: &mut Outgoing<'_>) {
        for record in self.records.drain(..) {
            outgoing.push(Some(from), self.server, |out| out.extend_from_slice(&record));
        }
    }
}

/// What a datagram, or its absence, led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing to count.
    Nothing,
    /// The operation that became due then was answered as it should be.
    Done(Instant),
    /// The operation failed, and how.
    Failed(String),
    /// Something was sent again.
    Repeated,
    /// An answer to nothing that runs.
    Stray,
}

struct Running {
    operation: Operation,
    due: Instant,
    id: u16,
    token: Token,
    repetitions: u8,
    /// An empty acknowledgement came; the answer follows on its own (RFC 7252 §5.2.2).
    is_acknowledged: bool,
}

/// A client and its number.
pub(crate) struct Client {
    number: u32,
    address: Ipv4Addr,
    /// Counts operations: tokens, values and the order of notifications come from it.
    pub(crate) sequence: u32,
    id_next: u16,
    running: Option<Running>,
    /// The message that may have to be sent again.
    said: Vec<u8>,
    location: Option<Box<[u8]>>,
    observed: Option<Token>,
    session: Option<Box<Session>>,
    /// Of the last full handshake.
    ticket: Option<Box<Ticket>>,
}

impl Client {
    pub(crate) fn new(number: u32, address: Ipv4Addr) -> Self {
        Self {
            number,
            address,
            sequence: 0,
            id_next: number as u16,
            running: None,
            said: Vec::new(),
            location: None,
            observed: None,
            session: None,
            ticket: None,
        }
    }

    /// Whether it could do this now.
    pub(crate) fn can(&self, operation: Operation) -> bool {
        match operation {
            Operation::Handshake | Operation::Register => true,
            Operation::Resume => self.ticket.is_some(),
            Operation::Update | Operation::Send | Operation::Deregister => self.location.is_some(),
            Operation::Notify => self.observed.is_some(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins an operation that was due at `due`.
    pub(crate) fn begin(
        &mut self,
        operation: Operation,
        due: Instant,
        common: &mut Common,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), String> {
        self.sequence = self.sequence.wrapping_add(1);
        self.id_next = self.id_next.wrapping_add(1);
        let (id, sequence) = (self.id_next, self.sequence);
        let mut token = Token::new(&sequence.to_be_bytes()).map_err(|error| error.to_string())?;
        self.said.clear();
        let said = &mut self.said;
        let location = self.location.as_deref().unwrap_or_default();
        match operation {
            Operation::Handshake => self.connect(false, common)?,
            Operation::Resume => self.connect(true, common)?,
            Operation::Register => message::register(said, id, token, &common.endpoint(self.number)),
            Operation::Update => message::update(said, id, token, location),
            Operation::Send => message::send(said, id, token, message::measured(sequence)),
            Operation::Notify => {
                token = self.observed.ok_or("not observed")?;
                message::notify(said, id, token, sequence, message::measured(sequence));
            }
            Operation::Deregister => message::deregister(said, id, token, location),
        }
        self.running = Some(Running { operation, due, id, token, repetitions: 0, is_acknowledged: false });
        if !operation.is_handshake() {
            self.protect(common, outgoing)?;
        }
        common.flush(self.address, outgoing);
        Ok(())
    }

    /// Gives up what it is in the middle of.
    pub(crate) fn abandon(&mut self) {
        self.running = None;
    }

    /// A fresh session, whose first flight waits to be flushed.
    fn connect(&mut self, is_resumed: bool, common: &mut Common) -> Result<(), String> {
        let credential = common.credential.as_ref().ok_or("a handshake needs a key or a certificate")?;
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&self.number.to_be_bytes());
        seed[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        let options = ClientOptions { seed, ..ClientOptions::default() };
        let client = credential.client(self.number, &common.endpoint(self.number), &options)?;
        let (now_ms, trust) = (common.now_ms(), Trust { anchors: credential.anchors(), unix_s: common.unix_s });
        let session = match self.ticket.as_ref().filter(|_| is_resumed) {
            Some(ticket) => client.resume(now_ms, ticket, &trust, &mut common.records),
            None => client.connect(now_ms, &mut common.records),
        };
        self.session = Some(Box::new(session.map_err(|error| error.to_string())?));
        Ok(())
    }

    /// The handshake is over.
    fn established(&mut self, now_ms: u64) -> Step {
        let Some(running) = self.running.take_if(|it| it.operation.is_handshake()) else { return Step::Stray };
        let Some(session) = &self.session else { return Step::Stray };
        if let Some(ticket) = session.ticket(now_ms) {
            self.ticket = Some(Box::new(ticket));
        }
        match running.operation == Operation::Resume && !session.is_resumed() {
            true => Step::Failed("a full handshake".to_owned()),
            false => Step::Done(running.due),
        }
    }

    /// Sends what was said last, in a record where there is a session.
    fn protect(&mut self, common: &mut Common, outgoing: &mut Outgoing<'_>) -> Result<(), String> {
        match (common.is_secure(), self.session.as_mut()) {
            (false, _) => outgoing.push(Some(self.address), common.server, |out| out.extend_from_slice(&self.said)),
            (true, Some(session)) => {
                session.send(&self.said, &mut common.records).map_err(|error| error.to_string())?;
                common.flush(self.address, outgoing);
            }
            (true, None) => return Err("no session".to_owned()),
        }
        Ok(())
    }

    /// The answer did not come in time: says it again, or gives up.
    pub(crate) fn repeat(&mut self, common: &mut Common, outgoing: &mut Outgoing<'_>) -> Step {
        let Some(running) = self.running.as_mut() else { return Step::Nothing };
        running.repetitions += 1;
        if running.repetitions > REPETITIONS_MAX {
            self.running = None;
            return Step::Failed("timeout".to_owned());
        }
        if running.is_acknowledged {
            return Step::Nothing;
        }
        let result = match (running.operation, self.session.as_mut()) {
            (Operation::Handshake | Operation::Resume, Some(session)) => {
                let now_ms = common.now_ms();
                let repeated = session.handle_timeout(now_ms, &mut common.records);
                common.flush(self.address, outgoing);
                repeated.map_err(|error| error.to_string())
            }
            _ => self.protect(common, outgoing),
        };
        match result {
            Ok(()) => Step::Repeated,
            Err(kind) => self.failed(kind),
        }
    }

    /// One datagram from the server.
    pub(crate) fn receive(&mut self, datagram: &[u8], common: &mut Common, outgoing: &mut Outgoing<'_>) -> Step {
        let Some(credential) = &common.credential else {
            return self.take(datagram, common, outgoing);
        };
        let now_ms = common.now_ms();
        let mut trust = Trust { anchors: credential.anchors(), unix_s: common.unix_s };
        let Some(session) = self.session.as_mut() else { return Step::Stray };
        let mut plaintext = std::mem::take(&mut common.plaintext);
        let mut keep = |record: &[u8]| plaintext.push(record.to_vec());
        let progress = session.handle_datagram(now_ms, datagram, &mut trust, &mut keep, &mut common.records);
        common.flush(self.address, outgoing);
        let mut step = match progress {
            Ok(Progress::Established) => self.established(now_ms),
            Ok(Progress::Handshaking | Progress::Data) => Step::Nothing,
            Ok(Progress::Closed) => self.lost("the server closed the session"),
            Err(error) if error.is_harmless() => Step::Nothing,
            Err(error) => self.lost(&error.to_string()),
        };
        for record in plaintext.drain(..) {
            let taken = self.take(&record, common, outgoing);
            if step == Step::Nothing {
                step = taken;
            }
        }
        common.plaintext = plaintext;
        step
    }

    fn lost(&mut self, why: &str) -> Step {
        self.session = None;
        if self.is_running() { self.failed(why.to_owned()) } else { Step::Stray }
    }

    fn failed(&mut self, kind: String) -> Step {
        self.running = None;
        Step::Failed(kind)
    }

    /// One CoAP message from the server.
    fn take(&mut self, bytes: &[u8], common: &mut Common, outgoing: &mut Outgoing<'_>) -> Step {
        let Ok(message) = Message::parse(bytes) else { return Step::Stray };
        if message.code.is_request() {
            self.serve(&message, common, outgoing);
            return Step::Nothing;
        }
        let Some(running) = self.running.as_mut() else { return Step::Stray };
        let has_our_id = message.id == running.id;
        match message.kind {
            Kind::Reset if has_our_id => return self.failed("reset".to_owned()),
            Kind::Acknowledgement if has_our_id && message.code.is_empty() => {
                if running.operation != Operation::Notify {
                    running.is_acknowledged = true;
                    return Step::Nothing;
                }
            }
            Kind::Acknowledgement if has_our_id && message.token == running.token => {}
            Kind::Confirmable if running.is_acknowledged && message.token == running.token => {
                self.say(&Message::acknowledgement(message.id), common, outgoing);
            }
            _ => return Step::Stray,
        }
        self.judge(&message)
    }

    /// Whether the answer to what runs is the right one.
    fn judge(&mut self, message: &Message<'_>) -> Step {
        let Some(running) = self.running.take() else { return Step::Stray };
        let expected = match running.operation {
            // A handshake is not answered by a message.
            Operation::Handshake | Operation::Resume => return Step::Stray,
            Operation::Register => Code::CREATED,
            Operation::Update | Operation::Send => Code::CHANGED,
            Operation::Notify => Code::EMPTY,
            Operation::Deregister => Code::DELETED,
        };
        if message.code != expected {
            return Step::Failed(message.code.to_string());
        }
        match running.operation {
            Operation::Register => match message.location().nth(1) {
                Some(location) => self.location = Some(location.into()),
                None => return Step::Failed("2.01 without a location".to_owned()),
            },
            Operation::Deregister => (self.location, self.observed) = (None, None),
            _ => {}
        }
        Step::Done(running.due)
    }

    /// The server asks: whatever it reads is there, and what it observes is remembered.
    fn serve(&mut self, request: &Message<'_>, common: &mut Common, outgoing: &mut Outgoing<'_>) {
        let mut answer = Vec::with_capacity(64);
        let order = request.observe().filter(|_| request.code == Code::GET).and_then(|observe| match observe {
            0 => {
                self.observed = Some(request.token);
                Some(self.sequence)
            }
            _ => {
                self.observed = None;
                None
            }
        });
        message::content(&mut answer, request, order);
        self.say(&answer, common, outgoing);
    }

    fn say(&mut self, message: &[u8], common: &mut Common, outgoing: &mut Outgoing<'_>) {
        match self.session.as_mut() {
            Some(session) => {
                // A session that cannot send is over; the operation that runs will tell.
                let _ = session.send(message, &mut common.records);
                common.flush(self.address, outgoing);
            }
            None => outgoing.push(Some(self.address), common.server, |out| out.extend_from_slice(message)),
        }
    }
}
