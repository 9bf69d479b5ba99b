//! Certificates: ours, and the authorities whose certificates let devices in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dtls::{Digest, OwnCertificate, PeerCertificate, SetupError, TrustAnchors};

use crate::credential::{Bearer, Credential, Proof, Security};
use crate::devices::{DeviceIndex, Directory, is_fragment};
use crate::gateway::Gateway;
use crate::limits::{AUTHORITIES_MAX, AUTHORITIES_PER_NAME_MAX, REVOKED_MAX};
use crate::peers::PeerKey;
use crate::timers::Now;

/// Whom an owner of devices trusts to vouch for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Whose devices they are; see [`Proof`].
    pub owner: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// A JSON fragment that events about strangers with a certificate of this authority carry.
    pub context: String,
}

/// What is known of a certificate of an authority.
struct Known {
    /// The name and key that it is for, by their digest.
    authority: Digest,
    context: Arc<str>,
}

/// The authorities of everybody.
#[derive(Default)]
pub(crate) struct Authorities {
    pub(crate) anchors: TrustAnchors,
    /// By the digest of a certificate.
    by_certificate: HashMap<Digest, Known>,
    /// By [`Known::authority`]: who trusts it. Which of several certificates with one name and key a chain ends at is chance, and must
    /// not decide whose device it is.
    owners: HashMap<Digest, Vec<String>>,
    /// How many an owner has of one name.
    of_name: HashMap<(String, Digest), usize>,
    /// Certificates that their authorities took back, by their digest.
    revoked: HashSet<Digest>,
}

impl Authorities {
    fn put(&mut self, authority: &Authority) -> Result<(), SetupError> {
        if !is_fragment(&authority.context) {
            return Err(SetupError::Certificate { problem: "its context is not a JSON fragment" });
        }
        if self.by_certificate.len() >= AUTHORITIES_MAX {
            return Err(SetupError::Certificate { problem: "too many authorities" });
        }
        // One owner alone first: what it may not have must take nobody's place.
        let known = TrustAnchors::new().put(&authority.der)?;
        let is_owner = |owners: &Vec<String>| owners.contains(&authority.owner);
        if self.by_certificate.contains_key(&known.fingerprint)
            && self.owners.get(&known.authority).is_some_and(is_owner)
        {
            return Ok(());
        }
        let of_name = self.of_name.entry((authority.owner.clone(), known.subject)).or_default();
        if *of_name >= AUTHORITIES_PER_NAME_MAX {
            return Err(SetupError::Certificate { problem: "too many authorities of one owner have this name" });
        }
        self.anchors.put(&authority.der)?;
        *of_name += 1;
        let context = authority.context.as_str().into();
        self.by_certificate.insert(known.fingerprint, Known { authority: known.authority, context });
        let owners = self.owners.entry(known.authority).or_default();
        if !owners.contains(&authority.owner) {
            owners.push(authority.owner.clone());
        }
        Ok(())
    }

    /// Nobody's, if it was taken back.
    fn owners_of(&self, certificate: &PeerCertificate) -> &[String] {
        if self.is_revoked(certificate) {
            return &[];
        }
        self.by_certificate
            .get(&certificate.anchor)
            .and_then(|known| self.owners.get(&known.authority))
            .map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_revoked(&self, certificate: &PeerCertificate) -> bool {
        self.revoked.contains(&certificate.fingerprint)
    }

    /// Whose certificate this is, among the devices of those who trust its authority. If it fits devices of several owners
    /// nobody can say whose it is, and it is nobody's.
    pub(crate) fn bearer<'a>(&self, directory: &'a Directory, certificate: &PeerCertificate) -> Option<&'a Bearer> {
        let mut bearers = self
            .owners_of(certificate)
            .iter()
            .filter_map(|owner| directory.bearers().of_certificate(owner, certificate));
        let first = bearers.next()?;
        bearers.next().is_none().then_some(first)
    }

    /// What is told of a stranger with this certificate: nothing where it may be of several owners.
    pub(crate) fn context(&self, certificate: &PeerCertificate) -> Option<Arc<str>> {
        let known = self.by_certificate.get(&certificate.anchor)?;
        (self.owners_of(certificate).len() == 1).then(|| Arc::clone(&known.context))
    }

    /// Whether a certificate still proves what it proved once.
    fn proves(&self, credential: &Credential, endpoint: &str, certificate: &PeerCertificate) -> bool {
        let (owner, fits) = match &credential.proof {
            Proof::Psk { .. } => return false,
            Proof::Named { owner } => (owner, certificate.is_named(endpoint)),
            Proof::Pinned { owner, fingerprint } => (owner, certificate.fingerprint == *fingerprint),
            Proof::Subject { owner, issuer, subject } => {
                (owner, certificate.issuer == *issuer && certificate.subject == *subject)
            }
        };
        fits && self.owners_of(certificate).contains(owner)
    }
}

/// What an event tells of a certificate: which it is, and when it ends.
pub(crate) fn write_certificate(body: &mut Vec<u8>, certificate: &PeerCertificate) {
    let (fingerprint, serial) = (hex(&certificate.fingerprint), hex(&certificate.serial));
    let (begins, ends) = (certificate.not_before_s, certificate.not_after_s);
    let fields =
        format!(r#"{{"fingerprint":"{fingerprint}","serial":"{serial}","not_before":{begins},"not_after":{ends}}}"#);
    body.extend_from_slice(fields.as_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Gateway {
    /// Shows this certificate to devices from now on; `None` takes no certificates any more. Sessions go on.
    pub fn set_certificate(&mut self, own: Option<&OwnCertificate>) -> Result<(), SetupError> {
        self.server.set_certificate(own)?;
        self.tls.set_certificate(own)
    }

    /// Trusts these authorities and no others. Sessions of devices whose authority is gone end. Answers with those that
    /// cannot be taken, by their place.
    pub fn put_authorities(&mut self, now: Now, authorities: &[Authority]) -> Vec<(usize, SetupError)> {
        let revoked = std::mem::take(&mut self.authorities.revoked);
        self.authorities = Authorities { revoked, ..Authorities::default() };
        let put = |(place, authority)| self.authorities.put(authority).err().map(|error| (place, error));
        let refused = authorities.iter().enumerate().filter_map(put).collect();
        self.end_all_unless_entitled(now);
        refused
    }

    /// Certificates that let nobody in, whoever issued them, by the digest of the whole; no others are taken back. Their
    /// sessions end. Of too many the first count.
    pub fn put_revoked(&mut self, now: Now, certificates: impl IntoIterator<Item = Digest>) {
        self.authorities.revoked = certificates.into_iter().take(REVOKED_MAX).collect();
        self.end_all_unless_entitled(now);
    }

    fn end_all_unless_entitled(&mut self, now: Now) {
        for index in self.directory.indices() {
            self.end_unless_entitled(now, index);
        }
    }

    /// Ends the session of a device that could not begin it any more.
    pub(crate) fn end_unless_entitled(&mut self, now: Now, index: DeviceIndex) {
        if let Some(key) = self.directory.get(index).and_then(|device| device.peer)
            && !self.is_entitled(index, key)
        {
            self.end_session(now, key);
        }
    }

    fn is_entitled(&self, index: DeviceIndex, key: PeerKey) -> bool {
        let (Some(device), Some(peer)) = (self.directory.get(index), self.peers.get(key)) else { return false };
        let Some(used) = &peer.credential else { return device.security == Security::None && !peer.is_secure() };
        device.security.credentials().contains(used)
            && peer.certificate().is_none_or(|certificate| self.authorities.proves(used, &device.endpoint, certificate))
    }
}
