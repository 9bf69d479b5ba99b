//! The device's side.

use std::ffi::CString;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::certificate::{NAME_BYTES_MAX, OwnCertificate, setup_error};
use crate::credentials::{IDENTITY_BYTES_MAX, KEY_BYTES_MAX, Keys};
use crate::error::SetupError;
use crate::native::{Association, Configuration, Role, Setup};
use crate::server::{check_bounds, library};
use crate::session::{Session, patience_ms};
use crate::suite::Suite;
use crate::ticket::Ticket;

/// Longest connection id a client may ask for (`MBEDTLS_SSL_CID_IN_LEN_MAX` in our configuration).
pub const CLIENT_CID_BYTES_MAX: usize = 32;

/// How a client speaks DTLS.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Offered in this order, as far as they suit what the client has: a key or a certificate.
    pub suites: Vec<Suite>,
    /// `None` does not offer connection ids; `Some` is the id the server shall put into its records, mostly empty.
    pub cid: Option<Vec<u8>>,
    /// First and longest wait before a flight of the handshake is sent again (RFC 6347 §4.2.4.1: it doubles).
    pub handshake_timeout_ms: (u32, u32),
    /// Longest datagram we send, [`crate::MTU_MIN`] to [`crate::MTU_MAX`].
    pub mtu: u16,
    /// Mixed into the random generator, besides the system's entropy.
    pub seed: [u8; 32],
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            suites: Suite::ALL.to_vec(),
            cid: Some(Vec::new()),
            handshake_timeout_ms: (2_000, 32_000),
            mtu: 1280,
            seed: [0; 32],
        }
    }
}

/// One key or certificate, from which any number of sessions can be made.
pub struct Client {
    configuration: Arc<Configuration>,
    cid: Option<Vec<u8>>,
    patience_ms: u64,
}

impl Client {
    /// A client that calls itself `identity`.
    pub fn new(identity: &[u8], key: &Zeroizing<Vec<u8>>, options: &ClientOptions) -> Result<Self, SetupError> {
        check_psk(identity, key)?;
        Self::configure(Role::PskClient { identity, key }, None, options)
    }

    /// A client that shows a certificate, and wants its server to show one for `server_name`, a DNS name or an IP
    /// address; `None` takes any that [`crate::Keys::trust`] vouches for.
    pub fn with_certificate(
        own: &OwnCertificate,
        server_name: Option<&str>,
        options: &ClientOptions,
    ) -> Result<Self, SetupError> {
        own.check()?;
        let server_name = server_name_of(server_name)?;
        Self::configure(Role::CertificateClient { server_name: server_name.as_deref() }, Some(own), options)
    }

    fn configure(role: Role<'_>, own: Option<&OwnCertificate>, options: &ClientOptions) -> Result<Self, SetupError> {
        let fits = |suite: &Suite| suite.has_certificates() == own.is_some();
        let suites: Vec<Suite> = options.suites.iter().copied().filter(fits).collect();
        if !(1..=Suite::ALL.len()).contains(&suites.len()) {
            return Err(SetupError::Option { name: "suites" });
        }
        let cid_bytes = options.cid.as_ref().map_or(0, Vec::len);
        if cid_bytes > CLIENT_CID_BYTES_MAX {
            return Err(SetupError::Option { name: "cid" });
        }
        check_bounds(options.handshake_timeout_ms, options.mtu)?;
        let configuration = Configuration::new(&Setup {
            role,
            own,
            suites: &suites,
            versions: None,
            has_exchange: true,
            cid_bytes,
            handshake_timeout_ms: options.handshake_timeout_ms,
            mtu: options.mtu,
            seed: &options.seed,
            tickets: None,
        })
        .map_err(setup_error)?;
        Ok(Self {
            configuration: Arc::new(configuration),
            cid: options.cid.clone(),
            patience_ms: patience_ms(options.handshake_timeout_ms),
        })
    }

    /// Begins a handshake: the first flight is put into `out`.
    pub fn connect(&self, now_ms: u64, out: &mut Vec<Vec<u8>>) -> Result<Session, SetupError> {
        self.begin(now_ms, None, out)
    }

    /// Begins a handshake that goes on from an earlier session, if the server still knows it: half the messages and none
    /// of the arithmetic of certificates. It becomes a full one by itself if the server does not, and is one from the
    /// start if the ticket is too old, is another client's, or if `keys` would not take the server's certificate any more.
    pub fn resume(
        &self,
        now_ms: u64,
        ticket: &Ticket,
        keys: &dyn Keys,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Session, SetupError> {
        let is_good = now_ms < ticket.expires_ms
            && ticket.owner == self.configuration.owner
            && ticket.certificate.as_ref().is_none_or(|certificate| keys.takes_again(certificate));
        self.begin(now_ms, Some(ticket).filter(|_| is_good), out)
    }

    fn begin(&self, now_ms: u64, ticket: Option<&Ticket>, out: &mut Vec<Vec<u8>>) -> Result<Session, SetupError> {
        let mut association =
            Association::new(Arc::clone(&self.configuration), self.cid.as_deref()).map_err(library)?;
        if let Some(ticket) = ticket {
            association.go_on_from(&ticket.saved).map_err(library)?;
        }
        let certificate = ticket.and_then(|ticket| ticket.certificate.clone());
        let give_up_ms = now_ms.saturating_add(self.patience_ms);
        Session::of_client(association, certificate, now_ms, give_up_ms, out).map_err(library)
    }
}

/// Whether these can be an identity and its key.
pub(crate) fn check_psk(identity: &[u8], key: &[u8]) -> Result<(), SetupError> {
    if !(1..=IDENTITY_BYTES_MAX).contains(&identity.len()) {
        return Err(SetupError::IdentityLength { bytes: identity.len() });
    }
    if !(1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Err(SetupError::KeyLength { bytes: key.len() });
    }
    Ok(())
}

/// The name that a server's certificate must have, as the library takes it.
pub(crate) fn server_name_of(name: Option<&str>) -> Result<Option<CString>, SetupError> {
    let is_name = |name: &str| (1..=NAME_BYTES_MAX).contains(&name.len());
    match name.map(|name| (is_name(name), CString::new(name))) {
        None => Ok(None),
        Some((true, Ok(name))) => Ok(Some(name)),
        Some(_) => Err(SetupError::Option { name: "server_name" }),
    }
}
