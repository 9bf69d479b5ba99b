//! What a stranger on the network can do: send anything from anywhere, and repeat, change and join what it has seen.

// A broken arrangement should stop the run where it broke.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use device::{Config, Credential, Value};
use gateway::{Authority, DeviceEntry, OwnCertificate, Proof, Security, SocketNumber};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use serde_json::Value as Json;

use world::{CLEAR, SECURE, World, address, config, entry, path, secure_config, secure_entry};

#[path = "../../crates/gateway/tests/world/mod.rs"]
pub mod world;

/// Steps of one story. More find nothing new, and cost time.
const STEPS_MAX: usize = 32;

/// The longest story that the network tells: a minute, in which flights are repeated.
const WAIT_MS_MAX: u16 = 60_000;

/// One thing that happens.
#[derive(Debug, Arbitrary)]
pub enum Step {
    /// Bytes from nowhere.
    Send { from: Origin, is_clear: bool, datagram: Vec<u8> },
    /// A datagram that the device sent before, with some of its bytes changed, and cut.
    Repeat { which: u16, from: Origin, changes: Vec<(u16, u8)>, length: u16 },
    /// The head of one and the tail of another.
    Join { head: u16, tail: u16, at: u16, from: Origin },
    /// Time goes by.
    Wait { ms: u16 },
    /// The device itself has something to say.
    Report { value: u8 },
}

/// Where a datagram seems to come from.
#[derive(Debug, Arbitrary)]
pub enum Origin {
    /// The device's own address: anybody can write that.
    Device,
    /// Another one.
    Elsewhere { number: u8 },
}

impl Origin {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Device => address(1),
            Self::Elsewhere { number } => address(100 + number % 8),
        }
    }
}

/// A gateway that knows a device by its key, which is switched off.
pub fn with_key() -> World {
    let mut world = World::new(world::options());
    world.put(&secure_entry(1));
    world.add(secure_config(1));
    world
}

/// A gateway that knows a device by its certificate, which is switched off.
pub fn with_certificate() -> World {
    const ENDPOINT: &str = "urn:shoal:camera-1";
    let mut world = World::new(world::options());
    let security = Security::by("crd-1", Proof::Named { owner: "a".to_owned() });
    world.put(&DeviceEntry { endpoint: ENDPOINT.to_owned(), security, ..entry(1) });
    world.gateway.set_certificate(Some(&certificate("server"))).unwrap();
    let now = world.now();
    let trusted =
        [Authority { owner: "a".to_owned(), der: certificate("anchor").chain[0].clone(), context: String::new() }];
    let refused = world.gateway.put_authorities(now, &trusted);
    assert!(refused.is_empty());
    let credential = Credential::X509 {
        own: certificate("device"),
        authorities: vec![certificate("anchor of servers").chain[0].clone()],
        server_name: Some("lwm2m.example".to_owned()),
    };
    world.add(Config { credential: Some(credential), endpoint: ENDPOINT.to_owned(), ..config(1) });
    world.hosts[0].device.set_wall_clock(now.monotonic, now.unix_ms as f64 / 1_000.0);
    world
}

/// Lets the steps happen, one after the other.
pub fn play(world: &mut World, steps: Vec<Step>) {
    for step in steps.into_iter().take(STEPS_MAX) {
        match step {
            Step::Send { from, is_clear, datagram } => {
                inject(world, if is_clear { CLEAR } else { SECURE }, &from, &datagram);
            }
            Step::Repeat { which, from, changes, length } => {
                let Some((socket, mut datagram)) = seen(world, which) else { continue };
                for (at, change) in changes {
                    let at = usize::from(at) % datagram.len();
                    datagram[at] ^= change;
                }
                // Most are whole.
                datagram.truncate(if length % 4 == 0 { usize::from(length) } else { datagram.len() });
                inject(world, socket, &from, &datagram);
            }
            Step::Join { head, tail, at, from } => {
                let (Some((socket, head)), Some((_, tail))) = (seen(world, head), seen(world, tail)) else { continue };
                let (first, rest) = (usize::from(at) % head.len(), usize::from(at) % tail.len());
                inject(world, socket, &from, &[&head[..first], &tail[rest..]].concat());
            }
            Step::Wait { ms } => world.run(Duration::from_millis((ms % WAIT_MS_MAX).into())),
            Step::Report { value } => {
                world.set(0, "/3303/0/5700", Value::Float(value.into()));
                let now = world.now().monotonic;
                world.hosts[0].device.send(now, u64::from(value), vec![path("/3303/0/5700")]);
                world.settle();
            }
        }
    }
}

/// The ids of those who are registered.
pub fn registrations(world: &World) -> Vec<String> {
    let states = world.gateway.registrations(world.now(), "", 10);
    states.into_iter().map(|state| state.registration).collect()
}

/// Nothing that is sent to an address which proved nothing is longer than what came from there.
fn inject(world: &mut World, socket: SocketNumber, from: &Origin, datagram: &[u8]) {
    let address = from.address();
    world.inbox.remove(&address);
    world.inject(socket, address, datagram);
    let answered: usize = world.inbox.get(&address).map_or(0, |answers| answers.iter().map(Vec::len).sum());
    // RFC 6347 §4.2.1: a HelloVerifyRequest (60 bytes at most) answers a hello that is shorter only by its extensions.
    assert!(answered <= datagram.len().max(60), "{answered} bytes answer {}", datagram.len());
}

fn seen(world: &World, which: u16) -> Option<(SocketNumber, Vec<u8>)> {
    let count = world.uplinks.len();
    let (socket, _, datagram) = world.uplinks.get(usize::from(which) % count.max(1))?;
    (!datagram.is_empty()).then(|| (*socket, datagram.clone()))
}

/// A certificate of `vectors/dtls/certificates.json`.
fn certificate(name: &str) -> OwnCertificate {
    let all: Vec<Json> = serde_json::from_str(include_str!("../../vectors/dtls/certificates.json")).unwrap();
    let found = all.iter().find(|vector| vector["name"] == name).unwrap();
    let chain = found["chain"].as_array().unwrap().iter().map(unhex).collect();
    OwnCertificate { chain, key: unhex(&found["key"]).into() }
}

fn unhex(text: &Json) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
