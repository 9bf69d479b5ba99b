//! Our client against a foreign server: OpenSSL's `s_server`, over a loopback socket.
//!
//! It needs the program `openssl` (Debian package `openssl`).

// These tests have the world that the crate must not have. A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

mod world;

use dtls::{Client, ClientOptions, NoKeys, Session, Ticket};
use world::{IDENTITY, KEY, key};

const KEY_HEX: &str = "7369787465656e2062797465206b6579";

/// A handshake and a line each way take some ten milliseconds; a busy machine may take its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long we wait for a datagram before we look at what the server printed.
const TICK: Duration = Duration::from_millis(20);

struct Peer {
    server: Child,
    printed: Receiver<String>,
    port: u16,
    began: Instant,
}

impl Peer {
    fn start(arguments: &[&str]) -> Self {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-dtls1_2", "-accept", &format!("127.0.0.1:{port}"), "-quiet", "-nocert"]);
        command.args(["-psk", KEY_HEX, "-psk_identity", "urn:shoal:camera-1", "-cipher", "ALL:@SECLEVEL=0"]);
        let mut server = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program `openssl` is missing: install the Debian package `openssl`");
        let (sender, printed) = channel();
        let lines = BufReader::new(server.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Self { server, printed, port, began: Instant::now() }
    }

    fn now_ms(&self) -> u64 {
        assert!(self.began.elapsed() < PATIENCE, "it takes too long");
        self.began.elapsed().as_millis() as u64
    }

    /// A session in which both say something, and which we end. The ticket is what it left to go on from.
    fn visit(&mut self, client: &Client, ticket: Option<&Ticket>) -> (Session, Option<Ticket>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let (mut out, mut heard, mut room) = (Vec::new(), Vec::new(), [0; 2_048]);
        let mut session = match ticket {
            Some(ticket) => client.resume(self.now_ms(), ticket, &NoKeys, &mut out).unwrap(),
            None => client.connect(self.now_ms(), &mut out).unwrap(),
        };
        let (mut has_spoken, mut was_heard) = (false, false);
        while !(was_heard && heard.ends_with(b"request\n")) {
            // It may not listen yet: then the kernel says so, and the flight is repeated.
            out.drain(..).for_each(|datagram| drop(socket.send(&datagram)));
            if let Ok(length) = socket.recv(&mut room) {
                let mut take = |data: &[u8]| heard.extend_from_slice(data);
                session.handle_datagram(self.now_ms(), &room[..length], &mut NoKeys, &mut take, &mut out).unwrap();
            }
            session.handle_timeout(self.now_ms(), &mut out).unwrap();
            if session.is_established() && !has_spoken {
                has_spoken = true;
                session.send(b"reading\n", &mut out).unwrap();
                self.server.stdin.as_mut().unwrap().write_all(b"request\n").unwrap();
            }
            was_heard |= self.printed.try_iter().any(|line| line == "reading");
        }
        let ticket = session.ticket(self.now_ms());
        session.close(&mut out);
        out.drain(..).for_each(|datagram| drop(socket.send(&datagram)));
        (session, ticket)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_session_goes_on_by_the_ticket_or_by_the_id_that_a_server_of_openssl_gave() {
    let options = ClientOptions { handshake_timeout_ms: (200, 10_000), ..ClientOptions::default() };
    let client = Client::new(IDENTITY, &key(KEY), &options).unwrap();
    for arguments in [&[][..], &["-no_ticket"]] {
        let mut peer = Peer::start(arguments);

        let (first, ticket) = peer.visit(&client, None);
        assert!(!first.is_resumed());
        let ticket = ticket.expect("something to go on from");
        let (second, _) = peer.visit(&client, Some(&ticket));

        assert!(second.is_resumed(), "{arguments:?}");
    }
    // A server that knows nothing of it makes a new session.
    let mut forgetful = Peer::start(&["-no_ticket", "-no_cache"]);
    let (_, ticket) = forgetful.visit(&client, None);
    let given = ticket.is_some();
    if let Some(ticket) = ticket {
        assert!(!forgetful.visit(&client, Some(&ticket)).0.is_resumed());
    }
    assert!(!given, "no id is nothing to go on from");
}
