//! How a device gets its registration, keeps it, and comes back when it is lost (OMA LwM2M Core 1.1 §6.2).

use std::time::{Duration, Instant};

use coap::{Answered, Answers, Code, Outcome, Request, Requests, Responses, Transmission, blockwise, content_format};
use lwm2m::{Path, Record, Version};

use crate::client::{Device, Phase, Ticket, is_writable_time};
use crate::command::Readings;
use crate::download::Step;
use crate::event::Event;
use crate::patience::{BACK_OFF_FIRST, BACK_OFF_LAST};
use crate::relation::Relation;
use crate::server_object;
use crate::transport::{Transport, milliseconds};

/// What a server that disables itself means when it does not say (Core 1.1 §E.2, resource 5).
const DISABLE_TIMEOUT_DEFAULT_S: u32 = 86_400;

/// A server that says how long it wants to be left alone is believed up to an hour: then it is asked again.
const PAUSE_SAID_MAX: Duration = Duration::from_secs(3_600);

/// The share of the lifetime after which a registration is renewed: late enough to save the battery, early enough for
/// MAX_TRANSMIT_WAIT of repetitions where the lifetime allows it.
const RENEW_AFTER: f64 = 0.6;

/// Sends that are handed to the exchange at once. The rest waits here, where the bound is larger: the exchange's queue
/// must have room for an Update and for the blocks of a download.
const SENDS_AT_ONCE_MAX: usize = 8;

/// A registration whose connection is gone.
pub(crate) struct Kept {
    pub location: String,
    /// What to say first over the next one; an Update if nothing else.
    pub then: Ticket,
}

/// What a registration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    pub lifetime_s: u32,
    /// A digest of the object links.
    pub objects: [u8; 8],
}

impl Device {
    /// Begins with its server; of one that can be bootstrapped, with the one whose turn it is.
    pub(crate) fn connect(&mut self, now: Instant) {
        if self.bootstrap.is_some() { self.choose(now) } else { self.open(now) }
    }

    /// Opens the way to the server.
    pub(crate) fn open(&mut self, now: Instant) {
        self.starts = self.starts.wrapping_add(1);
        // Ids and tokens of a new session must not repeat those of the last.
        let seed = self.session_seed();
        self.requests = Requests::new(Transmission::default(), seed);
        self.answers = Answers::default();
        if self.config.over_tcp {
            self.phase = Phase::Connecting;
            self.connection = Some(self.starts);
            return;
        }
        let mut out = Vec::new();
        let times = (milliseconds(self.origin, now), self.unix_s(now));
        match Transport::open(self.config.credential.as_ref(), self.resumption.as_ref(), seed, times, &mut out) {
            Ok(transport) => {
                let is_open = transport.is_open();
                self.transport = Some(transport);
                self.phase = Phase::Connecting;
                self.transmits.extend(out);
                if is_open {
                    self.begin(now);
                }
            }
            Err(detail) => self.come_back_later(now, None, detail),
        }
    }

    /// Another for each session.
    pub(crate) fn session_seed(&self) -> u64 {
        self.config.seed.wrapping_add(self.starts.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The server has introduced itself over the connection: it is told who we are, or that we are still here.
    pub(crate) fn take_up(&mut self, now: Instant) {
        let Some(Kept { location, then }) = self.kept.take() else { return self.begin(now) };
        self.phase = Phase::Registered { location, renew_at: None };
        match then {
            Ticket::Deregister(number) => self.deregister(now, number),
            then => self.update(now, then.number()),
        }
        self.go_on_with_download(now);
    }

    /// Keeps what the owner wants said until there is a connection again; false if there is one, or no registration. One
    /// replaces the other: both say that we are here, or will not be.
    pub(crate) fn say_later(&mut self, now: Instant, ticket: Ticket) -> bool {
        let Some(kept) = &mut self.kept else { return false };
        let replaced = std::mem::replace(&mut kept.then, ticket).number();
        self.events.extend(replaced.map(|number| Event::failed(number, "another order came before it could be said")));
        self.wake(now);
        true
    }

    /// A device that sleeps has something to say: it does not wait for the time at which it would have come back.
    pub(crate) fn wake(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Waiting { .. }) && self.kept.is_some() && self.config.queue_mode {
            if self.hold_off_until <= now {
                self.connect(now);
            } else {
                self.phase = Phase::Waiting { until: self.hold_off_until };
            }
        }
    }

    /// The connection is gone, or could not be made; the registration goes on over the next one. A device that sleeps makes
    /// that when it has something to say.
    pub(crate) fn lose_connection(&mut self, now: Instant, why: &str) {
        // What was to make us fall silent does so, whether or not the server heard.
        if let Some(farewell) = self.farewell() {
            return match farewell {
                Ticket::Disable(timeout) => self.fall_silent(now, timeout),
                _ => self.lose_power(),
            };
        }
        // An Update on its way may not have arrived.
        self.told = Told::default();
        let mut until = None;
        let kept = match &self.phase {
            Phase::Registered { location, renew_at } => {
                until = renew_at.filter(|_| self.config.queue_mode && self.requests.is_empty());
                Some(Kept { location: location.clone(), then: Ticket::Update(None) })
            }
            _ => self.kept.take(),
        };
        let Some(kept) = kept else { return self.come_back_later(now, None, why.to_owned()) };
        self.phase = Phase::Connecting;
        self.drop_session(why);
        self.kept = Some(kept);
        if let Some(until) = until.or_else(|| self.back_off().map(|wait| now + wait)) {
            self.phase = Phase::Waiting { until: until.max(self.hold_off_until) };
        } else {
            self.drop_session(why);
            self.phase = Phase::Off;
        }
    }

    /// What was said, or is still to be said, before falling silent.
    fn farewell(&self) -> Option<Ticket> {
        let kept = self.kept.iter().map(|kept| &kept.then);
        let mut tickets = self.requests.tickets().chain(kept);
        tickets.find(|ticket| matches!(ticket, Ticket::Deregister(_) | Ticket::Disable(_))).cloned()
    }

    pub(crate) fn register(&mut self, now: Instant) {
        self.phase = Phase::Registering;
        self.end_relations();
        let mut request = Request::new(Code::POST, "/rd");
        // Core 1.1 §6.2.1.2: queue mode was a letter of the binding before it became a query of its own.
        let (version, binding) = match (self.version, self.config.queue_mode) {
            (Version::V1_0, true) => ("1.0", "UQ"),
            (Version::V1_0, false) => ("1.0", "U"),
            // The transports over which a server may speak to us: 1.0 knows no TCP.
            (Version::V1_1, _) => ("1.1", if self.config.over_tcp { "T" } else { "U" }),
            (Version::V1_2, _) => ("1.2", if self.config.over_tcp { "T" } else { "U" }),
        };
        request.queries = vec![
            format!("ep={}", self.config.endpoint),
            format!("lt={}", self.config.lifetime_s),
            format!("lwm2m={version}"),
            format!("b={binding}"),
        ];
        if self.config.queue_mode && self.version != Version::V1_0 {
            request.queries.push("Q".to_owned());
        }
        request.queries.extend(self.config.queries.iter().map(|(name, value)| format!("{name}={value}")));
        let of_account = self.bootstrap.iter().flat_map(|bootstrap| &bootstrap.queries);
        request.queries.extend(of_account.map(|(name, value)| format!("{name}={value}")));
        request.options = self.enclosure_option();
        request.content_format = Some(content_format::LINK_FORMAT);
        (self.told, request.payload) = self.to_tell();
        self.ask(now, request, Ticket::Register);
    }

    /// Core 1.1 §6.2.2: only what has changed since the server was told last.
    pub(crate) fn update_request(&mut self, location: String) -> Request {
        let mut request = Request::new(Code::POST, location);
        request.options = self.enclosure_option();
        if self.told.lifetime_s != self.config.lifetime_s {
            request.queries.push(format!("lt={}", self.config.lifetime_s));
        }
        let (told, links) = self.to_tell();
        if told.objects != self.told.objects {
            request.content_format = Some(content_format::LINK_FORMAT);
            request.payload = links;
        }
        self.told = told;
        request
    }

    /// What the server has to know of it by now, and its objects as links.
    fn to_tell(&self) -> (Told, Vec<u8>) {
        let mut links = Vec::new();
        self.tree.registered(&self.config.root, self.version, &self.definitions).write(&mut links);
        (Told { lifetime_s: self.config.lifetime_s, objects: blockwise::etag(&links) }, links)
    }

    fn enclosure_option(&self) -> Vec<(u16, Vec<u8>)> {
        let pair = self.config.enclosure_option.zip(self.config.enclosure.as_ref());
        pair.map(|(number, enclosure)| (number, enclosure.clone().into_bytes())).into_iter().collect()
    }

    pub(crate) fn send_waiting(&mut self, now: Instant) {
        while self.is_registered()
            && self.requests.len() < SENDS_AT_ONCE_MAX
            && let Some((number, readings)) = self.waiting.pop_front()
        {
            match self.send_request(readings) {
                Ok(request) => self.ask(now, request, Ticket::Send(number)),
                Err(why) => self.events.push_back(Event::failed(number, &why)),
            }
        }
    }

    fn send_request(&self, readings: Readings) -> Result<Request, String> {
        if self.version == Version::V1_0 {
            return Err("the server speaks LwM2M 1.0, which has no Send".to_owned());
        }
        // Core 1.1 §E.2, resource 23. Where it is missing nobody asked for silence.
        if self.tree.of_server(server_object::MUTE_SEND) == Some(1) {
            return Err("the server has muted Send".to_owned());
        }
        let records: Vec<Record> = match readings {
            // A device whose clock was not set does not know when that was.
            Readings::Recorded(records) => records
                .into_iter()
                .map(|record| Record { time: record.time.filter(|time| is_writable_time(*time)), ..record })
                .collect(),
            Readings::Now(paths) => {
                paths.iter().flat_map(|path| self.tree.read(path, &self.definitions).unwrap_or_default()).collect()
            }
        };
        if records.is_empty() {
            return Err("there is nothing at these paths".to_owned());
        }
        let mut request = Request::new(Code::POST, "/dp");
        request.content_format = Some(content_format::SENML_CBOR);
        request.payload = lwm2m::codec::encode(content_format::SENML_CBOR, &Path::ROOT, &records, &self.definitions)
            .map_err(|error| error.to_string())?;
        Ok(request)
    }

    /// Core 1.1 §E.2, resource 4: the server does not want to hear from the device for a while.
    pub(crate) fn disable(&mut self, now: Instant) {
        let Phase::Registered { location, .. } = &self.phase else { return };
        let request = Request::new(Code::DELETE, location.clone());
        let timeout_s = self.tree.of_server(server_object::DISABLE_TIMEOUT).unwrap_or(DISABLE_TIMEOUT_DEFAULT_S);
        self.ask(now, request, Ticket::Disable(Duration::from_secs(timeout_s.into())));
    }

    pub(crate) fn handle_outcome(&mut self, now: Instant, ticket: Ticket, outcome: Outcome) {
        let answered = match (&ticket, outcome) {
            (Ticket::Block, outcome) => return self.handle_block(now, outcome),
            (_, Outcome::Answered(answered)) => answered,
            // It was told to fall silent, and does so whether or not the server heard the goodbye.
            (Ticket::Deregister(_), _) => {
                self.give_up(now, ticket, "no answer");
                return self.lose_power();
            }
            (Ticket::Disable(timeout), _) => return self.fall_silent(now, *timeout),
            // It is there, and has not made up its mind (RFC 7252 §5.2.2).
            (Ticket::Request(_), Outcome::TimedOut { acknowledged: true }) => {
                return self.give_up(now, ticket, "acknowledged, and not answered");
            }
            _ => {
                self.give_up(now, ticket, "no answer");
                return self.come_back_later(now, None, "the server does not answer".to_owned());
            }
        };
        match ticket {
            Ticket::Bootstrap | Ticket::Pack => self.handle_bootstrap(now, &ticket, &answered),
            Ticket::Register if answered.code == Code::CREATED && !answered.location.is_empty() => {
                self.failures = 0;
                let location = format!("/{}", answered.location.join("/"));
                self.phase = Phase::Registered { location, renew_at: self.renew_at(now) };
                self.relations.retain_mut(Relation::note_registered);
                self.events.push_back(Event::Registered);
                self.note_proved(now);
                self.go_on_with_download(now);
                // Core 1.1 §6.2.2: an object may have come, or gone, while the Register was under way.
                self.is_update_due |= self.to_tell().0 != self.told;
            }
            // Core 1.1 §6.2.1: the server does not know this version of LwM2M; it may know the one before.
            Ticket::Register if answered.code == Code::PRECONDITION_FAILED && self.version > Version::V1_0 => {
                self.version = if self.version == Version::V1_2 { Version::V1_1 } else { Version::V1_0 };
                self.register(now);
            }
            Ticket::Register => {
                let detail = String::from_utf8_lossy(&answered.payload).into_owned();
                self.come_back_later(now, Some(answered.code), detail);
                self.heed_pause(now, &answered);
            }
            Ticket::Update(number) => {
                self.events.extend(number.map(|number| Event::done(number, answered.code)));
                let next = self.renew_at(now);
                match &mut self.phase {
                    Phase::Registered { renew_at, .. } if answered.code.is_success() => {
                        self.failures = 0;
                        *renew_at = next;
                    }
                    // A server that is busy still knows the registration.
                    Phase::Registered { renew_at, .. } if answered.code == Code::SERVICE_UNAVAILABLE => {
                        // It took nothing of what we said.
                        self.told = Told::default();
                        let pause = Duration::from_secs(answered.max_age.unwrap_or_default().into());
                        *renew_at = Some(now + pause.clamp(BACK_OFF_FIRST, BACK_OFF_LAST));
                    }
                    // Core 1.1 §6.2.2: a server that does not know the registration wants a new one.
                    _ => self.register_again(now),
                }
            }
            Ticket::Deregister(number) => {
                self.close_session();
                self.lose_power();
                self.events.extend(number.map(|number| Event::done(number, answered.code)));
            }
            Ticket::Disable(timeout) => self.fall_silent(now, timeout),
            Ticket::Send(number) => {
                let retry_after_s = answered.max_age.filter(|_| answered.code == Code::SERVICE_UNAVAILABLE);
                self.events.push_back(Event::answered(number, answered.code, retry_after_s));
                if answered.code == Code::NOT_FOUND {
                    self.register_again(now);
                }
            }
            Ticket::Request(number) => self.events.push_back(Event::told(number, answered)),
            Ticket::Block => {}
        }
    }

    /// RFC 7252 §5.9.3.4: a busy server says when it is worth another try.
    pub(crate) fn heed_pause(&mut self, now: Instant, answered: &Answered) {
        let pause_s = answered.max_age.filter(|_| answered.code == Code::SERVICE_UNAVAILABLE).unwrap_or_default();
        if let Phase::Waiting { until } = &mut self.phase {
            *until = (*until).max(now + Duration::from_secs(pause_s.into()).min(PAUSE_SAID_MAX));
        }
    }

    fn handle_block(&mut self, now: Instant, outcome: Outcome) {
        let Some(download) = &mut self.download else { return };
        let number = download.number;
        let step = download.handle(outcome);
        let (bytes, size) = download.progress();
        match step {
            Step::Ask(request) => {
                self.events.push_back(Event::Progress { number, bytes, size });
                self.ask(now, *request, Ticket::Block);
            }
            Step::Complete => self.end_download(Some(Code::CONTENT), ""),
            Step::Failed(code, detail) => self.end_download(code, &detail),
        }
    }

    /// Asks for the next block, if a download waits for a registration.
    pub(crate) fn go_on_with_download(&mut self, now: Instant) {
        if self.is_registered()
            && let Some(download) = &mut self.download
        {
            if let Some(capacity) = self.transport.as_ref().and_then(Transport::capacity) {
                download.use_blocks(capacity.szx());
            }
            match download.ask() {
                Some(request) => self.ask(now, request, Ticket::Block),
                None => self.give_up(now, Ticket::Block, "more blocks than can be numbered"),
            }
        }
    }

    /// The owner gets what is here, also when that is not all: it may go on with it another time.
    pub(crate) fn end_download(&mut self, code: Option<Code>, detail: &str) {
        let Some(download) = self.download.take() else { return };
        let number = download.number;
        let (data, etag) = download.into_parts();
        let detail = detail.to_owned();
        self.events.push_back(Event::Done { number, code, detail, retry_after_s: None, data, etag });
    }

    fn register_again(&mut self, now: Instant) {
        if self.is_registered() {
            self.events.push_back(Event::Unregistered);
            self.register(now);
        }
    }

    fn renew_at(&self, now: Instant) -> Option<Instant> {
        (self.config.lifetime_s > 0)
            .then(|| now + Duration::from_secs_f64(f64::from(self.config.lifetime_s) * RENEW_AFTER))
    }

    /// A failure: a new session after a while that grows.
    pub(crate) fn come_back_later(&mut self, now: Instant, code: Option<Code>, detail: String) {
        if matches!(self.phase, Phase::Off) {
            return;
        }
        if matches!(self.phase, Phase::Connecting) {
            // Whatever is wrong, the next handshake is a full one.
            self.resumption = None;
        }
        self.drop_session(&detail);
        self.events.push_back(Event::Refused { code, detail });
        if self.bootstrap.is_some() {
            self.phase = self.turn_after_failure(now);
            return;
        }
        self.phase = match self.back_off() {
            Some(wait) => Phase::Waiting { until: (now + wait).max(self.hold_off_until) },
            None => Phase::Off,
        };
    }

    /// Stays silent for a while, and registers again by itself.
    fn fall_silent(&mut self, now: Instant, time: Duration) {
        self.close_session();
        self.drop_session("the server disabled itself");
        self.phase = Phase::Waiting { until: now + time };
    }

    /// Says goodbye to the server.
    pub(crate) fn close_session(&mut self) {
        let mut out = Vec::new();
        if let Some(transport) = &mut self.transport {
            transport.close(&mut out);
        }
        self.transmits.extend(out);
    }

    pub(crate) fn drop_session(&mut self, why: &str) {
        let kept = self.kept.take();
        if self.is_registered() || kept.is_some() {
            self.events.push_back(Event::Unregistered);
        }
        let unsaid = kept.and_then(|kept| kept.then.number());
        self.events.extend(unsaid.map(|number| Event::failed(number, why)));
        for ticket in self.requests.abandon() {
            // A download outlives its session: it goes on after the next registration.
            if ticket != Ticket::Block {
                self.events.extend(ticket.number().map(|number| Event::failed(number, why)));
            }
        }
        self.end_relations();
        self.held.clear();
        self.responses = Responses::new();
        self.uploads = blockwise::Uploads::new();
        self.transport = None;
        self.connection = None;
        self.is_update_due = false;
        self.is_disable_due = false;
    }

    /// A request that came to nothing.
    pub(crate) fn give_up(&mut self, now: Instant, ticket: Ticket, why: &str) {
        if ticket == Ticket::Block {
            self.end_download(None, why);
        }
        self.events.extend(ticket.number().map(|number| Event::failed(number, why)));
        if let (Ticket::Update(_), Phase::Registered { renew_at, .. }) = (&ticket, &mut self.phase) {
            renew_at.get_or_insert(now + BACK_OFF_FIRST);
        }
    }
}
