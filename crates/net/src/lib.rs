//! Sockets, threads and the clock: the only crate that has them.
//!
//! [`Server`] runs the server side of the data plane: a thread per shard, each with its sockets and one
//! [`gateway::Gateway`]. [`devices::Devices`] runs any number of clients in one thread. Neither ever calls its owner;
//! owners fetch what happened, in batches.

mod batches;
mod clock;
pub mod devices;
mod files;
mod inbox;
mod line;
mod link;
mod listener;
mod questions;
#[allow(unsafe_code, reason = "a system call that no crate wraps")]
mod receive;
mod server;
mod shard;
mod tcp;
mod udp;
mod uri;

pub use batches::Batch;
pub use link::LinkOptions;
pub use server::{FileError, Server, StartError};
pub use uri::{Uri, UriError};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A thread that panicked takes the process with it in a release; in a test its data are still whole enough to look at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
