//! How often and how patiently a message is repeated (RFC 7252 §4.2, §4.8).

use std::time::{Duration, Instant};

use crate::blockwise::{BODY_BYTES_MAX, SZX_MAX};
use crate::connection::Capacity;

/// No single wait is longer, whatever the parameters: keeps the arithmetic of deadlines far from its end.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// RFC 7252 §4.7, §4.8: bytes per second towards a peer that does not respond.
const PROBING_RATE: u64 = 1;

/// The transmission parameters towards one peer. The defaults are those of RFC 7252 §4.8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transmission {
    /// ACK_TIMEOUT: the least time until the first repetition. NB-IoT wants 5 to 10 s.
    pub ack_timeout: Duration,
    /// ACK_RANDOM_FACTOR: how far beyond `ack_timeout` the first wait may lie.
    pub random_factor: f32,
    /// MAX_RETRANSMIT: repetitions after the first sending.
    pub max_retransmit: u8,
    /// NSTART: requests that may be on their way without any sign of arrival. 0 counts as 1.
    pub nstart: u8,
    /// How long to wait for the response after the request was acknowledged, and for the response to a request that
    /// is not confirmable. The specification leaves it open; MAX_TRANSMIT_WAIT gives the peer as long for its answer
    /// as our request may have needed.
    pub response_wait: Duration,
    /// Largest block size exponent used towards this peer, 0 to 6.
    pub szx: u8,
    /// Largest response body assembled from blocks.
    pub body_bytes_max: u32,
    /// What a peer takes that is connected. Nothing towards it is confirmed or repeated, and NSTART does not count: the
    /// connection sees to all of that (RFC 8323 §3). `None` for datagrams.
    pub capacity: Option<Capacity>,
}

impl Default for Transmission {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            random_factor: 1.5,
            max_retransmit: 4,
            nstart: 1,
            response_wait: Duration::from_secs(93),
            szx: SZX_MAX,
            body_bytes_max: BODY_BYTES_MAX as u32,
            capacity: None,
        }
    }
}

impl Transmission {
    /// MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2): from the first sending until it is given up. 93 s with the defaults.
    #[must_use]
    pub fn max_transmit_wait(&self) -> Duration {
        let doublings = 2_f64.powi(i32::from(self.max_retransmit) + 1) - 1.0;
        let seconds = self.ack_timeout.as_secs_f64() * f64::from(self.random_factor.max(1.0)) * doublings;
        Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }

    fn first_wait(&self, jitter: &mut Jitter) -> Duration {
        let spread = (self.random_factor - 1.0).max(0.0) * jitter.next_share();
        let seconds = self.ack_timeout.as_secs_f64() * f64::from(1.0 + spread);
        Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }
}

/// `now` plus a wait of any length.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.min(WAIT_MAX)
}

/// When one confirmable message is repeated, and how often still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repetition {
    pub deadline: Instant,
    began_at: Instant,
    wait: Duration,
    left: u8,
    /// Copies beside the repetitions: as many again, so that one that speaks and acknowledges nothing gets no more.
    copies_left: u8,
}

impl Repetition {
    pub(super) fn start(now: Instant, transmission: &Transmission, jitter: &mut Jitter) -> Self {
        let wait = transmission.first_wait(jitter);
        let left = transmission.max_retransmit;
        Self { deadline: after(now, wait), began_at: now, wait, left, copies_left: left }
    }

    /// Of a message that is not confirmable: no repetition, and no other message before its time is up.
    pub(super) fn probe(now: Instant, transmission: &Transmission, bytes: usize) -> Self {
        let wait = Duration::from_secs(bytes as u64 / PROBING_RATE).max(transmission.ack_timeout);
        let wait = wait.min(transmission.response_wait);
        Self { deadline: after(now, wait), began_at: now, wait, left: 0, copies_left: 0 }
    }

    /// The deadline passed: true to send once more, false to give up. The wait doubles each time (RFC 7252 §4.2).
    pub(super) fn is_due_again(&mut self, now: Instant) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.wait = self.wait.saturating_mul(2).min(WAIT_MAX);
        self.deadline = after(now, self.wait);
        true
    }

    /// The peer was heard: true to send once more, because it has had the time to acknowledge and did not. When the message
    /// is repeated and given up stays as it was.
    pub(super) fn is_worth_a_copy(&mut self, now: Instant, transmission: &Transmission) -> bool {
        let is_overdue = after(self.began_at, transmission.ack_timeout) <= now;
        let is_worth_it = is_overdue && self.copies_left > 0;
        self.copies_left -= u8::from(is_worth_it);
        is_worth_it
    }
}

/// Spreads the first waits, so that a farm does not repeat in step. No secret depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jitter(u32);

impl Jitter {
    pub(super) const fn new(seed: u32) -> Self {
        // xorshift stays at zero forever.
        Self(if seed == 0 { 0x9e37_79b9 } else { seed })
    }

    /// Zero to one.
    fn next_share(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as f32 / (1_u32 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_give_up_after_93_seconds() {
        assert_eq!(Transmission::default().max_transmit_wait(), Duration::from_secs(93));
    }

    #[test]
    fn the_first_wait_lies_between_the_timeout_and_its_random_factor() {
        let transmission = Transmission::default();
        let mut jitter = Jitter::new(0);
        let waits: Vec<_> = (0..1000).map(|_| transmission.first_wait(&mut jitter)).collect();
        assert!(waits.iter().all(|wait| (2.0..=3.0).contains(&wait.as_secs_f64())));
        assert!(waits.iter().any(|wait| wait.as_secs_f64() < 2.1));
        assert!(waits.iter().any(|wait| wait.as_secs_f64() > 2.9));
    }

    #[test]
    fn absurd_parameters_do_not_overflow() {
        let absurd = Transmission {
            ack_timeout: Duration::MAX,
            random_factor: f32::NAN,
            max_retransmit: u8::MAX,
            ..Transmission::default()
        };
        assert_eq!(absurd.max_transmit_wait(), WAIT_MAX);
        assert!(absurd.first_wait(&mut Jitter::new(1)) <= WAIT_MAX);
    }
}
