//! Stories of what we ask of devices: every operation, and devices that sleep, move and vanish meanwhile.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use coap::Code;
use device::{Config, Event};
use gateway::limits::WAITING_PER_DEVICE_MAX;
use gateway::{DeviceEntry, Operation, Outcome, Request};
use proptest::prelude::*;
use serde_json::Value as Json;
use world::*;

const SECOND: Duration = Duration::from_secs(1);

fn body_of(answer: &gateway::Answer) -> Json {
    serde_json::from_slice(answer.body.as_deref().unwrap()).unwrap()
}

fn sleeper() -> World {
    let config = Config { queue_mode: true, ..config(1) };
    World::with_registered(options(), &entry(1), config)
}

#[test]
fn a_read_brings_values_to_the_caller_and_into_the_log() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));

    let answer = world.ask(request(1, Operation::Read, "/3303/0"));

    assert_eq!((answer.outcome, answer.code), (Outcome::Answered, Some(Code::CONTENT)));
    assert!(answer.trip.is_some());
    let body = body_of(&answer);
    assert_eq!(body["content"][0]["path"], "/3303/0/5700");
    assert_eq!((&body["content"][0]["value"], &body["content"][0]["type"]), (&Json::from(9.5), &Json::from("float")));
    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    assert_eq!(world.readings("read"), ["/3303/0/5700=9.5", "/3303/0/5701=\"Cel\""]);
}

#[test]
fn every_operation_does_what_it_says() {
    let mut world = World::with_registered(options(), &entry(1), config(1));

    let write = world.ask_with(1, Operation::Write, "/3/0/15", r#"{"value":"Europe/Bergen"}"#);
    let partial = world.ask_with(2, Operation::WritePartial, "/26241/0", r#"{"resources":{"1":4.5}}"#);
    let execute = world.ask_with(3, Operation::Execute, "/3/0/4", r#"{"arguments":{"0":"now","1":null}}"#);
    let create = world.ask_with(4, Operation::Create, "/3303", r#"{"resources":{"5700":1.5}}"#);
    let named = world.ask_with(5, Operation::Create, "/3303", r#"{"instance":9,"resources":{"5700":2.5}}"#);
    let delete = world.ask(request(6, Operation::Delete, "/3303/9"));
    let attributes = world.ask_with(7, Operation::WriteAttributes, "/3303/0/5700", r#"{"pmin":10,"pmax":60}"#);
    let discover = world.ask(request(8, Operation::Discover, "/3303/0"));

    for answer in [&write, &partial, &execute, &create, &named, &delete, &attributes, &discover] {
        assert_eq!(answer.outcome, Outcome::Answered, "{answer:?}");
    }
    let device = &world.hosts[0].device;
    assert_eq!(device.get(&path("/3/0/15")), Some(&device::Value::String("Europe/Bergen".to_owned())));
    assert_eq!(device.get(&path("/26241/0/1")), Some(&device::Value::Float(4.5)));
    assert_eq!(device.get(&path("/26241/0/0")), Some(&device::Value::String("e1".to_owned())), "what was not written");
    let executed = Event::Executed { path: path("/3/0/4"), arguments: br#"{"0":"now","1":""}"#.to_vec() };
    assert!(world.hosts[0].events.contains(&executed), "{:?}", world.hosts[0].events);
    assert_eq!(body_of(&create)["path"], "/3303/2");
    assert_eq!(body_of(&named)["path"], "/3303/9");
    assert_eq!(device.get(&path("/3303/9/5700")), None);
    let links = body_of(&discover);
    let link = links["links"].as_array().unwrap().iter().find(|link| link["path"] == "/3303/0/5700").unwrap();
    assert_eq!((&link["attributes"]["pmin"], &link["attributes"]["pmax"]), (&Json::from("10"), &Json::from("60")));
}

#[test]
fn what_the_device_refuses_is_told_with_its_code() {
    let mut world = World::with_registered(options(), &entry(1), config(1));

    let answer = world.ask(request(1, Operation::Read, "/3303/5"));

    assert_eq!((answer.outcome, answer.code), (Outcome::Refused, Some(Code::NOT_FOUND)));
    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Refused]);
}

#[test]
fn what_makes_no_sense_is_refused_before_it_waits() {
    let mut world = World::new(options());
    world.put(&entry(1));

    let answer = world.ask_with(1, Operation::Write, "/3/0/9", r#"{"value":"a lot"}"#);

    assert_eq!((answer.outcome, answer.code), (Outcome::Refused, None));
    assert!(answer.detail.unwrap().contains("/3/0/9"));
    assert_eq!(world.stat("waiting"), 0);
}

#[test]
fn an_answer_of_many_blocks_arrives_whole() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    for instance in 0..200 {
        world.set(0, &format!("/3303/{instance}/5700"), device::Value::Float(f64::from(instance) + 0.25));
    }
    world.run(SECOND);

    let answer = world.ask(request(1, Operation::Read, "/3303"));

    assert_eq!(answer.outcome, Outcome::Answered, "{answer:?}");
    assert!(body_of(&answer)["content"].as_array().unwrap().len() >= 200);
}

#[test]
fn a_write_of_many_blocks_arrives_whole() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    let note = "Ø".repeat(3_000);

    let answer = world.ask_with(1, Operation::Write, "/26241/0/2", &format!(r#"{{"value":"{note}"}}"#));

    assert_eq!(answer.outcome, Outcome::Answered, "{answer:?}");
    assert_eq!(world.hosts[0].device.get(&path("/26241/0/2")), Some(&device::Value::String(note)));
}

#[test]
fn a_request_waits_while_the_device_sleeps_and_leaves_with_its_next_uplink() {
    let mut world = sleeper();
    world.run(60 * SECOND);

    world.submit(request(1, Operation::Read, "/3/0/9"));
    world.run(60 * SECOND);
    assert_eq!(world.outcomes(1), []);
    world.update(0);

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered], "at once");
}

#[test]
fn a_device_that_is_awake_is_asked_at_once() {
    let mut world = sleeper();

    world.submit(request(1, Operation::Read, "/3/0/9"));

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
}

#[test]
fn a_request_waits_for_a_device_that_is_not_registered() {
    let mut world = World::new(options());
    world.put(&entry(1));
    world.add(config(1));

    world.submit(request(1, Operation::Read, "/3/0/9"));
    world.run(60 * SECOND);
    world.power_on(0);
    world.run(SECOND);

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
}

#[test]
fn what_is_not_to_wait_is_answered_at_once() {
    let mut world = sleeper();
    world.put(&entry(2));
    let hasty = |id, device: &str| Request {
        device: device.to_owned(),
        wait_for_wake: false,
        ..request(id, Operation::Read, "/3/0/9")
    };

    world.submit(hasty(1, "d1"));
    world.run(60 * SECOND);
    world.submit(hasty(2, "d1"));
    world.submit(hasty(3, "d2"));
    world.submit(hasty(4, "nobody"));

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered], "it was awake");
    assert_eq!(world.outcomes(2), [Outcome::TimedOut]);
    assert_eq!(world.outcomes(3), [Outcome::Unregistered]);
    assert_eq!(world.outcomes(4), [Outcome::Unregistered]);
}

#[test]
fn a_request_expires_exactly_and_never_leaves() {
    let mut world = sleeper();
    world.run(60 * SECOND);

    world.submit(Request { expires_in: 30 * SECOND, ..request(1, Operation::Read, "/3/0/9") });
    world.run(30 * SECOND - Duration::from_millis(1));
    assert_eq!(world.outcomes(1), []);
    world.run(Duration::from_millis(1));
    world.update(0);

    assert_eq!(world.outcomes(1), [Outcome::Expired]);
}

#[test]
fn all_requests_that_are_due_expire_in_one_pass() {
    let mut world = sleeper();
    world.run(60 * SECOND);

    for id in 0..WAITING_PER_DEVICE_MAX as u64 {
        world.submit(Request { expires_in: 30 * SECOND, ..request(id, Operation::Read, "/3/0/9") });
    }
    world.submit(request(1_000, Operation::Read, "/3/0/9"));
    world.run(30 * SECOND);

    assert_eq!(world.outcomes(1_000), [Outcome::TooMany]);
    for id in 0..WAITING_PER_DEVICE_MAX as u64 {
        assert_eq!(world.outcomes(id), [Outcome::Expired]);
    }
    assert_eq!(world.stat("waiting"), 0);
}

#[test]
fn requests_leave_one_after_another_in_order() {
    let mut world = sleeper();
    world.run(60 * SECOND);
    for (id, value) in [(1, "first"), (2, "second"), (3, "third")] {
        let body = serde_json::from_str(&format!(r#"{{"value":"{value}"}}"#)).ok();
        world.submit(Request { body, ..request(id, Operation::Write, "/26241/0/2") });
    }

    world.update(0);

    let told: Vec<(u64, Outcome)> = world.answers.iter().map(|answer| (answer.id, answer.outcome)).collect();
    assert_eq!(
        told,
        [
            (1, Outcome::Sent),
            (1, Outcome::Answered),
            (2, Outcome::Sent),
            (2, Outcome::Answered),
            (3, Outcome::Sent),
            (3, Outcome::Answered)
        ]
    );
    assert_eq!(world.hosts[0].device.get(&path("/26241/0/2")), Some(&device::Value::String("third".to_owned())));
}

#[test]
fn a_request_is_taken_back_before_it_leaves_and_not_afterwards() {
    let mut world = sleeper();
    world.run(60 * SECOND);
    world.submit(request(1, Operation::Read, "/3/0/9"));
    world.submit(request(2, Operation::Read, "/3/0/0"));

    world.cancel(1);
    world.update(0);
    world.cancel(2);
    world.cancel(99);

    assert_eq!(world.outcomes(1), [Outcome::Cancelled]);
    assert_eq!(world.outcomes(2), [Outcome::Sent, Outcome::Answered]);
}

#[test]
fn the_same_request_twice_is_asked_once() {
    let mut world = sleeper();
    world.run(60 * SECOND);

    world.submit(request(1, Operation::Execute, "/3/0/4"));
    world.submit(request(1, Operation::Execute, "/3/0/4"));
    world.update(0);

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    let executed = world.hosts[0].events.iter().filter(|event| matches!(event, Event::Executed { .. })).count();
    assert_eq!(executed, 1);
}

#[test]
fn a_device_that_does_not_answer_is_given_up_after_max_transmit_wait() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    world.hosts[0].is_reachable = false;

    world.submit(request(1, Operation::Read, "/3/0/9"));
    world.submit(request(2, Operation::Read, "/3/0/9"));
    let before = world.downlinks;
    world.run(61 * SECOND);

    assert_eq!(world.downlinks - before, 4, "MAX_RETRANSMIT of the first, and nothing of the second: NSTART is 1");
    assert_eq!((world.outcomes(1), world.outcomes(2)), (vec![Outcome::Sent], vec![]));
    world.run(33 * SECOND);
    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::TimedOut]);
    assert_eq!(world.outcomes(2), [Outcome::Sent]);
}

#[test]
fn a_device_is_waited_for_as_its_profile_says() {
    let patient = DeviceEntry { ack_timeout: 10 * SECOND, random_factor: 1.0, max_retransmit: 1, ..entry(1) };
    let mut world = World::with_registered(options(), &patient, config(1));
    world.hosts[0].is_reachable = false;

    world.submit(request(1, Operation::Read, "/3/0/9"));
    let before = world.downlinks;
    world.run(10 * SECOND - Duration::from_millis(1));
    assert_eq!(world.downlinks, before);
    world.run(20 * SECOND);
    assert_eq!(world.downlinks - before, 1);
    assert_eq!(world.outcomes(1), [Outcome::Sent], "10 s, and 20 s after the repetition");
    world.run(SECOND);
    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::TimedOut]);
}

#[test]
fn a_device_that_is_gone_holds_no_other_up() {
    let mut world = World::with_registered(options(), &entry(1), config(1));
    world.put(&entry(2));
    world.add(config(2));
    world.power_on(1);
    world.run(SECOND);
    world.hosts[0].is_reachable = false;

    for id in 0..10 {
        world.submit(request(id, Operation::Execute, "/3/0/4"));
        let device = "d2".to_owned();
        world.submit(Request { device, ..request(100 + id, Operation::Read, "/3/0/9") });
    }

    for id in 100..110 {
        assert_eq!(world.outcomes(id), [Outcome::Sent, Outcome::Answered]);
    }
}

#[test]
fn a_request_to_a_device_that_fell_asleep_early_is_sent_again_when_it_wakes() {
    let awake_window = Duration::from_secs(2);
    let mut world =
        World::with_registered(options(), &entry(1), Config { queue_mode: true, awake_window, ..config(1) });
    world.run(10 * SECOND);

    // The profile says 20 seconds, the device listens for 2.
    world.submit(request(1, Operation::Read, "/3/0/9"));
    world.submit(request(2, Operation::Execute, "/3/0/4"));
    world.run(100 * SECOND);
    assert_eq!(world.outcomes(1), [Outcome::Sent]);
    world.update(0);

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    assert_eq!(world.outcomes(2), [Outcome::Sent, Outcome::Answered]);
}

#[test]
fn what_was_sent_into_the_sleep_of_a_device_is_sent_again_as_soon_as_it_speaks() {
    let awake_window = Duration::from_secs(1);
    let mut world =
        World::with_registered(options(), &entry(1), Config { queue_mode: true, awake_window, ..config(1) });
    world.run(10 * SECOND);

    // It is repeated after about 3, 9 and 21 seconds; in between the device listens for a second.
    world.submit(request(1, Operation::Execute, "/3/0/4"));
    world.run(Duration::from_millis(3_200));
    assert_eq!(world.outcomes(1), [Outcome::Sent]);
    world.update(0);
    world.run(Duration::from_millis(500));

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    let executed = world.hosts[0].events.iter().filter(|event| matches!(event, Event::Executed { .. })).count();
    assert_eq!(executed, 1);
}

#[test]
fn an_execute_that_may_have_arrived_is_not_sent_again() {
    let awake_window = Duration::from_secs(2);
    let mut world =
        World::with_registered(options(), &entry(1), Config { queue_mode: true, awake_window, ..config(1) });
    world.run(10 * SECOND);

    world.submit(request(1, Operation::Execute, "/3/0/4"));
    world.run(100 * SECOND);
    world.update(0);

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::TimedOut]);
    assert!(!world.hosts[0].events.iter().any(|event| matches!(event, Event::Executed { .. })));
}

#[test]
fn a_request_under_way_follows_the_device_into_its_new_session() {
    let mut world = World::with_registered(options(), &secure_entry(1), secure_config(1));
    world.hosts[0].is_reachable = false;
    world.submit(request(1, Operation::Read, "/3/0/9"));
    world.submit(request(2, Operation::Execute, "/3/0/4"));

    world.run(SECOND);
    world.hosts[0].device.lose_power();
    world.hosts[0].is_reachable = true;
    world.power_on(0);
    world.run(SECOND);

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    assert_eq!(world.outcomes(2), [Outcome::Sent, Outcome::Answered]);
    assert_eq!(world.stat("requests_repeated"), 1);
}

#[test]
fn what_waits_for_a_removed_device_is_over() {
    let mut world = sleeper();
    world.run(60 * SECOND);
    world.submit(request(1, Operation::Read, "/3/0/9"));

    let now = world.now();
    world.gateway.remove_device(now, "d1");
    world.settle();

    assert_eq!(world.outcomes(1), [Outcome::Unregistered]);
    assert_eq!((world.stat("waiting"), world.stat("devices"), world.stat("registrations")), (0, 0, 0));
}

#[test]
fn what_waits_survives_the_end_of_the_registration() {
    let mut world = sleeper();
    world.run(60 * SECOND);
    world.submit(request(1, Operation::Read, "/3/0/9"));
    world.hosts[0].device.lose_power();
    world.run(Duration::from_secs(700));
    assert_eq!(world.events_of("expired").len(), 1);

    world.power_on(0);
    world.run(SECOND);

    assert_eq!(world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
}

#[test]
fn paths_are_read_after_each_register() {
    let read = vec!["/3/0/9".to_owned(), "/3303/*/5700".to_owned(), "/4/0".to_owned()];
    let mut world = World::with_registered(options(), &DeviceEntry { read, ..entry(1) }, config(1));

    assert_eq!(world.readings("read"), ["/3/0/9=87", "/3303/0/5700=9.5", "/3303/1/5700=10.5"]);

    world.hosts[0].device.lose_power();
    world.power_on(0);
    world.run(SECOND);
    assert_eq!(world.readings("read").len(), 6);
}

#[derive(Debug, Clone)]
enum Step {
    Submit { operation: u8, hasty: bool, expires_in_s: u64 },
    Cancel(u64),
    Run(u64),
    Wake,
    Vanish,
    Return,
    Reboot,
    Move(u8),
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let submit = (0..14_u8, any::<bool>(), 1..400_u64).prop_map(|(operation, hasty, expires_in_s)| Step::Submit {
        operation,
        hasty,
        expires_in_s,
    });
    let step = prop_oneof![
        6 => submit,
        2 => (0..20_u64).prop_map(Step::Cancel),
        3 => (0..150_u64).prop_map(Step::Run),
        2 => Just(Step::Wake),
        1 => Just(Step::Vanish),
        2 => Just(Step::Return),
        1 => Just(Step::Reboot),
        1 => (50..60_u8).prop_map(Step::Move),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to a device: every request ends once, leaves at most once before, and nothing is left behind.
    #[test]
    fn every_request_ends_exactly_once(steps in steps(), queue_mode in any::<bool>(), is_secure in any::<bool>()) {
        let (entry, config) =
            if is_secure { (secure_entry(1), secure_config(1)) } else { (entry(1), config(1)) };
        let observe = vec![("/3303/*/5700".to_owned(), "pmin=1".to_owned())];
        let entry = DeviceEntry { observe, read: vec!["/3/0".to_owned()], ..entry };
        let mut world = World::with_registered(options(), &entry, Config { queue_mode, ..config });
        let mut submitted = 0;

        for step in steps {
            let now = world.now();
            match step {
                Step::Submit { operation, hasty, expires_in_s } => {
                    let (operation, at, body) = [
                        (Operation::Read, "/3/0", "null"),
                        (Operation::Write, "/3/0/15", r#"{"value":"x"}"#),
                        (Operation::WritePartial, "/26241/0", r#"{"resources":{"1":4.5}}"#),
                        (Operation::Execute, "/3/0/4", "null"),
                        (Operation::Create, "/3303", r#"{"resources":{"5700":1.5}}"#),
                        (Operation::Delete, "/3303/1", "null"),
                        (Operation::Discover, "/3", "null"),
                        (Operation::WriteAttributes, "/3303/0/5700", r#"{"pmax":30}"#),
                        (Operation::Observe, "/3/0/9", "null"),
                        (Operation::CancelObservation, "/3/0/9", "null"),
                        (Operation::ReadComposite, "/", r#"{"paths":["/3/0/9","/3303/0"]}"#),
                        (Operation::WriteComposite, "/", r#"{"values":{"/3/0/15":"x","/26241/0/1":1.5}}"#),
                        (Operation::ObserveComposite, "/", r#"{"paths":["/3/0/9","/3303/0"]}"#),
                        (Operation::CancelObservationComposite, "/", r#"{"paths":["/3/0/9","/3303/0"]}"#),
                    ][usize::from(operation)];
                    let body = serde_json::from_str(body).ok().filter(|body: &Json| !body.is_null());
                    let expires_in = Duration::from_secs(expires_in_s);
                    let wait_for_wake = !hasty;
                    world.submit(Request { body, expires_in, wait_for_wake, ..request(submitted, operation, at) });
                    submitted += 1;
                }
                Step::Cancel(id) => world.cancel(id),
                Step::Run(seconds) => world.run(Duration::from_secs(seconds)),
                Step::Wake => world.update(0),
                Step::Vanish => world.hosts[0].is_reachable = false,
                Step::Return => world.hosts[0].is_reachable = true,
                Step::Reboot => {
                    world.hosts[0].device.lose_power();
                    world.power_on(0);
                }
                Step::Move(number) => world.hosts[0].address = address(number),
                Step::Forget => {
                    world.gateway.remove_device(now, "d1");
                    world.put(&entry);
                }
            }
        }
        world.run(Duration::from_secs(4_000));

        for id in 0..submitted {
            let outcomes = world.outcomes(id);
            let sent = outcomes.iter().filter(|outcome| **outcome == Outcome::Sent).count();
            prop_assert!(sent <= 1 && outcomes.len() == sent + 1, "{}: {:?}", id, outcomes);
            prop_assert!(sent == 0 || outcomes[0] == Outcome::Sent, "{}: {:?}", id, outcomes);
        }
        prop_assert_eq!(world.stat("waiting"), 0);
    }
}
