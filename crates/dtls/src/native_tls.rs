//! The border to C for streams: a thin safe form of `csrc/shoal_tls.h`.

use std::ptr;

use mbedtls_sys as sys;

use crate::buffers::Buffers;
use crate::native::{Association, Code, NO_TIMER, Outside, succeed, with_call};

impl Association {
    /// Takes a whole record, or `None` to go on with the one before; returns the length of the plaintext.
    pub(crate) fn read_stream(
        &mut self,
        record: Option<&[u8]>,
        plaintext: &mut [u8],
        buffers: &mut Buffers,
        outside: &mut Outside<'_>,
    ) -> Result<usize, Code> {
        let session = self.raw.as_ptr();
        let (record, record_bytes) = record.map_or((ptr::null(), 0), |record| (record.as_ptr(), record.len()));
        let (plaintext, capacity) = (plaintext.as_mut_ptr(), plaintext.len());
        let length = with_call(NO_TIMER, buffers, outside, |call| {
            // SAFETY: the session is alive and `call` valid, see `with_call`; record and plaintext are valid for their
            // lengths and do not overlap.
            unsafe { sys::shoal_stream_read(session, call, record, record_bytes, plaintext, capacity) }
        });
        usize::try_from(length).map_err(|_| length)
    }

    /// Says all of `plaintext`, in as many records as it takes.
    pub(crate) fn write_stream(
        &mut self,
        plaintext: &[u8],
        buffers: &mut Buffers,
        outside: &mut Outside<'_>,
    ) -> Result<(), Code> {
        let session = self.raw.as_ptr();
        with_call(NO_TIMER, buffers, outside, |call| {
            // SAFETY: the session is alive and `call` valid, see `with_call`; plaintext is valid for its length.
            succeed(unsafe { sys::shoal_stream_write(session, call, plaintext.as_ptr(), plaintext.len()) })
        })
    }

    /// Goes over to new keys, and asks the peer to.
    pub(crate) fn renew_stream(&mut self, buffers: &mut Buffers, outside: &mut Outside<'_>) -> Result<(), Code> {
        let session = self.raw.as_ptr();
        with_call(NO_TIMER, buffers, outside, |call| {
            // SAFETY: the session is alive and `call` valid, see `with_call`.
            succeed(unsafe { sys::shoal_stream_renew(session, call) })
        })
    }

    /// Says goodbye to the peer.
    pub(crate) fn close_stream(&mut self, buffers: &mut Buffers, outside: &mut Outside<'_>) -> Result<(), Code> {
        let session = self.raw.as_ptr();
        with_call(NO_TIMER, buffers, outside, |call| {
            // SAFETY: the session is alive and `call` valid, see `with_call`.
            succeed(unsafe { sys::shoal_stream_close(session, call) })
        })
    }

    /// The number of the version that was agreed on.
    pub(crate) fn stream_version(&self) -> i32 {
        // SAFETY: the session is alive; the shim only reads.
        unsafe { sys::shoal_stream_version(self.raw.as_ptr()) }
    }
}
