//! Stories of enrolment over CoAP (EST-coaps): questions go out with who asks, answers come back whole or in blocks.
#![allow(clippy::unwrap_used)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use coap::blockwise::Block;
use coap::message::{Kind, Message};
use coap::{Code, MessageBuilder};
use dtls::{Client, ClientOptions, NoKeys, Session};
use gateway::est::{ATTRIBUTES, CERTIFICATE, CERTIFICATES, Enrolment, REQUEST};
use gateway::limits::{ENROLMENT_BYTES_MAX, ENROLMENTS_MAX};
use gateway::{DeviceEntry, EnrolmentAnswer, EnrolmentRequest, GatewayOptions};
use world::*;
use zeroize::Zeroizing;

struct Enrolling {
    world: World,
    session: Session,
    from: SocketAddr,
}

impl Enrolling {
    /// Device 1 shook hands, and did not register.
    fn shaken() -> Self {
        Self::joining(World::new(GatewayOptions { enrolment: true, ..options() }), 1)
    }

    fn joining(mut world: World, number: u8) -> Self {
        world.put(&secure_entry(number));
        let mut flight = Vec::new();
        let identity = format!("id{number}");
        let key = Zeroizing::new(KEY.to_vec());
        let client = Client::new(identity.as_bytes(), &key, &ClientOptions::default()).unwrap();
        let session = client.connect(0, &mut flight).unwrap();
        let mut joined = Self { world, session, from: address(100 + number) };
        joined.exchange(flight);
        assert!(joined.session.is_established());
        joined
    }

    fn exchange(&mut self, mut flight: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            for datagram in std::mem::take(&mut flight) {
                self.world.inject(SECURE, self.from, &datagram);
            }
            self.world.run(Duration::from_millis(10));
            let arrived = self.world.inbox.remove(&self.from).unwrap_or_default();
            if arrived.is_empty() {
                return messages;
            }
            for datagram in arrived {
                let mut take = |plaintext: &[u8]| messages.push(plaintext.to_vec());
                self.session.handle_datagram(0, &datagram, &mut NoKeys, &mut take, &mut flight).unwrap();
            }
        }
    }

    fn say(&mut self, message: &MessageBuilder<'_>) -> Vec<Vec<u8>> {
        let mut flight = Vec::new();
        self.session.send(&message.to_bytes(), &mut flight).unwrap();
        self.exchange(flight)
    }

    fn question(&mut self) -> Option<EnrolmentRequest> {
        self.world.gateway.poll_enrolment()
    }

    fn answer(&mut self, ticket: u64, refusal: Option<Code>, body: &[u8]) -> Vec<Vec<u8>> {
        let now = self.world.now();
        self.world.gateway.answer_enrolment(now, EnrolmentAnswer { ticket, refusal, body: body.to_vec() });
        self.exchange(Vec::new())
    }

    /// Acknowledges what came on its own, so that it does not come again.
    fn acknowledge(&mut self, message: &[u8]) {
        let mut flight = Vec::new();
        let id = Message::parse(message).unwrap().id;
        self.session.send(&Message::acknowledgement(id), &mut flight).unwrap();
        self.exchange(flight);
    }

    fn refusals(&self) -> Vec<String> {
        self.world.events_of("refused").iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }
}

fn enrol(id: u16) -> MessageBuilder<'static> {
    message(Code::POST, id).path("/.well-known/est/sen").content_format(REQUEST).payload(&b"a request"[..])
}

#[test]
fn a_question_that_takes_long_is_acknowledged_and_its_answer_follows_on_its_own() {
    let mut device = Enrolling::shaken();

    let at_once = device.say(&enrol(1));
    device.world.run(Duration::from_secs(2));
    let acknowledged = device.exchange(Vec::new());
    let asked = device.question().unwrap();
    let answered = device.answer(asked.ticket, None, b"certificates");

    device.acknowledge(&answered[0]);
    device.world.run(Duration::from_secs(60));

    assert!(at_once.is_empty());
    assert_eq!(acknowledged, [Message::acknowledgement(1)]);
    assert!(device.exchange(Vec::new()).is_empty(), "an acknowledged answer is not repeated");
    assert_eq!((asked.device.as_str(), asked.operation, asked.format), ("d1", Enrolment::Enrol, CERTIFICATES));
    assert_eq!(asked.body, b"a request");
    let said = Message::parse(&answered[0]).unwrap();
    assert_eq!((said.kind, said.code, said.payload), (Kind::Confirmable, Code::CHANGED, &b"certificates"[..]));
    assert_eq!(
        (said.content_format(), said.token),
        (Some(CERTIFICATES), Message::parse(&enrol(1).to_bytes()).unwrap().token)
    );
    assert!(device.question().is_none());
}

#[test]
fn a_question_that_is_answered_soon_is_answered_in_its_acknowledgement_and_so_is_its_copy() {
    let mut device = Enrolling::shaken();
    device.say(&enrol(1));
    assert!(device.say(&enrol(1)).is_empty(), "a copy waits, too");
    let asked = device.question().unwrap();

    let answered = device.answer(asked.ticket, None, b"certificates").remove(0);
    let again = device.say(&enrol(1)).remove(0);
    device.world.run(Duration::from_secs(5));

    let said = Message::parse(&answered).unwrap();
    assert_eq!((said.kind, said.id, said.code), (Kind::Acknowledgement, 1, Code::CHANGED));
    assert_eq!(again, answered);
    assert!(device.exchange(Vec::new()).is_empty());
}

#[test]
fn each_resource_has_its_method_and_its_format_under_both_names() {
    for (method, path, operation, accept, format) in [
        (Code::GET, "/est/crts", Enrolment::Authorities, None, CERTIFICATES),
        (Code::GET, "/.well-known/est/att", Enrolment::Attributes, None, ATTRIBUTES),
        (Code::POST, "/est/sren", Enrolment::Renew, Some(CERTIFICATE), CERTIFICATE),
        (Code::POST, "/.well-known/est/sen", Enrolment::Enrol, Some(CERTIFICATES), CERTIFICATES),
    ] {
        let mut device = Enrolling::shaken();
        let mut asking = message(method, 1).path(path);
        if method == Code::POST {
            asking = asking.content_format(REQUEST);
        }
        if let Some(accept) = accept {
            asking = asking.accept(accept);
        }
        device.say(&asking.payload(if method == Code::POST { &b"x"[..] } else { &b""[..] }));

        let asked = device.question().unwrap();
        assert_eq!((asked.operation, asked.format), (operation, format), "{path}");
        let answered = device.answer(asked.ticket, None, b"y");
        let code = if method == Code::GET { Code::CONTENT } else { Code::CHANGED };
        assert_eq!(Message::parse(&answered[0]).unwrap().code, code, "{path}");
    }
}

#[test]
fn a_long_request_and_a_long_answer_go_in_blocks() {
    let mut device = Enrolling::shaken();
    let request: Vec<u8> = (0..600_u32).map(|at| at as u8).collect();
    let answer: Vec<u8> = (0..1_500_u32).map(|at| (at / 7) as u8).collect();
    let block = |num: u16, more| Block { num: u32::from(num), more, szx: 4 };
    for num in 0..2_u16 {
        let part = request[usize::from(num) * 256..][..256].to_vec();
        let told = device.say(
            &message(Code::POST, 1 + num)
                .path("/est/sen")
                .content_format(REQUEST)
                .block1(block(num, true))
                .payload(part),
        );
        assert_eq!(Message::parse(&told[0]).unwrap().code, Code::CONTINUE);
    }
    device.say(
        &message(Code::POST, 3)
            .path("/est/sen")
            .content_format(REQUEST)
            .block2(block(0, false))
            .block1(block(2, false))
            .payload(request[512..].to_vec()),
    );
    let asked = device.question().unwrap();
    assert_eq!(asked.body, request);
    let first = device.answer(asked.ticket, None, &answer).remove(0);
    let said = Message::parse(&first).unwrap();
    assert_eq!((said.block1().unwrap().num, said.block2().unwrap(), said.payload.len()), (2, block(0, true), 256));

    let mut whole = said.payload.to_vec();
    for num in 1..6_u16 {
        let told = device.say(&message(Code::POST, 10 + num).path("/est/sen").block2(block(num, false))).remove(0);
        let part = Message::parse(&told).unwrap();
        assert_eq!((part.code, part.content_format()), (Code::CHANGED, Some(CERTIFICATES)));
        whole.extend_from_slice(part.payload);
    }

    assert_eq!(whole, answer);
    let beyond = device.say(&message(Code::POST, 20).path("/est/sen").block2(block(6, false))).remove(0);
    assert_eq!(Message::parse(&beyond).unwrap().code, Code::BAD_REQUEST);
    let other = device.say(&message(Code::POST, 21).path("/est/sren").block2(block(1, false))).remove(0);
    assert_eq!(Message::parse(&other).unwrap().code, Code::REQUEST_ENTITY_INCOMPLETE);
    assert!(device.question().is_none());
}

#[test]
fn a_refusal_is_said_with_its_words_counted_and_told() {
    let mut device = Enrolling::shaken();
    device.say(&enrol(1));
    let asked = device.question().unwrap();

    let answered = device.answer(asked.ticket, Some(Code::BAD_REQUEST), b"subject: not yours");

    let said = Message::parse(&answered[0]).unwrap();
    assert_eq!((said.code, said.payload), (Code::BAD_REQUEST, &b"subject: not yours"[..]));
    assert_eq!(device.refusals(), ["not_enrolled"]);
}

#[test]
fn whoever_lost_patience_gets_the_one_answer_under_the_newest_question() {
    let mut device = Enrolling::shaken();
    device.say(&enrol(1));
    device.world.run(Duration::from_secs(2));
    let again = device.say(&enrol(1));
    let anew = device.say(&message(Code::POST, 7).path("/est/sen").content_format(REQUEST).payload(&b"a request"[..]));
    let asked = device.question().unwrap();

    let answered = device.answer(asked.ticket, None, b"certificates");

    assert_eq!(again, [Message::acknowledgement(1), Message::acknowledgement(1)], "when it was slow, and to the copy");
    assert!(anew.is_empty());
    assert_eq!(Message::parse(&answered[0]).unwrap().id, 7);
    assert!(device.question().is_none());
    assert_eq!(answered.len(), 1);
    assert!(device.answer(asked.ticket, None, b"once more").is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let mut device = Enrolling::shaken();
    let long = vec![0_u8; ENROLMENT_BYTES_MAX / 4];
    for (asking, code) in [
        (message(Code::GET, 1).path("/est/sen"), Code::METHOD_NOT_ALLOWED),
        (message(Code::POST, 2).path("/est/crts"), Code::METHOD_NOT_ALLOWED),
        (message(Code::POST, 3).path("/est/skg").content_format(REQUEST), Code::NOT_FOUND),
        (message(Code::GET, 4).path("/est"), Code::NOT_FOUND),
        (message(Code::GET, 5).path("/.well-known/core"), Code::NOT_FOUND),
        (message(Code::GET, 6).path("/est/crts/x"), Code::NOT_FOUND),
        (
            message(Code::POST, 7).path("/est/sen").content_format(0).payload(&b"x"[..]),
            Code::UNSUPPORTED_CONTENT_FORMAT,
        ),
        (message(Code::POST, 8).path("/est/sen").payload(&b"x"[..]), Code::UNSUPPORTED_CONTENT_FORMAT),
        (enrol(9).accept(0), Code::NOT_ACCEPTABLE),
        (message(Code::GET, 10).path("/est/crts").accept(CERTIFICATE), Code::NOT_ACCEPTABLE),
    ] {
        let told = device.say(&asking).remove(0);
        assert_eq!(Message::parse(&told).unwrap().code, code, "{asking:?}");
    }
    let mut last = Vec::new();
    for num in 0..5_u16 {
        let block = Block { num: u32::from(num), more: num < 4, szx: 6 };
        let part = message(Code::POST, 20 + num).path("/est/sen").content_format(REQUEST).block1(block);
        last = device.say(&part.payload(long.clone())).remove(0);
    }
    assert_eq!(Message::parse(&last).unwrap().code, Code::REQUEST_ENTITY_TOO_LARGE);
    assert!(device.question().is_none());
}

#[test]
fn a_device_that_waits_for_approval_says_where_it_is_and_gets_neither_registration_nor_certificate() {
    let mut device = Enrolling::shaken();
    device.world.put(&DeviceEntry { is_waiting: true, ..secure_entry(1) });

    let refused = device.say(&register(1, "urn:dev:1").query("enclosure=enc-1")).remove(0);
    let unsigned = device.say(&enrol(2)).remove(0);
    let unread = device.say(&message(Code::POST, 3).path("/dp").content_format(112).payload(&b"\x80"[..])).remove(0);

    let codes = [refused, unsigned, unread].map(|told| Message::parse(&told).unwrap().code);
    assert_eq!(codes, [Code::FORBIDDEN, Code::FORBIDDEN, Code::NOT_FOUND]);
    assert_eq!(device.refusals(), ["not_approved", "not_approved", "unregistered"]);
    let told = &device.world.events_of("refused")[0];
    assert_eq!((&told["operation"], &told["claim"]["enclosure"]), (&"register".into(), &"enc-1".into()));
    assert!(device.question().is_none());

    device.world.put(&secure_entry(1));
    let registered = device.say(&register(4, "urn:dev:1")).remove(0);
    assert_eq!(Message::parse(&registered).unwrap().code, Code::CREATED, "in the session that it has");
}

#[test]
fn nobody_enrols_in_the_clear() {
    let mut world = World::new(GatewayOptions { enrolment: true, ..options() });
    world.put(&entry(1));

    let told = world.say(address(50), enrol(1)).unwrap();

    assert_eq!(Message::parse(&told).unwrap().code, Code::UNAUTHORIZED);
    assert!(world.gateway.poll_enrolment().is_none());
}

#[test]
fn where_nobody_signs_there_is_no_such_resource() {
    let mut device = Enrolling::joining(World::new(options()), 1);

    let told = device.say(&enrol(1)).remove(0);

    assert_eq!(Message::parse(&told).unwrap().code, Code::NOT_FOUND);
}

#[test]
fn there_is_an_end_to_how_many_are_under_way_and_room_again_when_they_are_over() {
    let mut world = World::new(GatewayOptions { enrolment: true, ..options() });
    let mut tickets = Vec::new();
    for number in 1..=ENROLMENTS_MAX as u8 {
        let mut device = Enrolling::joining(world, number);
        device.say(&enrol(1));
        tickets.push(device.question().unwrap().ticket);
        world = device.world;
    }
    let mut late = Enrolling::joining(world, ENROLMENTS_MAX as u8 + 1);

    let told = late.say(&enrol(1)).remove(0);

    assert_eq!(Message::parse(&told).unwrap().code, Code::SERVICE_UNAVAILABLE);
    let now = late.world.now();
    late.world.gateway.answer_enrolment(now, EnrolmentAnswer { ticket: tickets[0], refusal: None, body: vec![1] });
    late.say(&enrol(2));
    assert!(late.question().is_some());
}
