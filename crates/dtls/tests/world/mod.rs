//! A device and a gateway in one room: two queues of datagrams and a clock of its own.

// Every test file uses its own part of this. A broken arrangement should stop the test where it broke.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;

use dtls::{
    Client, ClientOptions, ConnectionId, Hello, Keys, OwnCertificate, Progress, Server, ServerOptions, Session,
    SessionError, Suite, Ticket, Trust, TrustAnchors, is_client_hello,
};
use serde::Deserialize;
use zeroize::Zeroizing;

pub const IDENTITY: &[u8] = b"urn:shoal:camera-1";
pub const KEY: &[u8] = b"sixteen byte key";
pub const HOME: &[u8] = b"192.0.2.1:5684";
pub const CID: ConnectionId = ConnectionId([0, 1, 2, 10, 11, 12, 13, 14]);

/// More than any handshake in these tests can take, so that a loop that does not end fails.
const STEPS_MAX: usize = 1_000;

pub fn key(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

/// The gateway knows one device.
pub struct OneKey;

impl Keys for OneKey {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        (identity == IDENTITY).then(|| key(KEY))
    }
}

/// The gateway knows one device by its key, and trusts some authorities.
pub struct OneKeyAndTrust<'a> {
    pub key: &'static [u8],
    pub trust: Trust<'a>,
}

impl Keys for OneKeyAndTrust<'_> {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        (identity == IDENTITY).then(|| key(self.key))
    }

    fn trust(&self) -> Trust<'_> {
        self.trust
    }
}

#[derive(Deserialize)]
struct CertificateVector {
    name: String,
    chain: Vec<String>,
    key: String,
}

/// A certificate of `vectors/dtls/certificates.json`.
pub fn certificate(name: &str) -> OwnCertificate {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/dtls/certificates.json");
    let all: Vec<CertificateVector> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let found = all.into_iter().find(|vector| vector.name == name);
    let found = found.unwrap_or_else(|| panic!("no certificate {name:?}"));
    OwnCertificate { chain: found.chain.iter().map(|der| unhex(der)).collect(), key: key(&unhex(&found.key)) }
}

/// The authorities of these names.
pub fn anchors(names: &[&str]) -> TrustAnchors {
    let mut anchors = TrustAnchors::new();
    for name in names {
        anchors.put(&certificate(name).chain[0]).unwrap();
    }
    anchors
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The first second of a year, near enough.
pub fn year(year: i64) -> i64 {
    (year - 1970) * 31_556_952
}

/// One end of the session and what became of it.
pub struct End {
    pub session: Session,
    pub heard: Vec<Vec<u8>>,
    pub established: usize,
    pub closed: bool,
    pub failed: Option<SessionError>,
}

impl End {
    fn new(session: Session) -> Self {
        Self { session, heard: Vec::new(), established: 0, closed: false, failed: None }
    }

    /// Feeds a datagram; returns what is to be sent.
    pub fn take(&mut self, now_ms: u64, datagram: &[u8], keys: &mut dyn Keys) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let heard = &mut self.heard;
        match self.session.handle_datagram(now_ms, datagram, keys, &mut |data| heard.push(data.to_vec()), &mut out) {
            Ok(Progress::Established) => self.established += 1,
            Ok(Progress::Closed) => self.closed = true,
            Ok(Progress::Handshaking | Progress::Data) => {}
            Err(error) => self.failed = Some(error),
        }
        out
    }

    /// Sends data; returns its one datagram.
    pub fn say(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.session.send(data, &mut out).expect("established");
        assert_eq!(out.len(), 1);
        out.remove(0)
    }

    fn tick(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if self.failed.is_none()
            && let Err(error) = self.session.handle_timeout(now_ms, &mut out)
        {
            self.failed = Some(error);
        }
        out
    }
}

/// What the network does with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Deliver,
    Lose,
    Twice,
    /// Behind everything else that is under way in this direction.
    Late,
}

pub struct World {
    pub now_ms: u64,
    pub server: Server,
    pub device: End,
    pub gateway: Option<End>,
    pub toward_gateway: VecDeque<Vec<u8>>,
    pub toward_device: VecDeque<Vec<u8>>,
    /// Every datagram so far, in the order of sending, with whether the device sent it.
    pub seen: Vec<(bool, Vec<u8>)>,
    /// Whom the gateway trusts to know devices.
    pub trusted: TrustAnchors,
    /// Whom the device trusts to know servers.
    pub trusted_by_device: TrustAnchors,
    /// The time of day at both ends.
    pub unix_s: i64,
    /// The key of the device as the gateway knows it.
    pub key: &'static [u8],
}

impl World {
    /// A device that has just sent its first hello.
    pub fn new(client: &ClientOptions) -> Self {
        Self::with(IDENTITY, KEY, client, &ServerOptions::default())
    }

    pub fn with(identity: &[u8], secret: &[u8], client: &ClientOptions, server: &ServerOptions) -> Self {
        let client = Client::new(identity, &key(secret), client).unwrap();
        Self::of(&client, Server::new(server).unwrap(), TrustAnchors::new())
    }

    /// A device and a server with certificates; the server trusts the authorities of these names.
    pub fn with_certificates(device: &str, trusted: &[&str], client: &ClientOptions, server: &ServerOptions) -> Self {
        let client = Client::with_certificate(&certificate(device), Some("lwm2m.example"), client).unwrap();
        let mut server = Server::new(server).unwrap();
        server.set_certificate(Some(&certificate("server"))).unwrap();
        Self::of(&client, server, anchors(trusted))
    }

    pub fn of(client: &Client, server: Server, trusted: TrustAnchors) -> Self {
        let mut out = Vec::new();
        let mut world = Self {
            now_ms: 1_000_000,
            server,
            device: End::new(client.connect(1_000_000, &mut out).unwrap()),
            gateway: None,
            toward_gateway: VecDeque::new(),
            toward_device: VecDeque::new(),
            seen: Vec::new(),
            trusted,
            trusted_by_device: anchors(&["anchor of servers"]),
            unix_s: year(2031),
            key: KEY,
        };
        world.post(true, out);
        world
    }

    /// The device begins anew and goes on from an earlier session; the gateway has forgotten that one.
    pub fn come_back(&mut self, client: &Client, ticket: &Ticket) {
        self.come_back_over(client, ticket, &mut |_| Fate::Deliver);
    }

    /// The same over a network with whims.
    pub fn come_back_over(&mut self, client: &Client, ticket: &Ticket, fate: &mut dyn FnMut(usize) -> Fate) {
        let trust = Trust { anchors: &self.trusted_by_device, unix_s: self.unix_s };
        let mut out = Vec::new();
        self.device = End::new(client.resume(self.now_ms, ticket, &trust, &mut out).unwrap());
        self.gateway = None;
        self.seen.clear();
        self.post(true, out);
        self.run(fate);
    }

    /// A world after its handshake.
    pub fn established(client: &ClientOptions) -> Self {
        let mut world = Self::new(client);
        world.run(&mut |_| Fate::Deliver);
        assert!(world.is_established(), "{:?}", world.failures());
        world
    }

    /// Runs until nothing is under way and nobody waits. `fate` is asked about the n-th datagram.
    pub fn run(&mut self, fate: &mut dyn FnMut(usize) -> Fate) {
        let mut number = 0;
        for _ in 0..STEPS_MAX {
            if self.deliver_next(&mut number, fate) {
                continue;
            }
            let Some(next_ms) = self.next_timeout() else { return };
            self.now_ms = self.now_ms.max(next_ms);
            let from_device = self.device.tick(self.now_ms);
            self.post(true, from_device);
            let from_gateway = self.gateway.as_mut().map(|end| end.tick(self.now_ms)).unwrap_or_default();
            self.post(false, from_gateway);
        }
        panic!("a handshake that does not end");
    }

    fn deliver_next(&mut self, number: &mut usize, fate: &mut dyn FnMut(usize) -> Fate) -> bool {
        let device_speaks = !self.toward_gateway.is_empty();
        let queue = if device_speaks { &mut self.toward_gateway } else { &mut self.toward_device };
        let Some(datagram) = queue.pop_front() else { return false };
        let chosen = fate(*number);
        *number += 1;
        match chosen {
            Fate::Lose => {}
            Fate::Late if !queue.is_empty() => queue.push_back(datagram),
            Fate::Deliver | Fate::Late => self.deliver(device_speaks, &datagram),
            Fate::Twice => {
                self.deliver(device_speaks, &datagram);
                self.deliver(device_speaks, &datagram);
            }
        }
        true
    }

    fn deliver(&mut self, device_speaks: bool, datagram: &[u8]) {
        if device_speaks {
            self.deliver_to_gateway(HOME, datagram);
        } else {
            self.deliver_to_device(datagram);
        }
    }

    /// What the real gateway does with a datagram: hellos that do not belong to the session at hand need a cookie.
    pub fn deliver_to_gateway(&mut self, peer: &[u8], datagram: &[u8]) {
        if is_client_hello(datagram) && !self.gateway.as_ref().is_some_and(|end| end.session.began_with(datagram)) {
            let mut answer = Vec::new();
            match self.server.handle_hello(self.now_ms, peer, datagram, &mut answer) {
                Hello::SendCookie => return self.post(false, vec![answer]),
                Hello::Verified => {
                    let session = self.server.accept(self.now_ms, CID.0).unwrap();
                    self.gateway = Some(End::new(session));
                }
                // Later fragments of a hello follow the first to its session.
                Hello::Drop(_) => {}
            }
        }
        let Some(gateway) = self.gateway.as_mut() else { return };
        let trust = Trust { anchors: &self.trusted, unix_s: self.unix_s };
        let mut keys = OneKeyAndTrust { key: self.key, trust };
        let out = gateway.take(self.now_ms, datagram, &mut keys);
        self.post(false, out);
    }

    pub fn deliver_to_device(&mut self, datagram: &[u8]) {
        let mut trust = Trust { anchors: &self.trusted_by_device, unix_s: self.unix_s };
        let out = self.device.take(self.now_ms, datagram, &mut trust);
        self.post(true, out);
    }

    fn post(&mut self, device_speaks: bool, datagrams: Vec<Vec<u8>>) {
        let queue = if device_speaks { &mut self.toward_gateway } else { &mut self.toward_device };
        for datagram in datagrams {
            self.seen.push((device_speaks, datagram.clone()));
            queue.push_back(datagram);
        }
    }

    fn next_timeout(&self) -> Option<u64> {
        let gateway = self.gateway.as_ref().filter(|end| end.failed.is_none());
        let device = Some(&self.device).filter(|end| end.failed.is_none());
        [gateway, device].into_iter().flatten().filter_map(|end| end.session.poll_timeout()).min()
    }

    pub fn failures(&self) -> Vec<SessionError> {
        let gateway = self.gateway.as_ref().and_then(|end| end.failed.clone());
        self.device.failed.clone().into_iter().chain(gateway).collect()
    }

    pub fn gateway(&mut self) -> &mut End {
        self.gateway.as_mut().expect("the cookie was verified")
    }

    pub fn is_established(&self) -> bool {
        self.device.session.is_established()
            && self.gateway.as_ref().is_some_and(|end| end.session.is_established())
            && self.device.failed.is_none()
    }

    /// Data goes both ways, and each end hears exactly that.
    pub fn assert_talks(&mut self) {
        assert!(self.is_established(), "{:?}", self.failures());
        self.device.heard.clear();
        self.gateway().heard.clear();
        let up = self.device.say(b"reading");
        self.deliver_to_gateway(HOME, &up);
        let down = self.gateway().say(b"request");
        self.deliver_to_device(&down);
        assert_eq!(self.gateway().heard, [b"reading"]);
        assert_eq!(self.device.heard, [b"request"]);
    }
}

/// The suites with a pre-shared key, with and without connection ids, and with one for the device too.
pub fn all_options() -> Vec<ClientOptions> {
    let mut all = Vec::new();
    for suite in Suite::ALL.into_iter().filter(|suite| !suite.has_certificates()) {
        for cid in [None, Some(Vec::new()), Some(b"device".to_vec())] {
            all.push(ClientOptions { suites: vec![suite], cid, ..ClientOptions::default() });
        }
    }
    all
}

/// Small numbers for a network's whims, the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        // Marsaglia's xorshift; a seed of 0 would stay 0.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
