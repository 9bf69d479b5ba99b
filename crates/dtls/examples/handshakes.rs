//! How many handshakes a server's processor makes in a second, both ends in this thread and only the server's calls
//! counted. Linux only: it asks the system for the processor time of the thread.
//!
//! ```text
//! cargo run --release -p dtls --example handshakes
//! ```

// An example has the world that the crate must not have. A broken arrangement should stop it where it broke.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/world/mod.rs"]
mod world;

use std::time::Duration;

use dtls::{Client, ClientOptions, Hello, Server, ServerOptions, Session, Suite, Ticket, Trust, is_client_hello};
use world::{CID, HOME, IDENTITY, KEY, OneKeyAndTrust, anchors, certificate, key, year};

const HANDSHAKES: u32 = 200;

fn main() {
    let mut server = Server::new(&ServerOptions::default()).unwrap();
    server.set_certificate(Some(&certificate("server"))).unwrap();
    for suite in [Suite::PskAes128Ccm8, Suite::EcdheEcdsaAes128Ccm8] {
        let options = ClientOptions { suites: vec![suite], ..ClientOptions::default() };
        let client = match suite.has_certificates() {
            true => Client::with_certificate(&certificate("device"), Some("lwm2m.example"), &options),
            false => Client::new(IDENTITY, &key(KEY), &options),
        };
        let client = client.unwrap();
        let (_, ticket) = handshake(&client, &server, None);
        for (kind, ticket) in [("in full", None), ("resumed", ticket.as_ref())] {
            let busy: Duration = (0..HANDSHAKES).map(|_| handshake(&client, &server, ticket).0).sum();
            let each = busy / HANDSHAKES;
            println!("{} {kind}: {each:?} of the server, {:.0} /s", suite.name(), each.as_secs_f64().recip());
        }
    }
}

/// The time the server needed, and what the client can go on from if it got something new.
fn handshake(client: &Client, server: &Server, ticket: Option<&Ticket>) -> (Duration, Option<Ticket>) {
    let (of_devices, of_servers) = (anchors(&["anchor"]), anchors(&["anchor of servers"]));
    let mut keys = OneKeyAndTrust { key: KEY, trust: Trust { anchors: &of_devices, unix_s: year(2031) } };
    let mut trust = Trust { anchors: &of_servers, unix_s: year(2031) };
    let (mut up, mut down, mut busy) = (Vec::new(), Vec::new(), Duration::ZERO);
    let mut device = match ticket {
        Some(ticket) => client.resume(0, ticket, &trust, &mut up).unwrap(),
        None => client.connect(0, &mut up).unwrap(),
    };
    let mut gateway: Option<Session> = None;
    while !up.is_empty() || !down.is_empty() {
        for datagram in std::mem::take(&mut up) {
            let began = processor_time();
            if is_client_hello(&datagram) && gateway.is_none() {
                let mut answer = Vec::new();
                match server.handle_hello(0, HOME, &datagram, &mut answer) {
                    Hello::Verified => gateway = Some(server.accept(0, CID.0).unwrap()),
                    _ => down.push(answer),
                }
            }
            if let Some(session) = &mut gateway {
                session.handle_datagram(0, &datagram, &mut keys, &mut |_| {}, &mut down).unwrap();
            }
            busy += processor_time() - began;
        }
        for datagram in std::mem::take(&mut down) {
            device.handle_datagram(0, &datagram, &mut trust, &mut |_| {}, &mut up).unwrap();
        }
    }
    assert!(device.is_established() && device.is_resumed() == ticket.is_some());
    (busy, device.ticket(0))
}

/// What this thread has used so far.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}
