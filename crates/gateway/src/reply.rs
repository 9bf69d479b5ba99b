//! What devices are answered, and how it is written.

use std::borrow::Cow;

use coap::blockwise::Block;
use coap::message::{Message, Token};
use coap::{Code, Encoder, option};

use crate::files::FileBlock;
use crate::limits::{BODY_BYTES_MAX, RETRY_AFTER_S};
use crate::peers::PeerKey;
use crate::registrations::RegistrationId;

/// What to answer, and when.
pub(crate) enum Reply {
    Now(Response),
    /// When the caller has said what.
    Later,
    /// When the partition's open page is in the log.
    AfterCommit {
        partition: u32,
        peer: PeerKey,
        response: Response,
    },
    /// When somebody has signed (see `est.rs`).
    WhenSigned,
}

impl Reply {
    pub(crate) fn now(code: Code) -> Self {
        Self::Now(code.into())
    }

    /// Not now: 5.03, and when to try again.
    pub(crate) fn busy() -> Self {
        Self::now(Code::SERVICE_UNAVAILABLE)
    }
}

/// An answer before it is bytes.
pub(crate) struct Response {
    pub(crate) code: Code,
    /// The registration that the answer is about: its location in a 2.01.
    pub(crate) location: Option<RegistrationId>,
    pub(crate) diagnostic: Option<Cow<'static, str>>,
    pub(crate) block1: Option<Block>,
    pub(crate) file: Option<Box<FileBlock>>,
}

impl From<Code> for Response {
    fn from(code: Code) -> Self {
        Self { code, location: None, diagnostic: None, block1: None, file: None }
    }
}

/// An answer that waits for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldAnswer {
    pub(crate) peer: PeerKey,
    pub(crate) id: u16,
    pub(crate) token: Token,
    pub(crate) is_confirmable: bool,
    /// An empty acknowledgement went out already, because the log is slow.
    pub(crate) is_acknowledged: bool,
    /// Empty for a notification, which wants no more than its acknowledgement.
    pub(crate) code: Code,
    pub(crate) location: Option<RegistrationId>,
    pub(crate) block1: Option<Block>,
}

pub(crate) fn encode(out: &mut Vec<u8>, message: &Message<'_>, id: u16, response: &Response) {
    write_response(Encoder::answer(out, message, response.code, id), response);
}

pub(crate) fn write_response(encoder: Encoder<'_>, response: &Response) {
    // Options in ascending order: ETag 4, Location-Path 8, Content-Format 12, Max-Age 14, Block2 23, Block1 27, Size2 28, Size1 60.
    let mut encoder = encoder;
    if let Some(file) = &response.file {
        encoder = encoder.option(option::ETAG, &file.etag);
    }
    if let (Code::CREATED, Some(id)) = (response.code, response.location) {
        let mut text = [0; 16];
        id.write(&mut text);
        encoder = encoder.option(option::LOCATION_PATH, b"rd").option(option::LOCATION_PATH, &text);
    }
    if let Some(format) = response.file.as_ref().and_then(|file| file.format) {
        encoder = encoder.content_format(format);
    }
    if response.code == Code::SERVICE_UNAVAILABLE {
        encoder = encoder.uint(option::MAX_AGE, RETRY_AFTER_S);
    }
    if let Some(file) = &response.file {
        encoder = file.block.into_iter().fold(encoder, Encoder::block2);
    }
    if let Some(block) = response.block1 {
        encoder = encoder.block1(block);
    }
    if let Some(file) = &response.file {
        encoder = encoder.uint(option::SIZE2, u32::try_from(file.size).unwrap_or(u32::MAX));
        encoder.payload(&file.bytes);
        return;
    }
    if response.code == Code::REQUEST_ENTITY_TOO_LARGE && response.diagnostic.is_some() {
        // RFC 7252 §5.9.2.9: how much we would have taken.
        encoder = encoder.uint(option::SIZE1, BODY_BYTES_MAX as u32);
    }
    match &response.diagnostic {
        Some(diagnostic) => encoder.payload(diagnostic.as_bytes()),
        None => encoder.finish(),
    }
}
