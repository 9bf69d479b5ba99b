//! A device and its bootstrap server, made by hand: what may be changed, when it takes effect, and who is tried next.

// A broken arrangement should stop the test where it broke.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod world;

use std::time::{Duration, Instant};

use coap::content_format::{LINK_FORMAT, SENML_CBOR};
use coap::{Code, Kind, Message, MessageBuilder, Token, option};
use device::{Config, Device, Event, Path, Place, Record, Value, Version, definitions};
use proptest::{collection::vec, prelude::*, sample::select};
use world::{config, path, seconds};

const BOOTSTRAP: &str = "coap://192.0.2.1";
const SERVER: &str = "coap://192.0.2.2?enclosure=enc-1";

struct Story {
    device: Device,
    now: Instant,
    ids: u16,
    events: Vec<Event>,
}

/// What the device said.
struct Said {
    kind: Kind,
    code: Code,
    id: u16,
    token: Token,
    path: String,
    queries: Vec<String>,
    payload: Vec<u8>,
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn account(security: u16, server: u16, id: i64, uri: &str) -> Vec<Record> {
    [
        (format!("/0/{security}/0"), text(uri)),
        (format!("/0/{security}/1"), Value::Boolean(false)),
        (format!("/0/{security}/2"), Value::Integer(3)),
        (format!("/0/{security}/10"), Value::Integer(id)),
        (format!("/1/{server}/0"), Value::Integer(id)),
        (format!("/1/{server}/1"), Value::Integer(600)),
    ]
    .into_iter()
    .map(|(at, value)| Record::new(path(&at), value))
    .collect()
}

impl Story {
    fn new(version: Version, further: Vec<Record>) -> Self {
        let config = Config { bootstraps: true, version, ..config() };
        #[expect(clippy::disallowed_methods, reason = "a moment to count from")]
        let now = Instant::now();
        let mut device = Device::new(config, definitions(), now);
        for (at, value) in [
            ("/0/0/0", text(BOOTSTRAP)),
            ("/0/0/1", Value::Boolean(true)),
            ("/0/0/2", Value::Integer(3)),
            ("/3/0/9", Value::Integer(87)),
            ("/3303/0/5700", Value::Float(9.0)),
        ] {
            device.set(path(at), value);
        }
        for record in further {
            device.set(record.path, record.value);
        }
        device.power_on(now);
        Self { device, now, ids: 0, events: Vec::new() }
    }

    /// In the middle of its bootstrap.
    fn begun(version: Version) -> Self {
        let mut story = Self::new(version, Vec::new());
        assert_eq!(story.goes_to(), BOOTSTRAP);
        let said = story.said();
        assert_eq!((said[0].code, said[0].path.as_str()), (Code::POST, "/bs"));
        assert_eq!(said[0].queries[0], "ep=oxy-0417");
        story.answer(&said[0], Code::CHANGED);
        story
    }

    /// The URI that it wants to talk to next, which is found.
    fn goes_to(&mut self) -> String {
        for _ in 0..100 {
            if let Some(uri) = self.device.poll_lookup().map(str::to_owned) {
                let address = "192.0.2.9:5683".parse().unwrap();
                self.device.handle_lookup(self.now, Some(Place { address, over_tcp: false }));
                return uri;
            }
            self.now = self.device.poll_timeout().unwrap();
            self.device.handle_timeout(self.now);
            self.gather();
        }
        panic!("it goes nowhere: {:?}", self.events);
    }

    fn gather(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.device.poll_event()));
    }

    fn said(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        while let Some(bytes) = self.device.poll_transmit() {
            let message = Message::parse(&bytes).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            said.push(Said {
                kind: message.kind,
                code: message.code,
                id: message.id,
                token: message.token,
                path: message.path().map(|segment| format!("/{}", text(segment))).collect(),
                queries: message.queries().map(text).collect(),
                payload: message.payload.to_vec(),
            });
        }
        said
    }

    fn answer(&mut self, to: &Said, code: Code) {
        assert_eq!(to.kind, Kind::Confirmable);
        let answer = MessageBuilder::new(Kind::Acknowledgement, code, to.id, to.token);
        let answer = if code == Code::CREATED { answer.location("/rd/1") } else { answer };
        self.device.handle_datagram(self.now, &answer.to_bytes());
        self.gather();
    }

    /// A request of the bootstrap server; the code and the words that it is answered with.
    fn ask(&mut self, code: Code, at: &str, content: Option<(u16, Vec<u8>)>, accept: Option<u16>) -> (Code, String) {
        self.ids += 1;
        let token = Token::new(&self.ids.to_be_bytes()).unwrap();
        let message = MessageBuilder::new(Kind::Confirmable, code, self.ids, token).path(at);
        let format = content.as_ref().map(|(format, _)| *format);
        let message = format.into_iter().fold(message, |message, format| message.content_format(format));
        let message = accept.into_iter().fold(message, |message, it| message.uint(option::ACCEPT, u32::from(it)));
        let message = message.payload(content.map(|(_, payload)| payload).unwrap_or_default());
        self.device.handle_datagram(self.now, &message.to_bytes());
        self.gather();
        let said = self.said();
        (said[0].code, String::from_utf8_lossy(&said[0].payload).into_owned())
    }

    fn write(&mut self, at: &str, records: &[Record]) -> (Code, String) {
        let payload = lwm2m::codec::encode(SENML_CBOR, &path(at), records, definitions()).unwrap();
        self.ask(Code::PUT, at, Some((SENML_CBOR, payload)), None)
    }

    fn write_account(&mut self, security: u16, server: u16, id: i64, uri: &str) {
        let records = account(security, server, id, uri);
        let (keys, rest): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.path.object == 0);
        assert_eq!(self.write(&format!("/0/{security}"), &keys).0, Code::CHANGED);
        assert_eq!(self.write(&format!("/1/{server}"), &rest).0, Code::CHANGED);
    }

    fn finish(&mut self) -> (Code, String) {
        self.ask(Code::POST, "/bs", None, None)
    }

    /// Every attempt with this server is refused; where it goes then.
    fn refuse_all(&mut self, from: &str) -> String {
        for _ in 0..10 {
            for register in self.said() {
                self.answer(&register, Code::FORBIDDEN);
            }
            let next = self.goes_to();
            if next != from {
                return next;
            }
        }
        panic!("it tries {from} again and again");
    }

    fn accounts(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::AccountsChanged { .. })).count()
    }
}

#[test]
fn it_registers_with_the_server_that_it_was_given_and_tells_what_the_uri_says() {
    let mut story = Story::begun(Version::V1_1);
    story.write_account(1, 0, 101, SERVER);
    let placement = [Record::new(path("/26241/0/0"), text("enc-1"))];
    assert_eq!(story.write("/26241/0", &placement).0, Code::CHANGED);
    assert_eq!(story.device.get(&path("/26241/0/0")), None, "nothing takes effect before the end");

    assert_eq!(story.finish().0, Code::CHANGED);

    assert_eq!(story.goes_to(), SERVER);
    let register = story.said().remove(0);
    assert_eq!(register.path, "/rd");
    assert!(
        register.queries.contains(&"lt=600".to_owned()) && register.queries.contains(&"enclosure=enc-1".to_owned())
    );
    story.answer(&register, Code::CREATED);
    assert!(story.device.is_registered() && story.accounts() == 1);
    assert!(
        story.events.iter().any(|event| matches!(event, Event::Written { path: at, .. } if *at == path("/26241/0/0")))
    );
}

#[test]
fn discover_shows_whose_each_instance_is() {
    for (version, expected) in [
        (Version::V1_0, "</>;lwm2m=\"1.0\",</0/0>,</0/1>;ssid=101,</1/0>;ssid=101,</3/0>,</3303/0>"),
        (
            Version::V1_1,
            "</>;lwm2m=1.1,</0>;ver=1.2,</0/0>;uri=\"coap://192.0.2.1\",\
             </0/1>;ssid=101;uri=\"coap://192.0.2.2?enclosure=enc-1\",</1>;ver=1.2,</1/0>;ssid=101,",
        ),
    ] {
        let mut story = Story::begun(version);
        story.write_account(1, 0, 101, SERVER);

        let (code, links) = story.ask(Code::GET, "/", None, Some(LINK_FORMAT));

        assert_eq!(code, Code::CONTENT);
        assert!(links.starts_with(expected), "{links}");
        assert_eq!(story.ask(Code::GET, "/5", None, Some(LINK_FORMAT)).0, Code::NOT_FOUND);
    }
}

#[test]
fn keys_are_not_read_and_a_client_of_1_0_has_no_read() {
    let mut story = Story::begun(Version::V1_1);
    story.write_account(1, 0, 101, SERVER);

    assert_eq!(story.ask(Code::GET, "/1", None, Some(SENML_CBOR)).0, Code::CONTENT);
    for at in ["/0", "/0/1", "/3/0", "/"] {
        assert_eq!(story.ask(Code::GET, at, None, Some(SENML_CBOR)).0, Code::METHOD_NOT_ALLOWED, "{at}");
    }
    let mut story = Story::begun(Version::V1_0);
    story.write_account(1, 0, 101, SERVER);
    assert_eq!(story.ask(Code::GET, "/1", None, Some(SENML_CBOR)).0, Code::METHOD_NOT_ALLOWED);
}

#[test]
fn delete_leaves_the_bootstrap_server_and_the_device_itself() {
    let mut story = Story::begun(Version::V1_1);
    story.write_account(1, 0, 101, SERVER);

    assert_eq!(story.ask(Code::DELETE, "/", None, None).0, Code::DELETED);
    for at in ["/0/0", "/3", "/3/0", "/3303/0/5700"] {
        assert_eq!(story.ask(Code::DELETE, at, None, None).0, Code::BAD_REQUEST, "{at}");
    }

    let (_, links) = story.ask(Code::GET, "/", None, Some(LINK_FORMAT));
    assert!(links.contains("</0/0>") && links.contains("</3/0>") && links.contains("</3303/0>"), "{links}");
    assert!(!links.contains("</0/1>") && !links.contains("</1/0>"), "{links}");
    let (code, why) = story.finish();
    assert_eq!((code, why.as_str()), (Code::NOT_ACCEPTABLE, "there is no server to register with"));
}

#[test]
fn a_bootstrap_server_that_falls_silent_changes_nothing_and_is_asked_again() {
    let mut story = Story::begun(Version::V1_1);
    story.write_account(1, 0, 101, SERVER);
    let begun = story.now;

    assert_eq!(story.goes_to(), BOOTSTRAP);

    assert!(story.now >= begun + seconds(247));
    assert_eq!((story.device.get(&path("/0/1/0")), story.accounts()), (None, 0));
}

#[test]
fn whoever_is_refused_for_good_asks_the_bootstrap_server() {
    let mut story = Story::new(Version::V1_1, account(1, 0, 101, SERVER));
    assert_eq!(story.goes_to(), SERVER);

    assert_eq!(story.refuse_all(SERVER), BOOTSTRAP);

    let asked = story.said().remove(0);
    story.answer(&asked, Code::BAD_REQUEST);
    assert_eq!(story.goes_to(), SERVER, "its server may be there again");
}

#[test]
fn a_server_may_forbid_that() {
    let mut accounts = account(1, 0, 101, SERVER);
    accounts.push(Record::new(path("/1/0/16"), Value::Boolean(false)));
    let mut story = Story::new(Version::V1_1, accounts);
    for _ in 0..12 {
        assert_eq!(story.goes_to(), SERVER);
        let register = story.said().remove(0);
        story.answer(&register, Code::FORBIDDEN);
    }
}

#[test]
fn servers_are_tried_in_their_order() {
    let other = "coap://192.0.2.3";
    let mut accounts = [account(1, 0, 101, SERVER), account(2, 1, 102, other)].concat();
    accounts.push(Record::new(path("/1/1/13"), Value::Unsigned(1)));
    let mut story = Story::new(Version::V1_1, accounts);

    assert_eq!(story.goes_to(), other);
    assert_eq!(story.refuse_all(other), SERVER);
    assert_eq!(story.refuse_all(SERVER), BOOTSTRAP);
}

#[test]
fn the_servers_from_before_come_back_when_no_new_one_takes_it() {
    let mut story = Story::new(Version::V1_1, account(1, 0, 101, SERVER));
    story.goes_to();
    let register = story.said().remove(0);
    story.answer(&register, Code::CREATED);
    // Core 1.1 §E.2, resource 9.
    assert_eq!(story.ask(Code::POST, "/1/0/9", None, None).0, Code::CHANGED);
    assert_eq!(story.goes_to(), BOOTSTRAP);
    let asked = story.said().remove(0);
    story.answer(&asked, Code::CHANGED);
    assert_eq!(story.ask(Code::DELETE, "/", None, None).0, Code::DELETED);
    story.write_account(1, 0, 102, "coap://192.0.2.7");
    assert_eq!(story.finish().0, Code::CHANGED);

    assert_eq!(story.goes_to(), "coap://192.0.2.7");
    assert_eq!(story.refuse_all("coap://192.0.2.7"), SERVER);

    assert_eq!((story.device.get(&path("/0/1/0")), story.accounts()), (Some(&text(SERVER)), 2));
}

#[test]
fn it_waits_before_it_asks_and_forgets_the_bootstrap_server_when_it_was_told_to() {
    let times = [Record::new(path("/0/0/11"), Value::Integer(30)), Record::new(path("/0/0/12"), Value::Integer(100))];
    let mut story = Story::new(Version::V1_1, times.to_vec());
    let start = story.now;
    story.goes_to();
    assert_eq!(story.now, start + seconds(30));
    let asked = story.said().remove(0);
    story.answer(&asked, Code::CHANGED);
    story.write_account(1, 0, 101, SERVER);
    story.finish();
    story.goes_to();
    let register = story.said().remove(0);
    story.answer(&register, Code::CREATED);

    story.now += seconds(99);
    story.device.handle_timeout(story.now);
    assert!(story.device.get(&path("/0/0/0")).is_some());
    story.now += Duration::from_millis(1_100);
    story.device.handle_timeout(story.now);

    assert_eq!(story.device.get(&path("/0/0/0")), None);
    assert!(story.device.get(&path("/0/1/0")).is_some());
}

#[test]
fn a_bootstrap_that_the_power_ended_leaves_nothing_behind() {
    let mut story = Story::begun(Version::V1_1);
    story.write_account(1, 0, 101, "coap://192.0.2.7");

    story.device.lose_power();
    story.device.power_on(story.now);
    assert_eq!(story.goes_to(), BOOTSTRAP);
    let asked = story.said().remove(0);
    story.answer(&asked, Code::CHANGED);

    assert_eq!(story.finish().0, Code::NOT_ACCEPTABLE, "what was written before counts for nothing");
}

#[test]
fn without_a_bootstrap_server_a_trigger_changes_nothing() {
    let mut story = Story::new(Version::V1_1, account(1, 0, 101, SERVER));
    story.device.remove(story.now, &path("/0/0"));
    story.goes_to();
    let register = story.said().remove(0);
    story.answer(&register, Code::CREATED);

    assert_eq!(story.ask(Code::POST, "/1/0/9", None, None).0, Code::CHANGED);
    story.now += seconds(1);
    story.device.handle_timeout(story.now);
    story.gather();

    assert!(story.device.is_registered());
    assert!(story.events.iter().any(|event| matches!(event, Event::Refused { code: None, .. })));
}

#[test]
fn what_the_owner_sets_meanwhile_is_kept() {
    let mut story = Story::begun(Version::V1_1);
    story.write_account(1, 0, 101, SERVER);

    story.device.set(path("/3303/0/5700"), Value::Float(11.5));
    story.finish();
    story.goes_to();

    assert_eq!(story.device.get(&path("/3303/0/5700")), Some(&Value::Float(11.5)));
}

/// Anything that a bootstrap server may say, and much that it may not.
fn request() -> impl Strategy<Value = (Code, String, Vec<Record>)> {
    let at =
        select(vec!["/", "/0", "/0/0", "/0/1", "/0/2", "/1", "/1/0", "/1/1", "/2/0", "/3", "/3/0", "/3303/0", "/bs"]);
    let code = select(vec![Code::PUT, Code::PUT, Code::PUT, Code::DELETE, Code::POST, Code::GET]);
    let value = prop_oneof![
        Just(text(SERVER)),
        Just(text("coaps://x")),
        any::<bool>().prop_map(Value::Boolean),
        (0..4_i64).prop_map(Value::Integer),
        Just(Value::Integer(101)),
    ];
    let records = vec((select(vec![0_u16, 1, 2, 3, 5, 10, 13]), value), 0..5);
    let whole =
        (0..3_u16, 0..2_u16, 101..103_i64).prop_map(|(security, server, id)| account(security, server, id, SERVER));
    prop_oneof![
        (code, at, records).prop_map(|(code, at, records)| {
            let instance = Path::parse(at).ok().filter(|at| at.depth() == 2);
            let records = instance.map_or_else(Vec::new, |instance| {
                let each = records.into_iter().filter_map(|(id, value)| Some(Record::new(instance.child(id)?, value)));
                each.collect()
            });
            (code, at.to_owned(), records)
        }),
        whole.clone().prop_map(|records| (Code::PUT, "/0".to_owned(), of(&records, 0))),
        whole.prop_map(|records| (Code::PUT, "/1".to_owned(), of(&records, 1))),
        Just((Code::POST, "/bs".to_owned(), Vec::new())),
    ]
}

fn of(records: &[Record], object: u16) -> Vec<Record> {
    records.iter().filter(|record| record.path.object == object).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_it_is_told_it_can_register_afterwards_or_is_as_it_was(requests in vec(request(), 1..25)) {
        let mut story = Story::begun(Version::V1_1);
        let mut is_finished = false;

        for (code, at, records) in requests {
            let base = Path::parse(&at).unwrap_or(Path::ROOT);
            let content = lwm2m::codec::encode(SENML_CBOR, &base, &records, definitions()).ok();
            let content = content.filter(|_| code == Code::PUT).map(|payload| (SENML_CBOR, payload));
            let (answered, _) = story.ask(code, &at, content, None);
            if at == "/bs" && answered == Code::CHANGED {
                is_finished = true;
                break;
            }
        }

        prop_assert_eq!(story.accounts(), 0, "before the answer has left");
        if is_finished {
            let uri = story.goes_to();
            prop_assert!(uri == SERVER, "{uri}");
            let said = story.said();
            prop_assert_eq!(said[0].path.as_str(), "/rd");
            prop_assert_eq!(story.accounts(), 1);
        } else {
            let paths = ["/0/1/0", "/1/0/0", "/1/1/0", "/2/0/0"];
            prop_assert!(paths.iter().all(|at| story.device.get(&path(at)).is_none()));
            prop_assert_eq!(story.device.get(&path("/0/0/0")), Some(&text(BOOTSTRAP)));
        }
        prop_assert_eq!(story.device.get(&path("/3/0/9")), Some(&Value::Integer(87)));
    }
}
