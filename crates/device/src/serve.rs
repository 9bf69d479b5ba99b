//! What a server asks of the device: read, write, execute, create, delete, discover, attributes, observe.
//!
//! OMA LwM2M Core 1.1 §6.3 and §6.4, over the CoAP methods of Transport 1.1 §6.4.

use std::time::Instant;

use coap::{Code, Encoder, Kind, Message, MessageBuilder, Seen, Token, UploadStep, blockwise, content_format, option};
use lwm2m::{Attributes, DecodeError, Links, Path, Record, Value, codec};

use crate::client::{Device, Phase};
use crate::event::Event;
use crate::relation::{RELATIONS_MAX, Relation};
use crate::tree::Mode;

/// Critical options that are understood; any other is answered 4.02 (RFC 7252 §5.4.1).
const KNOWN: [u16; 7] = [
    option::URI_HOST,
    option::URI_PORT,
    option::URI_PATH,
    option::URI_QUERY,
    option::ACCEPT,
    option::BLOCK1,
    option::BLOCK2,
];

/// Largest body a server may write in blocks: an image pushed to the Package resource.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Every so many notifications one is confirmable, so that a server that is gone is noticed (RFC 7641 §4.5).
const CONFIRM_EVERY: u32 = 16;

/// Lifetime of the Server object: what a server writes there holds from the next Update on (Core 1.1 §6.2.2).
const LIFETIME: (u16, u16) = (1, 1);

/// Registration Update Trigger of the Server object: its execution asks for an Update (Core 1.1 §6.2.2).
const UPDATE_TRIGGER: (u16, u16) = (1, 8);

/// What a request led to.
struct Reply {
    code: Code,
    format: Option<u16>,
    payload: Vec<u8>,
    observe: Option<u32>,
    location: Option<Path>,
}

impl From<Code> for Reply {
    fn from(code: Code) -> Self {
        Self { code, format: None, payload: Vec::new(), observe: None, location: None }
    }
}

impl Device {
    /// Answers a message that is no answer to us.
    pub(crate) fn serve(&mut self, now: Instant, message: &Message<'_>, out: &mut Vec<Vec<u8>>) {
        if message.kind == Kind::Reset {
            // RFC 7641 §3.6: a server that rejects a notification is no observer any more.
            self.relations.retain(|relation| relation.notification_id != Some(message.id));
            return;
        }
        if message.is_ping() || (message.code.is_response() && message.kind == Kind::Confirmable) {
            out.push(Message::reset(message.id).to_vec());
            return;
        }
        if !message.code.is_request() {
            return;
        }
        // RFC 7252 §4.5: a copy gets the same answer, and its request is not run again.
        match self.answers.seen(now, message.id, message.token) {
            Seen::Answered(answer) => return out.push(answer.to_vec()),
            Seen::Pending => return,
            Seen::New => {}
        }
        let answer = self.answer_to(now, message);
        self.answers.answered(now, message.id, message.token, &answer);
        out.push(answer);
    }

    fn answer_to(&mut self, now: Instant, message: &Message<'_>) -> Vec<u8> {
        let mut answer = Vec::new();
        let fresh_id = self.requests.next_id();
        if let Some(code) = message.refusal(&KNOWN) {
            return encode(message, Reply::from(code), None, fresh_id);
        }
        match self.uploads.handle(now, message, BODY_BYTES_MAX) {
            UploadStep::Continue(block) => {
                if let Ok(path) = path_of(message) {
                    let bytes = block.offset() + message.payload.len() as u64;
                    self.events.push_back(Event::Receiving { path, bytes });
                }
                Encoder::answer(&mut answer, message, Code::CONTINUE, fresh_id).block1(block).finish();
            }
            UploadStep::Refused { code, block } => {
                let encoder = Encoder::answer(&mut answer, message, code, fresh_id);
                match block {
                    Some(block) => encoder.block1(block).finish(),
                    None => encoder.finish(),
                }
            }
            UploadStep::Whole { body, block } => {
                let reply = self.answer(now, message, &body).unwrap_or_else(Reply::from);
                answer = encode(message, reply, block, fresh_id);
            }
        }
        answer
    }

    fn answer(&mut self, now: Instant, message: &Message<'_>, body: &[u8]) -> Result<Reply, Code> {
        let path = path_of(message)?;
        let queries: Vec<&[u8]> = message.queries().collect();
        match message.code {
            Code::GET if message.accept() == Some(content_format::LINK_FORMAT) => self.discover(&path),
            Code::GET => self.read_or_observe(now, message, &path),
            Code::PUT if message.content_format().is_none() && !queries.is_empty() => {
                self.set_attributes(&path, &queries)
            }
            Code::PUT => self.write(Mode::Replace, &path, message, body),
            Code::POST if path.depth() == 1 => self.create(now, &path, message, body),
            Code::POST if path.depth() == 3 => self.execute(&path, body),
            Code::POST => self.write(Mode::Update, &path, message, body),
            Code::DELETE => self.delete(now, &path),
            _ => Err(Code::METHOD_NOT_ALLOWED),
        }
    }

    fn discover(&self, path: &Path) -> Result<Reply, Code> {
        let links = self.tree.discover(path, &self.attributes, &self.definitions)?;
        let mut payload = Vec::new();
        Links::new(links).write(&mut payload);
        Ok(Reply { format: Some(content_format::LINK_FORMAT), payload, ..Reply::from(Code::CONTENT) })
    }

    fn read_or_observe(&mut self, now: Instant, message: &Message<'_>, path: &Path) -> Result<Reply, Code> {
        let records = self.tree.read(path, &self.definitions)?;
        let format = match message.accept() {
            Some(format) => format,
            None if path.depth() >= 3 && records.len() == 1 => content_format::TEXT_PLAIN,
            None => content_format::SENML_CBOR,
        };
        // A format that cannot carry this path, such as text for an instance, is one we cannot offer (RFC 7252 §5.10.4).
        let unsuitable = |error: lwm2m::EncodeError| match message.accept() {
            Some(_) => Code::NOT_ACCEPTABLE,
            None => error.code(),
        };
        let payload = codec::encode(format, path, &records, &self.definitions).map_err(unsuitable)?;
        let mut reply = Reply { format: Some(format), payload, ..Reply::from(Code::CONTENT) };
        match message.observe() {
            // A later block of a large notification repeats the option; it begins nothing (RFC 7959 §2.6).
            Some(coap::observe::REGISTER) if message.block2().is_none_or(|block| block.num == 0) => {
                reply.observe = self.begin_relation(now, message, *path, format, records);
            }
            Some(coap::observe::CANCEL) => {
                self.relations.retain(|relation| relation.token != message.token && relation.path != *path);
            }
            _ => {}
        }
        Ok(reply)
    }

    /// RFC 7641 §4.1: with no room for another observer the request is answered as if it were a read.
    fn begin_relation(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        path: Path,
        format: u16,
        records: Vec<Record>,
    ) -> Option<u32> {
        // RFC 7641 §4.4: the numbers of one token go on where they were when it is registered again.
        let before = self.relations.iter_mut().find(|relation| relation.token == message.token);
        let number = before.map_or(u32::from(message.id), |relation| relation.sequence.next_value());
        self.relations.retain(|relation| relation.token != message.token && relation.path != path);
        if self.relations.len() >= RELATIONS_MAX {
            return None;
        }
        let mut relation = Relation::new(message.token, path, format, number, records, now);
        let number = relation.sequence.next_value();
        self.relations.push(relation);
        Some(number)
    }

    fn set_attributes(&mut self, path: &Path, queries: &[&[u8]]) -> Result<Reply, Code> {
        // Core 1.1 §5.1.2: attributes belong to objects and what is beneath them, not to the root.
        if path.is_root() {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if !self.tree.has(path) {
            return Err(Code::NOT_FOUND);
        }
        let mut attributes = self.attributes.get(path).copied().unwrap_or_default();
        attributes.apply(queries).map_err(|error| error.code())?;
        self.attributes.insert(*path, attributes);
        Ok(Reply::from(Code::CHANGED))
    }

    fn write(&mut self, mode: Mode, path: &Path, message: &Message<'_>, body: &[u8]) -> Result<Reply, Code> {
        let records = self.decoded(path, message, body).map_err(|error| error.code())?;
        for written in self.tree.write(mode, path, records, &self.definitions)? {
            self.tell_written(&written);
        }
        Ok(Reply::from(Code::CHANGED))
    }

    fn create(&mut self, now: Instant, path: &Path, message: &Message<'_>, body: &[u8]) -> Result<Reply, Code> {
        let records = match self.decoded(path, message, body) {
            // Core 1.1 §6.3.6: resources without an instance leave the choice of its id to the client.
            Err(DecodeError::InstanceMissing { object }) => {
                let free = self.tree.free_instance(object).ok_or(Code::BAD_REQUEST)?;
                self.decoded(&free, message, body)
            }
            decoded => decoded,
        };
        let records = records.map_err(|error| error.code())?;
        let instance = self.tree.create(path.object, records, &self.definitions)?;
        self.events.push_back(Event::Written { path: instance, value: b"null".to_vec() });
        self.note_instances(now, &instance);
        Ok(Reply { location: Some(instance), ..Reply::from(Code::CREATED) })
    }

    fn delete(&mut self, now: Instant, path: &Path) -> Result<Reply, Code> {
        self.tree.delete(path, &self.definitions)?;
        self.attributes.retain(|there, _| !path.contains(there));
        self.note_instances(now, path);
        Ok(Reply::from(Code::DELETED))
    }

    /// An instance came or went: the server must know it (Core 1.1 §6.2.2), and so must whoever observes it.
    fn note_instances(&mut self, now: Instant, instance: &Path) {
        self.is_update_due |= self.is_registered();
        let is_gone = |relation: &Relation| instance.contains(&relation.path) && !self.tree.has(&relation.path);
        let gone: Vec<Token> = self.relations.iter().filter(|r| is_gone(r)).map(|relation| relation.token).collect();
        for token in gone {
            self.end_relation(now, token, Code::NOT_FOUND);
        }
        self.note_change(instance);
    }

    fn execute(&mut self, path: &Path, body: &[u8]) -> Result<Reply, Code> {
        self.tree.execute(path, &self.definitions)?;
        let arguments = arguments_json(body).ok_or(Code::BAD_REQUEST)?;
        if path.resource.is_some_and(|resource| (path.object, resource) == UPDATE_TRIGGER) {
            self.is_update_due |= self.is_registered();
        }
        self.events.push_back(Event::Executed { path: *path, arguments });
        Ok(Reply::from(Code::CHANGED))
    }

    fn decoded(&self, path: &Path, message: &Message<'_>, body: &[u8]) -> Result<Vec<Record>, DecodeError> {
        let format = message.content_format().unwrap_or(content_format::TEXT_PLAIN);
        // The device has no wall clock of its own; a relative SenML time in a write has no meaning here.
        codec::decode(format, path, body, 0.0, &self.definitions)
    }

    fn tell_written(&mut self, path: &Path) {
        let mut value = Vec::new();
        if let Some(written) = self.tree.get(path) {
            if let (Some(resource), Value::Integer(seconds)) = (path.resource, written)
                && (path.object, resource) == LIFETIME
                && let Ok(lifetime_s) = u32::try_from(*seconds)
            {
                self.config.lifetime_s = lifetime_s;
                self.is_update_due |= matches!(self.phase, Phase::Registered { .. });
            }
            written.to_json(&mut value);
        }
        self.events.push_back(Event::Written { path: *path, value });
        self.note_change(path);
    }

    /// Tells every observation that covers this path.
    pub(crate) fn note_change(&mut self, path: &Path) {
        for index in 0..self.relations.len() {
            let observed = self.relations[index].path;
            if observed.contains(path) || path.contains(&observed) {
                let attributes = self.attributes_of(&observed);
                let current = self.tree.read(&observed, &self.definitions).unwrap_or_default();
                self.relations[index].note_change(&current, &attributes);
            }
        }
    }

    /// What holds at a path: its own attributes, then those of the levels above (Core 1.1 §5.1.2).
    pub(crate) fn attributes_of(&self, path: &Path) -> Attributes {
        let mut found = Attributes::default();
        let mut level = *path;
        while !level.is_root() {
            if let Some(here) = self.attributes.get(&level) {
                found = found.or(here);
            }
            level = level.parent();
        }
        found
    }

    /// Sends the notifications that are due.
    pub(crate) fn notify(&mut self, now: Instant) {
        let mut ended = Vec::new();
        for index in 0..self.relations.len() {
            let path = self.relations[index].path;
            let attributes = self.attributes_of(&path);
            if self.relations[index].due(&attributes).is_none_or(|due| due > now) {
                continue;
            }
            let token = self.relations[index].token;
            let records = self.tree.read(&path, &self.definitions);
            let encoded = records.and_then(|records| {
                let format = self.relations[index].format;
                let payload = codec::encode(format, &path, &records, &self.definitions);
                payload.map(|payload| (records, payload)).map_err(|_| Code::NOT_ACCEPTABLE)
            });
            match encoded {
                Ok((records, payload)) => self.send_notification(now, index, records, &payload, attributes.con),
                Err(code) => ended.push((token, code)),
            }
        }
        for (token, code) in ended {
            self.end_relation(now, token, code);
        }
    }

    fn send_notification(
        &mut self,
        now: Instant,
        index: usize,
        records: Vec<Record>,
        payload: &[u8],
        confirm: Option<bool>,
    ) {
        let Some(relation) = self.relations.get_mut(index) else { return };
        let (number, token, format) = (relation.sequence.next_value(), relation.token, relation.format);
        let wanted =
            confirm.unwrap_or(false) || number.is_multiple_of(CONFIRM_EVERY) || relation.must_be_confirmed(now);
        let confirm = wanted && !self.responses.is_full();
        let id = self.requests.next_id();
        relation.note_sent(records, id, now, confirm);
        let datagram = |kind| {
            let mut builder =
                MessageBuilder::new(kind, Code::CONTENT, id, token).observe(number).content_format(format);
            if let Some(cut) = blockwise::serve(payload.len() as u64, None, blockwise::SZX_MAX) {
                if let Some(block) = cut.block {
                    builder = builder.block2(block).etag(blockwise::etag(payload).to_vec());
                }
                builder = builder.payload(&payload[cut.range.start as usize..cut.range.end as usize]);
            }
            builder.to_bytes()
        };
        // RFC 7641 §4.5.2: while a confirmable one is on its way, a newer one waits to take its place.
        let confirmable = datagram(Kind::Confirmable);
        if self.responses.replace(&token, &confirmable) {
            return relation.note_waiting();
        }
        let mut out: Vec<Vec<u8>> = Vec::new();
        if confirm {
            let transmission = *self.requests.transmission();
            let _ = self.responses.push(now, &transmission, confirmable, token, &mut out);
        } else {
            out.push(datagram(Kind::NonConfirmable));
        }
        self.transmit(now, out);
    }

    /// RFC 7641 §4.2: what can be observed no longer is said so with an error code, and that is the last of it.
    fn end_relation(&mut self, now: Instant, token: Token, code: Code) {
        self.relations.retain(|relation| relation.token != token);
        self.responses.cancel(&token);
        let message = MessageBuilder::new(Kind::NonConfirmable, code, self.requests.next_id(), token);
        self.transmit(now, vec![message.to_bytes()]);
    }
}

fn path_of(message: &Message<'_>) -> Result<Path, Code> {
    let mut text = String::new();
    for segment in message.path() {
        text.push('/');
        text.push_str(std::str::from_utf8(segment).map_err(|_| Code::BAD_REQUEST)?);
    }
    if text.is_empty() {
        return Ok(Path::ROOT);
    }
    Path::parse(&text).map_err(|_| Code::NOT_FOUND)
}

/// The response, in blocks when it does not fit. Every block is cut anew from the same body: nothing is remembered.
fn encode(message: &Message<'_>, reply: Reply, block1: Option<coap::Block>, fresh_id: u16) -> Vec<u8> {
    let location = reply.location.map(|path| path.to_string());
    let mut builder = MessageBuilder::answer(message, reply.code, fresh_id);
    let Some(cut) = blockwise::serve(reply.payload.len() as u64, message.block2(), blockwise::SZX_MAX) else {
        return MessageBuilder::answer(message, Code::BAD_REQUEST, fresh_id).to_bytes();
    };
    if let Some(location) = &location {
        builder = builder.location(location);
    }
    if let Some(number) = reply.observe {
        builder = builder.observe(number);
    }
    if let Some(format) = reply.format {
        builder = builder.content_format(format);
    }
    if let Some(block) = block1 {
        builder = builder.block1(block);
    }
    if let Some(block) = cut.block {
        builder = builder.block2(block).etag(blockwise::etag(&reply.payload).to_vec());
    }
    builder.payload(reply.payload[cut.range.start as usize..cut.range.end as usize].to_vec()).to_bytes()
}

/// Execute arguments as JSON by digit: `0='x',1` (Core 1.1 §6.3.5). None when they are not of that form.
fn arguments_json(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut arguments = serde_json::Map::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digit = rest.chars().next().filter(char::is_ascii_digit)?;
        rest = &rest[1..];
        let value = match rest.strip_prefix("='") {
            Some(quoted) => {
                let (value, after) = quoted.split_once('\'')?;
                rest = after;
                value
            }
            None => "",
        };
        arguments.insert(digit.to_string(), serde_json::Value::String(value.to_owned()));
        rest = match rest.strip_prefix(',') {
            Some("") => return None,
            Some(after) => after,
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    serde_json::to_vec(&arguments).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_an_execute_are_read_as_the_specification_writes_them() {
        let read = |text: &str| arguments_json(text.as_bytes()).map(|json| String::from_utf8_lossy(&json).into_owned());

        assert_eq!(read("").as_deref(), Some("{}"));
        assert_eq!(read("5").as_deref(), Some(r#"{"5":""}"#));
        assert_eq!(read("2='10.3'").as_deref(), Some(r#"{"2":"10.3"}"#));
        assert_eq!(read("7,0='https://www.oma.org'").as_deref(), Some(r#"{"7":"","0":"https://www.oma.org"}"#));
        assert_eq!(read("0,"), None);
        assert_eq!(read("a"), None);
        assert_eq!(read("0='open"), None);
    }
}
