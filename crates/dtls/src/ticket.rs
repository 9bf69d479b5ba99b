//! Session tickets (RFC 5077): a session goes on in a later handshake, and the server remembers nothing meanwhile.
//!
//! What the server has to know comes back to it with the client's hello, sealed with a key that nobody else
//! has. The credential is judged again each time: a ticket saves the arithmetic, not the question.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use mbedtls_sys as sys;
use zeroize::Zeroizing;

use crate::certificate::{AlternativeName, Digest, NAME_BYTES_MAX, PeerCertificate};
use crate::credentials::IDENTITY_BYTES_MAX;
use crate::native::{self, Code};
use crate::native_tickets::{open, seal};

/// How long a ticket is good, from the full handshake on: a device that comes back daily is spared the long way, and what
/// somebody steals of a ticket's secrets is worthless the day after.
pub const TICKET_LIFE_MS: u64 = 24 * 3_600 * 1_000;

/// A key seals for as long as a ticket lives and opens for as long again; then nobody has it any more.
const PERIOD_MS: u64 = TICKET_LIFE_MS;

/// Longest ticket: the hello that brings it still fits into one datagram on every link that carries 1,280 bytes. Only a
/// certificate with many long names makes a longer one; its owner shakes hands in full.
pub const TICKET_BYTES_MAX: usize = 800;

/// The number of the key, then the nonce, what is sealed, and its authentication tag.
const KEY_NUMBER_BYTES: usize = 4;

/// Of the form that is sealed. A ticket of another build is none of ours.
const VERSION: u8 = 1;

/// What a pre-shared key is known again by; the key itself is not in the ticket.
type KeyCheck = [u8; 16];

/// Whom a ticket was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    Psk { identity: Box<[u8]>, check: KeyCheck },
    Certificate(Box<PeerCertificate>),
}

impl Holder {
    /// The holder of a pre-shared key.
    pub(crate) fn psk(identity: &[u8], key: &[u8]) -> Result<Self, Code> {
        let mac = native::mac(key, b"session ticket")?;
        let [check @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = mac;
        Ok(Self::Psk { identity: identity.into(), check })
    }
}

/// What a ticket says.
pub(crate) struct Content {
    pub(crate) suite: u16,
    pub(crate) master: Zeroizing<[u8; sys::MASTER_BYTES]>,
    pub(crate) holder: Holder,
}

/// Seals and opens the tickets of all sessions of a server.
pub(crate) struct Tickets {
    keys: Mutex<TicketKeys>,
}

impl Tickets {
    /// Whoever has the same secret opens the same tickets.
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>) -> Result<Self, Code> {
        Ok(Self { keys: Mutex::new(TicketKeys::new(secret)?) })
    }

    /// A ticket, or nothing if it would be too long.
    pub(crate) fn seal(&self, now_ms: u64, nonce: &Nonce, content: &Content) -> Result<Option<Vec<u8>>, Code> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.turn(now_ms)?;
        let number = keys.number.to_be_bytes();
        let mut ticket = [&number[..], nonce].concat();
        let start = ticket.len();
        write(&mut ticket, now_ms, content);
        if ticket.len() + sys::TICKET_TAG_BYTES > TICKET_BYTES_MAX {
            return Ok(None);
        }
        let tag = seal(&keys.current, nonce, &number, &mut ticket[start..])?;
        ticket.extend_from_slice(&tag);
        Ok(Some(ticket))
    }

    /// What a ticket says; nothing if it is not ours, was changed, or is too old.
    pub(crate) fn open(&self, now_ms: u64, ticket: &[u8]) -> Option<Content> {
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        let (number, rest) = ticket.split_first_chunk::<KEY_NUMBER_BYTES>()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (sealed, tag) = rest.split_last_chunk()?;
        let mut text = Zeroizing::new(sealed.to_vec());
        {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.turn(now_ms).ok()?;
            let key = keys.of_number(u32::from_be_bytes(*number))?;
            open(key, nonce, number, &mut text, tag).ok()?;
        }
        let mut reader = Reader(&text);
        let (issued_ms, content) = reader.content()?;
        let is_young = now_ms.checked_sub(issued_ms).is_none_or(|age_ms| age_ms < TICKET_LIFE_MS);
        (is_young && reader.0.is_empty()).then_some(content)
    }
}

type Nonce = [u8; sys::TICKET_NONCE_BYTES];
type Key = Zeroizing<[u8; sys::TICKET_KEY_BYTES]>;

/// Each secret is made from the one before, which is then forgotten: who steals it opens no ticket of the past.
struct TicketKeys {
    number: u32,
    secret: Zeroizing<[u8; 32]>,
    current: Key,
    previous: Option<Key>,
}

impl TicketKeys {
    fn new(secret: Zeroizing<[u8; 32]>) -> Result<Self, Code> {
        Ok(Self { number: 0, current: key_of(&secret)?, secret, previous: None })
    }

    /// Goes on to the key that is due. A clock that goes back changes nothing.
    fn turn(&mut self, now_ms: u64) -> Result<(), Code> {
        let due = u32::try_from(now_ms / PERIOD_MS).unwrap_or(u32::MAX);
        while self.number < due {
            self.secret = Zeroizing::new(native::mac(&*self.secret, b"next secret")?);
            let next = key_of(&self.secret)?;
            self.previous = Some(std::mem::replace(&mut self.current, next));
            self.number += 1;
        }
        Ok(())
    }

    fn of_number(&self, number: u32) -> Option<&Key> {
        match self.number.checked_sub(number)? {
            0 => Some(&self.current),
            1 => self.previous.as_ref(),
            _ => None,
        }
    }
}

fn key_of(secret: &[u8; 32]) -> Result<Key, Code> {
    let mac = Zeroizing::new(native::mac(secret, b"key of tickets")?);
    let mut key = Zeroizing::new([0; sys::TICKET_KEY_BYTES]);
    key.copy_from_slice(&mac[..sys::TICKET_KEY_BYTES]);
    Ok(key)
}

const PSK: u8 = 1;
const CERTIFICATE: u8 = 2;
const DNS: u8 = 1;
const URI: u8 = 2;

fn write(out: &mut Vec<u8>, now_ms: u64, content: &Content) {
    out.push(VERSION);
    out.extend_from_slice(&now_ms.to_be_bytes());
    out.extend_from_slice(&content.suite.to_be_bytes());
    out.extend_from_slice(&*content.master);
    match &content.holder {
        Holder::Psk { identity, check } => {
            out.push(PSK);
            write_text(out, identity);
            out.extend_from_slice(check);
        }
        Holder::Certificate(certificate) => {
            out.push(CERTIFICATE);
            write_certificate(out, certificate);
        }
    }
}

fn write_certificate(out: &mut Vec<u8>, certificate: &PeerCertificate) {
    write_text(out, certificate.common_name.as_deref().unwrap_or_default().as_bytes());
    out.push(certificate.names.len() as u8);
    for name in &certificate.names {
        let (tag, name) = match name {
            AlternativeName::Dns(name) => (DNS, name),
            AlternativeName::Uri(name) => (URI, name),
        };
        out.push(tag);
        write_text(out, name.as_bytes());
    }
    for digest in [&certificate.issuer, &certificate.subject, &certificate.fingerprint, &certificate.anchor] {
        out.extend_from_slice(digest);
    }
    write_text(out, &certificate.serial);
    for time_s in [certificate.not_before_s, certificate.not_after_s, certificate.chain_not_after_s] {
        out.extend_from_slice(&time_s.to_be_bytes());
    }
}

/// Names have at most [`NAME_BYTES_MAX`] bytes, which is what one byte can say; serial numbers 20 (RFC 5280 §4.1.2.2), and
/// one that is longer is cut: it only names.
fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    let text = &text[..text.len().min(NAME_BYTES_MAX)];
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn content(&mut self) -> Option<(u64, Content)> {
        if self.byte()? != VERSION {
            return None;
        }
        let issued_ms = u64::from_be_bytes(*self.fixed()?);
        let suite = u16::from_be_bytes(*self.fixed()?);
        let master = Zeroizing::new(*self.fixed()?);
        let holder = match self.byte()? {
            PSK => {
                let identity = self.text().filter(|identity| identity.len() <= IDENTITY_BYTES_MAX)?;
                Holder::Psk { identity: identity.into(), check: *self.fixed()? }
            }
            CERTIFICATE => Holder::Certificate(Box::new(self.certificate()?)),
            _ => return None,
        };
        Some((issued_ms, Content { suite, master, holder }))
    }

    fn certificate(&mut self) -> Option<PeerCertificate> {
        let common_name = Some(self.string()?).filter(|name| !name.is_empty());
        let names = (0..self.byte()?).map(|_| self.name()).collect::<Option<Vec<_>>>()?;
        let [issuer, subject, fingerprint, anchor]: [Digest; 4] =
            [*self.fixed()?, *self.fixed()?, *self.fixed()?, *self.fixed()?];
        let serial = self.text()?.to_vec();
        let [not_before_s, not_after_s, chain_not_after_s] =
            [*self.fixed()?, *self.fixed()?, *self.fixed()?].map(i64::from_be_bytes);
        Some(PeerCertificate {
            common_name,
            names,
            issuer,
            subject,
            fingerprint,
            serial,
            not_before_s,
            not_after_s,
            chain_not_after_s,
            anchor,
        })
    }

    fn name(&mut self) -> Option<AlternativeName> {
        match self.byte()? {
            DNS => self.string().map(AlternativeName::Dns),
            URI => self.string().map(AlternativeName::Uri),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<String> {
        String::from_utf8(self.text()?.to_vec()).ok()
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?.into();
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn byte(&mut self) -> Option<u8> {
        self.fixed().map(|[byte]| *byte)
    }

    fn fixed<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(bytes)
    }
}

/// What a client keeps of a session, to go on from it later. It holds secrets: keep it in memory.
#[derive(Clone)]
pub struct Ticket {
    /// In the library's own form.
    pub(crate) saved: Zeroizing<Vec<u8>>,
    /// With whose key or certificate the session began.
    pub(crate) owner: Digest,
    pub(crate) expires_ms: u64,
    /// The server's.
    pub(crate) certificate: Option<Box<PeerCertificate>>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ticket(good until {} ms)", self.expires_ms)
    }
}

#[cfg(test)]
mod tests {
    // A broken arrangement should stop the test where it broke.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NONCE: Nonce = [7; sys::TICKET_NONCE_BYTES];

    fn tickets(secret: u8) -> Tickets {
        Tickets::new(Zeroizing::new([secret; 32])).unwrap()
    }

    fn content(holder: Holder) -> Content {
        Content { suite: 0xC0A8, master: Zeroizing::new([3; sys::MASTER_BYTES]), holder }
    }

    fn of_psk() -> Content {
        content(Holder::psk(b"camera-1", b"its key").unwrap())
    }

    fn certificate(names: usize) -> PeerCertificate {
        PeerCertificate {
            common_name: Some("camera-1".to_owned()),
            names: (0..names).map(|name| AlternativeName::Uri(format!("urn:dev:{name}"))).collect(),
            issuer: [1; 32],
            subject: [2; 32],
            fingerprint: [3; 32],
            serial: vec![4; 20],
            not_before_s: -1,
            not_after_s: i64::MAX,
            chain_not_after_s: i64::MIN,
            anchor: [5; 32],
        }
    }

    #[test]
    fn what_was_sealed_comes_back() {
        for holder in [
            Holder::psk(&[9; IDENTITY_BYTES_MAX], b"key").unwrap(),
            Holder::Certificate(Box::new(certificate(0))),
            Holder::Certificate(Box::new(PeerCertificate { common_name: None, ..certificate(8) })),
        ] {
            let (here, there) = (tickets(1), tickets(1));
            let ticket = here.seal(5, &NONCE, &content(holder.clone())).unwrap().unwrap();

            let opened = there.open(6, &ticket).unwrap();

            assert_eq!((opened.suite, *opened.master, opened.holder), (0xC0A8, [3; sys::MASTER_BYTES], holder));
            assert!(tickets(2).open(6, &ticket).is_none(), "another secret");
        }
    }

    #[test]
    fn a_ticket_with_any_bit_changed_or_any_byte_missing_is_none() {
        let tickets = tickets(1);
        let ticket = tickets.seal(5, &NONCE, &of_psk()).unwrap().unwrap();
        for bit in 0..ticket.len() * 8 {
            let mut forged = ticket.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(tickets.open(5, &forged).is_none(), "bit {bit}");
        }
        for length in 0..ticket.len() {
            assert!(tickets.open(5, &ticket[..length]).is_none(), "{length} bytes");
        }
        assert!(tickets.open(5, &[&ticket[..], &[0]].concat()).is_none());
        assert!(tickets.open(5, &[0; 65_535]).is_none());
        assert!(tickets.open(5, &ticket).is_some());
    }

    #[test]
    fn a_ticket_lives_for_a_day_whenever_it_was_made() {
        for made_ms in [0, 1, PERIOD_MS / 2, PERIOD_MS - 1, PERIOD_MS, 9 * PERIOD_MS + 7] {
            let tickets = tickets(1);
            let ticket = tickets.seal(made_ms, &NONCE, &of_psk()).unwrap().unwrap();

            assert!(tickets.open(made_ms + TICKET_LIFE_MS - 1, &ticket).is_some(), "{made_ms}");
            assert!(tickets.open(made_ms + TICKET_LIFE_MS, &ticket).is_none(), "{made_ms}");
        }
    }

    #[test]
    fn keys_turn_and_the_old_ones_are_gone() {
        let tickets = tickets(1);
        let ticket = tickets.seal(0, &NONCE, &of_psk()).unwrap().unwrap();

        let later = tickets.seal(2 * PERIOD_MS, &NONCE, &of_psk()).unwrap().unwrap();

        assert_ne!(ticket[KEY_NUMBER_BYTES..], later[KEY_NUMBER_BYTES..]);
        // Not even for a clock that goes back.
        assert!(tickets.open(1, &ticket).is_none());
        assert!(tickets.open(1, &later).is_some());
    }

    #[test]
    fn a_certificate_that_makes_too_long_a_ticket_gets_none() {
        let mut long = certificate(8);
        long.names.iter_mut().for_each(|name| *name = AlternativeName::Dns("n".repeat(NAME_BYTES_MAX)));

        let sealed = tickets(1).seal(5, &NONCE, &content(Holder::Certificate(Box::new(long)))).unwrap();

        assert_eq!(sealed, None);
    }

    #[test]
    fn anything_that_could_be_sealed_is_read_without_harm() {
        let mut text = Vec::new();
        write(&mut text, 5, &content(Holder::Certificate(Box::new(certificate(3)))));
        for length in 0..text.len() {
            assert!(Reader(&text[..length]).content().is_none(), "{length} bytes");
        }
        for at in 0..text.len() {
            for byte in [0, 1, 2, 127, 255] {
                let mut other = text.clone();
                other[at] = byte;
                let _ = Reader(&other).content();
            }
        }
    }
}
