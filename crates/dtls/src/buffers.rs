//! What a session needs only while it works, one set per thread.
//!
//! A parked session has no buffers of its own: 10,000 silent devices cost 2 to 3 KiB each instead of 10.

use std::cell::Cell;

use zeroize::Zeroizing;

use crate::native;

/// Scratch memory for one call on a session.
pub(crate) struct Buffers {
    pub(crate) incoming: Zeroizing<Box<[u8]>>,
    pub(crate) outgoing: Zeroizing<Box<[u8]>>,
}

thread_local! {
    static SPARE_BUFFERS: Cell<Option<Buffers>> = const { Cell::new(None) };
    static SPARE_PLAINTEXT: Cell<Option<Plaintext>> = const { Cell::new(None) };
}

/// Room for the plaintext of one record.
pub(crate) type Plaintext = Zeroizing<Box<[u8]>>;

/// Lends the thread's buffers for one call on a session.
///
/// Should `work` use another session in turn, that one gets a set of its own.
pub(crate) fn with_buffers<R>(work: impl FnOnce(&mut Buffers) -> R) -> R {
    let mut buffers = SPARE_BUFFERS.take().unwrap_or_else(|| {
        let (incoming, outgoing) = native::buffer_bytes();
        Buffers { incoming: zeros(incoming), outgoing: zeros(outgoing) }
    });
    let result = work(&mut buffers);
    SPARE_BUFFERS.set(Some(buffers));
    result
}

/// Lends room for plaintext, which stays the caller's while it hands the plaintext on.
pub(crate) fn with_plaintext<R>(work: impl FnOnce(&mut Plaintext) -> R) -> R {
    let mut plaintext = SPARE_PLAINTEXT.take().unwrap_or_else(|| zeros(native::plaintext_bytes_max()));
    let result = work(&mut plaintext);
    SPARE_PLAINTEXT.set(Some(plaintext));
    result
}

fn zeros(bytes: usize) -> Zeroizing<Box<[u8]>> {
    Zeroizing::new(vec![0; bytes].into_boxed_slice())
}
