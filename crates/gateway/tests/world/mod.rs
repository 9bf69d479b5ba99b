//! A gateway, its devices, a log and a network in one room, on a clock of its own.

// Every test file uses its own part of this. A broken arrangement should stop the test where it broke.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coap::message::{Kind, Message, Token};
use coap::stream::{Decoder, frame};
use coap::{Code, MessageBuilder};
use device::{Config, Credential, Device, Event, Value};
use gateway::{
    Answer, CheckpointBatch, ConnectionNumber, Definitions, DeviceEntry, Files, Gateway, GatewayOptions, Handover, Now,
    Operation, Outcome, Page, Path, Pieces, Proof, Request, Security, SocketNumber, Way,
};
use serde_json::Value as Json;
use zeroize::Zeroizing;

pub const CLEAR: SocketNumber = 0;
pub const SECURE: SocketNumber = 1;
/// Where hosts connect, in the clear and under TLS.
pub const TCP: SocketNumber = 2;
pub const TLS: SocketNumber = 3;
pub const KEY: &[u8] = b"sixteen byte key";
pub const CONTEXT: &str = r#""tenant":"t1","farm":"f1","enclosure":"e1","endpoint":"urn:dev:1""#;
pub const BEGIN_UNIX_MS: u64 = 1_764_000_000_000;
pub const LIFETIME_S: u32 = 300;

/// More steps than any story needs, so that one that does not end fails.
const STEPS_MAX: usize = 200_000;

/// What the log does with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    Commits,
    Refuses,
    Hangs,
}

/// The bytes of every file: a counter, so that a block in the wrong place shows.
pub struct Shelf;

impl Files for Shelf {
    fn read(&mut self, path: &str, offset: u64, buffer: &mut [u8]) -> bool {
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = ((offset + at as u64) / 251) as u8;
        }
        path != "broken"
    }

    fn pieces(&self, path: &str) -> Option<Arc<dyn Pieces>> {
        Some(Arc::new(Piece(path.to_owned())))
    }
}

struct Piece(String);

impl Pieces for Piece {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        Shelf.read(&self.0, offset, buffer)
    }
}

pub struct Host {
    pub device: Device,
    pub address: SocketAddr,
    pub socket: SocketNumber,
    pub is_reachable: bool,
    /// Which connection it wanted, and what that is called here.
    pub line: Option<(u64, ConnectionNumber)>,
    pub events: Vec<Event>,
}

pub struct World {
    pub gateway: Gateway,
    /// Another gateway, which the balancer sends every datagram to while there is one.
    pub front: Option<Gateway>,
    pub log: Log,
    pub hosts: Vec<Host>,
    pub answers: Vec<Answer>,
    /// Lines in the log, parsed; and as they were.
    pub events: Vec<Json>,
    pub lines: Vec<String>,
    pub pages_hanging: Vec<Page>,
    /// What is kept for the next start, by device, and what the store does with more.
    pub checkpoints: BTreeMap<String, Vec<u8>>,
    pub store: Log,
    pub batches_hanging: Vec<CheckpointBatch>,
    /// What came to addresses where no device is.
    pub inbox: HashMap<SocketAddr, Vec<Vec<u8>>>,
    /// Every datagram that a device sent.
    pub uplinks: Vec<(SocketNumber, SocketAddr, Vec<u8>)>,
    /// What came over connections that are no device's, and which of all were closed.
    pub streams: HashMap<ConnectionNumber, Vec<u8>>,
    pub ended: Vec<ConnectionNumber>,
    pub connections_made: u64,
    pub downlinks: usize,
    /// What we send is lost from then on.
    pub downlinks_max: usize,
    begin: Instant,
    elapsed: Duration,
}

pub fn options() -> GatewayOptions {
    let secure_sockets = vec![false, true, false, true];
    let boot = "00c0ffee".to_owned();
    GatewayOptions { boot, seed: [7; 32], partitions: 4, secure_sockets, ..GatewayOptions::default() }
}

pub fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 5_000 + u16::from(number)))
}

/// An entry for a device without a credential.
pub fn entry(number: u8) -> DeviceEntry {
    DeviceEntry {
        context: CONTEXT.replace("urn:dev:1", &format!("urn:dev:{number}")),
        awake_window: Duration::from_secs(20),
        ..DeviceEntry::new(&format!("d{number}"), &format!("urn:dev:{number}"), Security::None)
    }
}

pub fn secure_entry(number: u8) -> DeviceEntry {
    let identity = format!("id{number}").into_bytes();
    let proof = Proof::Psk { identity, key: Zeroizing::new(KEY.to_vec()) };
    DeviceEntry { security: Security::by(&format!("crd-{number}"), proof), ..entry(number) }
}

pub fn config(number: u8) -> Config {
    Config {
        endpoint: format!("urn:dev:{number}"),
        server: SocketAddr::from(([192, 0, 2, 200], 5683)),
        over_tcp: false,
        bootstraps: false,
        version: device::Version::V1_1,
        root: "/".into(),
        credential: None,
        lifetime_s: LIFETIME_S,
        queue_mode: false,
        awake_window: Duration::from_secs(20),
        queries: Vec::new(),
        enclosure: None,
        enclosure_option: None,
        seed: 1_000 + u64::from(number),
    }
}

pub fn tcp_config(number: u8) -> Config {
    Config { over_tcp: true, ..config(number) }
}

pub fn secure_config(number: u8) -> Config {
    let credential =
        Credential::Psk { identity: format!("id{number}").into_bytes(), key: Zeroizing::new(KEY.to_vec()) };
    Config { credential: Some(credential), ..config(number) }
}

/// Over TLS.
pub fn tls_config(number: u8) -> Config {
    Config { over_tcp: true, ..secure_config(number) }
}

pub fn request(id: u64, operation: Operation, at: &str) -> Request {
    Request {
        id,
        device: "d1".to_owned(),
        operation,
        path: path(at),
        body: None,
        expires_in: Duration::from_secs(3_600),
        wait_for_wake: true,
    }
}

/// The nodes of the two gateways, where there are two.
pub const BACK_NODE: u16 = 0;
pub const FRONT_NODE: u16 = 7;

/// What a gateway has for others; the rest of its outbox stays.
fn taken(gateway: &mut Gateway) -> Vec<(Handover<'static>, Vec<u8>)> {
    let copy = |handover: Handover<'_>| (Handover { datagram: &[], ..handover }, handover.datagram.to_vec());
    gateway.outbox().handovers().map(copy).collect()
}

impl World {
    pub fn new(options: GatewayOptions) -> Self {
        let begin = Instant::now();
        let now = Now { monotonic: begin, unix_ms: BEGIN_UNIX_MS };
        let definitions = Arc::new(Definitions::embedded().clone());
        let gateway = Gateway::new(now, options, definitions, Box::new(Shelf)).unwrap();
        Self {
            gateway,
            front: None,
            log: Log::Commits,
            hosts: Vec::new(),
            answers: Vec::new(),
            events: Vec::new(),
            lines: Vec::new(),
            pages_hanging: Vec::new(),
            checkpoints: BTreeMap::new(),
            store: Log::Commits,
            batches_hanging: Vec::new(),
            inbox: HashMap::new(),
            uplinks: Vec::new(),
            streams: HashMap::new(),
            ended: Vec::new(),
            connections_made: 0,
            downlinks: 0,
            downlinks_max: usize::MAX,
            begin,
            elapsed: Duration::ZERO,
        }
    }

    pub fn now(&self) -> Now {
        Now { monotonic: self.begin + self.elapsed, unix_ms: BEGIN_UNIX_MS + self.elapsed.as_millis() as u64 }
    }

    /// Adds a device that is switched off, with the usual values.
    pub fn add(&mut self, config: Config) -> usize {
        let number = self.hosts.len() as u8 + 1;
        let socket = match (config.over_tcp, &config.credential) {
            (true, None) => TCP,
            (true, Some(_)) => TLS,
            (false, Some(_)) => SECURE,
            (false, None) => CLEAR,
        };
        let mut device = Device::new(config, device::definitions(), self.now().monotonic);
        for (at, value) in [
            ("/3/0/0", Value::String("Testers".to_owned())),
            ("/3/0/9", Value::Integer(87)),
            ("/3/0/15", Value::String("Europe/Oslo".to_owned())),
            ("/3303/0/5700", Value::Float(9.5)),
            ("/3303/0/5701", Value::String("Cel".to_owned())),
            ("/3303/1/5700", Value::Float(10.5)),
            ("/26241/0/0", Value::String("e1".to_owned())),
        ] {
            device.set(path(at), value);
        }
        let address = address(number);
        self.hosts.push(Host { device, address, socket, is_reachable: true, line: None, events: Vec::new() });
        self.hosts.len() - 1
    }

    /// One device, known and registered.
    pub fn with_registered(options: GatewayOptions, entry: &DeviceEntry, config: Config) -> Self {
        let mut world = Self::new(options);
        world.put(entry);
        world.add(config);
        world.power_on(0);
        world.run(Duration::from_secs(1));
        assert!(world.hosts[0].device.is_registered(), "{:?}", world.hosts[0].events);
        world
    }

    pub fn put(&mut self, entry: &DeviceEntry) {
        let now = self.now();
        self.gateway.put_device(now, entry).unwrap();
        self.settle();
    }

    pub fn power_on(&mut self, host: usize) {
        let now = self.now().monotonic;
        self.hosts[host].device.power_on(now);
        self.settle();
    }

    pub fn update(&mut self, host: usize) {
        let now = self.now().monotonic;
        self.hosts[host].device.update(now, None);
        self.settle();
    }

    pub fn set(&mut self, host: usize, at: &str, value: Value) {
        self.hosts[host].device.set(path(at), value);
        self.settle();
    }

    pub fn submit(&mut self, request: Request) {
        let now = self.now();
        self.gateway.submit(now, request);
        self.settle();
    }

    pub fn cancel(&mut self, id: u64) {
        let now = self.now();
        self.gateway.cancel(now, id);
        self.settle();
    }

    /// Asks and returns the final answer, which must come within ten seconds.
    pub fn ask(&mut self, request: Request) -> Answer {
        let id = request.id;
        self.submit(request);
        self.run(Duration::from_secs(10));
        let outcomes = self.outcomes(id);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome != Outcome::Sent).count(), 1, "{outcomes:?}");
        self.answers.iter().rfind(|answer| answer.id == id).unwrap().clone()
    }

    pub fn ask_with(&mut self, id: u64, operation: Operation, at: &str, body: &str) -> Answer {
        let body = Some(serde_json::from_str(body).unwrap());
        self.ask(Request { body, ..request(id, operation, at) })
    }

    pub fn outcomes(&self, id: u64) -> Vec<Outcome> {
        self.answers.iter().filter(|answer| answer.id == id).map(|answer| answer.outcome).collect()
    }

    /// A datagram from anywhere.
    pub fn inject(&mut self, socket: SocketNumber, from: SocketAddr, datagram: &[u8]) {
        let now = self.now();
        self.gateway.handle_datagram(now, socket, from, datagram);
        self.settle();
    }

    /// A request in the clear from an address of our own; what it was answered at once, if anything.
    pub fn say(&mut self, from: SocketAddr, message: MessageBuilder<'_>) -> Option<Vec<u8>> {
        self.inbox.remove(&from);
        self.inject(CLEAR, from, &message.to_bytes());
        self.run(Duration::from_millis(10));
        self.inbox.get(&from).and_then(|datagrams| datagrams.first().cloned())
    }

    /// Lets time pass; everything that becomes due happens when it is due.
    pub fn run(&mut self, duration: Duration) {
        let end = self.elapsed + duration;
        for _ in 0..STEPS_MAX {
            self.settle();
            let due = self.hosts.iter().filter_map(|host| host.device.poll_timeout());
            let due = due.fold(self.gateway.poll_timeout(), Instant::min);
            let due = due.saturating_duration_since(self.begin).max(self.elapsed);
            if due > end {
                self.elapsed = end;
                self.settle();
                return;
            }
            self.elapsed = due;
            let now = self.now();
            self.gateway.handle_timeout(now);
            for host in &mut self.hosts {
                if host.device.poll_timeout().is_some_and(|due| due <= now.monotonic) {
                    host.device.handle_timeout(now.monotonic);
                }
            }
        }
        panic!("the story does not end");
    }

    /// Delivers everything that is under way, at this very moment.
    pub fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            let mut is_quiet = true;
            while let Some(page) = self.gateway.poll_page() {
                is_quiet = false;
                self.take_page(page);
            }
            let now = self.now();
            while let Some(batch) = self.gateway.poll_checkpoints(now) {
                is_quiet = false;
                self.take_checkpoints(batch);
            }
            self.answers.extend(std::iter::from_fn(|| self.gateway.poll_answer()));
            is_quiet &= !self.hand_over();
            let front = self.front.as_mut().map_or(Vec::new(), |front| {
                let sent =
                    front.outbox().iter().map(|(socket, to, datagram)| (socket, to, datagram.to_vec())).collect();
                front.outbox().clear();
                sent
            });
            let mut sent: Vec<(SocketNumber, SocketAddr, Vec<u8>)> =
                self.gateway.outbox().iter().map(|(socket, to, datagram)| (socket, to, datagram.to_vec())).collect();
            sent.extend(front);
            let pieces: Vec<(ConnectionNumber, Vec<u8>)> =
                self.gateway.outbox().pieces().map(|(number, bytes)| (number, bytes.to_vec())).collect();
            let ended = self.gateway.outbox().ended().to_vec();
            self.gateway.outbox().clear();
            is_quiet &= pieces.is_empty() && ended.is_empty();
            self.carry(pieces, ended);
            let now = self.now();
            for (socket, to, datagram) in sent {
                is_quiet = false;
                self.downlinks += 1;
                if self.downlinks > self.downlinks_max {
                    continue;
                }
                match self.hosts.iter_mut().find(|host| host.address == to && host.socket == socket) {
                    Some(host) if host.is_reachable => host.device.handle_datagram(now.monotonic, &datagram),
                    Some(_) => {}
                    None => self.inbox.entry(to).or_default().push(datagram),
                }
            }
            is_quiet &= !self.settle_connections();
            for host in &mut self.hosts {
                while let Some(datagram) = host.device.poll_transmit() {
                    is_quiet = false;
                    if let Some((_, number)) = host.line {
                        self.gateway.handle_bytes(now, number, &datagram);
                    } else if host.is_reachable && !matches!(host.socket, TCP | TLS) {
                        self.uplinks.push((host.socket, host.address, datagram.clone()));
                        let gateway = self.front.as_mut().unwrap_or(&mut self.gateway);
                        gateway.handle_datagram(now, host.socket, host.address, &datagram);
                    }
                }
                while let Some(event) = host.device.poll_event() {
                    host.events.push(event);
                }
            }
            if is_quiet {
                return;
            }
        }
        panic!("the room does not come to rest");
    }

    /// Carries what the two gateways have for each other, before their outboxes are emptied; true if there was anything.
    fn hand_over(&mut self) -> bool {
        let now = self.now();
        let Some(front) = &mut self.front else { return false };
        let up = taken(front);
        for (handover, datagram) in &up {
            assert_eq!((handover.way, handover.node), (Way::Up, BACK_NODE));
            let handover = Handover { node: FRONT_NODE, datagram, ..*handover };
            self.gateway.handle_handover(now, handover);
        }
        let down = taken(&mut self.gateway);
        for (handover, datagram) in &down {
            assert_eq!((handover.way, handover.node), (Way::Down, FRONT_NODE));
            front.handle_handover(now, Handover { node: BACK_NODE, datagram, ..*handover });
        }
        !up.is_empty() || !down.is_empty()
    }

    /// What the gateway said over connections; then those that it ended.
    fn carry(&mut self, pieces: Vec<(ConnectionNumber, Vec<u8>)>, ended: Vec<ConnectionNumber>) {
        let now = self.now().monotonic;
        let of = |host: &&mut Host, number| host.line.is_some_and(|(_, line)| line == number);
        for (number, bytes) in pieces {
            match self.hosts.iter_mut().find(|host| of(host, number)) {
                Some(host) => host.device.handle_bytes(now, &bytes),
                None => self.streams.entry(number).or_default().extend(bytes),
            }
        }
        for number in ended {
            self.ended.push(number);
            if let Some(host) = self.hosts.iter_mut().find(|host| of(host, number)) {
                host.line = None;
                host.device.handle_closed(now, "the server closed the connection");
            }
        }
    }

    /// Makes and closes connections as the devices want; true if there was anything to do.
    fn settle_connections(&mut self) -> bool {
        let (now, mut has_changed) = (self.now(), false);
        for host in &mut self.hosts {
            let wanted = host.device.poll_connection();
            if host.line.map(|(wanted, _)| wanted) == wanted {
                continue;
            }
            has_changed = true;
            if let Some((_, number)) = host.line.take() {
                while let Some(bytes) = host.device.poll_transmit() {
                    self.gateway.handle_bytes(now, number, &bytes);
                }
                self.gateway.handle_closed(now, number);
            }
            let Some(wanted) = wanted else { continue };
            self.connections_made += 1;
            let number = self.connections_made;
            if host.is_reachable && self.gateway.handle_connected(now, number, host.socket, host.address) {
                host.line = Some((wanted, number));
                host.device.handle_connected(now.monotonic);
            } else {
                host.device.handle_closed(now.monotonic, "nobody is there");
            }
        }
        has_changed
    }

    /// The cable is pulled: both sides hear of it.
    pub fn cut(&mut self, host: usize) {
        let now = self.now();
        if let Some((_, number)) = self.hosts[host].line.take() {
            self.gateway.handle_closed(now, number);
            self.hosts[host].device.handle_closed(now.monotonic, "cut");
        }
        self.settle();
    }

    /// A connection that is no device's; nothing if it was refused.
    pub fn connect(&mut self, from: SocketAddr) -> Option<ConnectionNumber> {
        self.connect_to(TCP, from)
    }

    pub fn connect_to(&mut self, socket: SocketNumber, from: SocketAddr) -> Option<ConnectionNumber> {
        let now = self.now();
        self.connections_made += 1;
        let number = self.connections_made;
        let is_in = self.gateway.handle_connected(now, number, socket, from);
        self.settle();
        is_in.then_some(number)
    }

    /// Bytes over a connection that is no device's.
    pub fn write(&mut self, number: ConnectionNumber, bytes: &[u8]) {
        let now = self.now();
        self.gateway.handle_bytes(now, number, bytes);
        self.run(Duration::from_millis(10));
    }

    pub fn close(&mut self, number: ConnectionNumber) {
        let now = self.now();
        self.gateway.handle_closed(now, number);
        self.settle();
    }

    /// The frames that came over a connection since the last call.
    pub fn frames(&mut self, number: ConnectionNumber) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::new(usize::MAX);
        decoder.push(&self.streams.remove(&number).unwrap_or_default());
        std::iter::from_fn(|| decoder.next_frame().unwrap().map(<[u8]>::to_vec)).collect()
    }

    /// Their codes.
    pub fn codes(&mut self, number: ConnectionNumber) -> Vec<Code> {
        self.frames(number).iter().map(|bytes| Message::parse_frame(bytes).unwrap().code).collect()
    }

    fn take_page(&mut self, page: Page) {
        let now = self.now();
        match self.log {
            Log::Hangs => self.pages_hanging.push(page),
            Log::Refuses => self.gateway.handle_refused(now, page.number),
            Log::Commits => self.commit(page),
        }
    }

    fn commit(&mut self, page: Page) {
        let mut bytes = 0;
        for (key, line) in page.lines() {
            bytes += line.len();
            let line = std::str::from_utf8(line).unwrap();
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
            let event: Json = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if let Some(device) = event.get("device") {
                assert_eq!(device.as_str(), Some(key));
            }
            self.events.push(event);
            self.lines.push(line.to_owned());
        }
        assert_eq!(bytes, page.body.len());
        let now = self.now();
        self.gateway.handle_committed(now, page.number);
    }

    fn take_checkpoints(&mut self, batch: CheckpointBatch) {
        let now = self.now();
        match self.store {
            Log::Hangs => self.batches_hanging.push(batch),
            Log::Refuses => self.gateway.handle_checkpointed(now, batch.number, false),
            Log::Commits => {
                batch.gone.iter().for_each(|device| drop(self.checkpoints.remove(&**device)));
                self.checkpoints
                    .extend(batch.kept.iter().map(|(device, _, bytes)| (device.to_string(), bytes.to_vec())));
                self.gateway.handle_checkpointed(now, batch.number, true);
            }
        }
    }

    /// The log goes on after it hung.
    pub fn commit_hanging(&mut self) {
        self.log = Log::Commits;
        for page in std::mem::take(&mut self.pages_hanging) {
            self.commit(page);
        }
        self.settle();
    }

    pub fn events_of(&self, kind: &str) -> Vec<&Json> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    pub fn stat(&self, name: &str) -> u64 {
        self.gateway.stats().into_iter().find(|(other, _)| *other == name).unwrap().1
    }

    /// The readings that travelled in this way, as `path=value`.
    pub fn readings(&self, via: &str) -> Vec<String> {
        let events = self.events_of("readings").into_iter().filter(|event| event["via"] == via);
        let readings = events.flat_map(|event| event["readings"].as_array().unwrap().clone());
        readings.map(|reading| format!("{}={}", reading["path"].as_str().unwrap(), reading["value"])).collect()
    }

    /// How it stands with the observation of each path.
    pub fn observation_states(&self) -> BTreeMap<Path, String> {
        let states = self.events_of("observation").into_iter();
        states
            .map(|event| (path(event["path"].as_str().unwrap()), event["state"].as_str().unwrap().to_owned()))
            .collect()
    }

    /// How observations fared, path by path in the order of the paths; each path's own in the order of time.
    pub fn observations_by_path(&self) -> Vec<String> {
        let path_of = |told: &String| told.split(' ').next().map(path);
        let mut told = self.observations();
        told.sort_by_key(path_of);
        told
    }

    pub fn observations(&self) -> Vec<String> {
        let events = self.events_of("observation").into_iter();
        events
            .map(|event| format!("{} {}", event["path"].as_str().unwrap(), event["state"].as_str().unwrap()))
            .collect()
    }
}

/// A Register in the clear.
pub fn register<'a>(id: u16, endpoint: &str) -> MessageBuilder<'a> {
    [format!("ep={endpoint}"), "lt=300".to_owned(), "lwm2m=1.1".to_owned(), "b=U".to_owned()]
        .into_iter()
        .fold(message(Code::POST, id).path("/rd"), |message, query| {
            message.option(coap::option::URI_QUERY, query.into_bytes())
        })
        .content_format(coap::content_format::LINK_FORMAT)
        .payload(b"</3/0>,</3303/0>".to_vec())
}

pub fn message<'a>(code: Code, id: u16) -> MessageBuilder<'a> {
    MessageBuilder::new(Kind::Confirmable, code, id, Token::new(&id.to_be_bytes()).unwrap())
}

/// Frames of messages, one after another.
pub fn framed(messages: &[MessageBuilder<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| frame(&message.to_bytes(), &mut bytes));
    bytes
}

/// A signal with one option, if any.
pub fn signal<'a>(code: Code, option: Option<u16>) -> MessageBuilder<'a> {
    let signal = MessageBuilder::new(Kind::Reliable, code, 0, Token::new(b"s").unwrap());
    option.into_iter().fold(signal, |signal, number| signal.option(number, &[][..]))
}

/// The code of a datagram.
pub fn code_of(datagram: Option<&[u8]>) -> Option<Code> {
    datagram.map(|datagram| Message::parse(datagram).unwrap().code)
}

/// `/rd/<id>` of a 2.01.
pub fn location_of(datagram: &[u8]) -> String {
    let message = Message::parse(datagram).unwrap();
    assert_eq!(message.code, Code::CREATED);
    message.location().map(|segment| format!("/{}", std::str::from_utf8(segment).unwrap())).collect()
}
