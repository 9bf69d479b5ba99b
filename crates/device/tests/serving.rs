//! What a server asks of a device: read, write, execute, create, delete, discover.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use coap::{Block, Code, Kind, Message, MessageBuilder, Token, content_format::*};
use device::{Event, Value, definitions};
use lwm2m::{Path, Record, codec};
use world::{Heard, World, config, path};

fn values(answer: &Heard, base: &str) -> Vec<(String, Value)> {
    let records = codec::decode(answer.format.unwrap(), &path(base), &answer.payload, 0.0, definitions()).unwrap();
    records.into_iter().map(|record| (record.path.to_string(), record.value)).collect()
}

fn tlv(base: &str, values: &[(&str, Value)]) -> Vec<u8> {
    let records: Vec<_> = values.iter().map(|(at, value)| Record::new(path(at), value.clone())).collect();
    codec::encode(TLV, &path(base), &records, definitions()).unwrap()
}

#[test]
fn a_resource_reads_as_text_and_an_instance_in_the_format_that_was_asked_for() {
    let mut world = World::registered(config());

    let battery = world.ask(Code::GET, "/3/0/9");
    assert_eq!((battery.code, battery.format, battery.text().as_str()), (Code::CONTENT, Some(TEXT_PLAIN), "87"));
    for format in [SENML_CBOR, SENML_JSON, LWM2M_CBOR, TLV, JSON, TLV_OLD, JSON_OLD] {
        let device = world.ask_with(Code::GET, "/3/0", |message| message.accept(format));
        assert_eq!((device.code, device.format), (Code::CONTENT, Some(format)));
        let read: Vec<String> = values(&device, "/3/0").into_iter().map(|(at, _)| at).collect();
        assert_eq!(read, ["/3/0/0", "/3/0/9", "/3/0/11/0", "/3/0/15"]);
    }
}

#[test]
fn a_refusal_says_what_it_is_about() {
    let mut world = World::registered(config());

    for (method, at, words) in [
        (Code::GET, "/3303/9", "/3303/9 is not there"),
        (Code::GET, "/3/0/4", "/3/0/4 cannot be read"),
        (Code::DELETE, "/3/0", "/3/0 cannot be deleted"),
        (Code::POST, "/3/0/9", "/3/0/9 cannot be executed"),
    ] {
        let answer = world.ask(method, at);
        assert!(!answer.code.is_success(), "{method} {at}");
        assert_eq!((answer.text().as_str(), answer.format), (words, None), "{method} {at}");
    }
    let write = |payload: &str, at: &str, world: &mut World| {
        let payload = payload.as_bytes().to_vec();
        world.ask_with(Code::PUT, at, |message| message.content_format(TEXT_PLAIN).payload(payload)).text()
    };
    assert_eq!(write("1", "/3/0/9", &mut world), "/3/0/9 cannot be written");
    assert_eq!(write("soon", "/1/0/1", &mut world), "it does not fit /1/0/1");
    let nowhere = br#"[{"n":"/1/7/1","v":60}]"#.to_vec();
    let patched = world.ask_with(Code::IPATCH, "/", |message| message.content_format(SENML_JSON).payload(nowhere));
    assert_eq!((patched.code, patched.text().as_str()), (Code::NOT_FOUND, "not all of it is there"));
}

#[test]
fn what_cannot_be_read_is_refused_with_the_right_code() {
    let mut world = World::registered(config());

    assert_eq!(world.ask(Code::GET, "/3/0/13").code, Code::NOT_FOUND);
    assert_eq!(world.ask(Code::GET, "/9").code, Code::NOT_FOUND);
    assert_eq!(world.ask(Code::GET, "/3/0/4").code, Code::METHOD_NOT_ALLOWED, "it can only be executed");
    assert_eq!(world.ask(Code::GET, "/camera").code, Code::NOT_FOUND);
    assert_eq!(world.ask_with(Code::GET, "/3/0", |message| message.accept(TEXT_PLAIN)).code, Code::NOT_ACCEPTABLE);
    assert_eq!(world.ask_with(Code::GET, "/3/0", |message| message.accept(50)).code, Code::NOT_ACCEPTABLE);
    assert_eq!(world.ask(Code::FETCH, "/").code, Code::BAD_REQUEST, "it does not say what to read");
    assert_eq!(world.ask_with(Code::GET, "/3", |message| message.option(9, vec![1])).code, Code::BAD_OPTION);
}

#[test]
fn a_write_is_told_to_the_owner_and_a_wrong_one_changes_nothing() {
    let mut world = World::registered(config());

    let written =
        world.ask_with(Code::PUT, "/3/0/15", |message| message.content_format(TEXT_PLAIN).payload(&b"UTC"[..]));
    let read_only =
        world.ask_with(Code::PUT, "/3/0/9", |message| message.content_format(TEXT_PLAIN).payload(&b"100"[..]));
    let no_number =
        world.ask_with(Code::PUT, "/1/0/1", |message| message.content_format(TEXT_PLAIN).payload(&b"soon"[..]));
    let no_format = world.ask_with(Code::PUT, "/3/0/15", |message| message.content_format(50).payload(&b"x"[..]));

    assert_eq!(written.code, Code::CHANGED);
    assert_eq!(read_only.code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(no_number.code, Code::BAD_REQUEST);
    assert_eq!(no_format.code, Code::UNSUPPORTED_CONTENT_FORMAT);
    assert_eq!(world.events, [Event::Written { path: path("/3/0/15"), value: b"\"UTC\"".to_vec() }]);
    assert_eq!(world.device.get(&path("/3/0/9")), Some(&Value::Integer(87)));
}

#[test]
fn a_value_is_read_and_written_in_every_format() {
    let mut world = World::registered(config());
    let record = |text: &str| [Record::new(path("/3/0/15"), Value::String(text.to_owned()))];

    for format in [SENML_CBOR, SENML_JSON, LWM2M_CBOR, TLV, JSON, CBOR, TEXT_PLAIN, TLV_OLD, JSON_OLD, TEXT_OLD] {
        let name = format!("UTC {format}");
        let payload = codec::encode(format, &path("/3/0/15"), &record(&name), definitions()).unwrap();
        let written = world.ask_with(Code::PUT, "/3/0/15", |message| message.content_format(format).payload(payload));
        let read = world.ask_with(Code::GET, "/3/0/15", |message| message.accept(format));

        assert_eq!((written.code, read.code, read.format), (Code::CHANGED, Code::CONTENT, Some(format)));
        assert_eq!(values(&read, "/3/0/15"), [("/3/0/15".to_owned(), Value::String(name))]);
    }
}

#[test]
fn put_replaces_an_instance_and_post_adds_to_it() {
    let mut world = World::registered(config());
    let lifetime = tlv("/1/0", &[("/1/0/1", Value::Integer(300))]);
    let storing = tlv("/1/0", &[("/1/0/6", Value::Boolean(true))]);

    let _ = world.ask_with(Code::POST, "/1/0", |message| message.content_format(TLV).payload(storing));
    assert_eq!(world.device.get(&path("/1/0/6")), Some(&Value::Boolean(true)));
    let _ = world.ask_with(Code::PUT, "/1/0", |message| message.content_format(TLV).payload(lifetime));

    assert_eq!(world.device.get(&path("/1/0/6")), None);
    assert_eq!(world.device.get(&path("/1/0/1")), Some(&Value::Integer(300)));
    assert_eq!(world.device.get(&path("/1/0/0")), Some(&Value::Integer(101)), "the server cannot write this one");
}

#[test]
fn an_execute_reaches_the_owner_with_its_arguments() {
    let mut world = World::registered(config());

    let executed = world.ask_with(Code::POST, "/3/0/4", |message| message.payload(&b"0='now',1"[..]));
    let no_executable = world.ask(Code::POST, "/3/0/9");
    let no_arguments = world.ask_with(Code::POST, "/3/0/4", |message| message.payload(&b"now"[..]));

    assert_eq!(executed.code, Code::CHANGED);
    assert_eq!(no_executable.code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(no_arguments.code, Code::BAD_REQUEST);
    let arguments = br#"{"0":"now","1":""}"#.to_vec();
    assert_eq!(world.events, [Event::Executed { path: path("/3/0/4"), arguments }]);
}

#[test]
fn an_instance_comes_with_the_id_it_was_given_or_with_a_free_one_and_the_server_is_told() {
    let mut world = World::registered(config());
    let given = tlv("/3303", &[("/3303/4/5700", Value::Float(4.0))]);
    // Without the instance around them the resources are those of an instance yet to be numbered.
    let free = tlv("/3303/0", &[("/3303/0/5700", Value::Float(1.0))]);

    let first = world.ask_with(Code::POST, "/3303", |message| message.content_format(TLV).payload(given.clone()));
    let again = world.ask_with(Code::POST, "/3303", |message| message.content_format(TLV).payload(given));
    let second = world.ask_with(Code::POST, "/3303", |message| message.content_format(TLV).payload(free));

    assert_eq!((first.code, first.location.as_str()), (Code::CREATED, "/3303/4"));
    assert_eq!(again.code, Code::BAD_REQUEST);
    assert_eq!((second.code, second.location.as_str()), (Code::CREATED, "/3303/1"));
    let update = world.server.requests(Code::POST, "/rd/1").pop().unwrap();
    assert!(update.text().contains("</3303/1>,</3303/4>"), "{}", update.text());
}

#[test]
fn an_instance_that_is_deleted_takes_its_attributes_along() {
    let mut world = World::registered(config());
    let _ = world.ask_with(Code::PUT, "/3303/0", |message| message.query("pmax=60"));

    let deleted = world.ask(Code::DELETE, "/3303/0");
    let again = world.ask(Code::DELETE, "/3303/0");
    world.set("/3303/0/5700", Value::Float(1.0));
    let links = world.ask_with(Code::GET, "/3303/0", |message| message.accept(LINK_FORMAT));

    assert_eq!((deleted.code, again.code), (Code::DELETED, Code::NOT_FOUND));
    assert!(!links.text().contains("pmax"), "{}", links.text());
    assert_eq!(world.ask(Code::DELETE, "/3/0").code, Code::METHOD_NOT_ALLOWED);
}

#[test]
fn discover_shows_what_is_there_and_which_attributes_are_set() {
    let mut world = World::registered(config());

    let set = world.ask_with(Code::PUT, "/3/0/9", |message| message.query("pmin=10").query("gt=90.5"));
    let wrong = world.ask_with(Code::PUT, "/3/0/9", |message| message.query("pmin=5").query("x=1"));
    let root = world.ask_with(Code::PUT, "/", |message| message.query("pmin=5"));
    let links = world.ask_with(Code::GET, "/3/0", |message| message.accept(LINK_FORMAT));

    assert_eq!((set.code, wrong.code, root.code), (Code::CHANGED, Code::BAD_REQUEST, Code::METHOD_NOT_ALLOWED));
    assert_eq!((links.code, links.format), (Code::CONTENT, Some(LINK_FORMAT)));
    assert!(links.text().contains("</3/0/9>;pmin=10;gt=90.5"), "{}", links.text());
    assert!(links.text().contains("</3/0/11>;dim=1") && links.text().contains("</3/0/4>"), "{}", links.text());
}

#[test]
fn a_request_that_comes_twice_runs_once() {
    let mut world = World::registered(config());
    let execute = MessageBuilder::new(Kind::Confirmable, Code::POST, 77, Token::EMPTY).path("/3/0/4").to_bytes();

    for _ in 0..2 {
        world.server.say(&execute);
        world.settle();
    }

    assert_eq!(world.count(|event| matches!(event, Event::Executed { .. })), 1);
    assert_eq!(world.server.heard.iter().filter(|heard| heard.id == 77 && heard.code == Code::CHANGED).count(), 2);
}

#[test]
fn what_is_too_long_for_a_datagram_goes_in_blocks_both_ways() {
    let mut world = World::registered(config());
    let long = "x".repeat(2_500);

    for (num, part) in long.as_bytes().chunks(1024).enumerate() {
        let block = Block { num: num as u32, more: num < 2, szx: 6 };
        let answer = world.ask_with(Code::PUT, "/3/0/15", |message| {
            message.content_format(TEXT_PLAIN).block1(block).payload(part.to_vec())
        });
        assert_eq!(answer.code, if num < 2 { Code::CONTINUE } else { Code::CHANGED });
    }
    let mut read = String::new();
    for num in 0..3 {
        let answer = world.ask_with(Code::GET, "/3/0/15", |message| message.block2(Block { num, more: false, szx: 6 }));
        assert_eq!(answer.block2.unwrap().more, num < 2);
        read += &answer.text();
    }

    assert_eq!(read, long);
}

#[test]
fn a_ping_is_answered_and_noise_does_no_harm() {
    let mut world = World::registered(config());

    world.server.say(&Message::ping(5));
    world.server.say(&[0x4f, 1, 0, 9]);
    world.server.say(&[]);
    world.server.say(&[0xff; 30]);
    world.settle();

    let resets: Vec<u16> = world.server.heard.iter().map(|heard| heard.id).collect();
    assert_eq!(resets, [5, 9]);
    assert!(world.server.heard.iter().all(|heard| heard.kind == Kind::Reset));
    assert_eq!(world.ask(Code::GET, "/3/0/9").code, Code::CONTENT);
}

#[test]
fn what_cannot_be_honoured_is_refused_as_it_came() {
    let mut world = World::registered(config());
    let ask = |kind, id| MessageBuilder::new(kind, Code::GET, id, Token::EMPTY).path("/3/0/9");

    let proxied =
        world.ask_with(Code::GET, "/3/0/9", |message| message.option(coap::option::PROXY_SCHEME, b"coap".to_vec()));
    let odd = world.ask_with(Code::GET, "/3/0/9", |message| message.option(65_001, b"?".to_vec()));
    let announced = world.ask_with(Code::PUT, "/3/0/15", |message| {
        message
            .content_format(TEXT_PLAIN)
            .block1(Block { num: 0, more: true, szx: 0 })
            .uint(coap::option::SIZE1, 1 << 30)
            .payload(vec![b'x'; 16])
    });
    world.server.heard.clear();
    world.server.say(&ask(Kind::NonConfirmable, 70).option(65_001, b"?".to_vec()).to_bytes());
    world.settle();

    assert_eq!((proxied.code, odd.code), (Code::PROXYING_NOT_SUPPORTED, Code::BAD_OPTION));
    assert_eq!(announced.code, Code::REQUEST_ENTITY_TOO_LARGE);
    assert!(announced.options.iter().any(|(number, _)| *number == coap::option::SIZE1), "and how much would have fit");
    assert_eq!((world.server.heard.len(), world.server.heard[0].kind), (1, Kind::Reset), "not confirmable: no answer");
}

#[test]
fn a_copy_of_what_was_not_confirmable_is_passed_over() {
    let mut world = World::registered(config());
    let ask = MessageBuilder::new(Kind::NonConfirmable, Code::GET, 70, Token::EMPTY).path("/3/0/9").to_bytes();
    world.server.heard.clear();

    for _ in 0..2 {
        world.server.say(&ask);
        world.settle();
    }

    assert_eq!(world.server.heard.len(), 1);
}

#[test]
fn keys_are_shown_to_nobody() {
    let mut world = World::registered(config());
    assert!(world.device.set(Path::of_resource(0, 0, 5), Value::Opaque(vec![1, 2, 3])));

    for at in ["/0", "/0/0", "/0/0/5"] {
        assert!(!world.ask(Code::GET, at).code.is_success(), "{at}");
        assert!(!world.ask_with(Code::GET, at, |message| message.accept(LINK_FORMAT)).code.is_success(), "{at}");
    }
    let all = world.ask(Code::GET, "/");
    assert!(values(&all, "/").iter().all(|(at, _)| !at.starts_with("/0/")));
}

#[test]
fn a_post_with_values_on_a_resource_of_several_adds_to_it_and_a_put_replaces_it() {
    let mut world = World::registered(config());
    world.set("/3/0/23/0", Value::Integer(1)); // nobody defined it: it can be written
    let one = tlv("/3/0/23", &[("/3/0/23/4", Value::Opaque(vec![4]))]);
    let other = tlv("/3/0/23", &[("/3/0/23/7", Value::Opaque(vec![7]))]);

    let added = world.ask_with(Code::POST, "/3/0/23", |message| message.content_format(TLV).payload(one));
    let instances = |world: &World| {
        (0..9).filter(|id| world.device.get(&path(&format!("/3/0/23/{id}"))).is_some()).collect::<Vec<_>>()
    };
    assert_eq!((added.code, instances(&world)), (Code::CHANGED, vec![0, 4]));
    let replaced = world.ask_with(Code::PUT, "/3/0/23", |message| message.content_format(TLV).payload(other));

    assert_eq!((replaced.code, instances(&world)), (Code::CHANGED, vec![7]));
    assert_eq!(world.count(|event| matches!(event, Event::Removed { .. })), 2);
}

#[test]
fn one_value_of_several_can_be_deleted_where_it_can_be_written() {
    let mut world = World::registered(config());
    world.set("/3/0/23/0", Value::Integer(1));
    world.set("/3/0/23/1", Value::Integer(2));

    assert_eq!(world.ask(Code::DELETE, "/3/0/23/1").code, Code::DELETED);
    assert_eq!(world.ask(Code::DELETE, "/3/0/23/1").code, Code::NOT_FOUND);
    assert_eq!(world.ask(Code::DELETE, "/3/0/11/0").code, Code::METHOD_NOT_ALLOWED, "it can only be read");
    assert_eq!(world.ask(Code::DELETE, "/3/0/15").code, Code::METHOD_NOT_ALLOWED, "a resource is no value of several");
}

#[test]
fn a_single_value_has_no_instances() {
    let mut world = World::registered(config());
    let several = tlv("/3/0", &[("/3/0/15/0", Value::String("UTC".into()))]);

    let written = world.ask_with(Code::POST, "/3/0", |message| message.content_format(TLV).payload(several));

    assert_eq!(written.code, Code::BAD_REQUEST);
}
