//! Many LwM2M clients in one thread: a socket each, one epoll, one heap of deadlines.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use device::{
    Begun, Code, Config, Credential, Definitions, Device, Event, Guard, Path, Place, Readings, Request, Value,
};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

use crate::line::Line;
use crate::uri::Uri;
use crate::{clock, lock};

/// Largest datagram a device takes: RFC 7252 §4.6 keeps them below 1152 bytes, save for devices that do not keep to that.
/// A longer one is dropped, never cut.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// Datagrams taken from one socket before the others get their turn.
const DATAGRAMS_PER_TURN_MAX: usize = 64;
/// What happened and was not fetched yet; beyond it the oldest is dropped and counted, so that an owner that sleeps does not
/// fill the memory. Ten minutes of a thousand devices that report every ten seconds.
const EVENTS_WAITING_MAX: usize = 65_536;
/// The thread looks up this often even when nothing is due.
const NAP_MAX: Duration = Duration::from_secs(1);
const WAKE: u64 = 0;

/// What a device is told.
pub enum Order {
    /// Connect and register.
    PowerOn,
    /// Fall silent without a word.
    LosePower,
    /// A value changed.
    Set(Path, Value),
    /// Something is there no longer.
    Remove(Path),
    /// An object is there, also without an instance.
    Declare(u16),
    /// Attributes that a server set before a restart.
    Attributes(Path, Vec<String>),
    /// Ask the owner before this.
    Guard(Guard),
    /// What the owner says to such a question.
    Decide(u64, Result<(), (Code, String)>),
    /// Send these readings; `Done` follows with the number.
    Send(u64, Readings),
    /// Fetch a file, from where an earlier fetch broke off; `Done` follows with the number.
    Fetch(u64, String, Option<Begun>),
    /// Ask the server this; `Done` follows with the number.
    Request(u64, Box<Request>),
    /// Prove itself with this from now on; `Done` follows with the number.
    Prove(u64, Credential),
    /// Renew the registration.
    Update(u64),
    /// Say goodbye.
    Deregister(u64),
    /// Say that it is in another enclosure.
    Claim(Option<String>),
    /// In queue mode: stop listening.
    Sleep,
    /// Go on from another source port.
    Rebind,
    /// Say goodbye if that can be done at once, and forget the device.
    Leave,
}

/// The thread and the way to it.
pub struct Devices {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    next_handle: AtomicU64,
    seed: u64,
}

struct Shared {
    wake: OwnedFd,
    inbox: Mutex<Inbox>,
    outbox: Mutex<Told>,
    arrived: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Inbox {
    added: Vec<(u64, Running)>,
    orders: Vec<(u64, Order)>,
    is_closing: bool,
}

#[derive(Default)]
struct Told {
    events: VecDeque<(u64, Event)>,
    /// Nothing more will come.
    is_sealed: bool,
}

struct Running {
    device: Box<Device>,
    way: Way,
    place: Place,
    due: Option<Instant>,
}

/// How a device reaches its server.
enum Way {
    Datagrams(UdpSocket),
    /// None: it wants no connection now.
    Connection(Option<Line>),
}

impl Way {
    fn to(place: Place) -> io::Result<Self> {
        Ok(if place.over_tcp { Self::Connection(None) } else { Self::Datagrams(bind(place.address)?) })
    }

    fn listen(&self, epoll: &OwnedFd, handle: u64) -> io::Result<()> {
        if let Self::Datagrams(socket) = self {
            epoll::add(epoll, socket, epoll::EventData::new_u64(handle), epoll::EventFlags::IN)?;
        }
        Ok(())
    }
}

impl Running {
    /// Sends what it has to say.
    fn send(&mut self, epoll: &OwnedFd, handle: u64) {
        match &mut self.way {
            Way::Datagrams(socket) => {
                while let Some(datagram) = self.device.poll_transmit() {
                    // What the network does not take is lost, as any datagram may be.
                    let _ = socket.send(&datagram);
                }
            }
            Way::Connection(line) => Line::follow(line, epoll, handle, self.place.address, &mut self.device),
        }
    }

    /// Another server has another socket: the one before may still say something.
    fn follow(&mut self, epoll: &OwnedFd, handle: u64) {
        let place = self.device.place();
        if place == self.place {
            return;
        }
        let way = Way::to(place).and_then(|way| way.listen(epoll, handle).map(|()| way));
        if let Ok(way) = way {
            // The old socket leaves epoll when it is closed.
            (self.way, self.place) = (way, place);
        }
    }
}

impl Devices {
    /// Starts the thread. `seed` is mixed into the ids, tokens and jitter of every device.
    pub fn start(seed: u64) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let shared = Arc::new(Shared {
            wake,
            inbox: Mutex::default(),
            outbox: Mutex::default(),
            arrived: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let host = Host::new(Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("devices".to_owned()).spawn(move || host.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), next_handle: AtomicU64::new(WAKE + 1), seed })
    }

    /// Adds a device that is switched off; its handle names it from now on. `definitions` say what its values mean.
    pub fn add(&self, mut config: Config, definitions: &Definitions) -> io::Result<u64> {
        let place = Place { address: config.server, over_tcp: config.over_tcp };
        let way = Way::to(place)?;
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        config.seed = self.seed.wrapping_add(handle.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let device = Box::new(Device::new(config, definitions, Instant::now()));
        lock(&self.shared.inbox).added.push((handle, Running { device, way, place, due: None }));
        self.shared.wake();
        Ok(handle)
    }

    /// Tells a device something. Orders are carried out in order; those to a device that is gone are ignored.
    pub fn order(&self, handle: u64, order: Order) {
        lock(&self.shared.inbox).orders.push((handle, order));
        self.shared.wake();
    }

    /// What happened since the last call, at most `events_max`; waits up to `timeout` for the first.
    pub fn next_events(&self, events_max: usize, timeout: Duration) -> Vec<(u64, Event)> {
        let until = Instant::now() + timeout;
        let mut outbox = lock(&self.shared.outbox);
        while outbox.events.is_empty() && !outbox.is_sealed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            outbox = self.shared.arrived.wait_timeout(outbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = outbox.events.len().min(events_max);
        outbox.events.drain(..count).collect()
    }

    /// Events that nobody fetched in time.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Ends the thread; devices fall silent, and nobody waits for events any more.
    pub fn close(&self) {
        lock(&self.shared.inbox).is_closing = true;
        self.shared.wake();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
        lock(&self.shared.outbox).is_sealed = true;
        self.shared.arrived.notify_all();
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn wake(&self) {
        // A full counter wakes just as well.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn tell(&self, handle: u64, device: &mut Device) {
        let mut outbox = None;
        while let Some(event) = device.poll_event() {
            let Told { events, .. } = &mut **outbox.get_or_insert_with(|| lock(&self.outbox));
            if events.len() >= EVENTS_WAITING_MAX {
                events.pop_front();
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            events.push_back((handle, event));
        }
        if outbox.is_some() {
            self.arrived.notify_one();
        }
    }
}

struct Host {
    shared: Arc<Shared>,
    epoll: OwnedFd,
    devices: HashMap<u64, Running>,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Host {
    fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &shared.wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        Ok(Self { shared, epoll, devices: HashMap::new(), deadlines: BinaryHeap::new() })
    }

    fn run(mut self) {
        let mut ready = Vec::with_capacity(1024);
        // One byte more than a device takes shows that a datagram was cut.
        let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
        loop {
            let nap = self.nap();
            // Interrupted by a signal: the next turn looks again.
            let _ = epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&nap));
            if ready.iter().any(|event: &epoll::Event| event.data.u64() == WAKE) {
                let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
            }
            // After the orders: a goodbye may be among them.
            if self.take_orders() {
                return;
            }
            self.handle_deadlines();
            for event in ready.drain(..).filter(|event| event.data.u64() != WAKE) {
                self.receive(event.data.u64(), event.flags, &mut buffer);
            }
        }
    }

    /// Carries out what the owner wants; true when that is the end.
    fn take_orders(&mut self) -> bool {
        let (added, orders, is_closing) = {
            let mut inbox = lock(&self.shared.inbox);
            (std::mem::take(&mut inbox.added), std::mem::take(&mut inbox.orders), inbox.is_closing)
        };
        for (handle, running) in added {
            self.add(handle, running);
        }
        for (handle, order) in orders {
            self.carry_out(handle, order);
        }
        is_closing
    }

    fn add(&mut self, handle: u64, running: Running) {
        if running.way.listen(&self.epoll, handle).is_ok() {
            self.devices.insert(handle, running);
        }
    }

    fn carry_out(&mut self, handle: u64, order: Order) {
        let now = Instant::now();
        let Some(running) = self.devices.get_mut(&handle) else { return };
        let device = &mut running.device;
        match order {
            Order::PowerOn => {
                device.set_wall_clock(now, unix_s());
                device.power_on(now);
            }
            Order::LosePower => device.lose_power(),
            Order::Set(path, value) => {
                device.set(path, value);
            }
            Order::Remove(path) => device.remove(now, &path),
            Order::Declare(object) => device.declare(object),
            Order::Attributes(path, queries) => {
                device.set_attributes_again(path, &queries.iter().map(String::as_bytes).collect::<Vec<_>>());
            }
            Order::Guard(guard) => device.guard(guard),
            Order::Decide(number, verdict) => device.decide(now, number, verdict),
            Order::Send(number, readings) => device.send(now, number, readings),
            Order::Fetch(number, uri, begun) => device.fetch(now, number, &uri, begun),
            Order::Request(number, request) => device.request(now, number, *request),
            Order::Prove(number, credential) => device.change_credential(now, number, credential),
            Order::Update(number) => device.update(now, Some(number)),
            Order::Deregister(number) => device.deregister(now, Some(number)),
            Order::Claim(enclosure) => device.claim(enclosure),
            Order::Sleep => device.sleep(),
            Order::Rebind => self.rebind(handle),
            Order::Leave => {
                device.deregister(now, None);
                self.flush(handle);
                self.devices.remove(&handle);
                return;
            }
        }
        self.flush(handle);
    }

    fn rebind(&mut self, handle: u64) {
        let Some(running) = self.devices.get_mut(&handle) else { return };
        let Way::Datagrams(former) = &mut running.way else {
            // Another source port is another connection.
            if let Way::Connection(Some(_)) = running.way {
                running.way = Way::Connection(None);
                running.device.handle_closed(Instant::now(), "another source port");
            }
            return self.flush(handle);
        };
        let Ok(socket) = bind(running.place.address) else { return };
        if epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(handle), epoll::EventFlags::IN).is_ok() {
            // The old socket leaves epoll when it is closed.
            *former = socket;
        }
    }

    fn receive(&mut self, handle: u64, flags: epoll::EventFlags, buffer: &mut [u8]) {
        if matches!(self.devices.get(&handle), Some(Running { way: Way::Connection(_), .. })) {
            self.take_orders();
            let Some(Running { device, way: Way::Connection(line), .. }) = self.devices.get_mut(&handle) else {
                return;
            };
            if line.as_mut().is_some_and(|line| !line.receive(flags, buffer, device)) {
                *line = None;
            }
            return self.flush(handle);
        }
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            let Some(Running { way: Way::Datagrams(socket), .. }) = self.devices.get_mut(&handle) else { return };
            match socket.recv(buffer) {
                Ok(length) if length > DATAGRAM_BYTES_MAX => {}
                Ok(length) => {
                    // It may come from somebody who knew that an order had been given: that goes first.
                    self.take_orders();
                    let Some(running) = self.devices.get_mut(&handle) else { return };
                    running.device.handle_datagram(Instant::now(), &buffer[..length]);
                }
                // Nothing more, or the echo of "port unreachable": both are silence to a device.
                Err(_) => break,
            }
        }
        self.flush(handle);
    }

    fn handle_deadlines(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, handle))) = self.deadlines.peek().copied()
            && due <= now
        {
            self.deadlines.pop();
            // A deadline that was moved since stands in the heap a second time.
            if let Some(running) = self.devices.get_mut(&handle)
                && running.due == Some(due)
            {
                running.due = None;
                running.device.set_wall_clock(now, unix_s());
                running.device.handle_timeout(now);
                self.flush(handle);
            }
        }
    }

    /// Sends what it has to say, tells what happened, and notes when it is due next.
    fn flush(&mut self, handle: u64) {
        let Some(running) = self.devices.get_mut(&handle) else { return };
        running.send(&self.epoll, handle);
        if let Some(place) = running.device.poll_lookup().map(place_of) {
            running.device.handle_lookup(Instant::now(), place);
            running.follow(&self.epoll, handle);
            running.send(&self.epoll, handle);
        }
        self.shared.tell(handle, &mut running.device);
        let due = running.device.poll_timeout();
        if due != running.due {
            running.due = due;
            self.deadlines.extend(due.map(|due| Reverse((due, handle))));
        }
    }

    fn nap(&self) -> Timespec {
        let due =
            self.deadlines.peek().map_or(NAP_MAX, |Reverse((due, _))| due.saturating_duration_since(Instant::now()));
        let nap = due.min(NAP_MAX);
        Timespec { tv_sec: nap.as_secs() as i64, tv_nsec: i64::from(nap.subsec_nanos()) }
    }
}

/// Where a server is. A host name is looked up here and now: a device with one waits for it, and the others with it.
fn place_of(uri: &str) -> Option<Place> {
    let Uri { address, is_tcp, .. } = Uri::parse(uri).ok()?;
    Some(Place { address, over_tcp: is_tcp })
}

/// The wall clock, in Unix seconds.
fn unix_s() -> f64 {
    clock::now().unix_ms as f64 / 1_000.0
}

fn bind(server: SocketAddr) -> io::Result<UdpSocket> {
    let any =
        if server.is_ipv4() { SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)) } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
