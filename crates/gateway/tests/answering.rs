//! Stories of single messages: what exactly we ask, and what becomes of every kind of answer.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use coap::content_format::{JSON_OLD, LWM2M_CBOR, SENML_JSON, TLV};
use coap::message::Message;
use coap::{Code, MessageBuilder};
use gateway::{Operation, Outcome, Request};
use world::*;

const SECOND: Duration = Duration::from_secs(1);

/// A client of our own hand, registered in the clear, that answers what it is asked.
struct ByHand {
    world: World,
    from: std::net::SocketAddr,
}

impl ByHand {
    fn register(version: &str, links: &str) -> Self {
        let mut world = World::new(options());
        world.put(&entry(1));
        let from = address(9);
        let register = ["ep=urn:dev:1", "b=U"]
            .into_iter()
            .chain((!version.is_empty()).then_some(version))
            .fold(message(Code::POST, 1).path("/rd"), |message, query| {
                message.option(coap::option::URI_QUERY, query.as_bytes().to_vec())
            })
            .content_format(coap::content_format::LINK_FORMAT)
            .payload(links.as_bytes().to_vec());
        assert_eq!(code_of(world.say(from, register).as_deref()), Some(Code::CREATED));
        world.inbox.clear();
        Self { world, from }
    }

    /// The request that reached the client.
    fn asked(&mut self) -> Vec<u8> {
        self.world.inbox.remove(&self.from).unwrap().remove(0)
    }

    fn answer(&mut self, asked: &[u8], code: Code, format: Option<u16>, payload: &[u8]) {
        let request = Message::parse(asked).unwrap();
        let mut answer = MessageBuilder::answer(&request, code, 0);
        if let Some(format) = format {
            answer = answer.content_format(format);
        }
        self.world.inject(CLEAR, self.from, &answer.payload(payload.to_vec()).to_bytes());
    }
}

#[test]
fn a_client_of_1_0_is_spoken_to_in_tlv() {
    let mut client = ByHand::register("lwm2m=1.0", "</3/0>");

    client.world.submit(request(1, Operation::Read, "/3/0/9"));
    let asked = client.asked();
    assert_eq!(Message::parse(&asked).unwrap().accept(), Some(TLV));
    client.answer(&asked, Code::CONTENT, Some(TLV), &[0xc1, 9, 64]);

    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    client.world.run(SECOND);
    assert_eq!(client.world.readings("read"), ["/3/0/9=64"]);
}

#[test]
fn a_format_that_the_device_refuses_is_left_and_remembered_once_another_serves() {
    let mut client = ByHand::register("lwm2m=1.1", "</3/0>");

    client.world.submit(request(1, Operation::Read, "/3/0/9"));
    let first = client.asked();
    client.answer(&first, Code::NOT_ACCEPTABLE, None, b"");
    let second = client.asked();
    assert_eq!(Message::parse(&second).unwrap().accept(), Some(SENML_JSON));
    client.answer(&second, Code::CONTENT, Some(SENML_JSON), br#"[{"bn":"/3/0/","n":"9","v":64}]"#);
    client.world.submit(request(2, Operation::Read, "/3/0/9"));
    let third = client.asked();

    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    assert_eq!(Message::parse(&third).unwrap().accept(), Some(SENML_JSON), "remembered");
}

#[test]
fn a_client_of_1_2_that_has_lwm2m_cbor_is_spoken_to_in_it() {
    let mut client = ByHand::register("lwm2m=1.2", "</>;ct=\"110 112 11542 11544\",</3/0>,</3303/0>");

    client.world.submit(request(1, Operation::Read, "/3303/0"));
    let asked = client.asked();
    assert_eq!(Message::parse(&asked).unwrap().accept(), Some(LWM2M_CBOR));
    // {[3303, 0]: {5700: 9.5, 5701: "Cel"}}
    let payload = b"\xa1\x82\x19\x0c\xe7\x00\xa2\x19\x16\x44\xf9\x48\xc0\x19\x16\x45\x63Cel";
    client.answer(&asked, Code::CONTENT, Some(LWM2M_CBOR), payload);

    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    client.world.run(SECOND);
    assert_eq!(client.world.readings("read"), ["/3303/0/5700=9.5", "/3303/0/5701=\"Cel\""]);
}

#[test]
fn a_client_from_before_the_registration_hears_the_old_numbers() {
    let mut client = ByHand::register("lwm2m=1.0", "</>;ct=\"1541 1543\",</3/0>");

    client.world.submit(request(1, Operation::Read, "/3/0"));
    let asked = client.asked();
    assert_eq!(Message::parse(&asked).unwrap().accept(), Some(JSON_OLD));
    client.answer(&asked, Code::CONTENT, Some(JSON_OLD), br#"{"e":[{"n":"9","v":64},{"n":"15","sv":"Oslo"}]}"#);

    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    client.world.run(SECOND);
    assert_eq!(client.world.readings("read"), ["/3/0/9=64", "/3/0/15=\"Oslo\""]);
}

#[test]
fn a_client_that_knows_only_text_and_bytes_is_asked_for_single_values_in_them() {
    let mut client = ByHand::register("lwm2m=1.1", "</>;ct=\"0 42\",</3/0>,</5/0>");

    client.world.submit(request(1, Operation::Read, "/3/0/9"));
    let number = client.asked();
    client.answer(&number, Code::CONTENT, Some(0), b"64");
    let body = Some(serde_json::json!({"value": "AAEC"}));
    client.world.submit(Request { body, ..request(2, Operation::Write, "/5/0/0") });
    let bytes = client.asked();

    assert_eq!(Message::parse(&number).unwrap().accept(), Some(0));
    let written = Message::parse(&bytes).unwrap();
    assert_eq!((written.content_format(), written.payload), (Some(42), [0, 1, 2].as_slice()));
}

#[test]
fn the_version_of_an_object_that_was_registered_decides_what_its_values_are() {
    // In version 1.0 resource 3 of object 10260 is text, in 2.0 it is a boolean.
    for (version, read) in [("1.0", "/10260/0/3=\"1\""), ("2.0", "/10260/0/3=true")] {
        let mut client = ByHand::register("lwm2m=1.1", &format!("</>;ct=11542,</10260>;ver={version},</10260/0>"));

        client.world.submit(request(1, Operation::Read, "/10260/0/3"));
        let asked = client.asked();
        client.answer(&asked, Code::CONTENT, Some(TLV), if version == "1.0" { b"\xc1\x031" } else { b"\xc1\x03\x01" });

        client.world.run(SECOND);
        assert_eq!(client.world.readings("read"), [read], "{version}");
    }
}

#[test]
fn a_create_that_leaves_the_id_to_a_device_without_tlv_ends_with_its_word() {
    let mut client = ByHand::register("lwm2m=1.1", "</>;ct=112,</3303/0>");

    let body = Some(serde_json::json!({"resources": {"5700": 1.5}}));
    client.world.submit(Request { body, ..request(1, Operation::Create, "/3303") });
    for _ in 0..2 {
        if client.world.outcomes(1).len() < 2 {
            let asked = client.asked();
            assert_eq!(Message::parse(&asked).unwrap().content_format(), Some(TLV));
            client.answer(&asked, Code::UNSUPPORTED_CONTENT_FORMAT, None, b"");
        }
    }

    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Refused]);
}

#[test]
fn a_device_that_refuses_every_format_has_the_last_word_and_nothing_is_remembered() {
    let mut client = ByHand::register("lwm2m=1.1", "</3/0>");

    client.world.submit(request(1, Operation::Read, "/3/0/9"));
    let mut formats = Vec::new();
    while client.world.outcomes(1).len() < 2 {
        let asked = client.asked();
        formats.push(Message::parse(&asked).unwrap().accept().unwrap());
        client.answer(&asked, Code::NOT_ACCEPTABLE, None, b"");
    }
    client.world.submit(request(2, Operation::Read, "/3/0/9"));
    let again = client.asked();

    assert_eq!(formats, [112, 110, 11542, 11543, 60, 0]);
    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Refused]);
    assert_eq!(Message::parse(&again).unwrap().accept(), Some(112));
}

#[test]
fn a_separate_response_is_taken_and_acknowledged() {
    let mut client = ByHand::register("lwm2m=1.1", "</3/0>");
    client.world.submit(request(1, Operation::Read, "/3/0/9"));
    let asked = client.asked();
    let (id, token) = Message::parse(&asked).map(|request| (request.id, request.token)).unwrap();

    client.world.inject(CLEAR, client.from, &Message::acknowledgement(id));
    client.world.run(40 * SECOND);
    assert!(!client.world.inbox.contains_key(&client.from), "not repeated once it is acknowledged");
    let response = MessageBuilder::new(coap::Kind::Confirmable, Code::CONTENT, 555, token)
        .content_format(SENML_JSON)
        .payload(br#"[{"n":"/3/0/9","v":64}]"#.to_vec());
    client.world.inject(CLEAR, client.from, &response.to_bytes());

    assert_eq!(client.asked(), Message::acknowledgement(555));
    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
}

#[test]
fn the_diagnostic_of_a_device_is_shown() {
    let mut client = ByHand::register("lwm2m=1.1", "</3/0>");
    client.world.submit(request(1, Operation::Execute, "/3/0/4"));

    let asked = client.asked();
    client.answer(&asked, Code::METHOD_NOT_ALLOWED, None, b"not while feeding");

    let answer = client.world.answers.last().unwrap();
    assert_eq!((answer.outcome, answer.detail.as_deref()), (Outcome::Refused, Some("not while feeding")));
}

#[test]
fn a_client_may_have_objects_and_versions_that_nobody_knows() {
    let links = r#"</>;rt="oma.lwm2m";ct="110 31337";odd=x,</3/0>;ver=9.9,</50001/0>;ver="2.0",</50002>"#;
    let mut client = ByHand::register("lwm2m=1.1", links);

    client.world.submit(request(1, Operation::Read, "/50001/0/1"));
    let asked = client.asked();
    client.answer(&asked, Code::CONTENT, Some(SENML_JSON), br#"[{"bn":"/50001/0/1","vs":"whatever"}]"#);
    client.world.run(SECOND);

    assert_eq!(client.world.readings("read"), ["/50001/0/1=\"whatever\""]);
}

#[test]
fn a_client_with_another_root_is_asked_below_it_and_shown_without_it() {
    let mut client = ByHand::register("lwm2m=1.1", r#"</lwm2m>;rt="oma.lwm2m";ct=110,</lwm2m/3/0>,</lwm2m/3303/0>"#);
    let at = |asked: &[u8]| -> String {
        let message = Message::parse(asked).unwrap();
        message.path().map(|segment| format!("/{}", std::str::from_utf8(segment).unwrap())).collect()
    };

    client.world.submit(request(1, Operation::Read, "/3/0/9"));
    let asked = client.asked();
    assert_eq!(at(&asked), "/lwm2m/3/0/9");
    client.answer(&asked, Code::CONTENT, Some(SENML_JSON), br#"[{"bn":"/3/0/9","v":64}]"#);
    client.world.submit(request(2, Operation::Discover, "/3/0"));
    let asked = client.asked();
    assert_eq!(at(&asked), "/lwm2m/3/0");
    let links = b"</lwm2m/3/0>,</lwm2m/3/0/9>;pmin=5";
    client.answer(&asked, Code::CONTENT, Some(coap::content_format::LINK_FORMAT), links);
    client.world.run(SECOND);

    assert_eq!(client.world.readings("read"), ["/3/0/9=64"]);
    let discovered: serde_json::Value =
        serde_json::from_slice(client.world.answers.last().unwrap().body.as_ref().unwrap()).unwrap();
    assert_eq!(discovered["links"][1]["path"], "/3/0/9");
    let body = Some(serde_json::json!({"resources": {"5700": 1.5}}));
    client.world.submit(Request { body, ..request(3, Operation::Create, "/3303") });
    let asked = client.asked();
    assert_eq!(at(&asked), "/lwm2m/3303");
    let created = MessageBuilder::answer(&Message::parse(&asked).unwrap(), Code::CREATED, 0).location("/lwm2m/3303/4");
    client.world.inject(CLEAR, client.from, &created.to_bytes());
    assert_eq!(client.world.answers.last().unwrap().body.as_deref(), Some(br#"{"path":"/3303/4"}"#.as_slice()));
    let now = client.world.now();
    let registered = client.world.gateway.registrations(now, "", 1).remove(0);
    assert_eq!(registered.objects.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["/3/0", "/3303/0"]);
}

#[test]
fn every_code_of_a_refusal_reaches_the_caller_as_it_is() {
    let (conflict, format) = (Code::CONFLICT, Code::UNSUPPORTED_CONTENT_FORMAT);
    for code in [Code::UNAUTHORIZED, Code::FORBIDDEN, conflict, format, Code::UNPROCESSABLE_ENTITY, Code::of(4, 31)] {
        let mut client = ByHand::register("lwm2m=1.1", "</3/0>");
        client.world.submit(request(1, Operation::Execute, "/3/0/4"));

        let asked = client.asked();
        client.answer(&asked, code, None, b"");

        let answer = client.world.answers.last().unwrap();
        assert_eq!((answer.outcome, answer.code), (Outcome::Refused, Some(code)));
    }
}

#[test]
fn an_instance_that_was_named_is_where_it_was_named_if_the_device_does_not_say() {
    let mut client = ByHand::register("lwm2m=1.1", "</3/0>,</3303/0>");
    let body = Some(serde_json::json!({"instance": 7, "resources": {"5700": 1.5}}));
    client.world.submit(Request { body, ..request(1, Operation::Create, "/3303") });

    let asked = client.asked();
    client.answer(&asked, Code::CREATED, None, b"");

    let answer = client.world.answers.last().unwrap();
    assert_eq!(answer.body.as_deref(), Some(br#"{"path":"/3303/7"}"#.as_slice()));
}

#[test]
fn an_answer_that_cannot_be_read_is_refused_with_the_reason() {
    let mut client = ByHand::register("lwm2m=1.1", "</3/0>");
    client.world.submit(request(1, Operation::Read, "/3/0/9"));

    let asked = client.asked();
    client.answer(&asked, Code::CONTENT, Some(SENML_JSON), b"[{");

    let answer = client.world.answers.last().unwrap();
    assert_eq!((answer.outcome, answer.code), (Outcome::Refused, Some(Code::CONTENT)));
    assert!(answer.detail.is_some());
}

#[test]
fn a_client_in_the_clear_that_comes_back_from_another_port_gets_what_waits() {
    let mut client = ByHand::register("lwm2m=1.1", "</3/0>");
    client.world.submit(request(1, Operation::Read, "/3/0/9"));
    let location = {
        let now = client.world.now();
        format!("/rd/{}", client.world.gateway.registrations(now, "", 1)[0].registration)
    };
    client.world.run(SECOND);
    client.world.inbox.clear();

    client.from = address(10);
    client.world.inject(CLEAR, client.from, &message(Code::POST, 2).path(&location).to_bytes());
    client.world.run(Duration::from_millis(50));

    let sent = &client.world.inbox[&address(10)];
    let codes: Vec<Code> = sent.iter().map(|datagram| Message::parse(datagram).unwrap().code).collect();
    assert!(codes.contains(&Code::GET) && codes.contains(&Code::CHANGED), "{codes:?}");
}

#[test]
fn a_refusal_to_be_observed_holds_and_one_that_says_not_now_does_not() {
    for (code, asked_again) in [
        (Code::METHOD_NOT_ALLOWED, ["/3/0/13"].as_slice()),
        (Code::SERVICE_UNAVAILABLE, ["/3/0/9", "/3/0/13"].as_slice()),
    ] {
        let observing = |paths: &[&str]| gateway::DeviceEntry {
            observe: paths.iter().map(|path| ((*path).to_owned(), String::new())).collect(),
            ..entry(1)
        };
        let mut client = ByHand::register("lwm2m=1.0", "</3/0>");
        client.world.put(&observing(&["/3/0/9"]));
        let asked = client.asked();
        client.answer(&asked, code, None, b"");
        client.world.run(SECOND);

        client.world.put(&observing(&["/3/0/9", "/3/0/13"]));
        let mut paths = Vec::new();
        while let Some(asked) = client.world.inbox.remove(&client.from).map(|mut all| all.remove(0)) {
            let segments: Vec<_> = Message::parse(&asked).unwrap().path().map(<[u8]>::to_vec).collect();
            paths.push(format!("/{}", String::from_utf8(segments.join(&b"/"[..])).unwrap()));
            client.answer(&asked, Code::NOT_FOUND, None, b"");
        }

        assert_eq!(paths, asked_again, "after {code}");
    }
}
