//! What we want of a device. Many want the same and share it: every message of every device asks it how long the device
//! listens, and one that is shared is in the processor's cache by then.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashTable;
use lwm2m::Path;

use crate::command::DeviceEntry;
use crate::error::EntryError;
use crate::intent::{Intent, Pattern};
use crate::limits::{
    ACK_TIMEOUT_MAX, OBSERVATIONS_PER_DEVICE_MAX, PROFILES_MAX, RANDOM_FACTOR_MAX, READS_PER_DEVICE_MAX, RETRANSMIT_MAX,
};

/// What we want of a device.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Profile {
    pub(crate) intents: Vec<Intent>,
    pub(crate) unobserved: Vec<Path>,
    pub(crate) reads: Vec<Pattern>,
    pub(crate) awake_window: Duration,
    pub(crate) grace: Option<Duration>,
    pub(crate) ack_timeout: Duration,
    pub(crate) random_factor: f32,
    pub(crate) max_retransmit: u8,
}

impl Profile {
    fn parse(entry: &DeviceEntry) -> Result<Self, EntryError> {
        if entry.observe.len().max(entry.unobserved.len()) > OBSERVATIONS_PER_DEVICE_MAX {
            return Err(EntryError::TooManyPaths { paths_max: OBSERVATIONS_PER_DEVICE_MAX });
        }
        if entry.read.len() > READS_PER_DEVICE_MAX {
            return Err(EntryError::TooManyPaths { paths_max: READS_PER_DEVICE_MAX });
        }
        let path = |path: &String| Path::parse(path).map_err(|error| EntryError::Path { path: path.clone(), error });
        let read = |path: &String| Pattern::parse(path).map_err(|error| EntryError::Path { path: path.clone(), error });
        Ok(Self {
            intents: Intent::parse_all(entry)?,
            unobserved: entry.unobserved.iter().map(path).collect::<Result<_, _>>()?,
            reads: entry.read.iter().map(read).collect::<Result<_, _>>()?,
            awake_window: entry.awake_window,
            grace: entry.grace,
            ack_timeout: entry.ack_timeout.min(ACK_TIMEOUT_MAX),
            random_factor: if entry.random_factor.is_nan() {
                1.0
            } else {
                entry.random_factor.clamp(1.0, RANDOM_FACTOR_MAX)
            },
            max_retransmit: entry.max_retransmit.min(RETRANSMIT_MAX),
        })
    }
}

impl Hash for Profile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { intents, unobserved, reads, awake_window, grace, ack_timeout, random_factor, max_retransmit } = self;
        (intents, unobserved, reads, awake_window, grace).hash(state);
        (ack_timeout, random_factor.to_bits(), max_retransmit).hash(state);
    }
}

/// Room is looked for once for so many that found none: that reads all there are.
const LOOKED_FOR_EVERY: usize = 256;

/// Those that devices share.
pub(crate) struct Profiles {
    all: HashTable<Arc<Profile>>,
    /// That found no room since it was last looked for.
    unshared: usize,
    hasher: RandomState,
}

impl Profiles {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self { all: HashTable::new(), unshared: 0, hasher }
    }

    /// What an entry wants.
    pub(crate) fn parse(&mut self, entry: &DeviceEntry) -> Result<Arc<Profile>, EntryError> {
        let Self { all, unshared, hasher } = self;
        let profile = Profile::parse(entry)?;
        let hash = hasher.hash_one(&profile);
        if let Some(known) = all.find(hash, |known| **known == profile) {
            return Ok(Arc::clone(known));
        }
        let profile = Arc::new(profile);
        if all.len() >= PROFILES_MAX && unshared.is_multiple_of(LOOKED_FOR_EVERY) {
            // What nobody wants any more makes room.
            all.retain(|known| Arc::strong_count(known) > 1);
        }
        if all.len() < PROFILES_MAX {
            *unshared = 0;
            all.insert_unique(hash, Arc::clone(&profile), |known| hasher.hash_one(&**known));
        } else {
            // All are wanted: this one is simply not shared.
            *unshared += 1;
        }
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may stop where it fails
    use super::*;
    use crate::credential::Security;

    fn entry(observed: usize) -> DeviceEntry {
        let observe = vec![(format!("/3303/{observed}/5700"), "pmin=10".to_owned())];
        DeviceEntry { observe, ..DeviceEntry::new("dev-1", "probe", Security::None) }
    }

    #[test]
    fn those_that_want_the_same_share_it() {
        let mut profiles = Profiles::new(RandomState::with_seeds(1, 2, 3, 4));

        let [one, same] = [0, 0].map(|number| profiles.parse(&entry(number)).unwrap());
        let other = profiles.parse(&entry(1)).unwrap();
        let slower = profiles.parse(&DeviceEntry { random_factor: 2.5, ..entry(0) }).unwrap();

        assert!(Arc::ptr_eq(&one, &same));
        assert_ne!(one, other);
        assert_ne!(one, slower);
        assert_eq!(profiles.all.len(), 3);
    }

    #[test]
    fn what_nobody_wants_any_more_is_forgotten_before_it_is_too_many() {
        let mut profiles = Profiles::new(RandomState::with_seeds(1, 2, 3, 4));
        let kept = profiles.parse(&entry(0)).unwrap();
        let numbers = 1..=PROFILES_MAX;
        numbers.clone().for_each(|number| drop(profiles.parse(&entry(number)).unwrap()));
        assert!(profiles.all.len() < PROFILES_MAX, "the last one found all but the first unwanted");
        assert!(Arc::ptr_eq(&kept, &profiles.parse(&entry(0)).unwrap()));

        let all: Vec<_> = numbers.map(|number| profiles.parse(&entry(number)).unwrap()).collect();
        let last = profiles.parse(&entry(PROFILES_MAX)).unwrap();

        assert_eq!(profiles.all.len(), PROFILES_MAX);
        assert!(!Arc::ptr_eq(&all[PROFILES_MAX - 1], &last), "one too many is not shared");
    }
}
