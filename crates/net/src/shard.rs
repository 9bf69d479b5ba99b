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
use crate::udp::{Listener, Losses, Room, send_all};

/// The thread looks up this often even when nothing is due.
const NAP_MAX: Duration = Duration::from_secs(1);
/// What epoll calls the inbox; the listeners are their numbers.
const INBOX: u64 = u64::MAX;
/// Descriptors that can be ready at once: the listeners and the inbox; what finds no room is ready again next time.
const READY_MAX: usize = 32;

pub(crate) struct Shard {
    gateway: Gateway,
    files: OpenFiles,
    listeners: Vec<Listener>,
    room: Room,
    inbox: Arc<Inbox>,
    batches: Arc<Batches>,
    epoll: OwnedFd,
    losses: Losses,
    phase: Phase,
    /// Pages that were handed over and neither committed nor refused.
    unfinished: usize,
    /// Emptied with every turn.
    pages: Vec<Page>,
    answers: Vec<Answer>,
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
        inbox: Arc<Inbox>,
        batches: Arc<Batches>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, inbox.bell(), epoll::EventData::new_u64(INBOX), epoll::EventFlags::IN)?;
        for (number, listener) in (0_u64..).zip(&listeners) {
            epoll::add(&epoll, listener.as_fd(), epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        }
        Ok(Self {
            gateway,
            files,
            listeners,
            room: Room::default(),
            inbox,
            batches,
            epoll,
            losses: Losses::default(),
            phase: Phase::Open,
            unfinished: 0,
            pages: Vec::new(),
            answers: Vec::new(),
        })
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
                    self.receive(number as usize);
                }
            }
            for order in self.inbox.take() {
                self.carry_out(order);
            }
            self.handle_timeout();
            self.hand_over();
        }
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Closing => self.unfinished == 0,
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

    fn receive(&mut self, number: usize) {
        if self.phase != Phase::Open {
            return;
        }
        let Some(listener) = self.listeners.get(number) else { return };
        let gateway = &mut self.gateway;
        // One look at the clock for what arrived together.
        let now = clock::now();
        listener.receive(&mut self.room, &mut self.losses, |from, datagram| {
            gateway.handle_datagram(now, number as SocketNumber, from, datagram);
        });
    }

    fn handle_timeout(&mut self) {
        let now = clock::now();
        if self.phase == Phase::Open && self.gateway.poll_timeout() <= now.monotonic {
            self.gateway.handle_timeout(now);
        }
    }

    /// What came of it all: datagrams to the network, pages and answers to the owner.
    fn hand_over(&mut self) {
        send_all(&self.listeners, self.gateway.outbox(), &mut self.losses);
        self.pages.extend(std::iter::from_fn(|| self.gateway.poll_page()));
        self.answers.extend(std::iter::from_fn(|| self.gateway.poll_answer()));
        self.unfinished += self.pages.len();
        self.batches.put(&mut self.pages, &mut self.answers);
    }

    fn carry_out(&mut self, order: Order) {
        let now = clock::now();
        // An owner that does not wait for its reply any more is no trouble.
        match order {
            Order::Finish { pages, is_committed } => self.finish(now, &pages, is_committed),
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
            Order::RemoveDevices(devices) => devices.iter().for_each(|device| self.gateway.remove_device(now, device)),
            Order::Restore { registrations, reply } => {
                let refused = registrations.into_iter().filter_map(|registration| {
                    let error = self.gateway.restore(now, &registration).err()?;
                    Some((registration.device, error))
                });
                let _ = reply.send(refused.collect());
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
        // What still arrives waits in the kernel and goes with the socket: its sender repeats it, to whoever is there then.
        for listener in &self.listeners {
            let _ = epoll::delete(&self.epoll, listener.as_fd());
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
