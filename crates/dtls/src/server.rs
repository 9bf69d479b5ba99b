//! The server's side: one per shard, shared by all its sessions.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::certificate::{OwnCertificate, setup_error};
use crate::connection_id::CONNECTION_ID_BYTES;
use crate::cookie::{Cookies, Hello};
use crate::error::SetupError;
use crate::hello::HelloRefused;
use crate::native::{Association, Configuration, Role, Setup};
use crate::session::{Session, patience_ms};
use crate::suite::Suite;
use crate::ticket::Tickets;

/// The shortest path MTU a handshake can be cut to; RFC 7252 §4.6 knows links of 127 bytes, below IP.
pub const MTU_MIN: u16 = 128;

/// The longest datagram we make; more than any link between a device and its server carries in one piece.
pub const MTU_MAX: u16 = 2048;

/// How a server speaks DTLS.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// First and longest wait before a flight of the handshake is sent again (RFC 6347 §4.2.4.1: it doubles).
    pub handshake_timeout_ms: (u32, u32),
    /// Longest datagram we send, [`MTU_MIN`] to [`MTU_MAX`].
    pub mtu: u16,
    /// Mixed into the random generator, besides the system's entropy.
    pub seed: [u8; 32],
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { handshake_timeout_ms: (2_000, 32_000), mtu: 1280, seed: [0; 32] }
    }
}

/// Answers ClientHellos and makes sessions.
pub struct Server {
    configuration: Arc<Configuration>,
    options: ServerOptions,
    cookies: Cookies,
    tickets: Arc<Tickets>,
    patience_ms: u64,
}

impl Server {
    /// A server with secrets of its own for cookies and tickets, and without a certificate: it takes pre-shared keys only.
    pub fn new(options: &ServerOptions) -> Result<Self, SetupError> {
        check_bounds(options.handshake_timeout_ms, options.mtu)?;
        let draw = || {
            let mut secret = Zeroizing::new([0; 32]);
            configure(options, None, None)?.random(secret.as_mut_slice()).map_err(library)?;
            Ok(secret)
        };
        let tickets = Arc::new(Tickets::new(draw()?).map_err(library)?);
        let configuration = configure(options, None, Some(Arc::clone(&tickets)))?;
        Ok(Self {
            configuration: Arc::new(configuration),
            options: options.clone(),
            cookies: Cookies::new(draw()?),
            tickets,
            patience_ms: patience_ms(options.handshake_timeout_ms),
        })
    }

    /// Shows this certificate from now on, and takes devices with certificates; `None` ends that. Sessions that began
    /// before go on with what they began with.
    pub fn set_certificate(&mut self, own: Option<&OwnCertificate>) -> Result<(), SetupError> {
        self.configuration = Arc::new(configure(&self.options, own, Some(Arc::clone(&self.tickets)))?);
        Ok(())
    }

    pub(crate) fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    /// Judges a ClientHello without remembering anything of its peer.
    ///
    /// `peer` is any stable form of the peer's address; a cookie is only good from there. `out` is cleared, and holds
    /// one datagram after [`Hello::SendCookie`].
    ///
    /// On the address of a living session, ask [`Session::began_with`] first: a copy of the session's own hello belongs
    /// to the session (a client repeats it, and whoever recorded it can send it too). Any other hello comes here, and
    /// only [`Hello::Verified`] lets a new session take the place of the old.
    pub fn handle_hello(&self, now_ms: u64, peer: &[u8], datagram: &[u8], out: &mut Vec<u8>) -> Hello {
        out.clear();
        // The authentication code can only fail for want of memory: better silent than open.
        self.cookies.judge(now_ms, peer, datagram, out).unwrap_or(Hello::Drop(HelloRefused::NoMemory))
    }

    /// A session for a peer whose hello was verified; `cid` is the connection id it is asked to use.
    pub fn accept(&self, now_ms: u64, cid: [u8; CONNECTION_ID_BYTES]) -> Result<Session, SetupError> {
        let association = Association::new(Arc::clone(&self.configuration), Some(&cid)).map_err(library)?;
        Ok(Session::of_server(association, now_ms.saturating_add(self.patience_ms)))
    }
}

fn configure(
    options: &ServerOptions,
    own: Option<&OwnCertificate>,
    tickets: Option<Arc<Tickets>>,
) -> Result<Configuration, SetupError> {
    own.map_or(Ok(()), OwnCertificate::check)?;
    Configuration::new(&Setup {
        role: Role::Server,
        own,
        suites: &Suite::ALL,
        versions: None,
        has_exchange: true,
        cid_bytes: CONNECTION_ID_BYTES,
        handshake_timeout_ms: options.handshake_timeout_ms,
        mtu: options.mtu,
        seed: &options.seed,
        tickets,
    })
    .map_err(setup_error)
}

pub(crate) fn check_bounds((first_ms, last_ms): (u32, u32), mtu: u16) -> Result<(), SetupError> {
    if first_ms == 0 || first_ms > last_ms {
        return Err(SetupError::Option { name: "handshake_timeout_ms" });
    }
    if !(MTU_MIN..=MTU_MAX).contains(&mtu) {
        return Err(SetupError::Option { name: "mtu" });
    }
    Ok(())
}

pub(crate) fn library(code: i32) -> SetupError {
    SetupError::Library { code }
}
