//! How a device gets its registration, keeps it, and comes back when it is lost (OMA LwM2M Core 1.1 §6.2).

use std::time::{Duration, Instant};

use coap::{Answers, Code, Outcome, Request, Requests, Responses, Transmission, blockwise, content_format};
use lwm2m::{Path, Record};

use crate::client::{Device, Phase, Ticket, Told};
use crate::download::Step;
use crate::event::Event;
use crate::transport::{Transport, milliseconds};

/// Back-off after a failure: doubles from the first to the last of these. The last is the longest that a farm should wait
/// after its server came back.
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
const BACK_OFF_LAST: Duration = Duration::from_secs(60);

/// The share of the lifetime after which a registration is renewed: late enough to save the battery, early enough for
/// MAX_TRANSMIT_WAIT of repetitions where the lifetime allows it.
const RENEW_AFTER: f64 = 0.6;

/// Sends that are handed to the exchange at once. The rest waits here, where the bound is larger: the exchange's queue
/// must have room for an Update and for the blocks of a download.
const SENDS_AT_ONCE_MAX: usize = 8;

impl Device {
    pub(crate) fn connect(&mut self, now: Instant) {
        self.starts = self.starts.wrapping_add(1);
        // Ids and tokens of a new session must not repeat those of the last.
        let seed = self.config.seed.wrapping_add(self.starts.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.requests = Requests::new(Transmission::default(), seed);
        self.answers = Answers::default();
        let mut out = Vec::new();
        match Transport::open(self.config.credential.as_ref(), seed, milliseconds(self.origin, now), &mut out) {
            Ok(transport) => {
                let is_open = transport.is_open();
                self.transport = Some(transport);
                self.phase = Phase::Connecting;
                self.transmits.extend(out);
                if is_open {
                    self.register(now);
                }
            }
            Err(detail) => self.come_back_later(now, None, detail),
        }
    }

    pub(crate) fn register(&mut self, now: Instant) {
        self.phase = Phase::Registering;
        self.relations.clear();
        let mut request = Request::new(Code::POST, "/rd");
        request.queries = vec![
            format!("ep={}", self.config.endpoint),
            format!("lt={}", self.config.lifetime_s),
            "lwm2m=1.1".to_owned(),
            "b=U".to_owned(),
        ];
        if self.config.queue_mode {
            request.queries.push("Q".to_owned());
        }
        request.queries.extend(self.config.queries.iter().map(|(name, value)| format!("{name}={value}")));
        request.options = self.enclosure_option();
        request.content_format = Some(content_format::LINK_FORMAT);
        self.tree.registered(&self.definitions).write(&mut request.payload);
        self.told = Told { lifetime_s: self.config.lifetime_s, objects: blockwise::etag(&request.payload) };
        self.ask(now, request, Ticket::Register);
    }

    /// Core 1.1 §6.2.2: only what has changed since the server was told last.
    pub(crate) fn update_request(&mut self, location: String) -> Request {
        let mut request = Request::new(Code::POST, location);
        request.options = self.enclosure_option();
        if self.told.lifetime_s != self.config.lifetime_s {
            request.queries.push(format!("lt={}", self.config.lifetime_s));
        }
        let mut links = Vec::new();
        self.tree.registered(&self.definitions).write(&mut links);
        let told = Told { lifetime_s: self.config.lifetime_s, objects: blockwise::etag(&links) };
        if told.objects != self.told.objects {
            request.content_format = Some(content_format::LINK_FORMAT);
            request.payload = links;
        }
        self.told = told;
        request
    }

    fn enclosure_option(&self) -> Vec<(u16, Vec<u8>)> {
        let pair = self.config.enclosure_option.zip(self.config.enclosure.as_ref());
        pair.map(|(number, enclosure)| (number, enclosure.clone().into_bytes())).into_iter().collect()
    }

    pub(crate) fn send_waiting(&mut self, now: Instant) {
        while self.is_registered()
            && self.requests.len() < SENDS_AT_ONCE_MAX
            && let Some((number, paths)) = self.waiting.pop_front()
        {
            let records: Vec<Record> =
                paths.iter().flat_map(|path| self.tree.read(path, &self.definitions).unwrap_or_default()).collect();
            match lwm2m::codec::encode(content_format::SENML_CBOR, &Path::ROOT, &records, &self.definitions) {
                Ok(payload) if !records.is_empty() => {
                    let mut request = Request::new(Code::POST, "/dp");
                    request.content_format = Some(content_format::SENML_CBOR);
                    request.payload = payload;
                    self.ask(now, request, Ticket::Send(number));
                }
                Ok(_) => self.events.push_back(Event::failed(number, "there is nothing at these paths")),
                Err(error) => self.events.push_back(Event::failed(number, &error.to_string())),
            }
        }
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
            _ => {
                self.give_up(now, ticket, "no answer");
                return self.come_back_later(now, None, "the server does not answer".to_owned());
            }
        };
        match ticket {
            Ticket::Register if answered.code == Code::CREATED && !answered.location.is_empty() => {
                self.failures = 0;
                let location = format!("/{}", answered.location.join("/"));
                self.phase = Phase::Registered { location, renew_at: self.renew_at(now) };
                self.events.push_back(Event::Registered);
                self.go_on_with_download(now);
            }
            Ticket::Register => {
                let detail = String::from_utf8_lossy(&answered.payload).into_owned();
                self.come_back_later(now, Some(answered.code), detail);
            }
            Ticket::Update(number) => {
                self.events.extend(number.map(|number| Event::done(number, answered.code)));
                let next = self.renew_at(now);
                match &mut self.phase {
                    Phase::Registered { renew_at, .. } if answered.code.is_success() => *renew_at = next,
                    // Core 1.1 §6.2.2: a server that does not know the registration wants a new one.
                    _ => self.register_again(now),
                }
            }
            Ticket::Deregister(number) => {
                let mut out = Vec::new();
                if let Some(transport) = &mut self.transport {
                    transport.close(&mut out);
                }
                self.transmits.extend(out);
                self.lose_power();
                self.events.extend(number.map(|number| Event::done(number, answered.code)));
            }
            Ticket::Send(number) => {
                self.events.push_back(Event::done(number, answered.code));
                if answered.code == Code::NOT_FOUND {
                    self.register_again(now);
                }
            }
            Ticket::Block => {}
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
            && let Some(download) = &self.download
        {
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
        self.events.push_back(Event::Done { number, code, detail: detail.to_owned(), data, etag });
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
        self.drop_session(&detail);
        self.events.push_back(Event::Refused { code, detail });
        let doubled = BACK_OFF_FIRST.saturating_mul(1 << self.failures.min(16)).min(BACK_OFF_LAST);
        // A quarter of spread, from the seed, so that a farm does not come back in one instant.
        let spread =
            (self.config.seed.wrapping_mul(u64::from(self.failures) + 1) >> 40) as f64 / f64::from(1_u32 << 24);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting { until: now + doubled.mul_f64(1.0 + 0.25 * spread) };
    }

    pub(crate) fn drop_session(&mut self, why: &str) {
        if self.is_registered() {
            self.events.push_back(Event::Unregistered);
        }
        for ticket in self.requests.abandon() {
            // A download outlives its session: it goes on after the next registration.
            if ticket != Ticket::Block {
                self.events.extend(ticket.number().map(|number| Event::failed(number, why)));
            }
        }
        self.relations.clear();
        self.responses = Responses::new();
        self.uploads = blockwise::Uploads::new();
        self.transport = None;
        self.is_update_due = false;
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
