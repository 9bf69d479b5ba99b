//! The server side of the bootstrap interface (OMA LwM2M Core 1.1 §6.1): a gateway that hands out accounts and registers
//! nobody.
//!
//! A bootstrap is kept as a registration that lists nothing: from the device's Bootstrap-Request on it can be asked, and
//! it ends with Bootstrap-Finish, with the first Write or Delete that the device refuses, or by silence. What is written is
//! the caller's to say, one request after the other.

use std::sync::Arc;

use coap::blockwise::{Block, SZX_MAX};
use coap::exchange::Answered;
use coap::message::{Kind, Message, Token};
use coap::{Code, Encoder, content_format};
use lwm2m::{Path, Record, RegisterParameters, Version};

use crate::command::{Answer, Operation, Outcome, Request};
use crate::devices::DeviceIndex;
use crate::dialog::Asked;
use crate::event::foreign;
use crate::files::FileBlock;
use crate::gateway::{Gateway, device_event};
use crate::limits::{BOOTSTRAP_SILENCE_S, BOOTSTRAPS_MAX, BOOTSTRAPS_PER_MINUTE_MAX, PACK_BYTES_MAX};
use crate::operation::Manner;
use crate::peers::PeerKey;
use crate::registering::reason_of;
use crate::registrations::{Objects, Registration};
use crate::reply::{Reply, Response, write_response};
use crate::timers::{Now, Timer};
use crate::uplink::Ask;

/// Formats that a whole account can be written in.
const WRITABLE: [u16; 4] =
    [content_format::TLV, content_format::SENML_JSON, content_format::SENML_CBOR, content_format::LWM2M_CBOR];

/// A device that asked for everything at once (Core 1.2 §6.1.7, Bootstrap-Pack-Request), and what it gets.
pub(crate) struct Pack {
    peer: PeerKey,
    token: Token,
    kind: Kind,
    format: u16,
    /// Nothing until the caller has said it. Its later blocks are cut from here.
    body: Option<Vec<u8>>,
}

impl Gateway {
    /// What a bootstrap server has: `POST /bs` and `GET /bspack`.
    pub(crate) fn route_bootstrap(&mut self, now: Now, ask: &Ask<'_>) -> Reply {
        let mut path = ask.message.path();
        let segments = (path.next(), path.next());
        match (ask.message.code, segments) {
            (code, _) if code > Code::IPATCH => self.refuse_route(now, &ask.origin, Code::METHOD_NOT_ALLOWED),
            (Code::POST, (Some(b"bs"), None)) => self.begin_bootstrap(now, ask),
            (Code::GET, (Some(b"bspack"), None)) => self.take_pack_request(now, ask),
            (_, (Some(b"bs" | b"bspack"), None)) => self.refuse_route(now, &ask.origin, Code::METHOD_NOT_ALLOWED),
            _ => self.refuse_route(now, &ask.origin, Code::NOT_FOUND),
        }
    }

    /// Bootstrap-Request: `POST /bs?ep=NAME&pct=FORMAT`.
    fn begin_bootstrap(&mut self, now: Now, ask: &Ask<'_>) -> Reply {
        let (index, parameters) = match self.applicant(now, ask) {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        // Core 1.1 added the preferred content format: who names one speaks 1.1 at least, who does not gets TLV.
        let format = match parameters.other("pct").map(str::parse) {
            None => None,
            Some(Ok(format)) if WRITABLE.contains(&format) => Some(format),
            Some(_) => {
                let (code, detail) = (Code::UNSUPPORTED_CONTENT_FORMAT, "pct is no format that is spoken here");
                return self.refuse(now, Some(index), "bootstrap", code, "content_format", detail);
            }
        };
        match self.open_bootstrap(now, ask, index, format, "request") {
            Ok((peer, partition)) => {
                let location =
                    self.directory.get(index).and_then(|device| device.registration.as_ref()).map(|found| found.id);
                Reply::AfterCommit { partition, peer, response: Response { location, ..Code::CHANGED.into() } }
            }
            Err(reply) => reply,
        }
    }

    /// Who asks, or the answer to somebody who may not.
    fn applicant(&mut self, now: Now, ask: &Ask<'_>) -> Result<(DeviceIndex, RegisterParameters), Reply> {
        if self.pages.is_full() {
            return Err(self.refuse_busy());
        }
        let queries: Vec<&[u8]> = ask.message.queries().collect();
        let parameters = RegisterParameters::parse(&queries).map_err(|error| {
            let reason = reason_of(&error);
            self.refuse(now, ask.origin.device, "bootstrap", Code::BAD_REQUEST, reason, error.to_string())
        })?;
        let index = self.registrant(now, ask, &parameters, "bootstrap")?;
        Ok((index, parameters))
    }

    /// A bootstrap begins; whatever was under way with this device ends.
    fn open_bootstrap(
        &mut self,
        now: Now,
        ask: &Ask<'_>,
        index: DeviceIndex,
        format: Option<u16>,
        via: &str,
    ) -> Result<(PeerKey, u32), Reply> {
        let is_again = self.directory.get(index).is_some_and(|device| device.registration.is_some());
        if !is_again && self.directory.registrations() >= BOOTSTRAPS_MAX {
            return Err(self.refuse_busy());
        }
        if !self.may_begin(now, index) {
            let (code, detail) = (Code::SERVICE_UNAVAILABLE, "too many bootstraps within a minute");
            return Err(self.refuse(now, Some(index), "bootstrap", code, "busy", detail));
        }
        let Some(peer) = self.peer_of(now, &ask.origin) else { return Err(self.refuse_busy()) };
        self.end_dialog(now, index);
        self.bind(now, index, peer);
        let registration = Registration {
            id: self.registration_id(),
            lifetime_s: BOOTSTRAP_SILENCE_S,
            version: if format.is_some() { Version::V1_1 } else { Version::V1_0 },
            binding: "".into(),
            queue_mode: false,
            objects: Arc::new(Objects::of_formats(format.into_iter().collect(), &self.definitions)),
            claim: None,
            address: Some(ask.origin.address),
            expires_at: None,
            extended_unix_ms: now.unix_ms,
            is_told: false,
            is_unlogged: false,
        };
        self.directory.register(index, Box::new(registration));
        self.extend(now, index);
        self.stats.bootstraps += 1;
        let session = self.suite_of(peer);
        let Some(device) = self.directory.get_mut(index) else { return Err(Reply::busy()) };
        device.pack = None;
        let mut event = device_event(&mut self.pages, now, device, "bootstrap");
        event.text("state", "requested");
        event.text("via", via);
        if let Some(format) = format {
            event.number("format", format);
        }
        event.boolean("secure", ask.origin.is_secure);
        event.boolean("again", is_again);
        event.address(ask.origin.address);
        if let Some(suite) = session {
            event.text("session", suite);
        }
        let partition = device.partition;
        event.finish();
        Ok((peer, partition))
    }

    /// Whether the device did not begin too often lately; counts it.
    fn may_begin(&mut self, now: Now, index: DeviceIndex) -> bool {
        let Some(device) = self.directory.get_mut(index) else { return false };
        let minute = (now.unix_ms / 60_000) as u32;
        let (begun_in, begun) = device.bootstraps_begun;
        let begun = if begun_in == minute { begun } else { 0 };
        device.bootstraps_begun = (minute, begun.saturating_add(1));
        begun < BOOTSTRAPS_PER_MINUTE_MAX
    }

    /// An answer to what the caller asked of a device in the middle of its bootstrap.
    pub(crate) fn note_step(&mut self, now: Now, index: DeviceIndex, asked: &Asked, answered: &Answered) {
        // A device that answers is there, however slow its radio.
        self.extend(now, index);
        let changes =
            matches!(asked.operation, Operation::Write | Operation::BootstrapDelete | Operation::BootstrapFinish);
        match (asked.operation, answered.code.is_success()) {
            (Operation::BootstrapFinish, true) => self.close_bootstrap(now, index, "finished", None),
            // Discover and Read only ask: a client of 1.0 has neither, and is none the worse for it.
            (_, false) if changes => self.close_bootstrap(now, index, "refused", Some((asked, answered))),
            _ => {}
        }
    }

    /// A bootstrap is over.
    pub(crate) fn close_bootstrap(
        &mut self,
        now: Now,
        index: DeviceIndex,
        state: &str,
        refusal: Option<(&Asked, &Answered)>,
    ) {
        if self.directory.unregister(index).is_none() {
            return;
        }
        let Some(device) = self.directory.get_mut(index) else { return };
        self.timers.clear(&mut device.expiry, Timer::Expiry(index));
        // What was handed out in one piece was told when it left.
        if device.pack.take().is_none_or(|pack| pack.body.is_none()) {
            let mut event = device_event(&mut self.pages, now, device, "bootstrap");
            event.text("state", state);
            if let Some((asked, answered)) = refusal {
                event.text("path", &asked.path.to_string());
                event.text("code", &answered.code.to_string());
                event.text("detail", &foreign(&answered.payload));
            }
            event.finish();
        }
        self.forget_dialog(now, index);
    }

    /// Bootstrap-Pack-Request: `GET /bspack?ep=NAME`.
    fn take_pack_request(&mut self, now: Now, ask: &Ask<'_>) -> Reply {
        let (index, _) = match self.applicant(now, ask) {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        if ask.message.block2().is_some_and(|block| block.num > 0) {
            return self.serve_pack(now, ask, index);
        }
        let format = ask.message.accept().unwrap_or(content_format::SENML_CBOR);
        // Core 1.2 §6.1.7: formats that name every value in full.
        if format == content_format::TLV || !WRITABLE.contains(&format) {
            let detail = "a pack is SenML CBOR, SenML JSON or LwM2M CBOR";
            return self.refuse(now, Some(index), "bootstrap", Code::NOT_ACCEPTABLE, "content_format", detail);
        }
        let peer = match self.open_bootstrap(now, ask, index, Some(format), "pack") {
            Ok((peer, _)) => peer,
            Err(reply) => return reply,
        };
        let (kind, token) = (ask.message.kind, ask.message.token);
        if let Some(device) = self.directory.get_mut(index) {
            device.pack = Some(Box::new(Pack { peer, token, kind, format, body: None }));
        }
        Reply::Later
    }

    /// A later block of a pack.
    fn serve_pack(&mut self, now: Now, ask: &Ask<'_>, index: DeviceIndex) -> Reply {
        let capacity = ask.origin.peer.and_then(|key| self.peers.get(key)?.capacity());
        let device = self.directory.get(index);
        let pack = device.and_then(|device| device.pack.as_ref()).filter(|pack| Some(pack.peer) == ask.origin.peer);
        let asked = ask.message.block2().map(|block| Block { szx: block.szx.min(SZX_MAX), ..block });
        let block = pack.and_then(|pack| FileBlock::of(pack.body.as_deref()?, pack.format, capacity, asked));
        match block {
            Some(block) => Reply::Now(Response { file: Some(Box::new(block)), ..Code::CONTENT.into() }),
            None => {
                let (code, detail) = (Code::REQUEST_ENTITY_INCOMPLETE, "ask for the pack from its beginning");
                self.refuse(now, Some(index), "bootstrap", code, "block_invalid", detail)
            }
        }
    }

    /// Refuses what this interface does not have; the answer to one that asked for a pack is handed out here.
    pub(crate) fn check_interface(&mut self, now: Now, request: &Request) -> Result<(), Answer> {
        // Core 1.1 §6.1.7 and §6.3: the operations of the two interfaces.
        let is_of_bootstrap = match request.operation {
            Operation::Read | Operation::Write | Operation::Discover => None,
            Operation::BootstrapDelete | Operation::BootstrapFinish | Operation::BootstrapPack => Some(true),
            _ => Some(false),
        };
        if is_of_bootstrap.is_some_and(|is| is != self.options.is_bootstrap_server) {
            return Err(Answer::refused(request.id, "not an operation of this interface"));
        }
        if request.operation == Operation::BootstrapPack { Err(self.hand_out_pack(now, request)) } else { Ok(()) }
    }

    /// The caller says what is in a pack: `{"values": {"/1/0/1": 300}}`; or, without a body, that there is none.
    pub(crate) fn hand_out_pack(&mut self, now: Now, request: &Request) -> Answer {
        let index = self.directory.by_id(&request.device);
        let device = index.and_then(|index| self.directory.get_mut(index));
        let waiting = device.and_then(|device| device.pack.take_if(|pack| pack.body.is_none()));
        let (Some(index), Some(mut pack)) = (index, waiting) else {
            return Answer::of(request.id, Outcome::Unregistered);
        };
        let written = match &request.body {
            Some(body) => self.pack_body(pack.format, body),
            None => Err("no account for this device".to_owned()),
        };
        let capacity = self.peers.get(pack.peer).and_then(|peer| peer.capacity());
        let answer = match written {
            Ok(body) => match FileBlock::of(&body, pack.format, capacity, None) {
                Some(block) => {
                    self.send_pack(now, &pack, Response { file: Some(Box::new(block)), ..Code::CONTENT.into() });
                    pack.body = Some(body);
                    Answer { code: Some(Code::CONTENT), ..Answer::of(request.id, Outcome::Answered) }
                }
                None => Answer::refused(request.id, "the pack cannot be cut into blocks"),
            },
            Err(detail) => Answer::refused(request.id, detail),
        };
        let is_handed_out = pack.body.is_some();
        if !is_handed_out {
            let response = Response { diagnostic: Some("no account".into()), ..Code::BAD_REQUEST.into() };
            self.send_pack(now, &pack, response);
            self.close_bootstrap(now, index, "refused", None);
            return answer;
        }
        let Some(device) = self.directory.get_mut(index) else { return answer };
        device.pack = Some(pack);
        let mut event = device_event(&mut self.pages, now, device, "bootstrap");
        event.text("state", "finished");
        event.finish();
        answer
    }

    fn pack_body(&self, format: u16, body: &serde_json::Value) -> Result<Vec<u8>, String> {
        let values = body.get("values").and_then(serde_json::Value::as_object).ok_or("\"values\" is needed")?;
        let manner = Manner::for_any(&self.definitions);
        let record = |(path, value): (&String, &serde_json::Value)| {
            let path = Path::parse(path).map_err(|error| format!("{path:.40}: {error}"))?;
            Ok(Record::new(path, manner.value(&path, value)?))
        };
        let records = values.iter().map(record).collect::<Result<Vec<_>, String>>()?;
        let body = lwm2m::codec::encode(format, &Path::ROOT, &records, &self.definitions);
        let body = body.map_err(|error| error.to_string())?;
        if body.len() > PACK_BYTES_MAX {
            return Err(format!("a pack of more than {PACK_BYTES_MAX} bytes"));
        }
        Ok(body)
    }

    /// RFC 7252 §5.2.2: the request was acknowledged, and this is the response that follows.
    fn send_pack(&mut self, now: Now, pack: &Pack, response: Response) {
        let kind = pack.kind;
        let id = if kind == Kind::Reliable { 0 } else { self.fresh_id(pack.peer) };
        self.encoded.clear();
        write_response(Encoder::new(&mut self.encoded, kind, response.code, id, pack.token), &response);
        if kind == Kind::Confirmable {
            self.send_separately(now, pack.peer);
        } else {
            self.post_encoded(pack.peer);
        }
    }

    /// A request whose answer takes a while is acknowledged at once.
    pub(crate) fn acknowledge(&mut self, now: Now, peer: Option<PeerKey>, message: &Message<'_>) {
        let Some(key) = peer.filter(|_| message.kind == Kind::Confirmable) else { return };
        let acknowledgement = Message::acknowledgement(message.id);
        if let Some(peer) = self.peers.get_mut(key) {
            peer.answers.answered(now.monotonic, message.id, message.token, &acknowledgement);
        }
        self.post(key, &acknowledgement);
    }
}
