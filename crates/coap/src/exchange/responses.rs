//! Responses that travel as confirmable messages of their own: separate responses (RFC 7252 §5.2.2) and confirmable
//! notifications (RFC 7641 §4.5).

use std::time::Instant;

use super::{
    Handled, Outbox, Transmission,
    transmission::{Jitter, Repetition},
};
use crate::{
    error::QueueFull,
    message::{HEADER_BYTES, Kind, Message},
};

/// Confirmable responses on their way to one peer. A peer that asks more at once than this without acknowledging any
/// answer is not listening; a device with more observations than this repeats only the newest anyway.
pub const RESPONSES_MAX: usize = 8;

/// Whether a confirmable response arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It did.
    Acknowledged,
    /// The peer does not know what it is about: it has forgotten the request or the observation.
    Reset,
    /// No sign of it, after all repetitions.
    TimedOut,
}

/// Confirmable responses towards one peer, repeated until acknowledged. `T` is the caller's ticket.
#[derive(Debug)]
pub struct Responses<T> {
    sent: Vec<Sent<T>>,
}

#[derive(Debug)]
struct Sent<T> {
    ticket: T,
    id: u16,
    datagram: Vec<u8>,
    /// Takes the place of `datagram` when that would be repeated.
    newer: Option<Vec<u8>>,
    repetition: Repetition,
    delivery: Option<Delivery>,
}

impl<T> Default for Responses<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Responses<T> {
    /// Nothing on its way.
    #[must_use]
    pub const fn new() -> Self {
        Self { sent: Vec::new() }
    }

    /// Sends an encoded confirmable message, and again until the peer acknowledges it.
    pub fn push(
        &mut self,
        now: Instant,
        transmission: &Transmission,
        datagram: Vec<u8>,
        ticket: T,
        out: &mut dyn Outbox,
    ) -> Result<(), QueueFull> {
        if self.is_full() {
            return Err(QueueFull { waiting: self.sent.len() });
        }
        debug_assert!(datagram.len() >= HEADER_BYTES && datagram[0] >> 4 == 0b0100, "not a confirmable message");
        let id = id_of(&datagram);
        // Ids of a peer run one after another; the odd factor keeps their waits apart.
        let mut jitter = Jitter::new((u32::from(id) | 1).wrapping_mul(0x9e37_79b9));
        let repetition = Repetition::start(now, transmission, &mut jitter);
        out.send(&datagram);
        self.sent.push(Sent { ticket, id, datagram, newer: None, repetition, delivery: None });
        Ok(())
    }

    /// Takes acknowledgements and resets of what was sent here.
    pub fn handle(&mut self, message: &Message<'_>) -> Handled {
        let delivery = match message.kind {
            Kind::Acknowledgement => Delivery::Acknowledged,
            Kind::Reset => Delivery::Reset,
            Kind::Confirmable | Kind::NonConfirmable | Kind::Reliable => return Handled::NotOurs,
        };
        let mut on_its_way = self.sent.iter_mut().filter(|sent| sent.delivery.is_none());
        match on_its_way.find(|sent| sent.id == message.id) {
            Some(sent) => {
                sent.delivery = Some(delivery);
                Handled::Consumed
            }
            None => Handled::NotOurs,
        }
    }

    /// Repeats what is due and gives up what was repeated often enough.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Outbox) {
        let on_their_way = self.sent.iter_mut().filter(|sent| sent.delivery.is_none());
        for sent in on_their_way.filter(|sent| sent.repetition.deadline <= now) {
            if sent.repetition.is_due_again(now) {
                if let Some(newer) = sent.newer.take() {
                    (sent.id, sent.datagram) = (id_of(&newer), newer);
                }
                out.send(&sent.datagram);
            } else {
                sent.delivery = Some(Delivery::TimedOut);
            }
        }
    }

    /// When to call [`Responses::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let on_their_way = self.sent.iter().filter(|sent| sent.delivery.is_none());
        on_their_way.map(|sent| sent.repetition.deadline).min()
    }

    /// The next response whose fate is known.
    pub fn poll_outcome(&mut self) -> Option<(T, Delivery)> {
        let index = self.sent.iter().position(|sent| sent.delivery.is_some())?;
        let sent = self.sent.remove(index);
        if self.sent.is_empty() {
            self.sent = Vec::new();
        }
        sent.delivery.map(|delivery| (sent.ticket, delivery))
    }

    /// A newer notification of the same observation: it takes the place of the one on its way when that would be
    /// repeated, without starting the count of repetitions again (RFC 7641 §4.5.2). False, and nothing is taken, if none
    /// is on its way. Once the older one is acknowledged the newer is forgotten: it never left, so say it then.
    pub fn replace(&mut self, ticket: &T, newer: &[u8]) -> bool
    where
        T: PartialEq,
    {
        let mut on_its_way = self.sent.iter_mut().filter(|sent| sent.delivery.is_none());
        let Some(sent) = on_its_way.find(|sent| sent.ticket == *ticket) else { return false };
        sent.newer = Some(newer.to_vec());
        true
    }

    /// Stops repeating the response of this ticket; true if there was one.
    pub fn cancel(&mut self, ticket: &T) -> bool
    where
        T: PartialEq,
    {
        let before = self.sent.len();
        self.sent.retain(|sent| sent.ticket != *ticket);
        self.sent.len() < before
    }

    /// There is no room for another.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.sent.len() >= RESPONSES_MAX
    }

    /// Nothing on its way and nothing to tell.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sent.is_empty()
    }
}

fn id_of(datagram: &[u8]) -> u16 {
    datagram.get(2..HEADER_BYTES).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]))
}
