//! Every refusal there is: its code for whoever asked, its counter, and its event where we know the device. What a
//! stranger is answered is never larger than what it said.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;

use coap::message::{Kind, Message, Token};
use coap::{Block, Code, MessageBuilder, content_format, option};
use gateway::{FileEntry, GatewayOptions};
use world::*;

/// What is said, and what it gets.
struct Case {
    reason: &'static str,
    /// The part of the interface that the event names.
    operation: &'static str,
    says: Vec<u8>,
    /// None: a reset.
    code: Option<Code>,
}

/// Of devices 1 (in the clear, registered from address 9), 2 (a credential, registered) and 3 (a credential, not here).
fn room() -> World {
    let mut world = World::with_registered(options(), &secure_entry(2), secure_config(2));
    world.put(&entry(1));
    world.put(&secure_entry(3));
    for (path, size) in [("broken", 10), ("image", 1_500)] {
        let devices = vec!["d1".to_owned()];
        world.gateway.put_file(&FileEntry { path: path.to_owned(), etag: vec![1], size, devices }).unwrap();
    }
    assert_eq!(code_of(world.say(address(9), register(1, "urn:dev:1")).as_deref()), Some(Code::CREATED));
    world.run(std::time::Duration::from_secs(2));
    world
}

fn ask<'a>(code: Code, path: &'a str) -> MessageBuilder<'a> {
    message(code, 700).path(path)
}

fn registering<'a>(queries: &[&str], payload: &str) -> MessageBuilder<'a> {
    let begun = message(Code::POST, 700).path("/rd");
    let queries = queries.iter().map(|query| query.as_bytes().to_vec());
    queries
        .fold(begun, |message, query| message.option(option::URI_QUERY, query))
        .content_format(content_format::LINK_FORMAT)
        .payload(payload.as_bytes().to_vec())
}

fn case(reason: &'static str, operation: &'static str, code: Code, says: MessageBuilder<'_>) -> Case {
    Case { reason, operation, says: says.to_bytes(), code: Some(code) }
}

/// What a registered device is refused.
fn cases() -> Vec<Case> {
    let block = |num, more, szx| Block { num, more, szx };
    let reserved = ask(Code::POST, "/dp").uint(option::BLOCK1, 7).payload(vec![0; 16]);
    let announced = ask(Code::POST, "/dp").block1(block(0, true, 0)).uint(option::SIZE1, 1 << 20).payload(vec![0; 16]);
    let not_confirmable = MessageBuilder::new(Kind::NonConfirmable, Code::GET, 700, Token::EMPTY).path("/rd");
    let send = |format| ask(Code::POST, "/dp").content_format(format).payload(b"{{{".to_vec());
    let malformed = vec![0x4f, 1, 2, 188];
    let cbor = content_format::CBOR;
    vec![
        Case { reason: "malformed", operation: "message", says: malformed, code: None },
        case("option_unknown", "request", Code::BAD_OPTION, ask(Code::GET, "/rd").option(9, b"?".to_vec())),
        case("option_unknown", "request", Code::BAD_OPTION, ask(Code::POST, "/rd").option(5, b"".to_vec())),
        Case {
            reason: "option_unknown",
            operation: "request",
            says: not_confirmable.option(9, b"?".to_vec()).to_bytes(),
            code: None,
        },
        case(
            "proxy_wanted",
            "request",
            Code::PROXYING_NOT_SUPPORTED,
            ask(Code::GET, "/rd").option(option::PROXY_SCHEME, b"coap".to_vec()),
        ),
        case("block_invalid", "request", Code::BAD_REQUEST, reserved),
        case(
            "block_invalid",
            "upload",
            Code::BAD_REQUEST,
            ask(Code::POST, "/dp").block1(block(0, true, 2)).payload(vec![0; 3]),
        ),
        case("block_invalid", "download", Code::BAD_REQUEST, ask(Code::GET, "/fw/image").block2(block(9, false, 6))),
        case(
            "body_incomplete",
            "upload",
            Code::REQUEST_ENTITY_INCOMPLETE,
            ask(Code::POST, "/dp").block1(block(3, false, 0)).payload(vec![0; 3]),
        ),
        case("body_too_large", "upload", Code::REQUEST_ENTITY_TOO_LARGE, announced),
        case("path_unknown", "request", Code::NOT_FOUND, ask(Code::GET, "/x")),
        case("path_unknown", "request", Code::NOT_FOUND, ask(Code::GET, "/")),
        case("method_not_allowed", "request", Code::METHOD_NOT_ALLOWED, ask(Code::GET, "/rd")),
        case("method_not_allowed", "request", Code::METHOD_NOT_ALLOWED, ask(Code::FETCH, "/dp")),
        case("method_not_allowed", "request", Code::METHOD_NOT_ALLOWED, ask(Code(0x1f), "/x")),
        case("content_format", "send", Code::BAD_REQUEST, ask(Code::POST, "/dp").payload(b"1".to_vec())),
        case("payload_invalid", "send", Code::UNSUPPORTED_CONTENT_FORMAT, send(content_format::LINK_FORMAT)),
        case("payload_invalid", "send", Code::BAD_REQUEST, send(content_format::SENML_JSON)),
        case("version_unknown", "register", Code::PRECONDITION_FAILED, registering(&["ep=urn:dev:1", "lwm2m=9.9"], "")),
        case("lifetime_invalid", "register", Code::BAD_REQUEST, registering(&["ep=urn:dev:1", "lt=soon"], "")),
        case("binding_invalid", "register", Code::BAD_REQUEST, registering(&["ep=urn:dev:1", "b=?"], "")),
        case("endpoint_invalid", "register", Code::BAD_REQUEST, registering(&["ep="], "")),
        case("endpoint_missing", "register", Code::BAD_REQUEST, registering(&["lt=300"], "</3/0>")),
        case("queries_invalid", "register", Code::BAD_REQUEST, registering(&["lt=1", "lt=2"], "")),
        case("links_invalid", "register", Code::BAD_REQUEST, registering(&["ep=urn:dev:1"], "<<<")),
        case("insecure", "register", Code::FORBIDDEN, registering(&["ep=urn:dev:3"], "</3/0>")),
        case("not_allowed", "register", Code::FORBIDDEN, registering(&["ep=urn:dev:4"], "</3/0>")),
        case("registration_unknown", "update", Code::NOT_FOUND, ask(Code::POST, "/rd/0123456789abcdef")),
        case("registration_unknown", "deregister", Code::NOT_FOUND, ask(Code::DELETE, "/rd/no-such-thing")),
        case("file_unknown", "download", Code::NOT_FOUND, ask(Code::GET, "/fw/none")),
        case("file_unreadable", "download", Code::INTERNAL_SERVER_ERROR, ask(Code::GET, "/fw/broken")),
        case("content_format", "download", Code::NOT_ACCEPTABLE, ask(Code::GET, "/fw/image").accept(cbor)),
    ]
}

/// Those whose asker is not the device they are about: told in the security log, or to nobody.
const OF_NOBODY: [&str; 3] = ["insecure", "not_allowed", "endpoint_missing"];

#[test]
fn a_device_is_told_with_a_code_and_the_operator_with_a_counter_and_an_event() {
    for Case { reason, operation, says, code } in cases() {
        let mut world = room();
        let counter = format!("refused_{reason}");
        let before = (world.stat(&counter), world.events_of("refused").len());
        world.inbox.clear();

        world.inject(CLEAR, address(9), &says);
        world.run(std::time::Duration::from_millis(10));

        let answers = world.inbox.remove(&address(9)).unwrap_or_default();
        let answer = Message::parse(&answers[0]).unwrap();
        match code {
            Some(code) => assert_eq!(answer.code, code, "{reason}"),
            None => assert_eq!(answer.kind, Kind::Reset, "{reason}"),
        }
        assert_eq!(world.stat(&counter), before.0 + 1, "{reason}");
        let told = &world.events_of("refused")[before.1..];
        if OF_NOBODY.contains(&reason) {
            assert!(told.is_empty(), "{reason}");
            continue;
        }
        assert_eq!(told.len(), 1, "{reason}");
        assert_eq!((told[0]["device"].as_str(), told[0]["reason"].as_str()), (Some("d1"), Some(reason)));
        assert_eq!(
            (told[0]["operation"].as_str(), told[0]["code"].as_str()),
            (Some(operation), told_code(code).as_deref())
        );
    }
}

fn told_code(code: Option<Code>) -> Option<String> {
    Some(code.unwrap_or(Code::EMPTY).to_string())
}

#[test]
fn a_stranger_gets_the_code_and_never_more_bytes_than_it_sent() {
    for Case { reason, says, code, .. } in cases() {
        let mut world = room();
        let (peers, refused) = (world.stat("peers"), world.stat("refused"));

        world.inject(CLEAR, address(77), &says);
        world.run(std::time::Duration::from_millis(10));

        let answers = world.inbox.remove(&address(77)).unwrap_or_default();
        let bytes: usize = answers.iter().map(Vec::len).sum();
        assert!(bytes <= says.len(), "{reason}: {bytes} bytes to {}", says.len());
        if let (Some(answer), Some(code)) = (answers.first(), code) {
            // What a stranger asks for may be unknown to it for a simpler reason: it is not registered.
            let got = Message::parse(answer).unwrap().code;
            assert!(got == code || got == Code::NOT_FOUND, "{reason}: {got}");
        }
        assert_eq!(world.stat("refused"), refused + 1, "{reason}");
        assert!(world.stat("peers") <= peers + 1, "{reason}");
    }
}

/// The reasons that need another room than the table's.
#[test]
fn what_nobody_may_say_from_where_they_are_is_refused_counted_and_told() {
    // A Send without a registration.
    let mut world = room();
    let location = location_of(&world.say(address(9), register(2, "urn:dev:1")).unwrap());
    assert_eq!(code_of(world.say(address(9), ask(Code::DELETE, &location)).as_deref()), Some(Code::DELETED));
    let send = message(Code::POST, 701).path("/dp").content_format(content_format::SENML_JSON).payload(b"[]".to_vec());
    assert_eq!(code_of(world.say(address(9), send).as_deref()), Some(Code::NOT_FOUND));
    assert_eq!(world.stat("refused_unregistered"), 1);

    // The registration of another.
    let mut world = room();
    let now = world.now();
    let other = world.gateway.registrations(now, "d1", 1)[0].registration.clone();
    assert_eq!(
        code_of(world.say(address(9), ask(Code::DELETE, &format!("/rd/{other}"))).as_deref()),
        Some(Code::NOT_FOUND)
    );
    assert_eq!((world.stat("refused_foreign_registration"), world.stat("registrations")), (1, 2));
    assert_eq!(world.events_of("refused").last().unwrap()["reason"], "foreign_registration");

    // The name of another.
    let mut world = World::new(options());
    world.put(&secure_entry(1));
    world.add(device::Config { endpoint: "urn:dev:2".to_owned(), ..secure_config(1) });
    world.power_on(0);
    world.run(std::time::Duration::from_secs(2));
    assert!(world.stat("refused_endpoint_mismatch") >= 1);
    assert_eq!(world.events_of("refused")[0]["reason"], "endpoint_mismatch");

    // A claim that is too long: the registration stands.
    let mut world = room();
    let claim = format!("enclosure={}", "x".repeat(100));
    let answer = world.say(address(9), registering(&["ep=urn:dev:1", &claim], "</3/0>"));
    assert_eq!(code_of(answer.as_deref()), Some(Code::CREATED));
    assert_eq!(world.stat("refused_claim_invalid"), 1);
    assert_eq!(world.events_of("refused").last().unwrap()["reason"], "claim_invalid");

    // The log is behind. An event would go to that very log, so there is none.
    let mut world = World::new(GatewayOptions { uncommitted_bytes_max: 200, ..options() });
    world.put(&entry(1));
    world.put(&entry(2));
    world.log = Log::Hangs;
    world.say(address(8), register(1, "urn:dev:1"));
    let busy = world.say(address(9), register(1, "urn:dev:2")).unwrap();
    let busy = Message::parse(&busy).unwrap();
    assert_eq!((busy.code, busy.max_age()), (Code::SERVICE_UNAVAILABLE, Some(10)));
    assert_eq!(world.stat("refused_busy"), 1);
}

#[test]
fn there_is_no_reason_that_no_story_tells() {
    let elsewhere = [
        "unregistered",
        "foreign_registration",
        "endpoint_mismatch",
        "claim_invalid",
        "claim_denied",
        "send_denied",
        "busy",
        "connection_broken",
        "not_approved",
        "not_enrolled",
    ];
    let told: BTreeSet<String> =
        cases().iter().map(|case| case.reason).chain(elsewhere).map(|reason| format!("refused_{reason}")).collect();

    let world = World::new(options());
    let counted: BTreeSet<String> = world
        .gateway
        .stats()
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("refused_") && name != "refused_by_store")
        .collect();

    assert_eq!(counted, told);
}

#[test]
fn no_more_refusals_of_one_device_are_told_than_somebody_would_read() {
    let mut world = room();
    let before = (world.events_of("refused").len(), world.stat("refused_path_unknown"));

    for id in 300..400 {
        world.inject(CLEAR, address(9), &message(Code::GET, id).path("/x").to_bytes());
    }
    world.run(std::time::Duration::from_secs(2));
    world.inject(CLEAR, address(9), &message(Code::GET, 500).path("/x").to_bytes());
    world.run(std::time::Duration::from_secs(1));

    let told = usize::from(gateway::limits::REFUSALS_TOLD_MAX);
    assert_eq!(world.events_of("refused").len(), before.0 + told + 1, "and again when a second is over");
    assert_eq!(world.stat("refused_path_unknown"), before.1 + 101, "but all are counted");
    assert_eq!(world.stat("refusals_untold"), 100 - told as u64);
}

#[test]
fn how_much_we_would_have_taken_is_said_to_a_device() {
    let mut world = room();
    let case = cases().into_iter().find(|case| case.reason == "body_too_large").unwrap();
    world.inbox.clear();

    world.inject(CLEAR, address(9), &case.says);

    let answer = Message::parse(&world.inbox[&address(9)][0]).unwrap();
    assert_eq!(answer.uint(option::SIZE1), Some(gateway::limits::BODY_BYTES_MAX as u32));
}

#[test]
fn a_copy_of_what_was_not_confirmable_is_passed_over_and_no_two_answers_share_an_id() {
    let mut world = room();
    let location = location_of(&world.say(address(9), register(2, "urn:dev:1")).unwrap());
    world.run(std::time::Duration::from_secs(2));
    let mut ids = BTreeSet::new();

    for id in 800..840 {
        let update = MessageBuilder::new(Kind::NonConfirmable, Code::POST, id, Token::EMPTY).path(&location).to_bytes();
        world.inbox.clear();
        world.inject(CLEAR, address(9), &update);
        world.inject(CLEAR, address(9), &update);
        let answers = world.inbox.remove(&address(9)).unwrap();
        assert_eq!(answers.len(), 1, "the copy gets nothing");
        let answer = Message::parse(&answers[0]).unwrap();
        assert_eq!((answer.kind, answer.code), (Kind::NonConfirmable, Code::CHANGED));
        assert!(ids.insert(answer.id), "{} again", answer.id);
    }
    assert_eq!((world.stat("update"), world.stat("duplicates")), (40, 40));
}

#[test]
fn a_notification_of_somebody_we_do_not_know_is_answered_with_a_reset() {
    let mut world = World::new(options());
    let notify = |kind| MessageBuilder::new(kind, Code::CONTENT, 40, Token::EMPTY).observe(7).payload(b"1".to_vec());

    for kind in [Kind::Confirmable, Kind::NonConfirmable] {
        assert_eq!(world.say(address(9), notify(kind)), Some(Message::reset(40).to_vec()));
    }
    assert_eq!(world.say(address(9), notify(Kind::Acknowledgement)), None, "to an acknowledgement there is no answer");
    assert_eq!((world.stat("unknown_token"), world.stat("not_ours"), world.stat("peers")), (2, 1, 0));
}
