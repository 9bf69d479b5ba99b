//! Both ends of TLS over a stream: the server of a shard, and a device.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::certificate::{OwnCertificate, setup_error};
use crate::client::{check_psk, server_name_of};
use crate::error::SetupError;
use crate::native::{Association, Configuration, Role, Setup};
use crate::server::library;
use crate::suite::Suite;
use crate::tls::Tls;

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// The number in the handshake.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    pub(crate) fn of_code(code: i32) -> Option<Self> {
        [Self::Tls12, Self::Tls13].into_iter().find(|version| version.code() == code)
    }
}

/// How a server speaks TLS: both versions, the newer where the client knows it.
#[derive(Debug, Clone)]
pub struct TlsServerOptions {
    /// How long a handshake may take in all.
    pub handshake_wait_ms: u64,
    /// Mixed into the random generator, besides the system's entropy.
    pub seed: [u8; 32],
}

impl Default for TlsServerOptions {
    fn default() -> Self {
        Self { handshake_wait_ms: 60_000, seed: [0; 32] }
    }
}

/// Takes connections.
pub struct TlsServer {
    configuration: Arc<Configuration>,
    options: TlsServerOptions,
}

impl TlsServer {
    /// A server without a certificate: it takes pre-shared keys only.
    pub fn new(options: &TlsServerOptions) -> Result<Self, SetupError> {
        Ok(Self { configuration: Arc::new(configure_server(options, None)?), options: options.clone() })
    }

    /// Shows this certificate from now on, and takes devices with certificates; `None` ends that. Connections that began
    /// before go on with what they began with.
    pub fn set_certificate(&mut self, own: Option<&OwnCertificate>) -> Result<(), SetupError> {
        self.configuration = Arc::new(configure_server(&self.options, own)?);
        Ok(())
    }

    /// Somebody connected.
    pub fn accept(&self, now_ms: u64) -> Result<Tls, SetupError> {
        let association = Association::new(Arc::clone(&self.configuration), None).map_err(library)?;
        Ok(Tls::new(association, now_ms.saturating_add(self.options.handshake_wait_ms)))
    }
}

fn configure_server(options: &TlsServerOptions, own: Option<&OwnCertificate>) -> Result<Configuration, SetupError> {
    own.map_or(Ok(()), OwnCertificate::check)?;
    let suites: Vec<Suite> = Suite::TLS13.into_iter().chain(Suite::ALL).collect();
    configure(Role::Server, own, &suites, (TlsVersion::Tls12, TlsVersion::Tls13), true, &options.seed)
}

/// How a client speaks TLS.
#[derive(Debug, Clone)]
pub struct TlsClientOptions {
    /// The oldest and the newest version it speaks.
    pub versions: (TlsVersion, TlsVersion),
    /// Joins a key exchange to a pre-shared key in TLS 1.3 (psk_dhe_ke rather than psk_ke, RFC 8446 §4.2.9): without it,
    /// who learns the key can read what was recorded before.
    pub has_exchange: bool,
    /// Offered in this order, as far as they suit the versions and what the client has: a key or a certificate.
    pub suites: Vec<Suite>,
    /// How long a handshake may take in all.
    pub handshake_wait_ms: u64,
    /// Mixed into the random generator, besides the system's entropy.
    pub seed: [u8; 32],
}

impl Default for TlsClientOptions {
    fn default() -> Self {
        Self {
            versions: (TlsVersion::Tls12, TlsVersion::Tls13),
            has_exchange: true,
            suites: Suite::TLS13.into_iter().chain(Suite::ALL).collect(),
            handshake_wait_ms: 60_000,
            seed: [0; 32],
        }
    }
}

/// One key or certificate, from which any number of connections can be made.
pub struct TlsClient {
    configuration: Arc<Configuration>,
    handshake_wait_ms: u64,
}

impl TlsClient {
    /// A client that calls itself `identity`.
    pub fn new(identity: &[u8], key: &Zeroizing<Vec<u8>>, options: &TlsClientOptions) -> Result<Self, SetupError> {
        check_psk(identity, key)?;
        Self::configure(Role::PskClient { identity, key }, None, options)
    }

    /// A client that shows a certificate, and wants its server to show one for `server_name`, a DNS name or an IP
    /// address; `None` takes any that [`crate::Keys::trust`] vouches for.
    pub fn with_certificate(
        own: &OwnCertificate,
        server_name: Option<&str>,
        options: &TlsClientOptions,
    ) -> Result<Self, SetupError> {
        own.check()?;
        let server_name = server_name_of(server_name)?;
        Self::configure(Role::CertificateClient { server_name: server_name.as_deref() }, Some(own), options)
    }

    fn configure(role: Role<'_>, own: Option<&OwnCertificate>, options: &TlsClientOptions) -> Result<Self, SetupError> {
        let fits = |suite: &Suite| Suite::TLS13.contains(suite) || suite.has_certificates() == own.is_some();
        let suites: Vec<Suite> = options.suites.iter().copied().filter(fits).collect();
        if suites.is_empty() || suites.len() > Suite::TLS13.len() + Suite::ALL.len() {
            return Err(SetupError::Option { name: "suites" });
        }
        if options.versions.0 > options.versions.1 {
            return Err(SetupError::Option { name: "versions" });
        }
        let has_exchange = options.has_exchange || own.is_some();
        let configuration = configure(role, own, &suites, options.versions, has_exchange, &options.seed)?;
        Ok(Self { configuration: Arc::new(configuration), handshake_wait_ms: options.handshake_wait_ms })
    }

    /// The connection was made: the first flight is appended to `out`.
    pub fn connect(&self, now_ms: u64, out: &mut Vec<u8>) -> Result<Tls, SetupError> {
        let association = Association::new(Arc::clone(&self.configuration), None).map_err(library)?;
        let mut tls = Tls::new(association, now_ms.saturating_add(self.handshake_wait_ms));
        tls.begin(out).map_err(library)?;
        Ok(tls)
    }
}

fn configure(
    role: Role<'_>,
    own: Option<&OwnCertificate>,
    suites: &[Suite],
    versions: (TlsVersion, TlsVersion),
    has_exchange: bool,
    seed: &[u8; 32],
) -> Result<Configuration, SetupError> {
    let setup = Setup {
        role,
        own,
        suites,
        versions: Some(versions),
        has_exchange,
        // What follows is of DTLS alone; the bounds of its timer must hold all the same.
        cid_bytes: 0,
        handshake_timeout_ms: (1, 1),
        mtu: 0,
        tickets: None,
        seed,
    };
    Configuration::new(&setup).map_err(setup_error)
}
