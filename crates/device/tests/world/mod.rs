//! A device and its server in one room, on a clock of their own: a server that knows no more than it is told.

// Every test file uses its own part of this. A broken arrangement should stop the test where it broke, and every story
// begins at some instant.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod server;

use std::time::{Duration, Instant};

use coap::{Code, MessageBuilder};
use device::{Config, Credential, Device, Event, Path, Value, definitions};

pub use server::{Heard, Server};

pub const IDENTITY: &[u8] = b"oxy-0417";
pub const KEY: &[u8] = b"sixteen byte key";

/// More than anything in these stories takes at one moment, so that a machine that is due for ever fails.
const STEPS_MAX: usize = 5_000;

pub struct World {
    pub now: Instant,
    pub start: Instant,
    pub device: Device,
    pub server: Server,
    pub events: Vec<Event>,
    /// The next so many datagrams of the device, or to it, are lost.
    pub lose_up: usize,
    pub lose_down: usize,
    /// Nothing gets through either way.
    pub is_cut: bool,
    /// Datagrams of the device so far, lost or not.
    pub datagrams_up: usize,
}

pub fn config() -> Config {
    Config {
        endpoint: "oxy-0417".into(),
        server: "127.0.0.1:5683".parse().unwrap(),
        over_tcp: false,
        bootstraps: false,
        version: device::Version::V1_1,
        root: "/".into(),
        credential: None,
        lifetime_s: 300,
        queue_mode: false,
        awake_window: Duration::from_secs(93),
        queries: Vec::new(),
        enclosure: None,
        enclosure_option: None,
        seed: 7,
    }
}

pub fn secure() -> Config {
    let credential = Credential::Psk { identity: IDENTITY.to_vec(), key: KEY.to_vec().into() };
    Config { credential: Some(credential), ..config() }
}

pub fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl World {
    /// A device with a few objects, switched off.
    pub fn new(config: Config) -> Self {
        let start = Instant::now();
        let server = Server::new(start, config.credential.is_some());
        let lifetime = Value::Integer(i64::from(config.lifetime_s));
        let mut device = Device::new(config, definitions(), start);
        for (at, value) in [
            ("/1/0/0", Value::Integer(101)),
            ("/1/0/1", lifetime),
            ("/3/0/0", Value::String("Shoal".into())),
            ("/3/0/9", Value::Integer(87)),
            ("/3/0/11/0", Value::Integer(0)),
            ("/3/0/15", Value::String("Europe/Oslo".into())),
            ("/3303/0/5700", Value::Float(9.0)),
        ] {
            assert!(device.set(path(at), value));
        }
        Self {
            now: start,
            start,
            device,
            server,
            events: Vec::new(),
            lose_up: 0,
            lose_down: 0,
            is_cut: false,
            datagrams_up: 0,
        }
    }

    /// The same, registered.
    pub fn registered(config: Config) -> Self {
        let mut world = Self::new(config);
        world.device.power_on(world.now);
        world.settle();
        assert!(world.device.is_registered(), "{:?}", world.events);
        world.events.clear();
        world.server.heard.clear();
        world
    }

    /// Delivers until nothing is under way at this moment.
    pub fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("something is due for ever");
    }

    /// Delivers until this block was asked for.
    pub fn settle_until_block(&mut self, num: u32) {
        let is_asked = |server: &Server| {
            server.heard.last().is_some_and(|heard| heard.block2.is_some_and(|block| block.num == num))
        };
        while !is_asked(&self.server) {
            assert!(self.step(), "block {num} was never asked for");
        }
    }

    /// One thing that is due at this moment; false if there is none.
    pub fn step(&mut self) -> bool {
        while let Some(event) = self.device.poll_event() {
            self.events.push(event);
        }
        if let Some(datagram) = self.device.poll_transmit() {
            self.datagrams_up += 1;
            if !is_lost(self.is_cut, &mut self.lose_up) {
                self.server.take(self.now, &datagram);
            }
        } else if let Some(datagram) = self.server.outbox.pop_front() {
            if !is_lost(self.is_cut, &mut self.lose_down) {
                self.device.handle_datagram(self.now, &datagram);
            }
        } else if self.device.poll_timeout().is_some_and(|at| at <= self.now) {
            self.device.handle_timeout(self.now);
        } else if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
            self.server.handle_timeout(self.now);
        } else {
            return false;
        }
        true
    }

    /// Time goes by, and everything that is due happens when it is.
    pub fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        while let Some(next) = self.next_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    fn next_timeout(&self) -> Option<Instant> {
        [self.device.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min()
    }

    pub fn set(&mut self, at: &str, value: Value) {
        assert!(self.device.set(path(at), value));
        self.settle();
    }

    /// The server asks, and hears the answer at once.
    pub fn ask(&mut self, code: Code, at: &str) -> Heard {
        self.ask_with(code, at, |message| message)
    }

    pub fn ask_with(
        &mut self,
        code: Code,
        at: &str,
        finish: impl FnOnce(MessageBuilder<'_>) -> MessageBuilder<'_>,
    ) -> Heard {
        let id = self.send(code, at, finish);
        self.server.answer_to(id).unwrap_or_else(|| panic!("no answer to {code} {at}"))
    }

    /// The server asks; returns the message id.
    pub fn send(&mut self, code: Code, at: &str, finish: impl FnOnce(MessageBuilder<'_>) -> MessageBuilder<'_>) -> u16 {
        let id = self.server.ask(code, at, finish);
        self.settle();
        id
    }

    pub fn count(&self, matches: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| matches(event)).count()
    }

    /// What became of the order of this number.
    pub fn done(&self, number: u64) -> Option<(Option<Code>, String, Vec<u8>)> {
        self.events.iter().find_map(|event| match event {
            Event::Done { number: of, code, detail, data, .. } if *of == number => {
                Some((*code, detail.clone(), data.clone()))
            }
            _ => None,
        })
    }
}

fn is_lost(is_cut: bool, left: &mut usize) -> bool {
    if *left > 0 {
        *left -= 1;
        return true;
    }
    is_cut
}
