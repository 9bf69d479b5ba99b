//! Stories of the bootstrap interface: a gateway that hands out accounts, and devices that know nobody but it.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use coap::content_format::{SENML_CBOR, SENML_JSON, TLV};
use coap::message::{Kind, Message, Token};
use coap::{Block, Code, MessageBuilder, option};
use device::{Config, Event, Place, Value, Version};
use gateway::limits::{BOOTSTRAP_SILENCE_S, GRACE_MIN};
use gateway::{GatewayOptions, Operation, Outcome, Request};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value as Json, json};
use world::*;

const SECOND: Duration = Duration::from_secs(1);
const BOOTSTRAP_URI: &str = "coaps://192.0.2.200:5686";
const SERVER_URI: &str = "coaps://192.0.2.201:5684?enclosure=enc-1";

fn server() -> GatewayOptions {
    GatewayOptions { is_bootstrap_server: true, ..options() }
}

/// A device that knows its bootstrap server and nobody else, switched on.
fn newcomer(config: Config) -> World {
    let mut world = World::new(server());
    world.put(&if config.credential.is_some() { secure_entry(1) } else { entry(1) });
    world.add(Config { bootstraps: true, ..config.clone() });
    let (uri, mode) = if config.credential.is_some() { (BOOTSTRAP_URI, 0) } else { ("coap://192.0.2.200", 3) };
    for (at, value) in [
        ("/0/0/0", Value::String(uri.to_owned())),
        ("/0/0/1", Value::Boolean(true)),
        ("/0/0/2", Value::Integer(mode)),
        ("/0/0/3", Value::Opaque(b"id1".to_vec())),
        ("/0/0/5", Value::Opaque(KEY.to_vec())),
    ] {
        world.set(0, at, value);
    }
    world.power_on(0);
    look_up(&mut world);
    world.run(SECOND);
    world
}

/// The host of the URI that the device wants to know is where all hosts are here.
fn look_up(world: &mut World) {
    assert!(world.hosts[0].device.poll_lookup().is_some());
    let now = world.now().monotonic;
    let place = Place { address: "192.0.2.200:5683".parse().unwrap(), over_tcp: world.hosts[0].socket == TCP };
    world.hosts[0].device.handle_lookup(now, Some(place));
    world.settle();
}

fn account() -> [(u64, Operation, &'static str, Option<Json>); 5] {
    [
        (10, Operation::BootstrapDelete, "/", None),
        (11, Operation::Write, "/0/1", Some(security())),
        (12, Operation::Write, "/1/0", Some(json!({"resources": {"0": 101, "1": 600, "6": true, "7": "U"}}))),
        (13, Operation::Write, "/26241/0", Some(json!({"resources": {"0": "enc-1"}}))),
        (14, Operation::BootstrapFinish, "/", None),
    ]
}

fn security() -> Json {
    // "bmV3" and "bmV3IGtleSBvZiAxNiBi": an identity and a key in Base64.
    json!({"resources": {
        "0": SERVER_URI, "1": false, "2": 0, "3": "bmV3", "5": "bmV3IGtleSBvZiAxNiBi", "10": 101,
    }})
}

fn step(world: &mut World, (id, operation, at, body): (u64, Operation, &str, Option<Json>)) -> gateway::Answer {
    world.ask(Request { body, wait_for_wake: false, ..request(id, operation, at) })
}

fn ask<'m>(code: Code, at: &'m str, queries: &[&'m str]) -> MessageBuilder<'m> {
    let message = MessageBuilder::new(Kind::Confirmable, code, 1, Token::new(&[1]).unwrap()).path(at);
    queries.iter().fold(message, |message, query| message.query(query))
}

fn states(world: &World) -> Vec<&str> {
    let events = world.events.iter().filter(|event| event["type"] == "bootstrap");
    events.map(|event| event["state"].as_str().unwrap()).collect()
}

fn is_bootstrapped(world: &World) -> bool {
    world.hosts[0].events.iter().any(|event| matches!(event, Event::AccountsChanged { .. }))
}

#[test]
fn a_device_that_knows_nobody_gets_its_account_and_goes_there() {
    for version in [Version::V1_0, Version::V1_1] {
        let mut world = newcomer(Config { version, ..secure_config(1) });
        assert_eq!(states(&world), ["requested"]);

        let discovered = world.ask(request(1, Operation::Discover, "/"));
        for each in account() {
            let answer = step(&mut world, each);
            assert_eq!(answer.outcome, Outcome::Answered, "{answer:?}");
        }
        world.run(SECOND);

        let links = String::from_utf8(discovered.body.unwrap()).unwrap();
        assert!(links.contains("\"/0/0\"") && links.contains("\"/3/0\""), "{links}");
        assert_eq!(states(&world), ["requested", "finished"]);
        let device = &world.hosts[0].device;
        assert_eq!(device.poll_lookup(), Some(SERVER_URI));
        assert_eq!(device.get(&path("/0/1/5")), Some(&Value::Opaque(b"new key of 16 b".to_vec())));
        assert_eq!(device.get(&path("/26241/0/0")), Some(&Value::String("enc-1".to_owned())));
        assert!(device.get(&path("/0/0/0")).is_some(), "the bootstrap server's own account stays");
        assert_eq!(world.stat("registrations"), 0);
        let requested = world.events.iter().find(|event| event["type"] == "bootstrap").unwrap();
        let format = if version == Version::V1_0 { Json::Null } else { Json::from(SENML_CBOR) };
        assert_eq!((&requested["format"], &requested["secure"]), (&format, &Json::from(true)));
    }
}

#[test]
fn it_works_over_a_connection_and_in_the_clear() {
    for config in [config(1), tcp_config(1)] {
        let mut world = newcomer(config);

        for each in account() {
            assert_eq!(step(&mut world, each).outcome, Outcome::Answered);
        }

        world.run(SECOND);
        assert!(is_bootstrapped(&world));
    }
}

#[test]
fn a_write_that_the_device_refuses_ends_it_and_changes_nothing() {
    let mut world = newcomer(secure_config(1));

    let answer = step(&mut world, (1, Operation::Write, "/40000/0", Some(json!({"resources": {"0": 1}}))));

    assert_eq!((answer.outcome, answer.code), (Outcome::Refused, Some(Code::NOT_FOUND)));
    assert_eq!(states(&world), ["requested", "refused"]);
    let refused = world.events.iter().find(|event| event["state"] == "refused").unwrap();
    assert_eq!((&refused["path"], &refused["code"]), (&Json::from("/40000/0"), &Json::from("4.04")));
    let late = world.ask(Request { wait_for_wake: false, ..request(2, Operation::BootstrapFinish, "/") });
    assert_eq!(late.outcome, Outcome::Unregistered);
    assert!(!is_bootstrapped(&world));
}

#[test]
fn an_account_that_does_not_fit_together_is_refused_at_the_end() {
    let mut world = newcomer(secure_config(1));
    step(&mut world, (1, Operation::Write, "/0/1", Some(security())));

    let answer = step(&mut world, (2, Operation::BootstrapFinish, "/", None));

    assert_eq!((answer.outcome, answer.code), (Outcome::Refused, Some(Code::NOT_ACCEPTABLE)));
    assert!(answer.detail.unwrap().contains("no Server object"));
    assert_eq!(states(&world), ["requested", "refused"]);
    assert!(!is_bootstrapped(&world));
}

#[test]
fn only_the_endpoint_of_the_credential_gets_an_account() {
    let mut world = World::new(server());
    world.put(&secure_entry(1));

    for (number, endpoint) in [(9, "ep=nobody"), (10, "ep=urn:dev:1")] {
        let answer = world.say(address(number), ask(Code::POST, "/bs", &[endpoint])).unwrap();
        assert_eq!(Message::parse(&answer).unwrap().code, Code::BAD_REQUEST);
    }
    world.run(2 * SECOND);

    let reasons: Vec<&Json> =
        world.events.iter().filter(|event| event["type"] == "security").map(|event| &event["reason"]).collect();
    assert!(reasons.contains(&&Json::from("not_allowed")) && reasons.contains(&&Json::from("insecure")), "{reasons:?}");
    let mut world = newcomer(Config { endpoint: "urn:dev:2".to_owned(), ..secure_config(1) });
    world.run(2 * SECOND);
    assert_eq!(states(&world), Vec::<&str>::new());
    assert!(world.events.iter().any(|event| event["reason"] == "endpoint_mismatch" && event["type"] == "security"));
}

#[test]
fn whoever_begins_again_gets_everything_again() {
    let mut world = newcomer(secure_config(1));
    step(&mut world, (1, Operation::BootstrapDelete, "/", None));
    world.hosts[0].is_reachable = false;
    world.submit(Request { wait_for_wake: false, ..request(2, Operation::BootstrapDelete, "/0") });
    let now = world.now().monotonic;
    world.hosts[0].device.lose_power();
    world.hosts[0].is_reachable = true;
    world.hosts[0].device.power_on(now);
    look_up(&mut world);
    world.run(SECOND);

    assert_eq!(world.outcomes(2), [Outcome::Sent, Outcome::Unregistered], "of the bootstrap before");
    assert_eq!(states(&world), ["requested", "requested"]);
    for each in account() {
        assert_eq!(step(&mut world, each).outcome, Outcome::Answered);
    }
    world.run(SECOND);
    assert!(is_bootstrapped(&world));
}

#[test]
fn a_device_that_begins_again_and_again_is_told_to_wait() {
    let mut world = World::new(server());
    world.put(&entry(1));
    let from = address(9);
    let mut begin = |id: u16| {
        let message = MessageBuilder::new(Kind::Confirmable, Code::POST, id, Token::new(&id.to_be_bytes()).unwrap());
        let answer = world.say(from, message.path("/bs").query("ep=urn:dev:1")).unwrap();
        Message::parse(&answer).unwrap().code
    };

    let codes: Vec<Code> = (1..=12).map(&mut begin).collect();

    assert!(codes[..10].iter().all(|code| *code == Code::CHANGED), "{codes:?}");
    assert_eq!(codes[10..], [Code::SERVICE_UNAVAILABLE; 2]);
    world.run(Duration::from_secs(61));
    let later = MessageBuilder::new(Kind::Confirmable, Code::POST, 99, Token::new(&[99]).unwrap());
    let answer = world.say(from, later.path("/bs").query("ep=urn:dev:1")).unwrap();
    assert_eq!(Message::parse(&answer).unwrap().code, Code::CHANGED);
}

#[test]
fn silence_ends_it() {
    let mut world = newcomer(secure_config(1));
    world.hosts[0].is_reachable = false;

    world.run(Duration::from_secs(u64::from(BOOTSTRAP_SILENCE_S)) + GRACE_MIN + SECOND);

    assert_eq!(states(&world), ["requested", "timed_out"]);
    assert_eq!(world.stat("registrations"), 0);
}

#[test]
fn a_pack_is_everything_in_one_answer() {
    let mut world = newcomer(Config { version: Version::V1_2, ..secure_config(1) });
    // Longer than a datagram.
    let note = "Ø".repeat(900);
    let values = json!({"values": {
        "/0/1/0": SERVER_URI, "/0/1/1": false, "/0/1/2": 0, "/0/1/3": "bmV3", "/0/1/5": "bmV3IGtleSBvZiAxNiBi",
        "/0/1/10": 101, "/1/0/0": 101, "/1/0/1": 600, "/1/0/6": true, "/1/0/7": "U", "/26241/0/2": note,
    }});

    let answer = step(&mut world, (1, Operation::BootstrapPack, "/", Some(values.clone())));
    world.run(SECOND);

    assert_eq!((answer.outcome, answer.code), (Outcome::Answered, Some(Code::CONTENT)));
    assert_eq!(states(&world), ["requested", "finished"]);
    assert_eq!(world.hosts[0].device.poll_lookup(), Some(SERVER_URI));
    assert_eq!(world.hosts[0].device.get(&path("/26241/0/2")), Some(&Value::String(note)));
    let again = step(&mut world, (2, Operation::BootstrapPack, "/", Some(values)));
    assert_eq!(again.outcome, Outcome::Unregistered, "nobody waits for one");
    world.run(Duration::from_secs(900));
    assert_eq!(states(&world), ["requested", "finished"], "what was handed out does not time out");
}

#[test]
fn who_has_no_account_hears_so_when_he_asks_for_a_pack() {
    let mut world = newcomer(Config { version: Version::V1_2, ..secure_config(1) });

    let answer = step(&mut world, (1, Operation::BootstrapPack, "/", None));

    assert_eq!(answer.outcome, Outcome::Refused);
    assert_eq!(states(&world), ["requested", "refused"]);
    let told = world.hosts[0].events.iter().any(
        |event| matches!(event, Event::Refused { code: Some(Code::BAD_REQUEST), detail } if detail == "no account"),
    );
    assert!(told, "{:?}", world.hosts[0].events);
}

#[test]
fn what_is_not_spoken_here_is_refused_with_its_code() {
    let mut world = World::new(server());
    world.put(&entry(1));
    let name = "ep=urn:dev:1";
    let cases = [
        (ask(Code::POST, "/bs", &[name, "pct=0"]), Code::UNSUPPORTED_CONTENT_FORMAT),
        (ask(Code::POST, "/bs", &[name, "pct=many"]), Code::UNSUPPORTED_CONTENT_FORMAT),
        (ask(Code::POST, "/bs", &[]), Code::BAD_REQUEST),
        (ask(Code::GET, "/bs", &[name]), Code::METHOD_NOT_ALLOWED),
        (ask(Code::GET, "/bspack", &[name]).uint(option::ACCEPT, u32::from(TLV)), Code::NOT_ACCEPTABLE),
        (ask(Code::POST, "/rd", &[name, "lwm2m=1.1"]), Code::NOT_FOUND),
        (ask(Code::POST, "/dp", &[]), Code::NOT_FOUND),
    ];

    for (number, (message, expected)) in cases.into_iter().enumerate() {
        let from = address(100 + number as u8);
        let answer = world.say(from, message).unwrap();
        assert_eq!(Message::parse(&answer).unwrap().code, expected, "case {number}");
    }
}

#[test]
fn each_interface_has_its_own_operations() {
    let mut bootstrap = newcomer(secure_config(1));
    let mut ordinary = World::with_registered(options(), &entry(1), config(1));

    let execute = bootstrap.ask(request(1, Operation::Execute, "/3/0/4"));
    let delete = ordinary.ask(request(1, Operation::BootstrapDelete, "/"));

    assert_eq!((execute.outcome, execute.code), (Outcome::Refused, None));
    assert_eq!((delete.outcome, delete.code), (Outcome::Refused, None));
}

#[test]
fn a_format_that_the_device_prefers_is_the_one_it_gets() {
    let mut world = World::new(server());
    world.put(&entry(1));
    let from = address(9);
    let preferred = format!("pct={SENML_JSON}");
    let begun = world.say(from, ask(Code::POST, "/bs", &["ep=urn:dev:1", &preferred])).unwrap();
    assert_eq!(Message::parse(&begun).unwrap().code, Code::CHANGED);

    world.inbox.clear();
    world.submit(Request { body: Some(security()), ..request(1, Operation::Write, "/0/1") });

    let written = world.inbox.remove(&from).unwrap();
    let written = Message::parse(&written[0]).unwrap();
    assert_eq!((written.code, written.content_format()), (Code::PUT, Some(SENML_JSON)));
}

/// What a device may say to a bootstrap server, and what its caller may do meanwhile.
#[derive(Debug, Clone)]
enum Step {
    Say(Code, &'static str, Vec<&'static str>, Option<u32>, Option<Block>, Vec<u8>),
    Do(Operation, &'static str, bool),
    Wait(u64),
}

fn step_of_any_kind() -> impl Strategy<Value = Step> {
    let code = select(vec![Code::POST, Code::POST, Code::GET, Code::PUT, Code(0x44), Code(0x84), Code::CONTINUE]);
    let at = select(vec!["/bs", "/bspack", "/rd", "/bs/1", ""]);
    let query = select(vec!["ep=urn:dev:1", "ep=urn:dev:2", "ep=", "pct=112", "pct=11542", "pct=99999", "lwm2m=9"]);
    let block = (0..4_u32, any::<bool>(), 0..=7_u8).prop_map(|(num, more, szx)| Block { num, more, szx });
    let accept = prop::option::of(select(vec![0, 110, 112, 11_542, 11_544]));
    let operation = select(vec![
        Operation::Write,
        Operation::Discover,
        Operation::BootstrapDelete,
        Operation::BootstrapFinish,
        Operation::BootstrapPack,
        Operation::Execute,
    ]);
    prop_oneof![
        4 => (code, at, vec(query, 0..4), accept, prop::option::of(block), vec(any::<u8>(), 0..20)).prop_map(
            |(code, at, queries, accept, block, payload)| Step::Say(code, at, queries, accept, block, payload)
        ),
        2 => (operation, select(vec!["/", "/0", "/0/1", "/1/0"]), any::<bool>())
            .prop_map(|(operation, at, has_body)| Step::Do(operation, at, has_body)),
        1 => (0..400_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_said_or_done_leaves_anything_waiting(steps in vec(step_of_any_kind(), 1..40)) {
        let mut world = World::new(server());
        world.put(&entry(1));
        let from = address(9);

        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Say(code, at, queries, accept, block, payload) => {
                    let id = number as u16;
                    let token = Token::new(&id.to_be_bytes()).unwrap();
                    let message = MessageBuilder::new(Kind::Confirmable, code, id, token).path(at);
                    let message = queries.into_iter().fold(message, MessageBuilder::query);
                    let message = accept.into_iter().fold(message, |message, it| message.uint(option::ACCEPT, it));
                    let message = block.into_iter().fold(message, MessageBuilder::block2);
                    world.inject(CLEAR, from, &message.payload(payload).to_bytes());
                }
                Step::Do(operation, at, has_body) => {
                    let body = has_body.then(|| json!({"resources": {"0": 1}, "values": {"/1/0/1": 300}}));
                    world.submit(Request { body, wait_for_wake: false, ..request(number as u64, operation, at) });
                }
                Step::Wait(seconds) => world.run(Duration::from_secs(seconds)),
            }
        }

        world.run(Duration::from_secs(1_000));
        prop_assert_eq!((world.stat("waiting"), world.stat("registrations")), (0, 0));
    }
}
