//! One thread: its sockets, one gateway, and the orders of its owner.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use gateway::{Answer, Gateway, Now, Page, SocketNumber};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::batches::Batches;
use crate::clock;
use crate::files::OpenFiles;
use crate::inbox::{Inbox, Order};
use crate::link::{Link, Refused};
use crate::listener::Listener;
use crate::questions::Questions;
use crate::tcp::Connections;
use crate::udp::{Losses, Room, send_all};

/// Full calls of one socket before the others, and the answers, get their turn: 256 datagrams.
const CALLS_PER_TURN_MAX: usize = 4;
/// The thread looks up this often even when nothing is due.
const NAP_MAX: Duration = Duration::from_secs(1);
/// What epoll calls the inbox and the link to other gateways; listeners and connections are their numbers.
const INBOX: u64 = u64::MAX;
const LINK: u64 = INBOX - 1;
/// Descriptors that can be ready at once: the listeners, the inbox, some connections; what finds no room is ready again next time.
const READY_MAX: usize = 32;

pub(crate) struct Shard {
    gateway: Gateway,
    files: OpenFiles,
    listeners: Vec<Listener>,
    link: Option<Link>,
    connections: Connections,
    room: Room,
    inbox: Arc<Inbox>,
    batches: Arc<Batches>,
    questions: Arc<Questions>,
    epoll: OwnedFd,
    losses: Losses,
    refused: Refused,
    phase: Phase,
    /// Pages that were handed over and neither committed nor refused.
    unfinished: usize,
    /// Emptied with every turn.
    pages: Vec<Page>,
    answers: Vec<Answer>,
    /// While closing: none of them was refused. Nobody waits then for a database that is away.
    keeps_checkpoints: bool,
}

/// How a shard and its owner reach each other.
pub(crate) struct Hands {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) batches: Arc<Batches>,
    pub(crate) questions: Arc<Questions>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing more is taken in; answers still leave.
    Closing,
    Abandoned,
}

impl Shard {
    pub(crate) fn new(
        gateway: Gateway,
        files: OpenFiles,
        listeners: Vec<Listener>,
        link: Option<Link>,
        hands: Hands,
        is_open: bool,
    ) -> io::Result<Self> {
        let Hands { inbox, batches, questions } = hands;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, inbox.bell(), epoll::EventData::new_u64(INBOX), epoll::EventFlags::IN)?;
        let shard = Self {
            gateway,
            files,
            listeners,
            link,
            connections: Connections::new(clock::now().monotonic),
            room: Room::default(),
            inbox,
            batches,
            questions,
            epoll,
            losses: Losses::default(),
            refused: Refused::default(),
            phase: Phase::Open,
            unfinished: 0,
            pages: Vec::new(),
            answers: Vec::new(),
            keeps_checkpoints: true,
        };
        if is_open {
            shard.listen()?;
        }
        Ok(shard)
    }

    /// What arrived before waits in the kernel.
    fn listen(&self) -> io::Result<()> {
        for (number, listener) in (0_u64..).zip(&self.listeners) {
            epoll::add(&self.epoll, listener.as_fd(), epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        }
        if let Some(link) = &self.link {
            epoll::add(&self.epoll, link.as_fd(), epoll::EventData::new_u64(LINK), epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    pub(crate) fn run(mut self) {
        let mut ready = Vec::with_capacity(READY_MAX);
        while !self.is_over() {
            let nap = self.nap();
            // Interrupted by a signal: the turn finds nothing to do.
            let _ = epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&nap));
            for event in ready.drain(..) {
                let number = event.data.u64();
                if number != INBOX {
                    self.receive(number, event.flags);
                }
            }
            for order in self.inbox.take() {
                self.carry_out(order);
            }
            self.handle_timeout();
            self.hand_over();
        }
        if self.phase == Phase::Closing {
            // RFC 8323 §5.5. What the kernel does not take at once, nobody will wait for.
            self.gateway.release_connections();
            self.send();
        }
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Closing => self.unfinished == 0 && !(self.keeps_checkpoints && self.gateway.has_checkpoints()),
            Phase::Abandoned => true,
        }
    }

    fn nap(&self) -> Timespec {
        let nap = match self.phase {
            Phase::Open => self.gateway.poll_timeout().saturating_duration_since(clock::now().monotonic).min(NAP_MAX),
            // Only orders matter now.
            Phase::Closing | Phase::Abandoned => NAP_MAX,
        };
        Timespec { tv_sec: nap.as_secs() as i64, tv_nsec: i64::from(nap.subsec_nanos()) }
    }

    fn receive(&mut self, number: u64, flags: epoll::EventFlags) {
        let Self { gateway, connections, epoll, .. } = self;
        // One look at the clock for what arrived together.
        let now = clock::now();
        if number == LINK {
            if let Some(link) = self.link.as_mut().filter(|_| self.phase == Phase::Open) {
                link.receive(&mut self.losses, &mut self.refused, |handover| gateway.handle_handover(now, handover));
            }
            return;
        }
        let socket = number as SocketNumber;
        match self.listeners.get_mut(number as usize) {
            _ if number > u64::from(SocketNumber::MAX) => connections.handle_ready(now, epoll, number, flags, gateway),
            Some(_) if self.phase != Phase::Open => {}
            Some(Listener::Udp(listener)) => {
                for _ in 0..CALLS_PER_TURN_MAX {
                    let more_waits = listener.receive(&mut self.room, &mut self.losses);
                    gateway.set_more_waits(more_waits);
                    gateway.handle_datagrams(now, socket, self.room.datagrams());
                    if !more_waits {
                        break;
                    }
                }
            }
            Some(Listener::Tcp(listener)) => connections.accept(now, epoll, socket, listener, gateway),
            None => {}
        }
    }

    fn handle_timeout(&mut self) {
        let now = clock::now();
        if self.phase == Phase::Open && self.gateway.poll_timeout() <= now.monotonic {
            self.gateway.handle_timeout(now);
        }
        self.connections.handle_timeout(now.monotonic, &self.epoll, &mut self.listeners);
    }

    /// What came of it all: datagrams and bytes to the network, pages and answers to the owner.
    fn hand_over(&mut self) {
        self.send();
        self.pages.extend(std::iter::from_fn(|| self.gateway.poll_page()));
        self.answers.extend(std::iter::from_fn(|| self.gateway.poll_answer()));
        self.questions.put(std::iter::from_fn(|| self.gateway.poll_enrolment()));
        self.unfinished += self.pages.len();
        let checkpoints = self.gateway.poll_checkpoints(clock::now());
        self.batches.put(&mut self.pages, &mut self.answers, checkpoints);
    }

    fn send(&mut self) {
        loop {
            let outbox = self.gateway.outbox();
            if !outbox.is_empty() {
                send_all(&self.listeners, outbox, &mut self.losses);
                if let Some(link) = &mut self.link {
                    link.send(outbox, &mut self.losses, &mut self.refused);
                }
                self.connections.send(&self.epoll, outbox);
                outbox.clear();
            }
            let closed = self.connections.take_closed();
            if closed.is_empty() {
                return;
            }
            // What that leads to leaves now, too.
            let now = clock::now();
            closed.into_iter().for_each(|number| self.gateway.handle_closed(now, number));
        }
    }

    fn carry_out(&mut self, order: Order) {
        let now = clock::now();
        // An owner that does not wait for its reply any more is no trouble.
        match order {
            Order::Finish { pages, is_committed } => self.finish(now, &pages, is_committed),
            Order::Checkpointed { number, is_safe } => {
                self.keeps_checkpoints = is_safe;
                self.gateway.handle_checkpointed(now, number, is_safe);
            }
            Order::Registrations { after, limit, reply } => {
                let _ = reply.send(self.gateway.registrations(now, &after, limit));
            }
            Order::Stats { reply } => {
                let _ = reply.send(self.stats());
            }
            Order::Close { reply } => {
                self.close();
                let _ = reply.send(());
            }
            Order::Abandon => self.phase = Phase::Abandoned,
            // Whatever else it is, it is too late for it.
            _ if self.phase != Phase::Open => {}
            Order::PutDevices { entries, reply } => {
                let refused = entries.into_iter().filter_map(|entry| {
                    let error = self.gateway.put_device(now, &entry).err()?;
                    Some((entry.device, error))
                });
                let _ = reply.send(refused.collect());
            }
            Order::PutDenials { entries, reply } => {
                let refused = entries.into_iter().filter_map(|entry| {
                    let device = entry.device.clone();
                    Some((device, self.gateway.put_denials(entry).err()?))
                });
                let _ = reply.send(refused.collect());
            }
            Order::SetCertificate { own, reply } => {
                let _ = reply.send(self.gateway.set_certificate(own.as_ref()));
            }
            Order::PutRevoked(certificates) => self.gateway.put_revoked(now, certificates),
            Order::PutAuthorities { authorities, reply } => {
                let _ = reply.send(self.gateway.put_authorities(now, &authorities));
            }
            Order::RemoveDevices(devices) => devices.iter().for_each(|device| self.gateway.remove_device(now, device)),
            Order::Restore { registrations, reply } => {
                let refused = registrations.into_iter().filter_map(|registration| {
                    let error = self.gateway.restore(now, &registration).err()?;
                    Some((registration.device, error))
                });
                let _ = reply.send(refused.collect());
            }
            Order::RestoreCheckpoints { checkpoints, reply } => {
                let refused = checkpoints.into_iter().filter_map(|(device, bytes)| {
                    let error = self.gateway.restore_checkpoint(now, &device, &bytes).err()?;
                    Some((device, error))
                });
                let _ = reply.send(refused.collect());
            }
            Order::SetNodes { taken_over, others, known } => {
                let reachable: Vec<u16> =
                    others.iter().map(|(node, _)| *node).filter(|_| self.link.is_some()).collect();
                self.gateway.set_nodes(&taken_over, &reachable, &known);
                if let Some(link) = &mut self.link {
                    link.set_nodes(&taken_over, &others);
                }
            }
            Order::CountStart(start) => self.gateway.count_start(start),
            Order::MoveAway { devices, reply } => {
                self.gateway.move_away(&devices);
                let _ = reply.send(());
            }
            // What was bound can be watched, unless the system is out of memory; then nothing else works either.
            Order::Open => {
                let _ = self.listen();
            }
            Order::PutFile { entry, file, reply } => {
                let put = self.gateway.put_file(&entry);
                if put.is_ok() {
                    self.files.put(&entry.path, file);
                }
                let _ = reply.send(put);
            }
            Order::RemoveFile(path) => {
                self.gateway.remove_file(&path);
                self.files.remove(&path);
            }
            Order::Submit(requests) => requests.into_iter().for_each(|request| self.gateway.submit(now, request)),
            Order::Cancel(id) => self.gateway.cancel(now, id),
            Order::AnswerEnrolment(answer) => self.gateway.answer_enrolment(now, answer),
        }
    }

    fn finish(&mut self, now: Now, pages: &[u64], is_committed: bool) {
        self.unfinished -= pages.len();
        for &page in pages {
            if is_committed {
                self.gateway.handle_committed(now, page);
            } else {
                self.gateway.handle_refused(now, page);
            }
        }
    }

    fn stats(&self) -> Vec<(&'static str, u64)> {
        let mut stats = self.gateway.stats();
        stats.extend([
            ("datagrams_too_long", self.losses.too_long),
            ("receive_failed", self.losses.receive_failed),
            ("send_failed", self.losses.send_failed),
            ("handovers_strange", self.refused.strange),
            ("handovers_to_nobody", self.refused.nobody),
            ("accept_failed", self.connections.losses.accept_failed),
            ("connections_stalled", self.connections.losses.stalled),
        ]);
        stats
    }

    fn close(&mut self) {
        if self.phase != Phase::Open {
            return;
        }
        self.gateway.seal();
        self.hand_over();
        self.phase = Phase::Closing;
        self.batches.seal();
        self.connections.stop_listening();
        // What still arrives waits in the kernel and goes with the socket: its sender repeats it, to whoever is there then.
        for listener in &self.listeners {
            let _ = epoll::delete(&self.epoll, listener.as_fd());
        }
        if let Some(link) = &self.link {
            let _ = epoll::delete(&self.epoll, link.as_fd());
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        // Whoever waits for more, or for a reply, need not.
        self.inbox.close();
        self.batches.seal();
    }
}
