//! What our own code reads before there is a session: hellos, cookies and connection ids. What the vectors are:
//! `vectors/dtls/README.md`.

// A broken arrangement should stop the test where it broke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dtls::{ConnectionId, Hello, HelloRefused, Server, ServerOptions, is_client_hello};
use serde::{Deserialize, de::DeserializeOwned};

const PEER: &[u8] = b"192.0.2.1:5684";

/// Where a hello without a session id holds the length of its cookie: record header, message header, version, random
/// number, length of the session id.
const COOKIE_OFFSET: usize = 13 + 12 + 2 + 32 + 1;

#[derive(Deserialize)]
struct HelloVector {
    name: String,
    datagram: String,
    judged: String,
    /// The HelloVerifyRequest up to its cookie.
    answer: Option<String>,
}

#[test]
fn every_hello_is_judged_as_it_should_be_and_answered_without_memory() {
    let server = Server::new(&ServerOptions::default()).unwrap();
    for vector in read::<HelloVector>("hellos.json") {
        let (name, datagram, mut answer) = (&vector.name, unhex(&vector.datagram), Vec::new());

        let judged = server.handle_hello(0, PEER, &datagram, &mut answer);

        assert_eq!(word(judged), vector.judged, "{name}");
        assert_eq!(is_client_hello(&datagram), vector.judged != "not_hello", "{name}");
        match vector.answer {
            Some(expected) => {
                let (before_cookie, cookie) = answer.split_at(answer.len() - 17);
                assert_eq!(hex(before_cookie), expected, "{name}");
                assert!(answer.len() < datagram.len(), "{name}: worth no more than it costs");
                assert_eq!(cookie[0], 0, "{name}: the first minute");
            }
            None => assert!(answer.is_empty(), "{name}"),
        }
    }
}

#[test]
fn every_hello_that_got_a_cookie_and_returns_it_is_verified() {
    let server = Server::new(&ServerOptions::default()).unwrap();
    let hellos = read::<HelloVector>("hellos.json");
    for vector in hellos.iter().filter(|vector| vector.judged == "send_cookie") {
        let (hello, mut answer) = (unhex(&vector.datagram), Vec::new());
        let _ = server.handle_hello(0, PEER, &hello, &mut answer);
        let returned = with_cookie(&hello, &answer[answer.len() - 17..]);

        assert_eq!(server.handle_hello(1_000, PEER, &returned, &mut answer), Hello::Verified, "{}", vector.name);
        assert!(answer.is_empty(), "{}", vector.name);
        let elsewhere = server.handle_hello(1_000, b"192.0.2.2:5684", &returned, &mut answer);
        assert_eq!(elsewhere, Hello::SendCookie, "{}", vector.name);
        assert_eq!(server.handle_hello(120_000, PEER, &returned, &mut answer), Hello::SendCookie, "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct IdVector {
    name: String,
    datagram: String,
    cid: Option<String>,
    node: Option<u16>,
    shard: Option<u8>,
}

#[test]
fn connection_ids_are_found_and_say_their_node_and_shard() {
    for vector in read::<IdVector>("connection_ids.json") {
        let found = ConnectionId::of_record(&unhex(&vector.datagram));

        assert_eq!(found.map(|id| hex(&id.0)), vector.cid, "{}", vector.name);
        assert_eq!(found.map(ConnectionId::node), vector.node, "{}", vector.name);
        assert_eq!(found.map(ConnectionId::shard), vector.shard, "{}", vector.name);
    }
}

/// The hello as its client sends it again, with this cookie in place of the one it had.
fn with_cookie(hello: &[u8], cookie: &[u8]) -> Vec<u8> {
    let had = usize::from(hello[COOKIE_OFFSET]);
    let mut returned = hello[..COOKIE_OFFSET].to_vec();
    returned.push(cookie.len() as u8);
    returned.extend_from_slice(cookie);
    returned.extend_from_slice(&hello[COOKIE_OFFSET + 1 + had..]);
    let grown = cookie.len() - had;
    for at in [11, 15, 23] {
        let length = usize::from(u16::from_be_bytes([returned[at], returned[at + 1]])) + grown;
        returned[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    }
    returned
}

fn word(judged: Hello) -> &'static str {
    match judged {
        Hello::Verified => "verified",
        Hello::SendCookie => "send_cookie",
        Hello::Drop(HelloRefused::NotHello) => "not_hello",
        Hello::Drop(HelloRefused::Truncated) => "truncated",
        Hello::Drop(HelloRefused::NotFirstFragment) => "not_first_fragment",
        Hello::Drop(_) => "unnamed",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn read<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/dtls").join(file);
    let vectors: Vec<T> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!vectors.is_empty(), "{file}");
    vectors
}
