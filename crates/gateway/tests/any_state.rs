//! Anything at all into a gateway that is fresh, has a device, asks it something, or is being notified: it lives on,
//! keeps within its bounds, and says no more to a stranger than the stranger said.
#![allow(clippy::unwrap_used)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use coap::message::{Kind, Message, Token};
use coap::{Block, Code, MessageBuilder, option};
use gateway::{DeviceEntry, GatewayOptions, Operation};
use proptest::prelude::*;
use world::*;

const SECOND: Duration = Duration::from_secs(1);

/// What the gateway is in the middle of when the noise begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Fresh,
    Registered,
    UnderWay,
    Observing,
    Uploading,
    LogHangs,
}

/// Where the device of the clear is; noise may come from there, too.
const HOME: u8 = 9;

fn world_in(state: State) -> World {
    let mut world = World::new(GatewayOptions { uncommitted_bytes_max: 64 << 10, ..options() });
    let observe = match state {
        State::Observing => vec![("/3303/0/5700".to_owned(), String::new())],
        _ => Vec::new(),
    };
    world.put(&DeviceEntry { observe, ..entry(1) });
    world.put(&secure_entry(2));
    if state == State::Fresh {
        return world;
    }
    world.say(address(HOME), register(1, "urn:dev:1"));
    match state {
        State::UnderWay => world.submit(request(1, Operation::Read, "/3/0/9")),
        State::Observing => {
            let asked = world.inbox[&address(HOME)].last().unwrap().clone();
            let answer = MessageBuilder::answer(&Message::parse(&asked).unwrap(), Code::CONTENT, 0);
            let answer = answer.observe(5).content_format(0).payload(b"9.5".to_vec());
            world.inject(CLEAR, address(HOME), &answer.to_bytes());
        }
        State::Uploading => {
            let block = Block { num: 0, more: true, szx: 6 };
            let first = message(Code::POST, 60).path("/dp").content_format(110).block1(block).payload(vec![b' '; 1024]);
            world.inject(CLEAR, address(HOME), &first.to_bytes());
        }
        State::LogHangs => world.log = Log::Hangs,
        _ => {}
    }
    world.run(SECOND);
    world.inbox.clear();
    world
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Fresh),
        Just(State::Registered),
        Just(State::UnderWay),
        Just(State::Observing),
        Just(State::Uploading),
        Just(State::LogHangs),
    ]
}

/// Messages that are nearly right: our paths and queries, any method, option and payload.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let kinds = [Kind::Confirmable, Kind::NonConfirmable, Kind::Acknowledgement, Kind::Reset];
    let segment = prop::sample::select(vec!["rd", "dp", "fw", "x", "", "0123456789abcdef", ".well-known"]);
    let query = prop::sample::select(vec![
        "ep=urn:dev:1",
        "ep=x",
        "ep=urn:dev:2",
        "lt=1",
        "lt=0",
        "lwm2m=1.1",
        "b=U",
        "Q",
        "?",
    ]);
    let number = prop::sample::select(vec![
        option::IF_MATCH,
        option::URI_HOST,
        option::ETAG,
        option::OBSERVE,
        option::CONTENT_FORMAT,
        option::ACCEPT,
        option::BLOCK1,
        option::BLOCK2,
        option::SIZE1,
        option::SIZE2,
        option::PROXY_URI,
        65_001,
        65_308,
    ]);
    let options = prop::collection::vec((number, prop::collection::vec(any::<u8>(), 0..5)), 0..4);
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        Just(b"</3/0>,</3303/0>".to_vec()),
        Just(br#"[{"n":"/3303/0/5700","v":1}]"#.to_vec()),
        Just(vec![b' '; 16]),
    ];
    let head = (prop::sample::select(kinds.to_vec()), 0..0xa8_u8, 0..9_u16, prop::collection::vec(any::<u8>(), 0..=8));
    (head, prop::collection::vec(segment, 0..4), prop::collection::vec(query, 0..5), options, payload).prop_map(
        |((kind, code, id, token), segments, queries, options, payload)| {
            let mut message = MessageBuilder::new(kind, Code(code), id, Token::new(&token).unwrap());
            message =
                segments.iter().fold(message, |message, segment| message.option(option::URI_PATH, segment.as_bytes()));
            message = queries.iter().fold(message, |message, query| message.query(query));
            message = options.iter().fold(message, |message, (number, value)| message.option(*number, value.clone()));
            message.payload(payload).to_bytes()
        },
    )
}

fn noise() -> impl Strategy<Value = Vec<(Vec<u8>, bool, bool, u16)>> {
    let datagram = prop_oneof![
        4 => nearly(),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(|mut bytes| { bytes.insert(0, 0x40); bytes }),
    ];
    prop::collection::vec((datagram, any::<bool>(), any::<bool>(), 0..2_000_u16), 1..50)
}

fn is_registered(world: &World, from: SocketAddr) -> bool {
    let registrations = world.gateway.registrations(world.now(), "", 10);
    registrations.iter().any(|registration| registration.address.as_deref() == Some(&from.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_gateway_lives_on_within_its_bounds_and_amplifies_nothing(state in state(), noise in noise()) {
        let mut world = world_in(state);

        for (datagram, is_from_home, is_secure, pause_ms) in noise {
            let from = address(if is_from_home { HOME } else { 77 });
            let socket = if is_secure { SECURE } else { CLEAR };
            let was_known = is_registered(&world, from);
            world.inbox.remove(&from);
            world.inject(socket, from, &datagram);
            // A Register that was accepted verifies the address as far as that can be without DTLS.
            let is_stranger = !was_known && !is_registered(&world, from) && state != State::LogHangs;
            if is_stranger {
                let answered: usize = world.inbox.get(&from).map_or(0, |said| said.iter().map(Vec::len).sum());
                prop_assert!(answered <= datagram.len(), "{answered} bytes to {}: {datagram:02x?}", datagram.len());
            }
            world.run(Duration::from_millis(u64::from(pause_ms)));
        }

        prop_assert!(world.stat("peers") <= 4, "{} peers", world.stat("peers"));
        prop_assert_eq!((world.stat("half_open"), world.stat("sessions")), (0, 0));
        prop_assert!(world.stat("uploading") <= 2);
        prop_assert!(world.stat("registrations") <= 1);
        prop_assert!(world.stat("timers") <= 16, "{} timers", world.stat("timers"));
        prop_assert!(world.stat("uncommitted_bytes") <= (64 << 10) + (4 << 10));

        // And it still does its work.
        if state == State::LogHangs {
            world.commit_hanging();
        }
        let answer = world.say(address(50), register(4_000, "urn:dev:1"));
        prop_assert_eq!(code_of(answer.as_deref()), Some(Code::CREATED));
        world.run(Duration::from_secs(1_200));
        prop_assert_eq!((world.stat("registrations"), world.stat("uploading")), (0, 0));
        prop_assert!(world.outcomes(1).len() <= 2);
        prop_assert!(world.stat("peers") <= 1, "{} peers", world.stat("peers"));
    }
}
