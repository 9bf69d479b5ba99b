//! What devices prove themselves with, and whose each proof is.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use dtls::{AlternativeName, Digest, PeerCertificate};
use zeroize::Zeroizing;

use crate::devices::DeviceIndex;
use crate::error::EntryError;
use crate::limits::CREDENTIALS_PER_DEVICE_MAX;

/// One of the things that a device may prove itself with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Our name for it, told with each registration that it let in.
    pub id: String,
    /// What it is.
    pub proof: Proof,
}

/// What counts as proof.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// A pre-shared key.
    Psk {
        /// The name of the key, sent in the clear.
        identity: Vec<u8>,
        /// The key.
        key: Zeroizing<Vec<u8>>,
    },
    /// Any certificate whose name is the endpoint: its common name, or an alternative one.
    Named {
        /// Who trusts the authority that issued it, as [`crate::Gateway::put_authorities`] was told.
        owner: String,
    },
    /// This certificate, whatever its names are.
    Pinned {
        /// As above.
        owner: String,
        /// Digest of the whole certificate.
        fingerprint: Digest,
    },
    /// Any certificate with this subject by this issuer.
    Subject {
        /// As above.
        owner: String,
        /// Digest of the issuer's name.
        issuer: Digest,
        /// Digest of the subject's name.
        subject: Digest,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.proof {
            Proof::Psk { identity, .. } => {
                write!(formatter, "{}: Psk({})", self.id, String::from_utf8_lossy(identity))
            }
            Proof::Named { owner } => write!(formatter, "{}: Named({owner})", self.id),
            Proof::Pinned { owner, .. } => write!(formatter, "{}: Pinned({owner})", self.id),
            Proof::Subject { owner, .. } => write!(formatter, "{}: Subject({owner})", self.id),
        }
    }
}

/// How a device proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// By one of these; without any it cannot.
    Proven(Vec<Arc<Credential>>),
    /// Not at all: the endpoint name is believed.
    None,
}

impl Security {
    /// By this proof alone.
    pub fn by(id: &str, proof: Proof) -> Self {
        Self::Proven(vec![Arc::new(Credential { id: id.to_owned(), proof })])
    }

    pub(crate) fn credentials(&self) -> &[Arc<Credential>] {
        match self {
            Self::Proven(credentials) => credentials,
            Self::None => &[],
        }
    }
}

/// A device, and which of its credentials it is known by.
pub(crate) type Bearer = (DeviceIndex, Arc<Credential>);

/// Who bears which credential.
pub(crate) struct Bearers {
    by_mark: HashMap<Box<[u8]>, Bearer, RandomState>,
}

impl Bearers {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self { by_mark: HashMap::with_hasher(hasher) }
    }

    pub(crate) fn of_identity(&self, identity: &[u8]) -> Option<&Bearer> {
        self.by_mark.get(&*mark(b'i', "", identity))
    }

    /// Whose certificate this is, if `owner` trusts who issued it: the narrowest description counts first, and the common
    /// name before the other names.
    pub(crate) fn of_certificate(&self, owner: &str, certificate: &PeerCertificate) -> Option<&Bearer> {
        let others = certificate.names.iter().map(|name| match name {
            AlternativeName::Dns(name) | AlternativeName::Uri(name) => name.as_str(),
        });
        let mut names = certificate.common_name.as_deref().into_iter().chain(others);
        let pinned = self.by_mark.get(&*mark(b'p', owner, &certificate.fingerprint));
        pinned
            .or_else(|| self.by_mark.get(&*mark(b's', owner, &[certificate.issuer, certificate.subject].concat())))
            .or_else(|| names.find_map(|name| self.by_mark.get(&*mark(b'n', owner, name.as_bytes()))))
    }

    /// Nobody else may go by any of these, which must differ, too. Says who does.
    pub(crate) fn check(
        &self,
        endpoint: &str,
        credentials: &[Arc<Credential>],
        already: Option<DeviceIndex>,
    ) -> Result<Option<DeviceIndex>, EntryError> {
        if credentials.len() > CREDENTIALS_PER_DEVICE_MAX {
            return Err(EntryError::TooManyCredentials { credentials_max: CREDENTIALS_PER_DEVICE_MAX });
        }
        for (place, credential) in credentials.iter().enumerate() {
            let mark = mark_of(endpoint, &credential.proof);
            let is_twin =
                |other: &Arc<Credential>| other.id == credential.id || mark_of(endpoint, &other.proof) == mark;
            if credentials[..place].iter().any(is_twin) {
                return Err(EntryError::CredentialTwice { credential: credential.id.clone() });
            }
            if let Some((holder, _)) = self.by_mark.get(&*mark)
                && Some(*holder) != already
            {
                return Ok(Some(*holder));
            }
        }
        Ok(None)
    }

    pub(crate) fn insert(&mut self, index: DeviceIndex, endpoint: &str, credentials: &[Arc<Credential>]) {
        for credential in credentials {
            self.by_mark.insert(mark_of(endpoint, &credential.proof), (index, Arc::clone(credential)));
        }
    }

    pub(crate) fn remove(&mut self, endpoint: &str, credentials: &[Arc<Credential>]) {
        for credential in credentials {
            self.by_mark.remove(&*mark_of(endpoint, &credential.proof));
        }
    }
}

/// What tells a credential of a device apart from all others.
fn mark_of(endpoint: &str, proof: &Proof) -> Box<[u8]> {
    match proof {
        Proof::Psk { identity, .. } => mark(b'i', "", identity),
        Proof::Named { owner } => mark(b'n', owner, endpoint.as_bytes()),
        Proof::Pinned { owner, fingerprint } => mark(b'p', owner, fingerprint),
        Proof::Subject { owner, issuer, subject } => mark(b's', owner, &[*issuer, *subject].concat()),
    }
}

/// One row of bytes for all; the length keeps two of them from meaning the same.
fn mark(kind: u8, owner: &str, rest: &[u8]) -> Box<[u8]> {
    let length = (owner.len() as u64).to_be_bytes();
    [&[kind], &length[..], owner.as_bytes(), rest].concat().into()
}
