//! Thousands of LwM2M clients in one thread: what `bench/` measures servers with. No part of the product.
//!
//! Every client has an address of its own out of 127.0.0.0/8, as a device has; all of them share one socket, so that one
//! call into the kernel serves many. An operation counts only when the right answer came: the code that the
//! specification asks for, in a message that belongs to the request.

mod client;
mod credential;
mod fleet;
mod latency;
mod message;
mod report;
#[allow(unsafe_code, reason = "recvmmsg and sendmmsg with the address to speak from; nothing else here is unsafe")]
mod udp;

pub use client::Operation;
pub use credential::{Certificates, Credential, bytes};
pub use fleet::{Fleet, FleetOptions, Order};
pub use report::{Latency, Report};
pub use udp::Socket;
