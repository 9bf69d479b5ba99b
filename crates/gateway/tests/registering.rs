//! Stories of devices that register, renew, move and fall silent.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use coap::Code;
use coap::message::Message;
use device::{Config, Event, Value};
use gateway::{DeviceEntry, GatewayOptions, Operation, RestoredRegistration};
use world::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_device_registers_over_dtls_and_its_event_tells_who_it_is() {
    let world = World::with_registered(options(), &secure_entry(1), secure_config(1));

    let registered = world.events_of("registered");
    assert_eq!(registered.len(), 1);
    let event = registered[0];
    assert_eq!((event["device"].as_str(), event["farm"].as_str()), (Some("d1"), Some("f1")));
    assert_eq!((event["secure"].as_bool(), event["replaced"].as_bool()), (Some(true), Some(false)));
    assert_eq!(event["lifetime_s"], 300);
    assert!(event["session"].as_str().unwrap().contains("CCM_8"), "{event}");
    assert!(event["objects"].as_array().unwrap().iter().any(|object| object[0] == "/3303/1"), "{event}");
    assert_eq!((world.stat("sessions"), world.stat("half_open")), (1, 0));
}

#[test]
fn the_answer_to_a_register_waits_for_the_log() {
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    world.add(secure_config(1));
    world.log = Log::Hangs;

    world.power_on(0);
    world.run(SECOND);
    assert!(!world.hosts[0].device.is_registered());

    world.commit_hanging();
    assert!(world.hosts[0].device.is_registered());
    assert_eq!(world.events_of("registered").len(), 1);
}

#[test]
fn a_register_that_the_log_is_slow_for_is_acknowledged_and_answered_later() {
    let mut world = World::new(options());
    world.put(&entry(1));
    world.log = Log::Hangs;

    let at_once = world.say(address(9), register(1, "urn:dev:1"));
    world.run(2 * SECOND);
    let acknowledged = world.inbox.remove(&address(9)).unwrap_or_default();
    world.commit_hanging();
    world.run(5 * SECOND);

    assert_eq!(at_once, None);
    assert_eq!(acknowledged, [Message::acknowledgement(1).to_vec()]);
    let separate = &world.inbox[&address(9)];
    assert!(separate.len() >= 2, "repeated until it is acknowledged");
    let answer = Message::parse(&separate[0]).unwrap();
    assert_eq!((answer.code, answer.kind), (Code::CREATED, coap::Kind::Confirmable));
    let id = answer.id;

    world.inject(CLEAR, address(9), &Message::acknowledgement(id));
    world.inbox.clear();
    world.run(60 * SECOND);
    assert!(!world.inbox.contains_key(&address(9)), "not repeated any more");
}

#[test]
fn a_register_that_the_log_refuses_is_answered_5_03_and_leaves_no_registration() {
    let mut world = World::new(options());
    world.put(&entry(1));
    world.log = Log::Refuses;

    let answer = world.say(address(9), register(1, "urn:dev:1")).unwrap();

    let answer = Message::parse(&answer).unwrap();
    assert_eq!((answer.code, answer.max_age()), (Code::SERVICE_UNAVAILABLE, Some(10)));
    assert_eq!((world.stat("registrations"), world.stat("refused_by_store")), (0, 1));

    world.log = Log::Commits;
    assert_eq!(code_of(world.say(address(9), register(2, "urn:dev:1")).as_deref()), Some(Code::CREATED));
}

#[test]
fn nothing_more_is_taken_in_while_the_log_is_far_behind() {
    let mut world = World::new(GatewayOptions { uncommitted_bytes_max: 200, ..options() });
    world.put(&entry(1));
    world.put(&entry(2));
    world.log = Log::Hangs;
    world.say(address(8), register(1, "urn:dev:1"));

    let busy = world.say(address(9), register(1, "urn:dev:2"));

    assert_eq!(code_of(busy.as_deref()), Some(Code::SERVICE_UNAVAILABLE));
    assert_eq!(world.stat("busy"), 1);
    world.commit_hanging();
    let again = world.say(address(9), register(1, "urn:dev:2"));
    assert_eq!(code_of(again.as_deref()), Some(Code::CREATED), "a 5.03 is not remembered");
}

#[test]
fn a_copy_of_a_register_gets_the_same_answer_and_is_run_once() {
    let mut world = World::new(options());
    world.put(&entry(1));

    let first = world.say(address(9), register(7, "urn:dev:1"));
    let second = world.say(address(9), register(7, "urn:dev:1"));

    assert_eq!(code_of(first.as_deref()), Some(Code::CREATED));
    assert_eq!(first, second);
    assert_eq!((world.events_of("registered").len(), world.stat("duplicates")), (1, 1));
}

#[test]
fn a_new_register_replaces_the_old_one() {
    let mut world = World::new(options());
    world.put(&entry(1));

    let before = location_of(&world.say(address(9), register(1, "urn:dev:1")).unwrap());
    let after = location_of(&world.say(address(9), register(2, "urn:dev:1")).unwrap());

    assert_ne!(before, after);
    assert_eq!(world.events_of("registered")[1]["replaced"], true);
    assert_eq!(world.stat("registrations"), 1);
    let old = world.say(address(9), message(Code::POST, 3).path(&before));
    let new = world.say(address(9), message(Code::POST, 4).path(&after));
    assert_eq!(code_of(old.as_deref()), Some(Code::NOT_FOUND));
    assert_eq!(code_of(new.as_deref()), Some(Code::CHANGED));
}

#[test]
fn an_update_that_changes_nothing_is_answered_without_the_log() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let location = location_of(&world.say(address(9), register(1, "urn:dev:1")).unwrap());
    world.log = Log::Hangs;

    let answer = world.say(address(9), message(Code::POST, 2).path(&location));

    assert_eq!(code_of(answer.as_deref()), Some(Code::CHANGED));
    world.run(6 * SECOND);
    world.commit_hanging();
    let awake = world.events_of("awake");
    assert_eq!(awake.len(), 1);
    assert_eq!(awake[0]["expires_at"].as_u64(), Some(BEGIN_UNIX_MS / 1_000 + 300));
}

#[test]
fn an_update_tells_only_what_changed() {
    let mut world = World::with_registered(options(), &entry(1), config(1));

    world.set(0, "/3304/0/5700", Value::Float(1.0));
    world.run(SECOND);

    let updated = world.events_of("updated");
    assert_eq!(updated.len(), 1);
    assert!(updated[0]["objects"].to_string().contains("/3304/0"), "{}", updated[0]);
    assert!(updated[0].get("lifetime_s").is_none() && updated[0].get("address").is_none(), "{}", updated[0]);
}

#[test]
fn a_change_that_the_log_refused_is_told_by_the_next_update() {
    let mut world = World::new(options());
    world.put(&entry(1));
    let location = location_of(&world.say(address(9), register(1, "urn:dev:1")).unwrap());
    let update = |id| message(Code::POST, id).path(&location).query("lt=900");
    world.log = Log::Refuses;

    let refused = world.say(address(9), update(2));
    world.log = Log::Commits;
    let accepted = world.say(address(9), update(3));

    assert_eq!(code_of(refused.as_deref()), Some(Code::SERVICE_UNAVAILABLE));
    assert_eq!(code_of(accepted.as_deref()), Some(Code::CHANGED));
    let updated = world.events_of("updated");
    assert_eq!((updated.len(), updated[0]["lifetime_s"].as_u64()), (1, Some(900)));
    world.say(address(9), update(4));
    assert_eq!(world.events_of("updated").len(), 1, "once is enough");
}

#[test]
fn many_uplinks_make_few_awake_events() {
    let mut world = World::with_registered(options(), &entry(1), config(1));

    for _ in 0..20 {
        world.update(0);
        world.run(Duration::from_millis(500));
    }
    world.run(6 * SECOND);

    let awake = world.events_of("awake").len();
    assert!((1..=3).contains(&awake), "{awake} in ten seconds, and at most one in five");
}

#[test]
fn a_goodbye_ends_the_registration() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
    let now = world.now().monotonic;

    world.hosts[0].device.deregister(now, Some(1));
    world.run(SECOND);

    assert!(matches!(world.hosts[0].events.last(), Some(Event::Done { code: Some(Code::DELETED), .. })));
    assert_eq!(world.events_of("deregistered").len(), 1);
    assert_eq!((world.stat("registrations"), world.stat("sessions")), (0, 0));
}

#[test]
fn a_registration_expires_to_the_second_and_not_before() {
    let grace = Some(Duration::from_secs(30));
    let mut world = World::with_registered(options(), &DeviceEntry { grace, ..entry(1) }, config(1));
    world.hosts[0].is_reachable = false;

    // It registered at second 0 of the story and one second has passed.
    world.run(Duration::from_secs(300 + 30 - 1) - Duration::from_millis(10));
    assert!(world.events_of("expired").is_empty());
    world.run(SECOND);

    assert_eq!(world.events_of("expired").len(), 1);
    assert_eq!(world.stat("registrations"), 0);
}

#[test]
fn all_that_fall_silent_together_expire_together() {
    let mut world = World::new(GatewayOptions { open_enrolment: Some(String::new()), ..options() });
    let count = 3_000_u16;
    for number in 0..count {
        let from = std::net::SocketAddr::from(([198, 51, (number >> 8) as u8, number as u8], 5683));
        world.inject(CLEAR, from, &register(number, &format!("urn:many:{number}")).to_bytes());
    }
    world.run(SECOND);
    assert_eq!(world.stat("registrations"), u64::from(count));

    world.run(Duration::from_secs(300 + 247));

    assert_eq!(world.events_of("expired").len(), usize::from(count));
    assert_eq!((world.stat("registrations"), world.stat("devices")), (0, 0), "strangers are forgotten with it");
}

#[test]
fn a_stranger_is_taken_in_where_enrolment_is_open() {
    let open_enrolment = Some(r#""tenant":"t9""#.to_owned());
    let mut world = World::new(GatewayOptions { open_enrolment, ..options() });

    let answer = world.say(address(9), register(1, "urn:never \"seen\""));

    assert_eq!(code_of(answer.as_deref()), Some(Code::CREATED));
    let event = world.events_of("registered")[0];
    assert_eq!((event["tenant"].as_str(), event["endpoint"].as_str()), (Some("t9"), Some("urn:never \"seen\"")));
    assert_eq!(event.get("device"), None, "nobody has made it yet");
}

#[test]
fn a_stranger_for_whom_a_device_is_made_is_that_device_from_then_on() {
    let open_enrolment = Some(r#""tenant":"t9""#.to_owned());
    let mut world = World::new(GatewayOptions { open_enrolment, ..options() });
    world.add(config(1));
    world.power_on(0);
    world.run(SECOND);
    let observe = vec![("/3303/0/5700".to_owned(), String::new())];

    let entry = DeviceEntry { device: "dev-7".to_owned(), context: r#""tenant":"t9""#.to_owned(), observe, ..entry(1) };
    world.put(&entry);
    world.run(SECOND);

    let registered = world.events_of("registered");
    let named: Vec<_> = registered.iter().map(|event| event.get("device").and_then(|name| name.as_str())).collect();
    assert_eq!(named, [None, Some("dev-7")]);
    assert_eq!(registered[0]["registration"], registered[1]["registration"]);
    assert_eq!(registered[0]["objects"], registered[1]["objects"]);
    assert_eq!((world.stat("devices"), world.stat("registrations")), (1, 1));
    assert_eq!(world.events_of("observation")[0]["device"], "dev-7", "it is asked for what its profile wants");
    let read = gateway::Request { device: "dev-7".to_owned(), ..request(1, Operation::Read, "/3/0/9") };
    assert_eq!(world.ask(read).outcome, gateway::Outcome::Answered);

    world.run(Duration::from_secs(300 + 247));
    assert_eq!((world.stat("devices"), world.stat("registrations")), (1, 1), "it stays, and goes on updating");
}

#[test]
fn a_claim_travels_in_the_option_or_in_the_query() {
    let number = 65_005;
    let options = GatewayOptions { enclosure_option: Some(number), ..options() };
    let by_option = Config { enclosure: Some("pen-3".to_owned()), enclosure_option: Some(number), ..config(1) };
    let by_query = Config { queries: vec![("enclosure".to_owned(), "pen-4".to_owned())], ..config(2) };
    let mut world = World::with_registered(options, &entry(1), by_option);
    world.put(&entry(2));
    world.add(by_query);

    world.power_on(1);
    world.run(SECOND);
    world.hosts[0].device.claim(Some("pen-5".to_owned()));
    world.run(SECOND);

    let claims: Vec<String> = world.events_of("registered").iter().map(|event| event["claim"].to_string()).collect();
    assert_eq!(claims, [r#"{"enclosure":"pen-3","via":"option"}"#, r#"{"enclosure":"pen-4","via":"query"}"#]);
    assert_eq!(world.events_of("registered")[1]["attributes"]["enclosure"], "pen-4");
    assert_eq!(world.events_of("updated")[0]["claim"]["enclosure"], "pen-5");
}

#[test]
fn a_device_goes_on_from_another_address_without_a_handshake() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
    assert_eq!(world.stat("handshakes"), 1);

    world.hosts[0].address = address(77);
    world.update(0);
    world.run(SECOND);

    assert!(world.hosts[0].device.is_registered());
    assert_eq!((world.stat("handshakes"), world.stat("relocated"), world.stat("sessions")), (1, 1, 1));
    assert_eq!(world.events_of("updated")[0]["address"], address(77).to_string());
    let answer = world.ask(request(1, Operation::Read, "/3/0/9"));
    assert_eq!(answer.code, Some(Code::CONTENT), "and is asked where it is now");
}

#[test]
fn a_registration_from_before_a_restart_goes_on() {
    let observe = vec![("/3303/*/5700".to_owned(), String::new())];
    let entry = DeviceEntry { observe, ..entry(1) };
    let mut world = World::with_registered(options(), &entry, config(1));
    let now = world.now();
    let state = world.gateway.registrations(now, "", 10).remove(0);
    let host = world.hosts.remove(0);

    let mut restarted = World::new(GatewayOptions { boot: "00000002".to_owned(), seed: [9; 32], ..options() });
    restarted.put(&entry);
    let restored = RestoredRegistration {
        device: state.device.to_string(),
        registration: state.registration.clone(),
        lifetime_s: state.lifetime_s,
        version: "1.1".to_owned(),
        binding: "U".to_owned(),
        queue_mode: false,
        objects: state.objects,
    };
    let now = restarted.now();
    restarted.gateway.restore(now, &restored).unwrap();
    restarted.hosts.push(host);
    restarted.update(0);
    restarted.run(SECOND);

    assert!(restarted.events_of("registered").is_empty());
    assert!(restarted.hosts[0].device.is_registered());
    let now = restarted.now();
    assert_eq!(restarted.gateway.registrations(now, "", 10)[0].registration, state.registration);
    assert_eq!(restarted.observations(), ["/3303/0/5700 established", "/3303/1/5700 established"]);
}

#[test]
fn every_partition_beats_while_nothing_happens() {
    let mut world = World::new(GatewayOptions { heartbeat: Some(5 * SECOND), ..options() });

    world.run(11 * SECOND);

    let mut partitions: Vec<u64> =
        world.events_of("heartbeat").iter().map(|event| event["partition"].as_u64().unwrap()).collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 0, 1, 1, 2, 2, 3, 3]);
}

#[test]
fn event_ids_never_repeat() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    for _ in 0..5 {
        world.update(0);
        world.run(10 * SECOND);
    }

    let mut ids: Vec<String> = world.events.iter().map(|event| event["id"].to_string()).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert!(count > 5);
}
