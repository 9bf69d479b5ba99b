//! Declarations of `csrc/shoal_dtls.h`, which says what everything means.
//!
//! Only `crates/dtls` uses them. The numbers are Mbed TLS's own error codes.

use std::ffi::{c_char, c_int, c_void};

/// Room the shim has for a pre-shared key.
pub const KEY_BYTES_MAX: usize = 64;
/// Cipher suites one configuration can hold.
pub const SUITES_MAX: usize = 8;
/// Length of the seed of a random generator.
pub const SEED_BYTES: usize = 32;
/// Length of a message authentication code.
pub const MAC_BYTES: usize = 32;

/// Length of a SHA-256 digest.
pub const DIGEST_BYTES: usize = 32;
/// Names of a certificate that are looked at.
pub const NAMES_MAX: usize = 8;
/// Tag of a DNS name.
pub const NAME_DNS: c_int = 2;
/// Tag of a URI.
pub const NAME_URI: c_int = 6;

/// Nobody we trust issued the certificate.
pub const REFUSED_UNKNOWN_AUTHORITY: c_int = 1;
/// A signature in the chain does not fit.
pub const REFUSED_SIGNATURE: c_int = 2;
/// A certificate of the chain was valid once.
pub const REFUSED_EXPIRED: c_int = 3;
/// A certificate of the chain is not valid yet.
pub const REFUSED_NOT_YET_VALID: c_int = 4;
/// Not for this end of a connection.
pub const REFUSED_USAGE: c_int = 5;
/// A curve, key or hash we do not take.
pub const REFUSED_ALGORITHM: c_int = 6;
/// Too many issuers.
pub const REFUSED_CHAIN_TOO_LONG: c_int = 7;
/// The certificate is for another name.
pub const REFUSED_NAME: c_int = 8;

/// `SHOAL_BAD_PROOF`: the client does not hold the key of its certificate.
pub const BAD_PROOF: c_int = -0x4E00;
/// `MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE`: the client sent none.
pub const NO_CLIENT_CERTIFICATE: c_int = -0x7480;
/// `MBEDTLS_ERR_SSL_BAD_CERTIFICATE`: refused after the chain was judged.
pub const BAD_CERTIFICATE: c_int = -0x7A00;
/// `MBEDTLS_ERR_X509_CERT_VERIFY_FAILED`: refused when the chain was judged.
pub const VERIFY_FAILED: c_int = -0x2700;
/// `MBEDTLS_ERR_X509_FATAL_ERROR`: the chain was too long to be judged, or memory too short.
pub const X509_FATAL: c_int = -0x3000;
/// Errors of the module that reads certificates, above [`X509_FATAL`]; a cause may be added to each.
pub const X509_ERRORS: std::ops::Range<c_int> = -0x2FFF..-0x2000;
/// `MBEDTLS_ERR_PK_UNKNOWN_PK_ALG` and `MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE`, each with a cause added.
pub const PK_UNKNOWN: [std::ops::Range<c_int>; 2] = [-0x3CFF..-0x3C7F, -0x3A7F..-0x39FF];
/// Errors of the arithmetic on curves.
pub const ECP_ERRORS: std::ops::Range<c_int> = -0x4FFF..-0x4B00;
/// Errors of the module that reads keys.
pub const PK_ERRORS: std::ops::Range<c_int> = -0x3FFF..-0x3880;

/// `MBEDTLS_ERR_SSL_WANT_READ`: nothing more in this record.
pub const WANT_READ: c_int = -0x6900;
/// `MBEDTLS_ERR_SSL_TIMEOUT`: the peer did not answer the last repetition.
pub const TIMEOUT: c_int = -0x6800;
/// `MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY`: no key was found.
pub const UNKNOWN_IDENTITY: c_int = -0x6C80;
/// `MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE`: no cipher suite in common.
pub const HANDSHAKE_FAILURE: c_int = -0x6E00;
/// `MBEDTLS_ERR_SSL_INVALID_MAC`: a record of the handshake did not decrypt.
pub const INVALID_MAC: c_int = -0x7180;
/// `MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE`: the peer gave up.
pub const FATAL_ALERT: c_int = -0x7780;
/// `MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY`: the peer said goodbye.
pub const CLOSE_NOTIFY: c_int = -0x7880;

/// What all sessions of a server, or of one client identity, share.
#[repr(C)]
pub struct Config {
    _opaque: [u8; 0],
}

/// A DTLS association with one peer.
#[repr(C)]
pub struct Session {
    _opaque: [u8; 0],
}

/// The anchors that are being gathered.
#[repr(C)]
pub struct Anchors {
    _opaque: [u8; 0],
}

/// `shoal_bytes`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    pub bytes: *const u8,
    pub length: usize,
}

/// `shoal_name`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Name {
    pub tag: c_int,
    pub value: Bytes,
}

/// `shoal_certificate`
#[repr(C)]
pub struct Certificate {
    pub der: Bytes,
    pub subject: Bytes,
    pub issuer: Bytes,
    pub serial: Bytes,
    pub public_key: Bytes,
    pub common_name: Bytes,
    pub names: [Name; NAMES_MAX],
    pub names_count: usize,
    pub not_before_s: i64,
    pub not_after_s: i64,
    pub is_authority: c_int,
    pub is_curve_ours: c_int,
}

/// `shoal_find_anchors_fn`
pub type FindAnchorsFn =
    unsafe extern "C" fn(context: *mut c_void, issuer: *const u8, length: usize, anchors: *mut Anchors);
/// `shoal_judged_fn`
pub type JudgedFn =
    unsafe extern "C" fn(context: *mut c_void, peer: *const Certificate, anchor: *const Bytes, refusal: c_int);
/// `shoal_read_fn`
pub type ReadFn = unsafe extern "C" fn(context: *mut c_void, certificate: *const Certificate);
/// `shoal_send_fn`
pub type SendFn = unsafe extern "C" fn(context: *mut c_void, datagram: *const u8, length: usize);
/// `shoal_key_fn`
pub type KeyFn = unsafe extern "C" fn(
    context: *mut c_void,
    identity: *const u8,
    length: usize,
    key: *mut [u8; KEY_BYTES_MAX],
) -> c_int;

/// `shoal_options`
#[repr(C)]
pub struct Options {
    pub is_server: c_int,
    pub cid_bytes: usize,
    pub timeout_first_ms: u32,
    pub timeout_last_ms: u32,
    pub mtu: u16,
    pub suites: *const u16,
    pub suites_count: usize,
    pub seed: *const [u8; SEED_BYTES],
    pub identity: *const u8,
    pub identity_bytes: usize,
    pub key: *const u8,
    pub key_bytes: usize,
    pub own: *const Bytes,
    pub own_count: usize,
    pub own_key: *const u8,
    pub own_key_bytes: usize,
    pub server_name: *const c_char,
    pub send: SendFn,
    pub find_key: Option<KeyFn>,
    pub find_anchors: FindAnchorsFn,
    pub judged: JudgedFn,
}

/// `shoal_call`
#[repr(C)]
pub struct Call {
    pub now_ms: u64,
    pub now_unix_s: i64,
    pub in_buffer: *mut u8,
    pub out_buffer: *mut u8,
    pub context: *mut c_void,
}

unsafe extern "C" {
    pub fn shoal_in_buffer_bytes() -> usize;
    pub fn shoal_out_buffer_bytes() -> usize;
    pub fn shoal_plaintext_bytes_max() -> usize;
    pub fn shoal_mac(
        secret: *const u8,
        secret_bytes: usize,
        input: *const u8,
        input_bytes: usize,
        mac: *mut [u8; MAC_BYTES],
    ) -> c_int;

    pub fn shoal_digest(input: *const u8, input_bytes: usize, digest: *mut [u8; DIGEST_BYTES]) -> c_int;
    pub fn shoal_certificate_read(der: *const u8, length: usize, read: ReadFn, context: *mut c_void) -> c_int;
    pub fn shoal_anchors_add(anchors: *mut Anchors, der: *const u8, length: usize) -> c_int;

    pub fn shoal_config_new(options: *const Options, config: *mut *mut Config) -> c_int;
    pub fn shoal_config_free(config: *mut Config);
    pub fn shoal_config_random(config: *mut Config, output: *mut u8, length: usize) -> c_int;

    pub fn shoal_session_new(config: *mut Config, cid: *const u8, session: *mut *mut Session) -> c_int;
    pub fn shoal_session_free(session: *mut Session);
    pub fn shoal_session_continue(session: *mut Session, call: *const Call) -> c_int;
    pub fn shoal_session_read(
        session: *mut Session,
        call: *const Call,
        record: *const u8,
        record_bytes: usize,
        plaintext: *mut u8,
        plaintext_bytes: usize,
    ) -> c_int;
    pub fn shoal_session_write(
        session: *mut Session,
        call: *const Call,
        plaintext: *const u8,
        plaintext_bytes: usize,
    ) -> c_int;
    pub fn shoal_session_close(session: *mut Session, call: *const Call) -> c_int;
    pub fn shoal_session_park(session: *mut Session) -> c_int;

    pub fn shoal_session_is_established(session: *const Session) -> c_int;
    pub fn shoal_session_has_cid(session: *mut Session) -> c_int;
    pub fn shoal_session_suite(session: *const Session) -> c_int;
    pub fn shoal_session_alert(session: *const Session) -> c_int;
    pub fn shoal_session_newest(session: *const Session) -> u64;
    pub fn shoal_session_deadline(session: *const Session) -> i64;
    pub fn shoal_session_write_bytes_max(session: *const Session) -> c_int;
}
