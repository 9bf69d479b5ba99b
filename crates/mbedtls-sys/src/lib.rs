//! Declarations of `csrc/shoal_dtls.h`, which says what everything means.
//!
//! Only `crates/dtls` uses them. The numbers are Mbed TLS's own error codes.

use std::ffi::{c_int, c_void};

/// Room the shim has for a pre-shared key.
pub const KEY_BYTES_MAX: usize = 64;
/// Cipher suites one configuration can hold.
pub const SUITES_MAX: usize = 8;
/// Length of the seed of a random generator.
pub const SEED_BYTES: usize = 32;
/// Length of a message authentication code.
pub const MAC_BYTES: usize = 32;

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
    pub send: SendFn,
    pub find_key: Option<KeyFn>,
}

/// `shoal_call`
#[repr(C)]
pub struct Call {
    pub now_ms: u64,
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
