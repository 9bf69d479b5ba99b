//! What a request led to, and the message that says so.

use coap::{Capacity, Code, Kind, Message, MessageBuilder, blockwise};
use lwm2m::Path;

/// What a request led to.
pub struct Reply {
    pub code: Code,
    pub format: Option<u16>,
    pub payload: Vec<u8>,
    pub observe: Option<u32>,
    /// Where what was made is, as text.
    pub location: Option<String>,
}

impl Reply {
    /// A refusal that says in words what it is about, so that whoever asked knows what to change (RFC 7252 §5.5.2).
    pub fn refused(code: Code, method: Code, path: Option<&Path>) -> Self {
        let Some(path) = path else { return Self::from(code) };
        let words = match (code, method, path.depth()) {
            (Code::NOT_FOUND, _, 0) => "not all of it is there".to_owned(),
            (Code::BAD_REQUEST, _, 0) => "not all of it fits".to_owned(),
            (Code::NOT_FOUND, ..) => format!("{path} is not there"),
            (Code::METHOD_NOT_ALLOWED, Code::GET, _) => format!("{path} cannot be read"),
            (Code::METHOD_NOT_ALLOWED, Code::DELETE, _) => format!("{path} cannot be deleted"),
            (Code::METHOD_NOT_ALLOWED, Code::POST, 1) => format!("no instance of {path} can be made"),
            (Code::METHOD_NOT_ALLOWED, Code::POST, 3) => format!("{path} cannot be executed"),
            (Code::METHOD_NOT_ALLOWED, Code::PUT | Code::POST, _) => format!("{path} cannot be written"),
            (Code::METHOD_NOT_ALLOWED, Code::IPATCH, _) => "not all of it can be written".to_owned(),
            (Code::BAD_REQUEST, Code::POST, 1) => format!("it fits no new instance of {path}"),
            (Code::BAD_REQUEST, ..) => format!("it does not fit {path}"),
            (Code::NOT_ACCEPTABLE, ..) => format!("{path} cannot be told in that format"),
            (Code::UNSUPPORTED_CONTENT_FORMAT, ..) => format!("{path} cannot be given in that format"),
            _ => String::new(),
        };
        Self { payload: words.into_bytes(), ..Self::from(code) }
    }
}

impl From<Code> for Reply {
    fn from(code: Code) -> Self {
        Self { code, format: None, payload: Vec::new(), observe: None, location: None }
    }
}

/// The response, in blocks when it does not fit. Every block is cut anew from the same body: nothing is remembered.
pub fn encode(
    message: &Message<'_>,
    reply: Reply,
    block1: Option<coap::Block>,
    fresh_id: u16,
    capacity: Option<Capacity>,
) -> Vec<u8> {
    let (kind, id) = match message.kind {
        Kind::Confirmable => (Kind::Acknowledgement, message.id),
        Kind::Reliable => (Kind::Reliable, 0),
        _ => (Kind::NonConfirmable, fresh_id),
    };
    encode_as(kind, id, message, reply, block1, capacity)
}

/// The same as a message of another kind: a separate response.
pub fn encode_as(
    kind: Kind,
    id: u16,
    message: &Message<'_>,
    reply: Reply,
    block1: Option<coap::Block>,
    capacity: Option<Capacity>,
) -> Vec<u8> {
    let mut builder = MessageBuilder::new(kind, reply.code, id, message.token);
    let Some(cut) = blockwise::serve_over(capacity, reply.payload.len() as u64, message.block2()) else {
        return MessageBuilder::new(kind, Code::BAD_REQUEST, id, message.token).to_bytes();
    };
    if let Some(location) = &reply.location {
        builder = builder.location(location);
    }
    if let Some(number) = reply.observe {
        builder = builder.observe(number);
    }
    if let Some(format) = reply.format {
        builder = builder.content_format(format);
    }
    if let Some(block) = block1 {
        builder = builder.block1(block);
    }
    if let Some(block) = cut.block {
        builder = builder.block2(block).etag(blockwise::etag(&reply.payload).to_vec());
    }
    builder.payload(reply.payload[cut.range.start as usize..cut.range.end as usize].to_vec()).to_bytes()
}
