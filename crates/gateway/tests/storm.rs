//! Many devices that shake hands at once.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use dtls::{Client, ClientOptions, NoKeys, Session};
use world::{BEGIN_UNIX_MS, KEY, SECURE, World, options, secure_entry};

/// A device that shakes hands and does nothing else.
struct Newcomer {
    address: SocketAddr,
    session: Session,
}

impl Newcomer {
    fn new(world: &mut World, address: SocketAddr) -> Self {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&address.port().to_be_bytes());
        let options = ClientOptions { seed, ..ClientOptions::default() };
        let client = Client::new(b"id1", &KEY.to_vec().into(), &options).unwrap();
        let mut out = Vec::new();
        let session = client.connect(now_ms(world), &mut out).unwrap();
        let mut newcomer = Self { address, session };
        newcomer.send(world, &out);
        newcomer
    }

    /// Sends what it has to say, until nobody has anything to say to the other any more.
    fn send(&mut self, world: &mut World, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            world.gateway.handle_datagram(world.now(), SECURE, self.address, datagram);
        }
        let mut out = Vec::new();
        let sent: Vec<Vec<u8>> = world
            .gateway
            .outbox()
            .iter()
            .filter(|(_, to, _)| *to == self.address)
            .map(|sent| sent.2.to_vec())
            .collect();
        world.gateway.outbox().clear();
        for datagram in sent {
            let _ = self.session.handle_datagram(now_ms(world), &datagram, &mut NoKeys, &mut |_| {}, &mut out);
        }
        if !out.is_empty() {
            self.send(world, &out);
        }
    }

    /// Repeats what was not answered.
    fn tick(&mut self, world: &mut World) {
        let mut out = Vec::new();
        self.session.handle_timeout(now_ms(world), &mut out).unwrap();
        self.send(world, &out);
    }
}

/// The devices' clock.
fn now_ms(world: &World) -> u64 {
    world.now().unix_ms - BEGIN_UNIX_MS
}

fn count(world: &World, name: &str) -> u64 {
    world.gateway.stats().into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn a_storm_is_let_in_bit_by_bit_and_nobody_is_turned_away() {
    let mut world = World::new(options());
    world.gateway.put_device(world.now(), &secure_entry(1)).unwrap();
    let address = |number: u16| SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 1_000 + number));

    let mut newcomers: Vec<Newcomer> = (0..2_000).map(|number| Newcomer::new(&mut world, address(number))).collect();

    // All at one moment: 100 ms of work are taken on, at 50 microseconds of half a processor each.
    assert_eq!(count(&world, "handshakes"), 1_001);
    assert_eq!(count(&world, "handshakes_waiting"), 999);
    for _ in 0..40 {
        world.run(Duration::from_millis(250));
        newcomers
            .iter_mut()
            .filter(|newcomer| !newcomer.session.is_established())
            .for_each(|newcomer| newcomer.tick(&mut world));
    }
    assert!(newcomers.iter().all(|newcomer| newcomer.session.is_established()));
    assert_eq!((count(&world, "handshakes"), count(&world, "handshakes_failed")), (2_000, 0));
    assert_eq!(count(&world, "half_open"), 0);
}

#[test]
fn one_address_gets_its_share_and_no_more() {
    let mut world = World::new(options());
    world.gateway.put_device(world.now(), &secure_entry(1)).unwrap();
    let from_one = |number: u16| SocketAddr::from(([10, 0, 0, 1], number));

    for number in 1..=10_000 {
        world.run(Duration::from_micros(100));
        Newcomer::new(&mut world, from_one(number));
    }

    // An eighth of a second's processor, and what had been saved before.
    let in_a_second = (Duration::from_secs(1) + Duration::from_millis(400)).as_micros() / 8 / 50;
    let handshakes = count(&world, "handshakes");
    assert!(handshakes.abs_diff(in_a_second as u64) < 20, "{handshakes}");
    assert_eq!(count(&world, "handshakes_waiting_network"), 10_000 - handshakes);
}
