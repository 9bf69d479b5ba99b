//! The data plane of one shard: datagrams and the time go in; datagrams, pages of events, answers and the next deadline
//! come out.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use lwm2m::Definitions;

use crate::admission::Admission;
use crate::checkpoints::Checkpoints;
use crate::command::{Answer, DeviceEntry, RegistrationState};
use crate::denials::Denials;
use crate::devices::{Device, DeviceIndex, Directory};
use crate::error::EntryError;
use crate::est::Enrolments;
use crate::files::{Files, Shelf};
use crate::limits::{AWAKE_WINDOW, EXCHANGE_LIFETIME, SESSION_IDLE, SWEEP_EVERY, TLS_HANDSHAKE_WAIT};
use crate::nodes::Nodes;
use crate::openings::Openings;
use crate::outbox::{Outbox, SocketNumber};
use crate::page::{EventWriter, Page, PageOptions, Pages};
use crate::peers::{PeerKey, Peers};
use crate::random::Random;
use crate::refusals::Refusals;
use crate::registrations::{ObjectLists, is_awake};
use crate::security::SecurityLog;
use crate::sessions::Plaintext;
use crate::stats::Stats;
use crate::timers::{Now, Timer, Timers};
use crate::trust::Authorities;

/// How a gateway behaves.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Makes event ids unique over restarts: eight hexadecimal digits.
    pub boot: String,
    /// In every connection id, and no other gateway's.
    pub node: u16,
    /// In every connection id and event id.
    pub shard: u8,
    /// Over how many partitions devices are spread.
    pub partitions: u32,
    /// How long a page waits for more events.
    pub linger: Duration,
    /// How often every partition says that it is complete up to now; never if nothing is given.
    pub heartbeat: Option<Duration>,
    /// At most one `awake` event per device and this time.
    pub awake_every: Duration,
    /// The CoAP option in which a device may claim its enclosure.
    pub enclosure_option: Option<u16>,
    /// Devices may ask for certificates: somebody takes [`Gateway::poll_enrolment`].
    pub enrolment: bool,
    /// Events that are not in the log yet, in bytes; beyond this nothing more is taken in.
    pub uncommitted_bytes_max: usize,
    /// The context of strangers without a credential; they are refused if nothing is given.
    pub open_enrolment: Option<String>,
    /// The grace of those strangers.
    pub enrolment_grace: Option<Duration>,
    /// Answers do not wait for the log.
    pub acknowledge_at_once: bool,
    /// Which start it is, of all gateways over one database: a number that was never used before and is higher than all
    /// before. Nothing is kept for the next start if none is given.
    pub start: Option<u32>,
    /// It hands out accounts (the bootstrap interface) and registers nobody.
    pub is_bootstrap_server: bool,
    /// For everything that must not be guessed.
    pub seed: [u8; 32],
    /// Which sockets speak DTLS, or TLS over connections, by their number.
    pub secure_sockets: Vec<bool>,
    /// Which of them take connections, and send no datagram; none where it says nothing.
    pub stream_sockets: Vec<bool>,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            boot: "00000000".to_owned(),
            node: 0,
            shard: 0,
            partitions: 1,
            linger: Duration::from_millis(2),
            heartbeat: None,
            awake_every: Duration::from_secs(5),
            enclosure_option: None,
            enrolment: false,
            uncommitted_bytes_max: 64 << 20,
            open_enrolment: None,
            enrolment_grace: None,
            acknowledge_at_once: false,
            start: None,
            is_bootstrap_server: false,
            seed: [0; 32],
            secure_sockets: vec![false, true],
            stream_sockets: Vec::new(),
        }
    }
}

/// The data plane of one shard.
///
/// After any other call, send and clear [`Gateway::outbox`], and drain [`Gateway::poll_page`] and
/// [`Gateway::poll_answer`]; call [`Gateway::handle_timeout`] no earlier than [`Gateway::poll_timeout`] says. Extra
/// calls do no harm.
pub struct Gateway {
    pub(crate) options: GatewayOptions,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) directory: Directory,
    pub(crate) peers: Peers,
    pub(crate) pages: Pages,
    pub(crate) timers: Timers,
    pub(crate) outbox: Outbox,
    pub(crate) security: SecurityLog,
    pub(crate) server: dtls::Server,
    pub(crate) tls: dtls::TlsServer,
    pub(crate) openings: Openings,
    pub(crate) authorities: Authorities,
    pub(crate) admission: Admission,
    pub(crate) more_waits: bool,
    pub(crate) denials: Denials,
    pub(crate) nodes: Nodes,
    pub(crate) random: Random,
    pub(crate) object_lists: ObjectLists,
    pub(crate) shelf: Shelf,
    pub(crate) enrolments: Enrolments,
    pub(crate) answers: VecDeque<Answer>,
    /// Devices with an `awake` event on its way, in the order of their time.
    pub(crate) awake: VecDeque<(Instant, DeviceIndex)>,
    pub(crate) stats: Stats,
    pub(crate) refusals: Refusals,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) started: Instant,
    sweep_at: Instant,
    heartbeat_at: Option<Instant>,
    pub(crate) uploading_peers: usize,
    /// Bytes of unfinished messages in all connections.
    pub(crate) unfinished_bytes: usize,
    /// Requests that are not through, by the caller's number.
    pub(crate) asked: HashMap<u64, DeviceIndex, RandomState>,
    /// Buffers that are used again and again.
    pub(crate) encoded: Vec<u8>,
    pub(crate) message: Vec<u8>,
    pub(crate) datagrams: Vec<Vec<u8>>,
    pub(crate) plaintext: Plaintext,
}

impl Gateway {
    /// A gateway that knows nobody yet.
    pub fn new(
        now: Now,
        options: GatewayOptions,
        definitions: Arc<Definitions>,
        files: Box<dyn Files>,
    ) -> Result<Self, dtls::SetupError> {
        let mut random = Random::new(options.seed);
        let hasher =
            RandomState::with_seeds(random.next_u64(), random.next_u64(), random.next_u64(), random.next_u64());
        let seed = random.seed();
        let server = dtls::Server::new(&dtls::ServerOptions { seed, ..dtls::ServerOptions::default() })?;
        let handshake_wait_ms = TLS_HANDSHAKE_WAIT.as_millis() as u64;
        let tls = dtls::TlsServer::new(&dtls::TlsServerOptions { handshake_wait_ms, seed: random.seed() })?;
        let pages = Pages::new(PageOptions {
            boot: options.boot.clone(),
            shard: options.shard,
            partitions: options.partitions,
            linger: options.linger,
            uncommitted_bytes_max: options.uncommitted_bytes_max,
        });
        Ok(Self {
            checkpoints: Checkpoints::new(options.start),
            heartbeat_at: options.heartbeat.map(|every| now.monotonic + every),
            options,
            object_lists: ObjectLists::new(Arc::clone(&definitions), hasher.clone()),
            definitions,
            directory: Directory::new(hasher.clone()),
            peers: Peers::new(hasher.clone()),
            pages,
            timers: Timers::default(),
            outbox: Outbox::default(),
            security: SecurityLog::new(hasher.clone()),
            server,
            tls,
            openings: Openings::new(hasher.clone()),
            authorities: Authorities::default(),
            admission: Admission::new(now.monotonic, hasher.clone()),
            more_waits: true,
            denials: Denials::default(),
            nodes: Nodes::default(),
            random,
            shelf: Shelf::new(files, hasher.clone()),
            enrolments: Enrolments::default(),
            answers: VecDeque::new(),
            awake: VecDeque::new(),
            stats: Stats::default(),
            refusals: Refusals::default(),
            started: now.monotonic,
            sweep_at: now.monotonic + SWEEP_EVERY,
            uploading_peers: 0,
            unfinished_bytes: 0,
            asked: HashMap::with_hasher(hasher),
            encoded: Vec::new(),
            message: Vec::new(),
            datagrams: Vec::new(),
            plaintext: Plaintext::default(),
        })
    }

    /// Whether other datagrams wait behind those that are handed over from now on: then handshakes get no more than their
    /// share. Until this is said the first time, some do.
    pub fn set_more_waits(&mut self, more_waits: bool) {
        self.more_waits = more_waits;
    }

    /// One datagram that came in on a socket.
    pub fn handle_datagram(&mut self, now: Now, socket: SocketNumber, from: SocketAddr, datagram: &[u8]) {
        self.stats.datagrams += 1;
        if self.is_secure_socket(socket) {
            self.handle_secure(now, socket, from, datagram);
        } else {
            self.handle_clear(now, socket.into(), from, datagram);
        }
    }

    pub(crate) fn is_secure_socket(&self, socket: SocketNumber) -> bool {
        self.options.secure_sockets.get(usize::from(socket)).copied().unwrap_or(false)
    }

    /// The events of this page are in the log: its answers may leave.
    pub fn handle_committed(&mut self, now: Now, page: u64) {
        self.deliver_page(now, page, true);
    }

    /// The log refused this page: its answers become 5.03.
    pub fn handle_refused(&mut self, now: Now, page: u64) {
        self.deliver_page(now, page, false);
    }

    /// Everything that is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop(now.monotonic) {
            match timer {
                Timer::Expiry(device) => {
                    self.handle_expiry(now, device);
                    self.forget_enrolled(now, device);
                }
                Timer::Downlink(device) => self.handle_downlink(now, device),
                Timer::Handshake(peer) => self.handle_handshake(now, peer),
                Timer::Separate(peer) => self.handle_separate(now, peer),
                Timer::Connection(peer) => self.handle_connection(now, peer),
                Timer::Checkpoint(device) => self.handle_checkpoint(device),
            }
        }
        self.handle_openings(now);
        self.tell_awake(now);
        self.security.handle_timeout(now, &mut self.pages);
        self.beat(now);
        if self.sweep_at <= now.monotonic {
            self.sweep_at = now.monotonic + SWEEP_EVERY;
            self.sweep(now);
        }
        self.pages.handle_timeout(now.monotonic);
        self.acknowledge_slow(now);
        self.acknowledge_slow_enrolments(now);
    }

    /// When [`Gateway::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Instant {
        let awake = self.awake.front().map(|(when, _)| *when);
        let checkpoints = self.checkpoints.poll_timeout();
        let enrolments = self.enrolments.poll_timeout();
        [
            self.timers.next(),
            self.openings.poll_timeout(),
            self.pages.poll_timeout(),
            awake,
            self.security.poll_timeout(),
            self.heartbeat_at,
            checkpoints,
            enrolments,
        ]
        .into_iter()
        .flatten()
        .fold(self.sweep_at, Instant::min)
    }

    /// What is to be sent.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// The next page for the log.
    pub fn poll_page(&mut self) -> Option<Page> {
        self.pages.poll_page()
    }

    /// What became of a request.
    pub fn poll_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Seals every page, whatever its age, and takes every checkpoint that would be due some time: nothing more is to
    /// come.
    pub fn seal(&mut self) {
        self.pages.seal_all();
        self.queue_all_checkpoints();
    }

    /// Takes a device in, or changes what is known about it.
    pub fn put_device(&mut self, now: Now, entry: &DeviceEntry) -> Result<(), EntryError> {
        let partition = self.pages.partition_of(&entry.device);
        let put = self.directory.put(entry, false, partition)?;
        let index = put.device;
        if put.is_named {
            self.introduce(now, index);
        }
        self.end_unless_entitled(now, index);
        self.sync_transmission(index);
        if put.are_intents_new {
            if let Some(device) = self.directory.get_mut(index) {
                device.forget_group();
            }
            self.reconcile(now, index);
            self.pump(now, index);
        }
        Ok(())
    }

    /// Forgets a device and ends its session. What waited for it is refused.
    pub fn remove_device(&mut self, now: Now, device: &str) {
        let Some(index) = self.directory.by_id(device) else { return };
        let peer = self.directory.get(index).and_then(|device| device.peer);
        self.discard(now, index);
        if let Some(key) = peer
            && self.peers.get(key).is_some_and(|peer| peer.security.is_some() || peer.connected.is_some())
        {
            self.end_session(now, key);
        }
    }

    /// Forgets a device. Whoever speaks for it is a stranger from now on, who may wait for an answer.
    fn discard(&mut self, now: Now, index: DeviceIndex) {
        self.end_dialog(now, index);
        self.drop_checkpoint(index);
        let Some(device) = self.directory.get_mut(index) else { return };
        self.timers.clear(&mut device.expiry, Timer::Expiry(index));
        self.timers.clear(&mut device.downlink, Timer::Downlink(index));
        if let Some(key) = device.peer.take()
            && let Some(peer) = self.peers.get_mut(key)
        {
            peer.device = None;
        }
        self.directory.remove(index);
    }

    /// A device of open enrolment lives as long as its registration.
    pub(crate) fn forget_enrolled(&mut self, now: Now, index: DeviceIndex) {
        let is_over =
            self.directory.get(index).is_some_and(|device| device.is_enrolled && device.registration.is_none());
        if is_over {
            self.discard(now, index);
        }
    }

    /// The registrations of devices whose id comes after `after`, in the order of their ids.
    pub fn registrations(&self, now: Now, after: &str, limit: usize) -> Vec<RegistrationState> {
        let mut found: Vec<&Device> = self
            .directory
            .indices()
            .filter_map(|index| self.directory.get(index))
            .filter(|device| device.registration.is_some() && &*device.id > after)
            .collect();
        found.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        found.truncate(limit);
        let state = |device: &Device| {
            let registration = device.registration.as_ref()?;
            Some(RegistrationState {
                device: Arc::clone(&device.id),
                endpoint: Arc::clone(&device.endpoint),
                registration: registration.id.text(),
                lifetime_s: registration.lifetime_s,
                is_awake: is_awake(now.monotonic, device),
                address: registration.address.map(|address| address.to_string()),
                objects: registration
                    .objects
                    .list
                    .iter()
                    .map(|(path, version)| (path.to_string(), version.clone()))
                    .collect(),
            })
        };
        found.into_iter().filter_map(state).collect()
    }

    /// Everything that was counted, and how much there is of everything.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        let mut stats = self.stats.entries();
        stats.extend(self.refusals.entries());
        stats.extend([
            ("events", self.pages.events()),
            ("uncommitted_bytes", self.pages.uncommitted_bytes() as u64),
            ("devices", self.directory.len() as u64),
            ("registrations", self.directory.registrations() as u64),
            ("peers", self.peers.len() as u64),
            ("sessions", (self.peers.secure() - self.peers.half_open()) as u64),
            ("half_open", self.peers.half_open() as u64),
            ("connections", self.peers.connections() as u64),
            ("connections_opening", self.openings.len() as u64),
            ("connections_bytes", self.unfinished_bytes as u64),
            ("messages_too_long", self.outbox.too_long),
            ("checkpoints_waiting", self.checkpoints.waiting() as u64),
            ("sessions_exhausted", self.outbox.exhausted),
            ("enrolling", self.enrolments.len() as u64),
            ("uploading", self.uploading_peers as u64),
            ("waiting", self.asked.len() as u64),
            ("timers", self.timers.len() as u64),
            ("security_dropped", self.security.dropped),
        ]);
        stats
    }

    /// A sign of life: the device listens for a while now.
    pub(crate) fn heard(&mut self, now: Now, index: DeviceIndex) {
        let Some(device) = self.directory.get_mut(index) else { return };
        device.awake_until = now.monotonic.checked_add(device.profile.awake_window);
        device.heard_unix_ms = now.unix_ms;
        self.freshen_checkpoint(now, index);
    }

    /// Every partition says that it is complete up to now.
    fn beat(&mut self, now: Now) {
        let (Some(when), Some(every)) = (self.heartbeat_at, self.options.heartbeat) else { return };
        if when > now.monotonic {
            return;
        }
        self.heartbeat_at = Some(now.monotonic + every);
        for partition in 0..self.pages.partitions() {
            let mut event = self.pages.begin(now, partition, "", "heartbeat");
            event.number("partition", partition);
            self.nodes.write(self.options.node, &mut event);
            event.finish();
        }
    }

    /// Looks at some peers, so that all are seen once in EXCHANGE_LIFETIME, and forgets those nobody needs.
    fn sweep(&mut self, now: Now) {
        let count = self.peers.places() / EXCHANGE_LIFETIME.as_secs() as usize + 1;
        let keys: Vec<PeerKey> = self.peers.sweep(count).collect();
        for key in keys {
            let Some(peer) = self.peers.get_mut(key) else { continue };
            peer.answers.handle_timeout(now.monotonic);
            let was_uploading = !peer.uploads.is_idle();
            peer.uploads.handle_timeout(now.monotonic);
            self.uploading_peers -= usize::from(was_uploading && peer.uploads.is_idle());
            let is_registered = peer
                .device
                .and_then(|index| self.directory.get(index))
                .is_some_and(|device| device.registration.is_some() && device.peer == Some(key));
            let patience = if peer.security.is_some() { SESSION_IDLE } else { EXCHANGE_LIFETIME };
            // One that is connected has a timer of its own.
            let is_unused = peer.connected.is_none()
                && peer.answers.is_idle()
                && peer.uploads.is_idle()
                && peer.responses.is_idle();
            if !is_registered && is_unused && peer.heard_at + patience <= now.monotonic {
                self.remove_peer(key);
            }
        }
    }
}

/// Begins an event about a device.
pub(crate) fn device_event<'a>(pages: &'a mut Pages, now: Now, device: &Device, kind: &str) -> EventWriter<'a> {
    device_event_at(pages, now, now.unix_ms, device, kind)
}

/// Begins an event about a device that happened at `unix_ms`.
pub(crate) fn device_event_at<'a>(
    pages: &'a mut Pages,
    now: Now,
    unix_ms: u64,
    device: &Device,
    kind: &str,
) -> EventWriter<'a> {
    let mut event = pages.begin_at(now, unix_ms, device.partition, &device.id, kind);
    // A stranger has no name of ours yet: it is known by its endpoint.
    if !device.is_enrolled {
        event.text("device", &device.id);
    }
    event.fragment(&device.context);
    event
}

/// The window of a device whose entry says nothing better.
pub const AWAKE_WINDOW_DEFAULT: Duration = AWAKE_WINDOW;
