//! What a shard is told by its owner.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

use gateway::{
    Authority, DenialEntry, DeviceEntry, Digest, EnrolmentAnswer, EntryError, FileEntry, NotTakenUp, OwnCertificate,
    RegistrationState, Request, RestoredRegistration, SetupError,
};
use rustix::event::{EventfdFlags, eventfd};
use zeroize::Zeroizing;

use crate::lock;

/// What a shard is told. Orders with a `reply` are waited for.
pub(crate) enum Order {
    PutDevices {
        entries: Vec<DeviceEntry>,
        reply: SyncSender<Vec<(String, EntryError)>>,
    },
    PutDenials {
        entries: Vec<DenialEntry>,
        reply: SyncSender<Vec<(String, EntryError)>>,
    },
    SetCertificate {
        own: Option<OwnCertificate>,
        reply: SyncSender<Result<(), SetupError>>,
    },
    PutRevoked(Vec<Digest>),
    PutAuthorities {
        authorities: Vec<Authority>,
        reply: SyncSender<Vec<(usize, SetupError)>>,
    },
    RemoveDevices(Vec<String>),
    Restore {
        registrations: Vec<RestoredRegistration>,
        reply: SyncSender<Vec<(String, EntryError)>>,
    },
    RestoreCheckpoints {
        checkpoints: Vec<(String, Zeroizing<Vec<u8>>)>,
        reply: SyncSender<Vec<(String, NotTakenUp)>>,
    },
    /// Whose numbers are whose, and where the other gateways are.
    SetNodes {
        taken_over: Vec<u16>,
        others: Vec<(u16, SocketAddr)>,
        known: Vec<u16>,
    },
    /// Another start was counted.
    CountStart(u32),
    /// Another gateway has these devices.
    MoveAway {
        devices: Vec<String>,
        reply: SyncSender<()>,
    },
    /// Listen from now on.
    Open,
    PutFile {
        entry: FileEntry,
        file: File,
        reply: SyncSender<Result<(), EntryError>>,
    },
    RemoveFile(String),
    Submit(Vec<Request>),
    Cancel(u64),
    AnswerEnrolment(EnrolmentAnswer),
    /// These pages are in the log, or were refused by it.
    Finish {
        pages: Vec<u64>,
        is_committed: bool,
    },
    /// These checkpoints are kept, or could not be.
    Checkpointed {
        number: u64,
        is_safe: bool,
    },
    Registrations {
        after: String,
        limit: usize,
        reply: SyncSender<Vec<RegistrationState>>,
    },
    Stats {
        reply: SyncSender<Vec<(&'static str, u64)>>,
    },
    /// Take nothing more in, hand over what is there; end when the last answer has left.
    Close {
        reply: SyncSender<()>,
    },
    /// End now.
    Abandon,
}

/// Orders on their way to a shard, and the bell that wakes it.
pub(crate) struct Inbox {
    bell: OwnedFd,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    orders: Vec<Order>,
    /// Nobody carries orders out any more.
    is_closed: bool,
}

impl Inbox {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { bell, waiting: Mutex::default() })
    }

    /// Orders are carried out in the order of these calls; once the shard has ended, whoever waits for a reply gets none.
    pub(crate) fn put(&self, order: Order) {
        let mut waiting = lock(&self.waiting);
        if waiting.is_closed {
            return;
        }
        waiting.orders.push(order);
        // The bell was rung for those before, and they were not taken yet.
        if waiting.orders.len() == 1 {
            self.ring();
        }
    }

    fn ring(&self) {
        // A full counter wakes just as well.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Everything that was put. The bell is silent afterwards, until the next is put.
    pub(crate) fn take(&self) -> Vec<Order> {
        let mut waiting = lock(&self.waiting);
        if waiting.orders.is_empty() {
            return Vec::new();
        }
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        std::mem::take(&mut waiting.orders)
    }

    /// The shard has ended.
    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.is_closed = true;
        waiting.orders.clear();
    }

    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
