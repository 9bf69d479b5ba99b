//! Registrations: what a device said about itself when it registered, and how long that holds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use lwm2m::link_format::LinkError;
use lwm2m::{Definitions, Link, Links, Path, Version};

use crate::command::RestoredRegistration;
use crate::devices::{Device, DeviceIndex};
use crate::error::EntryError;
use crate::event::{hex_byte, write_text};
use crate::gateway::{Gateway, device_event};
use crate::limits::{GRACE_MIN, OBJECT_LISTS_MAX};
use crate::timers::{Now, Timer};

/// What stands behind `/rd/`. Nobody can guess one: over NoSec it is all that an Update has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RegistrationId(pub(crate) u64);

impl RegistrationId {
    pub(crate) fn text(self) -> String {
        let mut text = [0; 16];
        self.write(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Sixteen hexadecimal digits.
    pub(crate) fn write(self, text: &mut [u8; 16]) {
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            digits.copy_from_slice(&hex_byte(byte));
        }
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 16 || !text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok().map(Self)
    }
}

/// The span from Register until De-register or expiry.
pub(crate) struct Registration {
    pub(crate) id: RegistrationId,
    pub(crate) lifetime_s: u32,
    pub(crate) version: Version,
    pub(crate) binding: Box<str>,
    pub(crate) queue_mode: bool,
    pub(crate) objects: Arc<Objects>,
    pub(crate) claim: Option<Claim>,
    /// Where it was when it registered or last moved; unknown after a restart.
    pub(crate) address: Option<SocketAddr>,
    /// Never without a lifetime.
    pub(crate) expires_at: Option<Instant>,
    /// When its lifetime began anew last.
    pub(crate) extended_unix_ms: u64,
    /// The device has its 2.01, so we may ask it things.
    pub(crate) is_told: bool,
    /// The log refused what changed: the next Update tells everything.
    pub(crate) is_unlogged: bool,
}

impl Registration {
    /// The end of the lifetime in Unix seconds, without grace; none for a lifetime of 0.
    pub(crate) fn expires_unix_s(&self) -> Option<u64> {
        (self.lifetime_s != 0).then(|| self.extended_unix_ms / 1_000 + u64::from(self.lifetime_s))
    }
}

/// The enclosure a device says it is in, and where it said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) enclosure: Box<str>,
    pub(crate) via: ClaimVia,
}

/// The place of a claim in a Register or Update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimVia {
    /// A CoAP option.
    Option,
    /// The query `enclosure`.
    Query,
}

impl Claim {
    pub(crate) fn write(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(b"{\"enclosure\":");
        write_text(body, &self.enclosure);
        body.extend_from_slice(match self.via {
            ClaimVia::Option => b",\"via\":\"option\"}",
            ClaimVia::Query => b",\"via\":\"query\"}",
        });
    }
}

/// The object list of a registration. Devices of one make share one.
#[derive(Debug)]
pub(crate) struct Objects {
    /// Before every path of a request; empty almost always.
    pub(crate) root: String,
    pub(crate) content_formats: Vec<u16>,
    pub(crate) list: Vec<(Path, Option<String>)>,
    /// `[["/3/0","1.1"],["/6/0",null]]`
    pub(crate) json: Vec<u8>,
    /// What its values mean, by the versions in the list.
    pub(crate) definitions: Definitions,
}

impl PartialEq for Objects {
    fn eq(&self, other: &Self) -> bool {
        (&self.root, &self.content_formats, &self.list) == (&other.root, &other.content_formats, &other.list)
    }
}

impl Objects {
    fn of_links(links: Links, definitions: &Definitions) -> Self {
        let root = if links.root == "/" { String::new() } else { links.root };
        let list = links.objects.into_iter().map(|Link { path, version, .. }| (path, version)).collect();
        Self::new(root, links.content_formats, list, definitions)
    }

    /// Of a list without more words.
    #[cfg(test)]
    pub(crate) fn of_paths(list: Vec<(Path, Option<String>)>, definitions: &Definitions) -> Self {
        Self::new(String::new(), Vec::new(), list, definitions)
    }

    /// Of a device that lists nothing but the formats that it wants to be written in.
    pub(crate) fn of_formats(content_formats: Vec<u16>, definitions: &Definitions) -> Self {
        Self::new(String::new(), content_formats, Vec::new(), definitions)
    }

    fn new(
        root: String,
        content_formats: Vec<u16>,
        list: Vec<(Path, Option<String>)>,
        definitions: &Definitions,
    ) -> Self {
        let mut json = vec![b'['];
        for (path, version) in &list {
            json.extend_from_slice(if json.len() > 1 { b",[\"" } else { b"[\"" });
            path.write(&mut json);
            json.extend_from_slice(b"\",");
            match version {
                Some(version) => write_text(&mut json, version),
                None => json.extend_from_slice(b"null"),
            }
            json.push(b']');
        }
        json.push(b']');
        let definitions = definitions.registered(list.iter().map(|(path, version)| (path.object, version.as_deref())));
        Self { root, content_formats, list, json, definitions }
    }

    /// Whether the device registered this path, or something above it that does not name its parts.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        self.list.iter().any(|(registered, _)| {
            registered.contains(path) || (path.instance.is_none() && registered.object == path.object)
        })
    }
}

/// Object lists, each kept once.
pub(crate) struct ObjectLists {
    definitions: Arc<Definitions>,
    by_payload: HashMap<Box<[u8]>, Arc<Objects>, RandomState>,
}

impl ObjectLists {
    pub(crate) fn new(definitions: Arc<Definitions>, hasher: RandomState) -> Self {
        Self { definitions, by_payload: HashMap::with_hasher(hasher) }
    }

    pub(crate) fn parse(&mut self, payload: &[u8]) -> Result<Arc<Objects>, LinkError> {
        if let Some(objects) = self.by_payload.get(payload) {
            return Ok(Arc::clone(objects));
        }
        let objects = Arc::new(Objects::of_links(Links::parse(payload)?, &self.definitions));
        Ok(self.share(payload.into(), objects))
    }

    /// What [`ObjectLists::parse`] made before a restart, of its parts.
    pub(crate) fn known(
        &mut self,
        root: &str,
        content_formats: Vec<u16>,
        list: &[(Path, Option<String>)],
    ) -> Arc<Objects> {
        let objects = Objects::new(root.to_owned(), content_formats, list.to_vec(), &self.definitions);
        // No payload begins with a zero, so that the two kinds of names do not meet.
        let formats = format!("{:?}", objects.content_formats);
        let name = [&[0], root.as_bytes(), &[0], formats.as_bytes(), &objects.json].concat();
        self.share(name.into(), Arc::new(objects))
    }

    /// The one of that name, or from now on this one.
    fn share(&mut self, name: Box<[u8]>, objects: Arc<Objects>) -> Arc<Objects> {
        if let Some(known) = self.by_payload.get(&name) {
            return Arc::clone(known);
        }
        if self.by_payload.len() >= OBJECT_LISTS_MAX {
            // Lists nobody uses any more make room; if all are used, this one is simply not shared.
            self.by_payload.retain(|_, objects| Arc::strong_count(objects) > 1);
        }
        if self.by_payload.len() < OBJECT_LISTS_MAX {
            self.by_payload.insert(name, Arc::clone(&objects));
        }
        objects
    }
}

/// How long after its last sign of life a registration ends; none for a lifetime of 0.
pub(crate) fn patience(lifetime_s: u32, grace: Option<Duration>) -> Option<Duration> {
    if lifetime_s == 0 {
        return None;
    }
    let lifetime = Duration::from_secs(u64::from(lifetime_s));
    Some(lifetime + grace.unwrap_or_else(|| GRACE_MIN.max(lifetime / 10)))
}

impl Gateway {
    /// The lifetime of a device's registration begins anew.
    pub(crate) fn extend(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        let Some(registration) = device.registration.as_mut() else { return };
        registration.extended_unix_ms = now.unix_ms;
        registration.expires_at =
            patience(registration.lifetime_s, device.profile.grace).and_then(|wait| now.monotonic.checked_add(wait));
        match registration.expires_at {
            Some(when) => self.timers.set(&mut device.expiry, Timer::Expiry(index), when),
            None => self.timers.clear(&mut device.expiry, Timer::Expiry(index)),
        }
    }

    /// The expiry timer of a device fired: maybe its lifetime began anew meanwhile.
    pub(crate) fn handle_expiry(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        device.expiry = None;
        let Some(expires_at) = device.registration.as_ref().and_then(|registration| registration.expires_at) else {
            return;
        };
        if expires_at > now.monotonic {
            self.timers.set(&mut device.expiry, Timer::Expiry(index), expires_at);
            return;
        }
        if self.options.is_bootstrap_server {
            return self.close_bootstrap(now, index, "timed_out", None);
        }
        self.stats.expired += 1;
        self.end_registration(now, index, "expired");
    }

    /// Ends a registration with an event of this kind.
    pub(crate) fn end_registration(&mut self, now: Now, index: DeviceIndex, kind: &str) {
        let Some(registration) = self.directory.unregister(index) else { return };
        let Some(device) = self.directory.get_mut(index) else { return };
        let mut event = device_event(&mut self.pages, now, device, kind);
        event.text("registration", &registration.id.text());
        event.finish();
        self.timers.clear(&mut device.expiry, Timer::Expiry(index));
        device.awake_until = None;
        self.drop_checkpoint(index);
        self.forget_dialog(now, index);
    }

    /// Drops a registration that never came to be: its event was refused by the store.
    pub(crate) fn revoke_registration(&mut self, now: Now, index: DeviceIndex) {
        if self.directory.unregister(index).is_none() {
            return;
        }
        if let Some(device) = self.directory.get_mut(index) {
            self.timers.clear(&mut device.expiry, Timer::Expiry(index));
        }
        self.drop_checkpoint(index);
        self.forget_dialog(now, index);
    }

    /// A change of a registration was refused by the store: it holds, but has to be told again.
    pub(crate) fn note_unlogged(&mut self, index: DeviceIndex) {
        if let Some(registration) = self.directory.get_mut(index).and_then(|device| device.registration.as_mut()) {
            registration.is_unlogged = true;
        }
    }

    /// Takes back a registration from before a restart: the device need not register again, and its lifetime begins
    /// anew, because the silence was ours.
    pub fn restore(&mut self, now: Now, restored: &RestoredRegistration) -> Result<(), EntryError> {
        let id = RegistrationId::parse(restored.registration.as_bytes()).ok_or(EntryError::RegistrationInvalid)?;
        let Some(index) = self.directory.by_id(&restored.device) else { return Ok(()) };
        let is_taken = self.directory.by_registration(id).is_some();
        let is_registered = self.directory.get(index).is_none_or(|device| device.registration.is_some());
        if is_taken || is_registered {
            return Ok(());
        }
        let mut list = Vec::with_capacity(restored.objects.len());
        for (path, version) in &restored.objects {
            let parsed = Path::parse(path).map_err(|error| EntryError::Path { path: path.clone(), error })?;
            list.push((parsed, version.clone()));
        }
        let version = match restored.version.as_str() {
            "1.0" => Version::V1_0,
            "1.2" => Version::V1_2,
            _ => Version::V1_1,
        };
        let registration = Registration {
            id,
            lifetime_s: restored.lifetime_s,
            version,
            binding: restored.binding.as_str().into(),
            queue_mode: restored.queue_mode,
            objects: self.object_lists.known("", Vec::new(), &list),
            claim: None,
            address: None,
            expires_at: None,
            extended_unix_ms: now.unix_ms,
            is_told: true,
            is_unlogged: false,
        };
        self.directory.register(index, Box::new(registration));
        self.extend(now, index);
        // What it observes begins anew when it is heard again, unless a checkpoint tells of it.
        self.reconcile(now, index);
        Ok(())
    }
}

/// Whether a device listens now, as far as we know.
pub(crate) fn is_awake(now: Instant, device: &Device) -> bool {
    let Some(registration) = &device.registration else { return false };
    has_address(device) && (!registration.queue_mode || device.awake_until.is_some_and(|until| until > now))
}

/// Whether there is an address to send a request to.
pub(crate) fn has_address(device: &Device) -> bool {
    device.peer.is_some() && device.registration.as_ref().is_some_and(|registration| registration.is_told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_id_reads_back_and_nothing_else_does() {
        let id = RegistrationId(0x0123_4567_89ab_cdef);

        assert_eq!(RegistrationId::parse(id.text().as_bytes()), Some(id));
        for wrong in ["", "0123456789ABCDEF", "+123456789abcdef", "0123456789abcde", "0123456789abcdef0"] {
            assert_eq!(RegistrationId::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn grace_is_a_tenth_of_the_lifetime_but_never_less_than_one_exchange() {
        assert_eq!(patience(0, None), None);
        assert_eq!(patience(300, None), Some(Duration::from_secs(547)));
        assert_eq!(patience(86_400, None), Some(Duration::from_secs(95_040)));
        assert_eq!(patience(30, Some(Duration::from_secs(5))), Some(Duration::from_secs(35)));
    }
}
