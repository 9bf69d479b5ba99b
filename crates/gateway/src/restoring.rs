//! Taking up what an earlier start left: see [`crate::checkpoints`].

use std::time::Duration;

use coap::exchange::Numbers;
use dtls::ConnectionId;

use crate::checkpoints::Standing;
use crate::credential::Security;
use crate::devices::{Device, DeviceIndex};
use crate::error::NotTakenUp;
use crate::formats::Refused;
use crate::gateway::Gateway;
use crate::keyring::KeyRing;
use crate::limits::{OBSERVATIONS_PER_DEVICE_MAX, PEERS_MAX, SESSIONS_MAX};
use crate::observations::Observation;
use crate::outbox::{Socket, SocketNumber};
use crate::peers::{Association, Peer, PeerKey};
use crate::registrations::RegistrationId;
use crate::saved::{Checkpoint, SavedAssociation, SavedGoal, SavedWay};
use crate::sessions::new_peer;
use crate::timers::Now;

impl Gateway {
    /// Takes up the checkpoint of a device, after its registration ([`Gateway::restore`]) and before anything is heard.
    ///
    /// What it tells of the registration counts only for that very one. The session counts if the device is registered,
    /// and has the same credential still. After an error there is nothing more to be had of this checkpoint. Of a device that
    /// is here already nothing is taken, and what is kept is left to its next checkpoint: a take-over that broke off is
    /// repeated.
    pub fn restore_checkpoint(&mut self, now: Now, device: &str, bytes: &[u8]) -> Result<(), NotTakenUp> {
        let start = self.checkpoints.start().ok_or(NotTakenUp::Unwanted)?;
        let index = self.directory.by_id(device).ok_or(NotTakenUp::UnknownDevice)?;
        let is_registered = |device: &&Device| device.registration.is_some();
        let device = self.directory.get(index).filter(is_registered).ok_or(NotTakenUp::Unwanted)?;
        if device.peer.is_some() {
            return Ok(());
        }
        let checkpoint = Checkpoint::read(bytes)?;
        // One of this start or a later one: the count was set back, and with it what must not come twice.
        let starts =
            start.checked_sub(checkpoint.start).filter(|starts| *starts > 0).ok_or(NotTakenUp::CountSetBack)?;
        let registration = self.restore_talk(now, index, &checkpoint);
        let peer = match (&checkpoint.way, &checkpoint.session) {
            (Some(way), Some(saved)) => self.restore_session(now, index, way, saved, starts).map(Some),
            (Some(way), None) => Ok(self.restore_address(now, index, way)),
            (None, _) => Ok(None),
        };
        if peer.is_ok()
            && let Some(device) = self.directory.get_mut(index)
        {
            device.checkpoint = Standing::restored(now.monotonic, registration);
        }
        if let Ok(Some(peer)) = peer {
            self.bind(now, index, peer);
            self.stats.restored += 1;
        }
        self.reconcile(now, index);
        self.pump(now, index);
        peer.map(|_| ())
    }

    /// What belongs to the registration, if that is the one.
    fn restore_talk(&mut self, now: Now, index: DeviceIndex, saved: &Checkpoint<'_>) -> Option<RegistrationId> {
        let device = self.directory.get_mut(index)?;
        let registration = device.registration.as_mut().filter(|known| known.id.0 == saved.registration)?;
        let formats = saved.content_formats.clone();
        registration.objects = self.object_lists.known(saved.root, formats, &registration.objects.list);
        registration.address = saved.way.as_ref().map(|way| way.address);
        let id = registration.id;
        device.formats_refused = Refused::of_bits(saved.formats_refused);
        device.note_lacking(saved.lacking);
        device.heard_unix_ms = saved.heard_unix_ms;
        let silent_for = Duration::from_millis(now.unix_ms.saturating_sub(saved.heard_unix_ms));
        let left = device.profile.awake_window.checked_sub(silent_for);
        device.awake_until = left.and_then(|left| now.monotonic.checked_add(left));
        if let Some((next_id, next_token, token_key)) = saved.numbers {
            let dialog = self.dialog(index)?;
            dialog.requests.go_on(Numbers { next_id, next_token, token_key });
            let observations = saved.observations.iter().take(OBSERVATIONS_PER_DEVICE_MAX);
            dialog.observations = observations.filter_map(|saved| Observation::restored(now, saved)).collect();
            let refused = saved.goals_refused.iter().take(OBSERVATIONS_PER_DEVICE_MAX);
            dialog.goals_refused = refused.filter_map(SavedGoal::goal).collect();
        }
        Some(id)
    }

    fn restore_session(
        &mut self,
        now: Now,
        index: DeviceIndex,
        way: &SavedWay,
        saved: &SavedAssociation<'_>,
        starts: u32,
    ) -> Result<PeerKey, NotTakenUp> {
        let connection_id = ConnectionId(saved.connection_id);
        let is_ours = self.has_node(connection_id.node()) && connection_id.shard() == self.options.shard;
        if !is_ours || self.peers.by_connection_id(connection_id).is_some() {
            return Err(NotTakenUp::Unwanted);
        }
        let socket = self.socket_for(way.socket, true).ok_or(NotTakenUp::Unwanted)?;
        if self.peers.secure() >= SESSIONS_MAX {
            return Err(NotTakenUp::Full);
        }
        let mut keys = KeyRing::new(now, &self.directory, &self.authorities);
        let session =
            self.server.restore(saved.session, saved.connection_id, starts, &mut keys).map_err(NotTakenUp::Session)?;
        let bearer = self.bearer(session.peer_certificate(), session.identity()).filter(|(holder, _)| *holder == index);
        let (_, credential) = bearer.cloned().ok_or(NotTakenUp::CredentialChanged)?;
        let mut association = Association {
            session,
            connection_id,
            began_at: now.monotonic,
            is_established: false,
            handshake: None,
            safe_up_to: None,
        };
        association.bound();
        let peer = new_peer(now, socket, way.address, Some(Box::new(association)));
        let key = self.peers.insert(Peer { credential: Some(credential), ..peer });
        self.peers.establish(key);
        Ok(key)
    }

    /// Where a device without a credential was heard.
    fn restore_address(&mut self, now: Now, index: DeviceIndex, way: &SavedWay) -> Option<PeerKey> {
        let is_in_the_clear = self.directory.get(index).is_some_and(|device| device.security == Security::None);
        let socket = self.socket_for(way.socket, false).filter(|_| is_in_the_clear)?;
        if self.peers.by_address(socket, way.address).is_some() || self.peers.len() - self.peers.secure() >= PEERS_MAX {
            return None;
        }
        Some(self.peers.insert(new_peer(now, socket, way.address, None)))
    }

    /// The socket for datagrams of this kind that has the number, or else the first: listeners may have changed.
    fn socket_for(&self, saved: Socket, is_secure: bool) -> Option<Socket> {
        if saved.node.is_some() {
            return Some(saved).filter(|_| is_secure);
        }
        let fits = |number: &SocketNumber| self.sends_datagrams(*number, is_secure);
        let number = Some(saved.number).filter(fits).or_else(|| (0..=SocketNumber::MAX).find(fits))?;
        Some(number.into())
    }
}
