//! Stories of those who are not let in, and of bytes that nobody should have sent.
#![allow(clippy::unwrap_used)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use coap::message::{Kind, Message, Token};
use coap::{Block, Code, MessageBuilder};
use device::{Config, Credential};
use gateway::{GatewayOptions, Operation, SocketNumber};
use proptest::prelude::*;
use world::*;
use zeroize::Zeroizing;

const SECOND: Duration = Duration::from_secs(1);

/// A device with this credential tries to register where only device 1 is known.
fn attempt(identity: &str, key: &[u8], endpoint: &str) -> World {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let credential = Credential::Psk { identity: identity.as_bytes().to_vec(), key: Zeroizing::new(key.to_vec()) };
    world.add(Config { credential: Some(credential), endpoint: endpoint.to_owned(), ..config(1) });
    world.power_on(0);
    world.run(3 * SECOND);
    world
}

fn reasons(world: &World) -> Vec<String> {
    let events = world.events_of("security").into_iter();
    let mut reasons: Vec<String> = events.map(|event| event["reason"].as_str().unwrap().to_owned()).collect();
    reasons.dedup();
    reasons
}

#[test]
fn a_wrong_key_is_not_let_in() {
    let world = attempt("id1", b"another 16 bytes", "urn:dev:1");

    assert_eq!((world.stat("registrations"), world.stat("sessions")), (0, 0));
    assert!(world.events_of("registered").is_empty());
    assert_eq!(reasons(&world), ["wrong_key"]);
    let event = world.events_of("security")[0];
    assert_eq!((event["identity"].as_str(), event["device"].as_str()), (Some("id1"), Some("d1")));
}

#[test]
fn an_unknown_identity_is_not_let_in() {
    let world = attempt("stranger", KEY, "urn:dev:1");

    assert_eq!((world.stat("registrations"), world.stat("sessions")), (0, 0));
    assert_eq!(reasons(&world), ["unknown_identity"]);
    let event = world.events_of("security")[0];
    assert_eq!((event["identity"].as_str(), event.get("device")), (Some("stranger"), None));
}

#[test]
fn a_device_may_not_register_under_the_name_of_another() {
    let world = attempt("id1", KEY, "urn:dev:2");

    assert_eq!(world.stat("registrations"), 0);
    assert_eq!(reasons(&world), ["endpoint_mismatch"]);
    let refused = world.events_of("refused")[0];
    assert_eq!((refused["code"].as_str(), refused["reason"].as_str()), (Some("4.00"), Some("endpoint_mismatch")));
}

#[test]
fn a_stranger_is_not_let_in_and_leaves_no_trace() {
    let mut world = World::new(options());

    let answer = world.say(address(9), register(1, "urn:unknown"));
    world.run(2 * SECOND);

    assert_eq!(code_of(answer.as_deref()), Some(Code::FORBIDDEN));
    assert_eq!(reasons(&world), ["not_allowed"]);
    assert_eq!((world.stat("peers"), world.stat("devices")), (0, 0));
}

#[test]
fn who_has_a_credential_must_use_it() {
    let open_enrolment = Some(String::new());
    let mut world = World::new(GatewayOptions { open_enrolment, ..options() });
    world.put(&secure_entry(1));

    let answer = world.say(address(9), register(1, "urn:dev:1"));
    world.run(2 * SECOND);

    assert_eq!(code_of(answer.as_deref()), Some(Code::FORBIDDEN));
    assert_eq!(reasons(&world), ["insecure"]);
    assert_eq!((world.stat("registrations"), world.stat("devices")), (0, 1));
}

#[test]
fn nobody_speaks_for_the_registration_of_another() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
    world.put(&secure_entry(2));
    let now = world.now();
    let location = format!("/rd/{}", world.gateway.registrations(now, "", 1)[0].registration);

    let answer = world.say(address(9), message(Code::DELETE, 1).path(&location));
    world.run(2 * SECOND);

    assert_eq!(code_of(answer.as_deref()), Some(Code::NOT_FOUND));
    assert_eq!(world.stat("registrations"), 1);
    assert_eq!(reasons(&world), ["foreign_registration"]);
}

#[test]
fn equal_trouble_within_a_second_is_told_once_with_its_count() {
    let mut world = World::new(options());

    for id in 0..50 {
        world.inject(CLEAR, address(9), &register(id, "urn:unknown").to_bytes());
    }
    world.run(2 * SECOND);

    let events = world.events_of("security");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["count"], 50);
}

#[test]
fn a_new_credential_ends_the_session_of_the_old_one() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
    let mut entry = secure_entry(1);
    let proof = gateway::Proof::Psk { identity: b"id1".to_vec(), key: Zeroizing::new(vec![1; 16]) };
    entry.security = gateway::Security::by("crd-1", proof);

    world.put(&entry);
    world.run(3 * SECOND);

    assert_eq!(world.stat("sessions"), 0);
    assert_eq!(reasons(&world), ["wrong_key"], "it tries to come back with the old key");
}

#[test]
fn wrong_registers_are_answered_with_what_is_wrong() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let with = |id: u16, queries: &[&str], payload: &str| {
        queries
            .iter()
            .fold(message(Code::POST, id).path("/rd"), |message, query| {
                message.option(coap::option::URI_QUERY, query.as_bytes().to_vec())
            })
            .payload(payload.as_bytes().to_vec())
    };
    let cases = [
        (with(1, &["ep=urn:dev:1", "lwm2m=9.9"], "</3/0>"), Code::PRECONDITION_FAILED, "version_unknown"),
        (with(2, &["ep=urn:dev:1", "lwm2m=1.1", "lt=soon"], "</3/0>"), Code::BAD_REQUEST, "lifetime_invalid"),
        (with(3, &["ep=urn:dev:1", "lwm2m=1.1"], "<<<"), Code::BAD_REQUEST, "links_invalid"),
        (with(4, &["lwm2m=1.1"], "</3/0>"), Code::BAD_REQUEST, "endpoint_missing"),
    ];

    for (request, code, reason) in cases {
        let answer = world.say(address(9), request).unwrap();
        assert_eq!(Message::parse(&answer).unwrap().code, code, "{reason}");
    }
    assert_eq!((world.stat("registrations"), world.stat("refused")), (0, 4));
}

#[test]
fn what_is_not_registered_may_not_send() {
    let mut world = World::new(options());
    world.put(&entry(1));

    let send = message(Code::POST, 1).path("/dp").content_format(110).payload(b"[]".to_vec());
    let answer = world.say(address(9), send);

    assert_eq!(code_of(answer.as_deref()), Some(Code::NOT_FOUND));
    assert_eq!((world.stat("refused_unregistered"), world.stat("peers")), (1, 0));
}

#[test]
fn an_upload_that_is_too_large_is_refused() {
    let mut world = World::new(options());
    world.put(&entry(1));
    world.say(address(9), register(1, "urn:dev:1"));
    let block = |num: u32| {
        message(Code::POST, 100 + num as u16)
            .path("/dp")
            .content_format(110)
            .block1(Block { num, more: true, szx: 6 })
            .payload(vec![b' '; 1024])
    };

    let codes: Vec<Option<Code>> = (0..80).map(|num| code_of(world.say(address(9), block(num)).as_deref())).collect();

    assert_eq!(codes[0], Some(Code::CONTINUE));
    assert!(codes.contains(&Some(Code::REQUEST_ENTITY_TOO_LARGE)), "{codes:?}");
    assert_eq!(world.stat("uploading"), 0);
}

#[test]
fn only_so_many_uploads_go_on_at_once() {
    let mut world = World::new(options());
    let first = |id: u16| {
        message(Code::POST, id).path("/rd").block1(Block { num: 0, more: true, szx: 6 }).payload(vec![b' '; 1024])
    };

    for number in 0..300_u16 {
        let from = SocketAddr::from(([198, 51, (number >> 8) as u8, number as u8], 5683));
        world.inject(CLEAR, from, &first(number).to_bytes());
    }

    assert_eq!(world.stat("uploading"), gateway::limits::UPLOADING_PEERS_MAX as u64);
    assert!(world.stat("busy") >= 44);
    world.run(Duration::from_secs(900));
    assert_eq!((world.stat("uploading"), world.stat("peers")), (0, 0), "forgotten after a while");
}

#[test]
fn an_unknown_critical_option_is_refused() {
    let mut world = World::new(options());

    let answer = world.say(address(9), register(1, "urn:dev:1").option(9, b"?".to_vec()));

    assert_eq!(code_of(answer.as_deref()), Some(Code::BAD_OPTION));
}

#[test]
fn a_request_may_say_which_host_and_port_it_means() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let register = register(1, "urn:dev:1")
        .option(coap::option::URI_HOST, b"shoal.example".to_vec())
        .uint(coap::option::URI_PORT, 5683);

    assert_eq!(code_of(world.say(address(9), register).as_deref()), Some(Code::CREATED));
}

#[test]
fn a_ping_is_answered_and_unknown_paths_are_not_there() {
    let mut world = World::new(options());

    world.inject(CLEAR, address(9), &Message::ping(77));
    assert_eq!(world.inbox[&address(9)], [Message::reset(77).to_vec()]);
    for (id, code, at, expected) in [
        (1, Code::GET, "/x", Code::NOT_FOUND),
        (2, Code::GET, "/rd", Code::METHOD_NOT_ALLOWED),
        (3, Code::POST, "/rd/0123456789abcdef", Code::NOT_FOUND),
        (4, Code::GET, "/fw/secret", Code::NOT_FOUND),
    ] {
        assert_eq!(code_of(world.say(address(9), message(code, id).path(at)).as_deref()), Some(expected), "{at}");
    }
}

#[test]
fn half_open_handshakes_end_by_themselves() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    world.add(secure_config(1));
    world.power_on(0);
    let hello = world.uplinks[1].2.clone();

    let mut fresh = World::new(options());
    fresh.put(&secure_entry(1));
    fresh.inject(SECURE, address(50), &hello);
    assert_eq!(fresh.stat("half_open"), 0, "a cookie is good for one address only");

    world.hosts[0].device.lose_power();
    world.hosts[0].is_reachable = false;
    world.run(Duration::from_secs(120));
    assert_eq!(world.stat("half_open"), 0);
}

/// Datagrams of real devices, from Register over notifications to De-register.
fn recorded() -> Vec<(SocketNumber, SocketAddr, Vec<u8>)> {
    let observe = vec![("/3303/*/5700".to_owned(), "pmin=1".to_owned())];
    let mut world = World::with_registered(
        options(),
        &gateway::DeviceEntry { observe: observe.clone(), ..secure_entry(1) },
        secure_config(1),
    );
    world.put(&gateway::DeviceEntry { observe, ..entry(2) });
    world.add(config(2));
    world.power_on(1);
    world.run(SECOND);
    for host in 0..2 {
        let now = world.now().monotonic;
        world.hosts[host].device.send(now, 1, vec![path("/3303"), path("/3/0")]);
        world.set(host, "/3303/0/5700", device::Value::Float(20.0));
        world.run(2 * SECOND);
        let now = world.now().monotonic;
        world.hosts[host].device.deregister(now, None);
        world.run(SECOND);
    }
    world.uplinks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes from whomever: no panic, no registration, and nothing is kept of strangers.
    #[test]
    fn garbage_does_no_harm(
        datagrams in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<u8>(), any::<bool>()), 1..60),
    ) {
        let mut world = World::new(options());
        world.put(&entry(1));
        world.put(&secure_entry(2));

        for (datagram, from, is_secure) in datagrams {
            world.inject(if is_secure { SECURE } else { CLEAR }, address(from), &datagram);
        }
        world.run(2 * SECOND);

        prop_assert_eq!((world.stat("peers"), world.stat("half_open"), world.stat("registrations")), (0, 0, 0));
    }

    /// Real traffic, mutated, reordered and from the wrong places, against a gateway with devices of its own.
    #[test]
    fn mutated_traffic_does_no_harm(
        picks in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
             any::<prop::sample::Index>(), 0..4_u8, any::<bool>()),
            1..80,
        ),
    ) {
        thread_local!(static RECORDED: Vec<(SocketNumber, SocketAddr, Vec<u8>)> = recorded());
        let traffic = RECORDED.with(Clone::clone);
        let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
        world.put(&entry(2));

        for (pick, bytes, cut, from, is_cut) in picks {
            let (socket, _, mut datagram) = traffic[pick.index(traffic.len())].clone();
            for (at, byte) in bytes {
                let at = at.index(datagram.len());
                datagram[at] = byte;
            }
            if is_cut {
                datagram.truncate(cut.index(datagram.len()));
            }
            world.inject(socket, address(from + 1), &datagram);
        }
        world.run(Duration::from_secs(700));

        prop_assert!(world.hosts[0].device.is_registered() || world.hosts[0].events.len() > 1);
        prop_assert_eq!(world.stat("half_open"), 0);
        prop_assert!(world.stat("peers") <= 6, "{} peers", world.stat("peers"));
        let now = world.now();
        world.gateway.remove_device(now, "d1");
        world.gateway.remove_device(now, "d2");
        world.settle();
        prop_assert_eq!((world.stat("registrations"), world.stat("waiting")), (0, 0));
    }

    /// Whatever a device answers to what it is asked, the caller gets exactly one final outcome.
    #[test]
    fn any_answer_ends_a_request_once(
        code in any::<u8>(), format in prop::option::of(0..120_u16), payload in prop::collection::vec(any::<u8>(), 0..64),
        block in prop::option::of(0..0x100_u32), is_reset in any::<bool>(), token in any::<bool>(),
    ) {
        let mut world = World::new(options());
        world.put(&entry(1));
        world.say(address(9), register(1, "urn:dev:1"));
        world.inbox.clear();
        world.submit(request(1, Operation::Read, "/3/0/9"));
        let asked = world.inbox.remove(&address(9)).unwrap().remove(0);
        let asked = Message::parse(&asked).unwrap();

        let answer = if is_reset {
            Message::reset(asked.id).to_vec()
        } else {
            let token = if token { asked.token } else { Token::EMPTY };
            let mut answer = MessageBuilder::new(Kind::Acknowledgement, Code(code), asked.id, token);
            answer = format.into_iter().fold(answer, MessageBuilder::content_format);
            answer = block.and_then(Block::of_uint).into_iter().fold(answer, MessageBuilder::block2);
            answer.payload(payload).to_bytes()
        };
        world.inject(CLEAR, address(9), &answer);
        world.run(Duration::from_secs(1_000));

        let outcomes = world.outcomes(1);
        prop_assert_eq!(outcomes.len(), 2, "{:?}", outcomes);
        prop_assert_eq!(world.stat("waiting"), 0);
    }
}
