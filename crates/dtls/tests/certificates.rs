//! Mutual certificates, both ends ours: who gets in, who does not, and what each is told.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use dtls::{
    AlternativeName, CertificateRefused, Client, ClientOptions, OwnCertificate, Server, ServerOptions, SessionError,
    SetupError, Suite, TrustAnchors,
};
use world::{Dice, Fate, HOME, World, anchors, certificate, year};

/// Alert descriptions (RFC 5246 §7.2.2).
const HANDSHAKE_FAILURE: u8 = 40;
const BAD_CERTIFICATE: u8 = 42;
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const CERTIFICATE_EXPIRED: u8 = 45;
const CERTIFICATE_UNKNOWN: u8 = 46;
const UNKNOWN_CA: u8 = 48;
const DECRYPT_ERROR: u8 = 51;

const DEVICE: &str = "urn:shoal:camera-1";

fn suites() -> impl Iterator<Item = Suite> {
    Suite::ALL.into_iter().filter(|suite| suite.has_certificates())
}

/// A handshake of this device with a gateway that trusts these, at the beginning of that year.
fn met(device: &str, trusted: &[&str], at: i64) -> World {
    let mut world = World::with_certificates(device, trusted, &ClientOptions::default(), &ServerOptions::default());
    world.unix_s = year(at);
    world.run(&mut |_| Fate::Deliver);
    world
}

fn assert_refused(world: &mut World, reason: CertificateRefused, alert: u8) {
    match world.gateway().failed.clone() {
        Some(SessionError::CertificateRefused { reason: given, .. }) => assert_eq!(given, reason),
        other => panic!("{reason:?} expected, not {other:?}"),
    }
    assert_eq!(world.device.failed, Some(SessionError::Alert { description: alert }), "{reason:?}");
    assert!(!world.gateway().session.is_established() && world.gateway().heard.is_empty());
}

#[test]
fn every_suite_with_certificates_reaches_an_established_session() {
    for suite in suites() {
        for cid in [None, Some(Vec::new()), Some(b"device".to_vec())] {
            let options = ClientOptions { suites: vec![suite], cid: cid.clone(), ..ClientOptions::default() };
            let mut world = World::with_certificates("device", &["anchor"], &options, &ServerOptions::default());
            world.run(&mut |_| Fate::Deliver);

            world.assert_talks();
            assert_eq!(world.now_ms, 1_000_000, "nobody waited for anything");
            assert_eq!((world.device.session.suite(), world.gateway().session.suite()), (Some(suite), Some(suite)));
            assert_eq!(world.gateway().session.identity(), None);
            assert_eq!(world.gateway().session.peer_has_cid(), cid.is_some());
            assert!(world.gateway().session.is_parked());
        }
    }
}

#[test]
fn the_gateway_learns_who_the_device_is_and_the_device_who_the_gateway_is() {
    let mut world = met("device", &["anchor on P-384", "anchor", "anchor of another farm with the same name"], 2031);

    let anchor = TrustAnchors::new().put(&certificate("anchor").chain[0]).unwrap().fingerprint;
    let seen = world.gateway().session.peer_certificate().expect("a certificate");
    assert_eq!(seen.common_name.as_deref(), Some(DEVICE));
    let names = [AlternativeName::Uri(DEVICE.to_owned()), AlternativeName::Dns("camera-1.example".to_owned())];
    assert_eq!(seen.names, names);
    assert!(seen.is_named(DEVICE) && seen.is_named("camera-1.example") && !seen.is_named("camera-1"));
    assert_eq!(seen.anchor, anchor);
    assert_ne!(seen.issuer, seen.subject);
    // Midnight, UTC: 2025-01-01 and 2035-01-01.
    assert_eq!((seen.not_before_s, seen.not_after_s), (1_735_689_600, 2_051_222_400));
    assert!((1..=20).contains(&seen.serial.len()));
    let server = world.device.session.peer_certificate().expect("a certificate");
    assert_eq!(server.common_name.as_deref(), Some("lwm2m.example"));
}

#[test]
fn p_384_is_taken_from_devices_and_shown_by_servers() {
    for (device, anchor) in [("device", "anchor"), ("device on P-384", "anchor on P-384")] {
        let client =
            Client::with_certificate(&certificate(device), Some("lwm2m.example"), &ClientOptions::default()).unwrap();
        let mut server = Server::new(&ServerOptions::default()).unwrap();
        server.set_certificate(Some(&certificate("server on P-384"))).unwrap();
        let mut world = World::of(&client, server, anchors(&[anchor]));
        world.run(&mut |_| Fate::Deliver);
        world.assert_talks();
    }
}

#[test]
fn the_anchor_that_vouched_is_told_so_that_two_farms_may_choose_one_name() {
    let both = ["anchor", "anchor of another farm with the same name"];
    let digest = |name: &str| TrustAnchors::new().put(&certificate(name).chain[0]).unwrap().fingerprint;
    for (device, anchor) in [("device", both[0]), ("device of another farm", both[1])] {
        let mut world = met(device, &both, 2031);
        world.assert_talks();
        assert_eq!(world.gateway().session.peer_certificate().map(|seen| seen.anchor), Some(digest(anchor)));
    }
}

#[test]
fn an_authority_may_change_its_certificate_while_both_are_in_use() {
    let both = ["anchor", "anchor, changed"];
    for device in ["device", "device of the changed anchor"] {
        met(device, &both, 2031).assert_talks();
    }
    // The same key in a new certificate: the old one is out of date, the devices it issued are not.
    let renewed = ["anchor", "anchor, renewed with the same key"];
    met("device until 2045", &renewed, 2040).assert_talks();
    met("device until 2045", &["anchor, renewed with the same key", "anchor"], 2027).assert_talks();
    assert_refused(&mut met("device until 2045", &["anchor"], 2040), CertificateRefused::Expired, CERTIFICATE_EXPIRED);
}

#[test]
fn each_flaw_is_told_to_the_device_and_to_the_operator() {
    use CertificateRefused as Refused;
    let cases = [
        ("device of nobody we know", "anchor", 2031, Refused::UnknownAuthority, UNKNOWN_CA),
        ("device below somebody who may not issue", "anchor", 2031, Refused::BadSignature, BAD_CERTIFICATE),
        ("device of another farm", "anchor", 2031, Refused::BadSignature, BAD_CERTIFICATE),
        ("device", "anchor", 2036, Refused::Expired, CERTIFICATE_EXPIRED),
        ("device", "anchor", 2024, Refused::NotYetValid, CERTIFICATE_EXPIRED),
        ("device for servers", "anchor", 2031, Refused::WrongUsage, UNSUPPORTED_CERTIFICATE),
        ("device that may not sign", "anchor", 2031, Refused::WrongUsage, UNSUPPORTED_CERTIFICATE),
        ("device below 4 intermediates", "anchor", 2031, Refused::ChainTooLong, CERTIFICATE_UNKNOWN),
    ];
    for (device, trusted, at, reason, alert) in cases {
        let mut world = met(device, &[trusted], at);
        assert_refused(&mut world, reason, alert);
        let Some(SessionError::CertificateRefused { certificate: Some(seen), .. }) = &world.gateway().failed else {
            panic!("{device}: nobody is named");
        };
        assert_eq!(seen.common_name.as_deref(), Some(DEVICE), "{device}");
    }
    for device in ["device", "device without usages", "device below 3 intermediates"] {
        met(device, &["anchor"], 2031).assert_talks();
    }
}

#[test]
fn a_gateway_that_trusts_nobody_takes_nobody() {
    assert_refused(&mut met("device", &[], 2031), CertificateRefused::UnknownAuthority, UNKNOWN_CA);
}

#[test]
fn an_authority_that_is_no_longer_trusted_vouches_for_nobody() {
    let mut trusted = anchors(&["anchor", "anchor on P-384"]);
    let digest = trusted.put(&certificate("anchor").chain[0]).unwrap().fingerprint;
    assert_eq!(trusted.len(), 2, "it was there already");
    assert!(trusted.remove(&digest) && !trusted.remove(&digest));

    let mut world = World::with_certificates("device", &[], &ClientOptions::default(), &ServerOptions::default());
    world.trusted = trusted;
    world.run(&mut |_| Fate::Deliver);

    assert_refused(&mut world, CertificateRefused::UnknownAuthority, UNKNOWN_CA);
}

#[test]
fn a_copied_certificate_is_worth_nothing_without_its_key() {
    const CERTIFICATE_VERIFY: u8 = 15;
    let mut world = met_until_flight();
    let flight: Vec<Vec<u8>> = world.seen.iter().skip(4).filter(|(up, _)| *up).map(|(_, sent)| sent.clone()).collect();
    let mut is_spoiled = false;
    for mut datagram in flight {
        // Each record by itself: header of 13 bytes, then the message.
        let mut at = 0;
        while at + 13 < datagram.len() {
            let length = usize::from(u16::from_be_bytes([datagram[at + 11], datagram[at + 12]]));
            if datagram[at] == 22 && datagram[at + 13] == CERTIFICATE_VERIFY {
                datagram[at + 13 + length - 1] ^= 1;
                is_spoiled = true;
            }
            at += 13 + length;
        }
        world.deliver_to_gateway(HOME, &datagram);
    }

    assert!(is_spoiled);
    let Some(SessionError::CertificateRefused { reason, .. }) = world.gateway().failed.clone() else {
        panic!("{:?}", world.gateway().failed);
    };
    assert_eq!(reason, CertificateRefused::NotOwned);
    let (_, alert) = world.seen.last().unwrap();
    assert_eq!(alert[13..], [2, DECRYPT_ERROR]);
}

/// A world in which the device has sent its certificate, and none of it has come.
fn met_until_flight() -> World {
    let mut world =
        World::with_certificates("device", &["anchor"], &ClientOptions::default(), &ServerOptions::default());
    for _ in 0..4 {
        let datagrams: Vec<(bool, Vec<u8>)> = world
            .toward_gateway
            .drain(..)
            .map(|sent| (true, sent))
            .chain(world.toward_device.drain(..).map(|sent| (false, sent)))
            .collect();
        for (up, datagram) in datagrams {
            if up { world.deliver_to_gateway(HOME, &datagram) } else { world.deliver_to_device(&datagram) }
        }
    }
    world
}

#[test]
fn a_device_refuses_a_server_that_is_not_the_one_it_wants() {
    let cases = [
        ("server with another name", 2031, CertificateRefused::WrongName, BAD_CERTIFICATE),
        ("server of nobody we know", 2031, CertificateRefused::UnknownAuthority, UNKNOWN_CA),
        ("server", 2061, CertificateRefused::Expired, CERTIFICATE_EXPIRED),
    ];
    for (shown, at, reason, alert) in cases {
        let mut world =
            World::with_certificates("device", &["anchor"], &ClientOptions::default(), &ServerOptions::default());
        world.server.set_certificate(Some(&certificate(shown))).unwrap();
        world.unix_s = year(at);
        world.run(&mut |_| Fate::Deliver);

        match world.device.failed.clone() {
            Some(SessionError::CertificateRefused { reason: given, .. }) => assert_eq!(given, reason, "{shown}"),
            other => panic!("{shown}: {other:?}"),
        }
        assert_eq!(world.gateway().failed, Some(SessionError::Alert { description: alert }), "{shown}");
    }
}

#[test]
fn a_device_may_ask_for_a_server_by_its_address_or_for_any() {
    for (name, is_right) in [(Some("127.0.0.1"), true), (Some("127.0.0.2"), false), (None, true)] {
        let client = Client::with_certificate(&certificate("device"), name, &ClientOptions::default()).unwrap();
        let mut server = Server::new(&ServerOptions::default()).unwrap();
        server.set_certificate(Some(&certificate("server"))).unwrap();
        let mut world = World::of(&client, server, anchors(&["anchor"]));
        world.run(&mut |_| Fate::Deliver);
        assert_eq!(world.is_established(), is_right, "{name:?}: {:?}", world.failures());
    }
}

#[test]
fn a_gateway_without_a_certificate_shares_no_suite_and_takes_keys_all_the_same() {
    let mut world =
        World::with_certificates("device", &["anchor"], &ClientOptions::default(), &ServerOptions::default());
    world.server.set_certificate(None).unwrap();
    world.run(&mut |_| Fate::Deliver);
    assert_eq!(world.gateway().failed, Some(SessionError::NoSharedSuite));
    assert_eq!(world.device.failed, Some(SessionError::Alert { description: HANDSHAKE_FAILURE }));

    let mut world = World::new(&ClientOptions::default());
    world.server.set_certificate(Some(&certificate("server"))).unwrap();
    world.run(&mut |_| Fate::Deliver);
    world.assert_talks();
    assert!(world.gateway().session.peer_certificate().is_none());
}

#[test]
fn a_new_certificate_of_the_gateway_leaves_sessions_as_they_are() {
    let mut world = met("device", &["anchor"], 2031);
    world.server.set_certificate(Some(&certificate("server on P-384"))).unwrap();
    world.assert_talks();
}

#[test]
fn every_lost_or_doubled_datagram_is_made_good() {
    let small = ServerOptions { mtu: 256, ..ServerOptions::default() };
    let options = ClientOptions { mtu: 256, suites: vec![Suite::EcdheEcdsaAes128Ccm8], ..ClientOptions::default() };
    let mut straight = World::with_certificates("device", &["anchor"], &options, &small);
    straight.run(&mut |_| Fate::Deliver);
    straight.assert_talks();
    let datagrams = straight.seen.len();
    assert!(straight.seen.iter().all(|(_, datagram)| datagram.len() <= 256));
    assert!(datagrams > 8, "certificates come in pieces: {datagrams}");
    for fate in [Fate::Lose, Fate::Twice, Fate::Late] {
        for number in 0..datagrams {
            let mut world = World::with_certificates("device", &["anchor"], &options, &small);
            world.run(&mut |at| if at == number { fate } else { Fate::Deliver });
            world.assert_talks();
        }
    }
}

#[test]
fn a_handshake_in_small_pieces_survives_a_bad_network() {
    let options = ClientOptions { mtu: 256, ..ClientOptions::default() };
    let server = ServerOptions { mtu: 256, ..ServerOptions::default() };
    let mut established = 0;
    for seed in 1..=40 {
        let mut dice = Dice(seed);
        let mut world = World::with_certificates("device", &["anchor"], &options, &server);

        world.run(&mut |_| match dice.below(10) {
            0 | 1 => Fate::Lose,
            2 => Fate::Twice,
            3 | 4 => Fate::Late,
            _ => Fate::Deliver,
        });

        if world.is_established() {
            established += 1;
            world.assert_talks();
        } else {
            let failures = world.failures();
            assert!(failures.iter().all(|error| *error == SessionError::HandshakeTimedOut), "{seed}: {failures:?}");
        }
    }
    assert!(established >= 36, "only {established} of 40");
}

#[test]
fn what_is_no_certificate_of_an_authority_is_not_trusted() {
    let put = |der: &[u8]| TrustAnchors::new().put(der).err();
    let problem = |problem| Some(SetupError::Certificate { problem });
    assert_eq!(put(&certificate("anchor").chain[0]), None);
    assert_eq!(put(&certificate("anchor that may not issue").chain[0]), problem("it may not issue others"));
    assert_eq!(put(&certificate("anchor on P-521").chain[0]), problem("its key is not on P-256 or P-384"));
    assert_eq!(put(b"no certificate"), problem("it cannot be read"));
    assert_eq!(put(&[]), problem("it cannot be read"));
    let whole = certificate("anchor").chain[0].clone();
    for length in 0..whole.len() {
        assert!(put(&whole[..length]).is_some(), "{length} bytes of it");
    }
}

#[test]
fn a_certificate_of_ours_must_be_whole_and_have_its_own_key() {
    let mut server = Server::new(&ServerOptions::default()).unwrap();
    let good = certificate("server");
    let other_key = OwnCertificate { key: certificate("device").key, ..good.clone() };
    let no_key = OwnCertificate { key: world::key(b"none"), ..good.clone() };
    let no_chain = OwnCertificate { chain: Vec::new(), ..good.clone() };
    let broken = OwnCertificate { chain: vec![good.chain[0][1..].to_vec()], ..good.clone() };
    for (what, wrong) in [
        ("another's key", other_key),
        ("no key", no_key),
        ("no chain", no_chain),
        ("a broken chain", broken),
        ("P-521", certificate("device on P-521")),
    ] {
        let error = server.set_certificate(Some(&wrong)).expect_err(what);
        assert!(matches!(error, SetupError::Certificate { .. }), "{what}: {error:?}");
    }
    server.set_certificate(Some(&good)).unwrap();
    let options = ClientOptions::default();
    let name = |name| Client::with_certificate(&good, Some(name), &options).err();
    assert_eq!(name("a\0b"), Some(SetupError::Option { name: "server_name" }));
    assert_eq!(name(""), Some(SetupError::Option { name: "server_name" }));
    assert_eq!(name("a"), None);
}

#[test]
fn a_spoiled_flight_lets_nobody_else_in() {
    let genuine = met("device", &["anchor"], 2031).gateway().session.peer_certificate().cloned();
    let mut refused = 0;
    for seed in 1..=300 {
        let mut dice = Dice(seed);
        let mut world = met_until_flight();
        let flight: Vec<Vec<u8>> =
            world.seen.iter().skip(4).filter(|(up, _)| *up).map(|(_, sent)| sent.clone()).collect();
        let spoiled = dice.below(flight.len() as u64) as usize;
        for (number, mut datagram) in flight.into_iter().enumerate() {
            if number == spoiled {
                let at = dice.below(datagram.len() as u64) as usize;
                datagram[at] ^= 1 << dice.below(8);
            }
            world.deliver_to_gateway(HOME, &datagram);
            if world.gateway().failed.is_some() {
                break;
            }
        }
        refused += usize::from(world.gateway().failed.is_some());
        // Headers of records in the clear are nobody's secret: those may be changed on the way.
        if world.gateway().session.is_established() {
            assert_eq!(world.gateway().session.peer_certificate(), genuine.as_ref(), "seed {seed}");
        }
    }
    assert!(refused > 200, "only {refused} of 300");
}

#[test]
fn a_spoiled_certificate_of_an_authority_is_refused_or_is_another() {
    let whole = certificate("anchor").chain[0].clone();
    let fingerprint = TrustAnchors::new().put(&whole).unwrap().fingerprint;
    for bit in 0..whole.len() * 8 {
        let mut spoiled = whole.clone();
        spoiled[bit / 8] ^= 1 << (bit % 8);
        let mut anchors = TrustAnchors::new();
        assert_ne!(anchors.put(&spoiled).ok().map(|anchor| anchor.fingerprint), Some(fingerprint), "bit {bit}");
    }
}
