//! What a server asks of the device: read, write, execute, create, delete, discover, attributes, observe, composites.
//!
//! OMA LwM2M Core 1.1 §6.3 and §6.4, over the CoAP methods of Transport 1.1 §6.4. A request is first understood and
//! checked; then its owner may be asked (`held.rs`); then it is carried out.

use std::time::Instant;

use coap::{Capacity, Code, Encoder, Kind, Message, Refusal, Seen, UploadStep, content_format, observe, option};
use lwm2m::{DecodeError, Kind as ValueKind, Links, Path, Record, Value, Version, codec};

use crate::client::{Device, Phase};
use crate::discover::effective;
use crate::event::Event;
use crate::held::values_json;
use crate::relation::{PATHS_MAX, Relation};
use crate::reply::{Reply, encode};
use crate::server_object;
use crate::transport::Transport;
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

/// A request that was understood, and can be carried out.
#[derive(Debug)]
pub(crate) enum Work {
    /// Read or Observe, and their composites.
    Look { paths: Vec<Path>, is_composite: bool },
    /// Write, and Write-Composite on the root.
    Write { mode: Mode, path: Path, records: Vec<Record> },
    /// Create, with the id that the instance will have.
    Create { instance: Path, records: Vec<Record> },
    /// Delete of an instance, or of one value of several.
    Delete { path: Path },
    /// Execute, with its arguments as JSON.
    Execute { path: Path, arguments: Vec<u8> },
}

enum Understood {
    Done(Reply),
    Work(Work),
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
        // RFC 8323 §3.3: over a connection nothing comes twice.
        if message.kind == Kind::Reliable {
            let answer = self.answer_to(now, message);
            return out.extend(answer);
        }
        // RFC 7252 §4.5: a copy gets the same answer, and its request is not run again.
        match self.answers.seen(now, message.id, message.token) {
            Seen::Answered(answer) if message.kind == Kind::Confirmable => return out.push(answer.to_vec()),
            Seen::Answered(_) | Seen::Pending => return,
            Seen::New => {}
        }
        if message.refusal(&KNOWN) == Some(Refusal::Reject) {
            return out.push(Message::reset(message.id).to_vec());
        }
        match self.answer_to(now, message) {
            Some(answer) => {
                self.answers.answered(now, message.id, message.token, &answer);
                out.push(answer);
            }
            None => self.answers.pending(now, message.id, message.token),
        }
    }

    /// The answer; None when it waits for the owner.
    fn answer_to(&mut self, now: Instant, message: &Message<'_>) -> Option<Vec<u8>> {
        let mut answer = Vec::new();
        let fresh_id = self.requests.next_id();
        if let Some(Refusal::Answer(code)) = message.refusal(&KNOWN) {
            return Some(encode(message, Reply::from(code), None, fresh_id, None));
        }
        match self.uploads.handle(now, message, BODY_BYTES_MAX) {
            UploadStep::Continue(block) => {
                if let Ok(path) = self.path_of(message) {
                    let bytes = block.offset() + message.payload.len() as u64;
                    self.events.push_back(Event::Receiving { path, bytes });
                }
                Encoder::answer(&mut answer, message, Code::CONTINUE, fresh_id).block1(block).finish();
            }
            UploadStep::Refused { code, block } => {
                let encoder = Encoder::answer(&mut answer, message, code, fresh_id);
                match block {
                    Some(block) => encoder.block1(block).finish(),
                    // RFC 7252 §5.9.2.9: how much would have been taken.
                    None if code == Code::REQUEST_ENTITY_TOO_LARGE => {
                        encoder.uint(option::SIZE1, BODY_BYTES_MAX as u32).finish();
                    }
                    None => encoder.finish(),
                }
            }
            UploadStep::Whole { body, block } => {
                if self.is_bootstrapping() {
                    let reply = self.serve_bootstrap(now, message, &body);
                    return Some(encode(message, reply, block, fresh_id, self.capacity()));
                }
                let about = self.path_of(message).ok();
                let refused = |code| Reply::refused(code, message.code, about.as_ref());
                let reply = match self.understand(message, &body) {
                    Ok(Understood::Done(reply)) => reply,
                    Ok(Understood::Work(work)) => match self.hold(now, message, block, work) {
                        Ok(work) => self.carry_out(now, message, work).unwrap_or_else(refused),
                        Err(None) => return None,
                        Err(Some(code)) => refused(code),
                    },
                    Err(code) => refused(code),
                };
                answer = encode(message, reply, block, fresh_id, self.capacity());
            }
        }
        Some(answer)
    }

    /// What the server takes over a connection, if there is one.
    pub(crate) fn capacity(&self) -> Option<Capacity> {
        self.transport.as_ref().and_then(Transport::capacity)
    }

    fn understand(&mut self, message: &Message<'_>, body: &[u8]) -> Result<Understood, Code> {
        let path = self.path_of(message)?;
        let queries: Vec<&[u8]> = message.queries().collect();
        let work = match message.code {
            Code::GET if message.accept() == Some(content_format::LINK_FORMAT) => {
                return self.discover(&path, &queries).map(Understood::Done);
            }
            Code::GET => Work::Look { paths: vec![path], is_composite: false },
            Code::PUT if message.content_format().is_none() && !queries.is_empty() => {
                return self.set_attributes(&path, &queries).map(Understood::Done);
            }
            // Core 1.1 added the composites; a device of 1.0 knows neither method.
            Code::FETCH | Code::IPATCH if self.version == Version::V1_0 || !path.is_root() => {
                return Err(Code::METHOD_NOT_ALLOWED);
            }
            Code::FETCH => Work::Look { paths: paths_in(message, body)?, is_composite: true },
            Code::IPATCH => self.writing(Mode::Update, path, message, body)?,
            Code::PUT => self.writing(Mode::Replace, path, message, body)?,
            Code::POST if path.depth() == 1 => self.creating(&path, message, body)?,
            Code::POST if path.depth() == 3 && self.is_executed(&path, message) => {
                self.tree.execute(&path, &self.definitions)?;
                let arguments = arguments_json(body).ok_or(Code::BAD_REQUEST)?;
                Work::Execute { path, arguments }
            }
            Code::POST => self.writing(Mode::Update, path, message, body)?,
            Code::DELETE => {
                self.tree.check_delete(&path, &self.definitions)?;
                Work::Delete { path }
            }
            _ => return Err(Code::METHOD_NOT_ALLOWED),
        };
        Ok(Understood::Work(work))
    }

    /// A POST on a resource executes what is defined so; with the values of a tree it is a partial Write
    /// (Core 1.1 §6.3.3, §6.3.5).
    fn is_executed(&self, path: &Path, message: &Message<'_>) -> bool {
        let defined = path.resource.and_then(|id| self.definitions.resource(path.object, id));
        let carries_values = message.content_format().is_some_and(|format| format != content_format::TEXT_PLAIN);
        defined.is_some_and(|resource| resource.operations.execute) || !carries_values
    }

    fn discover(&self, path: &Path, queries: &[&[u8]]) -> Result<Reply, Code> {
        let mut depth = None;
        for query in queries {
            let text = std::str::from_utf8(query).map_err(|_| Code::BAD_REQUEST)?;
            if let Some(levels) = text.strip_prefix("depth=") {
                depth = Some(levels.parse().ok().filter(|levels| *levels <= 3).ok_or(Code::BAD_REQUEST)?);
            }
        }
        let links = self.tree.discover(path, depth, self.version, &self.attributes, &self.definitions)?;
        let mut payload = Vec::new();
        Links { root: self.config.root.clone(), ..Links::new(links) }.write(&mut payload);
        Ok(Reply { format: Some(content_format::LINK_FORMAT), payload, ..Reply::from(Code::CONTENT) })
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
        // Core 1.1 §5.1.2, table of attributes: bounds and steps are set at resources that are numbers, edges at truths.
        let is_bounded = attributes.gt.is_some() || attributes.lt.is_some() || attributes.st.is_some();
        let is_number = |kind| matches!(kind, ValueKind::Integer | ValueKind::Unsigned | ValueKind::Float);
        let kind = self.definitions.kind(path);
        let is_resource = path.depth() >= 3;
        if (is_bounded && !(is_resource && kind.is_none_or(is_number)))
            || (attributes.edge.is_some() && !(is_resource && kind.is_none_or(|kind| kind == ValueKind::Boolean)))
        {
            return Err(Code::BAD_REQUEST);
        }
        if attributes.is_empty() {
            self.attributes.remove(path);
        } else {
            self.attributes.insert(*path, attributes);
        }
        self.events.push_back(Event::AttributesSet { path: *path, queries: attributes.to_queries() });
        self.note_change(path);
        Ok(Reply::from(Code::CHANGED))
    }

    fn writing(&self, mode: Mode, path: Path, message: &Message<'_>, body: &[u8]) -> Result<Work, Code> {
        if path.is_root() && mode == Mode::Replace {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if path.is_root() && message.code != Code::IPATCH {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let records = self.decoded(&path, message, body).map_err(|error| error.code())?;
        let records = self.tree.check_write(&path, records, &self.definitions)?;
        Ok(Work::Write { mode, path, records })
    }

    fn creating(&self, path: &Path, message: &Message<'_>, body: &[u8]) -> Result<Work, Code> {
        let records = match self.decoded(path, message, body) {
            // Core 1.1 §6.3.6: resources without an instance leave the choice of its id to the client.
            Err(DecodeError::InstanceMissing { object }) => {
                let free = self.tree.free_instance(object).ok_or(Code::BAD_REQUEST)?;
                self.decoded(&free, message, body)
            }
            decoded => decoded,
        };
        let records = records.map_err(|error| error.code())?;
        let (instance, records) = self.tree.check_create(path.object, records, &self.definitions)?;
        Ok(Work::Create { instance, records })
    }

    pub(crate) fn carry_out(&mut self, now: Instant, message: &Message<'_>, work: Work) -> Result<Reply, Code> {
        match work {
            Work::Look { paths, is_composite } => self.look(now, message, paths, is_composite),
            Work::Write { mode, path, records } => {
                let written: Vec<Path> = records.iter().map(|record| record.path).collect();
                for gone in self.tree.write(mode, &path, records, &self.definitions) {
                    self.events.push_back(Event::Removed { path: gone });
                }
                for path in written {
                    self.tell_written(&path);
                }
                self.note_change(&path);
                Ok(Reply::from(Code::CHANGED))
            }
            Work::Create { instance, records } => {
                let values = values_json(&records);
                if !self.tree.create(&instance, records) {
                    return Err(Code::BAD_REQUEST);
                }
                self.events.push_back(Event::Created { path: instance, values });
                self.note_instances(now, &instance);
                let location = Some(format!("{}{instance}", self.root_prefix()));
                Ok(Reply { location, ..Reply::from(Code::CREATED) })
            }
            Work::Delete { path } => {
                self.tree.remove(&path);
                self.attributes.retain(|there, _| !path.contains(there));
                self.events.push_back(Event::Removed { path });
                self.note_instances(now, &path);
                Ok(Reply::from(Code::DELETED))
            }
            Work::Execute { path, arguments } => {
                match path.resource.filter(|_| path.object == 1) {
                    Some(server_object::UPDATE_TRIGGER) => self.is_update_due |= self.is_registered(),
                    Some(server_object::BOOTSTRAP_TRIGGER) => self.note_trigger(),
                    Some(server_object::DISABLE) => self.is_disable_due |= self.is_registered(),
                    _ => {}
                }
                self.events.push_back(Event::Executed { path, arguments });
                Ok(Reply::from(Code::CHANGED))
            }
        }
    }

    fn look(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        paths: Vec<Path>,
        is_composite: bool,
    ) -> Result<Reply, Code> {
        let records = match paths.as_slice() {
            [path] if !is_composite => self.tree.read(path, &self.definitions)?,
            paths => self.tree.read_composite(paths, &self.definitions),
        };
        let base = if is_composite { Path::ROOT } else { paths.first().copied().unwrap_or(Path::ROOT) };
        let format = match message.accept() {
            Some(format) => format,
            None if is_composite => message.content_format().unwrap_or(content_format::SENML_CBOR),
            None if base.depth() >= 3 && records.len() == 1 && records[0].path == base => content_format::TEXT_PLAIN,
            // Core 1.0 §6.4: TLV is what every client of that version has.
            None if self.version == Version::V1_0 => content_format::TLV,
            None => content_format::SENML_CBOR,
        };
        // A format that cannot carry this path, such as text for an instance, is one we cannot offer (RFC 7252 §5.10.4).
        let unsuitable = |error: lwm2m::EncodeError| match message.accept() {
            Some(_) => Code::NOT_ACCEPTABLE,
            None => error.code(),
        };
        let payload = codec::encode(format, &base, &records, &self.definitions).map_err(unsuitable)?;
        let mut reply = Reply { format: Some(format), payload, ..Reply::from(Code::CONTENT) };
        match message.observe() {
            // A later block of a large notification repeats the option; it begins nothing (RFC 7959 §2.6).
            Some(observe::REGISTER) if message.block2().is_none_or(|block| block.num == 0) => {
                reply.observe = self.begin_relation(now, message, paths, is_composite, format, records)?;
            }
            Some(observe::CANCEL) => {
                self.relations.retain(|relation| relation.token != message.token && relation.paths != paths);
            }
            _ => {}
        }
        Ok(reply)
    }

    /// An instance came or went: the server must know it (Core 1.1 §6.2.2), and so must whoever observes it.
    pub(crate) fn note_instances(&mut self, now: Instant, path: &Path) {
        self.is_update_due |= self.is_registered() && path.depth() <= 2;
        if path.depth() == 2 && !self.tree.has(path) {
            // What comes back under this id is another instance, and its owner says anew what it wants to be asked.
            self.guards.retain(|guard| !path.contains(&guard.path));
        }
        let is_gone = |observed: &Path| path.contains(observed) && !self.tree.has(observed);
        let relations = self.relations.iter().enumerate().rev();
        let gone = relations.filter(|(_, relation)| !relation.is_composite && relation.paths.iter().all(is_gone));
        let gone: Vec<usize> = gone.map(|(index, _)| index).collect();
        for index in gone {
            self.end_relation(now, index, Code::NOT_FOUND);
        }
        self.note_change(path);
    }

    pub(crate) fn decoded(&self, path: &Path, message: &Message<'_>, body: &[u8]) -> Result<Vec<Record>, DecodeError> {
        let format = message.content_format().unwrap_or(content_format::TEXT_PLAIN);
        if path.is_root() && !is_composite_format(format) {
            return Err(DecodeError::UnsupportedFormat { format });
        }
        // A relative SenML time in a write has no meaning here.
        codec::decode(format, path, body, 0.0, &self.definitions)
    }

    pub(crate) fn tell_written(&mut self, path: &Path) {
        let mut value = Vec::new();
        self.note_lifetime(path);
        if let Some(written) = self.tree.get(path) {
            written.to_json(&mut value);
        }
        self.events.push_back(Event::Written { path: *path, value });
    }

    /// A lifetime in the Server object is the one it registers with, from the next Update on (Core 1.1 §6.2.2).
    pub(crate) fn note_lifetime(&mut self, path: &Path) {
        if let (1, Some(server_object::LIFETIME), Some(Value::Integer(seconds))) =
            (path.object, path.resource, self.tree.get(path))
            && let Ok(lifetime_s) = u32::try_from(*seconds)
        {
            self.is_update_due |=
                matches!(self.phase, Phase::Registered { .. }) && lifetime_s != self.config.lifetime_s;
            self.config.lifetime_s = lifetime_s;
        }
    }

    /// Tells every observation that covers this path, or where the attributes of this path hold.
    pub(crate) fn note_change(&mut self, path: &Path) {
        self.relations.iter_mut().filter(|relation| relation.concerns(path)).for_each(Relation::note_change);
    }

    /// What holds at a path, with what the Server object says where nobody said anything (Core 1.1 §E.2).
    pub(crate) fn attributes_of(&self, path: &Path) -> lwm2m::Attributes {
        let mut found = effective(&self.attributes, path);
        found.pmin = found.pmin.or_else(|| self.tree.of_server(server_object::PMIN_DEFAULT));
        found.pmax = found.pmax.or_else(|| self.tree.of_server(server_object::PMAX_DEFAULT));
        found
    }

    /// What stands before every path: nothing, or the alternate root (Transport 1.1 §6.4.1).
    fn root_prefix(&self) -> &str {
        self.config.root.trim_end_matches('/')
    }

    /// The path that a request is about, below the root that the device registered.
    pub(crate) fn path_of(&self, message: &Message<'_>) -> Result<Path, Code> {
        let mut text = String::new();
        for segment in message.path() {
            text.push('/');
            text.push_str(std::str::from_utf8(segment).map_err(|_| Code::BAD_REQUEST)?);
        }
        let below = text.strip_prefix(self.root_prefix()).ok_or(Code::NOT_FOUND)?;
        if below.is_empty() {
            return Ok(Path::ROOT);
        }
        Path::parse(below).map_err(|_| Code::NOT_FOUND)
    }
}

/// The paths of a Read- or Observe-Composite (Core 1.1 §6.3.8, §6.4.3).
fn paths_in(message: &Message<'_>, body: &[u8]) -> Result<Vec<Path>, Code> {
    let format = message.content_format().unwrap_or(content_format::SENML_CBOR);
    if !is_composite_format(format) || message.accept().is_some_and(|accept| !is_composite_format(accept)) {
        let is_content = !is_composite_format(format);
        return Err(if is_content { Code::UNSUPPORTED_CONTENT_FORMAT } else { Code::NOT_ACCEPTABLE });
    }
    let paths = codec::decode_paths(format, body).map_err(|error| error.code())?;
    match paths.len() {
        0 => Err(Code::BAD_REQUEST),
        1..=PATHS_MAX => Ok(paths),
        _ => Err(Code::REQUEST_ENTITY_TOO_LARGE),
    }
}

/// Formats that can name any path (Core 1.1 §7.4).
fn is_composite_format(format: u16) -> bool {
    let is_one = matches!(format, content_format::SENML_CBOR | content_format::SENML_JSON | content_format::LWM2M_CBOR);
    is_one && codec::is_supported(format)
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
