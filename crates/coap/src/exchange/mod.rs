//! The talk with one peer, in both roles (RFC 7252 §4 and §5): [`Requests`] when we ask, [`Answers`] when they ask,
//! [`Responses`] when what we answer travels as a confirmable message of its own.
//!
//! Give every message of the peer to [`Requests::handle`], then to [`Responses::handle`]; what neither takes is a
//! request, a notification, or noise. Look a request up in [`Answers`] before running it.

mod answers;
mod ids;
mod request;
mod requests;
mod responses;
mod transfer;
mod transmission;

pub use answers::{ANSWER_BYTES_MAX, ANSWERS_BYTES_MAX, ANSWERS_MAX, Answers, EXCHANGE_LIFETIME, Seen};
pub use ids::Numbers;
pub use request::{Answered, Begun, Outcome, Pieces, Request, Source};
pub use requests::{REQUESTS_OPEN_MAX, REQUESTS_QUEUED_MAX, Requests};
pub use responses::{Delivery, RESPONSES_MAX, Responses};
pub use transmission::Transmission;

/// Where datagrams for the peer go. A `Vec<Vec<u8>>` collects them; a closure takes them as they come.
pub trait Outbox {
    /// One datagram.
    fn send(&mut self, datagram: &[u8]);
}

impl Outbox for Vec<Vec<u8>> {
    fn send(&mut self, datagram: &[u8]) {
        self.push(datagram.to_vec());
    }
}

impl<F: FnMut(&[u8])> Outbox for F {
    fn send(&mut self, datagram: &[u8]) {
        self(datagram);
    }
}

/// Whether a message was for this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Handled {
    /// It was, and everything due has been done.
    Consumed,
    /// It was not; nothing changed.
    NotOurs,
}
