//! One device, as its owner sees it. How it registers, renews and comes back is in `registration.rs`, how it serves its
//! tree in `serve.rs`.
//!
//! After any `handle_*` or order, see to [`Device::poll_connection`], drain [`Device::poll_transmit`] and
//! [`Device::poll_event`], then call [`Device::handle_timeout`] no earlier than [`Device::poll_timeout`] says. Extra calls do no harm.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use coap::{Answers, Code, Handled, Message, Request, Requests, Responses, Transmission, blockwise};
use lwm2m::{Attributes, Definitions, Path, Value, Version};

use crate::bootstrap::Bootstrap;
use crate::command::{Config, Readings};
use crate::download::{Begun, Download};
use crate::event::Event;
use crate::held::{Guard, Held};
use crate::registration::{Kept, Told};
use crate::relation::Relation;
use crate::transport::{Arrived, Transport, milliseconds};
use crate::tree::Tree;

/// Orders that wait for a registration. A device that reports every 5 s fills this after five minutes without a server;
/// then the oldest readings are worth less than memory.
pub const ORDERS_WAITING_MAX: usize = 64;

/// The least step of time that is told apart: what ends at an instant still holds in it.
const TICK: Duration = Duration::from_millis(1);

/// What a request of ours was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ticket {
    Register,
    /// A Bootstrap-Request, and one for all at once.
    Bootstrap,
    Pack,
    Update(Option<u64>),
    Deregister(Option<u64>),
    /// A goodbye for so long, because the server disabled itself.
    Disable(Duration),
    Send(u64),
    /// In the owner's words.
    Request(u64),
    Block,
}

impl Ticket {
    /// The owner's number of the order that the request belongs to.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Update(number) | Self::Deregister(number) => *number,
            Self::Send(number) | Self::Request(number) => Some(*number),
            Self::Register | Self::Bootstrap | Self::Pack | Self::Disable(_) | Self::Block => None,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Phase {
    Off,
    Waiting {
        until: Instant,
    },
    Connecting,
    Registering,
    /// The bootstrap server has its turn.
    Bootstrapping {
        silent_at: Instant,
    },
    Registered {
        location: String,
        renew_at: Option<Instant>,
    },
}

/// RFC 8428 §4.5.3: an earlier time would be read as one relative to now.
pub(crate) fn is_writable_time(unix_s: f64) -> bool {
    (268_435_456.0..f64::INFINITY).contains(&unix_s)
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
    /// What the next session can go on from.
    pub(crate) resumption: Option<dtls::Ticket>,
    /// Which connection it wants, if any: see [`Device::poll_connection`].
    pub(crate) connection: Option<u64>,
    pub(crate) kept: Option<Kept>,
    /// Of one that can be bootstrapped.
    pub(crate) bootstrap: Option<Box<Bootstrap>>,
    /// The server does not want to be connected to before.
    pub(crate) hold_off_until: Instant,
    pub(crate) transmits: VecDeque<Vec<u8>>,
    pub(crate) download: Option<Download>,
    pub(crate) waiting: VecDeque<(u64, Readings)>,
    pub(crate) guards: Vec<Guard>,
    pub(crate) held: Vec<Held>,
    pub(crate) questions: u64,
    /// The wall clock, as it was at an instant.
    pub(crate) wall: Option<(Instant, f64)>,
    /// What it speaks with this server: its own version, or an older one that the server knows.
    pub(crate) version: Version,
    pub(crate) failures: u32,
    pub(crate) starts: u64,
    pub(crate) origin: Instant,
    pub(crate) is_update_due: bool,
    pub(crate) is_disable_due: bool,
    /// What the server was told last: an Update repeats nothing of it.
    pub(crate) told: Told,
    spoke_at: Instant,
    /// In queue mode: the owner was told that it listens; and wants it to stop doing so before its time.
    is_told_awake: bool,
    is_put_to_sleep: bool,
}

impl Device {
    /// A device that is switched off. `now` is where its own clock begins.
    pub fn new(config: Config, definitions: &Definitions, now: Instant) -> Self {
        let requests = Requests::new(Transmission::default(), config.seed);
        let told = Told { lifetime_s: config.lifetime_s, objects: [0; 8] };
        let version = config.version;
        let bootstrap = config.bootstraps.then(|| Box::new(Bootstrap::new()));
        Self {
            config,
            bootstrap,
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
            resumption: None,
            connection: None,
            kept: None,
            hold_off_until: now,
            transmits: VecDeque::new(),
            download: None,
            waiting: VecDeque::new(),
            guards: Vec::new(),
            held: Vec::new(),
            questions: 0,
            wall: None,
            version,
            failures: 0,
            starts: 0,
            origin: now,
            is_update_due: false,
            is_disable_due: false,
            told,
            spoke_at: now,
            is_told_awake: false,
            is_put_to_sleep: false,
        }
    }

    /// Switches it on: it connects and registers, now and again until it is told otherwise.
    pub fn power_on(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Off) {
            self.failures = 0;
            self.version = self.config.version;
            self.connect_after(now, self.delay());
        }
    }

    /// Says what the time is, in Unix seconds. Without it, and with a clock that was never set, nothing can be kept for later
    /// (`hqmax`), and no certificate of a server is taken.
    pub fn set_wall_clock(&mut self, now: Instant, unix_s: f64) {
        self.wall = is_writable_time(unix_s).then_some((now, unix_s));
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
        self.note_lifetime(&path);
        // Core 1.1 §6.2.2: an Update tells the server of objects that came or went.
        self.is_update_due |= self.tree.instances().len() != instances && self.is_registered();
        true
    }

    /// Takes away what is at or beneath a path; observers and the server are told.
    pub fn remove(&mut self, now: Instant, path: &Path) {
        if self.tree.remove(path) {
            self.attributes.retain(|there, _| !path.contains(there));
            self.note_instances(now, path);
        }
    }

    /// From now on this object is there, also while it has no instance: a server may make some.
    pub fn declare(&mut self, object: u16) {
        self.is_update_due |= self.tree.declare(object) && self.is_registered();
    }

    /// Puts attributes back that a server had set before a restart (`Event::AttributesSet`). False when they make no sense.
    pub fn set_attributes_again(&mut self, path: Path, queries: &[&[u8]]) -> bool {
        let mut attributes = Attributes::default();
        let is_sound = attributes.apply(queries).is_ok() && !path.is_root();
        if is_sound && !attributes.is_empty() {
            self.attributes.insert(path, attributes);
        }
        is_sound
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

    /// Sends readings (Core 1.1 §6.4.6); `Done` follows. Waits for the registration.
    pub fn send(&mut self, now: Instant, number: u64, readings: impl Into<Readings>) {
        if self.waiting.len() >= ORDERS_WAITING_MAX
            && let Some((oldest, _)) = self.waiting.pop_front()
        {
            self.events.push_back(Event::failed(oldest, "too many readings wait for a registration"));
        }
        self.waiting.push_back((number, readings.into()));
        self.wake(now);
        self.send_waiting(now);
    }

    /// In queue mode: stops listening now, before the awake window is over.
    pub fn sleep(&mut self) {
        self.is_put_to_sleep = self.config.queue_mode;
    }

    /// Renews the registration now.
    pub fn update(&mut self, now: Instant, number: Option<u64>) {
        if self.say_later(now, Ticket::Update(number)) {
            return;
        }
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
        if self.say_later(now, Ticket::Deregister(number)) {
            return;
        }
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
        let times = (milliseconds(self.origin, now), self.unix_s(now));
        let Some(transport) = &mut self.transport else { return };
        let mut out = Vec::new();
        let arrived = transport.receive(times, datagram, &mut out);
        self.transmits.extend(out);
        match arrived {
            Arrived::Messages(messages) => self.handle_messages(now, messages),
            Arrived::Established(messages) => {
                self.keep_ticket(now);
                self.begin(now);
                self.handle_messages(now, messages);
            }
            Arrived::Over(detail) => self.come_back_later(now, None, detail),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Phase::Waiting { until } = self.phase
            && until <= now
        {
            self.connect(now);
        }
        if let Some(transport) = &mut self.transport {
            let mut out = Vec::new();
            let result = transport.handle_timeout(self.origin, now, &mut out);
            self.transmits.extend(out);
            match result {
                Err(detail) if self.connection.is_some() => self.lose_connection(now, &detail),
                Err(detail) => self.come_back_later(now, None, detail),
                Ok(()) => {}
            }
        }
        if let Phase::Registered { renew_at, .. } = &mut self.phase
            && (self.is_update_due || renew_at.is_some_and(|at| at <= now))
        {
            self.is_update_due = false;
            *renew_at = None;
            self.update(now, None);
        }
        if std::mem::take(&mut self.is_disable_due) {
            self.disable(now);
        }
        self.settle_bootstrap(now);
        self.handle_held(now);
        self.notify(now);
        let mut out: Vec<Vec<u8>> = Vec::new();
        self.requests.handle_timeout(now, &mut out);
        self.responses.handle_timeout(now, &mut out);
        self.answers.handle_timeout(now);
        self.uploads.handle_timeout(now);
        self.transmit(now, out);
        self.settle(now);
        if self.is_told_awake && self.is_asleep(now) {
            self.is_told_awake = false;
            self.events.push_back(Event::Asleep);
        }
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
            _ if self.bootstrap.as_ref().is_some_and(|bootstrap| bootstrap.is_due()) => Some(self.spoke_at),
            Phase::Bootstrapping { silent_at } => Some(*silent_at),
            Phase::Waiting { until } => Some(*until),
            Phase::Connecting | Phase::Registering => None,
            Phase::Registered { .. } if self.is_update_due || self.is_disable_due => Some(self.spoke_at),
            Phase::Registered { renew_at, .. } => *renew_at,
        };
        let transport = self.transport.as_ref().and_then(|transport| transport.poll_timeout(self.origin));
        let held = self.held.iter().map(Held::due).min();
        let purge = self.bootstrap.as_ref().and_then(|bootstrap| bootstrap.purge_at);
        let requests = self.requests.poll_timeout();
        let responses = self.responses.poll_timeout();
        [phase, transport, requests, responses, held, purge, self.observations_due(), self.sleep_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the owner has to be told that it stopped listening.
    fn sleep_due(&self) -> Option<Instant> {
        let is_busy = !self.is_registered() || !self.is_idle();
        if !self.is_told_awake || is_busy {
            return None;
        }
        Some(if self.is_put_to_sleep { self.spoke_at } else { self.spoke_at + self.config.awake_window + TICK })
    }

    /// Whether nothing keeps it awake: no answer that it waits for, and none that it owes.
    fn is_idle(&self) -> bool {
        self.requests.is_idle() && self.responses.is_idle() && self.held.is_empty()
    }

    /// In queue mode it listens only for a while after it spoke, and while it waits for an answer or for the
    /// acknowledgement of a notification (Transport 1.1 §6.5).
    pub(crate) fn is_asleep(&self, now: Instant) -> bool {
        self.config.queue_mode
            && self.is_registered()
            && self.is_idle()
            && (self.is_put_to_sleep || now > self.spoke_at + self.config.awake_window)
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
        if messages.is_empty() {
            return;
        }
        let mut out = Vec::new();
        for message in messages {
            transport.send(&message, &mut out);
        }
        self.transmits.extend(out);
        (self.spoke_at, self.is_put_to_sleep) = (now, false);
        if self.config.queue_mode && !std::mem::replace(&mut self.is_told_awake, true) {
            self.events.push_back(Event::Awake);
        }
    }

    fn handle_messages(&mut self, now: Instant, messages: Vec<Vec<u8>>) {
        for datagram in messages {
            match Message::parse(&datagram) {
                Ok(message) => self.handle_message(now, &message),
                Err(_) => {
                    self.transmit(now, Message::rejection(&datagram).map(|reset| reset.to_vec()).into_iter().collect())
                }
            }
        }
    }

    pub(crate) fn handle_message(&mut self, now: Instant, message: &Message<'_>) {
        let mut out: Vec<Vec<u8>> = Vec::new();
        if self.requests.handle(now, message, &mut out) == Handled::NotOurs
            && self.responses.handle(message) == Handled::NotOurs
        {
            self.serve(now, message, &mut out);
        }
        self.transmit(now, out);
        self.settle(now);
    }

    /// Takes what became of requests and of notifications.
    fn settle(&mut self, now: Instant) {
        while let Some((token, delivery)) = self.responses.poll_outcome() {
            self.handle_delivery(now, token, delivery);
        }
        while let Some((ticket, outcome)) = self.requests.poll_outcome() {
            self.handle_outcome(now, ticket, outcome);
        }
        self.send_waiting(now);
    }
}
