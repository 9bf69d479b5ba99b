//! Stories of composite operations: with clients that know them, that refuse them, and that never answer them.
#![allow(clippy::unwrap_used)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use coap::content_format::{SENML_CBOR, SENML_JSON};
use coap::message::{Kind, Message, Token};
use coap::{Code, MessageBuilder};
use gateway::{Answer, Definitions, DeviceEntry, Operation, Outcome, Path, Request};
use lwm2m::codec;
use serde_json::{Value as Json, json};
use world::*;

const SECOND: Duration = Duration::from_secs(1);

/// How a client takes FETCH and iPATCH.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manners {
    Knows,
    Refuses(Code),
    Silent,
    /// It acknowledges, and no answer follows.
    Acknowledges,
    Resets,
}

/// A client of our own hand, with three values.
struct Client {
    world: World,
    from: SocketAddr,
    manners: Manners,
    is_reachable: bool,
    values: Vec<(Path, Json)>,
    /// Method, path with queries, and paths in the payload of all it was asked.
    asked: Vec<String>,
    /// Tokens of its observations, by what is observed.
    observed: Vec<(Vec<Path>, Token)>,
    next_id: u16,
}

impl Client {
    fn registered(manners: Manners, entry: &DeviceEntry, queries: &str) -> Self {
        let mut world = World::new(options());
        world.put(entry);
        let values = [("/3/0/9", json!(87)), ("/3/0/13", json!(1_764_000_000)), ("/3303/0/5700", json!(9.5))];
        let values = values.map(|(at, value)| (path(at), value)).to_vec();
        let (asked, observed) = (Vec::new(), Vec::new());
        let (from, is_reachable, next_id) = (address(9), true, 100);
        let mut client = Self { world, from, manners, is_reachable, values, asked, observed, next_id };
        client.register(queries, "</3/0>,</3303/0>");
        client
    }

    fn knowing(manners: Manners) -> Self {
        Self::registered(manners, &entry(1), "lwm2m=1.1&b=U")
    }

    fn register(&mut self, queries: &str, links: &str) {
        self.next_id += 1;
        let queries = ["ep=urn:dev:1", "lt=86400"].into_iter().chain(queries.split('&'));
        let register = queries.fold(message(Code::POST, self.next_id).path("/rd"), MessageBuilder::query);
        let register = register.content_format(coap::content_format::LINK_FORMAT).payload(links.as_bytes().to_vec());
        let datagram = register.to_bytes();
        self.world.inject(CLEAR, self.from, &datagram);
        self.run(SECOND);
    }

    /// Lets time pass, answering what comes.
    fn run(&mut self, duration: Duration) {
        let step = Duration::from_millis(50);
        for _ in 0..duration.as_millis() / step.as_millis() {
            for _ in 0..50 {
                let datagrams = self.world.inbox.remove(&self.from).unwrap_or_default();
                if datagrams.is_empty() {
                    break;
                }
                let is_heard = self.is_reachable;
                for datagram in datagrams.iter().filter(|_| is_heard) {
                    self.take(datagram);
                }
            }
            self.world.run(step);
        }
    }

    fn take(&mut self, datagram: &[u8]) {
        let request = Message::parse(datagram).unwrap();
        if !request.code.is_request() {
            return;
        }
        let paths = match (request.code, request.content_format()) {
            (Code::FETCH, Some(format)) => codec::decode_paths(format, request.payload).unwrap(),
            (_, Some(format)) if !request.payload.is_empty() => {
                records(format, &request).into_iter().map(|(path, _)| path).collect()
            }
            _ => Vec::new(),
        };
        let at: String = request.path().map(|segment| format!("/{}", std::str::from_utf8(segment).unwrap())).collect();
        let queries: Vec<&str> = request.queries().map(|query| std::str::from_utf8(query).unwrap()).collect();
        let observe = request.observe().map_or(String::new(), |value| format!(" observe={value}"));
        let named: String = paths.iter().map(|path| format!(" {path}")).collect();
        self.asked.push(format!(
            "{} {at}{}{}{observe}{named}",
            request.code,
            if queries.is_empty() { "" } else { "?" },
            queries.join("&")
        ));
        let is_composite = matches!(request.code, Code::FETCH | Code::IPATCH);
        let answer = match self.manners {
            Manners::Silent if is_composite => return,
            Manners::Acknowledges if is_composite => Message::acknowledgement(request.id).to_vec(),
            Manners::Resets if is_composite => Message::reset(request.id).to_vec(),
            Manners::Refuses(code) if is_composite => MessageBuilder::answer(&request, code, 0).to_bytes(),
            _ => self.answer(&request, &at, paths),
        };
        self.world.inject(CLEAR, self.from, &answer);
    }

    fn answer(&mut self, request: &Message<'_>, at: &str, mut paths: Vec<Path>) -> Vec<u8> {
        match request.code {
            Code::GET | Code::FETCH => {
                if request.code == Code::GET {
                    paths = vec![path(at)];
                }
                let found = self.found(&paths);
                if found.is_empty() {
                    return MessageBuilder::answer(request, Code::NOT_FOUND, 0)
                        .payload(b"not here".to_vec())
                        .to_bytes();
                }
                let answer = MessageBuilder::answer(request, Code::CONTENT, 0).content_format(SENML_JSON);
                let answer = match request.observe() {
                    Some(0) => {
                        self.observed.push((paths, request.token));
                        answer.observe(10)
                    }
                    _ => answer,
                };
                answer.payload(found).to_bytes()
            }
            Code::PUT | Code::POST | Code::IPATCH if request.content_format().is_some() => {
                let written = records(request.content_format().unwrap(), request);
                // Resource 9 is for reading.
                if written.iter().any(|(path, _)| path.resource == Some(9)) {
                    return MessageBuilder::answer(request, Code::METHOD_NOT_ALLOWED, 0).to_bytes();
                }
                for (at, value) in written {
                    self.values.retain(|(path, _)| *path != at);
                    self.values.push((at, value));
                }
                MessageBuilder::answer(request, Code::CHANGED, 0).to_bytes()
            }
            _ => MessageBuilder::answer(request, Code::CHANGED, 0).to_bytes(),
        }
    }

    /// The values at these paths as SenML JSON; empty if there are none.
    fn found(&self, paths: &[Path]) -> Vec<u8> {
        let there = self.values.iter().filter(|(at, _)| paths.iter().any(|path| path.contains(at)));
        let records: Vec<Json> = there
            .map(|(at, value)| match value {
                Json::String(text) => json!({"n": at.to_string(), "vs": text}),
                value => json!({"n": at.to_string(), "v": value}),
            })
            .collect();
        if records.is_empty() { Vec::new() } else { serde_json::to_vec(&records).unwrap() }
    }

    fn notify(&mut self, observation: usize, sequence: u32) -> Option<Kind> {
        self.next_id += 1;
        let (paths, token) = self.observed[observation].clone();
        let notification = MessageBuilder::new(Kind::Confirmable, Code::CONTENT, self.next_id, token)
            .observe(sequence)
            .content_format(SENML_JSON)
            .payload(self.found(&paths))
            .to_bytes();
        self.world.inbox.clear();
        self.world.inject(CLEAR, self.from, &notification);
        self.world.run(Duration::from_millis(10));
        let answers = self.world.inbox.remove(&self.from)?;
        answers.first().map(|datagram| Message::parse(datagram).unwrap().kind)
    }

    fn set(&mut self, at: &str, value: Json) {
        self.values.retain(|(path, _)| *path != world::path(at));
        self.values.push((path(at), value));
    }

    fn ask(&mut self, id: u64, operation: Operation, body: Json, within: Duration) -> Answer {
        self.world.submit(Request { body: Some(body), ..request(id, operation, "/") });
        self.run(within);
        let outcomes = self.world.outcomes(id);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome != Outcome::Sent).count(), 1, "{outcomes:?}");
        self.world.answers.iter().rfind(|answer| answer.id == id).unwrap().clone()
    }

    fn read(&mut self, id: u64, paths: &[&str], within: Duration) -> Answer {
        self.ask(id, Operation::ReadComposite, json!({ "paths": paths }), within)
    }

    fn write(&mut self, id: u64, values: Json) -> Answer {
        self.ask(id, Operation::WriteComposite, json!({ "values": values }), SECOND)
    }

    /// What it was asked since.
    fn asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asked)
    }
}

fn records(format: u16, request: &Message<'_>) -> Vec<(Path, Json)> {
    let at: String = request.path().map(|segment| format!("/{}", std::str::from_utf8(segment).unwrap())).collect();
    let base = if at.is_empty() { Path::ROOT } else { path(&at) };
    let records = codec::decode(format, &base, request.payload, 0.0, Definitions::embedded()).unwrap();
    records
        .into_iter()
        .map(|record| {
            let mut value = Vec::new();
            record.value.to_json(&mut value);
            (record.path, serde_json::from_slice(&value).unwrap())
        })
        .collect()
}

fn body_of(answer: &Answer) -> Json {
    serde_json::from_slice(answer.body.as_deref().unwrap()).unwrap()
}

/// What an answer brought, as `path=value`.
fn content_of(answer: &Answer) -> Vec<String> {
    let body = body_of(answer);
    let values = body["content"].as_array().unwrap().iter();
    values.map(|value| format!("{}={}", value["path"].as_str().unwrap(), value["value"])).collect()
}

fn observing(paths: &[(&str, &str)]) -> DeviceEntry {
    let observe = paths.iter().map(|(path, attributes)| ((*path).to_owned(), (*attributes).to_owned())).collect();
    DeviceEntry { observe, ..entry(1) }
}

#[test]
fn several_paths_are_read_with_one_request() {
    let mut client = Client::knowing(Manners::Knows);

    let answer = client.read(1, &["/3303/0", "/3/0/9", "/3/0/99"], SECOND);

    assert_eq!((answer.outcome, answer.code), (Outcome::Answered, Some(Code::CONTENT)));
    assert_eq!(content_of(&answer), ["/3/0/9=87", "/3303/0/5700=9.5"]);
    let left_out = json!([{"path": "/3/0/99", "code": null, "detail": "the device left it out"}]);
    assert_eq!(body_of(&answer)["failed"], left_out);
    assert_eq!(client.asked(), ["0.05  /3303/0 /3/0/9 /3/0/99"]);
    assert_eq!(client.world.readings("read"), ["/3/0/9=87", "/3303/0/5700=9.5"]);
}

#[test]
fn several_resources_are_written_with_one_request() {
    let mut client = Client::knowing(Manners::Knows);

    let answer = client.write(1, json!({"/3/0/11": {"0": 0, "1": 6}, "/3/0/14": "+01", "/3303/0/5750": "north"}));

    assert_eq!((answer.outcome, answer.code, &answer.body), (Outcome::Answered, Some(Code::CHANGED), &None));
    assert_eq!(client.asked(), ["0.07  /3/0/11/0 /3/0/11/1 /3/0/14 /3303/0/5750"]);
    assert!(client.values.contains(&(path("/3/0/14"), json!("+01"))));
}

#[test]
fn one_resource_that_cannot_be_written_is_a_refusal_of_all_and_nothing_is_written_in_part() {
    let mut client = Client::knowing(Manners::Refuses(Code::BAD_REQUEST));

    let answer = client.write(1, json!({"/3/0/14": "+01", "/3303/0/5750": "north"}));

    assert_eq!((answer.outcome, answer.code), (Outcome::Refused, Some(Code::BAD_REQUEST)));
    assert_eq!(client.asked().len(), 1);
}

#[test]
fn a_resource_that_may_not_be_written_is_no_sign_that_a_device_does_not_know_how() {
    let mut client = Client::knowing(Manners::Knows);

    // /3/0/9 is for reading, and comes last.
    let answer = client.write(1, json!({"/3/0/14": "+01", "/1/0/1": 60, "/3/0/9": 1}));
    let asked = client.asked();

    assert_eq!((answer.outcome, answer.code), (Outcome::Refused, Some(Code::METHOD_NOT_ALLOWED)));
    assert_eq!(asked, ["0.07  /3/0/14 /1/0/1 /3/0/9"], "all at once and then nothing in part");
    assert!(client.values.iter().all(|(at, _)| *at != path("/3/0/14")));
    client.write(2, json!({"/3/0/14": "+01", "/1/0/1": 60}));
    assert_eq!(client.asked(), ["0.07  /3/0/14 /1/0/1"]);
}

#[test]
fn composites_that_make_no_sense_are_refused_before_they_wait() {
    let mut client = Client::knowing(Manners::Knows);
    let many: Vec<String> = (0..65).map(|id| format!("/3303/{id}")).collect();

    for (id, (operation, body)) in [
        (Operation::ReadComposite, json!({})),
        (Operation::ReadComposite, json!({"paths": []})),
        (Operation::ReadComposite, json!({"paths": ["/"]})),
        (Operation::ReadComposite, json!({"paths": ["3/0"]})),
        (Operation::ReadComposite, json!({"paths": [3]})),
        (Operation::ReadComposite, json!({"paths": many})),
        (Operation::WriteComposite, json!({"values": {"/3/0": 1}})),
        (Operation::WriteComposite, json!({"values": {"/3/0/9": "much"}})),
        (Operation::WriteComposite, json!({"values": {"/3/0/11/0": {"0": 1}}})),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = client.ask(id as u64, operation, body.clone(), SECOND);
        assert_eq!((answer.outcome, answer.code), (Outcome::Refused, None), "{body}");
    }
    assert!(client.asked().is_empty());
}

#[test]
fn a_client_that_refuses_fetch_is_asked_one_by_one_and_never_again() {
    for code in [Code::METHOD_NOT_ALLOWED, Code::NOT_IMPLEMENTED, Code::UNSUPPORTED_CONTENT_FORMAT, Code::NOT_FOUND] {
        let mut client = Client::knowing(Manners::Refuses(code));

        let answer = client.read(1, &["/3/0/9", "/3/0/99", "/3303/0"], SECOND);

        assert_eq!((answer.outcome, answer.code), (Outcome::Answered, Some(Code::CONTENT)), "{code}");
        assert_eq!(content_of(&answer), ["/3/0/9=87", "/3303/0/5700=9.5"]);
        assert_eq!(body_of(&answer)["failed"], json!([{"path": "/3/0/99", "code": "4.04", "detail": "not here"}]));
        assert!(client.asked().iter().any(|asked| asked.starts_with("0.05")), "{code}");
        client.read(2, &["/3/0/9", "/3303/0"], SECOND);
        assert_eq!(client.asked(), ["0.01 /3/0/9", "0.01 /3303/0"], "{code}");
        assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    }
}

#[test]
fn a_client_that_never_answers_fetch_costs_one_exchange() {
    for manners in [Manners::Silent, Manners::Acknowledges, Manners::Resets] {
        let mut client = Client::knowing(manners);

        client.world.submit(Request {
            body: Some(json!({"paths": ["/3/0/9", "/3303/0"]})),
            ..request(1, Operation::ReadComposite, "/")
        });
        client.world.submit(request(2, Operation::Read, "/3/0/13"));
        client.run(94 * SECOND);

        assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered], "{manners:?}");
        assert_eq!(client.world.outcomes(2), [Outcome::Sent, Outcome::Answered], "{manners:?}");
        client.asked();
        let again = client.read(3, &["/3/0/9", "/3/0/13"], SECOND);
        assert_eq!(content_of(&again), ["/3/0/9=87", "/3/0/13=1764000000"]);
        assert_eq!(client.asked(), ["0.01 /3/0/9", "0.01 /3/0/13"], "{manners:?}");
    }
}

#[test]
fn what_a_client_does_not_know_is_forgotten_when_it_registers_something_else() {
    let mut client = Client::knowing(Manners::Refuses(Code::METHOD_NOT_ALLOWED));
    client.read(1, &["/3/0/9", "/3303/0"], SECOND);
    client.register("lwm2m=1.1&b=U", "</3/0>,</3303/0>");
    client.asked();

    client.read(2, &["/3/0/9", "/3303/0"], SECOND);
    assert_eq!(client.asked(), ["0.01 /3/0/9", "0.01 /3303/0"], "the same again");
    client.manners = Manners::Knows;
    client.register("lwm2m=1.2&b=U", "</3/0>,</3303/0>");
    client.read(3, &["/3/0/9", "/3303/0"], SECOND);

    assert_eq!(client.asked(), ["0.05  /3/0/9 /3303/0"]);
}

#[test]
fn a_client_of_1_0_is_never_asked_for_several_paths_at_once() {
    let mut client = Client::registered(Manners::Knows, &observing(&[("/3/0/9", ""), ("/3303/0/5700", "")]), "b=U");
    assert_eq!(client.asked(), ["0.01 /3/0/9 observe=0", "0.01 /3303/0/5700 observe=0"]);

    let read = client.read(1, &["/3/0/9", "/3303/0/5700"], SECOND);
    let written = client.write(2, json!({"/3/0/14": "+01", "/3/0/15": "Oslo", "/3303/0/5750": "x"}));

    assert_eq!(read.outcome, Outcome::Answered, "{read:?}");
    assert_eq!(written.outcome, Outcome::Answered, "{written:?}");
    let writes = ["0.02 /3/0 /3/0/14 /3/0/15", "0.03 /3303/0/5750 /3303/0/5750"];
    assert_eq!(client.asked(), [["0.01 /3/0/9", "0.01 /3303/0/5700"], writes].concat());
}

#[test]
fn a_write_one_by_one_stops_at_the_first_that_is_refused_and_says_what_was_written() {
    let mut client = Client::registered(Manners::Knows, &entry(1), "b=U");

    let answer = client.write(1, json!({"/1/0/1": 60, "/3/0/9": 5, "/3303/0/5750": "x"}));

    assert_eq!((answer.outcome, answer.code), (Outcome::Refused, Some(Code::METHOD_NOT_ALLOWED)));
    assert_eq!(answer.detail.as_deref(), Some("/3/0/9: 4.05; written before that: /1/0/1"));
    let failed = &body_of(&answer)["failed"];
    assert_eq!((&failed[0]["path"], &failed[0]["code"]), (&json!("/3/0/9"), &json!("4.05")));
    assert_eq!((&failed[1]["path"], &failed[1]["code"]), (&json!("/3303/0/5750"), &Json::Null));
    assert_eq!(client.asked(), ["0.03 /1/0/1 /1/0/1", "0.03 /3/0/9 /3/0/9"]);
}

#[test]
fn a_device_that_is_gone_proves_nothing() {
    let mut client = Client::knowing(Manners::Knows);
    client.is_reachable = false;
    let gone = client.read(1, &["/3/0/9", "/3303/0"], 190 * SECOND);
    client.is_reachable = true;

    client.read(2, &["/3/0/9", "/3303/0"], 5 * SECOND);

    assert_eq!(gone.outcome, Outcome::TimedOut);
    assert_eq!(client.asked(), ["0.05  /3/0/9 /3303/0"]);
}

#[test]
fn a_sleeper_that_misses_a_composite_is_asked_for_it_again_as_one_later() {
    let mut client = Client::registered(Manners::Knows, &entry(1), "lwm2m=1.1&b=U&Q");
    client.run(10 * SECOND);
    client.is_reachable = false;
    client.world.submit(Request {
        body: Some(json!({"paths": ["/3/0/9", "/3303/0"]})),
        ..request(1, Operation::ReadComposite, "/")
    });
    client.run(100 * SECOND);
    client.is_reachable = true;

    client.register("lwm2m=1.1&b=U&Q", "</3/0>,</3303/0>");
    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    client.asked();
    client.read(2, &["/3/0/9", "/3303/0"], SECOND);

    assert_eq!(client.asked(), ["0.05  /3/0/9 /3303/0"], "its silence was sleep");
}

#[test]
fn a_sleeper_that_never_answers_composites_is_known_for_it_after_one_wake_up() {
    let mut client = Client::registered(Manners::Silent, &entry(1), "lwm2m=1.1&b=U&Q");
    client.run(10 * SECOND);
    client.world.submit(Request {
        body: Some(json!({"paths": ["/3/0/9", "/3303/0"]})),
        ..request(1, Operation::ReadComposite, "/")
    });
    // The window of its profile is over before that, so it is asked as soon as it speaks again.
    client.run(30 * SECOND);
    client.register("lwm2m=1.1&b=U&Q", "</3/0>,</3303/0>");
    client.run(100 * SECOND);

    client.register("lwm2m=1.1&b=U&Q", "</3/0>,</3303/0>");
    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
    client.asked();
    client.read(2, &["/3/0/9", "/3303/0"], SECOND);

    assert_eq!(client.asked(), ["0.01 /3/0/9", "0.01 /3303/0"]);
    assert_eq!(client.world.stat("composites_divided"), 2);
}

#[test]
fn paths_that_want_the_same_are_one_observation() {
    let entry = observing(&[("/3303/*/5700", "pmin=5"), ("/3/0/9", "pmin=5"), ("/3/0/13", "")]);
    let mut client = Client::registered(Manners::Knows, &entry, "lwm2m=1.1&b=U");

    let asked = client.asked();
    client.set("/3/0/9", json!(50));
    assert_eq!(client.notify(0, 11), Some(Kind::Acknowledgement));
    client.set("/3/0/9", json!(1));
    client.notify(0, 9);

    assert_eq!(
        asked,
        [
            "0.03 /3/0/9?pmin=5",
            "0.03 /3303/0/5700?pmin=5",
            "0.05  observe=0 /3/0/9 /3303/0/5700",
            "0.01 /3/0/13 observe=0"
        ]
    );
    let established = ["/3/0/9 established", "/3303/0/5700 established", "/3/0/13 established"];
    assert_eq!(client.world.observations(), established);
    let readings = client.world.readings("notify");
    assert_eq!(readings[..2], ["/3/0/9=87", "/3303/0/5700=9.5"]);
    assert_eq!(readings[3..], ["/3303/0/5700=9.5", "/3/0/9=50"], "what was overtaken is dropped (RFC 7641 §3.4)");
    let notified = client.world.events_of("readings").pop().unwrap().clone();
    assert_eq!((&notified["paths"], notified.get("path")), (&json!(["/3/0/9", "/3303/0/5700"]), None));
    assert_eq!(client.world.events_of("observation")[0]["attributes"], "pmin=5");
}

#[test]
fn a_path_that_is_left_out_of_an_observation_is_told() {
    let entry = observing(&[("/3/0/9", ""), ("/3/0/99", ""), ("/3303/0/5700", "")]);
    let client = Client::registered(Manners::Knows, &entry, "lwm2m=1.1&b=U");

    let told = ["/3/0/9 established", "/3303/0/5700 established", "/3/0/99 refused"];
    assert_eq!(client.world.observations(), told);
}

#[test]
fn a_client_of_1_2_gets_the_attributes_with_the_request() {
    let entry = observing(&[("/3/0/9", "pmin=5&con=1"), ("/3303/0/5700", "pmin=5&con=1"), ("/3/0/13", "gt=1")]);
    let mut client = Client::registered(Manners::Knows, &entry, "lwm2m=1.2&b=U");

    assert_eq!(client.asked(), ["0.05 ?pmin=5&con=1 observe=0 /3/0/9 /3303/0/5700", "0.01 /3/0/13?gt=1 observe=0"]);
    assert_eq!(client.world.events_of("observation")[0]["attributes"], "pmin=5&con=1");
}

#[test]
fn a_client_that_cannot_observe_several_paths_reports_them_one_by_one() {
    for manners in [Manners::Refuses(Code::METHOD_NOT_ALLOWED), Manners::Silent, Manners::Refuses(Code::FORBIDDEN)] {
        let entry = observing(&[("/3/0/9", "pmin=5"), ("/3303/0/5700", "pmin=5")]);
        let mut client = Client::registered(manners, &entry, "lwm2m=1.1&b=U");
        client.run(94 * SECOND);

        let single = ["0.01 /3/0/9 observe=0", "0.01 /3303/0/5700 observe=0"];
        assert!(client.asked().ends_with(&single.map(str::to_owned)), "{manners:?}");
        assert_eq!(client.world.observations(), ["/3/0/9 established", "/3303/0/5700 established"]);
        // An Update with other objects asks for nothing anew.
        client.next_id += 1;
        let location = client.world.events_of("registered")[0]["registration"].as_str().unwrap().to_owned();
        let update = message(Code::POST, client.next_id).path("/rd").path(&location);
        let links = b"</3/0>,</3303/0>,</3311/0>".to_vec();
        let update = update.content_format(coap::content_format::LINK_FORMAT).payload(links).to_bytes();
        client.world.inject(CLEAR, client.from, &update);
        client.run(SECOND);
        assert_eq!(client.world.events_of("updated").len(), 1);
        assert!(client.asked().is_empty(), "{manners:?}");
    }
}

#[test]
fn a_group_that_changes_begins_anew_and_the_former_one_is_cancelled() {
    let entry = observing(&[("/3/0/9", ""), ("/3303/0/5700", "")]);
    let mut client = Client::registered(Manners::Knows, &entry, "lwm2m=1.1&b=U");
    client.asked();

    client.world.put(&observing(&[("/3/0/9", ""), ("/3303/0/5700", ""), ("/3/0/13", "")]));
    client.run(SECOND);

    assert_eq!(client.asked(), ["0.05  observe=1 /3/0/9 /3303/0/5700", "0.05  observe=0 /3/0/9 /3/0/13 /3303/0/5700"]);
    assert_eq!(client.notify(0, 50), Some(Kind::Reset), "nobody listens to the former any more");
    assert_eq!(client.notify(1, 50), Some(Kind::Acknowledgement));
}

#[test]
fn a_group_that_changed_while_it_began_is_cancelled() {
    let before = observing(&[("/3/0/9", ""), ("/3303/0/5700", "")]);
    let mut client = Client::registered(Manners::Knows, &entry(1), "lwm2m=1.1&b=U");
    client.is_reachable = false;
    client.world.put(&before);
    client.run(SECOND);
    client.world.put(&observing(&[("/3/0/9", ""), ("/3303/0/5700", ""), ("/3/0/13", "")]));
    client.is_reachable = true;

    client.run(5 * SECOND);

    assert_eq!(
        client.asked(),
        [
            "0.05  observe=0 /3/0/9 /3303/0/5700",
            "0.05  observe=0 /3/0/9 /3/0/13 /3303/0/5700",
            "0.05  observe=1 /3/0/9 /3303/0/5700"
        ]
    );
}

#[test]
fn a_caller_observes_several_paths_and_ends_that() {
    let mut client = Client::knowing(Manners::Knows);
    let paths = json!({"paths": ["/3303/0/5700", "/3/0/9"]});

    let begun = client.ask(1, Operation::ObserveComposite, paths.clone(), SECOND);
    let renewed = client.ask(2, Operation::ObserveComposite, paths.clone(), SECOND);
    let ended =
        client.ask(3, Operation::CancelObservationComposite, json!({"paths": ["/3/0/9", "/3303/0/5700"]}), SECOND);
    let again = client.ask(4, Operation::CancelObservationComposite, paths, SECOND);

    assert_eq!(content_of(&begun), ["/3/0/9=87", "/3303/0/5700=9.5"]);
    assert_eq!(
        (renewed.outcome, ended.outcome, again.outcome),
        (Outcome::Answered, Outcome::Answered, Outcome::Refused)
    );
    assert_eq!(client.observed[0].1, client.observed[1].1, "the same token renews it (RFC 7641 §3.3.1)");
    assert_eq!(client.notify(0, 50), Some(Kind::Reset));
}

#[test]
fn a_caller_observes_several_paths_of_a_client_that_cannot() {
    let mut client = Client::knowing(Manners::Refuses(Code::METHOD_NOT_ALLOWED));
    let paths = json!({"paths": ["/3303/0/5700", "/3/0/9"]});

    let begun = client.ask(1, Operation::ObserveComposite, paths.clone(), SECOND);
    assert_eq!(client.notify(0, 11), Some(Kind::Acknowledgement));
    let ended = client.ask(2, Operation::CancelObservationComposite, paths, SECOND);

    assert_eq!(content_of(&begun), ["/3303/0/5700=9.5", "/3/0/9=87"]);
    assert_eq!(ended.outcome, Outcome::Answered, "{ended:?}");
    assert_eq!(client.notify(0, 50), Some(Kind::Reset));
    assert_eq!(client.notify(1, 50), Some(Kind::Reset));
}

#[test]
fn an_error_in_place_of_a_notification_ends_the_observation_of_all_its_paths() {
    let entry = observing(&[("/3/0/9", ""), ("/3303/0/5700", "")]);
    let mut client = Client::registered(Manners::Knows, &entry, "lwm2m=1.1&b=U");
    client.next_id += 1;
    let error = MessageBuilder::new(Kind::Confirmable, Code::NOT_FOUND, client.next_id, client.observed[0].1);

    client.world.inject(CLEAR, client.from, &error.to_bytes());
    client.run(SECOND);

    assert_eq!(client.world.observations()[2..], ["/3/0/9 lost", "/3303/0/5700 lost"]);
}

#[test]
fn what_a_device_shows_is_held_against_what_we_set() {
    let entry = observing(&[("/3/0/9", "pmin=5"), ("/3303/0/5700", "pmin=5")]);
    let mut client = Client::registered(Manners::Knows, &entry, "lwm2m=1.1&b=U");
    let discover = |client: &mut Client, id: u64, links: &str| {
        client.world.submit(request(id, Operation::Discover, "/3303/0"));
        let datagrams = client.world.inbox.remove(&client.from).unwrap();
        let asked = Message::parse(&datagrams[0]).unwrap();
        let answer = MessageBuilder::answer(&asked, Code::CONTENT, 0).content_format(40);
        client.world.inject(CLEAR, client.from, &answer.payload(links.as_bytes().to_vec()).to_bytes());
        client.run(SECOND);
    };

    discover(&mut client, 1, "</3303/0>,</3303/0/5700>;pmin=5");
    assert_eq!(client.world.observations().len(), 2, "as we set it");
    discover(&mut client, 2, "</3303/0>,</3303/0/5700>;pmin=30;gt=7");

    let drifted = client.world.events_of("observation").pop().unwrap().clone();
    assert_eq!((&drifted["path"], &drifted["state"]), (&json!("/3303/0/5700"), &json!("drifted")));
    assert_eq!(drifted["attributes"], "pmin=30&gt=7");
}

#[test]
fn a_fetch_that_fits_no_datagram_goes_in_blocks() {
    let mut client = Client::knowing(Manners::Knows);
    let note = "Ø".repeat(700);

    client.world.submit(Request {
        body: Some(json!({"values": {"/3/0/14": "+01", "/3303/0/5750": note}})),
        ..request(1, Operation::WriteComposite, "/")
    });
    let first = client.world.inbox.remove(&client.from).unwrap().remove(0);
    let first = Message::parse(&first).unwrap();
    let block = first.block1().unwrap();
    let proceed = MessageBuilder::answer(&first, Code::CONTINUE, 0).block1(block).to_bytes();
    client.world.inject(CLEAR, client.from, &proceed);
    let second = client.world.inbox.remove(&client.from).unwrap().remove(0);
    let second = Message::parse(&second).unwrap();
    let done = MessageBuilder::answer(&second, Code::CHANGED, 0).block1(second.block1().unwrap()).to_bytes();
    client.world.inject(CLEAR, client.from, &done);

    assert_eq!((first.code, block.more, first.content_format()), (Code::IPATCH, true, Some(SENML_CBOR)));
    assert_eq!((second.code, second.block1().unwrap().more), (Code::IPATCH, false));
    assert_eq!(client.world.outcomes(1), [Outcome::Sent, Outcome::Answered]);
}

#[test]
fn the_same_question_of_several_people_goes_out_once() {
    let mut client = Client::registered(Manners::Knows, &entry(1), "lwm2m=1.1&b=U&Q");
    client.run(60 * SECOND);
    client.asked();
    let paths = json!({"paths": ["/3/0/9", "/3303/0"]});
    for id in [1, 2, 5] {
        client.world.submit(request(id, Operation::Read, "/3/0/9"));
    }
    client.world.submit(Request { body: Some(paths.clone()), ..request(3, Operation::ReadComposite, "/") });
    client.world.submit(Request { body: Some(json!({"value": "+02"})), ..request(4, Operation::Write, "/3/0/14") });
    client.world.submit(request(6, Operation::Read, "/3/0/9"));
    client.world.submit(Request { body: Some(paths), ..request(7, Operation::ReadComposite, "/") });

    client.register("lwm2m=1.1&b=U&Q", "</3/0>,</3303/0>");

    let asked = client.asked();
    let once = ["0.01 /3/0/9", "0.05  /3/0/9 /3303/0", "0.03 /3/0/14 /3/0/14", "0.01 /3/0/9", "0.05  /3/0/9 /3303/0"];
    assert_eq!(asked, once, "who asks after a write wants to see it");
    for id in 1..=7 {
        assert_eq!(client.world.outcomes(id), [Outcome::Sent, Outcome::Answered], "{id}");
    }
    assert_eq!(client.world.stat("waiting"), 0);
}
