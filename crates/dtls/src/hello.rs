//! A ClientHello as far as a server has to read it before there is a session (RFC 6347 §4.2.1, §4.2.2).

use crate::cookie::{COOKIE_BYTES, Cookie};
use crate::record::{HANDSHAKE, HEADER_BYTES};
use crate::suite::Suite;

/// Message types.
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;

/// Type (1), length (3), sequence number (2), fragment offset (3), fragment length (3).
const MESSAGE_HEADER_BYTES: usize = 12;

/// Version (2), length of the cookie (1), cookie.
const HELLO_VERIFY_BODY_BYTES: usize = 2 + 1 + COOKIE_BYTES;

/// RFC 6347 §4.2.1: the version field of a HelloVerifyRequest says DTLS 1.0 whatever is negotiated later.
const VERSION_DTLS10: [u8; 2] = [254, 255];

/// The client's random number: with a new one begins a new handshake.
pub(crate) type Random = [u8; 32];

/// Why a ClientHello is not worth an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelloRefused {
    /// Not a ClientHello of epoch 0.
    NotHello,
    /// Shorter than its own length fields say, or too short to hold a cookie.
    Truncated,
    /// A fragment that does not begin the message, where the cookie stands. The session of that address, if there is
    /// one, is waiting for it.
    NotFirstFragment,
    /// Nothing is wrong with it, but memory is short.
    NoMemory,
}

/// Whether a datagram begins with a ClientHello in the clear.
///
/// Fragments after the first are ClientHellos too.
pub fn is_client_hello(datagram: &[u8]) -> bool {
    begins_with(datagram, CLIENT_HELLO)
}

/// Whether this record is a HelloVerifyRequest, in the clear.
pub(crate) fn is_hello_verify(record: &[u8]) -> bool {
    begins_with(record, HELLO_VERIFY_REQUEST)
}

/// Whether a record begins with a message of this type, of epoch 0.
fn begins_with(record: &[u8], message: u8) -> bool {
    record.len() > HEADER_BYTES
        && record[0] == HANDSHAKE
        && record[1] == VERSION_DTLS10[0]
        && record[3..5] == [0, 0]
        && record[HEADER_BYTES] == message
}

/// Whether a ClientHello offers a suite of ours with a pre-shared key, which is then chosen: the handshake is a cheap one,
/// and so is one that says nothing of its suites in this datagram not.
pub fn offers_psk(datagram: &[u8]) -> bool {
    let Ok(hello) = ClientHello::parse(datagram) else { return false };
    let Ok((length, suites)) = fixed(hello.suites) else { return false };
    let suites = &suites[..suites.len().min(u16::from_be_bytes(*length).into())];
    let (suites, _) = suites.as_chunks();
    suites.iter().any(|code| Suite::of_code(u16::from_be_bytes(*code)).is_some_and(|suite| !suite.has_certificates()))
}

/// The beginning of a ClientHello, up to its suites.
pub(crate) struct ClientHello<'a> {
    /// Type, version, epoch and sequence number.
    record: &'a [u8; 11],
    message_sequence: [u8; 2],
    /// Version, random and session id: what the client repeats unchanged with the cookie.
    pub(crate) parameters: &'a [u8],
    pub(crate) random: &'a Random,
    pub(crate) cookie: &'a [u8],
    /// Their length, and as many of them as there are.
    suites: &'a [u8],
}

impl<'a> ClientHello<'a> {
    pub(crate) fn parse(datagram: &'a [u8]) -> Result<Self, HelloRefused> {
        if !is_client_hello(datagram) {
            return Err(HelloRefused::NotHello);
        }
        let (record, rest) = fixed(datagram)?;
        let (message_bytes, rest) = fixed(rest)?;
        let (message, _) = opaque(rest, u16::from_be_bytes(*message_bytes).into())?;
        let (header, body): (&[u8; MESSAGE_HEADER_BYTES], _) = fixed(message)?;
        if header[6..9] != [0, 0, 0] {
            return Err(HelloRefused::NotFirstFragment);
        }
        let (_version, rest): (&[u8; 2], _) = fixed(body)?;
        let (random, rest) = fixed(rest)?;
        let ([session_id_bytes], rest) = fixed(rest)?;
        let (_session_id, rest) = opaque(rest, (*session_id_bytes).into())?;
        let parameters = &body[..body.len() - rest.len()];
        let ([cookie_bytes], rest) = fixed(rest)?;
        let (cookie, suites) = opaque(rest, (*cookie_bytes).into())?;
        Ok(Self { record, message_sequence: [header[4], header[5]], parameters, random, cookie, suites })
    }

    /// Appends the HelloVerifyRequest that answers this hello.
    pub(crate) fn write_hello_verify(&self, cookie: &Cookie, out: &mut Vec<u8>) {
        const RECORD_LENGTH: u8 = (MESSAGE_HEADER_BYTES + HELLO_VERIFY_BODY_BYTES) as u8;
        const BODY_LENGTH: [u8; 3] = [0, 0, HELLO_VERIFY_BODY_BYTES as u8];

        // RFC 6347 §4.2.1: the record's number is that of the ClientHello, so that no state is needed.
        out.extend_from_slice(self.record);
        out.extend_from_slice(&[0, RECORD_LENGTH]);
        out.push(HELLO_VERIFY_REQUEST);
        out.extend_from_slice(&BODY_LENGTH);
        out.extend_from_slice(&self.message_sequence);
        out.extend_from_slice(&[0, 0, 0]);
        out.extend_from_slice(&BODY_LENGTH);
        out.extend_from_slice(&VERSION_DTLS10);
        out.push(COOKIE_BYTES as u8);
        out.extend_from_slice(cookie);
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), HelloRefused> {
    bytes.split_first_chunk().ok_or(HelloRefused::Truncated)
}

fn opaque(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), HelloRefused> {
    bytes.split_at_checked(length).ok_or(HelloRefused::Truncated)
}
