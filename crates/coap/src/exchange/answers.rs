//! What we answered lately, so that a request that comes twice runs once (RFC 7252 §4.5).

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::message::Token;

/// RFC 7252 §4.8.2: after this long no copy of a confirmable message can still be on its way, and its id may mean
/// something new. Messages that are not confirmable live shorter (145 s) and are kept as long.
pub const EXCHANGE_LIFETIME: Duration = Duration::from_secs(247);

/// Requests remembered per peer. A peer keeps to NSTART, so copies of more than a few cannot be on their way.
pub const ANSWERS_MAX: usize = 16;

/// A longer answer is not remembered. No answer of ours is: a block of 1024 bytes and its options stay below the least
/// MTU of IPv6.
pub const ANSWER_BYTES_MAX: usize = 1280;

/// All that is remembered per peer; the oldest goes first. Sixteen answers of the usual 20 to 60 bytes fit, or two of
/// full size: with NSTART 1 a copy is nearly always one of the newest.
pub const ANSWERS_BYTES_MAX: usize = 2 * (HEADER_BYTES + ANSWER_BYTES_MAX);

/// Of a [`Header`]: message id and digest of the token, which name the request, age, length of the answer.
const HEADER_BYTES: usize = 10;
const NAME_BYTES: usize = 4;

/// In place of a length: the answer is not out yet.
const PENDING: u16 = u16::MAX;

/// Ages are kept in milliseconds since `base`, which moves on before they run out of bits.
const AGE_MS_MAX: u32 = 1 << 31;

/// What is known of a request that just came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Nothing: run it.
    New,
    /// It runs, and its answer is not out yet: stay silent.
    Pending,
    /// Send this again.
    Answered(&'a [u8]),
}

/// The requests of one peer and our answers, for as long as copies of them may arrive.
///
/// A request is known by message id and token. RFC 7252 §4.5 speaks of the id alone; a true copy has the same token
/// anyway, and a device that rebooted may start again at the same id with another request.
///
/// While there is nothing to remember it holds no memory beyond itself.
#[derive(Debug, Default)]
pub struct Answers {
    base: Option<Instant>,
    /// The headers of all entries, oldest first, then their answers in the same order: a handful per peer and many
    /// thousand peers, and each request looks through the headers.
    bytes: Vec<u8>,
    /// How many entries.
    count: u8,
}

impl Answers {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { base: None, bytes: Vec::new(), count: 0 }
    }

    /// Did this request come before?
    pub fn seen(&mut self, now: Instant, id: u16, token: Token) -> Seen<'_> {
        self.forget_expired(now);
        let Some(at) = self.find(id, token) else { return Seen::New };
        if self.header(at).length == PENDING { Seen::Pending } else { Seen::Answered(&self.bytes[self.answer(at)]) }
    }

    /// The request runs; copies of it are met with silence until [`Answers::answered`].
    pub fn pending(&mut self, now: Instant, id: u16, token: Token) {
        self.forget_expired(now);
        if self.find(id, token).is_none() {
            self.append(now, id, token, PENDING, &[]);
        }
    }

    /// This went out as the answer; copies of the request get it again. An empty acknowledgement counts too.
    ///
    /// Leave out what may run twice without harm and is long, such as the blocks of a download: RFC 7252 §4.5 allows
    /// it, and it saves a kilobyte per peer that downloads.
    pub fn answered(&mut self, now: Instant, id: u16, token: Token, answer: &[u8]) {
        self.forget_expired(now);
        if let Some(at) = self.find(id, token) {
            self.remove(at);
        }
        if answer.len() <= ANSWER_BYTES_MAX {
            self.append(now, id, token, answer.len() as u16, answer);
        }
        self.give_back();
    }

    /// Forgets what cannot come again. Not needed for correctness, only for memory.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.forget_expired(now);
    }

    /// When everything known now has expired: a good time for [`Answers::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let newest = self.header(self.count().checked_sub(1)?);
        Some(self.base? + Duration::from_millis(u64::from(newest.age_ms)) + EXCHANGE_LIFETIME)
    }

    /// Nothing is remembered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.count == 0
    }

    /// The memory that the next request of this peer reads, for whoever wants it in the processor's cache by then.
    #[must_use]
    pub fn memory(&self) -> &[u8] {
        &self.bytes
    }

    fn append(&mut self, now: Instant, id: u16, token: Token, length: u16, answer: &[u8]) {
        let needed = HEADER_BYTES + answer.len();
        while self.count > 0 && (self.count() >= ANSWERS_MAX || self.bytes.len() + needed > ANSWERS_BYTES_MAX) {
            self.remove(0);
        }
        let base = *self.base.get_or_insert(now);
        let age_ms = u32::try_from(now.saturating_duration_since(base).as_millis()).unwrap_or(u32::MAX);
        let (at, end) = (self.headers_end(), self.bytes.len());
        // Exactly what is needed: growth by doubling would double the memory of every peer.
        self.bytes.reserve_exact(needed);
        self.bytes.extend_from_slice(&[0; HEADER_BYTES]);
        self.bytes.copy_within(at..end, at + HEADER_BYTES);
        let header = Header { id, digest: token.digest(), age_ms, length };
        self.bytes[at..at + HEADER_BYTES].copy_from_slice(&header.bytes());
        self.bytes.extend_from_slice(answer);
        self.count += 1;
    }

    fn remove(&mut self, at: usize) {
        self.bytes.drain(self.answer(at));
        self.bytes.drain(at * HEADER_BYTES..(at + 1) * HEADER_BYTES);
        self.count -= 1;
    }

    fn forget_expired(&mut self, now: Instant) {
        let Some(base) = self.base else { return };
        let age_ms = now.saturating_duration_since(base).as_millis() as u64;
        let is_expired = |header: Header| u64::from(header.age_ms) + EXCHANGE_LIFETIME.as_millis() as u64 <= age_ms;
        let before = self.count;
        while self.count > 0 && is_expired(self.header(0)) {
            self.remove(0);
        }
        if self.count < before {
            self.give_back();
        }
        self.rebase(base);
    }

    /// Gives memory back when most of it is unused.
    fn give_back(&mut self) {
        if self.count == 0 {
            *self = Self::new();
        } else if self.bytes.capacity() > 2 * self.bytes.len() + 64 {
            self.bytes.shrink_to_fit();
        }
    }

    /// A peer that never pauses for 247 s would run out of milliseconds after 49 days.
    fn rebase(&mut self, base: Instant) {
        if self.count == 0 || self.header(0).age_ms < AGE_MS_MAX {
            return;
        }
        let oldest = self.header(0).age_ms;
        self.base = Some(base + Duration::from_millis(u64::from(oldest)));
        for at in 0..self.count() {
            let header = self.header(at);
            let header = Header { age_ms: header.age_ms - oldest, ..header };
            self.bytes[at * HEADER_BYTES..][..HEADER_BYTES].copy_from_slice(&header.bytes());
        }
    }

    fn count(&self) -> usize {
        usize::from(self.count)
    }

    fn headers_end(&self) -> usize {
        self.count() * HEADER_BYTES
    }

    /// Where the entry of a request is: most likely among the newest.
    fn find(&self, id: u16, token: Token) -> Option<usize> {
        let wanted = Header { id, digest: token.digest(), age_ms: 0, length: 0 }.bytes();
        let mut headers = self.bytes[..self.headers_end()].chunks_exact(HEADER_BYTES);
        headers.rposition(|header| header[..NAME_BYTES] == wanted[..NAME_BYTES])
    }

    fn header(&self, at: usize) -> Header {
        let [id0, id1, digest0, digest1, a0, a1, a2, a3, l0, l1] =
            self.bytes[at * HEADER_BYTES..].first_chunk().copied().unwrap_or_default();
        Header {
            id: u16::from_le_bytes([id0, id1]),
            digest: u16::from_le_bytes([digest0, digest1]),
            age_ms: u32::from_le_bytes([a0, a1, a2, a3]),
            length: u16::from_le_bytes([l0, l1]),
        }
    }

    /// Where the answer of an entry is.
    fn answer(&self, at: usize) -> Range<usize> {
        let start = (0..at).fold(self.headers_end(), |start, before| start + self.header(before).answer_bytes());
        start..start + self.header(at).answer_bytes()
    }
}

/// What stands about a request before the answers.
#[derive(Debug, Clone, Copy)]
struct Header {
    id: u16,
    /// Of the token.
    digest: u16,
    /// Since the base.
    age_ms: u32,
    /// Of the answer, in bytes.
    length: u16,
}

impl Header {
    fn bytes(&self) -> [u8; HEADER_BYTES] {
        let ([id0, id1], [digest0, digest1]) = (self.id.to_le_bytes(), self.digest.to_le_bytes());
        let ([a0, a1, a2, a3], [l0, l1]) = (self.age_ms.to_le_bytes(), self.length.to_le_bytes());
        [id0, id1, digest0, digest1, a0, a1, a2, a3, l0, l1]
    }

    fn answer_bytes(&self) -> usize {
        if self.length == PENDING { 0 } else { usize::from(self.length) }
    }
}

#[cfg(test)]
mod tests {
    // A test that cannot go on should say so loudly, and needs one true moment to start from.
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]

    use super::*;

    fn token(value: u32) -> Token {
        Token::of_u32(value)
    }

    #[test]
    fn a_request_that_comes_twice_gets_the_same_answer() {
        let (mut answers, now) = (Answers::new(), Instant::now());
        assert_eq!(answers.seen(now, 7, token(1)), Seen::New);

        answers.pending(now, 7, token(1));
        assert_eq!(answers.seen(now, 7, token(1)), Seen::Pending);

        answers.answered(now, 7, token(1), b"done");
        assert_eq!(answers.seen(now + Duration::from_secs(200), 7, token(1)), Seen::Answered(b"done"));
    }

    #[test]
    fn a_rebooted_device_that_counts_from_the_start_is_not_taken_for_its_former_self() {
        let (mut answers, now) = (Answers::new(), Instant::now());
        answers.answered(now, 1, token(1), b"before");
        assert_eq!(answers.seen(now, 1, token(2)), Seen::New);
        answers.answered(now, 1, token(2), b"after");
        assert_eq!(answers.seen(now, 1, token(1)), Seen::Answered(b"before"));
        assert_eq!(answers.seen(now, 1, token(2)), Seen::Answered(b"after"));
    }

    #[test]
    fn after_the_exchange_lifetime_everything_is_forgotten_and_the_memory_given_back() {
        let (mut answers, now) = (Answers::new(), Instant::now());
        answers.answered(now, 1, token(1), b"first");
        answers.answered(now + Duration::from_secs(10), 2, token(2), b"second");
        assert_eq!(answers.poll_timeout(), Some(now + Duration::from_secs(10) + EXCHANGE_LIFETIME));

        let just_before = now + EXCHANGE_LIFETIME - Duration::from_millis(1);
        assert_eq!(answers.seen(just_before, 1, token(1)), Seen::Answered(b"first"));
        assert_eq!(answers.seen(now + EXCHANGE_LIFETIME, 1, token(1)), Seen::New);
        assert_eq!(answers.seen(now + EXCHANGE_LIFETIME, 2, token(2)), Seen::Answered(b"second"));

        answers.handle_timeout(answers.poll_timeout().unwrap());
        assert!(answers.is_idle());
        assert_eq!(answers.bytes.capacity(), 0);
        assert_eq!(answers.poll_timeout(), None);
    }

    #[test]
    fn no_more_than_sixteen_are_remembered_and_no_more_than_so_many_bytes() {
        let (mut answers, now) = (Answers::new(), Instant::now());
        for id in 0..100 {
            answers.answered(now, id, token(0), b"a short answer");
        }
        assert_eq!(answers.count(), ANSWERS_MAX);
        assert_eq!(answers.seen(now, 83, token(0)), Seen::New);
        assert_eq!(answers.seen(now, 84, token(0)), Seen::Answered(b"a short answer"));

        for id in 200..300 {
            answers.answered(now, id, token(0), &[0; 700]);
            assert!(answers.bytes.capacity() <= ANSWERS_BYTES_MAX);
        }
        assert_eq!(answers.count(), 3);
        answers.answered(now, 300, token(0), &[0; ANSWER_BYTES_MAX + 1]);
        assert_eq!(answers.seen(now, 300, token(0)), Seen::New);
    }

    #[test]
    fn a_peer_that_never_pauses_for_months_is_remembered_all_the_same() {
        let (mut answers, mut now) = (Answers::new(), Instant::now());
        for step in 0..60_000_u32 {
            answers.answered(now, step as u16, token(step), &step.to_be_bytes());
            now += Duration::from_secs(200);
            assert_eq!(answers.seen(now, step as u16, token(step)), Seen::Answered(&step.to_be_bytes()), "{step}");
            assert!(answers.bytes.len() <= 2 * (HEADER_BYTES + 4));
        }
    }

    #[test]
    fn an_idle_peer_is_cheap() {
        assert!(size_of::<Answers>() + size_of::<super::super::Requests<u64>>() <= 160);
    }
}
