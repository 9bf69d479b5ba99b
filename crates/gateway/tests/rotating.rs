//! Stories of devices with several credentials: a new one beside the old one, and the end of one of them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use device::Config;
use gateway::{Credential, DeviceEntry, EntryError, Proof, Security};
use world::*;
use zeroize::Zeroizing;

const SECOND: Duration = Duration::from_secs(1);
const NEW_KEY: &[u8] = b"another 16 bytes";

fn psk(id: &str, identity: &str, key: &[u8]) -> Arc<Credential> {
    let proof = Proof::Psk { identity: identity.as_bytes().to_vec(), key: Zeroizing::new(key.to_vec()) };
    Arc::new(Credential { id: id.to_owned(), proof })
}

fn old() -> Arc<Credential> {
    psk("crd-old", "id1", KEY)
}

fn new() -> Arc<Credential> {
    psk("crd-new", "id1-new", NEW_KEY)
}

fn with(credentials: &[Arc<Credential>]) -> DeviceEntry {
    DeviceEntry { security: Security::Proven(credentials.to_vec()), ..entry(1) }
}

/// A device that goes by the old or by the new key.
fn host(world: &mut World, identity: &str, key: &[u8]) -> usize {
    let credential =
        device::Credential::Psk { identity: identity.as_bytes().to_vec(), key: Zeroizing::new(key.to_vec()) };
    world.add(Config { credential: Some(credential), ..config(1) });
    world.power_on(world.hosts.len() - 1);
    world.run(2 * SECOND);
    world.hosts.len() - 1
}

fn credentials(world: &World) -> Vec<String> {
    world.events_of("registered").iter().map(|event| event["credential"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_device_is_let_in_by_either_of_its_credentials_and_the_event_tells_which() {
    let mut world = World::new(options());
    world.put(&with(&[old(), new()]));

    host(&mut world, "id1", KEY);
    host(&mut world, "id1-new", NEW_KEY);

    assert_eq!(credentials(&world), ["crd-old", "crd-new"]);
    assert_eq!((world.stat("devices"), world.stat("registrations"), world.stat("sessions")), (1, 1, 1));
}

#[test]
fn a_second_credential_disturbs_nobody_and_the_end_of_one_ends_its_session_alone() {
    for (kept, sessions) in [(old(), 1), (new(), 0)] {
        let mut world = World::new(options());
        world.put(&with(&[old()]));
        host(&mut world, "id1", KEY);

        world.put(&with(&[old(), new()]));
        assert_eq!(world.stat("sessions"), 1);
        world.put(&with(&[kept]));

        assert_eq!(world.stat("sessions"), sessions);
    }
}

#[test]
fn who_has_no_credential_left_is_nobody_and_its_name_stays_closed() {
    let mut world = World::new(options());
    world.put(&with(&[old()]));
    host(&mut world, "id1", KEY);

    world.put(&with(&[]));
    world.add(config(1));
    world.power_on(1);
    world.run(2 * SECOND);

    assert_eq!(world.stat("sessions"), 0);
    assert_eq!(world.events_of("registered").len(), 1);
}

#[test]
fn a_key_that_is_replaced_under_one_identity_ends_the_session_of_the_old_one() {
    let mut world = World::new(options());
    world.put(&with(&[old()]));
    host(&mut world, "id1", KEY);

    world.put(&with(&[psk("crd-new", "id1", NEW_KEY)]));

    assert_eq!(world.stat("sessions"), 0);
}

#[test]
fn credentials_that_nothing_tells_apart_are_refused_and_nothing_changes() {
    let mut world = World::new(options());
    world.put(&with(&[old()]));
    let now = world.now();
    let mut put = |credentials: &[Arc<Credential>]| world.gateway.put_device(now, &with(credentials)).unwrap_err();
    let twice = |credential: &str| EntryError::CredentialTwice { credential: credential.to_owned() };

    assert_eq!(put(&[old(), psk("crd-new", "id1", NEW_KEY)]), twice("crd-new"));
    assert_eq!(put(&[old(), psk("crd-old", "id2", NEW_KEY)]), twice("crd-old"));
    let five: Vec<_> = (0..5).map(|n| psk(&format!("crd-{n}"), &format!("id{n}"), KEY)).collect();
    assert_eq!(put(&five), EntryError::TooManyCredentials { credentials_max: 4 });
    let other = DeviceEntry { device: "d2".to_owned(), ..with(&[new(), old()]) };
    let taken = EntryError::CredentialTaken { device: "d1".to_owned() };
    assert_eq!(world.gateway.put_device(now, &other).unwrap_err(), taken);

    host(&mut world, "id1", KEY);
    assert_eq!(credentials(&world), ["crd-old"]);
}
