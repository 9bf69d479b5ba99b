//! A foreign client: OpenSSL's `s_client` against our server, over a loopback socket.
//!
//! It needs the program `openssl` (Debian package `openssl`).

// These tests have the world that the crate must not have. A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

mod world;

use dtls::{
    CertificateRefused, ConnectionId, Hello, Keys, Progress, Server, ServerOptions, Session, SessionError, Suite,
    Trust, TrustAnchors, is_client_hello,
};
use world::{Dice, Fate, anchors, certificate, year};
use zeroize::Zeroizing;

const KEY: &[u8] = b"sixteen byte key";
/// Nobody has a key for this one.
const STRANGER: &str = "stranger";
const KEY_HEX: &str = "7369787465656e2062797465206b6579";

/// A handshake and an echo take some ten milliseconds; a machine that is busy with other tests may take its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the server waits for a datagram before it looks at its timers and at the client's output.
const TICK: Duration = Duration::from_millis(20);

struct OneKey<'k> {
    known: &'k [u8],
    trust: Trust<'k>,
}

impl Keys for OneKey<'_> {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        (identity == self.known).then(|| Zeroizing::new(KEY.to_vec()))
    }

    fn trust(&self) -> Trust<'_> {
        self.trust
    }
}

/// What became of a client that said `reading`.
#[derive(Debug, Default)]
struct Outcome {
    suite: Option<Suite>,
    identity: Option<Vec<u8>>,
    common_name: Option<String>,
    heard: Vec<Vec<u8>>,
    /// What the client printed.
    said: String,
    error: Option<SessionError>,
    closed: bool,
    /// Records of the client that carried a part of a ClientHello.
    hellos: usize,
    is_resumed: bool,
    longest_datagram: usize,
}

/// An echo server with room for one client.
struct Echo<'a> {
    socket: &'a UdpSocket,
    server: Server,
    session: Option<(SocketAddr, Session)>,
    known: &'a [u8],
    trust: Trust<'a>,
    outcome: Outcome,
    /// Handshakes have to put up with it; data would be lost for good.
    weather: Option<Dice>,
    /// What is late, and whether the client sent it.
    late: Vec<(bool, SocketAddr, Vec<u8>)>,
}

/// What the client proves itself by.
enum Proof<'a> {
    Key {
        identity: &'a str,
        key_hex: &'a str,
    },
    /// A certificate of the vectors, or none.
    Certificate(Option<&'a str>),
}

/// Runs the client until the server has closed or refused it.
fn run(identity: &str, key_hex: &str, cipher: &str, mtu: Option<u16>) -> Outcome {
    let trust = Trust { anchors: &TrustAnchors::new(), unix_s: 0 };
    run_with(&Proof::Key { identity, key_hex }, cipher, mtu, "server", trust)
}

/// The same with a certificate, and a server that trusts `anchor` and lives at the beginning of that year.
fn run_certified(device: Option<&str>, cipher: &str, mtu: Option<u16>, server: &str, at: i64) -> Outcome {
    let anchors = anchors(&["anchor", "anchor on P-384"]);
    run_with(&Proof::Certificate(device), cipher, mtu, server, Trust { anchors: &anchors, unix_s: year(at) })
}

fn run_with(proof: &Proof<'_>, cipher: &str, mtu: Option<u16>, shown: &str, trust: Trust<'_>) -> Outcome {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(TICK)).unwrap();
    let options = ServerOptions { mtu: mtu.unwrap_or(1_280), ..ServerOptions::default() };
    let mut server = Server::new(&options).unwrap();
    server.set_certificate(Some(&certificate(shown))).unwrap();
    let known = match proof {
        Proof::Key { identity, .. } if *identity != STRANGER => identity.as_bytes(),
        _ => b"device",
    };
    let mut echo = Echo::new(&socket, server, known, trust);
    let folder = folder_of(&socket);
    serve(&mut echo, client(&socket, proof, &folder, cipher, mtu, &[]));
    std::fs::remove_dir_all(&folder).unwrap();
    echo.outcome
}

fn folder_of(socket: &UdpSocket) -> PathBuf {
    let port = socket.local_addr().unwrap().port();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openssl-{port}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Serves the client until it has gone.
fn serve(echo: &mut Echo<'_>, mut client: Child) {
    let (printed, started, mut room) = (output(&mut client), Instant::now(), [0; 2_048]);

    while echo.outcome.error.is_none() && !echo.outcome.closed {
        assert!(started.elapsed() < PATIENCE, "{:?}", echo.outcome);
        let now_ms = started.elapsed().as_millis() as u64;
        if let Ok((length, peer)) = echo.socket.recv_from(&mut room) {
            echo.receive(now_ms, peer, &room[..length]);
        } else {
            echo.deliver_late(now_ms);
        }
        echo.tick(now_ms);
        echo.outcome.said.extend(printed.try_iter().map(|text| String::from_utf8_lossy(&text).into_owned()));
        if echo.outcome.said.contains("echo: reading") {
            // The end of its input makes the client say goodbye.
            drop(client.stdin.take());
        }
    }
    if echo.outcome.error.is_some() {
        let _ = client.kill();
    }
    client.wait().unwrap();
}

fn client(
    socket: &UdpSocket,
    proof: &Proof<'_>,
    folder: &Path,
    cipher: &str,
    mtu: Option<u16>,
    more: &[&std::ffi::OsStr],
) -> Child {
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-dtls1_2",
        "-connect",
        &socket.local_addr().unwrap().to_string(),
        "-quiet",
        "-no_ign_eof",
    ]);
    match proof {
        Proof::Key { identity, key_hex } => {
            command.args(["-psk_identity", identity, "-psk", key_hex]);
        }
        Proof::Certificate(device) => {
            // It checks us, too.
            command.args(["-verify_return_error", "-verify_hostname", "lwm2m.example", "-CAfile"]);
            command.arg(pem(folder, "anchor of servers"));
            if let Some(device) = device {
                let key = folder.join("device.key");
                std::fs::write(&key, certificate(device).key.as_slice()).unwrap();
                command.arg("-cert").arg(pem(folder, device)).args(["-keyform", "DER", "-key"]).arg(key);
            }
        }
    }
    // A copy of its last flight would make it wait for data of ours before it says what it has to say.
    command.arg("-nbio");
    // OpenSSL counts the 8 bytes of CCM_8 as 64 bits of security.
    command.args(["-cipher", &format!("{cipher}:@SECLEVEL=0")]);
    if let Some(mtu) = mtu {
        command.args(["-mtu", &mtu.to_string()]);
    }
    let child = command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the program `openssl` is missing: install the Debian package `openssl`");
    child.stdin.as_mut().unwrap().write_all(b"reading\n").unwrap();
    child
}

/// Writes a certificate of the vectors in the form that OpenSSL takes everywhere.
fn pem(folder: &Path, name: &str) -> PathBuf {
    let (der, pem) = (folder.join(format!("{name}.der")), folder.join(format!("{name}.pem")));
    std::fs::write(&der, &certificate(name).chain[0]).unwrap();
    let made = Command::new("openssl").args(["x509", "-inform", "DER", "-in"]).arg(der).arg("-out").arg(&pem).status();
    assert!(made.expect("openssl").success());
    pem
}

fn output(client: &mut Child) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    let mut stdout = client.stdout.take().unwrap();
    std::thread::spawn(move || {
        let mut room = [0; 1_024];
        while let Ok(length @ 1..) = stdout.read(&mut room) {
            if sender.send(room[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

impl<'a> Echo<'a> {
    fn new(socket: &'a UdpSocket, server: Server, known: &'a [u8], trust: Trust<'a>) -> Self {
        let (outcome, late) = (Outcome::default(), Vec::new());
        Self { socket, server, session: None, known, trust, outcome, weather: None, late }
    }

    /// A fifth is lost, a tenth comes twice, a fifth behind what was sent after it.
    fn fate(&mut self, datagram: &[u8]) -> Fate {
        let Some(dice) = self.weather.as_mut().filter(|_| matches!(datagram[0], 20 | 22)) else { return Fate::Deliver };
        match dice.below(10) {
            0 | 1 => Fate::Lose,
            2 => Fate::Twice,
            3 | 4 => Fate::Late,
            _ => Fate::Deliver,
        }
    }

    fn receive(&mut self, now_ms: u64, peer: SocketAddr, datagram: &[u8]) {
        match self.fate(datagram) {
            Fate::Lose => {}
            Fate::Late => self.late.push((true, peer, datagram.to_vec())),
            fate => (0..=usize::from(fate == Fate::Twice)).for_each(|_| self.take(now_ms, peer, datagram)),
        }
    }

    fn deliver_late(&mut self, now_ms: u64) {
        for (is_clients, peer, datagram) in std::mem::take(&mut self.late) {
            match is_clients {
                true => self.take(now_ms, peer, &datagram),
                false => self.deliver(peer, &datagram),
            }
        }
    }

    fn take(&mut self, now_ms: u64, peer: SocketAddr, datagram: &[u8]) {
        self.outcome.longest_datagram = self.outcome.longest_datagram.max(datagram.len());
        self.outcome.hellos += usize::from(is_client_hello(datagram));
        let is_known = self.session.as_ref().is_some_and(|(_, session)| session.began_with(datagram));
        if is_client_hello(datagram) && !is_known {
            let mut answer = Vec::new();
            match self.server.handle_hello(now_ms, peer.to_string().as_bytes(), datagram, &mut answer) {
                Hello::Verified => {
                    let cid = ConnectionId::new(0, 0, [1, 2, 3, 4, 5]);
                    self.session = Some((peer, self.server.accept(now_ms, cid.0).unwrap()));
                }
                Hello::SendCookie => return self.send(peer, &[answer]),
                // Later fragments of a hello follow the first to its session.
                Hello::Drop(_) => {}
            }
        }
        let Some((_, session)) = &mut self.session else { return };
        let (mut out, mut heard, mut keys) = (Vec::new(), Vec::new(), OneKey { known: self.known, trust: self.trust });
        match session.handle_datagram(now_ms, datagram, &mut keys, &mut |data| heard.push(data.to_vec()), &mut out) {
            Ok(Progress::Established) => {
                self.outcome.suite = session.suite();
                self.outcome.is_resumed = session.is_resumed();
                self.outcome.identity = session.identity().map(<[u8]>::to_vec);
                self.outcome.common_name = session.peer_certificate().and_then(|seen| seen.common_name.clone());
                assert!(!session.peer_has_cid(), "OpenSSL has no connection ids");
            }
            Ok(Progress::Closed) => self.outcome.closed = true,
            Ok(Progress::Handshaking | Progress::Data) => {}
            Err(error) => self.outcome.error = Some(error),
        }
        for data in heard {
            session.send(&[b"echo: ", data.as_slice()].concat(), &mut out).unwrap();
            self.outcome.heard.push(data);
        }
        self.send(peer, &out);
    }

    fn tick(&mut self, now_ms: u64) {
        let Some((peer, session)) = &mut self.session else { return };
        let (peer, mut out) = (*peer, Vec::new());
        if let Err(error) = session.handle_timeout(now_ms, &mut out) {
            self.outcome.error.get_or_insert(error);
        }
        self.send(peer, &out);
    }

    fn deliver(&self, peer: SocketAddr, datagram: &[u8]) {
        self.socket.send_to(datagram, peer).unwrap();
    }

    fn send(&mut self, peer: SocketAddr, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            match self.fate(datagram) {
                Fate::Lose => {}
                Fate::Late => self.late.push((false, peer, datagram.clone())),
                fate => (0..=usize::from(fate == Fate::Twice)).for_each(|_| self.deliver(peer, datagram)),
            }
        }
    }
}

#[test]
fn openssl_shakes_hands_talks_and_says_goodbye_in_all_suites_with_keys() {
    for (cipher, suite) in [
        ("PSK-AES128-CCM8", Suite::PskAes128Ccm8),
        ("PSK-AES128-GCM-SHA256", Suite::PskAes128GcmSha256),
        ("PSK-AES128-CBC-SHA256", Suite::PskAes128CbcSha256),
    ] {
        let outcome = run("device", KEY_HEX, cipher, None);

        assert_eq!((outcome.error, outcome.suite), (None, Some(suite)));
        assert_eq!(outcome.identity.as_deref(), Some(&b"device"[..]));
        assert_eq!(outcome.heard, [b"reading\n"]);
        assert_eq!((outcome.said.as_str(), outcome.closed), ("echo: reading\n", true));
    }
}

#[test]
fn openssl_fits_its_handshake_into_datagrams_of_256_bytes() {
    let identity = "i".repeat(128);

    let outcome = run(&identity, KEY_HEX, "ALL:PSK-AES128-CCM8:PSK-AES128-GCM-SHA256", Some(256));

    assert_eq!((outcome.error, outcome.said.as_str()), (None, "echo: reading\n"));
    assert_eq!(outcome.identity.as_deref(), Some(identity.as_bytes()));
    assert!(outcome.longest_datagram <= 256, "{}", outcome.longest_datagram);
    assert!(outcome.hellos > 2, "the hello, offering every suite, came in pieces: {}", outcome.hellos);
}

#[test]
fn openssl_is_refused_with_a_wrong_key() {
    let outcome = run("device", "00112233445566778899aabbccddeeff", "PSK-AES128-CCM8", None);

    assert_eq!(outcome.error, Some(SessionError::WrongKey { identity: b"device".to_vec() }));
    assert!(outcome.heard.is_empty() && outcome.suite.is_none());
}

#[test]
fn openssl_is_refused_with_an_unknown_identity() {
    let outcome = run(STRANGER, KEY_HEX, "PSK-AES128-CCM8", None);

    assert_eq!(outcome.error, Some(SessionError::UnknownIdentity { identity: b"stranger".to_vec() }));
}

#[test]
fn openssl_is_refused_without_a_suite_of_ours() {
    let outcome = run("device", KEY_HEX, "PSK-AES256-GCM-SHA384", None);

    assert_eq!(outcome.error, Some(SessionError::NoSharedSuite));
}

#[test]
fn openssl_shakes_hands_in_all_suites_with_certificates() {
    for (cipher, suite) in [
        ("ECDHE-ECDSA-AES128-CCM8", Suite::EcdheEcdsaAes128Ccm8),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", Suite::EcdheEcdsaAes128GcmSha256),
        ("ECDHE-ECDSA-AES128-SHA256", Suite::EcdheEcdsaAes128CbcSha256),
    ] {
        for (device, server) in [("device", "server"), ("device on P-384", "server on P-384")] {
            let outcome = run_certified(Some(device), cipher, None, server, 2031);

            assert_eq!((outcome.error, outcome.suite), (None, Some(suite)), "{device}");
            assert_eq!(outcome.common_name.as_deref(), Some("urn:shoal:camera-1"));
            assert_eq!((outcome.said.as_str(), outcome.closed), ("echo: reading\n", true));
        }
    }
}

#[test]
fn openssl_fits_its_certificate_into_datagrams_of_256_bytes() {
    let outcome = run_certified(Some("device"), "ECDHE-ECDSA-AES128-CCM8", Some(256), "server", 2031);

    assert_eq!((outcome.error, outcome.said.as_str()), (None, "echo: reading\n"));
    assert!(outcome.longest_datagram <= 256, "{}", outcome.longest_datagram);
}

#[test]
fn openssl_is_refused_for_each_flaw_of_its_certificate() {
    for (device, at, expected) in [
        (None, 2031, CertificateRefused::Missing),
        (Some("device of nobody we know"), 2031, CertificateRefused::UnknownAuthority),
        (Some("device of another farm"), 2031, CertificateRefused::BadSignature),
        (Some("device"), 2036, CertificateRefused::Expired),
        (Some("device"), 2024, CertificateRefused::NotYetValid),
        (Some("device for servers"), 2031, CertificateRefused::WrongUsage),
        (Some("device on P-521"), 2031, CertificateRefused::UnsupportedAlgorithm),
    ] {
        let outcome = run_certified(device, "ECDHE-ECDSA-AES128-CCM8", None, "server", at);

        let Some(SessionError::CertificateRefused { reason, .. }) = outcome.error else {
            panic!("{device:?}: {outcome:?}");
        };
        assert_eq!(reason, expected, "{device:?}");
        assert!(outcome.heard.is_empty() && outcome.suite.is_none());
    }
    // Without the flaw, that is all that is needed.
    let outcome = run_certified(Some("device"), "ECDHE-ECDSA-AES128-CCM8", None, "server", 2031);
    assert_eq!((outcome.error, outcome.said.as_str()), (None, "echo: reading\n"));
}

#[test]
fn openssl_gets_through_a_network_that_loses_doubles_and_delays() {
    let visits = (1..=8_u64).map(|seed| {
        std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(TICK)).unwrap();
            let options = ServerOptions { mtu: 256, handshake_timeout_ms: (200, 10_000), ..ServerOptions::default() };
            let mut server = Server::new(&options).unwrap();
            server.set_certificate(Some(&certificate("server"))).unwrap();
            let anchors = anchors(&["anchor"]);
            let trust = Trust { anchors: &anchors, unix_s: year(2031) };
            let mut echo = Echo::new(&socket, server, b"device", trust);
            echo.weather = Some(Dice(seed));
            let (proof, cipher) = match seed % 2 {
                0 => (Proof::Key { identity: "device", key_hex: KEY_HEX }, "PSK-AES128-CCM8"),
                _ => (Proof::Certificate(Some("device")), "ECDHE-ECDSA-AES128-CCM8"),
            };
            let folder = folder_of(&socket);
            serve(&mut echo, client(&socket, &proof, &folder, cipher, Some(256), &[]));
            std::fs::remove_dir_all(&folder).unwrap();
            assert_eq!((&echo.outcome.error, echo.outcome.said.as_str()), (&None, "echo: reading\n"), "seed {seed}");
            assert!(echo.outcome.longest_datagram <= 256);
        })
    });
    visits.collect::<Vec<_>>().into_iter().for_each(|visit| visit.join().unwrap());
}

#[test]
fn openssl_refuses_a_server_that_nobody_it_trusts_vouches_for() {
    let outcome = run_certified(Some("device"), "ECDHE-ECDSA-AES128-CCM8", None, "server of nobody we know", 2031);

    assert!(matches!(outcome.error, Some(SessionError::Alert { .. })), "{outcome:?}");
}

#[test]
fn a_session_goes_on_from_the_ticket_that_openssl_kept() {
    let key = Proof::Key { identity: "device", key_hex: KEY_HEX };
    let cases = [
        (key, "PSK-AES128-CCM8", (Some(&b"device"[..]), None)),
        (Proof::Certificate(Some("device")), "ECDHE-ECDSA-AES128-GCM-SHA256", (None, Some("urn:shoal:camera-1"))),
    ];
    for (proof, cipher, who) in cases {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let mut server = Server::new(&ServerOptions::default()).unwrap();
        server.set_certificate(Some(&certificate("server"))).unwrap();
        let anchors = anchors(&["anchor"]);
        let trust = Trust { anchors: &anchors, unix_s: year(2031) };
        let mut echo = Echo::new(&socket, server, b"device", trust);
        let folder = folder_of(&socket);
        let kept = folder.join("session");

        for (option, is_resumed) in [("-sess_out", false), ("-sess_in", true)] {
            echo.outcome = Outcome::default();
            echo.session = None;
            serve(&mut echo, client(&socket, &proof, &folder, cipher, None, &[option.as_ref(), kept.as_ref()]));

            let outcome = &echo.outcome;
            assert_eq!(outcome.is_resumed, is_resumed, "{cipher}: {outcome:?}");
            assert_eq!((outcome.identity.as_deref(), outcome.common_name.as_deref()), who, "{outcome:?}");
            assert_eq!(outcome.heard, [b"reading\n"], "{outcome:?}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
