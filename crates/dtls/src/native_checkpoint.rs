//! The border to `csrc/shoal_checkpoint.c`.

use std::ptr::{self, NonNull};
use std::sync::Arc;

use mbedtls_sys as sys;

use crate::native::{ALLOC_FAILED, Association, Code, Configuration, succeed};

impl Association {
    /// A parked session of what [`Association::save`] wrote, with a gap in its sequence numbers.
    pub(crate) fn load(
        configuration: Arc<Configuration>,
        cid: &[u8],
        saved: &[u8],
        records_skipped: u64,
    ) -> Result<Self, Code> {
        if cid.len() != configuration.cid_bytes {
            return Err(sys::BAD_INPUT);
        }
        let mut raw = ptr::null_mut();
        // SAFETY: `cid` is valid for `cid_bytes` and `saved` for its length; the shim copies what it keeps. The
        // configuration outlives the session, which holds an `Arc` of it.
        succeed(unsafe {
            sys::shoal_session_load(
                configuration.raw.as_ptr(),
                cid.as_ptr(),
                saved.as_ptr(),
                saved.len(),
                records_skipped,
                &raw mut raw,
            )
        })?;
        let raw = NonNull::new(raw).ok_or(ALLOC_FAILED)?;
        Ok(Self { raw, configuration })
    }

    /// Writes the session as bytes; how many.
    pub(crate) fn save(&mut self, saved: &mut [u8]) -> Result<usize, Code> {
        // SAFETY: the session is alive, no call on it is going on, and `saved` is valid for its length.
        let length = unsafe { sys::shoal_session_save(self.raw.as_ptr(), saved.as_mut_ptr(), saved.len()) };
        usize::try_from(length).map_err(|_| length)
    }

    /// The number of the next record it sends.
    pub(crate) fn written(&self) -> u64 {
        // SAFETY: the session is alive; the shim only reads.
        unsafe { sys::shoal_session_written(self.raw.as_ptr()) }
    }
}
