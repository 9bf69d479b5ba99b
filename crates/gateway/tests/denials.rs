//! What a policy denies a device: paths of a Send, enclosures of a claim. Refused with 4.03, counted, told.
#![allow(clippy::unwrap_used)]

mod world;

use coap::message::Message;
use coap::{Code, MessageBuilder, content_format, option};
use gateway::{DenialEntry, EntryError};
use world::*;

fn denial(device: &str, paths: &[&str], claims: &[&str]) -> DenialEntry {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    DenialEntry { device: device.to_owned(), paths: owned(paths), claims: owned(claims) }
}

fn registering(queries: &[&str]) -> MessageBuilder<'static> {
    let begun = message(Code::POST, 700).path("/rd");
    let queries = ["lt=300", "lwm2m=1.1", "b=U"].iter().chain(queries).map(|query| query.as_bytes().to_vec());
    queries
        .fold(begun, |message, query| message.option(option::URI_QUERY, query))
        .content_format(content_format::LINK_FORMAT)
        .payload(&b"</3/0>,</3303/0>"[..])
}

fn sending(id: u16, path: &str) -> MessageBuilder<'static> {
    let body = format!(r#"[{{"n":"/3303/0/5701","vs":"Cel"}},{{"n":"{path}","v":9.2}}]"#);
    message(Code::POST, id).path("/dp").content_format(content_format::SENML_JSON).payload(body.into_bytes())
}

fn code(answer: Option<Vec<u8>>) -> Code {
    Message::parse(&answer.unwrap()).unwrap().code
}

fn registered() -> World {
    let mut world = World::new(options());
    world.put(&entry(1));
    assert_eq!(code(world.say(address(9), registering(&["ep=urn:dev:1"]))), Code::CREATED);
    world
}

#[test]
fn a_send_of_a_path_that_is_denied_is_refused_as_a_whole_and_told() {
    let mut world = registered();
    assert_eq!(code(world.say(address(9), sending(1, "/3303/0/5700"))), Code::CHANGED, "nothing is denied yet");

    world.gateway.put_denials(denial("d1", &["/3303/0/5700", "/5"], &[])).unwrap();
    let readings = world.events_of("readings").len();
    assert_eq!(code(world.say(address(9), sending(2, "/3303/0/5700"))), Code::FORBIDDEN);
    assert_eq!(code(world.say(address(9), sending(3, "/5/0/3"))), Code::FORBIDDEN);
    assert_eq!(world.events_of("readings").len(), readings, "not a part of it was kept");
    assert_eq!(code(world.say(address(9), sending(4, "/3303/1/5700"))), Code::CHANGED);

    let refused = world.events_of("refused");
    let told = refused.last().unwrap();
    assert_eq!((told["reason"].as_str(), told["code"].as_str()), (Some("send_denied"), Some("4.03")));
    assert_eq!(world.stat("refused_send_denied"), 2);
}

#[test]
fn everything_can_be_denied_and_allowed_again() {
    let mut world = registered();

    world.gateway.put_denials(denial("d1", &["/"], &[])).unwrap();
    assert_eq!(code(world.say(address(9), sending(1, "/3303/0/5700"))), Code::FORBIDDEN);
    world.gateway.put_denials(denial("d1", &[], &[])).unwrap();
    assert_eq!(code(world.say(address(9), sending(2, "/3303/0/5700"))), Code::CHANGED);
}

#[test]
fn what_is_denied_to_one_is_not_denied_to_another() {
    let mut world = registered();

    world.gateway.put_denials(denial("d2", &["/"], &["enc-1"])).unwrap();

    assert_eq!(code(world.say(address(9), sending(1, "/3303/0/5700"))), Code::CHANGED);
}

#[test]
fn an_enclosure_that_is_denied_cannot_be_claimed() {
    let mut world = World::new(options());
    world.gateway.put_denials(denial("d1", &[], &["enc-1"])).unwrap();
    world.put(&entry(1));

    assert_eq!(code(world.say(address(9), registering(&["ep=urn:dev:1", "enclosure=enc-1"]))), Code::FORBIDDEN);
    assert_eq!((world.stat("registrations"), world.stat("refused_claim_denied")), (0, 1));
    assert_eq!(world.events_of("refused").last().unwrap()["reason"], "claim_denied");

    assert_eq!(code(world.say(address(8), registering(&["ep=urn:dev:1", "enclosure=enc-2"]))), Code::CREATED);
    assert_eq!(code(world.say(address(7), registering(&["ep=urn:dev:1"]))), Code::CREATED);
}

#[test]
fn a_device_that_is_let_in_again_is_denied_what_it_was() {
    let mut world = registered();
    world.gateway.put_denials(denial("d1", &["/"], &[])).unwrap();
    let now = world.now();

    world.gateway.remove_device(now, "d1");
    world.put(&entry(1));

    assert_eq!(code(world.say(address(6), registering(&["ep=urn:dev:1"]))), Code::CREATED);
    assert_eq!(code(world.say(address(6), sending(1, "/3303/0/5700"))), Code::FORBIDDEN);
}

#[test]
fn an_entry_that_cannot_be_taken_changes_nothing() {
    let mut world = registered();
    world.gateway.put_denials(denial("d1", &["/5"], &[])).unwrap();

    let many = vec!["/3"; gateway::limits::DENIED_PATHS_MAX + 1];
    assert!(matches!(world.gateway.put_denials(denial("d1", &many, &[])), Err(EntryError::TooManyPaths { .. })));
    assert!(matches!(world.gateway.put_denials(denial("d1", &["3/x"], &[])), Err(EntryError::Path { .. })));
    let many = vec!["enc-1"; gateway::limits::DENIED_CLAIMS_MAX + 1];
    assert!(matches!(world.gateway.put_denials(denial("d1", &[], &many)), Err(EntryError::TooMany { .. })));

    assert_eq!(code(world.say(address(9), sending(1, "/5/0/3"))), Code::FORBIDDEN);
}
