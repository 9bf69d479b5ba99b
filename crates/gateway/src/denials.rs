//! What some devices may not do, decided by policies of whoever owns them: paths that they may not send, enclosures that
//! they may not claim. A device that is not in here may do both.

use std::collections::{BTreeMap, BTreeSet};

use lwm2m::Path;

use crate::devices::DeviceIndex;
use crate::error::EntryError;
use crate::gateway::Gateway;
use crate::limits::{DENIED_CLAIMS_MAX, DENIED_PATHS_MAX};
use crate::registrations::Claim;
use crate::timers::Now;

/// What one device may not do. With both lists empty it may do everything again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialEntry {
    /// The device.
    pub device: String,
    /// What it may not send: these paths and all below them; `/` is everything.
    pub paths: Vec<String>,
    /// Enclosures it may not say that it is in.
    pub claims: Vec<String>,
}

#[derive(Debug, Default)]
struct Denied {
    paths: Vec<Path>,
    claims: BTreeSet<Box<str>>,
}

/// What is denied, by device. Few devices have an entry.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    by_device: BTreeMap<Box<str>, Denied>,
}

impl Denials {
    /// Takes an entry in the place of what was denied to the device before.
    fn put(&mut self, entry: DenialEntry) -> Result<(), EntryError> {
        if entry.paths.len() > DENIED_PATHS_MAX {
            return Err(EntryError::TooManyPaths { paths_max: DENIED_PATHS_MAX });
        }
        if entry.claims.len() > DENIED_CLAIMS_MAX {
            return Err(EntryError::TooMany { entries_max: DENIED_CLAIMS_MAX });
        }
        let parse = |path: String| Path::parse(&path).map_err(|error| EntryError::Path { path, error });
        let paths: Vec<Path> = entry.paths.into_iter().map(parse).collect::<Result<_, _>>()?;
        let claims: BTreeSet<_> = entry.claims.into_iter().map(String::into_boxed_str).collect();
        if paths.is_empty() && claims.is_empty() {
            self.by_device.remove(&*entry.device);
        } else {
            self.by_device.insert(entry.device.into(), Denied { paths, claims });
        }
        Ok(())
    }
}

impl Gateway {
    /// Denies a device what the entry says from now on, and nothing else. It need not be known yet, and what it is
    /// denied outlives it: a device that is let in again finds it.
    pub fn put_denials(&mut self, entry: DenialEntry) -> Result<(), EntryError> {
        self.denials.put(entry)
    }

    /// The first path of a Send that the device may not send. A payload that cannot be read holds none.
    pub(crate) fn denied_path(&self, now: Now, index: DeviceIndex, format: u16, payload: &[u8]) -> Option<Path> {
        if self.denials.by_device.is_empty() {
            return None;
        }
        let device = self.directory.get(index)?;
        let denied = self.denials.by_device.get(&*device.id).filter(|denied| !denied.paths.is_empty())?;
        let now_s = now.unix_ms as f64 / 1_000.0;
        let definitions = device.definitions(&self.definitions);
        // Decoded twice, here and into the page: only devices that are denied something pay for it.
        let records = lwm2m::codec::decode(format, &Path::ROOT, payload, now_s, definitions).ok()?;
        records.into_iter().map(|record| record.path).find(|path| denied.paths.iter().any(|one| one.contains(path)))
    }

    /// Whether the device may not say that it is there.
    pub(crate) fn is_claim_denied(&self, index: DeviceIndex, claim: Option<&Claim>) -> bool {
        let Some(claim) = claim.filter(|_| !self.denials.by_device.is_empty()) else { return false };
        let device = self.directory.get(index);
        let denied = device.and_then(|device| self.denials.by_device.get(&*device.id));
        denied.is_some_and(|denied| denied.claims.contains(&*claim.enclosure))
    }
}
