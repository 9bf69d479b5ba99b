//! Sessions that are saved, and taken up again by another server.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use dtls::{
    ClientOptions, Keys, NoKeys, NotRestored, NotSaved, RECORDS_SKIPPED, SavedSession, Server, ServerOptions, Session,
    Suite, Trust,
};
use proptest::prelude::*;
use world::{CID, HOME, KEY, OneKey, OneKeyAndTrust, World, all_options, key, year};
use zeroize::Zeroizing;

/// With a pre-shared key and with certificates: all that can be saved.
fn worlds() -> Vec<World> {
    let suites = |has_certificates| {
        Suite::ALL.into_iter().filter(move |suite| suite.has_certificates() == has_certificates && suite.is_aead())
    };
    let by_key = all_options().into_iter().filter(|options| options.suites[0].is_aead());
    let mut worlds: Vec<World> = by_key.map(|options| World::established(&options)).collect();
    for suite in suites(true) {
        let options = ClientOptions { suites: vec![suite], ..ClientOptions::default() };
        let mut world = World::with_certificates("device", &["anchor"], &options, &ServerOptions::default());
        world.run(&mut |_| world::Fate::Deliver);
        worlds.push(world);
    }
    for world in &mut worlds {
        world.assert_talks();
    }
    worlds
}

fn save(world: &mut World) -> Result<SavedSession, NotSaved> {
    let session = &mut world.gateway.as_mut().unwrap().session;
    session.save(&mut OneKeyAndTrust { key: KEY, trust: Trust { anchors: &world.trusted, unix_s: world.unix_s } })
}

fn restore(world: &World, saved: &[u8], starts: u32) -> Result<Session, NotRestored> {
    let mut keys = OneKeyAndTrust { key: KEY, trust: Trust { anchors: &world.trusted, unix_s: world.unix_s } };
    Server::new(&ServerOptions::default()).unwrap().restore(saved, CID.0, starts, &mut keys)
}

/// The gateway dies with all that it did not save, and another takes its place.
fn restart(world: &mut World, saved: &[u8], starts: u32) {
    let session = restore(world, saved, starts).unwrap();
    world.gateway().session = session;
}

fn number(record: &[u8]) -> u64 {
    record[5..11].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn a_session_that_was_saved_goes_on_with_another_server() {
    for mut world in worlds() {
        let before = {
            let session = &world.gateway().session;
            (session.suite(), session.peer_has_cid(), session.identity().map(<[u8]>::to_vec))
        };
        let certificate = world.gateway().session.peer_certificate().cloned();
        let (_, first_hello) = world.seen[2].clone();
        let saved = save(&mut world).unwrap();

        restart(&mut world, &saved, 1);

        let session = &world.gateway().session;
        assert_eq!((session.suite(), session.peer_has_cid(), session.identity().map(<[u8]>::to_vec)), before);
        assert_eq!(session.peer_certificate(), certificate.as_ref());
        assert!(session.is_parked() && session.began_with(&first_hello));
        for _ in 0..3 {
            world.assert_talks();
        }
    }
}

#[test]
fn a_session_that_is_saved_lives_on_as_if_nothing_had_been() {
    for mut world in worlds() {
        let first = save(&mut world).unwrap();
        assert_eq!(save(&mut world).unwrap(), first, "saving changes nothing");
        assert!(world.gateway().session.is_parked());
        world.assert_talks();
        assert_ne!(save(&mut world).unwrap(), first);
    }
}

#[test]
fn no_sequence_number_comes_twice_however_old_the_checkpoint_and_however_many_the_starts() {
    for mut world in worlds() {
        let saved = save(&mut world).unwrap();
        let next = world.gateway().session.written();
        let used = [world.gateway().say(b"a"), world.gateway().say(b"b")].map(|record| number(&record));
        assert_eq!(used, [next, next + 1]);

        for starts in [1, 2, 3, 1_000] {
            restart(&mut world, &saved, starts);

            assert_eq!(number(&world.gateway().say(b"c")), next + u64::from(starts) * RECORDS_SKIPPED);
            world.assert_talks();
        }
    }
}

#[test]
fn what_came_before_the_checkpoint_is_not_heard_again() {
    for mut world in worlds() {
        let [before, late, after, next] =
            [b"before", b"late..", b"after.", b"next.."].map(|data| world.device.say(data));
        world.deliver_to_gateway(HOME, &before);
        world.deliver_to_gateway(HOME, &after);
        let saved = save(&mut world).unwrap();
        restart(&mut world, &saved, 1);
        world.gateway().heard.clear();

        for datagram in [&before, &after, &late, &late, &next, &next] {
            world.deliver_to_gateway(HOME, datagram);
        }

        assert_eq!(world.gateway().heard, [b"late..", b"next.."]);
    }
}

#[test]
fn a_session_outlives_neither_its_key_nor_its_certificate() {
    struct OtherKey;
    impl Keys for OtherKey {
        fn psk(&mut self, _identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
            Some(key(b"another key here"))
        }
    }
    let server = Server::new(&ServerOptions::default()).unwrap();
    for mut world in worlds() {
        let saved = save(&mut world).unwrap();
        if world.gateway().session.peer_certificate().is_some() {
            world.unix_s = year(2200);
            assert_eq!(restore(&world, &saved, 1).err(), Some(NotRestored::CertificateExpired));
            continue;
        }
        for keys in [&mut OtherKey as &mut dyn Keys, &mut NoKeys] {
            assert_eq!(server.restore(&saved, CID.0, 1, keys).err(), Some(NotRestored::KeyChanged));
        }
        assert_eq!(world.gateway().session.save(&mut NoKeys), Err(NotSaved::KeyGone));
    }
}

#[test]
fn what_cannot_be_saved_says_so() {
    let cbc = ClientOptions { suites: vec![Suite::PskAes128CbcSha256], ..ClientOptions::default() };
    let mut world = World::established(&cbc);
    world.assert_talks();
    assert_eq!(save(&mut world), Err(NotSaved::Suite));

    let mut world = World::established(&ClientOptions::default());
    assert_eq!(save(&mut world), Err(NotSaved::NotYet), "its last flight may be asked for again");
    world.assert_talks();
    assert!(save(&mut world).is_ok());

    world.gateway().session.close(&mut Vec::new());
    assert_eq!(save(&mut world), Err(NotSaved::NotYet));
}

#[test]
fn what_is_not_whole_of_another_version_or_of_another_id_is_refused() {
    for mut world in worlds() {
        let saved = save(&mut world).unwrap();
        for length in 0..saved.len() {
            assert!(restore(&world, &saved[..length], 1).is_err(), "{length} of {}", saved.len());
        }
        let mut other = saved.to_vec();
        other[0] += 1;
        assert_eq!(restore(&world, &other, 1).err(), Some(NotRestored::Version));

        let by_another_id = {
            let mut keys = OneKeyAndTrust { key: KEY, trust: Trust { anchors: &world.trusted, unix_s: world.unix_s } };
            let server = Server::new(&ServerOptions::default()).unwrap();
            server.restore(&saved, [9; 8], 1, &mut keys).err()
        };
        let has_cid = world.gateway().session.peer_has_cid();
        assert_eq!(by_another_id, has_cid.then_some(NotRestored::Damaged));
        assert_eq!(restore(&world, &saved, 1 << 24).err(), Some(NotRestored::NumbersUsedUp));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn bytes_that_were_tampered_with_stop_nobody(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        more in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        thread_local! {
            static SAVED: Vec<Vec<u8>> =
                worlds().iter_mut().map(|world| save(world).unwrap().to_vec()).collect();
        }
        let mut saved = SAVED.with(|saved| which.get(saved).clone());
        for (place, byte) in &changes {
            let place = place.index(saved.len());
            saved[place] = *byte;
        }
        saved.extend(more);
        let server = Server::new(&ServerOptions::default()).unwrap();

        // Some changes leave a session that nobody can speak to; it must stand being tried.
        if let Ok(mut session) = server.restore(&saved, CID.0, 1, &mut OneKey) {
            let mut out = Vec::new();
            let _ = session.send(b"request", &mut out);
            let datagram = out.pop().unwrap_or_default();
            let _ = session.handle_datagram(1, &datagram, &mut OneKey, &mut |_| {}, &mut out);
            let _ = session.save(&mut OneKey);
        }
    }
}
