//! All clients, and how an order goes through them.
//!
//! Closed loop: so many operations are always under way, which shows what a server can do at most. Fixed rate: an
//! operation becomes due at its moment whether or not the one before was answered, and its latency counts from there, so
//! that a server that stalls is not forgiven what we could not ask meanwhile.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::client::{Client, Common, Operation, Step};
use crate::credential::Credential;
use crate::report::{Report, Tally};
use crate::udp::Socket;

/// ACK_TIMEOUT (RFC 7252 §4.8), and a little for the server's own timer. Not doubled each time: a run is short.
const REPEAT_AFTER: Duration = Duration::from_millis(2_100);
/// Where the clients' addresses begin; the first of the next network is the limit.
const FIRST_ADDRESS: u32 = 0x7f01_0000;
/// Clients of one fleet: what is left of 127.0.0.0/8 would be sixteen times as many.
pub const CLIENTS_MAX: u32 = 1_000_000;
/// Operations begun before answers are taken: a full call of each, in turns.
const BEGUN_PER_TURN_MAX: usize = 64;
/// Longest wait for an answer; then timers are looked at.
const WAIT_MAX: Duration = Duration::from_millis(5);
/// Shortest wait, so that answers gather: the system cannot sleep less anyway.
const WAIT_MIN: Duration = Duration::from_micros(50);

/// Who the clients are.
pub struct FleetOptions {
    /// Whom they talk to.
    pub server: SocketAddrV4,
    /// How many there are.
    pub clients: u32,
    /// Before the number in every endpoint name, which is the PSK identity, or in the certificate, too.
    pub prefix: String,
    /// How they prove who they are; CoAP in the clear without one.
    pub credential: Option<Credential>,
}

/// What the clients shall do. Without `seconds` each does it once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What.
    #[serde(rename = "do")]
    pub operation: Operation,
    /// For how long operations are begun.
    pub seconds: Option<f64>,
    /// Operations under way at most.
    #[serde(default = "window")]
    pub window: usize,
    /// Operations a second, each at its moment; as many as the window allows when nothing is said.
    pub rate: Option<f64>,
    /// Only clients from this number on...
    #[serde(default)]
    pub first: u32,
    /// ...and only so many; all of them when nothing is said.
    pub count: Option<u32>,
}

const fn window() -> usize {
    1_024
}

/// Clients that keep their registrations, observations and sessions from one order to the next.
pub struct Fleet {
    socket: Socket,
    common: Common,
    clients: Vec<Client>,
    /// When to look whether an answer came: client and the number of its operation.
    timers: VecDeque<(Instant, u32, u32)>,
}

impl Fleet {
    /// Makes the clients; none has said anything yet.
    pub fn new(options: FleetOptions) -> io::Result<Self> {
        let clients = options.clients.min(CLIENTS_MAX);
        let client = |number| Client::new(number, Ipv4Addr::from(FIRST_ADDRESS + number));
        Ok(Self {
            socket: Socket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?,
            common: Common {
                server: options.server,
                prefix: options.prefix,
                credential: options.credential,
                origin: Instant::now(),
                unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64),
                records: Vec::new(),
                plaintext: Vec::new(),
            },
            clients: (0..clients).map(client).collect(),
            timers: VecDeque::new(),
        })
    }

    /// Carries out an order, to the last answer.
    pub fn carry_out(&mut self, order: &Order) -> Report {
        self.socket.unsent = 0;
        self.timers.clear();
        let count = order.count.map_or(usize::MAX, |count| count as usize);
        let asked = self.clients.iter().zip(0..).skip(order.first as usize).take(count);
        let able = asked.filter(|(client, _)| client.can(order.operation));
        let mut run = Run {
            idle: able.map(|(_, number)| number).collect(),
            tally: Tally::default(),
            began: Instant::now(),
            begun: 0,
            under_way: 0,
            last_answer: Instant::now(),
            returns: order.seconds.is_some(),
        };
        if run.idle.is_empty() {
            run.tally.error("no client is ready for this");
        }
        loop {
            let now = Instant::now();
            let has_more = self.begin(&mut run, order, now);
            self.socket.flush();
            let received = self.receive(&mut run);
            self.repeat(&mut run, Instant::now());
            self.socket.flush();
            if !has_more && run.under_way == 0 {
                break;
            }
            if received == 0 {
                self.socket.wait(run.patience(order, has_more));
            }
        }
        run.tally.unsent = self.socket.unsent;
        run.tally.report(run.last_answer - run.began)
    }

    /// Begins what is due; whether more will be.
    fn begin(&mut self, run: &mut Run, order: &Order, now: Instant) -> bool {
        let is_over = match order.seconds {
            Some(seconds) => (now - run.began).as_secs_f64() >= seconds,
            None => run.idle.is_empty(),
        };
        if is_over {
            return false;
        }
        for _ in 0..BEGUN_PER_TURN_MAX {
            let due = match order.rate {
                Some(rate) => run.began + Duration::from_secs_f64(run.begun as f64 / rate),
                None if run.under_way < order.window => now,
                None => break,
            };
            if due > now {
                break;
            }
            let Some(number) = run.idle.pop_front() else { break };
            let client = &mut self.clients[number as usize];
            run.begun += 1;
            match client.begin(order.operation, due, &mut self.common, &mut self.socket.outgoing()) {
                Ok(()) => {
                    run.under_way += 1;
                    self.timers.push_back((now + REPEAT_AFTER, number, client.sequence));
                }
                Err(kind) => {
                    client.abandon();
                    run.finish(number, Step::Failed(kind));
                }
            }
        }
        !run.idle.is_empty() || run.under_way > 0 || order.seconds.is_none()
    }

    fn receive(&mut self, run: &mut Run) -> usize {
        let Self { socket, common, clients, .. } = self;
        socket.receive(|outgoing, to, from, datagram| {
            let number = u32::from(to).wrapping_sub(FIRST_ADDRESS);
            let client = clients.get_mut(number as usize).filter(|_| from == common.server);
            let Some(client) = client else {
                run.tally.strays += 1;
                return;
            };
            let was_running = client.is_running();
            let step = client.receive(datagram, common, outgoing);
            run.count(number, was_running, step);
        })
    }

    fn repeat(&mut self, run: &mut Run, now: Instant) {
        while let Some(&(due, number, sequence)) = self.timers.front()
            && due <= now
        {
            self.timers.pop_front();
            let client = &mut self.clients[number as usize];
            if client.sequence != sequence || !client.is_running() {
                continue;
            }
            let step = client.repeat(&mut self.common, &mut self.socket.outgoing());
            if !matches!(step, Step::Failed(_)) {
                self.timers.push_back((now + REPEAT_AFTER, number, sequence));
            }
            run.count(number, true, step);
        }
    }
}

/// An order that is being carried out.
struct Run {
    /// Clients that may begin, in turn.
    idle: VecDeque<u32>,
    tally: Tally,
    began: Instant,
    begun: u64,
    under_way: usize,
    last_answer: Instant,
    /// Whether a client that is done gets another turn.
    returns: bool,
}

impl Run {
    fn count(&mut self, number: u32, was_running: bool, step: Step) {
        match step {
            Step::Nothing => {}
            Step::Repeated => self.tally.repetitions += 1,
            Step::Stray => self.tally.strays += 1,
            Step::Done(_) | Step::Failed(_) if was_running => {
                self.under_way -= 1;
                self.finish(number, step);
            }
            Step::Done(_) | Step::Failed(_) => self.tally.strays += 1,
        }
    }

    fn finish(&mut self, number: u32, step: Step) {
        match step {
            Step::Done(due) => {
                let now = Instant::now();
                self.tally.operations += 1;
                self.tally.latency.add(now - due);
                self.last_answer = now;
            }
            Step::Failed(kind) => self.tally.error(&kind),
            Step::Nothing | Step::Repeated | Step::Stray => return,
        }
        if self.returns {
            self.idle.push_back(number);
        }
    }

    fn patience(&self, order: &Order, has_more: bool) -> Duration {
        let next = order.rate.filter(|_| has_more && !self.idle.is_empty()).map(|rate| {
            let due = self.began + Duration::from_secs_f64(self.begun as f64 / rate);
            due.saturating_duration_since(Instant::now())
        });
        next.unwrap_or(WAIT_MAX).clamp(WAIT_MIN, WAIT_MAX)
    }
}
