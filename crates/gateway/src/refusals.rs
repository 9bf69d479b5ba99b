//! What we refuse: with a code for whoever asked, a counter, and an event where we know the device.

use std::borrow::Cow;

use coap::message::{Message, Refusal};
use coap::{Code, option};

use crate::devices::DeviceIndex;
use crate::gateway::{Gateway, device_event};
use crate::limits::REFUSALS_TOLD_MAX;
use crate::page::EventWriter;
use crate::reply::{Reply, Response};
use crate::timers::Now;
use crate::uplink::Origin;

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// Every reason, and the name of its counter.
        const REASONS: &[(&str, &str)] = &[$((stringify!($name), concat!("refused_", stringify!($name))),)*];
    };
}

reasons! {
    /// No message of CoAP.
    malformed,
    /// A critical option that we do not know, or that is there twice.
    option_unknown,
    /// We are no proxy.
    proxy_wanted,
    /// A block of the reserved size, of another size than it says, or behind the end.
    block_invalid,
    /// A block is missing in between.
    body_incomplete,
    body_too_large,
    path_unknown,
    method_not_allowed,
    /// A Send without a registration.
    unregistered,
    content_format,
    payload_invalid,
    version_unknown,
    lifetime_invalid,
    binding_invalid,
    endpoint_invalid,
    endpoint_missing,
    endpoint_mismatch,
    queries_invalid,
    links_invalid,
    claim_invalid,
    /// A policy denies the device to say that it is there.
    claim_denied,
    /// It came by itself, and waits for a person.
    not_approved,
    /// A policy denies the device to send that.
    send_denied,
    /// It has a credential and did not use it.
    insecure,
    not_allowed,
    registration_unknown,
    foreign_registration,
    file_unknown,
    file_unreadable,
    /// Whoever signs certificates did not.
    not_enrolled,
    /// A connection (RFC 8323) that said what none may.
    connection_broken,
    /// The log is behind, or there is no room.
    busy,
}

/// How often what was refused, by its reason.
#[derive(Debug, Clone)]
pub(crate) struct Refusals {
    counts: [u64; REASONS.len()],
}

impl Default for Refusals {
    fn default() -> Self {
        Self { counts: [0; REASONS.len()] }
    }
}

impl Refusals {
    fn count(&mut self, reason: &str) {
        let place = REASONS.iter().position(|(name, _)| *name == reason);
        debug_assert!(place.is_some(), "{reason} is not in the table");
        if let Some(place) = place {
            self.counts[place] += 1;
        }
    }

    /// All of them together, then each.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let each = REASONS.iter().zip(&self.counts).map(|((_, counter), count)| (*counter, *count));
        std::iter::once(("refused", self.counts.iter().sum())).chain(each)
    }
}

impl Gateway {
    /// Refuses a request: counted, told where we know the device, and said to whoever asked.
    pub(crate) fn refuse(
        &mut self,
        now: Now,
        device: Option<DeviceIndex>,
        operation: &str,
        code: Code,
        reason: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Reply {
        let detail = detail.into();
        match device {
            Some(device) => self.note_refused(now, device, operation, code, reason, &detail),
            None => self.refusals.count(reason),
        }
        Reply::Now(Response { diagnostic: Some(detail), ..code.into() })
    }

    /// Counts and tells that a known device was refused something.
    pub(crate) fn note_refused(
        &mut self,
        now: Now,
        index: DeviceIndex,
        operation: &str,
        code: Code,
        reason: &'static str,
        detail: &str,
    ) {
        if let Some(event) = self.refused_event(now, index, operation, code, reason, detail) {
            event.finish();
        }
    }

    /// Counts it, and begins what is told of it; nothing when enough was told of this device lately.
    pub(crate) fn refused_event(
        &mut self,
        now: Now,
        index: DeviceIndex,
        operation: &str,
        code: Code,
        reason: &'static str,
        detail: &str,
    ) -> Option<EventWriter<'_>> {
        self.refusals.count(reason);
        let device = self.directory.get_mut(index)?;
        let second = (now.unix_ms / 1_000) as u32;
        let (told_in, told) = device.refusals_told;
        let told = if told_in == second { told } else { 0 };
        if told >= REFUSALS_TOLD_MAX {
            self.stats.refusals_untold += 1;
            return None;
        }
        device.refusals_told = (second, told + 1);
        let mut event = device_event(&mut self.pages, now, device, "refused");
        event.text("operation", operation);
        event.text("code", &code.to_string());
        event.text("reason", reason);
        event.foreign("detail", detail.as_bytes());
        Some(event)
    }

    /// Not now: 5.03, and when to try again. Counted only: the log that an event would go to is what is behind.
    pub(crate) fn refuse_busy(&mut self) -> Reply {
        self.stats.busy += 1;
        self.refusals.count("busy");
        Reply::busy()
    }

    /// No message of CoAP. RFC 7252 §4.2 allows silence, which is what a stranger gets: its address may be forged.
    pub(crate) fn refuse_malformed(&mut self, now: Now, origin: &Origin, bytes: &[u8], detail: &str) {
        match origin.device {
            Some(device) => self.note_refused(now, device, "message", Code::EMPTY, "malformed", detail),
            None => self.refusals.count("malformed"),
        }
        if let (Some(peer), Some(reset)) = (origin.peer, Message::rejection(bytes)) {
            self.post(peer, &reset);
        }
    }

    /// A request that cannot be honoured whatever it asks for: what to answer; nothing if it was rejected with a reset.
    pub(crate) fn refuse_options(
        &mut self,
        now: Now,
        origin: &Origin,
        message: &Message<'_>,
        refusal: Refusal,
    ) -> Option<Reply> {
        let (code, reason, detail) = match refusal {
            Refusal::Answer(Code::BAD_OPTION) => (Code::BAD_OPTION, "option_unknown", "critical option not understood"),
            Refusal::Answer(Code::PROXYING_NOT_SUPPORTED) => {
                (Code::PROXYING_NOT_SUPPORTED, "proxy_wanted", "this is no proxy")
            }
            Refusal::Answer(code) => (code, "block_invalid", "block size reserved"),
            Refusal::Reject => (Code::EMPTY, "option_unknown", "critical option not understood"),
        };
        let reply = self.refuse(now, origin.device, "request", code, reason, detail);
        if refusal == Refusal::Reject {
            self.reset(origin, message.id);
            return None;
        }
        Some(reply)
    }

    /// Refuses a part of a larger body.
    pub(crate) fn refuse_block(&mut self, now: Now, origin: &Origin, code: Code) -> Response {
        let (reason, detail) = match code {
            Code::REQUEST_ENTITY_INCOMPLETE => ("body_incomplete", "a block is missing"),
            Code::REQUEST_ENTITY_TOO_LARGE => ("body_too_large", "body too large"),
            _ => ("block_invalid", "not a block of its size"),
        };
        match self.refuse(now, origin.device, "upload", code, reason, detail) {
            Reply::Now(response) | Reply::AfterCommit { response, .. } => response,
            Reply::Later | Reply::WhenSigned => code.into(),
        }
    }

    /// No resource of ours, or not with this method.
    pub(crate) fn refuse_route(&mut self, now: Now, origin: &Origin, code: Code) -> Reply {
        let (reason, detail) = match code {
            Code::METHOD_NOT_ALLOWED => ("method_not_allowed", "method not allowed"),
            _ => ("path_unknown", "no such resource"),
        };
        self.refuse(now, origin.device, "request", code, reason, detail)
    }
}

/// Critical options we understand. The number of the enclosure option joins them when it is critical.
const CRITICAL: [u16; 7] = [
    option::URI_HOST,
    option::URI_PORT,
    option::URI_PATH,
    option::URI_QUERY,
    option::ACCEPT,
    option::BLOCK2,
    option::BLOCK1,
];

/// What must become of a request before its meaning is looked at, if anything must.
pub(crate) fn of_options(message: &Message<'_>, enclosure_option: Option<u16>) -> Option<Refusal> {
    match enclosure_option {
        Some(number) => {
            let mut known = [number; CRITICAL.len() + 1];
            known[..CRITICAL.len()].copy_from_slice(&CRITICAL);
            message.refusal(&known)
        }
        None => message.refusal(&CRITICAL),
    }
}
