//! Answers that travel on their own (RFC 7252 §5.2.2): repeated until the device acknowledges them.

use coap::{Message, Transmission};

use crate::gateway::Gateway;
use crate::peers::PeerKey;
use crate::sessions::post;
use crate::timers::{Now, Timer};

impl Gateway {
    /// A message id for anything we send to a peer that is not one of our requests.
    pub(crate) fn fresh_id(&mut self, key: PeerKey) -> u16 {
        let device = self.peers.get(key).and_then(|peer| peer.device);
        match device.and_then(|index| self.dialog(index)) {
            // RFC 7252 §4.4: from the same counter as our requests, so that no two messages on their way share one.
            Some(dialog) => dialog.next_id(),
            None => self.random.next_u32() as u16,
        }
    }

    /// Sends the confirmable message that stands in the buffer for encoding, and again until it is acknowledged.
    pub(crate) fn send_separately(&mut self, now: Now, key: PeerKey) {
        let Self { peers, outbox, datagrams, directory, encoded, stats, .. } = self;
        let Some(peer) = peers.get_mut(key) else { return };
        let device = peer.device.and_then(|index| directory.get(index));
        let transmission = device.map_or_else(Transmission::default, |device| device.profile.transmission());
        let mut first = Vec::new();
        let mut keep = |datagram: &[u8]| first.extend_from_slice(datagram);
        if peer.responses.push(now.monotonic, &transmission, encoded.clone(), (), &mut keep).is_err() {
            // A peer that acknowledges none of so many is not there; what it asked it will ask again.
            stats.separate_full += 1;
            return;
        }
        post(peers, outbox, datagrams, key, &first);
        self.schedule_separate(key);
    }

    /// Something about a peer's separate answers is due, or was acknowledged.
    pub(crate) fn handle_separate(&mut self, now: Now, index: u32) {
        let Some(key) = self.peers.at(index) else { return };
        let Some(peer) = self.peers.get_mut(key) else { return };
        self.timers.clear(&mut peer.separate, Timer::Separate(index));
        let mut due = Vec::new();
        peer.responses.handle_timeout(now.monotonic, &mut due);
        while peer.responses.poll_outcome().is_some() {}
        for datagram in &due {
            self.post(key, datagram);
        }
        self.schedule_separate(key);
    }

    /// RFC 7252 §5.2.2: whoever waits too long for the log learns that we have the request.
    pub(crate) fn acknowledge_slow(&mut self, now: Now) {
        while let Some(held) = self.pages.slow(now.monotonic) {
            // Notifications want nothing but their acknowledgement, which would be a promise here.
            let waiting: Vec<_> = held
                .iter_mut()
                .filter(|held| held.is_confirmable && !held.code.is_empty())
                .map(|held| {
                    held.is_acknowledged = true;
                    (held.peer, held.id, held.token)
                })
                .collect();
            for (key, id, token) in waiting {
                let acknowledgement = Message::acknowledgement(id);
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.answers.answered(now.monotonic, id, token, &acknowledgement);
                }
                self.stats.acknowledged_early += 1;
                self.post(key, &acknowledgement);
            }
        }
    }

    fn schedule_separate(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(key)
            && let Some(when) = peer.responses.poll_timeout()
        {
            self.timers.set(&mut peer.separate, Timer::Separate(key.index), when);
        }
    }
}
