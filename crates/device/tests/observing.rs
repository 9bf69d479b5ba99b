//! Observations that a server holds on a device.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use coap::{Code, Kind, Message, Token, content_format::*, observe};
use device::Value;
use lwm2m::{Record, codec};
use world::{Heard, World, config, path, seconds};

/// Observes a path; returns the token and the first answer.
fn observe(world: &mut World, at: &str) -> (Token, Heard) {
    let first = world.ask_with(Code::GET, at, |message| message.observe(observe::REGISTER));
    assert_eq!(first.code, Code::CONTENT);
    (first.token, first)
}

fn attributes(world: &mut World, at: &str, queries: &[&'static str]) {
    let answer = world.ask_with(Code::PUT, at, |message| queries.iter().fold(message, |message, q| message.query(q)));
    assert_eq!(answer.code, Code::CHANGED);
}

fn temperature(world: &mut World, value: f64) {
    world.set("/3303/0/5700", Value::Float(value));
}

fn texts(notifications: &[Heard]) -> Vec<String> {
    notifications.iter().map(Heard::text).collect()
}

#[test]
fn every_change_is_told_in_order_with_growing_numbers() {
    let mut world = World::registered(config());
    let (token, first) = observe(&mut world, "/3303/0/5700");

    for value in [9.5, 9.5, 10.0] {
        world.advance(seconds(1));
        temperature(&mut world, value);
    }

    let told = world.server.take_notifications(token);
    assert_eq!((first.text().as_str(), texts(&told)), ("9.0", vec!["9.5".to_owned(), "10.0".to_owned()]));
    let numbers: Vec<u32> = [&first].into_iter().chain(&told).map(|heard| heard.observe.unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert!(told.iter().all(|heard| heard.code == Code::CONTENT && heard.format == Some(TEXT_PLAIN)));
}

#[test]
fn an_instance_is_told_whole_in_the_format_of_the_request() {
    let mut world = World::registered(config());
    let first = world.ask_with(Code::GET, "/3/0", |message| message.observe(observe::REGISTER).accept(SENML_JSON));

    world.set("/3/0/9", Value::Integer(86));

    let told = world.server.take_notifications(first.token);
    assert_eq!((told.len(), told[0].format), (1, Some(SENML_JSON)));
    let records = codec::decode(SENML_JSON, &path("/3/0"), &told[0].payload, 0.0, device::definitions()).unwrap();
    assert_eq!(records.len(), 4);
    assert!(records.contains(&Record::new(path("/3/0/9"), Value::Integer(86))));
}

#[test]
fn pmin_holds_changes_back_and_the_newest_is_told() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303/0/5700", &["pmin=10"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");

    for value in [9.1, 9.2, 9.3] {
        world.advance(seconds(2));
        temperature(&mut world, value);
    }
    world.advance(seconds(3));
    assert!(world.server.take_notifications(token).is_empty());
    world.advance(seconds(1));

    assert_eq!(texts(&world.server.take_notifications(token)), ["9.3"]);
}

#[test]
fn what_is_set_above_holds_until_the_path_has_its_own_and_at_last_the_server_object() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303", &["pmin=10"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");

    temperature(&mut world, 9.1);
    assert!(world.server.take_notifications(token).is_empty(), "as the object says");
    world.advance(seconds(10));
    assert_eq!(texts(&world.server.take_notifications(token)), ["9.1"]);

    attributes(&mut world, "/3303/0/5700", &["pmin=1"]);
    temperature(&mut world, 9.2);
    world.advance(seconds(1));
    assert_eq!(texts(&world.server.take_notifications(token)), ["9.2"], "as it says itself");

    attributes(&mut world, "/3303/0/5700", &["pmin"]);
    attributes(&mut world, "/3303", &["pmin"]);
    world.set("/1/0/2", Value::Integer(20));
    temperature(&mut world, 9.3);
    world.advance(seconds(19));
    assert!(world.server.take_notifications(token).is_empty(), "as the Server object says");
    world.advance(seconds(1));
    assert_eq!(texts(&world.server.take_notifications(token)), ["9.3"]);
}

#[test]
fn pmax_tells_even_without_a_change() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303", &["pmax=60"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");

    world.advance(seconds(179));

    let told = world.server.take_notifications(token);
    let times: Vec<u64> = told.iter().map(|heard| heard.at.duration_since(world.start).as_secs()).collect();
    assert_eq!((times, texts(&told)), (vec![60, 120], vec!["9.0".to_owned(), "9.0".to_owned()]));
}

#[test]
fn bounds_and_steps_let_through_what_crosses_them() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303/0/5700", &["gt=12", "lt=5", "st=3"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");

    // Small changes; above 12; small; back below 12; a step of 3; below 5.
    for value in [10.0, 11.9, 12.1, 13.0, 11.0, 8.0, 4.9] {
        temperature(&mut world, value);
    }

    assert_eq!(texts(&world.server.take_notifications(token)), ["12.1", "11.0", "8.0", "4.9"]);
}

#[test]
fn cancelling_ends_it_by_request_and_by_reset() {
    for by_reset in [false, true] {
        let mut world = World::registered(config());
        let (token, _) = observe(&mut world, "/3303/0/5700");
        temperature(&mut world, 9.1);
        let told = world.server.take_notifications(token);

        if by_reset {
            world.server.say(&Message::reset(told[0].id));
            world.settle();
        } else {
            let _ = world.ask_with(Code::GET, "/3303/0/5700", |message| message.observe(observe::CANCEL));
        }
        temperature(&mut world, 9.2);

        assert!(world.server.take_notifications(token).is_empty(), "by reset: {by_reset}");
    }
}

#[test]
fn some_notifications_are_confirmable_and_all_are_if_the_server_wants_it() {
    let mut world = World::registered(config());
    let (token, _) = observe(&mut world, "/3303/0/5700");

    for step in 0..32 {
        temperature(&mut world, f64::from(step));
    }
    let told = world.server.take_notifications(token);
    assert_eq!(told.iter().filter(|heard| heard.kind == Kind::Confirmable).count(), 2, "one of 16");
    attributes(&mut world, "/3303/0/5700", &["con=1"]);
    temperature(&mut world, 99.0);

    assert_eq!(world.server.take_notifications(token)[0].kind, Kind::Confirmable);
}

#[test]
fn a_rare_notification_is_confirmable_once_a_day() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303/0/5700", &["pmax=28800"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");

    world.advance(seconds(6 * 28_800));

    let told = world.server.take_notifications(token);
    let confirmable: Vec<usize> =
        (0..told.len()).filter(|nth| told[*nth].kind == Kind::Confirmable).map(|nth| nth + 1).collect();
    assert!(told.len() == 6 && confirmable.windows(2).all(|pair| pair[1] - pair[0] <= 3), "{confirmable:?}");
    assert!(!confirmable.is_empty() && confirmable[0] <= 3, "{confirmable:?}");
}

#[test]
fn a_newer_value_takes_the_place_of_an_unacknowledged_one() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303/0/5700", &["con=1"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");
    world.server.acknowledges = false;

    temperature(&mut world, 9.1);
    temperature(&mut world, 9.2);
    temperature(&mut world, 9.3);
    let at_once = world.server.take_notifications(token);
    world.server.acknowledges = true;
    world.advance(seconds(3));

    assert_eq!(texts(&at_once), ["9.1"]);
    let told = texts(&world.server.take_notifications(token));
    assert!(told.iter().all(|text| text == "9.3") && !told.is_empty(), "{told:?}");
}

#[test]
fn a_value_that_waited_for_an_acknowledgement_is_told_after_it() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303/0/5700", &["con=1"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");
    world.server.acknowledges = false;
    temperature(&mut world, 9.1);
    temperature(&mut world, 9.2);
    let first = world.server.take_notifications(token);

    world.server.acknowledges = true;
    world.server.say(&Message::acknowledgement(first[0].id));
    world.settle();

    assert_eq!(texts(&world.server.take_notifications(token)), ["9.2"]);
}

#[test]
fn an_observer_that_never_acknowledges_is_forgotten() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303/0/5700", &["con=1"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");
    world.server.acknowledges = false;

    // A value that changes all the time must not start the count of repetitions again.
    for step in 0..100 {
        temperature(&mut world, f64::from(step) + 0.5);
        world.advance(seconds(1));
    }
    let told = world.server.take_notifications(token);
    world.server.acknowledges = true;
    temperature(&mut world, 1.0);

    assert_eq!(told.len(), 5, "one and four repetitions");
    assert!(world.server.take_notifications(token).is_empty());
}

#[test]
fn an_observation_of_what_is_deleted_ends_with_a_word() {
    let mut world = World::registered(config());
    world.set("/3303/1/5700", Value::Float(1.0));
    attributes(&mut world, "/3303/1", &["pmax=10"]);
    let (gone, _) = observe(&mut world, "/3303/1/5700");
    let (object, _) = observe(&mut world, "/3303");

    assert_eq!(world.ask(Code::DELETE, "/3303/1").code, Code::DELETED);
    world.advance(seconds(60));

    let told = world.server.take_notifications(gone);
    assert_eq!(told.iter().map(|heard| heard.code).collect::<Vec<_>>(), [Code::NOT_FOUND]);
    assert_eq!(told[0].observe, None);
    assert_eq!(world.server.take_notifications(object)[0].code, Code::CONTENT, "what is left is told");
}

#[test]
fn observations_are_bounded_and_one_too_many_is_a_read() {
    let mut world = World::registered(config());
    for instance in 0..70 {
        world.set(&format!("/3303/{instance}/5700"), Value::Float(1.5));
    }

    let granted: Vec<bool> =
        (0..70).map(|instance| observe(&mut world, &format!("/3303/{instance}/5700")).1.observe.is_some()).collect();

    assert_eq!(granted.iter().filter(|granted| **granted).count(), 64);
    assert!(granted[..64].iter().all(|granted| *granted));
}

#[test]
fn observations_do_not_outlive_the_registration() {
    let mut world = World::registered(config());
    let (token, _) = observe(&mut world, "/3303/0/5700");
    world.server.to_update = Some(Code::NOT_FOUND);

    world.advance(seconds(200));
    temperature(&mut world, 9.9);

    assert!(world.server.take_notifications(token).is_empty());
}

#[test]
fn the_numbers_of_one_token_go_on_when_it_is_registered_again() {
    let mut world = World::registered(config());
    let (token, _) = observe(&mut world, "/3303/0/5700");
    for step in 0..20 {
        temperature(&mut world, f64::from(step) + 0.5);
    }
    let newest = world.server.take_notifications(token).last().unwrap().observe.unwrap();

    let again = coap::MessageBuilder::new(Kind::Confirmable, Code::GET, 3, token);
    world.server.say(&again.path("/3303/0/5700").observe(observe::REGISTER).to_bytes());
    world.settle();

    let answer = world.server.answer_to(3).unwrap();
    assert!(answer.observe.unwrap() > newest, "{:?} after {newest}", answer.observe);
}

#[test]
fn a_long_notification_begins_with_its_first_block() {
    let mut world = World::registered(config());
    let (token, _) = observe(&mut world, "/3/0/15");
    let long = "y".repeat(1_500);

    world.set("/3/0/15", Value::String(long.clone()));

    let told = &world.server.take_notifications(token)[0];
    assert_eq!((told.payload.len(), told.block2.unwrap().more), (1_024, true));
    let block = coap::Block { num: 1, more: false, szx: 6 };
    let rest = world.ask_with(Code::GET, "/3/0/15", |message| message.block2(block));
    assert_eq!(told.text() + &rest.text(), long);
    let etag = |heard: &Heard| heard.options.iter().find(|(number, _)| *number == coap::option::ETAG).cloned();
    assert_eq!(etag(told), etag(&rest));
}

/// The values of a notification with their times, as seconds since 1.7e9.
fn timed(heard: &Heard) -> Vec<(f64, u64)> {
    let records = codec::decode(SENML_CBOR, &path("/3303/0/5700"), &heard.payload, 0.0, device::definitions()).unwrap();
    let value = |value: &Value| if let Value::Float(number) = value { *number } else { f64::NAN };
    records.iter().map(|record| (value(&record.value), (record.time.unwrap_or(1.7e9) - 1.7e9) as u64)).collect()
}

/// An observation of the temperature in SenML, with these queries in the request itself.
fn observe_senml(world: &mut World, queries: &[&'static str]) -> Token {
    world.device.set_wall_clock(world.now, 1.7e9);
    let first = world.ask_with(Code::GET, "/3303/0/5700", |message| {
        let message = queries.iter().fold(message, |message, query| message.query(query));
        message.observe(observe::REGISTER).accept(SENML_CBOR)
    });
    assert_eq!((first.code, first.observe.is_some()), (Code::CONTENT, true));
    first.token
}

#[test]
fn what_the_request_says_holds_for_this_observation_alone() {
    let mut world = World::registered(config());
    let token = observe_senml(&mut world, &["pmin=10", "st=1"]);
    let links = world.ask_with(Code::GET, "/3303/0/5700", |message| message.accept(LINK_FORMAT));

    temperature(&mut world, 9.5);
    world.advance(seconds(11));
    assert!(world.server.take_notifications(token).is_empty(), "no step");
    temperature(&mut world, 10.5);
    assert_eq!(world.server.take_notifications(token).len(), 1);
    assert!(!links.text().contains("pmin"), "{}", links.text());
    let wrong = world.ask_with(Code::GET, "/3/0/9", |message| message.observe(observe::REGISTER).query("pmin=x"));
    assert_eq!(wrong.code, Code::BAD_REQUEST);
}

#[test]
fn the_server_object_says_how_often_where_no_attribute_does() {
    let mut world = World::registered(config());
    world.set("/1/0/2", Value::Integer(20));
    world.set("/1/0/3", Value::Integer(60));
    let (token, _) = observe(&mut world, "/3303/0/5700");

    temperature(&mut world, 9.5);
    world.advance(seconds(19));
    assert!(world.server.take_notifications(token).is_empty());
    world.advance(seconds(2));
    assert_eq!(world.server.take_notifications(token).len(), 1);
    world.advance(seconds(60));
    assert_eq!(world.server.take_notifications(token).len(), 1);
}

#[test]
fn a_value_is_looked_at_no_more_often_than_epmin() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303/0/5700", &["epmin=30", "gt=20"]);
    let (token, _) = observe(&mut world, "/3303/0/5700");
    world.advance(seconds(31));

    temperature(&mut world, 19.0);
    temperature(&mut world, 21.0);
    assert!(world.server.take_notifications(token).is_empty(), "it was just looked at");
    world.advance(seconds(31));

    assert_eq!(texts(&world.server.take_notifications(token)), ["21.0"]);
}

#[test]
fn an_edge_tells_one_way_only() {
    let mut world = World::registered(config());
    world.set("/3342/0/5500", Value::Boolean(false));
    attributes(&mut world, "/3342/0/5500", &["edge=1"]);
    let (token, _) = observe(&mut world, "/3342/0/5500");

    for is_on in [true, false, true] {
        world.set("/3342/0/5500", Value::Boolean(is_on));
    }

    assert_eq!(texts(&world.server.take_notifications(token)), ["1", "1"], "both rises and no fall");
}

#[test]
fn attributes_are_set_only_where_they_have_a_meaning() {
    let mut world = World::registered(config());
    let mut set = |at: &str, query: &'static str| world.ask_with(Code::PUT, at, |message| message.query(query)).code;

    assert_eq!(set("/3303/0", "gt=1"), Code::BAD_REQUEST, "a bound of an instance");
    assert_eq!(set("/3/0/15", "st=1"), Code::BAD_REQUEST, "a step of a text");
    assert_eq!(set("/3303/0/5700", "edge=1"), Code::BAD_REQUEST, "an edge of a number");
    assert_eq!(set("/3303/0/5700", "gt=1"), Code::CHANGED);
    assert_eq!(set("/3303/0", "pmin=1"), Code::CHANGED);
    let told = world.events.iter().filter(|event| matches!(event, device::Event::AttributesSet { .. })).count();
    assert_eq!(told, 2);
}

#[test]
fn values_that_could_not_be_told_are_told_later_with_their_times() {
    let mut world = World::registered(config());
    let token = observe_senml(&mut world, &["hqmax=3"]);
    world.server.acknowledges = false;
    for value in [10.0, 11.0, 12.0, 13.0, 14.0] {
        world.advance(seconds(1));
        temperature(&mut world, value);
    }
    let first = world.server.take_notifications(token);
    assert_eq!((timed(&first[0]), first[0].kind), (vec![(10.0, 1)], Kind::Confirmable));

    world.server.acknowledges = true;
    world.advance(seconds(10));

    let told = world.server.take_notifications(token);
    assert_eq!(timed(told.last().unwrap()), [(12.0, 3), (13.0, 4), (14.0, 5)], "the newest three");
}

#[test]
fn values_of_a_time_without_a_server_are_told_to_whoever_observes_them_again() {
    let mut world = World::registered(config());
    let _ = observe_senml(&mut world, &["hqmax=10"]);
    world.is_cut = true;
    for value in [10.0, 11.0, 12.0] {
        world.advance(seconds(200));
        temperature(&mut world, value);
    }
    world.is_cut = false;
    world.advance(seconds(100));
    assert!(world.device.is_registered());

    let again = observe_senml(&mut world, &["hqmax=10"]);
    world.settle();

    let told = world.server.take_notifications(again);
    let values: Vec<f64> = told.iter().flat_map(timed).map(|(value, _)| value).collect();
    assert_eq!(values, [10.0, 11.0, 12.0]);
}

#[test]
fn nothing_is_kept_where_the_server_object_says_so() {
    let mut world = World::registered(config());
    world.set("/1/0/6", Value::Boolean(false));
    let token = observe_senml(&mut world, &["hqmax=10"]);
    world.server.acknowledges = false;
    temperature(&mut world, 10.0);
    temperature(&mut world, 11.0);
    world.server.acknowledges = true;
    world.advance(seconds(10));

    let told = world.server.take_notifications(token);
    assert!(told.iter().all(|heard| timed(heard).len() == 1), "{told:?}");
}

#[test]
fn notifications_are_confirmable_where_the_server_object_wants_it() {
    let mut world = World::registered(config());
    world.set("/1/0/26", Value::Integer(1));
    let (token, _) = observe(&mut world, "/3303/0/5700");

    temperature(&mut world, 9.5);

    assert_eq!(world.server.take_notifications(token)[0].kind, Kind::Confirmable);
}

#[test]
fn what_is_kept_is_forgotten_when_the_server_takes_hqmax_back() {
    let mut world = World::registered(config());
    attributes(&mut world, "/3303/0/5700", &["hqmax=5"]);
    let token = observe_senml(&mut world, &[]);
    world.server.acknowledges = false;
    temperature(&mut world, 10.0);
    temperature(&mut world, 11.0);

    attributes(&mut world, "/3303/0/5700", &["hqmax"]);
    world.server.acknowledges = true;
    world.advance(seconds(60));
    temperature(&mut world, 12.0);

    let told = world.server.take_notifications(token);
    assert_eq!(timed(told.last().unwrap()), [(12.0, 0)], "and nobody is busy with it for ever");
}

#[test]
fn a_clock_that_was_never_set_keeps_nothing_and_ends_nothing() {
    let mut world = World::registered(config());
    let token = observe_senml(&mut world, &["hqmax=5"]);
    world.device.set_wall_clock(world.now, 12.0);

    temperature(&mut world, 10.0);
    temperature(&mut world, 11.0);

    let told = world.server.take_notifications(token);
    assert_eq!(told.iter().map(|heard| timed(heard).len()).collect::<Vec<_>>(), [1, 1]);
}
