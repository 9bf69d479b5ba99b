//! Stories of observations: begun from intent, notified, overtaken, lost and ended.
#![allow(clippy::unwrap_used)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use coap::content_format::SENML_JSON;
use coap::message::{Kind, Message, Token};
use coap::{Code, MessageBuilder, blockwise};
use device::{Config, Value, Version};
use gateway::{DeviceEntry, GatewayOptions, Operation, Outcome};
use serde_json::Value as Json;
use world::*;

const SECOND: Duration = Duration::from_secs(1);

fn observing(paths: &[(&str, &str)]) -> DeviceEntry {
    let observe = paths.iter().map(|(path, attributes)| ((*path).to_owned(), (*attributes).to_owned())).collect();
    DeviceEntry { observe, ..entry(1) }
}

#[test]
fn what_we_want_is_observed_after_a_register_and_reported_when_it_changes() {
    let entry =
        DeviceEntry { security: secure_entry(1).security, ..observing(&[("/3303/*/5700", ""), ("/3/0/9", "")]) };
    let mut world = World::with_registered(options(), &entry, secure_config(1));

    world.set(0, "/3303/1/5700", Value::Float(11.25));
    world.run(SECOND);

    let observations = world.observations_by_path();
    assert_eq!(observations, ["/3/0/9 established", "/3303/0/5700 established", "/3303/1/5700 established"]);
    let readings = world.readings("notify");
    assert_eq!(readings[..3], ["/3/0/9=87", "/3303/0/5700=9.5", "/3303/1/5700=10.5"]);
    assert_eq!(readings.last().unwrap(), "/3303/1/5700=11.25");
    let told = world.events_of("readings").pop().unwrap().clone();
    let is_named = |paths: &Vec<Json>| paths.contains(&"/3303/1/5700".into());
    assert!(told["path"] == "/3303/1/5700" || told["paths"].as_array().is_some_and(is_named), "{told}");
}

#[test]
fn attributes_are_written_before_the_observation_begins() {
    let mut world = World::with_registered(options(), &observing(&[("/3303/0/5700", "pmin=10&pmax=60")]), config(1));
    assert_eq!(world.events_of("observation")[0]["attributes"], "pmin=10&pmax=60");

    world.set(0, "/3303/0/5700", Value::Float(12.0));
    world.run(5 * SECOND);
    assert_eq!(world.readings("notify"), ["/3303/0/5700=9.5"], "not before pmin");
    world.run(5 * SECOND);
    assert_eq!(world.readings("notify"), ["/3303/0/5700=9.5", "/3303/0/5700=12.0"]);
    world.run(60 * SECOND);
    assert_eq!(world.readings("notify").len(), 3, "at the latest after pmax");
}

#[test]
fn what_a_device_of_1_2_kept_while_it_was_cut_off_is_reported_with_its_times() {
    let wants = observing(&[("/3303/0/5700", "hqmax=10&con=1")]);
    let mut world = World::with_registered(options(), &wants, Config { version: Version::V1_2, ..config(1) });
    let now = world.now();
    world.hosts[0].device.set_wall_clock(now.monotonic, now.unix_ms as f64 / 1_000.0);

    world.hosts[0].is_reachable = false;
    for value in [20.0, 21.0, 22.0] {
        world.set(0, "/3303/0/5700", Value::Float(value));
        world.run(SECOND);
    }
    world.hosts[0].is_reachable = true;
    world.run(120 * SECOND);

    let told: Vec<_> = world
        .events_of("readings")
        .iter()
        .flat_map(|event| event["readings"].as_array().cloned().unwrap_or_default())
        .filter(|reading| reading["time"].is_number())
        .map(|reading| reading["value"].clone())
        .collect();
    for value in [20.0, 21.0, 22.0] {
        assert!(told.contains(&value.into()), "{told:?}");
    }
}

#[test]
fn a_path_that_is_not_registered_is_not_observed() {
    let world = World::with_registered(options(), &observing(&[("/3328/*/5700", ""), ("/4/0/2", "")]), config(1));

    assert!(world.observations().is_empty());
}

/// Paths whose last news is that they are observed.
fn now_observed(world: &World) -> Vec<String> {
    let told = world.observations();
    let last: std::collections::BTreeMap<&str, &str> = told.iter().filter_map(|one| one.split_once(' ')).collect();
    last.into_iter().filter(|(_, state)| *state == "established").map(|(path, _)| path.to_owned()).collect()
}

#[test]
fn a_path_is_left_out_of_those_that_a_star_means_and_ended_when_that_comes_later() {
    let all = observing(&[("/3303/*/5700", "")]);
    let but_one = DeviceEntry { unobserved: vec!["/3303/0/5700".to_owned()], ..all.clone() };
    let mut world = World::with_registered(options(), &but_one, config(1));
    assert_eq!(now_observed(&world), ["/3303/1/5700"]);

    world.put(&all);
    world.run(SECOND);
    assert_eq!(now_observed(&world), ["/3303/0/5700", "/3303/1/5700"]);
    world.put(&but_one);
    world.run(SECOND);

    assert_eq!(now_observed(&world), ["/3303/1/5700"]);
}

#[test]
fn what_the_device_refuses_to_observe_is_told() {
    let world = World::with_registered(options(), &observing(&[("/3303/0/5999", ""), ("/3303/0/5700", "")]), config(1));

    assert_eq!(world.observations_by_path(), ["/3303/0/5700 established", "/3303/0/5999 refused"]);
    let refused = world.events_of("observation").into_iter().find(|event| event["state"] == "refused");
    // One that observes it alone says why; one that observes it with others leaves it out.
    assert!(["4.04", "2.05"].contains(&refused.unwrap()["code"].as_str().unwrap()));
}

#[test]
fn observations_begin_anew_after_each_register() {
    let mut world = World::with_registered(options(), &observing(&[("/3303/0/5700", "")]), config(1));

    world.hosts[0].device.lose_power();
    world.power_on(0);
    world.run(SECOND);
    world.set(0, "/3303/0/5700", Value::Float(12.0));
    world.run(SECOND);

    assert_eq!(world.observations(), ["/3303/0/5700 established", "/3303/0/5700 established"]);
    assert_eq!(world.readings("notify").last().unwrap(), "/3303/0/5700=12.0");
}

#[test]
fn an_instance_that_appears_is_observed() {
    let mut world = World::with_registered(options(), &observing(&[("/3303/*/5700", "")]), config(1));

    world.set(0, "/3303/5/5700", Value::Float(1.0));
    world.run(SECOND);

    let observed = ["/3303/0/5700", "/3303/1/5700", "/3303/5/5700"].map(|at| (path(at), "established".to_owned()));
    assert_eq!(world.observation_states(), observed.into());
}

#[test]
fn another_profile_ends_what_it_does_not_want_and_takes_attributes_back() {
    let mut world =
        World::with_registered(options(), &observing(&[("/3303/0/5700", "pmin=100"), ("/3303/1/5700", "")]), config(1));

    world.put(&observing(&[("/3303/0/5700", "pmax=500")]));
    world.run(SECOND);
    world.set(0, "/3303/0/5700", Value::Float(12.0));
    world.set(0, "/3303/1/5700", Value::Float(13.0));
    world.run(SECOND);

    let later: Vec<String> = world.observations().split_off(2);
    assert_eq!(later, ["/3303/1/5700 cancelled", "/3303/0/5700 established"]);
    let readings = world.readings("notify");
    assert!(readings.contains(&"/3303/0/5700=12.0".to_owned()), "pmin holds no more: {readings:?}");
    assert!(!readings.iter().any(|reading| reading.contains("13.0")), "{readings:?}");
}

#[test]
fn a_caller_begins_and_ends_an_observation() {
    let mut world = World::with_registered(options(), &entry(1), config(1));

    let begun = world.ask(request(1, Operation::Observe, "/3/0/9"));
    world.set(0, "/3/0/9", Value::Integer(50));
    world.run(SECOND);
    let ended = world.ask(request(2, Operation::CancelObservation, "/3/0/9"));
    world.set(0, "/3/0/9", Value::Integer(40));
    world.run(SECOND);
    let again = world.ask(request(3, Operation::CancelObservation, "/3/0/9"));

    assert_eq!((begun.outcome, ended.outcome, again.outcome), (Outcome::Answered, Outcome::Answered, Outcome::Refused));
    assert!(begun.body.is_some_and(|body| body.starts_with(b"{\"content\":[{\"path\":\"/3/0/9\",\"value\":87")));
    assert_eq!(world.observations(), ["/3/0/9 established", "/3/0/9 cancelled"]);
    assert_eq!(world.readings("notify"), ["/3/0/9=87", "/3/0/9=50"]);
}

#[test]
fn an_observation_that_a_caller_began_is_lost_with_the_registration() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    world.ask(request(1, Operation::Observe, "/3/0/9"));

    world.hosts[0].device.lose_power();
    world.power_on(0);
    world.run(SECOND);

    assert_eq!(world.observations(), ["/3/0/9 established", "/3/0/9 lost"]);
}

#[test]
fn an_observation_survives_a_new_address() {
    let entry = DeviceEntry { security: secure_entry(1).security, ..observing(&[("/3/0/9", "")]) };
    let mut world = World::with_registered(options(), &entry, secure_config(1));

    world.hosts[0].address = address(88);
    world.set(0, "/3/0/9", Value::Integer(50));
    world.run(SECOND);

    assert_eq!(world.readings("notify"), ["/3/0/9=87", "/3/0/9=50"]);
    assert_eq!(world.stat("handshakes"), 1);
}

/// A client of our own hand, whose one observation was accepted.
struct Client {
    world: World,
    from: SocketAddr,
    token: Token,
    next_id: u16,
}

impl Client {
    fn observed(options: GatewayOptions) -> Self {
        let mut world = World::new(options);
        world.put(&observing(&[("/3303/0/5700", "")]));
        let from = address(9);
        world.say(from, register(1, "urn:dev:1"));
        let asked = world.inbox.remove(&from).unwrap().remove(1);
        let request = Message::parse(&asked).unwrap();
        assert_eq!((request.code, request.observe()), (Code::GET, Some(0)));
        let token = request.token;
        let answer = MessageBuilder::answer(&request, Code::CONTENT, 0)
            .observe(100)
            .content_format(SENML_JSON)
            .payload(value(1.0));
        world.inject(CLEAR, from, &answer.to_bytes());
        world.run(SECOND);
        Self { world, from, token, next_id: 2_000 }
    }

    fn notification(&mut self, kind: Kind, sequence: u32, payload: Vec<u8>) -> Vec<u8> {
        self.next_id += 1;
        MessageBuilder::new(kind, Code::CONTENT, self.next_id, self.token)
            .observe(sequence)
            .content_format(SENML_JSON)
            .payload(payload)
            .to_bytes()
    }

    /// What came back to a datagram, at once or within 10 ms.
    fn send(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.world.inbox.clear();
        self.world.inject(CLEAR, self.from, datagram);
        self.world.run(Duration::from_millis(10));
        self.world.inbox.remove(&self.from).unwrap_or_default()
    }
}

fn value(number: f64) -> Vec<u8> {
    format!(r#"[{{"n":"/3303/0/5700","v":{number}}}]"#).into_bytes()
}

#[test]
fn a_confirmable_notification_is_acknowledged_when_it_is_in_the_log() {
    let mut client = Client::observed(options());
    client.world.log = Log::Hangs;
    let notification = client.notification(Kind::Confirmable, 101, value(2.0));

    let at_once = client.send(&notification);
    let copy = client.send(&notification);
    client.world.commit_hanging();

    assert!(at_once.is_empty() && copy.is_empty());
    assert_eq!(client.world.inbox[&client.from], [Message::acknowledgement(client.next_id).to_vec()]);
    assert_eq!(client.send(&notification), [Message::acknowledgement(client.next_id).to_vec()], "a copy, from memory");
    assert_eq!(client.world.readings("notify"), ["/3303/0/5700=1", "/3303/0/5700=2"]);
}

#[test]
fn a_notification_that_the_log_refused_is_taken_when_it_comes_again() {
    let mut client = Client::observed(options());
    client.world.log = Log::Refuses;
    let notification = client.notification(Kind::Confirmable, 101, value(2.0));

    let refused = client.send(&notification);
    client.world.log = Log::Commits;
    let again = client.send(&notification);

    assert!(refused.is_empty(), "not acknowledged");
    assert_eq!(again, [Message::acknowledgement(client.next_id).to_vec()]);
    assert_eq!(client.world.readings("notify"), ["/3303/0/5700=1", "/3303/0/5700=2"]);
}

#[test]
fn a_notification_waits_while_the_log_is_far_behind() {
    let mut client = Client::observed(GatewayOptions { uncommitted_bytes_max: 100, ..options() });
    client.world.log = Log::Hangs;
    let first = client.notification(Kind::Confirmable, 101, value(2.0));
    let second = client.notification(Kind::Confirmable, 102, value(3.0));
    client.send(&first);

    assert!(client.send(&second).is_empty());
    client.world.commit_hanging();
    client.send(&second);

    assert_eq!(client.world.readings("notify"), ["/3303/0/5700=1", "/3303/0/5700=2", "/3303/0/5700=3"]);
}

#[test]
fn a_notification_that_was_overtaken_is_acknowledged_and_dropped() {
    let mut client = Client::observed(options());
    let newer = client.notification(Kind::NonConfirmable, 102, value(3.0));
    let older = client.notification(Kind::Confirmable, 101, value(2.0));

    let to_newer = client.send(&newer);
    let to_older = client.send(&older);

    assert!(to_newer.is_empty());
    assert_eq!(to_older, [Message::acknowledgement(client.next_id).to_vec()]);
    assert_eq!(client.world.readings("notify"), ["/3303/0/5700=1", "/3303/0/5700=3"]);
    assert_eq!((client.world.stat("notify"), client.world.stat("notify_late")), (1, 1));
}

#[test]
fn a_notification_of_nothing_is_answered_with_a_reset() {
    let mut client = Client::observed(options());
    client.token = Token::new(b"other").unwrap();
    let notification = client.notification(Kind::NonConfirmable, 101, value(2.0));

    let answer = client.send(&notification);

    assert_eq!(answer, [Message::reset(client.next_id).to_vec()]);
    assert_eq!(client.world.stat("unknown_token"), 1);
}

#[test]
fn an_error_in_place_of_a_notification_ends_the_observation() {
    let mut client = Client::observed(options());
    client.next_id += 1;
    let error = MessageBuilder::new(Kind::Confirmable, Code::NOT_FOUND, client.next_id, client.token).to_bytes();

    let answer = client.send(&error);
    let after = client.notification(Kind::NonConfirmable, 102, value(2.0));

    assert_eq!(answer, [Message::acknowledgement(client.next_id - 1).to_vec()]);
    assert_eq!(client.world.observations(), ["/3303/0/5700 established", "/3303/0/5700 lost"]);
    assert_eq!(client.send(&after), [Message::reset(client.next_id).to_vec()]);
}

#[test]
fn a_notification_that_cannot_be_read_is_told_and_not_asked_for_again() {
    let mut client = Client::observed(options());
    let notification = client.notification(Kind::Confirmable, 101, b"[{".to_vec());

    let answer = client.send(&notification);

    assert_eq!(answer, [Message::acknowledgement(client.next_id).to_vec()]);
    let refused = client.world.events_of("refused")[0];
    assert_eq!((refused["operation"].as_str(), refused["reason"].as_str()), (Some("notify"), Some("payload_invalid")));
}

#[test]
fn the_rest_of_a_long_notification_is_fetched_before_it_is_acknowledged() {
    let mut client = Client::observed(options());
    let records: Vec<String> = (0..60)
        .map(|number| format!(r#"{{"n":"/3303/0/5700","v":{number},"t":{}}}"#, 1_764_000_000 + number))
        .collect();
    let body = format!("[{}]", records.join(",")).into_bytes();
    client.next_id += 1;
    let block = |number: u32| {
        let cut = blockwise::serve(body.len() as u64, coap::Block::of_uint(number << 4 | 6), 6).unwrap();
        (cut.block.unwrap(), body[cut.range.start as usize..cut.range.end as usize].to_vec())
    };
    let (first, bytes) = block(0);
    let notification = MessageBuilder::new(Kind::Confirmable, Code::CONTENT, client.next_id, client.token)
        .observe(101)
        .content_format(SENML_JSON)
        .block2(first)
        .etag(b"v1".to_vec())
        .payload(bytes)
        .to_bytes();
    let notified_as = client.next_id;

    let mut asked = client.send(&notification).remove(0);
    for number in 1.. {
        let request = Message::parse(&asked).unwrap();
        assert_eq!(request.block2().map(|block| block.num), Some(number));
        let (next, bytes) = block(number);
        let answer = MessageBuilder::answer(&request, Code::CONTENT, 0)
            .content_format(SENML_JSON)
            .block2(next)
            .etag(b"v1".to_vec())
            .payload(bytes)
            .to_bytes();
        let mut answered = client.send(&answer);
        asked = answered.remove(0);
        if !next.more {
            break;
        }
    }

    assert_eq!(asked, Message::acknowledgement(notified_as));
    assert_eq!(client.world.readings("notify").len(), 61);
}

#[test]
fn a_device_cannot_make_us_keep_more_observations_than_the_bound() {
    let mut world = World::with_registered(options(), &observing(&[("/3303/*/5700", "")]), config(1));

    for instance in 0..200 {
        world.set(0, &format!("/3303/{instance}/5700"), Value::Float(1.0));
    }
    world.run(60 * SECOND);

    let observed = world.observation_states().into_values().filter(|state| state == "established").count();
    assert_eq!(observed, gateway::limits::OBSERVATIONS_PER_DEVICE_MAX);
}
