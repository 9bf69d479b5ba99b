//! Stories of connections under TLS: who is let in over them, who is not, and what ends them.
#![allow(clippy::unwrap_used)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use coap::message::{Kind, Message, Token};
use coap::stream::frame;
use coap::{Code, MessageBuilder};
use device::{Config, Credential, Event, Value};
use dtls::{NoKeys, Progress, Tls, TlsClient, TlsClientOptions};
use gateway::est::REQUEST;
use gateway::{ConnectionNumber, EnrolmentAnswer, GatewayOptions, Operation, Outcome, Proof, Security};
use proptest::prelude::*;
use world::*;
use zeroize::Zeroizing;

const SECOND: Duration = Duration::from_secs(1);
/// As long as a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(60);

fn reasons(world: &World) -> Vec<&str> {
    let events = world.events_of("security").into_iter();
    let mut reasons: Vec<&str> = events.map(|event| event["reason"].as_str().unwrap()).collect();
    reasons.dedup();
    reasons
}

/// A device with this credential tries to register over TLS where only device 1 is known.
fn attempt(identity: &str, key: &[u8], endpoint: &str) -> World {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let credential = Credential::Psk { identity: identity.as_bytes().to_vec(), key: Zeroizing::new(key.to_vec()) };
    world.add(Config { credential: Some(credential), endpoint: endpoint.to_owned(), ..tls_config(1) });
    world.power_on(0);
    world.run(3 * SECOND);
    world
}

/// A client of our own hand, so that it may do what no device does.
struct Hand {
    tls: Tls,
    number: ConnectionNumber,
    heard: Vec<u8>,
}

impl Hand {
    fn connect(world: &mut World, from: SocketAddr) -> Self {
        let client = TlsClient::new(b"id1", &Zeroizing::new(KEY.to_vec()), &TlsClientOptions::default()).unwrap();
        let number = world.connect_to(TLS, from).unwrap();
        let mut flight = Vec::new();
        let mut hand = Self { tls: client.connect(0, &mut flight).unwrap(), number, heard: Vec::new() };
        hand.exchange(world, flight);
        hand
    }

    /// Says bytes as they are, and takes what comes back.
    fn exchange(&mut self, world: &mut World, mut flight: Vec<u8>) -> bool {
        let mut is_over = false;
        while !flight.is_empty() {
            world.write(self.number, &std::mem::take(&mut flight));
            let came = world.streams.remove(&self.number).unwrap_or_default();
            let heard = &mut self.heard;
            let progress =
                self.tls.handle_bytes(0, &came, &mut NoKeys, &mut |data| heard.extend_from_slice(data), &mut flight);
            is_over |= !matches!(progress, Ok(Progress::Established | Progress::Data | Progress::Handshaking));
        }
        is_over
    }

    /// Says messages under TLS; true if that was the end.
    fn say(&mut self, world: &mut World, messages: &[MessageBuilder<'_>]) -> bool {
        let mut flight = Vec::new();
        self.tls.send(&framed(messages), &mut flight).unwrap();
        self.exchange(world, flight)
    }
}

fn csm<'a>() -> MessageBuilder<'a> {
    MessageBuilder::new(Kind::Reliable, Code::CSM, 0, Token::EMPTY)
}

fn release<'a>() -> MessageBuilder<'a> {
    MessageBuilder::new(Kind::Reliable, Code::RELEASE, 0, Token::EMPTY)
}

fn enrol(id: u16, body: &'static [u8]) -> MessageBuilder<'static> {
    message(Code::POST, id).path("/est/sren").content_format(REQUEST).payload(body)
}

#[test]
fn a_device_registers_over_tls_reports_and_is_asked() {
    let mut world = World::with_registered(options(), &secure_entry(1), tls_config(1));

    let registered = &world.events_of("registered")[0];
    assert_eq!((&registered["device"], &registered["secure"]), (&"d1".into(), &true.into()));
    assert_eq!((world.stat("connections"), world.stat("connections_opening"), world.stat("handshakes")), (1, 0, 1));
    let answer = world.ask(request(1, Operation::Read, "/3/0/9"));
    assert_eq!(answer.outcome, Outcome::Answered);
    world.set(0, "/3303/0/5700", Value::Float(11.0));
    let now = world.now().monotonic;
    world.hosts[0].device.send(now, 7, vec![path("/3303/0/5700")]);
    world.run(SECOND);
    assert_eq!(world.readings("send"), ["/3303/0/5700=11.0"]);
    assert!(reasons(&world).is_empty());
}

#[test]
fn a_long_answer_takes_several_records_and_arrives() {
    let mut world = World::with_registered(options(), &secure_entry(1), tls_config(1));
    let text = "x".repeat(10_000);
    world.set(0, "/3/0/0", Value::String(text.clone()));
    let answer = world.ask(request(1, Operation::Read, "/3/0/0"));
    assert_eq!(answer.outcome, Outcome::Answered);
    assert!(String::from_utf8(answer.body.unwrap()).unwrap().contains(&text));
}

#[test]
fn a_wrong_key_is_not_let_in() {
    let world = attempt("id1", b"another 16 bytes", "urn:dev:1");

    assert_eq!((world.stat("registrations"), world.stat("connections"), world.stat("connections_opening")), (0, 0, 0));
    assert_eq!(reasons(&world), ["wrong_key"]);
    let event = world.events_of("security")[0];
    assert_eq!((event["identity"].as_str(), event["device"].as_str()), (Some("id1"), Some("d1")));
    assert!(matches!(&world.hosts[0].events[0], Event::Refused { code: None, detail } if detail.contains("alert 51")));
}

#[test]
fn an_unknown_identity_is_not_let_in() {
    let world = attempt("stranger", KEY, "urn:dev:1");

    assert_eq!((world.stat("registrations"), world.stat("connections")), (0, 0));
    assert_eq!(reasons(&world), ["unknown_identity"]);
    let event = world.events_of("security")[0];
    assert_eq!((event["identity"].as_str(), event.get("device")), (Some("stranger"), None));
    assert!(matches!(&world.hosts[0].events[0], Event::Refused { code: None, detail } if detail.contains("alert 115")));
}

#[test]
fn a_device_may_not_register_under_the_name_of_another() {
    let world = attempt("id1", KEY, "urn:dev:2");

    assert_eq!(world.stat("registrations"), 0);
    assert_eq!(reasons(&world), ["endpoint_mismatch"]);
}

#[test]
fn what_has_a_credential_does_not_register_over_a_connection_in_the_clear() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    world.add(tcp_config(1));
    world.power_on(0);
    world.run(3 * SECOND);

    assert_eq!(world.stat("registrations"), 0);
    assert_eq!(reasons(&world), ["insecure"]);
}

#[test]
fn a_key_that_is_changed_or_taken_away_ends_its_connection_at_once() {
    let mut changed = secure_entry(1);
    changed.security = Security::by("c1", Proof::Psk { identity: b"id1".to_vec(), key: Zeroizing::new(vec![1; 16]) });
    for is_removed in [false, true] {
        let mut world = World::new(options());
        world.put(&secure_entry(1));
        let mut hand = Hand::connect(&mut world, address(9));
        assert!(hand.tls.is_established());
        let now = world.now();
        if is_removed {
            world.gateway.remove_device(now, "d1");
        } else {
            world.gateway.put_device(now, &changed).unwrap();
        }
        world.settle();

        assert_eq!(world.ended, [hand.number]);
        let came = world.streams.remove(&hand.number).unwrap();
        let mut heard = Vec::new();
        let progress =
            hand.tls.handle_bytes(0, &came, &mut NoKeys, &mut |data| heard.extend_from_slice(data), &mut Vec::new());
        // Release (RFC 8323 §5.5), then close_notify.
        assert_eq!(progress, Ok(Progress::Closed));
        assert_eq!(Message::parse_frame(&last_frame(&heard)).unwrap().code, Code::RELEASE);
    }
}

fn last_frame(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = coap::stream::Decoder::new(1_000);
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.next_frame().unwrap().map(<[u8]>::to_vec)).last().unwrap()
}

#[test]
fn a_device_that_comes_over_another_way_leaves_the_first() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
    assert_eq!((world.stat("sessions"), world.stat("connections")), (1, 0));
    world.hosts[0].is_reachable = false;

    let mut hand = Hand::connect(&mut world, address(9));
    assert!(!hand.say(&mut world, &[csm(), register(1, "urn:dev:1")]));
    world.run(SECOND);

    assert_eq!((world.stat("sessions"), world.stat("connections"), world.stat("registrations")), (0, 1, 1));
}

#[test]
fn whoever_says_goodbye_is_gone_and_as_registered_as_before() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let mut hand = Hand::connect(&mut world, address(9));
    hand.say(&mut world, &[csm(), register(1, "urn:dev:1")]);
    assert_eq!((world.stat("registrations"), world.stat("connections")), (1, 1));
    let mut flight = Vec::new();
    hand.tls.close(&mut flight);
    world.write(hand.number, &flight);

    assert_eq!((world.stat("registrations"), world.stat("connections")), (1, 0));
    assert_eq!(world.ended, [hand.number]);
}

#[test]
fn a_message_that_came_before_the_goodbye_is_heard() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let mut hand = Hand::connect(&mut world, address(9));
    let mut flight = Vec::new();
    hand.tls.send(&framed(&[csm(), register(1, "urn:dev:1")]), &mut flight).unwrap();
    hand.tls.close(&mut flight);
    world.write(hand.number, &flight);

    assert_eq!((world.stat("registrations"), world.stat("connections")), (1, 0));
}

#[test]
fn bytes_that_are_no_tls_are_refused_and_told() {
    let mut world = World::new(options());
    let number = world.connect_to(TLS, address(9)).unwrap();
    world.write(number, &framed(&[csm()]));
    world.run(2 * SECOND);

    assert_eq!(world.ended, [number]);
    assert_eq!(world.streams[&number], [21, 3, 3, 0, 2, 2, 10], "unexpected_message");
    assert_eq!(reasons(&world), ["handshake_failed"]);
    assert_eq!((world.stat("connections_opening"), world.stat("connections_bytes")), (0, 0));
}

#[test]
fn a_record_that_was_damaged_ends_the_connection_and_is_told_of_the_device() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let mut hand = Hand::connect(&mut world, address(9));
    hand.say(&mut world, &[csm(), register(1, "urn:dev:1")]);
    let mut flight = Vec::new();
    let mut bytes = Vec::new();
    frame(&message(Code::GET, 2).path("/rd").to_bytes(), &mut bytes);
    hand.tls.send(&bytes, &mut flight).unwrap();
    let last = flight.len() - 1;
    flight[last] ^= 1;
    world.write(hand.number, &flight);
    world.run(SECOND);

    assert_eq!((world.stat("connections"), world.stat("sessions_broken")), (0, 1));
    assert_eq!(world.events_of("refused")[0]["reason"], "connection_broken");
}

#[test]
fn whoever_begins_a_handshake_and_stops_is_given_up() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let client = TlsClient::new(b"id1", &Zeroizing::new(KEY.to_vec()), &TlsClientOptions::default()).unwrap();
    let mut hello = Vec::new();
    client.connect(0, &mut hello).unwrap();
    // Nothing, a part of a record, and a whole flight without the next.
    for (host, said) in [(9, 0), (10, 50), (11, hello.len())] {
        let number = world.connect_to(TLS, address(host)).unwrap();
        world.write(number, &hello[..said]);
    }
    assert_eq!(world.stat("connections_opening"), 3);
    assert!((50..512).contains(&world.stat("connections_bytes")));

    world.run(HANDSHAKE - SECOND);
    assert_eq!(world.stat("connections_opening"), 3);
    world.run(3 * SECOND);

    assert_eq!((world.stat("connections_opening"), world.stat("connections_bytes"), world.ended.len()), (0, 0, 3));
    assert_eq!(reasons(&world), ["handshake_timeout"]);
    assert_eq!(world.events_of("security").len(), 3);
}

#[test]
fn whoever_hangs_up_in_the_middle_leaves_nothing_behind() {
    let mut world = World::new(options());
    let number = world.connect_to(TLS, address(9)).unwrap();
    world.write(number, &[22, 3, 1, 2, 0, 1]);
    world.close(number);

    assert_eq!((world.stat("connections_opening"), world.stat("connections_bytes")), (0, 0));
    world.run(2 * HANDSHAKE);
    assert!(reasons(&world).is_empty());
}

#[test]
fn there_are_only_so_many_handshakes_at_a_time() {
    let mut world = World::new(options());
    let mut refused = 0;
    for number in 0..1_100_u32 {
        let from = SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 5_000));
        refused += u64::from(world.connect_to(TLS, from).is_none());
    }
    assert_eq!((world.stat("connections_opening"), refused), (1_024, 76));
    assert_eq!(world.stat("connections_refused"), refused);
    assert!(world.connect_to(TCP, address(9)).is_some(), "connections in the clear have room of their own");
    world.run(2 * HANDSHAKE);
    assert!(world.connect_to(TLS, address(9)).is_some());
}

#[test]
fn new_keys_change_nothing_about_who_it_is() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let mut hand = Hand::connect(&mut world, address(9));
    for _ in 0..3 {
        let mut flight = Vec::new();
        hand.tls.renew_keys(&mut flight).unwrap();
        assert!(!hand.exchange(&mut world, flight));
    }
    hand.say(&mut world, &[csm(), register(1, "urn:dev:1")]);

    assert_eq!(world.events_of("registered")[0]["device"], "d1");
}

#[test]
fn everybody_is_told_when_the_server_ends() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let mut hand = Hand::connect(&mut world, address(9));
    world.gateway.release_connections();
    world.settle();
    let came = world.streams.remove(&hand.number).unwrap();

    let progress = hand.tls.handle_bytes(0, &came, &mut NoKeys, &mut |_| {}, &mut Vec::new());
    assert_eq!(progress, Ok(Progress::Closed));
}

#[test]
fn a_release_waits_for_a_certificate_that_is_being_signed() {
    for asked in [vec![enrol(1, b"a request")], vec![enrol(1, b"a request"), enrol(2, b"another instead")]] {
        let mut world = World::new(GatewayOptions { enrolment: true, ..options() });
        world.put(&secure_entry(1));
        let mut hand = Hand::connect(&mut world, address(9));
        hand.say(&mut world, &[csm()]);
        hand.say(&mut world, &asked);
        assert!(!hand.say(&mut world, &[release()]));
        world.run(30 * SECOND);
        assert_eq!((world.stat("connections"), world.stat("connections_released")), (1, 0));

        let (now, last) = (world.now(), std::iter::from_fn(|| world.gateway.poll_enrolment()).last().unwrap());
        let answer = EnrolmentAnswer { ticket: last.ticket, refusal: None, body: b"certificates".to_vec() };
        world.gateway.answer_enrolment(now, answer);
        world.settle();
        let came = world.streams.remove(&hand.number).unwrap();
        let heard = &mut hand.heard;
        let _ = hand.tls.handle_bytes(0, &came, &mut NoKeys, &mut |it| heard.extend_from_slice(it), &mut Vec::new());

        let (frame, token) =
            (last_frame(&hand.heard), Message::parse(&asked.last().unwrap().to_bytes()).unwrap().token);
        let said = Message::parse_frame(&frame).unwrap();
        assert_eq!((said.code, said.token, said.payload), (Code::CHANGED, token, &b"certificates"[..]));
        assert_eq!((world.ended.clone(), world.stat("connections_released")), (vec![hand.number], 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_bytes_can_break_the_gateway(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 1..8),
        is_established in any::<bool>(),
    ) {
        let mut world = World::new(options());
        world.put(&secure_entry(1));
        let number = if is_established {
            Hand::connect(&mut world, address(9)).number
        } else {
            world.connect_to(TLS, address(9)).unwrap()
        };
        for piece in &pieces {
            world.write(number, piece);
        }
        world.close(number);
        world.run(2 * HANDSHAKE);
        prop_assert_eq!((world.stat("connections"), world.stat("connections_opening")), (0, 0));
        prop_assert_eq!(world.stat("connections_bytes"), 0);
    }
}
