//! Stories of what devices send and fetch.
#![allow(clippy::unwrap_used, clippy::panic)]

mod world;

use std::time::Duration;

use coap::Code;
use coap::message::Message;
use device::{Event, Value};
use gateway::{DeviceEntry, FileEntry, Files as _, Operation, Outcome, Request};
use world::*;

const SECOND: Duration = Duration::from_secs(1);

fn file(path: &str, size: u64) -> FileEntry {
    FileEntry { path: path.to_owned(), etag: b"v1".to_vec(), size, devices: vec!["d1".to_owned()] }
}

fn done(world: &World, number: u64) -> Option<(Option<Code>, Vec<u8>)> {
    world.hosts[0].events.iter().find_map(|event| match event {
        Event::Done { number: this, code, data, .. } if *this == number => Some((*code, data.clone())),
        _ => None,
    })
}

#[test]
fn what_a_device_sends_is_in_the_log_before_it_is_answered() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
    world.log = Log::Hangs;
    let now = world.now().monotonic;

    world.hosts[0].device.send(now, 1, vec![path("/3303/0/5700"), path("/3/0/15")]);
    world.run(SECOND);
    assert_eq!(done(&world, 1), None);
    world.commit_hanging();

    assert_eq!(done(&world, 1), Some((Some(Code::CHANGED), Vec::new())));
    assert_eq!(world.readings("send"), ["/3303/0/5700=9.5", "/3/0/15=\"Europe/Oslo\""]);
    assert_eq!(world.stat("uncommitted_bytes"), 0);
}

#[test]
fn a_send_of_many_blocks_arrives_whole() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    for instance in 0..300 {
        world.set(0, &format!("/3303/{instance}/5700"), Value::Float(f64::from(instance) + 0.25));
    }
    world.run(SECOND);
    let now = world.now().monotonic;

    world.hosts[0].device.send(now, 1, vec![path("/3303")]);
    world.run(SECOND);

    assert_eq!(done(&world, 1).unwrap().0, Some(Code::CHANGED));
    assert!(world.readings("send").contains(&"/3303/299/5700=299.25".to_owned()));
    assert_eq!(world.stat("uploading"), 0);
}

#[test]
fn a_send_in_any_format_is_read() {
    let mut world = World::new(options());
    world.put(&entry(1));
    world.say(address(9), register(1, "urn:dev:1"));
    let json = br#"[{"bn":"/3303/0/","bt":1764000000.5,"n":"5700","v":9.1},{"n":"5701","vs":"Cel"}]"#;
    // [{-2: "/3303/0/", 0: "5700", 2: 9.5}]
    let cbor = b"\x81\xa3\x21\x68/3303/0/\x00\x645700\x02\xf9\x48\xc0";
    let send = |id, format, payload: &[u8]| {
        message(Code::POST, id).path("/dp").content_format(format).payload(payload.to_vec())
    };

    let answers = [
        world.say(address(9), send(2, 110, json)),
        world.say(address(9), send(3, 112, cbor)),
        world.say(address(9), send(4, 112, b"\xff\xff")),
        world.say(address(9), send(5, 9_999, b"?")),
        world.say(address(9), send(6, 110, b"[]")),
        // {[3303, 0, 5700]: 10.5}
        world.say(address(9), send(7, 11_544, b"\xa1\x83\x19\x0c\xe7\x00\x19\x16\x44\xf9\x49\x40")),
        world.say(address(9), send(8, 11_543, br#"{"bn":"/3303/0/","bt":1764000001,"e":[{"n":"5700","v":11.5}]}"#)),
        world.say(address(9), send(9, 60, b"\x01")),
    ];

    let codes: Vec<Code> = answers.iter().map(|answer| code_of(answer.as_deref()).unwrap()).collect();
    assert_eq!(
        codes,
        [
            Code::CHANGED,
            Code::CHANGED,
            Code::BAD_REQUEST,
            Code::UNSUPPORTED_CONTENT_FORMAT,
            Code::BAD_REQUEST,
            Code::CHANGED,
            Code::CHANGED,
            Code::BAD_REQUEST
        ]
    );
    assert_eq!(
        world.readings("send"),
        ["/3303/0/5700=9.1", "/3303/0/5701=\"Cel\"", "/3303/0/5700=9.5", "/3303/0/5700=10.5", "/3303/0/5700=11.5"]
    );
    assert_eq!(world.events_of("readings")[0]["readings"][0]["time"], 1_764_000_000.5);
    assert_eq!(world.events_of("refused").len(), 4);
}

#[test]
fn bytes_and_links_that_nobody_defined_are_told_as_such_however_they_travel() {
    let observed = DeviceEntry { observe: vec![("/49000/0/3".to_owned(), String::new())], ..entry(1) };
    let mut world = World::new(options());
    world.put(&observed);
    world.add(config(1));
    world.set(0, "/49000/0/3", Value::Opaque(vec![0, 1, 2]));
    world.set(0, "/49000/0/4", Value::Link { object: 3303, instance: 0 });
    world.power_on(0);
    world.run(SECOND);
    let now = world.now().monotonic;

    world.hosts[0].device.send(now, 1, vec![path("/49000/0")]);
    world.submit(request(1, Operation::Read, "/49000/0"));
    world.run(SECOND);

    let bytes = serde_json::json!({"path": "/49000/0/3", "value": "AAEC", "kind": "opaque"});
    let link = serde_json::json!({"path": "/49000/0/4", "value": "3303:0", "kind": "objlnk"});
    let told = |via: &str| {
        let events = world.events_of("readings").into_iter().filter(|event| event["via"] == via);
        events.flat_map(|event| event["readings"].as_array().unwrap().clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("notify"), std::slice::from_ref(&bytes));
    assert_eq!(told("send"), [bytes.clone(), link.clone()]);
    assert_eq!(told("read"), [bytes, link]);
}

#[test]
fn a_file_is_fetched_in_blocks_and_its_progress_told() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
    world.gateway.put_file(&file("token/image.bin", 10_000)).unwrap();
    let now = world.now().monotonic;

    world.hosts[0].device.fetch(now, 1, "coaps://gateway/fw/token/image.bin", None);
    world.run(SECOND);

    let mut expected = vec![0; 10_000];
    Shelf.read("", 0, &mut expected);
    assert_eq!(done(&world, 1), Some((Some(Code::CONTENT), expected)));
    assert_eq!(world.stat("file_blocks"), 10);
    let told = world.events_of("download");
    let progress: Vec<u64> = told.iter().map(|event| event["bytes"].as_u64().unwrap()).collect();
    assert_eq!(progress, [1_024, 10_000], "the first, and the last; not each");
    assert_eq!((told[0]["path"].as_str(), told[0]["size"].as_u64()), (Some("/fw/token/image.bin"), Some(10_000)));
}

#[test]
fn a_file_is_only_for_those_it_is_meant_for() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    world.gateway.put_file(&FileEntry { devices: vec!["d2".to_owned()], ..file("other", 10) }).unwrap();
    world.gateway.put_file(&file("gone", 10)).unwrap();
    world.gateway.put_file(&file("broken", 10)).unwrap();
    world.gateway.remove_file("gone");

    for (number, name) in [(1, "other"), (2, "gone"), (3, "never")] {
        let now = world.now().monotonic;
        world.hosts[0].device.fetch(now, number, &format!("coap://gateway/fw/{name}"), None);
        world.run(SECOND);
        assert_eq!(done(&world, number).unwrap().0, Some(Code::NOT_FOUND), "{name}");
    }
    let now = world.now().monotonic;
    world.hosts[0].device.fetch(now, 4, "coap://gateway/fw/broken", None);
    world.run(SECOND);

    assert_eq!(done(&world, 4).unwrap().0, Some(Code::INTERNAL_SERVER_ERROR));
    assert_eq!(world.stat("refused_file_unreadable"), 1);
}

#[test]
fn a_block_beyond_the_end_is_refused() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    world.gateway.put_file(&file("image", 1_500)).unwrap();
    let ask = |id, num| message(Code::GET, id).path("/fw/image").block2(coap::Block { num, more: false, szx: 6 });
    let from = world.hosts[0].address;
    world.hosts[0].address = address(100);

    let last = world.say(from, ask(500, 1)).unwrap();
    let beyond = world.say(from, ask(501, 2));

    let last = Message::parse(&last).unwrap();
    assert_eq!((last.payload.len(), last.etag()), (476, Some(&b"v1"[..])));
    assert_eq!(code_of(beyond.as_deref()), Some(Code::BAD_REQUEST));
}

#[test]
fn a_gateway_may_live_in_a_thread_of_its_own() {
    fn moved<T: Send>(thing: T) -> T {
        thing
    }

    let world = moved(World::new(options()).gateway);

    assert!(world.stats().iter().any(|(name, _)| *name == "registrations"));
}

fn image(size: u64) -> Vec<u8> {
    let mut image = vec![0; size as usize];
    Shelf.pieces("image").unwrap().read(0, &mut image);
    image
}

fn push(id: u64, from: u64) -> Request {
    let body = serde_json::json!({"file": "/fw/image", "from": from});
    Request { body: Some(body), ..request(id, Operation::Write, "/5/0/0") }
}

/// What was written to the Package.
fn written(world: &World) -> Option<Vec<u8>> {
    world.hosts[0].device.get(&path("/5/0/0")).map(|value| match value {
        Value::Opaque(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    })
}

/// The bytes of the image that the device was told to take, each as often as it came.
fn received(world: &World) -> Vec<u64> {
    let of = |event: &Event| match event {
        Event::Receiving { bytes, .. } => Some(*bytes),
        _ => None,
    };
    world.hosts[0].events.iter().filter_map(of).collect()
}

fn with_package(entry: &DeviceEntry, config: device::Config, size: u64) -> World {
    let mut world = World::with_registered(options(), entry, config);
    world.set(0, "/5/0/0", Value::Opaque(Vec::new()));
    world.gateway.put_file(&file("image", size)).unwrap();
    world.run(SECOND);
    world
}

#[test]
fn a_file_is_pushed_into_a_resource_and_its_progress_is_told() {
    for (entry, config) in [(entry(1), config(1)), (secure_entry(1), secure_config(1))] {
        let mut world = with_package(&entry, config, 100_000);

        let answer = world.ask(push(7, 0));

        assert_eq!((answer.outcome, answer.code), (Outcome::Answered, Some(Code::CHANGED)));
        assert_eq!(written(&world), Some(image(100_000)));
        let told = world.events_of("download");
        assert_eq!((&told[0]["path"], &told[0]["size"]), (&"/fw/image".into(), &100_000.into()));
        assert_eq!(told.last().unwrap()["bytes"], 100_000);
    }
}

#[test]
fn a_push_goes_on_where_it_was_when_the_device_comes_back_from_elsewhere() {
    let mut world = with_package(&secure_entry(1), secure_config(1), 200_000);
    world.downlinks_max = world.downlinks + 50;
    world.submit(push(7, 0));
    world.run(5 * SECOND);
    let cut = received(&world).len();
    assert!((40..=50).contains(&cut), "{cut}");

    world.downlinks_max = usize::MAX;
    world.hosts[0].address = address(77);
    world.update(0);
    world.run(10 * SECOND);

    assert_eq!(world.outcomes(7), [Outcome::Sent, Outcome::Answered]);
    assert_eq!(written(&world), Some(image(200_000)));
    assert!(received(&world).len() <= 195 + 1, "nothing but the block at the cut came twice");
}

#[test]
fn a_push_that_is_asked_again_goes_on_where_the_device_says_it_is() {
    let mut world = with_package(&entry(1), config(1), 200_000);
    world.downlinks_max = world.downlinks + 50;
    world.submit(push(7, 0));
    world.run(100 * SECOND);
    assert_eq!(world.outcomes(7), [Outcome::Sent, Outcome::TimedOut]);
    let told = world.events_of("download").last().unwrap()["bytes"].as_u64().unwrap();
    world.downlinks_max = usize::MAX;

    world.submit(push(8, told));
    world.run(10 * SECOND);

    assert_eq!(written(&world), Some(image(200_000)));
    assert!(received(&world).len() <= 195 + 1, "{} came after a cut at {told}", received(&world).len());

    // A device that rebooted in between says that it knows of nothing, and gets all of it.
    world.submit(push(9, 150_000));
    world.run(10 * SECOND);
    assert_eq!(world.outcomes(9).last(), Some(&Outcome::Answered));
    assert_eq!(written(&world), Some(image(200_000)));
}

#[test]
fn a_push_ends_with_the_right_to_the_file() {
    let mut world = with_package(&entry(1), config(1), 100_000);
    world.hosts[0].is_reachable = false;
    world.submit(push(7, 0));
    world.gateway.remove_file("image");
    world.hosts[0].is_reachable = true;
    world.run(10 * SECOND);

    assert_eq!(world.outcomes(7), [Outcome::Sent, Outcome::Cancelled]);
    assert!(received(&world).len() <= 2, "nothing but what was on its way");
    assert_eq!(world.ask(push(8, 0)).outcome, Outcome::Refused, "there is no such file for this device");
}

#[test]
fn a_push_can_be_called_back() {
    let mut world = with_package(&entry(1), config(1), 100_000);
    world.hosts[0].is_reachable = false;
    world.submit(push(7, 0));

    world.cancel(7);
    world.hosts[0].is_reachable = true;
    world.run(10 * SECOND);

    assert_eq!(world.outcomes(7), [Outcome::Sent, Outcome::Cancelled]);
    assert_eq!(received(&world), [0; 0]);
    assert_eq!(world.ask(request(8, Operation::Read, "/3/0/9")).outcome, Outcome::Answered);
}

#[test]
fn a_push_to_a_device_that_went_away_tells_how_far_it_came() {
    let mut world = with_package(&entry(1), config(1), 100_000);
    world.hosts[0].is_reachable = false;

    world.submit(push(7, 4_096));
    world.run(200 * SECOND);

    assert_eq!(world.outcomes(7), [Outcome::Sent, Outcome::TimedOut]);
    assert_eq!(world.events_of("download").last().unwrap()["bytes"], 4_096);
}

#[test]
fn a_file_is_no_value_of_a_number_and_is_not_there_for_others() {
    let mut world = with_package(&entry(1), config(1), 1_000);
    let body = Some(serde_json::json!({"file": "/fw/image"}));

    let number = world.ask(Request { body: body.clone(), ..request(1, Operation::Write, "/3/0/9") });
    let partial = world.ask(Request { body, ..request(2, Operation::WritePartial, "/5/0/0") });
    let other = world.ask_with(3, Operation::Write, "/5/0/0", r#"{"file": "/fw/other"}"#);
    let elsewhere = world.ask_with(4, Operation::Write, "/5/0/0", r#"{"file": "/etc/passwd"}"#);

    let outcomes = [number, partial, other, elsewhere].map(|answer| answer.outcome);
    assert_eq!(outcomes, [Outcome::Refused; 4]);
}
