//! What a handshake asks for: keys, authorities, and whether a session may go on.

use std::sync::Arc;

use dtls::{Keys, PeerCertificate, Trust};
use zeroize::Zeroizing;

use crate::credential::Credential;
use crate::devices::Directory;
use crate::timers::Now;
use crate::trust::Authorities;

/// The directory and the authorities as the handshake sees them.
pub(crate) struct KeyRing<'a> {
    directory: &'a Directory,
    authorities: &'a Authorities,
    unix_s: i64,
    /// Whose key was asked for.
    pub(crate) asked: Option<Arc<Credential>>,
}

impl<'a> KeyRing<'a> {
    pub(crate) fn new(now: Now, directory: &'a Directory, authorities: &'a Authorities) -> Self {
        Self { directory, authorities, unix_s: (now.unix_ms / 1_000) as i64, asked: None }
    }
}

impl Keys for KeyRing<'_> {
    fn psk(&mut self, identity: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (key, (_, credential)) = self.directory.key(identity)?;
        self.asked = Some(Arc::clone(credential));
        Some(key)
    }

    fn trust(&self) -> Trust<'_> {
        Trust { anchors: &self.authorities.anchors, unix_s: self.unix_s }
    }

    fn takes_again(&self, certificate: &PeerCertificate) -> bool {
        self.trust().holds(certificate) && self.authorities.bearer(self.directory, certificate).is_some()
    }
}
