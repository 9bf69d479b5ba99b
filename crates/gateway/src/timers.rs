//! What is due when. One entry for each thing that waits, however often its time moves.

use std::collections::BTreeSet;
use std::time::Instant;

/// Both clocks at one moment; the caller reads them.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For everything that waits.
    pub monotonic: Instant,
    /// For everything that is told: milliseconds since 1970.
    pub unix_ms: u64,
}

/// What can become due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The lifetime of a device's registration ends.
    Expiry(u32),
    /// A request to a device is to be repeated, or one that waits expires.
    Downlink(u32),
    /// A flight of a handshake is to be repeated, or the handshake given up.
    Handshake(u32),
    /// A separate response to a peer is to be repeated.
    Separate(u32),
    /// A connection was silent for long, or is still to begin.
    Connection(u32),
    /// A checkpoint of a device is to be taken.
    Checkpoint(u32),
}

/// When the owner of a timer will be called; kept by the owner. Never later than it needs, maybe earlier.
pub(crate) type Slot = Option<Instant>;

/// All timers of a shard in the order of their time.
///
/// A timer that moves to a later time keeps its entry: its owner looks when it fires and sets it again. So the common
/// case, a lifetime that begins anew, touches nothing here.
#[derive(Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// Makes sure that `timer` fires no later than `when`.
    pub(crate) fn set(&mut self, slot: &mut Slot, timer: Timer, when: Instant) {
        if let Some(already) = *slot {
            if already <= when {
                return;
            }
            self.queue.remove(&(already, timer));
        }
        self.queue.insert((when, timer));
        *slot = Some(when);
    }

    /// Takes a timer out.
    pub(crate) fn clear(&mut self, slot: &mut Slot, timer: Timer) {
        if let Some(when) = slot.take() {
            self.queue.remove(&(when, timer));
        }
    }

    /// The next timer that is due. Its owner must empty its slot.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let &(when, timer) = self.queue.first()?;
        if when > now {
            return None;
        }
        self.queue.pop_first();
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(when, _)| *when)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // a moment to count from, never compared with another reading

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_timer_that_moves_often_stays_one_entry() {
        let begin = Instant::now();
        let mut timers = Timers::default();
        let mut slot = None;

        for seconds in (1..100).rev().chain(1..100) {
            timers.set(&mut slot, Timer::Expiry(7), begin + Duration::from_secs(seconds));
        }

        assert_eq!(timers.len(), 1);
        assert_eq!(timers.next(), Some(begin + Duration::from_secs(1)));
    }

    #[test]
    fn timers_fire_in_order_and_not_early() {
        let begin = Instant::now();
        let mut timers = Timers::default();
        for (number, seconds) in [(1, 3), (2, 1), (3, 2)] {
            timers.set(&mut None, Timer::Expiry(number), begin + Duration::from_secs(seconds));
        }

        let due = begin + Duration::from_secs(2);
        assert_eq!(timers.pop(due), Some(Timer::Expiry(2)));
        assert_eq!(timers.pop(due), Some(Timer::Expiry(3)));
        assert_eq!(timers.pop(due), None);
    }
}
