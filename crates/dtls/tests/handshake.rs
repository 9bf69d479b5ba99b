//! Handshakes of both ends of ours, in memory, on a clock that stands still unless told.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use dtls::{Client, ClientOptions, Hello, NoKeys, Server, ServerOptions, SessionError, SetupError, Suite};
use world::{Dice, Fate, HOME, IDENTITY, KEY, World, all_options, key};

/// Alert descriptions of the TLS registry.
const BAD_RECORD_MAC: u8 = 20;
const HANDSHAKE_FAILURE: u8 = 40;
const UNKNOWN_PSK_IDENTITY: u8 = 115;

#[test]
fn all_suites_reach_an_established_session_behind_a_cookie() {
    for options in all_options() {
        let mut world = World::established(&options);

        // Hello, cookie, hello, their flight, our flight, their Finished.
        assert_eq!(world.seen.len(), 6);
        assert_eq!(world.now_ms, 1_000_000, "nobody waited for anything");
        assert_eq!((world.device.established, world.gateway().established), (1, 1));
        let expected = options.suites.first().copied();
        assert_eq!((world.device.session.suite(), world.gateway().session.suite()), (expected, expected));
        assert_eq!(world.gateway().session.identity(), Some(IDENTITY));
        assert_eq!(world.gateway().session.peer_has_cid(), options.cid.is_some());
        assert_eq!(world.gateway().session.poll_timeout(), None);
        world.assert_talks();
    }
}

#[test]
fn a_gateway_prefers_the_shorter_suite() {
    let suites = vec![Suite::PskAes128GcmSha256, Suite::PskAes128Ccm8];
    let mut world = World::established(&ClientOptions { suites, ..ClientOptions::default() });
    assert_eq!(world.gateway().session.suite(), Some(Suite::PskAes128Ccm8));
}

#[test]
fn a_first_hello_leaves_nothing_behind() {
    let mut world = World::new(&ClientOptions::default());
    let (_, hello) = world.seen[0].clone();

    world.deliver_to_gateway(HOME, &hello);

    assert!(world.gateway.is_none());
    let (_, answer) = &world.seen[1];
    assert!(answer.len() < hello.len(), "a spoofed hello must not be worth more than it costs");
}

#[test]
fn a_cookie_is_good_only_from_the_address_it_was_sent_to() {
    let mut world = World::new(&ClientOptions::default());
    world.run(&mut |number| if number < 2 { Fate::Deliver } else { Fate::Lose });
    let (_, hello) = world.seen[2].clone();

    let mut out = Vec::new();
    let elsewhere = world.server.handle_hello(world.now_ms, b"192.0.2.66:5684", &hello, &mut out);

    assert_eq!(elsewhere, Hello::SendCookie);
    assert!(!out.is_empty());
    let at_home = world.server.handle_hello(1_000_000, HOME, &hello, &mut out);
    assert_eq!(at_home, Hello::Verified);
    assert!(out.is_empty());
}

#[test]
fn a_server_that_asks_for_cookie_after_cookie_is_not_answered_for_ever() {
    let mut world = World::new(&ClientOptions::default());
    let (_, mut hello) = world.seen[0].clone();
    let mut answers = 0;

    // Each time the device seems to be somewhere else.
    for place in 0..100_u8 {
        let mut cookie = Vec::new();
        assert_eq!(world.server.handle_hello(world.now_ms, &[place], &hello, &mut cookie), Hello::SendCookie);
        let Some(next) = world.device.take(world.now_ms, &cookie, &mut NoKeys).pop() else { break };
        (hello, answers) = (next, answers + 1);
    }

    assert_eq!(answers, 8);
    assert!(world.device.failed.is_none(), "its own patience ends the handshake, not whoever says so");
    world.now_ms = world.device.session.poll_timeout().unwrap();
    let mut out = Vec::new();
    world.device.session.handle_timeout(world.now_ms, &mut out).unwrap();
    assert_eq!(out.len(), 1, "it asks again when its time comes");
}

#[test]
fn an_unknown_identity_is_told_so_and_named() {
    let mut world = World::with(b"urn:shoal:stranger", KEY, &ClientOptions::default(), &ServerOptions::default());

    world.run(&mut |_| Fate::Deliver);

    let identity = b"urn:shoal:stranger".to_vec();
    assert_eq!(world.gateway().failed, Some(SessionError::UnknownIdentity { identity }));
    assert_eq!(world.device.failed, Some(SessionError::Alert { description: UNKNOWN_PSK_IDENTITY }));
}

#[test]
fn a_wrong_key_is_told_so_and_named() {
    for options in all_options() {
        let mut world = World::with(IDENTITY, b"another key!", &options, &ServerOptions::default());

        world.run(&mut |_| Fate::Deliver);

        assert_eq!(world.gateway().failed, Some(SessionError::WrongKey { identity: IDENTITY.to_vec() }));
        assert_eq!(world.device.failed, Some(SessionError::Alert { description: BAD_RECORD_MAC }));
        let (_, alert) = world.seen.last().unwrap().clone();
        let again = world.gateway().take(1_000_000, &alert, &mut world::OneKey);
        assert!(again.is_empty());
        assert_eq!(world.gateway().failed, Some(SessionError::Over));
    }
}

#[test]
fn a_hello_without_a_suite_of_ours_is_refused() {
    let mut world = World::new(&ClientOptions { suites: vec![Suite::PskAes128Ccm8], ..ClientOptions::default() });
    world.run(&mut |number| if number < 2 { Fate::Deliver } else { Fate::Lose });
    let (_, mut hello) = world.seen[2].clone();
    let suite = hello.windows(2).rposition(|pair| pair == [0xC0, 0xA8]).unwrap();
    hello[suite..suite + 2].copy_from_slice(&[0xC0, 0x2B]);

    world.deliver_to_gateway(HOME, &hello);

    assert_eq!(world.gateway().failed, Some(SessionError::NoSharedSuite));
    let (_, alert) = world.seen.last().unwrap();
    assert_eq!(alert[13..], [2, HANDSHAKE_FAILURE]);
}

#[test]
fn every_lost_datagram_is_made_good_by_repetition() {
    for options in all_options() {
        for first in 0..6 {
            for second in 0..8 {
                let mut world = World::new(&options);
                world.run(&mut |number| if number == first || number == second { Fate::Lose } else { Fate::Deliver });
                assert!(world.now_ms >= 1_002_000, "somebody had to wait");
                world.assert_talks();
            }
        }
    }
}

#[test]
fn every_datagram_may_come_twice() {
    for options in all_options() {
        for twice in 0..6 {
            let mut world = World::new(&options);
            world.run(&mut |number| if number == twice { Fate::Twice } else { Fate::Deliver });
            assert_eq!(world.now_ms, 1_000_000, "nobody waited");
            world.assert_talks();
        }
    }
}

#[test]
fn a_handshake_in_small_pieces_survives_a_bad_network() {
    let options = ClientOptions { mtu: 128, cid: Some(vec![7; 32]), ..ClientOptions::default() };
    let server = ServerOptions { mtu: 128, ..ServerOptions::default() };
    let mut established = 0;
    for seed in 1..=300 {
        let mut dice = Dice(seed);
        let mut world = World::with(IDENTITY, KEY, &options, &server);
        assert!(world.seen.iter().all(|(_, datagram)| datagram.len() <= 128));

        world.run(&mut |_| match dice.below(10) {
            0 | 1 => Fate::Lose,
            2 | 3 => Fate::Twice,
            4..=6 => Fate::Late,
            _ => Fate::Deliver,
        });

        if world.is_established() {
            established += 1;
            world.assert_talks();
        } else {
            let failures = world.failures();
            assert!(
                failures.iter().all(|error| *error == SessionError::HandshakeTimedOut),
                "seed {seed}: {failures:?}"
            );
        }
    }
    assert!(established >= 270, "only {established} of 300");
}

#[test]
fn a_fragmented_hello_is_put_together() {
    // The first fragment must hold the cookie: 12 of header, then 2 + 32 + 1 + 1 + 17.
    for bytes in [53, 60] {
        for reversed in [false, true] {
            let mut world = World::new(&ClientOptions::default());
            world.run(&mut |number| if number < 2 { Fate::Deliver } else { Fate::Lose });
            let (_, hello) = world.seen[2].clone();
            let mut fragments = fragments(&hello, bytes);
            assert!(fragments.len() > 1);
            if reversed {
                fragments[1..].reverse();
            }

            for fragment in &fragments {
                world.deliver_to_gateway(HOME, fragment);
                world.deliver_to_gateway(HOME, fragment);
                world.deliver_to_gateway(HOME, &[0xFF; 40]);
            }

            assert_eq!(world.gateway().failed, None);
            let (device_speaks, answer) = world.seen.last().unwrap();
            assert!(!device_speaks && answer[13] == 2, "a ServerHello");
        }
    }
}

/// Cuts a ClientHello into fragments of so many bytes.
fn fragments(hello: &[u8], bytes: usize) -> Vec<Vec<u8>> {
    let (record, message) = hello.split_at(13);
    let (header, body) = message.split_at(12);
    let pieces = body.chunks(bytes).enumerate();
    pieces
        .map(|(index, piece)| {
            let mut datagram = record.to_vec();
            datagram[9..11].copy_from_slice(&(100 + index as u16).to_be_bytes());
            datagram[11..13].copy_from_slice(&(12 + piece.len() as u16).to_be_bytes());
            datagram.extend_from_slice(&header[..6]);
            datagram.extend_from_slice(&((index * bytes) as u32).to_be_bytes()[1..]);
            datagram.extend_from_slice(&(piece.len() as u32).to_be_bytes()[1..]);
            datagram.extend_from_slice(piece);
            datagram
        })
        .collect()
}

#[test]
fn both_ends_give_up_on_a_peer_that_fell_silent() {
    let mut world = World::new(&ClientOptions::default());
    world.run(&mut |number| if number < 3 { Fate::Deliver } else { Fate::Lose });

    assert_eq!(world.gateway().failed, Some(SessionError::HandshakeTimedOut));
    assert_eq!(world.device.failed, Some(SessionError::HandshakeTimedOut));
    // 2 + 4 + 8 + 16 + 32 s.
    assert_eq!(world.now_ms, 1_062_000);
}

#[test]
fn a_peer_that_only_repeats_itself_is_given_up_too() {
    let mut world = World::new(&ClientOptions::default());
    world.run(&mut |number| if number < 3 { Fate::Deliver } else { Fate::Lose });
    let (_, mut hello) = world.seen[2].clone();
    let mut session = world.server.accept(0, world::CID.0).unwrap();

    let mut now_ms = 0;
    let error = loop {
        now_ms += 1_000;
        // The same message in a new record, as a client sends it.
        hello[7..11].copy_from_slice(&(now_ms as u32).to_be_bytes());
        let (mut out, mut keys) = (Vec::new(), world::OneKey);
        if let Err(error) = session.handle_datagram(now_ms, &hello, &mut keys, &mut |_| {}, &mut out) {
            break error;
        }
    };

    assert_eq!(error, SessionError::HandshakeTimedOut);
    assert_eq!(now_ms, 186_000);
}

#[test]
fn a_datagram_that_comes_after_its_timeout_is_not_lost() {
    let mut late = World::new(&ClientOptions::default());
    for _ in 0..3 {
        let (device_speaks, datagram) = late.seen.last().unwrap().clone();
        if device_speaks { late.deliver_to_gateway(HOME, &datagram) } else { late.deliver_to_device(&datagram) }
    }
    let (_, flight) = late.seen.last().unwrap().clone();

    // Nobody called `handle_timeout` in the meantime.
    late.now_ms += 2_500;
    late.deliver_to_device(&flight);

    let (device_speaks, answer) = late.seen.last().unwrap();
    assert!(*device_speaks && answer[13] == 16, "a ClientKeyExchange, not another hello");
}

#[test]
fn options_out_of_bounds_are_refused() {
    let with =
        |identity: &[u8], secret: &[u8], options: &ClientOptions| Client::new(identity, &key(secret), options).err();
    let good = ClientOptions::default();
    assert_eq!(with(b"", KEY, &good), Some(SetupError::IdentityLength { bytes: 0 }));
    assert_eq!(with(&[b'a'; 129], KEY, &good), Some(SetupError::IdentityLength { bytes: 129 }));
    assert_eq!(with(IDENTITY, b"", &good), Some(SetupError::KeyLength { bytes: 0 }));
    assert_eq!(with(IDENTITY, &[1; 65], &good), Some(SetupError::KeyLength { bytes: 65 }));
    assert_eq!(with(&[b'a'; 128], &[1; 64], &good), None);
    let server = |options: ServerOptions| Server::new(&options).err();
    let timeouts = ServerOptions { handshake_timeout_ms: (3, 2), ..ServerOptions::default() };
    assert_eq!(server(timeouts), Some(SetupError::Option { name: "handshake_timeout_ms" }));
    let mtu = ServerOptions { mtu: 100, ..ServerOptions::default() };
    assert_eq!(server(mtu), Some(SetupError::Option { name: "mtu" }));
}
