//! DTLS 1.2 with connection ids, and TLS 1.2 and 1.3, with pre-shared keys or certificates, as machines without a world.
//!
//! Datagrams and the time go in; datagrams, plaintext and the next deadline come out. The cryptography and the record
//! layer are Mbed TLS; nothing of it shows outside this crate. Both ask the same questions ([`Keys`]) and refuse for the
//! same reasons ([`SessionError`]).
//!
//! A server answers a first ClientHello with [`Server::handle_hello`], which keeps nothing per peer, and makes a
//! [`Session`] with [`Server::accept`] only once the peer has returned our cookie. The datagram that carried the cookie
//! is then fed to the new session like every later one. A device begins with [`Client::connect`].
//!
//! Over a stream of bytes a [`Tls`] stands in the place of a session: [`TlsServer::accept`], [`TlsClient::connect`].
//!
//! An established session outlives its process by [`Session::save`] and [`Server::restore`].
//!
//! Times are milliseconds on the caller's own monotonic clock; where it begins does not matter.

mod buffers;
mod certificate;
mod checkpoint;
mod client;
mod connection_id;
mod cookie;
mod credentials;
mod error;
mod hello;
#[allow(unsafe_code, reason = "the border to C; nothing else in this crate is unsafe")]
mod native;
#[allow(unsafe_code, reason = "the same border, where sessions are saved")]
mod native_checkpoint;
#[allow(unsafe_code, reason = "the same border, for session tickets")]
mod native_tickets;
#[allow(unsafe_code, reason = "the same border, for streams")]
mod native_tls;
mod record;
mod server;
mod session;
mod suite;
mod ticket;
mod tls;
mod tls_ends;

pub use certificate::{
    ANCHORS_PER_SUBJECT_MAX, AlternativeName, CHAIN_BYTES_MAX, CertificateRefused, Digest, NAME_BYTES_MAX,
    OwnCertificate, PeerCertificate, TrustAnchor, TrustAnchors,
};
pub use checkpoint::{NotRestored, NotSaved, RECORDS_SKIPPED, SavedSession};
pub use client::{CLIENT_CID_BYTES_MAX, Client, ClientOptions};
pub use connection_id::{CONNECTION_ID_BYTES, ConnectionId};
pub use cookie::Hello;
pub use credentials::{IDENTITY_BYTES_MAX, KEY_BYTES_MAX, Keys, NoKeys, Trust};
pub use error::{SessionError, SetupError};
pub use hello::{HelloRefused, is_client_hello, offers_psk};
pub use server::{MTU_MAX, MTU_MIN, Server, ServerOptions};
pub use session::{Progress, Session};
pub use suite::Suite;
pub use ticket::{TICKET_BYTES_MAX, TICKET_LIFE_MS, Ticket};
pub use tls::Tls;
pub use tls_ends::{TlsClient, TlsClientOptions, TlsServer, TlsServerOptions, TlsVersion};
