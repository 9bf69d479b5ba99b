//! Several gateways: a datagram finds the one that has its session, and a device belongs to one of them.
#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use device::Value;
use gateway::{Definitions, Gateway, GatewayOptions, Handover, Operation, Outcome, Way};
use world::*;

const SECOND: Duration = Duration::from_secs(1);

fn counted(start: u32) -> GatewayOptions {
    GatewayOptions { start: Some(start), heartbeat: Some(5 * SECOND), ..options() }
}

/// A device that is registered at one gateway, and another that the balancer sends everything to from now on.
fn behind_another() -> World {
    let mut world = World::with_registered(counted(1), &secure_entry(1), secure_config(1));
    world.run(2 * SECOND);
    world.front = Some(front(&world));
    world.gateway.set_nodes(&[], &[FRONT_NODE], &[BACK_NODE, FRONT_NODE]);
    world
}

fn front(world: &World) -> Gateway {
    let options = GatewayOptions { node: FRONT_NODE, boot: "f0f0f0f0".to_owned(), seed: [9; 32], ..counted(2) };
    let definitions = Arc::new(Definitions::embedded().clone());
    let mut front = Gateway::new(world.now(), options, definitions, Box::new(Shelf)).unwrap();
    front.put_device(world.now(), &secure_entry(1)).unwrap();
    front.set_nodes(&[], &[BACK_NODE], &[BACK_NODE, FRONT_NODE]);
    front
}

fn stat(gateway: &Gateway, name: &str) -> u64 {
    gateway.stats().iter().find(|(known, _)| *known == name).map(|(_, count)| *count).unwrap()
}

#[test]
fn a_device_that_reaches_another_gateway_goes_on_with_its_own() {
    let mut world = behind_another();

    world.update(0);
    world.run(SECOND);
    world.set(0, "/3/0/9", Value::Integer(50));
    let answer = world.ask(request(1, Operation::Read, "/3/0/9"));

    assert_eq!(answer.outcome, Outcome::Answered);
    assert_eq!((world.stat("handshakes"), world.stat("update"), world.stat("relocated")), (1, 1, 1));
    let front = world.front.as_ref().unwrap();
    assert_eq!((stat(front, "handshakes"), stat(front, "registrations"), stat(front, "peers")), (0, 0, 0));
    assert_eq!((stat(front, "handed_over"), world.stat("handed_to_us")), (2, 2));
    assert_eq!(stat(front, "sent_for_others"), 2, "what is said to it leaves where it was heard");

    // The balancer changes its mind again.
    world.front = None;
    world.update(0);
    world.run(SECOND);
    assert_eq!((world.stat("handshakes"), world.stat("update"), world.stat("relocated")), (1, 2, 2));
}

#[test]
fn nobody_is_moved_by_a_datagram_that_is_not_authentic_or_not_new() {
    let mut world = behind_another();
    world.update(0);
    world.run(SECOND);
    let (_, from, record) = world.uplinks.last().unwrap().clone();
    let relocated = world.stat("relocated");
    let elsewhere = address(99);
    let mut forged = record.clone();
    *forged.last_mut().unwrap() ^= 1;

    for (datagram, address) in [(&record, elsewhere), (&forged, from), (&vec![25; 40], from), (&Vec::new(), from)] {
        let handover = Handover { way: Way::Up, node: FRONT_NODE, socket: SECURE, address, datagram };
        let now = world.now();
        world.gateway.handle_handover(now, handover);
        world.settle();
    }

    assert_eq!(world.stat("relocated"), relocated);
    assert!(!world.inbox.contains_key(&elsewhere), "nothing leaves for where it was sent from");
    let answer = world.ask(request(1, Operation::Read, "/3/0/9"));
    assert_eq!(answer.outcome, Outcome::Answered);
}

#[test]
fn what_is_for_nobody_is_counted_and_goes_in_no_circle() {
    let mut world = behind_another();
    world.update(0);
    world.run(SECOND);
    let (_, from, mut record) = world.uplinks.last().unwrap().clone();
    // The last byte of the connection id: the same node, a session that it does not have.
    record[18] ^= 1;
    let unknown = world.stat("unknown_connection_id");
    let now = world.now();

    let front = world.front.as_mut().unwrap();
    front.handle_datagram(now, SECURE, from, &record);
    world.settle();
    assert_eq!(world.stat("unknown_connection_id"), unknown + 1);

    // A node that nobody has.
    record[11..13].copy_from_slice(&500_u16.to_be_bytes());
    let front = world.front.as_mut().unwrap();
    front.handle_datagram(now, SECURE, from, &record);
    assert_eq!(stat(front, "unknown_connection_id"), 1);
    assert_eq!(front.outbox().handovers().count(), 0);

    // To a socket that is none, or that is no socket for records.
    for socket in [CLEAR, TCP, 200] {
        let handover = Handover { way: Way::Down, node: BACK_NODE, socket, address: from, datagram: &record };
        front.handle_handover(now, handover);
    }
    assert_eq!((stat(front, "handovers_refused"), front.outbox().len()), (3, 0));
}

#[test]
fn a_device_that_another_gateway_has_is_forgotten_without_a_word() {
    let mut world = behind_another();
    let wait = request(7, Operation::Read, "/3/0/9");
    world.hosts[0].is_reachable = false;
    world.submit(wait);

    world.gateway.move_away(&["d1".to_owned(), "nobody".to_owned()]);
    world.run(400 * SECOND);

    assert_eq!((world.stat("registrations"), world.stat("peers"), world.stat("moved_away")), (0, 0, 1));
    assert_eq!((world.stat("waiting"), world.outcomes(7).len()), (0, 1), "sent, and then of the other one");
    assert!(world.events_of("expired").is_empty());
}

#[test]
fn a_device_that_came_back_meanwhile_stays() {
    let mut world = behind_another();
    world.front = None;
    world.store = Log::Hangs;
    world.hosts[0].device.lose_power();
    world.power_on(0);
    world.run(SECOND);
    assert_eq!(world.events_of("registered").len(), 2);

    world.gateway.move_away(&["d1".to_owned()]);

    assert_eq!((world.stat("registrations"), world.stat("moved_away")), (1, 0));
}

#[test]
fn a_number_that_was_left_behind_is_taken_over_without_a_handshake() {
    let mut world = behind_another();
    let state = world.gateway.registrations(world.now(), "", 10).remove(0);
    let told = world.events_of("registered")[0].clone();
    let kept = world.checkpoints["d1"].clone();
    let restored = gateway::RestoredRegistration {
        device: state.device.to_string(),
        registration: state.registration,
        lifetime_s: state.lifetime_s,
        version: told["version"].as_str().unwrap().to_owned(),
        binding: told["binding"].as_str().unwrap().to_owned(),
        queue_mode: told["queue_mode"].as_bool().unwrap(),
        objects: state.objects,
    };
    let now = world.now();
    let mut heir = world.front.take().unwrap();

    // Not before it has the number, and not without a start of its own counted for it.
    heir.restore(now, &restored).unwrap();
    assert!(heir.restore_checkpoint(now, "d1", &kept).is_err(), "another node's session");
    heir.set_nodes(&[BACK_NODE], &[], &[BACK_NODE, FRONT_NODE]);
    heir.count_start(3);
    heir.restore_checkpoint(now, "d1", &kept).unwrap();
    // The database broke it off, and all of it is done again: one that came stays, and so does what is kept of it.
    heir.count_start(4);
    assert_eq!(heir.restore_checkpoint(now, "d1", &kept), Ok(()));
    world.gateway = heir;
    world.update(0);
    world.run(SECOND);
    let answer = world.ask(request(1, Operation::Read, "/3/0/9"));

    assert_eq!(answer.outcome, Outcome::Answered);
    assert_eq!((world.stat("handshakes"), world.stat("register"), world.stat("update")), (0, 0, 1));
    let told = world.events_of("heartbeat").last().unwrap().to_owned().clone();
    assert_eq!(told["nodes"], serde_json::json!([FRONT_NODE, BACK_NODE]));
}

#[test]
fn a_heartbeat_says_for_whom_it_speaks_and_of_whom_else_to_expect_one() {
    let mut world = World::new(counted(1));
    world.run(6 * SECOND);
    world.gateway.set_nodes(&[4], &[7], &[0, 4, 7, 9]);
    world.run(5 * SECOND);

    let beats = world.events_of("heartbeat");

    assert_eq!((&beats[0]["nodes"], &beats[0]["of"]), (&serde_json::json!([0]), &serde_json::json!([0])));
    let last = beats.last().unwrap();
    assert_eq!((&last["nodes"], &last["of"]), (&serde_json::json!([0, 4]), &serde_json::json!([0, 4, 7, 9])));
}
