//! One device, as its owner sees it. How it registers, renews and comes back is in `registration.rs`, how it serves its
//! tree in `serve.rs`.
//!
//! After any `handle_*` or order, drain [`Device::poll_transmit`] and [`Device::poll_event`], then call
//! [`Device::handle_timeout`] no earlier than [`Device::poll_timeout`] says. Extra calls do no harm.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use coap::{Answers, Code, Delivery, Handled, Message, Request, Requests, Responses, Transmission, blockwise};
use lwm2m::{Attributes, Definitions, Path, Value};

use crate::command::Config;
use crate::download::{Begun, Download};
use crate::event::Event;
use crate::relation::Relation;
use crate::transport::{Arrived, Transport, milliseconds};
use crate::tree::Tree;

/// Orders that wait for a registration. A device that reports every 5 s fills this after five minutes without a server;
/// then the oldest readings are worth less than memory.
pub const ORDERS_WAITING_MAX: usize = 64;

/// What a request of ours was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ticket {
    Register,
    Update(Option<u64>),
    Deregister(Option<u64>),
    Send(u64),
    Block,
}

impl Ticket {
    /// The owner's number of the order that the request belongs to.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Update(number) | Self::Deregister(number) => *number,
            Self::Send(number) => Some(*number),
            Self::Register | Self::Block => None,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Phase {
    Off,
    Waiting { until: Instant },
    Connecting,
    Registering,
    Registered { location: String, renew_at: Option<Instant> },
}

/// An LwM2M client as a state machine.
pub struct Device {
    pub(crate) config: Config,
    pub(crate) definitions: Definitions,
    pub(crate) tree: Tree,
    pub(crate) attributes: BTreeMap<Path, Attributes>,
    pub(crate) relations: Vec<Relation>,
    pub(crate) requests: Requests<Ticket>,
    pub(crate) responses: Responses<coap::Token>,
    pub(crate) answers: Answers,
    pub(crate) uploads: blockwise::Uploads,
    pub(crate) events: VecDeque<Event>,
    pub(crate) phase: Phase,
    pub(crate) transport: Option<Transport>,
    pub(crate) transmits: VecDeque<Vec<u8>>,
    pub(crate) download: Option<Download>,
    pub(crate) waiting: VecDeque<(u64, Vec<Path>)>,
    pub(crate) failures: u32,
    pub(crate) starts: u64,
    pub(crate) origin: Instant,
    pub(crate) is_update_due: bool,
    /// What the server was told last: an Update repeats nothing of it.
    pub(crate) told: Told,
    spoke_at: Instant,
}

/// What a registration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub lifetime_s: u32,
    /// A digest of the object links.
    pub objects: [u8; 8],
}

impl Device {
    /// A device that is switched off. `now` is where its own clock begins.
    pub fn new(config: Config, definitions: &Definitions, now: Instant) -> Self {
        let requests = Requests::new(Transmission::default(), config.seed);
        let told = Told { lifetime_s: config.lifetime_s, objects: [0; 8] };
        Self {
            config,
            definitions: definitions.clone(),
            tree: Tree::default(),
            attributes: BTreeMap::new(),
            relations: Vec::new(),
            requests,
            responses: Responses::new(),
            answers: Answers::default(),
            uploads: blockwise::Uploads::new(),
            events: VecDeque::new(),
            phase: Phase::Off,
            transport: None,
            transmits: VecDeque::new(),
            download: None,
            waiting: VecDeque::new(),
            failures: 0,
            starts: 0,
            origin: now,
            is_update_due: false,
            told,
            spoke_at: now,
        }
    }

    /// Switches it on: it connects and registers, now and again until it is told otherwise.
    pub fn power_on(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Off) {
            self.failures = 0;
            self.connect(now);
        }
    }

    /// Falls silent without a word. Observations, downloads and whatever was on its way are gone.
    pub fn lose_power(&mut self) {
        self.drop_session("power lost");
        self.end_download(None, "power lost");
        self.phase = Phase::Off;
    }

    /// Sets a value; observers are told when the attributes say so. False when it cannot be stored.
    pub fn set(&mut self, path: Path, value: Value) -> bool {
        let instances = self.tree.instances().len();
        if !self.tree.set(path, value) {
            return self.tree.get(&path).is_some();
        }
        self.note_change(&path);
        // Core 1.1 §6.2.2: an Update tells the server of objects that came or went.
        self.is_update_due |= self.tree.instances().len() != instances && self.is_registered();
        true
    }

    /// The value at exactly this path.
    pub fn get(&self, path: &Path) -> Option<&Value> {
        self.tree.get(path)
    }

    /// Whether the server has accepted the registration.
    pub fn is_registered(&self) -> bool {
        matches!(self.phase, Phase::Registered { .. })
    }

    /// Says, from the next Update on, that it is in this enclosure; the Update follows at once.
    pub fn claim(&mut self, enclosure: Option<String>) {
        self.config.enclosure = enclosure;
        self.is_update_due |= self.is_registered();
    }

    /// Sends the values at these paths (Core 1.1 §6.4.6); `Done` follows. Waits for the registration.
    pub fn send(&mut self, now: Instant, number: u64, paths: Vec<Path>) {
        if self.waiting.len() >= ORDERS_WAITING_MAX
            && let Some((oldest, _)) = self.waiting.pop_front()
        {
            self.events.push_back(Event::failed(oldest, "too many readings wait for a registration"));
        }
        self.waiting.push_back((number, paths));
        self.send_waiting(now);
    }

    /// Renews the registration now.
    pub fn update(&mut self, now: Instant, number: Option<u64>) {
        match (&self.phase, number) {
            (Phase::Registered { location, .. }, _) => {
                let request = self.update_request(location.clone());
                self.ask(now, request, Ticket::Update(number));
            }
            (_, Some(number)) => self.events.push_back(Event::failed(number, "not registered")),
            (_, None) => {}
        }
    }

    /// Says goodbye and stays silent afterwards.
    pub fn deregister(&mut self, now: Instant, number: Option<u64>) {
        match (&self.phase, number) {
            (Phase::Registered { location, .. }, _) => {
                let request = Request::new(Code::DELETE, location.clone());
                self.ask(now, request, Ticket::Deregister(number));
            }
            (_, number) => {
                self.lose_power();
                self.events.extend(number.map(|number| Event::failed(number, "not registered")));
            }
        }
    }

    /// Fetches a file block by block from the server; `Progress` and `Done` follow. One at a time. It waits for the
    /// registration, and goes on where it was after a new one. `begun` is what an earlier fetch that broke off brought:
    /// it goes on there if the file is still the same.
    pub fn fetch(&mut self, now: Instant, number: u64, uri: &str, begun: Option<Begun>) {
        let refusal = match (&self.phase, &self.download) {
            (Phase::Off, _) => "switched off",
            (_, Some(_)) => "another download goes on",
            (_, None) => match Download::of_uri(number, uri) {
                Ok(download) => {
                    self.download = Some(download.from(begun));
                    return self.go_on_with_download(now);
                }
                Err(detail) => return self.events.push_back(Event::failed(number, &detail)),
            },
        };
        self.events.push_back(Event::failed(number, refusal));
    }

    /// Takes a datagram from the server.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if matches!(self.phase, Phase::Off | Phase::Waiting { .. }) || self.is_asleep(now) {
            return;
        }
        let now_ms = milliseconds(self.origin, now);
        let Some(transport) = &mut self.transport else { return };
        let mut out = Vec::new();
        let arrived = transport.receive(now_ms, datagram, &mut out);
        self.transmits.extend(out);
        match arrived {
            Arrived::Messages(messages) => self.handle_messages(now, messages),
            Arrived::Established(messages) => {
                self.register(now);
                self.handle_messages(now, messages);
            }
            Arrived::Over(detail) => self.come_back_later(now, None, detail),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now_ms = milliseconds(self.origin, now);
        if let Phase::Waiting { until } = self.phase
            && until <= now
        {
            self.connect(now);
        }
        if let Some(transport) = &mut self.transport {
            let mut out = Vec::new();
            let result = transport.handle_timeout(now_ms, &mut out);
            self.transmits.extend(out);
            if let Err(detail) = result {
                self.come_back_later(now, None, detail);
            }
        }
        if let Phase::Registered { renew_at, .. } = &mut self.phase
            && (self.is_update_due || renew_at.is_some_and(|at| at <= now))
        {
            self.is_update_due = false;
            *renew_at = None;
            self.update(now, None);
        }
        self.notify(now);
        let mut out: Vec<Vec<u8>> = Vec::new();
        self.requests.handle_timeout(now, &mut out);
        self.responses.handle_timeout(now, &mut out);
        self.answers.handle_timeout(now);
        self.uploads.handle_timeout(now);
        self.transmit(now, out);
        self.settle(now);
    }

    /// The next datagram for the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Device::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Off => return None,
            Phase::Waiting { until } => Some(*until),
            Phase::Connecting | Phase::Registering => None,
            Phase::Registered { .. } if self.is_update_due => Some(self.spoke_at),
            Phase::Registered { renew_at, .. } => *renew_at,
        };
        let transport = self.transport.as_ref().and_then(Transport::poll_timeout_ms);
        let transport = transport.map(|ms| self.origin + Duration::from_millis(ms));
        let notify = self.relations.iter().filter_map(|relation| relation.due(&self.attributes_of(&relation.path)));
        [phase, transport, self.requests.poll_timeout(), self.responses.poll_timeout()]
            .into_iter()
            .flatten()
            .chain(notify)
            .min()
    }

    /// In queue mode it listens only for a while after it spoke, and while it waits for an answer or for the
    /// acknowledgement of a notification (Core 1.1 §6.5).
    fn is_asleep(&self, now: Instant) -> bool {
        self.config.queue_mode
            && self.is_registered()
            && self.requests.is_idle()
            && self.responses.is_idle()
            && now > self.spoke_at + self.config.awake_window
    }

    pub(crate) fn ask(&mut self, now: Instant, request: Request, ticket: Ticket) {
        if self.requests.push(now, request, ticket.clone()).is_err() {
            return self.give_up(now, ticket, "too many requests wait");
        }
        let mut out: Vec<Vec<u8>> = Vec::new();
        self.requests.handle_timeout(now, &mut out);
        self.transmit(now, out);
    }

    pub(crate) fn transmit(&mut self, now: Instant, messages: Vec<Vec<u8>>) {
        let Some(transport) = &mut self.transport else { return };
        let mut out = Vec::new();
        for message in messages {
            self.spoke_at = now;
            transport.send(&message, &mut out);
        }
        self.transmits.extend(out);
    }

    fn handle_messages(&mut self, now: Instant, messages: Vec<Vec<u8>>) {
        for datagram in messages {
            let mut out: Vec<Vec<u8>> = Vec::new();
            match Message::parse(&datagram) {
                Ok(message) if self.requests.handle(now, &message, &mut out) == Handled::Consumed => {}
                Ok(message) if self.responses.handle(&message) == Handled::Consumed => {}
                Ok(message) => self.serve(now, &message, &mut out),
                Err(_) => out.extend(Message::rejection(&datagram).map(|reset| reset.to_vec())),
            }
            self.transmit(now, out);
            self.settle(now);
        }
    }

    /// Takes what became of requests and of notifications.
    fn settle(&mut self, now: Instant) {
        while let Some((token, delivery)) = self.responses.poll_outcome() {
            // RFC 7641 §3.6: a server that rejects a notification, or never acknowledges it, is no observer any more.
            match delivery {
                Delivery::Acknowledged => self
                    .relations
                    .iter_mut()
                    .filter(|relation| relation.token == token)
                    .for_each(Relation::note_acknowledged),
                Delivery::Reset | Delivery::TimedOut => self.relations.retain(|relation| relation.token != token),
            }
        }
        while let Some((ticket, outcome)) = self.requests.poll_outcome() {
            self.handle_outcome(now, ticket, outcome);
        }
        self.send_waiting(now);
    }
}
