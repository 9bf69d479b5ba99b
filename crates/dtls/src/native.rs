//! The border to C: the only unsafe code of this crate, with that of `native_checkpoint`.
//!
//! Everything here is a thin safe form of `csrc/shoal_dtls.h`; what it means for a session is decided elsewhere.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

use mbedtls_sys as sys;
use zeroize::Zeroizing;

use crate::buffers::Buffers;
use crate::certificate::{
    AlternativeName, CertificateRefused, Digest, NAME_BYTES_MAX, OwnCertificate, PeerCertificate,
};
use crate::credentials::{IDENTITY_BYTES_MAX, KEY_BYTES_MAX, Keys};
use crate::native_tickets::{open_ticket, seal_ticket};
use crate::suite::Suite;
use crate::ticket::Tickets;
use crate::tls_ends::TlsVersion;

const _: () = assert!(KEY_BYTES_MAX == sys::KEY_BYTES_MAX);

/// Mbed TLS's own error code, negative.
pub(crate) type Code = c_int;

/// What all sessions of a server, or of one client identity, share.
pub(crate) struct Configuration {
    pub(crate) raw: NonNull<sys::Config>,
    pub(crate) cid_bytes: usize,
    /// Clients only: stands for the key or the certificate.
    pub(crate) owner: Digest,
    /// The shim points to it.
    _tickets: Option<Arc<Tickets>>,
}

/// What a configuration is made of.
pub(crate) struct Setup<'a> {
    pub(crate) role: Role<'a>,
    pub(crate) own: Option<&'a OwnCertificate>,
    pub(crate) suites: &'a [Suite],
    /// TLS over a stream in these versions; DTLS, if nothing is said.
    pub(crate) versions: Option<(TlsVersion, TlsVersion)>,
    pub(crate) has_exchange: bool,
    pub(crate) cid_bytes: usize,
    pub(crate) handshake_timeout_ms: (u32, u32),
    pub(crate) mtu: u16,
    pub(crate) seed: &'a [u8; sys::SEED_BYTES],
    /// Servers only.
    pub(crate) tickets: Option<Arc<Tickets>>,
}

/// Which end of a session, and what only that end has.
#[derive(Clone, Copy)]
pub(crate) enum Role<'a> {
    Server,
    PskClient { identity: &'a [u8], key: &'a [u8] },
    CertificateClient { server_name: Option<&'a CStr> },
}

/// The library fills a static table when a configuration is made; two threads must not do that at once.
static SETUP: Mutex<()> = Mutex::new(());

impl Configuration {
    pub(crate) fn new(setup: &Setup<'_>) -> Result<Self, Code> {
        let suites: Vec<u16> = setup.suites.iter().map(|suite| suite.code()).collect();
        let (identity, key) = match setup.role {
            Role::PskClient { identity, key } => (identity, key),
            Role::Server | Role::CertificateClient { .. } => (&[][..], &[][..]),
        };
        let server_name = match setup.role {
            Role::CertificateClient { server_name: Some(name) } => name.as_ptr(),
            _ => ptr::null(),
        };
        let chain = setup.own.map_or(&[][..], |own| &own.chain);
        let own: Vec<sys::Bytes> =
            chain.iter().map(|der| sys::Bytes { bytes: der.as_ptr(), length: der.len() }).collect();
        let own_key = setup.own.map_or(&[][..], |own| &own.key);
        let options = sys::Options {
            is_server: matches!(setup.role, Role::Server).into(),
            is_stream: setup.versions.is_some().into(),
            version_min: setup.versions.map_or(0, |(oldest, _)| oldest.code()),
            version_max: setup.versions.map_or(0, |(_, newest)| newest.code()),
            is_without_exchange: (!setup.has_exchange).into(),
            cid_bytes: setup.cid_bytes,
            timeout_first_ms: setup.handshake_timeout_ms.0,
            timeout_last_ms: setup.handshake_timeout_ms.1,
            mtu: setup.mtu,
            suites: suites.as_ptr(),
            suites_count: suites.len(),
            seed: setup.seed,
            identity: identity.as_ptr(),
            identity_bytes: identity.len(),
            key: key.as_ptr(),
            key_bytes: key.len(),
            own: own.as_ptr(),
            own_count: own.len(),
            own_key: own_key.as_ptr(),
            own_key_bytes: own_key.len(),
            server_name,
            send: push_datagram,
            find_key: matches!(setup.role, Role::Server).then_some(find_key as sys::KeyFn),
            find_anchors,
            judged,
            tickets: setup.tickets.as_ref().map_or(ptr::null(), |tickets| Arc::as_ptr(tickets).cast()),
            seal_ticket,
            open_ticket,
        };
        let owner = match setup.role {
            Role::PskClient { identity, key } => mac(key, identity)?,
            _ => chain.first().map_or(Ok([0; sys::DIGEST_BYTES]), |der| digest(der))?,
        };
        let mut raw = ptr::null_mut();
        let _alone = SETUP.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: every pointer in `options` is valid for its length during the call; the shim copies what it keeps.
        succeed(unsafe { sys::shoal_config_new(&raw const options, &raw mut raw) })?;
        let raw = NonNull::new(raw).ok_or(ALLOC_FAILED)?;
        Ok(Self { raw, cid_bytes: setup.cid_bytes, owner, _tickets: setup.tickets.clone() })
    }

    /// Fills `output` from the configuration's random generator.
    pub(crate) fn random(&self, output: &mut [u8]) -> Result<(), Code> {
        // SAFETY: `raw` is alive as long as `self`; the generator has a lock of its own.
        succeed(unsafe { sys::shoal_config_random(self.raw.as_ptr(), output.as_mut_ptr(), output.len()) })
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: made by `shoal_config_new` and freed once; every association holds an `Arc` of `self`.
        unsafe { sys::shoal_config_free(self.raw.as_ptr()) }
    }
}

// SAFETY: after `new` the configuration is only read, save for the random generator, which has a lock
// (`MBEDTLS_THREADING_C`).
unsafe impl Send for Configuration {}
// SAFETY: as above.
unsafe impl Sync for Configuration {}

/// HMAC-SHA256 of `input`.
pub(crate) fn mac(secret: &[u8], input: &[u8]) -> Result<[u8; sys::MAC_BYTES], Code> {
    let mut mac = [0; sys::MAC_BYTES];
    // SAFETY: all pointers are valid for their lengths, and `mac` is as long as the shim writes.
    let code = unsafe { sys::shoal_mac(secret.as_ptr(), secret.len(), input.as_ptr(), input.len(), &raw mut mac) };
    succeed(code).map(|()| mac)
}

/// SHA-256 of `input`.
pub(crate) fn digest(input: &[u8]) -> Result<Digest, Code> {
    let mut digest = [0; sys::DIGEST_BYTES];
    // SAFETY: both pointers are valid for their lengths, and `digest` is as long as the shim writes.
    succeed(unsafe { sys::shoal_digest(input.as_ptr(), input.len(), &raw mut digest) }).map(|()| digest)
}

/// What an anchor is looked at for.
pub(crate) struct CertificateFacts {
    pub(crate) subject: Box<[u8]>,
    pub(crate) public_key: Box<[u8]>,
    pub(crate) fingerprint: Digest,
    pub(crate) is_authority: bool,
    pub(crate) is_curve_ours: bool,
}

/// Reads one certificate.
pub(crate) fn read_certificate(der: &[u8]) -> Result<CertificateFacts, Code> {
    let mut facts: Option<Result<CertificateFacts, Code>> = None;
    // SAFETY: `der` is valid for its length; `keep_facts` casts the context back to what it is here, during the call.
    succeed(unsafe {
        sys::shoal_certificate_read(der.as_ptr(), der.len(), keep_facts, ptr::from_mut(&mut facts).cast())
    })?;
    facts.unwrap_or(Err(sys::BAD_INPUT))
}

/// What a call on a session may reach outside of it.
pub(crate) struct Outside<'a> {
    pub(crate) out: &'a mut Vec<Vec<u8>>,
    pub(crate) keys: &'a mut dyn Keys,
    /// The identity the peer gave, if it did; cut to [`IDENTITY_BYTES_MAX`].
    pub(crate) identity: Option<Box<[u8]>>,
    /// The certificate the peer showed, if it did, and why it was refused, if it was.
    pub(crate) certificate: Option<(Box<PeerCertificate>, Option<CertificateRefused>)>,
}

impl<'a> Outside<'a> {
    pub(crate) fn new(out: &'a mut Vec<Vec<u8>>, keys: &'a mut dyn Keys) -> Self {
        Self { out, keys, identity: None, certificate: None }
    }
}

/// The library's half of a session.
pub(crate) struct Association {
    pub(crate) raw: NonNull<sys::Session>,
    pub(crate) configuration: Arc<Configuration>,
}

// SAFETY: the session is used through `&mut self` or read through `&self`, never by two threads at once, and what it
// shares with others is `Configuration`, which is `Sync`. It keeps no pointer to anything of its thread between calls.
unsafe impl Send for Association {}

impl Association {
    /// `cid` must be as long as the configuration says.
    pub(crate) fn new(configuration: Arc<Configuration>, cid: Option<&[u8]>) -> Result<Self, Code> {
        if cid.is_some_and(|cid| cid.len() != configuration.cid_bytes) {
            return Err(sys::BAD_INPUT);
        }
        let cid = cid.map_or(ptr::null(), <[u8]>::as_ptr);
        let mut raw = ptr::null_mut();
        // SAFETY: `cid` is null or valid for `cid_bytes`; the shim copies it. The configuration outlives the session,
        // which holds an `Arc` of it.
        succeed(unsafe { sys::shoal_session_new(configuration.raw.as_ptr(), cid, &raw mut raw) })?;
        let raw = NonNull::new(raw).ok_or(ALLOC_FAILED)?;
        Ok(Self { raw, configuration })
    }

    /// The length of every connection id in the records this end receives.
    pub(crate) fn cid_bytes(&self) -> usize {
        self.configuration.cid_bytes
    }

    /// Clients only: stands for the key or the certificate that the session began with.
    pub(crate) fn owner(&self) -> Digest {
        self.configuration.owner
    }

    /// Begins a client's handshake, or repeats the last flight if the timer has run out.
    pub(crate) fn resume(&mut self, now_ms: u64, buffers: &mut Buffers, outside: &mut Outside<'_>) -> Result<(), Code> {
        let session = self.raw.as_ptr();
        with_call(now_ms, buffers, outside, |call| {
            // SAFETY: the session is alive and `call` valid, see `with_call`.
            succeed(unsafe { sys::shoal_session_continue(session, call) })
        })
    }

    /// Takes a record, or `None` to go on with the one before; returns the length of the plaintext.
    pub(crate) fn read(
        &mut self,
        now_ms: u64,
        record: Option<&[u8]>,
        plaintext: &mut [u8],
        buffers: &mut Buffers,
        outside: &mut Outside<'_>,
    ) -> Result<usize, Code> {
        let session = self.raw.as_ptr();
        let (record, record_bytes) = record.map_or((ptr::null(), 0), |record| (record.as_ptr(), record.len()));
        let (plaintext, capacity) = (plaintext.as_mut_ptr(), plaintext.len());
        let length = with_call(now_ms, buffers, outside, |call| {
            // SAFETY: the session is alive and `call` valid, see `with_call`; record and plaintext are valid for their
            // lengths and do not overlap.
            unsafe { sys::shoal_session_read(session, call, record, record_bytes, plaintext, capacity) }
        });
        usize::try_from(length).map_err(|_| length)
    }

    pub(crate) fn write(
        &mut self,
        plaintext: &[u8],
        buffers: &mut Buffers,
        outside: &mut Outside<'_>,
    ) -> Result<(), Code> {
        let session = self.raw.as_ptr();
        with_call(NO_TIMER, buffers, outside, |call| {
            // SAFETY: the session is alive and `call` valid, see `with_call`; plaintext is valid for its length.
            succeed(unsafe { sys::shoal_session_write(session, call, plaintext.as_ptr(), plaintext.len()) })
        })
    }

    /// Says goodbye to the peer of an established session.
    pub(crate) fn close(&mut self, buffers: &mut Buffers, outside: &mut Outside<'_>) -> Result<(), Code> {
        let session = self.raw.as_ptr();
        with_call(NO_TIMER, buffers, outside, |call| {
            // SAFETY: the session is alive and `call` valid, see `with_call`.
            succeed(unsafe { sys::shoal_session_close(session, call) })
        })
    }

    /// Gives the buffers back if it can; whether it has none.
    pub(crate) fn park(&mut self) -> bool {
        // SAFETY: the session is alive, and no call on it is going on: `&mut self`.
        unsafe { sys::shoal_session_park(self.raw.as_ptr()) != 0 }
    }

    pub(crate) fn is_established(&self) -> bool {
        // SAFETY: the session is alive; the shim only reads.
        unsafe { sys::shoal_session_is_established(self.raw.as_ptr()) != 0 }
    }

    pub(crate) fn has_cid(&self) -> bool {
        // SAFETY: as above.
        unsafe { sys::shoal_session_has_cid(self.raw.as_ptr()) != 0 }
    }

    pub(crate) fn suite(&self) -> Option<Suite> {
        // SAFETY: as above.
        let code = unsafe { sys::shoal_session_suite(self.raw.as_ptr()) };
        u16::try_from(code).ok().and_then(Suite::of_code)
    }

    /// The fatal alert the peer sent, after [`sys::FATAL_ALERT`].
    pub(crate) fn alert(&self) -> u8 {
        // SAFETY: as above.
        unsafe { sys::shoal_session_alert(self.raw.as_ptr()) }.try_into().unwrap_or(u8::MAX)
    }

    pub(crate) fn newest(&self) -> u64 {
        // SAFETY: as above.
        unsafe { sys::shoal_session_newest(self.raw.as_ptr()) }
    }

    /// When [`Association::resume`] is due.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        // SAFETY: as above.
        unsafe { sys::shoal_session_deadline(self.raw.as_ptr()) }.try_into().ok()
    }

    /// The longest plaintext that fits into one datagram.
    pub(crate) fn write_bytes_max(&self) -> usize {
        // SAFETY: as above.
        unsafe { sys::shoal_session_write_bytes_max(self.raw.as_ptr()) }.try_into().unwrap_or(0)
    }
}

impl Drop for Association {
    fn drop(&mut self) {
        // SAFETY: made by `shoal_session_new` and freed once; its configuration is freed after it.
        unsafe { sys::shoal_session_free(self.raw.as_ptr()) }
    }
}

pub(crate) const ALLOC_FAILED: Code = -0x7F00;

/// What `write`, `close` and a stream give for the time: none looks at a timer.
pub(crate) const NO_TIMER: u64 = 0;

pub(crate) fn succeed(code: Code) -> Result<(), Code> {
    if code < 0 { Err(code) } else { Ok(()) }
}

/// Runs `work` with a call structure that is valid while it lasts. `work` must not keep the pointer.
pub(crate) fn with_call<R>(
    now_ms: u64,
    buffers: &mut Buffers,
    outside: &mut Outside<'_>,
    work: impl FnOnce(*const sys::Call) -> R,
) -> R {
    let call = sys::Call {
        now_ms,
        now_unix_s: outside.keys.trust().unix_s,
        in_buffer: buffers.incoming.as_mut_ptr(),
        out_buffer: buffers.outgoing.as_mut_ptr(),
        context: ptr::from_mut(outside).cast(),
    };
    work(&raw const call)
}

/// How long the buffers must be that a call lends.
pub(crate) fn buffer_bytes() -> (usize, usize) {
    // SAFETY: these functions return constants.
    unsafe { (sys::shoal_in_buffer_bytes(), sys::shoal_out_buffer_bytes()) }
}

/// The longest plaintext that one record can bring.
pub(crate) fn plaintext_bytes_max() -> usize {
    // SAFETY: this function returns a constant.
    unsafe { sys::shoal_plaintext_bytes_max() }
}

/// `shoal_send_fn`
unsafe extern "C" fn push_datagram(context: *mut c_void, datagram: *const u8, length: usize) {
    // SAFETY: `context` is the `Outside` that `with_call` was given and that nobody else uses while C runs; the
    // datagram is valid for its length.
    let (outside, datagram) = unsafe { (&mut *context.cast::<Outside<'_>>(), slice::from_raw_parts(datagram, length)) };
    outside.out.push(datagram.to_vec());
}

/// `shoal_key_fn`. A panic in `Keys` ends the process here: it must not unwind into C.
unsafe extern "C" fn find_key(
    context: *mut c_void,
    identity: *const u8,
    length: usize,
    key: *mut [u8; KEY_BYTES_MAX],
) -> c_int {
    // SAFETY: as in `push_datagram`; `key` is a buffer of the shim's that nothing else points to.
    let (outside, identity, key) =
        unsafe { (&mut *context.cast::<Outside<'_>>(), slice::from_raw_parts(identity, length), &mut *key) };
    outside.identity = Some(identity[..length.min(IDENTITY_BYTES_MAX)].into());
    if length > IDENTITY_BYTES_MAX {
        return -1;
    }
    let found: Option<Zeroizing<Vec<u8>>> = outside.keys.psk(identity);
    match found {
        Some(found) if (1..=KEY_BYTES_MAX).contains(&found.len()) => {
            key[..found.len()].copy_from_slice(&found);
            c_int::try_from(found.len()).unwrap_or(-1)
        }
        _ => -1,
    }
}

/// `shoal_find_anchors_fn`. A panic in `Keys` ends the process here.
unsafe extern "C" fn find_anchors(context: *mut c_void, issuer: *const u8, length: usize, anchors: *mut sys::Anchors) {
    // SAFETY: as in `push_datagram`.
    let (outside, issuer) = unsafe { (&*context.cast::<Outside<'_>>(), slice::from_raw_parts(issuer, length)) };
    for der in outside.keys.trust().anchors.of_subject(issuer) {
        // SAFETY: `anchors` is the shim's and alive while this function runs; the shim copies `der`, and keeps the error.
        unsafe { sys::shoal_anchors_add(anchors, der.as_ptr(), der.len()) };
    }
}

/// `shoal_judged_fn`
unsafe extern "C" fn judged(
    context: *mut c_void,
    peer: *const sys::Certificate,
    anchor: *const sys::Bytes,
    refusal: c_int,
) {
    // SAFETY: as in `push_datagram`; `peer` and `anchor` are the shim's and alive while this function runs.
    let (outside, peer, anchor) = unsafe { (&mut *context.cast::<Outside<'_>>(), &*peer, bytes(&*anchor)) };
    let refused = match refusal {
        0 => None,
        sys::REFUSED_UNKNOWN_AUTHORITY => Some(CertificateRefused::UnknownAuthority),
        sys::REFUSED_SIGNATURE => Some(CertificateRefused::BadSignature),
        sys::REFUSED_EXPIRED => Some(CertificateRefused::Expired),
        sys::REFUSED_NOT_YET_VALID => Some(CertificateRefused::NotYetValid),
        sys::REFUSED_USAGE => Some(CertificateRefused::WrongUsage),
        sys::REFUSED_ALGORITHM => Some(CertificateRefused::UnsupportedAlgorithm),
        sys::REFUSED_CHAIN_TOO_LONG => Some(CertificateRefused::ChainTooLong),
        _ => Some(CertificateRefused::WrongName),
    };
    // A digest fails for want of memory only; the session then ends up without a certificate, which nobody takes.
    if let Ok(certificate) = peer_certificate(peer, anchor) {
        outside.certificate = Some((Box::new(certificate), refused));
    }
}

fn peer_certificate(peer: &sys::Certificate, anchor: &[u8]) -> Result<PeerCertificate, Code> {
    let names = peer.names.iter().take(peer.names_count).filter_map(|name| {
        let value = text(&name.value)?;
        Some(if name.tag == sys::NAME_URI { AlternativeName::Uri(value) } else { AlternativeName::Dns(value) })
    });
    Ok(PeerCertificate {
        common_name: text(&peer.common_name),
        names: names.collect(),
        issuer: digest(bytes(&peer.issuer))?,
        subject: digest(bytes(&peer.subject))?,
        fingerprint: digest(bytes(&peer.der))?,
        serial: bytes(&peer.serial).to_vec(),
        not_before_s: peer.not_before_s,
        not_after_s: peer.not_after_s,
        chain_not_after_s: peer.chain_not_after_s,
        anchor: digest(anchor)?,
    })
}

/// `shoal_read_fn`
unsafe extern "C" fn keep_facts(context: *mut c_void, certificate: *const sys::Certificate) {
    // SAFETY: `context` is what `read_certificate` gave, and nobody else uses it; the certificate is alive during the call.
    let (facts, read) = unsafe { (&mut *context.cast::<Option<Result<CertificateFacts, Code>>>(), &*certificate) };
    *facts = Some(digest(bytes(&read.der)).map(|fingerprint| CertificateFacts {
        subject: bytes(&read.subject).into(),
        public_key: bytes(&read.public_key).into(),
        fingerprint,
        is_authority: read.is_authority != 0,
        is_curve_ours: read.is_curve_ours != 0,
    }));
}

/// The bytes of a field of a certificate that the shim told of, during that call.
fn bytes(field: &sys::Bytes) -> &[u8] {
    if field.bytes.is_null() {
        return &[];
    }
    // SAFETY: the shim points into a certificate that lives as long as the call; `field` does not outlive that either.
    unsafe { slice::from_raw_parts(field.bytes, field.length) }
}

fn text(field: &sys::Bytes) -> Option<String> {
    let value = Some(bytes(field)).filter(|value| (1..=NAME_BYTES_MAX).contains(&value.len()))?;
    String::from_utf8(value.to_vec()).ok()
}
