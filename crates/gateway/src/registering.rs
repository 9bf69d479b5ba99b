//! Register, Update and De-register (OMA LwM2M Core 1.1 §6.2).

use std::net::SocketAddr;
use std::sync::Arc;

use coap::Code;
use lwm2m::{RegisterParameters, RegistrationError, UpdateParameters};

use crate::command::DeviceEntry;
use crate::credential::Security;
use crate::devices::DeviceIndex;
use crate::event::{foreign, write_attributes, write_text};
use crate::gateway::{Gateway, device_event};
use crate::limits::CLAIM_BYTES_MAX;
use crate::peers::{Peer, PeerKey};
use crate::registrations::{Claim, ClaimVia, Objects, Registration, RegistrationId};
use crate::reply::{Reply, Response};
use crate::security::SecurityReason;
use crate::timers::Now;
use crate::trust::write_certificate;
use crate::uplink::Ask;

/// Content format of link lists (RFC 7252 §12.3).
const LINK_FORMAT: u16 = coap::content_format::LINK_FORMAT;

const CLAIM_DENIED: &str = "a policy denies this enclosure";

impl Gateway {
    /// `POST /rd`
    pub(crate) fn register(&mut self, now: Now, ask: &Ask<'_>) -> Reply {
        let queries: Vec<&[u8]> = ask.message.queries().collect();
        let parameters = match RegisterParameters::parse(&queries) {
            Ok(parameters) => parameters,
            Err(error) => {
                let (reason, code) = (reason_of(&error), error.code());
                return self.refuse(now, ask.origin.device, "register", code, reason, error.to_string());
            }
        };
        let index = match self.registrant(now, ask, &parameters, "register") {
            Ok(index) => index,
            Err(reply) => return reply,
        };
        if ask.message.content_format().is_some_and(|format| format != LINK_FORMAT) {
            let code = Code::UNSUPPORTED_CONTENT_FORMAT;
            return self.refuse(now, Some(index), "register", code, "content_format", "links have content format 40");
        }
        let objects = match self.object_lists.parse(ask.payload) {
            Ok(objects) => objects,
            Err(error) => {
                return self.refuse(now, Some(index), "register", error.code(), "links_invalid", error.to_string());
            }
        };
        let claim = self.claim(now, index, ask, &parameters.others, "register");
        if self.is_waiting(index) {
            return self.refuse_waiting(now, index, claim.as_ref());
        }
        if self.is_claim_denied(index, claim.as_ref()) {
            return self.refuse(now, Some(index), "register", Code::FORBIDDEN, "claim_denied", CLAIM_DENIED);
        }
        self.accept_registration(now, index, ask, parameters, objects, claim)
    }

    /// The device that may register here, or have an account, or the answer to one that may not.
    pub(crate) fn registrant(
        &mut self,
        now: Now,
        ask: &Ask<'_>,
        parameters: &RegisterParameters,
        operation: &str,
    ) -> Result<DeviceIndex, Reply> {
        let endpoint = parameters.endpoint.as_deref();
        if ask.origin.is_secure {
            let Some(index) = ask.origin.device else { return Err(self.forbid(now, operation, "not_allowed")) };
            let expected = self.directory.get(index).map(|device| Arc::clone(&device.endpoint));
            if endpoint.is_some_and(|endpoint| expected.as_deref() != Some(endpoint)) {
                let claimed = endpoint.unwrap_or_default();
                self.note_intrusion(now, SecurityReason::EndpointMismatch, &ask.origin, claimed.as_bytes());
                let detail = format!("the endpoint is not the credential's: {}", foreign(claimed.as_bytes()));
                return Err(self.refuse(now, Some(index), operation, Code::BAD_REQUEST, "endpoint_mismatch", detail));
            }
            return Ok(index);
        }
        let Some(endpoint) = endpoint else {
            return Err(self.refuse(
                now,
                None,
                operation,
                Code::BAD_REQUEST,
                "endpoint_missing",
                "endpoint name missing",
            ));
        };
        if let Some(index) = self.directory.by_endpoint(endpoint) {
            return Ok(index);
        }
        if self.directory.needs_credential(endpoint) {
            self.note_intrusion(now, SecurityReason::Insecure, &ask.origin, endpoint.as_bytes());
            return Err(self.forbid(now, operation, "insecure"));
        }
        self.enrol(endpoint).ok_or_else(|| {
            self.note_intrusion(now, SecurityReason::NotAllowed, &ask.origin, endpoint.as_bytes());
            self.forbid(now, operation, "not_allowed")
        })
    }

    /// Says no to somebody we do not know; why is for the security log alone.
    fn forbid(&mut self, now: Now, operation: &str, reason: &'static str) -> Reply {
        // Core 1.1 §6.1.7: of a Bootstrap-Request, an unknown endpoint is what is wrong with it.
        let code = if self.options.is_bootstrap_server { Code::BAD_REQUEST } else { Code::FORBIDDEN };
        self.refuse(now, None, operation, code, reason, "not allowed")
    }

    /// Takes a stranger in, where that is allowed. Its endpoint name is also our name for it.
    fn enrol(&mut self, endpoint: &str) -> Option<DeviceIndex> {
        let context = self.options.open_enrolment.as_ref()?;
        let mut fragment = context.as_bytes().to_vec();
        if !fragment.is_empty() {
            fragment.push(b',');
        }
        fragment.extend_from_slice(b"\"endpoint\":");
        write_text(&mut fragment, endpoint);
        let entry = DeviceEntry {
            context: String::from_utf8(fragment).ok()?,
            grace: self.options.enrolment_grace,
            ..DeviceEntry::new(endpoint, endpoint, Security::None)
        };
        let partition = self.pages.partition_of(endpoint);
        self.directory.by_id(endpoint).is_none().then_some(())?;
        self.directory.put(&entry, true, partition).ok().map(|put| put.device)
    }

    fn accept_registration(
        &mut self,
        now: Now,
        index: DeviceIndex,
        ask: &Ask<'_>,
        parameters: RegisterParameters,
        objects: Arc<Objects>,
        claim: Option<Claim>,
    ) -> Reply {
        let Some(peer) = self.peer_of(now, &ask.origin) else { return self.refuse_busy() };
        self.bind(now, index, peer);
        let id = self.registration_id();
        let registration = Registration {
            id,
            lifetime_s: parameters.lifetime_s,
            version: parameters.version,
            binding: parameters.binding.into(),
            queue_mode: parameters.queue_mode,
            objects,
            claim,
            address: Some(ask.origin.address),
            expires_at: None,
            extended_unix_ms: now.unix_ms,
            is_told: false,
            is_unlogged: false,
        };
        let replaced = self.directory.register(index, Box::new(registration));
        if let Some(device) = self.directory.get_mut(index) {
            device.forget_lacking();
        }
        self.restart_dialog(now, index);
        self.extend(now, index);
        self.heard(now, index);
        self.queue_checkpoint(index);
        self.stats.register += 1;
        let session = self.suite_of(peer);
        let proof = self.peers.get(peer);
        let Some(device) = self.directory.get(index) else { return Reply::busy() };
        let Some(registration) = &device.registration else { return Reply::busy() };
        let mut event = device_event(&mut self.pages, now, device, "registered");
        write_registration(&mut event, registration, ask.origin.is_secure, ask.origin.address);
        event.boolean("replaced", replaced.is_some());
        event.value("attributes", |body| write_attributes(body, &parameters.others));
        match session {
            Some(suite) => event.text("session", suite),
            None => event.fragment("\"session\":null"),
        }
        if let Some(credential) = proof.and_then(|peer| peer.credential.as_ref()) {
            event.text("credential", &credential.id);
        }
        if let Some(certificate) = proof.and_then(Peer::certificate) {
            event.value("certificate", |body| write_certificate(body, certificate));
        }
        let partition = device.partition;
        event.finish();
        Reply::AfterCommit { partition, peer, response: Response { location: Some(id), ..Code::CREATED.into() } }
    }

    /// `POST /rd/<id>`
    pub(crate) fn update(&mut self, now: Now, ask: &Ask<'_>, id: &[u8]) -> Reply {
        let index = match self.owned(now, ask, id, "update") {
            Ok(index) => index,
            Err(reply) => return reply,
        };
        let Some(peer) = self.peer_of(now, &ask.origin) else { return self.refuse_busy() };
        let Some(registration) = self.directory.get(index).and_then(|device| device.registration.as_ref()) else {
            return Reply::now(Code::NOT_FOUND);
        };
        let has_queries = ask.message.queries().next().is_some();
        let change = if !has_queries && ask.payload.is_empty() && self.options.enclosure_option.is_none() {
            // The usual Update says nothing but "I am still here".
            Change { address: moved(registration, ask.origin.address), ..Change::default() }
        } else {
            match self.change(now, index, ask) {
                Ok(change) => change,
                Err(reply) => return reply,
            }
        };
        let known = self.directory.get(index).and_then(|device| device.registration.as_ref());
        let change = match known.filter(|registration| registration.is_unlogged) {
            Some(registration) => change.with_all(registration),
            None => change,
        };
        self.bind(now, index, peer);
        self.stats.update += 1;
        self.apply(index, &change);
        self.extend(now, index);
        self.heard(now, index);
        if change.is_empty() {
            return Reply::now(Code::CHANGED);
        }
        self.want_checkpoint(now, index);
        let Some(device) = self.directory.get(index) else { return Reply::busy() };
        let Some(registration) = &device.registration else { return Reply::busy() };
        let mut event = device_event(&mut self.pages, now, device, "updated");
        event.text("registration", &registration.id.text());
        change.write(&mut event);
        let (partition, id) = (device.partition, registration.id);
        event.finish();
        if change.objects.is_some() {
            self.forget_goals_refused(index);
            self.reconcile(now, index);
        }
        Reply::AfterCommit { partition, peer, response: Response { location: Some(id), ..Code::CHANGED.into() } }
    }

    /// What an Update changes.
    fn change(&mut self, now: Now, index: DeviceIndex, ask: &Ask<'_>) -> Result<Change, Reply> {
        let Some(registration) = self.directory.get(index).and_then(|device| device.registration.as_ref()) else {
            return Err(Reply::now(Code::NOT_FOUND));
        };
        let queries: Vec<&[u8]> = ask.message.queries().collect();
        let parameters = match UpdateParameters::parse(&queries, registration.version) {
            Ok(parameters) => parameters,
            Err(error) => {
                let (reason, code) = (reason_of(&error), error.code());
                return Err(self.refuse(now, Some(index), "update", code, reason, error.to_string()));
            }
        };
        let mut change = Change {
            lifetime_s: parameters.lifetime_s.filter(|lifetime_s| *lifetime_s != registration.lifetime_s),
            binding: parameters.binding.filter(|binding| **binding != *registration.binding),
            queue_mode: parameters.queue_mode.filter(|queue_mode| *queue_mode != registration.queue_mode),
            address: moved(registration, ask.origin.address),
            ..Change::default()
        };
        if !ask.payload.is_empty() {
            if ask.message.content_format().is_some_and(|format| format != LINK_FORMAT) {
                let code = Code::UNSUPPORTED_CONTENT_FORMAT;
                let detail = "links have content format 40";
                return Err(self.refuse(now, Some(index), "update", code, "content_format", detail));
            }
            let before = Arc::clone(&registration.objects);
            match self.object_lists.parse(ask.payload) {
                Ok(objects) => change.objects = (objects != before).then_some(objects),
                Err(error) => {
                    let reason = "links_invalid";
                    return Err(self.refuse(now, Some(index), "update", error.code(), reason, error.to_string()));
                }
            }
        }
        let claim = self.claim(now, index, ask, &parameters.others, "update");
        if self.is_claim_denied(index, claim.as_ref()) {
            return Err(self.refuse(now, Some(index), "update", Code::FORBIDDEN, "claim_denied", CLAIM_DENIED));
        }
        let registration = self.directory.get(index).and_then(|device| device.registration.as_ref());
        change.claim = claim.filter(|claim| registration.is_some_and(|known| known.claim.as_ref() != Some(claim)));
        Ok(change)
    }

    fn apply(&mut self, index: DeviceIndex, change: &Change) {
        let Some(registration) = self.directory.get_mut(index).and_then(|device| device.registration.as_mut()) else {
            return;
        };
        registration.is_unlogged = false;
        registration.lifetime_s = change.lifetime_s.unwrap_or(registration.lifetime_s);
        registration.queue_mode = change.queue_mode.unwrap_or(registration.queue_mode);
        registration.address = change.address.or(registration.address);
        if let Some(binding) = &change.binding {
            registration.binding = binding.as_str().into();
        }
        if let Some(objects) = &change.objects {
            registration.objects = Arc::clone(objects);
        }
        if let Some(claim) = &change.claim {
            registration.claim = Some(claim.clone());
        }
    }

    /// `DELETE /rd/<id>`
    pub(crate) fn deregister(&mut self, now: Now, ask: &Ask<'_>, id: &[u8]) -> Reply {
        let index = match self.owned(now, ask, id, "deregister") {
            Ok(index) => index,
            Err(reply) => return reply,
        };
        let Some(peer) = self.peer_of(now, &ask.origin) else { return self.refuse_busy() };
        let Some(partition) = self.directory.get(index).map(|device| device.partition) else { return Reply::busy() };
        self.stats.deregister += 1;
        self.end_registration(now, index, "deregistered");
        self.forget_enrolled(now, index);
        Reply::AfterCommit { partition, peer, response: Code::DELETED.into() }
    }

    /// The device whose registration this is, if it is the sender's to speak about.
    fn owned(&mut self, now: Now, ask: &Ask<'_>, id: &[u8], operation: &str) -> Result<DeviceIndex, Reply> {
        let index = RegistrationId::parse(id).and_then(|id| self.directory.by_registration(id));
        // Whoever may not speak about a registration is not told whether there is one.
        let (code, detail) = (Code::NOT_FOUND, "no such registration");
        let Some(index) = index else {
            return Err(self.refuse(now, ask.origin.device, operation, code, "registration_unknown", detail));
        };
        let is_own = if ask.origin.is_secure {
            ask.origin.device == Some(index)
        } else {
            self.directory.get(index).is_some_and(|device| device.security == Security::None)
        };
        if is_own {
            return Ok(index);
        }
        self.note_intrusion(now, SecurityReason::ForeignRegistration, &ask.origin, b"");
        Err(self.refuse(now, ask.origin.device, operation, code, "foreign_registration", detail))
    }

    /// The enclosure the device claims: in the option, or else in the query.
    fn claim(
        &mut self,
        now: Now,
        index: DeviceIndex,
        ask: &Ask<'_>,
        others: &[(String, String)],
        operation: &str,
    ) -> Option<Claim> {
        if let Some(value) = self.options.enclosure_option.and_then(|number| ask.message.option(number)) {
            match std::str::from_utf8(value) {
                Ok(enclosure) if enclosure.len() <= CLAIM_BYTES_MAX => {
                    return Some(Claim { enclosure: enclosure.into(), via: ClaimVia::Option });
                }
                // A claim that cannot be read does not cost the device its registration.
                _ => self.note_refused(now, index, operation, Code::BAD_OPTION, "claim_invalid", "ignored"),
            }
        }
        let (_, enclosure) = others.iter().find(|(name, _)| name == "enclosure")?;
        if enclosure.len() > CLAIM_BYTES_MAX {
            self.note_refused(now, index, operation, Code::BAD_REQUEST, "claim_invalid", "ignored");
            return None;
        }
        Some(Claim { enclosure: enclosure.as_str().into(), via: ClaimVia::Query })
    }

    pub(crate) fn registration_id(&mut self) -> RegistrationId {
        loop {
            let id = RegistrationId(self.random.next_u64());
            if self.directory.by_registration(id).is_none() {
                return id;
            }
        }
    }

    /// From now on this peer is where the device is.
    pub(crate) fn bind(&mut self, now: Now, index: DeviceIndex, peer: PeerKey) {
        let Some(device) = self.directory.get_mut(index) else { return };
        if device.peer == Some(peer) {
            return;
        }
        let before = device.peer.replace(peer);
        self.want_checkpoint(now, index);
        if let Some(before) = before {
            self.unbind(now, before);
        }
        let Some(other) = self.peers.get_mut(peer).and_then(|found| found.device.replace(index)) else { return };
        // Another device was heard from here: it is somewhere else now, or behind the same translator.
        if other != index
            && let Some(other) = self.directory.get_mut(other)
            && other.peer == Some(peer)
        {
            other.peer = None;
        }
    }
}

/// What an Update changes; nothing, mostly.
#[derive(Default)]
struct Change {
    lifetime_s: Option<u32>,
    binding: Option<String>,
    queue_mode: Option<bool>,
    objects: Option<Arc<Objects>>,
    address: Option<SocketAddr>,
    claim: Option<Claim>,
}

impl Change {
    fn is_empty(&self) -> bool {
        self.lifetime_s.is_none()
            && self.binding.is_none()
            && self.queue_mode.is_none()
            && self.objects.is_none()
            && self.address.is_none()
            && self.claim.is_none()
    }

    /// Everything, because the log may not know what it was told before.
    fn with_all(self, known: &Registration) -> Self {
        Self {
            lifetime_s: self.lifetime_s.or(Some(known.lifetime_s)),
            binding: self.binding.or_else(|| Some(known.binding.to_string())),
            queue_mode: self.queue_mode.or(Some(known.queue_mode)),
            objects: self.objects.or_else(|| Some(Arc::clone(&known.objects))),
            address: self.address.or(known.address),
            claim: self.claim.or_else(|| known.claim.clone()),
        }
    }

    fn write(&self, event: &mut crate::page::EventWriter<'_>) {
        if let Some(lifetime_s) = self.lifetime_s {
            event.number("lifetime_s", lifetime_s);
        }
        if let Some(binding) = &self.binding {
            event.text("binding", binding);
        }
        if let Some(queue_mode) = self.queue_mode {
            event.boolean("queue_mode", queue_mode);
        }
        if let Some(objects) = &self.objects {
            event.value("objects", |body| body.extend_from_slice(&objects.json));
        }
        if let Some(address) = self.address {
            event.address(address);
        }
        if let Some(claim) = &self.claim {
            event.value("claim", |body| claim.write(body));
        }
    }
}

fn moved(registration: &Registration, address: SocketAddr) -> Option<SocketAddr> {
    (registration.address != Some(address)).then_some(address)
}

pub(crate) fn write_registration(
    event: &mut crate::page::EventWriter<'_>,
    registration: &Registration,
    is_secure: bool,
    address: SocketAddr,
) {
    event.text("registration", &registration.id.text());
    event.text("version", &registration.version.to_string());
    event.number("lifetime_s", registration.lifetime_s);
    event.text("binding", &registration.binding);
    event.boolean("queue_mode", registration.queue_mode);
    event.boolean("secure", is_secure);
    event.address(address);
    event.value("objects", |body| body.extend_from_slice(&registration.objects.json));
    match &registration.claim {
        Some(claim) => event.value("claim", |body| claim.write(body)),
        None => event.fragment("\"claim\":null"),
    }
}

pub(crate) fn reason_of(error: &RegistrationError) -> &'static str {
    match error {
        RegistrationError::VersionUnknown { .. } => "version_unknown",
        RegistrationError::LifetimeInvalid { .. } => "lifetime_invalid",
        RegistrationError::BindingInvalid { .. } => "binding_invalid",
        RegistrationError::EndpointInvalid => "endpoint_invalid",
        _ => "queries_invalid",
    }
}
