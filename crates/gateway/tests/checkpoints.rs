//! Stories of a gateway that is killed, and of the one that takes its place.
#![allow(clippy::unwrap_used, clippy::panic)]

mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use device::{Event, Value};
use gateway::limits::{CHECKPOINT_EVERY, SESSION_IDLE};
use gateway::{
    Definitions, DeviceEntry, Gateway, GatewayOptions, NotTakenUp, Operation, Outcome, Proof, RestoredRegistration,
    Security,
};
use proptest::prelude::*;
use world::*;
use zeroize::Zeroizing;

const SECOND: Duration = Duration::from_secs(1);

fn start(number: u32) -> GatewayOptions {
    GatewayOptions { start: Some(number), boot: format!("{number:08x}"), seed: [number as u8; 32], ..options() }
}

/// A camera that observes and is observed.
fn camera() -> DeviceEntry {
    let observe = [("/3303/*/5700", "pmin=1"), ("/3/0/9", "")];
    DeviceEntry {
        observe: observe.map(|(path, attributes)| (path.to_owned(), attributes.to_owned())).to_vec(),
        ..secure_entry(1)
    }
}

/// What the inventory knows of the registration.
fn registration(world: &World) -> RestoredRegistration {
    let state = &world.gateway.registrations(world.now(), "", 10)[0];
    let told = world.events_of("registered").last().unwrap().to_owned().clone();
    RestoredRegistration {
        device: state.device.to_string(),
        registration: state.registration.clone(),
        lifetime_s: state.lifetime_s,
        version: told["version"].as_str().unwrap().to_owned(),
        binding: told["binding"].as_str().unwrap().to_owned(),
        queue_mode: told["queue_mode"].as_bool().unwrap(),
        objects: state.objects.clone(),
    }
}

/// `kill -9`, and a new gateway that knows what was kept. What it could not take up, and why.
fn restart(world: &mut World, number: u32, entries: &[DeviceEntry]) -> BTreeMap<String, NotTakenUp> {
    let registered = registration(world);
    let now = world.now();
    let definitions = Arc::new(Definitions::embedded().clone());
    world.gateway = Gateway::new(now, start(number), definitions, Box::new(Shelf)).unwrap();
    world.batches_hanging.clear();
    world.pages_hanging.clear();
    for entry in entries {
        world.gateway.put_device(now, entry).unwrap();
    }
    world.gateway.restore(now, &registered).unwrap();
    let kept = world.checkpoints.clone();
    let refused = kept.iter().filter_map(|(device, bytes)| {
        Some((device.clone(), world.gateway.restore_checkpoint(now, device, bytes).err()?))
    });
    let refused = refused.collect();
    world.settle();
    refused
}

fn running() -> World {
    let mut world = World::with_registered(start(1), &camera(), secure_config(1));
    world.run(5 * SECOND);
    assert_eq!(world.observation_states().len(), 3);
    world
}

fn registers(world: &World) -> usize {
    world.hosts[0].events.iter().filter(|event| matches!(event, Event::Registered)).count()
}

#[test]
fn a_device_does_not_notice_that_its_gateway_was_killed() {
    let mut world = running();
    world.run(CHECKPOINT_EVERY);
    let told = (world.events_of("registered").len(), world.events_of("observation").len());

    for number in 2..5 {
        assert!(restart(&mut world, number, &[camera()]).is_empty());
        world.set(0, "/3303/1/5700", Value::Float(20.0 + f64::from(number)));
        world.run(10 * SECOND);

        assert_eq!(world.readings("notify").last().unwrap(), &format!("/3303/1/5700={}.0", 20 + number));
        let answer = world.ask(request(u64::from(number), Operation::Read, "/3/0/0"));
        assert_eq!(answer.outcome, Outcome::Answered);
        world.update(0);
        world.run(SECOND);
        assert_eq!((world.stat("handshakes"), world.stat("update"), world.stat("unknown_token")), (0, 1, 0));
    }
    assert_eq!((world.events_of("registered").len(), world.events_of("observation").len()), told);
    assert_eq!(registers(&world), 1);
}

#[test]
fn the_sessions_of_two_kills_in_a_row_share_no_sequence_number() {
    let mut world = running();
    let before = world.checkpoints.clone();
    restart(&mut world, 2, &[camera()]);
    world.store = Log::Hangs;
    assert_eq!(world.ask(request(9, Operation::Read, "/3/0/0")).outcome, Outcome::Answered);

    // Nothing was kept in between: the third start begins with what the second began with.
    world.checkpoints = before;
    restart(&mut world, 3, &[camera()]);

    // A device drops what it has seen (RFC 6347 §4.1.2.6), so an answer says that the numbers were new to it.
    let answer = world.ask(request(10, Operation::Read, "/3/0/0"));
    assert_eq!((answer.outcome, world.stat("handshakes")), (Outcome::Answered, 0));
}

#[test]
fn whoever_was_told_that_it_is_registered_is_so_after_a_crash() {
    let mut world = World::new(start(1));
    world.store = Log::Hangs;
    world.put(&camera());
    world.add(secure_config(1));
    world.power_on(0);
    world.run(SECOND);

    // The log has it; the 2.01 waits for the checkpoint, and copies of the Register are met with silence.
    assert_eq!(world.events_of("registered").len(), 1);
    world.run(3 * SECOND);
    assert_eq!((registers(&world), world.stat("duplicates_pending")), (0, 1));
    assert_eq!(world.stat("checkpoints_waiting"), 1);

    world.store = Log::Commits;
    for batch in std::mem::take(&mut world.batches_hanging) {
        world.checkpoints.extend(batch.kept.iter().map(|(device, _, bytes)| (device.to_string(), bytes.to_vec())));
        let now = world.now();
        world.gateway.handle_checkpointed(now, batch.number, true);
        world.downlinks_max = world.downlinks + 1;
        world.settle();
    }
    assert_eq!(registers(&world), 1);
    world.downlinks_max = usize::MAX;

    restart(&mut world, 2, &[camera()]);
    world.run(5 * SECOND);
    assert_eq!((world.stat("handshakes"), world.stat("register"), world.observation_states().len()), (0, 0, 3));
}

#[test]
fn a_device_is_registered_also_while_nothing_can_be_kept() {
    let mut world = World::new(start(1));
    world.store = Log::Refuses;
    world.put(&camera());
    world.add(secure_config(1));
    world.power_on(0);
    world.run(SECOND);
    assert_eq!(registers(&world), 1);
    assert!(world.stat("checkpoints_refused") > 0);

    assert_eq!(world.stat("checkpoints_waiting"), 1);

    world.store = Log::Commits;
    world.run(2 * SECOND);
    assert!(world.checkpoints.contains_key("d1"), "it comes again as soon as it can be kept");
    assert_eq!(world.stat("checkpoints_waiting"), 0);
}

#[test]
fn a_checkpoint_is_as_old_as_it_may_be_and_no_younger() {
    let mut world = running();
    let taken = world.stat("checkpoints");
    for _ in 0..60 {
        world.run(SECOND);
        world.update(0);
    }
    let after_a_minute = world.stat("checkpoints") - taken;
    assert!((1..=2).contains(&after_a_minute), "{after_a_minute}");

    let kept = world.checkpoints.clone();
    world.run(CHECKPOINT_EVERY);
    let last = world.stat("checkpoints");
    world.run(CHECKPOINT_EVERY);
    assert_eq!(world.stat("checkpoints"), last, "of a device that says nothing there is nothing new");
    assert_ne!(world.checkpoints, kept);
}

#[test]
fn a_session_that_ended_does_not_come_back() {
    let mut world = running();
    let kept = world.checkpoints["d1"].clone();

    // Its key is another from now on.
    let rekeyed = DeviceEntry {
        security: Security::by(
            "c1",
            Proof::Psk { identity: b"id1".to_vec(), key: Zeroizing::new(b"another key here".to_vec()) },
        ),
        ..camera()
    };
    world.hosts[0].is_reachable = false;
    world.put(&rekeyed);
    assert!(world.checkpoints["d1"].len() < kept.len(), "what is kept has no session");

    // Killed before that was written down: the key itself forbids it.
    world.checkpoints.insert("d1".to_owned(), kept);
    let refused = restart(&mut world, 2, &[rekeyed]);
    assert!(matches!(refused["d1"], NotTakenUp::Session(_)), "{refused:?}");
    assert_eq!(world.stat("sessions"), 0);
}

#[test]
fn a_registration_that_ended_leaves_nothing() {
    let mut world = running();
    let kept = world.checkpoints.clone();
    let now = world.now().monotonic;
    world.hosts[0].device.deregister(now, None);
    world.run(SECOND);
    assert!(world.checkpoints.is_empty() && world.stat("checkpoints_waiting") == 0);

    world.gateway.remove_device(world.now(), "d1");
    let now = world.now();
    assert_eq!(world.gateway.restore_checkpoint(now, "d1", &kept["d1"]), Err(NotTakenUp::UnknownDevice));
    world.put(&camera());
    assert_eq!(world.gateway.restore_checkpoint(now, "d1", &kept["d1"]), Err(NotTakenUp::Unwanted));
}

#[test]
fn a_device_that_moved_is_reached_where_it_is() {
    let mut world = running();
    world.hosts[0].address = address(99);
    world.set(0, "/3/0/9", Value::Integer(50));
    world.run(5 * SECOND);

    restart(&mut world, 2, &[camera()]);

    // Nothing was heard of it since.
    assert_eq!(world.ask(request(1, Operation::Read, "/3/0/9")).outcome, Outcome::Answered);
}

#[test]
fn a_session_goes_on_where_datagrams_are_and_not_where_connections_are() {
    let world = running();
    let kept = world.checkpoints["d1"].clone();
    let registered = registration(&world);
    let now = world.now();
    let definitions = Arc::new(Definitions::embedded().clone());

    for (sockets, outcome) in [
        ([(true, true), (true, true)], Err(NotTakenUp::Unwanted)),
        ([(true, true), (true, false)], Ok(())),
        ([(true, false), (true, true)], Ok(())),
    ] {
        let options = GatewayOptions {
            secure_sockets: sockets.map(|(is_secure, _)| is_secure).to_vec(),
            stream_sockets: sockets.map(|(_, is_stream)| is_stream).to_vec(),
            ..start(2)
        };
        let mut gateway = Gateway::new(now, options, Arc::clone(&definitions), Box::new(Shelf)).unwrap();
        gateway.put_device(now, &camera()).unwrap();
        gateway.restore(now, &registered).unwrap();
        assert_eq!(gateway.restore_checkpoint(now, "d1", &kept), outcome, "{sockets:?}");
    }
}

#[test]
fn a_device_in_the_clear_goes_on_where_it_was() {
    let entry = DeviceEntry { security: Security::None, ..camera() };
    let mut world = World::with_registered(start(1), &entry, config(1));
    world.run(5 * SECOND);

    assert!(restart(&mut world, 2, &[entry]).is_empty());
    world.set(0, "/3/0/9", Value::Integer(50));
    world.run(5 * SECOND);

    assert_eq!(world.readings("notify").last().unwrap(), "/3/0/9=50");
    assert_eq!(world.ask(request(1, Operation::Read, "/3/0/9")).outcome, Outcome::Answered);
    assert_eq!((world.stat("unknown_token"), registers(&world)), (0, 1));
}

#[test]
fn what_a_register_said_of_formats_and_root_is_known_after_a_restart() {
    let mut world =
        World::with_registered(start(1), &camera(), device::Config { root: "/lwm2m".into(), ..secure_config(1) });
    world.run(5 * SECOND);

    restart(&mut world, 2, &[camera()]);

    // Without its root the device would not know the path.
    assert_eq!(world.ask(request(1, Operation::Read, "/3/0/9")).outcome, Outcome::Answered);
}

#[test]
fn what_a_device_refused_to_observe_is_not_asked_again_by_the_next_start() {
    // A path that it has not; a condition on a value that is none; and one that it observes.
    let observe = [("/3303/0/5999", "pmax=60"), ("/3/0/15", "gt=5"), ("/3/0/9", "pmin=1")];
    let observe = observe.map(|(path, attributes)| (path.to_owned(), attributes.to_owned())).to_vec();
    let entry = DeviceEntry { observe, ..secure_entry(1) };
    let mut world = World::with_registered(start(1), &entry, secure_config(1));
    world.run(90 * SECOND);
    let told = world.observations_by_path();
    assert_eq!(told, ["/3/0/9 established", "/3/0/15 established", "/3303/0/5999 refused"]);
    let attributes = |world: &World, at: &str| {
        let newest = world.events_of("observation").into_iter().rfind(|event| event["path"] == at);
        newest.map(|event| event["attributes"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!([attributes(&world, "/3/0/9"), attributes(&world, "/3/0/15")].map(Option::unwrap), ["pmin=1", ""]);
    let before = world.downlinks;

    assert!(restart(&mut world, 2, std::slice::from_ref(&entry)).is_empty());
    world.put(&entry);
    world.run(5 * SECOND);
    assert_eq!(world.downlinks, before, "nothing was asked again");
    world.hosts[0].device.lose_power();
    world.power_on(0);
    world.run(5 * SECOND);

    assert_eq!(world.observations_by_path().len(), 2 * told.len(), "whoever registers anew may have changed its mind");
}

#[test]
fn a_device_that_sleeps_is_asked_within_its_window_and_not_after_it() {
    let sleeping = || device::Config { queue_mode: true, ..secure_config(1) };
    for (silence, outcome) in [(SECOND, Some(Outcome::Answered)), (30 * SECOND, None)] {
        let mut world = World::with_registered(start(1), &camera(), sleeping());
        world.run(2 * SECOND);
        world.run(silence);
        restart(&mut world, 2, &[camera()]);

        world.submit(request(1, Operation::Read, "/3/0/9"));
        world.run(2 * SECOND);
        assert_eq!(world.outcomes(1).into_iter().find(|outcome| *outcome != Outcome::Sent), outcome);
        world.update(0);
        world.run(2 * SECOND);
        assert_eq!(world.outcomes(1).last(), Some(&Outcome::Answered));
        assert_eq!(world.stat("handshakes"), 0);
    }
}

#[test]
fn a_count_that_was_set_back_and_a_stranger_s_checkpoint_are_refused() {
    let mut world = running();
    assert_eq!(restart(&mut world, 1, &[camera()])["d1"], NotTakenUp::CountSetBack);

    let mut world = running();
    let bytes = world.checkpoints.remove("d1").unwrap();
    world.checkpoints.insert("d2".to_owned(), bytes);
    let other = DeviceEntry {
        security: Security::by("c2", Proof::Psk { identity: b"id2".to_vec(), key: Zeroizing::new(KEY.to_vec()) }),
        ..entry(2)
    };
    assert_eq!(restart(&mut world, 2, &[camera(), other])["d2"], NotTakenUp::Unwanted);
}

#[test]
fn nothing_is_kept_where_nobody_counts_the_starts() {
    let mut world = World::with_registered(options(), &camera(), secure_config(1));
    world.run(2 * CHECKPOINT_EVERY);
    assert!(world.checkpoints.is_empty() && !world.gateway.has_checkpoints());
}

#[test]
fn all_that_would_be_due_some_time_is_taken_when_nothing_more_is_to_come() {
    let mut world = running();
    world.run(2 * SECOND);
    world.update(0);
    let taken = world.stat("checkpoints");

    world.gateway.seal();
    world.settle();

    assert_eq!(world.stat("checkpoints"), taken + 1);
}

#[test]
fn a_session_that_goes_on_is_forgotten_like_any_other() {
    let mut world = running();
    restart(&mut world, 2, &[camera()]);
    assert_eq!((world.stat("sessions"), world.stat("half_open")), (1, 0));
    world.hosts[0].is_reachable = false;

    world.run(SESSION_IDLE + Duration::from_secs(3_600));

    assert_eq!((world.stat("sessions"), world.stat("registrations"), world.checkpoints.len()), (0, 0, 0));
}

proptest! {
    #[test]
    fn bytes_of_nobody_stop_nothing(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
    ) {
        thread_local! {
            static KEPT: Vec<u8> = running().checkpoints["d1"].clone();
        }
        let mut world = World::with_registered(start(9), &camera(), secure_config(1));
        let mut bytes = KEPT.with(Vec::clone);
        for (place, byte) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        bytes.truncate(length.index(bytes.len()) + 1);
        world.checkpoints.insert("d1".to_owned(), bytes);

        restart(&mut world, 10, &[camera()]);

        world.run(SECOND);
    }
}
