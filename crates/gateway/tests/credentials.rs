//! Stories of a client of our own hand over DTLS: what its credential says for it, and what it is told because of it.
#![allow(clippy::unwrap_used)]

mod world;

use std::net::SocketAddr;

use coap::message::Message;
use coap::{Code, MessageBuilder, option};
use dtls::{Client, ClientOptions, NoKeys, Session};
use world::*;
use zeroize::Zeroizing;

struct Secure {
    world: World,
    session: Session,
    from: SocketAddr,
}

impl Secure {
    /// Device 1 is known, and shook hands.
    fn shaken() -> Self {
        let mut world = World::new(options());
        world.put(&secure_entry(1));
        let mut flight = Vec::new();
        let client = Client::new(b"id1", &Zeroizing::new(KEY.to_vec()), &ClientOptions::default()).unwrap();
        let session = client.connect(0, &mut flight).unwrap();
        let mut secure = Self { world, session, from: address(30) };
        secure.exchange(flight);
        assert!(secure.session.is_established());
        secure
    }

    /// Sends datagrams, and takes what comes back until both are silent: the messages in it.
    fn exchange(&mut self, mut flight: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while !flight.is_empty() {
            for datagram in std::mem::take(&mut flight) {
                self.world.inject(SECURE, self.from, &datagram);
            }
            self.world.run(std::time::Duration::from_millis(10));
            for datagram in self.world.inbox.remove(&self.from).unwrap_or_default() {
                let mut take = |plaintext: &[u8]| messages.push(plaintext.to_vec());
                self.session.handle_datagram(0, &datagram, &mut NoKeys, &mut take, &mut flight).unwrap();
            }
        }
        messages
    }

    fn say(&mut self, message: &MessageBuilder<'_>) -> Vec<u8> {
        let mut flight = Vec::new();
        self.session.send(&message.to_bytes(), &mut flight).unwrap();
        self.exchange(flight).remove(0)
    }
}

#[test]
fn a_client_that_does_not_say_its_name_has_that_of_its_credential() {
    let mut secure = Secure::shaken();
    let register = ["lt=300", "lwm2m=1.1", "b=U"]
        .iter()
        .fold(message(Code::POST, 1).path("/rd"), |message, query| message.query(query))
        .content_format(coap::content_format::LINK_FORMAT)
        .payload(&b"</3/0>"[..]);

    let answer = secure.say(&register);

    assert!(location_of(&answer).starts_with("/rd/"));
    let registered = secure.world.events_of("registered");
    assert_eq!((registered[0]["device"].as_str(), registered[0]["endpoint"].as_str()), (Some("d1"), Some("urn:dev:1")));
}

#[test]
fn whoever_proved_who_it_is_is_told_what_is_wrong_however_short_its_question_was() {
    let mut secure = Secure::shaken();

    let unknown = secure.say(&message(Code::GET, 2).path("/x"));
    let odd = secure.say(&message(Code::GET, 3).path("/rd").option(9, &b"?"[..]));
    let proxied = secure.say(&message(Code::GET, 4).option(option::PROXY_URI, &b"coap://elsewhere/"[..]));

    let told = |answer: &[u8]| {
        let answer = Message::parse(answer).unwrap();
        (answer.code, String::from_utf8(answer.payload.to_vec()).unwrap())
    };
    assert_eq!(told(&unknown), (Code::NOT_FOUND, "no such resource".to_owned()));
    assert_eq!(told(&odd), (Code::BAD_OPTION, "critical option not understood".to_owned()));
    assert_eq!(told(&proxied), (Code::PROXYING_NOT_SUPPORTED, "this is no proxy".to_owned()));
    let reasons: Vec<_> = secure.world.events_of("refused").iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(reasons, ["path_unknown", "option_unknown", "proxy_wanted"]);
}

#[test]
fn a_registration_that_is_over_is_no_more_and_the_device_is_told_so() {
    let mut secure = Secure::shaken();

    let update = secure.say(&message(Code::POST, 2).path("/rd/0123456789abcdef"));
    let send = message(Code::POST, 3).path("/dp").content_format(110).payload(&b"[]"[..]);
    let send = secure.say(&send);

    for answer in [&update, &send] {
        assert_eq!(Message::parse(answer).unwrap().code, Code::NOT_FOUND);
    }
    let told: Vec<_> = secure.world.events_of("refused").iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(told, ["registration_unknown", "unregistered"]);
}
