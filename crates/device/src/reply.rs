//! What a request led to, and the message that says so.

use coap::{Capacity, Code, Kind, Message, MessageBuilder, blockwise};

/// What a request led to.
pub struct Reply {
    pub code: Code,
    pub format: Option<u16>,
    pub payload: Vec<u8>,
    pub observe: Option<u32>,
    /// Where what was made is, as text.
    pub location: Option<String>,
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
