//! Sessions that go on in a later handshake (RFC 5077).

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use dtls::{Client, ClientOptions, ServerOptions, Suite, TICKET_LIFE_MS, Ticket};
use world::{Dice, Fate, IDENTITY, KEY, World, all_options, anchors, certificate, key, year};

/// Types of a record and of a message.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// RFC 7627 §5.1
const EXTENDED_MASTER_SECRET: [u8; 4] = [0, 23, 0, 0];

fn psk_client(options: &ClientOptions) -> Client {
    Client::new(IDENTITY, &key(KEY), options).unwrap()
}

fn camera(options: &ClientOptions) -> Client {
    Client::with_certificate(&certificate("device"), Some("lwm2m.example"), options).unwrap()
}

/// A world in which the device has a ticket.
fn world_of(client: &Client) -> (World, Ticket) {
    let mut server = dtls::Server::new(&ServerOptions::default()).unwrap();
    server.set_certificate(Some(&certificate("server"))).unwrap();
    let mut world = World::of(client, server, anchors(&["anchor"]));
    world.run(&mut |_| Fate::Deliver);
    world.assert_talks();
    let ticket = world.device.session.ticket(world.now_ms).expect("the server gave one");
    (world, ticket)
}

/// Whether the last handshake was the short one, to both ends.
fn was_short(world: &mut World) -> bool {
    assert!(world.is_established(), "{:?}", world.failures());
    let is_resumed = world.device.session.is_resumed();
    assert_eq!(world.gateway().session.is_resumed(), is_resumed);
    // In the short one the device says nothing in the clear after its hello: no certificate, no key exchange.
    let messages = world.seen.iter().filter(|(device_speaks, datagram)| *device_speaks && datagram[0] == HANDSHAKE);
    let is_short =
        messages.filter(|(_, datagram)| datagram[3..5] == [0, 0]).all(|(_, hello)| hello[13] == CLIENT_HELLO);
    assert_eq!(is_short, is_resumed);
    is_resumed
}

#[test]
fn a_session_goes_on_with_every_suite_and_the_gateway_knows_who_it_is() {
    for options in all_options() {
        let client = psk_client(&options);
        let (mut world, ticket) = world_of(&client);

        world.come_back(&client, &ticket);

        assert!(was_short(&mut world), "{options:?}");
        assert_eq!(world.gateway().session.identity(), Some(IDENTITY));
        assert_eq!(world.gateway().session.suite(), Some(options.suites[0]));
        assert_eq!(world.gateway().session.peer_has_cid(), options.cid.is_some());
        world.assert_talks();
        assert!(world.gateway().session.is_parked());
    }
}

#[test]
fn a_certificate_is_known_again_with_all_that_it_says() {
    for suite in Suite::ALL.into_iter().filter(|suite| suite.has_certificates()) {
        let client = camera(&ClientOptions { suites: vec![suite], ..ClientOptions::default() });
        let (mut world, ticket) = world_of(&client);
        let before = world.gateway().session.peer_certificate().cloned();
        let of_server = world.device.session.peer_certificate().cloned();

        world.come_back(&client, &ticket);

        assert!(was_short(&mut world), "{suite:?}");
        assert!(before.is_some() && of_server.is_some());
        assert_eq!(world.gateway().session.peer_certificate().cloned(), before);
        assert_eq!(world.device.session.peer_certificate().cloned(), of_server);
        assert_eq!(world.gateway().session.identity(), None);
        world.assert_talks();
    }
}

#[test]
fn a_ticket_can_be_used_again_and_no_new_one_prolongs_it() {
    let client = psk_client(&ClientOptions::default());
    let (mut world, ticket) = world_of(&client);

    for _ in 0..3 {
        world.come_back(&client, &ticket);
        assert!(was_short(&mut world));
        assert!(world.device.session.ticket(world.now_ms).is_none());
    }
}

#[test]
fn a_client_does_not_offer_what_is_a_day_old_or_anothers() {
    let client = psk_client(&ClientOptions::default());
    let (mut world, ticket) = world_of(&client);
    let other = Client::new(b"urn:shoal:camera-2", &key(KEY), &ClientOptions::default()).unwrap();
    let trust = dtls::Trust { anchors: &anchors(&[]), unix_s: 0 };

    let hello_bytes = |client: &Client, now_ms| {
        let mut out = Vec::new();
        client.resume(now_ms, &ticket, &trust, &mut out).unwrap();
        out[0].len()
    };

    let without = hello_bytes(&other, world.now_ms);
    assert!(hello_bytes(&client, world.now_ms + TICKET_LIFE_MS - 1) > without + 100);
    assert_eq!(hello_bytes(&client, world.now_ms + TICKET_LIFE_MS), without);
    world.now_ms += TICKET_LIFE_MS;
    world.come_back(&client, &ticket);
    assert!(!was_short(&mut world));
    assert!(world.device.session.ticket(world.now_ms).is_some(), "the full handshake brings a new one");
}

#[test]
fn another_key_of_the_device_ends_what_its_tickets_are_good_for() {
    let client = psk_client(&ClientOptions::default());
    let (mut world, ticket) = world_of(&client);

    world.key = b"another key of it";
    world.come_back(&client, &ticket);

    assert!(!world.is_established());
    assert!(
        world
            .failures()
            .iter()
            .any(|failure| matches!(failure, dtls::SessionError::WrongKey { identity } if identity == IDENTITY)),
        "as in any full handshake: {:?}",
        world.failures()
    );
}

#[test]
fn a_certificate_that_would_not_be_taken_today_is_judged_in_full() {
    let client = camera(&ClientOptions::default());
    for name in ["authority gone", "expired"] {
        let (mut world, ticket) = world_of(&client);

        match name {
            "expired" => world.unix_s = year(2060),
            _ => world.trusted = anchors(&[]),
        }
        world.come_back(&client, &ticket);

        assert!(!world.is_established(), "{name}");
        let failures = world.failures();
        assert!(
            failures.iter().any(|failure| matches!(failure, dtls::SessionError::CertificateRefused { .. })),
            "{name}: {failures:?}"
        );
    }
}

#[test]
fn a_server_that_has_forgotten_shakes_hands_in_full() {
    for client in [psk_client(&ClientOptions::default()), camera(&ClientOptions::default())] {
        let (mut world, ticket) = world_of(&client);

        world.server = dtls::Server::new(&ServerOptions::default()).unwrap();
        world.server.set_certificate(Some(&certificate("server"))).unwrap();
        world.come_back(&client, &ticket);

        assert!(!was_short(&mut world));
        world.assert_talks();
    }
}

#[test]
fn another_suite_than_that_of_the_session_is_a_new_session() {
    let only = |suite| psk_client(&ClientOptions { suites: vec![suite], ..ClientOptions::default() });
    let (mut world, ticket) = world_of(&only(Suite::PskAes128GcmSha256));

    // The server would rather have CCM_8, which this client offers, too.
    world.come_back(&psk_client(&ClientOptions::default()), &ticket);

    assert!(!was_short(&mut world));
    assert_eq!(world.gateway().session.suite(), Some(Suite::PskAes128Ccm8));
    world.assert_talks();
}

#[test]
fn a_resumed_handshake_survives_loss_copies_and_a_new_order() {
    let client = psk_client(&ClientOptions::default());
    let (mut world, ticket) = world_of(&client);
    for seed in 1..60 {
        let mut dice = Dice(seed);
        world.come_back_over(&client, &ticket, &mut |_| match dice.below(10) {
            0 | 1 => Fate::Lose,
            2 => Fate::Twice,
            3 => Fate::Late,
            _ => Fate::Deliver,
        });

        assert!(world.is_established(), "seed {seed}: {:?}", world.failures());
        world.assert_talks();
    }
}

#[test]
fn a_hello_with_a_ticket_needs_the_cookie_like_any_other() {
    let client = camera(&ClientOptions::default());
    let (mut world, ticket) = world_of(&client);
    let trust = dtls::Trust { anchors: &anchors(&["anchor of servers"]), unix_s: year(2031) };
    let mut out = Vec::new();
    client.resume(world.now_ms, &ticket, &trust, &mut out).unwrap();

    let mut answer = Vec::new();
    let judged = world.server.handle_hello(world.now_ms, b"elsewhere", &out[0], &mut answer);

    assert_eq!(judged, dtls::Hello::SendCookie);
    assert!(answer.len() < out[0].len(), "and the answer is no larger than the question");
    world.come_back(&client, &ticket);
    assert!(was_short(&mut world));
}

#[test]
fn whoever_saw_a_ticket_cannot_use_it() {
    let client = psk_client(&ClientOptions::default());
    let (mut world, ticket) = world_of(&client);
    let mut first = Vec::new();
    let trust = dtls::Trust { anchors: &anchors(&[]), unix_s: 0 };
    client.resume(world.now_ms, &ticket, &trust, &mut first).unwrap();

    // The hello is repeated from elsewhere, with the cookie for there; nobody there knows the secrets of the session.
    let mut answer = Vec::new();
    world.server.handle_hello(world.now_ms, b"elsewhere", &first[0], &mut answer);
    let cookie = answer[28..].to_vec();
    let forged = with_cookie(&first[0], &cookie);
    world.gateway = None;
    world.toward_device.clear();
    world.deliver_to_gateway(b"elsewhere", &forged);

    let gateway = world.gateway();
    assert!(!gateway.session.is_established());
    let garbage = [
        [20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1].to_vec(),
        [&[22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 40][..], &[7; 40]].concat(),
    ]
    .concat();
    world.deliver_to_gateway(b"elsewhere", &garbage);
    assert!(!world.gateway().session.is_established());
}

#[test]
fn a_client_that_dropped_the_extended_master_secret_is_refused() {
    let client = psk_client(&ClientOptions::default());
    let (mut world, ticket) = world_of(&client);
    let mut first = Vec::new();
    let trust = dtls::Trust { anchors: &anchors(&[]), unix_s: 0 };
    client.resume(world.now_ms, &ticket, &trust, &mut first).unwrap();

    for with_extension in [true, false] {
        let mut hello = first[0].clone();
        if !with_extension {
            let at = hello.windows(4).position(|bytes| bytes == EXTENDED_MASTER_SECRET).expect("it is offered");
            // An extension that nobody knows.
            hello[at..at + 2].copy_from_slice(&[0xFE, 0xED]);
        }
        let mut answer = Vec::new();
        world.server.handle_hello(world.now_ms, b"elsewhere", &hello, &mut answer);
        world.gateway = None;
        world.deliver_to_gateway(b"elsewhere", &with_cookie(&hello, &answer[28..]));

        let failed = world.gateway().failed.clone();
        assert_eq!(failed.is_none(), with_extension, "{failed:?}");
    }
}

#[test]
fn any_hello_with_any_ticket_is_survived() {
    let client = camera(&ClientOptions::default());
    let (mut world, ticket) = world_of(&client);
    let mut first = Vec::new();
    let trust = dtls::Trust { anchors: &anchors(&["anchor of servers"]), unix_s: year(2031) };
    client.resume(world.now_ms, &ticket, &trust, &mut first).unwrap();
    let mut dice = Dice(7);

    for _ in 0..2_000 {
        let mut hello = first[0].clone();
        for _ in 0..=dice.below(3) {
            let at = 25 + dice.below(hello.len() as u64 - 25) as usize;
            hello[at] = dice.below(256) as u8;
        }
        let mut answer = Vec::new();
        world.server.handle_hello(world.now_ms, b"elsewhere", &hello, &mut answer);
        if answer.is_empty() {
            continue;
        }
        world.gateway = None;
        world.deliver_to_gateway(b"elsewhere", &with_cookie(&hello, &answer[28..]));
        assert!(!world.gateway.as_ref().is_some_and(|end| end.session.is_established()));
    }
}

/// The second hello of a client whose first was this one, and which got this cookie.
fn with_cookie(hello: &[u8], cookie: &[u8]) -> Vec<u8> {
    let at = 13 + 12 + 2 + 32 + 1 + usize::from(hello[13 + 12 + 34]);
    let mut second = [&hello[..at], &[cookie.len() as u8], cookie, &hello[at + 1..]].concat();
    let (record_bytes, body_bytes) = ((second.len() - 13) as u16, (second.len() - 25) as u32);
    second[10] += 1;
    second[11..13].copy_from_slice(&record_bytes.to_be_bytes());
    second[14..17].copy_from_slice(&body_bytes.to_be_bytes()[1..]);
    second[18] += 1;
    second[22..25].copy_from_slice(&body_bytes.to_be_bytes()[1..]);
    second
}
