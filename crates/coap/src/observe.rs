//! Which notification is newer, and how to number our own (RFC 7641).

use std::time::{Duration, Instant};

/// RFC 7641 §3.4: after this long a notification is newer whatever its number. It is longer than MAX_LATENCY (100 s).
pub const ORDER_LIFETIME: Duration = Duration::from_secs(128);

/// RFC 7641 §2: the Observe option holds 24 bits.
const SEQUENCE_MASK: u32 = 0x00ff_ffff;

/// Half of the number space: what lies further ahead counts as behind (RFC 7641 §3.4).
const HALF: u32 = 1 << 23;

/// Observe value of a request that starts an observation (RFC 7641 §2).
pub const REGISTER: u32 = 0;

/// Observe value of a request that ends an observation (RFC 7641 §2).
pub const CANCEL: u32 = 1;

/// Remembers the newest notification of one observation, so that late ones can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Order {
    newest: Option<(u32, Instant)>,
}

impl Order {
    /// Nothing heard yet: the next notification is the newest.
    #[must_use]
    pub const fn new() -> Self {
        Self { newest: None }
    }

    /// What was known before a restart: the newest notification, and when it came.
    #[must_use]
    pub const fn of(value: u32, at: Instant) -> Self {
        Self { newest: Some((value & SEQUENCE_MASK, at)) }
    }

    /// The newest notification, and when it came.
    #[must_use]
    pub const fn newest(&self) -> Option<(u32, Instant)> {
        self.newest
    }

    /// True, and remembered, if a notification with this Observe value that arrived `now` is newer than all before.
    pub fn accept(&mut self, now: Instant, value: u32) -> bool {
        let value = value & SEQUENCE_MASK;
        let is_accepted = self.newest.is_none_or(|newest| is_newer(newest, (value, now)));
        if is_accepted {
            self.newest = Some((value, now));
        }
        is_accepted
    }
}

/// RFC 7641 §3.4, word for word: is the second (V2, T2) fresher than the first (V1, T1)?
#[must_use]
pub fn is_newer((v1, t1): (u32, Instant), (v2, t2): (u32, Instant)) -> bool {
    (v1 < v2 && v2 - v1 < HALF) || (v1 > v2 && v1 - v2 > HALF) || t2.saturating_duration_since(t1) > ORDER_LIFETIME
}

/// Numbers for the notifications of one observation that we serve (RFC 7641 §4.4).
///
/// Counting by one stays clear of the limit of 2^23 numbers in 256 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sequence {
    next: u32,
}

impl Sequence {
    /// Starts anywhere: the first number has no meaning of its own.
    #[must_use]
    pub const fn starting_at(value: u32) -> Self {
        Self { next: value & SEQUENCE_MASK }
    }

    /// The number of the next notification.
    pub const fn next_value(&mut self) -> u32 {
        let value = self.next;
        self.next = (value + 1) & SEQUENCE_MASK;
        value
    }
}

#[cfg(test)]
mod tests {
    // The tests need one true moment to start from.
    #![allow(clippy::disallowed_methods)]

    use super::*;

    #[test]
    fn a_notification_that_was_overtaken_is_not_news() {
        let mut order = Order::new();
        let start = Instant::now();

        assert!(order.accept(start, 10));
        assert!(order.accept(start, 12));
        assert!(!order.accept(start, 11));
        assert!(!order.accept(start, 12), "the same once more");
        assert!(order.accept(start, 13));
    }

    #[test]
    fn the_numbers_wrap_around_at_24_bits() {
        let mut order = Order::new();
        let start = Instant::now();

        assert!(order.accept(start, SEQUENCE_MASK));
        assert!(order.accept(start, 0));
        assert!(!order.accept(start, SEQUENCE_MASK - 5));
        assert!(!order.accept(start, HALF), "exactly half the space ahead is not newer");
        assert!(order.accept(start, HALF - 1));
    }

    #[test]
    fn after_128_seconds_a_restarted_device_may_count_from_one_again() {
        let mut order = Order::new();
        let start = Instant::now();

        assert!(order.accept(start, 5000));
        assert!(!order.accept(start + ORDER_LIFETIME, 1));
        assert!(order.accept(start + ORDER_LIFETIME + Duration::from_millis(1), 1));
        assert!(order.accept(start + ORDER_LIFETIME + Duration::from_millis(2), 2));
    }

    #[test]
    fn our_own_numbers_grow_and_wrap() {
        let mut sequence = Sequence::starting_at(SEQUENCE_MASK);
        assert_eq!([sequence.next_value(), sequence.next_value(), sequence.next_value()], [SEQUENCE_MASK, 0, 1]);
    }
}
