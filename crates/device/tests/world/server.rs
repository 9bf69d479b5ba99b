//! The server's side of the room.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use coap::{Block, Code, Kind, Message, MessageBuilder, Token, blockwise, option};
use dtls::{Hello, Keys, Progress, ServerOptions, Session, is_client_hello};
use zeroize::Zeroizing;

use super::{IDENTITY, KEY};

const CID: [u8; 8] = [0, 1, 2, 10, 11, 12, 13, 14];

/// A message of the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub at: Instant,
    pub kind: Kind,
    pub code: Code,
    pub id: u16,
    pub token: Token,
    pub path: String,
    pub queries: Vec<String>,
    pub options: Vec<(u16, Vec<u8>)>,
    pub format: Option<u16>,
    pub observe: Option<u32>,
    pub block2: Option<Block>,
    pub location: String,
    pub payload: Vec<u8>,
}

impl Heard {
    pub fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).unwrap()
    }
}

pub struct Server {
    /// Every message of the device, in order.
    pub heard: Vec<Heard>,
    /// Datagrams for the device.
    pub outbox: VecDeque<Vec<u8>>,
    /// What it says to a Register, an Update, a Send; `None` is nothing at all.
    pub to_register: Option<Code>,
    pub to_update: Option<Code>,
    pub to_send: Option<Code>,
    /// Versions of LwM2M that it knows; any other gets 4.12.
    pub versions: Vec<&'static str>,
    /// Confirmable notifications are acknowledged.
    pub acknowledges: bool,
    /// What `/fw/image` is, in which version, and the largest block it is served in.
    pub file: Vec<u8>,
    pub etag: u8,
    pub szx_max: u8,
    pub secure: Option<Secure>,
    registrations: u32,
    next_id: u16,
    start: Instant,
}

pub struct Secure {
    server: dtls::Server,
    pub session: Option<Session>,
    pub key: Vec<u8>,
    pub handshakes: usize,
    /// Where the device speaks from.
    pub address: Vec<u8>,
}

struct OneKey<'k>(&'k [u8]);

impl Keys for OneKey<'_> {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        (identity == IDENTITY).then(|| Zeroizing::new(self.0.to_vec()))
    }
}

impl Server {
    pub fn new(start: Instant, is_secure: bool) -> Self {
        let secure = is_secure.then(|| Secure {
            server: dtls::Server::new(&ServerOptions::default()).unwrap(),
            session: None,
            key: KEY.to_vec(),
            handshakes: 0,
            address: b"192.0.2.1:1024".to_vec(),
        });
        Self {
            heard: Vec::new(),
            outbox: VecDeque::new(),
            to_register: Some(Code::CREATED),
            to_update: Some(Code::CHANGED),
            to_send: Some(Code::CHANGED),
            versions: vec!["1.0", "1.1", "1.2"],
            acknowledges: true,
            file: Vec::new(),
            etag: 1,
            szx_max: blockwise::SZX_MAX,
            secure,
            registrations: 0,
            next_id: 1,
            start,
        }
    }

    /// Requests of the device, in order.
    pub fn requests(&self, code: Code, path: &str) -> Vec<Heard> {
        self.heard.iter().filter(|heard| heard.code == code && heard.path == path).cloned().collect()
    }

    /// Everything that came under this token since it was last looked at.
    pub fn take_notifications(&mut self, token: Token) -> Vec<Heard> {
        let of =
            |heard: &Heard| heard.token == token && heard.code.is_response() && heard.kind != Kind::Acknowledgement;
        let found = self.heard.iter().filter(|heard| of(heard)).cloned().collect();
        self.heard.retain(|heard| !of(heard));
        found
    }

    pub fn answer_to(&self, id: u16) -> Option<Heard> {
        self.heard.iter().rev().find(|heard| heard.kind == Kind::Acknowledgement && heard.id == id).cloned()
    }

    pub fn ask(
        &mut self,
        code: Code,
        path: &str,
        finish: impl FnOnce(MessageBuilder<'_>) -> MessageBuilder<'_>,
    ) -> u16 {
        self.next_id += 1;
        let token = Token::new(&self.next_id.to_be_bytes()).unwrap();
        let message = MessageBuilder::new(Kind::Confirmable, code, self.next_id, token).path(path);
        let datagram = finish(message).to_bytes();
        self.say(&datagram);
        self.next_id
    }

    /// Says something, through the session if there is one.
    pub fn say(&mut self, message: &[u8]) {
        let Some(secure) = &mut self.secure else { return self.outbox.push_back(message.to_vec()) };
        let Some(session) = &mut secure.session else { return };
        let mut out = Vec::new();
        session.send(message, &mut out).unwrap();
        self.outbox.extend(out);
    }

    /// Forgets everything, as after a crash.
    pub fn restart(&mut self) {
        if let Some(secure) = &mut self.secure {
            secure.session = None;
        }
    }

    pub fn take(&mut self, now: Instant, datagram: &[u8]) {
        let Some(mut secure) = self.secure.take() else { return self.hear(now, datagram) };
        let (messages, out) = secure.take(self.milliseconds(now), datagram);
        self.outbox.extend(out);
        self.secure = Some(secure);
        for message in messages {
            self.hear(now, &message);
        }
    }

    fn hear(&mut self, now: Instant, datagram: &[u8]) {
        let message = Message::parse(datagram).unwrap();
        let text = |values: Vec<&[u8]>| {
            values.into_iter().map(|value| format!("/{}", String::from_utf8_lossy(value))).collect::<String>()
        };
        let heard = Heard {
            at: now,
            kind: message.kind,
            code: message.code,
            id: message.id,
            token: message.token,
            path: text(message.path().collect()),
            queries: message.queries().map(|query| String::from_utf8_lossy(query).into_owned()).collect(),
            options: message.options().map(|(number, value)| (number, value.to_vec())).collect(),
            format: message.content_format(),
            observe: message.observe(),
            block2: message.block2(),
            location: text(message.location().collect()),
            payload: message.payload.to_vec(),
        };
        self.answer(&message, &heard);
        self.heard.push(heard);
    }

    fn answer(&mut self, message: &Message<'_>, heard: &Heard) {
        if message.code.is_response() {
            if message.kind == Kind::Confirmable && self.acknowledges {
                self.say(&Message::acknowledgement(message.id));
            }
            return;
        }
        let answer = match (message.code, heard.path.as_str()) {
            (Code::POST, "/rd")
                if !self.versions.iter().any(|known| heard.queries.contains(&format!("lwm2m={known}"))) =>
            {
                Some(MessageBuilder::answer(message, Code::PRECONDITION_FAILED, 0).to_bytes())
            }
            (Code::POST, "/rd") => self.to_register.map(|code| {
                self.registrations += u32::from(code == Code::CREATED);
                let location = format!("{}", self.registrations);
                let answer = MessageBuilder::answer(message, code, 0);
                if code == Code::SERVICE_UNAVAILABLE {
                    return answer.max_age(40).to_bytes();
                }
                if code != Code::CREATED {
                    return answer.payload(&b"not today"[..]).to_bytes();
                }
                answer
                    .option(option::LOCATION_PATH, &b"rd"[..])
                    .option(option::LOCATION_PATH, location.as_bytes())
                    .to_bytes()
            }),
            (Code::POST, "/dp") => self.to_send.map(|code| {
                let answer = MessageBuilder::answer(message, code, 0);
                if code == Code::SERVICE_UNAVAILABLE { answer.max_age(40).to_bytes() } else { answer.to_bytes() }
            }),
            (Code::POST, _) => self.to_update.map(|code| MessageBuilder::answer(message, code, 0).to_bytes()),
            (Code::DELETE, _) => self.to_update.map(|_| MessageBuilder::answer(message, Code::DELETED, 0).to_bytes()),
            (Code::GET, "/fw/image") => Some(self.block(message)),
            (Code::GET, _) => Some(MessageBuilder::answer(message, Code::NOT_FOUND, 0).to_bytes()),
            _ => None,
        };
        if let Some(answer) = answer {
            self.say(&answer);
        }
    }

    fn block(&self, message: &Message<'_>) -> Vec<u8> {
        let Some(cut) = blockwise::serve(self.file.len() as u64, message.block2(), self.szx_max) else {
            return MessageBuilder::answer(message, Code::BAD_REQUEST, 0).to_bytes();
        };
        let mut answer = MessageBuilder::answer(message, Code::CONTENT, 0)
            .etag(vec![self.etag])
            .uint(option::SIZE2, self.file.len() as u32)
            .payload(&self.file[cut.range.start as usize..cut.range.end as usize]);
        if let Some(block) = cut.block {
            answer = answer.block2(block);
        }
        answer.to_bytes()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let ms = self.secure.as_ref()?.session.as_ref()?.poll_timeout()?;
        Some(self.start + Duration::from_millis(ms))
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let now_ms = self.milliseconds(now);
        let Some(secure) = &mut self.secure else { return };
        let Some(session) = &mut secure.session else { return };
        let mut out = Vec::new();
        if session.handle_timeout(now_ms, &mut out).is_err() {
            secure.session = None;
        }
        self.outbox.extend(out);
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        now.duration_since(self.start).as_millis() as u64
    }
}

impl Secure {
    fn take(&mut self, now_ms: u64, datagram: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let (mut messages, mut out) = (Vec::new(), Vec::new());
        if is_client_hello(datagram) && !self.session.as_ref().is_some_and(|session| session.began_with(datagram)) {
            let mut answer = Vec::new();
            match self.server.handle_hello(now_ms, &self.address, datagram, &mut answer) {
                Hello::Verified => self.session = Some(self.server.accept(now_ms, CID).unwrap()),
                Hello::SendCookie => return (messages, vec![answer]),
                Hello::Drop(_) => {}
            }
        }
        let Some(session) = &mut self.session else { return (messages, out) };
        let mut keys = OneKey(&self.key);
        let mut take = |data: &[u8]| messages.push(data.to_vec());
        match session.handle_datagram(now_ms, datagram, &mut keys, &mut take, &mut out) {
            Ok(Progress::Established) => self.handshakes += 1,
            Ok(Progress::Closed) | Err(_) => self.session = None,
            Ok(Progress::Handshaking | Progress::Data) => {}
        }
        (messages, out)
    }
}
