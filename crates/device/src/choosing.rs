//! Which of its servers a device that can be bootstrapped goes to: those to register with in the order of their priority,
//! then the bootstrap server (OMA LwM2M Core 1.1 §6.1), then those from before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lwm2m::Path;

use crate::account;
use crate::bootstrap::ACCOUNT_OBJECTS;
use crate::client::{Device, Phase};
use crate::patience::BACK_OFF_LAST;
use crate::server_object;

/// Attempts with one server before another is tried, where the Server object does not say: the default of its resource 17
/// (Core 1.1 §E.2).
const ATTEMPTS: u32 = 5;

/// Where a URI leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The first address of the host.
    pub address: SocketAddr,
    /// Over a connection.
    pub over_tcp: bool,
}

impl Device {
    /// The URI of the server that it wants to talk to, whose host is to be looked up: then [`Device::handle_lookup`].
    pub fn poll_lookup(&self) -> Option<&str> {
        self.bootstrap.as_ref()?.lookup.as_deref()
    }

    /// Where that is; nothing if it cannot be found.
    pub fn handle_lookup(&mut self, now: Instant, place: Option<Place>) {
        let Some(uri) = self.bootstrap.as_mut().and_then(|bootstrap| bootstrap.lookup.take()) else { return };
        match place {
            Some(place) => {
                (self.config.server, self.config.over_tcp) = (place.address, place.over_tcp);
                self.open(now);
            }
            None => self.come_back_later(now, None, format!("{uri:.80} cannot be found")),
        }
    }

    /// Where its server is: it must be sent to from a socket of its own, and heard from nowhere else.
    pub fn place(&self) -> Place {
        Place { address: self.config.server, over_tcp: self.config.over_tcp }
    }

    /// Begins with the server whose turn it is.
    pub(crate) fn choose(&mut self, now: Instant) {
        // Servers that do not fit together were never taken: they come from the owner, and only a bootstrap helps.
        let servers = account::servers(&self.tree).unwrap_or_default();
        let turn = self.bootstrap.as_ref().map_or(0, |bootstrap| bootstrap.turn);
        let chosen = match servers.into_iter().nth(turn) {
            Some(server) => Some(server),
            None => account::bootstrap_server(&self.tree).ok().flatten(),
        };
        let Some(chosen) = chosen else {
            self.phase = Phase::Connecting;
            return self.come_back_later(now, None, "there is no server to talk to".to_owned());
        };
        self.config.credential.clone_from(&chosen.credential);
        // It was given for another account: going on from it would prove that one once more.
        self.resumption = None;
        self.tree.choose_server(chosen.server);
        if chosen.server.is_some()
            && let Some(lifetime_s) = self.tree.of_server(server_object::LIFETIME)
        {
            self.config.lifetime_s = lifetime_s;
        }
        let Some(bootstrap) = &mut self.bootstrap else { return };
        bootstrap.is_asking = chosen.server.is_none();
        bootstrap.queries = chosen.queries();
        bootstrap.lookup = Some(chosen.uri);
        self.phase = Phase::Connecting;
    }

    /// How long to wait before the first attempt.
    pub(crate) fn delay(&self) -> Duration {
        match (&self.bootstrap, self.servers()) {
            // Core 1.1 §E.1, resource 11.
            (Some(_), 0) => self.hold_off(),
            // Core 1.1 §E.2, resource 14: so that a farm that gets its power back does not register in one instant.
            _ => Duration::from_secs(self.tree.of_server(server_object::REGISTRATION_DELAY).unwrap_or_default().into()),
        }
    }

    pub(crate) fn connect_after(&mut self, now: Instant, delay: Duration) {
        if delay.is_zero() {
            self.connect(now);
        } else {
            self.phase = Phase::Waiting { until: now + delay };
        }
    }

    fn servers(&self) -> usize {
        account::servers(&self.tree).map_or(0, |servers| servers.len())
    }

    fn hold_off(&self) -> Duration {
        let account = account::bootstrap_server(&self.tree).ok().flatten();
        account.map_or(Duration::ZERO, |account| account.hold_off)
    }

    /// After a failure: the same server once more, or the next one; the bootstrap server after the last (Core 1.1 §6.1).
    pub(crate) fn turn_after_failure(&mut self, now: Instant) -> Phase {
        let (servers, wait) = (self.servers(), self.back_off());
        let said = self.tree.of_server(server_object::RETRY_COUNT).is_some();
        let may_ask = account::bootstrap_server(&self.tree).ok().flatten().is_some() && self.may_bootstrap();
        let hold_off = self.hold_off();
        let Some(bootstrap) = &mut self.bootstrap else { return Phase::Off };
        bootstrap.staged = None;
        bootstrap.attempts += 1;
        let is_over = match wait {
            None => true,
            // The Server object says when it is over; without it, the default does.
            Some(_) if said && !bootstrap.is_asking => false,
            Some(_) if bootstrap.is_asking => servers > 0,
            Some(_) => bootstrap.attempts >= ATTEMPTS,
        };
        let wait = wait.unwrap_or(BACK_OFF_LAST);
        if !is_over {
            return Phase::Waiting { until: (now + wait).max(self.hold_off_until) };
        }
        let turns = servers + usize::from(may_ask);
        let next = if bootstrap.is_asking { 0 } else { bootstrap.turn + 1 };
        bootstrap.attempts = 0;
        if next >= servers && !bootstrap.is_asking && bootstrap.former.is_some() {
            return self.go_back(now, wait);
        }
        bootstrap.turn = if next >= turns { 0 } else { next };
        let is_next_asking = bootstrap.turn >= servers;
        // Once round: whoever was away may be there again.
        let wait = if bootstrap.turn == 0 { wait.max(BACK_OFF_LAST) } else { wait };
        self.failures = 0;
        let wait = if is_next_asking { wait.max(hold_off) } else { wait };
        Phase::Waiting { until: (now + wait).max(self.hold_off_until) }
    }

    /// None of the new servers takes it: the ones from before are tried again.
    fn go_back(&mut self, now: Instant, wait: Duration) -> Phase {
        let Some(bootstrap) = &mut self.bootstrap else { return Phase::Off };
        let former = bootstrap.former.take().unwrap_or_default();
        bootstrap.turn = 0;
        self.failures = 0;
        for object in ACCOUNT_OBJECTS {
            self.tree.remove(&Path::of_object(object));
        }
        for record in former {
            self.tree.set(record.path, record.value);
        }
        self.tell_accounts();
        Phase::Waiting { until: now + wait }
    }

    /// Whether the server that failed allows it (Core 1.1 §E.2, resource 16; yes where it says nothing).
    fn may_bootstrap(&self) -> bool {
        let servers = account::servers(&self.tree).unwrap_or_default();
        let says_no = |server| account::says_no(&self.tree, server, server_object::BOOTSTRAP_ON_FAILURE);
        !servers.iter().filter_map(|account| account.server).any(says_no)
    }
}
