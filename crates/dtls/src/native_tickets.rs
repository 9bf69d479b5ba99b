//! The border to C, where it is about session tickets.

use std::ffi::{c_int, c_void};
use std::slice;

use mbedtls_sys as sys;
use zeroize::Zeroizing;

use crate::native::{Association, Code, Outside, succeed};
use crate::ticket::{Content, Holder, Tickets};

/// Longest form of a session that a client keeps: a ticket of any server that fits into a message of ours, and a little.
const SAVED_BYTES_MAX: usize = 4_096 + 256;

/// Encrypts `text` in place; `known` is authenticated with it.
pub(crate) fn seal(
    key: &[u8; sys::TICKET_KEY_BYTES],
    nonce: &[u8; sys::TICKET_NONCE_BYTES],
    known: &[u8],
    text: &mut [u8],
) -> Result<[u8; sys::TICKET_TAG_BYTES], Code> {
    let mut tag = [0; sys::TICKET_TAG_BYTES];
    // SAFETY: all pointers are valid for their lengths.
    succeed(unsafe {
        sys::shoal_seal(key, nonce, known.as_ptr(), known.len(), text.as_mut_ptr(), text.len(), &raw mut tag)
    })?;
    Ok(tag)
}

/// Decrypts `text` in place, if it and `known` are what was sealed.
pub(crate) fn open(
    key: &[u8; sys::TICKET_KEY_BYTES],
    nonce: &[u8; sys::TICKET_NONCE_BYTES],
    known: &[u8],
    text: &mut [u8],
    tag: &[u8; sys::TICKET_TAG_BYTES],
) -> Result<(), Code> {
    // SAFETY: all pointers are valid for their lengths.
    succeed(unsafe { sys::shoal_open(key, nonce, known.as_ptr(), known.len(), text.as_mut_ptr(), text.len(), tag) })
}

impl Association {
    /// A client offers to go on from what [`Association::saved`] gave.
    pub(crate) fn go_on_from(&mut self, saved: &[u8]) -> Result<(), Code> {
        // SAFETY: the session is alive, and `saved` valid for its length; the shim copies it.
        succeed(unsafe { sys::shoal_session_resume(self.raw.as_ptr(), saved.as_ptr(), saved.len()) })
    }

    /// What a client can go on from, and how long its server promised to know it; nothing if it gave nothing new.
    pub(crate) fn saved(&self) -> Option<(Zeroizing<Vec<u8>>, u32)> {
        let (mut saved, mut lifetime_s) = (Zeroizing::new(vec![0; SAVED_BYTES_MAX]), 0);
        // SAFETY: the session is alive, and `saved` valid for its length.
        let length = unsafe {
            sys::shoal_session_ticket(self.raw.as_ptr(), saved.as_mut_ptr(), saved.len(), &raw mut lifetime_s)
        };
        let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
        saved.truncate(length);
        Some((saved, lifetime_s))
    }

    /// Whether the handshake goes on from an earlier session; final once established.
    pub(crate) fn is_resumed(&self) -> bool {
        // SAFETY: the session is alive; the shim only reads.
        unsafe { sys::shoal_session_is_resumed(self.raw.as_ptr()) != 0 }
    }
}

/// `shoal_seal_ticket_fn`. A panic in `Keys` ends the process here: it must not unwind into C.
pub(crate) unsafe extern "C" fn seal_ticket(
    tickets: *const c_void,
    context: *mut c_void,
    now_ms: u64,
    suite: u16,
    master: *const [u8; sys::MASTER_BYTES],
    nonce: *const [u8; sys::TICKET_NONCE_BYTES],
    ticket: *mut u8,
    capacity: usize,
    lifetime_s: *mut u32,
) -> c_int {
    // SAFETY: `tickets` is what `Configuration::new` gave, which keeps it alive; `context` is the `Outside` that
    // `with_call` was given and that nobody else uses while C runs; the rest is the shim's, valid during the call.
    let (tickets, outside, master, nonce, room, lifetime_s) = unsafe {
        (
            &*tickets.cast::<Tickets>(),
            &mut *context.cast::<Outside<'_>>(),
            &*master,
            &*nonce,
            slice::from_raw_parts_mut(ticket, capacity),
            &mut *lifetime_s,
        )
    };
    let sealed = outside.holder().and_then(|holder| {
        let content = Content { suite, master: Zeroizing::new(*master), holder };
        tickets.seal(now_ms, nonce, &content).ok()?
    });
    let Some(room) = sealed.as_ref().and_then(|sealed| room.get_mut(..sealed.len())) else { return -1 };
    room.copy_from_slice(&sealed.unwrap_or_default());
    *lifetime_s = (crate::ticket::TICKET_LIFE_MS / 1_000) as u32;
    c_int::try_from(room.len()).unwrap_or(-1)
}

/// `shoal_open_ticket_fn`. A panic in `Keys` ends the process here.
pub(crate) unsafe extern "C" fn open_ticket(
    tickets: *const c_void,
    context: *mut c_void,
    now_ms: u64,
    suite: u16,
    ticket: *const u8,
    length: usize,
    master: *mut [u8; sys::MASTER_BYTES],
) -> c_int {
    // SAFETY: as in `seal_ticket`.
    let (tickets, outside, ticket, master) = unsafe {
        (
            &*tickets.cast::<Tickets>(),
            &mut *context.cast::<Outside<'_>>(),
            slice::from_raw_parts(ticket, length),
            &mut *master,
        )
    };
    let Some(Content { master: kept, holder, .. }) =
        tickets.open(now_ms, ticket).filter(|content| content.suite == suite)
    else {
        return -1;
    };
    if !outside.takes_again(holder) {
        return -1;
    }
    *master = *kept;
    0
}

impl Outside<'_> {
    /// Whom a ticket of this session is for.
    fn holder(&mut self) -> Option<Holder> {
        match (&self.certificate, &self.identity) {
            (Some((certificate, None)), _) => Some(Holder::Certificate(certificate.clone())),
            (None, Some(identity)) => Holder::psk(identity, &self.keys.psk(identity)?).ok(),
            _ => None,
        }
    }

    /// Whether the holder of a ticket would be taken in a full handshake today. If so, that is who the peer is.
    fn takes_again(&mut self, holder: Holder) -> bool {
        match holder {
            Holder::Psk { ref identity, .. } => {
                let known = self.keys.psk(identity).and_then(|key| Holder::psk(identity, &key).ok());
                if known.as_ref() != Some(&holder) {
                    return false;
                }
                let Holder::Psk { identity, .. } = holder else { return false };
                self.identity = Some(identity);
            }
            Holder::Certificate(certificate) => {
                if !self.keys.takes_again(&certificate) {
                    return false;
                }
                self.certificate = Some((certificate, None));
            }
        }
        true
    }
}
