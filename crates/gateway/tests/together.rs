//! Datagrams that come together are taken as if they came one by one, whoever sent them.
#![allow(clippy::unwrap_used)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use coap::Code;
use coap::content_format::SENML_JSON;
use gateway::SocketNumber;
use world::*;

/// More than look ahead together.
const DEVICES: u8 = 90;

fn send(number: u8, id: u16) -> Vec<u8> {
    let payload = format!(r#"[{{"n":"/3303/0/5700","v":{number}.5}}]"#).into_bytes();
    message(Code::POST, id).path("/dp").content_format(SENML_JSON).payload(payload).to_bytes()
}

/// A world in which everybody is registered from an address of its own.
fn everybody() -> World {
    let mut world = World::new(options());
    for number in 1..=DEVICES {
        world.put(&entry(number));
        world.say(address(number), register(1, &format!("urn:dev:{number}")));
    }
    world.inbox.clear();
    world
}

/// What came out of a world.
#[derive(Debug, PartialEq)]
struct Outcome {
    answers: Vec<(SocketAddr, Vec<Vec<u8>>)>,
    lines: Vec<String>,
    counted: Vec<(&'static str, u64)>,
}

impl Outcome {
    fn of(mut world: World) -> Self {
        world.run(Duration::from_secs(1));
        let mut answers: Vec<_> = world.inbox.into_iter().collect();
        answers.sort_unstable();
        Self { answers, lines: world.lines, counted: world.gateway.stats() }
    }
}

fn together(world: &mut World, socket: SocketNumber, datagrams: &[(SocketAddr, Vec<u8>)]) {
    let now = world.now();
    world.gateway.handle_datagrams(now, socket, datagrams.iter().map(|(from, datagram)| (*from, datagram.as_slice())));
}

fn one_by_one(world: &mut World, socket: SocketNumber, datagrams: &[(SocketAddr, Vec<u8>)]) {
    let now = world.now();
    datagrams.iter().for_each(|(from, datagram)| world.gateway.handle_datagram(now, socket, *from, datagram));
}

#[test]
fn a_crowd_with_strangers_copies_and_noise_in_it_is_answered_alike() {
    let mut datagrams: Vec<(SocketAddr, Vec<u8>)> =
        (1..=DEVICES).map(|number| (address(number), send(number, 2))).collect();
    datagrams.insert(3, (address(200), send(200, 2)));
    datagrams.insert(5, (address(3), send(3, 2)));
    datagrams.insert(6, (address(4), vec![0xff; 3]));
    // A device that moves before its own Send is looked at.
    datagrams.insert(0, (address(201), register(7, "urn:dev:1").to_bytes()));
    let (mut first, mut second) = (everybody(), everybody());

    together(&mut first, CLEAR, &datagrams);
    one_by_one(&mut second, CLEAR, &datagrams);

    let (first, second) = (Outcome::of(first), Outcome::of(second));
    assert_eq!(first, second);
    let readings = first.lines.iter().filter(|line| line.contains(r#""via":"send""#)).count();
    assert_eq!(readings, usize::from(DEVICES) - 1, "the copy ran once, and urn:dev:1 speaks from elsewhere now");
}

#[test]
fn records_of_many_sessions_in_one_call_reach_their_sessions() {
    let mut world = World::new(options());
    for number in 1..=10 {
        world.put(&secure_entry(number));
        world.add(secure_config(number));
        world.power_on(usize::from(number) - 1);
    }
    world.run(Duration::from_secs(1));
    let now = world.now().monotonic;
    let mut records = vec![(address(99), vec![25, 254, 253, 0, 1, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9])];
    for host in &mut world.hosts {
        host.device.update(now, None);
        records.extend(std::iter::from_fn(|| host.device.poll_transmit()).map(|record| (host.address, record)));
    }

    together(&mut world, SECURE, &records);
    world.run(Duration::from_secs(1));

    assert_eq!((records.len(), world.stat("update")), (11, 10));
    assert!(world.hosts.iter().all(|host| host.device.is_registered()));
}
