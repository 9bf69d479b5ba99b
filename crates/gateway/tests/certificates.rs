//! Stories of devices with certificates, and of those whose certificate does not let them in.
#![allow(clippy::unwrap_used, clippy::panic)]

mod world;

use std::time::Duration;

use device::{Config, Credential};
use gateway::{Authority, DeviceEntry, OwnCertificate, Proof, Security};
use serde_json::Value as Json;
use world::*;

const SECOND: Duration = Duration::from_secs(1);
/// The name in the certificates of devices.
const CAMERA: &str = "urn:shoal:camera-1";

/// A certificate of `vectors/dtls/certificates.json`.
fn certificate(name: &str) -> OwnCertificate {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/dtls/certificates.json");
    let all: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let found = all.iter().find(|vector| vector["name"] == name).unwrap_or_else(|| panic!("no certificate {name:?}"));
    let chain = found["chain"].as_array().unwrap().iter().map(unhex).collect();
    OwnCertificate { chain, key: unhex(&found["key"]).into() }
}

fn unhex(text: &Json) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn authority(owner: &str, name: &str) -> Authority {
    Authority {
        owner: owner.to_owned(),
        der: certificate(name).chain[0].clone(),
        context: format!(r#""tenant":"{owner}""#),
    }
}

fn named(owner: &str) -> Security {
    Security::by("crd-named", Proof::Named { owner: owner.to_owned() })
}

/// Device 1 of farm `a`, which proves itself by a certificate.
fn camera() -> DeviceEntry {
    DeviceEntry { endpoint: CAMERA.to_owned(), security: named("a"), ..entry(1) }
}

/// A gateway that trusts these, and a device that shows this certificate and calls itself by that name.
fn attempt(entry: &DeviceEntry, trusted: &[Authority], shown: &str, endpoint: &str) -> World {
    attempt_over(false, entry, trusted, shown, endpoint)
}

/// The same over datagrams, or a connection.
fn attempt_over(over_tcp: bool, entry: &DeviceEntry, trusted: &[Authority], shown: &str, endpoint: &str) -> World {
    let mut world = World::new(options());
    world.put(entry);
    world.gateway.set_certificate(Some(&certificate("server"))).unwrap();
    let now = world.now();
    assert!(world.gateway.put_authorities(now, trusted).is_empty());
    let credential = Credential::X509 {
        own: certificate(shown),
        authorities: vec![certificate("anchor of servers").chain[0].clone()],
        server_name: Some("lwm2m.example".to_owned()),
    };
    world.add(Config { credential: Some(credential), endpoint: endpoint.to_owned(), over_tcp, ..config(1) });
    world.hosts[0].device.set_wall_clock(now.monotonic, now.unix_ms as f64 / 1_000.0);
    world.power_on(0);
    world.run(3 * SECOND);
    world
}

fn reasons(world: &World) -> Vec<&str> {
    let mut reasons: Vec<&str> =
        world.events_of("security").iter().map(|event| event["reason"].as_str().unwrap()).collect();
    reasons.dedup();
    reasons
}

#[test]
fn a_device_registers_by_its_certificate_and_is_asked_like_any_other() {
    let mut world = attempt(&camera(), &[authority("a", "anchor")], "device", CAMERA);

    assert!(world.hosts[0].device.is_registered(), "{:?}", world.hosts[0].events);
    assert_eq!((world.stat("registrations"), world.stat("sessions")), (1, 1));
    let registered = &world.events_of("registered")[0];
    assert_eq!(registered["device"], "d1");
    assert!(reasons(&world).is_empty());
    let answer = world.ask(request(1, gateway::Operation::Read, "/3/0/9"));
    assert_eq!(answer.outcome, gateway::Outcome::Answered);
}

#[test]
fn certificates_let_in_and_keep_out_over_a_connection_as_over_datagrams() {
    let mut world = attempt_over(true, &camera(), &[authority("a", "anchor")], "device", CAMERA);
    assert!(world.hosts[0].device.is_registered(), "{:?}", world.hosts[0].events);
    assert_eq!((world.stat("registrations"), world.stat("connections"), world.stat("sessions")), (1, 1, 0));
    assert_eq!(world.events_of("registered")[0]["secure"], true);
    assert!(reasons(&world).is_empty());
    let answer = world.ask(request(1, gateway::Operation::Read, "/3/0/9"));
    assert_eq!(answer.outcome, gateway::Outcome::Answered);
    // Whoever vouched for it does so no longer.
    let now = world.now();
    assert!(world.gateway.put_authorities(now, &[authority("b", "anchor")]).is_empty());
    world.settle();
    assert_eq!(world.stat("connections"), 0);

    for (trusted, shown, reason) in [
        (authority("a", "anchor of another farm with the same name"), "device", "certificate_signature"),
        (authority("a", "anchor on P-384"), "device", "unknown_authority"),
        (authority("a", "anchor"), "device for servers", "certificate_usage"),
        (authority("b", "anchor"), "device", "unknown_certificate"),
    ] {
        let world = attempt_over(true, &camera(), &[trusted], shown, CAMERA);
        assert_eq!(reasons(&world), [reason]);
        assert_eq!((world.stat("registrations"), world.stat("connections")), (0, 0), "{reason}");
        assert!(world.events_of("registered").is_empty());
    }
}

#[test]
fn a_device_with_another_name_needs_another_certificate() {
    let mut world = attempt(&camera(), &[authority("a", "anchor")], "device", CAMERA);
    assert_eq!(world.stat("sessions"), 1);

    world.put(&DeviceEntry { endpoint: "urn:shoal:camera-2".to_owned(), ..camera() });

    assert_eq!(world.stat("sessions"), 0);
}

#[test]
fn two_farms_may_know_one_name_each_by_an_authority_of_its_own() {
    let both = [authority("a", "anchor"), authority("b", "anchor of another farm with the same name")];
    for (shown, device) in [("device", "d1"), ("device of another farm", "d2")] {
        let mut world = World::new(options());
        world.put(&camera());
        world.put(&DeviceEntry { device: "d2".to_owned(), security: named("b"), ..camera() });
        world.gateway.set_certificate(Some(&certificate("server"))).unwrap();
        let now = world.now();
        assert!(world.gateway.put_authorities(now, &both).is_empty());
        let credential = Credential::X509 {
            own: certificate(shown),
            authorities: vec![certificate("anchor of servers").chain[0].clone()],
            server_name: None,
        };
        world.add(Config { credential: Some(credential), endpoint: CAMERA.to_owned(), ..config(1) });
        world.hosts[0].device.set_wall_clock(now.monotonic, now.unix_ms as f64 / 1_000.0);
        world.power_on(0);
        world.run(SECOND);

        assert_eq!(world.events_of("registered")[0]["device"], device, "{shown}");
    }
}

#[test]
fn a_certificate_of_a_farm_proves_nothing_to_another() {
    // The authority is trusted, but not for the devices of farm a.
    let world = attempt(&camera(), &[authority("b", "anchor")], "device", CAMERA);

    assert_eq!((world.stat("registrations"), world.stat("sessions")), (0, 0));
    assert_eq!(reasons(&world), ["unknown_certificate"]);
    let told = &world.events_of("security")[0];
    assert_eq!(told["identity"], CAMERA);
    // Farm b hears of it, and may take it in.
    assert_eq!(told["tenant"], "b");
    assert!(told["certificate"]["fingerprint"].is_string(), "{told}");
}

#[test]
fn each_refusal_is_told_with_its_reason_and_the_name_that_was_shown() {
    for (shown, reason) in [
        ("device of nobody we know", "unknown_authority"),
        ("device of another farm", "certificate_signature"),
        ("device for servers", "certificate_usage"),
        ("device of the changed anchor", "certificate_not_yet_valid"),
        ("device below 4 intermediates", "certificate_chain_too_long"),
    ] {
        let trusted = match shown {
            "device of the changed anchor" => [authority("a", "anchor, changed")],
            _ => [authority("a", "anchor")],
        };
        let world = attempt(&camera(), &trusted, shown, CAMERA);

        assert_eq!((world.stat("registrations"), world.stat("sessions")), (0, 0), "{shown}");
        assert_eq!(reasons(&world), [reason]);
        assert_eq!(world.events_of("security")[0]["identity"], CAMERA, "{shown}");
        assert!(world.stat("handshakes_failed") > 0);
    }
}

#[test]
fn a_device_may_not_register_under_another_name_than_its_certificates() {
    let world = attempt(&camera(), &[authority("a", "anchor")], "device", "urn:shoal:camera-2");

    assert_eq!(world.stat("registrations"), 0);
    assert_eq!(reasons(&world), ["endpoint_mismatch"]);
}

#[test]
fn a_name_that_is_proved_by_certificates_is_closed_to_those_without() {
    let mut world = World::new(options());
    world.put(&camera());
    world.add(Config { endpoint: CAMERA.to_owned(), ..config(1) });
    world.power_on(0);
    world.run(3 * SECOND);

    assert_eq!(reasons(&world), ["insecure"]);
}

#[test]
fn an_authority_that_goes_takes_its_sessions_along_and_one_that_stays_does_not() {
    let mut world = attempt(&camera(), &[authority("a", "anchor")], "device", CAMERA);
    let now = world.now();

    world.gateway.put_authorities(now, &[authority("a", "anchor, changed"), authority("a", "anchor")]);
    world.run(SECOND);
    assert_eq!(world.stat("sessions"), 1);
    world.gateway.put_authorities(now, &[authority("a", "anchor, changed")]);

    world.run(10 * SECOND);
    assert_eq!(world.stat("sessions"), 0);
    // It tries to come back: somebody has the name of its issuer, and another key.
    assert_eq!(reasons(&world), ["certificate_signature"]);
}

#[test]
fn an_authority_that_is_none_is_refused_by_its_place() {
    let mut world = World::new(options());
    let now = world.now();
    let given = [
        authority("a", "anchor"),
        Authority { owner: "a".to_owned(), der: b"none".to_vec(), context: String::new() },
        authority("a", "device"),
    ];

    let refused = world.gateway.put_authorities(now, &given);

    assert_eq!(refused.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2]);
}

/// What the event of a registration tells of the certificate, and the digest that it is pinned by.
fn seen() -> (gateway::Digest, Json) {
    let world = attempt(&camera(), &[authority("a", "anchor")], "device", CAMERA);
    let told = world.events_of("registered")[0]["certificate"].clone();
    let fingerprint: Vec<u8> = unhex(&told["fingerprint"]);
    (fingerprint.try_into().unwrap(), told)
}

#[test]
fn a_registration_tells_which_certificate_let_it_in_and_until_when() {
    let (_, told) = seen();

    assert!(told["not_before"].as_i64().unwrap() < told["not_after"].as_i64().unwrap(), "{told}");
    assert!(!told["serial"].as_str().unwrap().is_empty());
}

#[test]
fn a_pinned_certificate_lets_in_whatever_its_name_is_and_no_other_certificate_does() {
    let (fingerprint, _) = seen();
    let pinned = |owner: &str, fingerprint| {
        let security = Security::by("crd-pin", Proof::Pinned { owner: owner.to_owned(), fingerprint });
        DeviceEntry { endpoint: "urn:dev:1".to_owned(), security, ..camera() }
    };

    let good = attempt(&pinned("a", fingerprint), &[authority("a", "anchor")], "device", "urn:dev:1");
    assert_eq!(good.events_of("registered")[0]["credential"], "crd-pin");
    let other = attempt(&pinned("a", fingerprint), &[authority("a", "anchor")], "device until 2045", "urn:dev:1");
    assert_eq!((other.stat("sessions"), reasons(&other)), (0, vec!["unknown_certificate"]));
    // Whoever pins a certificate of somebody else's devices has no authority that issued it.
    let theirs = attempt(&pinned("b", fingerprint), &[authority("a", "anchor")], "device", "urn:dev:1");
    assert_eq!((theirs.stat("sessions"), reasons(&theirs)), (0, vec!["unknown_certificate"]));
}

#[test]
fn one_authority_of_two_owners_lets_in_only_what_can_be_of_one_of_them() {
    // The second has the very key of the first: which certificate the chain ends at would be chance.
    for second in ["anchor", "anchor, renewed with the same key"] {
        for order in [["a", "b"], ["b", "a"]] {
            let names = if order[0] == "a" { ["anchor", second] } else { [second, "anchor"] };
            let trusted = [authority(order[0], names[0]), authority(order[1], names[1])];
            let alone = attempt(&camera(), &trusted, "device", CAMERA);
            assert_eq!(alone.events_of("registered")[0]["device"], "d1", "{second} {order:?}");

            let mut world = World::new(options());
            world.put(&camera());
            world.put(&DeviceEntry { device: "d2".to_owned(), security: named("b"), ..camera() });
            world.gateway.set_certificate(Some(&certificate("server"))).unwrap();
            let now = world.now();
            assert!(world.gateway.put_authorities(now, &trusted).is_empty());
            let credential = Credential::X509 {
                own: certificate("device"),
                authorities: vec![certificate("anchor of servers").chain[0].clone()],
                server_name: None,
            };
            world.add(Config { credential: Some(credential), endpoint: CAMERA.to_owned(), ..config(1) });
            world.hosts[0].device.set_wall_clock(now.monotonic, now.unix_ms as f64 / 1_000.0);
            world.power_on(0);
            world.run(3 * SECOND);

            assert_eq!((world.stat("registrations"), reasons(&world)), (0, vec!["unknown_certificate"]));
        }
    }
}

#[test]
fn what_one_owner_puts_under_a_name_takes_no_place_of_another() {
    let mut world = World::new(options());
    let now = world.now();
    // Four certificates of one name: they differ, and this is what an owner may have of it.
    let same_name = [
        authority("b", "anchor"),
        authority("b", "anchor, renewed with the same key"),
        authority("b", "anchor, changed"),
        authority("b", "anchor of another farm with the same name"),
    ];
    let twice = [&same_name[..], &same_name[..], &[authority("a", "anchor, changed")]].concat();

    assert_eq!(world.gateway.put_authorities(now, &twice), []);
}

#[test]
fn a_certificate_that_was_taken_back_ends_its_session_and_lets_nobody_in_any_more() {
    let mut world = attempt(&camera(), &[authority("a", "anchor")], "device", CAMERA);
    assert!(world.hosts[0].device.is_registered());
    let now = world.now();

    world.gateway.put_revoked(now, [[1; 32]]);
    world.run(SECOND);
    assert_eq!(world.stat("sessions"), 1, "another's was taken back");

    let (fingerprint, _) = seen();
    world.gateway.put_revoked(now, [fingerprint]);
    world.run(60 * SECOND);

    assert_eq!(world.stat("sessions"), 0);
    assert_eq!(reasons(&world), ["certificate_revoked"]);
    let now = world.now();
    world.gateway.put_authorities(now, &[authority("a", "anchor")]);
    world.run(60 * SECOND);
    assert_eq!(world.stat("sessions"), 0, "whom we trust anew is another matter");

    let now = world.now();
    world.gateway.put_revoked(now, []);
    world.run(300 * SECOND);
    assert!(world.hosts[0].device.is_registered());
}
