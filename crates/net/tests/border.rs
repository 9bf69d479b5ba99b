//! A server and a device over real sockets: what leaves, and when.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use device::{Config, Credential, Event};
use gateway::{DeviceEntry, GatewayOptions, Operation, Outcome, Path, Proof, Request, Security};
use net::devices::{Devices, Order};
use net::{Batch, Server};

const KEY: [u8; 16] = [7; 16];
/// Far beyond what the loopback takes; a test that fails says so after this.
const PATIENCE: Duration = Duration::from_secs(20);

fn server() -> Server {
    server_of(GatewayOptions::default())
}

fn server_of(options: GatewayOptions) -> Server {
    let server = Server::start(&["coaps://127.0.0.1:0".to_owned()], None, options, device::definitions()).unwrap();
    let proof = Proof::Psk { identity: b"oxy-0417".to_vec(), key: KEY.to_vec().into() };
    let security = Security::by("crd-1", proof);
    let refused = server.put_devices(vec![DeviceEntry::new("dev-1", "oxy-0417", security)]);
    assert!(refused.is_empty(), "{refused:?}");
    server
}

fn registering(server: &Server) -> Devices {
    let devices = Devices::start(1).unwrap();
    let config = Config {
        endpoint: "oxy-0417".to_owned(),
        server: server.addresses()[0].address,
        over_tcp: false,
        bootstraps: false,
        version: device::Version::V1_1,
        root: "/".into(),
        credential: Some(Credential::Psk { identity: b"oxy-0417".to_vec(), key: KEY.to_vec().into() }),
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
    devices
}

fn next_batch(server: &Server) -> Batch {
    server.next_batch(8_192, PATIENCE).unwrap()
}

fn lines(batch: &Batch) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    batch.pages.iter().flat_map(|page| text(&page.body).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn is_registered(devices: &Devices, within: Duration) -> bool {
    let until = Instant::now() + within;
    while Instant::now() < until {
        let left = until.saturating_duration_since(Instant::now());
        if devices.next_events(1, left).iter().any(|(_, event)| *event == Event::Registered) {
            return true;
        }
    }
    false
}

#[test]
fn a_registration_is_answered_when_its_batch_is_committed() {
    let server = server();
    let devices = registering(&server);

    let batch = next_batch(&server);
    assert!(lines(&batch)[0].contains(r#""type":"registered""#));
    assert!(!is_registered(&devices, Duration::from_millis(50)));
    server.committed(batch.seq);

    assert!(is_registered(&devices, PATIENCE));
}

#[test]
fn an_answer_of_a_device_comes_with_the_batches() {
    let server = server();
    let devices = registering(&server);
    server.committed(next_batch(&server).seq);
    assert!(is_registered(&devices, PATIENCE));

    server.submit(vec![Request {
        id: 7,
        device: "dev-1".to_owned(),
        operation: Operation::Read,
        path: Path::parse("/3/0/9").unwrap(),
        body: None,
        expires_in: PATIENCE,
        wait_for_wake: true,
    }]);

    let answer = loop {
        let batch = next_batch(&server);
        server.committed(batch.seq);
        if let Some(answer) = batch.answers.into_iter().find(|answer| answer.outcome != Outcome::Sent) {
            break answer;
        }
    };
    assert_eq!((answer.id, answer.outcome), (7, Outcome::Answered));
}

#[test]
fn a_closed_server_hands_out_what_it_has_answers_it_and_is_gone() {
    let server = server();
    let address = server.addresses()[0].to_string();
    let devices = registering(&server);
    let until = Instant::now() + PATIENCE;
    while !server.stats().contains(&("register", 1)) {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }

    server.close();
    assert!(!server.wait_closed(Duration::ZERO));
    let batch = next_batch(&server);
    assert!(server.next_batch(8_192, PATIENCE).is_none());
    server.committed(batch.seq);

    assert!(is_registered(&devices, PATIENCE));
    assert!(server.wait_closed(PATIENCE));
    assert!(server.stats().is_empty(), "nobody is there to count");
    Server::start(&[address], None, GatewayOptions::default(), device::definitions()).unwrap();
}

#[test]
fn an_address_that_is_taken_is_named() {
    let server = server();
    let taken = server.addresses()[0].to_string();

    let Err(error) =
        Server::start(std::slice::from_ref(&taken), None, GatewayOptions::default(), device::definitions())
    else {
        panic!("two listen on one address")
    };

    assert_eq!(error.to_string(), format!("{taken}: address already in use"));
    assert_eq!(error.system_number(), Some(98));
}

#[test]
fn nobody_is_heard_before_everybody_who_was_there_is_back() {
    let options = GatewayOptions { start: Some(1), ..GatewayOptions::default() };
    let server = Server::start(&["coap://127.0.0.1:0".to_owned()], None, options, device::definitions()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.addresses()[0].address).unwrap();
    let (ping, reset) = ([0x40, 0, 0, 7], [0x70, 0, 0, 7]);
    socket.send(&ping).unwrap();
    let mut answer = [0; 64];

    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(socket.recv(&mut answer).is_err());
    assert_eq!(server.stats().into_iter().find(|(name, _)| *name == "datagrams"), Some(("datagrams", 0)));

    // What came too early was not lost.
    server.open();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = socket.recv(&mut answer).unwrap();
    assert_eq!(answer[..length], reset);
}

#[test]
fn a_server_that_closes_waits_until_its_last_checkpoints_are_kept() {
    let server = server_of(GatewayOptions { start: Some(1), ..GatewayOptions::default() });
    server.open();
    let devices = registering(&server);
    let until = Instant::now() + PATIENCE;
    let mut kept = 0;
    while kept == 0 && Instant::now() < until {
        let Some(batch) = server.next_batch(100, Duration::from_millis(50)) else { continue };
        server.committed(batch.seq);
        if let Some(checkpoints) = batch.checkpoints {
            kept += checkpoints.kept.len();
            server.checkpointed(checkpoints.number, true);
        }
    }
    assert_eq!(kept, 1);
    let registered = |events: Vec<(u64, Event)>| events.iter().any(|(_, event)| matches!(event, Event::Registered));
    while !registered(devices.next_events(10, Duration::from_millis(50))) {
        assert!(Instant::now() < until, "the 2.01 leaves when its checkpoint is safe");
        if let Some(batch) = server.next_batch(100, Duration::ZERO) {
            server.committed(batch.seq);
        }
    }

    // Once it is heard again there is one more to come.
    devices.order(1, Order::Update(1));
    while !server.stats().contains(&("update", 1)) {
        assert!(Instant::now() < until, "an Update that changes nothing waits for nobody");
        std::thread::sleep(Duration::from_millis(5));
    }
    server.close();
    let batch = std::iter::from_fn(|| server.next_batch(100, Duration::ZERO)).find_map(|batch| {
        server.committed(batch.seq);
        batch.checkpoints
    });
    assert!(!server.wait_closed(Duration::from_millis(100)));
    server.checkpointed(batch.unwrap().number, true);
    assert!(server.wait_closed(PATIENCE));
}
