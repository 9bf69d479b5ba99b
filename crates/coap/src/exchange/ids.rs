//! Message ids and tokens of our own (RFC 7252 §4.4, §5.3.1).

use super::transmission::Jitter;
use crate::message::Token;

/// A quarter of all message ids: more than one peer is sent in a minute, and no copy of an older one still travels by the
/// time they come round.
const IDS_SKIPPED: u16 = 1 << 14;

/// More tokens than one peer is given between two checkpoints, and little of 2^32.
const TOKENS_SKIPPED: u32 = 1 << 20;

/// Where the message ids and tokens of one peer stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The next message id.
    pub next_id: u16,
    /// The counter that the next token is made of.
    pub next_token: u32,
    /// What it is made with.
    pub token_key: u32,
}

/// Message ids and tokens of one peer: counters with a start that nobody else knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    next_id: u16,
    next_token: u32,
    token_key: u32,
    pub(super) jitter: Jitter,
}

impl Ids {
    pub(super) const fn new(seed: u64) -> Self {
        // SplitMix64 twice: neighbouring seeds give unrelated starts.
        let a = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let b = mix(seed.wrapping_add(0x3c6e_f372_fe94_f82a));
        Self {
            next_id: a as u16,
            next_token: (a >> 32) as u32,
            token_key: (b >> 32) as u32,
            jitter: Jitter::new(b as u32),
        }
    }

    pub(super) const fn numbers(&self) -> Numbers {
        Numbers { next_id: self.next_id, next_token: self.next_token, token_key: self.token_key }
    }

    pub(super) const fn go_on(&mut self, before: Numbers) {
        self.next_id = before.next_id.wrapping_add(IDS_SKIPPED);
        self.next_token = before.next_token.wrapping_add(TOKENS_SKIPPED);
        self.token_key = before.token_key;
    }

    pub(super) const fn next_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    /// An odd factor and an exclusive or permute the counter: no token comes again before 2^32 others.
    pub(super) const fn next_token(&mut self) -> Token {
        let counter = self.next_token;
        self.next_token = counter.wrapping_add(1);
        Token::of_u32(counter.wrapping_mul(0x9e37_79b1) ^ self.token_key)
    }
}

const fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_restart_neither_a_message_id_nor_a_token_comes_again() {
        let mut before = Ids::new(7);
        let numbers = before.numbers();
        let used: Vec<(u16, Token)> = (0..1_000).map(|_| (before.next_id(), before.next_token())).collect();

        let mut after = Ids::new(8);
        after.go_on(numbers);

        for _ in 0..1_000 {
            let (id, token) = (after.next_id(), after.next_token());
            assert!(used.iter().all(|(other_id, other)| *other_id != id && *other != token));
        }
    }
}
