//! Many devices that shake hands at once.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use device::Value;
use dtls::{Client, ClientOptions, NoKeys, Session, Tls, TlsClient, TlsClientOptions};
use gateway::ConnectionNumber;
use world::{BEGIN_UNIX_MS, KEY, SECURE, TLS, World, address, options, path, secure_config, secure_entry, tls_config};

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
fn as_long_as_nobody_waits_everybody_is_let_in() {
    let mut world = World::new(options());
    world.gateway.put_device(world.now(), &secure_entry(1)).unwrap();
    world.gateway.set_more_waits(false);

    for number in 0..2_000 {
        Newcomer::new(&mut world, SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 1_000 + number)));
    }

    assert_eq!((count(&world, "handshakes"), count(&world, "handshakes_waiting")), (2_000, 0));
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

/// The same over a connection, whose world has everybody else in it, too.
struct Caller {
    number: ConnectionNumber,
    tls: Tls,
}

impl Caller {
    /// Nothing if it was refused.
    fn new(world: &mut World, client: &TlsClient, from: SocketAddr) -> Option<Self> {
        let number = world.connect_to(TLS, from)?;
        let mut hello = Vec::new();
        let caller = Self { number, tls: client.connect(0, &mut hello).unwrap() };
        let now = world.now();
        world.gateway.handle_bytes(now, number, &hello);
        Some(caller)
    }

    /// Takes what came and answers it. All of them are one device, of which the newest is left: the others are shown out.
    fn go_on(&mut self, world: &mut World) {
        if self.tls.is_established() {
            return;
        }
        let came = world.streams.remove(&self.number).unwrap_or_default();
        let mut out = Vec::new();
        self.tls.handle_bytes(0, &came, &mut NoKeys, &mut |_| {}, &mut out).unwrap();
        if !out.is_empty() {
            let now = world.now();
            world.gateway.handle_bytes(now, self.number, &out);
        }
    }
}

fn caller() -> TlsClient {
    TlsClient::new(b"id1", &KEY.to_vec().into(), &TlsClientOptions::default()).unwrap()
}

/// From the next network each.
fn network(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 5_000))
}

#[test]
fn a_storm_over_connections_takes_turns_and_nobody_is_turned_away() {
    let mut world = World::new(options());
    world.gateway.put_device(world.now(), &secure_entry(1)).unwrap();
    // Somebody is in already.
    world.gateway.put_device(world.now(), &secure_entry(2)).unwrap();
    world.add(secure_config(1));
    world.add(tls_config(2));
    world.power_on(1);
    world.run(Duration::from_secs(2));
    assert!(world.hosts[1].device.is_registered());
    let before = count(&world, "handshakes");
    let client = caller();

    let mut callers: Vec<Caller> =
        (0..1_000).map(|number| Caller::new(&mut world, &client, network(number)).unwrap()).collect();

    // All at one moment: 105 ms of work are taken on, at 350 microseconds of half a processor each; the others wait.
    let is_answered = |world: &World, caller: &Caller| world.streams.contains_key(&caller.number);
    world.settle();
    assert_eq!(callers.iter().filter(|caller| is_answered(&world, caller)).count(), 151);
    assert_eq!(count(&world, "connections_opening"), 1_000);

    let mut took = Duration::ZERO;
    let turn = Duration::from_millis(10);
    while !callers.iter().all(|caller| caller.tls.is_established()) {
        assert!(took < Duration::from_secs(2), "{}", callers.iter().filter(|it| !it.tls.is_established()).count());
        let done = count(&world, "handshakes");
        callers.iter_mut().for_each(|caller| caller.go_on(&mut world));
        world.set(1, "/3303/0/5700", Value::Float(took.as_secs_f64()));
        let now = world.now().monotonic;
        world.hosts[1].device.send(now, 1, vec![path("/3303/0/5700")]);
        world.run(turn);
        took += turn;
        // What may be overdrawn, and never more in one go.
        let in_turn = count(&world, "handshakes") - done;
        assert!(in_turn <= 151, "{in_turn} in one turn");
    }
    assert_eq!((count(&world, "handshakes") - before, count(&world, "handshakes_failed")), (1_000, 0));
    // All but those of the first turns.
    let waited = count(&world, "handshakes_waiting");
    assert!((700..850).contains(&waited), "{waited}");
    assert_eq!((count(&world, "connections_refused"), count(&world, "connections_opening")), (0, 0));
    // Whoever was in was heard in every turn.
    assert_eq!(world.readings("send").len() as u128, took.as_millis() / turn.as_millis());
}

#[test]
fn hellos_that_wait_are_taken_in_the_order_in_which_they_connected_and_leave_nothing_behind() {
    let mut world = World::new(options());
    world.gateway.put_device(world.now(), &secure_entry(1)).unwrap();
    let client = caller();
    let callers: Vec<Caller> =
        (0..400).map(|number| Caller::new(&mut world, &client, network(number)).unwrap()).collect();
    world.settle();
    let waiting = |world: &World| -> Vec<u64> {
        let waiting = callers.iter().filter(|caller| !world.streams.contains_key(&caller.number));
        waiting.map(|caller| caller.number).collect()
    };
    let first = waiting(&world);
    assert_eq!(first, callers[151..].iter().map(|caller| caller.number).collect::<Vec<_>>());

    world.run(Duration::from_millis(50));
    let second = waiting(&world);
    assert!(second.len() < first.len() && first.ends_with(&second), "{} of {}", second.len(), first.len());

    // Whoever waits may hang up, or talk too much.
    let bytes = count(&world, "connections_bytes");
    world.close(second[0]);
    assert!(count(&world, "connections_bytes") < bytes);
    let now = world.now();
    world.gateway.handle_bytes(now, second[1], &[22; 5_000]);
    world.settle();
    assert_eq!(world.ended, [second[1]]);
    world.run(Duration::from_millis(500));
    assert_eq!(waiting(&world), second[..2]);
    world.run(Duration::from_secs(100));
    assert_eq!((count(&world, "connections_opening"), count(&world, "connections_bytes")), (0, 0));
}

#[test]
fn one_address_takes_neither_all_turns_nor_all_places_of_the_others() {
    let mut world = World::new(options());
    world.gateway.put_device(world.now(), &secure_entry(1)).unwrap();
    let client = caller();
    let from_one = SocketAddr::from(([10, 9, 0, 1], 5_000));
    let of_one: Vec<Caller> = (0..300).filter_map(|_| Caller::new(&mut world, &client, from_one)).collect();

    assert_eq!((of_one.len(), count(&world, "half_open_full_network")), (256, 44));
    assert_eq!(count(&world, "connections_refused"), 44);
    // Its own share: 400 ms of work at an eighth.
    world.settle();
    let answered = of_one.iter().filter(|caller| world.streams.contains_key(&caller.number)).count();
    assert_eq!(answered, 143);
    // Whoever else comes does not wait behind those, but for the next turn at most.
    world.run(Duration::from_secs(1));
    assert!(count(&world, "handshakes_waiting_network") > 100);
    let more: Vec<Caller> = (0..300).filter_map(|_| Caller::new(&mut world, &client, from_one)).collect();
    assert_eq!(more.len(), 0, "none of the first went on");
    let other = Caller::new(&mut world, &client, address(9)).unwrap();
    world.run(Duration::from_millis(10));
    assert!(world.streams.contains_key(&other.number));
}
