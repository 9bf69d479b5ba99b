//! The device speaks first: requests, notifications and answers come in here.

use std::net::SocketAddr;

use coap::blockwise::UploadStep;
use coap::exchange::{Handled, Seen};
use coap::message::{Kind, Message};
use coap::{Code, Encoder};
use lwm2m::Path;

use crate::devices::DeviceIndex;
use crate::gateway::{Gateway, device_event};
use crate::limits::{BODY_BYTES_MAX, UPLOADING_PEERS_MAX};
use crate::outbox::Socket;
use crate::peers::PeerKey;
use crate::refusals;
use crate::registrations::is_awake;
use crate::reply::{HeldAnswer, Reply, Response, encode, write_response};
use crate::sessions::post;
use crate::timers::Now;

/// Where a message came from, and who that is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) socket: Socket,
    pub(crate) address: SocketAddr,
    pub(crate) peer: Option<PeerKey>,
    pub(crate) device: Option<DeviceIndex>,
    pub(crate) is_secure: bool,
}

/// A request with its whole body.
pub(crate) struct Ask<'a> {
    pub(crate) origin: Origin,
    pub(crate) message: &'a Message<'a>,
    pub(crate) payload: &'a [u8],
}

impl Gateway {
    /// One CoAP message, in the clear.
    pub(crate) fn handle_message(&mut self, now: Now, origin: Origin, bytes: &[u8]) {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => return self.refuse_malformed(now, &origin, bytes, &error.to_string()),
        };
        self.handle_parsed(now, origin, &message);
    }

    /// One CoAP message, however it travelled.
    pub(crate) fn handle_parsed(&mut self, now: Now, origin: Origin, message: &Message<'_>) {
        let events_before = self.pages.events();
        if let Some(device) = origin.device {
            self.heard(now, device);
            if let (true, Some(peer)) = (origin.is_secure, origin.peer) {
                self.bind(now, device, peer);
            }
        }
        if message.code.is_request() {
            self.handle_request(now, origin, message);
        } else if message.is_ping() {
            self.stats.pings += 1;
            self.reset(&origin, message.id);
        } else {
            self.handle_answer(now, origin, message);
        }
        // Sending what waits is the first act on any uplink; an Update may have told only now who it is.
        let device = origin.device.or_else(|| {
            let peer = origin.peer.or_else(|| self.peers.by_address(origin.socket, origin.address));
            self.peers.get(peer.filter(|_| !origin.is_secure)?)?.device
        });
        if let Some(device) = device {
            self.remind(now, device);
            self.pump(now, device);
            if self.pages.events() == events_before {
                self.note_awake(now, device);
            }
        }
    }

    /// A device in queue mode that speaks listens now, and perhaps not for long (Transport 1.1 §6.5): what went out while it
    /// slept does not wait for its turn to be repeated.
    fn remind(&mut self, now: Now, index: DeviceIndex) {
        let Self { directory, peers, outbox, datagrams, .. } = self;
        let Some(device) = directory.get_mut(index).filter(|device| is_awake(now.monotonic, device)) else { return };
        if !device.registration.as_ref().is_some_and(|registration| registration.queue_mode) {
            return;
        }
        let Some(dialog) = device.dialog.as_mut() else { return };
        let Some(peer) = dialog.under_way.as_ref().map(|under_way| under_way.peer) else { return };
        let mut send = |datagram: &[u8]| post(peers, outbox, datagrams, peer, datagram);
        dialog.requests.remind(now.monotonic, &mut send);
    }

    fn handle_request(&mut self, now: Now, origin: Origin, message: &Message<'_>) {
        if self.is_copy(now, &origin, message) {
            return;
        }
        let reply = match refusals::of_options(message, self.options.enclosure_option) {
            Some(refusal) => self.refuse_options(now, &origin, message, refusal),
            None => Some(self.decide(now, origin, message)),
        };
        if let Some(reply) = reply {
            self.answer(now, &origin, message, reply);
        }
    }

    /// RFC 7252 §4.5: answers every copy of a request alike, and runs the request once.
    fn is_copy(&mut self, now: Now, origin: &Origin, message: &Message<'_>) -> bool {
        // RFC 8323 §3.3: a connection makes none.
        if message.kind == Kind::Reliable {
            return false;
        }
        let Some(key) = origin.peer else { return false };
        let Some(peer) = self.peers.get_mut(key) else { return false };
        match peer.answers.seen(now.monotonic, message.id, message.token) {
            // Nothing where the answer should be: what we had of it was lost, and the copy takes its place.
            Seen::New | Seen::Answered([]) => return false,
            Seen::Pending => self.stats.duplicates_pending += 1,
            // RFC 7252 §4.5: a copy of what was not confirmable is passed over.
            Seen::Answered(_) if message.kind == Kind::NonConfirmable => self.stats.duplicates += 1,
            Seen::Answered(answer) => {
                self.stats.duplicates += 1;
                self.encoded.clear();
                self.encoded.extend_from_slice(answer);
                self.post_encoded(key);
            }
        }
        true
    }

    fn decide(&mut self, now: Now, origin: Origin, message: &Message<'_>) -> Reply {
        let mut path = message.path();
        let first = path.next().unwrap_or_default();
        if first == b"fw" && message.code == Code::GET {
            return self.serve_file(now, &origin, message);
        }
        let is_upload = message.code == Code::POST && (matches!(first, b"rd" | b"dp") || self.is_enrolment(message));
        if !is_upload {
            return self.route(now, &Ask { origin, message, payload: message.payload });
        }
        // Before anything is decoded: whoever is behind must not make it worse.
        if self.pages.is_full() {
            return self.refuse_busy();
        }
        if message.block1().is_none() {
            return self.route(now, &Ask { origin, message, payload: message.payload });
        }
        self.upload(now, origin, message)
    }

    /// One block of a larger request (RFC 7959 §2.5).
    fn upload(&mut self, now: Now, mut origin: Origin, message: &Message<'_>) -> Reply {
        let Some(key) = self.peer_of(now, &origin) else { return self.refuse_busy() };
        origin.peer = Some(key);
        let Some(peer) = self.peers.get_mut(key) else { return Reply::busy() };
        let was_idle = peer.uploads.is_idle();
        if was_idle && self.uploading_peers >= UPLOADING_PEERS_MAX {
            return self.refuse_busy();
        }
        let step = peer.uploads.handle(now.monotonic, message, BODY_BYTES_MAX);
        let is_idle = peer.uploads.is_idle();
        self.uploading_peers = self.uploading_peers + usize::from(was_idle) - usize::from(is_idle);
        match step {
            UploadStep::Continue(block) => Reply::Now(Response { block1: Some(block), ..Code::CONTINUE.into() }),
            UploadStep::Refused { code, block } => {
                Reply::Now(Response { block1: block, ..self.refuse_block(now, &origin, code) })
            }
            UploadStep::Whole { body, block } => {
                let mut reply = self.route(now, &Ask { origin, message, payload: &body });
                match &mut reply {
                    Reply::Now(response) | Reply::AfterCommit { response, .. } => response.block1 = block,
                    Reply::WhenSigned => self.enrolments.note_block(key, block),
                    Reply::Later => {}
                }
                reply
            }
        }
    }

    fn route(&mut self, now: Now, ask: &Ask<'_>) -> Reply {
        if self.options.is_bootstrap_server {
            return self.route_bootstrap(now, ask);
        }
        let mut path = ask.message.path();
        let segments = (path.next(), path.next(), path.next());
        match (ask.message.code, segments) {
            // RFC 7252 §5.8: a method that nobody knows, whatever the resource.
            (code, _) if code > Code::IPATCH => self.refuse_route(now, &ask.origin, Code::METHOD_NOT_ALLOWED),
            (Code::POST, (Some(b"dp"), None, None)) => self.take_send(now, ask),
            (Code::POST, (Some(b"rd"), None, None)) => self.register(now, ask),
            (Code::POST, (Some(b"rd"), Some(id), None)) => self.update(now, ask, id),
            (Code::DELETE, (Some(b"rd"), Some(id), None)) => self.deregister(now, ask, id),
            (_, (Some(b"dp" | b"rd" | b"fw"), _, _)) => self.refuse_route(now, &ask.origin, Code::METHOD_NOT_ALLOWED),
            _ if self.is_enrolment(ask.message) => self.take_enrolment(now, ask),
            _ => self.refuse_route(now, &ask.origin, Code::NOT_FOUND),
        }
    }

    /// `POST /dp` (OMA LwM2M Core 1.1 §6.4.6): readings, straight into the page.
    fn take_send(&mut self, now: Now, ask: &Ask<'_>) -> Reply {
        let unregistered = "not registered";
        let (Some(index), Some(peer)) = (ask.origin.device, ask.origin.peer) else {
            return self.refuse(now, ask.origin.device, "send", Code::NOT_FOUND, "unregistered", unregistered);
        };
        let Some(device) = self.directory.get(index).filter(|device| device.registration.is_some()) else {
            return self.refuse(now, Some(index), "send", Code::NOT_FOUND, "unregistered", unregistered);
        };
        let Some(format) = ask.message.content_format() else {
            let detail = "no content format";
            return self.refuse(now, Some(index), "send", Code::BAD_REQUEST, "content_format", detail);
        };
        if let Some(path) = self.denied_path(now, index, format, ask.payload) {
            let detail = format!("a policy denies {path}");
            return self.refuse(now, Some(index), "send", Code::FORBIDDEN, "send_denied", detail);
        }
        let now_s = now.unix_ms as f64 / 1_000.0;
        let partition = device.partition;
        let mut event = device_event(&mut self.pages, now, device, "readings");
        event.fragment("\"via\":\"send\"");
        let body = event.body();
        body.extend_from_slice(b",\"readings\":[");
        let read = lwm2m::codec::readings_json(
            format,
            &Path::ROOT,
            ask.payload,
            now_s,
            device.definitions(&self.definitions),
            body,
        );
        match read {
            Ok(1..) => {
                event.body().push(b']');
                event.finish();
            }
            Ok(0) => {
                drop(event);
                return self.refuse(now, Some(index), "send", Code::BAD_REQUEST, "payload_invalid", "no readings");
            }
            Err(error) => {
                drop(event);
                let detail = error.to_string();
                return self.refuse(now, Some(index), "send", error.code(), "payload_invalid", detail);
            }
        }
        self.stats.send += 1;
        Reply::AfterCommit { partition, peer, response: Code::CHANGED.into() }
    }

    /// Acknowledgements, resets, responses and notifications.
    fn handle_answer(&mut self, now: Now, origin: Origin, message: &Message<'_>) {
        let Some(key) = origin.peer else {
            // RFC 7641 §3.6: whoever still notifies us from before a restart learns that nobody listens.
            match message.code.is_response() && message.kind != Kind::Acknowledgement {
                true => self.reset_unknown(&origin, message),
                false => self.stats.not_ours += 1,
            }
            return;
        };
        if self.peers.get_mut(key).is_some_and(|peer| peer.responses.handle(message) == Handled::Consumed) {
            self.handle_separate(now, key.index);
            return;
        }
        if let Some(device) = origin.device
            && self.take_answer(now, device, key, message)
        {
            return;
        }
        if !message.code.is_response() || message.kind == Kind::Acknowledgement {
            self.stats.not_ours += 1;
            return;
        }
        if self.is_copy(now, &origin, message) {
            return;
        }
        let is_known = origin.device.is_some_and(|device| self.take_notification(now, device, key, message));
        if !is_known {
            self.reset_unknown(&origin, message);
        }
    }

    /// RFC 7641 §3.6: a reset ends an observation that nobody wants any more.
    fn reset_unknown(&mut self, origin: &Origin, message: &Message<'_>) {
        self.stats.unknown_token += 1;
        self.reset(origin, message.id);
    }

    pub(crate) fn reset(&mut self, origin: &Origin, id: u16) {
        let reset = Message::reset(id);
        match origin.peer {
            Some(peer) => self.post(peer, &reset),
            None => self.outbox.push(origin.socket, origin.address, |out| out.extend_from_slice(&reset)),
        }
    }

    /// Sends an answer, or keeps it until its event is in the log.
    fn answer(&mut self, now: Now, origin: &Origin, message: &Message<'_>, reply: Reply) {
        match reply {
            Reply::WhenSigned => self.wait_for_enrolment(now, origin, message),
            Reply::Now(response) => {
                let id = self.answer_id(origin.peer, message);
                self.encoded.clear();
                encode(&mut self.encoded, message, id, &response);
                // To an address that nobody has verified no answer is larger than the question (RFC 7252 §11.3).
                // Whoever made a connection has proved its own.
                let is_datagram = message.kind != Kind::Reliable;
                if origin.device.is_none() && is_datagram && self.encoded.len() > message.datagram_bytes() {
                    self.encoded.clear();
                    let bare = Response { block1: response.block1, ..response.code.into() };
                    encode(&mut self.encoded, message, id, &bare);
                }
                // A refusal of a stranger leaves no trace, and one that is busy invites the same request again.
                let Some(key) = origin.peer else {
                    let encoded = &self.encoded;
                    self.outbox.push(origin.socket, origin.address, |out| out.extend_from_slice(encoded));
                    return;
                };
                // A block of a file is cut anew for every copy (RFC 7252 §4.5 allows it), which saves its kilobyte.
                if response.code != Code::SERVICE_UNAVAILABLE
                    && response.file.is_none()
                    && message.kind != Kind::Reliable
                    && let Some(peer) = self.peers.get_mut(key)
                {
                    peer.answers.answered(now.monotonic, message.id, message.token, &self.encoded);
                }
                self.post_encoded(key);
            }
            Reply::Later => self.acknowledge(now, origin.peer, message),
            Reply::AfterCommit { partition, peer, response } => {
                let held = HeldAnswer {
                    peer,
                    id: message.id,
                    token: message.token,
                    is_confirmable: message.kind == Kind::Confirmable,
                    is_acknowledged: false,
                    code: response.code,
                    location: response.location,
                    block1: response.block1,
                };
                self.hold(now, partition, held);
            }
        }
    }

    /// Keeps an answer until the open page of the partition is in the log.
    pub(crate) fn hold(&mut self, now: Now, partition: u32, held: HeldAnswer) {
        self.note_held(held.peer);
        if self.options.acknowledge_at_once {
            self.deliver(now, held, true);
            return;
        }
        if let Some(peer) = self.peers.get_mut(held.peer).filter(|peer| peer.connected.is_none()) {
            peer.answers.pending(now.monotonic, held.id, held.token);
        }
        self.pages.hold(partition, held);
    }

    /// The log has the event of an answer, or has refused it.
    pub(crate) fn deliver(&mut self, now: Now, held: HeldAnswer, is_committed: bool) {
        let held = if is_committed { self.await_checkpoint(held) } else { Some(held) };
        if let Some(held) = held {
            self.deliver_now(now, held, is_committed);
        }
    }

    /// Sends an answer that waited: as it was meant, or 5.03 when the log refused its event.
    pub(crate) fn deliver_now(&mut self, now: Now, held: HeldAnswer, is_committed: bool) {
        let code = if is_committed { held.code } else { Code::SERVICE_UNAVAILABLE };
        let device = held.location.and_then(|id| self.directory.by_registration(id));
        let begins = held.code == Code::CREATED || self.options.is_bootstrap_server;
        if !is_committed {
            self.stats.refused_by_store += 1;
            match device {
                Some(device) if begins => self.revoke_registration(now, device),
                Some(device) => self.note_unlogged(device),
                None => {}
            }
        }
        if held.code.is_empty() {
            self.acknowledge_notification(now, &held, is_committed);
            return;
        }
        let response =
            Response { location: held.location.filter(|_| is_committed), block1: held.block1, ..code.into() };
        self.answer_held(now, &held, &response);
        self.note_answered(now, held.peer);
        if let (true, true, Some(device)) = (is_committed, begins, device) {
            self.begin_dialog(now, device);
        }
    }

    /// Sends what a request is answered with that had to wait, in the way that the request came.
    pub(crate) fn answer_held(&mut self, now: Now, held: &HeldAnswer, response: &Response) {
        let kind = match (held.is_confirmable, held.is_acknowledged) {
            (true, false) => Kind::Acknowledgement,
            // RFC 7252 §5.2.2: the answer to what was acknowledged travels on its own.
            (true, true) => Kind::Confirmable,
            (false, _) => Kind::NonConfirmable,
        };
        let id = if kind == Kind::Acknowledgement { held.id } else { self.fresh_id(held.peer) };
        self.encoded.clear();
        write_response(Encoder::new(&mut self.encoded, kind, response.code, id, held.token), response);
        if kind == Kind::Confirmable {
            return self.send_separately(now, held.peer);
        }
        if let Some(peer) = self.peers.get_mut(held.peer).filter(|peer| peer.connected.is_none()) {
            peer.answers.answered(now.monotonic, held.id, held.token, &self.encoded);
        }
        self.post_encoded(held.peer);
    }

    pub(crate) fn acknowledge_notification(&mut self, now: Now, held: &HeldAnswer, is_committed: bool) {
        if !is_committed {
            // What the log refused is not acknowledged: the device keeps it and sends it again.
            self.want_again(now, held);
            return;
        }
        if !held.is_confirmable {
            return;
        }
        let acknowledgement = Message::acknowledgement(held.id);
        if let Some(peer) = self.peers.get_mut(held.peer) {
            peer.answers.answered(now.monotonic, held.id, held.token, &acknowledgement);
        }
        self.post(held.peer, &acknowledgement);
    }

    /// The id of an answer: the request's own in an acknowledgement, a fresh one else.
    fn answer_id(&mut self, peer: Option<PeerKey>, message: &Message<'_>) -> u16 {
        match (message.kind, peer) {
            (Kind::Confirmable, _) => message.id,
            (_, Some(peer)) => self.fresh_id(peer),
            (_, None) => self.random.next_u32() as u16,
        }
    }
}
