//! A foreign client: OpenSSL's `s_client` against our server, over a loopback socket.
//!
//! It needs the program `openssl` (Debian package `openssl`).

// These tests have the world that the crate must not have. A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use dtls::{ConnectionId, Hello, Keys, Progress, Server, ServerOptions, Session, SessionError, Suite, is_client_hello};
use zeroize::Zeroizing;

const KEY: &[u8] = b"sixteen byte key";
/// Nobody has a key for this one.
const STRANGER: &str = "stranger";
const KEY_HEX: &str = "7369787465656e2062797465206b6579";

/// A handshake and an echo take some ten milliseconds; a machine that is busy with other tests may take its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the server waits for a datagram before it looks at its timers and at the client's output.
const TICK: Duration = Duration::from_millis(20);

struct OneKey<'k>(&'k [u8]);

impl Keys for OneKey<'_> {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        (identity == self.0).then(|| Zeroizing::new(KEY.to_vec()))
    }
}

/// What became of a client that said `reading`.
#[derive(Debug, Default)]
struct Outcome {
    suite: Option<Suite>,
    identity: Option<Vec<u8>>,
    heard: Vec<Vec<u8>>,
    /// What the client printed.
    said: String,
    error: Option<SessionError>,
    closed: bool,
    /// Records of the client that carried a part of a ClientHello.
    hellos: usize,
    longest_datagram: usize,
}

/// An echo server with room for one client.
struct Echo<'a> {
    socket: &'a UdpSocket,
    server: Server,
    session: Option<(SocketAddr, Session)>,
    known: &'a [u8],
    outcome: Outcome,
}

/// Runs the client until the server has closed or refused it.
fn run(identity: &str, key_hex: &str, cipher: &str, mtu: Option<u16>) -> Outcome {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(TICK)).unwrap();
    let options = ServerOptions { mtu: mtu.unwrap_or(1_280), ..ServerOptions::default() };
    let server = Server::new(&options).unwrap();
    let known = if identity == STRANGER { b"device" } else { identity.as_bytes() };
    let mut echo = Echo { socket: &socket, server, session: None, known, outcome: Outcome::default() };
    let mut client = client(&socket, identity, key_hex, cipher, mtu);
    let (printed, started, mut room) = (output(&mut client), Instant::now(), [0; 2_048]);

    while echo.outcome.error.is_none() && !echo.outcome.closed {
        assert!(started.elapsed() < PATIENCE, "{:?}", echo.outcome);
        let now_ms = started.elapsed().as_millis() as u64;
        if let Ok((length, peer)) = socket.recv_from(&mut room) {
            echo.take(now_ms, peer, &room[..length]);
        }
        echo.tick(now_ms);
        echo.outcome.said.extend(printed.try_iter().map(|text| String::from_utf8_lossy(&text).into_owned()));
        if echo.outcome.said.contains("echo: reading") {
            // The end of its input makes the client say goodbye.
            drop(client.stdin.take());
        }
    }
    let _ = client.kill();
    client.wait().unwrap();
    echo.outcome
}

fn client(socket: &UdpSocket, identity: &str, key_hex: &str, cipher: &str, mtu: Option<u16>) -> Child {
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-dtls1_2",
        "-connect",
        &socket.local_addr().unwrap().to_string(),
        "-quiet",
        "-no_ign_eof",
    ]);
    command.args(["-psk_identity", identity, "-psk", key_hex]);
    // OpenSSL counts the 8 bytes of CCM_8 as 64 bits of security.
    command.args(["-cipher", &format!("{cipher}:@SECLEVEL=0")]);
    if let Some(mtu) = mtu {
        command.args(["-mtu", &mtu.to_string()]);
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the program `openssl` is missing: install the Debian package `openssl`");
    child.stdin.as_mut().unwrap().write_all(b"reading\n").unwrap();
    child
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

impl Echo<'_> {
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
        let (mut out, mut heard, mut keys) = (Vec::new(), Vec::new(), OneKey(self.known));
        match session.handle_datagram(now_ms, datagram, &mut keys, &mut |data| heard.push(data.to_vec()), &mut out) {
            Ok(Progress::Established) => {
                self.outcome.suite = session.suite();
                self.outcome.identity = session.identity().map(<[u8]>::to_vec);
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

    fn send(&self, peer: SocketAddr, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            self.socket.send_to(datagram, peer).unwrap();
        }
    }
}

#[test]
fn openssl_shakes_hands_talks_and_says_goodbye_in_both_suites() {
    for (cipher, suite) in
        [("PSK-AES128-CCM8", Suite::PskAes128Ccm8), ("PSK-AES128-GCM-SHA256", Suite::PskAes128GcmSha256)]
    {
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
