//! Requests that wait for the owner of the device: values that only it can say, and what it may refuse.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use coap::{Code, Kind, MessageBuilder, Token, content_format::*, observe};
use device::{Asked, Event, Guard, Operations, Value, definitions};
use lwm2m::{Record, codec};
use world::{Heard, World, config, path, seconds};

fn guarded(at: &str, letters: &str) -> World {
    let mut world = World::registered(config());
    world.device.guard(Guard { path: path(at), operations: Operations::parse(letters).unwrap() });
    world
}

/// The server asks; the question that the owner hears.
fn question(world: &mut World, code: Code, at: &str, body: &'static str) -> (u16, u64, Asked, String) {
    let id = world.send(code, at, |message| {
        if body.is_empty() { message } else { message.content_format(TEXT_PLAIN).payload(body.as_bytes()) }
    });
    let asked = world.events.iter().rev().find_map(|event| match event {
        Event::Asked { number, asked, values, .. } => Some((*number, *asked, String::from_utf8_lossy(values).into())),
        _ => None,
    });
    let (number, asked, values) = asked.unwrap_or_else(|| panic!("nobody was asked: {:?}", world.events));
    (id, number, asked, values)
}

fn allow(world: &mut World, number: u64) {
    world.device.decide(world.now, number, Ok(()));
    world.settle();
}

fn refuse(world: &mut World, number: u64, code: Code) {
    world.device.decide(world.now, number, Err((code, "not at night".to_owned())));
    world.settle();
}

/// What came under a token as a message of its own.
fn separate(world: &World, token: Token) -> Vec<Heard> {
    let is_it = |heard: &&Heard| heard.token == token && heard.kind == Kind::Confirmable && heard.code.is_response();
    world.server.heard.iter().filter(is_it).cloned().collect()
}

#[test]
fn a_write_happens_when_the_owner_lets_it_and_not_before() {
    let mut world = guarded("/3/0/15", "W");

    let (id, number, asked, values) = question(&mut world, Code::PUT, "/3/0/15", "UTC");
    assert_eq!((asked, values.as_str()), (Asked::Write, r#"{"/3/0/15":"UTC"}"#));
    assert_eq!(world.server.answer_to(id), None);
    assert_eq!(world.device.get(&path("/3/0/15")), Some(&Value::String("Europe/Oslo".into())));
    allow(&mut world, number);

    assert_eq!(world.server.answer_to(id).unwrap().code, Code::CHANGED);
    assert_eq!(world.device.get(&path("/3/0/15")), Some(&Value::String("UTC".into())));
    assert_eq!(world.count(|event| matches!(event, Event::Written { .. })), 1);
}

#[test]
fn what_the_owner_refuses_is_answered_with_its_code_and_its_words() {
    for (method, at, body) in [(Code::PUT, "/3/0/15", "UTC"), (Code::POST, "/3/0/4", ""), (Code::DELETE, "/3303/0", "")]
    {
        let mut world = guarded(&at[..2], "WE");
        world.device.guard(Guard { path: path("/3303"), operations: Operations::parse("W").unwrap() });

        let (id, number, ..) = question(&mut world, method, at, body);
        refuse(&mut world, number, Code::FORBIDDEN);

        let answer = world.server.answer_to(id).unwrap();
        assert_eq!((answer.code, answer.text().as_str()), (Code::FORBIDDEN, "not at night"), "{method} {at}");
        assert_eq!(world.count(|event| !matches!(event, Event::Asked { .. })), 0, "nothing happened");
        assert!(world.device.get(&path("/3303/0/5700")).is_some());
    }
}

#[test]
fn what_is_wrong_anyway_is_refused_without_asking() {
    let mut world = guarded("/3", "RWE");

    let read_only = world.ask_with(Code::PUT, "/3/0/9", |m| m.content_format(TEXT_PLAIN).payload(&b"1"[..]));
    let no_executable = world.ask(Code::POST, "/3/0/9");

    assert_eq!((read_only.code, no_executable.code), (Code::METHOD_NOT_ALLOWED, Code::METHOD_NOT_ALLOWED));
    assert!(world.events.is_empty());
}

#[test]
fn an_owner_that_takes_its_time_answers_separately() {
    let mut world = guarded("/3/0/15", "W");
    let (id, number, ..) = question(&mut world, Code::PUT, "/3/0/15", "UTC");

    world.advance(seconds(2));
    let acknowledged = world.server.answer_to(id).unwrap();
    assert_eq!((acknowledged.code, acknowledged.token), (Code::EMPTY, Token::EMPTY));
    let token = Token::new(&id.to_be_bytes()).unwrap();
    allow(&mut world, number);

    let answers = separate(&world, token);
    assert_eq!(answers.iter().map(|heard| heard.code).collect::<Vec<_>>(), [Code::CHANGED]);
    assert_ne!(answers[0].id, id);
}

#[test]
fn a_separate_answer_that_gets_lost_is_repeated() {
    let mut world = guarded("/3/0/15", "W");
    let (id, number, ..) = question(&mut world, Code::PUT, "/3/0/15", "UTC");
    world.advance(seconds(2));
    world.lose_up = 2;

    allow(&mut world, number);
    world.advance(seconds(60));

    assert_eq!(separate(&world, Token::new(&id.to_be_bytes()).unwrap()).len(), 1);
}

#[test]
fn a_copy_of_a_request_that_waits_asks_nobody_again() {
    let mut world = guarded("/3/0/4", "E");
    let execute = MessageBuilder::new(Kind::Confirmable, Code::POST, 77, Token::EMPTY).path("/3/0/4").to_bytes();
    for _ in 0..3 {
        world.server.say(&execute);
        world.advance(seconds(1));
    }

    assert_eq!(world.count(|event| matches!(event, Event::Asked { .. })), 1);
    assert!(world.server.heard.iter().all(|heard| heard.code == Code::EMPTY && heard.id == 77), "acknowledged again");
}

#[test]
fn an_owner_that_never_decides_is_decided_for() {
    let mut world = guarded("/3/0/15", "W");
    let (id, number, ..) = question(&mut world, Code::PUT, "/3/0/15", "UTC");

    world.advance(seconds(61));
    let late = separate(&world, Token::new(&id.to_be_bytes()).unwrap());
    allow(&mut world, number);

    assert_eq!(late.iter().map(|heard| heard.code).collect::<Vec<_>>(), [Code::SERVICE_UNAVAILABLE]);
    assert_eq!(world.device.get(&path("/3/0/15")), Some(&Value::String("Europe/Oslo".into())), "too late");
}

#[test]
fn requests_that_wait_are_bounded() {
    let mut world = guarded("/3/0/15", "W");
    for _ in 0..8 {
        let _ = question(&mut world, Code::PUT, "/3/0/15", "UTC");
    }

    let ninth = world.ask_with(Code::PUT, "/3/0/15", |m| m.content_format(TEXT_PLAIN).payload(&b"UTC"[..]));

    assert_eq!(ninth.code, Code::SERVICE_UNAVAILABLE);
}

#[test]
fn a_read_carries_what_the_owner_measured_for_it() {
    let mut world = guarded("/3303/0/5700", "R");

    let (id, number, asked, values) = question(&mut world, Code::GET, "/3303/0/5700", "");
    assert_eq!((asked, values.as_str()), (Asked::Read, r#"["/3303/0/5700"]"#));
    world.set("/3303/0/5700", Value::Float(11.5));
    allow(&mut world, number);

    assert_eq!(world.server.answer_to(id).unwrap().text(), "11.5");
    let other = world.ask(Code::GET, "/3/0/9");
    assert_eq!(other.code, Code::CONTENT, "others are read as ever");
}

#[test]
fn an_instance_that_a_server_makes_gets_what_its_owner_adds() {
    let mut world = guarded("/3303", "W");
    let record = Record::new(path("/3303/4/5701"), Value::String("Cel".into()));
    let body = codec::encode(TLV, &path("/3303"), &[record], definitions()).unwrap();

    let id = world.send(Code::POST, "/3303", |message| message.content_format(TLV).payload(body));
    let Some(Event::Asked { number, asked: Asked::Create, path: instance, .. }) = world.events.pop() else {
        panic!("nobody was asked: {:?}", world.events)
    };
    assert_eq!(instance, path("/3303/4"));
    assert!(world.device.set(path("/3303/4/5700"), Value::Float(0.0)));
    world.device.decide(world.now, number, Ok(()));
    world.settle();

    assert_eq!(world.server.answer_to(id).unwrap().location, "/3303/4");
    assert_eq!(world.device.get(&path("/3303/4/5701")), Some(&Value::String("Cel".into())));
    let values = br#"{"/3303/4/5701":"Cel"}"#.to_vec();
    assert_eq!(world.count(|event| *event == Event::Created { path: path("/3303/4"), values: values.clone() }), 1);
}

#[test]
fn an_object_without_an_instance_can_get_an_empty_one_if_its_owner_fills_it() {
    let mut world = World::registered(config());
    world.device.declare(3304);
    world.settle();
    assert!(world.server.requests(Code::POST, "/rd/1").pop().unwrap().text().contains("</3304>"));
    let nobody = world.ask_with(Code::POST, "/3304", |message| message.content_format(TLV));
    assert_eq!(nobody.code, Code::BAD_REQUEST, "an instance of nothing is none");

    world.device.guard(Guard { path: path("/3304"), operations: Operations::parse("W").unwrap() });
    let id = world.send(Code::POST, "/3304", |message| message.content_format(TLV));
    let Some(Event::Asked { number, .. }) = world.events.pop() else { panic!("nobody was asked") };
    assert!(world.device.set(path("/3304/0/5700"), Value::Float(40.0)));
    allow(&mut world, number);

    assert_eq!(world.server.answer_to(id).unwrap().location, "/3304/0");
}

#[test]
fn an_observer_of_what_only_the_owner_knows_has_it_asked_every_epmax() {
    let mut world = guarded("/3303/0/5700", "R");
    let _ = world.ask_with(Code::PUT, "/3303/0/5700", |message| message.query("epmax=30"));
    let id = world.send(Code::GET, "/3303/0/5700", |message| message.observe(observe::REGISTER));
    let Some(Event::Asked { number, .. }) = world.events.pop() else { panic!("nobody was asked") };
    allow(&mut world, number);
    assert!(world.server.answer_to(id).unwrap().observe.is_some());

    world.advance(seconds(95));

    let wanted = world.count(|event| *event == Event::Wanted { path: path("/3303/0/5700") });
    assert_eq!(wanted, 3);
}

#[test]
fn a_question_does_not_outlive_the_session_and_its_late_answer_does_no_harm() {
    let mut world = guarded("/3/0/15", "W");
    let (_, number, ..) = question(&mut world, Code::PUT, "/3/0/15", "UTC");

    world.device.lose_power();
    world.device.power_on(world.now);
    allow(&mut world, number);

    assert_eq!(world.device.get(&path("/3/0/15")), Some(&Value::String("Europe/Oslo".into())));
    assert!(world.device.is_registered());
}

#[test]
fn a_question_that_was_not_confirmable_is_answered_in_its_own_way() {
    let mut world = guarded("/3/0/4", "E");
    let token = Token::new(&[9]).unwrap();
    world.server.say(&MessageBuilder::new(Kind::NonConfirmable, Code::POST, 99, token).path("/3/0/4").to_bytes());
    world.settle();
    let Some(Event::Asked { number, .. }) = world.events.pop() else { panic!("nobody was asked") };

    world.advance(seconds(5));
    assert!(world.server.heard.is_empty(), "no acknowledgement of what wants none");
    allow(&mut world, number);

    let heard = &world.server.heard[0];
    assert_eq!((heard.kind, heard.code, heard.token), (Kind::NonConfirmable, Code::CHANGED, token));
}

#[test]
fn questions_about_an_instance_end_with_it() {
    let mut world = guarded("/3303/0/5700", "RW");
    assert_eq!(world.ask(Code::DELETE, "/3/0").code, Code::METHOD_NOT_ALLOWED);
    let (_, number, ..) = question(&mut world, Code::DELETE, "/3303/0", "");
    allow(&mut world, number);

    world.set("/3303/0/5700", Value::Float(1.0));

    assert_eq!(world.ask(Code::GET, "/3303/0/5700").code, Code::CONTENT, "nobody is asked");
}
