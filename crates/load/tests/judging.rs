//! What counts as an operation: the right answer to the right request, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use coap::{Code, Encoder, Kind, Message, Token, option};
use load::{Fleet, FleetOptions, Operation, Order, Report};

/// A server that lets `answer` say what it answers to each message; it ends with its test.
fn server(mut answer: impl FnMut(&Message<'_>) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddrV4 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(address) = socket.local_addr().unwrap() else { unreachable!() };
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for datagram in answer(&Message::parse(&buffer[..length]).unwrap()) {
                socket.send_to(&datagram, from).unwrap();
            }
        }
    });
    address
}

fn reply(message: &Message<'_>, kind: Kind, code: Code, id: u16, token: Token) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, kind, code, id, token);
    if code == Code::CREATED {
        encoder = encoder.option(option::LOCATION_PATH, b"rd").option(option::LOCATION_PATH, b"x");
    }
    encoder.finish();
    assert_eq!(message.kind, Kind::Confirmable);
    out
}

fn right(message: &Message<'_>) -> Vec<u8> {
    let is_registration = message.path().eq([b"rd"]);
    let code = if is_registration { Code::CREATED } else { Code::CHANGED };
    reply(message, Kind::Acknowledgement, code, message.id, message.token)
}

fn fleet(server: SocketAddrV4, clients: u32) -> Fleet {
    Fleet::new(FleetOptions { server, clients, prefix: "t-".to_owned(), credential: None }).unwrap()
}

fn order(operation: Operation) -> Order {
    Order { operation, seconds: None, window: 8, rate: None, first: 0, count: None }
}

fn once(fleet: &mut Fleet, operation: Operation) -> Report {
    fleet.carry_out(&order(operation))
}

#[test]
fn every_client_registers_and_sends_once() {
    let mut fleet = fleet(server(|message| vec![right(message)]), 100);

    let registered = once(&mut fleet, Operation::Register);
    let sent = once(&mut fleet, Operation::Send);

    assert_eq!((registered.operations, registered.errors.len()), (100, 0));
    assert_eq!((sent.operations, sent.errors.len(), sent.strays), (100, 0, 0));
}

#[test]
fn an_order_may_be_for_some_clients_only() {
    let mut fleet = fleet(server(|message| vec![right(message)]), 10);

    let some = fleet.carry_out(&Order { first: 3, count: Some(4), ..order(Operation::Register) });

    assert_eq!((some.operations, once(&mut fleet, Operation::Send).operations), (4, 4));
}

#[test]
fn another_code_is_an_error_of_that_kind() {
    let mut fleet = fleet(
        server(|message| match message.path().eq([b"rd"]) {
            true => vec![right(message)],
            false => {
                vec![reply(message, Kind::Acknowledgement, Code::SERVICE_UNAVAILABLE, message.id, message.token)]
            }
        }),
        10,
    );
    once(&mut fleet, Operation::Register);

    let report = once(&mut fleet, Operation::Send);

    assert_eq!((report.operations, report.errors.get("5.03")), (0, Some(&10)));
}

#[test]
fn an_answer_to_another_request_is_no_answer() {
    let wrong = Token::new(b"wrong").unwrap();
    let mut fleet = fleet(
        server(move |message| {
            let foreign = reply(message, Kind::Acknowledgement, Code::CREATED, message.id, wrong);
            let late = reply(message, Kind::Acknowledgement, Code::CREATED, message.id ^ 1, message.token);
            vec![foreign, late, right(message), right(message)]
        }),
        10,
    );

    let report = once(&mut fleet, Operation::Register);

    assert_eq!((report.operations, report.errors.len()), (10, 0));
    assert!(report.strays >= 20, "{}", report.strays);
}

#[test]
fn an_answer_may_follow_its_acknowledgement() {
    let mut fleet = fleet(
        server(|message| match message.kind {
            Kind::Confirmable => vec![
                Message::acknowledgement(message.id).to_vec(),
                reply(message, Kind::Confirmable, Code::CREATED, 7, message.token),
            ],
            _ => Vec::new(),
        }),
        10,
    );

    assert_eq!(once(&mut fleet, Operation::Register).operations, 10);
}

#[test]
fn what_is_lost_is_sent_again_and_its_latency_counts_from_the_first_time() {
    let mut lost = 0;
    let mut fleet = fleet(
        server(move |message| {
            lost += 1;
            if lost == 1 { Vec::new() } else { vec![right(message)] }
        }),
        3,
    );

    let report = once(&mut fleet, Operation::Register);

    assert_eq!((report.operations, report.repetitions), (3, 1));
    assert!(report.latency_us.max >= 2_000_000.0);
}

#[test]
fn nobody_can_send_before_it_is_registered() {
    let mut fleet = fleet(server(|message| vec![right(message)]), 3);

    let report = once(&mut fleet, Operation::Send);

    assert_eq!((report.operations, report.errors.len()), (0, 1));
}

#[test]
fn a_server_that_stalls_is_not_forgiven_what_was_due_meanwhile() {
    let mut seen = 0;
    let mut fleet = fleet(
        server(move |message| {
            seen += 1;
            if seen == 20 {
                std::thread::sleep(Duration::from_millis(300));
            }
            vec![right(message)]
        }),
        2,
    );
    let report = fleet.carry_out(&Order { seconds: Some(1.0), rate: Some(200.0), ..order(Operation::Register) });

    // Two clients could ask nothing while the server slept: sixty operations were due in that time, and all are late.
    assert!(report.operations >= 150, "{}", report.operations);
    assert!(report.latency_us.p90 > 100_000.0, "{:?}", report.latency_us);
}
