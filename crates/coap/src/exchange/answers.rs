//! What we answered lately, so that a request that comes twice runs once (RFC 7252 §4.5).

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
pub const ANSWERS_BYTES_MAX: usize = 2 * ANSWER_BYTES_MAX;

/// An entry: message id, digest of the token, age, length of the answer.
const ENTRY_BYTES: usize = 10;

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
    /// Entries one after another, oldest first: a handful per peer and many thousand peers.
    entries: Vec<u8>,
}

impl Answers {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { base: None, entries: Vec::new() }
    }

    /// Did this request come before?
    pub fn seen(&mut self, now: Instant, id: u16, token: Token) -> Seen<'_> {
        self.forget_expired(now);
        let Some(entry) = self.find(id, token) else { return Seen::New };
        if entry.length == PENDING { Seen::Pending } else { Seen::Answered(&self.entries[entry.answer()]) }
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
        if let Some(entry) = self.find(id, token) {
            self.entries.drain(entry.at..entry.end());
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
        let newest = self.iter().last()?;
        Some(self.base? + Duration::from_millis(u64::from(newest.age_ms)) + EXCHANGE_LIFETIME)
    }

    /// Nothing is remembered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    fn append(&mut self, now: Instant, id: u16, token: Token, length: u16, answer: &[u8]) {
        let needed = ENTRY_BYTES + answer.len();
        while self.iter().count() >= ANSWERS_MAX || self.entries.len() + needed > ANSWERS_BYTES_MAX {
            let Some(oldest) = self.iter().next() else { break };
            self.entries.drain(oldest.at..oldest.end());
        }
        let base = *self.base.get_or_insert(now);
        let age_ms = u32::try_from(now.saturating_duration_since(base).as_millis()).unwrap_or(u32::MAX);
        // Exactly what is needed: growth by doubling would double the memory of every peer.
        self.entries.reserve_exact(needed);
        self.entries.extend_from_slice(&id.to_le_bytes());
        self.entries.extend_from_slice(&token.digest().to_le_bytes());
        self.entries.extend_from_slice(&age_ms.to_le_bytes());
        self.entries.extend_from_slice(&length.to_le_bytes());
        self.entries.extend_from_slice(answer);
    }

    fn forget_expired(&mut self, now: Instant) {
        let Some(base) = self.base else { return };
        let age_ms = now.saturating_duration_since(base).as_millis();
        let is_expired = |entry: &Entry| u128::from(entry.age_ms) + EXCHANGE_LIFETIME.as_millis() <= age_ms;
        let expired = self.iter().take_while(is_expired).last().map_or(0, |entry| entry.end());
        if expired > 0 {
            self.entries.drain(..expired);
            self.give_back();
        }
        self.rebase(base);
    }

    /// Gives memory back when most of it is unused.
    fn give_back(&mut self) {
        if self.entries.is_empty() {
            *self = Self::new();
        } else if self.entries.capacity() > 2 * self.entries.len() + 64 {
            self.entries.shrink_to_fit();
        }
    }

    /// A peer that never pauses for 247 s would run out of milliseconds after 49 days.
    fn rebase(&mut self, base: Instant) {
        let Some(oldest) = self.iter().next().filter(|oldest| oldest.age_ms >= AGE_MS_MAX) else { return };
        self.base = Some(base + Duration::from_millis(u64::from(oldest.age_ms)));
        for entry in self.iter().collect::<Vec<_>>() {
            let age_ms = entry.age_ms - oldest.age_ms;
            self.entries[entry.at + 4..entry.at + 8].copy_from_slice(&age_ms.to_le_bytes());
        }
    }

    fn find(&self, id: u16, token: Token) -> Option<Entry> {
        let digest = token.digest();
        self.iter().find(|entry| entry.id == id && entry.digest == digest)
    }

    fn iter(&self) -> impl Iterator<Item = Entry> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let entry = Entry::read(&self.entries, at)?;
            at = entry.end();
            Some(entry)
        })
    }
}

/// Where an entry is and what its header says.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: usize,
    id: u16,
    digest: u16,
    age_ms: u32,
    length: u16,
}

impl Entry {
    fn read(entries: &[u8], at: usize) -> Option<Self> {
        let [id0, id1, digest0, digest1, a0, a1, a2, a3, l0, l1] = *entries.get(at..)?.first_chunk::<ENTRY_BYTES>()?;
        Some(Self {
            at,
            id: u16::from_le_bytes([id0, id1]),
            digest: u16::from_le_bytes([digest0, digest1]),
            age_ms: u32::from_le_bytes([a0, a1, a2, a3]),
            length: u16::from_le_bytes([l0, l1]),
        })
    }

    fn answer(&self) -> std::ops::Range<usize> {
        let length = if self.length == PENDING { 0 } else { usize::from(self.length) };
        self.at + ENTRY_BYTES..self.at + ENTRY_BYTES + length
    }

    fn end(&self) -> usize {
        self.answer().end
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
        assert_eq!(answers.entries.capacity(), 0);
        assert_eq!(answers.poll_timeout(), None);
    }

    #[test]
    fn no_more_than_sixteen_are_remembered_and_no_more_than_so_many_bytes() {
        let (mut answers, now) = (Answers::new(), Instant::now());
        for id in 0..100 {
            answers.answered(now, id, token(0), b"a short answer");
        }
        assert_eq!(answers.iter().count(), ANSWERS_MAX);
        assert_eq!(answers.seen(now, 83, token(0)), Seen::New);
        assert_eq!(answers.seen(now, 84, token(0)), Seen::Answered(b"a short answer"));

        for id in 200..300 {
            answers.answered(now, id, token(0), &[0; 700]);
            assert!(answers.entries.capacity() <= ANSWERS_BYTES_MAX);
        }
        assert_eq!(answers.iter().count(), 3);
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
            assert!(answers.entries.len() <= 2 * (ENTRY_BYTES + 4));
        }
    }

    #[test]
    fn an_idle_peer_is_cheap() {
        assert!(size_of::<Answers>() + size_of::<super::super::Requests<u64>>() <= 150);
    }
}
