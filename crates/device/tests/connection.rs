//! A device over a connection (RFC 8323), its server made by hand: when it connects, what it keeps, how patient it is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use coap::stream::{Decoder, frame};
use coap::{Code, Kind, Message, MessageBuilder, Token};
use device::{Config, Device, Event, Path, Value};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

struct World {
    device: Device,
    now: Instant,
    events: Vec<Event>,
    decoder: Decoder,
}

/// What the device said.
struct Said {
    code: Code,
    token: Token,
    path: String,
    queries: Vec<String>,
}

impl World {
    fn new(queue_mode: bool) -> Self {
        let config = Config {
            endpoint: "oxy-0417".into(),
            server: "127.0.0.1:5683".parse().unwrap(),
            over_tcp: true,
            bootstraps: false,
            version: device::Version::V1_1,
            root: "/".into(),
            credential: None,
            lifetime_s: 300,
            queue_mode,
            awake_window: seconds(20),
            queries: Vec::new(),
            enclosure: None,
            enclosure_option: None,
            seed: 7,
        };
        let now = Instant::now();
        let mut device = Device::new(config, device::definitions(), now);
        device.set(path("/3/0/9"), Value::Integer(87));
        device.power_on(now);
        Self { device, now, events: Vec::new(), decoder: Decoder::new(1 << 20) }
    }

    /// One that has registered as `/rd/1`.
    fn registered(queue_mode: bool) -> Self {
        let mut world = Self::new(queue_mode);
        world.connect();
        let register = world.said().remove(1);
        world.answer(register.token, Code::CREATED);
        assert!(world.device.is_registered());
        world.events();
        world
    }

    /// The connection that it wants is made, and the server introduces itself.
    fn connect(&mut self) {
        assert!(self.device.poll_connection().is_some());
        self.decoder = Decoder::new(1 << 20);
        self.device.handle_connected(self.now);
        self.tell(&MessageBuilder::new(Kind::Reliable, Code::CSM, 0, Token::EMPTY));
    }

    fn tell(&mut self, message: &MessageBuilder<'_>) {
        let mut bytes = Vec::new();
        frame(&message.to_bytes(), &mut bytes);
        self.device.handle_bytes(self.now, &bytes);
    }

    fn answer(&mut self, token: Token, code: Code) {
        let answer = MessageBuilder::new(Kind::Reliable, code, 0, token);
        self.tell(&if code == Code::CREATED { answer.location("/rd/1") } else { answer });
    }

    fn said(&mut self) -> Vec<Said> {
        while let Some(bytes) = self.device.poll_transmit() {
            self.decoder.push(&bytes);
        }
        let mut said = Vec::new();
        while let Some(frame) = self.decoder.next_frame().unwrap() {
            let message = Message::parse_frame(frame).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            said.push(Said {
                code: message.code,
                token: message.token,
                path: message.path().map(|segment| format!("/{}", text(segment))).collect(),
                queries: message.queries().map(text).collect(),
            });
        }
        said
    }

    fn codes(&mut self) -> Vec<(Code, String)> {
        self.said().into_iter().map(|said| (said.code, said.path)).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        self.events.extend(std::iter::from_fn(|| self.device.poll_event()));
        std::mem::take(&mut self.events)
    }

    /// Lets time pass until it wants a connection; how long that was.
    fn waits(&mut self) -> Duration {
        let begin = self.now;
        while self.device.poll_connection().is_none() {
            self.now = self.device.poll_timeout().unwrap();
            self.device.handle_timeout(self.now);
        }
        self.now - begin
    }
}

#[test]
fn it_introduces_itself_and_registers_when_the_server_has() {
    let mut world = World::new(false);
    world.device.handle_connected(world.now);
    assert_eq!(world.codes(), [(Code::CSM, String::new())]);

    world.tell(&MessageBuilder::new(Kind::Reliable, Code::CSM, 0, Token::EMPTY));

    let said = world.said();
    assert_eq!((said.len(), said[0].code, said[0].path.as_str()), (1, Code::POST, "/rd"));
    assert_eq!(said[0].queries, ["ep=oxy-0417", "lt=300", "lwm2m=1.1", "b=T"]);
    world.answer(said[0].token, Code::CREATED);
    assert_eq!(world.events(), [Event::Registered]);
}

#[test]
fn it_tries_again_with_patience_while_nobody_is_there() {
    let mut world = World::new(false);
    let mut waits = Vec::new();
    for _ in 0..9 {
        world.device.handle_closed(world.now, "nobody is there");
        assert!(matches!(world.events().as_slice(), [Event::Refused { code: None, .. }]));
        waits.push(world.waits());
    }

    assert!((seconds(1)..=seconds(2)).contains(&waits[0]), "{waits:?}");
    assert!(waits.windows(2).all(|two| two[1] > two[0] || two[1] >= seconds(60)), "{waits:?}");
    assert!((seconds(60)..=seconds(75)).contains(&waits[8]), "{waits:?}");
}

#[test]
fn a_server_that_does_not_introduce_itself_is_given_up() {
    let mut world = World::new(false);
    world.device.handle_connected(world.now);

    world.now = world.device.poll_timeout().unwrap();
    world.device.handle_timeout(world.now);

    assert_eq!(world.device.poll_connection(), None);
    let refused = world.events();
    assert!(matches!(&refused[..], [Event::Refused { detail, .. }] if detail.contains("CSM")), "{refused:?}");
}

#[test]
fn a_connection_that_broke_costs_no_registration() {
    let mut world = World::registered(false);
    world.device.handle_closed(world.now, "cut");
    assert_eq!(world.events(), []);
    for _ in 0..3 {
        world.waits();
        world.device.handle_closed(world.now, "nobody is there");
    }
    world.device.send(world.now, 5, vec![path("/3/0/9")]);

    world.waits();
    world.connect();
    let said = world.said();
    let what: Vec<_> = said.iter().map(|said| (said.code, said.path.as_str())).collect();
    assert_eq!(what, [(Code::CSM, ""), (Code::POST, "/rd/1")]);
    world.answer(said[1].token, Code::CHANGED);
    let sent = world.said();
    assert_eq!((sent[0].code, sent[0].path.as_str()), (Code::POST, "/dp"), "what waited follows");
    world.answer(sent[0].token, Code::CHANGED);
    assert!(
        world.events().iter().any(|event| matches!(event, Event::Done { number: 5, code: Some(Code::CHANGED), .. }))
    );

    // It answered, so the next loss is a first one again.
    world.device.handle_closed(world.now, "cut");
    assert!(world.waits() <= seconds(2));
}

#[test]
fn a_server_that_forgot_it_meanwhile_gets_a_new_registration() {
    let mut world = World::registered(false);
    world.device.handle_closed(world.now, "cut");
    world.waits();
    world.connect();
    let update = world.said().remove(1);

    world.answer(update.token, Code::NOT_FOUND);

    assert_eq!(world.codes(), [(Code::POST, "/rd".to_owned())]);
    assert_eq!(world.events(), [Event::Unregistered]);
}

#[test]
fn observations_end_with_their_connection() {
    let mut world = World::registered(false);
    let observe = MessageBuilder::new(Kind::Reliable, Code::GET, 0, Token::new(b"o").unwrap());
    world.tell(&observe.path("/3/0/9").observe(0));
    assert_eq!(world.codes()[0].0, Code::CONTENT);
    world.device.set(path("/3/0/9"), Value::Integer(86));
    world.device.handle_timeout(world.now);
    assert_eq!(world.codes()[0].0, Code::CONTENT, "a notification");

    world.device.handle_closed(world.now, "cut");
    world.waits();
    world.connect();
    world.said();
    world.device.set(path("/3/0/9"), Value::Integer(85));
    world.device.handle_timeout(world.now);

    assert_eq!(world.codes(), []);
}

#[test]
fn what_would_be_kept_for_want_of_an_acknowledgement_is_told_at_once_over_a_connection() {
    let mut world = World::registered(false);
    world.device.set_wall_clock(world.now, 1.7e9);
    let put = MessageBuilder::new(Kind::Reliable, Code::PUT, 0, Token::new(b"p").unwrap());
    world.tell(&put.path("/3/0/9").query("hqmax=3"));
    let observe = MessageBuilder::new(Kind::Reliable, Code::GET, 0, Token::new(b"o").unwrap());
    world.tell(&observe.path("/3/0/9").option(coap::option::ACCEPT, &[112][..]).observe(0));
    assert_eq!(world.codes().len(), 2);

    for value in [86, 85, 84] {
        world.now += seconds(1);
        world.device.set(path("/3/0/9"), Value::Integer(value));
        world.device.handle_timeout(world.now);
        assert_eq!(world.codes(), [(Code::CONTENT, String::new())], "{value}");
    }
}

#[test]
fn a_goodbye_that_the_connection_did_not_survive_is_one_all_the_same() {
    let mut world = World::registered(false);
    world.device.deregister(world.now, Some(7));
    assert_eq!(world.codes()[0].0, Code::DELETE);

    world.device.handle_closed(world.now, "cut");

    assert_eq!((world.device.poll_connection(), world.device.poll_timeout()), (None, None));
    assert!(world.events().iter().any(|event| matches!(event, Event::Done { number: 7, code: None, .. })));
}

#[test]
fn one_that_sleeps_connects_when_it_has_something_to_say_or_has_to_renew() {
    let mut world = World::registered(true);
    world.tell(&MessageBuilder::new(Kind::Reliable, Code::RELEASE, 0, Token::EMPTY));
    assert_eq!((world.device.poll_connection(), world.events()), (None, Vec::new()));
    assert!(world.waits() >= seconds(100), "it renews, and not before");

    let mut world = World::registered(true);
    world.tell(&MessageBuilder::new(Kind::Reliable, Code::RELEASE, 0, Token::EMPTY));
    world.device.deregister(world.now, Some(9));
    assert_eq!(world.waits(), Duration::ZERO);
    world.connect();
    let said = world.said();
    assert_eq!((said[1].code, said[1].path.as_str()), (Code::DELETE, "/rd/1"));
    world.answer(said[1].token, Code::DELETED);
    assert!(
        world.events().iter().any(|event| matches!(event, Event::Done { number: 9, code: Some(Code::DELETED), .. }))
    );
    assert_eq!(world.codes(), [(Code::RELEASE, String::new())]);
    assert_eq!(world.device.poll_connection(), None);
}

#[test]
fn a_server_that_wants_to_be_left_alone_for_a_while_is_but_not_for_ever() {
    for (queue_mode, hold_off, expected) in [(false, &[0, 200][..], 200), (true, &[0xff, 0xff, 0xff], 3_600)] {
        let mut world = World::registered(queue_mode);
        world.tell(&MessageBuilder::new(Kind::Reliable, Code::RELEASE, 0, Token::EMPTY).option(4, hold_off));
        world.device.send(world.now, 5, vec![path("/3/0/9")]);

        assert_eq!(world.waits(), seconds(expected));
    }
}

#[test]
fn what_comes_to_a_connection_that_was_replaced_is_nobodys() {
    let mut world = World::registered(false);
    world.device.lose_power();
    assert_eq!(world.device.poll_connection(), None);
    world.tell(&MessageBuilder::new(Kind::Reliable, Code::GET, 0, Token::EMPTY).path("/3/0/9"));
    assert_eq!(world.codes(), []);

    world.device.power_on(world.now);
    world.connect();
    assert_eq!(world.codes(), [(Code::CSM, String::new()), (Code::POST, "/rd".to_owned())]);
}
