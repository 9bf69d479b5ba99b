//! Handshakes count when they are what was asked for: in full, or going on from an earlier session.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dtls::{
    ConnectionId, Hello, Keys, OwnCertificate, Server, ServerOptions, Session, Trust, TrustAnchors, is_client_hello,
};
use load::{Certificates, Credential, Fleet, FleetOptions, Operation, Order};
use zeroize::Zeroizing;

const KEY: &[u8] = b"sixteen byte key";

struct Known {
    anchors: TrustAnchors,
}

impl Keys for Known {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        identity.starts_with(b"t-").then(|| KEY.to_vec().into())
    }

    fn trust(&self) -> Trust<'_> {
        // The first days of 2031.
        Trust { anchors: &self.anchors, unix_s: 1_925_000_000 }
    }
}

fn unhex(text: &serde_json::Value) -> Vec<u8> {
    load::bytes(text.as_str().unwrap()).unwrap()
}

/// A certificate of `vectors/dtls/certificates.json`.
fn certificate(name: &str) -> OwnCertificate {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/dtls/certificates.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let found = all.iter().find(|vector| vector["name"] == name).unwrap();
    let chain = found["chain"].as_array().unwrap().iter().map(unhex).collect();
    OwnCertificate { chain, key: unhex(&found["key"]).into() }
}

/// A server that shakes hands and does nothing else; it forgets everything whenever it is told to.
fn server(forgets: Arc<AtomicBool>) -> SocketAddrV4 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(address) = socket.local_addr().unwrap() else { unreachable!() };
    let made = || {
        let mut server = Server::new(&ServerOptions::default()).unwrap();
        server.set_certificate(Some(&certificate("server"))).unwrap();
        server
    };
    std::thread::spawn(move || {
        let mut known = Known { anchors: TrustAnchors::new() };
        known.anchors.put(&certificate("anchor").chain[0]).unwrap();
        let (mut server, mut sessions) = (made(), HashMap::<SocketAddr, Session>::new());
        let (mut room, mut count) = ([0; 2_048], 0_u8);
        while let Ok((length, from)) = socket.recv_from(&mut room) {
            if forgets.swap(false, Ordering::Relaxed) {
                server = made();
            }
            let (datagram, mut out) = (&room[..length], Vec::new());
            let is_new = !sessions.get(&from).is_some_and(|session| session.began_with(datagram));
            if is_client_hello(datagram) && is_new {
                let mut answer = Vec::new();
                match server.handle_hello(0, from.to_string().as_bytes(), datagram, &mut answer) {
                    Hello::Verified => {
                        count += 1;
                        let id = ConnectionId::new(0, 0, [0, 0, 0, 0, count]);
                        sessions.insert(from, server.accept(0, id.0).unwrap());
                    }
                    _ => out.push(answer),
                }
            }
            if let Some(session) = sessions.get_mut(&from).filter(|_| out.is_empty()) {
                session.handle_datagram(0, datagram, &mut known, &mut |_| {}, &mut out).unwrap();
            }
            out.iter().for_each(|datagram| drop(socket.send_to(datagram, from)));
        }
    });
    address
}

fn certificates() -> Credential {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let device = certificate("device");
    let devices = vec![(hex(&device.chain[0]), hex(&device.key)); 3];
    let authority = hex(&certificate("anchor of servers").chain[0]);
    let text = serde_json::json!({ "authority": authority, "devices": devices }).to_string();
    Credential::Certificates(Box::new(Certificates::parse(&text).unwrap()))
}

#[test]
fn clients_shake_hands_in_full_and_go_on_and_a_full_handshake_is_not_taken_for_the_other() {
    for credential in [Credential::Key(KEY.to_vec().into()), certificates()] {
        let forgets = Arc::new(AtomicBool::new(false));
        let server = server(Arc::clone(&forgets));
        let options = FleetOptions { server, clients: 3, prefix: "t-".to_owned(), credential: Some(credential) };
        let mut fleet = Fleet::new(options).unwrap();
        let mut once = |operation| {
            fleet.carry_out(&Order { operation, seconds: None, window: 8, rate: None, first: 0, count: None })
        };

        assert_eq!(once(Operation::Resume).errors.len(), 1, "there is nothing to go on from");
        assert_eq!((once(Operation::Handshake).operations, once(Operation::Resume).operations), (3, 3));
        forgets.store(true, Ordering::Relaxed);
        let report = once(Operation::Resume);
        assert_eq!((report.operations, report.errors.get("a full handshake")), (0, Some(&3)));
    }
}

#[test]
fn what_is_no_list_of_certificates_is_refused() {
    for text in ["", "{}", r#"{"authority": "zz", "devices": []}"#, r#"{"authority": "00", "devices": []}"#] {
        assert!(Certificates::parse(text).is_err(), "{text}");
    }
}
