//! The same device behind DTLS.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use coap::Code;
use device::{Config, Credential, Event, Request, Value};
use world::{IDENTITY, World, path, seconds, secure};

fn handshakes(world: &World) -> usize {
    world.server.secure.as_ref().unwrap().handshakes
}

#[test]
fn a_device_shakes_hands_registers_and_is_read() {
    let mut world = World::registered(secure());

    assert_eq!(handshakes(&world), 1);
    assert_eq!(world.datagrams_up, 4, "two hellos, the flight with Finished, and the registration");
    assert_eq!(world.ask(Code::GET, "/3/0/9").text(), "87");
    assert!(world.server.secure.as_ref().unwrap().session.as_ref().unwrap().peer_has_cid());
}

#[test]
fn every_lost_datagram_of_a_handshake_is_made_good() {
    for (up, down) in [(1, 0), (2, 0), (3, 0), (0, 1), (0, 2), (1, 1), (2, 2)] {
        for after in 0..4 {
            let mut world = World::new(secure());
            world.device.power_on(world.now);
            for _ in 0..after {
                world.step();
            }
            (world.lose_up, world.lose_down) = (up, down);

            world.advance(seconds(180));

            assert!(world.device.is_registered(), "{up} up, {down} down, after {after}: {:?}", world.events);
        }
    }
}

#[test]
fn a_handshake_that_nobody_answers_is_tried_again_later() {
    let mut world = World::new(secure());
    world.is_cut = true;
    world.device.power_on(world.now);

    world.advance(seconds(600));
    assert!(world.count(|event| matches!(event, Event::Refused { code: None, .. })) >= 4, "{:?}", world.events);
    world.is_cut = false;
    world.advance(seconds(130));

    assert!(world.device.is_registered());
}

#[test]
fn a_wrong_key_and_an_unknown_identity_are_refused_and_never_registered() {
    for credential in [
        Credential::Psk { identity: IDENTITY.to_vec(), key: b"another key!".to_vec().into() },
        Credential::Psk { identity: b"stranger".to_vec(), key: world::KEY.to_vec().into() },
    ] {
        let mut world = World::new(Config { credential: Some(credential), ..secure() });
        world.device.power_on(world.now);

        world.advance(seconds(60));

        assert!(world.events.iter().all(|event| matches!(event, Event::Refused { code: None, .. })));
        assert!((4..=8).contains(&world.events.len()), "it comes back, with patience: {}", world.events.len());
        assert_eq!((handshakes(&world), world.server.heard.len()), (0, 0));
    }
}

#[test]
fn a_key_that_is_set_right_lets_the_device_in() {
    let mut world = World::new(secure());
    world.server.secure.as_mut().unwrap().key = b"not yet known".to_vec();
    world.device.power_on(world.now);
    world.advance(seconds(60));
    assert!(!world.device.is_registered());

    world.server.secure.as_mut().unwrap().key = world::KEY.to_vec();
    world.advance(seconds(80));

    assert!(world.device.is_registered());
}

#[test]
fn a_new_address_needs_no_new_handshake() {
    let mut world = World::registered(secure());
    let newest = |world: &World| world.server.secure.as_ref().unwrap().session.as_ref().unwrap().newest();
    let before = newest(&world);

    world.server.secure.as_mut().unwrap().address = b"198.51.100.7:40000".to_vec();
    world.device.send(world.now, 1, vec![path("/3/0/9")]);
    world.settle();

    assert_eq!(world.done(1).unwrap().0, Some(Code::CHANGED));
    assert!(newest(&world) > before, "only so the server may believe the new address");
    assert_eq!(handshakes(&world), 1);
    assert_eq!(world.ask(Code::GET, "/3/0/9").text(), "87");
}

#[test]
fn a_server_that_lost_its_sessions_is_found_again() {
    let mut world = World::registered(secure());

    world.server.restart();
    world.advance(seconds(300));

    assert!(world.device.is_registered(), "{:?}", world.events);
    assert_eq!(handshakes(&world), 2);
    assert_eq!(world.count(|event| *event == Event::Unregistered), 1);
}

#[test]
fn a_session_that_the_server_closes_is_made_anew() {
    let mut world = World::registered(secure());

    let mut out = Vec::new();
    world.server.secure.as_mut().unwrap().session.as_mut().unwrap().close(&mut out);
    world.server.outbox.extend(out);
    world.advance(seconds(10));

    assert!(world.device.is_registered() && handshakes(&world) == 2);
    assert!(world.server.secure.as_ref().unwrap().session.as_ref().unwrap().is_resumed(), "the short way");
}

#[test]
fn a_key_that_was_changed_meanwhile_lets_the_device_in_after_a_full_handshake() {
    let mut world = World::registered(secure());
    let close = |world: &mut World| {
        let mut out = Vec::new();
        world.server.secure.as_mut().unwrap().session.as_mut().unwrap().close(&mut out);
        world.server.outbox.extend(out);
    };

    // The ticket is of no use with another key, and neither is the device.
    world.server.secure.as_mut().unwrap().key = b"another key!".to_vec();
    close(&mut world);
    world.advance(seconds(60));
    assert!(!world.device.is_registered());
    world.server.secure.as_mut().unwrap().key = world::KEY.to_vec();
    world.advance(seconds(120));

    assert!(world.device.is_registered());
    assert!(!world.server.secure.as_ref().unwrap().session.as_ref().unwrap().is_resumed());
}

#[test]
fn a_goodbye_closes_the_session_too() {
    let mut world = World::registered(secure());

    world.device.deregister(world.now, Some(3));
    world.settle();

    assert_eq!(world.done(3).unwrap().0, Some(Code::DELETED));
    assert!(world.server.secure.as_ref().unwrap().session.is_none(), "it heard the close_notify");
}

#[test]
fn noise_and_forgeries_do_not_disturb_a_session() {
    let mut world = World::registered(secure());
    world.set("/3/0/9", Value::Integer(86));

    for noise in [vec![], vec![0xff; 40], vec![23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 1, 2], vec![22; 300]] {
        world.device.handle_datagram(world.now, &noise);
    }
    // Plain CoAP is not listened to either.
    world.device.handle_datagram(world.now, &coap::Message::ping(1));
    world.settle();

    assert_eq!(world.ask(Code::GET, "/3/0/9").text(), "86");
    assert!(world.events.is_empty());
}

#[test]
fn another_credential_is_proved_at_once_by_a_full_handshake_and_the_old_session_ends() {
    let mut world = World::registered(secure());
    world.server.secure.as_mut().unwrap().key = b"another key!".to_vec();

    let other = Credential::Psk { identity: IDENTITY.to_vec(), key: b"another key!".to_vec().into() };
    world.device.change_credential(world.now, 1, other);
    world.settle();

    assert!(world.device.is_registered(), "{:?}", world.events);
    assert_eq!(world.done(1).unwrap().0, Some(Code::CHANGED));
    let session = world.server.secure.as_ref().unwrap().session.as_ref().unwrap();
    assert!(!session.is_resumed(), "nothing of the old one is gone on from");
    assert_eq!(handshakes(&world), 2);
    let orders: Vec<_> = world.events.iter().filter(|event| !matches!(event, Event::Refused { .. })).collect();
    assert!(matches!(orders[..], [Event::Unregistered, Event::Done { number: 1, .. }, Event::Registered]));
}

#[test]
fn a_server_is_asked_in_the_words_of_the_owner_while_the_device_is_registered_and_never_otherwise() {
    let mut world = World::registered(secure());
    let request = || Request {
        payload: b"a request".to_vec(),
        content_format: Some(286),
        accept: Some(281),
        ..Request::new(Code::POST, "/.well-known/est/sren")
    };

    world.device.request(world.now, 1, request());
    world.settle();
    world.device.lose_power();
    world.device.request(world.now, 2, request());
    world.settle();

    let asked = world.server.requests(Code::POST, "/.well-known/est/sren").remove(0);
    assert_eq!((asked.format, asked.text().as_str()), (Some(286), "a request"));
    assert_eq!(world.done(1).unwrap().0, Some(Code::CHANGED));
    assert_eq!(world.done(2).unwrap().0, None);
}
