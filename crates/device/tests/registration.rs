//! How a device gets its registration, keeps it, and comes back.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use coap::{Code, option};
use device::{Config, Event, Readings, Record, Value, Version};
use world::{World, config, path, seconds};

/// The version and the binding of the newest registration.
fn spoken(world: &World) -> Vec<String> {
    let register = world.server.requests(Code::POST, "/rd").pop().unwrap();
    register.queries.into_iter().filter(|query| !query.starts_with("ep=") && !query.starts_with("lt=")).collect()
}

#[test]
fn a_device_registers_with_all_it_has() {
    let queries = vec![("farm".to_owned(), "3".to_owned())];
    let enclosure = Some("north pen".to_owned());
    let mut world = World::new(Config { queries, enclosure, enclosure_option: Some(65_001), ..config() });

    world.device.power_on(world.now);
    world.settle();

    let register = &world.server.requests(Code::POST, "/rd")[0];
    assert_eq!(register.queries, ["ep=oxy-0417", "lt=300", "lwm2m=1.1", "b=U", "farm=3"]);
    assert_eq!(register.format, Some(coap::content_format::LINK_FORMAT));
    assert!(register.options.contains(&(65_001, b"north pen".to_vec())));
    assert!(register.text().starts_with(r#"</>;rt="oma.lwm2m";ct="112 110 11542 60 0 42","#), "{}", register.text());
    assert!(register.text().contains("</3/0>") && register.text().contains("</3303/0>"), "{}", register.text());
    assert!(!register.text().contains("</0/"), "keys are nobody's business");
    assert_eq!(world.events, [Event::Registered]);
}

#[test]
fn a_registration_is_renewed_before_it_ends_and_says_only_what_changed() {
    let mut world = World::registered(config());

    world.advance(seconds(179));
    assert!(world.server.heard.is_empty());
    world.advance(seconds(2));
    world.advance(seconds(180));

    let updates = world.server.requests(Code::POST, "/rd/1");
    assert_eq!(updates.len(), 2);
    assert!(updates.iter().all(|update| update.queries.is_empty() && update.payload.is_empty()), "{updates:?}");
    assert!(world.device.is_registered());
}

#[test]
fn a_lifetime_of_zero_is_never_renewed() {
    let mut world = World::registered(Config { lifetime_s: 0, ..config() });

    world.advance(seconds(7 * 86_400));

    assert!(world.server.heard.is_empty() && world.device.is_registered());
}

#[test]
fn an_object_that_comes_is_told_at_once() {
    let mut world = World::registered(config());

    world.set("/3303/1/5700", Value::Float(8.0));

    let updates = world.server.requests(Code::POST, "/rd/1");
    assert_eq!(updates.len(), 1);
    assert!(updates[0].text().contains("</3303/1>") && updates[0].queries.is_empty());
}

#[test]
fn what_comes_while_the_device_registers_is_told_as_soon_as_it_is_registered() {
    let mut world = World::new(config());
    world.device.power_on(world.now);
    world.device.set(path("/3303/1/5700"), Value::Float(8.0));
    world.settle();

    let (registers, updates) = (world.server.requests(Code::POST, "/rd"), world.server.requests(Code::POST, "/rd/1"));
    assert_eq!((registers.len(), updates.len()), (1, 1));
    assert!(!registers[0].text().contains("</3303/1>") && updates[0].text().contains("</3303/1>"));
    world.advance(seconds(100));
    assert_eq!(world.server.requests(Code::POST, "/rd/1").len(), 1, "once");
}

#[test]
fn a_lifetime_that_the_server_writes_holds_from_the_next_update_on() {
    let mut world = World::registered(config());

    let answer = world.ask_with(Code::PUT, "/1/0/1", |message| message.content_format(0).payload(&b"60"[..]));
    let updates = world.server.requests(Code::POST, "/rd/1");
    assert_eq!((answer.code, updates[0].queries.as_slice()), (Code::CHANGED, &["lt=60".to_owned()][..]));
    world.advance(seconds(37));

    assert_eq!(world.server.requests(Code::POST, "/rd/1").len(), 2, "36 s later the next one is due");
}

#[test]
fn a_lifetime_from_before_a_restart_is_the_one_it_registers_with() {
    let mut world = World::new(config());
    world.set("/1/0/1", Value::Integer(77));
    world.device.power_on(world.now);
    world.settle();

    assert!(world.server.requests(Code::POST, "/rd")[0].queries.contains(&"lt=77".to_owned()));
}

#[test]
fn the_update_trigger_triggers_an_update() {
    let mut world = World::registered(config());

    assert_eq!(world.ask(Code::POST, "/1/0/8").code, Code::CHANGED);

    assert_eq!(world.server.requests(Code::POST, "/rd/1").len(), 1);
}

#[test]
fn a_server_that_forgot_the_registration_gets_a_new_one() {
    let mut world = World::registered(config());
    world.server.to_update = Some(Code::NOT_FOUND);

    world.advance(seconds(181));

    assert_eq!(world.events, [Event::Unregistered, Event::Registered]);
    let register = &world.server.requests(Code::POST, "/rd")[0];
    assert!(register.text().contains("</3/0>"), "all is told anew");
    world.server.to_update = Some(Code::CHANGED);
    world.device.update(world.now, Some(5));
    world.settle();
    assert_eq!(world.done(5).unwrap().0, Some(Code::CHANGED));
    assert_eq!(world.server.requests(Code::POST, "/rd/2").len(), 1, "under its new name");
}

#[test]
fn a_server_that_does_not_answer_is_tried_again_ever_more_patiently() {
    let mut world = World::new(config());
    world.server.to_register = None;
    world.device.power_on(world.now);

    world.advance(seconds(3_600));

    // Five sendings of one message take up to 93 s, then the wait doubles up to a minute.
    let attempts = world.count(|event| matches!(event, Event::Refused { code: None, .. }));
    assert!((23..=45).contains(&attempts), "{attempts}");
    assert!((attempts * 5..=attempts * 5 + 5).contains(&world.datagrams_up), "{}", world.datagrams_up);
    world.server.to_register = Some(Code::CREATED);
    world.advance(seconds(170));
    assert!(world.device.is_registered());
}

#[test]
fn a_refusal_is_told_with_its_code_and_its_reason() {
    let mut world = World::new(config());
    world.server.to_register = Some(Code::FORBIDDEN);
    world.device.power_on(world.now);

    world.settle();

    assert_eq!(world.events, [Event::Refused { code: Some(Code::FORBIDDEN), detail: "not today".into() }]);
    world.server.to_register = Some(Code::CREATED);
    world.advance(seconds(2));
    assert!(world.device.is_registered());
}

#[test]
fn a_lost_message_is_made_good_by_repetition() {
    for (up, down) in [(1, 0), (0, 1), (4, 0), (2, 2)] {
        let mut world = World::new(config());
        (world.lose_up, world.lose_down) = (up, down);
        world.device.power_on(world.now);

        world.advance(seconds(93));

        assert!(world.device.is_registered(), "{up} and {down} lost");
        assert_eq!(world.events, [Event::Registered]);
    }
}

#[test]
fn power_that_is_lost_and_back_makes_a_new_registration() {
    let mut world = World::registered(config());

    world.device.lose_power();
    world.advance(seconds(3_600));
    let silence = world.server.heard.len();
    world.device.power_on(world.now);
    world.settle();

    assert_eq!(silence, 0, "not a word");
    assert_eq!(world.events, [Event::Unregistered, Event::Registered]);
}

#[test]
fn a_device_without_power_hears_nothing() {
    let mut world = World::registered(config());
    world.device.lose_power();

    let id = world.send(Code::GET, "/3/0/9", |message| message);

    assert_eq!(world.server.answer_to(id), None);
    assert_eq!(world.device.poll_timeout(), None);
}

#[test]
fn a_goodbye_is_said_and_then_there_is_silence_even_if_nobody_heard_it() {
    for heard in [true, false] {
        let mut world = World::registered(config());
        world.is_cut = !heard;

        world.device.deregister(world.now, Some(9));
        world.advance(seconds(100));

        let datagrams = world.datagrams_up;
        world.is_cut = false;
        world.advance(seconds(86_400));
        assert_eq!(world.datagrams_up, datagrams, "heard: {heard}");
        assert_eq!(world.done(9).unwrap().0, heard.then_some(Code::DELETED));
        assert_eq!(world.count(|event| *event == Event::Unregistered), 1);
        assert_eq!(world.server.requests(Code::DELETE, "/rd/1").len(), usize::from(heard));
    }
}

#[test]
fn a_send_carries_the_values_and_is_answered() {
    let mut world = World::registered(config());

    world.device.send(world.now, 1, vec![path("/3303/0/5700"), path("/3/0/9")]);
    world.device.send(world.now, 2, vec![path("/3303/7/5700")]);
    world.settle();

    let send = &world.server.requests(Code::POST, "/dp")[0];
    assert_eq!(send.format, Some(coap::content_format::SENML_CBOR));
    let definitions = device::definitions();
    let records = lwm2m::codec::decode(112, &lwm2m::Path::ROOT, &send.payload, 0.0, definitions).unwrap();
    let values: Vec<_> = records.into_iter().map(|record| (record.path.to_string(), record.value)).collect();
    assert_eq!(values, [("/3303/0/5700".into(), Value::Float(9.0)), ("/3/0/9".into(), Value::Integer(87))]);
    assert_eq!(world.done(1).unwrap().0, Some(Code::CHANGED));
    assert_eq!(world.done(2), Some((None, "there is nothing at these paths".into(), Vec::new())));
}

#[test]
fn readings_wait_for_a_registration_up_to_a_bound_and_none_is_forgotten_without_a_word() {
    let mut world = World::new(config());

    for number in 1..=70 {
        world.device.send(world.now, number, vec![path("/3/0/9")]);
    }
    world.device.power_on(world.now);
    world.advance(seconds(1));

    let failed: Vec<u64> = (1..=70).filter(|number| world.done(*number).unwrap().0.is_none()).collect();
    assert_eq!(failed, [1, 2, 3, 4, 5, 6], "the oldest of 70 make room for the newest 64");
    assert_eq!(world.server.requests(Code::POST, "/dp").len(), 64);
}

#[test]
fn a_send_to_a_server_that_forgot_the_registration_makes_a_new_one() {
    let mut world = World::registered(config());
    world.server.to_send = Some(Code::NOT_FOUND);

    world.device.send(world.now, 1, vec![path("/3/0/9")]);
    world.settle();

    assert_eq!(world.done(1).unwrap().0, Some(Code::NOT_FOUND));
    assert_eq!(world.server.requests(Code::POST, "/rd").len(), 1);
    assert!(world.device.is_registered());
}

#[test]
fn a_sleeping_device_hears_only_in_its_window_and_tells_so_when_it_registers() {
    let mut world = World::new(Config { queue_mode: true, awake_window: seconds(20), ..config() });
    world.device.power_on(world.now);
    world.settle();
    assert!(world.server.requests(Code::POST, "/rd")[0].queries.contains(&"Q".to_owned()));

    world.advance(seconds(20));
    let awake = world.send(Code::GET, "/3/0/9", |message| message);
    world.advance(seconds(21));
    let asleep = world.send(Code::GET, "/3/0/9", |message| message);
    world.device.send(world.now, 1, vec![path("/3/0/9")]);
    world.settle();
    let awake_again = world.send(Code::GET, "/3/0/9", |message| message);

    assert!(world.server.answer_to(awake).is_some());
    assert_eq!(world.server.answer_to(asleep), None);
    assert!(world.server.answer_to(awake_again).is_some());
}

#[test]
fn a_sleeping_device_stays_awake_while_it_waits_for_an_answer() {
    let mut world = World::registered(Config { queue_mode: true, awake_window: seconds(1), ..config() });
    world.lose_up = 1;

    world.device.send(world.now, 1, vec![path("/3/0/9")]);
    world.advance(seconds(4));

    assert_eq!(world.done(1).unwrap().0, Some(Code::CHANGED));
}

#[test]
fn a_claim_of_another_enclosure_is_told_with_an_update() {
    let mut world = World::registered(Config { enclosure_option: Some(65_001), ..config() });

    world.device.claim(Some("south pen".to_owned()));
    world.settle();

    let update = &world.server.requests(Code::POST, "/rd/1")[0];
    assert_eq!(update.options.iter().find(|(number, _)| *number == 65_001).unwrap().1, b"south pen");
    assert!(update.options.iter().all(|(number, _)| *number != option::URI_QUERY));
}

#[test]
fn each_version_says_queue_mode_in_its_own_way() {
    for (version, queries) in [
        (Version::V1_0, &["lwm2m=1.0", "b=UQ"][..]),
        (Version::V1_1, &["lwm2m=1.1", "b=U", "Q"]),
        (Version::V1_2, &["lwm2m=1.2", "b=U", "Q"]),
    ] {
        let mut world = World::new(Config { version, queue_mode: true, ..config() });
        world.device.power_on(world.now);
        world.settle();

        assert_eq!(spoken(&world), queries);
    }
}

#[test]
fn a_server_that_knows_only_an_older_version_gets_it() {
    let mut world = World::new(Config { version: Version::V1_2, ..config() });
    world.server.versions = vec!["1.0"];
    world.device.power_on(world.now);
    world.settle();

    assert!(world.device.is_registered());
    assert_eq!(world.server.requests(Code::POST, "/rd").len(), 3, "1.2, 1.1, 1.0");
    assert_eq!(spoken(&world), ["lwm2m=1.0", "b=U"]);
    let instance = world.ask(Code::GET, "/3/0");
    assert_eq!(instance.format, Some(coap::content_format::TLV), "what every client of 1.0 has");
    world.device.send(world.now, 1, vec![path("/3/0/9")]);
    world.settle();
    assert_eq!(world.done(1).unwrap().0, None, "1.0 has no Send");
}

#[test]
fn objects_below_another_root_are_found_there_and_nowhere_else() {
    let mut world = World::new(Config { root: "/lwm2m".into(), ..config() });
    world.device.power_on(world.now);
    world.settle();

    let links = world.server.requests(Code::POST, "/rd")[0].text();
    assert!(links.starts_with("</lwm2m>;rt=\"oma.lwm2m\"") && links.contains("</lwm2m/3/0>"), "{links}");
    assert_eq!(world.ask(Code::GET, "/lwm2m/3/0/9").text(), "87");
    assert_eq!(world.ask(Code::GET, "/3/0/9").code, Code::NOT_FOUND);
    assert_eq!(world.ask(Code::GET, "/lwm2mx/3/0/9").code, Code::NOT_FOUND);
}

#[test]
fn a_server_that_disables_itself_hears_nothing_until_its_time_is_over() {
    let mut world = World::registered(config());
    world.set("/1/0/5", Value::Integer(600));

    assert_eq!(world.ask(Code::POST, "/1/0/4").code, Code::CHANGED);
    world.settle();
    assert_eq!(world.server.requests(Code::DELETE, "/rd/1").len(), 1);
    assert!(!world.device.is_registered());
    world.server.heard.clear();
    world.advance(seconds(599));
    assert!(world.server.heard.is_empty());
    world.advance(seconds(2));

    assert!(world.device.is_registered());
}

#[test]
fn the_server_object_says_how_patiently_it_is_tried_again() {
    let mut world = World::new(config());
    for (resource, value) in [(17, 3), (18, 10), (19, 1_000), (20, 2)] {
        world.set(&format!("/1/0/{resource}"), Value::Unsigned(value));
    }
    world.server.to_register = Some(Code::FORBIDDEN);
    world.device.power_on(world.now);

    world.advance(seconds(86_400));

    let times: Vec<u64> = world
        .server
        .requests(Code::POST, "/rd")
        .iter()
        .map(|heard| heard.at.duration_since(world.start).as_secs())
        .collect();
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(times.len(), 6, "two sequences of three attempts: {times:?}");
    for (wait, least) in waits.iter().zip([10, 20, 1_000, 10, 20]) {
        assert!((least..=least + least / 4).contains(wait), "{waits:?}");
    }
    world.server.to_register = Some(Code::CREATED);
    world.advance(seconds(86_400));
    assert!(!world.device.is_registered(), "it has given up");
    world.device.power_on(world.now);
    world.settle();
    assert!(world.device.is_registered());
}

#[test]
fn a_first_registration_can_be_put_off() {
    let mut world = World::new(config());
    world.set("/1/0/14", Value::Unsigned(30));
    world.device.power_on(world.now);
    world.advance(seconds(29));
    assert!(world.server.heard.is_empty());

    world.advance(seconds(2));

    assert!(world.device.is_registered());
}

#[test]
fn a_busy_server_is_asked_again_and_keeps_the_registration() {
    let mut world = World::registered(config());
    world.server.to_update = Some(Code::SERVICE_UNAVAILABLE);

    world.advance(seconds(240));
    let tries = world.server.requests(Code::POST, "/rd/1").len();
    world.server.to_update = Some(Code::CHANGED);
    world.advance(seconds(60));

    assert!(tries >= 2, "{tries}");
    assert!(world.events.is_empty() && world.device.is_registered(), "{:?}", world.events);
}

#[test]
fn what_a_busy_server_did_not_take_is_told_again() {
    let mut world = World::registered(config());
    world.server.to_update = Some(Code::SERVICE_UNAVAILABLE);
    world.set("/3303/1/5700", Value::Float(8.0));
    assert_eq!(world.server.requests(Code::POST, "/rd/1").len(), 1);

    world.server.to_update = Some(Code::CHANGED);
    world.advance(seconds(60));

    let updates = world.server.requests(Code::POST, "/rd/1");
    assert!(updates.last().unwrap().text().contains("</3303/1>"), "{updates:?}");
}

#[test]
fn a_server_that_is_too_busy_for_a_registration_is_left_alone_as_long_as_it_says() {
    let mut world = World::new(config());
    world.server.to_register = Some(Code::SERVICE_UNAVAILABLE);
    world.device.power_on(world.now);

    world.advance(seconds(39));
    assert_eq!(world.server.requests(Code::POST, "/rd").len(), 1);
    world.server.to_register = Some(Code::CREATED);
    world.advance(seconds(2));

    assert!(world.device.is_registered());
}

#[test]
fn recorded_values_are_sent_with_their_times() {
    let mut world = World::registered(config());
    let at = |time, value| Record { time: Some(time), ..Record::new(path("/3303/0/5700"), Value::Float(value)) };

    world.device.send(world.now, 1, Readings::Recorded(vec![at(1.7e9, 8.0), at(1.7e9 + 60.0, 8.5)]));
    world.settle();

    let send = &world.server.requests(Code::POST, "/dp")[0];
    let root = lwm2m::Path::ROOT;
    let records = lwm2m::codec::decode(112, &root, &send.payload, 0.0, device::definitions()).unwrap();
    assert_eq!(records, [at(1.7e9, 8.0), at(1.7e9 + 60.0, 8.5)]);
}

#[test]
fn a_time_before_the_clock_was_set_is_not_sent() {
    let mut world = World::registered(config());
    let record = Record { time: Some(5.0), ..Record::new(path("/3303/0/5700"), Value::Float(8.0)) };

    world.device.send(world.now, 1, Readings::Recorded(vec![record]));
    world.settle();

    assert_eq!(world.done(1).unwrap().0, Some(Code::CHANGED));
}

#[test]
fn a_full_server_says_when_a_send_is_worth_another_try() {
    let mut world = World::registered(config());
    world.server.to_send = Some(Code::SERVICE_UNAVAILABLE);

    world.device.send(world.now, 1, vec![path("/3/0/9")]);
    world.settle();

    let is_told = |event: &Event| matches!(event, Event::Done { number: 1, retry_after_s: Some(40), .. });
    assert_eq!(world.count(is_told), 1, "{:?}", world.events);
}

#[test]
fn a_server_that_muted_send_hears_none() {
    let mut world = World::registered(config());
    world.set("/1/0/23", Value::Boolean(true));

    world.device.send(world.now, 1, vec![path("/3/0/9")]);
    world.settle();

    assert!(world.server.requests(Code::POST, "/dp").is_empty());
    assert_eq!(world.done(1).unwrap().1, "the server has muted Send");
}

#[test]
fn a_sleeping_device_tells_its_owner_when_it_listens_and_when_no_more() {
    let mut world = World::registered(Config { queue_mode: true, awake_window: seconds(20), ..config() });

    world.advance(seconds(21));
    assert_eq!(world.events, [Event::Asleep]);
    world.device.send(world.now, 1, vec![path("/3/0/9")]);
    world.settle();
    world.device.sleep();
    world.settle();
    let unheard = world.send(Code::GET, "/3/0/9", |message| message);

    let told: Vec<&Event> = world.events.iter().filter(|event| !matches!(event, Event::Done { .. })).collect();
    assert_eq!(told, [&Event::Asleep, &Event::Awake, &Event::Asleep]);
    assert_eq!(world.server.answer_to(unheard), None);
}
