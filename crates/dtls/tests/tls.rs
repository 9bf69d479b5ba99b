//! TLS over a stream, both ends ours: who gets in, who does not, and what bytes can do.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use dtls::{
    CertificateRefused, NoKeys, Progress, SessionError, Suite, Tls, TlsClient, TlsClientOptions, TlsServer,
    TlsServerOptions, TlsVersion, Trust, TrustAnchors,
};
use proptest::prelude::*;
use world::{IDENTITY, KEY, OneKeyAndTrust, anchors, certificate, key, year};

/// Alert descriptions (RFC 8446 §6).
const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const BAD_CERTIFICATE: u8 = 42;
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const CERTIFICATE_EXPIRED: u8 = 45;
const CERTIFICATE_UNKNOWN: u8 = 46;
const UNKNOWN_CA: u8 = 48;
const DECRYPT_ERROR: u8 = 51;
const PROTOCOL_VERSION: u8 = 70;
const UNKNOWN_PSK_IDENTITY: u8 = 115;

const START_MS: u64 = 1_000_000;
const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

/// One end of a connection, what it heard, and how it ended.
struct End {
    tls: Tls,
    heard: Vec<u8>,
    ended: Option<Result<(), SessionError>>,
}

impl End {
    fn new(tls: Tls) -> Self {
        Self { tls, heard: Vec::new(), ended: None }
    }

    fn take(&mut self, bytes: &[u8], keys: &mut dyn dtls::Keys) -> Vec<u8> {
        let (mut out, heard) = (Vec::new(), &mut self.heard);
        match self.tls.handle_bytes(START_MS, bytes, keys, &mut |data| heard.extend_from_slice(data), &mut out) {
            Ok(Progress::Closed) => self.ended = Some(Ok(())),
            Ok(_) => {}
            Err(SessionError::Over) => assert!(self.ended.is_some()),
            Err(error) => self.ended = Some(Err(error)),
        }
        out
    }

    fn say(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.tls.send(data, &mut out).expect("established");
        out
    }
}

/// A device and a gateway, and how many bytes the network carries at a time.
struct Line {
    device: End,
    gateway: End,
    piece: usize,
    trusted: TrustAnchors,
    trusted_by_device: TrustAnchors,
    unix_s: i64,
}

impl Line {
    fn new(client: &TlsClient, has_certificate: bool, piece: usize) -> (Self, Vec<u8>) {
        let mut server = TlsServer::new(&TlsServerOptions::default()).unwrap();
        if has_certificate {
            server.set_certificate(Some(&certificate("server"))).unwrap();
        }
        let mut hello = Vec::new();
        let device = End::new(client.connect(START_MS, &mut hello).unwrap());
        let line = Self {
            device,
            gateway: End::new(server.accept(START_MS).unwrap()),
            piece,
            trusted: anchors(&["anchor", "anchor on P-384"]),
            trusted_by_device: anchors(&["anchor of servers"]),
            unix_s: year(2031),
        };
        (line, hello)
    }

    /// Carries bytes to the gateway, and what both say to that, until nobody has more to say.
    fn carry(&mut self, mut up: Vec<u8>) {
        while !up.is_empty() {
            let mut down = Vec::new();
            for bytes in up.chunks(self.piece) {
                let trust = Trust { anchors: &self.trusted, unix_s: self.unix_s };
                down.extend(self.gateway.take(bytes, &mut OneKeyAndTrust { key: KEY, trust }));
            }
            up = self.carry_down(&down);
        }
    }

    /// Carries bytes to the device; what it says to that.
    fn carry_down(&mut self, down: &[u8]) -> Vec<u8> {
        let mut up = Vec::new();
        for bytes in down.chunks(self.piece) {
            let mut trust = Trust { anchors: &self.trusted_by_device, unix_s: self.unix_s };
            up.extend(self.device.take(bytes, &mut trust));
        }
        up
    }

    fn assert_talks(&mut self) {
        assert!(self.device.tls.is_established(), "{:?} {:?}", self.device.ended, self.gateway.ended);
        assert!(self.gateway.tls.is_established(), "{:?}", self.gateway.ended);
        (self.device.heard, self.gateway.heard) = (Vec::new(), Vec::new());
        let up = self.device.say(b"reading");
        self.carry(up);
        let down = self.gateway.say(b"request");
        let up = self.carry_down(&down);
        self.carry(up);
        assert_eq!((&self.gateway.heard[..], &self.device.heard[..]), (&b"reading"[..], &b"request"[..]));
    }

    #[track_caller]
    fn assert_refused(&self, expected: &SessionError, alert: u8) {
        assert_eq!(self.gateway.ended.as_ref(), Some(&Err(expected.clone())));
        assert_eq!(self.device.ended, Some(Err(SessionError::Alert { description: alert })), "{expected:?}");
        assert!(!self.gateway.tls.is_established() && self.gateway.heard.is_empty());
    }

    #[track_caller]
    fn assert_certificate_refused(&self, expected: CertificateRefused, alert: u8) {
        let Some(Err(SessionError::CertificateRefused { reason, .. })) = &self.gateway.ended else {
            panic!("{expected:?} expected, not {:?}", self.gateway.ended);
        };
        assert_eq!(*reason, expected);
        assert_eq!(self.device.ended, Some(Err(SessionError::Alert { description: alert })), "{expected:?}");
        assert!(self.gateway.heard.is_empty());
    }
}

fn options(version: TlsVersion) -> TlsClientOptions {
    TlsClientOptions { versions: (version, version), ..TlsClientOptions::default() }
}

fn psk_client(identity: &[u8], secret: &[u8], options: &TlsClientOptions) -> TlsClient {
    TlsClient::new(identity, &key(secret), options).unwrap()
}

fn certified(device: &str, options: &TlsClientOptions) -> TlsClient {
    TlsClient::with_certificate(&certificate(device), Some("lwm2m.example"), options).unwrap()
}

/// A handshake to its end, whatever that is.
fn met(client: &TlsClient, at: i64) -> Line {
    let (mut line, hello) = Line::new(client, true, usize::MAX);
    line.unix_s = year(at);
    line.carry(hello);
    line
}

fn established(version: TlsVersion) -> Line {
    let mut line = met(&psk_client(IDENTITY, KEY, &options(version)), 2031);
    line.assert_talks();
    line
}

#[test]
fn every_suite_with_a_key_reaches_an_established_connection() {
    for (version, suites) in [(TlsVersion::Tls12, &Suite::ALL[..3]), (TlsVersion::Tls13, &Suite::TLS13[..])] {
        for &suite in suites {
            for piece in [1, 7, usize::MAX] {
                let options = TlsClientOptions { suites: vec![suite], ..options(version) };
                let (mut line, hello) = Line::new(&psk_client(IDENTITY, KEY, &options), false, piece);
                line.carry(hello);

                line.assert_talks();
                assert_eq!((line.gateway.tls.suite(), line.device.tls.suite()), (Some(suite), Some(suite)));
                assert_eq!(line.gateway.tls.version(), Some(version));
                assert_eq!(line.gateway.tls.identity(), Some(IDENTITY));
                assert!(line.gateway.tls.peer_certificate().is_none());
                assert_eq!(line.gateway.tls.allocated(), 0);
            }
        }
    }
}

#[test]
fn every_suite_with_certificates_reaches_an_established_connection() {
    for (version, suites) in [(TlsVersion::Tls12, &Suite::ALL[3..]), (TlsVersion::Tls13, &Suite::TLS13[..])] {
        for (&suite, device) in suites.iter().flat_map(|suite| [(suite, "device"), (suite, "device on P-384")]) {
            for piece in [1, 100, usize::MAX] {
                let options = TlsClientOptions { suites: vec![suite], ..options(version) };
                let (mut line, hello) = Line::new(&certified(device, &options), true, piece);
                line.carry(hello);

                line.assert_talks();
                assert_eq!((line.gateway.tls.suite(), line.gateway.tls.version()), (Some(suite), Some(version)));
                assert_eq!(line.gateway.tls.identity(), None);
                assert!(line.gateway.tls.peer_certificate().unwrap().common_name.is_some());
                assert!(line.device.tls.peer_certificate().is_some());
            }
        }
    }
}

#[test]
fn a_key_without_a_key_exchange_is_enough_for_whoever_wants_no_more() {
    let options = TlsClientOptions { has_exchange: false, ..options(TlsVersion::Tls13) };
    let (mut line, hello) = Line::new(&psk_client(IDENTITY, KEY, &options), true, usize::MAX);
    line.carry(hello);
    line.assert_talks();
    assert_eq!(line.gateway.tls.identity(), Some(IDENTITY));
}

#[test]
fn two_that_know_both_versions_take_the_newer() {
    let mut line = met(&psk_client(IDENTITY, KEY, &TlsClientOptions::default()), 2031);
    line.assert_talks();
    assert_eq!(
        (line.gateway.tls.version(), line.device.tls.version()),
        (Some(TlsVersion::Tls13), Some(TlsVersion::Tls13))
    );
}

#[test]
fn an_identity_nobody_knows_is_refused_by_name() {
    for version in VERSIONS {
        for has_certificate in [false, true] {
            let client = psk_client(b"stranger", KEY, &options(version));
            let (mut line, hello) = Line::new(&client, has_certificate, usize::MAX);
            line.carry(hello);

            line.assert_refused(
                &SessionError::UnknownIdentity { identity: b"stranger".to_vec() },
                UNKNOWN_PSK_IDENTITY,
            );
        }
    }
}

#[test]
fn another_key_is_told_from_another_identity() {
    for (version, alert) in [(TlsVersion::Tls12, BAD_RECORD_MAC), (TlsVersion::Tls13, DECRYPT_ERROR)] {
        let line = met(&psk_client(IDENTITY, b"another key here", &options(version)), 2031);

        line.assert_refused(&SessionError::WrongKey { identity: IDENTITY.to_vec() }, alert);
    }
}

#[test]
fn certificates_are_refused_for_the_reasons_and_with_the_alerts_of_dtls() {
    let cases = [
        ("device of nobody we know", 2031, CertificateRefused::UnknownAuthority, UNKNOWN_CA),
        ("device of another farm", 2031, CertificateRefused::BadSignature, BAD_CERTIFICATE),
        ("device", 2036, CertificateRefused::Expired, CERTIFICATE_EXPIRED),
        ("device", 2024, CertificateRefused::NotYetValid, CERTIFICATE_EXPIRED),
        ("device for servers", 2031, CertificateRefused::WrongUsage, UNSUPPORTED_CERTIFICATE),
        ("device below 4 intermediates", 2031, CertificateRefused::ChainTooLong, CERTIFICATE_UNKNOWN),
    ];
    for version in VERSIONS {
        let mut control = met(&certified("device", &options(version)), 2031);
        control.assert_talks();
        for (device, at, reason, alert) in cases {
            // The device must not find fault with its server before.
            let client = TlsClient::with_certificate(&certificate(device), None, &options(version)).unwrap();
            let (mut line, hello) = Line::new(&client, true, usize::MAX);
            line.unix_s = year(2031);
            let trust_at = year(at);
            let mut up = hello;
            while !up.is_empty() {
                let trust = Trust { anchors: &line.trusted, unix_s: trust_at };
                let down = line.gateway.take(&up, &mut OneKeyAndTrust { key: KEY, trust });
                up = line.carry_down(&down);
            }
            line.assert_certificate_refused(reason, alert);
        }
    }
}

#[test]
fn whoever_does_not_hold_the_key_of_its_certificate_is_refused() {
    // An end refuses to be set up with a key that is not its own, so a foreign signature is made on the way.
    let mut forged = met(&certified("device", &options(TlsVersion::Tls12)), 2031);
    forged.assert_talks();
    let (mut line, hello) = Line::new(&certified("device", &options(TlsVersion::Tls12)), true, usize::MAX);
    let trust = Trust { anchors: &line.trusted, unix_s: line.unix_s };
    let down = line.gateway.take(&hello, &mut OneKeyAndTrust { key: KEY, trust });
    let mut up = line.carry_down(&down);
    let signature = certificate_verify(&up);
    up[signature] ^= 1;
    line.carry(up);

    line.assert_certificate_refused(CertificateRefused::NotOwned, DECRYPT_ERROR);
}

/// Where the last byte of the signature of a CertificateVerify stands in a flight of TLS 1.2.
fn certificate_verify(flight: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let length = usize::from(u16::from_be_bytes([flight[at + 3], flight[at + 4]]));
        if flight[at] == 22 && flight[at + 5] == 15 {
            return at + 5 + length - 1;
        }
        at += 5 + length;
    }
}

#[test]
fn a_server_that_is_not_the_one_that_was_meant_is_refused_by_the_device() {
    for version in VERSIONS {
        let client =
            TlsClient::with_certificate(&certificate("device"), Some("other.example"), &options(version)).unwrap();
        let line = met(&client, 2031);

        let Some(Err(SessionError::CertificateRefused { reason, .. })) = line.device.ended else {
            panic!("{:?}", line.device.ended);
        };
        assert_eq!(reason, CertificateRefused::WrongName);
        assert_eq!(line.gateway.ended, Some(Err(SessionError::Alert { description: BAD_CERTIFICATE })));
    }
}

#[test]
fn whoever_shares_no_suite_is_told_so() {
    // A server without a certificate has no suite for a device that has nothing else.
    for version in VERSIONS {
        let (mut line, hello) = Line::new(&certified("device", &options(version)), false, usize::MAX);
        line.carry(hello);

        line.assert_refused(&SessionError::NoSharedSuite, HANDSHAKE_FAILURE);
    }
}

#[test]
fn new_keys_are_taken_up_in_either_direction_and_as_often_as_anybody_likes() {
    let mut line = established(TlsVersion::Tls13);
    for _ in 0..3 {
        let mut up = Vec::new();
        line.device.tls.renew_keys(&mut up).unwrap();
        assert!(!up.is_empty());
        line.carry(up);
        line.assert_talks();
        let mut down = Vec::new();
        line.gateway.tls.renew_keys(&mut down).unwrap();
        let up = line.carry_down(&down);
        assert!(!up.is_empty(), "the device answers with new keys of its own");
        line.carry(up);
        line.assert_talks();
    }
}

#[test]
fn the_older_version_has_no_new_keys() {
    let mut line = established(TlsVersion::Tls12);
    let mut up = Vec::new();
    line.device.tls.renew_keys(&mut up).unwrap();
    assert!(up.is_empty());
    line.assert_talks();
}

#[test]
fn a_long_text_takes_several_records_and_arrives_as_it_was() {
    let text: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    for version in VERSIONS {
        let mut line = established(version);
        line.gateway.heard.clear();
        let up = line.device.say(&text);
        line.carry(up);

        assert!(line.gateway.heard == text);
    }
}

#[test]
fn the_goodbye_of_either_end_is_heard_after_all_that_was_said() {
    for version in VERSIONS {
        let mut line = established(version);
        line.gateway.heard.clear();
        let mut up = line.device.say(b"last");
        line.device.tls.close(&mut up);
        line.carry(up);

        assert_eq!((&line.gateway.heard[..], &line.gateway.ended), (&b"last"[..], &Some(Ok(()))));
        assert_eq!(line.device.tls.send(b"more", &mut Vec::new()), Err(SessionError::Over));
    }
}

#[test]
fn a_record_that_was_changed_ends_the_connection() {
    for version in VERSIONS {
        let mut line = established(version);
        line.gateway.heard.clear();
        let mut up = line.device.say(b"reading");
        let last = up.len() - 1;
        up[last] ^= 1;
        line.carry(up);

        assert!(matches!(line.gateway.ended, Some(Err(SessionError::Fatal { .. }))), "{:?}", line.gateway.ended);
        assert_eq!(line.device.ended, Some(Err(SessionError::Alert { description: BAD_RECORD_MAC })));
        assert!(line.gateway.heard.is_empty());
    }
}

#[test]
fn a_record_that_comes_twice_or_out_of_order_ends_the_connection() {
    for version in VERSIONS {
        let mut line = established(version);
        let up = line.device.say(b"reading");
        line.carry(up.clone());
        line.carry(up);

        assert!(matches!(line.gateway.ended, Some(Err(SessionError::Fatal { .. }))));
    }
}

#[test]
fn what_is_no_tls_is_told_so_at_once() {
    for (bytes, alert) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], UNEXPECTED_MESSAGE),
        (&[0x00, 0xe1], UNEXPECTED_MESSAGE),
        (&[22, 2], UNEXPECTED_MESSAGE),
        (&[22, 3, 3, 0xff, 0xff], RECORD_OVERFLOW),
        (&[22, 9, 9, 0, 1, 0], UNEXPECTED_MESSAGE),
    ] {
        let server = TlsServer::new(&TlsServerOptions::default()).unwrap();
        let mut gateway = End::new(server.accept(START_MS).unwrap());
        let out = gateway.take(bytes, &mut NoKeys);

        assert!(matches!(gateway.ended, Some(Err(SessionError::Fatal { .. }))), "{bytes:?} {:?}", gateway.ended);
        assert_eq!(out, [21, 3, 3, 0, 2, 2, alert], "{bytes:?}");
        assert_eq!(gateway.take(b"more", &mut NoKeys), b"");
    }
}

#[test]
fn versions_that_nobody_should_speak_any_more_are_refused() {
    let (_, mut hello) = Line::new(&psk_client(IDENTITY, KEY, &options(TlsVersion::Tls12)), false, usize::MAX);
    // The version in the hello, behind the headers of record and message: TLS 1.1.
    hello[10] = 2;
    let server = TlsServer::new(&TlsServerOptions::default()).unwrap();
    let mut gateway = End::new(server.accept(START_MS).unwrap());
    let out = gateway.take(&hello, &mut NoKeys);

    assert!(matches!(gateway.ended, Some(Err(_))));
    assert_eq!(out.last(), Some(&PROTOCOL_VERSION));
}

#[test]
fn a_handshake_has_only_so_much_time() {
    let server = TlsServer::new(&TlsServerOptions::default()).unwrap();
    let (_, hello) = Line::new(&psk_client(IDENTITY, KEY, &TlsClientOptions::default()), false, usize::MAX);
    let mut gateway = End::new(server.accept(START_MS).unwrap());
    gateway.take(&hello[..20], &mut NoKeys);
    let due = gateway.tls.poll_timeout().expect("there is a handshake");

    assert_eq!(due, START_MS + TlsServerOptions::default().handshake_wait_ms);
    assert_eq!(gateway.tls.handle_timeout(due - 1), Ok(()));
    assert_eq!(gateway.tls.handle_timeout(due), Err(SessionError::HandshakeTimedOut));
    assert_eq!(gateway.tls.poll_timeout(), None);
}

#[test]
fn a_handshake_has_only_so_many_bytes() {
    // Warnings that say nothing are passed over, but not for ever.
    let server = TlsServer::new(&TlsServerOptions::default()).unwrap();
    let mut gateway = End::new(server.accept(START_MS).unwrap());
    let warning = [21, 3, 3, 0, 2, 1, 90];
    let mut said = 0;
    while gateway.ended.is_none() {
        gateway.take(&warning, &mut NoKeys);
        said += warning.len();
        assert!(said <= 70_000, "it goes on for ever");
    }
    assert_eq!(gateway.ended, Some(Err(SessionError::HandshakeTooLong)));
}

#[test]
fn a_peer_that_stops_in_the_middle_of_a_record_holds_no_more_than_it_sent() {
    let mut line = established(TlsVersion::Tls13);
    let up = line.device.say(&[7; 10_000]);
    for bytes in up[..3_000].chunks(100) {
        line.carry(bytes.to_vec());
    }
    assert!((3_000..8_192).contains(&line.gateway.tls.allocated()), "{}", line.gateway.tls.allocated());
    line.carry(up[3_000..].to_vec());
    assert_eq!(line.gateway.tls.allocated(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_can_make_a_new_connection_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), piece in 1_usize..40) {
        let server = TlsServer::new(&TlsServerOptions::default()).unwrap();
        let mut gateway = End::new(server.accept(START_MS).unwrap());
        for piece in bytes.chunks(piece) {
            gateway.take(piece, &mut NoKeys);
        }
        prop_assert!(!gateway.tls.is_established());
    }

    #[test]
    fn a_hello_that_was_damaged_anywhere_is_refused_or_waited_for(
        at in 0_usize..2_000, with in 1_u8..=255, newest in 0_usize..2, has_certificate in any::<bool>(),
    ) {
        let options = options(VERSIONS[newest]);
        let client = if has_certificate { certified("device", &options) } else { psk_client(IDENTITY, KEY, &options) };
        let (mut line, mut hello) = Line::new(&client, true, usize::MAX);
        let at = at % hello.len();
        hello[at] ^= with;
        line.carry(hello);
        // The device noticed, whatever the gateway made of it: the transcript is not the same (RFC 8446 §4.4.4).
        prop_assert!(!(line.device.tls.is_established() && line.gateway.tls.is_established()));
    }

    #[test]
    fn data_that_was_damaged_anywhere_is_never_heard(at in 0_usize..200, with in 1_u8..=255, newest in 0_usize..2) {
        let mut line = established(VERSIONS[newest]);
        line.gateway.heard.clear();
        let mut up = line.device.say(b"reading");
        let at = at % up.len();
        up[at] ^= with;
        line.carry(up);
        prop_assert!(line.gateway.heard.is_empty());
    }
}
