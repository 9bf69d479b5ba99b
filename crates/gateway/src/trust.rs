//! Certificates: ours, and the authorities whose certificates let devices in.

use std::collections::HashMap;
use std::sync::Arc;

use dtls::{AlternativeName, Digest, OwnCertificate, PeerCertificate, SetupError, TrustAnchors};

use crate::command::Security;
use crate::devices::{DeviceIndex, Directory};
use crate::gateway::Gateway;
use crate::limits::AUTHORITIES_MAX;
use crate::peers::Peer;
use crate::timers::Now;

/// The authorities of everybody.
#[derive(Default)]
pub(crate) struct Authorities {
    pub(crate) anchors: TrustAnchors,
    /// Who trusts which: two tenants may share one.
    owners: HashMap<Digest, Vec<Arc<str>>>,
}

impl Authorities {
    fn put(&mut self, owner: &str, der: &[u8]) -> Result<(), SetupError> {
        if self.anchors.len() >= AUTHORITIES_MAX {
            return Err(SetupError::Certificate { problem: "too many authorities" });
        }
        let fingerprint = self.anchors.put(der)?;
        let owners = self.owners.entry(fingerprint).or_default();
        if !owners.iter().any(|known| **known == *owner) {
            owners.push(owner.into());
        }
        Ok(())
    }

    /// The device whose certificate this is: the anchor it ends at is trusted by the device's tenant, and the device's
    /// endpoint is a name of it. The common name counts before the others.
    pub(crate) fn holder(&self, directory: &Directory, certificate: &PeerCertificate) -> Option<DeviceIndex> {
        let others = certificate.names.iter().map(|name| match name {
            AlternativeName::Dns(name) | AlternativeName::Uri(name) => name.as_str(),
        });
        let mut names = certificate.common_name.as_deref().into_iter().chain(others);
        let owners = self.owners.get(&certificate.anchor)?;
        names.find_map(|name| owners.iter().find_map(|owner| directory.by_certificate(owner, name)))
    }

    fn vouches(&self, owner: &str, certificate: &PeerCertificate) -> bool {
        self.owners.get(&certificate.anchor).is_some_and(|owners| owners.iter().any(|known| **known == *owner))
    }
}

impl Gateway {
    /// Shows this certificate to devices from now on; `None` takes no certificates any more. Sessions go on.
    pub fn set_certificate(&mut self, own: Option<&OwnCertificate>) -> Result<(), SetupError> {
        self.server.set_certificate(own)?;
        self.tls.set_certificate(own)
    }

    /// Trusts these authorities and no others: the DER of each, and for whose devices ([`Security::X509`]) it vouches.
    /// Sessions of devices whose authority is gone end. Answers with those that cannot be taken, by their place.
    pub fn put_authorities(&mut self, now: Now, authorities: &[(String, Vec<u8>)]) -> Vec<(usize, SetupError)> {
        self.authorities = Authorities::default();
        let put = |(place, (owner, der)): (usize, &(String, Vec<u8>))| {
            self.authorities.put(owner, der).err().map(|error| (place, error))
        };
        let refused = authorities.iter().enumerate().filter_map(put).collect();
        for index in self.directory.indices() {
            self.end_unless_trusted(now, index);
        }
        refused
    }

    fn end_unless_trusted(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get(index) else { return };
        let (Security::X509 { authority }, Some(key)) = (&device.security, device.peer) else { return };
        let certificate = self.peers.get(key).and_then(Peer::certificate);
        if !certificate.is_some_and(|certificate| self.authorities.vouches(authority, certificate)) {
            self.end_session(now, key);
        }
    }
}
