//! Connections over real sockets: devices, and peers that behave badly.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use device::{Config, Event};
use gateway::{Answer, DeviceEntry, GatewayOptions, Operation, Outcome, Path, Request, Security};
use net::Server;
use net::devices::{Devices, Order};

/// Far beyond what the loopback takes; a test that fails says so after this.
const PATIENCE: Duration = Duration::from_secs(20);

/// CSM with a large Max-Message-Size and Block-Wise-Transfer (RFC 8323 §5.3).
const CSM: [u8; 7] = [0x50, 0xe1, 0x23, 0x10, 0x00, 0x00, 0x20];
/// POST /rd?ep=x&lwm2m=1.1&b=T, token 1.
const REGISTER: &[u8] = b"\xd1\x10\x02\x01\xb2rd\x44ep=x\x09lwm2m=1.1\x03b=T\xff</3/0>";
/// GET /fw/f, token 2.
const FETCH: &[u8] = b"\x51\x01\x02\xb2fw\x01f";
/// A Ping with the token 3 (RFC 8323 §5.4), and its Pong.
const PING: [u8; 3] = [0x01, 0xe2, 0x03];
const PONG: [u8; 3] = [0x01, 0xe3, 0x03];

fn server(listen: &str) -> Server {
    let server = Server::start(&[listen.to_owned()], None, GatewayOptions::default(), device::definitions()).unwrap();
    let refused = server.put_devices(vec![DeviceEntry::new("dev-1", "x", Security::None)]);
    assert!(refused.is_empty(), "{refused:?}");
    server
}

/// Commits whatever comes until `is_over`, with the answers that came meanwhile.
fn commit_until(server: &Server, mut is_over: impl FnMut(&[Answer]) -> bool) -> Vec<Answer> {
    let (until, mut answers) = (Instant::now() + PATIENCE, Vec::new());
    while !is_over(&answers) {
        assert!(Instant::now() < until, "{:?} {answers:?}", server.stats());
        if let Some(batch) = server.next_batch(8_192, Duration::from_millis(10)) {
            answers.extend(batch.answers);
            server.committed(batch.seq);
        }
    }
    answers
}

fn stat(server: &Server, name: &str) -> u64 {
    server.stats().into_iter().find(|(other, _)| *other == name).unwrap().1
}

fn connect(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.addresses()[0].address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn device(server: &Server) -> (Devices, u64) {
    let devices = Devices::start(1).unwrap();
    let config = Config {
        endpoint: "x".to_owned(),
        server: server.addresses()[0].address,
        over_tcp: true,
        bootstraps: false,
        version: device::Version::V1_1,
        root: "/".into(),
        credential: None,
        lifetime_s: 300,
        queue_mode: false,
        awake_window: Duration::from_secs(93),
        queries: Vec::new(),
        enclosure: None,
        enclosure_option: None,
        seed: 0,
    };
    let handle = devices.add(config, device::definitions()).unwrap();
    let (path, value) = device::parse_value(device::definitions(), "/3/0/9", b"87").unwrap();
    devices.order(handle, Order::Set(path, value));
    devices.order(handle, Order::PowerOn);
    (devices, handle)
}

#[test]
fn a_device_registers_and_answers_over_ipv4_and_ipv6() {
    for listen in ["coap+tcp://127.0.0.1:0", "coap+tcp://[::1]:0"] {
        let server = server(listen);
        assert!(server.addresses()[0].to_string().starts_with(listen.trim_end_matches(":0")));
        let (devices, _) = device(&server);
        commit_until(&server, |_| devices.next_events(8, Duration::ZERO).iter().any(|(_, e)| *e == Event::Registered));

        server.submit(vec![Request {
            id: 7,
            device: "dev-1".to_owned(),
            operation: Operation::Read,
            path: Path::parse("/3/0/9").unwrap(),
            body: None,
            expires_in: PATIENCE,
            wait_for_wake: true,
        }]);

        let answers = commit_until(&server, |answers| answers.iter().any(|answer| answer.outcome != Outcome::Sent));
        assert_eq!(answers.last().map(|answer| (answer.id, answer.outcome)), Some((7, Outcome::Answered)));
    }
}

#[test]
fn a_device_finds_its_server_again_after_that_was_away() {
    let first = server("coap+tcp://127.0.0.1:0");
    let address = first.addresses()[0].to_string();
    let (devices, _) = device(&first);
    let mut events = Vec::new();
    let mut is_registered = |times: usize| {
        events.extend(devices.next_events(8, Duration::ZERO));
        events.iter().filter(|(_, event)| *event == Event::Registered).count() == times
    };
    commit_until(&first, |_| is_registered(1));
    drop(first);

    let second = server(&address);
    commit_until(&second, |_| is_registered(2));
    assert_eq!(stat(&second, "registrations"), 1);
}

#[test]
fn bytes_may_come_one_by_one_and_all_at_once() {
    let server = server("coap+tcp://127.0.0.1:0");
    let mut socket = connect(&server);
    for byte in CSM {
        socket.write_all(&[byte]).unwrap();
        std::thread::yield_now();
    }
    socket.write_all(&PING.repeat(1_000)).unwrap();

    let mut heard = Vec::new();
    while heard.len() < 1_000 * PONG.len() + 3 {
        let mut buffer = [0; 4_096];
        match socket.read(&mut buffer).unwrap() {
            0 => panic!("closed after {} bytes", heard.len()),
            count => heard.extend_from_slice(&buffer[..count]),
        }
    }
    assert!(heard.ends_with(&PONG.repeat(1_000)));
    assert_eq!(heard[1], 0xe1, "it introduced itself first");
}

#[test]
fn the_last_word_of_the_server_arrives_before_it_closes() {
    let server = server("coap+tcp://127.0.0.1:0");
    let mut socket = connect(&server);
    // No CSM, and far more than it reads.
    let _ = socket.write_all(&FETCH.repeat(10_000));

    let mut heard = Vec::new();
    // Whether the end is one in peace is the kernel's business: what we had to say came first.
    let _ = socket.read_to_end(&mut heard);
    let text = String::from_utf8_lossy(&heard);
    assert!(text.ends_with("no capabilities and settings (CSM)"), "{text:?}");
    assert_eq!(stat(&server, "connections_without_csm"), 1);
}

#[test]
fn a_peer_that_asks_and_never_reads_is_given_up() {
    let server = server("coap+tcp://127.0.0.1:0");
    let folder = std::env::temp_dir().join(format!("shoal-net-{}", std::process::id()));
    std::fs::write(&folder, vec![7; 4 << 20]).unwrap();
    server.put_file("f", &folder, vec![1], vec!["dev-1".to_owned()]).unwrap();
    let mut socket = connect(&server);
    socket.write_all(&CSM).unwrap();
    socket.write_all(REGISTER).unwrap();
    commit_until(&server, |_| stat(&server, "registrations") == 1);

    socket.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let until = Instant::now() + PATIENCE;
    while stat(&server, "connections_stalled") == 0 {
        assert!(Instant::now() < until, "{:?}", server.stats());
        let _ = socket.write(&FETCH.repeat(2_000));
    }

    assert_eq!((stat(&server, "connections"), stat(&server, "registrations")), (0, 1));
    std::fs::remove_file(&folder).unwrap();
}

#[test]
fn a_hundred_connections_come_and_go() {
    let server = Arc::new(server("coap+tcp://127.0.0.1:0"));
    let sockets: Vec<_> = (0..100).map(|_| connect(&server)).collect();
    let until = Instant::now() + PATIENCE;
    while stat(&server, "connections") < 100 {
        assert!(Instant::now() < until);
    }
    drop(sockets);
    while stat(&server, "connections") > 0 {
        assert!(Instant::now() < until);
    }
    assert_eq!(stat(&server, "connections_closed"), 100);
}
