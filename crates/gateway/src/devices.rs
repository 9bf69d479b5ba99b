//! The devices we know: who they are, what we want of them, and where they are in their life.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use lwm2m::Definitions;
use zeroize::Zeroizing;

use crate::bootstrap::Pack;
use crate::checkpoints::Standing;
use crate::command::DeviceEntry;
use crate::composite::Lacking;
use crate::credential::{Bearer, Bearers, Proof, Security};
use crate::dialog::Dialog;
use crate::error::EntryError;
use crate::formats::Refused;
use crate::limits::{DEVICES_MAX, ENROLLED_MAX};
use crate::peers::PeerKey;
use crate::profile::{Profile, Profiles};
use crate::registrations::{Registration, RegistrationId};
use crate::timers::Slot;

/// Where a device stands in the directory.
pub(crate) type DeviceIndex = u32;

/// One device.
pub(crate) struct Device {
    pub(crate) id: Arc<str>,
    pub(crate) endpoint: Arc<str>,
    pub(crate) security: Security,
    pub(crate) is_waiting: bool,
    pub(crate) context: Arc<str>,
    pub(crate) partition: u32,
    pub(crate) profile: Arc<Profile>,
    /// Taken in by open enrolment; forgotten with its registration.
    pub(crate) is_enrolled: bool,
    /// Where its newest uplink came from.
    pub(crate) peer: Option<PeerKey>,
    pub(crate) registration: Option<Box<Registration>>,
    /// It listens until then, if it sleeps at all.
    pub(crate) awake_until: Option<Instant>,
    pub(crate) heard_unix_ms: u64,
    /// An `awake` event is on its way.
    pub(crate) is_awake_due: bool,
    /// A second, and how many refusals were told in it: see [`crate::limits::REFUSALS_TOLD_MAX`].
    pub(crate) refusals_told: (u32, u8),
    /// A minute, and how many bootstraps began in it: see [`crate::limits::BOOTSTRAPS_PER_MINUTE_MAX`].
    pub(crate) bootstraps_begun: (u32, u8),
    /// Content formats that it refused where another one served: see [`crate::formats`].
    pub(crate) formats_refused: Refused,
    /// What of composite operations it turned out not to know.
    pub(crate) lacking: Option<Box<Lacking>>,
    pub(crate) dialog: Option<Box<Dialog>>,
    /// It asked for all of its account at once.
    pub(crate) pack: Option<Box<Pack>>,
    pub(crate) expiry: Slot,
    pub(crate) downlink: Slot,
    pub(crate) checkpoint: Standing,
}

impl Device {
    /// What its values mean: by the versions that it registered, else by the newest of `all`.
    pub(crate) fn definitions<'a>(&'a self, all: &'a Definitions) -> &'a Definitions {
        self.registration.as_ref().map_or(all, |registration| &registration.objects.definitions)
    }
}

/// What changed by a new entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put {
    pub(crate) device: DeviceIndex,
    pub(crate) are_intents_new: bool,
    /// It had been taken in by open enrolment, and has got a name of its own.
    pub(crate) is_named: bool,
}

/// All devices, and every way to find one.
pub(crate) struct Directory {
    slots: Vec<Option<Box<Device>>>,
    free: Vec<DeviceIndex>,
    by_id: HashMap<Arc<str>, DeviceIndex, RandomState>,
    bearers: Bearers,
    /// Devices without a credential only.
    by_endpoint: HashMap<Arc<str>, DeviceIndex, RandomState>,
    by_registration: HashMap<RegistrationId, DeviceIndex, RandomState>,
    /// How many devices with a credential use an endpoint name: it is then closed to those without.
    credentialed: HashMap<Arc<str>, u32, RandomState>,
    enrolled: usize,
    profiles: Profiles,
}

impl Directory {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::with_hasher(hasher.clone()),
            bearers: Bearers::new(hasher.clone()),
            by_endpoint: HashMap::with_hasher(hasher.clone()),
            by_registration: HashMap::with_hasher(hasher.clone()),
            credentialed: HashMap::with_hasher(hasher.clone()),
            enrolled: 0,
            profiles: Profiles::new(hasher),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, index: DeviceIndex) -> Option<&Device> {
        self.slots.get(index as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, index: DeviceIndex) -> Option<&mut Device> {
        self.slots.get_mut(index as usize)?.as_deref_mut()
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<DeviceIndex> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn by_identity(&self, identity: &[u8]) -> Option<DeviceIndex> {
        self.bearers.of_identity(identity).map(|(index, _)| *index)
    }

    /// Who bears which credential.
    pub(crate) fn bearers(&self) -> &Bearers {
        &self.bearers
    }

    /// The device without a credential that has this endpoint.
    pub(crate) fn by_endpoint(&self, endpoint: &str) -> Option<DeviceIndex> {
        self.by_endpoint.get(endpoint).copied()
    }

    pub(crate) fn by_registration(&self, id: RegistrationId) -> Option<DeviceIndex> {
        self.by_registration.get(&id).copied()
    }

    /// Whether a device with a credential uses this endpoint.
    pub(crate) fn needs_credential(&self, endpoint: &str) -> bool {
        self.credentialed.contains_key(endpoint)
    }

    /// The key for an identity, and whose it is.
    pub(crate) fn key(&self, identity: &[u8]) -> Option<(Zeroizing<Vec<u8>>, &Bearer)> {
        let bearer = self.bearers.of_identity(identity)?;
        match &bearer.1.proof {
            Proof::Psk { key, .. } => Some((key.clone(), bearer)),
            Proof::Named { .. } | Proof::Pinned { .. } | Proof::Subject { .. } => None,
        }
    }

    /// All devices in an order that stays.
    pub(crate) fn indices(&self) -> impl Iterator<Item = DeviceIndex> + use<> {
        0..self.slots.len() as DeviceIndex
    }

    /// Takes a device in, or changes what is known about it.
    pub(crate) fn put(&mut self, entry: &DeviceEntry, is_enrolled: bool, partition: u32) -> Result<Put, EntryError> {
        if entry.device.is_empty() || entry.endpoint.is_empty() {
            return Err(EntryError::NameEmpty);
        }
        if !is_fragment(&entry.context) {
            return Err(EntryError::ContextInvalid);
        }
        let profile = self.profiles.parse(entry)?;
        let already = self.by_id(&entry.device).or_else(|| self.enrolled_as(entry));
        self.check_is_free(entry, already)?;
        let is_stranger = already.and_then(|index| self.get(index)).is_some_and(|device| device.is_enrolled);
        if is_stranger && self.len() - self.enrolled >= DEVICES_MAX {
            return Err(EntryError::TooMany { entries_max: DEVICES_MAX });
        }
        match already {
            Some(index) => Ok(self.replace(index, entry, profile, partition)),
            None => self.insert(entry, profile, is_enrolled, partition),
        }
    }

    /// The stranger whom this entry is about: somebody has made the device since it was taken in.
    fn enrolled_as(&self, entry: &DeviceEntry) -> Option<DeviceIndex> {
        let is_stranger = |index: &DeviceIndex| self.get(*index).is_some_and(|device| device.is_enrolled);
        self.by_endpoint(&entry.endpoint).filter(|index| entry.security == Security::None && is_stranger(index))
    }

    /// Two devices must not share what tells them apart.
    fn check_is_free(&self, entry: &DeviceEntry, already: Option<DeviceIndex>) -> Result<(), EntryError> {
        let holder = match &entry.security {
            Security::Proven(credentials) => self.bearers.check(&entry.endpoint, credentials, already)?,
            Security::None => self.by_endpoint(&entry.endpoint),
        };
        let Some(other) = holder.filter(|holder| Some(*holder) != already).and_then(|holder| self.get(holder)) else {
            return Ok(());
        };
        let device = other.id.to_string();
        Err(match entry.security {
            Security::Proven(_) => EntryError::CredentialTaken { device },
            Security::None => EntryError::EndpointTaken { device },
        })
    }

    fn insert(
        &mut self,
        entry: &DeviceEntry,
        profile: Arc<Profile>,
        is_enrolled: bool,
        partition: u32,
    ) -> Result<Put, EntryError> {
        let (count, entries_max) = if is_enrolled { (self.enrolled, ENROLLED_MAX) } else { (self.len(), DEVICES_MAX) };
        if count >= entries_max {
            return Err(EntryError::TooMany { entries_max });
        }
        self.enrolled += usize::from(is_enrolled);
        let device = Box::new(Device {
            id: entry.device.as_str().into(),
            endpoint: entry.endpoint.as_str().into(),
            security: entry.security.clone(),
            is_waiting: entry.is_waiting,
            context: entry.context.as_str().into(),
            partition,
            profile,
            is_enrolled,
            peer: None,
            registration: None,
            awake_until: None,
            heard_unix_ms: 0,
            is_awake_due: false,
            refusals_told: (0, 0),
            bootstraps_begun: (0, 0),
            formats_refused: Refused::default(),
            lacking: None,
            dialog: None,
            pack: None,
            expiry: None,
            downlink: None,
            checkpoint: Standing::default(),
        });
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as DeviceIndex - 1
        });
        self.by_id.insert(Arc::clone(&device.id), index);
        self.index(index, &device);
        self.slots[index as usize] = Some(device);
        Ok(Put { device: index, are_intents_new: false, is_named: false })
    }

    fn replace(&mut self, index: DeviceIndex, entry: &DeviceEntry, profile: Arc<Profile>, partition: u32) -> Put {
        let mut put = Put { device: index, are_intents_new: false, is_named: false };
        let Some(mut device) = self.slots.get_mut(index as usize).and_then(Option::take) else { return put };
        self.unindex(index, &device);
        put.are_intents_new =
            device.profile.intents != profile.intents || device.profile.unobserved != profile.unobserved;
        // Putting an entry makes an enrolled device an ordinary one.
        self.enrolled -= usize::from(std::mem::take(&mut device.is_enrolled));
        if *device.id != *entry.device {
            self.by_id.remove(&device.id);
            device.id = entry.device.as_str().into();
            self.by_id.insert(Arc::clone(&device.id), index);
            put.is_named = true;
        }
        device.partition = partition;
        device.endpoint = entry.endpoint.as_str().into();
        device.security = entry.security.clone();
        device.is_waiting = entry.is_waiting;
        device.context = entry.context.as_str().into();
        device.profile = profile;
        self.index(index, &device);
        self.slots[index as usize] = Some(device);
        put
    }

    /// Takes a device out. Its timers and its peer are the caller's to end.
    pub(crate) fn remove(&mut self, index: DeviceIndex) -> Option<Box<Device>> {
        let device = self.slots.get_mut(index as usize)?.take()?;
        self.unindex(index, &device);
        self.by_id.remove(&device.id);
        if let Some(registration) = &device.registration {
            self.by_registration.remove(&registration.id);
        }
        self.enrolled -= usize::from(device.is_enrolled);
        self.free.push(index);
        Some(device)
    }

    fn index(&mut self, index: DeviceIndex, device: &Device) {
        match &device.security {
            Security::Proven(credentials) => self.bearers.insert(index, &device.endpoint, credentials),
            Security::None => {
                self.by_endpoint.insert(Arc::clone(&device.endpoint), index);
                return;
            }
        }
        *self.credentialed.entry(Arc::clone(&device.endpoint)).or_default() += 1;
    }

    fn unindex(&mut self, index: DeviceIndex, device: &Device) {
        match &device.security {
            Security::Proven(credentials) => self.bearers.remove(&device.endpoint, credentials),
            Security::None => {
                if self.by_endpoint(&device.endpoint) == Some(index) {
                    self.by_endpoint.remove(&device.endpoint);
                }
                return;
            }
        }
        if let Entry::Occupied(mut count) = self.credentialed.entry(Arc::clone(&device.endpoint)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// Gives a device its registration; the one it replaces.
    pub(crate) fn register(
        &mut self,
        index: DeviceIndex,
        registration: Box<Registration>,
    ) -> Option<Box<Registration>> {
        let device = self.slots.get_mut(index as usize)?.as_deref_mut()?;
        self.by_registration.insert(registration.id, index);
        let replaced = device.registration.replace(registration)?;
        self.by_registration.remove(&replaced.id);
        Some(replaced)
    }

    /// Takes a device's registration away.
    pub(crate) fn unregister(&mut self, index: DeviceIndex) -> Option<Box<Registration>> {
        let registration = self.slots.get_mut(index as usize)?.as_deref_mut()?.registration.take()?;
        self.by_registration.remove(&registration.id);
        Some(registration)
    }

    pub(crate) fn registrations(&self) -> usize {
        self.by_registration.len()
    }
}

/// Whether this is what stands between the braces of a JSON object, on one line.
pub(crate) fn is_fragment(context: &str) -> bool {
    !context.contains('\n')
        && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&format!("{{{context}}}")).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on should stop
    use super::*;
    use crate::limits::READS_PER_DEVICE_MAX;

    fn directory() -> Directory {
        Directory::new(RandomState::with_seeds(1, 2, 3, 4))
    }

    fn entry(device: &str, security: Security) -> DeviceEntry {
        DeviceEntry::new(device, &format!("urn:{device}"), security)
    }

    fn psk(identity: &str) -> Security {
        Security::by(identity, Proof::Psk { identity: identity.as_bytes().to_vec(), key: Zeroizing::new(vec![7; 16]) })
    }

    #[test]
    fn two_devices_do_not_share_what_tells_them_apart() {
        let mut directory = directory();
        directory.put(&entry("a", psk("id")), false, 0).unwrap();
        directory.put(&entry("b", Security::None), false, 0).unwrap();

        let same_identity = directory.put(&entry("c", psk("id")), false, 0);
        let same_endpoint =
            directory.put(&DeviceEntry { endpoint: "urn:b".to_owned(), ..entry("d", Security::None) }, false, 0);

        assert_eq!(same_identity.unwrap_err(), EntryError::CredentialTaken { device: "a".to_owned() });
        assert_eq!(same_endpoint.unwrap_err(), EntryError::EndpointTaken { device: "b".to_owned() });
        assert_eq!(directory.len(), 2);
    }

    #[test]
    fn a_new_credential_replaces_the_old_one_everywhere() {
        let mut directory = directory();
        let index = directory.put(&entry("a", psk("old")), false, 0).unwrap().device;

        let put = directory.put(&entry("a", psk("new")), false, 0).unwrap();

        assert_eq!(put.device, index);
        assert_eq!((directory.by_identity(b"old"), directory.by_identity(b"new")), (None, Some(index)));
        directory.put(&entry("a", Security::None), false, 0).unwrap();
        assert_eq!((directory.by_identity(b"new"), directory.by_endpoint("urn:a")), (None, Some(index)));
        assert!(!directory.needs_credential("urn:a"));
    }

    #[test]
    fn a_removed_device_is_found_by_nothing_and_its_place_is_used_again() {
        let mut directory = directory();
        let index = directory.put(&entry("a", psk("id")), false, 0).unwrap().device;

        directory.remove(index);

        assert_eq!((directory.by_id("a"), directory.by_identity(b"id"), directory.len()), (None, None, 0));
        assert!(!directory.needs_credential("urn:a"));
        assert_eq!(directory.put(&entry("b", Security::None), false, 0).unwrap().device, index);
    }

    #[test]
    fn an_entry_that_cannot_be_taken_changes_nothing() {
        let mut directory = directory();
        directory.put(&entry("a", psk("id")), false, 0).unwrap();
        let wrong = [
            DeviceEntry { endpoint: String::new(), ..entry("a", psk("x")) },
            DeviceEntry { context: "not json".to_owned(), ..entry("a", psk("x")) },
            DeviceEntry { context: "\"a\":1}\n{".to_owned(), ..entry("a", psk("x")) },
            DeviceEntry { read: vec!["3/0".to_owned()], ..entry("a", psk("x")) },
            DeviceEntry { observe: vec![("/3/0/9".to_owned(), "often=1".to_owned())], ..entry("a", psk("x")) },
            DeviceEntry { read: vec!["/3/0".to_owned(); READS_PER_DEVICE_MAX + 1], ..entry("a", psk("x")) },
        ];

        for entry in wrong {
            assert!(directory.put(&entry, false, 0).is_err(), "{entry:?}");
        }
        assert!(directory.by_identity(b"id").is_some() && directory.by_identity(b"x").is_none());
    }
}
