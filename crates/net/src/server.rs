//! The server side of the data plane, as its owner sees it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gateway::{
    Answer, Authority, Definitions, DenialEntry, DeviceEntry, Digest, EnrolmentAnswer, EnrolmentRequest, EntryError,
    FileEntry, Gateway, GatewayOptions, NotTakenUp, OwnCertificate, RegistrationState, Request, RestoredRegistration,
    SetupError,
};
use zeroize::Zeroizing;

use crate::batches::{Batch, Batches};
use crate::files::OpenFiles;
use crate::inbox::{Inbox, Order};
use crate::link::{Link, LinkOptions};
use crate::listener::Listener;
use crate::questions::Questions;
use crate::shard::{Hands, Shard};
use crate::udp::reason;
use crate::uri::{Uri, UriError};
use crate::{clock, lock};

/// Entries that the shard takes in before datagrams get their turn: a few milliseconds.
const ENTRIES_PER_TURN_MAX: usize = 1_000;
/// Listeners of one server: four protocols on a few addresses. Their numbers go into one byte.
const LISTENERS_MAX: usize = 64;
/// How often somebody who waits for the end looks: an end is rare, and nobody counts the milliseconds.
const END_LOOK_EVERY: Duration = Duration::from_millis(5);

/// A server that runs. Dropped without [`Server::close`] it ends at once.
///
/// One shard for now; a second needs a directory of which device is on which.
pub struct Server {
    inbox: Arc<Inbox>,
    batches: Arc<Batches>,
    questions: Arc<Questions>,
    addresses: Vec<Uri>,
    link_address: Option<SocketAddr>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why a server does not run.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An address that is none.
    Address(UriError),
    /// No address at all, or too many.
    Listeners {
        /// The bound.
        listeners_max: usize,
    },
    /// Somebody else listens there, or we may not.
    Bind {
        /// Where.
        uri: Uri,
        /// What the system says.
        error: io::Error,
    },
    /// The same, where other gateways are to reach this one.
    Link {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The system gives us no thread or descriptor.
    System(io::Error),
    /// The library for DTLS and TLS cannot be set up.
    Dtls(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(formatter),
            Self::Listeners { listeners_max } => write!(formatter, "1 to {listeners_max} addresses to listen on"),
            Self::Bind { uri, error } => write!(formatter, "{uri}: {}", reason(error)),
            Self::Link { address, error } => write!(formatter, "{address}: {}", reason(error)),
            Self::System(error) => error.fmt(formatter),
            Self::Dtls(error) => write!(formatter, "DTLS: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl StartError {
    /// The system's own number of the error, where it is the system's.
    pub fn system_number(&self) -> Option<i32> {
        match self {
            Self::Bind { error, .. } | Self::Link { error, .. } | Self::System(error) => error.raw_os_error(),
            _ => None,
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Server {
    /// Listens on `coap://HOST:PORT`, `coaps://HOST:PORT`, `coap+tcp://HOST:PORT` and `coaps+tcp://HOST:PORT` (port 0: any
    /// that is free) and starts the thread. `definitions` say what the values of devices mean. With
    /// [`GatewayOptions::start`] nobody is heard before [`Server::open`]. `link` is where other gateways reach it.
    pub fn start(
        listen: &[String],
        link: Option<&LinkOptions>,
        mut options: GatewayOptions,
        definitions: &Definitions,
    ) -> Result<Self, StartError> {
        if listen.is_empty() || listen.len() > LISTENERS_MAX {
            return Err(StartError::Listeners { listeners_max: LISTENERS_MAX });
        }
        let uris = listen.iter().map(|text| Uri::parse(text)).collect::<Result<Vec<_>, _>>();
        let bind = |uri| Listener::bind(uri).map_err(|error| StartError::Bind { uri, error });
        let listeners =
            uris.map_err(StartError::Address)?.into_iter().map(bind).collect::<Result<Vec<_>, StartError>>()?;
        let bind = |options: &LinkOptions, node| {
            Link::bind(options, node).map_err(|error| StartError::Link { address: options.listen, error })
        };
        let link = link.map(|link| bind(link, options.node)).transpose()?;
        let link_address = link.as_ref().map(Link::address).transpose()?;
        let addresses = listeners.iter().map(Listener::uri).collect::<io::Result<Vec<_>>>()?;
        rustix::rand::getrandom(&mut options.seed, rustix::rand::GetRandomFlags::empty()).map_err(io::Error::from)?;
        options.secure_sockets = listeners.iter().map(Listener::is_secure).collect();
        options.stream_sockets = listeners.iter().map(|listener| matches!(listener, Listener::Tcp(_))).collect();
        let files = OpenFiles::default();
        let (definitions, is_open) = (Arc::new(definitions.clone()), options.start.is_none());
        let gateway = Gateway::new(clock::now(), options, definitions, Box::new(files.clone()))
            .map_err(|error| StartError::Dtls(error.to_string()))?;
        let inbox = Arc::new(Inbox::new()?);
        let batches = Arc::new(Batches::default());
        let questions = Arc::new(Questions::default());
        let hands =
            Hands { inbox: Arc::clone(&inbox), batches: Arc::clone(&batches), questions: Arc::clone(&questions) };
        let shard = Shard::new(gateway, files, listeners, link, hands, is_open)?;
        let thread = std::thread::Builder::new().name("shard-0".to_owned()).spawn(move || shard.run())?;
        Ok(Self { inbox, batches, questions, addresses, link_address, thread: Mutex::new(Some(thread)) })
    }

    /// Where it listens, with the ports that were found.
    pub fn addresses(&self) -> &[Uri] {
        &self.addresses
    }

    /// Where other gateways reach it, with the port that was found.
    pub fn link_address(&self) -> Option<SocketAddr> {
        self.link_address
    }

    /// From now on it has these node numbers besides its own. `others` are where other gateways are, by number; `known` are
    /// the numbers that somebody has to speak for.
    pub fn set_nodes(&self, taken_over: Vec<u16>, others: Vec<(u16, SocketAddr)>, known: Vec<u16>) {
        self.inbox.put(Order::SetNodes { taken_over, others, known });
    }

    /// What is taken up from now on was left before this start: see [`GatewayOptions::start`].
    pub fn count_start(&self, start: u32) {
        self.inbox.put(Order::CountStart(start));
    }

    /// Another gateway has these devices: they are forgotten here, and nothing is told of it.
    pub fn move_away(&self, devices: Vec<String>) {
        let _ = self.ask(|reply| Order::MoveAway { devices, reply });
    }

    /// Takes devices in, or changes what is known about them. Answers with those that were refused, and why.
    pub fn put_devices(&self, entries: Vec<DeviceEntry>) -> Vec<(String, EntryError)> {
        self.in_turns(entries, |entries, reply| Order::PutDevices { entries, reply })
    }

    /// Denies devices what each entry says, in the place of what was denied before. Answers with those refused, and why.
    pub fn put_denials(&self, entries: Vec<DenialEntry>) -> Vec<(String, EntryError)> {
        self.in_turns(entries, |entries, reply| Order::PutDenials { entries, reply })
    }

    /// Shows this certificate to devices from now on, and takes theirs; `None` takes no certificates any more.
    pub fn set_certificate(&self, own: Option<OwnCertificate>) -> Result<(), SetupError> {
        self.ask(|reply| Order::SetCertificate { own, reply }).unwrap_or(Ok(()))
    }

    /// Certificates that let nobody in any more, and no others: their sessions end.
    pub fn put_revoked(&self, certificates: Vec<Digest>) {
        self.inbox.put(Order::PutRevoked(certificates));
    }

    /// Trusts these authorities and no others. Sessions of devices whose authority is gone end. Answers with those that
    /// cannot be taken, by their place, and why.
    pub fn put_authorities(&self, authorities: Vec<Authority>) -> Vec<(usize, SetupError)> {
        self.ask(|reply| Order::PutAuthorities { authorities, reply }).unwrap_or_default()
    }

    /// Forgets devices and ends their sessions.
    pub fn remove_devices(&self, devices: Vec<String>) {
        self.inbox.put(Order::RemoveDevices(devices));
    }

    /// Takes registrations from before a restart back; those of devices it does not know are passed over.
    pub fn restore(&self, registrations: Vec<RestoredRegistration>) -> Vec<(String, EntryError)> {
        self.in_turns(registrations, |registrations, reply| Order::Restore { registrations, reply })
    }

    /// Takes checkpoints of an earlier start up, after the registrations of their devices. Answers with those that do not
    /// serve, and why.
    pub fn restore_checkpoints(&self, checkpoints: Vec<(String, Zeroizing<Vec<u8>>)>) -> Vec<(String, NotTakenUp)> {
        self.in_turns(checkpoints, |checkpoints, reply| Order::RestoreCheckpoints { checkpoints, reply })
    }

    /// Everybody who was there before the restart is: devices are heard from now on.
    pub fn open(&self) {
        self.inbox.put(Order::Open);
    }

    /// The checkpoints of that number are safe, or could not be written. Until then no others come.
    pub fn checkpointed(&self, number: u64, is_safe: bool) {
        self.inbox.put(Order::Checkpointed { number, is_safe });
    }

    /// Lets `devices` fetch `file` under `/fw/<path>`. Its length is the answer.
    pub fn put_file(&self, path: &str, file: &Path, etag: Vec<u8>, devices: Vec<String>) -> Result<u64, FileError> {
        let (opened, size) = OpenFiles::open(file).map_err(FileError::Unreadable)?;
        let entry = FileEntry { path: path.to_owned(), etag, size, devices };
        match self.ask(|reply| Order::PutFile { entry, file: opened, reply }) {
            Some(Err(error)) => Err(FileError::Refused(error)),
            // No answer: the server has ended, and with it everything it would serve.
            Some(Ok(())) | None => Ok(size),
        }
    }

    /// Nobody may fetch the file any more.
    pub fn remove_file(&self, path: &str) {
        self.inbox.put(Order::RemoveFile(path.to_owned()));
    }

    /// Asks devices; what becomes of it comes with the batches.
    pub fn submit(&self, requests: Vec<Request>) {
        self.inbox.put(Order::Submit(requests));
    }

    /// Tells of requests that make no sense, as if a device had refused them: with the batches.
    pub fn refuse(&self, mut answers: Vec<Answer>) {
        self.batches.put(&mut Vec::new(), &mut answers, None);
    }

    /// Takes a request back.
    pub fn cancel(&self, id: u64) {
        self.inbox.put(Order::Cancel(id));
    }

    /// What devices ask to have signed, since the last call; each wants [`Server::answer_enrolment`].
    pub fn enrolments(&self) -> Vec<EnrolmentRequest> {
        self.questions.take()
    }

    /// Answers one of those.
    pub fn answer_enrolment(&self, answer: EnrolmentAnswer) {
        self.inbox.put(Order::AnswerEnrolment(answer));
    }

    /// All that waits, with about `events_max` events at most; waits up to `timeout` for something. Nothing after the
    /// timeout, and for ever once it is closed and everything was taken.
    pub fn next_batch(&self, events_max: usize, timeout: Duration) -> Option<Batch> {
        self.batches.next(events_max, timeout)
    }

    /// Every batch up to `seq` is in the log: its answers may leave.
    pub fn committed(&self, seq: u64) {
        self.finish(self.batches.finish_up_to(seq), true);
    }

    /// The log refused this one batch: its answers become 5.03, and the devices keep their data.
    pub fn refused(&self, seq: u64) {
        self.finish(self.batches.finish(seq), false);
    }

    fn finish(&self, pages: Vec<u64>, is_committed: bool) {
        if !pages.is_empty() {
            self.inbox.put(Order::Finish { pages, is_committed });
        }
    }

    /// Registrations of devices whose id comes after `after`, in the order of their ids.
    pub fn registrations(&self, after: &str, limit: usize) -> Vec<RegistrationState> {
        let after = after.to_owned();
        self.ask(|reply| Order::Registrations { after, limit, reply }).unwrap_or_default()
    }

    /// Everything that was counted.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        self.ask(|reply| Order::Stats { reply }).unwrap_or_default()
    }

    /// Takes nothing more in. What is there can still be taken and finished; when it was, the last answers leave, and the
    /// thread and its sockets are gone. After this call no batch will come that is not there yet.
    pub fn close(&self) {
        // No answer: it has ended already.
        let _ = self.ask(|reply| Order::Close { reply });
    }

    /// Waits until the end that [`Server::close`] began has come; false if it has not within `timeout`.
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        loop {
            let mut thread = lock(&self.thread);
            if thread.as_ref().is_none_or(JoinHandle::is_finished) {
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
                return true;
            }
            drop(thread);
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(END_LOOK_EVERY);
        }
    }

    fn in_turns<T, E>(&self, mut entries: Vec<T>, order: impl Fn(Vec<T>, SyncSender<Vec<E>>) -> Order) -> Vec<E> {
        let mut refused = Vec::new();
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(ENTRIES_PER_TURN_MAX));
            let turn = std::mem::replace(&mut entries, rest);
            refused.extend(self.ask(|reply| order(turn, reply)).unwrap_or_default());
        }
        refused
    }

    /// Nothing when the thread has ended.
    fn ask<T>(&self, order: impl FnOnce(SyncSender<T>) -> Order) -> Option<T> {
        let (reply, answer) = sync_channel(1);
        self.inbox.put(order(reply));
        answer.recv().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.inbox.put(Order::Abandon);
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

/// Why a file cannot be fetched by devices.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be opened.
    Unreadable(io::Error),
    /// The entry makes no sense.
    Refused(EntryError),
}
