//! The cookie exchange of RFC 6347 §4.2.1: a peer proves that it receives at its address before we remember anything.

use zeroize::Zeroizing;

use crate::hello::{ClientHello, HelloRefused};
use crate::native::{self, Code};

/// The period a cookie was made in (its lowest byte), then the authentication code.
pub(crate) const COOKIE_BYTES: usize = 1 + MAC_BYTES;

/// RFC 2104 §5 allows half of the code, and clients of DTLS 1.0 take no more than 32 bytes.
const MAC_BYTES: usize = 16;

/// A cookie is good in the period it was made in and in the next: a minute is more than a client on the slowest link
/// needs, and too little to collect cookies of many addresses.
const PERIOD_MS: u64 = 60_000;

pub(crate) type Cookie = [u8; COOKIE_BYTES];

/// What to do with a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hello {
    /// The peer returned our cookie: make a session and feed it this very datagram.
    Verified,
    /// Send the HelloVerifyRequest that was put into `out`, and forget the peer.
    SendCookie,
    /// Say nothing.
    Drop(HelloRefused),
}

/// Makes cookies and knows its own again.
pub(crate) struct Cookies {
    secret: Zeroizing<[u8; 32]>,
}

impl Cookies {
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        Self { secret }
    }

    /// Judges a ClientHello; `out` receives the HelloVerifyRequest where one is due.
    pub(crate) fn judge(&self, now_ms: u64, peer: &[u8], datagram: &[u8], out: &mut Vec<u8>) -> Result<Hello, Code> {
        let hello = match ClientHello::parse(datagram) {
            Ok(hello) => hello,
            Err(refused) => return Ok(Hello::Drop(refused)),
        };
        let period = now_ms / PERIOD_MS;
        for period in [period, period.wrapping_sub(1)] {
            let begins_right = hello.cookie.first() == Some(&lowest_byte(period));
            if begins_right && are_equal(hello.cookie, &self.cookie(period, peer, &hello)?) {
                return Ok(Hello::Verified);
            }
        }
        hello.write_hello_verify(&self.cookie(period, peer, &hello)?, out);
        Ok(Hello::SendCookie)
    }

    fn cookie(&self, period: u64, peer: &[u8], hello: &ClientHello<'_>) -> Result<Cookie, Code> {
        let mut input = Vec::with_capacity(16 + peer.len() + hello.parameters.len());
        input.extend_from_slice(&period.to_be_bytes());
        input.extend_from_slice(&(peer.len() as u64).to_be_bytes());
        input.extend_from_slice(peer);
        input.extend_from_slice(hello.parameters);
        let mac = native::mac(self.secret.as_slice(), &input)?;

        let mut cookie = [lowest_byte(period); COOKIE_BYTES];
        cookie[1..].copy_from_slice(&mac[..MAC_BYTES]);
        Ok(cookie)
    }
}

fn lowest_byte(period: u64) -> u8 {
    period.to_be_bytes()[7]
}

/// Looks at every byte, so that the time it takes does not tell where a forged cookie went wrong.
fn are_equal(given: &[u8], expected: &Cookie) -> bool {
    given.len() == expected.len()
        && given.iter().zip(expected).fold(0, |differences, (given, expected)| differences | (given ^ expected)) == 0
}

#[cfg(test)]
mod tests {
    // A broken arrangement should stop the test where it broke.
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A ClientHello of a client with this random number.
    fn client_hello(random: u8, cookie: &[u8]) -> Vec<u8> {
        let mut body = vec![254, 253];
        body.extend_from_slice(&[random; 32]);
        body.push(0);
        body.push(cookie.len().try_into().unwrap());
        body.extend_from_slice(cookie);
        body.extend_from_slice(&[0, 2, 0xC0, 0xA8, 1, 0]);
        let length: u8 = body.len().try_into().unwrap();
        let mut datagram = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 7, 0, length + 12];
        datagram.extend_from_slice(&[1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length]);
        datagram.extend_from_slice(&body);
        datagram
    }

    fn cookie_from(cookies: &Cookies, now_ms: u64, peer: &[u8], random: u8) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(cookies.judge(now_ms, peer, &client_hello(random, b""), &mut out), Ok(Hello::SendCookie));
        assert_eq!(out[..11], client_hello(random, b"")[..11], "record header");
        assert_eq!(usize::from(out[12]), out.len() - 13, "record length");
        assert_eq!(usize::from(out[27]), out.len() - 28, "cookie length");
        out.split_off(28)
    }

    fn judge(cookies: &Cookies, now_ms: u64, peer: &[u8], random: u8, cookie: &[u8]) -> Hello {
        cookies.judge(now_ms, peer, &client_hello(random, cookie), &mut Vec::new()).unwrap()
    }

    #[test]
    fn a_cookie_is_good_for_its_peer_its_hello_and_a_minute() {
        let cookies = Cookies::new(Zeroizing::new([7; 32]));
        let start_ms = 10 * PERIOD_MS + PERIOD_MS / 2;

        let cookie = cookie_from(&cookies, start_ms, b"peer", 1);

        assert_eq!(judge(&cookies, start_ms, b"peer", 1, &cookie), Hello::Verified);
        assert_eq!(judge(&cookies, start_ms + PERIOD_MS, b"peer", 1, &cookie), Hello::Verified);
        assert_eq!(judge(&cookies, start_ms + 2 * PERIOD_MS, b"peer", 1, &cookie), Hello::SendCookie);
        assert_eq!(judge(&cookies, start_ms + 256 * PERIOD_MS, b"peer", 1, &cookie), Hello::SendCookie);
        assert_eq!(judge(&cookies, start_ms, b"pear", 1, &cookie), Hello::SendCookie);
        assert_eq!(judge(&cookies, start_ms, b"peer", 2, &cookie), Hello::SendCookie);
        let others = Cookies::new(Zeroizing::new([8; 32]));
        assert_eq!(judge(&others, start_ms, b"peer", 1, &cookie), Hello::SendCookie);
    }

    #[test]
    fn a_cookie_with_any_bit_changed_is_refused() {
        let cookies = Cookies::new(Zeroizing::new([7; 32]));
        let cookie = cookie_from(&cookies, 0, b"peer", 1);
        for bit in 0..cookie.len() * 8 {
            let mut forged = cookie.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(judge(&cookies, 0, b"peer", 1, &forged), Hello::SendCookie, "bit {bit}");
        }
    }

    #[test]
    fn what_is_no_whole_hello_gets_no_answer() {
        let cookies = Cookies::new(Zeroizing::new([7; 32]));
        let hello = client_hello(1, b"12345");
        let mut out = Vec::new();
        for length in 0..hello.len() {
            let judged = cookies.judge(0, b"peer", &hello[..length], &mut out).unwrap();
            assert!(matches!(judged, Hello::Drop(_)), "{length} bytes: {judged:?}");
        }
        let mut second_fragment = hello;
        second_fragment[21] = 1;
        let judged = cookies.judge(0, b"peer", &second_fragment, &mut out).unwrap();
        assert_eq!(judged, Hello::Drop(HelloRefused::NotFirstFragment));
        assert!(out.is_empty());
    }
}
