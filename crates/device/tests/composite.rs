//! One request over many paths: Read-, Write- and Observe-Composite.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use coap::{Code, Token, content_format::*, observe};
use device::{Config, Event, Value, Version, definitions};
use lwm2m::{Path, Record, codec};
use world::{Heard, World, config, path, seconds};

fn asked(format: u16, paths: &[&str]) -> Vec<u8> {
    codec::encode_paths(format, &paths.iter().map(|at| path(at)).collect::<Vec<_>>()).unwrap()
}

fn written(values: &[(&str, Value)]) -> Vec<u8> {
    let records: Vec<_> = values.iter().map(|(at, value)| Record::new(path(at), value.clone())).collect();
    codec::encode(SENML_CBOR, &Path::ROOT, &records, definitions()).unwrap()
}

fn read(answer: &Heard) -> Vec<(String, Value)> {
    let records = codec::decode(answer.format.unwrap(), &Path::ROOT, &answer.payload, 0.0, definitions()).unwrap();
    records.into_iter().map(|record| (record.path.to_string(), record.value)).collect()
}

fn fetch(world: &mut World, format: u16, paths: &[&str]) -> Heard {
    world.ask_with(Code::FETCH, "/", |message| message.content_format(format).payload(asked(format, paths)))
}

fn patch(world: &mut World, values: &[(&str, Value)]) -> Code {
    world.ask_with(Code::IPATCH, "/", |message| message.content_format(SENML_CBOR).payload(written(values))).code
}

#[test]
fn several_paths_are_read_at_once_and_what_is_not_there_is_left_out() {
    for format in [SENML_CBOR, SENML_JSON] {
        let mut world = World::registered(config());

        let answer = fetch(&mut world, format, &["/3303/0/5700", "/3/0/9", "/3/0/4", "/9/9/9", "/3303"]);
        let nothing = fetch(&mut world, format, &["/9/9/9"]);

        assert_eq!((answer.code, answer.format), (Code::CONTENT, Some(format)));
        let values = read(&answer);
        assert_eq!(values.len(), 2, "each value once: {values:?}");
        assert_eq!(values[1], ("/3303/0/5700".to_owned(), Value::Float(9.0)));
        assert_eq!((nothing.code, read(&nothing)), (Code::CONTENT, vec![]));
    }
}

#[test]
fn a_composite_that_makes_no_sense_is_refused_with_the_right_code() {
    let mut world = World::registered(config());
    let body = asked(SENML_CBOR, &["/3/0/9"]);
    let many: Vec<String> = (0..65).map(|instance| format!("/3303/{instance}/5700")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();

    assert_eq!(fetch(&mut world, SENML_CBOR, &[]).code, Code::BAD_REQUEST);
    assert_eq!(fetch(&mut world, SENML_CBOR, &many).code, Code::REQUEST_ENTITY_TOO_LARGE);
    let mut ask = |at: &str, format: u16, accept: u16| {
        let body = body.clone();
        let answer = world.ask_with(Code::FETCH, at, |m| m.content_format(format).accept(accept).payload(body));
        answer.code
    };
    assert_eq!(ask("/3", SENML_CBOR, SENML_CBOR), Code::METHOD_NOT_ALLOWED, "only the root");
    assert_eq!(ask("/", TLV, SENML_CBOR), Code::UNSUPPORTED_CONTENT_FORMAT);
    assert_eq!(ask("/", SENML_CBOR, TEXT_PLAIN), Code::NOT_ACCEPTABLE);
    let mut old = World::registered(Config { version: Version::V1_0, ..config() });
    assert_eq!(fetch(&mut old, SENML_CBOR, &["/3/0/9"]).code, Code::METHOD_NOT_ALLOWED, "1.0 has no composites");
}

#[test]
fn several_paths_are_written_at_once_all_or_none() {
    let mut world = World::registered(config());
    let zone = ("/3/0/15", Value::String("UTC".into()));

    let read_only = patch(&mut world, &[zone.clone(), ("/3/0/9", Value::Integer(100))]);
    let nowhere = patch(&mut world, &[zone.clone(), ("/1/7/1", Value::Integer(60))]);
    let wrong = &br#"[{"n":"/3/0/15","vs":"UTC"},{"n":"/1/0/1","vs":"soon"}]"#[..];
    let mistyped = world.ask_with(Code::IPATCH, "/", |message| message.content_format(SENML_JSON).payload(wrong)).code;
    assert_eq!(world.device.get(&path("/3/0/15")), Some(&Value::String("Europe/Oslo".into())));
    let both = patch(&mut world, &[zone, ("/1/0/6", Value::Boolean(true))]);

    assert_eq!((read_only, nowhere), (Code::METHOD_NOT_ALLOWED, Code::NOT_FOUND));
    assert_eq!((mistyped, both), (Code::BAD_REQUEST, Code::CHANGED));
    assert_eq!(world.device.get(&path("/1/0/6")), Some(&Value::Boolean(true)));
    assert_eq!(world.device.get(&path("/1/0/1")), Some(&Value::Integer(300)), "what was not written stays");
    let told: Vec<String> = world
        .events
        .iter()
        .filter_map(|event| if let Event::Written { path, .. } = event { Some(path.to_string()) } else { None })
        .collect();
    assert_eq!(told, ["/3/0/15", "/1/0/6"]);
}

fn observe(world: &mut World, paths: &[&str], queries: &[&'static str]) -> (Token, Heard) {
    let body = asked(SENML_CBOR, paths);
    let first = world.ask_with(Code::FETCH, "/", |message| {
        let message = queries.iter().fold(message, |message, query| message.query(query));
        message.observe(observe::REGISTER).content_format(SENML_CBOR).payload(body)
    });
    assert_eq!(first.code, Code::CONTENT);
    (first.token, first)
}

#[test]
fn a_change_of_one_path_tells_all_of_them_until_it_is_cancelled() {
    let mut world = World::registered(config());
    let (token, first) = observe(&mut world, &["/3303/0/5700", "/3/0/9"], &[]);
    assert!(first.observe.is_some());

    world.set("/3/0/9", Value::Integer(86));
    let told = world.server.take_notifications(token);
    assert_eq!(told.len(), 1);
    assert_eq!(
        read(&told[0]),
        [("/3/0/9".to_owned(), Value::Integer(86)), ("/3303/0/5700".to_owned(), Value::Float(9.0))]
    );

    let cancel = coap::MessageBuilder::new(coap::Kind::Confirmable, Code::FETCH, 900, token)
        .path("/")
        .observe(observe::CANCEL)
        .content_format(SENML_CBOR)
        .payload(asked(SENML_CBOR, &["/3303/0/5700", "/3/0/9"]));
    world.server.say(&cancel.to_bytes());
    world.settle();
    world.set("/3/0/9", Value::Integer(85));
    assert!(world.server.take_notifications(token).is_empty());
}

#[test]
fn each_path_of_a_composite_has_its_own_bounds_and_all_have_one_time() {
    let mut world = World::registered(config());
    let _ = world.ask_with(Code::PUT, "/3303/0/5700", |message| message.query("gt=12"));
    let (token, _) = observe(&mut world, &["/3303/0/5700", "/3/0/9"], &["pmax=60"]);

    world.set("/3303/0/5700", Value::Float(10.0));
    assert!(world.server.take_notifications(token).is_empty(), "below its bound");
    world.set("/3303/0/5700", Value::Float(12.5));
    assert_eq!(world.server.take_notifications(token).len(), 1);
    world.advance(seconds(61));
    assert_eq!(world.server.take_notifications(token).len(), 1, "what the request itself said holds, too");
}

#[test]
fn a_composite_observation_outlives_what_is_deleted_from_it() {
    let mut world = World::registered(config());
    world.set("/3303/1/5700", Value::Float(1.0));
    let (token, _) = observe(&mut world, &["/3303/1/5700", "/3/0/9"], &[]);

    assert_eq!(world.ask(Code::DELETE, "/3303/1").code, Code::DELETED);

    let told = world.server.take_notifications(token);
    assert_eq!(told.len(), 1);
    assert_eq!(read(&told[0]), [("/3/0/9".to_owned(), Value::Integer(87))]);
}
