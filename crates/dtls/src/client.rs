//! The device's side.

use std::ffi::CString;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::certificate::{NAME_BYTES_MAX, OwnCertificate, setup_error};
use crate::credentials::{IDENTITY_BYTES_MAX, KEY_BYTES_MAX};
use crate::error::SetupError;
use crate::native::{Association, Configuration, Role, Setup};
use crate::server::{check_bounds, library};
use crate::session::{Session, patience_ms};
use crate::suite::Suite;

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
        let association = Association::new(Arc::clone(&self.configuration), self.cid.as_deref()).map_err(library)?;
        Session::of_client(association, now_ms, now_ms.saturating_add(self.patience_ms), out).map_err(library)
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
