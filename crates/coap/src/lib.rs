//! CoAP without I/O: bytes and the time go in, bytes and outcomes come out.
//!
//! - [`Message`] reads a datagram without copying, [`Encoder`] and [`MessageBuilder`] write one (RFC 7252 §3).
//! - [`exchange`] is the talk with one peer: [`Requests`] when we ask (retransmission, separate responses, block-wise
//!   both ways), [`Answers`] when they ask (duplicates answered from memory), [`Responses`] when our answer travels on
//!   its own (RFC 7252 §4 and §5).
//! - [`blockwise`] serves and assembles bodies larger than a datagram (RFC 7959).
//! - [`connection`] is one side of a connection that carries messages, [`stream`] their frames (RFC 8323).
//! - [`observe`] tells which notification is newer (RFC 7641 §3.4).
//!
//! Nothing in here reads a clock, opens a socket or rolls dice: `now` and the seeds are passed in.

pub mod blockwise;
pub mod code;
pub mod connection;
pub mod content_format;
pub mod encode;
pub mod error;
pub mod exchange;
pub mod message;
pub mod observe;
pub mod option;
pub mod stream;

pub use blockwise::{Block, UploadStep, Uploads};
pub use code::Code;
pub use connection::{Capacity, Connection, ConnectionOptions, Ending};
pub use encode::{Encoder, MessageBuilder};
pub use error::{MessageError, QueueFull};
pub use exchange::{
    Answered, Answers, Delivery, Handled, Outbox, Outcome, Pieces, Request, Requests, Responses, Seen, Source,
    Transmission,
};
pub use message::{Kind, Message, Refusal, Token};
pub use observe::{Order, Sequence};
