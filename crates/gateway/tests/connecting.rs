//! Stories of devices and others that connect (RFC 8323).
#![allow(clippy::unwrap_used, clippy::panic)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use coap::Code;
use coap::message::Message;
use device::{Config, Event, Value};
use gateway::{DeviceEntry, FileEntry, Operation, Outcome, Request};
use world::*;

const SECOND: Duration = Duration::from_secs(1);
/// Past everything that a connection waits for.
const LONG: Duration = Duration::from_secs(400);

fn observing() -> DeviceEntry {
    DeviceEntry { observe: vec![("/3303/*/5700".to_owned(), "pmin=1&pmax=600".to_owned())], ..entry(1) }
}

/// A stranger who has introduced himself.
fn introduced(world: &mut World, from: SocketAddr) -> u64 {
    let number = world.connect(from).unwrap();
    world.write(number, &framed(&[signal(Code::CSM, None)]));
    assert_eq!(world.codes(number), [Code::CSM]);
    number
}

#[test]
fn a_device_registers_reads_writes_sends_and_leaves_over_a_connection() {
    let mut world = World::with_registered(options(), &entry(1), tcp_config(1));

    let event = world.events_of("registered")[0].clone();
    assert_eq!((event["binding"].as_str(), event["secure"].as_bool()), (Some("T"), Some(false)));
    assert_eq!(event["address"], address(1).to_string());

    let read = world.ask(request(1, Operation::Read, "/3/0/9"));
    assert_eq!(read.outcome, Outcome::Answered);
    assert!(String::from_utf8(read.body.unwrap()).unwrap().contains(r#""value":87"#));
    let written = world.ask_with(2, Operation::Write, "/3/0/15", r#"{"value": "Europe/Berlin"}"#);
    assert_eq!(written.outcome, Outcome::Answered);
    let now = world.now().monotonic;
    world.hosts[0].device.send(now, 7, vec![path("/3303/0/5700")]);
    world.run(SECOND);
    assert_eq!(world.readings("send"), ["/3303/0/5700=9.5"]);
    world.update(0);
    assert_eq!((world.stat("update"), world.stat("connections")), (1, 1));

    let now = world.now().monotonic;
    world.hosts[0].device.deregister(now, None);
    world.run(SECOND);
    assert_eq!((world.stat("registrations"), world.stat("connections")), (0, 0));
    assert_eq!(world.events_of("deregistered").len(), 1);
    assert_eq!(world.stat("connections_released"), 1);
}

#[test]
fn the_goodbye_of_a_stranger_who_was_let_in_is_answered() {
    let mut world = World::new(gateway::GatewayOptions { open_enrolment: Some(String::new()), ..options() });
    let number = introduced(&mut world, address(9));
    world.write(number, &framed(&[register(1, "urn:dev:9")]));
    let created = world.frames(number).remove(0);
    let location: String = Message::parse_frame(&created)
        .unwrap()
        .values(coap::option::LOCATION_PATH)
        .map(|segment| format!("/{}", std::str::from_utf8(segment).unwrap()))
        .collect();

    world.write(number, &framed(&[message(Code::DELETE, 2).path(&location)]));

    assert_eq!(world.codes(number), [Code::DELETED]);
    assert_eq!((world.stat("registrations"), world.stat("devices")), (0, 0));
}

#[test]
fn notifications_come_over_the_connection_and_in_its_order() {
    let mut world = World::with_registered(options(), &observing(), tcp_config(1));
    world.run(5 * SECOND);
    assert_eq!(world.observations(), ["/3303/0/5700 established", "/3303/1/5700 established"]);

    for value in [11.0, 12.0, 13.0] {
        world.set(0, "/3303/0/5700", Value::Float(value));
        world.run(2 * SECOND);
    }

    // Both are one observation: each notification tells the other one, too.
    let readings = world.readings("notify");
    let changed: Vec<&String> = readings.iter().skip(2).filter(|one| one.starts_with("/3303/0/5700=")).collect();
    assert_eq!(changed, ["/3303/0/5700=11.0", "/3303/0/5700=12.0", "/3303/0/5700=13.0"]);
    assert_eq!(world.stat("notify_late"), 0);
}

#[test]
fn a_connection_that_ends_makes_a_device_unreachable_and_not_unregistered() {
    let mut world = World::with_registered(options(), &observing(), tcp_config(1));
    world.run(5 * SECOND);
    world.hosts[0].is_reachable = false;

    world.cut(0);
    world.run(30 * SECOND);
    assert_eq!((world.stat("connections"), world.stat("registrations")), (0, 1));
    let impatient = Request { wait_for_wake: false, ..request(1, Operation::Read, "/3/0/9") };
    assert_eq!(world.ask(impatient).outcome, Outcome::TimedOut);
    world.submit(request(2, Operation::Read, "/3/0/9"));
    assert_eq!(world.outcomes(2), []);

    world.hosts[0].is_reachable = true;
    world.run(90 * SECOND);
    assert_eq!(world.outcomes(2), [Outcome::Sent, Outcome::Answered], "what waited goes out over the new connection");
    assert_eq!(world.stat("register"), 1, "an Update was enough");
    assert!(world.stat("update") >= 1);
    // RFC 8323 §7.4: observations end with their connection, and begin anew.
    assert_eq!(world.observations().iter().filter(|state| *state == "/3303/0/5700 established").count(), 2);
    world.set(0, "/3303/0/5700", Value::Float(20.0));
    world.run(5 * SECOND);
    assert!(world.readings("notify").contains(&"/3303/0/5700=20.0".to_owned()));
}

#[test]
fn a_device_that_the_server_has_forgotten_meanwhile_registers_again() {
    let mut world = World::with_registered(options(), &entry(1), tcp_config(1));
    let now = world.now();
    world.gateway.remove_device(now, "d1");
    world.put(&entry(1));
    world.run(20 * SECOND);

    assert!(world.hosts[0].device.is_registered(), "{:?}", world.hosts[0].events);
    assert_eq!((world.stat("register"), world.stat("registrations")), (2, 1));
    assert!(world.hosts[0].events.contains(&Event::Unregistered));
}

#[test]
fn what_is_under_way_when_the_connection_ends_is_asked_again_where_that_does_no_harm() {
    let mut world = World::with_registered(options(), &entry(1), tcp_config(1));
    let number = introduced(&mut world, address(9));
    // The device moves to a connection that answers nothing.
    world.hosts[0].is_reachable = false;
    world.cut(0);
    world.write(number, &framed(&[register(1, "urn:dev:1")]));
    assert_eq!(world.codes(number), [Code::CREATED]);
    world.submit(request(1, Operation::Read, "/3/0/9"));
    world.submit(request(2, Operation::Execute, "/3/0/4"));
    assert_eq!(world.codes(number), [Code::GET]);

    world.close(number);
    assert_eq!(world.outcomes(1), [Outcome::Sent]);
    let number = introduced(&mut world, address(9));
    world.write(number, &framed(&[register(2, "urn:dev:1")]));
    let frames = world.frames(number);
    let codes: Vec<Code> = frames.iter().map(|bytes| Message::parse_frame(bytes).unwrap().code).collect();
    assert_eq!(codes, [Code::CREATED, Code::GET]);
    let token = Message::parse_frame(&frames[1]).unwrap().token;
    let answer = coap::MessageBuilder::new(coap::Kind::Reliable, Code::CONTENT, 0, token).payload(&b"1"[..]);
    world.write(number, &framed(&[answer]));
    assert_eq!(world.outcomes(1).last(), Some(&Outcome::Answered));
    assert_eq!(world.codes(number), [Code::POST]);
    world.close(number);
    assert_eq!(world.outcomes(2), [Outcome::Sent, Outcome::TimedOut], "an Execute is not done twice");
}

#[test]
fn a_sleeping_device_is_let_go_and_comes_back_when_it_has_something_to_say() {
    let queue = Config { queue_mode: true, ..tcp_config(1) };
    let mut world = World::with_registered(options(), &entry(1), queue);

    world.run(100 * SECOND);
    assert_eq!((world.stat("connections"), world.stat("connections_ended"), world.stat("registrations")), (0, 1, 1));
    world.submit(request(1, Operation::Read, "/3/0/9"));
    assert_eq!(world.outcomes(1), [], "it sleeps");

    let now = world.now().monotonic;
    world.hosts[0].device.send(now, 7, vec![path("/3303/0/5700")]);
    world.run(SECOND);
    assert_eq!(world.readings("send"), ["/3303/0/5700=9.5"]);
    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    assert_eq!(world.stat("register"), 1);
}

#[test]
fn a_device_that_listens_is_asked_whether_it_is_there_and_stays() {
    let mut world = World::with_registered(options(), &entry(1), Config { lifetime_s: 86_400, ..tcp_config(1) });

    world.run(3_600 * SECOND);
    assert_eq!((world.stat("connections"), world.stat("connections_silent")), (1, 0));

    // It is gone without a word: nobody closes the connection.
    world.hosts[0].line = None;
    world.hosts[0].device.lose_power();
    world.run(LONG);
    assert_eq!((world.stat("connections"), world.stat("connections_silent")), (0, 1));
}

#[test]
fn a_file_goes_down_in_large_blocks_and_up_as_well() {
    let mut world = World::with_registered(options(), &entry(1), tcp_config(1));
    world.set(0, "/5/0/0", Value::Opaque(Vec::new()));
    let file = FileEntry { path: "model".to_owned(), etag: vec![1], size: 200_000, devices: vec!["d1".to_owned()] };
    world.gateway.put_file(&file).unwrap();

    let now = world.now().monotonic;
    world.hosts[0].device.fetch(now, 9, "coap+tcp://192.0.2.200/fw/model", None);
    world.run(5 * SECOND);
    let done = world.hosts[0].events.iter().find_map(|event| match event {
        Event::Done { number: 9, data, .. } => Some(data.clone()),
        _ => None,
    });
    let data = done.unwrap();
    assert_eq!(data.len(), 200_000);
    assert!(data.iter().enumerate().all(|(at, byte)| *byte == (at / 251) as u8));
    // 31 KiB in each: BERT (RFC 8323 §6).
    assert!(world.stat("file_blocks") <= 7, "{}", world.stat("file_blocks"));

    let before = world.stat("messages");
    let pushed = world.ask_with(1, Operation::Write, "/5/0/0", r#"{"file": "/fw/model"}"#);
    assert_eq!(pushed.outcome, Outcome::Answered, "{pushed:?}");
    assert!(world.stat("messages") - before <= 8);
}

#[test]
fn what_is_longer_than_a_message_is_put_together_both_ways() {
    let long = "x".repeat(40_000);
    let entry = DeviceEntry { observe: vec![("/3/0/15".to_owned(), String::new())], ..entry(1) };
    let mut world = World::with_registered(options(), &entry, tcp_config(1));
    world.run(5 * SECOND);

    world.set(0, "/3/0/15", Value::String(long.clone()));
    world.run(5 * SECOND);
    assert!(world.readings("notify").contains(&format!("/3/0/15=\"{long}\"")), "a notification and its rest");

    let now = world.now().monotonic;
    world.hosts[0].device.send(now, 7, vec![path("/3/0/15")]);
    world.run(5 * SECOND);
    assert_eq!(world.readings("send"), [format!("/3/0/15=\"{long}\"")]);

    let answer = world.ask(request(1, Operation::Read, "/3/0/15"));
    assert!(answer.body.unwrap().len() > 40_000);
    let body = format!(r#"{{"value":"{long}!"}}"#);
    assert_eq!(world.ask_with(2, Operation::Write, "/3/0/15", &body).outcome, Outcome::Answered);
    assert_eq!(world.hosts[0].device.get(&path("/3/0/15")), Some(&Value::String(format!("{long}!"))));
    assert_eq!((world.stat("messages_too_long"), world.stat("connections_broken")), (0, 0));
}

#[test]
fn a_file_that_fits_is_given_whole_to_a_peer_that_takes_so_much() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let file = FileEntry { path: "note".to_owned(), etag: vec![1], size: 3_000, devices: vec!["d1".to_owned()] };
    world.gateway.put_file(&file).unwrap();
    let number = world.connect(address(9)).unwrap();
    let csm = coap::MessageBuilder::new(coap::Kind::Reliable, Code::CSM, 0, coap::Token::EMPTY).uint(2, 8_000);
    world.write(number, &framed(&[csm, register(1, "urn:dev:1")]));
    world.frames(number);

    world.write(number, &framed(&[message(Code::GET, 2).path("/fw/note")]));

    let answer = world.frames(number).remove(0);
    let answer = Message::parse_frame(&answer).unwrap();
    assert_eq!((answer.code, answer.payload.len(), answer.block2()), (Code::CONTENT, 3_000, None));
}

#[test]
fn a_register_in_blocks_is_put_together() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let number = introduced(&mut world, address(9));
    let links: String = (0..900).map(|instance| format!("</3303/{instance}>,")).collect();
    let block = |num, more, szx| coap::Block { num, more, szx };
    let part = |id: u16, block: coap::Block, bytes: &str| {
        let register = register(id, "urn:dev:1").block1(block);
        register.payload(bytes.as_bytes().to_vec())
    };

    world.write(number, &framed(&[part(1, block(0, true, 7), &links[..8_192])]));
    assert_eq!(world.codes(number), [Code::CONTINUE]);
    world.write(number, &framed(&[part(2, block(8, false, 7), &links[8_192..])]));

    assert_eq!(world.codes(number), [Code::CREATED]);
    assert_eq!(world.events_of("registered")[0]["objects"].as_array().unwrap().len(), 900);
}

#[test]
fn nothing_with_a_credential_registers_over_a_connection() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    let number = introduced(&mut world, address(9));

    world.write(number, &framed(&[register(1, "urn:dev:1"), register(2, "urn:dev:2")]));
    world.run(2 * SECOND);

    assert_eq!(world.codes(number), [Code::FORBIDDEN, Code::FORBIDDEN]);
    assert_eq!(world.stat("registrations"), 0);
    assert!(world.events_of("security").iter().any(|event| event["reason"] == "insecure"));
}

#[test]
fn a_device_that_gets_a_credential_loses_its_connection() {
    let mut world = World::with_registered(options(), &entry(1), tcp_config(1));
    let line = world.hosts[0].line.unwrap().1;

    world.put(&secure_entry(1));
    world.run(120 * SECOND);

    assert!(world.ended.contains(&line));
    let refused = world.hosts[0].events.iter().rev().find(|event| matches!(event, Event::Refused { .. }));
    assert!(matches!(refused, Some(Event::Refused { code: Some(Code::FORBIDDEN), .. })), "{refused:?}");
}

#[test]
fn whoever_registers_under_a_name_takes_the_place_of_the_connection_before() {
    let mut world = World::with_registered(options(), &entry(1), tcp_config(1));
    let line = world.hosts[0].line.unwrap().1;
    world.hosts[0].is_reachable = false;

    assert_eq!(code_of(world.say(address(9), register(1, "urn:dev:1")).as_deref()), Some(Code::CREATED));

    assert_eq!((world.ended.clone(), world.stat("connections"), world.stat("registrations")), (vec![line], 0, 1));
}

#[test]
fn tokens_may_come_again_and_requests_need_not_wait_for_each_other() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let number = introduced(&mut world, address(9));
    let get = || message(Code::GET, 1).path("/nothing");

    world.write(number, &framed(&[get(), register(1, "urn:dev:1"), get(), get()]));

    let mut codes = world.codes(number);
    codes.sort_unstable();
    assert_eq!(codes, [Code::CREATED, Code::NOT_FOUND, Code::NOT_FOUND, Code::NOT_FOUND]);
    assert_eq!(world.stat("duplicates"), 0);
}

#[test]
fn bad_options_are_refused_and_the_connection_lives_on() {
    let mut world = World::new(options());
    let number = introduced(&mut world, address(9));

    let critical = message(Code::GET, 1).option(9, &b"x"[..]);
    let put = message(Code::PUT, 2).path("/rd");
    world.write(number, &framed(&[critical, put]));

    assert_eq!(world.codes(number), [Code::BAD_OPTION, Code::METHOD_NOT_ALLOWED]);
    assert_eq!(world.stat("connections"), 1);
}

#[test]
fn a_pong_with_custody_and_a_release_wait_until_the_log_has_what_was_asked() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let number = introduced(&mut world, address(9));
    world.log = Log::Hangs;

    let custody = signal(Code::PING, Some(2));
    world.write(number, &framed(&[register(1, "urn:dev:1"), custody, signal(Code::RELEASE, None)]));
    world.run(120 * SECOND);
    assert_eq!((world.codes(number), world.stat("connections")), (Vec::new(), 1));

    world.commit_hanging();
    assert_eq!(world.codes(number), [Code::CREATED, Code::PONG]);
    assert_eq!((world.ended.clone(), world.stat("connections_released")), (vec![number], 1));
}

#[test]
fn a_register_that_the_log_refuses_is_answered_5_03() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let number = introduced(&mut world, address(9));
    world.log = Log::Refuses;

    world.write(number, &framed(&[register(1, "urn:dev:1")]));

    assert_eq!(world.codes(number), [Code::SERVICE_UNAVAILABLE]);
}

#[test]
fn what_cannot_be_read_ends_the_connection_with_words_and_an_event() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let number = introduced(&mut world, address(9));
    world.write(number, &framed(&[register(1, "urn:dev:1")]));
    assert_eq!(world.codes(number), [Code::CREATED]);

    world.write(number, &[0x09, 0x45, 1, 2, 3]);

    let abort = world.frames(number).remove(0);
    let abort = Message::parse_frame(&abort).unwrap();
    assert_eq!((abort.code, abort.payload), (Code::ABORT, &b"token of 9 bytes"[..]));
    assert_eq!((world.ended.clone(), world.stat("connections_broken")), (vec![number], 1));
    let refused = world.events_of("refused")[0];
    assert_eq!(
        (refused["operation"].as_str(), refused["detail"].as_str()),
        (Some("connection"), Some("token of 9 bytes"))
    );
    world.write(number, &framed(&[message(Code::GET, 1)]));
    assert!(world.frames(number).is_empty(), "nobody listens any more");
}

#[test]
fn a_message_longer_than_we_take_is_refused_before_it_is_here() {
    let mut world = World::new(options());
    let number = introduced(&mut world, address(9));

    world.write(number, &[0xf0, 0xff, 0xff, 0xff, 0xff, 0x02]);

    assert_eq!((world.codes(number), world.stat("connections_broken")), (vec![Code::ABORT], 1));
}

#[test]
fn strangers_who_say_nothing_do_not_stay() {
    let mut world = World::new(options());
    let silent = world.connect(address(8)).unwrap();
    let polite = introduced(&mut world, address(9));
    let early = world.connect(address(10)).unwrap();

    world.write(early, &framed(&[message(Code::GET, 1)]));
    assert_eq!(world.codes(early), [Code::CSM, Code::ABORT]);
    world.run(LONG);

    assert_eq!(world.codes(silent), [Code::CSM, Code::ABORT]);
    assert_eq!(world.codes(polite), [Code::RELEASE]);
    assert_eq!((world.stat("connections"), world.stat("connections_without_csm")), (0, 2));
    assert_eq!((world.stat("connections_ended"), world.stat("timers")), (1, 0));
}

#[test]
fn one_address_has_only_so_many_connections_and_gets_them_back() {
    let mut world = World::new(options());
    let from = |port: u16| SocketAddr::from(([192, 0, 2, 7], 10_000 + port));
    let numbers: Vec<_> = (0..2_048).map(|port| world.connect(from(port)).unwrap()).collect();

    assert_eq!((world.connect(from(3_000)), world.stat("connections_refused")), (None, 1));
    assert!(world.connect(address(8)).is_some(), "others are let in");

    world.close(numbers[0]);
    assert!(world.connect(from(3_000)).is_some());
}

#[test]
fn unfinished_messages_have_a_bound_in_all() {
    let mut world = World::new(options());
    let mut numbers = Vec::new();
    // Each holds one byte less than it has announced.
    let begun = [&[0xe0_u8, 0x3c, 0x00, 0x02][..], &[0; 15_628]].concat();
    for number in 0..4_400_u32 {
        let [.., high, low] = number.to_be_bytes();
        let from = SocketAddr::from(([192, 0, high, low], 5_000));
        let number = world.connect(from).unwrap();
        let now = world.now();
        world.gateway.handle_bytes(now, number, &framed(&[signal(Code::CSM, None)]));
        world.gateway.handle_bytes(now, number, &begun);
        numbers.push(number);
    }
    world.settle();

    assert!(world.stat("connections_full") > 0);
    assert!(world.stat("connections_bytes") <= 64 << 20);
    for number in numbers {
        world.close(number);
    }
    assert_eq!((world.stat("connections_bytes"), world.stat("connections")), (0, 0));
}

#[test]
fn a_notification_that_nobody_asked_for_is_counted_and_no_more() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let number = introduced(&mut world, address(9));
    world.write(number, &framed(&[register(1, "urn:dev:1")]));
    assert_eq!(world.codes(number), [Code::CREATED]);

    world.write(number, &framed(&[message(Code::CONTENT, 77).observe(1).payload(&b"9"[..])]));

    assert_eq!((world.codes(number), world.stat("unknown_token")), (Vec::new(), 1));
    assert_eq!(world.stat("connections"), 1);
}
